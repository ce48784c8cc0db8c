"""What happens to the box (Happening) and what it does about it (Effect): two closed unions of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from edgevoice.events import Closed, ToolCalled
from edgevoice.light import Turn

# ------------------------------------------------------------------------------------------- what happens to it


@dataclass(frozen=True, slots=True)
class Pressed:
    """The button went down. `stops`: an agent was speaking then, and the audio thread was told to stop it."""

    stops: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    pass


@dataclass(frozen=True, slots=True)
class HeldLong:
    """The button is down for `hold_s`."""


@dataclass(frozen=True, slots=True)
class CardReady:
    pass


@dataclass(frozen=True, slots=True)
class CardLost:
    """`hopeless`: it hangs, and all that the box may do about that has been done."""

    reason: str
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class PartTold:
    """A part of the box, not its card, does not work, and `why`; "": it works."""

    part: str
    why: str


@dataclass(frozen=True, slots=True)
class NetworkBack:
    """This machine has an address, or a way out, that it had not before."""


@dataclass(frozen=True, slots=True)
class CallOpened:
    """The other side is there."""


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """`speaking`: a response sounds, also where the turn shows something more important (muted)."""

    turn: Turn
    speaking: bool = False


@dataclass(frozen=True, slots=True)
class CallEnded:
    """Both legs are closed; `closed` says why."""

    closed: Closed


@dataclass(frozen=True, slots=True)
class CallAsked:
    """Somebody (ctl, an agent) wants a call to `target`; a call that is running may take `within_s` to say goodbye."""

    target: str
    within_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Rings:
    """A line's call wants the box. `allowed`: the caller may be answered automatically."""

    line: str
    allowed: bool = False


@dataclass(frozen=True, slots=True)
class RingingEnded:
    """Whoever rang has given up."""


@dataclass(frozen=True, slots=True)
class HangUpAsked:
    pass


@dataclass(frozen=True, slots=True)
class MuteAsked:
    on: bool | None  # None: the other way round


@dataclass(frozen=True, slots=True)
class TryAsked:
    """Somebody wants to see the light flash and the next press arrive, within so long; it calls nobody."""

    within_s: float


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The service is being stopped."""


Happening: TypeAlias = (
    Pressed
    | Released
    | HeldLong
    | CardReady
    | CardLost
    | PartTold
    | NetworkBack
    | CallOpened
    | TurnChanged
    | CallEnded
    | CallAsked
    | Rings
    | RingingEnded
    | HangUpAsked
    | MuteAsked
    | TryAsked
    | StopAsked
    | ToolCalled
)

# ------------------------------------------------------------------------------------------------- what it does


@dataclass(frozen=True, slots=True)
class PlaceCall:
    target: str


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """Take the call that rings. `beep`: nobody pressed the button, so a tone goes before the microphone opens."""

    beep: bool


@dataclass(frozen=True, slots=True)
class Decline:
    """Let the call that rings go."""

    reason: str


@dataclass(frozen=True, slots=True)
class EndCall:
    """End the call now, or when the agent has finished speaking, at the latest in `within_s`."""

    reason: str
    within_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A tone outside of a call, or into it."""

    tone: str


@dataclass(frozen=True, slots=True)
class Talk:
    on: bool


@dataclass(frozen=True, slots=True)
class Mute:
    on: bool


@dataclass(frozen=True, slots=True)
class TurnVolume:
    """Set the loudspeaker, and tell the agent's tool call `id` what came of it."""

    percent: int
    id: str


@dataclass(frozen=True, slots=True)
class OpenRelay:
    """Let an agent open the relay of that name, and tell its tool call `id` what came of it."""

    relay: str
    id: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Hand the person over to `target` (`CallAsked`), or tell the tool call `id` why that cannot be."""

    target: str
    within_s: float
    id: str


@dataclass(frozen=True, slots=True)
class ToolDone:
    id: str
    output: str


@dataclass(frozen=True, slots=True)
class PowerOff:
    pass


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing is left to wait for: the program may end."""


Effect: TypeAlias = (
    PlaceCall
    | AnswerCall
    | Decline
    | EndCall
    | Sound
    | Talk
    | Mute
    | TurnVolume
    | OpenRelay
    | Connect
    | ToolDone
    | PowerOff
    | Stopped
)
