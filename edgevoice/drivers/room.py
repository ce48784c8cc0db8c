"""A simulated sound card in a simulated room: a person who speaks, an echo from loudspeaker to microphone, noise.

The card behaves like one: frames are consumed and captured by a clock, whatever the program does; it runs dry when
nobody writes; it starts again at a random fraction of a period after a drop; it wakes its reader late, as an operating
system does. In virtual time the clock is moved by reading, so that an hour passes in seconds and every run of one seed
is the same; in real time the same card sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevoice.errors import DeviceError

Samples = NDArray[np.int16]

LATE_MS = (0.5, 20.0)  # usual and worst lateness of a wake-up on a busy small computer
VERY_LATE_SHARE = 0.01  # of wake-ups that are as late as the worst
RESTART_MS = 1.0  # playback starts somewhere within this after the first write


class Clock(Protocol):
    """Seconds since the room was entered."""

    def now(self) -> float:
        """Say what time it is."""

    def wait_until(self, at: float) -> None:
        """Return when it is `at`, or at once if that has passed."""


class VirtualClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def wait_until(self, at: float) -> None:
        self._now = max(self._now, at)


class RealClock:
    """The machine's own time."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._start

    def wait_until(self, at: float) -> None:
        time.sleep(max(0.0, at - self.now()))


@dataclass(frozen=True, slots=True)
class Utterance:
    """Somebody begins to say `pcm` (n,), at the card's rate, `at` seconds after the room was entered."""

    at: float
    pcm: Samples
    name: str = "person"


@dataclass
class Room:
    """What a microphone hears: people, the loudspeaker's echo, noise.

    `echo` (k,) is the impulse response from loudspeaker to microphone; `loop_s` lets the people begin anew after so
    many seconds, for a room that is used as a card in real time.
    """

    rate: int
    people: Sequence[Utterance] = ()
    echo: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    noise_dbfs: float = -65.0
    seed: int = 1
    loop_s: float = 0.0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def hear(self, start: int, frames: int, speaker: Samples) -> Samples:
        """Return what the microphone picks up in [start, start + frames).

        `speaker` (k - 1 + frames,) is what the loudspeaker played up to the end of these frames.
        """
        sound = self._random.normal(0, 32768 * 10 ** (self.noise_dbfs / 20), frames)
        if len(self.echo):
            sound += np.convolve(speaker.astype(np.float32), self.echo, "valid")
        for person in self.people:
            self._add(sound, start, person)
        return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)

    def _add(self, sound: NDArray[np.float64], start: int, person: Utterance) -> None:
        if self.loop_s:
            start %= round(self.loop_s * self.rate)
        begins = round(person.at * self.rate)
        first, last = max(start, begins), min(start + len(sound), begins + len(person.pcm))
        if first < last:
            sound[first - start : last - start] += person.pcm[first - begins : last - begins]


@dataclass
class RoomCard:
    """A `Card` for `cycle`. `fifo` frames are beyond the reach of a drop, as in many a DAC."""

    room: Room
    clock: Clock
    period_ms: int = 10
    ahead_ms: int = 40
    fifo: int = 0
    seconds: float = 0.0  # what is kept of both signals, from the beginning; 0 keeps nothing

    def __post_init__(self) -> None:
        self.rate = self.room.rate
        self.period = self.rate * self.period_ms // 1000
        self.ahead = self.rate * self.ahead_ms // 1000
        self.xruns = 0
        self.unplugged = False
        self._random = np.random.default_rng(self.room.seed)
        self._captured = 0  # frames read so far: the clock's frame number is that of the room
        self._begin = 0  # frame at which the loudspeaker last started
        self._end = 0  # frame after the last one written
        self._memory = 2 * self.rate  # the loudspeaker's recent past (for the echo) and near future
        self._past = np.zeros(self._memory, np.int16)  # by frame number, modulo its length
        self._known = 0  # frame up to which `_past` holds what was written, or silence
        self._keep = round(self.seconds * self.rate)
        self.microphone = np.zeros(self._keep, np.int16)
        self.speaker = np.zeros(self._keep, np.int16)
        if len(self.room.echo) >= self.rate:
            raise ValueError(f"echo is {len(self.room.echo)} frames long, expected less than a second")

    @property
    def facts(self) -> dict[str, object]:
        return {"capture": "simulated room", "playback": "simulated room", "rate": self.rate}

    def counted(self) -> dict[str, int]:
        return {"playback_xruns": self.xruns}

    def _now(self) -> int:
        return int(self.clock.now() * self.rate)

    def read(self) -> Samples:
        """Wait for the end of the next period, and a little longer."""
        self._check()
        ready = (self._captured + self.period) / self.rate
        if self.clock.now() < ready:
            self.clock.wait_until(ready + self._lateness())
        start, stop = self._captured, self._captured + self.period
        self._silence_to(stop)
        past = np.arange(start - max(0, len(self.room.echo) - 1), stop)
        played = np.where(past < 0, 0, self._past[past % self._memory]).astype(np.int16)
        captured = self.room.hear(start, self.period, played)
        if stop <= self._keep:
            self.microphone[start:stop] = captured
            self.speaker[start:stop] = played[-self.period :]
        self._captured = stop
        return captured

    def _lateness(self) -> float:
        usual, worst = LATE_MS
        late = worst if self._random.random() < VERY_LATE_SHARE else usual * self._random.random()
        return late / 1000

    def queued(self) -> int:
        return max(0, self._end - max(self._begin, self._now()))

    def drop(self) -> int:
        self._check()
        held = self.queued()
        silenced = max(0, held - self.fifo)
        self._set(self._end - silenced, np.zeros(silenced, np.int16))
        self._end = 0
        return held

    def write(self, pcm: Samples) -> None:
        self._check()
        if not len(pcm):
            return
        now = self._now()
        if self._end <= now:  # dropped, dry, or never started
            self.xruns += self._end > 0
            self._begin = now + round(self._random.random() * RESTART_MS * self.rate / 1000) + 1
            self._end = self._begin
        self._set(self._end, pcm)
        self._end += len(pcm)

    def _silence_to(self, frame: int) -> None:
        """Let what nobody wrote up to `frame` be silence, not what the loudspeaker played long ago."""
        start = max(self._known, frame - self._memory)
        self._past[np.arange(start, frame) % self._memory] = 0
        self._known = max(self._known, frame)

    def _set(self, start: int, pcm: Samples) -> None:
        self._silence_to(start)
        self._known = max(self._known, start + len(pcm))
        self._past[np.arange(start, start + len(pcm)) % self._memory] = pcm

    def _check(self) -> None:
        if self.unplugged:
            raise DeviceError("the sound card is gone: unplugged")

    def close(self) -> None:
        self.unplugged = True
