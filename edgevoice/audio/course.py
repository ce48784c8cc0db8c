"""When one direction of a sound card was where: a frame count, the moment at which it was true, and what follows.

frames |              .  o       o: `note`d; between and after them it goes on at the card's rate
       |          o      |       start: the same count as it stopped at, later
       |      .   |      o . .
       |  o ......|------'       what lies between is lost: time passed, nothing was captured, or played
       +------------------------> seconds
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

BELIEVED_S = 1.0  # a timestamp is of just now, or of another clock
ASKED_S = 0.0002  # to ask both directions takes half of that; more, and something came in between
ASKS = 5


class Moment(NamedTuple):
    """So many frames, at that monotonic second."""

    at: float
    frames: int


class Timed(Protocol):
    """A PCM that tells what is available, and when it was so."""

    def avail(self) -> int:
        """Frames to read, or room to write; negative when there is an xrun, or nothing runs."""

    def htimestamp(self) -> tuple[int, int, int]:
        """Return seconds, nanoseconds and frames, true at once and of the last `avail`; or nonsense."""


def look(capture: Timed, playback: Timed, clock: Callable[[], float]) -> list[Moment | None]:
    """Ask both what is available; None from one that does not run. `clock` is monotonic.

    A timestamp that cannot be true (PulseAudio tells the time of day, alsa-lib nothing at all for some plugins) is
    replaced, for both, by the time at which we asked.
    """
    pcms = (capture, playback)
    runs = [pcm.avail() >= 0 for pcm in pcms]  # it makes the timestamps fresh
    stamps = [_moment(*pcm.htimestamp()) if running else None for pcm, running in zip(pcms, runs, strict=True)]
    now = clock()
    if all(stamp is None or abs(stamp.at - now) < BELIEVED_S for stamp in stamps):
        return stamps
    for _ in range(ASKS):
        before = clock()
        heard = capture.avail()
        amid = clock()
        left = playback.avail()
        after = clock()
        if after - before < ASKED_S:
            break
    asked = Moment(between(before, amid), heard), Moment(between(amid, after), left)
    return [moment if moment.frames >= 0 else None for moment in asked]


def _moment(seconds: int, nanoseconds: int, frames: int) -> Moment:
    return Moment(seconds + nanoseconds / 1e9, frames)


def between(before: float, after: float) -> float:
    """Date what happened while we asked."""
    return (before + after) / 2


class Course:
    """One direction's count against time. Short-sighted on purpose: a crystal is off by 100 frames in a million."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._noted: Moment | None = None

    def note(self, at: float, frames: int) -> None:
        """Learn that `frames` had been captured, or played, at `at`."""
        self._noted = Moment(at, frames)

    def frames_at(self, at: float) -> float:
        """Return the count at a moment near the one last noted, or 0."""
        return self._noted.frames + (at - self._noted.at) * self._rate if self._noted else 0.0

    def start(self, at: float, frames: int) -> int:
        """Start anew at `at` from a count of `frames`; return those that the time since it stopped would have made."""
        lost = round(self.frames_at(at) - frames) if self._noted else 0
        self.note(at, frames)
        return max(0, lost)
