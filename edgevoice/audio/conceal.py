"""A person's voice that comes over a network which loses some of it: what is missing is filled in, and time is kept.

    what came, and when ──> take ──> as much sound as time has passed

Rules
* Something is missing when sound is still behind time by most of a packet after more of it has come, or when nothing
  has come for LATE_MS. The last period of the voice is repeated then, and fades to silence; both ends are cross-faded.
  After that there is silence for as long as nothing comes: who listens goes by the sound that comes to know the time.
* What comes after all, though it was filled in, is left out: the delay never grows.
* The far clock differs from ours. A quiet piece is repeated or left out when that adds up to SLIP_MS; any piece, with
  a cross-fade, when there has been none until it was MOST_MS.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.filling import KEPT_MS, Filling, cross_fade

Samples = NDArray[np.int16]

PACKET_MS = 20  # until sound has come and told
MISSING = 0.75  # of a packet, behind time: who reads looks every 10 ms, so half a packet is nothing
LATE_MS = 50  # two packets, and one look: one lost packet is known when the next one comes
ANEW_S = 1.0  # away for longer, both begin again: time that nobody has waited for is not made up
RESENT_S = 1.0  # what comes later than that is no part of what was filled in
JOIN_MS = 4  # cross-fade: shorter ones click
SLIP_MS, MOST_MS = 5, 25
LATELY_S = 2.0  # the earliest packet of that time tells how late sound is: the others were held up
QUIET = 10 ** (-50 / 10) * 32768.0**2  # power of a piece that nobody misses


class Concealer:
    """One voice, in samples at `rate` Hz. `lossy`: a network may have lost some of it; else only time is kept."""

    def __init__(self, rate: int, *, lossy: bool = True) -> None:
        self.rate = rate
        self.filled_ms = 0.0  # while sound was missing
        self.left_out_ms = 0.0
        self._lossy = lossy
        self._join = rate * JOIN_MS // 1000
        self._slip = rate * SLIP_MS // 1000
        self._packet = rate * PACKET_MS // 1000
        self._past = np.zeros(rate * KEPT_MS // 1000, np.int16)
        self._began: float | None = None  # when the first sample would have come, had it come alone
        self._at = 0.0  # when `take` was called last
        self._given = 0  # samples since then
        self._behind: deque[tuple[float, int]] = deque()  # how many samples sound was behind time, lately: lows only
        self._usual = 0  # the lowest of them
        self._owed = 0  # samples that were filled in, and may come after all
        self._owed_until = 0.0
        self._filling: Filling | None = None

    def take(self, pcm: Samples, at: float) -> Samples:
        """Return what is to be heard next. `pcm` (n,) came at `at`; n is 0 where nothing has come."""
        if self._began is None or at - self._at > ANEW_S:
            if not len(pcm):
                return pcm
            self._began = self._begin(at - len(pcm) / self.rate)
        self._at = at
        behind = round((at - self._began) * self.rate) - self._given
        if len(pcm):
            given = self._go_on(pcm, behind - len(pcm), at)
        else:
            given = self._fill(behind - self._usual - self.rate * LATE_MS // 1000, at)
        self._remember(given)
        return given

    def _begin(self, at: float) -> float:
        self._given = self._usual = self._owed = 0
        self._behind.clear()
        return at

    def _remember(self, given: Samples) -> None:
        self._given += len(given)
        self._past = np.concatenate((self._past, given))[-len(self._past) :]

    # ----------------------------------------------------------------------------------------- what is missing

    def _go_on(self, pcm: Samples, behind: int, at: float) -> Samples:
        """Go on with what has come; it leaves us `behind` time by so many samples."""
        excess = behind - self._usual
        before = self._fill(self._missing(excess), at)
        behind -= len(before)
        self._packet = min(self._packet, len(pcm))
        if not len(before) and excess <= -self._join and self._owes(at):
            late = min(self._owed, -excess, len(pcm))
            pcm = self._leave_out(pcm, late)
            behind += late
            self._owed -= late
        self._learn(behind, at)
        return np.concatenate((before, self._keep_time(self._joined(pcm))))

    def _missing(self, excess: int) -> int:
        """Return how many samples are to be filled in before what has come: lost packets are lost as a whole."""
        filled = self._filling.at if self._filling else 0
        packets = int((excess + filled) / self._packet + 1 - MISSING)
        return packets * self._packet - filled

    def _owes(self, at: float) -> bool:
        if at > self._owed_until:
            self._owed = 0
        return self._owed > 0

    def _fill(self, samples: int, at: float) -> Samples:
        """Go on without anything having come."""
        if samples <= 0 or not self._lossy:
            return self._past[:0]
        if self._filling is None:
            self._filling = Filling(self._past, self.rate)
        self._owed = self._owed * self._owes(at) + samples
        self._owed_until = at + RESENT_S
        self.filled_ms += samples * 1000 / self.rate
        return self._filling.take(samples)

    def _leave_out(self, pcm: Samples, samples: int) -> Samples:
        """Return the rest; what was heard last leads to it as if there had been a gap."""
        if self._filling is None:
            self._filling = Filling(self._past, self.rate)
        self.left_out_ms += samples * 1000 / self.rate
        return pcm[samples:]

    def _joined(self, pcm: Samples) -> Samples:
        """Lead from what was filled in to what has come."""
        if self._filling is None or not len(pcm):
            return pcm
        filling, self._filling = self._filling, None
        return cross_fade(filling.take(min(self._join, len(pcm))), pcm)

    # ------------------------------------------------------------------------------------------- the far clock

    def _learn(self, behind: int, at: float) -> None:
        """Take how late sound is."""
        while self._behind and self._behind[-1][1] >= behind:
            self._behind.pop()
        self._behind.append((at, behind))
        while self._behind[0][0] < at - LATELY_S:
            self._behind.popleft()
        self._usual = self._behind[0][1]

    def _keep_time(self, pcm: Samples) -> Samples:
        """Give or take a little where our time and the far one have come apart."""
        apart, slip, join = self._usual, self._slip, self._join
        if abs(apart) < slip or len(pcm) < slip + join:
            return pcm
        if _power(pcm) >= QUIET and abs(apart) < self.rate * MOST_MS // 1000:
            return pcm
        if apart > 0:
            kept = np.concatenate((pcm[:slip], cross_fade(pcm[slip : slip + join], pcm)))
        else:
            kept = cross_fade(pcm[:join], pcm[slip:])
            self.left_out_ms += SLIP_MS
        moved = len(kept) - len(pcm)
        self._behind = deque((at, samples - moved) for at, samples in self._behind)
        self._usual -= moved
        return kept


def _power(pcm: Samples) -> float:
    x = pcm.astype(np.float32)
    return float(np.dot(x, x)) / len(x)
