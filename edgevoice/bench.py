"""`edgevoice bench`: what is promised of edgevoice, measured on this very box.

    simulated room    the demo's conversation, in virtual time      coughs, what was heard
    the same          dozens of interruptions, voice and button     voice to silence, button to silence
    no card           the audio loop on a card that takes no time   what a period's work costs
    the card          dropped while it plays                        decision to silence
    `edgevoice run`   a process of its own, on the card if there    start to ready, memory, xruns
                      is one, else in the simulated room

What these come to, and whether it is what was promised, is computed by a process that cannot import this program:
`edgevoice_promises`. Where something cannot be measured the reason is told instead.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgevoice import demo, drill
from edgevoice.app import SWITCH_S
from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.echo import load as load_canceller
from edgevoice.audio.interruption import TalkOver
from edgevoice.drivers import control
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.drivers.profile_files import card_ids
from edgevoice.drivers.still_card import StillCard
from edgevoice.errors import DeviceError
from edgevoice.events import Answer, Command, Listen, Play, Uplink
from edgevoice.files import make_folder
from edgevoice.profiles import as_found
from edgevoice.schema import Config

FAR_RATE = 24_000
PERIOD_MS = 10.0  # of `StillCard`
WARM_UP, PERIODS = 200, 1000  # 2 s, by which the canceller has settled, and 10 s
DROPS, SOUNDS_S = 20, 0.15
FAINT = 30  # of int16: what a dropped loudspeaker plays is hardly heard
WATCHED_S = 10.0
READY_WITHIN_S = 60.0  # an SD card may take so long to load Python
STOP_S = 5.0

Tell = Callable[[str], None]
Found = tuple[dict[str, Any], list[str]]  # raw measurements, and what could not be measured and why


def run(config: Config, open_card: Callable[[], OpenedCard], *, out: Path | None, as_json: bool) -> int:
    """Measure, print the table; return 0 when all that is promised and was measured is met, else 1.

    Raises DeviceError when `out` cannot be written to, before anything is measured.
    """
    if out:
        make_folder(out)
    tell: Tell = (lambda text: None) if as_json else (lambda text: print(f"... {text}", file=sys.stderr, flush=True))
    raw: dict[str, Any] = {"period_ms": PERIOD_MS}
    missing: list[str] = []
    parts: tuple[Callable[[Path], Found], ...] = (
        lambda folder: _interruptions(config, folder, tell),
        lambda folder: _room(out or folder / "demo", tell),
        lambda folder: _work(config, tell),
        lambda folder: _drops(config, open_card, tell),
        lambda folder: _process(config, open_card, tell),
    )
    with tempfile.TemporaryDirectory(prefix="edgevoice-bench-") as folder:
        for part in parts:
            found, why = part(Path(folder))
            raw |= found
            missing += why
        rows = judged(raw)
    if as_json:
        print(json.dumps({"rows": rows, "not_measured": missing}))
    else:
        print(table(rows, missing))
        if out:
            print(f"The conversation in the simulated room, to hear and to look at: {out}/report.html")
    return 0 if all(row["met"] for row in rows) else 1


def judged(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Have the figures computed by a process that cannot import this program."""
    command = [sys.executable, "-m", "edgevoice_promises"]
    done = subprocess.run(command, input=json.dumps(raw), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the figures could not be computed: {done.stderr.strip()}")
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def table(rows: list[dict[str, Any]], missing: list[str]) -> str:
    """Write the rows for a terminal, and what could not be measured below."""
    width = max((len(row["figure"]) for row in rows), default=0)
    verdicts = {True: "met", False: "NOT met"}
    lines = [
        f"{row['figure']:{width}} {row['value']:9.4g} {row['unit']:3} {row['promised']:>8}  {verdicts[row['met']]}"
        for row in rows
    ]
    return "\n".join([*lines, *(f"not measured: {why}" for why in missing)])


# --------------------------------------------------------------------------------------------------- measurements


def _room(out: Path, tell: Tell) -> Found:
    tell("a conversation in a simulated room")
    return {"room": demo.run(out)}, []


def _interruptions(config: Config, folder: Path, tell: Tell) -> Found:
    """Record conversations that are interrupted, without and with an echo, and by the button."""
    found: dict[str, Any] = {}
    missing: list[str] = []
    for key, echo in {"talked_over": False, "talked_over_echo": True}.items():
        canceller, words = load_canceller(config.echo.canceller, noise_suppression=config.echo.noise_suppression)
        if canceller.name == "none":  # it does not listen while it speaks
            missing = [f"voice to silence: {words}"]
            continue
        tell(f"{drill.INTERRUPTIONS} interruptions by voice, {'with' if echo else 'without'} an echo")
        drill.talk_over(canceller, _made(folder / key), echo=echo)
        found[key] = str(folder / key)
    tell(f"{drill.INTERRUPTIONS} by the button")
    canceller, _ = load_canceller(config.echo.canceller, noise_suppression=config.echo.noise_suppression)
    drill.press(canceller, _made(folder / "pressed"))
    return found | {"pressed": str(folder / "pressed")}, missing


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _work(config: Config, tell: Tell) -> Found:
    """Time the audio loop in a call: a response sounds, and the microphone hears a quiet room."""
    tell(f"{PERIODS} periods of the audio loop")
    canceller, words = load_canceller(config.echo.canceller, noise_suppression=config.echo.noise_suppression)
    card = StillCard(config.card.rate)
    duplex = Duplex(config.card.rate, TalkOver(), canceller, half_duplex=False, pre_roll_ms=300)
    commands: deque[Command] = deque([Answer(FAR_RATE), Listen(Uplink.OPEN)])
    sound = np.random.default_rng(2).normal(0, 3000, FAR_RATE // 10).astype("<i2").tobytes()
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    took: list[float] = []
    busy = 0.0
    try:
        for period in range(WARM_UP + PERIODS):
            if period % 10 == 0:
                commands.append(Play(sound, "response"))
            if period == WARM_UP:
                busy = time.thread_time()
            began = time.perf_counter()
            cycle(card, duplex, commands)
            took.append((time.perf_counter() - began) * 1000.0)
        busy = time.thread_time() - busy
    finally:
        sys.setswitchinterval(before)
    why = [f"the cost of an echo canceller: {words}"] if canceller.name == "none" else []
    return {"periods_ms": took[WARM_UP:], "busy_s": busy}, why


def _drops(config: Config, open_card: Callable[[], OpenedCard], tell: Tell) -> Found:
    """Drop the loudspeaker while it plays; time until the card says that nothing is left."""
    if config.card.simulate:
        return {}, ["decision to silence at the card: the configuration has the simulated room for a card"]
    try:
        card = open_card()
    except DeviceError as error:
        return {}, [f"decision to silence at the card: {error}"]
    tell(f"{DROPS} times the loudspeaker is dropped")
    chance = np.random.default_rng(3)
    drops: list[float] = []
    try:
        for _ in range(DROPS):
            until = time.monotonic() + SOUNDS_S
            while time.monotonic() < until:
                card.read()
                if (room := card.ahead - card.queued()) > 0:
                    card.write(chance.integers(-FAINT, FAINT, room).astype(np.int16))
            began = time.perf_counter()
            card.drop()
            while card.queued():
                card.read()
            drops.append((time.perf_counter() - began) * 1000.0)
    except DeviceError as error:
        return {}, [f"decision to silence at the card: {error}"]
    finally:
        card.close()
    return {"drops_ms": drops, "card_period_ms": float(config.card.period_ms)}, []


def _process(config: Config, open_card: Callable[[], OpenedCard], tell: Tell) -> Found:
    """Start the appliance as a process of its own, call the parrot, and look at it."""
    why = []
    simulate = config.card.simulate
    if not simulate:
        try:
            open_card().close()
        except DeviceError:  # `_drops` has said why
            simulate = True
            why.append("xruns: there is no card; start and memory are those in the simulated room")
    with tempfile.TemporaryDirectory(prefix="edgevoice-bench-") as folder:
        file = Path(folder) / "edgevoice.toml"
        file.write_text(_configuration(config, folder, simulate))
        tell(f"the appliance starts, and is in a call for {WATCHED_S:g} s")
        try:
            found = _watched(file, folder)
        except DeviceError as error:
            return {}, [*why, f"start, memory and xruns: {error}"]
    if simulate:
        del found["xruns"]
    return found | {"simulated": simulate}, why


def _configuration(config: Config, folder: str, simulate: bool) -> str:
    found = as_found(config, card_ids()).card
    card = {name: getattr(found, name) for name in found.__struct_fields__} | {"simulate": simulate}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in card.items()]
    socket_path = json.dumps(f"{folder}/control.sock")
    rest = f'[panel]\npins = "none"\n[status]\nsocket = {socket_path}\n[echo]\ncanceller = "{config.echo.canceller}"\n'
    return "\n".join(["[card]", *lines, rest])


def _watched(file: Path, folder: str) -> dict[str, Any]:
    """Return what is seen of the process. Raises DeviceError."""
    environment = os.environ | {"PYTHONOPTIMIZE": "2", "STATE_DIRECTORY": f"{folder}/state"}
    environment.pop("WATCHDOG_USEC", None)
    if "PYTHONPYCACHEPREFIX" not in environment:  # an installed box has its bytecode from the installation
        environment |= {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode", "PYTHONDONTWRITEBYTECODE": ""}
        with _appliance(file, folder, environment):
            pass
    with _appliance(file, folder, environment) as (process, ready_s):
        path = f"{folder}/control.sock"
        control.ask(path, {"do": "call", "target": "parrot"})
        before = _xruns(path)
        time.sleep(WATCHED_S)
        return {
            "ready_s": ready_s,
            "rss_bytes": _rss_bytes(process.pid),
            "xruns": _xruns(path) - before,
            "watched_s": WATCHED_S,
        }


@contextmanager
def _appliance(
    file: Path, folder: str, environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Run it; gives the process and in how many seconds it was ready. Raises DeviceError when it is not."""
    told = Path(folder) / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(told))
        manager.settimeout(READY_WITHIN_S)
        command = [sys.executable, "-m", "edgevoice", "run", "-c", str(file)]
        environment = {**environment, "NOTIFY_SOCKET": str(told)}
        began = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while b"READY=1" not in manager.recv(4096):
                pass
            yield process, time.monotonic() - began
        except TimeoutError as error:
            raise DeviceError(f"the appliance was not ready within {READY_WITHIN_S:g} s") from error
        finally:
            told.unlink()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _xruns(path: str) -> int:
    counters = control.ask(path, {"do": "status"}).get("counters") or {}
    return sum(value for name, value in counters.items() if name.endswith("_xruns"))


def _rss_bytes(pid: int) -> int:
    """Return VmRSS, less what is shared memory of a virtual card. Source: proc(5), status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines) if "kB" in value}
    return (kib["VmRSS"] - kib.get("RssShmem", 0)) * 1024
