"""What the audio loop is given: a sound card, and somebody who hears whether a person speaks."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class Card(Protocol):
    """A sound card as `cycle` sees it: mono frames, both directions at one rate."""

    @property
    def rate(self) -> int:
        """Hz."""

    @property
    def ahead(self) -> int:
        """Frames to keep written ahead of the loudspeaker."""

    @property
    def restarts(self) -> int:
        """How often either direction has started: after opening, a drop or an xrun."""

    def read(self) -> Samples:
        """Wait for one captured period (n,). Raises DeviceError when the card is gone."""

    def queued(self) -> int:
        """Count the frames written that have not been played."""

    def position(self) -> float | None:
        """Count the frames played, of all written and not dropped, when the last frame read was captured."""

    def drop(self) -> int:
        """Fall silent at once; return what `queued` was immediately before."""

    def write(self, pcm: Samples) -> None:
        """Append frames; there is room for them, it does not wait."""


class Evidence(Protocol):
    """Of a suspicion: whether it is somebody who talks over us."""

    @property
    def evident(self) -> bool:
        """Since the suspicion began there has been enough voice to interrupt."""

    @property
    def harmless(self) -> bool:
        """It is clear by now that nobody speaks: the suspicion may be taken back."""

    def relax(self) -> None:
        """The suspicion is over, either way."""

    def witness(self) -> None:
        """Somebody else heard a voice in it, too: less evidence will do."""


class Detector(Protocol):
    """What tells whether somebody speaks, and whether over us."""

    @property
    def evidence(self) -> Evidence:
        """What comes of a suspicion; always the same one."""

    @property
    def speaking(self) -> bool:
        """Somebody speaks; a short pause does not end it."""

    @property
    def hint(self) -> bool:
        """Right now something begins that may be a voice over what the loudspeaker plays."""

    @property
    def level_dbfs(self) -> float:
        """How loud the microphone is."""

    def suspect(self) -> None:
        """The loudspeaker has fallen silent because of the hint: weigh what comes."""

    def forget(self) -> None:
        """There is a gap now: what was heard so far says nothing about what comes."""


class CardDetector(Detector, Protocol):
    """The same at a microphone that hears its own loudspeaker."""

    @property
    def unspoilt(self) -> bool:
        """What was captured is somebody's voice, with hardly an echo in it: it need not be cleaned."""

    def hear(self, cleaned: Samples, captured: Samples, played: Samples, /) -> None:
        """Take the next 10 ms at 16 kHz, each (160,): after and before echo cancellation, and what was played then."""


class LineDetector(Detector, Protocol):
    """The same on a phone line, which has no echo."""

    def hear(self, pcm: Samples, /) -> None:
        """Take the next 10 or 20 ms at 8 kHz, (80,) or (160,)."""
