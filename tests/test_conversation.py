"""Whose turn it is, told as stories: events of the two legs in, orders to them out, on a clock of our own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.conversation import ANSWER_S, CANCEL_S, PLAYED_S, Conversation, Detection, Orders, Side
from edgevoice.events import (
    Audio,
    BargedIn,
    BargeIn,
    Closed,
    Command,
    End,
    Event,
    HangUp,
    Interrupt,
    Listen,
    Listening,
    Mark,
    Opened,
    Play,
    Played,
    Respond,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    Tone,
    TurnCommitted,
    Uplink,
)
from edgevoice.light import Turn

RATE = 24_000
SECOND = bytes(2 * RATE)
NEAR, FAR = Side.NEAR, Side.FAR


class Story:
    """A conversation and the clock; `near`, `far` return the orders that an event makes."""

    def __init__(self, detection: Detection = Detection.SERVICE) -> None:
        self.conversation = Conversation(detection, RATE)
        self.at = 100.0

    def near(self, event: Event) -> Orders:
        orders = self.conversation.near(event, self.at)
        for _, command in orders:
            self._listen(command)
        return orders

    def far(self, event: Event) -> Orders:
        orders = self.conversation.far(event, self.at)
        for _, command in orders:
            self._listen(command)
        return orders

    def _listen(self, command: Command) -> None:
        """The card does at once what it is told of the microphone."""
        if isinstance(command, Listen):
            self.conversation.near(Listening(command.uplink), self.at)

    def wait_for_deadline(self) -> Orders:
        assert self.conversation.deadline is not None
        self.at = max(self.at, self.conversation.deadline)
        return self.conversation.expire(self.at)

    def speaking(self, response: str = "r1", seconds: int = 2) -> None:
        """Let the agent's response begin to sound."""
        self.far(ResponseStarted(response))
        for _ in range(seconds):
            self.far(Audio(SECOND, response))

    @property
    def turn(self) -> Turn:
        return self.conversation.turn


def opened(detection: Detection = Detection.SERVICE) -> Story:
    story = Story(detection)
    story.far(Opened())
    return story


def test_the_microphone_opens_when_the_agent_is_there() -> None:
    story = Story()
    assert story.turn is Turn.OPENING
    assert story.near(Opened()) == []
    assert story.far(Opened()) == [(NEAR, Tone("connected")), (NEAR, Listen(Uplink.OPEN))]
    assert story.turn is Turn.LISTENING


def test_the_persons_sound_goes_to_the_agent_and_the_agents_to_the_loudspeaker() -> None:
    story = opened()
    assert story.near(Audio(b"ab")) == [(FAR, Play(b"ab"))]
    assert story.far(TurnCommitted()) == [(FAR, Respond())]
    assert story.turn is Turn.THINKING
    story.far(ResponseStarted("r1"))
    assert story.far(Audio(SECOND, "r1")) == [(NEAR, Play(SECOND, "r1"))]
    assert story.turn is Turn.SPEAKING
    assert story.far(ResponseDone("r1")) == [(NEAR, Mark("r1", "r1"))]
    assert story.turn is Turn.SPEAKING, "made is not heard"
    assert story.near(Played("r1", "r1")) == []
    assert story.turn is Turn.LISTENING


def test_one_barge_in_makes_one_interrupt_and_late_audio_is_not_played() -> None:
    story = opened()
    story.speaking("r1")
    assert story.near(BargedIn("r1", 730.0)) == [(FAR, Interrupt("r1", 730.0))]
    assert story.near(BargedIn("r1", 730.0)) == []
    assert story.far(Audio(SECOND, "r1")) == []
    assert story.far(ResponseDone("r1")) == []
    assert story.far(Audio(SECOND, "r1")) == [], "dead is dead, also after its end"
    assert story.turn is Turn.LISTENING


def test_a_response_begun_after_the_interrupted_one_is_dead_too() -> None:
    story = opened()
    story.speaking("r1")
    story.far(ResponseDone("r1"))
    story.speaking("r2")
    assert story.near(BargedIn("r1", 10.0)) == [(FAR, Interrupt("r1", 10.0))]
    assert story.far(Audio(SECOND, "r2")) == []


def test_a_turn_after_an_interruption_is_answered_when_the_cancelled_response_has_ended() -> None:
    story = opened()
    story.speaking("r1")
    story.near(BargedIn("r1", 500.0))
    assert story.far(TurnCommitted()) == []
    assert story.turn is Turn.THINKING
    assert story.far(ResponseDone("r1")) == [(FAR, Respond())]


def test_a_cancelled_response_that_never_ends_does_not_silence_the_call() -> None:
    story = opened()
    story.speaking("r1")
    story.near(BargedIn("r1", 500.0))
    story.far(TurnCommitted())
    began = story.at
    assert story.wait_for_deadline() == [(FAR, Respond())]
    assert story.at == began + CANCEL_S


def test_a_turn_that_ends_while_the_agent_speaks_gets_no_answer() -> None:
    story = opened()
    story.speaking("r1")
    assert story.far(TurnCommitted()) == []
    story.far(ResponseDone("r1"))
    assert story.near(Played("r1", "r1")) == []


def test_a_turn_added_before_the_answer_was_heard_replaces_it() -> None:
    story = opened()
    story.far(TurnCommitted())
    story.far(ResponseStarted("r1"))
    assert story.far(TurnCommitted()) == [(FAR, Interrupt("r1", 0.0))]
    assert story.far(Audio(SECOND, "r1")) == []
    assert story.far(ResponseDone("r1")) == [(FAR, Respond())]


def test_a_turn_added_before_the_answer_was_begun_replaces_it_too() -> None:
    story = opened()
    story.far(TurnCommitted())
    assert story.far(TurnCommitted()) == []
    assert story.far(ResponseStarted("r1")) == [(FAR, Interrupt("r1", 0.0))]
    assert story.far(ResponseDone("r1")) == [(FAR, Respond())]


def test_a_leg_that_never_reports_played_does_not_silence_the_call() -> None:
    story = opened()
    story.speaking("r1", seconds=2)
    story.far(ResponseDone("r1"))
    began = story.at
    assert story.wait_for_deadline() == []
    assert story.at == pytest.approx(began + 2 + PLAYED_S)
    assert story.turn is Turn.LISTENING


def test_a_service_that_never_answers_is_told_to_the_person() -> None:
    story = opened()
    story.far(TurnCommitted())
    began = story.at
    assert story.wait_for_deadline() == [(NEAR, Tone("trouble"))]
    assert story.at == began + ANSWER_S
    assert story.turn is Turn.LISTENING


def test_a_response_without_audio_leaves_the_floor_to_the_person() -> None:
    story = opened()
    story.far(TurnCommitted())
    story.far(ResponseStarted("r1"))
    assert story.far(ResponseDone("r1")) == []
    assert story.turn is Turn.LISTENING


def test_two_responses_at_once_are_both_played() -> None:
    story = opened()
    story.far(ResponseStarted("r1"))
    story.far(ResponseStarted("r2"))
    assert story.far(Audio(b"ab", "r1")) == [(NEAR, Play(b"ab", "r1"))]
    assert story.far(Audio(b"cd", "r2")) == [(NEAR, Play(b"cd", "r2"))]
    story.far(ResponseDone("r1"))
    story.far(ResponseDone("r2"))
    story.near(Played("r1", "r1"))
    assert story.turn is Turn.SPEAKING
    story.near(Played("r2", "r2"))
    assert story.turn is Turn.LISTENING


def test_where_we_end_the_turn_the_microphone_is_held_until_somebody_speaks() -> None:
    story = Story(Detection.LOCAL)
    assert story.far(Opened()) == [(NEAR, Tone("connected")), (NEAR, Listen(Uplink.HELD))]
    assert story.near(SpeechStarted()) == [(NEAR, Listen(Uplink.OPEN))]
    assert story.turn is Turn.HEARING
    assert story.near(SpeechStopped()) == []
    assert story.near(SpeechStarted()) == [], "a pause for breath is not the end"
    story.near(SpeechStopped())
    began = story.at
    assert story.wait_for_deadline() == [(NEAR, Listen(Uplink.HELD)), (FAR, Respond())]
    assert story.at == pytest.approx(began + 0.3), "half a second of silence in all"


def test_the_interrupting_words_are_the_next_turn() -> None:
    story = opened(Detection.LOCAL)
    story.speaking("r1")
    assert story.near(SpeechStarted()) == [(NEAR, Listen(Uplink.OPEN))]
    assert story.near(BargedIn("r1", 300.0)) == [(FAR, Interrupt("r1", 300.0))]
    story.far(ResponseDone("r1"))
    story.near(SpeechStopped())
    assert story.wait_for_deadline() == [(NEAR, Listen(Uplink.HELD)), (FAR, Respond())]


def test_push_to_talk_opens_the_microphone_while_the_button_is_held() -> None:
    story = opened(Detection.MANUAL)
    assert story.turn is Turn.WAITING
    assert story.conversation.talk(True, story.at) == [(NEAR, Listen(Uplink.OPEN, reflex=False))]
    assert story.turn is Turn.LISTENING
    story.near(Listening(Uplink.OPEN))
    assert story.conversation.talk(False, story.at) == [(NEAR, Listen(Uplink.HELD, reflex=False)), (FAR, Respond())]


def test_push_to_talk_stops_the_agent_first() -> None:
    story = opened(Detection.MANUAL)
    story.speaking("r1")
    assert story.conversation.talk(True, story.at) == [(NEAR, BargeIn()), (NEAR, Listen(Uplink.OPEN, reflex=False))]
    assert story.near(BargedIn("r1", 40.0)) == [(FAR, Interrupt("r1", 40.0))]


def test_a_muted_box_sends_silence_and_shows_it_only_when_it_is_true() -> None:
    story = opened()
    assert story.conversation.mute(True, story.at) == [(NEAR, Tone("muted")), (NEAR, Listen(Uplink.SILENT))]
    assert story.turn is Turn.LISTENING, "until the audio thread has closed the microphone"
    story.near(Listening(Uplink.SILENT))
    assert story.turn is Turn.MUTED
    story.conversation.mute(False, story.at)
    assert story.turn is Turn.LISTENING, "the light comes before the microphone"


def test_nothing_is_ordered_after_the_end() -> None:
    story = opened()
    story.speaking("r1")
    lost = Closed(End.LINK_LOST, "the network went away")
    assert story.far(lost) == [(NEAR, HangUp("the network went away"))]
    assert story.conversation.over == lost
    assert story.near(BargedIn("r1", 1.0)) == []
    assert story.near(Audio(b"ab")) == []
    assert story.conversation.deadline is None
    assert story.conversation.hang_up("again") == []


def test_a_response_that_never_ends_does_not_keep_the_floor() -> None:
    story = opened()
    story.far(TurnCommitted())
    story.speaking("r1", seconds=2)
    assert story.wait_for_deadline() == [(NEAR, Mark("r1", "r1"))]
    story.wait_for_deadline()
    assert story.turn is Turn.LISTENING
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def test_a_response_that_stalled_can_still_be_interrupted_at_its_end() -> None:
    story = opened()
    story.speaking("r1", seconds=2)
    story.at += 7.0  # five seconds of nothing
    story.far(Audio(SECOND, "r1"))
    story.far(ResponseDone("r1"))
    story.at += 0.9
    assert story.conversation.expire(story.at) == []
    assert story.near(BargedIn("r1", 2900.0)) == [(FAR, Interrupt("r1", 2900.0))]


def test_a_second_response_at_once_can_be_interrupted_while_it_sounds() -> None:
    story = opened()
    story.far(ResponseStarted("r1"))
    story.far(ResponseStarted("r2"))
    for _ in range(10):
        story.far(Audio(SECOND, "r1"))
        story.far(Audio(SECOND, "r2"))
    story.far(ResponseDone("r1"))
    story.far(ResponseDone("r2"))
    story.near(Played("r1", "r1"))
    story.at += 19.0
    story.conversation.expire(story.at)
    assert story.near(BargedIn("r2", 9000.0)) == [(FAR, Interrupt("r2", 9000.0))]


def test_an_answer_that_comes_while_the_button_is_down_is_not_played() -> None:
    story = opened(Detection.MANUAL)
    story.conversation.talk(True, story.at)
    story.conversation.talk(False, story.at)
    story.conversation.talk(True, story.at)
    assert story.far(ResponseStarted("r1")) == [(FAR, Interrupt("r1", 0.0))]
    assert story.far(Audio(SECOND, "r1")) == []
    story.far(ResponseDone("r1"))
    assert (FAR, Respond()) in story.conversation.talk(False, story.at)


def test_half_a_sentence_before_muting_is_not_answered() -> None:
    story = opened(Detection.LOCAL)
    story.near(SpeechStarted())
    story.conversation.mute(True, story.at)
    story.near(SpeechStopped())
    assert story.conversation.deadline is None


def test_the_box_being_stopped_does_not_wait_for_a_long_goodbye() -> None:
    story = opened()
    story.speaking("r1", seconds=30)
    story.conversation.leave("the agent hung up", 10.0, story.at)
    began = story.at
    story.conversation.leave("the box is being stopped", 2.0, story.at)
    assert (NEAR, HangUp("the agent hung up")) in story.wait_for_deadline()
    assert story.at == began + 2.0


def test_an_agent_that_hangs_up_finishes_its_sentence() -> None:
    story = opened()
    story.speaking("r1")
    assert story.conversation.leave("the agent hung up", 10.0, story.at) == [(NEAR, Listen(Uplink.OFF))]
    assert story.far(ResponseDone("r1")) == [(NEAR, Mark("r1", "r1"))]
    assert story.near(Played("r1", "r1")) == [
        (NEAR, HangUp("the agent hung up")),
        (FAR, HangUp("the agent hung up")),
    ]


def test_a_sentence_without_end_does_not_keep_the_call_open() -> None:
    story = opened()
    story.speaking("r1", seconds=60)
    story.conversation.leave("stopped", 2.0, story.at)
    assert (NEAR, HangUp("stopped")) in story.wait_for_deadline()


# ------------------------------------------------------------------------------------------------- a random walk

RESPONSES = st.sampled_from(["r1", "r2", "r3"])
NEAR_EVENTS = st.one_of(
    st.just(Opened()),
    st.just(SpeechStarted()),
    st.just(SpeechStopped()),
    st.builds(BargedIn, RESPONSES, st.floats(0, 5000)),
    st.builds(Played, RESPONSES, RESPONSES),
    st.builds(Listening, st.sampled_from(Uplink)),
    st.just(Closed(End.CARD_LOST, "unplugged")),
)
FAR_EVENTS = st.one_of(
    st.just(Opened()),
    st.just(TurnCommitted()),
    st.builds(ResponseStarted, RESPONSES),
    st.builds(Audio, st.just(SECOND), RESPONSES),
    st.builds(ResponseDone, RESPONSES),
    st.just(Closed(End.LINK_LOST, "gone")),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("near"), NEAR_EVENTS),
        st.tuples(st.just("near"), NEAR_EVENTS),
        st.tuples(st.just("far"), FAR_EVENTS),
        st.tuples(st.just("far"), FAR_EVENTS),
        st.tuples(st.just("person"), st.integers(0, 999)),
        st.tuples(st.just("wait"), st.just(0)),
        st.tuples(st.just("mute"), st.booleans()),
        st.tuples(st.just("talk"), st.booleans()),
        st.tuples(st.just("leave"), st.sampled_from([0.0, 2.0])),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(STEPS, st.sampled_from(Detection))
def test_whatever_happens_the_rules_hold(steps: list[tuple[str, object]], detection: Detection) -> None:
    conversation = Conversation(detection, RATE)
    at = 0.0
    dead: set[str] = set()
    interrupts = responds = 0
    barged = turns = added = 0
    said: list[bytes] = []
    heard: list[bytes] = []
    for kind, value in steps:
        was_over = conversation.over is not None
        live = set(conversation._live)
        match kind, value:
            case "near", Closed() | Opened() | SpeechStarted() | SpeechStopped() | BargedIn() | Played() | Listening():
                orders = conversation.near(value, at)
                if isinstance(value, BargedIn) and value.response in live and not was_over:
                    barged += 1
                    dead |= live
            case "far", Closed() | Opened() | TurnCommitted() | ResponseStarted() | Audio() | ResponseDone():
                orders = conversation.far(value, at)
                turns += isinstance(value, TurnCommitted)
            case "person", int():
                said.append(len(said).to_bytes(2, "little"))
                orders = conversation.near(Audio(said[-1]), at)
            case "mute", bool(on):
                orders = conversation.mute(on, at)
            case "talk", bool(on):
                orders = conversation.talk(on, at)
                turns += not on
            case "leave", float(within_s):
                orders = conversation.leave("enough", within_s, at)
            case _:
                at = conversation.deadline if conversation.deadline is not None else at + 0.1
                orders = conversation.expire(at)
                turns += 1
        assert not (was_over and orders), "nothing is ordered after the end"
        for side, command in orders:
            match side, command:
                case Side.NEAR, Play(_, response):
                    assert response not in dead, "audio of an interrupted response is never played"
                case Side.FAR, Interrupt(_, heard_ms):
                    interrupts += 1
                    added += heard_ms == 0.0 and not isinstance(value, BargedIn)
                    dead |= live - set(conversation._live)
                case Side.FAR, Respond():
                    responds += 1
                case Side.FAR, Play(pcm):
                    heard.append(pcm)
                case _:
                    pass
        if detection is Detection.SERVICE and conversation.deadline is not None:
            assert conversation.deadline >= at - CANCEL_S - ANSWER_S
    assert interrupts - added == barged, "one barge-in makes exactly one interrupt"
    assert responds <= turns, "nobody is answered twice"
    remaining = iter(said)
    assert all(chunk in remaining for chunk in heard), "what the agent gets is in order, each sample once"
