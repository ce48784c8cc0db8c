"""What is heard where sound is missing: the last period of a voice, again and again, fading to silence.

Source: ITU-T G.711 Appendix I, which repeats the last pitch period likewise and falls silent within 60 ms, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
_Doubles = NDArray[np.float64]

KEPT_MS = 48  # of the past: the longest period, and two of them to find it in
SHORTEST_MS, LONGEST_MS = 5, 15  # of a voice's period: 66 to 200 Hz; a higher voice is repeated two periods at a time
WINDOW_MS = 20
WHOLE_MS, FADE_MS = 10, 60  # of a filling: as loud as before, and until it is silent
SEARCH_RATE = 8_000  # at which the period is looked for: enough for a pitch, and the same work for every codec


class Filling:
    """What is heard while nothing comes: the last period of `past`, again and again, fading."""

    def __init__(self, past: Samples, rate: int) -> None:
        x = past.astype(np.float64)
        lag = _period(x, rate)
        join = lag // 4
        rises = np.arange(1, join + 1) / join
        self._period = x[-lag:].copy()
        self._period[-join:] += (x[-lag - join : -lag] - self._period[-join:]) * rises  # its end leads to its beginning
        self._bend = (x[-1] - x[-lag - 1]) * (1 - rises)  # and the past leads to it
        self._whole, self._fade = rate * WHOLE_MS // 1000, rate * FADE_MS // 1000
        self.at = 0  # how many samples were taken

    def take(self, samples: int) -> Samples:
        """Return the next `samples` (n,)."""
        if self.at >= self._fade:
            return np.zeros(samples, np.int16)
        index = np.arange(self.at, self.at + samples)
        self.at += samples
        made = self._period[index % len(self._period)]
        bent = index < len(self._bend)
        made[bent] += self._bend[index[bent]]
        made *= np.clip((self._fade - index) / (self._fade - self._whole), 0.0, 1.0)
        return np.clip(np.rint(made), -32768, 32767).astype(np.int16)


def _period(x: _Doubles, rate: int) -> int:
    """Return after how many samples the end of `x` is most like itself."""
    step = rate // SEARCH_RATE
    coarse = x[::-step][::-1]
    window, shortest, longest = (SEARCH_RATE * ms // 1000 for ms in (WINDOW_MS, SHORTEST_MS, LONGEST_MS))
    end = coarse[-window:]
    earlier = coarse[-window - longest : -shortest]
    products = np.correlate(earlier, end, "valid")  # the first is for the longest lag
    sums = np.concatenate(([0.0], np.cumsum(earlier**2)))
    energies = sums[window:] - sums[:-window]
    best = int(np.argmax(products / np.sqrt(energies + 1.0)))
    return (longest - best) * step


def cross_fade(old: Samples, new: Samples) -> Samples:
    """Return `new`, whose beginning comes up while `old` goes."""
    rises = (np.arange(len(old)) + 1) / (len(old) + 1)
    mixed = old * (1 - rises) + new[: len(old)] * rises
    return np.concatenate((np.rint(mixed).astype(np.int16), new[len(old) :]))
