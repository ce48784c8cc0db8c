"""The machine under the box: power that goes in mid-write, a clock that jumps, a full disk, no memory left."""

from __future__ import annotations

import os
import random
import resource
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from edgevoice.audio.calibration import Calibration
from edgevoice.redial import RETRY_S
from tests.drivers.certificates import make
from tests.e2e.agent_service import OPENAI, AgentService
from tests.e2e.box import ROOT, TRUSTING, RunningBox, voice
from tests.faults.conftest import Told
from tests.faults.seen import Watch, seen
from tests.lab.labcard.labcard import World

RATE = 48_000
LIFELESS_S = 6.0  # three times the WatchdogSec= of the test
QUESTION = voice("question", RATE)

# Forks a writer 200 times, kills it at a random moment, and reads what there is, as a box does that starts again.
KILLED_WHILE_WRITING = """
import os, random, signal, sys, time
from edgevoice.drivers import state
from edgevoice.recovery import Kept

chance = random.Random(7)
state.keep_recovery(Kept("boot", (), 0))
seen = set()
for number in range(int(sys.argv[1])):
    writer = os.fork()
    if writer == 0:
        count = state.load_recovery().reboots
        while True:
            count += 1
            state.keep_recovery(Kept("boot", tuple(float(count) for _ in range(count % 500)), count))
    time.sleep(chance.uniform(0.0, 0.02))
    before = state.load_recovery()
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    after = state.load_recovery()
    assert after.boot == "boot" and after.reboots >= before.reboots, (number, before, after)
    assert after.restarts == (float(after.reboots),) * (after.reboots % 500), number
    seen.add(after.reboots)
print(len(seen), len(os.listdir(os.environ["STATE_DIRECTORY"])))
"""


def run(program: str, *arguments: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def killed_200_times(script: str, folder: Path, tell: Told) -> None:
    """Kill who writes with `script` so often; what is found each time is asserted by the script itself."""
    written, files = map(int, run(script, "200", STATE_DIRECTORY=str(folder)).split())
    tell("different ones found", written)
    assert written > 10, "it was killed while it wrote"
    tell("files left", files)
    assert files <= 40, "what a kill leaves half written is swept up"


def test_killed_200_times_while_writing(tmp_path: Path, tell: Told) -> None:
    killed_200_times(KILLED_WHILE_WRITING, tmp_path, tell)


# A calibration is written again and again, and the writer killed: what is read is one that was written whole.
KILLED_WHILE_CALIBRATING = """
import os, random, signal, sys, time
import msgspec
from edgevoice.drivers import state
from tests.faults.test_machine import calibration

chance = random.Random(7)
state.keep_calibration(calibration(0))
seen = set()
for number in range(int(sys.argv[1])):
    writer = os.fork()
    if writer == 0:
        count = round(state.load_calibration("card").distortion_percent)
        while True:
            count += 1
            state.keep_calibration(calibration(count))
    time.sleep(chance.uniform(0.0, 0.02))
    before = state.load_calibration("card")
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    after = state.load_calibration("card")
    assert before and after, number
    count = round(after.distortion_percent)
    assert after == calibration(count) and count >= before.distortion_percent, (number, before, after)
    seen.add(count)
print(len(seen), len(os.listdir(os.environ["STATE_DIRECTORY"])))
"""

# `edgevoice setup` writes one of two configurations and keys, and is killed: what is there was written whole.
KILLED_IN_SETUP = """
import contextlib, io, os, random, signal, sys, time
from pathlib import Path
from edgevoice.cli import main
from edgevoice.config import load

folder, chance, seen = Path(sys.argv[2]), random.Random(7), set()
path, key = folder / "edgevoice.toml", folder / "key"
first = '# mine\\n[agent.openai]\\napi_key_file = "key"\\n'
path.write_text(first)
(folder / "new-0").write_text("sk-" + "0" * 40)
(folder / "new-1").write_text("sk-" + "1" * 400)


def setup(number):
    with contextlib.redirect_stdout(io.StringIO()):
        choice = ["--button", str(5 + number % 2), "--key-file", str(folder / f"new-{number % 2}")]
        assert main(["setup", "-c", str(path), "--hat", "none", "--call", "openai", *choice, "--yes"]) == 0


texts, keys = {first}, {""}
for number in (0, 1):  # not killed, to know what is right, and how long it takes
    began = time.monotonic()
    setup(number)
    took_s = time.monotonic() - began
    texts.add(path.read_text())
    keys.add(key.read_text())
for number in range(int(sys.argv[1])):
    writer = os.fork()
    if writer == 0:
        while True:
            number += 1
            setup(number)
    time.sleep(took_s * chance.uniform(0.0, 2.5))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    assert path.read_text() in texts and key.read_text() in keys, number
    assert (folder / "edgevoice.toml.bak").read_text() in texts, number
    assert key.stat().st_mode & 0o777 == 0o600, "a key is never readable for others, not for a moment"
    load(path.read_text())
    seen.add((path.read_text(), key.read_text()))
print(len(seen), len(os.listdir(folder)))
"""


def calibration(count: int) -> Calibration:
    """Return one that tells by every figure which it is, and is of another length each time."""
    return Calibration(
        card="card",
        made=f"2026-11-28T12:00:00.{count % 500 * '0'}",
        rate=48_000,
        volume=None,
        delay_ms=12.5,
        echo_db=-float(count),
        distortion_percent=float(count),
        noise_dbfs=-60.0,
        peak_dbfs=-float(count),
        sweep_dbfs=-20.0,
        polarity=1,
    )


def test_killed_200_times_while_a_calibration_is_written(tmp_path: Path, tell: Told) -> None:
    killed_200_times(KILLED_WHILE_CALIBRATING, tmp_path, tell)


def test_killed_50_times_in_setup(tmp_path: Path, tell: Told) -> None:
    found, files = map(int, run(KILLED_IN_SETUP, "50", str(tmp_path)).split())
    tell("pairs of configuration and key", found)
    assert found > 1, "it was killed between and after its writings"
    tell("files left", files)
    assert files <= 40


@pytest.mark.faults
@pytest.mark.parametrize("in_call", [True, False], ids=["in a call", "idle"])
def test_killed_20_times_at_random_moments_it_comes_back(in_call: bool, tmp_path: Path, tell: Told) -> None:
    """As systemd would: killed in whatever it does, started again; what it knew it knows, and it can be talked with."""
    slowest, judged_s, chance = 0.0, 0.0, random.Random(3)
    env = {"STATE_DIRECTORY": str(tmp_path)}
    run(KEEP, STATE_DIRECTORY=str(tmp_path))
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(kept) == 2
    with World(rate=RATE, seconds=600) as world:
        for _ in range(20):
            with RunningBox(world, env=env) as box, Watch(box, least_s=0.0) as watch:
                box.wait_for_state("idle")
                slowest = max(slowest, time.monotonic() - box.started_at)
                if in_call:
                    box.call()
                    box.say(QUESTION)
                box.pause(chance.uniform(0.0, 6.0 if in_call else 2.0))
                assert box.status()["state"] == ("in call" if in_call else "idle")
                box.process.kill()
                box.process.wait()
            judged_s += watch.judged_s
            assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
        with RunningBox(world, env=env) as box, Watch(box) as watch:
            box.wait_until_awake()
            box.call()
            said_at = box.say(QUESTION)
            box.wait_for_sound(said_at + len(QUESTION), within_s=15)
    tell("slowest start, s", round(slowest, 1))
    tell("light right, s", round(judged_s + watch.judged_s))
    assert judged_s > 1
    assert slowest < 10


KEEP = """
from edgevoice.drivers import state
from edgevoice.recovery import Kept
from tests.faults.test_machine import calibration

state.keep_recovery(Kept("another boot", (1.0, 2.0), 1))
state.keep_calibration(calibration(7))
"""


@contextmanager
def clock(folder: Path) -> Iterator[tuple[dict[str, str], Callable[[int], None]]]:
    """Yield the environment of a program whose clock can be set, and what sets it, to years from now."""
    source, library, step = Path(__file__).parent / "clock.c", folder / "clock.so", folder / "step"
    subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    step.write_bytes(bytes(8))

    def set_clock(years: int) -> None:
        with step.open("r+b") as file:
            file.write(struct.pack("=q", years * 365 * 86_400))

    yield {"LD_PRELOAD": str(library), "CLOCK_STEP": str(step)}, set_clock


@pytest.mark.faults
def test_clock_stepped_by_a_year(tmp_path: Path, tell: Told) -> None:
    with (
        clock(tmp_path) as (env, set_clock),
        World(rate=RATE) as world,
        RunningBox(world, env=env) as box,
        seen(tell, box),
    ):
        box.call()
        for years in (-1, 0, 1):
            set_clock(years)
            said_at = box.say(QUESTION)
            box.wait_for_sound(said_at + len(QUESTION), within_s=15)
            box.wait_for_turn("listening", within_s=15)
        box.ask(do="hangup")
        box.wait_for_state("idle")
        box.wait_for_line(f"{time.localtime().tm_year + 1}-")  # it did see another year
        status = box.status()
        tell("uptime told, s", status["uptime_s"])
        assert status["uptime_s"] < 120


@pytest.mark.faults
@pytest.mark.parametrize(("years", "sentence"), [(-1, "is not valid yet"), (1, "has expired")])
def test_clock_a_year_off_and_a_service_over_tls(years: int, sentence: str, tmp_path: Path, tell: Told) -> None:
    """By that clock the certificate is wrong: that is said, and when the clock is right the call comes by itself."""
    certificate, key = make(tmp_path / "certificate")
    with clock(tmp_path) as (env, set_clock), ExitStack() as stack:
        tls = ("--tls", str(certificate), str(key))
        service = stack.enter_context(AgentService(OPENAI, tmp_path, voice("story", 24_000), *tls))
        world = stack.enter_context(World(rate=RATE))
        configuration = service.configuration().replace("ws://", "wss://")
        configuration = configuration.replace("[call]\n", '[call]\nat_start = "openai"\n')
        trusting = {**env, "SSL_CERT_FILE": str(certificate)}
        box = RunningBox(world, f"{TRUSTING}\n{configuration}", env=trusting)
        (box.folder / "key").write_text("sk-x")
        set_clock(years)
        stack.enter_context(box)
        stack.enter_context(seen(tell, box))
        status = box.wait_for_state("waiting to retry")
        assert (
            f"its certificate {sentence}, by the clock of this box ({time.gmtime().tm_year + years}-" in status["fault"]
        )
        assert "timedatectl" in status["fault"]
        box.pause(3)
        set_clock(0)
        right_at = time.monotonic()
        box.wait_for_turn("listening", within_s=RETRY_S[-1])
        tell("in a call after, s", round(time.monotonic() - right_at, 1))
        set_clock(years)  # in a call nobody looks at the clock again
        said_at = box.say(QUESTION)
        box.wait_for_sound(said_at + len(QUESTION), within_s=15)


@pytest.mark.faults
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_disk_full(tmp_path: Path, tell: Told) -> None:
    """What was kept stays, whole; and the box does not need to write to be of use."""
    folder = tmp_path / "state"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", folder], check=True)
    try:
        told = run(DISK_FULL, STATE_DIRECTORY=str(folder))
        assert told.startswith("No space left on device"), told
        with World(rate=RATE) as world, RunningBox(world, env={"STATE_DIRECTORY": str(folder)}) as box, seen(tell, box):
            box.call()
            said_at = box.say(QUESTION)
            box.wait_for_sound(said_at + len(QUESTION), within_s=15)
        tell("free bytes", os.statvfs(folder).f_bavail)
    finally:
        subprocess.run(["umount", folder], check=True)


DISK_FULL = """
import os
from edgevoice.drivers import state
from edgevoice.errors import DeviceError
from edgevoice.recovery import Kept

kept = Kept("boot", (1.0,), 2)
state.keep_recovery(kept)
with open(os.path.join(os.environ["STATE_DIRECTORY"], "filler"), "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(512))
    except OSError as full:
        why = full.strerror
try:
    state.keep_recovery(Kept("boot", tuple(map(float, range(2000))), 3))
    print("written")
except DeviceError as error:
    print(why, error)
assert state.load_recovery() == kept, state.load_recovery()
"""


@pytest.mark.faults
def test_without_a_byte_of_memory_more_it_ends_or_is_ended_and_a_new_process_talks(tell: Told) -> None:
    """It must not stay, half dead and fed: from LIFELESS_S on there is no sign of life, so that systemd ends it.

    RLIMIT_AS leaves it what it has mapped: the next thread, of the light's next rhythm, has no room for its stack.
    """
    with World(rate=RATE) as world, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        address = f"{world.dir}/notify"
        notified.bind(address)
        with RunningBox(world, env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}) as box:
            with seen(tell, box):
                box.call()
                box.pause(1)
            mapped = int((Path("/proc") / str(box.process.pid) / "statm").read_text().split()[0])
            mapped *= resource.getpagesize()
            while select.select([notified], [], [], 0)[0]:
                notified.recv(4096)
            resource.prlimit(box.process.pid, resource.RLIMIT_AS, (mapped, mapped))
            limited_at = fed_at = time.monotonic()
            while time.monotonic() < limited_at + LIFELESS_S + 6.0 and box.process.poll() is None:
                box.say(QUESTION)
                box.pause(0.5)
                while select.select([notified], [], [], 0)[0]:
                    if b"WATCHDOG" in notified.recv(4096):
                        fed_at = time.monotonic()
            ended = box.process.poll()
            tell("outcome", "starves the watchdog" if ended is None else f"ended with {ended}")
            tell("last sign of life after, s", round(fed_at - limited_at, 1))
            assert "MemoryError" in box.journal or "can't start new thread" in box.journal, "memory was short"
            assert ended != 0
            assert fed_at - limited_at < LIFELESS_S
            if ended is None:
                box.process.kill()  # as systemd does
        with RunningBox(world) as box, seen(tell, box):
            box.call()
            said_at = box.say(QUESTION)
            box.wait_for_sound(said_at + len(QUESTION), within_s=15)
