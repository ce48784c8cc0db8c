"""Draws a recorded conversation, or a moment of it, as SVG: sound, decisions, turn and light over one axis of time.

    timeline      the whole of it: decisions, loudspeaker, microphone, turn, light
    close_up      an interruption, 0.3 s either way: first sound, decision, silence
    last_samples  the cut itself, 3 ms either way, each sample a dot

What a picture looks like beyond its lines is in the style of the page (`report.STYLE`), by the names of its classes.
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
Line: TypeAlias = Mapping[str, Any]  # one of events.jsonl: at least "at", seconds since the first sample
Span: TypeAlias = tuple[float, float, str]  # from, to, name

WIDTH = 1040  # px at least: a phone scrolls the timeline rather than making its words too small
PX_PER_S = 26  # at least: a spoken word stays wider than a letter
CLOSE_WIDTH = 440  # px: two side by side on a desk, one below the other on a phone
PHONE_WIDTH = 340  # px: no close-up gets narrower
CLOSE_S = 0.3
CUT_S = 0.003
LANE = 104  # px, the height of a signal
ROW = 18
MOST_ROWS, NO_ROW = 2, -1  # of words above the lanes; interruptions may climb higher
LETTER = 7.0  # px, a generous mean for 12 px text: labels that might overlap go to different rows
TICK = 44  # px, the least distance between two times
QUIET_PEAK = 1000  # a lane is never magnified beyond this: noise must look like noise

MARKS = {  # decisions and what led to them, as words
    "Opened": "{who} connected",
    "Pressed": "button",
    "ResponseStarted": "{response} begins",
    "Played": "{response} played",
    "BargedIn": "barged in, heard {heard_ms} ms",
    "Closed": "{who} closed",
}


@dataclass(frozen=True, slots=True)
class _View:
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
class _Mark:
    at: float
    text: str
    kind: str  # the name of its class


def timeline(
    microphone: Samples, speaker: Samples, rate: int, events: Sequence[Line], figures: Mapping[str, Any]
) -> str:
    """Return the whole conversation. `microphone` and `speaker` are (n,); `events` in the order of their times."""
    seconds = max(len(speaker) / rate, 0.1)
    view = _View(0.0, seconds, max(WIDTH, math.ceil(seconds * PX_PER_S)))
    marks = [_mark(event) for event in events if event.get("what") in MARKS]
    replies = [(first, end, f"reply {n}") for n, (first, end) in enumerate(figures.get("replies", []), 1)]
    top = 4 + ROW * _rows(marks, view)
    ear, turn = top + LANE + 8, top + 2 * LANE + 18
    parts = [
        _axis(view, top, turn + 40, unit="s"),
        _lane(view, top, "loudspeaker", "out", view.of(speaker, rate), replies),
        _lane(view, ear, "microphone", "in", view.of(microphone, rate), list(_utterances(events))),
        *_taken_for_speech(events, view, ear + LANE - 5),
        *_turns(events, view, turn),
        *_light(events, view, turn + 24),
        *_markers(marks, view, turn + 36),
    ]
    name = "The conversation: loudspeaker, microphone, turn, light, decisions"
    width = view.width + _overhang(marks, view)
    return _svg(width, turn + 58, name, parts, least=width)


def close_up(cut: Mapping[str, Any], microphone: Samples, speaker: Samples, rate: int) -> str:
    """Return the interruption `cut`, one of the figures' "each", with the sound around its silence."""
    onset, decided, silent = cut["onset_at"], cut["decided_at"], cut["silent_at"]
    view = _View(min(silent - CLOSE_S, onset - 0.05), silent + CLOSE_S, CLOSE_WIDTH)
    marks = _moments(cut, view)
    measures = [(onset, f"{number(cut['mic_to_silence_ms'])} ms speech to silence", "person")]
    if decided is not None:
        measures.append((decided, f"{number(cut['drop_to_silence_ms'])} ms decision to silence", "decision"))
    top = 4 + ROW * _rows(marks, view)
    ear, below = top + LANE + 8, top + 2 * LANE + 22
    axis = below + ROW * len(measures)
    parts = [
        _axis(view, top, axis, zero=silent, unit="ms"),
        _lane(view, top, "loudspeaker", "out", view.of(speaker, rate), []),
        _lane(view, ear, "microphone", "in", view.of(microphone, rate), []),
        *_markers(marks, view, axis),
        *(_measure(view, below + ROW * row, at, silent, *words) for row, (at, *words) in enumerate(measures)),
    ]
    return _svg(view.width, axis + 20, "An interruption: first sound, decision, silence", parts)


def last_samples(cut: Mapping[str, Any], speaker: Samples, rate: int) -> str:
    """Return the loudspeaker's last samples before the silence of the interruption `cut`, and the first ones of it."""
    view = _View(cut["silent_at"] - CUT_S, cut["silent_at"] + CUT_S, CLOSE_WIDTH)
    marks = _moments(cut, view)
    signal = view.of(speaker, rate).astype(np.int64)
    top, height = 4 + ROW * _rows(marks, view), 2 * LANE + 8
    scale = (height / 2 - 12) / max(1, int(np.abs(signal).max(initial=0)))
    first = round(view.start * rate) / rate
    points = [f"{view.x(first + i / rate):.1f} {top + height / 2 - y * scale:.1f}" for i, y in enumerate(signal)]
    parts = [
        _axis(view, top, top + height + 4, zero=cut["silent_at"], unit="ms"),
        f'<rect class="lane" y="{top}" width="{view.width}" height="{height}" rx="6"/>',
        *_markers(marks, view, top + height + 4),
        f'<path class="thread" d="M{"L".join(points)}"/>',
        f'<path class="dots" d="{"".join(f"M{point}h0" for point in points)}"/>',
    ]
    return _svg(view.width, top + height + 24, "The last samples before the silence", parts)


def number(value: object, digits: int = 1) -> str:
    """Write a figure with a real minus sign; a dash for one that is not known."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "\N{EN DASH}" if value is None else escape(str(value))
    shown = str(value) if isinstance(value, int) else f"{value:z.{digits}f}"
    return shown.replace("-", "\N{MINUS SIGN}")


def _moments(cut: Mapping[str, Any], view: _View) -> list[_Mark]:
    """Return what of an interruption falls into the window, in order."""
    moments = [
        ("onset_at", "first sound", "person"),
        ("decided_at", "decision", "decision"),
        ("silent_at", "silence", "silence"),
    ]
    marks = [_Mark(cut[key], *words) for key, *words in moments if cut[key] is not None]
    return sorted((mark for mark in marks if view.start <= mark.at <= view.end), key=lambda mark: mark.at)


def _svg(width: float, height: float, name: str, parts: Iterable[str], *, least: float = PHONE_WIDTH) -> str:
    return (
        f'<div class="scroll"><svg viewBox="0 0 {width:g} {height:g}" style="min-width:{least:g}px" role="img" '
        f'aria-label="{escape(name)}">{"".join(parts)}</svg></div>'
    )


# --------------------------------------------------------------------------------------- parts of the pictures


def _lane(view: _View, y: float, name: str, kind: str, signal: Samples, spans: Sequence[Span]) -> str:
    """Return a signal with its `spans` shaded and named."""
    parts = [f'<rect class="lane" y="{y}" width="{view.width}" height="{LANE}" rx="6"/>']
    for first, end, _ in spans:
        x, width = view.x(first), view.x(end) - view.x(first)
        parts.append(f'<rect class="span {kind}" x="{x}" y="{y}" width="{width:.2f}" height="{LANE}"/>')
    parts.append(
        f'<path class="{kind}" transform="translate(0 {y + LANE / 2}) scale({view.width / _columns(view):.4f} .1)" '
        f'd="{_envelope(signal, _columns(view), LANE * 5 - 40)}"/>'
    )
    for first, end, words in spans:
        room = int((view.x(end) - view.x(first) - 8) / LETTER)
        shown = words if len(words) <= room else words[: max(room - 1, 0)] + "…" if room > 3 else ""
        parts.append(f'<text class="{kind}" x="{view.x(first) + 5}" y="{y + LANE - 11}">{escape(shown)}</text>')
    return "".join(parts) + f'<text class="name" x="8" y="{y + 17}">{name}</text>'


def _columns(view: _View) -> int:
    return round(view.width * 1.5)  # sharp on a phone's screen, and not yet heavy


def _envelope(signal: Samples, columns: int, half: float) -> str:
    """Return a path around the least and the greatest sample of each column; its heights are whole numbers."""
    if len(signal) < columns:
        signal = np.repeat(signal, columns // max(len(signal), 1) + 1) if len(signal) else np.zeros(columns, np.int16)
    starts = np.arange(columns) * len(signal) // columns
    scale = half / max(QUIET_PEAK, int(np.abs(signal.astype(np.int32)).max()))
    upper = np.rint(-np.maximum.reduceat(signal, starts) * scale).astype(int).tolist()
    lower = np.rint(-np.minimum.reduceat(signal, starts) * scale).astype(int).tolist()
    there = [f"{x} {y - 4}" for x, y in enumerate(upper)]  # silence is a thin line too
    back = [f"{x} {y + 4}" for x, y in reversed(list(enumerate(lower)))]
    return f"M{'L'.join(there + back)}Z"


def _utterances(events: Sequence[Line]) -> Iterator[Span]:
    for event in events:
        if (event.get("who"), event.get("what")) == ("person", "speaks"):
            name = str(event.get("file", "")).replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".wav")
            yield event["at"], event.get("until", event["at"]), name or "a person"


def _taken_for_speech(events: Sequence[Line], view: _View, y: float) -> Iterator[str]:
    """Underline what the box took for speech."""
    changes = [event for event in events if event.get("what") in ("SpeechStarted", "SpeechStopped")]
    for event, following in pairwise([*changes, {"at": view.end}]):
        if event["what"] == "SpeechStarted":
            x = view.x(event["at"])
            yield f'<rect class="taken" x="{x}" y="{y}" width="{view.x(following["at"]) - x:.2f}" height="4" rx="2"/>'


def _turns(events: Sequence[Line], view: _View, y: float) -> Iterator[str]:
    """Draw whose turn it is, in the colour that the light has then."""
    known = {turn.value: pattern for turn, pattern in TURN_PATTERNS.items()}
    for first, end, turn in _stretches(events, {"turn": "turn", "Closed": ""}, view):  # no call, nobody's turn
        x, width = view.x(first), view.x(end) - view.x(first)
        colour = _colour(known[turn]) if turn in known else "gray"
        yield f'<rect x="{x}" y="{y}" width="{width:.2f}" height="20" fill="{colour}" fill-opacity=".3"/>'
        if LETTER * len(turn) + 8 < width:
            yield f'<text class="turn" x="{x + 5}" y="{y + 14}">{escape(turn)}</text>'


def _light(events: Sequence[Line], view: _View, y: float) -> Iterator[str]:
    """Draw the light as it shines: its colour and its rhythm, on black."""
    known = {pattern.name: pattern for pattern in [*BOX_PATTERNS.values(), *TURN_PATTERNS.values()]}
    yield f'<rect class="unlit" y="{y}" width="{view.width}" height="10" rx="5"/>'
    for number, (first, end, name) in enumerate(_stretches(events, {"light": "pattern"}, view)):
        if name in known:
            yield _rhythm(known[name], f"light{number}", view, first)
            x, width = view.x(first), view.x(end) - view.x(first)
            yield f'<rect x="{x}" y="{y + 1.5}" width="{width:.2f}" height="7" fill="url(#light{number})">'
            yield f"<title>{escape(name)}</title></rect>"


def _stretches(events: Sequence[Line], fields: Mapping[str, str], view: _View) -> Iterator[Span]:
    """Yield from when to when each state lasted; `fields` tells what an event calls the state that it begins."""
    changes = [event for event in events if event.get("what") in fields]
    states = [(float(event["at"]), str(event.get(fields[event["what"]], ""))) for event in changes]
    for (first, name), (end, _) in pairwise([*states, (view.end, "")]):
        if name and first < end:
            yield first, end, name


def _rhythm(pattern: Pattern, name: str, view: _View, start: float) -> str:
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
    x = view.x(start)
    return (
        f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" x1="{x}" y1="0" y2="0" spreadMethod="repeat" '
        f'x2="{x + period * view.width / (view.end - view.start):.2f}">{stops}'
        "</linearGradient>"
    )


def _colour(pattern: Pattern) -> str:
    """Return the light's colour a little paler, as an LED looks behind its diffuser."""
    if not any(pattern.rgb):
        return "#000"
    return "#" + "".join(f"{round(64 + 180 * part):02x}" for part in pattern.rgb)


def _axis(view: _View, top: float, y: float, *, unit: str, zero: float = 0.0) -> str:
    """Return vertical lines from `top` to `y` and the times under them, counted from `zero`."""
    scale = 1000 if unit == "ms" else 1
    start, end = (view.start - zero) * scale, (view.end - zero) * scale
    steps = [digit * 10**power for power in range(8) for digit in (1, 2, 5)]
    step = next(step for step in steps if view.width * step / (end - start) >= TICK)
    parts = []
    for tick in range(math.ceil(start / step - 1e-6), math.floor(end / step + 1e-6) + 1):
        x = view.x(zero + tick * step / scale)
        anchor = "start" if x < 12 else "end" if x > view.width - 12 else "middle"
        words = number(tick * step) + (f" {unit}" if tick == 0 else "")
        parts.append(f'<path class="grid" d="M{x} {top}V{y}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{y + 14}" text-anchor="{anchor}">{words}</text>')
    return "".join(parts)


def _measure(view: _View, y: float, start: float, end: float, words: str, kind: str) -> str:
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


# ------------------------------------------------------------------------------------------------- the markers


def _mark(event: Line) -> _Mark:
    fields = {name: f"{value:.0f}" if isinstance(value, float) else value for name, value in event.items()}
    words = MARKS[event["what"]].format_map({"who": "", "response": "reply", "heard_ms": "?", **fields}).strip()
    return _Mark(float(event["at"]), words, "decision" if event["what"] == "BargedIn" else "")


def _rows(marks: Sequence[_Mark], view: _View) -> int:
    return 1 + max((row for *_, row in _placed(marks, view)), default=NO_ROW)


def _overhang(marks: Sequence[_Mark], view: _View) -> float:
    """Return how far words reach beyond the right edge of the lanes."""
    return max([0.0, *(x + _size(mark) - view.width for mark, x, row in _placed(marks, view) if row != NO_ROW)])


def _size(mark: _Mark) -> float:
    return LETTER * len(mark.text) + 8


def _placed(marks: Sequence[_Mark], view: _View) -> Iterator[tuple[_Mark, float, int]]:
    """Yield each mark, its x, and the row of its words (0 is the lowest), such that no line crosses any words.

    An ordinary mark for whose words there is no room low down keeps only its line.
    """
    free: list[float] = []  # up to which x each row is free: it fills from the right
    for mark in reversed(marks):
        x = view.x(mark.at)
        row = next((row for row, limit in enumerate(free) if x + _size(mark) <= limit), len(free))
        if row >= MOST_ROWS and not mark.kind:
            yield mark, x, NO_ROW
            continue
        free[: row + 1] = [x] * (row + 1)
        yield mark, x, row


def _markers(marks: Sequence[_Mark], view: _View, bottom: float) -> Iterator[str]:
    """Draw a line for each moment, down to `bottom`, and its words on top."""
    rows = _rows(marks, view)
    for mark, x, row in _placed(marks, view):
        y = ROW * (rows - row) - 1
        yield f'<path class="mark {mark.kind}" d="M{x} {y - 10}V{bottom}"/>'
        if row != NO_ROW:
            yield f'<text class="label {mark.kind}" x="{x + 4}" y="{y}">{escape(mark.text)}</text>'
