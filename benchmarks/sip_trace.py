"""When a burst passes each part of the way, told by the running processes: their functions are wrapped as they start.

Python imports `sitecustomize` before the program (`traced` writes one that imports this), so box and worker are what
they always are. Each line of the file is a monotonic time and a place; only loud sound is noted.
"""

from __future__ import annotations

import os
import sys
import time
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FILE = "EDGEVOICE_TRACE"
ROOT = Path(__file__).parent.parent
LOUD = 4000
HEAD = {"down": 4, "up": 12}  # bytes before the sound, of what goes to the worker and of what comes from it

# The places, in the order of the way; those of the first box, then the wire, then those of the second one.
SAYS = ("captured", "leaves the audio thread", "at the line", "sent to the worker", "at the worker", "in the ring")
HEARS = ("read by the worker", "sent to the box", "at the box", "for the card", "written to the card")


def traced(folder: Path, file: Path) -> Mapping[str, str]:
    """Return the environment in which a box writes `file`."""
    (folder / "sitecustomize.py").write_text("import benchmarks.sip_trace\n\nbenchmarks.sip_trace.begin()\n")
    return {"PYTHONPATH": f"{folder}:{ROOT}:{ROOT}/tests/lab/labgpio", FILE: str(file)}


def begin() -> None:
    """Wrap what sound passes in this process."""
    note = _Notes(os.environ[FILE])
    command = " ".join(sys.orig_argv)
    if "sip_worker" in command:
        _worker(note)
    elif " run " in command:
        _box(note)


class _Notes:
    def __init__(self, file: str) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, place: str, pcm: bytes) -> bool:
        """Note it if it is loud."""
        samples = array("h", pcm[: len(pcm) // 2 * 2])
        loud = bool(samples) and max(samples) > LOUD
        if loud:
            os.write(self._file, f"{time.monotonic():.6f} {place}\n".encode())
        return loud


def _worker(note: _Notes) -> None:
    from baresip.audio import CallAudio

    from edgevoice.drivers.packets import Packets

    _before(CallAudio, "write", lambda pcm: note("in the ring", pcm))
    _after(CallAudio, "read", lambda pcm: note("read by the worker", pcm))
    _before(Packets, "send", lambda packet: packet[:1] != b"{" and note("sent to the box", packet[HEAD["up"] :]))
    _taken(Packets, lambda packet: packet[:1] != b"{" and note("at the worker", packet[HEAD["down"] :]))


def _box(note: _Notes) -> None:
    from edgevoice.audio.duplex import Duplex
    from edgevoice.drivers.alsa import AlsaCard
    from edgevoice.drivers.audio_thread import SoundCard
    from edgevoice.drivers.line_leg import LineLeg
    from edgevoice.drivers.packets import Packets
    from edgevoice.events import Audio, Play

    _after(AlsaCard, "read", lambda pcm: note("captured", pcm.tobytes()))
    _before(AlsaCard, "write", lambda pcm: note("written to the card", pcm.tobytes()))
    _after(
        Duplex, "take_events",
        lambda events: [note("leaves the audio thread", one.pcm) for one in events if isinstance(one, Audio)],
    )  # fmt: skip
    _before(LineLeg, "perform", lambda one, at: isinstance(one, Play) and note("at the line", one.pcm))
    _before(SoundCard, "perform", lambda one, at: isinstance(one, Play) and note("for the card", one.pcm))
    _before(Packets, "send", lambda packet: packet[:1] != b"{" and note("sent to the worker", packet[HEAD["down"] :]))
    _taken(Packets, lambda packet: packet[:1] != b"{" and note("at the box", packet[HEAD["up"] :]))


def _before(kind: Any, name: str, look: Callable[..., object]) -> None:
    real = getattr(kind, name)

    def wrapped(self: Any, *arguments: Any) -> Any:
        look(*arguments)
        return real(self, *arguments)

    setattr(kind, name, wrapped)


def _after(kind: Any, name: str, look: Callable[[Any], object]) -> None:
    real = getattr(kind, name)

    def wrapped(self: Any, *arguments: Any) -> Any:
        result = real(self, *arguments)
        look(result)
        return result

    setattr(kind, name, wrapped)


def _taken(kind: Any, look: Callable[[bytes], object]) -> None:
    real = kind.__init__

    def wrapped(self: Any, end: Any, take: Callable[[bytes], None], gone: Any) -> None:
        def took(packet: bytes) -> None:
            look(packet)
            take(packet)

        real(self, end, took, gone)

    kind.__init__ = wrapped
