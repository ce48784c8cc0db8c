"""A person's voice on its way from a network to the loudspeaker: it waits just so long that it can be played evenly.

    put ──> │ waits: START_MS at the least when it begins │ ──> take, a piece at a time

Rules
* A network brings sound in jerks. What came first waits for START_MS of more. When nothing is left, the voice is filled
  in until AGAIN_MS wait, or it has faded: then it begins anew. Where it is known that no more comes (`pause`), what is
  there is played: a short word does not wait for the next one.
* Sound that waits longer than it must makes people talk over each other. While more than SPARE_MS wait, quiet pieces
  are left out; that also makes up for a far clock that is faster than ours. More than MOST_MS never wait.
* An even network needs less. What has waited beyond SCARCE_MS at every moment of the last EVEN_S is left out, too, in
  quiet pieces; after each time that nothing was left, of twice that time.
* Where the far clock is slower, ever less would wait, until a word is broken. While less than SCARCE_MS wait, a quiet
  piece is played twice.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.filling import FADE_MS, KEPT_MS, Filling, cross_fade

Samples = NDArray[np.int16]

PIECE_MS = 5  # how finely it is known how much waits, and how coarse a step makes it less
START_MS = 60  # two packets of a phone network, and what the way through the internet adds on most days
AGAIN_MS = 40  # a packet more than the next one brings: what held it up may do so again
SCARCE_MS = 10  # one piece is left when a packet comes: one less, and there is nothing between it and a gap
EVEN_S, LONGEST_EVEN_S = 2.0, 64.0
SPARE_MS = 100  # above this a pause is made shorter
MOST_MS = 300  # a network that was away for a moment: what is older is no conversation any more
QUIET = 10 ** (-50 / 10) * 32768.0**2  # power of a piece that nobody misses


class Live:
    """One voice, in samples at `rate` Hz."""

    def __init__(self, rate: int) -> None:
        self.left_out_ms = 0
        self.filled_ms = 0
        self._rate = rate
        self._piece = rate * PIECE_MS // 1000
        self._pieces: deque[Samples] = deque()
        self._rest = np.zeros(0, np.int16)
        self._past = deque([np.zeros(self._piece, np.int16)] * (KEPT_MS // PIECE_MS + 1), KEPT_MS // PIECE_MS + 1)
        self._flows = False
        self._pauses = False  # and nothing is missing
        self._filling: Filling | None = None
        self._twice = False  # the first piece has been played, and is again
        self._least = MOST_MS  # that has waited, in the last `_looked` pieces
        self._looked = 0
        self._even_s = EVEN_S
        self._to_spare_ms = 0  # of quiet pieces that can be left out

    @property
    def waiting_ms(self) -> int:
        return len(self._pieces) * PIECE_MS

    @property
    def flows(self) -> bool:
        """There is something to play now."""
        return self._flows

    def put(self, pcm: bytes) -> None:
        """Take what has come."""
        x = np.concatenate((self._rest, np.frombuffer(pcm, "<i2")))
        whole = len(x) // self._piece * self._piece
        self._pieces.extend(x[start : start + self._piece] for start in range(0, whole, self._piece))
        self._rest = x[whole:]
        self._pauses = False
        if self.waiting_ms > MOST_MS:
            while self.waiting_ms > START_MS:
                self._leave_out()
        self._flows = self._flows or self.waiting_ms >= START_MS

    def pause(self) -> None:
        """Take that nothing more comes for now."""
        self._pauses = True
        self._filling = None
        self._flows = bool(self._pieces)

    def take(self) -> Samples:
        """Return the next piece; only while it `flows`."""
        piece = self._play() if self._filling is None else self._fill(self._filling)
        self._past.append(piece)
        return piece

    def _play(self) -> Samples:
        self._twice = self.waiting_ms < SCARCE_MS and not self._twice and _power(self._pieces[0]) < QUIET
        if self._twice:
            return self._pieces[0]
        self._look()
        spare = self._to_spare_ms > 0 and self.waiting_ms > SCARCE_MS + PIECE_MS
        if (spare or self.waiting_ms > SPARE_MS) and _power(self._pieces[0]) < QUIET:
            self._leave_out()
            self._to_spare_ms -= PIECE_MS
        piece = self._pieces.popleft()
        if not self._pieces:
            self._run_dry(piece)
        return piece

    def _look(self) -> None:
        """See whether less would do."""
        self._least = min(self._least, self.waiting_ms)
        self._looked += 1
        if self._looked * PIECE_MS >= self._even_s * 1000:
            self._to_spare_ms = self._least - SCARCE_MS
            self._least, self._looked = MOST_MS, 0

    def _run_dry(self, last: Samples) -> None:
        """Go on without anything that was said, unless it is a pause."""
        self._flows = not self._pauses
        if self._flows:
            self._even_s = min(LONGEST_EVEN_S, 2 * self._even_s)
            self._least, self._looked, self._to_spare_ms = MOST_MS, 0, 0
            self._filling = Filling(np.concatenate((*self._past, last)), self._rate)

    def _fill(self, filling: Filling) -> Samples:
        """Return what is heard instead of the voice, and lead back to it when enough of it waits."""
        made = filling.take(self._piece)
        if self.waiting_ms >= AGAIN_MS:
            self._filling = None
            return cross_fade(made, self._pieces.popleft())
        self.filled_ms += PIECE_MS
        if filling.at >= self._rate * FADE_MS // 1000:
            self._filling = None
            self._flows = False
        return made

    def clear(self) -> None:
        """Forget what waits."""
        self._pieces.clear()
        self._rest = self._rest[:0]
        self._filling = None
        self._flows = False

    def _leave_out(self) -> None:
        self._pieces.popleft()
        self.left_out_ms += PIECE_MS


def _power(piece: Samples) -> float:
    x = piece.astype(np.float32)
    return float(np.dot(x, x)) / len(x)
