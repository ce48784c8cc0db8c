"""The responses of an ElevenLabs agent, told as stories: which sound belongs to which, and what is never heard."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.agents.elevenlabs_answers import PAUSE_S
from edgevoice.events import (
    Audio,
    Interrupt,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    ToolCalled,
    ToolResult,
    Transcript,
)
from tests.agents.elevenlabs_stage import (
    Stage,
    agent_response,
    audio,
    complete,
    correction,
    interruption,
    sound,
    tool_call,
    user_transcript,
)


def letters(text: str, each_ms: float) -> dict[str, object]:
    """Say when each letter begins, in ms of its piece of sound."""
    starts = [each_ms * i for i in range(len(text))]
    return {
        "alignment": {"chars": list(text), "char_start_times_ms": starts, "char_durations_ms": [each_ms] * len(text)}
    }


# ------------------------------------------------------------------------------------------------------ responses


def test_pieces_that_follow_each_other_are_one_response_which_ends_with_a_pause() -> None:
    stage = Stage().opens().hears(audio(4, sound(300)), audio(5, sound(300, 7)))
    stage.passes(0.6 + PAUSE_S - 0.01)
    assert stage.told_of(ResponseDone) == []
    stage.passes(0.02)
    assert stage.told[1:] == [
        ResponseStarted("response_1"),
        Audio(sound(300), "response_1"),
        Audio(sound(300, 7), "response_1"),
        ResponseDone("response_1"),
    ]


def test_a_response_ends_at_once_when_the_service_says_so() -> None:
    stage = Stage().opens().hears(audio(1, sound(300)), complete())
    assert stage.told[-1] == ResponseDone("response_1")


def test_what_comes_after_a_pause_is_heard_as_a_response_of_its_own() -> None:
    stage = Stage().opens().hears(audio(1, sound(100))).passes(2).hears(audio(2, sound(100, 5)))
    assert (stage.heard("response_1"), stage.heard("response_2")) == (sound(100), sound(100, 5))


def test_a_new_turn_of_the_person_begins_a_new_response() -> None:
    stage = Stage().opens().hears(audio(1, sound(100)), user_transcript("yes?"), audio(2, sound(100, 5)))
    assert stage.told_of(ResponseStarted) == [ResponseStarted("response_1"), ResponseStarted("response_2")]


def test_an_agent_that_decides_to_be_silent_is_not_waited_for() -> None:
    stage = Stage().opens().hears(user_transcript("let me think"))
    skipped = {"tool_name": "skip_turn", "tool_call_id": "s1", "tool_type": "system", "is_error": False}
    stage.hears({"type": "agent_tool_response", "agent_tool_response": skipped})
    assert stage.told[-2:] == [ResponseStarted("nothing_1"), ResponseDone("nothing_1")]


def test_words_are_told_whether_they_come_before_the_sound_or_after_it_has_begun() -> None:
    stage = Stage().opens().hears(agent_response(" Hello. "), audio(1, sound(100)))
    assert stage.told[1] == Transcript("agent", "Hello.", final=True)
    stage.passes(2).hears(audio(2, sound(100)), agent_response("Anybody there?"))
    assert stage.told[-1] == Transcript("agent", "Anybody there?", final=True)


def test_sound_without_numbers_is_heard_too() -> None:
    stage = Stage().opens()
    for _ in range(2):
        message = audio(0, sound(100))
        del message["audio_event"]["event_id"]
        stage.hears(message, {"type": "interruption", "interruption_event": {}})
    assert (stage.heard("response_1"), stage.heard("response_2")) == (sound(100), sound(100))


# ------------------------------------------------------------------------------- when the service interrupts itself


def test_sound_with_a_number_that_was_interrupted_is_never_heard() -> None:
    stage = Stage().opens().hears(audio(4, sound(100)), audio(5, sound(100)), interruption(6))
    assert stage.told[-2:] == [Interrupted("response_1"), ResponseDone("response_1")]
    stage.hears(audio(6, sound(100)), audio(3, sound(100)), audio(5, sound(100)))
    assert len(stage.told_of(Audio)) == 2
    stage.hears(audio(7, sound(100, 9)))
    assert stage.heard("response_2") == sound(100, 9)


def test_numbers_are_compared_as_numbers_also_where_they_are_text() -> None:
    stage = Stage().opens().hears(audio(8, sound(100)))
    for message in (
        {"type": "interruption", "interruption_event": {"event_id": "9"}},
        {"type": "audio", "audio_event": {"audio_base_64": "AAAA", "event_id": "10"}},
    ):
        stage.take(stage.wire.receive(json.dumps(message), stage.at))
    assert stage.told_of(ResponseStarted) == [ResponseStarted("response_1"), ResponseStarted("response_2")]


def test_an_interruption_of_what_is_made_but_still_sounds_is_told() -> None:
    stage = Stage().opens().hears(audio(1, sound(3000)), complete(), interruption(1))
    assert stage.told[-1] == Interrupted("response_1")
    assert stage.told_of(ResponseDone) == [ResponseDone("response_1")]


def test_an_old_interruption_changes_nothing() -> None:
    stage = Stage().opens().hears(audio(4, sound(100)), interruption(4), user_transcript("hm"), audio(5, sound(100)))
    stage.hears(interruption(4), audio(6, sound(100, 3)))
    assert stage.told_of(Interrupted) == [Interrupted("response_1")]
    assert stage.heard("response_2") == sound(100) + sound(100, 3)


def test_of_its_own_interruption_the_service_is_told_only_how_much_was_heard() -> None:
    stage = Stage().opens().hears(audio(1, sound(1000)), interruption(1))
    stage.said()
    assert stage.does(Interrupt("response_1", 300)).said() == ["contextual_update"]
    assert stage.hears(audio(2, sound(100, 9))).heard("response_2") == sound(100, 9), "and its next answer is heard"


def test_half_a_sample_of_an_interrupted_answer_does_not_shift_the_next_one() -> None:
    stage = Stage().opens().hears(audio(1, sound(100) + b"x"), interruption(1), audio(2, sound(100, 9)))
    assert stage.heard("response_2") == sound(100, 9)


# ------------------------------------------------------------------------------------------ when we interrupt it


def test_after_our_interruption_nothing_of_that_answer_is_heard_and_the_service_is_told() -> None:
    stage = Stage().opens().hears(audio(1, sound(1000)))
    stage.said()
    stage.does(Interrupt("response_1", 400))
    assert stage.told[-1] == ResponseDone("response_1")
    assert stage.said() == ["user_activity", "contextual_update"]
    stage.hears(audio(2, sound(1000)), audio(3, sound(1000)))
    assert stage.heard("response_1") == sound(1000)
    stage.hears(interruption(3), audio(3, sound(50)), user_transcript("wait"), audio(4, sound(100, 9)))
    assert stage.told_of(Interrupted) == [], "it is silent already"
    assert stage.heard("response_2") == sound(100, 9)


@pytest.mark.parametrize("ends", ["interruption", "transcript", "complete", "pause"])
def test_each_sign_of_a_new_answer_alone_lets_it_be_heard(ends: str) -> None:
    stage = Stage().opens().hears(audio(1, sound(1000))).does(Interrupt("response_1", 400))
    stage.hears(audio(2, sound(1000)))
    match ends:
        case "interruption":
            stage.hears(interruption(2))
        case "transcript":
            stage.hears(user_transcript("and what about this?"))
        case "complete":
            stage.hears(complete())
        case _:
            stage.passes(2.0 + PAUSE_S)
    stage.hears(audio(3, sound(100, 9)))
    assert stage.heard("response_2") == sound(100, 9)


def test_what_was_begun_after_an_interrupted_response_is_dead_too() -> None:
    stage = (
        Stage().opens().hears(audio(1, sound(300)), complete(), audio(2, sound(300))).does(Interrupt("response_1", 100))
    )
    stage.hears(audio(3, sound(300)))
    assert stage.heard("response_2") == sound(300)
    assert stage.told_of(ResponseDone) == [ResponseDone("response_1"), ResponseDone("response_2")]


def test_the_rest_of_an_answer_that_had_paused_is_not_heard_after_the_interruption() -> None:
    stage = Stage().opens().hears(audio(1, sound(300))).passes(0.3 + PAUSE_S)
    assert stage.told[-1] == ResponseDone("response_1")
    stage.does(Interrupt("response_1", 250)).hears(audio(2, sound(300)))
    assert stage.told_of(ResponseStarted) == [ResponseStarted("response_1")]


def test_the_service_is_told_which_words_were_heard_by_the_letter() -> None:
    stage = Stage().opens().hears(agent_response("Hello you there"), audio(1, sound(500), **letters("Hello", 100)))
    stage.hears(audio(2, sound(1000), **letters(" you there", 100)))
    stage.does(Interrupt("response_1", 850))
    (context,) = stage.fields("contextual_update")
    assert context["text"] == (
        "The person stopped you 0.85 s after you began your last answer, and heard no more of it. "
        'The last they heard was: "Hello you"'
    )


def test_without_letters_the_words_are_told_by_their_share_of_the_time() -> None:
    stage = Stage().opens().hears(agent_response("one two three four five six"), audio(1, sound(3000)))
    stage.does(Interrupt("response_1", 1500))
    (context,) = stage.fields("contextual_update")
    assert context["text"].endswith('The last they heard was: "one two"')


def test_of_an_answer_that_was_not_heard_at_all_no_words_are_told() -> None:
    stage = (
        Stage().opens().hears(agent_response("one two three"), audio(1, sound(3000))).does(Interrupt("response_1", 0))
    )
    (context,) = stage.fields("contextual_update")
    assert context["text"] == "The person stopped you 0.00 s after you began your last answer, and heard no more of it."


def test_who_has_heard_it_all_has_missed_nothing() -> None:
    stage = Stage().opens().hears(audio(1, sound(1000)), complete())
    stage.said()
    assert stage.does(Interrupt("response_1", 950)).said() == ["user_activity"]


def test_what_the_service_holds_to_have_been_said_is_taken() -> None:
    stage = Stage().opens().hears(agent_response("one two three"), audio(1, sound(3000)), interruption(1))
    stage.hears(correction("one two three", "one two..."))
    assert stage.told[-1] == Transcript("agent", "one two...", final=True)
    assert stage.wire.lost(stage.at)
    stage.sent.clear()
    (context,) = stage.opens().fields("contextual_update")
    assert context["text"].endswith("You: one two...")


def test_a_response_that_is_unknown_is_not_interrupted() -> None:
    stage = Stage().opens()
    stage.said()
    assert stage.does(Interrupt("response_9", 100)).said() == []


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("audio"), st.integers(0, 3)),
            st.tuples(st.just("interruption"), st.integers(-3, 3)),
            st.tuples(st.just("interrupt"), st.integers(1, 5)),
            st.tuples(st.sampled_from(("transcript", "complete", "words", "wait")), st.just(0)),
        ),
        max_size=40,
    )
)
def test_whatever_comes_no_dead_sound_is_heard_and_every_response_ends_once(steps: list[tuple[str, int]]) -> None:
    stage, number, interrupted = Stage().opens(), 10, 0
    dead: set[str] = set()
    for kind, value in steps:
        before = len(stage.told)
        match kind:
            case "audio":
                number += value
                stage.hears(audio(number, sound(200)))
                assert number > interrupted or len(stage.told) == before, "late sound"
            case "interruption":
                interrupted = max(interrupted, number + value)
                stage.hears(interruption(number + value))
            case "interrupt":
                stage.does(Interrupt(f"response_{value}", 50.0))
                started = [event.response for event in stage.told_of(ResponseStarted)]
                if f"response_{value}" in started:
                    dead |= set(started[started.index(f"response_{value}") :])
            case "transcript":
                stage.hears(user_transcript("hm"))
            case "complete":
                stage.hears(complete())
            case "words":
                stage.hears(agent_response("words"))
            case _:
                stage.passes(1.0)
        new = stage.told[before:]
        assert not [event for event in new if isinstance(event, Audio) and event.response in dead]
        dead |= {event.response for event in new if isinstance(event, Interrupted)}
    stage.passes(12.0)
    begun = [event.response for event in stage.told_of(ResponseStarted)]
    assert begun == [event.response for event in stage.told_of(ResponseDone)]


# ---------------------------------------------------------------------------------------------------------- tools


def test_a_tool_is_called_once_and_its_result_is_told() -> None:
    call = tool_call("c1", "set_volume", {"percent": 30})
    stage = Stage().opens().hears(call, call)
    assert stage.told_of(ToolCalled) == [ToolCalled("c1", "set_volume", '{"percent": 30}')]
    stage.does(ToolResult("c1", "the volume is 30 per cent"), ToolResult("c1", "again"), ToolResult("c9", "whose?"))
    result = {"tool_call_id": "c1", "result": "the volume is 30 per cent", "is_error": False}
    assert stage.fields("client_tool_result") == [result]


def test_an_agent_that_uses_a_tool_without_a_word_is_not_waited_for() -> None:
    stage = Stage().opens().hears(user_transcript("hang up"), tool_call("c1", "hang_up", {}))
    assert stage.told[-3:] == [
        ResponseStarted("nothing_1"),
        ResponseDone("nothing_1"),
        ToolCalled("c1", "hang_up", "{}"),
    ]


def test_a_tool_that_failed_is_told_so() -> None:
    stage = (
        Stage().opens().hears(tool_call("c1", "dance", {})).does(ToolResult("c1", "error: there is no tool 'dance'"))
    )
    result = {"tool_call_id": "c1", "result": "error: there is no tool 'dance'", "is_error": True}
    assert stage.fields("client_tool_result") == [result]


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [({}, "{}"), (None, "{}"), ('{"percent": 30}', '{"percent": 30}'), ('{"perc', '{"perc'), ([1], "[1]")],
)
def test_parameters_in_any_shape_become_the_text_that_the_box_checks(parameters: object, arguments: str) -> None:
    stage = Stage().opens().hears(tool_call("c1", "set_volume", parameters))
    assert stage.told_of(ToolCalled) == [ToolCalled("c1", "set_volume", arguments)]


def test_a_tool_of_an_answer_that_was_interrupted_is_not_run() -> None:
    stage = Stage().opens().hears(audio(1, sound(500))).does(Interrupt("response_1", 100))
    stage.hears(tool_call("c1", "hang_up", {}))
    assert stage.told_of(ToolCalled) == []
    (result,) = stage.fields("client_tool_result")
    assert (result["tool_call_id"], result["is_error"]) == ("c1", True)
    assert "the person interrupted you" in result["result"]
    stage.hears(user_transcript("hang up"), tool_call("c2", "hang_up", {}))
    assert stage.told_of(ToolCalled) == [ToolCalled("c2", "hang_up", "{}")]
