"""SIP in figures: how late a voice is, how soon the agent is silent, what calls cost; beside the library alone.

python -m benchmarks.sip [--quick] [--first] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import sip_calls
from benchmarks.sip_calls import at_home, go_first
from benchmarks.sip_figures import burst_delays, voice_delay
from benchmarks.table import Row, distribution, single, text
from edgevoice.lines.sip_account import Account, worker_account, worker_start
from tests.e2e.box import RunningBox, voice, worker_of
from tests.e2e.sip import Registrar, bare, password_of
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

RESULTS = Path("bench-results")
JITTER_MS = 20
RATE = 48_000
ADDED_MS, ONE_WAY_MS, BARGE_IN_MS, RINGS_MS = 80.0, 140.0, 250.0, 300.0
AGAIN_S, CORE_PERCENT = 2.0, 3.0
SETTLED_S = 2.0  # the tone that says that somebody is there, and a new canceller
BARESIP = """
poll_method epoll
sip_listen 127.0.0.1:0
net_interface 127.0.0.1
call_max_calls 4
audio_player aubridge,loop
audio_source aubridge,loop
audio_buffer 20-160
jitter_buffer_type fixed
jitter_buffer_delay 1-10
rtp_ports 23000-23100
module_path {modules}
module stdio.so
module g711.so
module aubridge.so
module_app account.so
module_app menu.so
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """How often."""

    bursts: int
    utterances: int
    interruptions: int
    presses: int
    kills: int
    watch_s: float


FULL = Counts(bursts=50, utterances=12, interruptions=20, presses=10, kills=3, watch_s=20.0)
QUICK = Counts(bursts=8, utterances=3, interruptions=3, presses=3, kills=2, watch_s=5.0)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.sip", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--json", type=Path, default=RESULTS / "sip.json", metavar="FILE", help="%(default)s")
    parser.add_argument("--first", action="store_true", help="delays: before whatever else this machine does; as root")
    options = parser.parse_args()
    counts = QUICK if options.quick else FULL
    with Registrar(users=("door", "reception", "third")) as registrar:
        rows = [*_delays(registrar, counts, first=options.first), *_calls(registrar, counts)]
    print(text(rows))
    print(f"\nload afterwards: {' '.join(f'{load:.2f}' for load in os.getloadavg())}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def _tell(what: str) -> None:
    print(f"... {what} (load {os.getloadavg()[0]:.2f})", file=sys.stderr, flush=True)


# ----------------------------------------------------------------------------------------------------- delays


def _delays(registrar: Registrar, counts: Counts, *, first: bool) -> Iterator[Row]:
    _tell("the library alone")
    alone = _library(registrar, counts.bursts, "answer", first=first)
    yield distribution("one way, the library alone, write -> read", f"jitter {JITTER_MS}", alone)
    median = float(np.median(alone))
    for buffer_ms in (40, 20):
        _tell(f"from card to card, buffers of {buffer_ms} ms")
        ours, xruns = _card_to_card(registrar, counts.utterances, buffer_ms, first=first)
        card = f"card buffer {buffer_ms} ms"
        yield distribution("one way, card -> card", card, ours, {"p95": ONE_WAY_MS}, xruns=xruns)
        added = [delay - median for delay in ours]
        yield distribution("added to the library alone", card, added, {"p50": ADDED_MS}, xruns=xruns)
    _tell("there and back: the library alone, and Debian's baresip")
    yield distribution(
        "there and back, the library alone", "echo", _library(registrar, counts.bursts, "echo", first=first)
    )
    yield distribution("there and back, Debian's baresip", "echo", _debian(registrar, counts.bursts))


def _first(registrar: Registrar, user: str) -> dict[str, Any]:
    """Return a worker's first message, so that all have the same settings."""
    account = Account(registrar.address, user)
    known = worker_account(account, password_of(user), codecs=("PCMA",), srtp="off")
    return dict(worker_start([account], [known], calls=4, jitter_ms=JITTER_MS, ca_file=""))


def _library(registrar: Registrar, bursts: int, role: str, *, first: bool) -> list[float]:
    """Return the delays between two ends of the library, or there and back."""
    known = _first(registrar, "reception")
    with tempfile.TemporaryDirectory() as folder, bare(role, f"{folder}/answer.npz", known) as other:
        if first:
            go_first(other.pid)
        _call(registrar, bursts, f"{folder}/call.npz", first=first)
        said, heard = _read(f"{folder}/call.npz")
        if role == "answer":
            _wait_for(Path(f"{folder}/answer.npz"))
            heard = _read(f"{folder}/answer.npz")[1]
        return burst_delays(said, heard)


def _call(registrar: Registrar, bursts: int, file: str, *, first: bool = False) -> None:
    known = _first(registrar, "door") | {"uri": f"sip:reception@{registrar.address}", "bursts": bursts}
    with bare("call", file, known) as calling:
        if first:
            go_first(calling.pid)
        calling.wait(bursts + 20)


def _read(file: str) -> tuple[list[float], list[tuple[float, Samples]]]:
    with np.load(file) as kept:
        pieces = np.split(kept["pcm"], np.cumsum(kept["sizes"])[:-1])
        return kept["said"].tolist(), list(zip(kept["at"].tolist(), pieces, strict=True))


def _wait_for(file: Path) -> None:
    give_up = time.monotonic() + 5
    while not file.exists():
        assert time.monotonic() < give_up, f"{file} does not come"
        time.sleep(0.05)
    time.sleep(0.2)


def _debian(registrar: Registrar, bursts: int) -> list[float]:
    """Return the delays to Debian's baresip, which sends back what it hears, and back."""
    modules = next(Path("/usr/lib").glob("**/baresip/modules"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config").write_text(BARESIP.format(modules=modules))
        login = f'auth_user=reception;auth_pass="{password_of("reception")}";answermode=auto;audio_codecs=PCMA/8000/1'
        (Path(folder) / "accounts").write_text(f"<sip:reception@{registrar.address}>;{login}\n")
        log: IO[str] = (Path(folder) / "log").open("w")
        baresip = subprocess.Popen(["baresip", "-f", folder], stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            give_up = time.monotonic() + 10
            while "200 OK" not in (Path(folder) / "log").read_text():
                assert time.monotonic() < give_up, (Path(folder) / "log").read_text()
                time.sleep(0.05)
            _call(registrar, bursts, f"{folder}/call.npz")
            return burst_delays(*_read(f"{folder}/call.npz"))
        finally:
            baresip.kill()
            baresip.wait()
            log.close()


def _card_to_card(registrar: Registrar, utterances: int, buffer_ms: int, *, first: bool) -> tuple[list[float], str]:
    """Return by how much later a voice at one box leaves the loudspeaker of another, and the xruns of both."""
    said = voice("question", RATE)
    with ExitStack() as stack:
        here, there = (stack.enter_context(World(rate=RATE, seconds=60 + 4 * utterances)) for _ in range(2))
        door = stack.enter_context(_box(registrar, here, "door", buffer_ms, "sip:reception"))
        other = stack.enter_context(_box(registrar, there, "reception", buffer_ms, "parrot"))
        for box in (door, other):
            box.wait_until(lambda status: status["lines"]["sip"]["accounts"][0]["registered_s"] is not None)
        door.pause(0.3)
        door.tap()
        other.wait_for_state("ringing")
        other.tap()
        door.wait_for_turn("listening")
        other.wait_for_turn("listening")
        if first:
            for pid in (one for box in (door, other) for one in (box.process.pid, worker_of(box))):
                go_first(pid)
        door.pause(SETTLED_S)
        delays = []
        for _ in range(utterances):
            begin = here.time(door.say(said))
            door.pause(0.2 + len(said) / RATE + 1.0)
            heard = there.spk[there.index(begin) :][: len(said) + RATE].copy()
            delays.append(voice_delay(said, heard, RATE))
        counters = [box.status()["counters"] for box in (door, other)]
        return delays, " ".join(f"{one['playback_xruns']}/{one['capture_xruns']}" for one in counters)


def _box(registrar: Registrar, world: World, user: str, buffer_ms: int, button: str) -> RunningBox:
    return at_home(registrar, world, user, button=button, buffer_ms=buffer_ms, jitter_ms=JITTER_MS)


# ------------------------------------------------------------------------------------------------------ calls


def _calls(registrar: Registrar, counts: Counts) -> Iterator[Row]:
    _tell("button -> ringing")
    rang = asyncio.run(sip_calls.rings(registrar, counts.presses))
    yield distribution("button -> ringing at the other side", "card", rang, {"max": RINGS_MS})
    _tell("the worker is killed in a call")
    again = asyncio.run(sip_calls.kills(registrar, counts.kills))
    yield distribution("worker killed -> registered again", "in a call", again, {"max": AGAIN_S * 1000})
    _tell(f"{counts.interruptions} interruptions of the parrot")
    silent = asyncio.run(sip_calls.interruptions(registrar, counts.interruptions))
    yield distribution("voice -> nothing more of the reply comes", "parrot", silent, {"p95": BARGE_IN_MS})
    _tell("ten calls at once")
    cost = asyncio.run(sip_calls.ten(registrar, counts.watch_s))
    yield single("processor, each of 10 calls", "parrot", cost.each_percent, "% of a core", CORE_PERCENT)
    yield single("of that the worker", "parrot", cost.worker_percent, "% of a core")
    yield single("memory of the box in 10 calls", "parrot", cost.box_mb, "MB")
    yield single("memory of the worker in 10 calls", "parrot", cost.worker_mb, "MB")


if __name__ == "__main__":
    main()
