"""Puts a recorded conversation on one HTML page: pictures of it, the figures, and what happened line by line.

The page needs nothing but itself: no script, no font, no picture from elsewhere. It computes no figure: `figures` is
what `edgevoice_measure.measure` returned, `events` what was written while the conversation ran.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from edgevoice.pictures import Line, Samples, close_up, last_samples, number, timeline

CLOSE_UPS = 8  # more would make the page heavy and tell nothing new
LOG_LINES = 1000

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
        timeline=timeline(microphone, speaker, rate, events, figures),
        interruptions=drawn + rest or "<p class=note>Nobody was interrupted.</p>",
        log=_log(events),
    )


def _interruption(nth: int, cut: Mapping[str, Any], microphone: Samples, speaker: Samples, rate: int) -> str:
    """Return one interruption in words, 0.3 s either way, and sample by sample."""
    heard = number(cut["heard_ms"])
    told = "nothing" if cut["claimed_ms"] is None else f"<b>{number(cut['claimed_ms'])} ms</b>"
    return (
        f"<h2>Interruption {nth}, at {number(cut['silent_at'], 3)} s</h2>"
        f"<p>The person heard <b>{heard} ms</b> of the reply; the agent was told {told}.</p>"
        f'<div class="pair"><figure>{close_up(cut, microphone, speaker, rate)}<figcaption>0.3 s before and after the '
        f"silence.</figcaption></figure><figure>{last_samples(cut, speaker, rate)}<figcaption>The same cut at the "
        f"loudspeaker, 3 ms before and after: each dot is a sample.</figcaption></figure></div>"
    )


def _table(figures: Mapping[str, Any]) -> str:
    rows = []
    for key in [*FIGURES, *(key for key in figures if key not in FIGURES)]:
        if key not in figures or isinstance(figures[key], (list, dict)):
            continue
        name, unit, meaning = FIGURES.get(key, (key, "", ""))
        value = f"{number(figures[key])}<small> {unit}</small>"
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
