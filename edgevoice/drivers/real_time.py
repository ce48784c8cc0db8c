"""Real time for the thread that must not be late; and how it loses it for a while, rather than the box its process.

A real-time thread that takes a processor for LimitRTTIME= without a pause is a danger to all else on the box: the
kernel says so by SIGXCPU, whose default ends the process, and ends it itself at the hard limit. A processor that is
busy for a moment is no reason to end a call, though: the thread goes on like any other, and gets its priority back.
Source: sched(7), setrlimit(2) on RLIMIT_RTTIME, posix-cpu-timers.c (each SIGXCPU puts the soft limit up by 1 s).
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from pathlib import Path

PRIORITY = 10  # SCHED_FIFO, above everything ordinary, below the kernel's own threads
# For itself alone: a sound server's library starts threads on it. Who is nobody special may not take that flag back.
REAL_TIME = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
ORDINARY = os.SCHED_OTHER | os.SCHED_RESET_ON_FORK
PAUSE_S = 60.0  # for how long those that took too much are ordinary
TELL_AGAIN_S = 3600.0  # a machine that is too slow for it would write a line a minute to its SD card, for ever

log = logging.getLogger(__name__)


def ask() -> None:
    """Ask for real time for this thread; without it everything works, with more xruns under load."""
    _schedule(0, REAL_TIME, PRIORITY)


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """From now on make this process's real-time threads ordinary for PAUSE_S when one of them has taken too much."""
    limits = resource.getrlimit(resource.RLIMIT_RTTIME)
    tell_at = loop.time()

    def too_much() -> None:
        nonlocal tell_at
        threads = [thread for thread in _threads() if _has_real_time(thread) and _schedule(thread, ORDINARY, 0)]
        resource.setrlimit(resource.RLIMIT_RTTIME, limits)
        if not threads:
            return
        loop.call_later(PAUSE_S, again, threads)
        if loop.time() >= tell_at:
            tell_at = loop.time() + TELL_AGAIN_S
            log.warning(
                "the audio thread took a processor without a pause: ordinary priority for %.0f s;"
                " for the next hour this is not told again",
                PAUSE_S,
            )

    def again(threads: list[int]) -> None:
        for thread in set(threads) & set(_threads()):
            _schedule(thread, REAL_TIME, PRIORITY)

    loop.add_signal_handler(signal.SIGXCPU, too_much)


def _threads() -> list[int]:
    return [int(task.name) for task in Path("/proc/self/task").iterdir()]


def _has_real_time(thread: int) -> bool:
    try:
        return os.sched_getscheduler(thread) == REAL_TIME
    except OSError:  # it has just ended
        return False


def _schedule(thread: int, policy: int, priority: int) -> bool:
    """Do so where the system allows it, and the thread is still there; tell whether it was done."""
    try:
        os.sched_setscheduler(thread, policy, os.sched_param(priority))
    except OSError:
        return False
    return True
