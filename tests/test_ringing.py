"""The telephone rings at the box, and the box rings somebody: what the owner hears and sees of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.appliance import FAULT_SHOWN_S, PUSH_IDLE_S, RING_FOR_S, RING_S, TICK_S, Appliance
from edgevoice.events import REFUSALS, Closed, End
from edgevoice.happenings import (
    AnswerCall,
    CallAsked,
    CallEnded,
    CallOpened,
    CardLost,
    CardReady,
    Decline,
    EndCall,
    HangUpAsked,
    Happening,
    Mute,
    MuteAsked,
    PlaceCall,
    Pressed,
    Released,
    RingingEnded,
    Rings,
    Sound,
    StopAsked,
    Stopped,
    Talk,
    TryAsked,
    TurnChanged,
)
from edgevoice.light import BOX_PATTERNS, CAUSE_PATTERNS, TURN_PATTERNS, Box, Turn
from tests.test_appliance import HUNG_UP, LINK_LOST, Story

RING = Rings("twilio")
FRIEND = Rings("twilio", allowed=True)
PHONE = "twilio:+46700000003"


def resting(**options: object) -> Story:
    story = Story(**options)
    story(CardReady())
    return story


def ringing(**options: object) -> Story:
    story = resting(**options)
    assert story(RING) == [Sound("ringing")]
    return story


# -------------------------------------------------------------------------------------------------- it rings


def test_it_rings_with_tone_and_light_and_a_press_answers() -> None:
    story = ringing()
    assert (story.box.state, story.box.light) == (Box.RINGING, BOX_PATTERNS[Box.RINGING])
    assert story.press() == [AnswerCall(beep=False)]
    assert story.box.state is Box.CONNECTING
    assert story(CallOpened()) == []
    assert story.box.state is Box.IN_CALL
    assert story.press() == [EndCall("hung up at the box")]
    assert story(HUNG_UP) == [Sound("ended")]
    assert story.box.state is Box.IDLE


def test_it_rings_again_and_again_until_somebody_comes() -> None:
    story = ringing()
    began = story.at
    for times in range(1, 4):
        assert story.wait() == [Sound("ringing")]
        assert story.at - began == pytest.approx(times * RING_S)
    assert story.press() == [AnswerCall(beep=False)]
    assert story.box.deadline is None or story.box.deadline > story.at


def test_nobody_comes_and_the_caller_is_let_go() -> None:
    story = ringing()
    began, times = story.at, round(RING_FOR_S / RING_S)
    assert [story.wait() for _ in range(times - 1)] == [[Sound("ringing")]] * (times - 1)
    assert story.wait() == [Decline("nobody answered at the box")]
    assert story.box.state is Box.IDLE
    assert story.at - began == pytest.approx(RING_FOR_S)


def test_the_caller_gives_up_and_the_box_falls_silent() -> None:
    story = ringing()
    assert story(RingingEnded()) == []
    assert (story.box.state, story.box.deadline) == (Box.IDLE, None)
    assert story.press() == [PlaceCall("parrot")], "the button calls again, and not who has gone"


def test_a_press_as_the_caller_gives_up_is_a_short_call_and_no_fault() -> None:
    story = ringing()
    story.press()
    assert story(RingingEnded()) == []
    assert story(CallEnded(Closed(End.LINK_LOST, "the line is gone"))) == [Sound("ended")]
    assert story.box.state is Box.IDLE


def test_while_it_rings_another_caller_hears_busy() -> None:
    story = ringing()
    assert not story.box.free
    assert story(Rings("elks")) == [Decline("the box is in another call")]
    assert story.box.state is Box.RINGING
    story.press()
    story(CallOpened())
    assert not story.box.free
    assert story(FRIEND) == [Decline("the box is in another call")]
    assert story.box.state is Box.IN_CALL


def test_a_box_that_is_connecting_or_in_a_call_or_without_a_card_is_busy() -> None:
    story = Story()
    assert not story.box.free
    story(CardReady())
    assert story.box.free
    story.press()
    assert not story.box.free
    story(CallOpened())
    assert not story.box.free
    story(HangUpAsked())
    story(CardLost("gone"))
    story(HUNG_UP)
    assert not story.box.free
    assert story(RING) == [Decline("the box is in another call")]
    assert story.box.state is Box.FAULT
    story(CardReady())
    assert story.box.free


def test_hanging_up_at_the_box_declines() -> None:
    story = ringing()
    assert story(HangUpAsked()) == [Decline("declined at the box")]
    assert story.box.state is Box.IDLE


def test_who_calls_somebody_else_meanwhile_has_declined() -> None:
    story = ringing()
    assert story(CallAsked("openai")) == [Decline("the box calls somebody else"), PlaceCall("openai")]
    story(CallOpened())
    story(LINK_LOST)
    assert story.box.state is Box.WAITING_TO_RETRY, "this one was ours, and is made again"


def test_a_card_that_is_pulled_while_it_rings_lets_the_caller_go() -> None:
    story = ringing()
    assert story(CardLost("the card is gone")) == [Decline("the card is gone")]
    assert (story.box.state, story.box.fault) == (Box.FAULT, "the card is gone")
    assert story(RingingEnded()) == []
    assert story.box.state is Box.FAULT
    story(CardReady())
    assert story.box.state is Box.IDLE


def test_a_box_that_is_stopped_while_it_rings_declines_first() -> None:
    story = ringing()
    assert story(StopAsked()) == [Decline("the box is being stopped"), Stopped()]
    assert not story.box.free
    assert story(RingingEnded()) == []


def test_a_fault_that_is_shown_keeps_nobody_from_calling() -> None:
    story = resting(button=PHONE)
    story.press()
    story(CallEnded(Closed(End.BUSY, "busy")))
    assert story.box.cause is End.BUSY
    assert story(RING) == [Sound("ringing")]
    assert story.box.light == BOX_PATTERNS[Box.RINGING]
    assert (story.box.fault, story.box.cause) == ("", None)


# ---------------------------------------------------------------------------------------- answered by itself


def test_only_an_allowed_caller_is_answered_by_itself_and_with_a_beep() -> None:
    assert resting(auto_answer=True)(FRIEND) == [AnswerCall(beep=True)]
    assert resting(auto_answer=True)(RING) == [Sound("ringing")]
    assert resting(auto_answer=False)(FRIEND) == [Sound("ringing")]


def test_a_caller_who_is_not_allowed_is_answered_without_a_beep_by_hand() -> None:
    story = resting(auto_answer=True)
    story(RING)
    assert story.press() == [AnswerCall(beep=False)]


def test_an_allowed_caller_finds_the_box_busy_like_anybody() -> None:
    story = ringing(auto_answer=True)
    assert story(FRIEND) == [Decline("the box is in another call")]


def test_a_muted_box_answers_muted() -> None:
    story = resting(auto_answer=True)
    story(MuteAsked(True))
    story(FRIEND)
    assert story(CallOpened()) == [Mute(True)]


# -------------------------------------------------------------------------- what a call that came in never does


@pytest.mark.parametrize("end", [end for end in End if end is not End.CARD_LOST])
def test_who_called_us_is_never_called_back_by_itself(end: End) -> None:
    story = ringing(fallback="openai")
    story.press()
    story(CallOpened())
    effects = story(CallEnded(Closed(end, "over")))
    assert effects == [Sound("ended")]
    assert (story.box.state, story.box.deadline) == (Box.IDLE, None)
    assert story.press() == [PlaceCall("parrot")]


def test_a_caller_whose_line_broke_before_it_opened_is_not_called_back_either() -> None:
    story = ringing(fallback="openai")
    story.press()
    assert story(LINK_LOST) == [Sound("ended")]
    assert story.box.state is Box.IDLE


def test_a_card_lost_in_such_a_call_shows_the_fault_and_calls_nobody_when_it_is_back() -> None:
    story = ringing()
    story.press()
    story(CallOpened())
    story(CardLost("gone"))
    assert story(CallEnded(Closed(End.CARD_LOST, "gone"))) == []
    assert story.box.state is Box.FAULT
    assert story(CardReady()) == []
    assert story.box.state is Box.IDLE


def test_a_call_that_comes_in_has_a_longest_time_too() -> None:
    story = ringing(max_s=60.0)
    story.press()
    story(CallOpened())
    (ended,) = story.wait()
    assert isinstance(ended, EndCall)
    assert ended.reason == "the longest time of a call is over"


# ------------------------------------------------------------------------------------------------ other boxes


def test_a_box_that_is_always_on_rings_between_two_calls_and_then_goes_on() -> None:
    story = resting(at_start="parrot")
    story(CallOpened())
    assert not story.box.free
    story(LINK_LOST)
    assert story.box.state is Box.WAITING_TO_RETRY
    assert story(RING, after=0.5) == [Sound("ringing")]
    assert story.press() == [AnswerCall(beep=False)]
    story(CallOpened())
    story.press()
    assert story(HUNG_UP) == [Sound("ended")]
    assert story.wait() == [PlaceCall("parrot")]


def test_a_box_that_is_always_on_and_declines_goes_on() -> None:
    story = resting(at_start="parrot")
    story(CallOpened())
    story(LINK_LOST)
    story(RING, after=0.5)
    assert story(HangUpAsked()) == [Decline("declined at the box")]
    assert story.wait() == [PlaceCall("parrot")]


def test_pushed_to_talk_the_press_that_answers_talks_as_long_as_it_is_held() -> None:
    story = ringing(push_to_talk=True)
    assert story(Pressed()) == [AnswerCall(beep=False)]
    assert story(CallOpened()) == [Talk(True)]
    assert story.release() == [Talk(False)]


def test_pushed_to_talk_a_caller_who_talks_is_not_cut_off() -> None:
    story = ringing(push_to_talk=True)
    story.press()
    story(CallOpened())
    story(TurnChanged(Turn.WAITING, speaking=True))
    assert story.box.deadline is not None
    assert story.box.deadline - story.at > PUSH_IDLE_S
    story(TurnChanged(Turn.WAITING, speaking=False), after=2 * PUSH_IDLE_S)
    quiet_since = story.at
    assert story.wait() == [EndCall("hung up at the box")]
    assert story.at == pytest.approx(quiet_since + PUSH_IDLE_S)


def test_a_press_that_bounces_answers_once() -> None:
    story = ringing()
    assert story(Pressed()) == [AnswerCall(beep=False)]
    story(Released(), after=0.01)
    assert story(Pressed(), after=0.005) == []
    assert story.box.state is Box.CONNECTING


# -------------------------------------------------------------------------------------- the box calls somebody


def test_until_they_answer_the_light_shows_that_it_is_connecting() -> None:
    story = resting(button=PHONE)
    assert story.press() == [PlaceCall(PHONE)]
    assert story.box.light == BOX_PATTERNS[Box.CONNECTING]
    assert story.wait() == [Sound("waiting")]
    assert story.press() == [EndCall("hung up at the box")]
    assert story(CallEnded(Closed(End.NO_ANSWER, "nobody answered"))) == [Sound("ended")], "it was given up here"
    assert story.box.state is Box.IDLE


REFUSED_WITH = {
    End.BUSY: "busy",
    End.NO_ANSWER: "no answer",
    End.WRONG_NUMBER: "wrong number",
    End.NO_CREDIT: "refused",
    End.BAD_CREDENTIALS: "refused",
    End.REFUSED: "refused",
}


@pytest.mark.parametrize(("end", "tone"), REFUSED_WITH.items(), ids=lambda end: str(end))
def test_why_nobody_was_reached_is_heard_and_seen(end: End, tone: str) -> None:
    story = resting(button=PHONE)
    story.press()
    assert story(CallEnded(Closed(end, "a sentence for the owner"))) == [Sound(tone)]
    assert (story.box.state, story.box.fault) == (Box.FAULT, "a sentence for the owner")
    assert story.box.light == CAUSE_PATTERNS.get(end, BOX_PATTERNS[Box.FAULT])
    failed_at = story.at
    assert story.wait() == [], "nobody is rung again by itself"
    assert (story.box.state, story.at) == (Box.IDLE, pytest.approx(failed_at + FAULT_SHOWN_S))


def test_every_refusal_is_told_and_each_cause_looks_different() -> None:
    assert set(REFUSED_WITH) == REFUSALS
    looks = [(shown.rgb, shown.on_s, shown.off_s) for shown in [*CAUSE_PATTERNS.values(), BOX_PATTERNS[Box.FAULT]]]
    assert len(set(looks)) == len(looks)


def test_with_one_lamp_an_open_microphone_looks_like_nothing_else() -> None:
    shown = [*BOX_PATTERNS.values(), *CAUSE_PATTERNS.values(), *TURN_PATTERNS.values()]
    rhythms = [(one.on_s, one.off_s, one.fade_s, one.rgb == (0, 0, 0)) for one in shown]
    for one, rhythm in zip(shown, rhythms, strict=True):
        if one.microphone:
            assert rhythms.count(rhythm) == 1, one.name


def test_after_a_fault_a_press_tries_the_same_number_again() -> None:
    story = resting(button="parrot")
    story(CallAsked(PHONE))
    story(CallEnded(Closed(End.BUSY, "busy")))
    assert story.press() == [PlaceCall(PHONE)]


def test_a_number_that_is_busy_is_not_an_excuse_to_forget_the_fallback() -> None:
    story = resting(button=PHONE, fallback="openai")
    story.press()
    assert story(CallEnded(Closed(End.BUSY, "busy"))) == [Sound("busy"), PlaceCall("openai")]
    story(CallOpened())
    assert story(HUNG_UP) == [Sound("ended")]
    assert story.box.state is Box.IDLE


def test_a_service_that_cannot_be_reached_is_tried_again() -> None:
    story = resting(button=PHONE)
    story.press()
    assert story(LINK_LOST) == [Sound("trouble")]
    assert story.wait() == [PlaceCall(PHONE)]


def test_after_a_call_that_came_in_our_own_calls_are_tried_again_as_ever() -> None:
    story = ringing()
    story.press()
    story(CallOpened())
    story(HUNG_UP)
    story.press()
    assert story(LINK_LOST) == [Sound("trouble")]
    assert story.wait() == [PlaceCall("parrot")]


def test_it_rings_while_somebody_tries_the_button_and_the_press_answers() -> None:
    story = resting()
    story(TryAsked(10.0))
    assert story(RING) == [Sound("ringing")]
    assert story.press() == [AnswerCall(beep=False)]
    assert not story.box.felt


# ------------------------------------------------------------------------------------------------- a random walk

HAPPENINGS = st.sampled_from(
    [
        *(RING, FRIEND, RingingEnded(), Pressed(), Released(), HangUpAsked(), CallAsked(PHONE), MuteAsked(None)),
        *(CardReady(), CardLost("gone"), CallOpened(), CallOpened(), TryAsked(9.0), None, None),
        *(CallEnded(Closed(end, "so it ended")) for end in End),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(HAPPENINGS, max_size=60), st.booleans(), st.booleans(), st.sampled_from(["", "parrot"]))
def test_whoever_rings_is_answered_or_declined_or_gives_up(
    happenings: list[Happening | None], push_to_talk: bool, auto_answer: bool, at_start: str
) -> None:
    box = Appliance(button="parrot", push_to_talk=push_to_talk, auto_answer=auto_answer, at_start=at_start)
    at, calling, visitor = 0.0, False, False
    for happening in happenings:
        match happening:
            case Rings() if visitor:
                continue  # the one place at the door is taken
            case Rings():
                visitor = True
            case RingingEnded() if not visitor or calling:
                continue
            case RingingEnded():
                visitor = False
            case CallOpened() | CallEnded() if not calling:
                continue
            case CallEnded():
                calling = visitor = False
            case _:
                pass
        at = at + 0.3 if happening else (box.deadline or at + 1)
        effects = box.receive(happening, at) if happening else box.expire(at)
        for effect in effects:
            match effect:
                case Decline():
                    assert visitor, "somebody is there to be declined"
                    visitor = False
                case AnswerCall(beep):
                    assert visitor
                    assert not calling
                    assert not beep or auto_answer
                    calling = True
                case PlaceCall():
                    assert not calling, "never two calls at once"
                    calling = True
                case _:
                    pass
        assert (box.state is Box.RINGING) == (visitor and not calling)
        assert (box.state in (Box.CONNECTING, Box.FALLING_BACK, Box.IN_CALL)) == calling
        if box.state in (Box.TRIED, Box.CONNECTING, Box.RINGING, Box.WAITING_TO_RETRY):
            assert box.deadline is not None, "no state waits for ever"


def test_a_call_that_was_answered_and_does_not_open_ticks() -> None:
    story = ringing()
    story.press()
    answered_at = story.at
    assert story.wait() == [Sound("waiting")]
    assert story.at - answered_at <= TICK_S
