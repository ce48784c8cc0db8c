"""A person's voice that comes over a network which loses some of it: what is missing is filled in, and time is kept.

    what came, and when ──> take ──> as much sound as time has passed

Rules
* Something is missing when sound is still behind time by most of a packet after more of it has come, or when nothing
  has come for LATE_MS. The last period of the voice is repeated then, and fades to silence; both ends are cross-faded.
  After that there is silence for as long as nothing comes: who listens goes by the sound that comes to know the time.
* What comes after all, though it was filled in, is left out: the delay never grows.
* The far clock differs from ours. A quiet piece is repeated or left out when that adds up to SLIP_MS; any piece, with
  a cross-fade, when there has been none until it was MOST_MS.

Source: ITU-T G.711 Appendix I, which repeats the last pitch period likewise and falls silent within 60 ms, too.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
_Doubles = NDArray[np.float64]

PACKET_MS = 20  # until sound has come and told
MISSING = 0.75  # of a packet, behind time: who reads looks every 10 ms, so half a packet is nothing
LATE_MS = 50  # two packets, and one look: one lost packet is known when the next one comes
ANEW_S = 1.0  # away for longer, both begin again: time that nobody has waited for is not made up
RESENT_S = 1.0  # what comes later than that is no part of what was filled in
KEPT_MS = 48  # of the past: the longest period, and two of them to find it in
SHORTEST_MS, LONGEST_MS = 5, 15  # of a voice's period: 66 to 200 Hz; a higher voice is repeated two periods at a time
WINDOW_MS = 20
WHOLE_MS, FADE_MS = 10, 60  # of a filling: as loud as before, and until it is silent
JOIN_MS = 4  # cross-fade: shorter ones click
SLIP_MS, MOST_MS = 5, 25
LATELY_S = 2.0  # the earliest packet of that time tells how late sound is: the others were held up
QUIET = 10 ** (-50 / 10) * 32768.0**2  # power of a piece that nobody misses
SEARCH_RATE = 8_000  # at which the period is looked for: enough for a pitch, and the same work for every codec


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
        self._filling: _Filling | None = None

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
            self._filling = _Filling(self._past, self.rate)
        self._owed = self._owed * self._owes(at) + samples
        self._owed_until = at + RESENT_S
        self.filled_ms += samples * 1000 / self.rate
        return self._filling.take(samples)

    def _leave_out(self, pcm: Samples, samples: int) -> Samples:
        """Return the rest; what was heard last leads to it as if there had been a gap."""
        if self._filling is None:
            self._filling = _Filling(self._past, self.rate)
        self.left_out_ms += samples * 1000 / self.rate
        return pcm[samples:]

    def _joined(self, pcm: Samples) -> Samples:
        """Lead from what was filled in to what has come."""
        if self._filling is None or not len(pcm):
            return pcm
        filling, self._filling = self._filling, None
        return _cross_fade(filling.take(min(self._join, len(pcm))), pcm)

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
            kept = np.concatenate((pcm[:slip], _cross_fade(pcm[slip : slip + join], pcm)))
        else:
            kept = _cross_fade(pcm[:join], pcm[slip:])
            self.left_out_ms += SLIP_MS
        moved = len(kept) - len(pcm)
        self._behind = deque((at, samples - moved) for at, samples in self._behind)
        self._usual -= moved
        return kept


class _Filling:
    """What is heard while nothing comes: the last period of `past`, again and again, fading."""

    def __init__(self, past: Samples, rate: int) -> None:
        x = past.astype(np.float64)
        lag = _period(x, rate)
        join = lag // 4
        rises = np.arange(1, join + 1) / join
        self._period = x[-lag:].copy()
        self._period[-join:] += (x[-lag - join : -lag] - self._period[-join:]) * rises  # its end leads to its beginning
        self._bend = (x[-1] - x[-lag - 1]) * (1 - rises)  # and the past leads to it
        self._whole, self._fade = rate * WHOLE_MS // 1000, rate * FADE_MS // 1000
        self.at = 0  # how many samples were taken

    def take(self, samples: int) -> Samples:
        """Return the next `samples` (n,)."""
        if self.at >= self._fade:
            return np.zeros(samples, np.int16)
        index = np.arange(self.at, self.at + samples)
        self.at += samples
        made = self._period[index % len(self._period)]
        bent = index < len(self._bend)
        made[bent] += self._bend[index[bent]]
        made *= np.clip((self._fade - index) / (self._fade - self._whole), 0.0, 1.0)
        return np.clip(np.rint(made), -32768, 32767).astype(np.int16)


def _period(x: _Doubles, rate: int) -> int:
    """Return after how many samples the end of `x` is most like itself."""
    step = rate // SEARCH_RATE
    coarse = x[::-step][::-1]
    window, shortest, longest = (SEARCH_RATE * ms // 1000 for ms in (WINDOW_MS, SHORTEST_MS, LONGEST_MS))
    end = coarse[-window:]
    earlier = coarse[-window - longest : -shortest]
    products = np.correlate(earlier, end, "valid")  # the first is for the longest lag
    sums = np.concatenate(([0.0], np.cumsum(earlier**2)))
    energies = sums[window:] - sums[:-window]
    best = int(np.argmax(products / np.sqrt(energies + 1.0)))
    return (longest - best) * step


def _cross_fade(old: Samples, new: Samples) -> Samples:
    """Return `new`, whose beginning comes up while `old` goes."""
    rises = (np.arange(len(old)) + 1) / (len(old) + 1)
    mixed = old * (1 - rises) + new[: len(old)] * rises
    return np.concatenate((np.rint(mixed).astype(np.int16), new[len(old) :]))


def _power(pcm: Samples) -> float:
    x = pcm.astype(np.float32)
    return float(np.dot(x, x)) / len(x)
