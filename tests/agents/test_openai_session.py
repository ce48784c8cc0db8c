"""OpenAI's dialects, told as stories: where we connect, how a session is described, how a connection ends."""

from __future__ import annotations

import pytest

from edgevoice.agents.openai import Settings
from edgevoice.agents.openai_session import Dialect, TurnDetection, closing, request
from edgevoice.events import Audio, End, Opened, Transcript
from edgevoice.tools import TOOLS
from tests.agents.service import Service
from tests.agents.stage import sound

AZURE = "wss://here.openai.azure.com/openai/v1/realtime"
PREVIEW = "wss://here.openai.azure.com/openai/realtime?api-version=2025-04-01-preview"
OURS = {"create_response": False, "interrupt_response": False}


@pytest.mark.parametrize(
    ("dialect", "url", "goes_to", "headers"),
    [
        ("ga", "wss://a/v1/realtime", "wss://a/v1/realtime?model=m", {"Authorization": "Bearer k"}),
        ("ga", "wss://a/v1?model=own&x=1", "wss://a/v1?model=own&x=1", {"Authorization": "Bearer k"}),
        ("beta", "ws://b:80/rt", "ws://b:80/rt?model=m", {"Authorization": "Bearer k", "OpenAI-Beta": "realtime=v1"}),
        ("azure", AZURE, f"{AZURE}?model=m", {"api-key": "k"}),
        ("azure", PREVIEW, f"{PREVIEW}&deployment=m", {"api-key": "k"}),
    ],
)
def test_each_dialect_has_its_address_and_its_headers(
    dialect: Dialect, url: str, goes_to: str, headers: dict[str, str]
) -> None:
    asked = request(Settings(url=url, dialect=dialect, model="m", api_key="k"))
    assert (asked.url, dict(asked.headers)) == (goes_to, headers)


def test_a_server_of_ones_own_may_want_no_key() -> None:
    assert request(Settings(dialect="beta")).headers == {"OpenAI-Beta": "realtime=v1"}


def test_the_key_is_never_shown() -> None:
    settings = Settings(api_key="sk-secret")
    assert "sk-secret" not in f"{settings} {request(settings)}"


def test_the_whole_session_as_openai_wants_it() -> None:
    settings = Settings(instructions="Be brief.", language="sv", vad_threshold=0.6, tools=(TOOLS["hang_up"],))
    (update,) = Service(settings).opens().sent_fields("session.update")
    pcm = {"type": "audio/pcm", "rate": 24000}
    detection = {"type": "server_vad", "threshold": 0.6, "prefix_padding_ms": 300, "silence_duration_ms": 500, **OURS}
    assert update["session"] == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be brief.",
        "audio": {
            "input": {
                "format": pcm,
                "noise_reduction": {"type": "far_field"},
                "transcription": {"model": "gpt-transcribe", "language": "sv"},
                "turn_detection": detection,
            },
            "output": {"format": pcm, "voice": "marin"},
        },
        "tools": [
            {
                "type": "function",
                "name": "hang_up",
                "description": TOOLS["hang_up"].description,
                "parameters": TOOLS["hang_up"].parameters,
            }
        ],
        "tool_choice": "auto",
    }


@pytest.mark.parametrize(("dialect", "url"), [("beta", "ws://b/v1/realtime"), ("azure", PREVIEW)])
def test_the_whole_session_as_look_alikes_want_it(dialect: Dialect, url: str) -> None:
    settings = Settings(url=url, dialect=dialect, instructions="Be brief.", turn_detection="semantic_vad")
    (update,) = Service(settings).opens().sent_fields("session.update")
    assert update["session"] == {
        "modalities": ["text", "audio"],
        "voice": "marin",
        "instructions": "Be brief.",
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_noise_reduction": {"type": "far_field"},
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": {"type": "semantic_vad", "eagerness": "auto", **OURS},
        "tools": [],
        "tool_choice": "auto",
    }


@pytest.mark.parametrize("detection", ["local", "none"])
def test_where_we_end_turns_the_service_detects_none(detection: TurnDetection) -> None:
    (update,) = Service(Settings(turn_detection=detection)).opens().sent_fields("session.update")
    assert update["session"]["audio"]["input"]["turn_detection"] is None


def test_without_instructions_the_service_keeps_its_own() -> None:
    (update,) = Service().opens().sent_fields("session.update")
    assert "instructions" not in update["session"]


def test_a_look_alike_speaks_by_the_old_names() -> None:
    service = Service(Settings(dialect="beta")).opens().begins("a", "x")
    service.says("response.audio.delta", response_id="a", item_id="x", delta="AAAA")
    service.says("response.audio_transcript.delta", response_id="a", item_id="x", delta="Hel")
    service.says("response.audio_transcript.done", response_id="a", item_id="x", transcript="Hello")
    assert service.heard("a") == b"\0\0"
    assert service.told_of(Transcript) == [Transcript("agent", "Hel", False), Transcript("agent", "Hello", True)]
    service.opens()
    (item,) = service.sent_fields("conversation.item.create")
    assert item["item"]["content"] == [{"type": "text", "text": "Hello"}]


def test_a_look_alike_that_objects_to_every_session_is_taken_as_it_is() -> None:
    service = Service(Settings(dialect="beta"))
    service.take(service.wire.opened(service.at))
    service.says("session.created", session={})
    service.objects("unknown_parameter", "setup").objects("unknown_parameter", "plain_setup").passes(2)
    assert service.told == [Opened()]
    assert service.begins("a", "x").speaks("a", "x", 20).told_of(Audio) == [Audio(sound(20), "a")]


@pytest.mark.parametrize(
    ("code", "reason", "end", "means"),
    [
        (0, "Name or service not known", End.LINK_LOST, "cannot be reached: Name or service not known"),
        (401, '{"error":{"code":"invalid_api_key"}}', End.BAD_CREDENTIALS, "does not accept the API key"),
        (403, "", End.REFUSED, "forbids it (HTTP 403)"),
        (403, '{"error":{"code":"model_not_found"}}', End.REFUSED, "does not offer the model 'gpt-realtime-2'"),
        (404, "", End.REFUSED, "nothing there (HTTP 404): check url, dialect and model"),
        (400, '{"error":{"code":"beta_api_shape_disabled"}}', End.REFUSED, 'set dialect = "ga"'),
        (429, '{"error":{"code":"insufficient_quota"}}', End.NO_CREDIT, "no credit left"),
        (429, "slow down", End.LINK_LOST, "too busy (HTTP 429): slow down"),
        (502, "<html>", End.LINK_LOST, "in trouble (HTTP 502)"),
        (302, "", End.REFUSED, "check url"),
        (1000, "", End.LINK_LOST, "ended the session (1000)"),
        (1001, "", End.LINK_LOST, "ended the session (1001)"),
        (1006, "", End.LINK_LOST, "broke (1006)"),
        (1008, "policy", End.REFUSED, "refuses to go on (1008): policy"),
        (1009, "", End.BROKEN, "too big (1009)"),
        (1011, "keepalive ping timeout", End.LINK_LOST, "broke (1011): keepalive ping timeout"),
        (4000, "", End.REFUSED, "no longer speaks the beta API"),
        (4999, "", End.LINK_LOST, "broke (4999)"),
    ],
)
def test_every_end_of_a_connection_has_its_sentence(code: int, reason: str, end: End, means: str) -> None:
    closed = closing(Settings(), code, reason)
    assert closed.end is end
    assert means in closed.reason


def test_what_a_server_says_is_repeated_short_and_without_keys() -> None:
    said = "Incorrect key sk-proj-abc*****xyz or secret-of-ours\n" + "x" * 1000
    sentence = closing(Settings(api_key="secret-of-ours"), 1008, said).reason
    assert "Incorrect key [key] or [key] xxx" in sentence
    assert len(sentence) < 250


def test_the_wire_says_the_same_and_stays_usable_for_a_second_connection_that_failed() -> None:
    service = Service().opens()
    assert service.wire.closed(1011, "", service.at).end is End.LINK_LOST
    assert service.begins("a", "x").speaks("a", "x", 20).heard("a") == sound(20)
