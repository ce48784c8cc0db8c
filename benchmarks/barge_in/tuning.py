"""Tries every setting of the peers' policies on the tuning half; the best of each belong into `policies.PEERS`.

The best has the fewest false interruptions, over all that happens while nobody interrupts, of those settings that miss
no more than a tenth of the talkers who are at least as loud as the echo. Where all miss more, it is who misses least.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.barge_in import corpus, figures, policies, runner, tables
from benchmarks.barge_in.figures import Outcome

ACCEPTED_PERCENT = 10.0  # missed: five times what we promise


def tune(digits: Path, hours: float, interruptions: int, processes: int, names: Sequence[str] | None) -> None:
    """Print what each setting comes to, and the best of each policy."""
    sessions = corpus.sessions("tuning", hours, interruptions)
    for name in policies.GRIDS:
        if not any(part in name for part in names or [""]):
            continue
        tried = []
        for settings, policy in policies.grid(name):
            outcomes = runner.run(sessions, digits, policy, figures.measure, processes)
            false_per_hour, missed_percent = costs(outcomes)
            tried.append((max(missed_percent, ACCEPTED_PERCENT), false_per_hour, settings))
            print(f"{name:24} {false_per_hour:9.1f} /h {missed_percent:6.1f} % missed  {settings}", flush=True)
        print(f"{name:24} best: {min(tried, key=lambda each: each[:2])[2]}\n", flush=True)


def costs(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Return false interruptions an hour, and the interruptions that were missed, or could not be made, in per cent."""
    calm, loud = tables.overall(outcomes)
    return calm.false_per_hour, 100 * (1 - (loud.count - loud.missed) / loud.planned)
