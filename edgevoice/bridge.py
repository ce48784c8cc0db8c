"""Carries values between the two legs of a call: the asynchronous shell around `call.Call`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from edgevoice.call import Call, Machine
from edgevoice.drivers.alarm import Alarm
from edgevoice.events import Command, Event
from edgevoice.orders import Orders

CLOSE_S = 2.0  # a leg that has not let go by then is cancelled

Deliver = Callable[[Event, float], None]


class NearLeg(Protocol):
    """Where the person is. It adapts to the rate of the far leg."""

    async def run(self, deliver: Deliver, rate: int) -> None:
        """Take part until `Closed` was delivered."""

    def perform(self, command: Command, at: float) -> None:
        """Carry out one command without waiting."""


class FarLeg(Protocol):
    """Where the agent is."""

    @property
    def rate(self) -> int:
        """Hz of the samples that it takes and gives."""

    async def run(self, deliver: Deliver, group: asyncio.TaskGroup) -> None:
        """Take part until `Closed` was delivered; further tasks go into `group` and end with this one."""

    def perform(self, command: Command, at: float) -> None:
        """Carry out one command without waiting."""


class Bridge:
    """One call on the event loop, from connecting to the end."""

    def __init__(self, call: Call, near: NearLeg, far: FarLeg) -> None:
        self.call = call
        self.on_free: Callable[[], None] = lambda: None  # the near leg has left: it may take part in another call
        self._near = near
        self._far = far
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._expired)

    async def run(self) -> None:
        """Run the call to its end: both legs are closed when this returns."""
        if self._over.is_set():
            self.on_free()
            return
        try:
            async with asyncio.TaskGroup() as group:
                near = group.create_task(self._near.run(self._tell_near, self._far.rate))
                far = group.create_task(self._far.run(self._tell_far, group))
                await self._over.wait()
                give_up = self._loop.time() + CLOSE_S
                await self._let_go(near, give_up)
                self.on_free()
                await self._let_go(far, give_up)
        finally:
            self._alarm.cancel()

    async def _let_go(self, leg: asyncio.Task[None], give_up: float) -> None:
        """Wait until a leg has let go; cancel one that does not."""
        await asyncio.wait({leg}, timeout=max(0.0, give_up - self._loop.time()))
        leg.cancel()
        await asyncio.wait({leg})

    def want(self, orders: Callable[[Machine], Orders]) -> None:
        """Ask something of the conversation: mute, talk, finish, hang up."""
        self.call.want(orders, self._loop.time())
        self._after()

    def _tell_near(self, event: Event, at: float) -> None:
        self.call.near(event, at)
        self._after()

    def _tell_far(self, event: Event, at: float) -> None:
        self.call.far(event, at)
        self._after()

    def _after(self) -> None:
        if self.call.over:
            self._over.set()
        self._alarm.set(self.call.deadline)

    def _expired(self) -> None:
        at, deadline = self._loop.time(), self.call.deadline
        if deadline is not None and deadline <= at:
            self.call.expire(at)
        self._after()
