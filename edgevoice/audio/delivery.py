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

KEEP_MS = 10_000  # never is more held than so much, whatever is weighed: 480 kB for a far side at 24 kHz


class Delivery:
    """The way out of the microphone's samples (`rate` Hz). What is held is at the far side's rate already.

    So the period in which the uplink opens costs no more than any other.
    """

    def __init__(self, rate: int, *, pre_roll_ms: int) -> None:
        self._rate = rate
        self._pre_roll_ms = pre_roll_ms
        self._held: deque[Samples] = deque()
        self._held_samples = 0
        self.join(rate)

    @property
    def hears(self) -> bool:
        """What is said now reaches the far side, or may do so later."""
        return self.uplink in (Uplink.HELD, Uplink.OPEN)

    def join(self, rate: int) -> None:
        """Begin a call whose far side listens at `rate` Hz; the uplink is OFF until it is told."""
        self.uplink = Uplink.OFF
        self._to_far = Resampler(self._rate, rate)
        self._pre_roll, self._most = (ms * rate // 1000 for ms in (self._pre_roll_ms, KEEP_MS))
        self._forget()

    def listen(self, uplink: Uplink) -> list[Audio]:
        """Change the uplink; return what was held, if it may leave now."""
        leaves = _audio(*self._held) if uplink is Uplink.OPEN else []
        self._forget()
        if uplink is not Uplink.OPEN:
            self._to_far.reset()  # it holds back a millisecond of what was heard
        self.uplink = uplink
        return leaves

    def take(self, heard: Samples, *, keep: bool) -> list[Audio]:
        """Take what was heard (n,); return what leaves. `keep`: nothing that is held is too old."""
        if self.uplink is Uplink.OFF:
            return []
        pcm = self._to_far.process(np.zeros_like(heard) if self.uplink is Uplink.SILENT else heard)
        if self.uplink is not Uplink.HELD:
            return _audio(pcm)
        self._held.append(pcm)
        self._held_samples += len(pcm)
        limit = self._most if keep else self._pre_roll
        while self._held and self._held_samples - len(self._held[0]) >= limit:
            self._held_samples -= len(self._held.popleft())
        return []

    def shut(self) -> None:
        """Let nothing of what was heard so far come out later."""
        self._forget()
        self._to_far.reset()

    def _forget(self) -> None:
        self._held.clear()
        self._held_samples = 0


def _audio(*pieces: Samples) -> list[Audio]:
    pcm = b"".join(to_bytes(piece) for piece in pieces)
    return [Audio(pcm)] if pcm else []
