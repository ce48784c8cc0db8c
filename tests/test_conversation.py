"""Whose turn it is, told as stories: events of the two legs in, orders to them out, on a clock of our own."""

from __future__ import annotations

import pytest

from edgevoice.conversation import ANSWER_S, Detection
from edgevoice.events import (
    Audio,
    BargedIn,
    BargeIn,
    Clear,
    Cleared,
    Closed,
    End,
    HangUp,
    Interrupt,
    Interrupted,
    LinkDown,
    Listen,
    Listening,
    Mark,
    Opened,
    Play,
    Played,
    Respond,
    ResponseDone,
    ResponseStarted,
    Resumed,
    SpeechStarted,
    SpeechStopped,
    Suspected,
    Tone,
    TurnCommitted,
    Uplink,
)
from edgevoice.light import Turn
from edgevoice.responses import CANCEL_S, PLAYED_S
from tests.turns import FAR, NEAR, SECOND, Story, opened


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


def test_a_service_that_interrupts_itself_silences_the_loudspeaker_and_hears_what_was_heard() -> None:
    story = opened()
    story.speaking("r1")
    assert story.far(Interrupted("r1")) == [(NEAR, Clear())]
    assert story.turn is Turn.SPEAKING, "until the loudspeaker says that it is silent"
    assert story.near(Cleared("r1", 730.0)) == [(FAR, Interrupt("r1", 730.0))]
    assert story.far(Audio(SECOND, "r1")) == []
    assert story.turn is Turn.LISTENING


def test_what_waits_to_be_heard_is_forgotten_before_it_has_sounded() -> None:
    story = opened()
    story.speaking("r1")
    assert story.far(Interrupted("r1"), ResponseDone("r1")) == [(NEAR, Clear()), (NEAR, Mark("r1", "r1"))]
    assert story.near(Cleared("", 0.0)) == [(FAR, Interrupt("r1", 0.0))]
    assert story.turn is Turn.LISTENING


def test_a_service_that_interrupts_what_is_over_or_was_never_heard_of_changes_nothing() -> None:
    story = opened()
    story.speaking("r1")
    story.near(BargedIn("r1", 10.0))
    assert story.far(Interrupted("r1"), Interrupted("r7")) == []


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
    assert story.near(SpeechStarted()) == [], "it may be an echo"
    assert story.near(BargedIn("r1", 300.0)) == [(FAR, Interrupt("r1", 300.0)), (NEAR, Listen(Uplink.OPEN))]
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
    assert story.far(lost) == [(NEAR, HangUp("the network went away", fades=True))]
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


# ------------------------------------------------------------------------------------------------ the link is lost


def test_a_lost_link_is_heard_and_seen_and_what_was_received_is_heard_to_its_end() -> None:
    story = opened()
    story.speaking("r1")
    assert story.far(LinkDown("gone")) == [(NEAR, Mark("r1", "r1", fades=True))]
    assert story.turn is Turn.RECONNECTING
    assert story.conversation.speaking
    assert story.near(Played("r1", "r1")) == [(NEAR, Tone("trouble"))], "not into the sentence"
    assert not story.conversation.speaking, "so that a press hangs up"
    assert story.turn is Turn.RECONNECTING
    assert story.far(Resumed()) == [(NEAR, Tone("connected"))]
    assert story.turn is Turn.LISTENING


def test_what_is_said_while_the_link_is_down_goes_to_the_far_leg_in_order() -> None:
    story = opened(Detection.LOCAL)
    story.far(LinkDown("gone"))
    said = story.near(SpeechStarted(), Audio(b"ab"), SpeechStopped())
    assert [command for side, command in said + story.passes(1.0) if side is FAR] == [Play(b"ab"), Respond()]


def test_an_answer_is_waited_for_anew_when_the_link_is_back() -> None:
    story = opened()
    story.far(TurnCommitted())
    story.passes(ANSWER_S - 1)
    story.far(LinkDown("gone"))
    assert story.passes(9) == []
    story.far(Resumed())
    assert story.turn is Turn.THINKING
    assert story.passes(ANSWER_S - 1) == []
    assert story.passes(2) == [(NEAR, Tone("trouble"))]


def test_a_reply_that_is_broken_off_can_be_interrupted_and_the_turn_after_it_is_answered() -> None:
    story = opened()
    story.speaking("r1")
    story.far(LinkDown("gone"))
    story.near(Suspected("r1"))
    assert story.near(BargedIn("r1", 700.0))[0] == (FAR, Interrupt("r1", 700.0))
    story.far(Resumed(), ResponseDone("r1"))
    assert (FAR, Respond()) in story.far(TurnCommitted())


def test_a_muted_box_shows_that_it_is_muted_also_while_the_link_is_down() -> None:
    story = opened()
    story.conversation.mute(True, story.at)
    story.near(Listening(Uplink.SILENT))
    story.far(LinkDown("gone"))
    assert story.turn is Turn.MUTED


def test_a_microphone_that_is_still_to_open_is_not_shown_as_muted() -> None:
    story = Story(Detection.LOCAL)
    talk = story.conversation
    assert talk.far(Opened(), 1.0)[-1] == (NEAR, Listen(Uplink.HELD))
    talk.near(Listening(Uplink.HELD), 1.1)
    assert (NEAR, Listen(Uplink.OPEN)) in talk.near(SpeechStarted(), 2.0)
    assert (NEAR, Listen(Uplink.OFF)) in talk.mute(True, 2.0)
    assert talk.turn is not Turn.MUTED, "the card does both only in its next period"
    talk.near(Listening(Uplink.OPEN), 2.01)
    assert talk.turn is not Turn.MUTED
    talk.near(Listening(Uplink.OFF), 2.01)
    assert talk.turn is Turn.MUTED


def test_a_link_that_was_only_renewed_is_not_told_of() -> None:
    assert opened().far(Resumed()) == []
