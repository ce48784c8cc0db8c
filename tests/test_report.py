"""The page shows what it was given, needs nothing else, and survives any words."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.light import BOX_PATTERNS, TURN_PATTERNS, Box, Turn
from edgevoice.pictures import LETTER
from edgevoice.report import CLOSE_UPS, report

RATE = 48000
CUT: dict[str, Any] = {
    "reply_at": 2.0,
    "onset_at": 3.0,
    "decided_at": 3.19,
    "silent_at": 3.2,
    "mic_to_silence_ms": 200.0,
    "drop_to_silence_ms": 10.0,
    "heard_ms": 1200.0,
    "claimed_ms": 1210.5,
    "heard_error_ms": 10.5,
}
FIGURES: dict[str, Any] = {
    "rate": RATE,
    "seconds": 6.0,
    "turns": 1,
    "interruptions": 1,
    "claimed_interruptions": 1,
    "mic_to_silence_ms": 200.0,
    "drop_to_silence_ms": -10.0,
    "heard_error_ms": 10.5,
    "each": [CUT],
    "replies": [[2.0, 3.2]],
}
EVENTS: list[dict[str, Any]] = [
    {"at": 0.0, "who": "box", "what": "light", "pattern": BOX_PATTERNS[Box.CONNECTING].name},
    {"at": 0.0, "who": "turn", "what": "turn", "turn": "opening"},
    {"at": 0.4, "who": "agent", "what": "Opened"},
    {"at": 0.4, "who": "turn", "what": "turn", "turn": "listening"},
    {"at": 0.4, "who": "box", "what": "light", "pattern": TURN_PATTERNS[Turn.LISTENING].name},
    {"at": 2.0, "who": "agent", "what": "ResponseStarted", "response": "r1"},
    {"at": 2.0, "who": "turn", "what": "turn", "turn": "speaking"},
    {"at": 2.0, "who": "box", "what": "light", "pattern": TURN_PATTERNS[Turn.SPEAKING].name},
    {"at": 3.0, "who": "person", "what": "speaks", "until": 5.0, "file": "voices/stop_it.wav"},
    {"at": 3.19, "who": "card", "what": "BargedIn", "response": "r1", "heard_ms": 1210.5},
    {"at": 3.19, "who": "card", "what": "SpeechStarted"},
    {"at": 5.1, "who": "card", "what": "SpeechStopped"},
]


def signals(seconds: float) -> tuple[np.ndarray[Any, np.dtype[np.int16]], np.ndarray[Any, np.dtype[np.int16]]]:
    """Return a microphone and a loudspeaker that falls silent at 3.2 s."""
    rng = np.random.default_rng(3)
    microphone = rng.integers(-3000, 3000, round(seconds * RATE)).astype(np.int16)
    speaker = rng.integers(-3000, 3000, round(seconds * RATE)).astype(np.int16)
    speaker[round(3.2 * RATE) :] = 0
    return microphone, speaker


def page(
    *, title: str = "Demo", events: list[dict[str, Any]] = EVENTS, figures: dict[str, Any] = FIGURES, seconds: float = 6
) -> str:
    return report(title, *signals(seconds), RATE, events, figures)


def pictures(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def words(picture: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in picture.iter("text")]


def dots(html: str) -> list[tuple[float, float]]:
    """Return where the samples of the first cut are drawn."""
    path = next(path.get("d", "") for path in pictures(html)[2].iter("path") if path.get("class") == "dots")
    return [(float(x), float(y)) for x, y in re.findall(r"M(\S+) (\S+?)h0", path)]


def test_the_page_needs_nothing_but_itself() -> None:
    html = page()
    assert not re.search(r"<script|<link|<img|@import|src=|https?:|url\((?!#)", html)
    assert html.startswith("<!DOCTYPE html>")
    assert html.count("<svg") == 3


def test_the_timeline_names_everything_in_it() -> None:
    timeline, _, _ = pictures(page())
    expected = {"loudspeaker", "microphone", "reply 1", "stop_it", "listening", "speaking", "r1 begins"}
    assert expected | {"agent connected", "barged in, heard 1210 ms"} <= set(words(timeline))


def test_an_interruption_is_told_in_milliseconds() -> None:
    html = page()
    assert "The person heard <b>1200.0 ms</b> of the reply; the agent was told <b>1210.5 ms</b>" in html
    _, close_up, cut = pictures(html)
    assert {"first sound", "decision", "silence"} <= set(words(close_up))
    assert {"200.0 ms speech to silence", "10.0 ms decision to silence"} <= set(words(close_up))
    assert {"silence", "0 ms"} <= set(words(cut))
    assert "decision" not in words(cut)  # it was 10 ms earlier


def test_the_cut_is_drawn_to_the_sample() -> None:
    points = dots(page())
    silence = [round(y, 1) for x, y in points if x >= 220.0]  # the middle of 440 px
    assert (len(points), len(silence)) == (288, 144)
    assert len(set(silence)) == 1
    assert sum(round(y, 1) == silence[0] for _, y in points[:144]) < 5


def test_a_single_loud_sample_is_seen_in_the_timeline() -> None:
    microphone, speaker = signals(6)
    speaker[:] = 0
    speaker[100_000] = 20000
    drawn = pictures(report("", microphone, speaker, RATE, [], {}))[0]
    outline = next(path.get("d", "") for path in drawn.iter("path") if path.get("class") == "out")
    heights = [int(point.split()[1]) for point in outline.strip("MZ").split("L")]
    assert min(heights) < -400
    assert sum(height < -10 for height in heights) == 1


def test_the_turn_has_the_colour_of_its_light() -> None:
    timeline = pictures(page())[0]
    fills = [rect.get("fill") for rect in timeline.iter("rect") if rect.get("height") == "20"]
    assert fills == ["#f49a40", "#40f440", "#4040f4"]  # opening, listening, speaking


def test_after_the_call_it_is_nobodys_turn() -> None:
    timeline = pictures(page(events=[*EVENTS, {"at": 4.0, "who": "agent", "what": "Closed"}]))[0]
    speaking = [rect for rect in timeline.iter("rect") if rect.get("height") == "20"][-1]
    assert float(speaking.get("width", "0")) == pytest.approx(2 / 6 * 1040, abs=0.1)


def test_the_light_blinks_in_its_own_rhythm() -> None:
    gradients = {gradient.get("id"): gradient for gradient in pictures(page())[0].iter("linearGradient")}
    connecting = gradients["light0"]
    width_of_a_second = 1040 / 6
    period = float(connecting.get("x2", "0")) - float(connecting.get("x1", "0"))
    assert period == pytest.approx(0.25 * width_of_a_second, abs=0.02)
    assert [stop.get("stop-opacity") for stop in gradients["light1"]] == ["1", "1"]  # listening is steady


def test_a_turn_that_this_program_does_not_know_is_grey() -> None:
    timeline = pictures(page(events=[{"at": 0.0, "what": "turn", "turn": "dancing"}]))[0]
    assert [rect.get("fill") for rect in timeline.iter("rect") if rect.get("height") == "20"] == ["gray"]
    assert "dancing" in words(timeline)


def test_figures_are_shown_as_given_and_not_computed() -> None:
    html = page(figures=FIGURES | {"turns": 77, "mic_to_silence_ms": None, "loudness": 5, "drift": -0.01})
    assert "<td>77<small> </small></td>" in html
    assert "<td>–<small> ms</small></td>" in html
    assert "<td>−10.0<small> ms</small></td>" in html
    assert "<td>0.0<small> </small></td><th scope=row>drift" in html
    assert "<td>5<small> </small></td><th scope=row>loudness" in html


def test_events_may_come_in_any_order() -> None:
    assert page(events=EVENTS[::-1]).count("<svg") == 3
    assert words(pictures(page(events=EVENTS[::-1]))[0]).count("listening") == 1


def test_a_decision_that_is_not_on_record_is_left_out() -> None:
    cut = CUT | {"decided_at": None, "drop_to_silence_ms": None, "claimed_ms": None, "heard_error_ms": None}
    html = page(figures=FIGURES | {"each": [cut]})
    assert "decision" not in words(pictures(html)[1])
    assert "the agent was told <b>–</b>" not in html
    assert "the agent was told nothing" in html


def test_silence_and_nothing_at_all_can_be_drawn() -> None:
    nothing = np.zeros(0, np.int16)
    assert "Nobody was interrupted." in report("Empty", nothing, nothing, RATE, [], {})
    for samples in (1, 100):
        quiet = np.zeros(samples, np.int16)
        assert len(pictures(report("Quiet", quiet, quiet, RATE, [], {}))) == 1


def test_an_interruption_at_the_edge_of_the_recording_can_be_drawn() -> None:
    for silent in (0.001, 5.9999):
        cut = CUT | {"onset_at": max(silent - 0.2, 0.0), "decided_at": silent, "silent_at": silent}
        assert len(dots(page(figures=FIGURES | {"each": [cut]}))) == 288


def test_forty_seconds_full_of_interruptions_stay_a_light_page() -> None:
    html = page(figures=FIGURES | {"each": [CUT] * 50}, seconds=40)
    assert len(html.encode()) < 600_000
    assert html.count("<svg") == 1 + 2 * CLOSE_UPS
    assert f"The first {CLOSE_UPS} of 50 are drawn." in html


TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["<b>&\"'</svg>", "$title", "{x}", "%s"])


@given(title=TEXT, name=TEXT)
@settings(max_examples=40)
def test_no_word_from_outside_becomes_markup(title: str, name: str) -> None:
    odd = f"<i>{name}</i>&\"'$style{{0}}"
    events = [
        {"at": 0.1, "who": odd, "what": odd, odd: odd},
        {"at": 0.1, "who": "person", "what": "speaks", "until": 3.0, "file": "<i>" + name},
        {"at": 0.2, "what": "turn", "turn": odd},
        {"at": 0.2, "what": "light", "pattern": odd},
        {"at": 0.3, "what": "ResponseStarted", "response": odd},
        {"at": 0.4, "what": "BargedIn", "response": odd, "heard_ms": odd},
    ]
    silence = np.zeros(6 * RATE, np.int16)
    html = report(f"<i>{title}", silence, silence, RATE, events, {odd: odd})
    assert "<i>" not in html.replace("<i class", "")
    assert html.count("<style>") == 1


@given(at=st.lists(st.floats(0, 6), min_size=1, max_size=25), barged=st.sets(st.integers(0, 24)))
@settings(max_examples=60)
def test_no_marker_covers_the_words_of_another(at: list[float], barged: set[int]) -> None:
    kinds = [
        {"what": "BargedIn", "heard_ms": 1.0} if n in barged else {"what": "Played", "response": "r1"}
        for n in range(len(at))
    ]
    events = [{"at": moment, **kind} for moment, kind in zip(at, kinds, strict=True)]
    silence = np.zeros(6 * RATE, np.int16)
    timeline = pictures(report("", silence, silence, RATE, events, {}))[0]
    boxes = []
    for text in timeline.iter("text"):
        if "label" in text.get("class", "") and text.text is not None:
            x, size = float(text.get("x", "0")), LETTER * len(text.text)
            boxes.append((x - size if text.get("text-anchor") == "end" else x, size, float(text.get("y", "0"))))
    assert len(boxes) >= len([n for n in barged if n < len(at)])
    for (a, size, y), (b, other, z) in combinations(boxes, 2):
        assert y != z or a + size <= b or b + other <= a
    for path in timeline.iter("path"):
        if "mark" in path.get("class", ""):
            x, top = map(float, re.findall(r"M(\S+) (\S+)V", path.get("d", ""))[0])
            assert not any(a < x < a + size and top < y for a, size, y in boxes)
