"""Draws what calls cost as an SVG: processor and memory over the number of calls, beside the line that is promised."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 860, 380, 56, 48, 52, 72
PANEL = (WIDTH - 2 * LEFT - GAP) // 2
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.grid{stroke:#ddd}.curve{fill:none;stroke:#0b6e4f;stroke-width:2}"
)
PROMISED = 1.5  # % of a core and MB, for each call


def growth(found: Sequence[tuple[int, float, float]]) -> str:
    """Return the drawing of (calls, % of a core, MB)."""
    processor = [(calls, percent) for calls, percent, _ in found]
    memory = [(calls, mb) for calls, _, mb in found]
    parts = [
        *_panel(LEFT, "Processor, % of a core", processor),
        *_panel(LEFT + PANEL + GAP, "Memory, MB more than without a call", memory),
    ]
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}'><style>{STYLE}</style>"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>{''.join(parts)}</svg>\n"
    )


def _panel(left: int, title: str, points: Sequence[tuple[int, float]]) -> list[str]:
    most = max(calls for calls, _ in points)
    top = max(PROMISED * most, *(value for _, value in points)) * 1.05

    def place(calls: float, value: float) -> str:
        x = left + calls / most * PANEL
        return f"{x:.1f} {HEIGHT - BOTTOM - max(0.0, value) / top * (HEIGHT - TOP - BOTTOM):.1f}"

    parts = [f"<text x='{left}' y='24' font-weight='bold'>{title}</text>"]
    for share in (0.0, 0.5, 1.0):
        x, y = place(0, share * top).split()
        parts.append(f"<line class='grid' x1='{x}' x2='{left + PANEL}' y1='{y}' y2='{y}'/>")
        parts.append(f"<text x='{left - 6}' y='{float(y) + 4}' text-anchor='end'>{share * top:.0f}</text>")
    promised = f"M{place(0, 0)}L{place(most, PROMISED * most)}"
    parts.append(f"<path d='{promised}' stroke='#999' stroke-dasharray='4 4' fill='none'/>")
    parts.append(f"<path class='curve' d='M{'L'.join(place(*point) for point in points)}'/>")
    for calls, value in points:
        x, y = place(calls, value).split()
        parts.append(f"<circle cx='{x}' cy='{y}' r='3' fill='#0b6e4f'/>")
        parts.append(f"<text x='{x}' y='{HEIGHT - BOTTOM + 20}' text-anchor='middle'>{calls}</text>")
    label = f"calls at once; dashed: {PROMISED:g} for each"
    return [*parts, f"<text x='{left + PANEL / 2}' y='{HEIGHT - 10}' text-anchor='middle'>{label}</text>"]
