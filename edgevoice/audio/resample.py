"""Changes the sample rate of a stream, so that the card, the detector and the far side can each have their own.

A polyphase FIR: an ideal low-pass at the slower of the two rates, cut short by a Kaiser window, is sampled once for
each of the `up` positions at which an output sample can fall between two input samples (its phase):

    input (at `source`)    |     |     |     |     |      `down` inputs and `up` outputs span the same time: one round
    output (at `target`)   |   |   |   |   |   |   |

Rules
* After n inputs, exactly ceil(n * target / source) outputs have been made: 10 ms in, 10 ms out, at all these rates.
* The same samples give the same output in whatever chunks they come, on every machine: the taps are multiples of
  2**-24, so every sum of products is exact in a double, and the order of the additions cannot matter.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
_Doubles = NDArray[np.float64]

RATES = (8_000, 16_000, 24_000, 44_100, 48_000)
SERVICE_RATES = (*RATES, 22_050)  # of services only: 10 ms of the last are no whole number of samples

TAPS = 24  # at the slower rate: 1.5 ms of delay at 8 kHz, 0.75 ms at 16 kHz; 2 ms are allowed
BETA = 6.0  # Kaiser: 69 dB of rejection; more would widen the transition and cost treble
AT_ONCE = 16  # outputs: more would be mostly zeros, fewer mostly calls
CUTOFF = 0.44  # of the slower rate: flat to 0.36, -3 dB at 0.42, -63 dB from 0.53, so that all below 0.47 is spared
GRAIN = 2.0**24  # taps are multiples of 1/GRAIN: 144 dB down, and 16 + 24 bits leave 13 of a double's 53 for the sum


class Resampler:
    """One direction of one stream. Equal rates cost nothing: the chunk itself comes back."""

    def __init__(self, source: int, target: int) -> None:
        for rate in (source, target):
            if rate not in SERVICE_RATES:
                raise ValueError(f"rate is {rate} Hz, expected one of {', '.join(map(str, SERVICE_RATES))}")
        common = math.gcd(source, target)
        self.source, self.target = source, target
        self._up, self._down = target // common, source // common
        self._bank = _bank(self._up, self._down)
        self._rounds, self._matrix = _matrix(self._up, self._down)
        self.reset()

    @property
    def delay_ms(self) -> float:
        """How much later a sound is in the output than in the input, both counted from their first samples."""
        if self._up == self._down:
            return 0.0
        return (self._bank.size - 1) / 2 / (self._up * self.source) * 1e3

    def reset(self) -> None:
        """Begin a new stream: forget what was heard."""
        self._past = np.zeros(self._bank.shape[1] - 1)  # the last inputs that later outputs still need
        self._at = 0  # how many inputs of the current round have come

    def process(self, x: Samples) -> Samples:
        """Return the output (m,) that is due after the next inputs `x` (n,); n may be 0."""
        if self._up == self._down:
            return x
        up, down, taps = self._up, self._down, self._bank.shape[1]
        begin, end = self._at, self._at + len(x)  # of this chunk, in inputs since the current round began
        step = self._rounds * down
        steps = -(-end // step)
        sound = np.concatenate((self._past, x, np.zeros(steps * step - end)))
        windows: _Doubles = np.ndarray((steps, step + taps - 1), np.float64, sound, 0, (8 * step, 8))
        made = (windows @ self._matrix).ravel()[-(-begin * up // down) : -(-end * up // down)]
        self._at = end % down
        kept = end - self._at
        self._past = sound[kept : end + taps - 1]
        return _to_int16(made)


@lru_cache
def _bank(up: int, down: int) -> _Doubles:
    """Return the taps (up, taps), each row a phase, oldest input first. Every phase passes a constant unchanged."""
    taps = -(-TAPS * max(up, down) // up)
    steps = np.arange(up * taps) - (up * taps - 1) / 2
    low_pass = np.sinc(2 * CUTOFF * steps / max(up, down)) * np.kaiser(up * taps, BETA)
    phases = low_pass.reshape(taps, up).T[:, ::-1]
    phases = phases / phases.sum(axis=1, keepdims=True)
    after = np.arange(up) * down % up  # output k of a round falls after[k] / up of an input's time after an input
    bank: _Doubles = np.rint(phases[after] * GRAIN) / GRAIN
    bank.flags.writeable = False  # every stream of this ratio shares it
    return bank


@lru_cache
def _matrix(up: int, down: int) -> tuple[int, _Doubles]:
    """Return how many rounds are made at once, and what makes them: a product with a matrix costs numpy one call."""
    bank = _bank(up, down)
    rounds = max(1, AT_ONCE // up)
    matrix = np.zeros((rounds * down + bank.shape[1] - 1, rounds * up))
    for out in range(rounds * up):
        begin = out * down // up
        matrix[begin : begin + bank.shape[1], out] = bank[out % up]
    matrix.flags.writeable = False
    return rounds, matrix


def _to_int16(x: _Doubles) -> Samples:
    np.rint(x, out=x)
    np.maximum(x, -32768.0, out=x)
    np.minimum(x, 32767.0, out=x)
    return x.astype(np.int16)
