"""A person's voice on its way from a network to the loudspeaker: it waits just so long that it can be played evenly.

    put ──> │ waits: START_MS at the least when it begins │ ──> take, a piece at a time

Rules
* A network brings sound in jerks. What came first waits for START_MS of more; when nothing is left, that begins anew.
  Where it is known that no more comes (`pause`), what is there is played: a short word does not wait for the next one.
* Sound that waits longer than it must makes people talk over each other. While more than SPARE_MS wait, quiet pieces
  are left out; that also makes up for a far clock that is faster than ours. More than MOST_MS never wait.
* An even network needs less. When more than SCARCE_MS have waited at any moment of the last EVEN_S, a quiet piece is
  left out, too; after each time that nothing was left, of twice that time.
* Where the far clock is slower, ever less would wait, until a word is broken. While less than SCARCE_MS wait, a quiet
  piece is played twice.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

PIECE_MS = 10
START_MS = 60  # two packets of a phone network, and what the way through the internet adds on most days
SCARCE_MS = 30  # two pieces are left when a packet comes: one less, and there is nothing between it and a gap
EVEN_S, LONGEST_EVEN_S = 2.0, 64.0
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
        self._twice = False  # the first piece has been played, and is again
        self._least = MOST_MS  # that has waited, in the last `_looked` pieces
        self._looked = 0
        self._even_s = EVEN_S
        self._to_spare = False  # a quiet piece can be left out
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
        self._twice = self.waiting_ms < SCARCE_MS and not self._twice and _power(self._pieces[0]) < QUIET
        if self._twice:
            return self._pieces[0]
        self._look()
        if (self.waiting_ms > SPARE_MS or self._spared) and _power(self._pieces[0]) < QUIET:
            self._leave_out()
            self._to_spare = False
        piece = self._pieces.popleft()
        self._flows = bool(self._pieces)
        if not self._flows:
            self._even_s = min(LONGEST_EVEN_S, 2 * self._even_s)
        return piece

    @property
    def _spared(self) -> bool:
        return self._to_spare and self.waiting_ms > SCARCE_MS + PIECE_MS

    def _look(self) -> None:
        """See whether less would do."""
        self._least = min(self._least, self.waiting_ms)
        self._looked += 1
        if self._looked * PIECE_MS >= self._even_s * 1000:
            self._to_spare = self._least > SCARCE_MS
            self._least, self._looked = MOST_MS, 0

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
