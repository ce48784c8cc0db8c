"""Computes from raw measurements which promises a box keeps, so that the program cannot flatter itself.

It imports `edgevoice_measure`, numpy and the standard library, never `edgevoice`: times are given as they were
measured, one by one, and what they come to is decided here.

    python -m edgevoice_promises < raw.json        one JSON array of rows

The raw JSON object has any of these; what is missing is no row:

    "room"           the figures of `edgevoice_measure` for a conversation in a simulated room
    "talked_over"    the folder of a conversation as `edgevoice_measure` knows them, without an echo: whoever speaks
                     while the loudspeaker does interrupts it
    "talked_over_echo"  the same, with an echo as loud as the person
    "pressed"        the folder of one in which the button is pressed while it speaks
    "periods_ms"     the time that each period's work took; "period_ms" is what there is for it
    "busy_s"         the processor's time for all of them
    "drops_ms"       the time until each `snd_pcm_drop` had returned, and the card of "card_period_ms" had nothing left
    "ready_s"        from the start of the process until it was ready
    "rss_bytes"      of the process in a call; with "simulated" the simulated room is in it
    "xruns"          of both directions, in "watched_s"
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from edgevoice_measure import Samples, onset, percentiles, read_events, read_wav

BEYOND_MS = 2.0  # of a drop, beside one period
VOICE_MS = {"talked_over": (60.0, 100.0), "talked_over_echo": (150.0, 300.0)}  # to silence: p50, p95
ROOMS = {"talked_over": "no echo", "talked_over_echo": "echo as loud as the voice"}
BUTTON_MS = 20.0  # p95
SPOKE_S = 0.2  # before it was interrupted the loudspeaker spoke; a breath before the first word may silence it, too
HEARD_MS = 10.0
READY_S = 2.0
MEMORY_MB = 60.0
CORE_PERCENT = 3.0  # of one core, of the machine that it is developed on
MEGA = 1024.0 * 1024.0


class Row(TypedDict):
    """One figure."""

    figure: str
    value: float
    unit: str
    promised: str
    met: bool


def rows(raw: Mapping[str, Any]) -> list[Row]:
    """Return a row for each figure that can be had from `raw`."""
    return [*_interruptions(raw), *_room(raw.get("room") or {}), *_machine(raw), *_card(raw)]


def _interruptions(raw: Mapping[str, Any]) -> Iterator[Row]:
    for key, (p50, p95) in VOICE_MS.items():
        if key in raw:
            each = percentiles(silenced_by_voice(Path(raw[key])))
            figure = f"voice to silence, {ROOMS[key]}, {{}} of {each['n']}"
            yield _at_most(figure.format("p50"), float(each["p50"]), "ms", p50)
            yield _at_most(figure.format("p95"), float(each["p95"]), "ms", p95)
    if "pressed" in raw:
        each = percentiles(silenced_by_button(Path(raw["pressed"])))
        yield _at_most(f"button to silence, p95 of {each['n']}", float(each["p95"]), "ms", BUTTON_MS)


def silenced_by_voice(folder: Path) -> list[float]:
    """Return for each utterance into what the loudspeaker says the ms from its onset to silence for good."""
    (person, rate), (speaker, _) = (read_wav(folder / f"{name}.wav") for name in ("person", "speaker"))
    events = read_events(folder / "events.jsonl")
    each = []
    for event in events:
        if event.get("what") == "speaks":
            start, end = (round(event[key] * rate) for key in ("at", "until"))
            begun = onset(person[start:end], rate)
            if begun is not None:
                each.append(_silent_ms(speaker, rate, start + begun, events))
    return [ms for ms in each if ms is not None]


def silenced_by_button(folder: Path) -> list[float]:
    """Return for each press into what the loudspeaker says the ms from it to silence for good; the first one calls."""
    speaker, rate = read_wav(folder / "speaker.wav")
    events = read_events(folder / "events.jsonl")
    presses = [round(event["at"] * rate) for event in events if event.get("what") == "presses"]
    each = [_silent_ms(speaker, rate, at, events) for at in presses[1:]]
    return [ms for ms in each if ms is not None]


def _silent_ms(speaker: Samples, rate: int, at: int, events: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the ms from sample `at` to silence that lasts until the agent's next answer; None: it was silent."""
    answers = [round(event["at"] * rate) for event in events if event.get("what") == "says"]
    until = min((answer for answer in answers if answer > at), default=len(speaker))
    begin = max(0, at - round(SPOKE_S * rate))
    loud = begin + np.flatnonzero(speaker[begin:until])
    return max(0.0, (int(loud[-1]) + 1 - at) * 1000.0 / rate) if len(loud) else None  # at once is not before


def _room(found: Mapping[str, Any]) -> Iterator[Row]:
    for key, figure in {
        "false_interruptions": "interruptions by nobody, in that room",
        "missed_interruptions": "interruptions missed, in that room",
        "lost_samples": "samples lost by a cough, in that room",
        "repeated_samples": "samples repeated by it",
    }.items():
        if key in found:
            yield _at_most(figure, found[key], "", 0)
    if "heard_error_ms" in found:
        yield _at_most("error of what was heard, as the agent is told", abs(found["heard_error_ms"]), "ms", HEARD_MS)


def _machine(raw: Mapping[str, Any]) -> Iterator[Row]:
    if periods := raw.get("periods_ms"):
        share = 100.0 * raw["busy_s"] * 1000.0 / (len(periods) * raw["period_ms"])
        yield _at_most("echo, detector and resampling, of one core", share, "%", CORE_PERCENT)
        yield _at_most("one period's work, p99", float(percentiles(periods)["p99"]), "ms", raw["period_ms"])
    if "ready_s" in raw:
        yield _at_most("start to ready", raw["ready_s"], "s", READY_S)
    if "rss_bytes" in raw:
        where = ", with the simulated room" if raw.get("simulated") else ""
        yield _at_most(f"memory in a call (RSS){where}", raw["rss_bytes"] / MEGA, "MB", MEMORY_MB)


def _card(raw: Mapping[str, Any]) -> Iterator[Row]:
    if drops := raw.get("drops_ms"):
        most = raw["card_period_ms"] + BEYOND_MS
        yield _at_most("decision to silence at the card, p95", float(percentiles(drops)["p95"]), "ms", most)
    if "xruns" in raw:
        yield _at_most(f"xruns in {raw['watched_s']:g} s of a call", raw["xruns"], "", 0)


def _at_most(figure: str, value: float, unit: str, most: float) -> Row:
    return Row(figure=figure, value=value, unit=unit, promised=f"<= {most:g}", met=value <= most)


if __name__ == "__main__":
    json.dump(rows(json.load(sys.stdin)), sys.stdout)
