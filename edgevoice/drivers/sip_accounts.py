"""The accounts of the SIP worker: registered when the parent says so, watched in between, and given up in the end.

The library renews a registration by itself, and is not to be trusted with it: a registrar that says yes for no time at
all it asks 700 times a second, and that a connection was cut it notices at the next renewal. Both are told here as
failures, so that the parent's delays hold. Source: baresip-python 0.5.2a3, and what was seen of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from baresip import Account, BaresipError, Runtime, UserAgent
from baresip._native import lib
from baresip.errors import RegistrationError
from baresip.events import Event, StackEvent

from edgevoice.drivers.sip_door import shut
from edgevoice.lines.sip_words import MANDATORY, status

HASTE = 5  # registrations within a second: the registrar takes us for no time
DYING_S = 0.5  # to say goodbye at the registrar

Tell = Callable[[str, int, int], None]  # "registered" or "unregistered", which account, with which status


class One:
    """One account of the library's."""

    def __init__(self, agent: UserAgent, known: Mapping[str, Any]) -> None:
        self.agent = agent
        self.header = str(known["header"]).lower()  # whose value proves who calls, "" for none
        self.guarded = MANDATORY in known["extra_params"]  # the library sends in clear if no key came
        self.connects = known["transport"] != "udp"
        self.way: frozenset[int] = frozenset()  # our ends of the connections while it is registered
        self.registered = asyncio.Event()
        self.left_alone = False  # it is not registered any more, whatever is said
        self.times: deque[float] = deque(maxlen=HASTE)


class Accounts:
    """All accounts of one box. Called on the event loop."""

    def __init__(self, runtime: Runtime, tell: Tell) -> None:
        self.all: list[One] = []
        self._runtime = runtime
        self._tell = tell
        self._loop = asyncio.get_running_loop()

    async def open(self, known: Sequence[Mapping[str, Any]]) -> None:
        """Make them, in that order. Raises ValueError and BaresipError for what the library does not take."""
        self._runtime.subscribe(self._heard)
        for account in known:
            words: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in account.items()
            }
            words.pop("header")
            self.all.append(One(await UserAgent.create(self._runtime, Account(**words)), account))

    async def register(self, index: int) -> None:
        """Ask the registrar; what it says is told."""
        one = self.all[index]
        one.left_alone = False
        one.times.clear()
        try:
            await one.agent.register()
        except RegistrationError as error:
            self._tell("unregistered", index, error.status or 0)
        except BaresipError:
            self._tell("unregistered", index, 0)

    def look(self) -> None:
        """Shut what the library has opened anew, and tell whose connection is gone: nobody could call there."""
        connected = shut()
        for index, one in enumerate(self.all):
            if not one.way <= connected:
                one.way = frozenset()
                self._tell("unregistered", index, 0)

    async def leave(self) -> None:
        """Say goodbye to the registrars; one that does not answer in time is left."""
        leaving = [one for one in self.all if one.registered.is_set()]
        for one in leaving:
            one.registered.clear()
            await self._unregister(one)
        try:
            async with asyncio.timeout(DYING_S):
                for one in leaving:
                    await one.registered.wait()  # as the library says it: the goodbye is a registration, too
        except TimeoutError:
            pass

    async def _unregister(self, one: One) -> None:
        try:
            await self._runtime.cmd(lib.BP_CMD_UA_UNREGISTER, args=str(one.agent.handle))
        except BaresipError:
            pass  # the library has ended

    def _heard(self, event: StackEvent) -> None:
        index = next((index for index, one in enumerate(self.all) if one.agent.handle == event.ua), None)
        if index is None:
            return
        if event.event is Event.REGISTER_OK:
            self._registered(index)
        elif event.event is Event.REGISTER_FAIL:
            self.all[index].way = frozenset()
            self._tell("unregistered", index, status(event.text or ""))

    def _registered(self, index: int) -> None:
        """Tell it; but a registrar that is asked without end is left alone."""
        one = self.all[index]
        one.registered.set()
        if one.left_alone:
            return
        one.times.append(self._loop.time())
        if len(one.times) == HASTE and one.times[-1] - one.times[0] < 1.0:
            one.left_alone = True
            self._tell("unregistered", index, 423)
            self._leaving = self._loop.create_task(self._unregister(one))
            return
        if one.connects:
            one.way = shut()
        self._tell("registered", index, 200)
