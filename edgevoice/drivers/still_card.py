"""A card that takes no time: a period passes whenever it is read. To see what our own work costs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

NOISE = 300.0  # of the room that it hears: its standard deviation


class StillCard:
    """A `Card` for `cycle` with periods of 10 ms. It hears a quiet room, and what it is to play is gone."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.period = rate // 100
        self.ahead = 4 * self.period
        self.restarts = 0
        self._queued = self._written = self._reads = 0
        self._room = np.random.default_rng(1).normal(0, NOISE, 100 * self.period).astype(np.int16)

    def read(self) -> Samples:
        self._queued = max(0, self._queued - self.period)
        self._reads += 1
        first = self._reads % 100 * self.period
        return self._room[first : first + self.period]

    def queued(self) -> int:
        return self._queued

    def position(self) -> float | None:
        return self._written - self._queued if self.restarts else None

    def drop(self) -> int:
        dropped, self._queued = self._queued, 0
        self._written -= dropped
        return dropped

    def write(self, pcm: Samples) -> None:
        self.restarts = 1
        self._queued += len(pcm)
        self._written += len(pcm)
