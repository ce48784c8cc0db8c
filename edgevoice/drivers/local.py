"""A far leg without a socket: carries the replies of a wire that needs no connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from edgevoice.events import Closed, Command, End, Event, HangUp, Opened
from edgevoice.wire import Reply, Wire


class LocalLeg:
    """The parrot's leg. `deliver` may be called from within `perform`."""

    def __init__(self, wire: Wire) -> None:
        self.rate = wire.rate
        self._wire = wire
        self._done = asyncio.Event()
        self._deliver: Callable[[Event, float], None] | None = None

    async def run(self, deliver: Callable[[Event, float], None], group: asyncio.TaskGroup) -> None:
        self._deliver = deliver
        self._carry_out(self._wire.opened(time.monotonic()), time.monotonic())
        await self._done.wait()

    def perform(self, command: Command, at: float) -> None:
        self._carry_out(self._wire.perform(command, at), at)

    def _carry_out(self, reply: Reply, at: float) -> None:
        for event in reply.events:
            if self._deliver:
                self._deliver(event, at)
            if isinstance(event, Closed):
                self._done.set()


class Nobody:
    """A far leg at which nobody is: a call to it is for what is played at the near side."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._left = asyncio.Event()

    async def run(self, deliver: Callable[[Event, float], None], group: asyncio.TaskGroup) -> None:
        deliver(Opened(), time.monotonic())
        await self._left.wait()
        deliver(Closed(End.HUNG_UP, "it was all played"), time.monotonic())

    def perform(self, command: Command, at: float) -> None:
        if isinstance(command, HangUp):
            self._left.set()
