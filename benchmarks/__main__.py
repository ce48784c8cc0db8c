"""`make bench`: measures the box on the virtual card, prints every figure beside its target, keeps what it heard.

python -m benchmarks [--quick] [--speech DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import bare, baseline, cost, interruptions, speech, targets, turns
from benchmarks.figures import Figures
from benchmarks.interruptions import Condition
from benchmarks.picture import picture
from benchmarks.table import Row, text
from benchmarks.targets import Measured

Samples = NDArray[np.int16]

RESULTS = Path("bench-results")
CHANCE = 20  # the seed of everything that happens by chance
CONDITIONS = (Condition("idle"), Condition("fifo 32", fifo=32), Condition("cores busy", busy=True))


@dataclass(frozen=True, slots=True)
class Counts:
    """How often, and how long."""

    voices: int
    presses: int
    drops: int
    baseline: int
    turns: int
    watch_s: float
    starts: int
    periods: int


FULL = Counts(voices=50, presses=40, drops=20, baseline=24, turns=12, watch_s=20.0, starts=5, periods=3000)
QUICK = Counts(voices=6, presses=5, drops=5, baseline=4, turns=3, watch_s=4.0, starts=3, periods=600)


def main() -> None:
    options = _options()
    counts = QUICK if options.quick else FULL
    begun = time.monotonic()
    machine = _machine(options)
    print(machine, end="\n\n", flush=True)
    said = speech.beginnings(interruptions.RATE, options.speech)
    cards = {condition.name: _interrupt(condition, said, counts) for condition in CONDITIONS}
    theirs = _baseline(options.speech, counts)
    rows = [
        *targets.latencies(cards),
        *targets.comparison(cards["idle"].figures, theirs),
        _round_trip(said, counts),
        *_costs(counts),
    ]
    print(text(rows))
    print(
        f"\nload afterwards: {_load()}; {time.monotonic() - begun:.0f} s. What each figure means: benchmarks/README.md"
    )
    _keep(options.json, machine, rows, cards, theirs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks", description="Measure the box on the virtual card.")
    parser.add_argument("--quick", action="store_true", help="little of everything: to see that it works")
    parser.add_argument("--speech", type=Path, metavar="DIR", help="spoken digits: phrases.csv, one WAV per speaker")
    parser.add_argument("--json", type=Path, default=RESULTS / "figures.json", metavar="FILE", help="%(default)s")
    return parser.parse_args()


def _machine(options: argparse.Namespace) -> str:
    own = "the recordings of this checkout"
    people = f"{own}, and the held-out speakers' phrases" if options.speech else f"{own}; --speech adds more"
    real_time = "yes" if cost.may_have_real_time() else "no"
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {_load()}, "
        f"real-time scheduling: {real_time}\n"
        f"card: {interruptions.RATE} Hz, periods of {targets.PERIOD_MS:g} ms, buffer {interruptions.BUFFER_MS} ms; "
        f"headset (no echo) in a room of {interruptions.ROOM_DBFS:g} dBFS\nvoices: {people}"
    )


def _load() -> str:
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


# --------------------------------------------------------------------------------------------------- experiments


def _interrupt(condition: Condition, said: Sequence[Samples], counts: Counts) -> Measured:
    _tell(f"{condition.name}: {counts.voices} interruptions by voice, {counts.presses} by button")
    folder = RESULTS / condition.name.replace(" ", "-")
    bare.record(folder / "bare", counts.drops, fifo=condition.fifo, busy=condition.busy)
    outcome = interruptions.record(folder, condition, said, voices=counts.voices, presses=counts.presses, seed=CHANCE)
    if outcome.calls > 1 or outcome.unheard > 1:
        _tell(f"{condition.name}: {outcome.calls} calls, {outcome.unheard} turns went unheard")
    return Measured(_figures(folder), _figures(folder / "bare"), outcome.xruns)


def _baseline(digits: Path | None, counts: Counts) -> Figures:
    _tell(f"baseline: {counts.baseline} interruptions of elevenlabs' audio interface")
    folder = RESULTS / "baseline"
    baseline.record(folder, speech.beginnings(baseline.RATE, digits), voices=counts.baseline, seed=CHANCE)
    return _figures(folder)


def _round_trip(said: Sequence[Samples], counts: Counts) -> Row:
    _tell(f"{counts.turns} turns with a service far away")
    return targets.round_trip(turns.measure(said, turns=counts.turns, seed=CHANCE), turns.ONE_WAY_MS)


def _costs(counts: Counts) -> list[Row]:
    _tell(f"cost: {counts.watch_s:g} s waiting, {counts.watch_s:g} s in a call, {counts.starts} starts")
    ready_s = cost.median_ready_s(counts.starts)
    before = bare.processor_share(counts.watch_s / 2)  # a machine that is shared is not always equally fast
    measured = cost.measure(counts.watch_s)
    card = (before + bare.processor_share(counts.watch_s / 2)) / 2
    command = [sys.executable, "-m", "benchmarks.period", str(counts.periods)]
    period = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return [
        *targets.costs(measured, card, ready_s),
        *targets.periods(period),
    ]


def _figures(folder: Path) -> Figures:
    """Compute the figures of a recording, in a process that cannot import the program."""
    command = [sys.executable, "-m", "benchmarks.figures", str(folder)]
    found: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def _tell(what: str) -> None:
    print(f"... {what} (load {_load()})", file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------------- results


def _keep(path: Path, machine: str, rows: Sequence[Row], cards: dict[str, Measured], theirs: Figures) -> None:
    """Write the figures, each value of them, and the picture."""
    each: dict[str, Any] = {card: asdict(measured) for card, measured in cards.items()}
    found = {"machine": machine, "rows": [asdict(row) for row in rows], "each": each | {"baseline": theirs}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1))
    curves = {f"edgevoice, {card}": measured.figures["voice_to_silence"] for card, measured in cards.items()}
    curves["elevenlabs' audio interface"] = theirs["voice_to_silence"]
    drawing = RESULTS / "silence.svg"
    drawing.write_text(picture("Interrupted: how soon the loudspeaker is silent", curves))
    print(f"{path}, {drawing}, and the recordings in {RESULTS}/*/", file=sys.stderr)


if __name__ == "__main__":
    main()
