"""What is promised of the box, and whether the outcomes keep it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.barge_in.figures import Outcome, percentile
from benchmarks.barge_in.tables import quiet, talked_over

FALSE = "echo, fan, coughs, typing"
NO_ECHO, LOUD, FAINT = "talker, no echo", ("talker +10 dB", "talker +6 dB", "talker +0 dB"), "talker -6 dB"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure beside its target; `of` says of how many, and the 95 % bounds where it is a count."""

    figure: str
    value: float
    most: float
    of: str

    @property
    def met(self) -> bool:
        return self.value <= self.most


def verdicts(outcomes: Sequence[Outcome]) -> Iterator[Verdict]:
    """Yield what there are outcomes for."""
    if calm := _only(outcomes, FALSE):
        row = quiet(FALSE, calm)
        low, high = row.bounds_per_hour
        of = f"{row.false} in {row.hours:.2f} h, {low:.2f} to {high:.2f}"
        yield Verdict(f"confirmed false an hour, {FALSE}", row.false_per_hour, 1.0, of)
    for name, conditions, percent in (("talker at least as loud as the echo", LOUD, 2.0), (FAINT, (FAINT,), 10.0)):
        if busy := _only(outcomes, *conditions):
            missed = talked_over(name, busy)
            low, high = missed.bounds_percent
            of = f"{missed.missed} of {missed.count}, {low:.1f} to {high:.1f}"
            yield Verdict(f"missed %, {name}", missed.missed_percent, percent, of)
    yield from _times("confirmation ms, talker at least as loud as the echo", _only(outcomes, *LOUD), 300.0, 500.0)
    yield from _times("silence ms, no echo", _only(outcomes, NO_ECHO), 60.0, 100.0, silence=True)
    yield from _times("silence ms, at least as loud as the echo", _only(outcomes, *LOUD), 150.0, 300.0, silence=True)
    yield from _exact(outcomes)


def text(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(
        f"{verdict.figure:60} {verdict.value:8.2f}  <= {verdict.most:<6g} {'met' if verdict.met else 'NOT met':8}"
        f" ({verdict.of})"
        for verdict in verdicts(outcomes)
    )


def _only(outcomes: Sequence[Outcome], *conditions: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.condition in conditions]


def _times(
    name: str, outcomes: Sequence[Outcome], p50: float, p95: float, *, silence: bool = False
) -> Iterator[Verdict]:
    each = [one for outcome in outcomes for one in outcome.interrupted]
    times = [one.silence_ms if silence else one.confirmed_ms for one in each]
    if times:
        for percent, most in ((50, p50), (95, p95)):
            yield Verdict(f"{name}, p{percent}", percentile(times, percent), most, f"n = {len(times)}")


def _exact(outcomes: Sequence[Outcome]) -> Iterator[Verdict]:
    """Yield what must be right to the sample."""
    found = [outcome.continued for outcome in outcomes]
    pauses = sum(each.pauses - each.unclear for each in found)
    if pauses:
        lost, repeated = sum(each.lost for each in found), sum(each.repeated for each in found)
        yield Verdict("samples lost by suspicions that were taken back", lost, 0.0, f"{pauses} pauses")
        yield Verdict("samples repeated by them", repeated, 0.0, f"{pauses} pauses")
    errors = [abs(error) for outcome in outcomes for error in outcome.heard_errors_ms]
    if errors:
        yield Verdict("|heard_ms - heard|, p99", percentile(errors, 99), 10.0, f"n = {len(errors)}")
