"""Delays, read off what was said and what was heard. Nothing of the program is imported here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

LOUD = 4000  # a burst is, and what a codec leaves before it is not
LONGEST_S = 0.59  # from what is said to its arrival: what is later is of the next burst
AUDIBLE = 300


def burst_delays(said_at: Sequence[float], heard: Sequence[tuple[float, Samples]]) -> list[float]:
    """Return by how many ms each burst that was handed over at `said_at` came later; `heard` is what was read, when."""
    arrivals, silent = [], True
    for at, pcm in heard:
        loud = bool(np.any(np.abs(pcm.astype(np.int32)) > LOUD))
        if loud and silent:
            arrivals.append(at)
        silent = not loud
    delays = []
    for said in said_at:
        later = [at - said for at in arrivals if 0 <= at - said < LONGEST_S]
        if later:
            delays.append(round(min(later) * 1000, 1))
    return delays


def voice_delay(said: Samples, heard: Samples, rate: int) -> float:
    """Return by how many ms `said` is later in `heard`, both of which begin at the same moment."""
    a, b = np.diff(heard.astype(np.float64)), np.diff(said.astype(np.float64))
    size = len(a) + len(b)
    products = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    return round(int(np.argmax(products[: round(LONGEST_S * rate)])) * 1000 / rate, 1)


def last_word(heard: Sequence[tuple[float, Samples]], since: float, until: float) -> float | None:
    """Return when the last sound came that can be heard, between two moments."""
    spoke = [at for at, pcm in heard if since <= at < until and np.any(np.abs(pcm.astype(np.int32)) > AUDIBLE)]
    return max(spoke, default=None)


def first_loud(pcm: Samples, rate: int) -> float:
    """Return after how many seconds a voice is first to be heard: within 20 dB of its level, by frames of 10 ms."""
    size = rate // 100
    powers = (pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    return float(np.argmax(powers > powers[powers > powers.max() / 1000].mean() / 100)) / 100
