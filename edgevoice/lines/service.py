"""The port of a phone service: what its messages mean, and the messages that say what we mean; no clock, no socket.

                     ┌─ receive ──> Began, Audio, Reached, Emptied, Digit, Closed ──┐
    the service <────┤                                                             ├────> lines.line.Line
                     └─ begin, play, mark, clear, end ──> messages <────────────────┘

A service is one file and one class. It knows how its own protocol says a thing, and nothing of what is said: queues,
pacing, marks that do not come, what was heard, and who speaks, are those of `Line`, which is the same for all.

Rules
* Nothing raises for what the other side sends. What cannot be understood is counted in `faults` and ignored; what makes
  the call impossible (a format that was never announced) is a `Closed(BROKEN, sentence)`. No sentence holds a number
  called, a word spoken or sound.
* A second beginning of the same call is ignored; of another call on the same socket it ends this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from edgevoice.events import Audio, Closed, Digit, Progress

FRAME_MS = 20  # what phone networks carry

Messages: TypeAlias = tuple[str | bytes, ...]


@dataclass(frozen=True, slots=True)
class Began:
    """Which call this is. The numbers are those that the service tells, "" where it does not; they are never shown."""

    call: str  # the service's own id
    caller: str = field(default="", repr=False)
    callee: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Reached:
    """Everything sent before the mark of that name was played, or thrown away by a `clear`."""

    mark: str


@dataclass(frozen=True, slots=True)
class Emptied:
    """The answer to `clear`: nothing that was sent before it will be played."""


@dataclass(frozen=True, slots=True)
class Flowing:
    """Sound flows in both directions from now on, at `rate`: said by a service that `opens` (`Service.open`) only."""


Meaning: TypeAlias = Began | Flowing | Audio | Reached | Emptied | Digit | Progress | Closed


class Service(Protocol):
    """One call's messages, in both directions. Sound is int16, little endian, mono, at `rate`."""

    faults: int  # messages that could not be understood

    @property
    def name(self) -> str:
        """As in the configuration: "elks"."""

    @property
    def rate(self) -> int:
        """Hz of the sound in both directions; what the service announces decides, so it is final with `Began`."""

    @property
    def chunk_ms(self) -> int:
        """How much sound it wants in one message."""

    @property
    def frame_ms(self) -> int:
        """Only whole ones are sent, the last one filled with silence."""

    @property
    def mark_ms(self) -> int:
        """After how much sound it may be asked again how far it is."""

    @property
    def answers_clear(self) -> bool:
        """`Emptied` follows a `clear`, and new sound had better wait for it."""

    @property
    def rings_by_itself(self) -> bool:
        """The caller hears by other means that it rings, or that nobody can be reached: not from us."""

    @property
    def flows_at_once(self) -> bool:
        """Sound flows as soon as we `begin`; else `Flowing` says when."""

    @property
    def patience_s(self) -> float:
        """How long it may take until it says which call it is."""

    def receive(self, message: str | bytes, at: float) -> tuple[Meaning, ...]:
        """Say what one message means, in order. `at` is monotonic seconds."""

    def open(self) -> Messages:
        """Say what comes first of all, if that is for us to say."""

    def begin(self) -> Messages:
        """Take the call, after `Began`: sound flows in both directions from now on."""

    def play(self, pcm: bytes) -> Messages:
        """Send one chunk: `chunk_ms`, or less at the end of what is said."""

    def mark(self, name: str) -> Messages:
        """Ask to be told (`Reached`) when everything sent so far was played."""

    def clear(self, at: float) -> Messages:
        """Have everything thrown away that was sent and not played."""

    def end(self) -> Messages:
        """Say goodbye; the socket is closed after that."""

    def closed(self, code: int) -> Closed:
        """Say what it means that the socket is gone without a goodbye; `code` is the WebSocket close code."""
