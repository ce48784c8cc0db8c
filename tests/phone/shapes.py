"""What a server may say to each phone service, field by field: a table to hold anybody's messages against.

Source: as in `elks.py`, `twilio.py`, `vobiz.py`. A leaf is the value itself, or the type of the value.
"""

from __future__ import annotations

import json
from typing import Any

Shape = dict[str, Any]

ELKS: dict[str, Shape] = {
    "begin": {"t": "listening", "format": str},
    "announce": {"t": "sending", "format": str},
    "play": {"t": "audio", "data": str},
    "mark": {"t": "sync"},
    "clear": {"t": "interrupt"},
    "end": {"t": "bye"},
}
TWILIO: dict[str, Shape] = {
    "play": {"event": "media", "streamSid": str, "media": {"payload": str}},
    "mark": {"event": "mark", "streamSid": str, "mark": {"name": str}},
    "clear": {"event": "clear", "streamSid": str},
}
PLIVO: dict[str, Shape] = {
    "play": {
        "event": "playAudio",
        "media": {"contentType": str, "sampleRate": int, "payload": str},
        "streamId": str,  # optional
    },
    "mark": {"event": "checkpoint", "streamId": str, "name": str},
    "clear": {"event": "clearAudio", "streamId": str},
}
VOBIZ: dict[str, Shape] = {**PLIVO, "end": {"event": "stop", "streamId": str}}
OPTIONAL = {("playAudio", "streamId")}
SHAPES = {"elks": ELKS, "twilio": TWILIO, "vobiz": VOBIZ, "plivo": PLIVO}


def differences(message: str, shape: Shape) -> list[str]:
    """Return every field in which a message is not of a shape."""
    return _compare(json.loads(message), shape, "")


def _compare(found: Any, shape: Any, where: str) -> list[str]:
    if isinstance(shape, type):
        return [] if type(found) is shape else [f"{where}: {type(found).__name__}, expected {shape.__name__}"]
    if not isinstance(shape, dict) or not isinstance(found, dict):
        return [] if found == shape else [f"{where}: {found!r}, expected {shape!r}"]
    optional = {name for kind, name in OPTIONAL if kind == shape.get("event")}
    problems = [f"{where}.{name}: missing" for name in shape.keys() - found.keys() - optional]
    problems += [f"{where}.{name}: unknown" for name in found.keys() - shape.keys()]
    for name in shape.keys() & found.keys():
        problems += _compare(found[name], shape[name], f"{where}.{name}")
    return sorted(problems)
