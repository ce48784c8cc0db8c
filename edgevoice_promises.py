"""Computes from raw measurements which promises a box keeps, so that the program cannot flatter itself.

It imports `edgevoice_measure` and the standard library, never `edgevoice`: times are given as they were measured, one
by one, and what they come to is decided here.

    python -m edgevoice_promises < raw.json        one JSON array of rows

The raw JSON object has any of these; what is missing is no row:

    "room"           the figures of `edgevoice_measure` for a conversation in a simulated room
    "periods_ms"     the time that each period's work took; "period_ms" is what there is for it
    "busy_s"         the processor's time for all of them
    "drops_ms"       the time until each `snd_pcm_drop` had returned, and the card of "card_period_ms" had nothing left
    "ready_s"        from the start of the process until it was ready
    "rss_bytes"      of the process in a call; with "simulated" the simulated room is in it, which is not judged
    "xruns"          of both directions, in "watched_s"
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from edgevoice_measure import percentiles

BEYOND_MS = 2.0  # of a drop, beside one period
ROOM_MS = 100.0  # voice to silence: the p95 without an echo is the most that one of them may take
HEARD_MS = 10.0
READY_S = 2.0
MEMORY_MB = 60.0
CORE_PERCENT = 3.0  # of one core, of the machine that it is developed on
MEGA = 1024.0 * 1024.0


class Row(TypedDict):
    """One figure. `met` is None where nothing is promised of it."""

    figure: str
    value: float
    unit: str
    promised: str
    met: bool | None


def rows(raw: Mapping[str, Any]) -> list[Row]:
    """Return a row for each figure that can be had from `raw`."""
    return [*_room(raw.get("room") or {}), *_machine(raw), *_card(raw)]


def _room(found: Mapping[str, Any]) -> Iterator[Row]:
    if "speech_to_silence_ms" in found:
        yield _at_most("voice to silence, in a simulated room", found["speech_to_silence_ms"], "ms", ROOM_MS)
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
        row = _at_most("memory in a call (RSS)", raw["rss_bytes"] / MEGA, "MB", MEMORY_MB)
        if raw.get("simulated"):
            row |= {"figure": "memory in a call (RSS), with the simulated room", "promised": "", "met": None}
        yield row


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
