"""What the box costs while it waits and while it is talked with: processor, memory, and the time to be ready."""

from __future__ import annotations

import os
import socket
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import speech
from benchmarks.interruptions import BUFFER_MS, RATE, ROOM_DBFS
from benchmarks.targets import Cost
from tests.e2e.box import TRUSTING, RunningBox
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

AS_A_SERVICE = {"PYTHONOPTIMIZE": "2"}  # as systemd/edgevoice.service starts it: without docstrings
FIFO = 1  # SCHED_FIFO in /proc
PAUSE_S = 1.0  # of the person, after each reply
SETTLE_S = 1.0  # after the start: imports and the first call are no running cost
READY_S = 20.0


def measure(seconds: float) -> Cost:
    """Watch a box wait, and then talk with the parrot, for so long each."""
    with (
        World(rate=RATE, seconds=60 + 2 * seconds) as world,
        RunningBox(world, TRUSTING, buffer_ms=BUFFER_MS, env=AS_A_SERVICE) as box,
    ):
        world.air[:] = speech.room(len(world.air), RATE, ROOM_DBFS)
        box.wait_for_state("idle")
        box.pause(SETTLE_S)
        idle, _ = _watch(box, seconds)
        box.call()
        _script(world, seconds)
        in_call, audio = _watch(box, seconds)
        memory = _memory(box.process.pid)
        return Cost(idle, in_call, audio, *memory)


def ready_s() -> float:
    """Return the seconds from the start of `edgevoice run` to READY=1."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{folder}/notify")
        manager.settimeout(READY_S)
        with (
            World(rate=RATE, seconds=60) as world,
            RunningBox(world, buffer_ms=BUFFER_MS, env={"NOTIFY_SOCKET": f"{folder}/notify"}) as box,
        ):
            while b"READY=1" not in manager.recv(4096):
                pass
            return time.monotonic() - box.started_at


def median_ready_s(count: int) -> float:
    return statistics.median(ready_s() for _ in range(count))


def may_have_real_time() -> bool:
    """Tell whether the audio thread gets what it asks for on this machine, when this user starts it."""
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)).result()
    except OSError:
        return False
    return True


def _script(world: World, seconds: float) -> None:
    """Let the person say everything in turn, with room for the parrot's answers, for so long."""
    at = time.monotonic() + 0.1
    end = at + seconds
    for utterance in cycle(speech.recordings(RATE)[::-1]):  # the longest last
        if at > end:
            break
        world.inject(utterance, at)
        at += 2 * len(utterance) / RATE + PAUSE_S


def _watch(box: RunningBox, seconds: float) -> tuple[float, float]:
    """Return per cent of a core: the process's, and its audio thread's."""
    begun, before = time.monotonic(), _ticks(box.process.pid)
    box.pause(seconds)
    elapsed, after = time.monotonic() - begun, _ticks(box.process.pid)
    used = {thread: after[thread] - before.get(thread, 0) for thread in after}
    percent = 100 / os.sysconf("SC_CLK_TCK") / elapsed
    audio = _real_time(box.process.pid) or {max(used, key=lambda thread: used[thread])}
    return sum(used.values()) * percent, sum(used.get(thread, 0) for thread in audio) * percent


def _ticks(pid: int) -> dict[str, int]:
    """Return utime + stime of each thread. Source: proc(5)."""
    return {thread: int(fields[11]) + int(fields[12]) for thread, fields in _threads(pid).items()}


def _real_time(pid: int) -> set[str]:
    """Return the threads with real-time scheduling: the audio thread, where the system allows it."""
    return {thread for thread, fields in _threads(pid).items() if int(fields[38]) == FIFO}


def _threads(pid: int) -> dict[str, list[str]]:
    """Return the fields of each thread's `stat`, from `state` on."""
    stats = {path.parent.name: path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")}
    return {thread: stat.rpartition(")")[2].split() for thread, stat in stats.items()}


def _memory(pid: int) -> Sequence[float]:
    """Return VmRSS and VmHWM in MB, both without what is mapped of the virtual card's world. Source: proc(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines) if "kB" in value}
    return (kib["VmRSS"] - kib["RssShmem"]) / 1024, (kib["VmHWM"] - kib["RssShmem"]) / 1024
