"""What a person sees of the box while something goes wrong: is the light's rhythm that of the state it is in?

The rhythm is read off the pin, the state off the control socket, and which rhythm belongs to which state is
`edgevoice.light`'s table: a light that stands still, or shows what was before, is found.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

from edgevoice.errors import DeviceError
from edgevoice.light import BOX_PATTERNS, CAUSE_PATTERNS, OFF, TURN_PATTERNS, Pattern, rhythm
from tests.e2e.box import LED, RunningBox
from tests.lab.labgpio.pins import Edge

PATTERNS = {pattern.name: pattern for pattern in (*BOX_PATTERNS.values(), *TURN_PATTERNS.values(), OFF)}
PATTERNS |= {pattern.name: pattern for pattern in CAUSE_PATTERNS.values()}
LOOK_S = 0.1
SETTLED_S = 0.4  # from a change of the state to the new rhythm, on a machine that is shared
LEAST_S = 1.0  # shorter looks say more of the machine than of the light
SHARE, RATE = 0.2, 0.35  # how far brightness and rises a second may be off: threads of Python make the rhythm


class _Seen(NamedTuple):
    """The box said that its light is `light`."""

    at: float
    light: str


class Watch:
    """Looks at the box while the block runs; then fails if the light was ever wrong for long."""

    def __init__(self, box: RunningBox) -> None:
        self._box = box
        self._seen: list[_Seen] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if kind is None:
            edges = self._box.pins.edges(LED)
            judged = [judge(edges, PATTERNS[light], begin, end) for light, begin, end in _stretches(self._seen)]
            assert any(verdict is not None for verdict in judged), "the light was never long enough in one state"
            assert not [verdict for verdict in judged if verdict], judged

    def _look(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                before = time.monotonic()
                light = str(self._box.status()["light"])
            except (DeviceError, OSError):
                light = ""  # it starts, or stands still: nobody says what it ought to be
            self._seen.append(_Seen(before, light))


def _stretches(seen: Sequence[_Seen]) -> list[tuple[str, float, float]]:
    """Return name, begin and end of each time in which the light ought to have stayed the same."""
    found: list[tuple[str, float, float]] = []
    for look, following in pairwise(seen):
        if not look.light:
            continue
        if found and found[-1][0] == look.light and found[-1][2] == look.at:
            found[-1] = (look.light, found[-1][1], following.at)
        else:
            found.append((look.light, look.at, following.at))
    return found


def judge(edges: Sequence[Edge], pattern: Pattern, begin: float, end: float) -> str | None:
    """Say what is wrong with the light between two moments, "" for nothing, None where there is no telling."""
    begin, end = begin + SETTLED_S, end - LOOK_S
    on_s, off_s, fade_s = rhythm(pattern, fades=True)
    cycle_s = on_s + off_s + 2 * fade_s
    if end - begin < max(LEAST_S, 0 if pattern.steady else 2 * cycle_s):
        return None
    bright, rises = _measured(edges, begin, end)
    if pattern.steady:
        share, rate = float(max(pattern.rgb) > 0), 0.0
    else:
        share, rate = (on_s + fade_s) / cycle_s, 1 / cycle_s
    whole = f"{pattern.name!r} for {end - begin:.1f} s: lit {bright:.2f} of the time, {rises:.2f} rises a second"
    if abs(bright - share) > SHARE or abs(rises - rate) > RATE * rate + 1 / (end - begin):
        return f"{whole}; expected {share:.2f} and {rate:.2f}"
    return ""


def _measured(edges: Sequence[Edge], begin: float, end: float) -> tuple[float, float]:
    """Return how much of the time the light was lit, and how often a second it rose above half."""
    level, at, lit, rises = 0.0, begin, 0.0, 0
    for edge in edges:
        if edge.at <= begin:
            level = edge.level
        elif edge.at < end:
            lit += level * (edge.at - at)
            rises += level < 0.5 <= edge.level
            at, level = edge.at, edge.level
    return (lit + level * (end - at)) / (end - begin), rises / (end - begin)


def blinking(pattern: Pattern, seconds: float) -> list[Edge]:
    """Return the edges of a light without ramps that shows `pattern`."""
    cycle_s = pattern.on_s + pattern.off_s
    times = [number * cycle_s for number in range(int(seconds / cycle_s) + 1)]
    return [Edge(at + late, level) for at in times for late, level in ((0.0, 1.0), (pattern.on_s, 0.0))]
