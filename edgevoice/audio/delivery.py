"""Which of the microphone's samples leave for the far side: each at most once, in order, without gaps.

Rules
* OPEN lets them out, and first those that were held; SILENT lets out as many zeros; HELD keeps the last `pre_roll_ms`;
  OFF keeps nothing. What was captured under OFF or SILENT never leaves.
* While a suspicion is weighed nothing of what is held is given up, so that a confirmed one has its first word.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import to_bytes
from edgevoice.audio.resample import Resampler
from edgevoice.events import Audio, Uplink

Samples = NDArray[np.int16]


KEEP_MS = 10_000  # never is more held than so much, whatever is weighed: 320 kB


class Delivery:
    """The way out of the microphone's samples (`rate` Hz)."""

    def __init__(self, rate: int, *, pre_roll_ms: int) -> None:
        self.uplink = Uplink.OFF
        self._rate = rate
        self._to_far = Resampler(rate, rate)
        self._held: deque[Samples] = deque()
        self._held_samples = 0
        self._pre_roll = pre_roll_ms * rate // 1000
        self._most = KEEP_MS * rate // 1000

    @property
    def hears(self) -> bool:
        """What is said now reaches the far side, or may do so later."""
        return self.uplink in (Uplink.HELD, Uplink.OPEN)

    def join(self, rate: int) -> None:
        """Begin a call whose far side listens at `rate` Hz; the uplink stays as it is."""
        self._to_far = Resampler(self._rate, rate)

    def listen(self, uplink: Uplink) -> list[Audio]:
        """Change the uplink; return what was held, if it may leave now."""
        held = list(self._held)
        self.forget()
        if uplink is not Uplink.OPEN:
            self._to_far.reset()  # it holds back a millisecond of what was heard
        self.uplink = uplink
        return [audio for samples in held for audio in self._out(samples)] if uplink is Uplink.OPEN else []

    def take(self, heard: Samples, *, keep: bool) -> list[Audio]:
        """Take what was heard (n,); return what leaves. `keep`: nothing that is held is too old."""
        match self.uplink:
            case Uplink.OPEN:
                return self._out(heard)
            case Uplink.SILENT:
                return self._out(np.zeros(len(heard), np.int16))
            case Uplink.HELD:
                self._held.append(heard)
                self._held_samples += len(heard)
                limit = self._most if keep else self._pre_roll
                while self._held and self._held_samples - len(self._held[0]) >= limit:
                    self._held_samples -= len(self._held.popleft())
            case Uplink.OFF:
                pass
        return []

    def shut(self) -> None:
        """Let nothing of what was heard so far come out later."""
        self.forget()
        self._to_far.reset()

    def forget(self) -> None:
        """Give up what is held."""
        self._held.clear()
        self._held_samples = 0

    def _out(self, heard: Samples) -> list[Audio]:
        pcm = self._to_far.process(heard)
        return [Audio(to_bytes(pcm))] if len(pcm) else []
