"""Every key that `edgevoice.toml` may hold: its type, its bounds and its default, one frozen section for each table.

Units are in the names: `_ms` milliseconds, `_s` seconds, `rate` Hz. Keys may be added, never renamed. What a type
allows is said here once; `config.py` reads it, and a `description` is how it tells a person what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Text = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]*\Z", description="text on one line")]
NonEmpty = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]+\Z", description="text on one line, not empty")]
# So begin the keys of OpenAI, ElevenLabs and Google: pasted here, they would end up in messages about a file.
FileName = Annotated[
    str,
    Meta(
        pattern=r"\A(?!(sk[-_]|AIza|AQ\.)[A-Za-z0-9_-]{20})[^\x00-\x1f\x7f]*\Z",
        description="the name of a file, not what stands in it",
    ),
]
AgentId = Annotated[
    str,
    Meta(
        pattern=r"\A(?!sk[-_]|AIza)[A-Za-z0-9_-]*\Z", description="an agent's id, like agent_0123456789, and not a key"
    ),
]
ToolName = Literal["open_relay", "hang_up", "set_volume", "call"]
# The name becomes part of a SIP User-Agent and of MQTT topics, where other signs have a meaning.
BoxName = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,63}\Z", description="1 to 63 letters, digits, dots, hyphens and underscores")
]
# sockaddr_un has 108 bytes for a path and its end. Source: unix(7).
SocketPath = Annotated[str, Meta(pattern=r"\A[\x20-\x7e]{1,107}\Z", description="a path of 1 to 107 ASCII characters")]
WebSocketUrl = Annotated[
    str, Meta(pattern=r"\Awss?://[!-~]+\Z", description="an address that begins with wss:// or ws://")
]
HttpUrl = Annotated[
    str, Meta(pattern=r"\Ahttps?://[!-~]+\Z", description="an address that begins with https:// or http://")
]
# How the box is reached from outside: a host, maybe a port, and nothing behind them, as paths are ours.
PublicUrl = Annotated[
    str,
    Meta(
        pattern=r"\A(https://[A-Za-z0-9.\-\[\]:]+|)\Z",
        description="an address like https://box.example.com:8443, without a path",
    ),
]
Listen = Annotated[
    str,
    Meta(
        pattern=r"\A(|([A-Za-z0-9.\-]*|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5})\Z",
        description='an address and a port, like "0.0.0.0:8443" or "[::]:8443"',
    ),
]
Number = Annotated[str, Meta(pattern=r"\A(|\+[1-9][0-9]{5,14})\Z", description="a telephone number like +46701234567")]
Keys = Annotated[str, Meta(pattern=r"\A[0-9A-D*#]*\Z", description="keys of a telephone: 0-9, A-D, * and #")]
Pin = Annotated[int, Meta(ge=0, le=27)]  # BCM: those on the 40-pin header
PinOrNone = Annotated[int, Meta(ge=-1, le=27)]


class Section(Struct, frozen=True, kw_only=True):
    """One table of the file."""


class Device(Section, frozen=True):
    """The box: its name, the HAT whose profile fills what is left out, and when a card that hangs is worth a reboot."""

    name: BoxName = "edgevoice"
    hat: Text = ""
    reboot_after: Annotated[int, Meta(ge=0, le=100)] = 0


class Card(Section, frozen=True):
    """The sound card. `volume` is per cent, -1 leaves the mixer alone."""

    capture: NonEmpty = "default"
    playback: NonEmpty = "default"
    rate: Literal[8000, 16000, 24000, 44100, 48000] = 48000
    period_ms: Annotated[int, Meta(ge=5, le=40)] = 10
    buffer_ms: Annotated[int, Meta(ge=10, le=500)] = 40
    capture_channel: Annotated[int, Meta(ge=0, le=31)] = 0  # alsa-lib names 32 positions
    volume: Annotated[int, Meta(ge=-1, le=100)] = 70
    mixer: Text = ""
    simulate: bool = False


class Echo(Section, frozen=True):
    """What keeps the loudspeaker out of the microphone. `delay_ms` -1 means: estimate it."""

    canceller: Literal["auto", "aec3", "speex", "none"] = "auto"
    noise_suppression: bool = True
    delay_ms: Annotated[int, Meta(ge=-1, le=1000)] = -1
    half_duplex: Literal["auto", "always", "never"] = "auto"


class BargeIn(Section, frozen=True):
    """How a voice interrupts a response; `give_up_ms` counts from the hint, as `confirm_ms` does."""

    sensitivity: Literal["low", "normal", "high"] = "normal"
    confirm_ms: Annotated[int, Meta(ge=20, le=2000)] = 160
    give_up_ms: Annotated[int, Meta(ge=20, le=5000)] = 500
    pre_roll_ms: Annotated[int, Meta(ge=0, le=2000)] = 300


class Panel(Section, frozen=True):
    """Button and light, BCM numbers: button -1 is none, light [] is none, three pins are red, green, blue.

    Two pins are data and clock of APA102 LEDs: `light_leds` of them in a row, whose supply `light_power` switches on.
    """

    pins: Literal["auto", "lgpio", "mock", "none"] = "auto"
    button: PinOrNone = 17
    button_pull: Literal["up", "down"] = "up"
    light: tuple[Pin, ...] = (25,)
    light_leds: Annotated[int, Meta(ge=1, le=32)] = 1  # half an ampere, at the brightness that they are given
    light_power: PinOrNone = -1
    press: Literal["talk", "push_to_talk"] = "talk"
    hold_s: Annotated[float, Meta(ge=0.5, le=60)] = 5.0
    power_off: bool = False


class Call(Section, frozen=True):
    """Whom the box calls, and who answers it. `at_start` and `fallback` may be empty: nobody.

    `contacts`: whom an agent may connect a person to. It is told their names, and never what they stand for.
    """

    button: Text = "parrot"
    at_start: Text = ""
    incoming: Text = "card"
    auto_answer: bool = False
    max_s: Annotated[float, Meta(ge=1, le=86400)] = 600.0
    fallback: Text = ""
    contacts: Mapping[str, Text] = {}


class Parrot(Section, frozen=True):
    """The built-in agent has nothing to set."""


class OpenAI(Section, frozen=True):
    """An agent that speaks OpenAI's Realtime protocol. `vad_threshold` is a probability, of server_vad."""

    url: WebSocketUrl = "wss://api.openai.com/v1/realtime"
    dialect: Literal["ga", "beta", "azure"] = "ga"
    model: NonEmpty = "gpt-realtime-2"
    api_key_file: FileName = "openai-api-key"
    voice: NonEmpty = "marin"
    instructions: str = ""
    instructions_file: FileName = ""
    language: Text = ""
    turn_detection: Literal["server_vad", "semantic_vad", "local", "none"] = "server_vad"
    vad_threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    vad_silence_ms: Annotated[int, Meta(ge=50, le=10000)] = 500
    tools: tuple[ToolName, ...] = ()
    greeting: str = ""


class ElevenLabs(Section, frozen=True):
    """An agent at ElevenLabs. Only a private one has a key; what is empty is as the agent is set there."""

    agent_id: AgentId = ""
    api_key_file: FileName = ""
    url: WebSocketUrl = "wss://api.elevenlabs.io/v1/convai/conversation"
    voice: Text = ""
    instructions: str = ""
    instructions_file: FileName = ""
    language: Text = ""
    greeting: str = ""
    variables: Mapping[str, str] = {}
    tools: tuple[ToolName, ...] = ()


class Gemini(Section, frozen=True):
    """An agent of Google's Live API. An empty `voice` or `language` leaves it to the model."""

    url: WebSocketUrl = (
        "wss://generativelanguage.googleapis.com/ws/"
        "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    )
    model: NonEmpty = "gemini-3.8-live"
    api_key_file: FileName = "gemini-api-key"
    voice: Text = "Kore"
    instructions: str = ""
    instructions_file: FileName = ""
    language: Text = ""
    turn_detection: Literal["local", "server_vad"] = "local"
    vad_silence_ms: Annotated[int, Meta(ge=50, le=10000)] = 500
    tools: tuple[ToolName, ...] = ()
    greeting: str = ""


class Agent(Section, frozen=True):
    """Whom a call can reach over the internet, or inside the box."""

    parrot: Parrot = Parrot()
    openai: OpenAI = OpenAI()
    elevenlabs: ElevenLabs = ElevenLabs()
    gemini: Gemini = Gemini()


class Lines(Section, frozen=True):
    """The WebSocket server for 46elks, Twilio, Vobiz and Plivo; off while `listen` is empty."""

    listen: Listen = ""
    certificate_file: FileName = ""
    private_key_file: FileName = ""
    url: PublicUrl = ""
    max_calls: Annotated[int, Meta(ge=1, le=64)] = 4


class Elks(Section, frozen=True):
    """A number of 46elks. `allow`: callers (E.164) who may be answered automatically, here and below."""

    path_token_file: FileName = ""
    allow_ip: tuple[Text, ...] = ()
    number: Number = ""
    api_credentials_file: FileName = ""
    websocket_number: Number = ""
    allow: tuple[Number, ...] = ()
    api_url: HttpUrl = "https://api.46elks.com/a1"


class Twilio(Section, frozen=True):
    """A number of Twilio."""

    path_token_file: FileName = ""
    auth_token_file: FileName = ""
    account_sid: Text = ""
    number: Number = ""
    allow: tuple[Number, ...] = ()
    api_url: HttpUrl = "https://api.twilio.com/2010-04-01"


class Vobiz(Section, frozen=True):
    """A number of Vobiz."""

    path_token_file: FileName = ""
    auth_token_file: FileName = ""
    allow: tuple[Number, ...] = ()


class Plivo(Section, frozen=True):
    """A number of Plivo."""

    path_token_file: FileName = ""
    auth_token_file: FileName = ""
    allow: tuple[Number, ...] = ()


class Sip(Section, frozen=True):
    """One SIP account, and the names it can call as "sip:<name>"."""

    registrar: Text = ""
    user: Text = ""
    password_file: FileName = ""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    srtp: Literal["off", "optional", "mandatory"] = "off"
    codecs: tuple[Literal["opus", "G722", "PCMA", "PCMU"], ...] = ("opus", "G722", "PCMA", "PCMU")
    allow: tuple[Text, ...] = ()
    ca_file: FileName = ""
    jitter_ms: Annotated[int, Meta(ge=0, le=1000)] = 40
    secret_header: Text = ""
    targets: Mapping[str, Text] = {}


class PhoneLines(Section, frozen=True):
    """The accounts by which a telephone reaches the box."""

    elks: Elks = Elks()
    twilio: Twilio = Twilio()
    vobiz: Vobiz = Vobiz()
    plivo: Plivo = Plivo()
    sip: tuple[Sip, ...] = ()


class Relay(Section, frozen=True):
    """A pin that opens a door, and who may pulse it. `max_wrong`: wrong tries in a call."""

    pin: Pin = 26
    pulse_s: Annotated[float, Meta(ge=0.05, le=60)] = 3.0
    dtmf: Keys = ""
    max_wrong: Annotated[int, Meta(ge=1, le=100)] = 3
    agent_may: bool = False


class Status(Section, frozen=True):
    """Where the running box can be asked how it is: a Unix socket, and HTTP when `listen` is filled."""

    socket: SocketPath = "/run/edgevoice/control.sock"
    listen: Listen = ""


class Tables(Section, frozen=True):
    """The whole file."""

    device: Device = Device()
    card: Card = Card()
    echo: Echo = Echo()
    barge_in: BargeIn = BargeIn()
    panel: Panel = Panel()
    call: Call = Call()
    agent: Agent = Agent()
    lines: Lines = Lines()
    line: PhoneLines = PhoneLines()
    relay: Mapping[str, Relay] = {}
    status: Status = Status()


# Of a mixer's control: its raw level (a long of C, 32 bits on a 32-bit Pi), its switch, or the name of a choice.
Setting: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | bool | str


class HatMixer(Struct, frozen=True):
    """What a HAT's profile wants of the mixer while the box runs: raw controls (`amixer controls`) of one card."""

    card: str = ""  # its id
    settings: Mapping[str, Setting] = {}
    ids: tuple[str, ...] = ()  # that it may have, the likeliest first
    names: Mapping[str, str] = {}  # keys of [card] that the profile filled with a name that has the id in it


class Config(Tables, frozen=True):
    """The whole file, the dotted paths of the keys that have their defaults, and what no key of the file holds."""

    left_out: frozenset[str] = frozenset()  # by the file, and by the profile of its HAT
    hat_mixer: HatMixer = HatMixer()
