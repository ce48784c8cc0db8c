"""The call at the card: placed or answered, joined, over. There is one at a time, or somebody who rings."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from edgevoice.announcement import Announcement
from edgevoice.appliance import Appliance
from edgevoice.bridge import Bridge, FarLeg
from edgevoice.call import Call, Machine
from edgevoice.directory import Directory
from edgevoice.doors import Doors
from edgevoice.drivers.audio_thread import SoundCard
from edgevoice.errors import ConfigError
from edgevoice.events import Closed, End, HangUp
from edgevoice.happenings import (
    CallAsked,
    CallEnded,
    CallOpened,
    HangUpAsked,
    Happening,
    RingingEnded,
    Rings,
    TurnChanged,
)
from edgevoice.intercom import Intercom
from edgevoice.orders import Side
from edgevoice.recordings import RECORDING

if TYPE_CHECKING:
    from edgevoice.visitor import Visitor

log = logging.getLogger(__name__)


class BoxCall:
    """Called on the event loop. `post` hears what becomes of the call, `spawn` runs it as a task."""

    def __init__(
        self,
        box: Appliance,
        sound: SoundCard,
        directory: Directory,
        doors: Doors,
        *,
        push_to_talk: bool,
        post: Callable[[Happening], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._box = box
        self._sound = sound
        self._directory = directory
        self._doors = doors
        self._push_to_talk = push_to_talk
        self._post = post
        self._spawn = spawn
        self._visitor: Visitor | None = None  # it rings, or is being talked with
        self._bridge: Bridge | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def running(self) -> Call | None:
        """The call, until the card is free again."""
        return self._bridge.call if self._bridge else None

    def want(self, orders: Callable[[Machine], Any]) -> None:
        """Ask something of the conversation, if there is one."""
        if self._bridge:
            self._bridge.want(orders)

    def place(self, target: str) -> None:
        """Call somebody; that they cannot be reached is posted, too."""
        stack = ExitStack()
        try:
            machine, far = self._directory.reach(target, stack)
        except ConfigError as error:
            closed = Closed(End.REFUSED, " ".join(error.problems))
            self._loop.call_soon(self._post, CallEnded(closed))
            return
        call = self._start(target, machine, far, stack)
        if target == RECORDING:
            self._play(call, self._directory.recordings.take(far.rate))

    def connect(self, target: str, within_s: float, id: str) -> None:
        """Hand the person over to somebody else, or tell the agent that asked for it why not."""
        if why := self._directory.unreachable(target):
            log.warning("the agent cannot hand the person over: %s", why)
            self.want(lambda conversation: conversation.tool_result(id, "error: the telephone is out of order now"))
        else:
            log.info("the agent hands the person over")
            self._post(CallAsked(target, within_s))

    def _play(self, call: Call, recording: Announcement) -> None:
        """Play it as soon as the card takes part: what it was told before that is forgotten."""

        def opened() -> None:
            self._post(CallOpened())
            call.say(Side.NEAR, recording, self._loop.time())

        call.on_opened = opened
        call.on_said = lambda: self._post(HangUpAsked())

    def _start(self, target: str, machine: Machine, far: FarLeg, stack: ExitStack) -> Call:
        """Join the card and `far`; what `stack` holds is let go when the call is over."""
        call = Call(machine, self._sound.perform, far.perform, far.rate)
        call.on_opened = lambda: self._post(CallOpened())
        call.on_turn = lambda turn, speaking: self._post(TurnChanged(turn, speaking))
        call.on_tool = self._post
        name = self._visitor.name if self._visitor else target.partition(":")[0]
        call.on_key = self._doors.listener(name, far.perform, self._loop.time)
        self._bridge = bridge = Bridge(call, self._sound, far)
        self._spawn(self._run(name, bridge, stack))
        return call

    async def _run(self, name: str, bridge: Bridge, stack: ExitStack) -> None:
        """Be one call. The box is free for the next one before the far side has said goodbye."""
        began, before = self._loop.time(), Counter(self._sound.counters())
        bridge.on_free = lambda: self._ended(name, bridge, self._loop.time() - began, before)
        with stack:
            await bridge.run()

    def _ended(self, name: str, bridge: Bridge, lasted: float, before: Counter[str]) -> None:
        """The card is free again. A number that was called is not in `name`."""
        closed = bridge.call.machine.over
        assert closed is not None, "a call that is over knows why"
        words = bridge.call.figures.words
        counted = Counter(self._sound.counters()) - before
        if xruns := counted["capture_xruns"] + counted["playback_xruns"]:
            words += f", {xruns} xruns"
        again = self._box.failures and self._box.call_since is None  # it was never there, once more
        level = logging.DEBUG if again else logging.INFO
        log.log(
            level, "call to %s over after %.1f s: %s (%s); %s", name, lasted, closed.reason, closed.end.value, words
        )
        self._bridge = self._visitor = None
        self._post(CallEnded(closed))

    # ------------------------------------------------------------------------------------- a call that comes in

    @property
    def free(self) -> bool:
        """A call that comes in may ring."""
        return self._box.free

    def ring(self, visitor: Visitor) -> None:
        """Somebody calls over a line."""
        self._visitor = visitor
        self._post(Rings(visitor.line, visitor.allowed))

    def left(self, visitor: Visitor) -> None:
        """They have gone before they were answered."""
        if visitor is self._visitor:
            self._visitor = None
            self._post(RingingEnded())

    def answer(self, beep: bool) -> None:
        """Talk with who rings."""
        visitor = self._visitor
        assert visitor is not None, "somebody rings"
        visitor.answered.set()
        self._start(visitor.line, Intercom(push_to_talk=self._push_to_talk, beep=beep), visitor.far, ExitStack())

    def decline(self, reason: str) -> None:
        """Let who rings go."""
        visitor, self._visitor = self._visitor, None
        if visitor is not None:
            visitor.answered.set()
            visitor.leg.perform(HangUp(reason), self._loop.time())
