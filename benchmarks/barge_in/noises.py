"""Noises of a room, all of them synthetic: there were no recordings of coughs, keys and doors with a clear licence.

cough    one to three bursts: a sharp onset, hissing air through a throat, in most of them a voice at the end
typing   a few seconds of keys: two clicks each, the second softer, a desk that rings
door     a latch, then a thud of 60 to 150 Hz with a crack in it, then something that rattles
fan      a steady hiss that is louder towards the bass, the hum of a motor, the beat of the blades
music    four chords of plucked strings over and over, a bass, a drum and a shaker
room     what is left when everybody is silent: pink noise

Events are (n,) at any level, with the sound in them; beds are (n,) at any level, to be repeated for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

RATE = 16_000
BED_S = 24


def cough(rng: np.random.Generator) -> Doubles:
    """Return one to three bursts, half a second each."""
    throat = rng.uniform(0.85, 1.2)  # formants: a child's are higher than a man's
    bursts = []
    for _ in range(rng.integers(1, 4)):
        bursts += [_burst(rng, throat), np.zeros(_n(rng.uniform(0.05, 0.35)))]
    return np.concatenate(bursts)


def typing(rng: np.random.Generator) -> Doubles:
    """Return three to eight seconds of keys."""
    seconds = rng.uniform(3, 8)
    out = np.zeros(_n(seconds + 0.4))
    ring = rng.uniform(250, 600)
    at = 0.0
    while at < seconds:
        loud = rng.uniform(0.4, 1.0)
        _mix(out, at, loud * _click(rng, 0.004, ring))
        _mix(out, at + rng.uniform(0.06, 0.14), 0.4 * loud * _click(rng, 0.003, ring * 1.3))
        at += rng.gamma(3, 0.06) + (rng.uniform(0.3, 1.0) if rng.random() < 0.08 else 0)
    return out


def door(rng: np.random.Generator) -> Doubles:
    """Return a door that falls shut."""
    out = np.zeros(_n(1.0))
    _mix(out, 0.0, 0.25 * _click(rng, 0.008, 900))
    shut = rng.uniform(0.05, 0.2)
    thud = _decaying(rng, 0.35, rng.uniform(0.04, 0.09))
    _mix(out, shut, 6 * _shaped(thud, [(rng.uniform(60, 150), 60.0)]))
    _mix(out, shut, 1.2 * _shaped(_decaying(rng, 0.15, 0.02), [(rng.uniform(500, 1500), 900.0)]))
    for _ in range(rng.integers(0, 5)):
        _mix(out, shut + rng.uniform(0.05, 0.4), rng.uniform(0.05, 0.2) * _click(rng, 0.005, 1800))
    return out


def fan(rng: np.random.Generator) -> Doubles:
    """Return a loop of a fan or the like."""
    n = BED_S * RATE
    hz = np.arange(n // 2 + 1) / BED_S
    slope = rng.uniform(0.5, 1.0)
    hiss = _spectrum(rng, n, (hz >= 30) / (hz + 100) ** slope)
    motor = rng.integers(40, 120)
    seconds = np.arange(n) / RATE
    hum = np.zeros(n)
    for harmonic in range(1, 9):
        hum += rng.uniform(0.2, 1) / harmonic * np.sin(2 * np.pi * (motor * harmonic * seconds + rng.random()))
    beat = 1 + rng.uniform(0.02, 0.15) * np.sin(2 * np.pi * rng.integers(3, 15) * seconds)
    sound: Doubles = (hiss / hiss.std() + rng.uniform(0.1, 0.6) * hum / hum.std()) * beat
    return sound


def music(rng: np.random.Generator) -> Doubles:
    """Return a loop of music: eight bars."""
    beat_s = BED_S / 8 / rng.choice((4, 6, 8))  # 80 to 160 a minute
    out = np.zeros(BED_S * RATE)
    root = rng.uniform(110, 165)
    chords = [(0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14)]
    for beat in range(round(BED_S / beat_s)):
        at = beat * beat_s
        chord = chords[int(at / (BED_S / 4))]
        if beat % 2 == 0:
            for tone in chord:
                _mix(out, at, _string(rng, root * 2 * 2 ** (tone / 12), 1.2))
            _mix(out, at, 1.5 * _string(rng, root / 2 * 2 ** (chord[0] / 12), 0.8))
            _mix(out, at, 2.0 * _decaying_sine(60, 0.2, 0.05))
        if rng.random() < 0.7:
            melody = rng.choice(chord) + 12 * rng.integers(1, 3)
            _mix(out, at, 1.2 * _string(rng, root * 2 ** (melody / 12), rng.uniform(0.3, 0.9)))
        _mix(out, at + beat_s / 2, 0.3 * _shaped(_decaying(rng, 0.08, 0.02), [(6000.0, 3000.0)]))
    return out


def room(rng: np.random.Generator) -> Doubles:
    """Return a loop of a quiet room."""
    n = BED_S * RATE
    hz = np.arange(n // 2 + 1) / BED_S
    return _spectrum(rng, n, (hz >= 20) / np.sqrt(hz + 1))


def level(bed: Doubles) -> float:
    """Return the RMS of a bed, without the rumble below 200 Hz that no voice has and no small microphone passes."""
    spectrum = np.fft.rfft(bed)
    spectrum[: 200 * len(bed) // RATE] = 0
    return float(np.sqrt(np.mean(np.fft.irfft(spectrum, len(bed)) ** 2)))


# ---------------------------------------------------------------------------------------------------- what they are of


def _burst(rng: np.random.Generator, throat: float) -> Doubles:
    """Return one cough: an explosion of 30 to 60 ms, air for 100 to 250, in two of three a voice of 60 to 180."""
    formants = [(throat * hz, width) for hz, width in ((500, 200), (1400, 400), (2600, 700), (3800, 1200))]
    explosion = _swelling(rng.uniform(0.03, 0.06), 0.004, 0.05)
    air = rng.uniform(0.25, 0.5) * _swelling(rng.uniform(0.1, 0.25), 0.02, 0.12)
    noise = np.concatenate((explosion, air))
    parts = [_shaped(noise * rng.standard_normal(len(noise)), formants)]
    if rng.random() < 2 / 3:
        envelope = _swelling(rng.uniform(0.06, 0.18), 0.02, 0.08)
        pitch = rng.uniform(110, 260) * np.linspace(1.0, rng.uniform(0.7, 0.9), len(envelope))
        phase = np.cumsum(pitch) / RATE + 0.02 * rng.standard_normal(len(envelope))
        glottis = (phase % 1) ** 3 - 0.25
        voice = _shaped(envelope * glottis, formants)
        parts.append(voice * (rng.uniform(0.4, 1.2) * np.abs(parts[0]).max() / np.abs(voice).max()))
    return np.concatenate(parts)


def _click(rng: np.random.Generator, seconds: float, ring_hz: float) -> Doubles:
    snap = _shaped(_decaying(rng, 0.05, seconds), [(rng.uniform(2000, 5000), 2500.0)])
    _mix(snap, 0.0, 0.3 * np.abs(snap).max() * _decaying_sine(ring_hz, 0.05, 0.01))
    return snap


def _string(rng: np.random.Generator, hz: float, seconds: float) -> Doubles:
    t = np.arange(_n(seconds)) / RATE
    harmonics = [n for n in range(1, 9) if n * hz < 7000]
    sound = sum((np.exp(-t * (2 + n)) / n * np.sin(2 * np.pi * n * hz * t) for n in harmonics), np.zeros(len(t)))
    return sound * np.minimum(1, t / 0.004) * np.minimum(1, (seconds - t) / 0.02) * rng.uniform(0.7, 1.0)


def _swelling(seconds: float, rise_s: float, fall_s: float) -> Doubles:
    t = np.arange(_n(seconds)) / RATE
    return np.minimum(1, t / rise_s) * np.exp(-np.maximum(0, t - rise_s) / fall_s)


def _decaying(rng: np.random.Generator, seconds: float, constant_s: float) -> Doubles:
    n = _n(seconds)
    return rng.standard_normal(n) * np.exp(-np.arange(n) / RATE / constant_s)


def _decaying_sine(hz: float, seconds: float, constant_s: float) -> Doubles:
    t = np.arange(_n(seconds)) / RATE
    return np.sin(2 * np.pi * hz * t) * np.exp(-t / constant_s)


def _shaped(x: Doubles, resonances: Sequence[tuple[float, float]]) -> Doubles:
    """Return `x` and 50 ms after it, through resonances (Hz, width in Hz) side by side, at unchanged energy."""
    n = len(x) + _n(0.05)
    hz = np.fft.rfftfreq(n, 1 / RATE)
    gain = sum((1 / (1 + 1j * (hz - at) / (width / 2)) for at, width in resonances), np.zeros(len(hz)))
    out = np.fft.irfft(np.fft.rfft(x, n) * gain, n)
    same_energy: Doubles = out * np.sqrt((x**2).sum() / max(1e-12, (out**2).sum()))
    return same_energy


def _spectrum(rng: np.random.Generator, n: int, gain: Doubles) -> Doubles:
    return np.fft.irfft((rng.standard_normal(len(gain)) + 1j * rng.standard_normal(len(gain))) * gain, n)


def _mix(out: Doubles, at_s: float, sound: Doubles) -> None:
    at = _n(at_s)
    end = min(len(out), at + len(sound))
    if at < end:
        out[at:end] += sound[: end - at]


def _n(seconds: float) -> int:
    return round(seconds * RATE)
