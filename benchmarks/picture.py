"""Draws latencies as an SVG: for every millisecond, how many of the interruptions were over by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import cycle

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 420, 56, 16, 48, 56
COLOURS = ("#0b6e4f", "#1f77b4", "#8a5cc2", "#c0392b")
ROUND_MS = 100  # the axis ends at a multiple of it
TARGETS = {"p50": (120.0, 0.50), "p95": (200.0, 0.95)}  # ms, share
STYLE = "text{font:13px system-ui,sans-serif;fill:#222}.grid{stroke:#ddd}.curve{fill:none;stroke-width:2}"


def picture(title: str, curves: Mapping[str, Sequence[float]]) -> str:
    """Return the drawing. `curves` are the latencies in ms, by name."""
    longest = max(max(values) for values in curves.values())
    end = (int(longest) // ROUND_MS + 1) * ROUND_MS
    parts = [f"<text x='{LEFT}' y='24' font-weight='bold'>{escape(title)}</text>", *_grid(end), *_targets(end)]
    for row, ((name, values), colour) in enumerate(
        zip(curves.items(), cycle(COLOURS))
    ):  # one colour is enough for each
        parts.append(f"<path class='curve' stroke='{colour}' d='{_path(sorted(values), end)}'/>")
        y = HEIGHT - BOTTOM - 16 - 20 * (len(curves) - 1 - row)
        parts.append(
            f"<line x1='{WIDTH - 290}' x2='{WIDTH - 266}' y1='{y - 4}' y2='{y - 4}' class='curve' stroke='{colour}'/>"
        )
        parts.append(f"<text x='{WIDTH - 258}' y='{y}'>{escape(name)} (n = {len(values)})</text>")
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}'><style>{STYLE}</style>"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>{''.join(parts)}</svg>\n"
    )


def _x(ms: float, end: int) -> float:
    return round(LEFT + max(0.0, ms) / end * (WIDTH - LEFT - RIGHT), 1)


def _y(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _path(ordered: Sequence[float], end: int) -> str:
    """Return a stair that goes up by one at each value, and along to the end."""
    steps = [f"M{LEFT} {_y(0)}"]
    for index, value in enumerate(ordered, 1):
        steps.append(f"H{_x(value, end)}V{_y(index / len(ordered))}")
    return "".join([*steps, f"H{WIDTH - RIGHT}"])


def _grid(end: int) -> list[str]:
    lines = []
    for ms in range(0, end + 1, ROUND_MS):
        x = _x(ms, end)
        lines.append(f"<line class='grid' x1='{x}' x2='{x}' y1='{_y(1)}' y2='{_y(0)}'/>")
        lines.append(f"<text x='{x}' y='{_y(0) + 20}' text-anchor='middle'>{ms}</text>")
    for percent in range(0, 101, 25):
        y = _y(percent / 100)
        lines.append(f"<line class='grid' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y}' y2='{y}'/>")
        lines.append(f"<text x='{LEFT - 6}' y='{y + 4}' text-anchor='end'>{percent} %</text>")
    label = "from the first sound of the voice to silence, ms"
    return [*lines, f"<text x='{WIDTH / 2}' y='{HEIGHT - 12}' text-anchor='middle'>{label}</text>"]


def _targets(end: int) -> list[str]:
    drawn = []
    for name, (ms, share) in TARGETS.items():
        x, y = _x(ms, end), _y(share)
        drawn.append(f"<circle cx='{x}' cy='{y}' r='4' fill='none' stroke='#222'/>")
        drawn.append(f"<text x='{x + 8}' y='{y + 14}'>target of {name}</text>")
    return drawn
