"""Draws a recorded conversation, or a moment of it, as SVG: sound, decisions, turn and light over one axis of time.

timeline       the whole of it: person, loudspeaker, microphone, the same without the echo, turn, light
echo_close_up  a reply: what the microphone hears of it, and what is left of that
levels         how loud everything is at the microphone
pause_close_up a silence that was taken back: first sound, silence, and on it goes
seam           the two ends of that silence put together, over what the agent sent
cut_close_up   an interruption, 0.3 s either way: first sound, silence, decision
last_samples   the cut itself, 3 ms either way, each sample a dot
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from edgevoice.drawing import (
    NAME,
    ROW,
    Lane,
    Line,
    Moment,
    Samples,
    Span,
    View,
    axis,
    distance,
    lane,
    light_strip,
    markers,
    number,
    overhang,
    rows,
    svg,
    turn_strip,
)

WIDTH = 1040  # px at least: a phone scrolls the timeline rather than making its words too small
PX_PER_S = 26  # at least: a spoken word stays wider than a letter
CLOSE_WIDTH = 440  # px: two side by side on a desk, one below the other on a phone
CLOSE_S = 0.3
CUT_S = 0.003
SEAM_S = (0.002, 0.008)  # before the silence; after it, where the reply fades in for 5 ms
LANE = 52  # px, the height of a signal
CURVE = 216  # px, the height of single samples
PITCH = NAME + LANE + 4
LINE = 26  # px from one distance to the next
QUIETEST_DBFS = -80.0


@dataclass(frozen=True, slots=True)
class Recordings:
    """What was recorded, all (n,): the first three at `rate` and sample aligned; `agent` is a track of its own."""

    rate: int
    person: Samples
    microphone: Samples
    speaker: Samples
    cleaned: Samples  # the microphone without the echo
    cleaned_rate: int
    agent: Samples  # what it sent, one reply after the other
    agent_rate: int


def timeline(
    heard: Recordings, events: Sequence[Line], figures: Mapping[str, Any], scenes: Sequence[Span], *, cleaned: bool
) -> str:
    """Return the whole conversation with its `scenes`. `events` are in the order of their times."""
    seconds = max(len(heard.speaker) / heard.rate, 0.1)
    view = View(0.0, seconds, max(WIDTH, math.ceil(seconds * PX_PER_S)))
    moments = _decisions(events, figures)
    top = 28 + ROW * rows(moments, view)
    replies = [(first, end, f"reply {n}") for n, (first, end) in enumerate(figures.get("spoken", []), 1)]
    loud = _peak(heard.microphone)
    lanes = [
        Lane("the person", "in", heard.person, heard.rate, list(_utterances(events)), loud),
        Lane("the loudspeaker", "out", heard.speaker, heard.rate, replies),
        Lane("the microphone hears both", "raw", heard.microphone, heard.rate, (), loud),
    ]
    if cleaned:
        name = "without the echo: what is sent to an agent"
        lanes.append(Lane(name, "in", heard.cleaned, heard.cleaned_rate, (), loud))
    turn = top + len(lanes) * PITCH + 4
    parts = [
        axis(view, top, turn + 40, unit="s"),
        *_stacked(view, top, lanes),
        *_taken_for_speech(events, view, turn - 11),
        *turn_strip(events, view, turn),
        *light_strip(events, view, turn + 24, "whole"),
        f'<g transform="translate(0 24)">{"".join(markers(moments, view, turn + 12))}</g>',
        *_brackets(scenes, view),
    ]
    name = "The conversation: person, loudspeaker, microphone, the same without the echo, turn, light"
    return svg(view.width + overhang(moments, view), turn + 58, name, parts, least=view.width)


def echo_close_up(heard: Recordings, start: float, end: float, *, cleaned: bool) -> str:
    """Return the time from `start` to `end`: the loudspeaker, its echo, and if `cleaned` what is left of that."""
    view = View(start, end, CLOSE_WIDTH)
    loud = max(_peak(view.of(heard.microphone, heard.rate)), _peak(view.of(heard.cleaned, heard.cleaned_rate)))
    lanes = [
        Lane("the loudspeaker", "out", heard.speaker, heard.rate),
        Lane("the microphone hears", "raw", heard.microphone, heard.rate, (), loud),
    ]
    if cleaned:
        lanes.append(Lane("without the echo, on the same scale", "in", heard.cleaned, heard.cleaned_rate, (), loud))
    bottom = 4 + len(lanes) * PITCH
    parts = [axis(view, 4, bottom, unit="s"), *_stacked(view, 4, lanes)]
    return svg(view.width, bottom + 20, "A reply: loudspeaker, microphone, the same without the echo", parts)


def levels(bars: Sequence[tuple[str, str, float | None]]) -> str:
    """Return how loud each is: a name, a class, and dBFS or None."""
    parts, y = [], 0
    for name, kind, dbfs in bars:
        width = max(2.0, (1 + max(dbfs, QUIETEST_DBFS) / -QUIETEST_DBFS) * CLOSE_WIDTH) if dbfs is not None else 0
        parts.append(f'<text class="name" x="0" y="{y + 14}">{escape(name)}</text>')
        parts.append(f'<rect class="lane" y="{y + 20}" width="{CLOSE_WIDTH}" height="16" rx="3"/>')
        parts.append(f'<rect class="{kind}" y="{y + 20}" width="{width:.1f}" height="16" rx="3"/>')
        parts.append(f'<text class="figure" x="{CLOSE_WIDTH}" y="{y + 14}" text-anchor="end">{number(dbfs)} dB</text>')
        y += 50
    return svg(CLOSE_WIDTH, max(y - 8, 1), "How loud everything is at the microphone", parts)


def calm_close_up(heard: Recordings, events: Sequence[Line], at: float, words: str) -> str:
    """Return a moment at which nothing followed from what the person did."""
    view = View(at - CLOSE_S, at + 2 * CLOSE_S, CLOSE_WIDTH)
    return _close_up(heard, events, view, [Moment(at, words, "person")], [], at, f"A {words}, and nothing follows")


def pause_close_up(heard: Recordings, events: Sequence[Line], pause: Mapping[str, Any]) -> str:
    """Return `pause`, one of the figures' "pauses": a silence in a reply that went on after it."""
    begins, ends, waited_ms = pause["from"], pause["until"], pause["onset_to_silence_ms"]
    onset = begins if waited_ms is None else begins - waited_ms / 1000
    view = View(min(onset, begins) - 0.2, ends + 0.25, CLOSE_WIDTH)
    moments = [Moment(begins, "silence", "silence"), Moment(ends, "and on it goes", "person")]
    lines = [(begins, ends, f"{number(pause['ms'], 0)} ms of silence", "silence")]
    if waited_ms is not None:
        moments.insert(0, Moment(onset, str(pause["cause"]), "person"))
        lines.insert(0, (onset, begins, f"{number(waited_ms, 0)} ms", "person"))
    return _close_up(heard, events, view, moments, lines, onset, "A silence that was taken back")


def seam(heard: Recordings, pause: Mapping[str, Any]) -> str:
    """Return the sound around `pause` with the silence cut out, over what the agent sent, by the agent's time."""
    rate, cut_at, goes_on_at = heard.rate, pause["agent_at"], pause["agent_goes_on_at"]
    view = View(-SEAM_S[0], SEAM_S[1], CLOSE_WIDTH)
    cut, on = round(pause["from"] * rate), round(pause["until"] * rate)
    before = heard.speaker[max(0, cut - round(SEAM_S[0] * rate)) : cut]
    after = heard.speaker[on : on + round(SEAM_S[1] * rate)]
    first = math.floor((cut_at - SEAM_S[0]) * heard.agent_rate)
    last = math.ceil((cut_at + SEAM_S[1]) * heard.agent_rate)
    sent = heard.agent[max(first, 0) : last]
    height = CURVE
    scale = (height / 2 - 12) / max(1, _peak(before), _peak(after), _peak(sent))

    def points(samples: Samples, start: float, per_s: int) -> str:
        return "L".join(
            f"{view.x(start + i / per_s):.1f} {22 + height / 2 - y * scale:.1f}" for i, y in enumerate(samples)
        )

    late = goes_on_at - cut_at
    parts = [
        axis(view, 22, 22 + height + 4, unit="ms"),
        f'<rect class="lane" y="22" width="{view.width}" height="{height}" rx="6"/>',
        *markers(
            [Moment(0.0, f"here {number(pause['ms'], 0)} ms of silence were cut out", "silence")], view, 22 + height
        ),
        f'<path class="sent" d="M{points(sent, max(first, 0) / heard.agent_rate - cut_at, heard.agent_rate)}"/>',
        *(f'<path class="curve" d="M{piece}"/>' for piece in (points(before, -len(before) / rate, rate),) if piece),
        *(f'<path class="curve" d="M{piece}"/>' for piece in (points(after, late, rate),) if piece),
    ]
    return svg(view.width, height + 46, "The end and the new beginning of the sound, put together", parts)


def cut_close_up(heard: Recordings, events: Sequence[Line], cut: Mapping[str, Any]) -> str:
    """Return the interruption `cut`, one of the figures' "each", with the sound around its silence."""
    onset, silent, decided = cut["onset_at"], cut["silent_at"], cut["decided_at"]
    view = View(min(silent - CLOSE_S, onset - 0.05), max(silent + CLOSE_S, (decided or silent) + 0.1), CLOSE_WIDTH)
    moments = [Moment(onset, "first sound", "person"), Moment(silent, "silence", "silence")]
    lines = [(onset, silent, f"{number(cut['speech_to_silence_ms'], 0)} ms to silence", "person")]
    if decided is not None:
        moments.append(Moment(decided, "decision", "decision"))
        lines.append((onset, decided, f"{number(cut['speech_to_decision_ms'], 0)} ms to the decision", "decision"))
    moments.sort(key=lambda moment: moment.at)
    return _close_up(heard, events, view, moments, lines, silent, "An interruption: first sound, silence, decision")


def last_samples(heard: Recordings, cut: Mapping[str, Any]) -> str:
    """Return the loudspeaker's last samples before the silence of the interruption `cut`, and the first ones of it."""
    rate = heard.rate
    view = View(cut["silent_at"] - CUT_S, cut["silent_at"] + CUT_S, CLOSE_WIDTH)
    moments = [Moment(cut["silent_at"], "silence", "silence")]
    signal = view.of(heard.speaker, rate)
    top, height = 4 + ROW * rows(moments, view), CURVE
    scale = (height / 2 - 12) / max(1, _peak(signal))
    first = round(view.start * rate) / rate
    points = [f"{view.x(first + i / rate):.1f} {top + height / 2 - y * scale:.1f}" for i, y in enumerate(signal)]
    parts = [
        axis(view, top, top + height + 4, zero=cut["silent_at"], unit="ms"),
        f'<rect class="lane" y="{top}" width="{view.width}" height="{height}" rx="6"/>',
        *markers(moments, view, top + height + 4),
        f'<path class="thread" d="M{"L".join(points)}"/>',
        f'<path class="dots" d="{"".join(f"M{point}h0" for point in points)}"/>',
    ]
    return svg(view.width, top + height + 24, "The last samples before the silence", parts)


# --------------------------------------------------------------------------------------- parts of the pictures


def _close_up(
    heard: Recordings,
    events: Sequence[Line],
    view: View,
    moments: Sequence[Moment],
    lines: Sequence[tuple[float, float, str, str]],
    zero: float,
    name: str,
) -> str:
    """Return person and loudspeaker, some moments, distances between them, the turn and the light."""
    top = 4 + ROW * rows(moments, view)
    lanes = [
        Lane("the person", "in", heard.person, heard.rate),
        Lane("the loudspeaker", "out", heard.speaker, heard.rate),
    ]
    below = top + len(lanes) * PITCH + 18
    turn = below + LINE * len(lines) - 8
    parts = [
        axis(view, top, turn + 42, zero=zero, unit="ms"),
        *_stacked(view, top, lanes),
        *turn_strip(events, view, turn),
        *light_strip(events, view, turn + 24, f"at{round(view.start * 1000)}"),
        *markers(moments, view, turn),
        *(distance(view, below + LINE * row, *line) for row, line in enumerate(lines)),
    ]
    return svg(view.width, turn + 62, name, parts)


def _stacked(view: View, top: float, lanes: Sequence[Lane]) -> Iterator[str]:
    for n, drawn in enumerate(lanes):
        yield lane(view, top + NAME + n * PITCH, LANE, drawn)


def _peak(signal: Samples) -> int:
    return int(np.abs(signal.astype(np.int64)).max(initial=0))


def _brackets(scenes: Sequence[Span], view: View) -> Iterator[str]:
    for number_, (first, end, name) in enumerate(scenes, 1):
        x, width = view.x(first), view.x(end) - view.x(first)
        yield f'<rect class="scene" x="{x}" y="1" width="{width:.2f}" height="4" rx="2"/>'
        yield f'<text class="scene" x="{x}" y="19">{number_} {escape(name)}</text>'


def _decisions(events: Sequence[Line], figures: Mapping[str, Any]) -> list[Moment]:
    """Return when the loudspeaker fell silent, as measured, and what the program said it was."""
    moments = [Moment(pause["from"], f"silent for {number(pause['ms'], 0)} ms") for pause in figures.get("pauses", [])]
    for event in events:
        if event.get("what") == "BargedIn":
            moments.append(Moment(float(event["at"]), "interrupted", "decision"))
    return sorted(moments, key=lambda moment: moment.at)


def _utterances(events: Sequence[Line]) -> Iterator[Span]:
    for event in events:
        if event.get("who") == "person" and event.get("what") in ("speaks", "coughs"):
            name = str(event.get("file", "")).replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".wav")
            words = "cough" if event["what"] == "coughs" else name or "a person"
            yield event["at"], event.get("until", event["at"]), words


def _taken_for_speech(events: Sequence[Line], view: View, y: float) -> Iterator[str]:
    """Underline what the box took for speech."""
    changes = [event for event in events if event.get("what") in ("SpeechStarted", "SpeechStopped")]
    for event, following in pairwise([*changes, {"at": view.end}]):
        if event["what"] == "SpeechStarted":
            x = view.x(event["at"])
            yield f'<rect class="taken" x="{x}" y="{y}" width="{view.x(following["at"]) - x:.2f}" height="4" rx="2"/>'
