"""Draws a recorded conversation as one HTML page: both signals, what was decided when, and the figures.

The page needs nothing but itself: no script, no font, no picture from elsewhere. It computes no figure: `figures` is
what `edgevoice_measure.measure` returned, `events` what was written while the conversation ran.

    timeline      the whole of it: decisions, loudspeaker, microphone, turn, light
    close-up      an interruption, 0.3 s either way: first sound, decision, silence
    samples       the cut itself, 3 ms either way, each sample a dot
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from string import Template
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
CLOSE_UPS = 8  # more would make the page heavy and tell nothing new
LOG_LINES = 1000
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
FIGURES = {  # name, unit, and one line to a person who has not read the code
    "mic_to_silence_ms": (
        "speech to silence",
        "ms",
        "From the first sound at the microphone to the reply's last sample.",
    ),
    "drop_to_silence_ms": (
        "decision to silence",
        "ms",
        "From the decision to the last sample; negative: silence was first.",
    ),
    "heard_error_ms": ("error of “heard”", "ms", "What the agent was told was heard, less what left the loudspeaker."),
    "turns": ("replies", "", "Counted in what left the loudspeaker; chimes are none."),
    "interruptions": ("interruptions", "", "Replies that fell silent while a person was speaking over them."),
    "claimed_interruptions": ("interruptions claimed", "", "How many the program itself wrote down."),
    "seconds": ("length", "s", "Of both recordings; they begin with the same sample."),
    "rate": ("rate", "Hz", "Samples a second, of both recordings."),
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
    kind: str  # its class in STYLE


def report(
    title: str, microphone: Samples, speaker: Samples, rate: int, events: Sequence[Line], figures: Mapping[str, Any]
) -> str:
    """Return the page. `microphone` and `speaker` are (n,), sample aligned."""
    events = sorted(events, key=lambda event: float(event["at"]))
    each = figures.get("each", [])
    drawn = "".join(_interruption(n, cut, microphone, speaker, rate) for n, cut in enumerate(each[:CLOSE_UPS], 1))
    rest = f"<p class=note>The first {CLOSE_UPS} of {len(each)} are drawn.</p>" if len(each) > CLOSE_UPS else ""
    return Template(PAGE).substitute(
        title=escape(title),
        style=STYLE,
        figures=_table(figures),
        timeline=_timeline(microphone, speaker, rate, events, figures),
        interruptions=drawn + rest or "<p class=note>Nobody was interrupted.</p>",
        log=_log(events),
    )


# ------------------------------------------------------------------------------------------------ the pictures


def _timeline(
    microphone: Samples, speaker: Samples, rate: int, events: Sequence[Line], figures: Mapping[str, Any]
) -> str:
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


def _interruption(number: int, cut: Mapping[str, Any], microphone: Samples, speaker: Samples, rate: int) -> str:
    """Return one interruption in words, 0.3 s either way, and sample by sample."""
    heard = _number(cut["heard_ms"])
    told = "nothing" if cut["claimed_ms"] is None else f"<b>{_number(cut['claimed_ms'])} ms</b>"
    return (
        f"<h2>Interruption {number}, at {_number(cut['silent_at'], 3)} s</h2>"
        f"<p>The person heard <b>{heard} ms</b> of the reply; the agent was told {told}.</p>"
        f'<div class="pair"><figure>{_close_up(cut, microphone, speaker, rate)}<figcaption>0.3 s before and after the '
        f"silence.</figcaption></figure><figure>{_cut(cut, speaker, rate)}<figcaption>The same cut at the loudspeaker, "
        f"3 ms before and after: each dot is a sample.</figcaption></figure></div>"
    )


def _close_up(cut: Mapping[str, Any], microphone: Samples, speaker: Samples, rate: int) -> str:
    onset, decided, silent = cut["onset_at"], cut["decided_at"], cut["silent_at"]
    view = _View(min(silent - CLOSE_S, onset - 0.05), silent + CLOSE_S, CLOSE_WIDTH)
    marks = _moments(cut, view)
    measures = [(onset, f"{_number(cut['mic_to_silence_ms'])} ms speech to silence", "person")]
    if decided is not None:
        measures.append((decided, f"{_number(cut['drop_to_silence_ms'])} ms decision to silence", "decision"))
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


def _cut(cut: Mapping[str, Any], speaker: Samples, rate: int) -> str:
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
        words = _number(tick * step) + (f" {unit}" if tick == 0 else "")
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


# --------------------------------------------------------------------------------------------------- the words


def _number(value: object, digits: int = 1) -> str:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "\N{EN DASH}" if value is None else escape(str(value))
    shown = str(value) if isinstance(value, int) else f"{value:z.{digits}f}"
    return shown.replace("-", "\N{MINUS SIGN}")


def _table(figures: Mapping[str, Any]) -> str:
    rows = []
    for key in [*FIGURES, *(key for key in figures if key not in FIGURES)]:
        if key not in figures or isinstance(figures[key], (list, dict)):
            continue
        name, unit, meaning = FIGURES.get(key, (key, "", ""))
        value = f"{_number(figures[key])}<small> {unit}</small>"
        rows.append(f"<tr><td>{value}</td><th scope=row>{escape(name)}<span>{meaning}</span></th></tr>")
    return f'<table class="figures">{"".join(rows)}</table>'


def _log(events: Sequence[Line]) -> str:
    rows = []
    for event in events[:LOG_LINES]:
        rest = " ".join(f"{key}={value}" for key, value in event.items() if key not in ("at", "who", "what"))
        cells = (f"{event['at']:.3f}", str(event.get("who", "")), str(event.get("what", "")), rest)
        rows.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    return f'<table class="log">{"".join(rows)}</table>'


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$title</h1>
$timeline
<p class="note"><span><i class="out"></i>loudspeaker; shaded: a reply</span>
<span><i class="in"></i>microphone; shaded: a person speaks</span>
<span><i class="taken"></i>what the box took for speech</span>
<span>Each signal is scaled to its own peak. Below: whose turn it is, and the light as it shone.</span></p>
$interruptions
<h2>Figures</h2>
<p class="note">Computed from the two recordings by a program that cannot import the one it measures.</p>
$figures
<details><summary>What happened, line by line</summary>$log</details>
</body>
</html>
"""

STYLE = """
:root{color-scheme:light dark;--paper:#fbfbfa;--ink:#1d2329;--soft:#69727c;--line:#dfe2e5;--lane:#20303c;
--out:#2f62c9;--in:#0b7f6b;--cut:#c8322b;--text:system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e6e9ec;--soft:#98a2ac;--line:#2f353b;--lane:#c8d8e8;
--out:#7ea6ff;--in:#4cc9b0;--cut:#ff7b72}}
*{box-sizing:border-box}
body{max-width:1140px;margin:0 auto;padding:24px 20px 64px;background:var(--paper);color:var(--ink);
font:16px/1.5 var(--text);font-variant-numeric:tabular-nums}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 20px;letter-spacing:-.01em}
h2{font-size:1.15rem;margin:40px 0 4px}
p{margin:2px 0 12px}
.note,small,.figures span{color:var(--soft);font-size:.875rem}
.note>span{display:inline-block;margin-right:16px}
.note i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:5px}
i.out{background:var(--out)}i.in{background:var(--in)}.note i.taken{background:var(--ink);height:4px;vertical-align:3px}
.scroll{overflow-x:auto;margin:8px 0}
svg{display:block;width:100%;height:auto}
svg text{font:12px var(--text);fill:var(--soft)}
svg .name{font-weight:600;fill:var(--ink)}
svg .turn{fill:var(--ink)}
svg .lane{fill:var(--lane);fill-opacity:.05}
svg .out{fill:var(--out)}svg .in{fill:var(--in)}
svg .span{opacity:.13}
svg .taken{fill:var(--ink);opacity:.6}
svg .unlit{fill:#0c0d0e}
svg .grid{stroke:var(--line);fill:none}
svg .thread{stroke:var(--out);stroke-opacity:.35;fill:none}
svg .dots{stroke:var(--out);stroke-width:3.4;stroke-linecap:round}
svg .mark{stroke:var(--soft);fill:none}
svg .label,svg .name,svg text.in,svg text.out{paint-order:stroke;stroke:var(--paper);stroke-width:3px}
svg .mark.person{stroke:var(--in)}svg .label.person{fill:var(--in)}
svg .mark.decision{stroke:var(--cut);stroke-width:1.5}svg .label.decision{fill:var(--cut);font-weight:600}
svg .mark.silence{stroke:var(--ink);stroke-width:1.5}svg .label.silence{fill:var(--ink);font-weight:600}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:10px 0;border-top:1px solid var(--line);font-weight:400}
.figures{max-width:720px;margin-top:12px}
.figures td{width:8rem;padding-right:18px;text-align:right;white-space:nowrap}
.figures td{font-size:1.35rem;line-height:1.25;font-weight:600}
.figures th{font-weight:600}
.figures span{display:block;font-weight:400}
.pair{display:flex;flex-wrap:wrap;gap:4px 24px}
.pair figure{margin:0;flex:1 1 420px;min-width:0}
figcaption{color:var(--soft);font-size:.875rem}
details{margin-top:40px}
summary{cursor:pointer;font-weight:600}
.log{margin-top:12px;font-size:.8125rem}
.log td{padding:4px 14px 4px 0;overflow-wrap:anywhere}
.log td:first-child{text-align:right;width:5.5rem}
@media (max-width:600px){body{padding:16px 14px 48px}.figures td{width:6.6rem;padding-right:12px;font-size:1.15rem}}
"""
