"""A sweep from low to high, and what its echo tells of the way from loudspeaker to microphone.

    played, captured ── divide the spectra ──> the impulse response, by lag (when it arrived, after it was played)

      5 4  3     2             linear                      noise
    ──┴─┴──┴─────┴───────────────┴╲╲╲╲____________________________
    harmonics: each comes by itself, earlier     0 s          lag

The sweep is exponential: its N-th harmonic is the very same sweep, begun earlier by `ahead_s(N)`. So what a loudspeaker
distorts is found apart from what the room does, each order at a lag of its own. Divided is by what was really played,
the reference, not by what was meant to be; so lag 0 is the reference's own moment.
Source: A. Farina, "Simultaneous measurement of impulse response and distortion with a swept-sine technique", 108th
AES Convention, 2000, preprint 5093.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]

LOW_HZ = 200.0  # a small loudspeaker plays nothing below
HIGH_HZ = 7500.0  # what is above is not heard at 16 kHz
OF_RATE = 0.45  # above, the filters of every converter have begun
FADE_S = 0.01  # two periods of LOW_HZ: a shorter one is heard as a click, and rings in the response
EDGE = 1.3  # the band's edges are rounded over this ratio of frequencies, or the response would ring
FAINTEST = 1e-4  # of the mean power in the band: what was played less than this is not divided by
FINENESS_S = 0.1  # frequencies are looked at 10 Hz apart, or closer
HIGHEST = 5  # harmonic looked for: those above are too faint to matter


def highest_hz(rate: int) -> float:
    """Return how high a sweep can go at `rate`."""
    return min(HIGH_HZ, OF_RATE * rate)


@dataclass(frozen=True, slots=True)
class Sweep:
    """`seconds` of a sine at `peak_dbfs` whose pitch rises by the same interval in the same time, at `rate`."""

    rate: int
    seconds: float
    peak_dbfs: float
    high_hz: float

    @property
    def _slowness_s(self) -> float:
        """Return the time in which the pitch rises by a factor of e."""
        return self.seconds / math.log(self.high_hz / LOW_HZ)

    def ahead_s(self, order: int) -> float:
        """Return how much earlier than the fundamental the harmonic `order` (1, 2, ...) seems to have begun."""
        return self._slowness_s * math.log(order)

    def samples(self) -> Samples:
        """Return the sound (n,): it begins and ends with silence, fading."""
        at = np.arange(round(self.seconds * self.rate)) / self.rate
        phase = 2 * np.pi * LOW_HZ * self._slowness_s * np.expm1(at / self._slowness_s)
        fades = np.sin(np.pi / 2 * np.minimum(np.minimum(at, at[::-1]) / FADE_S, 1.0)) ** 2
        return np.rint(32767 * 10 ** (self.peak_dbfs / 20) * fades * np.sin(phase)).astype(np.int16)

    def band(self, hz: NDArray[np.floating]) -> Floats:
        """Return how much of each frequency (n,) is believed: 1 inside the band, 0 outside, rounded between."""
        octaves = np.log(np.maximum(hz, 1.0))
        rise = (octaves - math.log(LOW_HZ)) / math.log(EDGE)
        fall = (math.log(self.high_hz) - octaves) / math.log(EDGE)
        band: Floats = np.sin(np.pi / 2 * np.clip(np.minimum(rise, fall), 0.0, 1.0)) ** 2
        return band


@dataclass(frozen=True, slots=True)
class Response:
    """What the microphone hears of a click at the loudspeaker, by lag; that of harmonics is negative.

    `analytic` (n,) begins with lag `first`, in frames: its real part is the response, its magnitude the envelope.
    """

    sweep: Sweep
    first: int
    analytic: NDArray[np.complex128]

    @property
    def taps(self) -> Floats:
        return self.analytic.real

    @property
    def envelope(self) -> Floats:
        """Return how loud the response is, without its phase."""
        return np.abs(self.analytic)

    def lag_s(self, index: float) -> float:
        return (self.first + index) / self.sweep.rate

    def index(self, lag_s: float) -> int:
        return min(max(0, round(lag_s * self.sweep.rate) - self.first), len(self.analytic))

    def cut(self, lag_s: float, seconds: float) -> Floats:
        """Return the taps of [lag_s, lag_s + seconds), as far as they are known."""
        start = self.index(lag_s)
        return self.taps[start : start + round(seconds * self.sweep.rate)]

    def power(self, lag_s: float, seconds: float, *, order: int = 1) -> float:
        """Return the mean power gain of what arrives then, in the band in which there is a harmonic `order`.

        Every octave weighs alike, as in the sweep, and nearly as in speech.
        """
        cut = self.cut(lag_s, seconds)
        size = 1 << max(len(cut), round(FINENESS_S * self.sweep.rate)).bit_length()
        hz = np.fft.rfftfreq(size, 1 / self.sweep.rate)
        weights = np.where(hz >= order * LOW_HZ, 1.0, 0.0) / np.maximum(hz, 1.0)
        gains = np.abs(np.fft.rfft(cut, size)) ** 2  # times the band's square: the taps have been through it
        return float((weights * gains).sum() / (weights * self.sweep.band(hz) ** 2).sum())

    def echo(self, played: Samples, lag_s: float, seconds: float) -> Floats:
        """Return what of `played` (n,) arrives at those lags, without noise and distortion: longer than (n,)."""
        cut = self.cut(lag_s, seconds)
        size = 1 << (len(played) + len(cut)).bit_length()
        return np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(cut, size), size)


def response(sweep: Sweep, played: Samples, captured: Samples, tail_s: float) -> Response | None:
    """Return the response at lags up to `tail_s`, from both signals side by side (n,); None if nothing was played."""
    before = round(1.1 * sweep.ahead_s(HIGHEST) * sweep.rate)
    after = round(tail_s * sweep.rate)
    size = 1 << (len(played) + max(before, after)).bit_length()
    hz = np.fft.rfftfreq(size, 1 / sweep.rate)
    cause = np.fft.rfft(played, size)
    power = np.abs(cause) ** 2
    band = sweep.band(hz)
    floor = FAINTEST * float(power @ band) / band.sum()
    if not floor:
        return None
    gains = np.fft.rfft(captured - captured.mean(), size) * cause.conj() / np.maximum(power, floor) * band
    whole = np.zeros(size, np.complex128)
    whole[: len(gains)] = 2 * gains  # no negative frequencies: the magnitude is the envelope
    return Response(sweep, -before, np.roll(np.fft.ifft(whole), before)[: before + after])
