"""What the microphone hears at 16 kHz, less what the loudspeaker plays.

    captured ── resample ──┐                                    ┌── cleaned
    reference ─ resample ──┴─ whole blocks of 10 ms ── canceller ┤
                                                                └── both as they came, for who must compare

Rules
* Both ways are resampled alike, so the reference stays where it was beside the microphone, whatever the card's rate.
* A canceller takes whole blocks only. One that fails is a fault that is counted, and its block is silence: an echo must
  never leave as if a person had spoken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.echo import Canceller
from edgevoice.audio.resample import Resampler

Samples = NDArray[np.int16]

RATE = 16_000  # Hz: what speech detection and echo cancellation work at
BLOCK = 160  # 10 ms: what cancellers take


class Block(NamedTuple):
    """10 ms, each (160,): the microphone after and before cancellation, and the loudspeaker beside it."""

    cleaned: Samples
    captured: Samples
    played: Samples


class Hearing:
    """One microphone and its loudspeaker, both at the card's `rate`."""

    def __init__(self, rate: int, canceller: Canceller) -> None:
        self.canceller = canceller
        self.faults = 0
        self._captured = Resampler(rate, RATE)
        self._played = Resampler(rate, RATE)
        self._captured_rest = self._played_rest = np.zeros(0, np.int16)

    def hear(self, captured: Samples, played: Samples) -> list[Block]:
        """Take what was captured and, beside it, what was played (n, n); return the blocks that are whole by now."""
        microphone = self._captured.process(captured)
        loudspeaker = self._played.process(played)
        if len(microphone) == BLOCK and not len(self._captured_rest):
            return [self._clean(microphone, loudspeaker)]
        microphone = np.concatenate((self._captured_rest, microphone))
        loudspeaker = np.concatenate((self._played_rest, loudspeaker))
        whole = len(microphone) // BLOCK * BLOCK
        self._captured_rest, self._played_rest = microphone[whole:], loudspeaker[whole:]
        return [
            self._clean(microphone[start : start + BLOCK], loudspeaker[start : start + BLOCK])
            for start in range(0, whole, BLOCK)
        ]

    def _clean(self, captured: Samples, played: Samples) -> Block:
        try:
            cleaned = self.canceller.process(played, captured)
        except (RuntimeError, ValueError):
            self.faults += 1
            cleaned = np.zeros(BLOCK, np.int16)
        return Block(cleaned, captured, played)
