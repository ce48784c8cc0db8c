"""Draws what `edgevoice calibrate` found as one SVG: the impulse response, its levels by lag, the frequency response.

    direct sound   the response itself, from the moment of playing until 60 ms after the echo has come
    by lag         the same in dB: harmonics on the left, apart; then the echo, its decay, and noise
    by frequency   how loud which pitch comes back

The file needs nothing but itself, and follows the reader's choice of light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.measurement import BEFORE_S, ECHO_S, NOISE_S, Figures
from edgevoice.audio.sweep import HIGHEST, LOW_HZ, Response
from edgevoice.drawing import number

Floats = NDArray[np.float64]

WIDTH, MARGIN = 760, 46  # px
HEIGHT = 150  # px, of a panel
GAP = 62  # px between panels: an axis with its words, and the next panel's name
TOP = 78  # px: two lines of words
DEEP_DB = 80  # shown below the peak
ECHO_SHOWN_S = 0.06
BANDS = 48  # of the frequency response: a tenth of an octave
SPAN_DB = 50  # of the frequency response


@dataclass(frozen=True, slots=True)
class _Panel:
    """A drawing with its own scales, `y` px below the top of the picture."""

    y: float
    left: float
    right: float
    low: float
    high: float
    log: bool = False

    def x(self, value: float) -> float:
        a, b, v = (math.log(each) if self.log else each for each in (self.left, self.right, value))
        return round(MARGIN + (min(max(v, a), b) - a) / (b - a) * (WIDTH - 2 * MARGIN), 2)

    def py(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.y + HEIGHT * (1 - share), 2)

    def line(self, at: Floats, values: Floats, kind: str) -> str:
        points = (f"{self.x(x):.1f} {self.py(y):.1f}" for x, y in zip(at.tolist(), values.tolist(), strict=True))
        return f'<path class="{kind}" d="M{"L".join(points)}"/>'


def draw(whole: Response, figures: Figures, title: str) -> str:
    """Return the picture of a response (and of what was read off it) as a whole SVG file."""
    tops = [TOP + row * (HEIGHT + GAP) for row in range(3)]
    height = tops[-1] + HEIGHT + 30
    parts = [
        f'<text class="title" x="{MARGIN}" y="26">{escape(title)}</text>',
        f'<text x="{MARGIN}" y="46">{escape(_words(figures))}</text>',
        *_direct(whole, figures, tops[0]),
        *_by_lag(whole, figures, tops[1]),
        *_by_frequency(whole, figures, tops[2]),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}"><style>{STYLE}</style>'
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>{"".join(parts)}</svg>\n'
    )


def _words(figures: Figures) -> str:
    heard = figures.heard
    if heard is None:
        return f"the loudspeaker was not heard; noise floor {number(figures.noise_dbfs)} dBFS"
    distortion = "" if heard.distortion_percent is None else f", distortion {number(heard.distortion_percent)} %"
    return (
        f"echo {number(heard.echo_db)} dB, {number(heard.delay_ms)} ms late{distortion}, "
        f"noise floor {number(figures.noise_dbfs)} dBFS"
    )


def _direct(whole: Response, figures: Figures, y: float) -> Iterator[str]:
    delay_s = figures.heard.delay_ms / 1000 if figures.heard else 0.0
    start = whole.index(min(0.0, delay_s) - BEFORE_S)
    taps = whole.taps[start : whole.index(delay_s + ECHO_SHOWN_S)]
    peak = max(float(np.abs(taps).max()), 1e-9)
    at = 1000 * (whole.first + start + np.arange(len(taps))) / whole.sweep.rate
    panel = _Panel(y, float(at[0]), float(at[-1]), -1.1, 1.1)
    yield _frame(panel, "Impulse response, from loudspeaker to microphone")
    yield from _ticks(panel, _round(panel.left, panel.right, 8), "ms")
    yield f'<path class="grid" d="M{MARGIN} {panel.py(0)}H{WIDTH - MARGIN}"/>'
    yield panel.line(*_thinned(at, taps / peak), "in")
    if figures.heard:
        yield _mark(panel, figures.heard.delay_ms, f"the echo comes: {number(figures.heard.delay_ms)} ms")


def _by_lag(whole: Response, figures: Figures, y: float) -> Iterator[str]:
    end_s = whole.lag_s(len(whole.analytic) - 1)
    stop = whole.index(end_s - NOISE_S)
    envelope = whole.envelope[:stop]
    peak = max(float(envelope.max()), 1e-9)
    columns = WIDTH - 2 * MARGIN
    highest = np.maximum.reduceat(envelope, np.arange(columns) * len(envelope) // columns)
    at = np.linspace(whole.lag_s(0), whole.lag_s(stop), columns)
    panel = _Panel(y, float(at[0]), float(at[-1]), -DEEP_DB, 0)
    yield _frame(panel, "The same in dB, by lag: harmonics come by themselves, earlier")
    yield from _ticks(panel, _round(panel.left, panel.right, 8), "s")
    yield from _levels(panel, range(0, -DEEP_DB - 1, -20))
    if figures.heard:
        for order in range(2, HIGHEST + 1):
            x = panel.x(figures.heard.delay_ms / 1000 - whole.sweep.ahead_s(order))
            yield f'<path class="mark" d="M{x} {y}V{y + HEIGHT}"/>'
            yield f'<text x="{x + 4}" y="{y + 14}">{_ordinal(order)}</text>'
    yield panel.line(at, 20 * np.log10(np.maximum(highest / peak, 1e-6)), "in")


def _by_frequency(whole: Response, figures: Figures, y: float) -> Iterator[str]:
    begins_s = figures.heard.delay_ms / 1000 - BEFORE_S if figures.heard else 0.0
    cut = whole.cut(begins_s, ECHO_S)
    hz = np.fft.rfftfreq(2 * len(cut), 1 / whole.sweep.rate)
    power = np.abs(np.fft.rfft(cut, 2 * len(cut))) ** 2
    edges = np.geomspace(LOW_HZ, whole.sweep.high_hz, BANDS + 1)
    middles = np.sqrt(edges[1:] * edges[:-1])
    bands = np.searchsorted(hz, edges)
    gains = np.add.reduceat(power, bands)[:-1] / np.maximum(np.diff(bands), 1)
    believed = whole.sweep.band(middles)
    shown = believed > 0.3
    levels = 10 * np.log10(np.maximum(gains[shown] / believed[shown] ** 2, 1e-12))
    top = 10 * math.ceil(float(levels.max()) / 10)
    panel = _Panel(y, float(edges[0]), float(edges[-1]), top - SPAN_DB, top, log=True)
    yield _frame(panel, "How loud which frequency comes back, dB")
    yield from _ticks(panel, [hz for hz in (200, 300, 500, 1000, 2000, 3000, 5000, 7000) if hz <= edges[-1]], "Hz")
    yield from _levels(panel, range(top, top - SPAN_DB - 1, -10))
    yield panel.line(middles[shown], levels, "in")


# ------------------------------------------------------------------------------------------- parts of the panels


def _thinned(at: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return the least and the greatest value of each half pixel, if there are more values than that."""
    columns = 2 * (WIDTH - 2 * MARGIN)
    if len(values) <= 2 * columns:
        return at, values
    starts = np.arange(columns) * len(values) // columns
    both = np.stack((np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)), axis=1)
    return np.repeat(at[starts], 2), both.reshape(-1)


def _frame(panel: _Panel, name: str) -> str:
    return (
        f'<text class="name" x="{MARGIN}" y="{panel.y - 9}">{escape(name)}</text>'
        f'<rect class="lane" x="{MARGIN}" y="{panel.y}" width="{WIDTH - 2 * MARGIN}" height="{HEIGHT}" rx="6"/>'
    )


def _ticks(panel: _Panel, values: Sequence[float], unit: str) -> Iterator[str]:
    bottom = panel.y + HEIGHT
    for value in values:
        x, words = panel.x(value), number(value, 1) + (f" {unit}" if value == values[-1] else "")
        yield f'<path class="grid" d="M{x} {panel.y}V{bottom}"/>'
        yield f'<text class="tick" x="{x}" y="{bottom + 15}" text-anchor="middle">{words}</text>'


def _levels(panel: _Panel, values: Sequence[float]) -> Iterator[str]:
    for value in values:
        y = panel.py(value)
        yield f'<path class="grid" d="M{MARGIN} {y}H{WIDTH - MARGIN}"/>'
        yield f'<text class="tick" x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{number(value)}</text>'


def _round(start: float, end: float, most: int) -> list[float]:
    """Return at most so many round numbers between the two."""
    steps = [digit * 10.0**power for power in range(-2, 6) for digit in (1, 2, 5)]
    step = next(step for step in steps if (end - start) / step <= most)
    values = [n * step for n in range(math.ceil(start / step), math.floor(end / step) + 1)]
    return [int(value) if step >= 1 else round(value, 2) for value in values]


def _mark(panel: _Panel, at: float, words: str) -> str:
    x = panel.x(at)
    return (
        f'<path class="mark" d="M{x} {panel.y}V{panel.y + HEIGHT}"/>'
        f'<text class="label" x="{x + 6}" y="{panel.y + 16}">{escape(words)}</text>'
    )


def _ordinal(order: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(order, f"{order}th")


STYLE = """
:root{color-scheme:light dark;--paper:#fbfbfa;--ink:#1d2329;--soft:#69727c;--line:#dfe2e5;--lane:#20303c;
--in:#0b7f6b;--cut:#c8322b}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e6e9ec;--soft:#98a2ac;--line:#2f353b;--lane:#c8d8e8;
--in:#4cc9b0;--cut:#ff7b72}}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;fill:var(--soft);
font-variant-numeric:tabular-nums}
.title{font-size:17px;font-weight:600;fill:var(--ink)}
.name{font-weight:600;fill:var(--ink)}
.paper{fill:var(--paper)}
.lane{fill:var(--lane);fill-opacity:.05}
.grid{stroke:var(--line);fill:none}
.in{stroke:var(--in);stroke-width:1.3;stroke-linejoin:round;fill:none}
.mark{stroke:var(--cut);stroke-dasharray:3 3;fill:none}
.label{fill:var(--cut)}
"""
