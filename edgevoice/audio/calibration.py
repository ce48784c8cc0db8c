"""`edgevoice calibrate` without the card: plays sweeps until the figures are good.

    listening ── sweep ── tail ──> judge ──> clear: done
        ^                            |
        └── again: more quietly (it clipped) | to average (noise) | as before (the card lost frames)

Rules
* A sweep that hardly stands out of the noise is played again, and all of them are averaged. One that clips is played
  again more quietly, to learn how loud it would have been.
* A recording in which the card started anew has a hole somewhere: it is thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edgevoice.audio.measurement import Figures, Recording, measured
from edgevoice.audio.sweep import Response, Sweep, highest_hz

Samples = NDArray[np.int16]

SETTLE_S = 0.3  # not looked at: microphones thump when they start, and the reference finds its place
LISTEN_S = 0.5  # of silence, for the noise floor
SWEEP_S = 2.5  # with a shorter one a long reverberation runs into the harmonics
TAIL_S = 1.2  # the longest delay that an echo canceller takes, and a living room's reverberation
SWEEP_DBFS = -12.0  # as loud as loud speech is: distortion and clipping shall show
SOFTER_DB = 12.0  # after clipping
SOFTEST_DBFS = -36.0
MOST_SWEEPS = 5
NO_FAN_DBFS = -50.0  # a sweep that does not come back in less noise than this never will


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is kept of a card: its sweep's figures, when and at which volume they were taken."""

    card: str
    made: str  # ISO 8601
    rate: int
    volume: int | None  # per cent; None: the card has no mixer
    delay_ms: Annotated[float, Meta(ge=-100, le=2000)]  # a damaged file must not ask for a delay of hours
    echo_db: float
    distortion_percent: float
    noise_dbfs: float
    peak_dbfs: float
    sweep_dbfs: float
    polarity: int

    @property
    def words(self) -> str:
        return f"{self.made[:10]}, echo {self.delay_ms:.0f} ms late at {self.echo_db:.0f} dB"


class Calibrator:
    """Gives the card what to play, takes what it captured, decides when the figures are good."""

    def __init__(self, rate: int, ahead: int) -> None:
        """`ahead` frames at most lie between writing and hearing."""
        self.figures: Figures | None = None  # of all recordings; None: none was whole
        self.response: Response | None = None
        self.recording: Recording | None = None  # the last whole one
        self.sweeps = 0
        self.done = False
        self.doing = ""  # in words
        self._rate = rate
        self._ahead = ahead
        self._kept: list[Recording] = []
        self._begin(SWEEP_DBFS, "Listening to the room, then playing a sweep")

    def _begin(self, level_dbfs: float, doing: str) -> None:
        self.doing = doing
        self._sweep = Sweep(self._rate, SWEEP_S, level_dbfs, highest_hz(self._rate))
        quiet = np.zeros(round((SETTLE_S + LISTEN_S) * self._rate), np.int16)
        self._script = np.concatenate((quiet, self._sweep.samples()))
        self._written = self._filled = 0
        self._disturbances: int | None = None
        self._disturbed = False
        frames = len(self._script) + self._ahead + round(TAIL_S * self._rate)
        self._played = np.zeros(frames, np.int16)
        self._captured = np.zeros(frames, np.int16)

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
            self._disturbed = self._disturbed or self._disturbances not in (None, disturbances)
            self._disturbances = disturbances

    @property
    def full(self) -> bool:
        """The recording is whole: `judge` it."""
        return self._filled == len(self._captured)

    def judge(self) -> None:
        """Read the figures off, and play another sweep if they are not good. Takes longer than a period."""
        self.sweeps += 1
        last = self.sweeps == MOST_SWEEPS
        level = self._sweep.peak_dbfs
        if self._disturbed:
            self._go_on(last, level, "once more, because the card lost frames")
            return
        self.recording = Recording(self._sweep, self._played, self._captured, (SETTLE_S, SETTLE_S + LISTEN_S), TAIL_S)
        self._kept.append(self.recording)
        self.figures, self.response = measured(self._kept)
        if self.figures.clipped and level > SOFTEST_DBFS:
            self._kept = [] if not last else self._kept
            self._go_on(last, level - SOFTER_DB, "more quietly, because the microphone clipped")
        elif self.figures.clear or (self.figures.heard is None and self.figures.noise_dbfs < NO_FAN_DBFS):
            self.done = True
        else:
            self._go_on(last, level, "once more, because it is noisy")

    def _go_on(self, last: bool, level_dbfs: float, why: str) -> None:
        self.done = last
        if not last:
            self._begin(level_dbfs, f"Sweep {self.sweeps + 1}, {why}")


def calibration(figures: Figures, *, card: str, made: str, rate: int, volume: int | None) -> Calibration | None:
    """Return what to keep, or None when the sweep was not heard clearly."""
    heard = figures.heard
    if heard is None or heard.distortion_percent is None or not figures.clear:
        return None
    return Calibration(
        card=card,
        made=made,
        rate=rate,
        volume=volume,
        delay_ms=round(heard.delay_ms, 2),
        echo_db=round(heard.echo_db, 1),
        distortion_percent=round(heard.distortion_percent, 2),
        noise_dbfs=round(figures.noise_dbfs, 1),
        peak_dbfs=round(figures.peak_dbfs, 1),
        sweep_dbfs=figures.sweep_dbfs,
        polarity=heard.polarity,
    )
