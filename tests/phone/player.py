"""How a phone service plays what it is sent: a queue, and a clock of its own that nobody else can see.

    play ──> queue ──(a wake every 20 ms takes a frame)──> on its way ──> heard by the caller

Rules
* A wake takes at most 20 ms. It may be late by up to `jitter_ms`; the next does not shift with it. What it took sounds
  at once, or behind what still sounds, as behind the jitter buffer of a telephone.
* `clear` throws away what no wake has taken. What was taken is heard: nobody can call it back.
* A mark is reached with the first wake after everything before it was taken, when it has sounded but for the jitter.
* After the queue ran dry the next sound starts `latency_ms` later.
* Samples are numbered as they are accepted, from 0; so a test asks how much of a stretch of sound was heard.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.phone.sound import Samples

WAKE_S = 0.020


@dataclass(frozen=True, slots=True)
class Clock:
    """How a service keeps time."""

    latency_ms: float = 60.0  # from the first sound of a reply to its being heard
    ppm: float = 0.0  # how much faster than ours it runs
    jitter_ms: float = 0.0
    seed: int = 0


STEADY = Clock()


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one wake took: heard from `at` on; its first sample is number `first` of all that were accepted."""

    at: float
    first: int
    samples: Samples


@dataclass(slots=True)
class _Sound:
    first: int
    samples: Samples
    ready: float  # may be taken from then on


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str
    ready: float


class Player:
    """The caller's ear at the far end of one call, at `rate` Hz. Its clock starts at `at`."""

    def __init__(self, rate: int, at: float, clock: Clock = STEADY, *, record: bool = True) -> None:
        self.rate = rate
        self.accepted = 0  # samples, ever
        self.queued = 0  # samples that no wake has taken
        self.played = 0  # samples that were taken
        self.stretches: list[Stretch] = []
        self._clock, self._start, self._record = clock, at, record
        self._wake_s = WAKE_S / (1 + clock.ppm / 1e6)
        self._frame = round(rate * WAKE_S)
        self._late = random.Random(clock.seed)
        self._queue: deque[_Sound | _Mark] = deque()
        self._passed: list[str] = []  # marks whose sound is sounding right now
        self._wakes = 0
        self._sounds_until = at
        self._next_at = self._wake()
        self.tap: Callable[[Samples], object] | None = None  # is told of everything that is accepted

    @property
    def due_at(self) -> float:
        """When there is something to do for the next wake."""
        return self._next_at if self._queue or self._passed else float("inf")

    @property
    def played_ms(self) -> float:
        return self.played * 1000 / self.rate

    @property
    def queued_ms(self) -> float:
        return self.queued * 1000 / self.rate

    def retune(self, rate: int) -> None:
        """Take another rate, unless something was accepted at the old one."""
        if not self.accepted:
            self.rate, self._frame = rate, round(rate * WAKE_S)

    def play(self, samples: Samples, at: float) -> None:
        """Queue sound (n,); call `advance(at)` first."""
        if not len(samples):
            return
        ready = at if self.queued else at + self._clock.latency_ms / 1000
        self._queue.append(_Sound(self.accepted, samples, ready))
        self.accepted += len(samples)
        if self.tap:
            self.tap(samples)
        self.queued += len(samples)

    def mark(self, name: str, at: float) -> None:
        self._queue.append(_Mark(name, at))

    def clear(self) -> list[str]:
        """Throw away what no wake has taken; return the marks that are not reached for it, in order."""
        lost = [*self._passed, *(entry.name for entry in self._queue if isinstance(entry, _Mark))]
        self._queue.clear()
        self._passed.clear()
        self.queued = 0
        return lost

    def advance(self, at: float) -> list[str]:
        """Let time pass until `at`; return the marks that were reached, in order."""
        reached: list[str] = []
        while self._next_at <= at:
            reached += self._passed
            self._passed = []
            reached += self._take(self._next_at)
            self._wakes += 1
            self._next_at = max(self._wake(), self._next_at)
        return reached

    def heard_ms(self, first: int = 0, end: int | None = None, *, by: float | None = None) -> float:
        """Return how much of the samples from `first` to before `end` was heard (until `by`), in ms. Needs `record`.

        Without `by` what a wake has taken counts as heard: it is on its way, and nobody can call it back.
        """
        heard = 0.0
        for stretch in self.stretches:
            sounded = len(stretch.samples) if by is None else min((by - stretch.at) * self.rate, len(stretch.samples))
            last = stretch.first + sounded if end is None else min(stretch.first + sounded, end)
            heard += max(last - max(stretch.first, first), 0)
        return heard * 1000 / self.rate

    def recording(self) -> Samples:
        """Return everything that was heard, without the pauses (n,)."""
        return np.concatenate([np.zeros(0, np.int16), *(stretch.samples for stretch in self.stretches)])

    def _wake(self) -> float:
        late = self._late.random() * self._clock.jitter_ms / 1000 if self._clock.jitter_ms else 0.0
        return self._start + self._wakes * self._wake_s + late

    def _take(self, at: float) -> list[str]:
        """Take one frame; return the marks before which nothing is left to sound."""
        room = self._frame
        reached: list[str] = []
        while self._queue and self._queue[0].ready <= at:
            head = self._queue[0]
            if isinstance(head, _Mark):
                self._queue.popleft()
                (reached if room == self._frame else self._passed).append(head.name)
                continue
            if not room:
                break
            taken, head.samples = head.samples[:room], head.samples[room:]
            self._sound(head.first, taken, at)
            head.first += len(taken)
            room -= len(taken)
            if not len(head.samples):
                self._queue.popleft()
        return reached

    def _sound(self, first: int, samples: Samples, at: float) -> None:
        self._sounds_until = max(at, self._sounds_until)
        if self._record:
            self.stretches.append(Stretch(self._sounds_until, first, samples))
        self._sounds_until += len(samples) / self.rate * self._wake_s / WAKE_S
        self.played += len(samples)
        self.queued -= len(samples)
