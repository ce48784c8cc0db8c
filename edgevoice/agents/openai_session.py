"""What an OpenAI session is made of: where to connect, how it is described, what was said in it, how it ends.

Three dialects. "ga" is the current shape. "beta" is the older, flat one that self-hosted look-alikes speak. "azure" is
"ga" at another address with another header, or "beta" when its url says `api-version=` (the former preview).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from edgevoice.agents.draft import message, reader
from edgevoice.agents.ending import WRONG_KEY, Refusals, ended, quoted, refused
from edgevoice.agents.memory import Memory
from edgevoice.agents.renewal import Renewal
from edgevoice.events import Closed, End
from edgevoice.tools import Tool
from edgevoice.wire import Request

RATE = 24_000  # the only one that the service offers for PCM
BYTES_PER_MS = RATE * 2 // 1000
PREFIX_MS = 300  # kept from before the voice that the service noticed: a first consonant is soft
RENEW_EARLY_S = 300.0  # in the first pause of this long before the end
RENEW_LATE_S = 30.0  # at all events
USUAL_SESSION_S = 1800.0  # the shortest limit that the service ever had in this shape

GA_NAMES = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
}

# In a code of the service's, or in the words of a close frame. Two are also told by a status.
REFUSALS: Refusals = (
    (("invalid_api_key",), End.BAD_CREDENTIALS, WRONG_KEY),
    (("insufficient_quota",), End.NO_CREDIT, "the account at {host} has no credit left: add some, or raise its limit"),
    (
        ("billing_hard_limit_reached",),
        End.NO_CREDIT,
        "the account at {host} has reached its spending limit: raise it there",
    ),
    (("account_deactivated",), End.BAD_CREDENTIALS, "the account at {host} is deactivated: use a key of another one"),
    (("model_not_found",), End.REFUSED, "{host} does not offer the model {model!r} to this key: choose another model"),
    (("beta_api_shape_disabled",), End.REFUSED, '{host} no longer speaks the beta API: set dialect = "ga"'),
)

Dialect: TypeAlias = Literal["ga", "beta", "azure"]
TurnDetection: TypeAlias = Literal["server_vad", "semantic_vad", "local", "none"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the owner of the box decided. `turn_detection` "local" and "none": we end the person's turn."""

    url: str = "wss://api.openai.com/v1/realtime"
    dialect: Dialect = "ga"
    model: str = "gpt-realtime-2"
    api_key: str = field(default="", repr=False)
    voice: str = "marin"
    instructions: str = ""
    language: str = ""  # ISO 639-1, or empty: any
    turn_detection: TurnDetection = "server_vad"
    vad_threshold: float = 0.5
    vad_silence_ms: int = 500
    tools: tuple[Tool, ...] = ()
    greeting: str = ""

    @property
    def beta(self) -> bool:
        """Whether the session has the older, flat shape."""
        return self.dialect == "beta" or (self.dialect == "azure" and "api-version=" in self.url)

    @property
    def service_ends_turns(self) -> bool:
        return self.turn_detection in ("server_vad", "semantic_vad")

    @property
    def prefix_ms(self) -> int:
        """What the service counts in before a voice, as far as we know: only one kind of detection can be told."""
        return PREFIX_MS if self.turn_detection == "server_vad" else 0

    @property
    def host(self) -> str:
        """Who the sentences for the owner are about."""
        return urlsplit(self.url).hostname or self.url


# ---------------------------------------------------------------------------------------------- what they say


class Problem(msgspec.Struct):
    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    event_id: str | None = None


class Details(msgspec.Struct):
    error: Problem | None = None


class Item(msgspec.Struct):
    id: str | None = None
    type: str | None = None
    status: str | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None


class Outcome(msgspec.Struct):
    """A response, as `response.created` and `response.done` describe it."""

    id: str = ""
    status: str | None = None
    status_details: Details | None = None
    output: list[Item] | None = None


class Session(msgspec.Struct):
    expires_at: float | None = None


class Message(msgspec.Struct):
    """Any message of the service: the fields that we read, from all kinds together."""

    type: str
    response_id: str = ""
    item_id: str = ""
    delta: str | None = None
    transcript: str | None = None
    audio_start_ms: float | None = None
    response: Outcome | None = None
    item: Item | None = None
    session: Session | None = None
    error: Problem | None = None


_read = reader(Message)


def decode(message: str | bytes) -> Message | None:
    """Read one message; None if it is none. The names of both shapes become those of the current one."""
    decoded = _read(message)
    if decoded:
        decoded.type = GA_NAMES.get(decoded.type, decoded.type)
    return decoded


# ----------------------------------------------------------------------------------------------- what we say


def request(settings: Settings) -> Request:
    """Say where to connect. A url that already names its model is left as it is."""
    parts = urlsplit(settings.url)
    query = parse_qsl(parts.query)
    given = {name for name, _ in query}
    if settings.model and not given & {"model", "deployment"}:
        query.append(("deployment" if "api-version" in given else "model", settings.model))
    headers = {}
    if settings.api_key:
        bearer = settings.dialect != "azure"
        headers = {"Authorization": f"Bearer {settings.api_key}"} if bearer else {"api-key": settings.api_key}
    if settings.dialect == "beta":
        headers["OpenAI-Beta"] = "realtime=v1"
    return Request(urlunsplit(parts._replace(query=urlencode(query))), headers)


def session_update(settings: Settings, event_id: str, *, plain: bool = False) -> str:
    """Describe the session. `plain` leaves out what only some models and look-alikes can do."""
    listening: dict[str, Any] = {}
    if not plain:
        # With the words of the person a later session can take the conversation over.
        transcription = {"model": "gpt-transcribe" if settings.dialect == "ga" else "whisper-1"}
        if settings.language:
            transcription["language"] = settings.language
        listening = {"noise_reduction": {"type": "far_field"}, "transcription": transcription}
    common: dict[str, Any] = {
        "tools": [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in settings.tools
        ],
        "tool_choice": "auto",
    }
    if settings.instructions:  # the empty text would take the service's own away
        common["instructions"] = settings.instructions
    shape = _beta_session if settings.beta else _session
    return message("session.update", event_id=event_id, session=shape(settings, listening) | common)


def _session(settings: Settings, listening: dict[str, Any]) -> dict[str, Any]:
    pcm = {"type": "audio/pcm", "rate": RATE}
    return {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": pcm, "turn_detection": _turn_detection(settings), **listening},
            "output": {"format": pcm, "voice": settings.voice},
        },
    }


def _beta_session(settings: Settings, listening: dict[str, Any]) -> dict[str, Any]:
    return {
        "modalities": ["text", "audio"],
        "voice": settings.voice,
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": _turn_detection(settings),
        **{f"input_audio_{name}": value for name, value in listening.items()},
    }


def _turn_detection(settings: Settings) -> dict[str, Any] | None:
    """Always in full: the service's documented defaults and its actual ones differ."""
    ours = {"create_response": False, "interrupt_response": False}
    match settings.turn_detection:
        case "server_vad":
            return {
                "type": "server_vad",
                "threshold": settings.vad_threshold,
                "prefix_padding_ms": settings.prefix_ms,
                "silence_duration_ms": settings.vad_silence_ms,
                **ours,
            }
        case "semantic_vad":
            return {"type": "semantic_vad", "eagerness": "auto", **ours}
        case "local" | "none":
            return None


def remembered(memory: Memory, *, beta: bool) -> Iterator[str]:
    """Write what was said as items of a conversation, oldest first."""
    for who, text in memory.lines():
        role, kind = {
            "person": ("user", "input_text"),
            "agent": ("assistant", "text" if beta else "output_text"),
            "tool": ("system", "input_text"),
        }[who]
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        yield message("conversation.item.create", item=item)


# ----------------------------------------------------------------------------------------------- how it ends


def renewal(expires_at: float, unix: float, at: float) -> Renewal:
    """Say when a session is renewed (in seconds of `at`).

    A box without a battery may have booted into another year, so an unlikely limit is not believed. The first moment
    is never before half of the time left, so that a service with very short sessions does not make us spin.
    """
    left_s = expires_at - unix
    if not 60 <= left_s <= 86_400:
        left_s = USUAL_SESSION_S
    return Renewal(at + max(left_s - RENEW_EARLY_S, left_s / 2), at + left_s - RENEW_LATE_S)


def refusal(settings: Settings, words: str) -> Closed | None:
    """Say what a fatal code means, wherever in `words` it stands; None if there is none."""
    return refused(REFUSALS, words, host=settings.host, model=settings.model)


def closing(settings: Settings, code: int, reason: str) -> Closed:
    """Say what a close code, or an HTTP status, means to the owner of the box."""
    host, said = settings.host, quoted(reason, settings.api_key)
    if refusing := refusal(settings, {401: "invalid_api_key", 4000: "beta_api_shape_disabled"}.get(code, reason)):
        return refusing
    return ended(host, settings.model, code, said, check="url, dialect")
