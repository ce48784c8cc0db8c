"""The short signals by which the box says what happens: a few pure notes, quiet, synthesised when first asked for.

One note at a time, never a chord, so that a recording tells them from speech; none is lower than a small loudspeaker
can play. Up means that something opens, down that it closes; three low notes are the only sign of trouble.

One is more than that: `awake` breathes a second of noise beneath its notes. An echo canceller learns from it what the
room sounds like, before the first reply; from pure notes it would learn something wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_128

import numpy as np
from numpy.typing import NDArray

PEAK = 3277  # -20 dBFS: heard across a room, and no reason to jump with the ear at the box
FADE_MS = 5  # shorter clicks

BREATH_MS = 1000  # 700 would do in most rooms, and in some the first reply would still leak
BREATH_RISE_MS = 30
BREATH_DBFS = -32.0  # 4 dB fainter, and a canceller learns nothing in a noisy room
BESIDE = 0.4  # the notes, so that the breath is not drowned when both are within the peak
BREATH_HZ = (100.0, 7500.0)  # what a voice has, within what a canceller hears


@dataclass(frozen=True, slots=True)
class Note:
    """A pure tone, and the silence after it."""

    hz: float
    ms: int
    rest_ms: int = 0


TONES = {
    "awake": (Note(523, 0, 300), Note(523, 90), Note(659, 90), Note(784, 180)),  # the box has a card and can be used
    "connected": (Note(660, 90), Note(880, 140)),  # the other side is there: speak
    "ended": (Note(880, 90), Note(660, 140)),  # the call is over
    "ringing": (Note(440, 400, 100), Note(480, 400)),  # somebody calls; repeated until it is answered
    "busy": (Note(425, 250, 250), Note(425, 250)),  # they are in another call: try later
    "no answer": (Note(425, 400, 200), Note(370, 400)),  # it rang, and nobody came
    "wrong number": (
        Note(950, 200),
        Note(1400, 200),
        Note(1800, 200),
    ),  # as the telephone network says it (ITU-T E.180)
    "trouble": (Note(330, 120, 60), Note(330, 120, 60), Note(330, 120)),  # it failed, and the box tries again
    "refused": (Note(440, 150, 30), Note(349, 300)),  # they will not have us: somebody must change something
    "muted": (Note(523, 120),),  # the microphone is shut
    "unmuted": (Note(784, 120),),  # the microphone is open again
    "waiting": (Note(600, 30),),  # a tick now and then: still connecting
}


@lru_cache
def tone(name: str, rate: int) -> NDArray[np.int16]:
    """Return the signal `name` at `rate` Hz, read-only (n,): it begins and ends with 0 and is at most a second long."""
    if name not in TONES:
        raise ValueError(f'tone is "{name}", expected one of {", ".join(TONES)}')
    parts = [part for note in TONES[name] for part in (_sound(note, rate), np.zeros(rate * note.rest_ms // 1000))]
    sound = PEAK * np.concatenate(parts)
    if name == "awake":
        breath = _breath(rate)
        sound = breath + BESIDE * np.pad(sound, (0, len(breath) - len(sound)))
        sound *= PEAK / np.abs(sound).max()
    signal = np.rint(sound).astype(np.int16)
    signal.flags.writeable = False
    return signal


def _sound(note: Note, rate: int) -> NDArray[np.float64]:
    steps = np.arange(rate * note.ms // 1000)
    to_an_end = np.minimum(steps, steps[::-1]) / (rate * FADE_MS / 1000)
    fades = np.sin(np.pi / 2 * np.minimum(to_an_end, 1.0)) ** 2
    sound: NDArray[np.float64] = fades * np.sin(2 * np.pi * note.hz / rate * steps)
    return sound


def _breath(rate: int) -> NDArray[np.float64]:
    """Return pink noise that swells at once and fades to its end, the same each time."""
    count = rate * BREATH_MS // 1000
    hz = np.fft.rfftfreq(count, 1 / rate)
    heard = (hz >= BREATH_HZ[0]) & (hz <= min(BREATH_HZ[1], 0.45 * rate))
    # A hash is noise, too, and is there already: `numpy.random` takes 3 MB.
    turns = np.frombuffer(shake_128(b"breath").digest(2 * len(hz)), np.uint16) / 65536
    spectrum = np.where(heard, np.exp(2j * np.pi * turns) / np.sqrt(np.maximum(hz, 1)), 0)
    noise = np.fft.irfft(spectrum, count)
    noise *= 32768 * 10 ** (BREATH_DBFS / 20) / np.sqrt(np.mean(noise**2))
    steps = np.arange(count) * 1000 / rate
    swell = np.sin(np.pi / 2 * np.minimum(steps / BREATH_RISE_MS, 1.0)) ** 2
    fade = np.cos(np.pi / 2 * np.clip((steps - BREATH_RISE_MS) / (BREATH_MS - BREATH_RISE_MS), 0, 1))
    breath: NDArray[np.float64] = noise * swell * fade
    breath[-1] = 0.0
    return breath
