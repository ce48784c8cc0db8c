"""Fakes for the ports of the core. They behave in time, and each is smaller than what it stands for."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import level_dbfs
from edgevoice.errors import DeviceError

Samples = NDArray[np.int16]


class LoudnessDetector:
    """A detector for which all above -30 dBFS is a voice: a hint at once, evident after 80 ms, over after 200 ms."""

    def __init__(self) -> None:
        self.level_dbfs = -96.0
        self.speaking = False
        self.unspoilt = False  # until it is told
        self.calls: list[str] = []
        self._loud = self._quiet = 0  # blocks of 10 ms

    def hear(self, cleaned: Samples, captured: Samples | None = None, played: Samples | None = None, /) -> None:
        """Take the next 10 ms, at a microphone or on a line."""
        self.level_dbfs = level_dbfs(cleaned)
        loud = self.level_dbfs > -30
        self._loud = self._loud + 1 if loud else 0
        self._quiet = 0 if loud else self._quiet + 1
        self.speaking = self.evident or (self.speaking and self._quiet < 20)

    @property
    def evidence(self) -> Self:
        return self

    def suspect(self) -> None:
        self.calls.append("suspect")

    def relax(self) -> None:
        self.calls.append("relax")

    def witness(self) -> None:
        self.calls.append("witness")

    def forget(self) -> None:
        self._loud = 0
        self.speaking = False

    @property
    def hint(self) -> bool:
        return self._loud > 0

    @property
    def evident(self) -> bool:
        return self._loud >= 8

    @property
    def harmless(self) -> bool:
        return self._quiet >= 20


class StepCard:
    """A card whose time passes only by reading: what it hears is given, what it plays is kept."""

    def __init__(self, rate: int = 48_000, period: int = 480, ahead: int = 1920) -> None:
        self.rate, self.period, self.ahead = rate, period, ahead
        self.played: list[int] = []
        self.drops: list[int] = []
        self.heard = np.zeros(0, np.int16)
        self.lost = False
        self.restarts = 0
        self._played = 0  # of what was written
        self._running = False
        self._queue: list[int] = []

    def say(self, pcm: Samples) -> None:
        """Let the microphone hear `pcm` next; silence after it."""
        self.heard = np.concatenate((self.heard, pcm))

    def read(self) -> Samples:
        if self.lost:
            raise DeviceError("the card is gone")
        self.played += [*self._queue[: self.period], *[0] * (self.period - len(self._queue))]
        self._played += min(self.period, len(self._queue))
        self._running = self._running and len(self._queue) > self.period
        del self._queue[: self.period]
        heard, self.heard = self.heard[: self.period], self.heard[self.period :]
        return np.pad(heard, (0, self.period - len(heard))).astype(np.int16)

    def queued(self) -> int:
        return len(self._queue)

    def drop(self) -> int:
        held = len(self._queue)
        self._running = False
        self._queue.clear()
        self.drops.append(held)
        return held

    def write(self, pcm: Samples) -> None:
        assert len(self._queue) + len(pcm) <= self.ahead, "a write that would wait"
        self._queue += pcm.tolist()
        if not self._running:
            self._running = True
            self.restarts += 1

    def position(self) -> float | None:
        return self._played if self._running else None


def noise(samples: int, level_dbfs: float = -20.0, seed: int = 1) -> Samples:
    """A loud noise, for a voice or for a response: never long at zero."""
    sound = np.random.default_rng(seed).normal(0, 32768 * 10 ** (level_dbfs / 20), samples)
    return np.clip(sound, -32768, 32767).astype(np.int16)
