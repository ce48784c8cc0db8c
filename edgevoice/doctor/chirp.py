"""A short chirp, and what was heard around it: enough to say whether loudspeaker and microphone live.

    settle ── quiet: the noise floor ── chirp ── tail      two and a half seconds

It is fainter and shorter than the sweep of `edgevoice calibrate`, which measures; this only looks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.measurement import Recording, measured
from edgevoice.audio.sweep import Sweep, highest_hz
from edgevoice.doctor.facts import Sounding

Samples = NDArray[np.int16]

SETTLE_S = 0.3  # microphones thump when they start, and the reference finds its place
QUIET_S = 0.5
CHIRP_S = 0.6
CHIRP_DBFS = -24.0  # a soft word: found in the noise of a fan by its length
TAIL_S = 0.8


class Chirp:
    """Gives the card what to play and takes what it captured, until it is `over`."""

    def __init__(self, rate: int, ahead: int) -> None:
        """`ahead` frames at most lie between writing and hearing."""
        self.disturbed = False  # the card lost frames: there is a hole somewhere
        self._rate = rate
        self._sweep = Sweep(rate, CHIRP_S, CHIRP_DBFS, highest_hz(rate))
        quiet = np.zeros(round((SETTLE_S + QUIET_S) * rate), np.int16)
        self._script = np.concatenate((quiet, self._sweep.samples()))
        self._written = self._filled = 0
        self._disturbances: int | None = None
        frames = len(self._script) + ahead + round(TAIL_S * rate)
        self._played, self._captured = np.zeros(frames, np.int16), np.zeros(frames, np.int16)

    @property
    def over(self) -> bool:
        return self._filled == len(self._captured)

    def next(self, frames: int) -> Samples:
        """Return the next (frames,) to write: silence when all was said."""
        piece = self._script[self._written : self._written + frames]
        self._written += frames
        return np.pad(piece, (0, frames - len(piece)))

    def hear(self, captured: Samples, played: Samples, disturbances: int) -> None:
        """Take a captured period and what was played beside it, (n,) each; `disturbances` of the card, counted."""
        start = self._filled
        taken = min(len(captured), len(self._captured) - start)
        self._captured[start : start + taken] = captured[:taken]
        self._played[start : start + taken] = played[:taken]
        self._filled += taken
        if self._filled >= SETTLE_S * self._rate:
            self.disturbed = self.disturbed or self._disturbances not in (None, disturbances)
            self._disturbances = disturbances

    def sounding(self) -> Sounding:
        """Return what was heard, when it is over."""
        quiet = (SETTLE_S, SETTLE_S + QUIET_S)
        recording = Recording(self._sweep, self._played, self._captured, quiet, TAIL_S)
        settled = self._captured[round(SETTLE_S * self._rate) :]
        figures, _ = measured([recording], harmonics=False)
        offset, still = float(settled.mean()) / 32768, bool((settled == settled[0]).all())
        return Sounding(figures, offset, still, self.disturbed)
