"""The light: one table from the state of the box and of the turn to what a person sees.

Nothing else may set the light. A single LED shows the rhythm, three LEDs show the colour as well. Rule: the microphone
is open only under a pattern whose `microphone` is true, and each of those differs in rhythm from all the others, so
that a box with one LED tells the truth too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from edgevoice.events import End

Color: TypeAlias = tuple[float, float, float]  # red, green, blue, each 0 to 1


class Box(Enum):
    """What the appliance as a whole is doing."""

    STARTING = "starting"
    IDLE = "idle"
    TRIED = "being tried"  # somebody looks at the light and presses the button, and calls nobody by that
    RINGING = "ringing"
    CONNECTING = "connecting"
    FALLING_BACK = "falling back"  # connecting to somebody else than was wanted
    IN_CALL = "in call"
    WAITING_TO_RETRY = "waiting to retry"
    FAULT = "fault"


class Turn(Enum):
    """Whose turn it is in a call."""

    OPENING = "opening"  # the other side is not there yet
    LISTENING = "listening"
    HEARING = "hearing"  # the person speaks
    THINKING = "thinking"
    SPEAKING = "speaking"  # a response sounds
    SUSPECTING = "suspecting"  # it is held: somebody may be talking over it
    WAITING = "waiting"  # push to talk: nobody holds the button
    MUTED = "muted"
    RECONNECTING = "reconnecting"  # the link to the agent is down: what is said is kept for it
    ANNOUNCING = "announcing"  # a recording sounds, and nobody listens


@dataclass(frozen=True, slots=True)
class Pattern:
    """A colour and a rhythm. `fade_s` is the time of each ramp up and down; `off_s` 0 means steady."""

    name: str
    rgb: Color
    on_s: float = 1.0
    off_s: float = 0.0
    fade_s: float = 0.0
    microphone: bool = False  # the microphone may be open while this shows

    @property
    def steady(self) -> bool:
        return self.off_s == 0 and self.fade_s == 0


BLACK, WHITE, RED, AMBER = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (1.0, 0.5, 0.0)
GREEN, BLUE, CYAN, MAGENTA = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0)

OFF = Pattern("off", BLACK)
OUT_OF_ORDER = Pattern("a short flash every six seconds", RED, 0.1, 5.9)  # instead of OFF

BOX_PATTERNS = {
    Box.STARTING: Pattern("one short flash a second", WHITE, 0.1, 0.9),
    Box.IDLE: OFF,
    Box.TRIED: Pattern("two flashes a second", WHITE, 0.25, 0.25),
    Box.RINGING: Pattern("half a second on, half off", BLUE, 0.5, 0.5),
    Box.CONNECTING: Pattern("four flashes a second", AMBER, 0.125, 0.125),
    Box.FALLING_BACK: Pattern("two short flashes a second", AMBER, 0.1, 0.4),
    Box.WAITING_TO_RETRY: Pattern("a short flash every two seconds", AMBER, 0.1, 1.9),
    Box.FAULT: Pattern("eight flashes a second", RED, 0.0625, 0.0625),
}
TURN_PATTERNS = {
    Turn.OPENING: BOX_PATTERNS[Box.CONNECTING],
    Turn.LISTENING: Pattern("steady", GREEN, microphone=True),
    Turn.HEARING: Pattern("on, a blink off every half second", CYAN, 0.4, 0.1, microphone=True),
    Turn.THINKING: Pattern("slow pulse", MAGENTA, 0.2, 0.2, 0.8, microphone=True),
    Turn.SPEAKING: Pattern("quick pulse", BLUE, 0.1, 0.1, 0.3, microphone=True),
    Turn.SUSPECTING: Pattern("on, five blinks off a second", CYAN, 0.15, 0.05, microphone=True),
    Turn.WAITING: Pattern("one long flash every three seconds", GREEN, 0.5, 2.5),
    Turn.MUTED: Pattern("long on, long off", RED, 1.0, 1.0),
    Turn.RECONNECTING: Pattern("on, a blink off every three seconds", AMBER, 2.8, 0.2, microphone=True),
    Turn.ANNOUNCING: Pattern("long on, short off", BLUE, 0.8, 0.4),
}
# Why a call did not come about, as long as the fault is shown; and a card that only a person can mend.
CAUSE_PATTERNS = {
    End.BUSY: Pattern("two flashes a second", AMBER, 0.25, 0.25),
    End.NO_ANSWER: Pattern("two seconds on, two off", AMBER, 2.0, 2.0),
    End.WRONG_NUMBER: Pattern("one flash a second", RED, 0.25, 0.75),
    End.NO_CREDIT: Pattern("on, a gap every second", MAGENTA, 0.75, 0.25),
    End.BAD_CREDENTIALS: Pattern("one flash every two seconds", MAGENTA, 0.25, 1.75),
    End.CARD_LOST: Pattern("one flash every four seconds", RED, 0.25, 3.75),  # and the box has given up on it
}


def pattern(box: Box, turn: Turn, cause: End | None = None, *, whole: bool = True) -> Pattern:
    """Return what the light shows. `turn` counts only in a call, `cause` only in a fault.

    `whole`: every part of the box works. It counts only where nobody wants anything of it.
    """
    match box:
        case Box.IDLE if not whole:
            return OUT_OF_ORDER
        case Box.IN_CALL:
            return TURN_PATTERNS[turn]
        case Box.FAULT if cause in CAUSE_PATTERNS:
            return CAUSE_PATTERNS[cause]
        case _:
            return BOX_PATTERNS[box]


def rhythm(pattern: Pattern, *, fades: bool) -> tuple[float, float, float]:
    """Return the seconds on, off and of each ramp. A light that cannot fade is on whenever the fading one is lit.

    So an open microphone, which some pulses stand for, never shows as the darker of two rhythms.
    """
    if fades:
        return pattern.on_s, pattern.off_s, pattern.fade_s
    return pattern.on_s + 2 * pattern.fade_s, pattern.off_s, 0.0


def table() -> str:
    """Write the whole table as Markdown, for the documentation."""

    def row(state: str, shown: Pattern) -> str:
        color = next(
            name for name, rgb in globals().items() if name.isupper() and rgb == shown.rgb and isinstance(rgb, tuple)
        )
        microphone = "may be open" if shown.microphone else "closed"
        return f"| {state} | {shown.name} | {'–' if color == 'BLACK' else color.lower()} | {microphone} |"

    rows = [row(box.value, shown) for box, shown in BOX_PATTERNS.items()]
    rows.insert(rows.index(row(Box.IDLE.value, OFF)) + 1, row("idle, and a part of it is out of order", OUT_OF_ORDER))
    rows += [row(f"fault: {cause.value}", shown) for cause, shown in CAUSE_PATTERNS.items()]
    rows += [row(f"in call: {turn.value}", shown) for turn, shown in TURN_PATTERNS.items()]
    return "\n".join(["| state | light | colour (RGB) | microphone |", "|---|---|---|---|", *rows])
