"""Prints how often the box interrupts itself and how soon it notices a person, beside the peers' policies.

python -m benchmarks.barge_in --speech DIR [--half HALF] [--hours H] [--interruptions N] [--quick] [--policy NAME]
python -m benchmarks.barge_in --speech DIR --tune      the peers' settings, all of them, on the tuning half
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.barge_in import bounds, corpus, figures, policies, runner, tables, targets, tuning
from benchmarks.barge_in.figures import Outcome
from benchmarks.barge_in.picture import Point, picture
from benchmarks.barge_in.record import Record, write
from benchmarks.barge_in.voices import HALVES

RESULTS = Path("bench-results") / "barge-in"
FULL, QUICK = (10.0, 600), (0.5, 60)  # hours of agent speech, interruptions
OURS = "edgevoice, normal"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    hours, interruptions = QUICK if options.quick else FULL
    hours = hours if options.hours is None else options.hours
    interruptions = interruptions if options.interruptions is None else options.interruptions
    if options.tune:
        tuning.tune(options.speech, hours, interruptions, options.processes, options.policy)
        return
    sessions = corpus.sessions(options.half, hours, interruptions)
    print(
        f"{options.half} half, {hours:g} h without and {interruptions} interruptions, {options.canceller}", end="\n\n"
    )
    found = {}
    for name, policy in _chosen(options).items():
        begun = time.monotonic()
        measure = partial(_keep_session, options.keep / name) if options.keep else figures.measure
        found[name] = runner.run(sessions, options.speech, policy, measure, options.processes)
        print(f"... {name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        print(f"{name}\n{tables.text(found[name])}\n", flush=True)
    print(tables.summary(found))
    if OURS in found:
        print(f"\n{OURS}\n{targets.text(found[OURS])}")
    _keep(options.half, found)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.barge_in", description="Who is taken for a person?")
    parser.add_argument("--speech", type=Path, required=True, metavar="DIR", help="spoken digits: phrases.csv, WAVs")
    parser.add_argument("--half", choices=HALVES, default="held-out", help="%(default)s")
    parser.add_argument("--hours", type=float, metavar="H", help=f"of agent speech; {FULL[0]:g}")
    parser.add_argument("--interruptions", type=int, metavar="N", help=f"{FULL[1]}")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--policy", action="append", metavar="NAME", help="only those whose name has this in it")
    parser.add_argument("--canceller", default="aec3", help="ours: %(default)s")
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="%(default)s")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write each session there: 8 MB for two minutes")
    parser.add_argument("--tune", action="store_true", help="try all settings of the peers on the tuning half")
    return parser.parse_args(arguments)


def _chosen(options: argparse.Namespace) -> dict[str, runner.Policy]:
    everybody = {**policies.all_ours(options.canceller), **policies.all_peers()}
    wanted = options.policy or [""]
    return {name: policy for name, policy in everybody.items() if any(part in name for part in wanted)}


def _keep_session(folder: Path, session: Record) -> Outcome:
    """Write the session into a folder of its own, named after its condition and a digest of its loudspeaker."""
    name = "".join(letter if letter.isalnum() else "-" for letter in session.condition)
    write(folder / f"{name}-{zlib.crc32(session.speaker.tobytes()):08x}", session)
    return figures.measure(session)


def _keep(half: str, found: Mapping[str, Sequence[Outcome]]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    each = {name: [asdict(outcome) for outcome in outcomes] for name, outcomes in found.items()}
    (RESULTS / f"{half}.json").write_text(json.dumps(each))
    drawings = {"false": "interrupts itself, times an hour", "suspicions": "falls silent for nobody, times an hour"}
    for what, up in drawings.items():
        points = [_point(name, outcomes, what) for name, outcomes in found.items()]
        drawn = picture(f"Silent for nobody, silent for a person: {half} half", up, points)
        (RESULTS / f"{half}-{what}.svg").write_text(drawn)
    print(f"{RESULTS}/{half}.json and -{', -'.join(drawings)}.svg", file=sys.stderr)


def _point(name: str, outcomes: Sequence[Outcome], what: str) -> Point:
    calm, loud = tables.overall(outcomes)
    low, high = bounds.poisson(getattr(calm, what))
    return Point(
        name=name,
        ours=name.startswith("edgevoice"),
        per_hour=getattr(calm, what) / calm.hours,
        bounds_per_hour=(low / calm.hours, high / calm.hours),
        silence_ms=loud.silence_ms,
        missed_percent=loud.missed_percent,
    )


if __name__ == "__main__":
    main()
