"""The sound card: both PCM handles of it, owned by the one thread that calls these methods.

    read()    poll until a period was captured      never blocks for longer than LOST_S
    queued()  buffer size minus avail()             what the loudspeaker has still to play
    drop()    snd_pcm_drop                          silence; the next write starts the card again by itself
    write()   as much as there is room for          both handles are non-blocking: nothing here hangs

pyalsaaudio changes what a card refuses without a word, so everything is read back with `info()` after opening. It
must not be asked anything after `close()` (`info()` on a closed PCM is a segmentation fault): whoever closes a card
forgets it. Source: pyalsaaudio 0.11.0, alsaaudio.c.
"""

from __future__ import annotations

import ctypes
import errno
import select
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import alsaaudio
import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import channel, duplicate, from_bytes
from edgevoice.errors import DeviceError

Samples = NDArray[np.int16]

RATES = (8000, 16_000, 24_000, 44_100, 48_000)  # what `audio.resample` converts
LOST_S = 0.5  # no period for so long: the card is gone, whatever it says
CAPTURE_MS = 200  # room for captured sound while Python is busy elsewhere; costs no delay
MOST_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class CardSettings:
    """What is asked of the card. `ahead_ms` is how far ahead of the loudspeaker we write."""

    capture: str = "default"
    playback: str = "default"
    rate: int = 48_000
    period_ms: int = 10
    ahead_ms: int = 40
    capture_channel: int = 0


@dataclass(slots=True)
class Counters:
    """What went wrong, counted: the audio thread never logs."""

    capture_xruns: int = 0
    playback_xruns: int = 0
    short_writes: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """A PCM and what it turned out to be."""

    pcm: Any  # pyalsaaudio's PCM: its stub describes another signature
    rate: int
    channels: int
    period: int  # frames
    buffer: int  # frames


_ErrorHandler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
_say_nothing = _ErrorHandler(lambda *_: None)  # kept here: alsa-lib has only its address


def hush() -> None:
    """Keep alsa-lib from printing eight lines for each failed opening: we say ourselves why it failed."""
    ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_say_nothing)


def open_card(settings: CardSettings) -> AlsaCard:
    """Open both directions at one rate that the card really has. Raises DeviceError, with what to do."""
    rate = settings.rate
    for _ in range(2):  # the second time at the rate that the card insisted on
        playback = _open(alsaaudio.PCM_PLAYBACK, settings.playback, rate, 1, settings)
        try:
            capture = _open(
                alsaaudio.PCM_CAPTURE, settings.capture, playback.rate, settings.capture_channel + 1, settings
            )
        except DeviceError:
            playback.pcm.close()
            raise
        if playback.rate == capture.rate == rate:
            return AlsaCard(capture, playback, settings)
        asked, rate = rate, capture.rate
        playback.pcm.close()
        capture.pcm.close()
        if playback.rate != asked and capture.rate not in (asked, playback.rate):
            break
    raise DeviceError(
        f"the card plays at {playback.rate} Hz and records at {capture.rate} Hz, expected one rate for both "
        f'(asked {settings.rate}): name it as "plughw:..." so that ALSA converts, or set card.rate'
    )


def _open(direction: int, name: str, rate: int, channels: int, settings: CardSettings) -> Opened:
    """Open one PCM near what is asked, and check what came of it."""
    capture = direction == alsaaudio.PCM_CAPTURE
    word = "capture" if capture else "playback"
    buffer_ms = max(CAPTURE_MS, 4 * settings.period_ms) if capture else settings.ahead_ms
    try:
        pcm = alsaaudio.PCM(
            type=direction,
            mode=alsaaudio.PCM_NONBLOCK,
            device=name,
            rate=rate,
            channels=channels,
            format=alsaaudio.PCM_FORMAT_S16_LE,
            periodsize=rate * settings.period_ms // 1000,
            periods=max(2, buffer_ms // settings.period_ms),
        )
    except alsaaudio.ALSAAudioError as error:
        raise DeviceError(_why_not(word, name, str(error))) from error
    info = pcm.info()
    opened = Opened(pcm, info["rate"], info["channels"], info["period_size"], info["buffer_size"])
    problem = _unfit(word, name, info, channels)
    if problem:
        pcm.close()
        raise DeviceError(problem)
    return opened


def _why_not(word: str, name: str, error: str) -> str:
    """Say in words why a PCM did not open, and what to do."""
    if "busy" in error:
        return f'card.{word} "{name}" is held by another program: stop it (fuser -v /dev/snd/* shows which), or wait'
    cards = ", ".join(f"hw:CARD={card}" for card in alsaaudio.cards()) or "none"
    return f'card.{word} "{name}" does not open: {error}. Cards there are: {cards}'


def _unfit(word: str, name: str, info: dict[str, Any], channels: int) -> str:
    """Return what makes the opened PCM useless for us, or ""."""
    asked = f'(asked "{name}")'
    if info["format"] != alsaaudio.PCM_FORMAT_S16_LE:
        return f'{word} format is {info["format_name"]}, expected S16_LE {asked}: use "plughw:..." instead of "hw:..."'
    if info["rate"] not in RATES:
        return f'{word} rate is {info["rate"]} Hz, expected one of {RATES} {asked}: use "plughw:..."'
    if word == "capture" and info["channels"] < channels:
        return (
            f"{word} opens with {info['channels']} channels, expected {channels} or more for "
            f"card.capture_channel = {channels - 1} {asked}"
        )
    if info["channels"] > MOST_CHANNELS:
        return f"{word} has {info['channels']} channels, expected at most {MOST_CHANNELS} {asked}"
    if info["buffer_size"] < 2 * info["period_size"]:
        return f"{word} buffer is {info['buffer_size']} frames, expected two periods of {info['period_size']} {asked}"
    return ""


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
        self._captured: Samples = np.empty(0, np.int16)  # read, less than a period
        self._unwritten = b""  # accepted by write(), not yet by the card
        self._stopped = True  # dropped, or not started: avail() means nothing then
        self._poll = select.poll()
        for descriptor, mask in self._capture.pcm.polldescriptors():
            self._poll.register(descriptor, mask)
        self._call(self._capture.pcm.read)  # starts the capture: nothing would ever arrive else

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
        return asdict(self.counters)

    # -------------------------------------------------------------------------------------------------- capture

    def read(self) -> Samples:
        """Wait for one period (n,) of the chosen channel. Raises DeviceError after LOST_S without one."""
        give_up = time.monotonic() + LOST_S
        while len(self._captured) < self.period:
            if self._capture_ready(give_up):
                self._capture_more()
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
            raise DeviceError(f"no sound from the microphone for {LOST_S:g} s")
        if self._capture.period > self.period:
            self._poll.poll(left * 1000)
        return False

    def _capture_more(self) -> None:
        frames, data = self._call(self._capture.pcm.read)
        if frames < 0:  # overrun: pyalsaaudio has prepared the stream again, and reading starts it
            self.counters.capture_xruns += 1
            self._call(self._capture.pcm.read)
            return
        if frames:
            mono = channel(from_bytes(data), self._capture.channels, self._settings.capture_channel)
            self._captured = np.concatenate((self._captured, mono)) if len(self._captured) else mono

    # ------------------------------------------------------------------------------------------------- playback

    def queued(self) -> int:
        """Count the frames written that the loudspeaker has not played."""
        waiting = len(self._unwritten) // (2 * self._playback.channels)
        if self._stopped:
            return waiting
        available: int = self._call(self._playback.pcm.avail)
        if available < 0:  # it ran dry: all was played. Whatever else is wrong, the next write says it
            return waiting
        return max(0, self._playback.buffer - available) + waiting

    def drop(self) -> int:
        """Fall silent now; return the frames that were never played."""
        queued = self.queued()
        self._call(self._playback.pcm.drop)
        self._unwritten = b""
        self._stopped = True
        return queued

    def write(self, pcm: Samples) -> None:
        """Append mono frames (n,) on every channel."""
        self._unwritten += duplicate(pcm, self._playback.channels).tobytes()
        self._flush()

    def _flush(self) -> None:
        frame = 2 * self._playback.channels
        for _ in range(3):  # an underrun is told once, the chunk not taken: the same again then plays
            written = self._call(self._playback.pcm.write, self._unwritten)
            if written >= 0:
                break
            self.counters.playback_xruns += 1
        else:
            raise DeviceError("the loudspeaker does not start again after an underrun")
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
