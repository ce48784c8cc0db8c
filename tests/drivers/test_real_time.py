"""A thread that takes a processor for too long loses real time for a while, and nobody dies of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgevoice.drivers.real_time import REAL_TIME

LIMIT = "500000"  # microseconds, of which the kernel tells after the first tenth
SPIN = """
import asyncio, os, resource, sys, threading, time
from edgevoice.drivers import real_time

real_time.PAUSE_S = 0.3
resource.setrlimit(resource.RLIMIT_RTTIME, (50_000, int(sys.argv[1])))
seen = []

def spin():
    real_time.ask()
    policy = os.sched_getscheduler(0)
    seen.append(policy)
    until = time.monotonic() + 5
    while len(seen) < 3 and time.monotonic() < until:
        if os.sched_getscheduler(0) != policy:
            policy = os.sched_getscheduler(0)
            seen.append(policy)
    time.sleep(0.01)

async def main():
    loop = asyncio.get_running_loop()
    if sys.argv[2:]:
        real_time.watch(loop)
    thread = threading.Thread(target=spin)
    thread.start()
    await asyncio.to_thread(thread.join)  # whoever wants the interpreter gives the thread a pause

sys.setswitchinterval(0.001)
asyncio.run(main())
print(*seen)
"""


@pytest.fixture(autouse=True)
def _may_have_real_time() -> None:
    asked = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    if subprocess.run([sys.executable, "-c", asked], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this user may not have real time here")


def _spin(*watched: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SPIN, LIMIT, *watched], capture_output=True, text=True, timeout=30)


def test_a_thread_that_takes_too_much_is_ordinary_for_a_while() -> None:
    ran = _spin("watched")
    assert [int(policy) for policy in ran.stdout.split()] == [REAL_TIME, os.SCHED_OTHER, REAL_TIME], ran
    assert "without a pause" in ran.stderr


def test_without_it_the_kernel_ends_the_process() -> None:
    assert _spin().returncode < 0
