"""What a HAT's profile wants of the card's mixer: set when the card is opened, put back as it was in the end.

How they were found outlives a crash, as the volume in `mixer.py` does. Each control is opened anew for each access, as
there. One that the card lacks is told and left out: other kernels give other names to controls, and a box with a faint
microphone is better than none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

import alsaaudio
import msgspec

from edgevoice.drivers.runtime import forget, keep, recall
from edgevoice.profiles import Control, Part, control
from edgevoice.schema import HatMixer, Setting

Values: TypeAlias = list[int]  # for each channel: a raw level, or 1 for on; of a choice its number

FILE = "mixer-found.json"

_log = logging.getLogger(__name__)


class Found(msgspec.Struct, frozen=True):
    """Controls of one card as they were at first, by the profile's names, in the order in which they were set."""

    device: str = ""
    first: dict[str, tuple[Control, Values]] = {}


class MixerSettings:
    """The settings of the card that is open, and how its controls were found at first."""

    def __init__(self) -> None:
        found = recall(FILE, Found) or Found()
        self._device, self._first = found.device, found.first

    def apply(self, wanted: HatMixer) -> list[str]:
        """Set every control, in the order of the profile; return what could not be set, and why.

        Called again when the card was opened again: it may have begun anew, or come back under another id.
        """
        if self._device != (device := f"hw:{wanted.card}"):
            self._device, self._first = device, {}
        problems: list[str] = []
        for name, setting in wanted.settings.items():
            place = control(name, setting)
            try:
                with self._open(place) as mixer:
                    if name not in self._first:
                        self._first[name] = (place, _get(mixer, place))
                        keep(FILE, Found(self._device, self._first))
                    _set(mixer, place, [_raw(mixer, setting)])
            except (alsaaudio.ALSAAudioError, ValueError) as error:
                problems.append(f'"{name}" of {self._device} is not set to {setting}: {error}')
        return problems

    def restore(self) -> None:
        """Put every control back as it was found, the last one first. Never raises: a card may be gone."""
        for name, (place, values) in reversed(self._first.items()):
            try:
                with self._open(place) as mixer:
                    _set(mixer, place, values)
            except alsaaudio.ALSAAudioError as error:
                _log.warning('"%s" of %s is not put back as it was: %s', name, self._device, error)
        self._first.clear()
        forget(FILE)

    @contextmanager
    def _open(self, place: Control) -> Iterator[Any]:
        with closing(alsaaudio.Mixer(place.name, device=self._device)) as mixer:
            yield mixer


def _raw(mixer: Any, setting: Setting) -> int:
    """Return the setting as a number. Raises ValueError for a choice that the control does not have."""
    if not isinstance(setting, str):
        return int(setting)
    _, choices = _enum(mixer)
    if setting not in choices:
        raise ValueError(f"its choices are {', '.join(choices)}")
    return choices.index(setting)


def _get(mixer: Any, place: Control) -> Values:
    match place.part:
        case Part.CHOICE:
            current, choices = _enum(mixer)
            return [choices.index(current)]
        case Part.SWITCH if _captures(place, mixer.switchcap()):
            return list(mixer.getrec())
        case Part.SWITCH:
            return [1 - mute for mute in mixer.getmute()]
        case Part.LEVEL:
            return list(mixer.getvolume(_direction(mixer, place), alsaaudio.VOLUME_UNITS_RAW))


def _set(mixer: Any, place: Control, values: Values) -> None:
    """Set the channels, or all of them where there is but one value."""
    channels = range(len(values)) if len(values) > 1 else [alsaaudio.MIXER_CHANNEL_ALL]
    for channel, value in zip(channels, values, strict=True):
        match place.part:
            case Part.CHOICE:
                mixer.setenum(value)
            case Part.SWITCH if _captures(place, mixer.switchcap()):
                mixer.setrec(value, channel)
            case Part.SWITCH:
                mixer.setmute(1 - value, channel)
            case Part.LEVEL:
                mixer.setvolume(value, channel, _direction(mixer, place), alsaaudio.VOLUME_UNITS_RAW)


def _enum(mixer: Any) -> tuple[str, list[str]]:
    """Raises ValueError for a control that is no choice."""
    found = mixer.getenum()
    if not found:
        raise ValueError("it has no choices")
    return found[0], found[1]


def _direction(mixer: Any, place: Control) -> int:
    captures = _captures(place, mixer.volumecap())
    return int(alsaaudio.PCM_CAPTURE if captures else alsaaudio.PCM_PLAYBACK)


def _captures(place: Control, abilities: list[str]) -> bool:
    """Tell the capture side from the playback side; a control for both has one value, reached from either."""
    if place.direction:
        return place.direction == "Capture"
    capture = {"Capture Volume", "Capture Mute"} & set(abilities)
    both_or_playback = {"Volume", "Mute", "Playback Volume", "Playback Mute"} & set(abilities)
    return bool(capture) and not both_or_playback
