"""How far apart two clocks run: the loudspeaker's and the microphone's, from positions that jitter.

One crystal usually clocks both directions of a card. Those of a USB microphone and a HAT differ by up to 100 ppm, a
frame every 200 ms. Then what was played runs away from what was captured, and the distance between the two counts, the
lead, becomes a slope:

    lead |              o   o         each run of the loudspeaker begins at a height of its own;
         |    o o         o           all runs have one slope
         |  o                  o o o
         +--------------------------> captured

Rules
* Least squares within the runs, one slope for all of them; a run of ten minutes is cut, and the old fades.
* A position may be wrong by what the driver moves at once, a millisecond or ten, and wrong for long: a coarse pointer
  stands still and then jumps. A single jump, fitted by a slope, rises by 6 times the scatter about it, however large it
  is. So a slope is believed only when it rises by `CERTAIN` times the scatter.
* What cannot be believed is 0: a card of one clock must not be "corrected" by its jitter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CERTAIN = 8.0  # times the scatter: a third more than a single jump; noise alone reaches it once in a million openings
DOUBTFUL = 4.0  # a slope that was believed is given up only here: no switching to and fro
POINTS = 16  # with fewer the scatter itself is a guess
LEAST_RISE_S = 1 / 3000  # what matters at all to a canceller: 5 samples at 16 kHz
RUN_S = 600.0
STRAY_MS = 5.0  # no driver's jitter, unless its positions scatter by a sixth of that
EARLY_STRAY_MS = 20.0  # while it is not known how they scatter
STRAY_SCATTERS = 6.0
SCATTER_MS = 10.0  # RMS; an echo that may be anywhere within 40 ms is not found again after each start
WILD_PPM = 500.0  # crystals are within 100: this is a rate that is not what the card says


@dataclass(slots=True)
class _Sums:
    """Moments about the mean, of one run (`runs` is 1) or added up over many."""

    points: float = 0.0
    runs: float = 0.0
    at_s: float = 0.0  # mean
    lead: float = 0.0  # mean
    at_at: float = 0.0
    at_lead: float = 0.0
    lead_lead: float = 0.0

    def add(self, at_s: float, lead: float) -> None:
        self.points += 1
        self.runs = 1.0
        off_s, off = at_s - self.at_s, lead - self.lead
        self.at_s += off_s / self.points
        self.lead += off / self.points
        self.at_at += off_s * (at_s - self.at_s)
        self.at_lead += off_s * (lead - self.lead)
        self.lead_lead += off * (lead - self.lead)

    def with_run(self, run: _Sums) -> _Sums:
        return _Sums(
            points=self.points + run.points,
            runs=self.runs + run.runs,
            at_at=self.at_at + run.at_at,
            at_lead=self.at_lead + run.at_lead,
            lead_lead=self.lead_lead + run.lead_lead,
        )

    def faded(self) -> _Sums:
        return _Sums(
            points=self.points / 2,
            runs=self.runs / 2,
            at_at=self.at_at / 2,
            at_lead=self.at_lead / 2,
            lead_lead=self.lead_lead / 2,
        )


class Drift:
    """What is known of two clocks. A lead is in frames: played less captured, plus whatever is constant in a run."""

    def __init__(self, rate: int) -> None:
        self.established = False
        self.points = 0  # seen in all
        self.scatter = 0.0  # frames, RMS about the slope
        self._rate = rate
        self._slope = 0.0  # frames per second, believed or not
        self._past = _Sums()
        self._run = _Sums()
        self._began_s = 0.0

    @property
    def ppm(self) -> float:
        """How much faster the loudspeaker's clock is; 0 until it is established."""
        return self._slope / self._rate * 1e6 if self.established else 0.0

    @property
    def trouble(self) -> str:
        """Say why one cannot be brought to the pace of the other, or ""."""
        scatter_ms = self.scatter / self._rate * 1000
        if abs(self.ppm) > WILD_PPM:
            return f"loudspeaker and microphone run {self.ppm:+.0f} ppm apart, expected at most {WILD_PPM:.0f}"
        if self.points > POINTS and scatter_ms > SCATTER_MS:
            return f"the card's positions scatter by {scatter_ms:.0f} ms, expected at most {SCATTER_MS:.0f}"
        return ""

    def begin(self) -> None:
        """Begin a run: leads from now on cannot be compared with those before."""
        if self._run.points > 1:
            self._past = self._past.with_run(self._run)
            if self._past.points > RUN_S:
                self._past = self._past.faded()
        self._run = _Sums()

    def strays(self, captured: int, lead: float) -> bool:
        """Tell whether `lead` is none that jitter explains: frames were lost, or it is nonsense."""
        run = self._run
        if run.points < 2:
            return False
        expected = run.lead + self._slope * (captured / self._rate - run.at_s)
        least_ms = STRAY_MS if self.points > POINTS else EARLY_STRAY_MS
        return abs(lead - expected) > max(least_ms * self._rate / 1000, STRAY_SCATTERS * self.scatter)

    def observe(self, captured: int, lead: float) -> None:
        """Take one lead, seen when `captured` frames had been captured; one a second is meant."""
        at_s = captured / self._rate
        if self._run.points and at_s - self._began_s > RUN_S:
            self.begin()
        if not self._run.points:
            self._began_s = at_s
        self._run.add(at_s, lead)
        self.points += 1
        self._estimate(self._past.with_run(self._run))

    def _estimate(self, sums: _Sums) -> None:
        if not sums.at_at:
            return
        self._slope = sums.at_lead / sums.at_at
        free = max(1.0, sums.points - sums.runs - 1)
        self.scatter = math.sqrt(max(0.0, sums.lead_lead - self._slope * sums.at_lead) / free)
        rise = abs(self._slope) * math.sqrt(12 * sums.at_at * sums.runs / sums.points)  # of a run of even points
        wanted = max(LEAST_RISE_S * self._rate, CERTAIN * self.scatter)
        if self.established:
            self.established = rise >= wanted * DOUBTFUL / CERTAIN
        else:
            self.established = rise >= wanted and sums.points - sums.runs >= POINTS - 1
