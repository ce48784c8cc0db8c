"""The card's mixer as it is found: levels and switches of both directions, only looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import alsaaudio

from edgevoice.doctor.facts import Control, MixerLook

PLAYBACK_SWITCH, CAPTURE_SWITCH = {"Mute", "Playback Mute"}, {"Capture Mute"}  # pyalsaaudio's names of abilities
LEVELS = {alsaaudio.PCM_PLAYBACK: {"Volume", "Playback Volume"}, alsaaudio.PCM_CAPTURE: {"Volume", "Capture Volume"}}


def look(device: str, loudspeaker: str, microphone: str) -> MixerLook:
    """Look at two controls of the mixer `device`; "" is none. A mixer that cannot be read shows nothing."""
    try:
        return MixerLook(
            device,
            _control(device, loudspeaker, alsaaudio.PCM_PLAYBACK) if loudspeaker else None,
            _control(device, microphone, alsaaudio.PCM_CAPTURE) if microphone else None,
            tuple(_muted(device)),
        )
    except alsaaudio.ALSAAudioError:
        return MixerLook(device)


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
