"""What an ElevenLabs conversation is made of: where to connect, what is said and read, the formats of sound, its end.

A private agent is connected to by an address that is good for minutes: it is asked for over HTTPS with the key, anew
for each connection. Everything else about an agent (voice, language, turns, formats) is set at ElevenLabs; what we set
ourselves are overrides, which the agent's security settings must allow.

Source: the service's AsyncAPI description (elevenlabs/elevenlabs-docs), and the `elevenlabs` package 2.78,
conversational_ai/conversation.py. Words of refusals: reports of users, none was provoked at the real service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from edgevoice.agents.draft import message, reader
from edgevoice.agents.ending import Refusals, any_of, ended, quoted, refused
from edgevoice.audio.resample import SERVICE_RATES
from edgevoice.events import Closed, End
from edgevoice.wire import Request

ULAW = "ulaw_8000"
FORMATS: Mapping[str, int] = {**{f"pcm_{rate}": rate for rate in SERVICE_RATES}, ULAW: 8000}  # -> Hz
USUAL_FORMAT = "pcm_16000"  # of an agent that does not say; the service's own package counts on it always

# In the words with which the service ends a conversation, or refuses one.
REFUSALS: Refusals = (
    (
        ("does not exist", "agent not found", "agent_not_found"),
        End.REFUSED,
        "{host} has no agent {agent!r}: check agent_id, and that url is of the agent's region",
    ),
    (
        ("quota", "credits"),
        End.NO_CREDIT,
        "the account at {host} has no credit left: add some, or wait until its quota is renewed",
    ),
    (("misconfigured",), End.REFUSED, "the agent {agent!r} is misconfigured: mend it at {host}"),
    (
        ("dynamic variable", "dynamic_variable"),
        End.REFUSED,
        "the agent {agent!r} needs variables: fill agent.elevenlabs.variables{said}",
    ),
    (
        ("override",),
        End.REFUSED,
        "the agent {agent!r} does not allow what is set here: allow these overrides in its security settings, or leave "
        "out instructions, language, voice and greeting{said}",
    ),
)
EXPIRED = ("expired",)  # of a signed address
UNAUTHORIZED = ("authoriz", "authentic", "api key", "api_key", "signature")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the owner of the box decided; what is empty is as the agent is set at the service."""

    agent_id: str
    api_key: str = field(default="", repr=False)  # of a private agent
    url: str = "wss://api.elevenlabs.io/v1/convai/conversation"
    instructions: str = ""
    language: str = ""  # ISO 639-1
    voice: str = ""  # its id
    greeting: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Who the sentences for the owner are about."""
        return urlsplit(self.url).hostname or self.url


# ---------------------------------------------------------------------------------------------- what they say


class SignedUrl(msgspec.Struct):
    signed_url: str = ""


class Metadata(msgspec.Struct):
    agent_output_audio_format: str | None = None
    user_input_audio_format: str | None = None


class Alignment(msgspec.Struct):
    """When each sign of the text begins, in ms of this piece of sound."""

    chars: list[str] = []
    char_start_times_ms: list[float] = []


class Sound(msgspec.Struct):
    audio_base_64: str = ""
    event_id: int | None = None
    alignment: Alignment | None = None


class Numbered(msgspec.Struct):
    event_id: int | None = None


class PersonsWords(msgspec.Struct):
    user_transcript: str = ""


class AgentsWords(msgspec.Struct):
    agent_response: str = ""


class Correction(msgspec.Struct):
    corrected_agent_response: str = ""


class ToolCall(msgspec.Struct):
    tool_name: str = ""
    tool_call_id: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def arguments(self) -> str:
        """Return the parameters as JSON text, whatever it is."""
        text = bytes(self.parameters).decode(errors="replace")
        try:
            return msgspec.json.decode(text, type=str)  # some write text that is JSON, instead of JSON
        except ValueError:
            return "{}" if text == "null" else text


class ToolOutcome(msgspec.Struct):
    tool_name: str = ""


class Problem(msgspec.Struct):
    message: str | None = None
    reason: str | None = None


class Message(msgspec.Struct):
    """Any message of the service: the fields that we read, from all kinds together."""

    type: str
    conversation_initiation_metadata_event: Metadata | None = None
    audio_event: Sound | None = None
    interruption_event: Numbered | None = None
    ping_event: Numbered | None = None
    user_transcription_event: PersonsWords | None = None
    agent_response_event: AgentsWords | None = None
    agent_response_correction_event: Correction | None = None
    client_tool_call: ToolCall | None = None
    agent_tool_response: ToolOutcome | None = None
    error_event: Problem | None = None
    client_error_event: Problem | None = None
    message: str | None = None  # of an error, which comes in either shape

    @property
    def complaint(self) -> str:
        """Return the words of an error."""
        problems = (problem for problem in (self.error_event, self.client_error_event) if problem)
        return " ".join([self.message or "", *(f"{each.message or ''} {each.reason or ''}" for each in problems)])


decode = reader(Message, strict=False)  # an id may come as text
_read_signed = reader(SignedUrl)


# ----------------------------------------------------------------------------------------------- what we say


def socket_url(settings: Settings) -> str:
    """Return where a public agent is connected to."""
    return _with_agent(settings, urlsplit(settings.url).path)


def signing_url(settings: Settings) -> str:
    """Return where the address of a private agent is asked for: beside its `/conversation`."""
    url = _with_agent(settings, urlsplit(settings.url).path.rstrip("/") + "/get-signed-url")
    return "http" + url.removeprefix("ws")


def _with_agent(settings: Settings, path: str) -> str:
    parts = urlsplit(settings.url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "agent_id"]
    return urlunsplit(parts._replace(path=path, query=urlencode([*query, ("agent_id", settings.agent_id)])))


def signed(settings: Settings, status: int, body: bytes) -> Request | Closed:
    """Read the answer to the question for a private agent's address. It is a secret, as the key is."""
    if status != 200:
        return closing(settings, status, body.decode(errors="replace"), begun=False)
    told = _read_signed(body)
    url = told.signed_url if told else ""
    encrypted = urlsplit(settings.url).scheme == "wss"
    if not url.startswith("wss://" if encrypted else ("wss://", "ws://")):
        return Closed(End.BROKEN, f"{settings.host} gave no address for the agent {settings.agent_id!r}")
    return Request(url, secret=True)


def initiation(settings: Settings) -> str:
    """Write the first message: only what is set here, as each override must be allowed."""
    agent: dict[str, object] = {}
    if settings.instructions:
        agent["prompt"] = {"prompt": settings.instructions}
    if settings.greeting:
        agent["first_message"] = settings.greeting
    if settings.language:
        agent["language"] = settings.language
    overrides: dict[str, object] = {"agent": agent} if agent else {}
    if settings.voice:
        overrides["tts"] = {"voice_id": settings.voice}
    fields: dict[str, object] = {"conversation_config_override": overrides} if overrides else {}
    if settings.variables:
        fields["dynamic_variables"] = dict(settings.variables)
    return message("conversation_initiation_client_data", **fields)


def so_far(lines: Sequence[tuple[str, str]]) -> str:
    """Write who ("person" or "agent") said what, for an agent that takes the conversation over."""
    who = {"person": "The person", "agent": "You"}
    said = "\n".join(f"{who[speaker]}: {text}" for speaker, text in lines)
    return f"The connection broke off for a moment. Do not greet again. This was said before:\n{said}"


# ----------------------------------------------------------------------------------------------- how it ends


def refusal(settings: Settings, words: str, *, begun: bool) -> Closed | None:
    """Say what words mean after which trying again does not help; None if they mean no such thing.

    `begun`: there was a conversation, so that what is not authorized is something else.
    """
    said = quoted(words, settings.api_key)
    if refusing := refused(REFUSALS, words, host=settings.host, agent=settings.agent_id, said=said):
        return refusing
    return _unauthorized(settings) if not begun and any_of(UNAUTHORIZED, words) else None


def _unauthorized(settings: Settings) -> Closed:
    if not settings.api_key:
        sentence = f"the agent {settings.agent_id!r} is private: name a file with an API key in api_key_file"
        return Closed(End.BAD_CREDENTIALS, sentence)
    sentence = f"{settings.host} does not accept the API key for the agent {settings.agent_id!r}"
    return Closed(End.BAD_CREDENTIALS, f"{sentence}: put a valid one into the file that api_key_file names")


def closing(settings: Settings, code: int, reason: str, *, begun: bool) -> Closed:
    """Say what a close code, or an HTTP status, means to the owner of the box; `begun`: there was a conversation."""
    host, said = settings.host, quoted(reason, settings.api_key)
    if settings.api_key and not begun and any_of(EXPIRED, reason):
        return Closed(End.LINK_LOST, f"the signed address of {host} has expired: the next try asks for a new one")
    if code and not 500 <= code <= 599 and (refusing := refusal(settings, reason, begun=begun)):
        return refusing
    match code:
        case 401 | 403:
            return _unauthorized(settings)
        case 400 | 404 | 422:
            sentence = f"{host} does not know the agent {settings.agent_id!r} (HTTP {code})"
            return Closed(End.REFUSED, f"{sentence}: check agent_id, and that url is of the agent's region{said}")
        case 1000 if begun:
            return Closed(End.HUNG_UP, "the agent ended the conversation")
        case 1000:
            sentence = f"{host} ended the conversation before it began"
            return Closed(End.REFUSED, f"{sentence}: does the agent allow what is set here?{said}")
        case 3000:
            return Closed(End.REFUSED, f"{host} refuses the conversation (3000){said}")
        case _:
            return ended(host, settings.agent_id, code, said, check="url")
