"""What the people in the benchmarks say: beginnings of real recordings, each long enough to interrupt somebody.

They come from the package's recordings and from those in `tests/speech`, cut where somebody begins to speak after a
pause; and, from a folder of spoken digits, the beginning of each phrase. The voice detector was tuned on none of these
people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.onset import level_dbfs, read_phrases
from edgevoice_measure import read_wav, resample

Samples = NDArray[np.int16]

ROOT = Path(__file__).parent.parent
VOICES = [ROOT / "edgevoice" / "voices" / f"{name}.wav" for name in ("story", "question", "interruption")]
HELD_OUT = ("jackson", "nicolas", "yweweler")
SPOKEN_S = 0.6  # of each: an interruption is over within half a second of it, or has failed
PAUSE_S = 0.070  # a closed mouth within a word is mostly shorter
LEAD_S = 0.060  # of the pause is kept: breath, and the noise of the recording
FADE_S = 0.005
FRAME_S, ONSET_DB = 0.010, 20.0
LOOP_S = 16  # of a room's noise: too long for an ear to notice


def beginnings(rate: int, digits: Path | None = None) -> list[Samples]:
    """Return all that can be said, at `rate`."""
    said = []
    for path in [*VOICES, *(ROOT / "tests" / "speech" / f"{name}.wav" for name in HELD_OUT)]:
        pcm, recorded_at = read_wav(path)
        said += [resample(beginning, recorded_at, rate) for beginning in _after_pauses(pcm, recorded_at)]
    if digits:
        phrases, recorded_at = read_phrases(digits)
        for speaker in HELD_OUT:
            said += [resample(_cut(phrase, 0, recorded_at), recorded_at, rate) for phrase in phrases[speaker]]
    return said


def recordings(rate: int) -> list[Samples]:
    """Return the package's recordings, whole."""
    return [resample(*read_wav(path), rate) for path in VOICES]


def reply(rate: int) -> Samples:
    """Return what the agent says: nine seconds in which nothing comes twice."""
    return np.concatenate(recordings(rate))


def room(samples: int, rate: int, dbfs: float, seed: int = 1) -> Samples:
    """Return the pink noise of a quiet room, repeated every LOOP_S."""
    size = LOOP_S * rate
    rng = np.random.default_rng(seed)
    hz = np.arange(size // 2 + 1) / LOOP_S
    spectrum = (rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))) * (hz >= 20) / np.sqrt(hz + 1)
    noise = np.fft.irfft(spectrum, size)
    noise *= 32768 * 10 ** (dbfs / 20) / np.sqrt((noise**2).mean())
    return np.resize(np.rint(noise).astype(np.int16), samples)


def _after_pauses(pcm: Samples, rate: int) -> Iterator[Samples]:
    """Yield what begins after each pause and lasts long enough."""
    size = round(FRAME_S * rate)
    power = (pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    voiced = 10 * np.log10(power / 32768**2 + 1e-12) >= level_dbfs(pcm, rate) - ONSET_DB
    quiet_s = PAUSE_S  # before the recording nobody spoke
    for frame, loud in enumerate(voiced):
        if loud and quiet_s >= PAUSE_S and frame * size + SPOKEN_S * rate <= len(pcm):
            yield _cut(pcm, frame * size, rate)
        quiet_s = 0 if loud else quiet_s + FRAME_S


def _cut(pcm: Samples, first: int, rate: int) -> Samples:
    cut = pcm[max(0, first - round(LEAD_S * rate)) : first + round(SPOKEN_S * rate)].astype(np.float64)
    fade = round(FADE_S * rate)
    cut[-fade:] *= np.linspace(1, 0, fade)
    return np.rint(cut).astype(np.int16)
