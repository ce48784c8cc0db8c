"""The box as its owner meets it: button, card, call, retry, and what the light says meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.appliance import (
    DRAIN_S,
    FAULT_SHOWN_S,
    PUSH_IDLE_S,
    TICK_S,
    Appliance,
)
from edgevoice.contact import BOUNCE_S, RELEASE_S
from edgevoice.errands import GOODBYE_S
from edgevoice.events import Closed, End, ToolCalled
from edgevoice.happenings import (
    CallAsked,
    CallEnded,
    CallOpened,
    CardLost,
    CardReady,
    Connect,
    Effect,
    EndCall,
    HangUpAsked,
    Happening,
    HeldLong,
    Mute,
    MuteAsked,
    NetworkBack,
    OpenRelay,
    PartTold,
    PlaceCall,
    PowerOff,
    Pressed,
    Released,
    Sound,
    StopAsked,
    Stopped,
    Talk,
    ToolDone,
    TryAsked,
    TurnChanged,
    TurnVolume,
)
from edgevoice.light import BOX_PATTERNS, OFF, OUT_OF_ORDER, Box, Turn
from edgevoice.redial import AWAY_AGAIN_S, AWAY_S, REACH_S, REFUSED_S, RETRY_S
from edgevoice.tools import Toolbox

TOOLS = {
    "parrot": Toolbox(("hang_up", "set_volume", "open_relay", "call"), ("door",), {"the owner": "sip:owner"}),
    "openai": Toolbox(("set_volume",)),
}
HUNG_UP = CallEnded(Closed(End.HUNG_UP, "hung up"))
LINK_LOST = CallEnded(Closed(End.LINK_LOST, "the network went away"))
REFUSED = CallEnded(Closed(End.REFUSED, "the key is wrong"))
NO_WAY = CallEnded(Closed(End.LINK_LOST, "no route to host", unreached=True))


class Story:
    """A box and the clock."""

    def __init__(self, **options: Any) -> None:
        self.box = Appliance(**({"button": "parrot", "tools": TOOLS} | options))
        self.at = 1000.0

    def __call__(self, happening: Happening, *, after: float = 1.0) -> list[Effect]:
        self.at += after
        return self.box.receive(happening, self.at)

    def press(self) -> list[Effect]:
        effects = self(Pressed(stops=self.box.speaking))
        return effects + self.release(after=0.1)

    def release(self, *, after: float = 1.0) -> list[Effect]:
        """Let go of the button, and let the contact come to rest."""
        assert self(Released(), after=after) == []
        self.at += RELEASE_S
        return self.box.expire(self.at)

    def wait(self) -> list[Effect]:
        assert self.box.deadline is not None
        self.at = max(self.at, self.box.deadline)
        return self.box.expire(self.at)

    @property
    def state(self) -> Box:
        return self.box.state


def idle(**options: Any) -> Story:
    story = Story(**options)
    story(CardReady())
    return story


def in_call(**options: Any) -> Story:
    story = idle(**options)
    if not options.get("at_start"):
        story.press()
    story(CallOpened())
    story(TurnChanged(Turn.LISTENING))
    return story


def test_a_press_calls_and_another_hangs_up() -> None:
    story = idle()
    assert story.state is Box.IDLE
    assert story.press() == [PlaceCall("parrot")]
    assert story.state is Box.CONNECTING
    story(CallOpened())
    assert story.state is Box.IN_CALL
    story(TurnChanged(Turn.LISTENING))
    assert story.press() == [EndCall("hung up at the box")]
    assert story(HUNG_UP) == [Sound("ended")]
    assert story.state is Box.IDLE


def test_a_press_while_the_agent_speaks_does_not_hang_up() -> None:
    story = in_call()
    story(TurnChanged(Turn.SPEAKING, speaking=True))
    assert story.press() == []
    story(TurnChanged(Turn.LISTENING))
    assert story.press() == [EndCall("hung up at the box")]


def test_a_press_while_somebody_is_suspected_of_talking_over_the_agent_stops_it() -> None:
    story = in_call()
    story(TurnChanged(Turn.SUSPECTING, speaking=True))
    assert story.press() == []


def test_a_press_that_stopped_the_agent_does_not_hang_up_though_it_is_told_late() -> None:
    story = in_call()
    story(TurnChanged(Turn.SPEAKING, speaking=True))
    story(TurnChanged(Turn.LISTENING))  # the audio thread was quicker
    assert story(Pressed(stops=True)) == []


def test_a_contact_that_bounces_when_let_go_does_not_hang_up() -> None:
    story = idle()
    story(Pressed())
    story(Released(), after=0.35)
    assert story(Pressed(), after=0.001) == []
    story(Released(), after=0.001)
    story.wait()
    assert story.state is Box.CONNECTING


def test_a_contact_that_bounces_when_pushed_to_talk_still_talks() -> None:
    story = in_call(push_to_talk=True)
    assert story(Pressed()) == [Talk(True)]
    assert story(Released(), after=0.001) == []
    assert story(Pressed(), after=0.001) == []
    assert story.release(after=2.0) == [Talk(False)]


def test_an_old_request_does_not_open_the_microphone_later() -> None:
    story = in_call()
    story(CallAsked("openai"))
    story(CardLost("gone"))
    story(CallEnded(Closed(End.CARD_LOST, "gone")))
    story(CardReady())
    story.press()
    story(CallOpened())
    story.press()
    assert story(HUNG_UP) == [Sound("ended")]


def test_hanging_up_takes_back_what_ctl_asked_for() -> None:
    story = in_call()
    story(CallAsked("openai"))
    story(HangUpAsked())
    assert story(HUNG_UP) == [Sound("ended")]


def test_a_goodbye_is_not_redialled_and_can_be_cut_short() -> None:
    story = in_call()
    story(ToolCalled("1", "hang_up", ""))
    assert story.press() == [EndCall("hung up at the box")]
    assert story(LINK_LOST) == [Sound("ended")]
    assert story.state is Box.IDLE


def test_a_long_answer_is_not_cut_off_because_nobody_presses() -> None:
    story = in_call(push_to_talk=True)
    story(TurnChanged(Turn.SPEAKING, speaking=True))
    story.at += 2 * PUSH_IDLE_S
    assert story.box.expire(story.at) == []


def test_a_press_while_muted_and_spoken_to_stops_the_agent() -> None:
    story = in_call()
    story(TurnChanged(Turn.MUTED, speaking=True))
    assert story.press() == []
    story(TurnChanged(Turn.MUTED, speaking=False))
    assert story.press() == [EndCall("hung up at the box")]


def test_a_box_that_is_always_on_leaves_a_service_that_refused_it_alone() -> None:
    story = Story(at_start="openai", fallback="parrot")
    assert story(CardReady()) == [Sound("awake"), PlaceCall("openai")]
    refused_at = story.at + 1.0
    assert story(REFUSED) == [Sound("refused"), PlaceCall("parrot")]
    story(HUNG_UP)
    assert story.wait() == [PlaceCall("openai")]
    assert story.at >= refused_at + REFUSED_S


def test_nothing_begins_once_the_box_is_being_stopped() -> None:
    story = Story(at_start="parrot")
    assert story(StopAsked()) == [Stopped()]
    assert story(CardReady()) == []
    assert story(CallAsked("parrot")) == []


def test_fifty_presses_in_a_second_are_a_bouncing_contact() -> None:
    story = idle()
    effects: list[Effect] = []
    for _ in range(50):
        effects += story(Pressed(), after=0.01)
        effects += story(Released(), after=0.01)
    assert effects.count(PlaceCall("parrot")) == 1
    assert len(effects) <= 1 / BOUNCE_S


def test_connecting_ticks_and_can_be_given_up() -> None:
    story = idle()
    story.press()
    began = story.at
    assert story.wait() == [Sound("waiting")]
    assert story.at == pytest.approx(began + TICK_S, abs=0.2)
    assert story.press() == [EndCall("hung up at the box")]
    story(HUNG_UP)
    assert story.state is Box.IDLE


def test_a_broken_link_is_tried_again_with_growing_delays_then_given_up() -> None:
    story = idle()
    story.press()
    waits = []
    for _ in RETRY_S:
        assert story(LINK_LOST) == [Sound("trouble")]
        assert story.state is Box.WAITING_TO_RETRY
        assert story.box.fault == "the network went away"
        began = story.at
        assert story.wait() == [PlaceCall("parrot")]
        waits.append(story.at - began)
    assert waits == pytest.approx(RETRY_S)
    story(LINK_LOST)
    assert story.state is Box.FAULT
    story.wait()
    assert story.state is Box.IDLE


def test_when_the_network_is_back_nobody_waits_any_longer() -> None:
    story = idle()
    story.press()
    for _ in RETRY_S[:-1]:
        story(LINK_LOST)
        story.wait()
    story(LINK_LOST)
    assert story(NetworkBack()) == [PlaceCall("parrot")], "of half a minute"
    assert story(NetworkBack()) == [], "it is being called"


def test_the_network_coming_back_is_nothing_to_a_box_that_rests_or_was_refused() -> None:
    assert idle()(NetworkBack()) == []
    always_on = Story(at_start="openai", fallback="parrot")
    always_on(CardReady())
    always_on(REFUSED)
    always_on(HUNG_UP)
    assert always_on.state is Box.WAITING_TO_RETRY
    assert always_on(NetworkBack()) == []


def never_there(story: Story) -> None:
    pass


def calling(story: Story) -> None:
    story(LINK_LOST, after=0.0)
    story.wait()


def connected(story: Story) -> None:
    story(CallOpened())


def talked(story: Story) -> None:
    story(CallOpened())
    story.at += 100.0


@pytest.mark.parametrize("before", [never_there, calling, connected, talked])
def test_ten_minutes_without_a_network_end_within_5_s_for_a_box_that_is_always_on(
    before: Callable[[Story], None],
) -> None:
    story = Story(at_start="openai", fallback="parrot")
    story(CardReady())
    before(story)
    if story.state is Box.IN_CALL:
        story(LINK_LOST)
        story.wait()
    began, tried = story.at, []
    while story.at < began + 600.0:
        story(NO_WAY, after=0.0)
        assert PlaceCall("openai") in story.wait()
        tried.append(story.at)
    assert {round(b - a, 6) for a, b in pairwise(tried)} == {AWAY_AGAIN_S}
    assert story.box.failures >= 600 / AWAY_AGAIN_S
    story(CallOpened())
    assert story.state is Box.IN_CALL


def test_who_pressed_the_button_is_called_for_a_minute_then_told_and_calls_at_once_with_the_next_press() -> None:
    story = idle(button="openai")
    story.press()
    began = story.at
    while story.state is not Box.FAULT:
        story(NO_WAY, after=0.0)
        if story.state is Box.WAITING_TO_RETRY:
            story.wait()
    assert AWAY_S <= story.at - began < AWAY_S + AWAY_AGAIN_S
    assert story.press() == [PlaceCall("openai")]


def test_a_server_that_closes_at_once_makes_no_hot_loop() -> None:
    story = idle(at_start="parrot")
    began = story.at
    for _ in range(20):
        story(CallOpened(), after=0.01)
        story(LINK_LOST, after=0.01)
        story.wait()
    assert story.at - began > 15 * RETRY_S[-1]


def test_a_box_that_is_always_on_calls_again_for_ever() -> None:
    story = Story(at_start="parrot")
    assert story(CardReady()) == [Sound("awake"), PlaceCall("parrot")]
    for _ in range(50):
        story(LINK_LOST)
        assert story.wait() == [PlaceCall("parrot")]
    story(CallOpened())
    assert story(HUNG_UP) == [Sound("ended")]
    assert story.wait() == [PlaceCall("parrot")]


def test_a_refusal_is_not_retried_until_somebody_presses() -> None:
    story = idle()
    story.press()
    assert story(REFUSED) == [Sound("refused")]
    assert (story.state, story.box.fault) == (Box.FAULT, "the key is wrong")
    assert story.press() == [PlaceCall("parrot")]
    story(REFUSED)
    began = story.at
    story.wait()
    assert story.at == pytest.approx(began + FAULT_SHOWN_S)
    assert story.state is Box.IDLE


def test_the_fallback_is_called_when_the_button_agent_refuses() -> None:
    story = idle(button="openai", fallback="parrot")
    story.press()
    assert story(REFUSED) == [Sound("refused"), PlaceCall("parrot")]
    story(REFUSED)
    assert story.state is Box.FAULT, "but only once"


def falling_back(**options: Any) -> Story:
    story = idle(**({"button": "openai", "fallback": "sip:help"} | options))
    assert story.press() == [PlaceCall("openai")]
    return story


def test_an_agent_that_is_not_there_in_time_gives_way_to_the_fallback() -> None:
    story = falling_back()
    began = story.at - 0.1 - RELEASE_S
    assert story.wait() == [Sound("waiting")]
    assert story.wait() == [EndCall("openai could not be reached within 3 s")]
    assert story.at == pytest.approx(began + REACH_S)
    assert story(HUNG_UP, after=0.01) == [Sound("trouble"), PlaceCall("sip:help")]
    assert story.state is Box.FALLING_BACK
    assert (story.box.instead, story.box.target) == ("openai could not be reached within 3 s", "sip:help")
    story.wait()
    assert story(CallOpened()) == []
    assert (story.state, story.box.instead) == (Box.IN_CALL, "openai could not be reached within 3 s")
    assert story(HUNG_UP) == [Sound("ended")]
    assert (story.state, story.box.instead) == (Box.IDLE, "")


def test_an_agent_that_is_there_in_time_is_talked_with_for_long() -> None:
    story = falling_back()
    story(CallOpened(), after=2.0)
    story.at += 2 * REACH_S
    assert story.box.expire(story.at) == []
    assert story.state is Box.IN_CALL


def test_a_link_that_is_refused_at_once_is_tried_once_more_before_the_fallback() -> None:
    story = falling_back()
    assert story(LINK_LOST, after=0.0) == [Sound("trouble")]
    assert story.state is Box.WAITING_TO_RETRY
    assert story.wait() == [PlaceCall("openai")]
    assert story(LINK_LOST, after=0.0) == [Sound("trouble"), PlaceCall("sip:help")]
    assert story.at - 1000 < 2 + REACH_S


def test_a_link_that_dies_in_the_call_gives_way_to_the_fallback() -> None:
    story = falling_back()
    story(CallOpened())
    story(TurnChanged(Turn.RECONNECTING), after=60.0)
    assert story(LINK_LOST, after=10.0) == [Sound("trouble"), PlaceCall("sip:help")]
    assert story.box.instead == "the network went away"


def test_a_press_while_falling_back_gives_up() -> None:
    story = falling_back()
    story(REFUSED)
    assert story.state is Box.FALLING_BACK
    assert story.press() == [EndCall("hung up at the box")]
    assert story(HUNG_UP) == [Sound("ended")]
    assert story.state is Box.IDLE


def test_a_press_in_the_moment_of_falling_back_ends_it() -> None:
    story = falling_back()
    story.wait()
    assert story.wait() == [EndCall("openai could not be reached within 3 s")]
    story(HangUpAsked(), after=0.0)
    assert story(HUNG_UP) == [Sound("ended")]


def test_a_fallback_that_cannot_be_had_either_is_a_fault_and_the_next_press_tries_the_agent() -> None:
    story = falling_back()
    story(REFUSED)
    assert story(CallEnded(Closed(End.NO_ANSWER, "nobody answered"))) == [Sound("no answer")]
    assert (story.state, story.box.fault) == (Box.FAULT, "nobody answered")
    assert story.press() == [PlaceCall("openai")]


def test_a_line_is_not_hurried() -> None:
    story = idle(button="sip:owner", fallback="parrot")
    story.press()
    for _ in range(5):
        assert story.wait() == [Sound("waiting")]


def test_a_box_that_is_always_on_wakes_nobody_because_the_network_is_away() -> None:
    story = Story(at_start="openai", fallback="sip:help")
    story(CardReady())
    for _ in range(20):
        assert PlaceCall("sip:help") not in [*story(LINK_LOST), *story.wait()]
    story(CallOpened())
    assert story(LINK_LOST, after=600.0) == [Sound("trouble")]
    assert story.wait() == [PlaceCall("openai")]


def test_without_a_card_the_fault_shows_and_a_press_does_nothing() -> None:
    story = Story()
    story(CardLost("card.capture does not open"))
    assert story.state is Box.FAULT
    assert story.press() == []
    story(CardReady())
    assert story.state is Box.IDLE


def test_a_card_lost_in_a_call_ends_it_and_a_kiosk_calls_again_when_it_is_back() -> None:
    story = in_call(at_start="parrot")
    story(CardLost("unplugged"))
    assert story.state is Box.IN_CALL, "until the call has ended"
    story(CallEnded(Closed(End.CARD_LOST, "unplugged")))
    assert (story.state, story.box.fault) == (Box.FAULT, "unplugged")
    assert story(CardReady()) == []
    assert story.wait() == [PlaceCall("parrot")]


def test_a_card_that_comes_and_goes_does_not_make_a_call_every_second() -> None:
    story = Story(at_start="parrot")
    story(CardReady())
    began, calls = story.at, 1
    while story.at < began + 120:
        story(CallEnded(Closed(End.CARD_LOST, "deaf")), after=0.5)
        story(CardLost("deaf"), after=0.0)
        assert story(CardReady(), after=0.5) == []
        calls += story.wait() == [PlaceCall("parrot")]
    assert calls <= 10


def test_push_to_talk_calls_talks_and_ends_by_itself() -> None:
    story = idle(push_to_talk=True)
    assert story(Pressed()) == [PlaceCall("parrot")]
    assert story(CallOpened()) == [Talk(True)], "the button is still down"
    assert story.release() == [Talk(False)]
    assert story(Pressed()) == [Talk(True)]
    assert story.release() == [Talk(False)]
    story(TurnChanged(Turn.WAITING))
    began = story.at
    assert story.wait() == [EndCall("hung up at the box")]
    assert story.at - began <= PUSH_IDLE_S


def test_a_call_has_a_longest_time() -> None:
    story = in_call(max_s=60.0)
    assert story.wait() == [EndCall("the longest time of a call is over", GOODBYE_S)]


def test_ctl_can_call_somebody_else_in_the_middle_of_a_call() -> None:
    story = in_call()
    assert story(CallAsked("openai")) == [EndCall("the person is connected to somebody else")]
    assert story(HUNG_UP) == [PlaceCall("openai")]


def test_hang_up_stops_the_trying_too() -> None:
    story = idle()
    story.press()
    story(LINK_LOST)
    assert story(HangUpAsked()) == []
    assert story.state is Box.IDLE


def test_hang_up_clears_a_fault_so_that_the_next_press_calls_whom_the_button_calls() -> None:
    story = idle()
    assert story(CallAsked("openai")) == [PlaceCall("openai")]
    story(REFUSED)
    assert story.state is Box.FAULT
    assert story(HangUpAsked()) == []
    assert (story.state, story.box.fault) == (Box.IDLE, "")
    assert story.press() == [PlaceCall("parrot")]


def test_hang_up_does_not_clear_the_fault_of_a_card_that_is_gone() -> None:
    story = idle()
    story(CardLost("gone"))
    assert story(HangUpAsked()) == []
    assert (story.state, story.box.fault) == (Box.FAULT, "gone")


def test_mute_outlasts_the_call() -> None:
    story = idle()
    assert story(MuteAsked(None)) == []
    assert story.box.muted
    story.press()
    assert story(CallOpened()) == [Mute(True)]
    assert story(MuteAsked(None)) == [Mute(False)]
    assert story(MuteAsked(False)) == []


def test_tools_are_done_and_bad_arguments_are_told_in_words() -> None:
    story = in_call()
    assert story(ToolCalled("1", "set_volume", '{"percent": 30}')) == [TurnVolume(30, "1")]
    (answer,) = story(ToolCalled("2", "set_volume", '{"percent": 300}'))
    assert isinstance(answer, ToolDone)
    assert answer.output.startswith("error: set_volume cannot be run")
    assert story(ToolCalled("3", "open_relay", '{"relay": "door"}')) == [OpenRelay("door", "3")]
    assert story(ToolCalled("4", "hang_up", "")) == [EndCall("the agent hung up", GOODBYE_S)]
    assert story(ToolCalled("5", "set_volume", '{"percent": 30}')) == [ToolDone("5", "error: the call is about to end")]


def test_an_agent_hands_the_person_over_when_it_has_said_so() -> None:
    story = in_call()
    assert story(ToolCalled("1", "call", '{"to": "the owner"}')) == [Connect("sip:owner", GOODBYE_S, "1")]
    assert story(CallAsked("sip:owner", GOODBYE_S), after=0.0) == [
        EndCall("the person is connected to somebody else", GOODBYE_S)
    ]
    assert story(HUNG_UP) == [PlaceCall("sip:owner")]
    assert story(CallEnded(Closed(End.BUSY, "busy"))) == [Sound("busy")]
    assert story.state is Box.FAULT


def test_who_presses_the_button_is_not_handed_over() -> None:
    story = in_call()
    story(CallAsked("sip:owner", GOODBYE_S))
    assert story.press() == [EndCall("hung up at the box")]
    assert story(HUNG_UP) == [Sound("ended")]


def test_a_tool_that_the_owner_did_not_allow_is_not_run() -> None:
    story = in_call(button="openai")
    assert story(ToolCalled("1", "hang_up", "{}")) == [ToolDone("1", "error: hang_up is not allowed here")]


def test_each_agent_has_its_own_tools_and_who_is_on_a_line_has_none() -> None:
    story = in_call()
    story(CallAsked("openai"))
    story(HUNG_UP)
    story(CallOpened())
    assert story(ToolCalled("1", "hang_up", "{}")) == [ToolDone("1", "error: hang_up is not allowed here")]
    story(CallAsked("sip:owner"))
    story(HUNG_UP)
    story(CallOpened())
    assert story(ToolCalled("1", "set_volume", "{}")) == [ToolDone("1", "error: set_volume is not allowed here")]


def test_presses_without_a_release_count_too() -> None:
    story = idle()
    assert story(Pressed()) == [PlaceCall("parrot")]
    assert story(Pressed()) == [EndCall("hung up at the box")]


def test_a_long_press_switches_off_only_where_that_is_allowed() -> None:
    assert idle()(HeldLong()) == []
    assert PowerOff() in idle(power_off=True)(HeldLong())


def test_stopping_ends_the_call_politely_and_then_the_program() -> None:
    assert idle()(StopAsked()) == [Stopped()]
    story = in_call()
    assert story(StopAsked()) == [EndCall("the box is being stopped", DRAIN_S)]
    assert story(HUNG_UP) == [Stopped()]


# -------------------------------------------------------------------------------------------------- being tried


def tried(**options: Any) -> Story:
    story = idle(**options)
    assert story(TryAsked(10.0)) == []
    assert (story.state, story.box.light.rgb, story.box.light.steady) == (Box.TRIED, (1.0, 1.0, 1.0), False)
    return story


@pytest.mark.parametrize("push_to_talk", [False, True])
def test_a_press_while_it_is_tried_is_felt_and_calls_nobody_nor_do_its_bounces(push_to_talk: bool) -> None:
    story = tried(push_to_talk=push_to_talk)
    assert story(Pressed()) == []
    assert story(Pressed(), after=0.01) == []
    assert story.release(after=0.1) == []
    assert (story.state, story.box.felt) == (Box.IDLE, True)
    assert story.press() == [PlaceCall("parrot")], "the next one calls again"


def test_when_nobody_presses_it_is_idle_again_and_nothing_was_felt() -> None:
    story = tried()
    asked_at = story.at
    assert story.wait() == []
    assert (story.state, story.box.felt, story.at) == (Box.IDLE, False, asked_at + 10.0)
    assert story.box.deadline is None


def test_a_box_that_shows_a_fault_or_waits_is_tried_and_then_goes_on_with_that() -> None:
    story = idle()
    story.press()
    story(REFUSED)
    shown_until = story.box.deadline
    story(TryAsked(10.0))
    assert story.press() == []
    assert (story.state, story.box.fault, story.box.felt) == (Box.FAULT, "the key is wrong", True)
    assert (story.box.cause, story.box.deadline) == (End.REFUSED, shown_until)
    kiosk = idle(at_start="parrot")
    kiosk(LINK_LOST)
    again_at = kiosk.box.deadline
    kiosk(TryAsked(10.0))
    assert kiosk.state is Box.TRIED
    assert kiosk.wait() == []
    assert (kiosk.state, kiosk.box.fault) == (Box.WAITING_TO_RETRY, "the network went away")
    assert kiosk.box.deadline == again_at, "which has passed meanwhile"
    assert kiosk.wait() == [PlaceCall("parrot")]


def test_who_hangs_up_while_a_fault_is_tried_has_cleared_it() -> None:
    story = idle()
    story.press()
    story(REFUSED)
    story(TryAsked(10.0))
    assert story(HangUpAsked()) == []
    assert story.wait() == []
    assert story.state is Box.IDLE


def test_what_was_felt_before_does_not_count() -> None:
    story = tried()
    story(Pressed())
    story.release()
    story(TryAsked(10.0))
    assert not story.box.felt


def test_a_call_that_is_asked_for_or_a_lost_card_ends_the_trying() -> None:
    assert tried()(CallAsked("openai")) == [PlaceCall("openai")]
    story = tried()
    story(CardLost("gone"))
    assert (story.state, story.box.fault, story.box.felt) == (Box.FAULT, "gone", False)


def test_who_holds_the_button_while_it_is_tried_switches_nothing_off() -> None:
    story = tried(power_off=True)
    story(Pressed())
    assert story(HeldLong()) == []
    story.release()
    story.press()
    assert PowerOff() in story(HeldLong()), "the next press is one as any other"


def test_a_box_in_a_call_is_not_tried() -> None:
    story = in_call()
    story(TryAsked(10.0))
    assert story.state is Box.IN_CALL
    assert isinstance(story.press()[0], EndCall)


def test_a_box_that_is_stopped_while_it_is_tried_stops_at_once() -> None:
    story = tried()
    assert story(StopAsked()) == [Stopped()]
    assert story.state is Box.IDLE


# ------------------------------------------------------------------------------------------------- a random walk

ENDS = st.builds(lambda end: CallEnded(Closed(end, "so it ended")), st.sampled_from(End))
HAPPENINGS = st.one_of(
    *(
        st.just(happening)
        for happening in (Pressed(), Pressed(stops=True), Released(), HeldLong(), CardReady(), HangUpAsked())
    ),
    *(
        st.just(happening)
        for happening in (CardLost("gone"), NetworkBack(), CallOpened(), CallAsked("openai"), TryAsked(9.0), None, None)
    ),
    st.builds(TurnChanged, st.sampled_from(Turn)),
    st.builds(MuteAsked, st.sampled_from([True, False, None])),
    st.just(CallAsked("sip:owner", GOODBYE_S)),
    st.builds(
        ToolCalled,
        st.just("1"),
        st.sampled_from(["hang_up", "set_volume", "open_relay", "call", "rm"]),
        st.sampled_from(["", "{", '{"to": "the owner"}', '{"relay": "door"}', '{"percent": 9}']),
    ),
    ENDS,
    ENDS,
)


@settings(max_examples=400)
@given(
    st.lists(HAPPENINGS, max_size=80),
    st.booleans(),
    st.sampled_from(["", "parrot"]),
    st.sampled_from(["", "openai", "sip:help"]),
    st.sampled_from(["parrot", "sip:door"]),
)
def test_whatever_happens_the_box_has_one_call_and_a_way_on(
    happenings: list[Happening | None], push_to_talk: bool, at_start: str, fallback: str, button: str
) -> None:
    box = Appliance(button=button, tools=TOOLS, push_to_talk=push_to_talk, at_start=at_start, fallback=fallback)
    at, calling, card = 0.0, False, False
    for happening in happenings:
        if isinstance(happening, CallOpened) and not calling:
            continue
        if isinstance(happening, CallEnded):
            if not calling:
                continue
            calling = False
        if isinstance(happening, CardReady | CardLost):
            card = isinstance(happening, CardReady)
        if happening is None:
            at = box.deadline if box.deadline is not None else at + 1
            effects = box.expire(at)
        else:
            at += 0.3
            effects = box.receive(happening, at)
        for effect in effects:
            if isinstance(effect, PlaceCall):
                assert not calling, "never two calls at once"
                calling = True
        assert (box.state in (Box.CONNECTING, Box.FALLING_BACK, Box.IN_CALL)) == calling
        assert not box.instead or fallback, "nobody is called instead of another who was not named for it"
        if box.state is Box.FALLING_BACK:
            assert (box.target, bool(box.instead)) == (fallback, True)
        if not card and not calling:
            assert box.state in (Box.FAULT, Box.STARTING), "a box without a card says so"
        if box.state in (Box.TRIED, Box.CONNECTING, Box.FALLING_BACK, Box.WAITING_TO_RETRY) or (
            box.state is Box.FAULT and card
        ):
            assert box.deadline is not None, "no state waits for ever"


# ------------------------------------------------------------------------------------------------- what does not work


def test_a_part_that_is_out_of_order_flashes_where_the_light_would_be_off_and_nowhere_else() -> None:
    story = idle()
    assert story(PartTold("panel", "GPIO busy")) == story(PartTold("relays", "GPIO busy")) == []
    assert (story.box.light, story.box.state) == (OUT_OF_ORDER, Box.IDLE)
    story(PartTold("panel", ""))
    assert story.box.out_of_order == {"relays": "GPIO busy"}
    story.press()
    assert story.box.light == BOX_PATTERNS[Box.CONNECTING]
    story(PartTold("relays", ""))
    story(CallEnded(Closed(End.HUNG_UP, "enough")))
    assert (story.box.light, story.box.out_of_order) == (OFF, {})


@pytest.mark.parametrize("end", [End.LINK_LOST, End.BROKEN, End.REFUSED, End.BAD_CREDENTIALS, End.NO_CREDIT])
def test_that_a_call_failed_is_known_until_one_succeeds(end: End) -> None:
    story = idle()
    story.press()
    story(CallEnded(Closed(end, "the service is ill")))
    while story.box.deadline is not None:  # it tries again, and gives up
        story.wait()
        if story.box.state is Box.CONNECTING:
            story(CallEnded(Closed(end, "the service is ill")))
    assert (story.box.state, story.box.fault, story.box.failed) == (Box.IDLE, "", "the service is ill")
    story.press()
    story(CallOpened())
    assert story.box.failed == ""


def test_a_person_who_is_busy_and_a_fallback_that_is_there() -> None:
    story = idle()
    story.press()
    story(CallEnded(Closed(End.BUSY, "they talk")))
    assert story.box.failed == ""
    story = idle(fallback="sip:reception")
    story.press()
    story(CallEnded(Closed(End.REFUSED, "no such model")))
    story(CallOpened())
    assert (story.box.state, story.box.failed) == (Box.IN_CALL, "no such model")
