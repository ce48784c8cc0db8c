"""A stage for stories about the turn: a conversation and its clock."""

from __future__ import annotations

from edgevoice.conversation import Conversation, Detection, Orders, Side
from edgevoice.events import Audio, Event, Listen, Listening, Opened, ResponseStarted
from edgevoice.light import Turn

RATE = 24_000


class Silence(bytes):
    """Sound that is short to print, in what led to a failure."""

    def __repr__(self) -> str:
        return f"<{len(self) / 2 / RATE:g} s>"


SECOND = Silence(2 * RATE)
NEAR, FAR = Side.NEAR, Side.FAR


class Story:
    """A conversation and the clock; `near`, `far` and the waits return the orders that are made."""

    def __init__(self, detection: Detection = Detection.SERVICE) -> None:
        self.conversation = Conversation(detection, RATE)
        self.at = 100.0

    def near(self, *events: Event) -> Orders:
        return [order for event in events for order in self._listen(self.conversation.near(event, self.at))]

    def far(self, *events: Event) -> Orders:
        return [order for event in events for order in self._listen(self.conversation.far(event, self.at))]

    def wait_for_deadline(self) -> Orders:
        assert self.conversation.deadline is not None
        self.at = max(self.at, self.conversation.deadline)
        return self._listen(self.conversation.expire(self.at))

    def passes(self, seconds: float) -> Orders:
        """Let time pass, as the program does: `expire` is called when it is due, and not before."""
        until = self.at + seconds
        orders: Orders = []
        while (deadline := self.conversation.deadline) is not None and deadline <= until:
            orders += self.wait_for_deadline()
            assert self.conversation.deadline is None or self.conversation.deadline > deadline, "it would spin"
        self.at = until
        return orders

    def _listen(self, orders: Orders) -> Orders:
        """The card does at once what it is told of the microphone."""
        for _, command in orders:
            if isinstance(command, Listen):
                self.conversation.near(Listening(command.uplink), self.at)
        return orders

    def speaking(self, response: str = "r1", seconds: int = 2) -> None:
        """Let the agent's response begin to sound."""
        self.far(ResponseStarted(response), *[Audio(SECOND, response)] * seconds)

    @property
    def turn(self) -> Turn:
        return self.conversation.turn


def opened(detection: Detection = Detection.SERVICE) -> Story:
    story = Story(detection)
    story.far(Opened())
    return story
