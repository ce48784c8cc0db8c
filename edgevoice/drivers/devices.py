"""What this machine has: sound cards by their lasting names, mixer controls, GPIO chips."""

from __future__ import annotations

from glob import glob
from pathlib import Path

import alsaaudio


def devices() -> dict[str, list[str]]:
    """Return one list of lines for each kind of device. Opens no card: others may be using it."""
    names = alsaaudio.cards()
    return {
        "capture (card.capture)": _pcms(alsaaudio.PCM_CAPTURE),
        "playback (card.playback)": _pcms(alsaaudio.PCM_PLAYBACK),
        "mixer controls (card.mixer)": [f"{name}: {', '.join(_controls(index))}" for index, name in enumerate(names)],
        "GPIO chips": [f"{path}: {_label(path)}" for path in sorted(glob("/dev/gpiochip*"))],
    }


def _pcms(direction: int) -> list[str]:
    """Return the names that last between boots first: hw:CARD=<id> and plughw:CARD=<id>."""
    names = [name for name in alsaaudio.pcms(direction) if name.startswith(("hw:CARD=", "plughw:CARD="))]
    return [*names, *(["default"] if "default" in alsaaudio.pcms(direction) else [])]


def _controls(card: int) -> list[str]:
    try:
        return alsaaudio.mixers(cardindex=card) or ["none"]
    except alsaaudio.ALSAAudioError as error:
        return [f"not readable: {error}"]


def _label(path: str) -> str:
    try:
        return (Path("/sys/bus/gpio/devices") / Path(path).name / "of_node" / "compatible").read_text().strip("\0\n")
    except OSError:
        return "no name"
