"""The table of one policy: a row for each condition, with counts and 95 % bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.barge_in import bounds
from benchmarks.barge_in.figures import Interrupted, Outcome, percentile
from benchmarks.barge_in.resumed import Continued


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nobody interrupts."""

    condition: str
    hours: float  # of agent speech
    suspicions_per_hour: float
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
    hours = sum(outcome.agent_s for outcome in outcomes) / 3600
    false = sum(outcome.false for outcome in outcomes)
    low, high = bounds.poisson(false)
    return Quiet(
        condition=name,
        hours=hours,
        suspicions_per_hour=sum(outcome.suspicions for outcome in outcomes) / hours,
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
        missed_percent=100 * missed / max(1, len(each)),
        bounds_percent=(100 * low, 100 * high),
        silence_ms=(percentile(silence, 50), percentile(silence, 95)),
        confirmed_ms=(percentile(confirmed, 50), percentile(confirmed, 95)),
        lost_ms=sum(one.lost_ms for one in each) / max(1, len(each)),
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
    calm, busy = rows(outcomes)
    lines = []
    if calm:
        head = ("hours", "susp./h", "false", "per h", "95 % bounds", "in 10 s", "resumed", "lost/repeated")
        lines.append(f"{'nobody interrupts':28}" + "".join(f"{title:>15}" for title in head))
    for row in calm:
        low, high = row.bounds_per_hour
        cells = (f"{row.hours:.2f}", f"{row.suspicions_per_hour:.1f}", row.false, f"{row.false_per_hour:.2f}")
        cells = (*cells, f"{low:.2f}-{high:.2f}", row.early_false, row.continued.pauses)
        cells = (*cells, f"{row.continued.lost}/{row.continued.repeated} ({row.continued.unclear}?)")
        lines.append(f"{row.condition:28}" + "".join(f"{cell:>15}" for cell in cells))
    if busy:
        head = ("n", "missed", "%", "95 % bounds", "silence", "confirmed", "lost ms", "false")
        lines.append(f"{'somebody interrupts':28}" + "".join(f"{title:>15}" for title in head))
    for row in busy:
        low, high = row.bounds_percent
        cells = (f"{row.count}/{row.planned}", row.missed, f"{row.missed_percent:.1f}", f"{low:.1f}-{high:.1f}")
        both = ("{:.0f}/{:.0f}".format(*times) for times in (row.silence_ms, row.confirmed_ms))
        cells = (*cells, *both, f"{row.lost_ms:.0f}", row.false)
        lines.append(f"{row.condition:28}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


def _by_condition(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    for name in dict.fromkeys(outcome.condition for outcome in outcomes):
        yield name, [outcome for outcome in outcomes if outcome.condition == name]
