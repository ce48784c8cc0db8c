"""Puts a recorded conversation on one HTML page: three scenes of it, the figures, and what happened line by line.

The page needs nothing but itself: no script, no font, no picture from elsewhere. It computes no figure: `figures` is
what `edgevoice_measure.measure` returned, `events` what was written while the conversation ran.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from edgevoice.drawing import Line, number
from edgevoice.pictures import Recordings, timeline
from edgevoice.scenes import Scene, cough, interruption, ordinary_turn

LOG_LINES = 1000

FIGURES = {  # name, unit, and one line to a person who has not read the code
    "echo_dbfs": ("the box's own echo", "dB", "At the microphone, while nobody else is heard; 0 is as loud as can be."),
    "noise_dbfs": ("the fan", "dB", "At the microphone, while nothing else sounds."),
    "voice_dbfs": ("the person's voice", "dB", "At the microphone, on the same scale."),
    "echo_left_dbfs": ("the same moments without the echo", "dB", "What an agent hears of it; the fan included."),
    "echo_removed_db": ("echo removed", "dB", "The first less the third."),
    "cough_pause_ms": ("silence for the cough", "ms", "From the reply's last sample to its next."),
    "lost_samples": ("samples lost", "", "Of the replies, at every silence that was taken back."),
    "repeated_samples": ("samples repeated", "", "The same."),
    "skipped_samples": ("samples skipped", "", "Where a reply sounds without a pause: lost or repeated."),
    "resume_step": ("greatest step when it goes on", "", "Between two samples of the first ms, of 32768."),
    "speech_to_silence_ms": (
        "speech to silence",
        "ms",
        "From the person's first sound to the reply's last. Negative: a breath came first.",
    ),
    "speech_to_decision_ms": ("speech to decision", "ms", "Until the agent was told; silence came before."),
    "heard_error_ms": ("error of “heard”", "ms", "What the agent was told was heard, less what left the loudspeaker."),
    "false_interruptions": ("false interruptions", "", "Replies that fell silent for good, and nobody spoke."),
    "missed_interruptions": ("missed interruptions", "", "Replies that went on to their end although somebody spoke."),
    "false_pauses": ("pauses for nothing", "", "Replies that paused, and nobody had made a sound."),
    "replies": ("replies", "", "Found in what left the loudspeaker, by what the agent sent."),
    "interruptions": ("interruptions", "", "Replies that fell silent for good while somebody spoke."),
    "claimed_interruptions": ("interruptions claimed", "", "How many the program itself wrote down."),
    "coughs": ("coughs", "", "By the script."),
    "seconds": ("length", "s", "Of the recordings; they begin with the same sample."),
    "rate": ("rate", "Hz", "Samples a second, of person, microphone and loudspeaker."),
}


def report(title: str, lead: str, heard: Recordings, events: Sequence[Line], figures: Mapping[str, Any]) -> str:
    """Return the page. Where there is no echo canceller, nothing is shown of a cleaned sound."""
    events = sorted(events, key=lambda event: float(event["at"]))
    deaf = any(event.get("what") == "canceller" and event.get("name") == "none" for event in events)
    found = (
        ordinary_turn(heard, figures, deaf=deaf),
        cough(heard, events, figures),
        interruption(heard, events, figures, deaf=deaf),
    )
    scenes = [scene for scene in found if scene]
    spans = [(scene.start, scene.end, scene.name) for scene in scenes]
    return Template(PAGE).substitute(
        title=escape(title),
        lead=escape(lead),
        style=STYLE,
        tiles="".join(_tile(n, scene) for n, scene in enumerate(scenes, 1)),
        timeline=timeline(heard, events, figures, spans, cleaned=not deaf),
        scenes="".join(_section(n, scene) for n, scene in enumerate(scenes, 1)),
        figures=_table(figures),
        log=_log(events),
    )


def summary(figures: Mapping[str, Any]) -> list[str]:
    """Return the figures as lines for a terminal."""
    shown = [(*FIGURES[key][:2], figures[key]) for key in FIGURES if key in figures]
    return [f"  {name:34} {number(value):>8} {unit}".rstrip() for name, unit, value in shown]


def _tile(n: int, scene: Scene) -> str:
    return (
        f'<a class="tile" href="#scene{n}"><span>{n} {escape(scene.name)}</span><b>{scene.figure}</b>'
        f"<p>{escape(scene.claim)}</p></a>"
    )


def _section(n: int, scene: Scene) -> str:
    drawn = "".join(f"<figure>{svg}<figcaption>{caption}</figcaption></figure>" for svg, caption in scene.pictures)
    return (
        f'<h2 id="scene{n}">{n} {escape(scene.name[0].upper() + scene.name[1:])}, at {number(scene.start)} s</h2>'
        f'<p>{scene.sentence}</p><div class="pair">{drawn}</div>'
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
<p class="lead">$lead</p>
<div class="tiles">$tiles</div>
$timeline
<p class="note"><span><i class="in"></i>the person</span>
<span><i class="out"></i>the loudspeaker</span>
<span><i class="raw"></i>both, as the microphone hears them</span>
<span><i class="taken"></i>what the box took for speech</span>
<span>Below: whose turn it is, and the light as it shone.</span></p>
$scenes
<h2>Figures</h2>
<p class="note">Computed from the recordings by a program that cannot import the one it measures.</p>
$figures
<details><summary>What happened, line by line</summary>$log</details>
</body>
</html>
"""

STYLE = """
:root{color-scheme:light dark;--paper:#fbfbfa;--ink:#1d2329;--soft:#69727c;--line:#dfe2e5;--lane:#20303c;
--out:#2f62c9;--in:#0b7f6b;--raw:#8a7f8f;--cut:#c8322b;
--text:system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
@media (prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e6e9ec;--soft:#98a2ac;--line:#2f353b;--lane:#c8d8e8;
--out:#7ea6ff;--in:#4cc9b0;--raw:#a79fae;--cut:#ff7b72}}
*{box-sizing:border-box}
body{max-width:1140px;margin:0 auto;padding:24px 20px 64px;background:var(--paper);color:var(--ink);
font:16px/1.5 var(--text);font-variant-numeric:tabular-nums}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 8px;letter-spacing:-.01em}
h2{font-size:1.15rem;margin:40px 0 4px}
p{margin:2px 0 12px}
.lead{max-width:46em;margin:0 0 18px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:14px;margin:0 0 22px}
.tile{display:block;padding:14px 16px;border:1px solid var(--line);border-radius:10px;color:inherit;
text-decoration:none}
.tile span{color:var(--soft);font-weight:600;font-size:.875rem}
.tile b{display:block;font-size:1.75rem;line-height:1.2;letter-spacing:-.02em;margin:2px 0 6px}
.tile p{margin:0;font-size:.9375rem;line-height:1.4}.tile p b{display:inline;font-size:inherit;letter-spacing:0}
.tile small{font-weight:400;letter-spacing:0}
.note,small,.figures span{color:var(--soft);font-size:.875rem}
.note>span{display:inline-block;margin-right:16px}
.note i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:5px}
i.out{background:var(--out)}i.in{background:var(--in)}i.raw{background:var(--raw)}
.note i.taken{background:var(--ink);height:4px;vertical-align:3px}
.scroll{overflow-x:auto;margin:8px 0}
svg{display:block;width:100%;height:auto}
svg text{font:12px var(--text);fill:var(--soft)}
svg .name{font-weight:600;fill:var(--ink)}
svg .turn{fill:var(--ink)}
svg .lane{fill:var(--lane);fill-opacity:.05}
svg .out{fill:var(--out)}svg .in{fill:var(--in)}svg .raw{fill:var(--raw)}
svg .scene{fill:var(--ink)}svg text.scene{font-weight:600;font-size:13px}
svg text.figure{fill:var(--ink);font-weight:600}
svg .sent{stroke:var(--ink);stroke-width:1.2;fill:none}
svg .curve{stroke:var(--out);stroke-width:4;stroke-opacity:.55;stroke-linejoin:round;fill:none}
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
