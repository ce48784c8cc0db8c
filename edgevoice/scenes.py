"""Tells a recorded conversation in three scenes: an ordinary turn, a cough, an interruption.

Each has one figure, a sentence or two, and two pictures. What is told is what was measured: a scene that did not come
off says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgevoice.drawing import Line, number
from edgevoice.pictures import (
    Recordings,
    calm_close_up,
    cut_close_up,
    echo_close_up,
    last_samples,
    levels,
    pause_close_up,
    seam,
)

LEAD_S, TAIL_S = 0.4, 0.6  # of the conversation around a scene
LONGEST_S = 3.0  # of a reply that is drawn from close by


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of the conversation. `figure` and `sentence` are HTML, `pictures` SVG and a caption each."""

    name: str
    start: float
    end: float
    claim: str
    figure: str
    sentence: str
    pictures: Sequence[tuple[str, str]] = ()


def ordinary_turn(heard: Recordings, figures: Mapping[str, Any], *, deaf: bool) -> Scene | None:
    """Return the first reply."""
    if not figures.get("spoken"):
        return None
    start, end = figures["spoken"][0]
    bars = [
        ("the person", "in", figures["voice_dbfs"]),
        ("the box’s own echo", "raw", figures["echo_dbfs"]),
        ("the fan", "raw", figures["noise_dbfs"]),
    ]
    if deaf:
        figure = "deaf<small> while it speaks</small>"
        how = "While it speaks, the microphone counts as silent, so that it does not hear itself"
    else:
        bars.append(("what is left of the echo", "in", figures["echo_left_dbfs"]))
        figure = f"{number(figures['echo_removed_db'], 0)} dB<small> of echo removed</small>"
        compared = _compared(figures["echo_dbfs"], figures["voice_dbfs"])
        how = f"At the microphone it is {compared} the person, and yet it does not hear itself"
    false = _count(figures["false_interruptions"], "false interruption")
    nothing = _count(figures["false_pauses"], "pause")
    itself = figures["false_interruptions"] or figures["false_pauses"]
    return Scene(
        "an ordinary turn",
        max(0.0, start - LEAD_S),
        end + TAIL_S,
        "It hears itself." if itself else "It does not hear itself.",
        figure,
        f"The box answers. {how}: {false}, {nothing} for nothing.",
        [
            (echo_close_up(heard, start - 0.1, min(end + 0.1, start + LONGEST_S), cleaned=not deaf), "The reply."),
            (levels(bars), "At the microphone; 0 dB is as loud as can be."),
        ],
    )


def _compared(level_dbfs: float | None, other_dbfs: float | None) -> str:
    if level_dbfs is None or other_dbfs is None or abs(level_dbfs - other_dbfs) < 1.5:
        return "as loud as"
    louder = level_dbfs - other_dbfs
    return f"{number(abs(louder), 0)} dB {'louder' if louder > 0 else 'quieter'} than"


def cough(heard: Recordings, events: Sequence[Line], figures: Mapping[str, Any]) -> Scene | None:
    """Return the first cough, with the silence that it caused."""
    coughs = [event for event in events if (event.get("who"), event.get("what")) == ("person", "coughs")]
    if not coughs:
        return None
    pause = next((pause for pause in figures["pauses"] if pause["cause"] == "cough"), None)
    start, end = coughs[0]["at"] - LEAD_S, coughs[0].get("until", coughs[0]["at"]) + TAIL_S
    if pause is None:
        return Scene(
            "a cough",
            start,
            end,
            "A cough is not heeded.",
            "0 ms<small> of silence</small>",
            "The person coughs, and the reply goes on.",
            [(calm_close_up(heard, events, coughs[0]["at"], "cough"), "Below: whose turn it is, and the light.")],
        )
    lost, repeated = pause["lost_samples"], pause["repeated_samples"]
    where = "elsewhere" if lost or repeated else "with the very next sample"
    drawn = "Thick: what the loudspeaker played, with the silence cut out. Thin: what the agent had sent. "
    drawn += "The reply swells for 5 ms" + (", and each sample is in its place." if not lost + repeated else ".")
    return Scene(
        "a cough",
        start,
        max(end, pause["until"] + LEAD_S),
        "A cough costs some of the reply." if lost or repeated else "A cough costs nothing.",
        f"{_count(lost, 'sample')}<small> lost, {number(repeated)} repeated</small>",
        f"The person coughs. {number(pause['onset_to_silence_ms'], 0)} ms later the box is silent and listens; nobody "
        f"speaks, and after {number(pause['ms'], 0)} ms it goes on {where}.",
        [
            (pause_close_up(heard, events, pause), "Below: whose turn it is, and the light."),
            (seam(heard, pause), drawn),
        ],
    )


def interruption(heard: Recordings, events: Sequence[Line], figures: Mapping[str, Any], *, deaf: bool) -> Scene | None:
    """Return the first interruption."""
    if not figures.get("each"):
        return None
    cut = figures["each"][0]
    told = "nothing" if cut["claimed_ms"] is None else f"<b>{number(cut['claimed_ms'], 0)} ms</b>"
    how = "speaks in vain, then presses the button" if deaf else "talks over the box"
    return Scene(
        "an interruption",
        cut["onset_at"] - LEAD_S,
        cut["silent_at"] + 2 * TAIL_S,
        "A press stops it." if deaf else "A word stops it.",
        f"{number(cut['speech_to_silence_ms'], 0)} ms<small> to silence</small>",
        f"The person {how}, and it falls silent for good. <b>{number(cut['heard_ms'], 0)} ms</b> of the reply had been "
        f"heard; the agent was told {told}.",
        [
            (cut_close_up(heard, events, cut), "Below: whose turn it is, and the light."),
            (last_samples(heard, cut), "The cut at the loudspeaker, 3 ms before and after: each dot is a sample."),
        ],
    )


def _count(count: int, noun: str) -> str:
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"
