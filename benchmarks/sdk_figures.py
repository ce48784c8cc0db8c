"""What an audio interface adds, read off the card's recordings and what came of the microphone, when.

Nothing of the program is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.recording import Recording
from benchmarks.sip_figures import burst_delays

Samples = NDArray[np.int16]


def to_loudspeaker(recording: Recording) -> list[float]:
    """Return after how many ms each sound that was handed over at a cut's moment leaves the loudspeaker."""
    found = []
    for cut in recording.cuts:
        sounding = np.flatnonzero(recording.speaker[cut.at :])
        if len(sounding):
            found.append(round(float(sounding[0]) * 1000 / recording.rate, 1))
    return found


def from_microphone(said_at: Sequence[float], heard: Path) -> list[float]:
    """Return after how many ms the chunk comes in which each burst begins; `heard` has a line for each chunk."""
    lines = [line.split() for line in heard.read_text().splitlines()]
    return burst_delays(said_at, [(float(at), np.array([int(peak)])) for at, peak in lines])
