"""Is there room for another call? Calls that take all the time there is must not wait for one more."""

from __future__ import annotations

import asyncio
from collections.abc import Sized

LOOK_S = 0.1  # how often it is looked whether this program has time
LATE_S, OFTEN = 0.15, 4  # who is woken so late, that often in a row, has no time for another call
LATELY_S = 3.0  # for so long no further call may come in then


class Capacity:
    """How many calls this box may carry: `running` are those that it carries."""

    def __init__(self, running: Sized, max_calls: int) -> None:
        self._running = running
        self._max_calls = max_calls
        self._loop = asyncio.get_running_loop()
        self._late_until = 0.0

    @property
    def full(self) -> str:
        """Why no further call may come in, or ""."""
        if len(self._running) >= self._max_calls:
            return f"there are {self._max_calls} calls already (lines.max_calls)"
        if self._loop.time() < self._late_until:
            return f"{len(self._running)} calls take all the time that this machine has"
        return ""

    async def watch(self) -> None:
        """Notice, until cancelled, that this program has no time."""
        late = 0
        while True:
            due = self._loop.time() + LOOK_S
            await asyncio.sleep(LOOK_S)
            late = late + 1 if self._running and self._loop.time() - due > LATE_S else 0
            if late >= OFTEN:
                self._late_until = self._loop.time() + LATELY_S
