"""What the microphone hears at 16 kHz, less what the loudspeaker plays.

    captured ── resample ──┐                                    ┌── cleaned
    reference ─ resample ──┴─ whole blocks of 10 ms ── canceller ┤
                                                                └── both as they came, for who must compare
    leaves: cleaned, or as captured and as late as if it were cleaned

Rules
* Both ways are resampled alike, so the reference stays where it was beside the microphone, whatever the card's rate.
* A canceller takes whole blocks only. One that fails is a fault that is counted, and its block is silence: an echo must
  never leave as if a person had spoken.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.echo import Canceller
from edgevoice.audio.resample import Resampler

Samples = NDArray[np.int16]

RATE = 16_000  # Hz: what speech detection and echo cancellation work at
BLOCK = 160  # 10 ms: what cancellers take
LATEST = 3  # blocks: a canceller may be two late
OFFSET_EVERY, OFFSET_FOLLOWS = 10, 0.1  # blocks, of each: 1 s; what a microphone adds is no sound, and would be a step
_FADE = np.sin(np.pi / 2 * (np.arange(BLOCK) + 0.5) / BLOCK) ** 2


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
        self._lately = deque([np.zeros(BLOCK, np.int16)] * LATEST, maxlen=LATEST)  # as captured
        self._offset = 0.0
        self._blocks = 0
        self._plain = False

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

    def leaves(self, block: Block, *, plain: bool) -> Samples:
        """Return what may leave of this block (160,): cleaned or, if `plain`, as captured; one fades into the other."""
        self._lately.append(block.captured)
        self._blocks += 1
        if self._blocks % OFFSET_EVERY == 0:
            self._offset += OFFSET_FOLLOWS * (float(block.captured.mean()) - self._offset)
        was_plain, self._plain = self._plain, plain
        if not plain and not was_plain:
            return block.cleaned
        lately = np.concatenate(self._lately)
        end = len(lately) - self.canceller.late
        share = np.full(BLOCK, 1.0) if was_plain and plain else _FADE if plain else 1 - _FADE
        mixed = share * (lately[end - BLOCK : end] - self._offset) + (1 - share) * block.cleaned
        leaves: Samples = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
        return leaves

    def _clean(self, captured: Samples, played: Samples) -> Block:
        try:
            cleaned = self.canceller.process(played, captured)
        except (RuntimeError, ValueError):
            self.faults += 1
            cleaned = np.zeros(BLOCK, np.int16)
        return Block(cleaned, captured, played)
