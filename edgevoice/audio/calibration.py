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

from msgspec import Meta

from edgevoice.audio.measurement import Figures, measured
from edgevoice.audio.recording import Recorder, Recording
from edgevoice.audio.sweep import Response, Sweep, highest_hz

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
    """Has sweeps recorded, one after the other, and decides when the figures are good."""

    def __init__(self, rate: int, ahead: int) -> None:
        """`ahead` frames at most lie between writing and hearing."""
        self.recorder: Recorder  # of the sweep that is being played
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
        sweep = Sweep(self._rate, SWEEP_S, level_dbfs, highest_hz(self._rate))
        self.recorder = Recorder(sweep, TAIL_S, ahead=self._ahead)

    def judge(self) -> None:
        """Read the figures off a recording that is full, and begin another one if they are not good.

        Takes longer than a period.
        """
        self.sweeps += 1
        last = self.sweeps == MOST_SWEEPS
        recording = self.recorder.recording
        level = recording.sweep.peak_dbfs
        if self.recorder.disturbed:
            self._go_on(last, level, "once more, because the card lost frames")
            return
        self.recording = recording
        self._kept.append(recording)
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
