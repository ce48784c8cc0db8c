"""What happens between a loudspeaker and a microphone: it clips softly, keeps its own time, and comes back as an echo.

    frames of the playback clock ── Clocks ── soft clip ── Echo ── frames at the microphone

Only simulated rooms use it; each part takes one period at a time and remembers what it needs of those before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FULL_SCALE = 32768.0
TAPS = 8  # an ideal low-pass, cut short: what is below 0.35 of the rate is right within -50 dB
BEFORE = TAPS // 2  # a frame needs so many after it, so the air is that much late
DEGREE = 5  # of the polynomials between two frames
BETA = 5.0  # Kaiser


def softly_clipped(x: Floats, drive: float) -> Floats:
    """Return what a membrane makes of `x`: linear for faint sounds, never beyond 1 / `drive` of full scale.

    A `drive` of 0 is a perfect loudspeaker.
    """
    if not drive:
        return x
    limit = np.float32(FULL_SCALE / drive)
    clipped: Floats = np.tanh(x / limit) * limit
    return clipped


class Echo:
    """Convolution with an impulse response, in blocks of one period: partitioned overlap-save, exact, without delay.

    Each partition of the response is as long as a period. The spectra of the last periods are kept twice, one behind
    the other, so that any run of them lies in one piece. Zeros at the response's beginning cost nothing.
    """

    def __init__(self, response: NDArray[np.floating], period: int) -> None:
        self._period = period
        sounding = np.flatnonzero(response)
        first, end = (int(sounding[0]), int(sounding[-1]) + 1) if len(sounding) else (0, 1)
        self._late = first // period  # whole periods before the first sound
        cut = np.asarray(response[self._late * period : end], np.float32)
        parts = max(1, -(-len(cut) // period))
        padded = np.zeros((parts, 2 * period), np.float32)
        padded[:, :period] = np.pad(cut, (0, parts * period - len(cut))).reshape(parts, period)
        self._parts = np.fft.rfft(padded)
        self._products = np.empty_like(self._parts)
        self._ring = parts + self._late
        self._spectra = np.zeros((2 * self._ring, period + 1), np.complex64)
        self._newest = 0
        self._sound = np.zeros(2 * period, np.float32)  # the last period and this one

    def hear(self, played: Floats) -> Floats:
        """Take the next period (n,) and return its echo (n,), from all periods so far."""
        self._sound[: self._period] = self._sound[self._period :]
        self._sound[self._period :] = played
        self._newest = (self._newest - 1) % self._ring
        self._spectra[self._newest] = self._spectra[self._newest + self._ring] = np.fft.rfft(self._sound)
        first = self._newest + self._late
        np.multiply(self._spectra[first : first + len(self._parts)], self._parts, out=self._products)
        echo = np.fft.irfft(self._products.sum(axis=0), 2 * self._period)[self._period :]
        return echo.astype(np.float32, copy=False)


class Clocks:
    """Reads a signal of the playback's clock, which is `drift_ppm` fast, at the moments of the capture's.

    A Farrow structure: the taps of a windowed ideal low-pass are polynomials of the moment between two frames.
    """

    def __init__(self, drift_ppm: float) -> None:
        self.ratio = 1 + drift_ppm * 1e-6
        self._farrow = _farrow() if drift_ppm else None

    def frames(self, start: int, stop: int) -> tuple[int, int]:
        """Return which frames of the playback's clock the captured frames [start, stop) need."""
        if self._farrow is None:
            return start, stop
        return int(start * self.ratio) - TAPS + 1, int((stop - 1) * self.ratio) + 1

    def read(self, start: int, stop: int, sound: Floats) -> Floats:
        """Return (stop - start,) of `sound`, which begins with the first of those frames."""
        if self._farrow is None:
            return sound
        moments = np.arange(start, stop) * self.ratio
        whole = moments.astype(np.int64)
        between = (moments - whole).astype(np.float32)
        windows: Floats = np.ndarray((len(sound) - TAPS + 1, TAPS), np.float32, sound, 0, (4, 4))
        terms = self._farrow @ windows[whole - int(start * self.ratio)].T
        out: Floats = terms[DEGREE]
        for term in terms[DEGREE - 1 :: -1]:
            out = out * between + term
        return out


def _farrow() -> Floats:
    """Return (DEGREE + 1, TAPS): the coefficients of each tap, in rising powers."""
    moments = np.linspace(0, 1, 65)
    away = np.arange(TAPS) - (BEFORE - 1) - moments[:, None]
    inside = np.clip(1 - (away / BEFORE) ** 2, 0, None)
    taps = np.sinc(away) * np.i0(BETA * np.sqrt(inside)) / np.i0(BETA)
    taps /= taps.sum(axis=1, keepdims=True)
    return np.polynomial.polynomial.polyfit(moments, taps, DEGREE).astype(np.float32)
