"""Prints how often the box interrupts itself, and how soon it notices a person.

python -m benchmarks.barge_in --speech DIR [--half held-out] [--hours H] [--interruptions N] [--quick]
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from benchmarks.barge_in import corpus, figures, policies, runner, tables


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.barge_in")
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--half", default="tuning")
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--interruptions", type=int, default=600)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--canceller", default="aec3")
    parser.add_argument("--sensitivity", default="normal")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    hours, count = (0.6, 120) if options.quick else (options.hours, options.interruptions)
    policy = partial(policies.ours, options.canceller, options.sensitivity)
    sessions = corpus.sessions(options.half, hours, count)
    print(tables.text(runner.run(sessions, options.speech, policy, figures.measure, options.jobs)))


if __name__ == "__main__":
    main()
