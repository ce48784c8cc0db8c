"""The card's mixer as it is found: levels and switches of both directions; and one that is off, switched on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import alsaaudio

from edgevoice.doctor.facts import Control, MixerLook
from edgevoice.errors import DeviceError

PLAYBACK_SWITCH, CAPTURE_SWITCH = {"Mute", "Playback Mute"}, {"Capture Mute"}  # pyalsaaudio's names of abilities
# "Auto Gain Control" of USB (Linux, sound/usb/mixer.c), "AGC" of TLV320AIC, "ALC" of DA7212, "ALC Function" of WM8960
AUTOMATIC = re.compile(r"(.* )?(Auto(matic)? Gain( Control)?|AGC|ALC)( Function)?")
LEVELS = {alsaaudio.PCM_PLAYBACK: {"Volume", "Playback Volume"}, alsaaudio.PCM_CAPTURE: {"Volume", "Capture Volume"}}


def look(device: str, loudspeaker: str, microphone: str) -> MixerLook:
    """Look at two controls of the mixer `device`; "" is none. A mixer that cannot be read shows nothing."""
    try:
        return MixerLook(
            device,
            _control(device, loudspeaker, alsaaudio.PCM_PLAYBACK) if loudspeaker else None,
            _control(device, microphone, alsaaudio.PCM_CAPTURE) if microphone else None,
            muted=tuple(_muted(device)),
        )
    except alsaaudio.ALSAAudioError:
        return MixerLook(device)


def automatic(device: str) -> tuple[str, ...]:
    """Name the controls of the mixer `device` that turn the microphone up by themselves and are on."""
    try:
        return tuple(name for name in dict.fromkeys(alsaaudio.mixers(device=device)) if _is_automatic(device, name))
    except alsaaudio.ALSAAudioError:
        return ()


def switch_on(device: str, control: str, *, captures: bool) -> None:
    """Switch on the capture or the playback side of a control, on every channel. Raises DeviceError."""
    try:
        with closing(alsaaudio.Mixer(control, device=device)) as mixer:
            if captures:
                mixer.setrec(1)
            else:
                mixer.setmute(0)
    except alsaaudio.ALSAAudioError as error:
        raise DeviceError(f'"{control}" of {device} cannot be switched on: {error}') from error


def _is_automatic(device: str, name: str) -> bool:
    if not AUTOMATIC.fullmatch(name):
        return False
    with closing(alsaaudio.Mixer(name, device=device)) as mixer:
        switches = set(mixer.switchcap())
        if PLAYBACK_SWITCH & switches:  # a switch without a direction is among those of playback
            return not all(mixer.getmute())
        if CAPTURE_SWITCH & switches:
            return any(mixer.getrec())
        chosen = mixer.getenum()
        return bool(chosen) and "Off" in chosen[1] and chosen[0] != "Off"


def _control(device: str, name: str, direction: int) -> Control:
    with closing(alsaaudio.Mixer(name, device=device)) as mixer:
        abilities = set(mixer.switchcap())
        muted = None
        if direction == alsaaudio.PCM_PLAYBACK and PLAYBACK_SWITCH & abilities:
            muted = all(mixer.getmute())
        if direction == alsaaudio.PCM_CAPTURE and CAPTURE_SWITCH & abilities:
            muted = not any(mixer.getrec())
        return Control(name, _percent(mixer, direction), muted)


def _percent(mixer: Any, direction: int) -> int | None:
    if not LEVELS[direction] & set(mixer.volumecap()):
        return None
    return int(max(mixer.getvolume(direction)))


def _muted(device: str) -> Iterator[str]:
    for name in dict.fromkeys(alsaaudio.mixers(device=device)):
        with closing(alsaaudio.Mixer(name, device=device)) as mixer:
            if PLAYBACK_SWITCH & set(mixer.switchcap()) and all(mixer.getmute()):
                yield name
