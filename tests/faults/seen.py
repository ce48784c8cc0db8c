"""What a person sees of the box while something goes wrong: does the light do what it ought to in the state it is in?

What the LED really did is read off the virtual pin, edge by edge; the state off the control socket, ten times a second;
which rhythm belongs to which state is `edgevoice.light`'s table. A light that stands still, or shows what was before,
is found.

What cannot be judged is counted, not passed over: the time in which nobody says what the state is (the process is
stopped, is dead, or starts), SETTLED_S after each change of the state, and looks that are shorter than a light that
stands still needs to be told from one that blinks.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

from edgevoice.errors import DeviceError
from edgevoice.light import BOX_PATTERNS, CAUSE_PATTERNS, OFF, TURN_PATTERNS, Pattern, rhythm
from tests.e2e.box import LED, RunningBox
from tests.lab.labgpio.pins import Edge, Pins

PATTERNS = {pattern.name: pattern for pattern in (*BOX_PATTERNS.values(), *TURN_PATTERNS.values(), OFF)}
PATTERNS |= {pattern.name: pattern for pattern in CAUSE_PATTERNS.values()}
LOOK_S = 0.1
TAKE_EVERY = 10  # looks: asked for its edges more often, the box would be busy with that
SLOW_S = 0.15  # an answer that took longer came from a process that stood still
SETTLED_S = 0.4  # from a change of the state to the new rhythm, on a machine that is shared
LATE_S = 0.25  # how late a thread of Python's may be with an edge
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


class Watch:
    """Looks at the box while the block runs; then fails if the light was ever wrong.

    `judged_s` of `seen_s` seconds could be judged. `least_s`: fail if it is less, as nothing was seen.
    """

    def __init__(self, box: RunningBox, *, least_s: float = 1.0) -> None:
        self.judged_s = self.seen_s = 0.0
        self._box = box
        self._pins = Pins(box.pins.path, patience_s=0.0)  # a connection of its own: it is another thread
        self._least_s = least_s
        self._looks: list[Look] = []
        self._taken_at = 0.0  # what the light did later nobody has told
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
        return f"{self.judged_s:.0f} of {self.seen_s:.0f} s"

    def _judge(self) -> None:
        wrong = []
        known = [look if look.told <= self._taken_at else look._replace(light="") for look in self._looks]
        for stretch in stretches(known):
            pattern = PATTERNS[stretch.light]
            verdict = judge(self._edges, pattern, stretch.begin, stretch.end)
            if verdict is not None:
                self.judged_s += stretch.end - stretch.begin - SETTLED_S
            if verdict:
                wrong.append(verdict)
        assert not wrong, wrong
        assert self.judged_s >= self._least_s, f"the light could be judged for {self.words} only"

    def _watch(self) -> None:
        number = 0
        while not self._stop.wait(LOOK_S):
            asked = time.monotonic()
            try:
                light = str(self._box.status()["light"])
            except (DeviceError, OSError):
                light = ""
            self._looks.append(Look(asked, time.monotonic(), light))
            number += 1
            if number % TAKE_EVERY == 0:
                self._take()
        self._take()

    def _take(self) -> None:
        """Add what the LED has done. A process that is dead, or starts, has no pins."""
        asked = time.monotonic()
        try:
            self._edges += self._pins.take(LED)
            self._taken_at = asked
        except (OSError, ValueError):
            self._pins.close()


@contextmanager
def seen(tell: Callable[[str, object], None], box: RunningBox, *, least_s: float = 1.0) -> Iterator[Watch]:
    """Watch the light while the block runs, and tell for how long it could be judged, and was right."""
    with Watch(box, least_s=least_s) as watch:
        yield watch
    tell("light", f"right {watch.words}")


def stretches(looks: Sequence[Look]) -> list[Stretch]:
    """Return the times in which the light ought to have stayed the same.

    What the box says is true at some moment between question and answer: so a stretch begins with an answer and ends
    with a question.
    """
    found: list[Stretch] = []
    open_stretch = False
    for look, following in pairwise(looks):
        same = bool(look.light) and look.light == following.light
        quick = following.told - following.asked <= SLOW_S
        if not (same and quick):
            open_stretch = False
            continue
        if open_stretch:
            found[-1] = found[-1]._replace(end=following.asked)
        else:
            found.append(Stretch(look.light, look.told, following.asked))
        open_stretch = True
    return found


def judge(edges: Sequence[Edge], pattern: Pattern, begin: float, end: float) -> str | None:
    """Say what is wrong with the light between two moments, "" for nothing, None where there is no telling."""
    begin += SETTLED_S
    on_s, off_s, fade_s = rhythm(pattern, fades=True)
    lit_s, dark_s = on_s + fade_s, off_s + fade_s  # above and below half
    if pattern.steady:
        lit_s, dark_s = (math.inf, 0.0) if max(pattern.rgb) > 0 else (0.0, math.inf)
    needed = LATE_S if pattern.steady else max(lit_s, dark_s) + LATE_S
    if end - begin < needed + LOOK_S:
        return None
    levels = _levels(edges, begin, end)
    whole = f"{pattern.name!r} for {end - begin:.1f} s"
    for lit, seconds in levels:
        if seconds > (lit_s if lit else dark_s) + LATE_S:
            return f"{whole}: {'lit' if lit else 'dark'} for {seconds:.2f} s without a break"
    cycle_s = 0.0 if pattern.steady else lit_s + dark_s
    if not cycle_s or end - begin < CYCLES * cycle_s:
        return ""
    share = sum(seconds for lit, seconds in levels if lit) / (end - begin)
    rate = sum(lit for lit, _ in levels[1:]) / (end - begin)
    expected = lit_s / cycle_s, 1 / cycle_s
    if abs(share - expected[0]) > SHARE or abs(rate - expected[1]) > RATE * expected[1] + 1 / (end - begin):
        told = f"lit {share:.2f} of the time, {rate:.2f} rises a second"
        return f"{whole}: {told}; expected {expected[0]:.2f} and {expected[1]:.2f}"
    return ""


def _levels(edges: Sequence[Edge], begin: float, end: float) -> list[tuple[bool, float]]:
    """Return how long the light was lit, dark, lit ... between two moments."""
    lit, since = False, begin
    found: list[tuple[bool, float]] = []
    for edge in edges:
        if edge.at >= end:
            break
        if (edge.level >= 0.5) == lit:
            continue
        if edge.at > begin:
            found.append((lit, edge.at - since))
            since = edge.at
        lit = edge.level >= 0.5
    return [*found, (lit, end - since)]


def blinking(pattern: Pattern, seconds: float) -> list[Edge]:
    """Return the edges of a light without ramps that shows `pattern`."""
    cycle_s = pattern.on_s + pattern.off_s
    times = [number * cycle_s for number in range(int(seconds / cycle_s) + 1)]
    return [Edge(at + late, level) for at in times for late, level in ((0.0, 1.0), (pattern.on_s, 0.0))]
