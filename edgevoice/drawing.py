"""Parts of a picture of sound, as SVG: windows of time, lanes with a signal, moments, distances, axes, the light.

What they look like beyond their lines is in the style of the page (`report.STYLE`), by the names of their classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevoice.light import BOX_PATTERNS, TURN_PATTERNS, Pattern

Samples = NDArray[np.int16]
Span: TypeAlias = tuple[float, float, str]  # from, to, name
Line: TypeAlias = Mapping[str, Any]  # one of events.jsonl: at least "at", seconds since the first sample

PHONE_WIDTH = 340  # px: no picture gets narrower
ROW = 18
NAME = 20  # px above a lane
MOST_ROWS, NO_ROW = 3, -1  # of words above the lanes; decisions may climb higher
LETTER = 7.0  # px, a generous mean for 12 px text: labels that might overlap go to different rows
TICK = 44  # px, the least distance between two times
QUIET_PEAK = 1000  # a lane is never magnified beyond this: noise must look like noise


@dataclass(frozen=True, slots=True)
class View:
    """A window of time, drawn `width` px wide."""

    start: float
    end: float
    width: float

    def x(self, at: float) -> float:
        return round((min(max(at, self.start), self.end) - self.start) / (self.end - self.start) * self.width, 2)

    def of(self, signal: Samples, rate: int) -> Samples:
        """Return the signal in this window, with silence where it reaches beyond the recording."""
        first, last = round(self.start * rate), round(self.end * rate)
        inside = signal[max(first, 0) : max(last, 0)]
        before = min(max(-first, 0), last - first)
        return np.pad(inside, (before, last - first - before - len(inside)))


@dataclass(frozen=True, slots=True)
class Moment:
    at: float
    text: str
    kind: str = ""  # the name of its class


@dataclass(frozen=True, slots=True)
class Lane:
    """A signal with its name, its class, and named stretches of time; `peak` is full height (0: its own peak)."""

    name: str
    kind: str
    signal: Samples
    rate: int
    spans: Sequence[Span] = ()
    peak: int = 0


def svg(width: float, height: float, name: str, parts: Iterable[str], *, least: float = PHONE_WIDTH) -> str:
    return (
        f'<div class="scroll"><svg viewBox="0 0 {width:g} {height:g}" style="min-width:{least:g}px" role="img" '
        f'aria-label="{escape(name)}">{"".join(parts)}</svg></div>'
    )


def number(value: object, digits: int = 1) -> str:
    """Write a figure with a real minus sign; a dash for one that is not known."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "\N{EN DASH}" if value is None else escape(str(value))
    shown = str(value) if isinstance(value, int) else f"{value:z.{digits}f}"
    return shown.replace("-", "\N{MINUS SIGN}")


# ---------------------------------------------------------------------------------------------------- the lanes


def lane(view: View, y: float, height: float, drawn: Lane) -> str:
    """Return a signal with its spans shaded and named, and its own name in the `NAME` px above `y`."""
    columns = round(view.width * 1.5)  # sharp on a phone's screen, and not yet heavy
    signal = view.of(drawn.signal, drawn.rate)
    parts = [f'<text class="name" x="0" y="{y - 5}">{escape(drawn.name)}</text>']
    parts.append(f'<rect class="lane" y="{y}" width="{view.width}" height="{height}" rx="6"/>')
    for first, end, _ in drawn.spans:
        x, width = view.x(first), view.x(end) - view.x(first)
        parts.append(f'<rect class="span {drawn.kind}" x="{x}" y="{y}" width="{width:.2f}" height="{height}"/>')
    parts.append(
        f'<path class="{drawn.kind}" transform="translate(0 {y + height / 2}) scale({view.width / columns:.4f} .1)" '
        f'd="{_envelope(signal, columns, height * 5 - 40, drawn.peak)}"/>'
    )
    for (first, end, words), (following, *_) in pairwise([*drawn.spans, (view.end, view.end, "")]):
        x, room = view.x(first) + 5, view.x(end) - view.x(first) - 8
        if LETTER * len(words) > room and LETTER * len(words) < view.x(following) - view.x(end) - 8:
            x, room = view.x(end) + 4, view.width  # beside it, where there is none inside
        parts.append(f'<text class="{drawn.kind}" x="{x}" y="{y + height - 8}">{escape(_fitted(words, room))}</text>')
    return "".join(parts)


def _fitted(words: str, width: float) -> str:
    room = int(width / LETTER)
    return words if len(words) <= room else words[: max(room - 1, 0)] + "…" if room > 3 else ""


def _envelope(signal: Samples, columns: int, half: float, peak: int) -> str:
    """Return a path around the least and the greatest sample of each column; its heights are whole numbers."""
    if len(signal) < columns:
        signal = np.repeat(signal, columns // max(len(signal), 1) + 1) if len(signal) else np.zeros(columns, np.int16)
    starts = np.arange(columns) * len(signal) // columns
    scale = half / max(QUIET_PEAK, peak or int(np.abs(signal.astype(np.int32)).max()))
    heights = (
        np.minimum(half, -np.maximum.reduceat(signal, starts) * scale),
        -np.minimum.reduceat(signal, starts) * scale,
    )
    upper, lower = (np.rint(np.clip(each, -half, half)).astype(int).tolist() for each in heights)
    there = [f"{x} {y - 4}" for x, y in enumerate(upper)]  # silence is a thin line too
    back = [f"{x} {y + 4}" for x, y in reversed(list(enumerate(lower)))]
    return f"M{'L'.join(there + back)}Z"


# -------------------------------------------------------------------------------------------- times and distances


def axis(view: View, top: float, y: float, *, unit: str, zero: float = 0.0) -> str:
    """Return vertical lines from `top` to `y` and the times under them, counted from `zero`."""
    scale = 1000 if unit == "ms" else 1
    start, end = (view.start - zero) * scale, (view.end - zero) * scale
    steps = [digit * 10**power for power in range(8) for digit in (1, 2, 5)]
    step = next(step for step in steps if view.width * step / (end - start) >= TICK)
    parts = []
    ticks = range(math.ceil(start / step - 1e-6), math.floor(end / step + 1e-6) + 1)
    for tick in ticks:
        x = view.x(zero + tick * step / scale)
        anchor = "start" if x < 12 else "end" if x > view.width - 12 else "middle"
        words = number(tick * step) + (f" {unit}" if tick == (0 if 0 in ticks else ticks[0]) else "")
        parts.append(f'<path class="grid" d="M{x} {top}V{y}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{y + 14}" text-anchor="{anchor}">{words}</text>')
    return "".join(parts)


def distance(view: View, y: float, start: float, end: float, words: str, kind: str) -> str:
    """Return a dimension line between two moments, with its words beside it where there is room."""
    a, b = sorted((view.x(start), view.x(end)))
    size = LETTER * len(words) + 16
    if b + size < view.width:
        x, base, anchor = b + 8, y + 4, "start"
    elif a > size:
        x, base, anchor = a - 8, y + 4, "end"
    else:
        x, base, anchor = (a + b) / 2, y - 5, "middle"
    return (
        f'<path class="mark {kind}" d="M{a} {y - 4}v8M{a} {y}H{b}M{b} {y - 4}v8"/>'
        f'<text class="label {kind}" x="{x:.2f}" y="{base}" text-anchor="{anchor}">{escape(words)}</text>'
    )


# -------------------------------------------------------------------------------------------------- the moments


def rows(moments: Sequence[Moment], view: View) -> int:
    """Return how many rows of words `markers` will need."""
    return 1 + max((row for *_, row in _placed(moments, view)), default=NO_ROW)


def overhang(moments: Sequence[Moment], view: View) -> float:
    """Return how far words reach beyond the right edge of the lanes."""
    return max([0.0, *(x + _size(moment) - view.width for moment, x, row in _placed(moments, view) if row != NO_ROW)])


def markers(moments: Sequence[Moment], view: View, bottom: float) -> Iterator[str]:
    """Draw a line for each moment (in order), down to `bottom`, and its words on top."""
    count = rows(moments, view)
    for moment, x, row in _placed(moments, view):
        y = ROW * (count - row) - 1
        yield f'<path class="mark {moment.kind}" d="M{x} {y - 10}V{bottom}"/>'
        if row != NO_ROW:
            yield f'<text class="label {moment.kind}" x="{x + 4}" y="{y}">{escape(moment.text)}</text>'


def _size(moment: Moment) -> float:
    return LETTER * len(moment.text) + 8


def _placed(moments: Sequence[Moment], view: View) -> Iterator[tuple[Moment, float, int]]:
    """Yield each moment, its x, and the row of its words (0 is the lowest), such that no line crosses any words.

    An ordinary moment for whose words there is no room low down keeps only its line.
    """
    free: list[float] = []  # up to which x each row is free: it fills from the right
    for moment in reversed(moments):
        x = view.x(moment.at)
        row = next((row for row, limit in enumerate(free) if x + _size(moment) <= limit), len(free))
        if row >= MOST_ROWS and not moment.kind:
            yield moment, x, NO_ROW
            continue
        free[: row + 1] = [x] * (row + 1)
        yield moment, x, row


# ------------------------------------------------------------------------------------------- the turn, the light


def turn_strip(events: Sequence[Line], view: View, y: float) -> Iterator[str]:
    """Draw whose turn it is, in the colour that the light has then."""
    known = {turn.value: pattern for turn, pattern in TURN_PATTERNS.items()}
    for first, end, turn in _stretches(events, {"turn": "turn", "Closed": ""}, view):  # no call, nobody's turn
        x, width = view.x(first), view.x(end) - view.x(first)
        colour = _colour(known[turn]) if turn in known else "gray"
        yield f'<rect x="{x}" y="{y}" width="{width:.2f}" height="20" fill="{colour}" fill-opacity=".3"/>'
        if LETTER * len(turn) + 8 < width:
            yield f'<text class="turn" x="{x + 5}" y="{y + 14}">{escape(turn)}</text>'


def light_strip(events: Sequence[Line], view: View, y: float, picture: str) -> Iterator[str]:
    """Draw the light as it shines: its colour and its rhythm, on black. `picture` is its name within the page."""
    known = {pattern.name: pattern for pattern in [*BOX_PATTERNS.values(), *TURN_PATTERNS.values()]}
    yield f'<rect class="unlit" y="{y}" width="{view.width}" height="10" rx="5"/>'
    for n, (first, end, name) in enumerate(_stretches(events, {"light": "pattern"}, view)):
        if name in known:
            yield _rhythm(known[name], f"{picture}-{n}", view, first)
            x, width = view.x(first), view.x(end) - view.x(first)
            yield f'<rect x="{x}" y="{y + 1.5}" width="{width:.2f}" height="7" fill="url(#{picture}-{n})">'
            yield f"<title>{escape(name)}</title></rect>"


def _stretches(events: Sequence[Line], fields: Mapping[str, str], view: View) -> Iterator[Span]:
    """Yield from when to when each state lasted; `fields` tells what an event calls the state that it begins."""
    changes = [event for event in events if event.get("what") in fields]
    states = [(float(event["at"]), str(event.get(fields[event["what"]], ""))) for event in changes]
    for (first, name), (end, _) in pairwise([*states, (math.inf, "")]):
        if name and first < end and first < view.end and end > view.start:
            yield first, end, name


def _rhythm(pattern: Pattern, name: str, view: View, start: float) -> str:
    """Return a gradient that repeats as the light does."""
    period = pattern.on_s + pattern.off_s + 2 * pattern.fade_s
    edges = [
        (0.0, 0),
        (pattern.fade_s, 1),
        (pattern.fade_s + pattern.on_s, 1),
        (period - pattern.off_s, 0),
        (period, 0),
    ]
    shown = [(0.0, 1), (period, 1)] if pattern.steady else edges
    stops = "".join(
        f'<stop offset="{at / period:.4f}" stop-color="{_colour(pattern)}" stop-opacity="{lit}"/>' for at, lit in shown
    )
    px_per_s = view.width / (view.end - view.start)
    x = (start - view.start) * px_per_s
    return (
        f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" x1="{x:.2f}" y1="0" y2="0" spreadMethod="repeat" '
        f'x2="{x + period * px_per_s:.2f}">{stops}</linearGradient>'
    )


def _colour(pattern: Pattern) -> str:
    """Return the light's colour a little paler, as an LED looks behind its diffuser."""
    if not any(pattern.rgb):
        return "#000"
    return "#" + "".join(f"{round(64 + 180 * part):02x}" for part in pattern.rgb)
