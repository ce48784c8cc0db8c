"""The sound card: both PCM handles of it, owned by the one thread that calls these methods.

    read()      poll until a period was captured    never blocks for longer than LOST_S
    queued()    buffer size minus avail()           what the loudspeaker has still to play
    position()  avail() and htimestamp() of both    what it had played when the last frame read was captured
    drop()      snd_pcm_drop                        silence; the next write starts the card again by itself
    write()     as much as there is room for        both handles are non-blocking: nothing here hangs

Each direction runs until an xrun or a drop and is then started anew, some time later. How many frames that took is
the time that passed less the frames that were counted: `Course` has both. A timestamp that cannot be true (PulseAudio
tells the time of day, a card that has run dry anything at all) is replaced by the time at which we asked.
"""

from __future__ import annotations

import errno
import select
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import alsaaudio
import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.course import Course, between, look
from edgevoice.audio.pcm import channel, duplicate, from_bytes
from edgevoice.drivers.pcm import CardSettings, Opened, hush, open_both
from edgevoice.errors import DeviceError, DeviceHung

__all__ = ["AlsaCard", "CardSettings", "Counters", "hush", "open_card"]

Samples = NDArray[np.int16]

LOST_S = 0.5  # no period for so long: the card is gone, whatever it says
TRIES = 3  # to start again after an xrun; the second works, unless it comes too late as well


@dataclass(slots=True)
class Counters:
    """What went wrong, counted: the audio thread never logs."""

    capture_xruns: int = 0
    playback_xruns: int = 0
    short_writes: int = 0
    capture_lost: int = 0  # frames that were not heard, because of its xruns
    playback_lost: int = 0  # frames for which the loudspeaker was silent, because of its xruns


def open_card(settings: CardSettings) -> AlsaCard:
    """Open both directions and start the capture. Raises DeviceError, with what to do."""
    return AlsaCard(*open_both(settings), settings)


@dataclass
class AlsaCard:
    """A `Card` for `cycle`. Every method raises DeviceError when the card is gone."""

    _capture: Opened
    _playback: Opened
    _settings: CardSettings
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self.rate = self._playback.rate
        self.period = self.rate * self._settings.period_ms // 1000
        self.ahead = min(self.rate * self._settings.ahead_ms // 1000, self._playback.buffer)
        self.restarts = 0  # of either direction
        self._captured: Samples = np.empty(0, np.int16)  # read, less than a period
        self._unwritten = b""  # accepted by write(), not yet by the card
        self._stopped = True  # dropped, or not started: avail() means nothing then
        self._read = 0  # frames that the capture has delivered
        self._written = 0  # frames accepted by write(), less those dropped
        self._played = 0  # frames that had left when they were last asked for, and since when it is so many
        self._played_at = time.monotonic()
        self._hearing = Course(self.rate)
        self._playing = Course(self.rate)
        self._poll = select.poll()
        for descriptor, mask in self._capture.pcm.polldescriptors():
            self._poll.register(descriptor, mask)
        self._start_capture()

    @property
    def facts(self) -> dict[str, object]:
        """What was really opened, for the journal and the status."""
        return {
            "capture": self._settings.capture,
            "playback": self._settings.playback,
            "rate": self.rate,
            "period_ms": self._settings.period_ms,
            "ahead_ms": round(self.ahead * 1000 / self.rate, 1),
            "capture_channels": self._capture.channels,
            "playback_channels": self._playback.channels,
        }

    def counted(self) -> dict[str, int]:
        """Tell the counters; what was lost in ms."""
        counted: dict[str, int] = asdict(self.counters)
        lost = {f"{name}_ms": round(counted.pop(name) * 1000 / self.rate) for name in ("capture_lost", "playback_lost")}
        return counted | lost

    # -------------------------------------------------------------------------------------------------- capture

    def read(self) -> Samples:
        """Wait for one period (n,) of the chosen channel. Raises DeviceError after LOST_S without one."""
        give_up = time.monotonic() + LOST_S
        overruns = 0
        while len(self._captured) < self.period:
            if not self._capture_ready(give_up):
                continue
            if not self._capture_more():
                overruns += 1
                if overruns == TRIES:
                    raise DeviceHung("the microphone does not start again after an overrun")
            give_up = time.monotonic() + LOST_S
        captured, self._captured = self._captured[: self.period], self._captured[self.period :]
        return captured

    def _capture_ready(self, give_up: float) -> bool:
        """Wait for the next interrupt of the card; True when there is something to read, or to recover from."""
        left = give_up - time.monotonic()
        wanted = min(self.period - len(self._captured), self._capture.period)
        if self._capture.period <= self.period:  # else there may be enough, of an interrupt that is over
            self._poll.poll(max(0.0, left * 1000))
        available = self._call(self._capture.pcm.avail)
        if available >= wanted or available == -errno.EPIPE:
            return True
        if available < 0:
            raise DeviceError(f"the microphone is gone: {errno.errorcode.get(-available, available)}")
        if left <= 0:
            raise DeviceHung(f"no sound from the microphone for {LOST_S:g} s")
        if self._capture.period > self.period:
            self._poll.poll(left * 1000)
        return False

    def _capture_more(self) -> bool:
        """Read what there is; False: there was an overrun, and the capture is started again."""
        frames, data = self._call(self._capture.pcm.read)
        if frames < 0:  # overrun: pyalsaaudio has prepared the stream again, and reading starts it
            self.counters.capture_xruns += 1
            self._read -= len(self._captured)
            self._captured = self._captured[:0]  # the gap lies between two periods, where it can be told
            self.counters.capture_lost += self._start_capture()
            return False
        self._read += frames
        if frames:
            mono = channel(from_bytes(data), self._capture.channels, self._settings.capture_channel)
            self._captured = np.concatenate((self._captured, mono)) if len(self._captured) else mono
        return True

    def _start_capture(self) -> int:
        """Start it by reading, which nothing else does; return the frames lost since it stopped."""
        before = time.monotonic()
        self._call(self._capture.pcm.read)
        self.restarts += 1
        return self._hearing.start(between(before, time.monotonic()), self._read)

    # ------------------------------------------------------------------------------------------------- playback

    def queued(self) -> int:
        """Count the frames written that the loudspeaker has not played."""
        waiting = self._waiting()
        if self._stopped:
            return waiting
        available: int = self._call(self._playback.pcm.avail)
        if available < 0:  # it ran dry: all was played. Whatever else is wrong, the next write says it
            return waiting
        queued = max(0, self._playback.buffer - available) + waiting
        self._see(self._written - queued, queued)
        return queued

    def _see(self, played: int, queued: int) -> None:
        """Raise DeviceHung when the loudspeaker has stood still for LOST_S while the microphone goes on."""
        now = time.monotonic()
        if played != self._played or not queued:
            self._played, self._played_at = played, now
        elif now - self._played_at > LOST_S:
            raise DeviceHung(f"the loudspeaker plays nothing for {LOST_S:g} s")

    def position(self) -> float | None:
        """Count the frames played, of all written and not dropped, when the last frame read was captured.

        None: the loudspeaker was dropped or never started. One that has run dry counts on.
        """
        heard, left = self._call(look, self._capture.pcm, self._playback.pcm, time.monotonic)
        if not heard:
            return None  # an overrun: the next `read` recovers from it
        self._hearing.note(heard.at, self._read + heard.frames)
        if self._stopped:
            return None
        if left:
            self._playing.note(left.at, self._written - (self._playback.buffer - left.frames) - self._waiting())
        position: float = self._playing.frames_at(heard.at) - heard.frames - len(self._captured)
        return position

    def _waiting(self) -> int:
        return len(self._unwritten) // (2 * self._playback.channels)

    def drop(self) -> int:
        """Fall silent now; return the frames that were never played."""
        queued = self.queued()
        self._call(self._playback.pcm.drop)
        self._unwritten = b""
        self._written -= queued
        self._stopped = True
        return queued

    def write(self, pcm: Samples) -> None:
        """Append mono frames (n,) on every channel."""
        if len(pcm):
            self._unwritten += duplicate(pcm, self._playback.channels).tobytes()
            self._written += len(pcm)
            self._flush()

    def _flush(self) -> None:
        frame = 2 * self._playback.channels
        first = self._written - self._waiting()
        dry = False
        for _ in range(TRIES):  # an underrun is told once, the chunk not taken: the same again then plays
            before = time.monotonic()
            written = self._call(self._playback.pcm.write, self._unwritten)
            if written >= 0:
                break
            self.counters.playback_xruns += 1
            dry = True
        else:
            raise DeviceHung("the loudspeaker does not start again after an underrun")
        if self._stopped or dry:
            self._played_at = time.monotonic()
            lost = self._playing.start(between(before, time.monotonic()), first)
            self.counters.playback_lost += lost if dry else 0
            self.restarts += 1
        self._stopped = False
        self._unwritten = self._unwritten[written * frame :]
        if self._unwritten:
            self.counters.short_writes += 1

    # ---------------------------------------------------------------------------------------------------- close

    def close(self) -> None:
        """Stop both directions and let go of them. Nothing may be called afterwards."""
        for opened in (self._playback, self._capture):
            try:
                opened.pcm.drop()  # close() alone would first play what is queued
            except alsaaudio.ALSAAudioError:
                pass  # the card is gone: that is why we close it
            opened.pcm.close()

    @staticmethod
    def _call(method: Any, *arguments: object) -> Any:
        try:
            return method(*arguments)
        except alsaaudio.ALSAAudioError as error:
            raise DeviceError(f"the sound card is gone: {error}") from error
