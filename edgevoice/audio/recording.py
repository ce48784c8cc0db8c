"""One sweep, and what was heard around it: silence before it for the noise floor, a tail behind it for what comes late.

settle ── quiet: the noise floor ── sweep ── tail
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.sweep import Sweep

Samples = NDArray[np.int16]

SETTLE_S = 0.3  # not looked at: microphones thump when they start, and the reference finds its place
QUIET_S = 0.5


@dataclass(frozen=True, slots=True)
class Recording:
    """What was played and what was captured, frame by frame beside each other, each (n,)."""

    sweep: Sweep
    played: Samples
    captured: Samples
    quiet_s: tuple[float, float]  # from, to: nothing is played
    tail_s: float


class Recorder:
    """Gives the card what to play and takes what it captured, until it is `full`."""

    def __init__(self, sweep: Sweep, tail_s: float, *, ahead: int, aloud: bool = True) -> None:
        """`ahead` frames at most lie between writing and hearing; not `aloud`: silence is played instead."""
        self.aloud = aloud
        self.disturbed = False  # the card lost frames: there is a hole somewhere
        self._rate = sweep.rate
        quiet = np.zeros(round((SETTLE_S + QUIET_S) * sweep.rate), np.int16)
        self._script = np.concatenate((quiet, sweep.samples() if aloud else np.zeros_like(sweep.samples())))
        self._written = self._filled = 0
        self._disturbances: int | None = None
        played, captured = np.zeros((2, len(self._script) + ahead + round(tail_s * sweep.rate)), np.int16)
        self.recording = Recording(sweep, played, captured, (SETTLE_S, SETTLE_S + QUIET_S), tail_s)

    @property
    def full(self) -> bool:
        """The recording is whole."""
        return self._filled == len(self.recording.captured)

    @property
    def settled(self) -> Samples:
        """What was captured (n,), without what is not looked at."""
        return self.recording.captured[round(SETTLE_S * self._rate) :]

    def next(self, frames: int) -> Samples:
        """Return the next (frames,) to write: silence when all was said."""
        piece = self._script[self._written : self._written + frames]
        self._written += frames
        return np.pad(piece, (0, frames - len(piece)))

    def hear(self, captured: Samples, played: Samples, disturbances: int) -> None:
        """Take a captured period and what was played beside it, (n,) each; `disturbances` of the card, counted."""
        there = slice(self._filled, min(self._filled + len(captured), len(self.recording.captured)))
        taken = there.stop - there.start
        self.recording.captured[there] = captured[:taken]
        self.recording.played[there] = played[:taken]
        self._filled = there.stop
        if self._filled >= SETTLE_S * self._rate:
            self.disturbed = self.disturbed or self._disturbances not in (None, disturbances)
            self._disturbances = disturbances
