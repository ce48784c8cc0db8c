"""What a person sees of the box while something goes wrong: does the light do what it ought to in the state it is in?

What the LED really did is told by the virtual pin, edge by edge, up to the last moment of the process; the state by the
control socket, ten times a second; which rhythm belongs to which state is `edgevoice.light`'s table.

Rules
* A rhythm begins with its light. It shows SETTLED_S after the box has said so; what was before is over by then.
* From there on the light is never lit, or dark, for more than LATE_S longer than its rhythm has it; and where a state
  lasts, it is lit for as much of the time, and as often, as its rhythm is.
* While the process is stopped, or kept from the processor so that it does not answer at once, its light stands still,
  too: that is not counted against it. So how long it is lit and dark is told by a clock that stops meanwhile.

What cannot be judged is counted, not passed over: the time without an answer (it is stopped, has died, has not begun
to answer, or takes more than APART_S), and a state that lasts less than SETTLED_S.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from types import TracebackType
from typing import NamedTuple

from edgevoice.errors import DeviceError
from edgevoice.light import BOX_PATTERNS, CAUSE_PATTERNS, OFF, OUT_OF_ORDER, TURN_PATTERNS, Pattern, rhythm
from tests.e2e.box import LED, RunningBox
from tests.lab.labgpio.pins import Edge, Pins

PATTERNS = {pattern.name: pattern for pattern in (*BOX_PATTERNS.values(), *TURN_PATTERNS.values(), OFF, OUT_OF_ORDER)}
PATTERNS |= {pattern.name: pattern for pattern in CAUSE_PATTERNS.values()}
LOOK_S = 0.1
APART_S = 0.5  # between two looks: who asks so late knows nothing of the time between
SLOW_S = 0.15  # an answer that took longer came from a process that stood still meanwhile
SETTLED_S = 0.4  # from a change of the state to the new rhythm, on a machine that is shared
LATE_S = 0.4  # how late a thread of Python's may be with an edge, likewise
CYCLES = 2  # of a rhythm, before its brightness and its rises are counted
SHARE, RATE = 0.2, 0.35  # how far they may be off


class Look(NamedTuple):
    """Asked at `asked`, the box said at `told` that its light is `light`; "": it did not answer."""

    asked: float
    told: float
    light: str


class Stretch(NamedTuple):
    """The light ought to have been `light` from `begin` to `end`."""

    light: str
    begin: float
    end: float


class Spell(NamedTuple):
    """The light ought to have been `light` from `begin` to `end`, and was something else until `earliest`."""

    light: str
    earliest: float
    begin: float
    end: float


class Hold(NamedTuple):
    """The light was lit, or dark, from `begin` to `end`."""

    lit: bool
    begin: float
    end: float


class Watch:
    """Looks at the box while the block runs; then fails if the light was ever wrong.

    Of `seen_s` seconds `judged_s` could be judged, and `silent_s` not, as nobody answered: the rest is states that were
    too brief (and looks that were too far apart). `least_s`: fail if less was judged, as nothing was seen.
    """

    def __init__(self, box: RunningBox, *, least_s: float = 1.0) -> None:
        self.judged_s = self.silent_s = self.seen_s = 0.0
        self._box = box
        self._pins = Pins(box.pins.path, patience_s=0.0)  # a connection of its own: it is another thread
        self._follows = False
        self._least_s = least_s
        self._looks: list[Look] = []
        self._edges: list[Edge] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watch:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._pins.close()
        self.seen_s = time.monotonic() - self._began
        if kind is None:
            self._judge()

    @property
    def words(self) -> str:
        brief_s = self.seen_s - self.judged_s - self.silent_s
        unjudged = f"{self.silent_s:.1f} without an answer, {brief_s:.1f} too brief"
        return f"{self.judged_s:.1f} of {self.seen_s:.1f} s ({unjudged})"

    def _judge(self) -> None:
        awake = Awake(self._looks, self._box.stops)
        brief_s, wrong = judge(self._edges, self._looks, awake)
        self.silent_s = self.seen_s - awake.answered_s
        self.judged_s = awake.answered_s - brief_s
        assert not wrong, wrong
        assert self.judged_s >= self._least_s, f"the light could be judged for {self.words} only"

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            self._look()
        self._look()

    def _look(self) -> None:
        asked = time.monotonic()
        try:
            light = str(self._box.status()["light"])
        except (DeviceError, OSError):
            light = ""
        self._looks.append(Look(asked, time.monotonic(), light))
        try:
            if not self._follows:
                self._pins.follow(LED)
                self._follows = True
            self._edges += self._pins.news()
        except (OSError, ValueError):  # a process that is dead, or starts, has no pins
            self._pins.close()
            self._follows = False


@contextmanager
def seen(tell: Callable[[str, object], None], box: RunningBox, *, least_s: float = 1.0) -> Iterator[Watch]:
    """Watch the light while the block runs, and tell for how long it could be judged, and was right."""
    with Watch(box, least_s=least_s) as watch:
        yield watch
    tell("light", f"right {watch.words}")


class Awake:
    """A clock that runs while the box answers at once. For `answered_s` of wall time it answered within APART_S."""

    def __init__(self, looks: Sequence[Look], stops: Sequence[tuple[float, float]] = ()) -> None:
        self.answered_s = 0.0
        self._spans: list[tuple[float, float]] = []  # in which it answered at once
        for look, following in pairwise(looks):
            if not (look.light and following.light):
                continue
            took_s = following.told - following.asked
            self.answered_s += (following.told if took_s <= APART_S else following.asked) - look.told
            self._spans += _without(stops, look.told, following.told if took_s <= SLOW_S else following.asked)
        self._begins = [begin for begin, _ in self._spans]
        self._shown = [0.0, *accumulate(end - begin for begin, end in self._spans)]  # at the beginning of each

    def __call__(self, at: float) -> float:
        """Return what this clock showed at a moment."""
        begun = bisect_left(self._begins, at)
        if not begun:
            return 0.0
        begin, end = self._spans[begun - 1]
        return self._shown[begun - 1] + min(at, end) - begin


def _without(stops: Sequence[tuple[float, float]], begin: float, end: float) -> Iterator[tuple[float, float]]:
    """Yield what is left of a time without the stops in it, which are in order."""
    for stopped_at, went_on_at in stops:
        if begin < stopped_at < end:
            yield begin, stopped_at
        if stopped_at < end:
            begin = max(begin, went_on_at)
    if begin < end:
        yield begin, end


def judge(edges: Sequence[Edge], looks: Sequence[Look], awake: Awake) -> tuple[float, list[str]]:
    """Return for how many seconds the state was too brief to be judged, and what was wrong with the light."""
    shown = [look._replace(asked=awake(look.asked), told=awake(look.told)) for look in looks if look.light]
    found = [spell for spell in spells(shown) if spell.end - spell.begin >= SETTLED_S]
    holds = levels([edge._replace(at=awake(edge.at)) for edge in edges], found[-1].end) if found else []
    wrong = [verdict for spell in found if (verdict := overdue(holds, spell))]
    wrong += [
        verdict for one in stretches(looks) if (verdict := uneven(edges, PATTERNS[one.light], one.begin, one.end))
    ]
    judged_s = sum(spell.end - spell.begin for spell in found)
    judged_s += sum(two.begin - one.end for one, two in pairwise(found) if two.earliest == one.end)
    return (shown[-1].told - shown[0].told if shown else 0.0) - judged_s, wrong


def spells(looks: Sequence[Look]) -> list[Spell]:
    """Return what the light ought to have been, in order.

    What the box says is true at some moment between question and answer: so it is sure from an answer to a question.
    """
    found: list[Spell] = []
    before: Look | None = None
    for look in looks:
        near = before is not None and look.asked - before.told <= APART_S
        if before and near and before.light == look.light:
            found[-1] = found[-1]._replace(end=look.asked)
        else:
            found.append(Spell(look.light, before.asked if before and near else -math.inf, look.told, look.asked))
        before = look
    return found


def overdue(holds: Sequence[Hold], spell: Spell) -> str:
    """Say where the light was lit or dark for longer than it may be in this spell, "" where it never was."""
    pattern = PATTERNS[spell.light]
    lit_s, dark_s, fade_s = _lengths(pattern)
    shows = spell.begin + SETTLED_S
    for lit, begin, end in holds:
        if end <= spell.begin or begin >= spell.end:
            continue
        if lit:
            limit = shows + (0.0 if fade_s and begin < spell.earliest else lit_s)
        else:
            limit = shows + (math.inf if math.isinf(dark_s) else fade_s / 2)
        if begin >= spell.earliest:
            limit = max(limit, begin + (lit_s if lit else dark_s) + LATE_S)
        if min(end, spell.end) > limit:
            return (
                f"{pattern.name!r} for {spell.end - spell.begin:.2f} s: {'lit' if lit else 'dark'} from"
                f" {begin - spell.begin:+.2f} to {end - spell.begin:+.2f} s"
            )
    return ""


def stretches(looks: Sequence[Look]) -> list[Stretch]:
    """Return the times in which the light ought to have stayed the same, and the box always answered at once."""
    found: list[Stretch] = []
    open_stretch = False
    for look, following in pairwise(looks):
        same = bool(look.light) and look.light == following.light
        quick = following.told - following.asked <= SLOW_S and following.asked - look.told <= APART_S
        if not (same and quick):
            open_stretch = False
            continue
        if open_stretch:
            found[-1] = found[-1]._replace(end=following.asked)
        else:
            found.append(Stretch(look.light, look.told, following.asked))
        open_stretch = True
    return found


def uneven(edges: Sequence[Edge], pattern: Pattern, begin: float, end: float) -> str:
    """Say what is wrong with how much and how often the light is lit between two moments, "" for nothing.

    There is no telling in less than some CYCLES of a rhythm.
    """
    begin += SETTLED_S
    lit_s, dark_s, _ = _lengths(pattern)
    cycle_s = lit_s + dark_s
    if end - begin < CYCLES * cycle_s:
        return ""
    within = [(hold.lit, max(hold.begin, begin), min(hold.end, end)) for hold in levels(edges, end) if hold.end > begin]
    share = sum(until - since for lit, since, until in within if lit) / (end - begin)
    rate = sum(lit for lit, since, _ in within if since > begin) / (end - begin)
    expected = lit_s / cycle_s, 1 / cycle_s
    if abs(share - expected[0]) > SHARE or abs(rate - expected[1]) > RATE * expected[1] + 1 / (end - begin):
        told = f"lit {share:.2f} of the time, {rate:.2f} rises a second"
        return f"{pattern.name!r} for {end - begin:.1f} s: {told}; expected {expected[0]:.2f} and {expected[1]:.2f}"
    return ""


def _lengths(pattern: Pattern) -> tuple[float, float, float]:
    """Return for how long a light is above half, below it, and on its way up or down."""
    if pattern.steady:
        return (math.inf, 0.0, 0.0) if max(pattern.rgb) > 0 else (0.0, math.inf, 0.0)
    on_s, off_s, fade_s = rhythm(pattern, fades=True)
    return on_s + fade_s, off_s + fade_s, fade_s


def levels(edges: Sequence[Edge], end: float) -> list[Hold]:
    """Return when the light was dark, lit, dark ... until `end`."""
    found = [Hold(False, -math.inf, end)]
    for edge in edges:
        if edge.at >= end:
            break
        if (edge.level >= 0.5) != found[-1].lit:
            found[-1] = found[-1]._replace(end=edge.at)
            found.append(Hold(edge.level >= 0.5, edge.at, end))
    return found


def blinking(pattern: Pattern, seconds: float) -> list[Edge]:
    """Return the edges of a light without ramps that shows `pattern`."""
    cycle_s = pattern.on_s + pattern.off_s
    times = [number * cycle_s for number in range(int(seconds / cycle_s) + 1)]
    return [Edge(at + late, level) for at in times for late, level in ((0.0, 1.0), (pattern.on_s, 0.0))]
