"""How far the microphone is turned up: the capture volume in the card's ALSA mixer, only looked at."""

from __future__ import annotations

from contextlib import closing

import alsaaudio

from edgevoice.audio.findings import CaptureLevel

CAPTURE_VOLUME = {"Volume", "Capture Volume"}  # the names that pyalsaaudio gives to what a control can do
PREFERRED = ("Capture", "Mic", "ADC", "PGA")  # of several: the first in whose name one of these stands, in this order


def capture_level(device: str) -> CaptureLevel | None:
    """Return the microphone's control of the mixer `device` ("hw:seeed"), or None where there is none to be read."""
    try:
        names = [name for name in dict.fromkeys(alsaaudio.mixers(device=device)) if _captures(device, name)]
        if not names:
            return None
        name = min(names, key=_rank)
        with closing(alsaaudio.Mixer(name, device=device)) as mixer:
            percent = max(mixer.getvolume(alsaaudio.PCM_CAPTURE))
            lowest, highest = mixer.getrange(alsaaudio.PCM_CAPTURE, alsaaudio.VOLUME_UNITS_DB)
    except alsaaudio.ALSAAudioError:
        return None
    range_db = (highest - lowest) / 100  # told in hundredths; a control without a scale says 0, or nonsense
    return CaptureLevel(device, name, int(percent), range_db if range_db > 0 else None)


def _rank(name: str) -> int:
    return next((rank for rank, part in enumerate(PREFERRED) if part in name), len(PREFERRED))


def _captures(device: str, name: str) -> bool:
    with closing(alsaaudio.Mixer(name, device=device)) as mixer:
        return "Capture Volume" in mixer.volumecap()
