"""The person's side of the turn: whether they have it, and so what becomes of the microphone's samples.

Rules
* SERVICE: the service hears everything and says when a turn is over; nothing is decided here.
* LOCAL: a turn begins with a voice, and ends after a pause of `silence_ms` in all. A voice over a response begins none
  unless it interrupts: it may be a cough, or an echo. Whoever still speaks when the response has been heard has the
  turn then; but a voice that ends just after a response was its echo, or ended with it.
* MANUAL: the turn lasts as long as the button is held.
* A muted person has no turn: half a sentence is none.
"""

from __future__ import annotations

from enum import Enum
from math import inf

from edgevoice.events import Uplink

PAUSE_S = 0.2  # a near leg reports `SpeechStopped` that long after the voice
ECHO_S = 0.15  # a small room's decay


class Detection(Enum):
    """Who says that the person's turn is over."""

    SERVICE = "service"
    LOCAL = "local"
    MANUAL = "manual"  # push to talk


class Person:
    """What the near leg and the button tell of one person; `over_us`: a response sounds."""

    def __init__(self, detection: Detection, silence_ms: int) -> None:
        self.detection = detection
        self.speaks = False
        self.muted = False
        self.has_turn = False  # LOCAL: from the first word to the end of the turn; MANUAL: the button is held
        self._silence_s = max(0.0, silence_ms / 1000 - PAUSE_S)
        self._quiet_since: float | None = None  # LOCAL: they paused in their turn
        self._doubtful_until = 0.0  # LOCAL: the voice that has the turn may be the echo of a response

    @property
    def uplink(self) -> Uplink:
        """What becomes of the microphone's samples while the call goes on."""
        if self.muted:
            return Uplink.SILENT if self.detection is Detection.SERVICE else Uplink.OFF
        if self.detection is Detection.SERVICE or self.has_turn:
            return Uplink.OPEN
        return Uplink.HELD

    @property
    def deadline(self) -> float:
        """When a pause has lasted so long that the turn is over; inf: there is none."""
        return inf if self._quiet_since is None else self._quiet_since + self._silence_s

    def begins_to_speak(self, *, over_us: bool) -> None:
        self.speaks = True
        self._quiet_since = None
        self._doubtful_until = 0.0
        if self.detection is Detection.LOCAL and not over_us and not self.muted:
            self.has_turn = True

    def pauses(self, at: float) -> None:
        self.speaks = False
        if self.detection is not Detection.LOCAL or not self.has_turn:
            return
        if at < self._doubtful_until:
            self.has_turn = False
        else:
            self._quiet_since = at

    def interrupts(self, at: float, *, by_voice: bool) -> None:
        """A response was stopped, by hand or by a voice that the near leg may or may not hear any more."""
        if self.detection is not Detection.LOCAL or self.muted or not (self.speaks or by_voice):
            return
        self.has_turn = True
        if not self.speaks and self._quiet_since is None:
            self._quiet_since = at

    def gets_floor(self, at: float) -> None:
        """No response sounds: a voice that was over one has the turn now."""
        if self.detection is Detection.LOCAL and self.speaks and not self.has_turn and not self.muted:
            self.has_turn = True
            self._doubtful_until = at + PAUSE_S + ECHO_S

    def mute(self, on: bool) -> None:
        self.muted = on
        if on and self.detection is Detection.LOCAL:
            self._give_turn()

    def paused_enough(self, at: float) -> bool:
        """Tell whether the turn is over; it is told once."""
        if at < self.deadline:
            return False
        self._give_turn()
        return True

    def _give_turn(self) -> None:
        self.has_turn = False
        self._quiet_since = None
