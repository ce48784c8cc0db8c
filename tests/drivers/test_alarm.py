"""A timer that follows a deadline: never late, seldom set. On the real event loop."""

from __future__ import annotations

import asyncio

from edgevoice.drivers.alarm import Alarm


def test_it_wakes_at_the_deadline_and_not_for_one_that_was_cancelled() -> None:
    async def story() -> list[str]:
        woken: list[str] = []
        loop = asyncio.get_running_loop()
        kept, cancelled = Alarm(lambda: woken.append("kept")), Alarm(lambda: woken.append("cancelled"))
        cancelled.set(loop.time() + 0.01)
        kept.set(loop.time() + 0.02)
        cancelled.cancel()
        await asyncio.sleep(0.05)
        return woken

    assert asyncio.run(story()) == ["kept"]


def test_an_earlier_deadline_is_taken_and_a_later_one_waits_until_it_is_woken() -> None:
    async def story() -> list[str]:
        woken: list[str] = []
        loop = asyncio.get_running_loop()
        alarm = Alarm(lambda: woken.append("woken"))
        alarm.set(loop.time() + 3600)
        alarm.set(loop.time())  # earlier: at once
        alarm.set(loop.time() + 3600)  # later: whoever is woken sets it again
        await asyncio.sleep(0.01)
        return woken

    assert asyncio.run(story()) == ["woken"]


def test_no_deadline_changes_nothing() -> None:
    async def story() -> list[str]:
        woken: list[str] = []
        alarm = Alarm(lambda: woken.append("woken"))
        alarm.set(asyncio.get_running_loop().time())
        alarm.set(None)
        await asyncio.sleep(0.01)
        return woken

    assert asyncio.run(story()) == ["woken"]
