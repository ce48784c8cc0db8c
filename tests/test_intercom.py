"""Two people talk: the box's owner and somebody on a line. What each hears, and what the light says meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from edgevoice.call import Call
from edgevoice.events import (
    Audio,
    Clear,
    Closed,
    Command,
    Digit,
    End,
    Event,
    HangUp,
    Listen,
    Listening,
    Opened,
    Play,
    Progress,
    SpeechStarted,
    SpeechStopped,
    Stage,
    Tone,
    ToolResult,
    Uplink,
)
from edgevoice.intercom import BEEP_S, RING_S, TALKS_S, Intercom
from edgevoice.light import TURN_PATTERNS, Turn
from edgevoice.orders import Orders, Side

NEAR, FAR = Side.NEAR, Side.FAR
OPEN, SILENT = Uplink.OPEN, Uplink.SILENT
VOICE = np.full(160, 3000, "<i2").tobytes()
HISS = np.full(160, 30, "<i2").tobytes()


class Story:
    """A call and the clock; the near leg does at once what it is told."""

    def __init__(self, **options: bool) -> None:
        self.machine = Intercom(**options)
        self.at = 1000.0

    def _obeyed(self, orders: Orders) -> Orders:
        for side, command in orders:
            if side is NEAR and isinstance(command, Listen):
                self.machine.near(Listening(command.uplink), self.at)
        return orders

    def near(self, event: Event) -> Orders:
        return self._obeyed(self.machine.near(event, self.at))

    def far(self, event: Event) -> Orders:
        return self._obeyed(self.machine.far(event, self.at))

    def talk(self, on: bool) -> Orders:
        return self._obeyed(self.machine.talk(on, self.at))

    def mute(self, on: bool) -> Orders:
        return self._obeyed(self.machine.mute(on, self.at))

    def wait(self) -> Orders:
        assert self.machine.deadline is not None
        self.at = max(self.at, self.machine.deadline)
        return self._obeyed(self.machine.expire(self.at))


def test_both_microphones_open_when_the_other_side_is_there() -> None:
    story = Story()
    assert story.machine.turn is Turn.OPENING
    assert story.near(Audio(VOICE)) == [], "nobody is there to hear it"
    assert story.far(Opened()) == [
        (NEAR, Clear()),
        (NEAR, Tone("connected")),
        (FAR, Clear()),
        (FAR, Listen(OPEN, reflex=False)),
        (NEAR, Listen(OPEN, reflex=False)),
    ]
    assert story.machine.turn is Turn.LISTENING
    assert story.near(Audio(b"ab")) == [(FAR, Play(b"ab", live=True))]
    assert story.far(Audio(b"cd")) == [(NEAR, Play(b"cd", live=True))]


def test_the_light_says_so_before_the_microphone_opens() -> None:
    log: list[object] = []

    def near(command: Command, at: float) -> None:
        log.append(command)

    call = Call(Intercom(), near, lambda command, at: None, 8000)
    call.on_turn = lambda turn, speaking: log.append(turn)
    call.far(Opened(), 1.0)
    before = log[: log.index(Listen(OPEN, reflex=False))]
    assert TURN_PATTERNS[[entry for entry in before if isinstance(entry, Turn)][-1]].microphone


def test_the_light_says_that_the_microphone_is_shut_only_when_it_is() -> None:
    machine = Intercom()
    machine.far(Opened(), 1.0)
    machine.near(Listening(OPEN), 1.1)
    assert (NEAR, Listen(SILENT, reflex=False)) in machine.mute(True, 2.0)
    assert machine.turn is Turn.LISTENING, "it was told to shut, and has not done so yet"
    machine.near(Listening(SILENT), 2.1)
    assert machine.turn is Turn.MUTED


def test_where_nobody_pressed_a_button_a_beep_comes_first_and_the_microphone_after_it() -> None:
    story = Story(beep=True)
    opened = story.far(Opened())
    assert (NEAR, Tone("connected")) in opened
    assert not [command for side, command in opened if side is NEAR and isinstance(command, Listen)]
    assert not TURN_PATTERNS[story.machine.turn].microphone
    assert story.far(Audio(b"cd")) == [(NEAR, Play(b"cd", live=True))], "they are heard at once"
    began = story.at
    assert story.wait() == [(NEAR, Listen(OPEN, reflex=False))]
    assert story.at - began == pytest.approx(BEEP_S)
    assert story.machine.turn is Turn.LISTENING


def test_a_box_muted_during_the_beep_stays_muted() -> None:
    story = Story(beep=True)
    story.far(Opened())
    story.mute(True)
    assert story.wait() == [(NEAR, Listen(SILENT, reflex=False))]
    assert story.machine.turn is Turn.MUTED


def test_until_they_answer_it_is_heard_ringing_and_then_no_longer() -> None:
    story = Story()
    assert story.machine.deadline is None
    assert story.far(Progress(Stage.RINGING)) == [(NEAR, Tone("ringing"))]
    began = story.at
    assert story.wait() == [(NEAR, Tone("ringing"))]
    assert story.at - began == pytest.approx(RING_S)
    assert story.far(Progress(Stage.RINGING)) == [], "told again, it rings as before"
    orders = story.far(Opened())
    assert orders[:2] == [(NEAR, Clear()), (NEAR, Tone("connected"))], "what is left of the ringing is cut off"
    assert story.machine.deadline is None
    assert story.far(Progress(Stage.RINGING)) == []


def test_the_light_shows_who_speaks_at_the_box() -> None:
    story = Story()
    story.far(Opened())
    story.near(SpeechStarted())
    assert story.machine.turn is Turn.HEARING
    story.near(SpeechStopped())
    assert story.machine.turn is Turn.LISTENING


def test_a_muted_box_sends_silence_so_that_the_line_stays_alive() -> None:
    story = Story()
    story.far(Opened())
    assert story.mute(True) == [(NEAR, Listen(SILENT, reflex=False)), (NEAR, Tone("muted"))]
    assert story.mute(True) == []
    assert story.mute(False) == [(NEAR, Listen(OPEN, reflex=False)), (NEAR, Tone("unmuted"))]


def test_pushed_to_talk_the_microphone_is_open_while_the_button_is_held() -> None:
    story = Story(push_to_talk=True)
    assert (NEAR, Listen(SILENT, reflex=False)) in story.far(Opened())
    assert story.machine.turn is Turn.WAITING
    assert story.talk(True) == [(NEAR, Listen(OPEN, reflex=False))]
    assert story.machine.turn is Turn.LISTENING
    assert story.talk(False) == [(NEAR, Listen(SILENT, reflex=False))]
    assert story.machine.turn is Turn.WAITING


def test_a_button_held_since_before_they_answered_is_held() -> None:
    story = Story(push_to_talk=True)
    story.talk(True)
    assert (NEAR, Listen(OPEN, reflex=False)) in story.far(Opened())


def test_a_muted_box_does_not_talk_however_long_the_button_is_held() -> None:
    story = Story(push_to_talk=True)
    story.far(Opened())
    story.mute(True)
    assert story.talk(True) == []
    assert story.machine.turn is Turn.MUTED


def test_pushed_to_talk_a_caller_who_goes_on_and_on_is_no_idle_call() -> None:
    story = Story(push_to_talk=True)
    story.far(Opened())
    story.far(Audio(HISS))
    assert not story.machine.speaking
    story.far(Audio(VOICE))
    assert story.machine.speaking
    story.wait()
    assert not story.machine.speaking
    assert story.at == pytest.approx(1000.0 + TALKS_S)


def test_a_press_hangs_up_also_while_the_caller_talks() -> None:
    story = Story()
    story.far(Opened())
    story.far(Audio(VOICE))
    assert not story.machine.speaking, "there is no agent that a press would stop"


def test_a_recording_for_the_room_opens_no_microphone() -> None:
    story = Story(listens=False)
    orders = story.far(Opened())
    assert not [side for side, command in orders if side is NEAR], "nor is the recording cut off that has begun"
    assert story.machine.turn is Turn.ANNOUNCING
    story.mute(True)
    assert story.mute(False) == [(NEAR, Tone("unmuted"))]


def test_hanging_up_tells_both_sides_once_and_then_nothing_is_ordered() -> None:
    story = Story()
    story.far(Opened())
    assert story.machine.leave("bye", 10.0, 1001.0) == [(NEAR, HangUp("bye")), (FAR, HangUp("bye"))]
    assert story.machine.over == Closed(End.HUNG_UP, "bye")
    assert story.machine.hang_up("bye") == []
    for event in (Opened(), Audio(VOICE), Listening(OPEN), Closed(End.LINK_LOST, "late")):
        assert story.near(event) == story.far(event) == []
    assert story.talk(True) == story.mute(True) == story.machine.expire(2000.0) == []
    assert story.machine.over == Closed(End.HUNG_UP, "bye")


@pytest.mark.parametrize("beep", [False, True])
def test_a_call_given_up_while_it_rings_waits_for_nothing_any_more(beep: bool) -> None:
    """A deadline that has passed and is never met would be waited for again and again, without a pause."""
    story = Story(beep=beep, push_to_talk=True)
    story.far(Progress(Stage.RINGING))
    story.far(Opened())
    story.far(Audio(VOICE))
    story.machine.hang_up("bye")
    assert story.machine.deadline is None
    ringing = Story()
    ringing.far(Progress(Stage.RINGING))
    ringing.machine.hang_up("bye")
    assert ringing.machine.deadline is None


def test_when_one_side_is_gone_the_other_is_told_why() -> None:
    story = Story()
    story.far(Opened())
    assert story.near(Closed(End.CARD_LOST, "unplugged")) == [(FAR, HangUp("unplugged"))]
    assert story.machine.over == Closed(End.CARD_LOST, "unplugged")
    other = Story()
    assert other.far(Closed(End.BUSY, "busy")) == [(NEAR, HangUp("busy", fades=True))]


def test_nobody_here_calls_tools_or_takes_keys() -> None:
    story = Story()
    story.far(Opened())
    assert story.machine.tool_result("1", "done") == []
    assert story.far(Digit("5")) == []
    assert ToolResult("1", "done") not in [command for _, command in story.far(SpeechStarted())]
