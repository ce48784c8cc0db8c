"""A thread that takes a processor for too long loses real time for a while, and nobody dies of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgevoice.drivers.real_time import ORDINARY, REAL_TIME

LIMIT = "2000000"  # microseconds, as in the unit; the kernel tells after the first 50,000
TIMES = 4  # the kernel puts its first limit up by a second each time: twice would not show it
SPIN = """
import asyncio, concurrent.futures.thread, os, resource, sys, threading, time
from edgevoice.drivers import real_time

real_time.PAUSE_S = 0.2
resource.setrlimit(resource.RLIMIT_RTTIME, (50_000, int(sys.argv[1])))
asked, begin, seen = threading.Event(), threading.Event(), []

def spin():
    real_time.ask()
    asked.set()
    begin.wait()
    until = time.monotonic() + 20
    while len(seen) < 2 * int(sys.argv[2]) and time.monotonic() < until:
        policy = os.sched_getscheduler(0)
        if not seen or policy != seen[-1]:
            seen.append(policy)

async def main():
    loop = asyncio.get_running_loop()
    if sys.argv[3:]:
        real_time.watch(loop)
    thread = threading.Thread(target=spin)
    thread.start()
    asked.wait()
    if sys.argv[3:] == ["nobody"]:  # as in the unit
        os.setresuid(65534, 65534, 65534)
    begin.set()
    await asyncio.to_thread(thread.join)  # whoever wants the interpreter gives the thread a pause

sys.setswitchinterval(0.001)
asyncio.run(main())
print(*seen)
"""


@pytest.fixture(autouse=True)
def _may_have_real_time() -> None:
    asked = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); os.setresuid(65534, 65534, 65534)"
    if subprocess.run([sys.executable, "-c", asked], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this user may not have real time here, nor become nobody")


def _spin(times: int, *watched: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SPIN, LIMIT, str(times), *watched]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("user", "times"), [("root", TIMES), ("nobody", 1)])
def test_a_thread_that_takes_too_much_is_ordinary_for_a_while_each_time(user: str, times: int) -> None:
    ran = _spin(times, user)
    assert [int(policy) for policy in ran.stdout.split()] == [REAL_TIME, ORDINARY] * times, ran
    assert ran.stderr.count("without a pause") == 1, "and is told of once an hour at most"


def test_without_it_the_kernel_ends_the_process() -> None:
    assert _spin(1).returncode < 0
