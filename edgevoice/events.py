"""What a leg of a call reports (Event) and what it can be told (Command): two closed unions of plain values.

Rules
* `pcm` is bytes: int16, little endian, mono, at the leg's own `rate`. Nothing else about sound is ever in an event.
* Time travels beside events (`at`, seconds, monotonic), never inside.
* `heard_ms` counts only that response's own samples; tones, fill silence and pauses never count.
* A response is named by the service's own id. A response with a name can be interrupted by voice; audio without a
  name (a tone, a person in an intercom) cannot: the name is what arms the reflex.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class End(Enum):
    """Why a leg closed, sorted by what to do next."""

    HUNG_UP = "hung up"  # somebody wanted it: nothing to do
    LINK_LOST = "link lost"  # try again, with delays
    REFUSED = "refused"  # trying again does not help: wrong model, not allowed; and these, that have a light each:
    BAD_CREDENTIALS = "bad credentials"
    NO_CREDIT = "no credit"
    WRONG_NUMBER = "wrong number"
    BUSY = "busy"
    NO_ANSWER = "no answer"
    BROKEN = "broken"  # they broke their protocol, or we did: try again, with delays
    CARD_LOST = "card lost"  # the sound card is gone: wait for it


# Nobody is asked again by itself after one of these.
REFUSALS = frozenset({End.REFUSED, End.BAD_CREDENTIALS, End.NO_CREDIT, End.WRONG_NUMBER, End.BUSY, End.NO_ANSWER})


class Stage(Enum):
    """How far a call is that has not opened yet."""

    RINGING = "ringing"  # at the other end
    EARLY_MEDIA = "early media"  # what sounds is of the network, not of the person called
    HELD = "held"  # the other side has put us on hold
    RESUMED = "resumed"


class Uplink(Enum):
    """What becomes of the microphone's samples. Only OPEN lets sound out of the audio thread."""

    OFF = "off"  # nothing leaves, nothing is kept
    SILENT = "silent"  # zeros leave at the captured pace: a muted box, so that the service's clock goes on
    HELD = "held"  # the last `pre_roll_ms` are kept, nothing leaves
    OPEN = "open"  # what was held leaves first, then every sample, in order


# ---------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Opened:
    """The leg can carry sound from now on."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound from this leg: of the person (no name) or of an agent's response (its id)."""

    pcm: bytes
    response: str = ""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak. An agent's service that hears the person says how long ago, where it knows."""

    ago_ms: float | None = None


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """They paused. Whether the turn is over is for `Conversation` (or the service) to say."""


@dataclass(frozen=True, slots=True)
class Listening:
    """`Listen` took effect: the light may say so now."""

    uplink: Uplink


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The service holds the person's turn to be over. It answers when told to `Respond`."""


@dataclass(frozen=True, slots=True)
class Suspected:
    """Somebody may be talking over `response`: the loudspeaker is silent, nothing is lost yet."""

    response: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """It was nobody: `response` goes on from where it stopped. A suspicion ends with this, or with `BargedIn`."""

    response: str


@dataclass(frozen=True, slots=True)
class BargedIn:
    """The person talked over `response` (or pressed the button): it is silent already; `heard_ms` of it was heard."""

    response: str
    heard_ms: float


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    response: str


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """The service has made all of it. It may still sound for long."""

    response: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The service has cut `response` off by itself: what waits to be heard of it is not to be."""

    response: str


@dataclass(frozen=True, slots=True)
class Played:
    """Everything sent before the mark was heard."""

    mark: str
    response: str = ""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The answer to `Clear`: what was queued is gone, `heard_ms` of `response` was heard."""

    response: str
    heard_ms: float


@dataclass(frozen=True, slots=True)
class Digit:
    """A key of the telephone was pressed at the other end. It may be part of a code: it is never logged."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """A call over a line goes on, without having opened yet."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words, for the far side's memory only: they are never logged. `who` is "person" or "agent".

    After an interruption an agent's last words may be told again, as far as they were heard.
    """

    who: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent asks for something to be done. `arguments` is JSON text, unchecked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The connection to an agent is gone, and a new one is looked for; `Resumed` or `Closed` follows.

    Until then what the person says is kept for it. `reason` is a sentence for the owner of the box.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The agent is there again and knows what was said; what the person said meanwhile is being sent."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The leg is gone; nothing comes after it. `reason` is a sentence for the owner of the box."""

    end: End
    reason: str
    unreached: bool = False  # there was no way to the service: another try, soon, costs nobody anything


Event: TypeAlias = (
    Opened
    | Audio
    | SpeechStarted
    | SpeechStopped
    | Listening
    | TurnCommitted
    | Suspected
    | TakenBack
    | BargedIn
    | ResponseStarted
    | ResponseDone
    | Interrupted
    | Played
    | Cleared
    | Digit
    | Progress
    | Transcript
    | ToolCalled
    | LinkDown
    | Resumed
    | Closed
)

# -------------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Answer:
    """Take part in a call whose other side speaks and listens at `rate` Hz."""

    rate: int


@dataclass(frozen=True, slots=True)
class Play:
    """Sound for this leg: a response's (its id), or without a name: a recording, or a person's own voice.

    `live`: a voice that is to be heard now or not at all. Of everything else all is heard, however late.
    """

    pcm: bytes
    response: str = ""
    live: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Report `Played` once everything sent so far was heard. It also ends `response`: no more of it will come.

    `goes_on`: not so between two pieces of a recording, which are to be heard as one. `fades`: it was broken off in the
    middle of its sound, which is to fade away there.
    """

    name: str
    response: str = ""
    goes_on: bool = False
    fades: bool = False


@dataclass(frozen=True, slots=True)
class Clear:
    """Discard what is queued and what the card still holds; answered by `Cleared`."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The person stops the agent by hand: `BargedIn` if a response sounds, else nothing."""


@dataclass(frozen=True, slots=True)
class Witness:
    """The far side heard a voice begin, `ago_ms` before the last sample that it was sent: a suspicion may be right."""

    ago_ms: float


@dataclass(frozen=True, slots=True)
class Tone:
    """Play one of `audio.tones`, before whatever else is queued."""

    name: str


@dataclass(frozen=True, slots=True)
class Chirp:
    """Play the chirp of the self-test and record what the microphone hears of it; not `aloud`: only record.

    Nothing while in a call, or while anything sounds.
    """

    aloud: bool = True


@dataclass(frozen=True, slots=True)
class Listen:
    """What becomes of the microphone's samples from now on, and whether a voice may interrupt (push to talk: not)."""

    uplink: Uplink
    reflex: bool = True


@dataclass(frozen=True, slots=True)
class Interrupt:
    """`response`, and everything begun after it, is dead; the person heard `heard_ms` of it."""

    response: str
    heard_ms: float


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer the person's turn now. Where turns are ended by us, this ends the turn too."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    id: str
    output: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Leave the call. `fades`: nobody wished it here, so what sounds fades away instead of being cut off."""

    reason: str
    fades: bool = False


Command: TypeAlias = (
    Answer | Play | Mark | Clear | BargeIn | Witness | Tone | Chirp | Listen | Interrupt | Respond | ToolResult | HangUp
)
