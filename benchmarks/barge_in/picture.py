"""Draws every policy as a point: how often it falls silent for nobody, against how soon it is silent for a person.

Across: time to silence, p50, of talkers at least as loud as the echo; a line leads to p95. Up: suspicions, or confirmed
false interruptions, in an hour of agent speech, over all that happens while nobody interrupts, with 95 % bounds,
logarithmic. Below and to the left is better. What misses more than a tenth of the interruptions is drawn hollow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 940, 520, 64, 240, 52, 56
LEGEND = 36  # right of the drawing
OURS, PEER = "#0b6e4f", "#c0392b"
LEAST, MOST = 0.05, 20_000.0  # an hour: what is below is drawn at the edge
END_MS, STEP_MS = 1000, 100
MISSES = 10.0  # per cent
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.grid{stroke:#ddd}"
    ".bound{stroke-width:1.5;opacity:.5}.title{font-weight:bold}"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One policy."""

    name: str
    ours: bool
    per_hour: float
    bounds_per_hour: tuple[float, float]
    silence_ms: tuple[float, float]  # p50, p95; infinite when it never is, not a number when nobody could be heard
    missed_percent: float


def picture(title: str, up: str, points: Sequence[Point]) -> str:
    """Return the drawing."""
    parts = [f"<text x='{LEFT}' y='24' class='title'>{escape(title)}</text>", *_grid(up)]
    for row, point in enumerate(points):
        parts += _drawn(point, TOP + 16 + 18 * row, row + 1)
    hollow = f"hollow: misses more than {MISSES:g} %"
    parts.append(f"<text x='{WIDTH - RIGHT + LEGEND}' y='{TOP + 34 + 18 * len(points)}'>{hollow}</text>")
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}'><style>{STYLE}</style>"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>{''.join(parts)}</svg>\n"
    )


def _drawn(point: Point, legend_y: int, number: int) -> Iterator[str]:
    colour = OURS if point.ours else PEER
    x, y = _x(point.silence_ms[0]), _y(point.per_hour)
    low, high = (_y(bound) for bound in point.bounds_per_hour)
    yield f"<line class='bound' stroke='{colour}' x1='{x}' x2='{x}' y1='{low}' y2='{high}'/>"
    yield f"<line class='bound' stroke='{colour}' x1='{x}' x2='{_x(point.silence_ms[1])}' y1='{y}' y2='{y}'/>"
    fill = "#fff" if not point.missed_percent <= MISSES else colour
    yield f"<circle cx='{x}' cy='{y}' r='6' fill='{fill}' stroke='{colour}' stroke-width='2'/>"
    yield f"<text x='{x + 9}' y='{y - 7}' fill='{colour}'>{number}</text>"
    yield f"<text x='{WIDTH - RIGHT + LEGEND}' y='{legend_y}'>{number} {escape(point.name)}</text>"


def _x(ms: float) -> float:
    inside = END_MS if math.isnan(ms) else min(max(ms, 0.0), END_MS)
    return round(LEFT + inside / END_MS * (WIDTH - LEFT - RIGHT), 1)


def _y(per_hour: float) -> float:
    place = math.log(min(max(per_hour, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return round(HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM), 1)


def _grid(up: str) -> Iterator[str]:
    for ms in range(0, END_MS + 1, STEP_MS):
        x = _x(ms)
        yield f"<line class='grid' x1='{x}' x2='{x}' y1='{TOP}' y2='{HEIGHT - BOTTOM}'/>"
        label = f"{ms}+" if ms == END_MS else f"{ms}"
        yield f"<text x='{x}' y='{HEIGHT - BOTTOM + 20}' text-anchor='middle'>{label}</text>"
    for power in range(-1, 5):
        y = _y(10.0**power)
        yield f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y}' y2='{y}'/>"
        yield f"<text x='{LEFT - 6}' y='{y + 4}' text-anchor='end'>{10.0**power:g}</text>"
    across = "from the first sound of the voice to silence, ms (p50, line to p95)"
    yield f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{HEIGHT - 12}' text-anchor='middle'>{across}</text>"
    yield f"<text x='{LEFT}' y='{TOP - 8}'>{escape(up)}</text>"
