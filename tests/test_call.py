"""The router between two legs: the light comes before the microphone, and orders stay in order."""

from __future__ import annotations

from edgevoice.call import Call
from edgevoice.conversation import Conversation, Detection
from edgevoice.events import (
    Audio,
    BargedIn,
    Clear,
    Cleared,
    Closed,
    Command,
    End,
    HangUp,
    Interrupt,
    Interrupted,
    Listen,
    Mark,
    Opened,
    Play,
    Respond,
    ResponseDone,
    ResponseStarted,
    Suspected,
    TakenBack,
    Tone,
    ToolCalled,
    TurnCommitted,
    Uplink,
)
from edgevoice.light import Turn

RATE = 16_000


class Story:
    """A call whose agent answers from within `perform`, as the parrot does; `log` is all that happened, in order."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.call = Call(Conversation(Detection.SERVICE, RATE), self._near, self._far, RATE)
        self.call.on_turn = lambda turn, speaking: self.log.append(turn)
        self.call.on_opened = lambda: self.log.append("opened")
        self.call.on_tool = self.log.append

    def _near(self, command: Command, at: float) -> None:
        self.log.append(command)

    def _far(self, command: Command, at: float) -> None:
        self.log.append(command)
        if isinstance(command, Respond):
            for event in (ResponseStarted("r1"), Audio(b"ab", "r1"), ResponseDone("r1")):
                self.call.far(event, at)


def test_the_light_is_told_before_the_microphone_opens() -> None:
    story = Story()
    story.call.far(Opened(), 1.0)
    assert story.log == ["opened", Turn.LISTENING, Tone("connected"), Listen(Uplink.OPEN)]


def test_an_answer_from_within_waits_until_the_orders_before_it_are_carried_out() -> None:
    story = Story()
    story.call.far(Opened(), 1.0)
    story.log.clear()
    story.call.far(TurnCommitted(), 2.0)
    assert story.log == [
        Turn.THINKING,
        Respond(),
        Turn.SPEAKING,
        Play(b"ab", "r1"),
        Mark("r1", "r1"),
    ]


def test_the_figures_count_what_went_through() -> None:
    story = Story()
    story.call.far(Opened(), 1.0)
    story.call.near(Audio(bytes(3200)), 1.5)
    story.call.far(TurnCommitted(), 2.0)
    for event in (Suspected("r1"), TakenBack("r1"), Suspected("r1"), BargedIn("r1", 0.0)):
        story.call.near(event, 3.0)
    assert Interrupt("r1", 0.0) in story.log
    figures = story.call.figures
    assert (figures.responses, figures.interruptions, figures.sent_ms) == (1, 1, 100.0)
    assert (figures.suspicions, figures.taken_back) == (2, 1)


def test_an_interruption_that_the_service_has_heard_first_counts_too() -> None:
    story = Story()
    story.call.far(Opened(), 1.0)
    story.call.far(TurnCommitted(), 2.0)
    story.call.far(Interrupted("r1"), 2.5)
    assert story.log[-1] == Clear()
    story.call.near(Cleared("r1", 120.0), 2.5)
    assert story.log[-1] == Interrupt("r1", 120.0)
    assert story.call.figures.interruptions == 1


def test_a_suspicion_is_on_the_light() -> None:
    story = Story()
    story.call.far(Opened(), 1.0)
    story.call.far(TurnCommitted(), 2.0)
    story.log.clear()
    story.call.near(Suspected("r1"), 2.1)
    story.call.near(TakenBack("r1"), 2.4)
    assert story.log == [Turn.SUSPECTING, Turn.SPEAKING]


def test_tools_go_to_the_box_and_not_after_the_end() -> None:
    story = Story()
    called = ToolCalled("1", "hang_up", "{}")
    story.call.far(called, 1.0)
    story.call.far(Closed(End.LINK_LOST, "gone"), 2.0)
    story.call.far(called, 3.0)
    assert story.log.count(called) == 1
    assert story.log[-1] == HangUp("gone", fades=True)
    assert story.call.over
