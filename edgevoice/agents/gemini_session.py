"""What a Gemini Live session is made of: where to connect, what is said and answered, how it ends.

Source: the types and converters of Google's `google-genai` 3.6, and ai.google.dev/gemini-api/docs/live-api. There are
no error messages: whatever is wrong is told by a close code and words, and the words alone tell a wrong key (1007) from
a model that is not there (1008) and a quota that is used up (1011).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from edgevoice.agents.draft import reader
from edgevoice.agents.ending import WRONG_KEY, Refusals, ended, quoted, refused
from edgevoice.events import Closed, End
from edgevoice.tools import Tool
from edgevoice.wire import Request

RATE = 24_000  # of the sound that it sends
PERSON_RATE = 16_000  # of the sound that it hears
PONG_S = 60.0  # its answers to pings were seen to take 30 s. Source: github.com/aicc2025/sip-to-ai, pull request 14
GO_AWAY_S = 10.0  # left, where it does not say how long
PROTOCOL = "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
DURATION = re.compile(r"(\d+(?:\.\d+)?)s")  # google.protobuf.Duration in JSON
SCHEMA_KEYS = {"description", "enum", "minimum", "maximum", "required"}  # of what the service's own Schema knows

# In the words of a close frame, or of a refused upgrade.
REFUSALS: Refusals = (
    (
        ("api key not valid", "api key not found", "api key expired", "api_key_invalid", "valid api key"),
        End.BAD_CREDENTIALS,
        WRONG_KEY,
    ),
    (
        ("quota", "billing", "credit", "resource_exhausted", "resource has been exhausted"),
        End.NO_CREDIT,
        "the account at {host} has no credit or no quota left: add some, or wait until it is renewed",
    ),
    (
        ("not supported for bidigeneratecontent", "is not found for api version"),
        End.REFUSED,
        "{host} does not offer the model {model!r} to this key: choose another model that is made for the Live API",
    ),
    (
        ("location is not supported",),
        End.REFUSED,
        "{host} does not serve the country that this box is in",
    ),
)

TurnDetection: TypeAlias = Literal["local", "server_vad"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the owner of the box decided. `turn_detection` "local": we begin and end the person's turn."""

    url: str = f"wss://generativelanguage.googleapis.com/ws/{PROTOCOL}"
    model: str = "gemini-3.8-live"
    api_key: str = field(default="", repr=False)
    voice: str = "Kore"
    instructions: str = ""
    language: str = ""  # BCP-47 or ISO 639-1, or empty: whichever is spoken
    turn_detection: TurnDetection = "local"
    vad_silence_ms: int = 500
    tools: tuple[Tool, ...] = ()
    greeting: str = ""

    @property
    def service_ends_turns(self) -> bool:
        return self.turn_detection == "server_vad"

    @property
    def takes_words(self) -> bool:
        """Whether it can be told, between two turns, how much of its answer was heard.

        Models of the 3.1 series take words before a conversation only. Source: ai.google.dev/gemini-api/docs/live-guide
        and docs/models/gemini-3.8-live. Where the service ends the turns it is not known what they would set off.
        """
        return not self.service_ends_turns and "gemini-3.1" not in self.model

    @property
    def host(self) -> str:
        """Who the sentences for the owner are about."""
        return urlsplit(self.url).hostname or self.url


# ---------------------------------------------------------------------------------------------- what they say


class _Struct(Struct, rename="camel"):
    pass


class Blob(_Struct):
    data: str = ""
    mime_type: str = ""

    @property
    def rate(self) -> int | None:
        """Hz of its PCM; None: it is something else."""
        kind, *parameters = self.mime_type.lower().replace(" ", "").split(";")
        if kind not in ("audio/pcm", "audio/l16"):
            return None
        named = dict(parameter.partition("=")[::2] for parameter in parameters)
        rate = named.get("rate", str(RATE))
        return int(rate) if rate.isdecimal() and len(rate) < 7 else None


class Part(_Struct):
    inline_data: Blob | None = None


class Content(_Struct):
    parts: list[Part] | None = None


class Transcription(_Struct):
    text: str | None = None
    finished: bool | None = None


class ServerContent(_Struct):
    model_turn: Content | None = None
    interrupted: bool | None = None
    generation_complete: bool | None = None
    turn_complete: bool | None = None
    waiting_for_input: bool | None = None
    input_transcription: Transcription | None = None
    output_transcription: Transcription | None = None


class FunctionCall(_Struct):
    id: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None


class ToolCall(_Struct):
    function_calls: list[FunctionCall] | None = None


class Cancellation(_Struct):
    ids: list[str] | None = None


class GoAway(_Struct):
    time_left: str | None = None

    @property
    def left_s(self) -> float:
        """How long the connection still stands."""
        duration = DURATION.fullmatch(self.time_left or "")
        return float(duration[1]) if duration else GO_AWAY_S


class ResumptionUpdate(_Struct):
    new_handle: str | None = None
    resumable: bool | None = None


class VoiceActivity(_Struct):
    voice_activity_type: str | None = None


class Message(_Struct):
    """Any message of the service: the fields that we read, from all kinds together."""

    setup_complete: dict[str, Any] | None = None
    server_content: ServerContent | None = None
    tool_call: ToolCall | None = None
    tool_call_cancellation: Cancellation | None = None
    go_away: GoAway | None = None
    session_resumption_update: ResumptionUpdate | None = None
    voice_activity: VoiceActivity | None = None


decode = reader(Message)


# ----------------------------------------------------------------------------------------------- what we say


def request(settings: Settings) -> Request:
    """Say where to connect. The key is in a header, never in the address.

    `alone`: the service refuses to resume a session (1011) while the connection that it had is still open.
    Source: github.com/aicc2025/sip-to-ai, pull request 14; told nowhere in the documentation.
    """
    headers = {"x-goog-api-key": settings.api_key} if settings.api_key else {}
    return Request(settings.url, headers, alone=True, pong_s=PONG_S)


def message(kind: str, body: object) -> str:
    """Write one message."""
    return msgspec.json.encode({kind: body}).decode()


def setup(settings: Settings, handle: str, said: Sequence[tuple[str, str]]) -> str:
    """Describe the session: a new one, or with `handle` the one that it stands for.

    `said` is who said what in a session that cannot be resumed: a new one reads it among its instructions. The other
    ways to tell it have changed with every model.
    """
    model = settings.model if "/" in settings.model else f"models/{settings.model}"
    speech: dict[str, Any] = {}
    if settings.voice:
        speech["voiceConfig"] = {"prebuiltVoiceConfig": {"voiceName": settings.voice}}
    if settings.language:
        speech["languageCode"] = settings.language
    body: dict[str, Any] = {
        "model": model,
        "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": speech},
        "realtimeInputConfig": {
            "automaticActivityDetection": _detection(settings),
            "activityHandling": "START_OF_ACTIVITY_INTERRUPTS",
            "turnCoverage": "TURN_INCLUDES_ONLY_ACTIVITY",  # the silence between is not to be paid for
        },
        "sessionResumption": {"handle": handle} if handle else {},
        "contextWindowCompression": {"slidingWindow": {}},  # without it a session ends after 15 minutes
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
    }
    parts = [{"text": text} for text in (settings.instructions, _told(said)) if text]
    if parts:
        body["systemInstruction"] = {"parts": parts}
    if settings.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool) for tool in settings.tools]}]
    return message("setup", body)


def told(words: str) -> str:
    """Add words to the conversation, without asking for an answer."""
    turn = {"role": "user", "parts": [{"text": words}]}
    return message("clientContent", {"turns": [turn], "turnComplete": False})


def _detection(settings: Settings) -> dict[str, Any]:
    if settings.service_ends_turns:
        return {"disabled": False, "silenceDurationMs": settings.vad_silence_ms}
    return {"disabled": True}


def _told(said: Sequence[tuple[str, str]]) -> str:
    if not said:
        return ""
    lines = "\n".join(f"{'Person' if who == 'person' else 'You'}: {text}" for who, text in said)
    return f"The connection broke in the middle of this conversation; go on with it, and do not greet again.\n{lines}"


def _declaration(tool: Tool) -> dict[str, Any]:
    declaration = {"name": tool.name, "description": tool.description}
    return declaration | ({"parameters": _schema(tool.parameters)} if tool.parameters.get("properties") else {})


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a JSON Schema into the service's own kind, which ends the session over a key that it does not know."""
    made = {key: value for key, value in schema.items() if key in SCHEMA_KEYS and value != []}
    if "type" in schema:
        made["type"] = str(schema["type"]).upper()
    if "properties" in schema:
        made["properties"] = {name: _schema(inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        made["items"] = _schema(schema["items"])
    return made


# ----------------------------------------------------------------------------------------------- how it ends


def closing(settings: Settings, code: int, reason: str, *, begun: bool) -> Closed:
    """Say what a close code, or an HTTP status, means to the owner of the box. `begun`: the session was set up."""
    host, said = settings.host, quoted(reason, settings.api_key)
    if refusing := refused(REFUSALS, reason, host=host, model=settings.model):
        return refusing
    match code:
        case 401:
            return Closed(End.BAD_CREDENTIALS, WRONG_KEY.format(host=host))
        case 1007 | 1008 if not begun:
            return Closed(End.REFUSED, f"{host} does not accept the session ({code}): check agent.gemini{said}")
        case 1008 | 1011:
            return Closed(End.LINK_LOST, f"{host} ended the session ({code}){said}")
        case _:
            return ended(host, settings.model, code, said, check="url")
