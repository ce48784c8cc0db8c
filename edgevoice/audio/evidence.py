"""Weighs a suspicion, block by block of 10 ms: is it a person's voice? And the noise that a voice stands out of.

Rules
* A voice is harmonic; it lasts, where a cough or a door only fades; its bands differ, and move. None of these will do
  alone.
* A block counts for at most its 10 ms, and pauses do not count.
* Six numbers are quicker in Python than in numpy: what looks like arithmetic for arrays is not, on purpose.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.echo_path import BINS, BLOCK, RATE

Floats = NDArray[np.float32]

BAND_HZ = (200, 400, 700, 1100, 1600, 2300, 3600)  # as wide for the ear; below 200 is rumble
BANDS = len(BAND_HZ) - 1
STAND_OUT = 3  # bands: fewer are a tone, or the resonance of a case

SMOOTHING = 0.2  # of each new block: 50 ms
_FOLLOWS = (0.0, SMOOTHING, 1 - (1 - SMOOTHING) ** 2)
FLOOR_BLOCKS, FLOOR_PARTS = 10, 15  # the lowest of 1.5 s, as in `speech`
NOISE = 0.8  # of that floor (a minimum) counts like doubt: the margin is meant for echo, noise is steadier
FLOOR = 100.0  # power of a bin, in units of int16: less is rounding

PITCH_SAMPLES = 240  # 30 ms: two periods of a low voice
PITCH_HZ = (70, 400)
LAGS = (RATE // PITCH_HZ[1], RATE // PITCH_HZ[0])
FADED = 10 ** (-12 / 10)  # below the loudest since the hint: that is the room, not the voice
LASTING_BLOCKS = 8  # 80 ms: a burst has faded by then
SHAPE_BLOCKS = 3  # 30 ms: a spectrum of one block is mostly chance
MOVE_BLOCKS = 6  # 60 ms: a mouth has moved by then, a cough is the same throughout
# A block's vote, fitted on the tuning half: harmonicity, dB of lasting, dB of contrast between the bands and of change.
HARMONIC, LASTS, CONTRAST, MOVES, OFFSET = 7.9, 0.17, 0.30, 0.40, -5.32
CERTAIN = 2.0  # of that vote: it counts in full
CLEAR, CLEAR_BANDS = 4.0, 2  # above all that is expected, and in how many bands: else it is not weighed
KEPT = 0.96  # of the evidence, from block to block after a suspicion in vain: the next word may add to it for 0.2 s
QUIET_BLOCKS = 25  # 250 ms without a voice, and faded: longer than a closed mouth within a word
SOME, LONGER_QUIET_BLOCKS = 0.4, 45  # of the evidence that is wanted: a short word; 450 ms: the next one comes
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


class Noise:
    """What the bands hold when nobody speaks: the lowest of the last 1.5 s, each power (BANDS,)."""

    def __init__(self) -> None:
        self.floor: Floats = np.full(BANDS, 1e4, np.float32)
        self._smooth = self._lowest = self.floor
        self._parts = np.full((FLOOR_PARTS, BANDS), 1e4, np.float32)
        self._part = 0
        self._blocks = 0  # of the next part

    def follow(self, power: Floats, blocks: int = 1) -> bool:
        """Take the mean of the next block or two; tell whether the floor is another one now."""
        self._smooth = self._smooth + _FOLLOWS[blocks] * (power - self._smooth)
        self._lowest = np.minimum(self._lowest, self._smooth)
        self._blocks += blocks
        if self._blocks < FLOOR_BLOCKS:
            return False
        self._blocks -= FLOOR_BLOCKS
        self._part = (self._part + 1) % FLOOR_PARTS
        self._parts[self._part] = self._lowest
        self.floor = np.maximum(self._parts.min(axis=0), FLOOR)
        self._lowest = self._smooth
        return True


class Evidence:
    """Of one microphone or line, of which it is told every block; `wanted_ms` of voice are enough."""

    def __init__(self, wanted_ms: float) -> None:
        self.suspecting = False
        self._wanted_ms = wanted_ms
        self._ms = 0.0
        self._levels = deque([0.0] * LASTING_BLOCKS, maxlen=LASTING_BLOCKS)
        self._spectra: deque[list[float]] = deque(maxlen=SHAPE_BLOCKS)
        self._shapes: deque[list[float]] = deque(maxlen=MOVE_BLOCKS + 1)
        self._loudest = 0.0
        self._quiet = 0  # blocks without a voice
        self._blocks = 0
        self._rest = 0
        self._last_rest = REST_BLOCKS
        self._relaxed = -REST_FORGOTTEN

    @property
    def resting(self) -> bool:
        """A suspicion in vain is just over: the next hint has to wait."""
        return self._rest > 0

    @property
    def evident(self) -> bool:
        """There is enough evidence of a person's voice: interrupt."""
        return self.suspecting and self._ms >= self._wanted_ms

    @property
    def harmless(self) -> bool:
        """It is clear by now that nobody speaks: the suspicion may be taken back."""
        enough = LONGER_QUIET_BLOCKS if self._ms > SOME * self._wanted_ms else QUIET_BLOCKS
        return self.suspecting and self._quiet >= enough and self._levels[-1] < FADED * self._loudest

    @property
    def level(self) -> float:
        """The power of the last block, of all bands."""
        return self._levels[-1]

    def hear(self, level: float) -> None:
        """Take the power of the next block, of all bands."""
        self._blocks += 1
        self._levels.append(level)
        if self._rest:
            self._rest -= 1
        if not self.suspecting:
            self._ms *= KEPT

    def suspect(self, heard: Floats, floor: Floats) -> None:
        """This block is the first of a suspicion."""
        self.suspecting = True
        self._spectra.clear()
        self._shapes.clear()
        self._shape(heard, floor)
        self._loudest = self._levels[-1]
        self._quiet = 0

    def relax(self) -> None:
        """The suspicion is over, either way."""
        if self.evident:
            self._ms = 0.0
        self.suspecting = False
        follows = self._blocks - self._relaxed < REST_FORGOTTEN
        self._relaxed = self._blocks
        self._last_rest = min(2 * self._last_rest, REST_MOST) if follows else REST_BLOCKS
        self._rest = self._last_rest

    def witness(self) -> None:
        """Somebody else heard a voice in this suspicion, too: less evidence is needed."""
        self._ms += self._wanted_ms / 2

    def weigh(self, heard: Floats, floor: Floats, least: Floats, recent: Floats) -> None:
        """Weigh one more block: its power, the noise, what else must be exceeded (BANDS,), and the last 30 ms of it."""
        level = self._levels[-1]
        self._loudest = max(self._loudest, level)
        self._quiet += 1
        shape = self._shape(heard, floor)
        if level <= FADED * self._loudest or np.count_nonzero(heard > least) < CLEAR_BANDS:
            return
        lasts = sum(map(_db, self._levels)) / LASTING_BLOCKS - _db(self._loudest)
        contrast = math.sqrt(_mean([one * one for one in shape]) - _mean(shape) ** 2)
        moves = math.sqrt(_mean([(now - then) ** 2 for now, then in zip(shape, self._shapes[0], strict=True)]))
        voice = HARMONIC * harmonicity(recent) + LASTS * lasts + CONTRAST * contrast + MOVES * moves + OFFSET
        if voice > 0:
            self._quiet = 0
            self._ms += 10 * min(1.0, voice / CERTAIN)

    def _shape(self, heard: Floats, floor: Floats) -> list[float]:
        """Take the spectrum of this block; return that of the last three, in dB around their mean."""
        own = [
            10 * math.log10(max(power - 1.5 * noise, 0.3 * noise))
            for power, noise in zip(heard.tolist(), floor.tolist(), strict=True)
        ]
        mean = _mean(own)
        self._spectra.append([one - mean for one in own])
        shape = [_mean(band) for band in zip(*self._spectra, strict=True)]
        self._shapes.append(shape)
        return shape


def harmonicity(x: Floats) -> float:
    """Return how alike `x` (PITCH_SAMPLES,) is to itself a period later, whatever the period of a voice.

    1 for a vowel. Both parts that are compared count with the energy of their own.
    """
    first, last = LAGS
    later = np.zeros(PITCH_SAMPLES + last - first, np.float32)
    later[: PITCH_SAMPLES - first] = x[first:]
    energy = np.cumsum(x * x)
    both = energy[PITCH_SAMPLES - 1 - first : PITCH_SAMPLES - 2 - last : -1] * (energy[-1] - energy[first - 1 : last])
    both += 1e-3
    return float((np.correlate(later, x) / np.sqrt(both)).max())


def bands() -> Floats:
    """Return what takes the power of each bin (BINS,) to the mean of each band (BANDS,): (BINS, BANDS)."""
    hz = np.arange(BINS) * RATE / (2 * BLOCK)
    inside = [(low <= hz) & (hz < high) for low, high in pairwise(BAND_HZ)]
    return np.stack([band / band.sum() for band in inside], axis=1).astype(np.float32)


def _mean(of: Sequence[float]) -> float:
    return sum(of) / len(of)


def _db(ratio: float) -> float:
    return 10 * math.log10(ratio + 1e-9)
