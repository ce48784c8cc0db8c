"""The machine under the box: power that goes in mid-write, a clock that jumps, a full disk, no memory left."""

from __future__ import annotations

import os
import resource
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.box import ROOT, RunningBox, voice
from tests.faults.conftest import Told
from tests.faults.seen import Watch
from tests.lab.labcard.labcard import World

RATE = 48_000
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


def test_killed_200_times_while_writing(tmp_path: Path, tell: Told) -> None:
    written, files = map(int, run(KILLED_WHILE_WRITING, "200", STATE_DIRECTORY=str(tmp_path)).split())
    tell("different counts found", written)
    assert written > 10, "it was killed while it wrote"
    tell("files left", files)
    assert files <= 40, "what a kill leaves half written is swept up"


@pytest.mark.faults
def test_killed_at_random_moments_it_comes_back(tmp_path: Path, tell: Told) -> None:
    """As systemd would: killed in whatever it does, started again, the same configuration and state."""
    slowest = 0.0
    with World(rate=RATE, seconds=300) as world:
        for number in range(20):
            with RunningBox(world, env={"STATE_DIRECTORY": str(tmp_path)}) as box:
                box.wait_for_state("idle")
                slowest = max(slowest, time.monotonic() - box.started_at)
                if number % 2:
                    box.tap()
                    box.say(QUESTION)
                box.pause(0.17 * number)
                box.process.kill()
                box.process.wait()
    tell("slowest start, s", round(slowest, 1))
    assert slowest < 10


@pytest.mark.faults
def test_clock_stepped_by_a_year(tmp_path: Path, tell: Told) -> None:
    source, library, step = Path(__file__).parent / "clock.c", tmp_path / "clock.so", tmp_path / "step"
    subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    step.write_bytes(bytes(8))
    env = {"LD_PRELOAD": str(library), "CLOCK_STEP": str(step)}

    def set_clock(years: int) -> None:
        with step.open("r+b") as file:
            file.write(struct.pack("=q", years * 365 * 86_400))

    with World(rate=RATE) as world, RunningBox(world, env=env) as box, Watch(box):
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
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_disk_full(tmp_path: Path, tell: Told) -> None:
    """What was kept stays, whole; and the box does not need to write to be of use."""
    folder = tmp_path / "state"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", folder], check=True)
    try:
        told = run(DISK_FULL, STATE_DIRECTORY=str(folder))
        assert told.startswith("No space left on device"), told
        with World(rate=RATE) as world, RunningBox(world, env={"STATE_DIRECTORY": str(folder)}) as box, Watch(box):
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
def test_memory_limit_reached(tell: Told) -> None:
    """It ends, or goes on, or starves the watchdog, by which systemd ends it: it does not stay, half dead and fed."""
    with World(rate=RATE) as world, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        address = f"{world.dir}/notify"
        notified.bind(address)
        with RunningBox(world, env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}) as box:
            box.call()
            mapped = (
                int((Path("/proc") / str(box.process.pid) / "statm").read_text().split()[0]) * resource.getpagesize()
            )
            resource.prlimit(box.process.pid, resource.RLIMIT_AS, (mapped, mapped))
            for _ in range(20):
                if box.process.poll() is None:
                    box.say(QUESTION)
                    box.pause(0.5)
            while select.select([notified], [], [], 0)[0]:
                notified.recv(4096)
            box.pause(4.0)
            fed = bool(select.select([notified], [], [], 0)[0]) and b"WATCHDOG" in notified.recv(4096)
            ended = box.process.poll() is not None
            tell("the process", "ended" if ended else "goes on" if fed else "starves the watchdog")
            if fed and not ended:
                box.wait_for_turn("listening", within_s=20)
            elif not ended:
                box.process.kill()  # as systemd does
        with RunningBox(world) as box:
            box.call()
