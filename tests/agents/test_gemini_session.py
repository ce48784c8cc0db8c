"""What a Gemini session is made of: where to connect, the setup, and what each end means to the owner of the box."""

from __future__ import annotations

import pytest

from edgevoice.agents.gemini import Settings
from edgevoice.agents.gemini_session import GO_AWAY_S, Blob, GoAway, closing, decode, request
from edgevoice.events import End
from tests.agents.gemini_service import GeminiService

KEY = "AIzaSyVerySecret0123456789"
SETTINGS = Settings(url="wss://example.org/live", model="a-model", api_key=KEY)


def setup(settings: Settings) -> dict[str, object]:
    service = GeminiService(settings)
    service.take(service.wire.opened(service.at))
    return service.setup()


def test_the_key_is_in_a_header_and_not_in_the_address() -> None:
    asked = request(SETTINGS)
    assert asked.url == "wss://example.org/live"
    assert asked.headers == {"x-goog-api-key": KEY}
    assert KEY not in repr(asked) + repr(SETTINGS)
    assert asked.alone, "a session is not resumed beside itself"
    assert request(Settings()).headers == {}


def test_a_session_is_described_in_full() -> None:
    assert setup(Settings(voice="Puck", language="sv", vad_silence_ms=700, instructions="Be brief.")) == {
        "model": "models/gemini-3.8-live",
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {
                "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}},
                "languageCode": "sv",
            },
        },
        "realtimeInputConfig": {
            "automaticActivityDetection": {"disabled": True},
            "activityHandling": "START_OF_ACTIVITY_INTERRUPTS",
            "turnCoverage": "TURN_INCLUDES_ONLY_ACTIVITY",
        },
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    }


def test_what_is_left_empty_is_left_to_the_service() -> None:
    described = setup(Settings(voice="", model="models/another"))
    assert described["model"] == "models/another"
    assert described["generationConfig"] == {"responseModalities": ["AUDIO"], "speechConfig": {}}
    assert not described.keys() & {"systemInstruction", "tools"}


def test_the_service_may_end_the_turns() -> None:
    described = setup(Settings(turn_detection="server_vad", vad_silence_ms=700))
    realtime = described["realtimeInputConfig"]
    assert isinstance(realtime, dict)
    assert realtime["automaticActivityDetection"] == {"disabled": False, "silenceDurationMs": 700}


@pytest.mark.parametrize(
    ("code", "reason", "end", "words"),
    [
        (1007, "API key not valid. Please pass a valid API key.", End.BAD_CREDENTIALS, "does not accept the API key"),
        (1007, "API key expired. Please renew the API key.", End.BAD_CREDENTIALS, "does not accept the API key"),
        (400, '{"error": {"status": "API_KEY_INVALID"}}', End.BAD_CREDENTIALS, "does not accept the API key"),
        (401, "", End.BAD_CREDENTIALS, "does not accept the API key"),
        (1011, "You exceeded your current quota, please check your plan", End.NO_CREDIT, "no credit or no quota"),
        (429, "RESOURCE_EXHAUSTED", End.NO_CREDIT, "no credit or no quota"),
        (1008, "models/a-model is not found for API version v1beta", End.REFUSED, "does not offer the model 'a-model'"),
        (1007, "User location is not supported for the API use.", End.REFUSED, "does not serve the country"),
        (1007, "Request contains an invalid argument.", End.REFUSED, "(1007): check agent.gemini: Request contains"),
        (1008, "Operation is not implemented", End.REFUSED, "check agent.gemini: Operation is not"),
        (403, "", End.REFUSED, "this key may not use 'a-model'"),
        (404, "", End.REFUSED, "nothing there (HTTP 404): check url and model"),
        (429, "", End.LINK_LOST, "too busy"),
        (503, "", End.LINK_LOST, "in trouble (HTTP 503)"),
        (0, "no route to host", End.LINK_LOST, "cannot be reached: no route"),
        (1006, "", End.LINK_LOST, "broke (1006)"),
        (1009, "", End.BROKEN, "too big (1009)"),
        (1011, "Internal error encountered.", End.LINK_LOST, "ended the session (1011): Internal error"),
    ],
)
def test_each_end_has_a_sentence_and_says_whether_to_try_again(code: int, reason: str, end: End, words: str) -> None:
    closed = closing(SETTINGS, code, reason, begun=False)
    assert closed.end is end
    assert words in closed.reason


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011])
def test_a_session_that_had_begun_may_go_on(code: int) -> None:
    reason = "Deadline expired before operation could complete."
    assert closing(SETTINGS, code, reason, begun=True).end is End.LINK_LOST


def test_what_the_service_says_is_repeated_without_keys() -> None:
    said = closing(SETTINGS, 1011, f"no {KEY}\nnor AIzaAnother-Key_1, nor sk-abc " + "x" * 500, begun=False).reason
    assert "no [key] nor [key], nor [key] xxx" in said
    assert len(said) < 250


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ("audio/pcm;rate=24000", 24_000),
        ("audio/pcm; rate=16000", 16_000),
        ("audio/L16;codec=pcm;rate=24000", 24_000),
        ("audio/pcm", 24_000),
        ("audio/pcm;rate=", None),
        ("audio/pcm;rate=-1", None),
        ("audio/pcm;rate=99999999999", None),
        ("audio/ogg", None),
        ("", None),
    ],
)
def test_the_rate_of_sound_is_read_from_its_kind(kind: str, rate: int | None) -> None:
    assert Blob("AAAA", kind).rate == rate


@pytest.mark.parametrize(
    ("left", "seconds"), [("50s", 50.0), ("9.5s", 9.5), ("0s", 0.0), ("", GO_AWAY_S), ("1m", GO_AWAY_S)]
)
def test_how_long_a_connection_still_stands(left: str, seconds: float) -> None:
    assert GoAway(left).left_s == seconds


def test_a_message_of_the_future_is_read() -> None:
    decoded = decode('{"serverContent": {"newThing": [1], "turnComplete": true}, "another": 1}')
    assert decoded
    assert decoded.server_content
    assert decoded.server_content.turn_complete
