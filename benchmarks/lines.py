"""Many phone calls at once through a box without a card: delay, processor and memory of each; and how soon it obeys.

    python -m benchmarks.lines [--quick] [--json FILE]

The box is `edgevoice run` as a process. Every figure comes from what its two sides sent and received
(`benchmarks.line_load`, the logs of `tests.phone`) or from /proc; nothing here imports the program.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth import growth
from benchmarks.table import Row, distribution, single, text
from edgevoice_measure import onset, percentiles
from tests.ports import free_port

ROOT = Path(__file__).parent.parent
RESULTS = Path("bench-results")
VOICES = ROOT / "edgevoice" / "voices"
COUNTS = (1, 10, 25, 40, 50)
DELAY = {"p99": 30.0}
CLEAR = {"p95": 250.0}
PERCENT, MEMORY_MB = 1.5, 1.5  # for each call
TOKEN = "0123456789abcdef-bench"
CLEARS = {"elks": "interrupt", "twilio": "clear", "vobiz": "clearAudio", "plivo": "clearAudio"}
SOUNDS = {"elks": "audio", "twilio": "media", "vobiz": "playAudio", "plivo": "playAudio"}
RATE = 16_000  # of the recorded voices
REPLY_S = 2.0  # the parrot has been speaking for so long when it is interrupted
AFTER_S = 0.4  # after a clear: nobody has said anything new yet

CONFIGURATION = """
[call]
incoming = "{incoming}"
[lines]
listen = "127.0.0.1:{port}"
max_calls = 64
[line.elks]
path_token_file = "token"
[line.twilio]
path_token_file = "token"
[line.vobiz]
path_token_file = "token"
[line.plivo]
path_token_file = "token"
[agent.openai]
url = "ws://127.0.0.1:{agent}/v1/realtime"
api_key_file = "key"
greeting = "One number after the other, please."
[status]
socket = "{folder}/control.sock"
"""


def main() -> None:
    options = _options()
    seconds, calls = (5.0, 3) if options.quick else (60.0, 12)
    tried = {count: _loaded(count, seconds if count == max(COUNTS) else seconds / 3) for count in COUNTS}
    loads = [load for load in tried.values() if load]
    rows = [row for load in loads for row in _rows(load)]
    rows += [_too_many(count) for count, load in tried.items() if not load]
    rows += [row for service in ("elks", "twilio", "vobiz") for row in _interrupted(service, calls)]
    print(text(rows))
    print(f"load afterwards: {' '.join(f'{load:.2f}' for load in os.getloadavg())}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"rows": [asdict(row) for row in rows], "loads": loads}, indent=1))
    drawing = RESULTS / "lines.svg"
    drawing.write_text(growth([(load["calls"], load["percent"], load["memory_mb"]) for load in loads]))
    print(f"{options.json}, {drawing}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.lines", description="Measure a box that carries phone calls.")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--json", type=Path, default=RESULTS / "lines.json", metavar="FILE", help="%(default)s")
    return parser.parse_args()


# ------------------------------------------------------------------------------------------------- calls at once


def _loaded(calls: int, seconds: float) -> dict[str, Any] | None:
    """Return the figures of so many calls at once; None if not all could be joined."""
    print(f"... {calls} calls at once for {seconds:g} s", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.line_load", "--calls", str(calls), "--seconds", str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin
        assert load.stdout
        with _box("openai", _told(load)["agent"]) as (port, pid):
            before_mb = _memory_mb(pid)
            print(f"ws://127.0.0.1:{port}/twilio/{TOKEN}", file=load.stdin, flush=True)
            if not _told(load):
                return None
            used, at = _used_s(pid), time.monotonic()
            _told(load)
            percent = (_used_s(pid) - used) / (time.monotonic() - at) * 100
            grown_mb = _memory_mb(pid) - before_mb
            found = _told(load)
    return found | {"calls": calls, "seconds": seconds, "percent": percent, "memory_mb": grown_mb}


def _told(load: subprocess.Popen[str]) -> dict[str, Any]:
    assert load.stdout
    found: dict[str, Any] = json.loads(load.stdout.readline() or "{}")
    return found


def _too_many(calls: int) -> Row:
    return Row("all calls are joined, on this machine", f"{calls} at once", "", {"value": 0}, ">= 1", False)


def _rows(load: Mapping[str, Any]) -> Iterator[Row]:
    calls = load["calls"]
    condition = f"{calls} at once"
    for name, figure in {"to_agent": "caller -> agent", "to_caller": "agent -> caller"}.items():
        end = load[name]
        ordered = sorted(end["delays_ms"])
        found = {**percentiles(ordered), "p99": _share(ordered, 0.99)}
        measured = {column: round(found[column], 2) for column in ("n", "p50", "p95", "max")} | {"least": ordered[0]}
        yield Row(f"added delay, {figure}", condition, "ms", measured)
        yield single(f"added delay, {figure}: p99", condition, found["p99"], "ms", DELAY["p99"])
        expected = calls * load["seconds"] * 50
        missing = max(0.0, expected * 0.98 - end["frames"]) + end["faults"]  # those under way when it begins and ends
        yield single(f"frames lost or out of order, {figure}", condition, missing, "", 0.0)
    yield single("processor, for each call", condition, load["percent"] / calls, "% of a core", PERCENT)
    yield single("memory (RSS), for each call", condition, load["memory_mb"] / calls, "MB", MEMORY_MB)
    yield single("the load's own processor", condition, load["own_percent"], "% of a core")
    yield single("the load's own lateness: p99", condition, _share(sorted(load["own_late_ms"]), 0.99), "ms")


def _share(ordered: Sequence[float], share: float) -> float:
    """Return the nearest rank."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def _box(incoming: str, agent: int = 9) -> Iterator[tuple[int, int]]:
    """Run a box; yields its port and process."""
    with tempfile.TemporaryDirectory(prefix="edgevoice-bench.") as name:
        folder, port = Path(name), free_port()
        (folder / "token").write_text(TOKEN)
        (folder / "key").write_text("no secret")
        configuration = folder / "edgevoice.toml"
        configuration.write_text(CONFIGURATION.format(incoming=incoming, port=port, agent=agent, folder=folder))
        command = [sys.executable, "-m", "edgevoice", "run", "-c", str(configuration)]
        env = {**os.environ, "PYTHONOPTIMIZE": "2", "no_proxy": "127.0.0.1"}
        with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL) as box:
            try:
                _wait_for(port)
                yield port, box.pid
            finally:
                box.terminate()


def _wait_for(port: int) -> None:
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            time.sleep(0.5)
            return
    raise SystemExit(f"nothing listens on port {port}")


def _used_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


# --------------------------------------------------------------------------------------------------- interrupted


def _interrupted(service: str, calls: int) -> list[Row]:
    """Let callers talk over the parrot, one after the other and at other moments of its frames each time."""
    print(f"... {calls} callers interrupt over {service}, twice", file=sys.stderr, flush=True)
    waits: list[float] = []
    after_ms, missed = 0.0, 0
    for name in ("interruption", "question"):
        with tempfile.TemporaryDirectory(prefix="edgevoice-bench.") as folder, _box("parrot") as (port, _):
            log = Path(folder) / "log.jsonl"
            talk, begins_s = _talk(Path(folder) / "talk.wav", name)
            command = [
                sys.executable,
                "-m",
                "tests.phone",
                service,
                "--url",
                f"ws://127.0.0.1:{port}/{service}/{TOKEN}",
            ]
            options = {
                "--caller-wav": talk,
                "--log": log,
                "--calls": calls,
                "--stagger-ms": 237,
                "--for-s": begins_s + 4,
            }
            parts = [str(part) for option in options.items() for part in option]
            subprocess.run([*command, *parts, "--no-record"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            for events in _by_call(log).values():
                wait, late_ms = _obeyed(service, events, begins_s)
                after_ms += late_ms
                if wait is None:
                    missed += 1
                else:
                    waits.append(wait)
    rows = [distribution("voice -> clear on the wire", service, waits, CLEAR)] if waits else []
    return [
        *rows,
        single("interruptions that were missed", service, missed, "", 0.0),
        single("sound sent after the clear", service, after_ms, "ms", 0.0),
    ]


def _talk(path: Path, name: str) -> tuple[Path, float]:
    """Write what a caller says: a story, and something over the answer; return when that is first to be heard."""
    story, voice = _voice("story"), _voice(name)
    first = onset(voice, RATE)
    assert first is not None
    pause = np.zeros(round(REPLY_S * RATE), np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.concatenate([story, pause, voice]).tobytes())
    return path, (len(story) + len(pause) + first) / RATE


def _voice(name: str) -> np.ndarray[Any, np.dtype[np.int16]]:
    with wave.open(str(VOICES / f"{name}.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)


def _by_call(log: Path) -> dict[int, list[dict[str, Any]]]:
    calls: dict[int, list[dict[str, Any]]] = {}
    for row in log.read_text().splitlines():
        event = json.loads(row)
        calls.setdefault(event["call"], []).append(event)
    return calls


def _obeyed(service: str, events: Sequence[Mapping[str, Any]], begins_s: float) -> tuple[float | None, float]:
    """Return how long after the voice the line was cleared (ms; None: never), and the sound (ms) that still came."""
    begun = next(event["at"] for event in events if event["type"] == "says") + begins_s
    cleared = [event["at"] for event in events if event["type"] == CLEARS[service] and event["at"] > begun - 1.0]
    if not cleared:
        return None, 0.0
    sounds = (event for event in events if event["type"] == SOUNDS[service] and event["from"] == "server")
    late = sum(event["ms"] for event in sounds if cleared[0] < event["at"] < cleared[0] + AFTER_S)
    return (cleared[0] - begun) * 1000, late


if __name__ == "__main__":
    main()
