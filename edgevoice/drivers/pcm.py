"""Opening a sound card's two PCMs, and saying in words why it could not be done.

pyalsaaudio changes what a card refuses without a word, so everything is read back with `info()` after opening. It
must not be asked anything after `close()` (`info()` on a closed PCM is a segmentation fault): whoever closes a PCM
forgets it. Source: pyalsaaudio 0.11.0, alsaaudio.c.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass
from typing import Any

import alsaaudio

from edgevoice.errors import DeviceError, DeviceHung

RATES = (8000, 16_000, 24_000, 44_100, 48_000)  # what `audio.resample` converts
CAPTURE_MS = 200  # room for captured sound while Python is busy elsewhere; costs no delay
MOST_CHANNELS = 32
# What alsa-lib says of a card that is there: its codec, or its bus, does not answer.
HANGS = tuple(os.strerror(code) for code in (errno.EIO, errno.ETIMEDOUT, errno.EREMOTEIO, errno.EPIPE))


@dataclass(frozen=True, slots=True)
class CardSettings:
    """What is asked of the card. `ahead_ms` is how far ahead of the loudspeaker we write."""

    capture: str = "default"
    playback: str = "default"
    rate: int = 48_000
    period_ms: int = 10
    ahead_ms: int = 40
    capture_channel: int = 0


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


def open_both(settings: CardSettings) -> tuple[Opened, Opened]:
    """Open capture and playback at one rate that the card really has. Raises DeviceError, with what to do."""
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
            return capture, playback
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
        kind = DeviceHung if any(words in str(error) for words in HANGS) else DeviceError
        raise kind(_why_not(word, name, str(error))) from error
    info = pcm.info()
    opened = Opened(pcm, info["rate"], info["channels"], info["period_size"], info["buffer_size"])
    problem = _unfit(word, name, info, channels)
    if problem:
        pcm.close()
        raise DeviceError(problem)
    try:
        pcm.set_tstamp_mode(alsaaudio.PCM_TSTAMP_ENABLE)
        pcm.set_tstamp_type(alsaaudio.PCM_TSTAMP_TYPE_MONOTONIC)
    except alsaaudio.ALSAAudioError:
        pass  # `course.look` sees what it tells instead
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
