"""What the demo's living room sounds like: the way from loudspeaker to microphone, a fan, a cough. All of it synthetic.

There are no recordings of these with a clear licence; the people who speak are real (`voices/`).

Levels are relative to the loudest sample of int16; every sound is (n,) and the same in every run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

FULL_SCALE = 32768.0
DIRECT_DB = 6.0  # above the reverberation: loudspeaker and microphone share a case
CASE_HZ = 250.0  # a loudspeaker of a few centimetres plays little below
FAN_S = 10  # until it repeats itself
BLADES_HZ = 84.0
THROAT = ((500.0, 250.0), (1500.0, 500.0), (2700.0, 900.0), (4000.0, 1500.0))  # resonance and its width, Hz


def echo(rate: int, *, delay_ms: float, rt60_s: float, gain_db: float, seed: int = 3) -> Floats:
    """Return the impulse response from loudspeaker to microphone.

    The echo of speech is `gain_db` louder at the microphone than the loudspeaker is in its recording. It begins after
    `delay_ms` and has decayed by 60 dB after `rt60_s`.
    """
    seconds = np.arange(round(rt60_s * rate)) / rate
    tail = np.random.default_rng(seed).standard_normal(len(seconds)) * 10 ** (-3 * seconds / rt60_s)
    tail[: rate // 500] = 0  # the nearest wall is a foot away
    path = tail * _ratio(-DIRECT_DB) / np.sqrt((tail**2).sum())
    path[0] = 1.0
    size = 2 * len(path)
    s = 1j * np.fft.rfftfreq(size, 1 / rate) / CASE_HZ
    path = np.fft.irfft(np.fft.rfft(path, size) * s**2 / (s**2 + s + 1), size)[: len(path)]
    path *= _ratio(gain_db) / np.sqrt((path**2).sum())
    return np.concatenate((np.zeros(round(delay_ms * rate / 1000)), path)).astype(np.float32)


def fan(rate: int, *, level_dbfs: float, seed: int = 4) -> Samples:
    """Return a fan that can be repeated for ever: air, and the beat of its blades."""
    n = FAN_S * rate
    hz = np.fft.rfftfreq(n, 1 / rate)
    air = _noise(n, seed, (hz > 40) / (hz + 150))
    beat = np.sin(2 * np.pi * BLADES_HZ * np.arange(n) / rate)
    sound = air / air.std() * (1 + 0.1 * beat) + 0.4 * beat
    return _samples(sound * FULL_SCALE * _ratio(level_dbfs) / sound.std())


def cough(rate: int, *, level_dbfs: float, seed: int = 5) -> Samples:
    """Return one cough: an explosion of 40 ms, and air through a throat for 0.2 s. `level_dbfs` is its peak."""
    explosion, air = _swell(rate, 0.04, rise_s=0.003, fall_s=0.05), _swell(rate, 0.22, rise_s=0.015, fall_s=0.07)
    envelope = np.concatenate((explosion, 0.45 * air))
    n = len(envelope)
    hz = np.fft.rfftfreq(2 * n, 1 / rate)
    throat = sum((1 / (1 + 1j * (hz - at) / (width / 2)) for at, width in THROAT), np.zeros(len(hz)))
    noise = np.random.default_rng(seed).standard_normal(n) * envelope
    sound = np.fft.irfft(np.fft.rfft(noise, 2 * n) * throat, 2 * n)[:n]
    return _samples(sound * FULL_SCALE * _ratio(level_dbfs) / np.abs(sound).max())


def _swell(rate: int, seconds: float, *, rise_s: float, fall_s: float) -> Doubles:
    t = np.arange(round(seconds * rate)) / rate
    return np.minimum(1, t / rise_s) * np.exp(-np.maximum(0, t - rise_s) / fall_s)


def _noise(n: int, seed: int, gain: Doubles) -> Doubles:
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    return np.fft.irfft(white * gain, n)


def _samples(sound: Doubles) -> Samples:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def _ratio(db: float) -> float:
    ratio: float = 10 ** (db / 20)
    return ratio
