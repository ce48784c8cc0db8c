"""A call: two legs joined by a machine that says whose turn it is. It carries values; it has no clock and no loop.

Events go in at `near` and `far`; orders come out as calls of the two legs' `perform`, in order, also when performing
one makes the next event (the parrot answers at once). The light is told of a new turn before its orders are carried
out, so that no microphone opens in the dark.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from edgevoice.announcement import Announcement
from edgevoice.conversation import Conversation
from edgevoice.events import (
    BargedIn,
    Clear,
    Cleared,
    Command,
    Digit,
    Event,
    LinkDown,
    Opened,
    Play,
    Played,
    Respond,
    Resumed,
    Suspected,
    TakenBack,
    ToolCalled,
)
from edgevoice.intercom import Intercom
from edgevoice.light import Turn
from edgevoice.orders import Orders, Side

Perform = Callable[[Command, float], None]
Machine: TypeAlias = Conversation | Intercom


@dataclass(slots=True)
class Figures:
    """What the closing line of a call says of it."""

    responses: int = 0
    interruptions: int = 0
    suspicions: int = 0  # a voice may have begun
    taken_back: int = 0  # of them: it was nobody
    links_lost: int = 0
    sent_ms: float = 0.0  # of the person's sound
    played_ms: float = 0.0  # of the agent's, handed to the near leg

    @property
    def words(self) -> str:
        lost = f", {self.links_lost} links lost" if self.links_lost else ""
        return (
            f"{self.responses} turns, {self.interruptions} interruptions, {self.taken_back} suspicions taken back, "
            f"{self.sent_ms / 1000:.1f} s heard, {self.played_ms / 1000:.1f} s said{lost}"
        )


class Call:
    """Routes between `near` (a person) and `far` (an agent, or another person); both legs speak at `rate` Hz."""

    def __init__(self, machine: Machine, near: Perform, far: Perform, rate: int) -> None:
        self.machine = machine
        self.figures = Figures()
        self.on_turn: Callable[[Turn, bool], None] = lambda turn, speaking: None
        self.on_opened: Callable[[], None] = lambda: None
        self.on_tool: Callable[[ToolCalled], None] = lambda called: None
        self.on_said: Callable[[], None] = lambda: None
        self.on_key: Callable[[str], None] = lambda key: None
        self._perform = {Side.NEAR: near, Side.FAR: far}
        self.rate = rate
        self.trouble = ""  # why the link to the far side is down
        self._announced: tuple[Side, Announcement] | None = None
        self._turn: tuple[Turn, bool] | None = None
        self._waiting: deque[tuple[Callable[[], Orders], float]] = deque()
        self._busy = False

    @property
    def deadline(self) -> float | None:
        return self.machine.deadline

    @property
    def over(self) -> bool:
        return self.machine.over is not None

    def near(self, event: Event, at: float) -> None:
        """Take what the person's leg reports."""
        self._count_event(event)
        if not self._announce(Side.NEAR, event, at):
            self._do(lambda: self.machine.near(event, at), at)

    def far(self, event: Event, at: float) -> None:
        """Take what the agent's leg reports."""
        if self.over:
            return
        if isinstance(event, LinkDown):
            self.figures.links_lost += 1
        if isinstance(event, LinkDown | Resumed):
            self.trouble = event.reason if isinstance(event, LinkDown) else ""
        if isinstance(event, ToolCalled):
            self.on_tool(event)
        if isinstance(event, Opened):
            self.on_opened()
        if not self._announce(Side.FAR, event, at):
            self._do(lambda: self.machine.far(event, at), at)

    def want(self, orders: Callable[[Machine], Orders], at: float) -> None:
        """Let somebody outside (button, ctl, a tool) ask something of the conversation."""
        self._do(lambda: orders(self.machine), at)

    # ------------------------------------------------------------------------------------------ recordings

    @property
    def announcing(self) -> bool:
        """A recording is being played on one of the legs."""
        return self._announced is not None and not self._announced[1].over

    def say(self, side: Side, announcement: Announcement, at: float, *, first: bool = False) -> None:
        """Play a recording on a leg; `first`: at once, what sounds there is cut off. It replaces an earlier one."""
        self._announced = side, announcement  # with `Cleared` it begins
        self._do(lambda: [(side, command) for command in ([Clear()] if first else announcement.begin())], at)

    def stop_saying(self, at: float) -> None:
        """End the recording that is being played."""
        if self._announced is not None:
            side, announcement = self._announced
            announcement.stop()
            self._announced = None
            self._do(lambda: [(side, Clear())], at)
            self.on_said()

    def _announce(self, side: Side, event: Event, at: float) -> bool:
        """Go on with the recording; tell whether the event was only about that. Keys are for the box, too."""
        if self.over:
            return False
        if isinstance(event, Digit):
            self.on_key(event.key)
        if self._announced is None or self._announced[0] is not side:
            return False
        announcement = self._announced[1]
        if isinstance(event, BargedIn | Cleared):
            self._do(lambda: [(side, command) for command in announcement.begin()], at)
        if not isinstance(event, Played) or not announcement.owns(event.mark):
            return False
        self._do(lambda: [(side, command) for command in announcement.played(event.mark)], at)
        if announcement.over:
            self._announced = None
            self.on_said()
        return True

    def expire(self, at: float) -> None:
        self._do(lambda: self.machine.expire(at), at)

    def _do(self, step: Callable[[], Orders], at: float) -> None:
        """Take one step; what performing its orders makes happen waits until they are all carried out."""
        self._waiting.append((step, at))
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                following, when = self._waiting.popleft()
                self._carry_out(following(), when)
        finally:
            self._busy = False

    def _carry_out(self, orders: Orders, at: float) -> None:
        turn = self.machine.turn, self.machine.speaking
        if turn != self._turn:
            self._turn = turn
            self.on_turn(*turn)
        for side, command in orders:
            self._count_order(side, command)
            self._perform[side](command, at)

    def _count_event(self, event: Event) -> None:
        match event:
            case Suspected():
                self.figures.suspicions += 1
            case TakenBack():
                self.figures.taken_back += 1
            case BargedIn():
                self.figures.interruptions += 1
            case Cleared(response) if response and not self.announcing:  # the service has heard the person first
                self.figures.interruptions += 1
            case _:
                pass

    def _count_order(self, side: Side, command: Command) -> None:
        match command:
            case Play(pcm):
                ms = len(pcm) / 2 / self.rate * 1000
                if side is Side.FAR:
                    self.figures.sent_ms += ms
                else:
                    self.figures.played_ms += ms
            case Respond():
                self.figures.responses += 1
            case _:
                pass
