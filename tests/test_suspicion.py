"""What a suspicion does to the turn, told as stories: somebody may be talking over the agent, or may have coughed."""

from __future__ import annotations

import pytest

from edgevoice.conversation import ANSWER_S, Detection
from edgevoice.events import (
    Audio,
    BargedIn,
    BargeIn,
    Cleared,
    Event,
    HangUp,
    Interrupt,
    Listen,
    Listening,
    Mark,
    Play,
    Played,
    Respond,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    Suspected,
    TakenBack,
    Tone,
    TurnCommitted,
    Uplink,
    Witness,
)
from edgevoice.light import Turn
from edgevoice.responses import PLAYED_S
from edgevoice.suspicion import SUSPECTED_S
from tests.turns import FAR, NEAR, SECOND, Story, opened

VERDICTS = pytest.mark.parametrize("verdict", [BargedIn("r1", 730.0), Cleared("r1", 730.0)])


def suspecting(detection: Detection = Detection.SERVICE) -> Story:
    """Suspect somebody one second into a response of two that is wholly made."""
    story = opened(detection)
    story.speaking("r1", seconds=2)
    story.far(ResponseDone("r1"))
    story.passes(1.0)
    assert story.near(Suspected("r1")) == []
    return story


# ---------------------------------------------------------------------------------------------- what is seen of it


def test_a_cough_is_seen_and_costs_nothing() -> None:
    story = suspecting()
    assert story.turn is Turn.SUSPECTING
    assert story.conversation.speaking, "a press still stops the agent"
    story.passes(0.3)
    assert story.near(TakenBack("r1")) == []
    assert story.turn is Turn.SPEAKING


@VERDICTS
def test_a_suspicion_that_was_right_makes_one_interrupt(verdict: Event) -> None:
    story = suspecting()
    assert story.near(verdict) == [(FAR, Interrupt("r1", 730.0))]
    assert story.near(verdict) == []
    assert story.turn is Turn.LISTENING
    assert story.far(Audio(SECOND, "r1")) == [], "dead is dead"


def test_a_suspicion_of_what_is_not_heard_any_more_is_none() -> None:
    story = opened()
    story.speaking("r1")
    story.near(Played("r1", "r1"))
    assert story.near(Suspected("r1")) == []
    assert story.turn is Turn.LISTENING
    story.speaking("r2")
    story.near(Suspected("r1"))
    assert story.turn is Turn.SPEAKING


def test_a_suspicion_does_not_outlive_what_it_is_about() -> None:
    story = suspecting()
    story.near(Played("r1", "r1"))
    assert (story.turn, story.conversation.deadline) == (Turn.LISTENING, None)


def test_a_muted_person_is_shown_as_muted() -> None:
    story = suspecting()
    assert story.conversation.mute(True, story.at) == [(NEAR, Tone("muted")), (NEAR, Listen(Uplink.SILENT))]
    assert story.turn is Turn.SUSPECTING, "until the audio thread has closed the microphone"
    story.near(TakenBack("r1"), Listening(Uplink.SILENT))
    assert story.turn is Turn.MUTED


# ---------------------------------------------------------------------------------------------- time stands still


def test_a_suspicion_moves_the_time_by_which_the_response_must_have_been_heard() -> None:
    story = suspecting()
    story.passes(0.4)
    story.near(TakenBack("r1"))
    began = story.at
    assert story.wait_for_deadline() == []
    assert story.at == pytest.approx(began + 1.0 + PLAYED_S), "one second of it was left"
    assert story.turn is Turn.LISTENING


def test_two_suspicions_move_it_by_both() -> None:
    story = suspecting()
    story.passes(0.4)
    story.near(TakenBack("r1"))
    story.passes(0.5)
    story.near(Suspected("r1"))
    story.passes(0.3)
    story.near(TakenBack("r1"))
    began = story.at
    story.wait_for_deadline()
    assert story.at == pytest.approx(began + 0.5 + PLAYED_S)


def test_sound_that_comes_during_a_suspicion_is_heard_after_it() -> None:
    story = opened()
    story.speaking("r1", seconds=2)
    story.passes(1.0)
    story.near(Suspected("r1"))
    story.passes(0.4)
    assert story.far(Audio(SECOND, "r1"), ResponseDone("r1")) == [(NEAR, Play(SECOND, "r1")), (NEAR, Mark("r1", "r1"))]
    story.near(TakenBack("r1"))
    began = story.at
    story.wait_for_deadline()
    assert story.at == pytest.approx(began + 2.0 + PLAYED_S)


def test_a_service_that_stalls_is_given_the_time_of_the_suspicion_too() -> None:
    story = opened()
    story.speaking("r1", seconds=2)
    story.near(Suspected("r1"))
    story.passes(0.4)
    story.near(TakenBack("r1"))
    began = story.at
    assert story.wait_for_deadline() == [(NEAR, Mark("r1", "r1"))]
    assert story.at == pytest.approx(began + 2.0 + ANSWER_S)


def test_a_near_leg_that_never_decides_does_not_silence_the_call() -> None:
    story = suspecting()
    began = story.at
    story.passes(1.0)
    story.near(Suspected("r1"))
    assert story.wait_for_deadline() == []
    assert (story.turn, story.at) == (Turn.SPEAKING, began + SUSPECTED_S)
    story.wait_for_deadline()
    assert (story.turn, story.at) == (Turn.LISTENING, pytest.approx(began + SUSPECTED_S + 1.0 + PLAYED_S))
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def test_a_barge_in_after_that_still_makes_its_interrupt() -> None:
    story = suspecting()
    story.wait_for_deadline()
    assert story.near(BargedIn("r1", 1000.0)) == [(FAR, Interrupt("r1", 1000.0))]


def test_a_goodbye_that_is_held_does_not_keep_the_call_open() -> None:
    story = suspecting()
    story.conversation.leave("the agent hung up", 3.0, story.at)
    began = story.at
    assert (NEAR, HangUp("the agent hung up")) in story.wait_for_deadline()
    assert story.at == began + 3.0


# ------------------------------------------------------------------------------------- the service ends the turns


def test_a_turn_that_ends_during_a_suspicion_is_answered_if_somebody_spoke() -> None:
    story = suspecting()
    assert story.far(TurnCommitted()) == []
    assert story.near(BargedIn("r1", 730.0)) == [(FAR, Interrupt("r1", 730.0)), (FAR, Respond())]


def test_but_not_when_the_call_is_about_to_end() -> None:
    story = suspecting()
    story.far(TurnCommitted())
    story.conversation.leave("the agent hung up", 3.0, story.at)
    assert (FAR, Respond()) not in story.near(BargedIn("r1", 730.0))
    assert story.conversation.over


def test_it_waits_for_the_end_of_the_interrupted_response() -> None:
    story = opened()
    story.speaking("r1")
    story.near(Suspected("r1"))
    story.far(TurnCommitted())
    assert story.near(BargedIn("r1", 730.0)) == [(FAR, Interrupt("r1", 730.0))]
    assert story.turn is Turn.THINKING
    assert story.far(ResponseDone("r1")) == [(FAR, Respond())]


def test_it_is_not_answered_if_nobody_spoke() -> None:
    story = suspecting()
    story.far(TurnCommitted())
    assert story.near(TakenBack("r1")) == []
    assert story.turn is Turn.SPEAKING
    assert story.near(Played("r1", "r1")) == []
    assert story.turn is Turn.LISTENING


def test_a_cough_is_not_answered_when_somebody_speaks_later() -> None:
    story = suspecting()
    story.far(TurnCommitted())
    story.near(TakenBack("r1"), Suspected("r1"))
    assert story.near(BargedIn("r1", 900.0)) == [(FAR, Interrupt("r1", 900.0))]


def test_a_turn_that_ends_after_the_verdict_is_as_ever() -> None:
    story = suspecting()
    story.near(TakenBack("r1"))
    assert story.far(TurnCommitted()) == [], "they would have interrupted it"
    story.near(Suspected("r1"), BargedIn("r1", 900.0))
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def cough_at_the_end(story: Story, ago_ms: float | None = 80.0) -> None:
    """Cough half a second before the agent is done; the near leg hears it, and then hears nobody."""
    story.passes(0.5)
    story.near(SpeechStarted(), Suspected("r1"))
    story.passes(0.1)
    story.far(SpeechStarted(ago_ms))
    story.passes(0.3)
    story.near(SpeechStopped())
    story.passes(0.1)
    story.near(TakenBack("r1"))
    story.passes(0.5)
    story.near(Played("r1", "r1"))


def reply_of_one_second() -> Story:
    story = opened()
    story.speaking("r1", seconds=1)
    story.far(ResponseDone("r1"))
    return story


def test_a_cough_that_the_service_takes_for_a_turn_is_not_answered_when_the_reply_is_over() -> None:
    story = reply_of_one_second()
    cough_at_the_end(story)
    assert story.far(TurnCommitted()) == []
    assert story.turn is Turn.LISTENING
    assert story.far(TurnCommitted()) == [(FAR, Respond())], "the next one is a person's"


def test_two_bursts_of_one_cough_are_one_suspicion() -> None:
    story = reply_of_one_second()
    story.near(Suspected("r1"))
    story.far(SpeechStarted(0.0))
    for event in (TakenBack("r1"), Suspected("r1"), TakenBack("r1")):
        story.passes(0.4)
        story.near(event)
    story.passes(1.0)
    story.near(Played("r1", "r1"))
    assert story.far(TurnCommitted()) == []


def test_a_person_who_speaks_right_after_the_cough_is_answered() -> None:
    story = reply_of_one_second()
    cough_at_the_end(story)
    story.near(SpeechStarted())
    story.passes(0.4)
    story.near(SpeechStopped())
    story.passes(0.3)
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def test_a_person_who_still_speaks_is_answered() -> None:
    story = reply_of_one_second()
    cough_at_the_end(story)
    story.near(SpeechStarted())
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def test_a_cough_that_became_an_interruption_is_answered() -> None:
    story = reply_of_one_second()
    story.near(Suspected("r1"))
    story.far(SpeechStarted(50.0))
    story.passes(0.4)
    story.near(TakenBack("r1"), Suspected("r1"), BargedIn("r1", 500.0))
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def test_a_person_who_spoke_through_the_verdict_is_answered() -> None:
    story = reply_of_one_second()
    story.near(SpeechStarted(), Suspected("r1"))
    story.far(SpeechStarted(50.0))
    story.passes(0.5)
    story.near(TakenBack("r1"))
    story.passes(0.5)
    story.near(SpeechStopped())
    story.passes(0.5)
    story.near(Played("r1", "r1"))
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def test_a_turn_that_the_service_does_not_date_is_answered() -> None:
    story = reply_of_one_second()
    cough_at_the_end(story, ago_ms=None)
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def test_a_soft_voice_that_the_service_alone_hears_after_the_cough_is_answered() -> None:
    story = reply_of_one_second()
    cough_at_the_end(story)
    story.far(SpeechStarted(100.0))
    story.passes(0.6)
    assert story.far(TurnCommitted()) == [(FAR, Respond())]


def test_a_turn_that_outlasts_the_cough_is_answered() -> None:
    story = reply_of_one_second()
    cough_at_the_end(story)
    story.passes(1.1)
    assert story.far(TurnCommitted()) == [(FAR, Respond())], "half a second of silence, and a second for the way"


# ------------------------------------------------------------------------------------------------ a second witness


def test_a_voice_that_the_service_hears_is_a_witness() -> None:
    story = suspecting()
    assert story.far(SpeechStarted(220.0)) == [(NEAR, Witness(220.0))]


def test_a_service_that_does_not_say_when_is_none() -> None:
    assert suspecting().far(SpeechStarted()) == []


def test_a_near_leg_that_tells_no_suspicion_hears_of_it_as_long_as_a_response_sounds() -> None:
    story = suspecting()
    story.near(TakenBack("r1"))  # as over a telephone, which weighs a voice without a word
    assert story.far(SpeechStarted(220.0)) == [(NEAR, Witness(220.0))]


def test_where_no_response_sounds_there_is_nothing_to_witness() -> None:
    story = suspecting()
    story.near(TakenBack("r1"))
    story.near(Played("r1", "r1"))
    assert story.far(SpeechStarted(220.0)) == []


def test_a_service_that_is_not_asked_to_hear_turns_is_no_witness() -> None:
    assert suspecting(Detection.LOCAL).far(SpeechStarted(220.0)) == []


# ---------------------------------------------------------------------------------------------- we end the turns


def test_a_voice_over_the_agent_begins_a_turn_only_when_it_interrupts() -> None:
    story = suspecting(Detection.LOCAL)
    assert story.near(SpeechStarted()) == []
    assert story.near(BargedIn("r1", 900.0)) == [(FAR, Interrupt("r1", 900.0)), (NEAR, Listen(Uplink.OPEN))]
    assert story.turn is Turn.HEARING
    story.near(SpeechStopped())
    assert story.wait_for_deadline() == [(NEAR, Listen(Uplink.HELD)), (FAR, Respond())]


def test_a_short_word_that_is_over_when_it_interrupts_is_answered() -> None:
    story = suspecting(Detection.LOCAL)
    story.near(SpeechStarted(), SpeechStopped())
    assert story.near(BargedIn("r1", 900.0)) == [(FAR, Interrupt("r1", 900.0)), (NEAR, Listen(Uplink.OPEN))]
    assert story.wait_for_deadline() == [(NEAR, Listen(Uplink.HELD)), (FAR, Respond())]


def test_a_cough_begins_no_turn() -> None:
    story = suspecting(Detection.LOCAL)
    events = (SpeechStarted(), SpeechStopped(), TakenBack("r1"), Played("r1", "r1"))
    assert story.near(*events) == []
    assert (story.turn, story.conversation.deadline) == (Turn.LISTENING, None)


def test_a_button_that_stops_the_agent_begins_no_turn() -> None:
    story = opened(Detection.LOCAL)
    story.speaking("r1")
    assert story.near(BargedIn("r1", 900.0)) == [(FAR, Interrupt("r1", 900.0))]
    assert story.near(SpeechStarted()) == [(NEAR, Listen(Uplink.OPEN))]


def test_whoever_still_speaks_when_the_agent_is_done_has_the_turn() -> None:
    story = suspecting(Detection.LOCAL)
    story.near(TakenBack("r1"), SpeechStarted())
    story.passes(1.0)
    assert story.near(Played("r1", "r1")) == [(NEAR, Listen(Uplink.OPEN))]
    story.passes(0.5)
    story.near(SpeechStopped())
    assert story.wait_for_deadline() == [(NEAR, Listen(Uplink.HELD)), (FAR, Respond())]


def test_the_echo_of_the_last_word_is_no_turn() -> None:
    story = suspecting(Detection.LOCAL)
    story.near(TakenBack("r1"), SpeechStarted())
    story.passes(1.0)
    story.near(Played("r1", "r1"))
    story.passes(0.3)
    assert story.near(SpeechStopped()) == [(NEAR, Listen(Uplink.HELD))], "200 ms of them were the pause"
    assert story.conversation.deadline is None


def test_a_turn_that_ends_during_a_suspicion_waits_for_the_verdict() -> None:
    story = opened(Detection.LOCAL)
    story.near(SpeechStarted())
    story.speaking("r1")
    story.near(SpeechStopped())
    story.passes(0.2)
    story.near(Suspected("r1"))
    assert story.passes(0.5) == []
    assert story.conversation.expire(story.at) == []
    assert story.near(BargedIn("r1", 200.0)) == [(FAR, Interrupt("r1", 200.0))]
    story.far(ResponseDone("r1"))
    assert story.wait_for_deadline() == [(NEAR, Listen(Uplink.HELD)), (FAR, Respond())]


def test_who_was_muted_in_the_meantime_has_no_turn() -> None:
    story = suspecting(Detection.LOCAL)
    story.near(SpeechStarted())
    story.conversation.mute(True, story.at)
    assert story.near(BargedIn("r1", 900.0)) == [(FAR, Interrupt("r1", 900.0))]
    assert story.conversation.deadline is None


# ------------------------------------------------------------------------------------------------- push to talk


def test_push_to_talk_stops_a_held_agent_as_ever() -> None:
    story = suspecting(Detection.MANUAL)
    orders = story.conversation.talk(True, story.at)
    assert orders == [(NEAR, BargeIn()), (NEAR, Listen(Uplink.OPEN, reflex=False))]
    assert story.near(BargedIn("r1", 900.0)) == [(FAR, Interrupt("r1", 900.0))]
