"""Two legs on the event loop: the deadlines of a call are kept, however often they move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgevoice.agents.parrot import Parrot
from edgevoice.bridge import Bridge
from edgevoice.call import Call
from edgevoice.conversation import Conversation, Detection
from edgevoice.drivers.local import LocalLeg
from edgevoice.events import Audio, Closed, Command, End, Event, HangUp, Opened, SpeechStarted, SpeechStopped

RATE = 16_000
LOUD = bytes(range(1, 256)) * 32


class Person:
    """A leg in the test's hands."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.began = asyncio.Event()
        self._over = asyncio.Event()
        self.deliver: Callable[[Event, float], None] = lambda event, at: None

    async def run(self, deliver: Callable[[Event, float], None], rate: int) -> None:
        self.deliver = deliver
        self.tell(Opened())
        self.began.set()
        await self._over.wait()

    def perform(self, command: Command, at: float) -> None:
        self.told.append(type(command).__name__)
        if isinstance(command, HangUp):
            self._over.set()
            self.tell(Closed(End.HUNG_UP, command.reason))

    def tell(self, event: Event) -> None:
        self.deliver(event, asyncio.get_running_loop().time())


def test_the_pause_after_a_voice_ends_the_turn_though_sound_goes_on_coming() -> None:
    async def story() -> None:
        person, parrot = Person(), LocalLeg(Parrot())
        conversation = Conversation(Detection.LOCAL, RATE, silence_ms=700)
        bridge = Bridge(Call(conversation, person.perform, parrot.perform, RATE), person, parrot)
        running = asyncio.create_task(bridge.run())
        await person.began.wait()
        for event in (SpeechStarted(), Audio(LOUD), SpeechStopped()):
            person.tell(event)
        async with asyncio.timeout(30):
            while "Play" not in person.told:
                person.tell(Audio(bytes(640)))
                await asyncio.sleep(0.01)
            bridge.want(lambda machine: machine.leave("enough", 0.0, asyncio.get_running_loop().time()))
            await running

    asyncio.run(story())


class Slow:
    """A far side that takes its time to say goodbye."""

    rate = RATE

    def __init__(self) -> None:
        self.told: list[str] = []
        self.may_go = asyncio.Event()
        self.gone = False

    async def run(self, deliver: Callable[[Event, float], None], group: asyncio.TaskGroup) -> None:
        deliver(Opened(), 0.0)
        await self.may_go.wait()
        self.gone = True

    def perform(self, command: Command, at: float) -> None:
        self.told.append(type(command).__name__)


def test_the_near_leg_is_free_before_the_far_side_has_said_goodbye() -> None:
    async def story() -> None:
        person, slow, free = Person(), Slow(), asyncio.Event()
        bridge = Bridge(Call(Conversation(Detection.LOCAL, RATE), person.perform, slow.perform, RATE), person, slow)
        bridge.on_free = free.set
        running = asyncio.create_task(bridge.run())
        await person.began.wait()
        bridge.want(lambda machine: machine.hang_up("enough"))
        async with asyncio.timeout(30):
            await free.wait()
            assert (slow.gone, running.done(), slow.told[-1]) == (False, False, "HangUp")
            slow.may_go.set()
            await running

    asyncio.run(story())
