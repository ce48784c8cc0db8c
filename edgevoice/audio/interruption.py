"""Decides whether somebody talks over us: at once whether it might be so, and then, in silence, whether it is.

    captured, played ──> echo path ──> residual ── well above noise and doubt? ──> hint
                                          │                                          ║ the loudspeaker falls silent
                                          └── harmonic? lasting? moving? ── summed since the hint ──> evident
    cleaned ──> speech ──> speaking                                 └── silence ──> harmless

Rules
* The hint may be wrong, so it may be quick: 10 ms in which three of six bands stand out from the noise and from all the
  echo that may be in them. How much that is, the echo path knows itself: so it is stricter while it still learns.
* What follows is weighed in silence, block by block. A voice is harmonic; it lasts, where a cough or a door only fades;
  its bands differ, and move. None of these will do alone.
* A block counts for at most its 10 ms. `evident` wants a share of `confirm_ms` in all, pauses not counted.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.echo_path import BINS, BLOCK, RATE, EchoPath
from edgevoice.audio.speech import SpeechDetector

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]

BAND_HZ = (200, 400, 700, 1100, 1600, 2300, 3600)  # as wide for the ear; below 200 is rumble
BANDS = len(BAND_HZ) - 1
STAND_OUT = 3  # bands: fewer are a tone, or the resonance of a case
NOISE = 0.8  # of the noise floor (a minimum) counts like doubt: the margin is meant for echo, noise is steadier
USUAL = 6.0  # times what is usually left of the echo: a loudspeaker that distorts leaves more than the path doubts
USUAL_STEP = 10 ** (0.05 / 10)  # up or down in each block: the median, followed by 5 dB a second
USUAL_RANGE = (0.02, 10.0)  # of doubt
SMOOTHING = 0.2  # of each new block: 50 ms
FLOOR_BLOCKS, FLOOR_PARTS = 10, 15  # the lowest of 1.5 s, as in `speech`
FLOOR = 100.0  # power of a bin, in units of int16: less is rounding

PITCH_BLOCKS = 3  # 30 ms: two periods of a low voice
PITCH_HZ = (70, 400)
LAGS = (RATE // PITCH_HZ[1], RATE // PITCH_HZ[0])
SPECTRUM = 1024  # room for 30 ms and as many lags
FADED = 10 ** (-12 / 10)  # below the loudest since the hint: that is the room, not the voice
LASTING_BLOCKS = 8  # 80 ms: a burst has faded by then
SHAPE_BLOCKS = 3  # 30 ms: a spectrum of one block is mostly chance
MOVE_BLOCKS = 6  # 60 ms: a mouth has moved by then, a cough is the same throughout
# A block's vote, fitted on the tuning half: harmonicity, dB of lasting, dB of contrast between the bands and of change.
HARMONIC, LASTS, CONTRAST, MOVES, OFFSET = 7.9, 0.17, 0.30, 0.40, -5.32
CERTAIN = 2.0  # of that vote: it counts in full
CLEAR, CLEAR_BANDS = 4.0, 2  # above all that is expected, and in how many bands: else it is not weighed
OVER_ECHO = 0.5  # of the echo that was taken away is expected as well, while it still rings
KEPT = 0.96  # of the evidence, from block to block after a suspicion in vain: the next word may add to it for 0.2 s
QUIET_BLOCKS = 25  # 250 ms without a voice, and faded: longer than a closed mouth within a word
REST_BLOCKS, REST_MOST = 5, 20  # 50 ms after a suspicion in vain, doubled while they follow each other: keys, rain
REST_FORGOTTEN = 200  # 2 s


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How readily a sound is taken for somebody who talks over us."""

    margin_db: float  # of the hint, above doubt
    share: float  # of confirm_ms that must be certainly a voice


OPERATING_POINTS = {
    "low": OperatingPoint(margin_db=8.0, share=0.45),  # for a lively room: words that are short or faint do not count
    "normal": OperatingPoint(margin_db=6.0, share=0.30),
    "high": OperatingPoint(margin_db=6.0, share=0.20),  # for a still room: more coughs count
}


class TalkOver:
    """Hears one microphone at 16 kHz, block by block, from one thread at a time."""

    def __init__(self, *, sensitivity: str = "normal", confirm_ms: int = 160) -> None:
        self._speech = SpeechDetector(sensitivity=sensitivity, confirm_ms=confirm_ms)
        point = OPERATING_POINTS[sensitivity]
        self._path = EchoPath()
        self._margin = 10 ** (point.margin_db / 10)
        self._wanted_ms = point.share * confirm_ms
        self._bands = _bands()
        self._powers = np.zeros((2, BINS), np.float32)  # of the residual, and doubt
        self._last = np.zeros(BANDS, np.float32)
        self._smooth = self._lowest = self._floor = np.full(BANDS, 1e4, np.float32)
        self._parts = np.full((FLOOR_PARTS, BANDS), 1e4, np.float32)
        self._blocks = 0
        self._usual = np.full(BANDS, 0.1, np.float32)
        self._expected = self._floor
        self._above = 0
        self._recent = np.zeros(PITCH_BLOCKS * BLOCK, np.float32)
        self._levels = deque([0.0] * LASTING_BLOCKS, maxlen=LASTING_BLOCKS)
        self._heard = self._doubt = self._last
        self._spectra: deque[Floats] = deque(maxlen=SHAPE_BLOCKS)
        self._shapes: deque[Floats] = deque(maxlen=MOVE_BLOCKS + 1)
        self._suspecting = False
        self._evidence_ms = 0.0
        self._loudest = 0.0
        self._quiet = 0
        self._rest = 0
        self._last_rest = REST_BLOCKS
        self._relaxed = -REST_FORGOTTEN

    @property
    def hint(self) -> bool:
        """Right now something begins that may be a voice over us: worth silencing the loudspeaker."""
        return self._above >= STAND_OUT and not self._rest

    @property
    def evident(self) -> bool:
        """There is enough evidence of a person's voice: interrupt."""
        return self._suspecting and self._evidence_ms >= self._wanted_ms

    @property
    def harmless(self) -> bool:
        """It is clear by now that nobody speaks: the suspicion may be taken back."""
        return self._suspecting and self._quiet >= QUIET_BLOCKS and self._levels[-1] < FADED * self._loudest

    @property
    def speaking(self) -> bool:
        """Somebody speaks; a short pause does not end it."""
        return self._speech.speaking

    @property
    def level_dbfs(self) -> float:
        """How loud the last block was, without rumble."""
        return self._speech.level_dbfs

    @property
    def floor_dbfs(self) -> float:
        """Level of the noise around the voice, without rumble."""
        return self._speech.floor_dbfs

    def hear(self, cleaned: Samples, captured: Samples, played: Samples) -> None:
        """Take the next 10 ms: after and before the echo canceller, and what the loudspeaker played."""
        self._speech.hear(cleaned)
        path = self._path
        path.hear(captured, played)
        self._powers[0], self._powers[1] = path.power, path.doubt
        self._heard, self._doubt = self._powers @ self._bands
        self._recent[:-BLOCK] = self._recent[BLOCK:]
        self._recent[-BLOCK:] = path.residual
        self._follow(self._heard)
        lately = (self._heard + self._last) * 0.5
        self._last = self._heard
        self._expected = NOISE * self._floor
        if path.sounding:
            self._expected += self._doubt * np.maximum(1, USUAL * self._usual)
        self._above = int(np.count_nonzero(lately > self._margin * self._expected))
        self._levels.append(float(self._heard.sum()))
        self._rest = max(0, self._rest - 1)
        if self._suspecting:
            self._weigh()
        else:
            self._evidence_ms *= KEPT
            self._compare()

    def suspect(self) -> None:
        """The loudspeaker has been silenced because of the hint: collect evidence from the hint on."""
        self._suspecting = True
        self._spectra.clear()
        self._shapes.clear()
        self._shape()
        self._loudest = self._levels[-1]
        self._quiet = 0

    def relax(self) -> None:
        """The suspicion is over, either way."""
        if self.evident:
            self._evidence_ms = 0.0
        self._suspecting = False
        follows = self._blocks - self._relaxed < REST_FORGOTTEN
        self._relaxed = self._blocks
        self._last_rest = min(2 * self._last_rest, REST_MOST) if follows else REST_BLOCKS
        self._rest = self._last_rest

    def witness(self) -> None:
        """The agent's own voice detection heard a voice begin in this suspicion: less evidence is needed."""
        self._evidence_ms += self._wanted_ms / 2

    def forget(self) -> None:
        """There is a gap now: what was heard so far says nothing about what comes."""
        self._speech.forget()
        self._path.forget()
        self._suspecting = False

    def _follow(self, power: Floats) -> None:
        self._smooth = self._smooth + SMOOTHING * (power - self._smooth)
        self._lowest = np.minimum(self._lowest, self._smooth)
        self._blocks += 1
        if self._blocks % FLOOR_BLOCKS == 0:
            self._parts[self._blocks // FLOOR_BLOCKS % FLOOR_PARTS] = self._lowest
            self._floor = np.maximum(self._parts.min(axis=0), FLOOR)
            self._lowest = self._smooth

    def _compare(self) -> None:
        """Learn how much of what may be echo usually is."""
        if not self._path.sounding:
            return
        usual = self._usual
        more = np.where(self._heard > usual * self._doubt, usual * USUAL_STEP, usual / USUAL_STEP)
        shows = self._doubt * np.maximum(usual, 0.1) > self._floor
        self._usual = np.clip(np.where(shows, more, usual), *USUAL_RANGE)

    def _shape(self) -> Floats:
        """Take the spectrum of this block; return that of the last three, in dB around their mean."""
        own = 10 * np.log10(np.maximum(self._heard - 1.5 * self._floor, 0.3 * self._floor))
        self._spectra.append(own - own.mean())
        shape: Floats = np.mean(self._spectra, axis=0)
        self._shapes.append(shape)
        return shape

    def _weigh(self) -> None:
        level = self._levels[-1]
        self._loudest = max(self._loudest, level)
        self._quiet += 1
        shape = self._shape()
        least = CLEAR * self._expected + OVER_ECHO * (self._path.echo @ self._bands)
        if level <= FADED * self._loudest or np.count_nonzero(self._heard > least) < CLEAR_BANDS:
            return
        lasts = sum(map(_db, self._levels)) / LASTING_BLOCKS - _db(self._loudest)
        voice = (
            HARMONIC * _harmonicity(self._recent)
            + LASTS * lasts
            + CONTRAST * float(shape.std())
            + MOVES * float(np.sqrt(np.mean((shape - self._shapes[0]) ** 2)))
            + OFFSET
        )
        if voice > 0:
            self._quiet = 0
            self._evidence_ms += 10 * min(1.0, voice / CERTAIN)


def _harmonicity(x: Floats) -> float:
    """Return how alike `x` is to itself a period later, whatever the period of a voice: 1 for a vowel."""
    spectrum = np.fft.rfft(x, SPECTRUM)
    alike = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[LAGS[0] : LAGS[1] + 1]
    energy = np.concatenate(((0.0,), np.cumsum(x * x)))
    lags = np.arange(LAGS[0], LAGS[1] + 1)
    both = energy[len(x) - lags] * (energy[-1] - energy[lags])
    return float((alike / np.sqrt(both + 1e-3)).max())


def _bands() -> Floats:
    hz = np.arange(BINS) * RATE / (2 * BLOCK)
    inside = [(low <= hz) & (hz < high) for low, high in pairwise(BAND_HZ)]
    return np.stack([band / band.sum() for band in inside], axis=1).astype(np.float32)


def _db(ratio: float) -> float:
    return 10 * math.log10(ratio + 1e-9)
