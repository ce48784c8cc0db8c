"""The table of one policy: a row for each condition, with counts and 95 % bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.barge_in import bounds
from benchmarks.barge_in.figures import Interrupted, Outcome, percentile
from benchmarks.barge_in.resumed import Continued

QUIET_HEAD = ("hours", "suspicions/h", "false", "false/h", "95 % bounds", "in first 10 s", "resumed", "lost/repeated")
HEAD = ("n", "missed", "missed %", "95 % bounds", "silence", "confirmed", "lost ms", "false")
LOUD = ("talker, no echo", "talker +10 dB", "talker +6 dB", "talker +0 dB")


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nobody interrupts."""

    condition: str
    hours: float  # of agent speech
    suspicions: int
    false: int
    false_per_hour: float
    bounds_per_hour: tuple[float, float]
    early_false: int  # in the first 10 s of a session
    continued: Continued


@dataclass(frozen=True, slots=True)
class TalkedOver:
    """Somebody interrupts."""

    condition: str
    planned: int
    count: int  # of those that found the agent speaking
    missed: int
    missed_percent: float
    bounds_percent: tuple[float, float]
    silence_ms: tuple[float, float]  # p50, p95
    confirmed_ms: tuple[float, float]
    lost_ms: float  # of each utterance, on average
    false: int


def quiet(name: str, outcomes: Sequence[Outcome]) -> Quiet:
    hours = sum(outcome.agent_s for outcome in outcomes) / 3600 or math.nan
    false = sum(outcome.false for outcome in outcomes)
    low, high = bounds.poisson(false)
    return Quiet(
        condition=name,
        hours=hours,
        suspicions=sum(outcome.suspicions for outcome in outcomes),
        false=false,
        false_per_hour=false / hours,
        bounds_per_hour=(low / hours, high / hours),
        early_false=sum(outcome.early_false for outcome in outcomes),
        continued=sum((outcome.continued for outcome in outcomes), Continued()),
    )


def talked_over(name: str, outcomes: Sequence[Outcome]) -> TalkedOver:
    each: list[Interrupted] = [one for outcome in outcomes for one in outcome.interrupted]
    missed = sum(one.missed for one in each)
    low, high = bounds.share(missed, len(each))
    silence = [one.silence_ms for one in each]
    confirmed = [one.confirmed_ms for one in each]
    return TalkedOver(
        condition=name,
        planned=sum(outcome.planned for outcome in outcomes),
        count=len(each),
        missed=missed,
        missed_percent=100 * missed / len(each) if each else math.nan,
        bounds_percent=(100 * low, 100 * high),
        silence_ms=(percentile(silence, 50), percentile(silence, 95)),
        confirmed_ms=(percentile(confirmed, 50), percentile(confirmed, 95)),
        lost_ms=sum(one.lost_ms for one in each) / len(each) if each else math.nan,
        false=sum(outcome.false for outcome in outcomes),
    )


def rows(outcomes: Sequence[Outcome]) -> tuple[list[Quiet], list[TalkedOver]]:
    """Return a row for each condition, in the order in which they come, and one for all without interruptions."""
    calm = [outcome for outcome in outcomes if not outcome.planned]
    busy = [outcome for outcome in outcomes if outcome.planned]
    alone = [quiet(name, found) for name, found in _by_condition(calm)]
    return alone + ([quiet("all", calm)] if calm else []), [
        talked_over(name, found) for name, found in _by_condition(busy)
    ]


def text(outcomes: Sequence[Outcome]) -> str:
    """Return both tables of one policy."""
    calm, busy = rows(outcomes)
    lines = []
    if calm:
        lines += [_line("nobody interrupts", QUIET_HEAD), *(_line(row.condition, _quiet_cells(row)) for row in calm)]
    if busy:
        lines += [_line("somebody interrupts", HEAD), *(_line(row.condition, _cells(row)) for row in busy)]
    return "\n".join(lines)


def overall(outcomes: Sequence[Outcome]) -> tuple[Quiet, TalkedOver]:
    """Return what all without interruptions come to, and all whose talkers are at least as loud as the echo, if any."""
    calm = [outcome for outcome in outcomes if not outcome.planned]
    return quiet("all", calm), talked_over("loud", [outcome for outcome in outcomes if outcome.condition in LOUD])


def summary(found: Mapping[str, Sequence[Outcome]]) -> str:
    """Return a line for each policy."""
    lines = [_line("all that is quiet, all that is loud", (*QUIET_HEAD[1:5], *HEAD[:-1]))]
    for name, outcomes in found.items():
        calm, loud = overall(outcomes)
        lines.append(_line(name, (*_quiet_cells(calm)[1:5], *_cells(loud)[:-1])))
    return "\n".join(lines)


def _quiet_cells(row: Quiet) -> tuple[str, ...]:
    return (
        f"{row.hours:.2f}",
        f"{row.suspicions / row.hours:.1f}",
        f"{row.false}",
        f"{row.false_per_hour:.2f}",
        "{:.2f} - {:.2f}".format(*row.bounds_per_hour),
        f"{row.early_false}",
        f"{row.continued.pauses}",
        f"{row.continued.lost}/{row.continued.repeated} ({row.continued.unclear}?)",
    )


def _cells(row: TalkedOver) -> tuple[str, ...]:
    return (
        f"{row.count}/{row.planned}",
        f"{row.missed}",
        f"{row.missed_percent:.1f}",
        "{:.1f} - {:.1f}".format(*row.bounds_percent),
        "{:.0f}/{:.0f}".format(*row.silence_ms),
        "{:.0f}/{:.0f}".format(*row.confirmed_ms),
        f"{row.lost_ms:.0f}",
        f"{row.false}",
    )


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:36}" + "".join(f"{cell:>16}" for cell in cells)


def _by_condition(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    for name in dict.fromkeys(outcome.condition for outcome in outcomes):
        yield name, [outcome for outcome in outcomes if outcome.condition == name]
