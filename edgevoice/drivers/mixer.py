"""The volume of the loudspeaker: one playback control of the card's ALSA mixer, put back as it was in the end.

What it was at first outlives a crash in the runtime directory, or the next process would take our volume for that.
Every access opens the mixer anew: what others changed meanwhile is seen, and a card that was unplugged and plugged in
again is found. Only the playback side of the one control is ever touched.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Protocol

import alsaaudio
import msgspec

from edgevoice.drivers.runtime import forget, keep, recall
from edgevoice.errors import DeviceError

UNTOUCHED = -1  # a configured volume: leave the mixer alone
PLAYBACK_VOLUME = {"Volume", "Playback Volume"}  # the names that pyalsaaudio gives to what a control can do
PLAYBACK_MUTE = {"Mute", "Playback Mute"}

FILE = "volume-found.json"

_log = logging.getLogger(__name__)


class Mixer(Protocol):
    """What sets a loudspeaker's volume, in per cent."""

    @property
    def facts(self) -> str:
        """What it is, in a sentence."""

    def volume(self) -> int | None:
        """Return the volume, or None where there is none, or no card any more."""

    def set_volume(self, percent: int) -> None:
        """Set the volume, 0 to 100, and unmute. Raises DeviceError where that cannot be done."""

    def restore(self) -> None:
        """Put everything back as it was at first. Never raises: a card that is gone has nothing to restore."""


def open_mixer(pcm: str, control: str, volume: int) -> Mixer:
    """Return the mixer of the card behind the PCM called `pcm`, set to `volume` per cent unless that is -1.

    An empty `control` picks one. A card without a mixer gives a `NoMixer`; a `control` that it lacks is a DeviceError.
    """
    device = mixer_device(pcm)
    try:
        names = list(dict.fromkeys(alsaaudio.mixers(device=device)))
        control = control or next((name for name in names if _is_for_loudspeaker(device, name)), "")
    except alsaaudio.ALSAAudioError as error:
        return NoMixer(f"no mixer: {error}")
    if not control:
        return NoMixer(f"no mixer: {device} has no playback volume")
    if control not in names:
        raise DeviceError(f'{device} has no mixer control "{control}", expected one of {", ".join(names) or "none"}')
    mixer = AlsaMixer(device, control)
    if volume != UNTOUCHED:
        mixer.set_volume(volume)
    return mixer


def mixer_device(pcm: str) -> str:
    """Return the ALSA name of the mixer behind a PCM: "plughw:CARD=seeed,DEV=0" -> "hw:seeed".

    A PCM that names no card, such as "default", stands beside a mixer of the same name.
    """
    card = re.search(r"""(?:CARD=|hw:)([^,:='"]+)(?=[,'"]|$)""", pcm)
    return f"hw:{card[1]}" if card else pcm


class NoMixer:
    """A card that cannot change its volume. Nothing is scaled in software instead: that would cost dynamic range."""

    def __init__(self, reason: str) -> None:
        self.facts = reason

    def volume(self) -> None:
        return None

    def set_volume(self, percent: int) -> None:
        raise DeviceError(f"the volume cannot be set: {self.facts}")

    def restore(self) -> None:
        pass


class Found(msgspec.Struct, frozen=True):
    """A control as it was at first: of each channel its raw level, and 1 where it was muted."""

    device: str
    control: str
    levels: list[int]
    mutes: list[int]


class AlsaMixer:
    """One playback control of one card."""

    def __init__(self, device: str, control: str) -> None:
        self.facts = f'mixer "{control}" of {device}'
        self.device, self.control = device, control
        with self._open() as mixer:
            if not PLAYBACK_VOLUME & set(mixer.volumecap()):
                raise DeviceError(f"{self.facts} has no playback volume, expected a control of the loudspeaker")
            self._has_mute = bool(PLAYBACK_MUTE & set(mixer.switchcap()))
            levels = mixer.getvolume(alsaaudio.PCM_PLAYBACK, alsaaudio.VOLUME_UNITS_RAW)
            mutes = mixer.getmute() if self._has_mute else []
        self._first = Found(device, control, levels, mutes)
        kept = recall(FILE, Found)
        self._touched = kept is not None and (kept.device, kept.control) == (device, control)
        if kept is not None and self._touched:
            self._first = kept

    def volume(self) -> int | None:
        try:
            with self._open() as mixer:
                return int(max(mixer.getvolume(alsaaudio.PCM_PLAYBACK)))
        except DeviceError:
            return None

    def set_volume(self, percent: int) -> None:
        with self._open() as mixer:
            if not self._touched:
                keep(FILE, self._first)
                self._touched = True
            mixer.setvolume(percent, alsaaudio.MIXER_CHANNEL_ALL, alsaaudio.PCM_PLAYBACK)
            if self._has_mute:
                mixer.setmute(0)

    def restore(self) -> None:
        if not self._touched:
            return
        try:
            with self._open() as mixer:
                for channel, level in enumerate(self._first.levels):
                    mixer.setvolume(level, channel, alsaaudio.PCM_PLAYBACK, alsaaudio.VOLUME_UNITS_RAW)
                for channel, mute in enumerate(self._first.mutes):
                    mixer.setmute(mute, channel)
        except DeviceError as error:
            _log.warning("not put back as it was: %s", error)
        forget(FILE)

    @contextmanager
    def _open(self) -> Iterator[alsaaudio.Mixer]:
        try:
            with closing(alsaaudio.Mixer(self.control, device=self.device)) as mixer:
                yield mixer
        except alsaaudio.ALSAAudioError as error:
            raise DeviceError(f"{self.facts}: {error}") from error


def _is_for_loudspeaker(device: str, control: str) -> bool:
    """A microphone has a playback volume too on many USB cards, listed first: what one hears of oneself."""
    with closing(alsaaudio.Mixer(control, device=device)) as mixer:
        abilities = set(mixer.volumecap())
    return bool(PLAYBACK_VOLUME & abilities) and "Capture Volume" not in abilities and not control.startswith("Mic")
