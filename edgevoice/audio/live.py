"""A person's voice on its way from a network to the loudspeaker: it waits just so long that it can be played evenly.

    put ──> │ waits: START_MS at the least when it begins │ ──> take, a piece at a time

Rules
* A network brings sound in jerks. What came first waits for START_MS of more; when nothing is left, that begins anew.
  Where it is known that no more comes (`pause`), what is there is played: a short word does not wait for the next one.
* Sound that waits longer than it must makes people talk over each other. While more than SPARE_MS wait, quiet pieces
  are left out; that also makes up for a far clock that is faster than ours. More than MOST_MS never wait.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

PIECE_MS = 10
START_MS = 60  # two packets of a phone network, and what the way through the internet adds on most days
SPARE_MS = 100  # above this a pause is made shorter
MOST_MS = 300  # a network that was away for a moment: what is older is no conversation any more
QUIET = 10 ** (-50 / 10) * 32768.0**2  # power of a piece that nobody misses


class Live:
    """One voice, in samples at `rate` Hz."""

    def __init__(self, rate: int) -> None:
        self._piece = rate * PIECE_MS // 1000
        self._pieces: deque[Samples] = deque()
        self._rest = np.zeros(0, np.int16)
        self._flows = False
        self.left_out_ms = 0

    @property
    def waiting_ms(self) -> int:
        return len(self._pieces) * PIECE_MS

    @property
    def flows(self) -> bool:
        """There is something to play now."""
        return self._flows and bool(self._pieces)

    def put(self, pcm: bytes) -> None:
        """Take what has come."""
        x = np.concatenate((self._rest, np.frombuffer(pcm, "<i2")))
        whole = len(x) // self._piece * self._piece
        self._pieces.extend(x[start : start + self._piece] for start in range(0, whole, self._piece))
        self._rest = x[whole:]
        if self.waiting_ms > MOST_MS:
            while self.waiting_ms > START_MS:
                self._leave_out()
        self._flows = self._flows or self.waiting_ms >= START_MS

    def pause(self) -> None:
        """Take that nothing more comes for now."""
        self._flows = bool(self._pieces)

    def take(self) -> Samples:
        """Return the next piece; only while it `flows`."""
        if self.waiting_ms > SPARE_MS and _power(self._pieces[0]) < QUIET:
            self._leave_out()
        piece = self._pieces.popleft()
        self._flows = bool(self._pieces)
        return piece

    def clear(self) -> None:
        """Forget what waits."""
        self._pieces.clear()
        self._rest = self._rest[:0]
        self._flows = False

    def _leave_out(self) -> None:
        self._pieces.popleft()
        self.left_out_ms += PIECE_MS


def _power(piece: Samples) -> float:
    x = piece.astype(np.float32)
    return float(np.dot(x, x)) / len(x)
