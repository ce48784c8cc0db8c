"""What the people in the benchmarks say: beginnings of real recordings, each long enough to interrupt somebody.

Two kinds: from the package's three recordings, cut where somebody begins to speak after a pause; and, from a folder of
spoken digits, the first words of every phrase of the speakers that no detector was tuned on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.onset import level_dbfs, read_phrases
from edgevoice_measure import read_wav, resample

Samples = NDArray[np.int16]

VOICES = Path(__file__).parent.parent / "edgevoice" / "voices"
HELD_OUT = ("jackson", "nicolas", "yweweler")
SPOKEN_S = 0.6  # of each: an interruption is over within half a second of it, or has failed
LEAD_S = 0.06  # kept from before the first sound: breath, and the noise of the recording
FADE_S = 0.005
PAUSE_FRAMES = 4  # 40 ms: a closed mouth within a word is mostly shorter
FRAME_S, ONSET_DB = 0.010, 20.0
LOOP_S = 16  # of a room's noise: too long for an ear to notice


def beginnings(rate: int, digits: Path | None = None) -> list[Samples]:
    """Return all that can be said, at `rate`."""
    own = [beginning for path in sorted(VOICES.glob("*.wav")) for beginning in _after_pauses(*read_wav(path))]
    said = [resample(pcm, 16_000, rate) for pcm in own]
    if digits:
        phrases, recorded_at = read_phrases(digits)
        for speaker in HELD_OUT:
            said += [resample(_cut(phrase, 0, recorded_at), recorded_at, rate) for phrase in phrases[speaker]]
    return said


def recordings(rate: int) -> list[Samples]:
    """Return the package's recordings, whole."""
    return [resample(*read_wav(path), rate) for path in sorted(VOICES.glob("*.wav"))]


def reply(rate: int) -> Samples:
    """Return what the agent says: nine seconds in which nothing comes twice."""
    return np.concatenate(recordings(rate)[::-1])


def room(samples: int, rate: int, dbfs: float, seed: int = 1) -> Samples:
    """Return pink noise of a quiet room, repeated every LOOP_S."""
    size = LOOP_S * rate
    rng = np.random.default_rng(seed)
    hz = np.arange(size // 2 + 1) / LOOP_S
    spectrum = (rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))) * (hz >= 20) / np.sqrt(hz + 1)
    noise = np.fft.irfft(spectrum, size)
    noise *= 32768 * 10 ** (dbfs / 20) / np.sqrt((noise**2).mean())
    return np.resize(np.rint(noise).astype(np.int16), samples)


def _after_pauses(pcm: Samples, rate: int) -> Iterator[Samples]:
    """Yield what begins after each pause and lasts."""
    size = round(FRAME_S * rate)
    power = (pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    voiced = 10 * np.log10(power / 32768**2 + 1e-12) >= level_dbfs(pcm, rate) - ONSET_DB
    quiet = PAUSE_FRAMES
    for frame, loud in enumerate(voiced):
        if loud and quiet >= PAUSE_FRAMES and (frame + 1) * size + SPOKEN_S * rate <= len(pcm):
            yield _cut(pcm, frame * size, rate)
        quiet = 0 if loud else quiet + 1


def _cut(pcm: Samples, first: int, rate: int) -> Samples:
    cut = pcm[max(0, first - round(LEAD_S * rate)) : first + round(SPOKEN_S * rate)].astype(np.float64)
    fade = round(FADE_S * rate)
    cut[-fade:] *= np.linspace(1, 0, fade)
    return np.rint(cut).astype(np.int16)
