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
from numpy.typing import NDArray

from edgevoice.drawing import LETTER
from edgevoice.light import BOX_PATTERNS, TURN_PATTERNS, Box, Turn
from edgevoice.pictures import Recordings, timeline
from edgevoice.report import report, summary

Samples = NDArray[np.int16]
RATE = 48000
HEARD_RATE = 16000
Figures = dict[str, Any]
PAUSE: Figures = {
    "from": 2.5,
    "until": 2.75,
    "ms": 250.0,
    "cause": "cough",
    "onset_to_silence_ms": 40.0,
    "lost_samples": 0,
    "repeated_samples": 0,
    "resume_step": 9,
    "agent_at": 1.5,
    "agent_goes_on_at": 1.5001,
    "reply": 0,
}
CUT: Figures = {
    "reply_at": 2.0,
    "onset_at": 3.0,
    "decided_at": 3.3,
    "silent_at": 3.2,
    "speech_to_silence_ms": 200.0,
    "speech_to_decision_ms": 300.0,
    "heard_ms": 1200.0,
    "claimed_ms": 1210.5,
    "heard_error_ms": 10.5,
}
FIGURES: Figures = {
    "rate": RATE,
    "seconds": 6.0,
    "replies": 1,
    "interruptions": 1,
    "claimed_interruptions": 1,
    "false_interruptions": 0,
    "missed_interruptions": 0,
    "false_pauses": 0,
    "coughs": 1,
    "cough_pause_ms": 250.0,
    "lost_samples": 0,
    "repeated_samples": 0,
    "skipped_samples": 0,
    "resume_step": 9,
    "speech_to_silence_ms": 200.0,
    "speech_to_decision_ms": 300.0,
    "heard_error_ms": 10.5,
    "noise_dbfs": -50.0,
    "echo_dbfs": -20.0,
    "echo_left_dbfs": -60.0,
    "echo_removed_db": 40.0,
    "voice_dbfs": -23.0,
    "each": [CUT],
    "pauses": [PAUSE],
    "spoken": [[2.0, 3.2]],
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
    {"at": 2.46, "who": "person", "what": "coughs", "until": 2.7, "file": "synthetic"},
    {"at": 3.0, "who": "person", "what": "speaks", "until": 5.0, "file": "voices/stop_it.wav"},
    {"at": 3.3, "who": "card", "what": "BargedIn", "response": "r1", "heard_ms": 1210.5},
    {"at": 3.19, "who": "card", "what": "SpeechStarted"},
    {"at": 5.1, "who": "card", "what": "SpeechStopped"},
]


def recordings(seconds: float = 6.0, *, silent: bool = False) -> Recordings:
    """Return noise, a loudspeaker that falls silent at 3.2 s, and what an agent sent."""
    rng = np.random.default_rng(3)

    def sound(rate: int) -> Samples:
        peak = 1 if silent else 3000
        return rng.integers(-peak + 1, peak, round(seconds * rate)).astype(np.int16)

    speaker = sound(RATE)
    speaker[round(3.2 * RATE) :] = 0
    return Recordings(
        RATE,
        person=sound(RATE),
        microphone=sound(RATE),
        speaker=speaker,
        cleaned=sound(HEARD_RATE),
        cleaned_rate=HEARD_RATE,
        agent=sound(HEARD_RATE),
        agent_rate=HEARD_RATE,
    )


def page(
    *,
    title: str = "Demo",
    events: list[dict[str, Any]] = EVENTS,
    figures: Figures = FIGURES,
    seconds: float = 6,
    silent: bool = False,
) -> str:
    return report(title, "A room.", recordings(seconds, silent=silent), events, figures)


def pictures(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def words(picture: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in picture.iter("text")]


def dots(html: str) -> list[tuple[float, float]]:
    """Return where the samples of the first cut are drawn."""
    path = next(path.get("d", "") for path in pictures(html)[6].iter("path") if path.get("class") == "dots")
    return [(float(x), float(y)) for x, y in re.findall(r"M(\S+) (\S+?)h0", path)]


def test_the_page_needs_nothing_but_itself() -> None:
    html = page()
    assert not re.search(r"<script|<link|<img|@import|src=|https?:|url\((?!#)", html)
    assert html.startswith("<!DOCTYPE html>")
    assert html.count("<svg") == 1 + 3 * 2


def test_no_two_things_on_the_page_have_one_name() -> None:
    names = re.findall(r'id="([^"]+)"', page())
    assert len(names) == len(set(names)) > 6
    assert set(re.findall(r"url\(#([^)]+)\)", page())) <= set(names)


def test_the_timeline_names_everything_in_it() -> None:
    expected = {"the person", "the loudspeaker", "the microphone hears both", "reply 1", "stop_it", "cough"}
    expected |= {"listening", "speaking", "1 an ordinary turn", "2 a cough", "3 an interruption"}
    expected |= {"without the echo: what is sent to an agent", "silent for 250 ms", "interrupted"}
    assert expected <= set(words(pictures(page())[0]))


def test_an_ordinary_turn_shows_how_loud_its_echo_is() -> None:
    html = page()
    assert "<b>40 dB<small> of echo removed</small></b><p>It does not hear itself.</p>" in html
    assert "At the microphone it is 3 dB louder than the person, and yet it does not hear itself: 0 false" in html
    _, reply, bars, *_ = pictures(html)
    assert {"the microphone hears", "without the echo, on the same scale"} <= set(words(reply))
    widths = [float(rect.get("width", "0")) for rect in bars.iter("rect") if rect.get("class") != "lane"]
    assert widths == [pytest.approx(440 * (80 + dbfs) / 80, abs=0.1) for dbfs in (-23, -20, -50, -60)]


def test_a_box_that_hears_itself_is_not_called_good() -> None:
    html = page(figures=FIGURES | {"false_interruptions": 1, "false_pauses": 2})
    assert "<p>It hears itself.</p>" in html
    assert "1 false interruption, 2 pauses for nothing" in html


def test_a_cough_is_told_in_samples() -> None:
    html = page()
    assert "<b>0 samples<small> lost, 0 repeated</small></b><p>A cough costs nothing.</p>" in html
    assert "40 ms later the box is silent and listens; nobody speaks, and after 250 ms it goes on with the very" in html
    lost = page(figures=FIGURES | {"pauses": [PAUSE | {"lost_samples": 1}]})
    assert "<b>1 sample<small> lost, 0 repeated</small></b><p>A cough costs some of the reply.</p>" in lost
    close_up = pictures(html)[3]
    assert {"cough", "silence", "and on it goes", "40 ms", "250 ms of silence"} <= set(words(close_up))


def test_a_cough_that_was_not_heeded_is_told_so() -> None:
    html = page(figures=FIGURES | {"pauses": []})
    assert "<p>A cough is not heeded.</p>" in html
    assert "cough" in words(pictures(html)[3])


def test_at_the_seam_the_loudspeaker_goes_on_where_the_agent_does() -> None:
    late = PAUSE | {"agent_goes_on_at": PAUSE["agent_at"] + 0.003}
    begins = []
    for pause in (PAUSE, late):
        drawn = pictures(page(figures=FIGURES | {"pauses": [pause]}))[4]
        before, after = [path.get("d", "") for path in drawn.iter("path") if path.get("class") == "curve"]
        assert float(before.removeprefix("M").split("L")[0].split()[0]) == 0
        begins.append(float(after.removeprefix("M").split("L")[0].split()[0]))
    assert begins == [pytest.approx((2 + ms) / 10 * 440, abs=0.1) for ms in (0.1, 3)]


def test_an_interruption_is_told_in_milliseconds() -> None:
    html = page()
    assert "<b>1200 ms</b> of the reply had been heard; the agent was told <b>1210 ms</b>" in html
    *_, close_up, cut = pictures(html)
    assert {"first sound", "decision", "silence"} <= set(words(close_up))
    assert {"200 ms to silence", "300 ms to the decision"} <= set(words(close_up))
    assert {"silence", "0 ms"} <= set(words(cut))


def test_a_box_without_a_canceller_is_not_said_to_cancel() -> None:
    html = page(events=[{"at": 0.0, "who": "room", "what": "canceller", "name": "none"}, *EVENTS])
    assert "<b>deaf<small> while it speaks</small></b>" in html
    assert "presses the button" in html
    assert "without the echo" not in "".join("".join(words(picture)) for picture in pictures(html))


def test_the_cut_is_drawn_to_the_sample() -> None:
    points = dots(page())
    silence = [round(y, 1) for x, y in points if x >= 220.0]  # the middle of 440 px
    assert (len(points), len(silence)) == (288, 144)
    assert len(set(silence)) == 1
    assert sum(round(y, 1) == silence[0] for _, y in points[:144]) < 5


def test_a_single_loud_sample_is_seen_in_the_timeline() -> None:
    heard = recordings()
    heard.speaker[:] = 0
    heard.speaker[100_000] = 20000
    drawn = pictures(report("", "", heard, [], {}))[0]
    outline = next(path.get("d", "") for path in drawn.iter("path") if path.get("class") == "out")
    heights = [int(point.split()[1]) for point in outline.strip("MZ").split("L")]
    assert min(heights) < -200
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
    connecting = gradients["whole-0"]
    width_of_a_second = 1040 / 6
    period = float(connecting.get("x2", "0")) - float(connecting.get("x1", "0"))
    assert period == pytest.approx(0.25 * width_of_a_second, abs=0.02)
    assert [stop.get("stop-opacity") for stop in gradients["whole-1"]] == ["1", "1"]  # listening is steady


def test_a_turn_that_this_program_does_not_know_is_grey() -> None:
    timeline = pictures(page(events=[{"at": 0.0, "what": "turn", "turn": "dancing"}]))[0]
    assert [rect.get("fill") for rect in timeline.iter("rect") if rect.get("height") == "20"] == ["gray"]
    assert "dancing" in words(timeline)


def test_in_a_close_up_the_light_is_where_it_was_in_its_rhythm() -> None:
    gradients = pictures(page())[5].iter("linearGradient")
    (speaking,) = [float(gradient.get("x1", "0")) for gradient in gradients]
    start, end = 2.9, 3.5  # 0.3 s around the silence
    assert speaking == pytest.approx((2.0 - start) / (end - start) * 440, abs=0.1)


def test_figures_are_shown_as_given_and_not_computed() -> None:
    html = page(figures=FIGURES | {"replies": 77, "cough_pause_ms": None, "loudness": 5, "drift": -0.01})
    assert "<td>77<small> </small></td>" in html
    assert "<td>–<small> ms</small></td>" in html
    assert "<td>−50.0<small> dB</small></td>" in html
    assert "<td>0.0<small> </small></td><th scope=row>drift" in html
    assert "<td>5<small> </small></td><th scope=row>loudness" in html


def test_a_terminal_gets_the_same_figures() -> None:
    lines = [line.split() for line in summary(FIGURES | {"cough_pause_ms": None})]
    assert ["echo", "removed", "40.0", "dB"] in lines
    assert ["silence", "for", "the", "cough", "–", "ms"] in lines
    assert len(lines) == len(FIGURES) - len(("each", "pauses", "spoken"))


def test_events_may_come_in_any_order() -> None:
    assert page(events=EVENTS[::-1]).count("<svg") == 7
    assert words(pictures(page(events=EVENTS[::-1]))[0]).count("listening") == 1


def test_a_decision_that_is_not_on_record_is_left_out() -> None:
    cut = CUT | {"decided_at": None, "speech_to_decision_ms": None, "claimed_ms": None, "heard_error_ms": None}
    html = page(figures=FIGURES | {"each": [cut]})
    assert "decision" not in words(pictures(html)[5])
    assert "the agent was told nothing" in html


def test_silence_and_nothing_at_all_can_be_drawn() -> None:
    assert len(pictures(page(events=[], figures={}, seconds=0))) == 1
    assert len(pictures(page(events=[], figures={}, seconds=1 / RATE))) == 1
    assert len(pictures(page(silent=True))) == 7


def test_a_conversation_in_which_nothing_happened_has_no_scenes() -> None:
    html = page(events=[], figures=FIGURES | {"each": [], "pauses": [], "spoken": []})
    assert len(pictures(html)) == 1
    assert 'class="tile"' not in html


def test_what_happened_at_the_edge_of_the_recording_can_be_drawn() -> None:
    for at in (0.001, 5.9999):
        cut = CUT | {"onset_at": max(at - 0.2, 0.0), "decided_at": at, "silent_at": at}
        pause = PAUSE | {"from": at, "until": at + 0.2, "agent_at": at, "agent_goes_on_at": at}
        assert len(dots(page(figures=FIGURES | {"each": [cut], "pauses": [pause]}))) == 288


def test_forty_seconds_full_of_pauses_and_interruptions_stay_a_light_page() -> None:
    html = page(figures=FIGURES | {"each": [CUT] * 50, "pauses": [PAUSE] * 50}, seconds=40)
    assert len(html.encode()) < 600_000
    assert html.count("<svg") == 7


NOTHING = recordings(silent=True)
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
    html = report(f"<i>{title}", f"<i>{name}", recordings(silent=True), events, {odd: odd})
    assert "<i>" not in html.replace("<i class", "")
    assert html.count("<style>") == 1


@given(at=st.lists(st.floats(0, 6), min_size=1, max_size=25), barged=st.sets(st.integers(0, 24)))
@settings(max_examples=60, deadline=None)
def test_no_marker_covers_the_words_of_another(at: list[float], barged: set[int]) -> None:
    events = [{"at": moment, "what": "BargedIn"} for n, moment in enumerate(at) if n in barged]
    silences = [PAUSE | {"from": moment} for n, moment in enumerate(at) if n not in barged]
    drawn = ElementTree.fromstring(
        re.findall(r"<svg.*</svg>", timeline(NOTHING, events, {"pauses": silences}, [], cleaned=True))[0]
    )
    boxes = []
    for text in drawn.iter("text"):
        if "label" in text.get("class", "") and text.text is not None:
            x, size = float(text.get("x", "0")), LETTER * len(text.text)
            boxes.append((x - size if text.get("text-anchor") == "end" else x, size, float(text.get("y", "0"))))
    assert len(boxes) >= len([n for n in barged if n < len(at)])
    for (a, size, y), (b, other, z) in combinations(boxes, 2):
        assert y != z or a + size <= b or b + other <= a
    for path in drawn.iter("path"):
        if "mark" in path.get("class", ""):
            x, top = map(float, re.findall(r"M(\S+) (\S+)V", path.get("d", ""))[0])
            assert not any(a < x < a + size and top < y for a, size, y in boxes)
