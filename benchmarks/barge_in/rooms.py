"""Impulse responses of rooms that do not exist: a direct sound, a few early reflections, a tail that decays.

An echo's path is short and its direct sound strong, since loudspeaker and microphone share a case; a person is farther
away; a voice from the next room has hardly any direct sound. The tail is noise that decays by 60 dB within RT60, its
treble half as soon again, as air and curtains have it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RATE = 16_000
RT60_S = (0.2, 0.6)
EARLY_MS = (1.5, 25.0)
EARLY = 8  # reflections
TREBLE_HZ = 2_000
CASE_HZ = (150.0, 400.0)  # a small loudspeaker plays nothing below
DIRECT_DB = {"case": (6.0, 14.0), "near": (-2.0, 8.0), "far": (-16.0, -10.0)}  # direct above reverberant sound


def response(rng: np.random.Generator, rt60_s: float, where: str) -> Floats:
    """Return an impulse response (n,) whose direct sound, at sample 0 and 1, has the energy 1; `where` as DIRECT_DB."""
    n = round(rt60_s * RATE)
    late = _tail(rng, rt60_s, n)
    for at_ms in rng.uniform(*EARLY_MS, EARLY):
        at = round(at_ms * RATE / 1000)
        late[at] += rng.choice((-1, 1)) * rng.uniform(0.3, 1.0) * np.abs(late[: 4 * EARLY]).max() * (3 / at_ms) ** 0.5
    late *= 10 ** (-rng.uniform(*DIRECT_DB[where]) / 20) / np.sqrt((late**2).sum())
    between = rng.uniform()  # the direct sound falls between two samples
    late[:2] += np.array((1 - between, between)) / np.hypot(1 - between, between)
    return late.astype(np.float32)


def echo(rng: np.random.Generator, rt60_s: float, delay_ms: float) -> Floats:
    """Return the response from loudspeaker to microphone, at any level; `delay_ms` is that of the converters too."""
    path = _small_loudspeaker(rng, response(rng, rt60_s, "case"))
    return np.concatenate((np.zeros(round(delay_ms * RATE / 1000), np.float32), path))


def heard(x: Samples | Floats | Doubles, path: Floats) -> Doubles:
    """Return what comes of `x` (n,) along `path` (k,): (n + k - 1,)."""
    size = 1 << (len(x) + len(path) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(path, size), size)[: len(x) + len(path) - 1]


def _tail(rng: np.random.Generator, rt60_s: float, n: int) -> Doubles:
    begin = round(0.002 * RATE)
    seconds = np.arange(n) / RATE
    bands = []
    for share, low, high in ((1.0, 0, TREBLE_HZ), (2 / 3, TREBLE_HZ, RATE)):
        noise = _band(rng.standard_normal(n), low, high)
        bands.append(noise * 10 ** (-3 * seconds / (rt60_s * share)))
    tail: Doubles = bands[0] + bands[1]
    tail[:begin] = 0
    return tail


def _small_loudspeaker(rng: np.random.Generator, path: Floats) -> Floats:
    """Take away the bass, as a case of a few centimetres does, with its resonance."""
    size = 1 << (len(path) + RATE // 20).bit_length()
    s = 1j * np.fft.rfftfreq(size, 1 / RATE) / rng.uniform(*CASE_HZ)
    high_pass = s**2 / (s**2 + s / rng.uniform(0.7, 2.0) + 1)
    return np.fft.irfft(np.fft.rfft(path, size) * high_pass, size)[: len(path)].astype(np.float32)


def _band(x: Doubles, low: float, high: float) -> Doubles:
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    return np.fft.irfft(np.fft.rfft(x) * ((hz >= low) & (hz < high)), len(x))
