"""Calls that come and go leave nothing behind: no task, no socket, no file, no object."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from pathlib import Path

import pytest

from edgevoice import capacity
from tests.house import SILENCE, dialling_in, house, next_kind, run, say_hello, until

AT_ONCE = 20
WARM, ROUNDS = 3, 10  # batches before the first look, and after it
CALLS = AT_ONCE * ROUNDS


def objects() -> Counter[str]:
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects())


def held() -> tuple[int, int]:
    """Count the tasks and the files of this process."""
    return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))


async def held_at_rest() -> tuple[int, int]:
    """Wait until nothing is let go any more: who has hung up is gone a moment later, on a busy machine a long one."""
    last, looks = held(), 0
    while looks < 10:
        await asyncio.sleep(0.05)
        last, looks = (held(), looks + 1) if held() == last else (held(), 0)
    return last


async def one_call(box: object, number: int) -> None:
    """Come in, be heard for a moment, and leave: politely, or torn."""
    async with dialling_in(box) as socket:  # type: ignore[arg-type]
        await say_hello(socket, f"c{number}")
        assert await next_kind(socket) == "listening"
        await socket.send(SILENCE)
        if number % 3 == 0:
            await socket.send('{"t":"bye","reason":"hangup"}')
        elif number % 3 == 1:
            socket.transport.abort()


def test_hundreds_of_calls_leave_no_task_no_socket_and_no_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "LATE_S", 10.0)  # so many at once are refused, else

    async def story() -> None:
        async with house(tmp_path, max_calls=64) as box:

            async def batch(number: int) -> None:
                await asyncio.gather(*(one_call(box, number * AT_ONCE + call) for call in range(AT_ONCE)))
                await until(lambda: not box.lines.running)

            for number in range(WARM):
                await batch(number)
            found = objects()  # first: it collects what earlier tests left, which would hide a file that we leave
            tasks, files = await held_at_rest()
            for number in range(ROUNDS):
                await batch(number)
            assert (await held_at_rest())[0] == tasks
            assert held()[1] <= files, "fewer: what tests before this one had left is gone"
            grown = {kind: count for kind, count in (objects() - found).items() if count >= CALLS // 4}
            assert grown == {}, f"more than before after {CALLS} calls"

    run(story(), within_s=120.0)
