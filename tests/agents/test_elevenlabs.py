"""An ElevenLabs conversation, told as stories: its beginning, the person's sound, a link that is lost, garbage."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.agents.elevenlabs import BEGUN_S, FRAME, ElevenLabs, Settings
from edgevoice.agents.elevenlabs_session import FORMATS
from edgevoice.audio.g711 import pcm_to_ulaw, ulaw_to_pcm
from edgevoice.events import (
    Audio,
    Closed,
    End,
    HangUp,
    Interrupt,
    Interrupted,
    Opened,
    Play,
    Respond,
    ResponseDone,
    ResponseStarted,
    Resumed,
    ToolCalled,
    ToolResult,
    Transcript,
    TurnCommitted,
)
from edgevoice.wire import NOTHING, Wire
from tests.agents.elevenlabs_stage import (
    KEY,
    RATE,
    Stage,
    agent_response,
    audio,
    complete,
    interruption,
    metadata,
    ping,
    sound,
    tool_call,
    user_transcript,
)
from tests.agents.stage import stays_small

# -------------------------------------------------------------------------------------------------- the beginning


def test_it_is_a_wire_of_16_khz() -> None:
    wire: Wire = ElevenLabs(Settings(agent_id="a"))
    assert (wire.rate, wire.deadline) == (16_000, None)


def test_what_is_not_set_here_is_not_overridden() -> None:
    stage = Stage()
    stage.take(stage.wire.opened(stage.at))
    assert stage.sent == [{"type": "conversation_initiation_client_data"}]


def test_what_is_set_here_is_sent_before_all_else() -> None:
    stage = Stage(
        Settings("a", instructions="Be brief.", language="sv", voice="v1", greeting="Hej", variables={"x": "y"})
    )
    stage.opens()
    assert stage.fields("conversation_initiation_client_data") == [
        {
            "conversation_config_override": {
                "agent": {"prompt": {"prompt": "Be brief."}, "first_message": "Hej", "language": "sv"},
                "tts": {"voice_id": "v1"},
            },
            "dynamic_variables": {"x": "y"},
        }
    ]


def test_the_call_is_open_once_the_service_says_how_it_speaks() -> None:
    stage = Stage()
    stage.take(stage.wire.opened(stage.at))
    assert stage.told == []
    stage.hears(metadata(), metadata())
    assert stage.told == [Opened()]


def test_a_service_that_does_not_say_how_it_speaks_speaks_as_usual() -> None:
    stage = Stage()
    stage.take(stage.wire.opened(stage.at))
    stage.hears(metadata(None, None), audio(1, sound(20)))
    assert stage.heard("response_1") == sound(20)


def test_a_conversation_that_never_begins_is_not_waited_for() -> None:
    stage = Stage()
    stage.take(stage.wire.opened(stage.at))
    stage.hears(ping(1)).passes(BEGUN_S)
    assert stage.told == [Closed(End.LINK_LOST, "api.elevenlabs.io does not begin the conversation")]
    assert stage.close


@pytest.mark.parametrize(
    ("speaks", "hears", "what"),
    [("mp3_44100", "pcm_16000", "speaks 'mp3_44100'"), ("pcm_8000", "opus", "hears 'opus'")],
)
def test_a_format_that_we_cannot_play_is_named_with_those_that_we_can(speaks: str, hears: str, what: str) -> None:
    stage = Stage().opens(speaks, hears)
    (closed,) = stage.told_of(Closed)
    assert closed.end is End.REFUSED
    assert f"the agent 'agent_1' {what}, expected one of pcm_8000, pcm_16000, " in closed.reason
    assert "ulaw_8000: set that at api.elevenlabs.io" in closed.reason


def test_every_ping_is_answered_at_once() -> None:
    stage = Stage().opens().hears(ping(7), ping(8), {"type": "ping"})
    assert stage.fields("pong") == [{"event_id": 7}, {"event_id": 8}]


def test_hanging_up_ends_it_and_nothing_comes_after() -> None:
    stage = Stage().opens().hears(audio(1, sound(100))).does(HangUp("enough"))
    assert stage.told[-1] == Closed(End.HUNG_UP, "enough")
    assert stage.wire.perform(Play(sound(100)), stage.at) == NOTHING
    assert stage.wire.receive(json.dumps(ping(1)), stage.at) == NOTHING
    assert stage.wire.closed(1006, "", stage.at) == Closed(End.HUNG_UP, "enough")
    assert stage.wire.deadline is None


# ---------------------------------------------------------------------------------------------------- formats


def tone(rate: int, ms: int = 400) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 12_000 * np.sin(2 * np.pi * 440 * np.arange(rate * ms // 1000) / rate)


def is_the_tone(pcm: bytes, rate: int, within: float) -> bool:
    """Tell whether it is the 440 Hz of `tone`, from 100 ms on, and nothing else."""
    samples = np.frombuffer(pcm, "<i2").astype(float)[rate // 10 :]
    turns = 2 * np.pi * 440 * np.arange(len(samples)) / rate
    basis = np.stack([np.sin(turns), np.cos(turns)], axis=1)
    parts, *_ = np.linalg.lstsq(basis, samples, rcond=None)
    rest = samples - basis @ parts
    return abs(float(np.hypot(*parts)) / 12_000 - 1) < within and float(np.abs(rest).max()) < within * 12_000


@pytest.mark.parametrize("format", FORMATS)
def test_whatever_format_an_agent_speaks_in_is_heard(format: str) -> None:
    rate = FORMATS[format]
    pcm = tone(rate).astype("<i2").tobytes()
    pcm = pcm_to_ulaw(pcm) if format == "ulaw_8000" else pcm
    stage = Stage().opens(speaks=format)
    for number, i in enumerate(range(0, len(pcm), 1001), 1):  # in the middle of samples
        stage.hears(audio(number, pcm[i : i + 1001]))
    heard = stage.heard("response_1")
    assert len(heard) == pytest.approx(2 * RATE * 0.4, abs=4)
    assert is_the_tone(heard, RATE, 0.04 if format == "ulaw_8000" else 0.01)


@pytest.mark.parametrize("format", FORMATS)
def test_whatever_format_an_agent_hears_in_is_sent(format: str) -> None:
    stage = Stage().opens(hears=format).does(Play(tone(RATE).astype("<i2").tobytes()))
    sent = ulaw_to_pcm(stage.sent_sound()) if format == "ulaw_8000" else stage.sent_sound()
    assert len(sent) == 2 * FORMATS[format] * 4 // 10
    assert is_the_tone(sent, FORMATS[format], 0.04 if format == "ulaw_8000" else 0.01)


# ----------------------------------------------------------------------------------------------------- the person


def test_the_persons_sound_goes_out_in_frames_without_a_gap() -> None:
    stage = Stage().opens()
    said = sound(1010)
    for i in range(0, len(said), 322):
        stage.does(Play(said[i : i + 322]))
    assert stage.sent_sound() == said[: len(said) // FRAME * FRAME]
    assert {len(message["user_audio_chunk"]) for message in stage.sent if "user_audio_chunk" in message} == {1708}


def test_the_sound_of_a_response_is_not_taken_for_the_persons() -> None:
    assert Stage().opens().does(Play(sound(100), "response_1")).sent_sound() == b""


def test_while_nobody_is_to_be_heard_silence_flows() -> None:
    stage = Stage().opens()
    for _ in range(100):
        stage.does(Play(sound(20))).passes(0.02)
    assert stage.sent_sound() == sound(20) * 100, "nothing is put in between"
    stage.sent.clear()
    stage.passes(3.0)
    assert len(stage.sent_sound()) == pytest.approx(2 * RATE * 3.0, rel=0.05)
    assert not any(stage.sent_sound())


def test_the_service_answers_a_turn_without_being_told_to() -> None:
    stage = Stage().opens().hears(user_transcript(" What is the time? "))
    assert stage.told[1:] == [Transcript("person", "What is the time?", final=True), TurnCommitted()]
    stage.said()
    assert stage.does(Respond()).said() == []


# ------------------------------------------------------------------------------------------------ a link that is lost


def test_a_link_that_is_lost_before_the_conversation_began_is_not_gone_on_with() -> None:
    stage = Stage()
    stage.take(stage.wire.opened(stage.at))
    assert not stage.wire.lost(stage.at)


def test_when_the_link_is_back_the_agent_knows_what_was_said_and_does_not_greet_again() -> None:
    stage = Stage().opens().hears(agent_response("Hello!"), audio(40, sound(500))).passes(2)
    stage.hears(user_transcript("Who are you?"), agent_response("I am a box."), audio(41, sound(500)), complete())
    assert stage.wire.lost(stage.at)
    stage.passes(3)
    stage.sent.clear()
    stage.opens()
    assert stage.told[-1] == Resumed()
    assert stage.told_of(Opened) == [Opened()]
    (context,) = stage.fields("contextual_update")
    assert context["text"].endswith("You: Hello!\nThe person: Who are you?\nYou: I am a box.")
    assert stage.said() == ["conversation_initiation_client_data", "contextual_update"]
    stage.hears(agent_response("Hello!"), audio(1, sound(500))).passes(3)
    assert stage.told_of(ResponseStarted) == [ResponseStarted("response_1"), ResponseStarted("response_2")]
    stage.hears(user_transcript("And now?"), audio(2, sound(300)))
    assert stage.heard("response_3") == sound(300)


def test_a_turn_that_was_not_answered_is_answered_when_the_link_is_back() -> None:
    stage = Stage().opens().hears(user_transcript("Who are you?"))
    assert stage.wire.lost(stage.at)
    stage.sent.clear()
    stage.opens()
    assert stage.fields("user_message") == [{"text": "Who are you?"}]


def test_the_answer_to_a_turn_that_was_not_answered_is_heard_at_once() -> None:
    stage = Stage().opens().hears(user_transcript("Who are you?"))
    assert stage.wire.lost(stage.at)
    stage.opens().hears(audio(1, sound(500)))
    assert stage.heard("response_1") == sound(500)


def test_an_answer_that_the_lost_link_has_cut_ends_and_its_numbers_mean_nothing() -> None:
    stage = Stage().opens().hears(audio(40, sound(500)), interruption(40), audio(41, sound(500)))
    assert stage.wire.lost(stage.at)
    stage.opens().hears(user_transcript("What?"), audio(1, sound(100)))
    assert stage.told_of(ResponseDone) == [ResponseDone("response_1"), ResponseDone("response_2")]
    assert stage.heard("response_3") == sound(100)


# ---------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "message": "received 1002 (protocol error) This request exceeds your quota limit."},
        {"type": "error", "error_event": {"error_type": "quota", "message": "quota exceeded", "code": 1002}},
        {"type": "client_error", "client_error_event": {"reason": "quota_exceeded"}},
    ],
)
def test_a_quota_that_ends_in_a_conversation_ends_it_in_words(error: dict[str, object]) -> None:
    stage = Stage().opens().hears(error)
    (closed,) = stage.told_of(Closed)
    assert closed.end is End.NO_CREDIT
    assert "no credit left" in closed.reason


def test_a_tool_that_is_not_authorized_does_not_end_the_conversation() -> None:
    stage = Stage().opens().hears({"type": "client_error", "client_error_event": {"message": "webhook: unauthorized"}})
    assert stage.told_of(Closed) == []


def test_an_error_before_the_conversation_has_begun_says_what_to_do() -> None:
    stage = Stage()
    stage.take(stage.wire.opened(stage.at))
    stage.hears({"type": "error", "message": "Override for field 'first_message' is not allowed by config"})
    (closed,) = stage.told_of(Closed)
    assert closed.end is End.REFUSED
    assert "allow these overrides in its security settings" in closed.reason


# --------------------------------------------------------------------------------------------------------- garbage


@pytest.mark.parametrize(
    "message",
    [
        *("", "garbage", "null", "[]", b"\x00\xff", '{"type":7}', '{"type":"audio","audio_event":[]}', '{"x":1}'),
        *('{"type":"audio","audio_event":{"event_id":"six"}}', '{"type":"x","y":' + "[" * 100_000),
        *('{"type":"audio","audio_event":{"audio_base_64":"@@@","event_id":1}}',),
        *('{"type":"client_tool_call","client_tool_call":{"tool_name":"hang_up"}}',),
    ],
)
def test_garbage_is_counted_and_otherwise_ignored(message: str | bytes) -> None:
    stage = Stage().opens()
    stage.take(stage.wire.receive(message, stage.at))
    assert stage.told_of(Audio) == []
    assert stage.told_of(ToolCalled) == []
    assert stage.wire.ignored == 1


def test_what_we_do_not_know_or_have_no_use_for_is_let_pass() -> None:
    stage = Stage().opens()
    kinds = (
        "vad_score",
        "tentative_user_transcript",
        "internal_tentative_agent_response",
        "mcp_tool_call",
        "of.the.future",
    )
    for kind in (*kinds, "agent_chat_response_part", "guardrail_triggered", "user_transcript", "audio", "interruption"):
        assert stage.take(stage.wire.receive(json.dumps({"type": kind, "padding": "x" * 1000}), stage.at)) == NOTHING
    assert stage.wire.ignored == 0


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just("AAAA"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(("event_id", "audio_base_64", "alignment", "chars", "char_start_times_ms", "message")),
            inner,
        )
        | st.dictionaries(st.sampled_from(("tool_name", "tool_call_id", "parameters", "agent_response")), inner)
    ),
    max_leaves=5,
)


@given(
    st.sampled_from(
        (
            *("audio", "interruption", "ping", "user_transcript", "agent_response", "agent_response_correction"),
            *("client_tool_call", "agent_tool_response", "error", "conversation_initiation_metadata"),
        )
    ),
    st.dictionaries(
        st.sampled_from(
            (
                *("audio_event", "interruption_event", "ping_event", "client_tool_call", "agent_response_event"),
                *("agent_tool_response", "error_event", "message", "conversation_initiation_metadata_event"),
            )
        ),
        VALUES,
    ),
)
def test_no_value_in_any_place_makes_it_fall_over(kind: str, fields: dict[str, object]) -> None:
    stage = Stage().opens().hears(audio(1, sound(20)))
    stage.hears({"type": kind, **fields})


def test_days_of_talking_do_not_fill_the_memory() -> None:
    stage = Stage().opens()
    second, letters = sound(1000), {"chars": ["x"] * 20, "char_start_times_ms": [50 * i for i in range(20)]}

    def exchange(i: int) -> None:
        stage.does(Play(second)).hears(user_transcript("words " * 20), agent_response("words " * 20))
        stage.hears(audio(2 * i + 1, sound(500), alignment=letters), tool_call(f"c{i}", "hang_up", {}))
        stage.does(Interrupt(f"response_{i + 1}", 100)).hears(interruption(2 * i + 1))
        stage.sent.clear()
        stage.told.clear()

    stays_small(exchange, exchanges=200)


def test_the_key_is_in_the_question_for_an_address_and_nowhere_else() -> None:
    stage = Stage(Settings(agent_id="a", api_key=KEY, greeting="Hello")).opens()
    stage.does(ToolResult("1", "ok"), Interrupt("response_1", 0)).passes(5)
    assert KEY not in str(stage.sent)
    assert stage.told_of(Interrupted) == []
