"""An SD card lives as long as nothing writes to it: a box that runs and talks writes nothing, and needs not to.

`write_bytes` of /proc/PID/io is what a process caused to be written to a disk, counted when a page of a file becomes
dirty; files in memory (/run, /dev/shm) do not count. Source: proc(5). Its children, those that have ended too, are
counted with it: `cancelled_write_bytes` would be what was truncated before it got there, and is not taken off.

What the box says to the journal is counted by lines and bytes: journald writes it, or keeps it in memory. What gets to
the disk then, by sectors, is counted in the lab (`tests/lab/whole_box.py`), with either journal.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.box import RunningBox, voice
from tests.faults.conftest import Told
from tests.faults.seen import seen
from tests.lab.labcard.labcard import World

RATE = 48_000
STORY, INTERRUPTION = voice("story", RATE), voice("interruption", RATE)
HOURS = float(os.environ.get("EDGEVOICE_WATCH_HOURS", "1"))
LINES = 6  # of a call in the journal: pressed, connecting, in call; who ended it, its figures, idle again

WRITER = """
import sys
with open(sys.argv[1], "wb") as file:
    file.write(bytes(8192))
print("written", flush=True)
input()
"""


def written(pid: int) -> int:
    """Return the bytes that a process and its children have caused to be written to disks."""
    families = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for family in families for child in family.read_text().split()]
    told = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(told["write_bytes"]) + sum(written(child) for child in children)


def converse(box: RunningBox, seconds: float) -> int:
    """Call, talk, interrupt and hang up, again and again; return how many calls there were."""
    until, calls = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        box.call()
        calls += 1
        said_at = box.say(STORY)
        box.wait_for_sound(said_at + len(STORY), within_s=15)
        box.say(INTERRUPTION)
        box.pause(2.0)
        box.ask(do="hangup")
        box.wait_for_state("idle")
    return calls


def test_a_process_that_writes_to_a_disk_is_seen(tmp_path: Path) -> None:
    """Else the tests below would see nothing either."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "written\n"
        counted = written(writer.pid)
        writer.communicate("\n")
    assert counted >= 8192, "this machine does not count what is written"


def test_nothing_is_written_in_a_call(tell: Told) -> None:
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.wait_until_awake()
        before = written(box.process.pid)
        told = box.journal
        calls = converse(box, 1.0)
        assert calls
        assert written(box.process.pid) - before == 0
        box.pause(0.5)  # the journal is read by another thread
        assert len(box.journal.removeprefix(told).splitlines()) == LINES * calls
        tell("bytes", 0)


@pytest.mark.faults
def test_nothing_is_written_in_hours_of_calls(tell: Told) -> None:
    done = 0.0
    calls = total = 0
    told = ""
    while done < HOURS * 3600:  # the world's timeline is memory: a new one each ten minutes
        stretch = min(600.0, HOURS * 3600 - done)
        with World(rate=RATE, seconds=stretch + 120) as world, RunningBox(world) as box:
            box.wait_until_awake()
            before, start = written(box.process.pid), box.journal
            calls += converse(box, stretch)
            total += written(box.process.pid) - before
            box.pause(0.5)
            told += box.journal.removeprefix(start)
        done += stretch
    tell("hours", round(done / 3600, 2))
    tell("calls", calls)
    tell("bytes", total)
    tell("lines in the journal", told.count("\n"))
    tell("bytes of them", len(told))
    assert total == 0
    assert told.count("\n") == LINES * calls, f"a call has {LINES} lines, and nothing else has any:\n{told}"


@pytest.mark.faults
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_read_only_root(tell: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but memory is mounted read-only; the box starts, talks, and says nothing of it."""
    monkeypatch.setenv("TMPDIR", "/dev/shm")
    monkeypatch.setattr("tempfile.tempdir", "/dev/shm")
    monkeypatch.setattr(sys, "executable", str(_read_only_python()))
    try:
        with World(rate=RATE) as world, RunningBox(world) as box, seen(tell, box):
            calls = converse(box, 10.0)
            mounts = (Path("/proc") / str(box.process.pid) / "mounts").read_text().splitlines()
            root = [line.split()[3].split(",") for line in mounts if line.split()[1] == "/"][-1]
            tell("calls", calls)
            assert "ro" in root
            assert "read-only" not in box.journal.lower()
    finally:
        Path(sys.executable).unlink()


def _read_only_python() -> Path:
    """Make a Python whose world is read-only but for memory."""
    script = Path("/dev/shm") / f"edgevoice-python-{os.getpid()}"
    script.write_text(
        "#!/bin/sh\n"
        f'exec unshare --mount sh -c \'mount --make-rprivate / && mount -o remount,bind,ro / && exec "$0" "$@"\' '
        f'{sys.executable} "$@"\n'
    )
    script.chmod(0o755)
    return script
