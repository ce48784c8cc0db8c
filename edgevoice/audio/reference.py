"""What left the loudspeaker beside what the microphone captured: the reference of an echo canceller.

    written    | run 1 ............|dropped|  | run 2 ................
                         |                        |
    played     ..........|. . . . (silence) . . . |..........          anchor: a position of the card, once for each run
    captured   | period | period | period | period | period |          by count: a frame played for each one captured

A run is what the loudspeaker plays from one start to the next drop or underrun. Where it begins beside the captured
frames is known from the card's position; from there on both advance by exactly the same count, because one crystal
clocks them. The position is never followed from period to period: it jitters, and the reference must not.

Rules
* Before a run's first frame and after its last there is silence. A period may hold the end of one run, a gap and the
  beginning of another.
* A start of the capture (an overrun) lets the run go on, further by the frames that were lost.
* The first positions of a run settle it together. The second lowest counts: a card whose pointer moves by periods seems
  further than it is whenever we are late to ask, and one of them may be wrong in any way.
* Two crystals (a USB microphone) show in the positions of many seconds: `drift`. Once established, the reference is
  read at that pace, between the samples if need be, and led back to the positions by `TRIM_PPM` at most.
* A position that no jitter explains, told several times alike, is frames that were lost without a word: the run goes on
  from there. What cannot be explained at all makes the reference `unusable`, in words.
* Never silent nonsense: what is not known is silence, and counted in `faults`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.drift import STRAY_MS, Drift

Samples = NDArray[np.int16]

RING_S = 2  # what a card holds (500 ms at most), twice, and what it played in a period that was read very late
LEAD_MS = 20  # a canceller finds an echo that comes so much earlier than we were told
SETTLING = 8  # positions, one a period: together three times as good as one
LOOK_S = 1.0
DOUBT_S = 0.1  # between two looks when something is wrong
ALIKE = 5  # strays in a row, 0.5 s: longer than any hiccup of the machine
STRAYS = 20  # in a row, and never ALIKE: 2 s
BLIND_S = 5.0  # of sound without a position: longer than a machine that is too busy to keep a card going
FAR_MS = 20.0  # from the positions for many seconds: the way back by trimming would take minutes
FAR_SCATTERS = 4.0  # a run settles up to two from the middle of its positions
TRIM_PPM = 50.0  # a sample at 16 kHz every 1.25 s: any adaptive filter follows that
SMOOTHING = 0.05  # of each new position, one a second: 20 s
TRIM_S = 40.0  # in which a distance from the positions is made up for; twice the smoothing, or it would swing


@dataclass(slots=True)
class _Run:
    """Frames [first, end) of all written; `at` is the one that sounds beside the next captured frame."""

    first: int
    end: int | None  # None: still being written
    at: float


class Reference:
    """A ledger of what was written, read at the pace of the microphone. All frames are at the card's `rate`."""

    def __init__(self, rate: int, *, delay_ms: float = 0.0) -> None:
        """Let what comes from `take` be late when the echo is: `delay_ms` from loudspeaker to microphone."""
        self.rate = rate
        self.drift = Drift(rate)
        self.faults = 0  # told what cannot be, or asked for what is not known
        self.slips = 0  # times that frames were lost without a word of the card
        self.unusable = ""  # why no echo can be cancelled with this, in words; it stays
        self._ring = np.zeros(RING_S * rate, np.int16)
        self._late = np.zeros(max(0, round((delay_ms - LEAD_MS) * rate / 1000)), np.int16)
        self._written = 0  # frames, less those dropped: the number of the next one
        self._oldest = 0  # number of the oldest frame in the ring
        self._last_write = 0  # number of its first frame
        self._first = 0  # number of the first frame of the run that was started last
        self._dropped = False  # and not started again, as far as is known
        self._dry = False  # by count, the card has played all there was ...
        self._overtaken = False  # ... and was written to since: it must have started again
        self._runs: list[_Run] = []  # in order; several when one was short and the microphone is read late
        self._captured = 0  # frames taken
        self._restarts = 0
        self._told: tuple[float | None, int] | None = None  # by `anchor`, for the next `take`
        self._look_at = 0  # frames captured, when the next position is wanted
        self._blind = 0  # frames captured while a run sounded of which no position is known
        self._leads: list[float] | None = None  # of a run that settles
        self._strays: deque[float] = deque(maxlen=STRAYS)
        self._pace = 1.0  # frames played for each one captured
        self._off = 0.0  # smoothed distance from the positions

    @property
    def drift_ppm(self) -> float:
        """How much faster the loudspeaker's clock is than the microphone's; 0 unless that is certain."""
        return self.drift.ppm

    # -------------------------------------------------------------------------------------------- the loudspeaker

    def wrote(self, pcm: Samples) -> None:
        """Note frames (n,) that were handed to the card."""
        size = len(self._ring)
        start = self._written % size
        room = size - start
        self._ring[start : start + len(pcm)] = pcm[:room]
        if len(pcm) > room:
            self._ring[: len(pcm) - room] = pcm[room:]
        self._last_write = self._written
        self._written += len(pcm)
        self._oldest = max(self._oldest, self._written - size)
        self._overtaken = self._overtaken or self._dry
        self._dry = False

    def dropped(self, held: int) -> None:
        """Note that the last `held` frames will never sound, and that the loudspeaker has stopped."""
        run = self._live()
        most = self._written - (run.first if run else self._first)
        if not 0 <= held <= most:
            self.faults += 1
        self._written -= min(max(0, held), most)
        if run:
            run.end = self._written
        self._first = self._last_write = self._written
        self._dropped = True
        self._dry = self._overtaken = False

    def _live(self) -> _Run | None:
        return self._runs[-1] if self._runs and self._runs[-1].end is None else None

    # ------------------------------------------------------------------------------------------------- the anchor

    def due(self, restarts: int) -> bool:
        """Tell whether a position is wanted for the period that `take` will be asked for next."""
        return restarts != self._restarts or self._captured >= self._look_at or self._overtaken

    def anchor(self, position: float | None, restarts: int) -> None:
        """Note how many frames, of all written and not dropped, had been played when the last frame read was captured.

        None: the card does not play. `restarts` counts the starts of both directions.
        """
        self._told = position, restarts

    def _look(self, position: float | None, restarts: int, frames: int) -> None:
        """Take an anchor, for the next `frames`."""
        restarted, self._restarts = restarts != self._restarts, restarts
        if restarted and not self._dropped:
            self._first = self._last_write
        self._dropped = self._dropped and not restarted
        if position is None or not abs(position - self._written) < len(self._ring):
            self.faults += position is not None and not position > self._written  # dry for long is possible
            if restarted:  # and already dry again: nothing by count can be right
                self._runs.clear()
            self._look_in(DOUBT_S)
            return
        run, at, overtaken = self._live(), position - frames, self._overtaken
        self._overtaken = False
        self.faults += overtaken and not restarted
        if run is None or restarted or (overtaken and self._leads is not None):
            self._start(run, at)
        elif self._leads is not None:
            self._settle(run, self._leads, at)
        else:
            run.at = self._placed(at) if overtaken else run.at
            self._compare(run, at)

    def _look_in(self, seconds: float) -> None:
        self._look_at = self._captured + round(seconds * self.rate)

    def _start(self, run: _Run | None, at: float) -> None:
        """Let a run begin; or go on, if it was the capture that started."""
        if run and at >= run.at:
            self._runs = [run]
            run.at = self._placed(at)
        else:
            for older in self._runs:  # they end, at the latest when this one begins
                begins = self._first - math.floor(at - older.at)
                older.end = min(begins, self._first if older.end is None else older.end)
            self._runs.append(_Run(self._first, None, self._placed(at)))
        self._leads = []
        self._look_in(0)
        self._strays.clear()
        self._off = 0.0
        self.drift.begin()

    def _placed(self, at: float) -> float:
        """Keep to whole samples, unless clocks drift."""
        return at if self.drift.established else round(at)

    def _settle(self, run: _Run, leads: list[float], at: float) -> None:
        leads.append(at - run.at)
        self._look_in(0)
        if len(leads) < SETTLING - 1:
            return
        off = sorted([0.0, *leads])[1]
        if abs(off) > 1:  # else it is as good as it was
            run.at = self._placed(run.at + off)
        self._leads = None
        self._look_in(LOOK_S)

    def _compare(self, run: _Run, at: float) -> None:
        """Weigh a position in the middle of a run."""
        lead = at - self._captured
        if self.drift.strays(self._captured, lead):
            self._look_in(DOUBT_S)
            self._strays.append(lead)
            alike = list(self._strays)[-ALIKE:]
            if len(alike) == ALIKE and max(alike) - min(alike) < STRAY_MS * self.rate / 1000:
                self._slip(run, self._captured + median(alike))
                self._strays.clear()
                self.drift.begin()
            elif len(self._strays) == STRAYS:
                self._give_up("the card's positions contradict each other")
            return
        self._look_in(LOOK_S)
        self._strays.clear()
        self.drift.observe(self._captured, lead)
        self._steer(run, at - run.at)
        self._give_up(self.drift.trouble)

    def _steer(self, run: _Run, distance: float) -> None:
        """Keep pace with clocks that drift, `distance` frames from where the position says the run is."""
        drift = self.drift
        self._off += SMOOTHING * (distance - self._off)
        far_ms = FAR_MS if drift.established else STRAY_MS
        if abs(self._off) > max(far_ms * self.rate / 1000, FAR_SCATTERS * drift.scatter):
            self._slip(run, run.at + self._off)
        if drift.established:
            trim = self._off / (TRIM_S * self.rate) * 1e6
            self._pace = 1 + (drift.ppm + min(max(trim, -TRIM_PPM), TRIM_PPM)) * 1e-6
        elif self._pace != 1:
            self._pace = 1.0
            for each in self._runs:
                each.at = round(each.at)

    def _slip(self, run: _Run, at: float) -> None:
        run.at = self._placed(at)
        self.slips += 1
        self._off = 0.0

    def _give_up(self, why: str) -> None:
        self.unusable = self.unusable or why

    # ---------------------------------------------------------------------------------------------- the reference

    def take(self, frames: int) -> Samples:
        """Return what was played (frames,) beside the next captured `frames`."""
        if self._told:
            (position, restarts), self._told = self._told, None
            self._look(position, restarts, frames)
        runs = self._runs
        if len(runs) == 1:
            played = self._sound(runs[0], frames)
        else:
            played = np.zeros(frames, np.int16)
            for run in runs:  # each is silent where another sounds
                played += self._sound(run, frames)
        if runs and runs[0].end is not None:
            self._runs = [run for run in runs if run.end is None or run.at < run.end]
        self._captured += frames
        self._blind = self._blind + frames if not self._live() and self._written > self._first else 0
        if self._blind > BLIND_S * self.rate:
            self._give_up("the card does not tell what it has played")
        if not len(self._late):
            return played
        late = np.concatenate((self._late, played))
        self._late = late[frames:]
        return late[:frames]

    def _sound(self, run: _Run, frames: int) -> Samples:
        """Return what a run sounds like in the next `frames`, and let it advance."""
        at = run.at
        run.at = at + frames * self._pace
        if self._pace == 1 and at == int(at):
            run.at = int(at) + frames
            return self._cut(run, int(at), frames)
        begin = math.floor(at)
        places = at - begin + np.arange(frames) * self._pace
        whole = places.astype(np.int64)
        cut = self._cut(run, begin, int(whole[-1]) + 2).astype(np.float32)
        before, after = cut[whole], cut[whole + 1]
        return np.rint(before + (places - whole) * (after - before)).astype(np.int16)

    def _cut(self, run: _Run, begin: int, frames: int) -> Samples:
        """Return frames [begin, begin + frames) of a run: silence before its first and after its last."""
        end = self._written if run.end is None else run.end
        first, last = max(begin, run.first), min(begin + frames, end)
        self._dry = self._dry or (run.end is None and begin + frames > end)
        if first < last and first < self._oldest:  # read so late that it was written over
            self.faults += 1
            first = self._oldest
        if first >= last:
            return np.zeros(frames, np.int16)
        start = first % len(self._ring)
        cut = self._ring[start : start + last - first]
        if len(cut) < last - first:
            cut = np.concatenate((cut, self._ring[: last - first - len(cut)]))
        if len(cut) == frames:
            return cut.copy()
        padded = np.zeros(frames, np.int16)
        padded[first - begin : last - begin] = cut
        return padded
