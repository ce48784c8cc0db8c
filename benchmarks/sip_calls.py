"""Experiments with calls over SIP: the box on the virtual card, or without one, and people who call it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sip_figures import first_loud, last_word
from edgevoice.lines.service import Flowing
from tests.e2e.box import TRUSTING, RunningBox, voice, worker_of
from tests.e2e.sip import Registrar, Talk, password_of, telephone
from tests.lab.labcard.labcard import World

RATE, PHONE = 48_000, 8_000
CALLS = 10
ANSWER_S = 0.8  # of silence, after which the parrot answers
STEADY_S = 11.0  # a worker that dies sooner is replaced later each time
BEFORE_S = 0.7  # how much of a reply is heard before somebody talks over it
PRIORITY = 5  # below the threads that keep time
LINES = """
[call]
button = "{button}"
incoming = "{incoming}"

[lines]
max_calls = 20

[[line.sip]]
registrar = "{registrar}"
user = "{user}"
password_file = "{password}"
codecs = ["PCMA"]
jitter_ms = {jitter_ms}
targets = {{ reception = "reception" }}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of ten calls. `each_percent`: of a core, box and worker together, for each call."""

    each_percent: float
    worker_percent: float
    box_mb: float
    worker_mb: float


def at_home(
    registrar: Registrar, world: World, user: str, *, button: str = "sip:reception", incoming: str = "card",
    buffer_ms: int = 40, jitter_ms: int = 20, env: Mapping[str, str] | None = None,
) -> RunningBox:  # fmt: skip
    """Return a box with an account."""
    password = registrar.folder / f"password-{user}"
    password.write_text(password_of(user))
    more = LINES.format(
        registrar=registrar.address, user=user, password=password, button=button, incoming=incoming, jitter_ms=jitter_ms
    )
    return RunningBox(world, more + TRUSTING, buffer_ms=buffer_ms, env=env)


def registered(status: dict[str, Any]) -> bool:
    return status["lines"]["sip"]["accounts"][0]["registered_s"] is not None


async def until(box: RunningBox, true: Callable[[dict[str, Any]], bool]) -> None:
    await asyncio.to_thread(box.wait_until, true)


async def rings(registrar: Registrar, presses: int) -> list[float]:
    """Return how many ms after the press it rings at the other side."""
    found = []
    with World(rate=RATE, seconds=300) as world, at_home(registrar, world, "door") as box:
        async with telephone(registrar, "reception") as reception:
            await until(box, registered)
            for _ in range(presses):
                await until(box, lambda status: status["state"] == "idle")
                await asyncio.sleep(0.4)
                pressed_at = box.tap()
                talk = await reception.rung()
                found.append(round((reception.came_at[-1] - pressed_at) * 1000, 1))
                await asyncio.sleep(0.4)
                box.tap()
                await talk.until(lambda talk=talk: talk.closed is not None)  # type: ignore[misc]
    return found


async def kills(registrar: Registrar, times: int) -> list[float]:
    """Return how many ms after its worker was killed, in a call, the box is registered again."""
    found = []
    with World(rate=RATE, seconds=300) as world, at_home(registrar, world, "door", incoming="parrot") as box:
        async with telephone(registrar, "reception") as reception:
            await until(box, registered)
            for count in range(1, times + 1):
                talk = reception.dial("door")
                await talk.until_event(Flowing)
                await asyncio.sleep(STEADY_S)
                os.kill(worker_of(box), signal.SIGKILL)
                killed_at = time.monotonic()
                await asyncio.to_thread(_wait_for_lines, box, "is registered at", count + 1)
                found.append(round((time.monotonic() - killed_at) * 1000, 1))
                await talk.hang_up()
    return found


def _wait_for_lines(box: RunningBox, words: str, count: int) -> None:
    give_up = time.monotonic() + 20
    while box.journal.count(words) < count:
        assert time.monotonic() < give_up, box.journal
        box.pause(0.005)


def go_first(pid: int) -> None:
    """Make all threads of a process real-time that are not yet, so that what else a machine does does not count.

    Those of two boxes take a tenth of a core. As root.
    """
    for task in map(int, os.listdir(f"/proc/{pid}/task")):
        if os.sched_getscheduler(task) == os.SCHED_OTHER:
            os.sched_setscheduler(task, os.SCHED_RR, os.sched_param(PRIORITY))


async def interruptions(registrar: Registrar, times: int) -> list[float]:
    """Return how many ms after a voice began over it the last of the parrot's reply came."""
    found = []
    story, over = voice("story", PHONE), voice("interruption", PHONE)
    with World(rate=RATE, seconds=600) as world, at_home(registrar, world, "door", incoming="parrot") as box:
        async with telephone(registrar, "reception", jitter_ms=0) as reception:
            await until(box, registered)
            for _ in range(times):
                talk = reception.dial("door")
                await talk.until_event(Flowing)
                began = await _talk_over(talk, story, over)
                last = last_word(talk.heard, began - BEFORE_S, began + 1.5)
                assert last is not None, "it answered"
                found.append(round((last - began) * 1000, 1))
                await talk.hang_up()
                await talk.until(lambda talk=talk: talk.closed is not None)  # type: ignore[misc]
    return found


async def _talk_over(talk: Talk, story: Any, over: Any) -> float:
    """Have the parrot answer, and talk over it; return when that voice began."""
    loop = asyncio.get_running_loop()
    await talk.say(story)
    since = loop.time()
    pause = asyncio.create_task(talk.say(np.zeros(round(PHONE * (ANSWER_S + BEFORE_S + 1.0)), np.int16)))
    await talk.until(lambda: last_word(talk.heard, since, loop.time()) is not None)
    await pause
    began = loop.time() + first_loud(over, PHONE)
    await talk.say(np.concatenate([over, np.zeros(PHONE // 2, np.int16)]))
    return began


async def ten(registrar: Registrar, seconds: float) -> Cost:
    """Have ten people talk with the parrot at once; return what that costs."""
    story = np.concatenate([voice("question", PHONE), np.zeros(PHONE * 3, np.int16)])
    with World(rate=RATE, seconds=300) as world, at_home(registrar, world, "door", incoming="parrot") as box:
        async with telephone(registrar, "reception") as reception:
            await until(box, registered)
            await asyncio.sleep(1.0)
            box_pid, worker_pid = box.process.pid, worker_of(box)
            idle = await _share(box_pid, 5.0)
            talks = [reception.dial("door") for _ in range(CALLS)]
            for talk in talks:
                await talk.until_event(Flowing)
            speaking = [asyncio.create_task(_again_and_again(talk, story)) for talk in talks]
            await asyncio.sleep(2.0)
            worker, both = await asyncio.gather(_share(worker_pid, seconds), _share(box_pid, seconds))
            for task in speaking:
                task.cancel()
            return Cost((both - idle + worker) / CALLS, worker / CALLS, _rss_mb(box_pid), _rss_mb(worker_pid))


async def _again_and_again(talk: Talk, pcm: Any) -> None:
    while True:
        await talk.say(pcm)


async def _share(pid: int, seconds: float) -> float:
    """Return how many per cent of a core the process takes."""
    before, begun = _ticks(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return 100 * (_ticks(pid) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begun)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
