"""A call: two legs joined by a machine that says whose turn it is. It carries values; it has no clock and no loop.

Events go in at `near` and `far`; orders come out as calls of the two legs' `perform`, in order, also when performing
one makes the next event (the parrot answers at once). The light is told of a new turn before its orders are carried
out, so that no microphone opens in the dark.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edgevoice.conversation import Conversation, Orders, Side
from edgevoice.events import BargedIn, Command, Event, Opened, Play, Respond, Suspected, TakenBack, ToolCalled
from edgevoice.light import Turn

Perform = Callable[[Command, float], None]


@dataclass(slots=True)
class Figures:
    """What the closing line of a call says of it."""

    responses: int = 0
    interruptions: int = 0
    suspicions: int = 0  # a voice may have begun
    taken_back: int = 0  # of them: it was nobody
    sent_ms: float = 0.0  # of the person's sound
    played_ms: float = 0.0  # of the agent's, handed to the near leg


class Call:
    """Routes between `near` (a person) and `far` (an agent); both legs speak at `rate` Hz."""

    def __init__(self, conversation: Conversation, near: Perform, far: Perform, rate: int) -> None:
        self.conversation = conversation
        self.figures = Figures()
        self.on_turn: Callable[[Turn, bool], None] = lambda turn, speaking: None
        self.on_opened: Callable[[], None] = lambda: None
        self.on_tool: Callable[[ToolCalled], None] = lambda called: None
        self._perform = {Side.NEAR: near, Side.FAR: far}
        self._rate = rate
        self._turn: tuple[Turn, bool] | None = None
        self._waiting: deque[tuple[Callable[[], Orders], float]] = deque()
        self._busy = False

    @property
    def deadline(self) -> float | None:
        return self.conversation.deadline

    @property
    def over(self) -> bool:
        return self.conversation.over is not None

    def near(self, event: Event, at: float) -> None:
        """Take what the person's leg reports."""
        self._count_event(event)
        self._do(lambda: self.conversation.near(event, at), at)

    def far(self, event: Event, at: float) -> None:
        """Take what the agent's leg reports."""
        if self.over:
            return
        if isinstance(event, ToolCalled):
            self.on_tool(event)
        if isinstance(event, Opened):
            self.on_opened()
        self._do(lambda: self.conversation.far(event, at), at)

    def want(self, orders: Callable[[Conversation], Orders], at: float) -> None:
        """Let somebody outside (button, ctl, a tool) ask something of the conversation."""
        self._do(lambda: orders(self.conversation), at)

    def expire(self, at: float) -> None:
        self._do(lambda: self.conversation.expire(at), at)

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
        turn = self.conversation.turn, self.conversation.speaking
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
            case _:
                pass

    def _count_order(self, side: Side, command: Command) -> None:
        match command:
            case Play(pcm):
                ms = len(pcm) / 2 / self._rate * 1000
                if side is Side.FAR:
                    self.figures.sent_ms += ms
                else:
                    self.figures.played_ms += ms
            case Respond():
                self.figures.responses += 1
            case _:
                pass
