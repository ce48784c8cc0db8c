"""A simulated sound card in a simulated room: people who speak, an echo from loudspeaker to microphone, noise.

The card behaves like one: frames are consumed and captured by a clock, whatever the program does; it runs dry when
nobody writes; it starts again at a random fraction of a period after a drop; it wakes its reader late, as an operating
system does; and its two directions may keep different time, as those of a USB microphone and a HAT. In virtual time
the clock is moved by reading, so that an hour passes in seconds and every run of one seed is the same; in real time the
same card sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.acoustics import Clocks, Echo, softly_clipped
from edgevoice.errors import DeviceError

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]

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

    `echo` (k,) is the impulse response from loudspeaker to microphone, `drive` how hard the loudspeaker is driven (see
    `softly_clipped`). Each of `noises` (n,) sounds for ever, from its beginning again when it is over. `loop_s` lets
    the people begin anew after so many seconds, for a room that is used as a card in real time.
    """

    rate: int
    people: Sequence[Utterance] = ()
    echo: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    noise_dbfs: float = -65.0
    seed: int = 1
    loop_s: float = 0.0
    drive: float = 0.0
    noises: Sequence[Samples] = ()

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._noise = 32768 * 10 ** (self.noise_dbfs / 20)
        self._echo: Echo | None = None
        self._by_second: dict[int, list[Utterance]] = {}
        for person in self.people:
            self.say(person)

    def say(self, person: Utterance) -> None:
        """Let somebody speak; `person.at` may be now or later."""
        for second in range(int(max(0.0, person.at - 0.1)), int(person.at + len(person.pcm) / self.rate) + 1):
            self._by_second.setdefault(second, []).append(person)

    def hear(self, start: int, played: Floats) -> Samples:
        """Return what the microphone picks up in the period (n,) that begins with frame `start`.

        `played` (n,) is what the loudspeaker is given in it. Each period follows upon the last one.
        """
        sound = self._random.standard_normal(len(played), np.float32) * self._noise
        if len(self.echo):
            self._echo = self._echo or Echo(self.echo, len(played))
            sound += self._echo.hear(softly_clipped(played, self.drive))
        for noise in self.noises:
            sound += _again_and_again(noise, start, len(sound))
        if self.loop_s:
            start %= round(self.loop_s * self.rate)
        for person in self._by_second.get(start // self.rate, ()):
            self._add(sound, start, person)
        captured: Samples = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
        return captured

    def _add(self, sound: Floats, start: int, person: Utterance) -> None:
        begins = round(person.at * self.rate)
        first, last = max(start, begins), min(start + len(sound), begins + len(person.pcm))
        if first < last:
            sound[first - start : last - start] += person.pcm[first - begins : last - begins]


@dataclass
class RoomCard:
    """A `Card` for `cycle`. `fifo` frames are beyond the reach of a drop, as in many a DAC.

    The playback's clock is `drift_ppm` faster than the capture's. `microphone` and `speaker` are what both sides were
    given from the beginning, `seconds` long, each counted by its own clock.
    """

    room: Room
    clock: Clock
    period_ms: int = 10
    ahead_ms: int = 40
    fifo: int = 0
    seconds: float = 0.0
    drift_ppm: float = 0.0

    def __post_init__(self) -> None:
        self.rate = self.room.rate
        self.period = self.rate * self.period_ms // 1000
        self.ahead = self.rate * self.ahead_ms // 1000
        self.xruns = 0
        self.restarts = 0
        self.unplugged = False
        self._random = np.random.default_rng(self.room.seed)
        self._clocks = Clocks(self.drift_ppm)
        self._captured = 0  # frames read so far: the clock's frame number is that of the room
        self._begin = 0  # frame at which the loudspeaker last started; from here on in frames of the playback's clock
        self._end = 0  # frame after the last one written
        self._written = 0  # frames, less those that were dropped
        self._past = _Ring(2 * self.rate)
        self._kept = 0  # frames in `speaker`
        self.microphone = np.zeros(round(self.seconds * self.rate), np.int16)
        self.speaker = np.zeros(round(self.seconds * self.rate * self._clocks.ratio), np.int16)

    @property
    def facts(self) -> dict[str, object]:
        return {"capture": "simulated room", "playback": "simulated room", "rate": self.rate}

    def counted(self) -> dict[str, int]:
        return {"playback_xruns": self.xruns}

    def _now(self) -> int:
        return int(self.clock.now() * self.rate * self._clocks.ratio)

    def read(self) -> Samples:
        """Wait for the end of the next period, and a little longer."""
        self._check()
        ready = (self._captured + self.period) / self.rate
        if self.clock.now() < ready:
            self.clock.wait_until(ready + self._lateness())
        start, stop = self._captured, self._captured + self.period
        first, end = self._clocks.frames(start, stop)
        played = self._clocks.read(start, stop, self._past.get(first, end).astype(np.float32))
        captured = self.room.hear(start, played)
        if stop <= len(self.microphone):
            self.microphone[start:stop] = captured
        self._keep(int(stop * self._clocks.ratio))
        self._captured = stop
        return captured

    def _keep(self, stop: int) -> None:
        stop = min(stop, len(self.speaker))
        if self._kept < stop:
            self.speaker[self._kept : stop] = self._past.get(self._kept, stop)
            self._kept = stop

    def _lateness(self) -> float:
        usual, worst = LATE_MS
        late = worst if self._random.random() < VERY_LATE_SHARE else usual * self._random.random()
        return late / 1000

    def queued(self) -> int:
        return max(0, self._end - max(self._begin, self._now() + self.fifo))

    def drop(self) -> int:
        self._check()
        held = self.queued()
        self._written -= held
        self._past.set(self._end - held, np.zeros(held, np.int16))
        self._end = 0
        return held

    def write(self, pcm: Samples) -> None:
        self._check()
        if not len(pcm):
            return
        now = self._now()
        if self._end - self.fifo <= now:  # dropped, dry, or never started
            self.xruns += self._end > 0
            self._begin = now + self.fifo + round(self._random.random() * RESTART_MS * self.rate / 1000) + 1
            self._end = self._begin
            self.restarts += 1
        self._past.set(self._end, pcm)
        self._end += len(pcm)
        self._written += len(pcm)

    def position(self) -> float | None:
        """Count the frames played, of all written and not dropped, when the last frame read was captured."""
        ahead = self._end - self.fifo - self._captured * self._clocks.ratio
        return self._written - ahead if self._end else None

    def _check(self) -> None:
        if self.unplugged:
            raise DeviceError("the sound card is gone: unplugged")

    def close(self) -> None:
        self.unplugged = True


class _Ring:
    """A signal's recent past and near future, by frame number. What nobody set is silence."""

    def __init__(self, size: int) -> None:
        self._sound = np.zeros(size, np.int16)
        self._known = 0  # frame up to which it holds what was set, or silence

    def get(self, start: int, stop: int) -> Samples:
        """Return [start, stop); what was before the first frame is silence."""
        if start < 0:
            return np.concatenate((np.zeros(min(0, stop) - start, np.int16), self.get(0, max(0, stop))))
        self._silence_to(stop)
        return _again_and_again(self._sound, start, stop - start)

    def set(self, start: int, pcm: Samples) -> None:
        self._silence_to(start)
        self._put(start, pcm)
        self._known = max(self._known, start + len(pcm))

    def _silence_to(self, frame: int) -> None:
        """Let what nobody set up to `frame` be silence, not what was played long ago."""
        if self._known < frame:
            start = max(self._known, frame - len(self._sound))
            self._put(start, np.zeros(frame - start, np.int16))
            self._known = frame

    def _put(self, start: int, pcm: Samples) -> None:
        begin = start % len(self._sound)
        before = len(self._sound) - begin
        self._sound[begin : begin + len(pcm)] = pcm[:before]
        self._sound[: max(0, len(pcm) - before)] = pcm[before:]


def _again_and_again(sound: Samples, start: int, frames: int) -> Samples:
    """Return [start, start + frames) of `sound` repeated for ever; at most its whole length."""
    begin = start % len(sound)
    piece = sound[begin : begin + frames]
    return piece if len(piece) == frames else np.concatenate((piece, sound[: frames - len(piece)]))
