"""Interrupts the audio loop a hundred thousand times, and looks whether it grows.

    python -m benchmarks.soak [--interruptions N]

The product's own loop body with its canceller and its detector, on a card that takes no time. A recorded voice talks
over a response; now and then it is a burst of noise instead, or the button, or the service clears. What is held in
queues and ledgers, the objects that Python knows, and the memory of the process, before and after.
"""

from __future__ import annotations

import argparse
import gc
import random
from collections import Counter, deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import speech
from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.echo import load
from edgevoice.audio.interruption import TalkOver
from edgevoice.events import Answer, BargeIn, Clear, Command, HangUp, Listen, Mark, Play, Uplink

Samples = NDArray[np.int16]

RATE = 16_000
PERIOD = RATE // 100
AHEAD = 4 * PERIOD
WARM_UP = 2000  # interruptions: until then pools and caches fill
MOST_PERIODS = 60  # for an interruption


class StepCard:
    """A card on which a period passes whenever it is read; it hears what it is given, and then a quiet room."""

    rate, ahead = RATE, AHEAD

    def __init__(self) -> None:
        self.restarts = 0
        self.air: Samples = np.zeros(0, np.int16)
        self._room = np.random.default_rng(1).normal(0, 20, 50 * PERIOD).astype(np.int16)
        self._queued = self._written = self._reads = 0
        self._running = False

    def read(self) -> Samples:
        self._queued = max(0, self._queued - PERIOD)
        self._reads += 1
        first = self._reads % 50 * PERIOD
        heard = self._room[first : first + PERIOD]
        if len(self.air):
            heard = heard.copy()
            heard[: len(self.air)] += self.air[:PERIOD]
            self.air = self.air[PERIOD:]
        return heard

    def queued(self) -> int:
        return self._queued

    def position(self) -> float | None:
        return self._written - self._queued if self._running else None

    def drop(self) -> int:
        held, self._queued = self._queued, 0
        self._written -= held
        self._running = False
        return held

    def write(self, pcm: Samples) -> None:
        self._queued += len(pcm)
        self._written += len(pcm)
        if not self._running:
            self._running = True
            self.restarts += 1


def run(interruptions: int) -> dict[str, object]:
    """Interrupt so often; return what happened, and what has grown."""
    chance = random.Random(1)
    canceller, _ = load("auto", noise_suppression=True)
    card = StepCard()
    duplex = Duplex(RATE, TalkOver(), canceller, half_duplex=False, pre_roll_ms=300)
    commands: deque[Command] = deque([Answer(RATE), Listen(Uplink.OPEN)])
    voices = [said[: RATE // 2] for said in speech.recordings(RATE)]
    burst = (np.random.default_rng(2).normal(0, 4000, RATE // 20)).astype(np.int16)
    response = np.random.default_rng(3).normal(0, 2000, RATE).astype("<i2").tobytes()
    ends: Counter[str] = Counter()
    before = _weight()
    for number in range(WARM_UP + interruptions):
        if number == WARM_UP:
            before, ends = _weight(), Counter()
        commands += [Play(response, f"response {number}"), Mark("end", f"response {number}")]
        if number % 500 == 499:
            commands += [HangUp("the next call"), Answer(RATE), Listen(Uplink.OPEN)]
        how = chance.random()
        card.air = burst if how < 0.2 else chance.choice(voices)
        for period in range(MOST_PERIODS):
            events = {type(event).__name__ for event in cycle(card, duplex, commands)}
            ends.update(events & {"Suspected", "TakenBack", "BargedIn", "Cleared", "Played"})
            if events & {"BargedIn", "Cleared"}:
                break
            if period == 5 and how > 0.7:
                commands.append(BargeIn() if how > 0.85 else Clear())
        commands.append(Clear())
        card.air = card.air[:0]
        cycle(card, duplex, commands)
    return dict(ends) | {name: f"{before[name]} -> {now}" for name, now in _weight().items()}


def _weight() -> dict[str, float]:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return {"objects": len(gc.get_objects()), "rss_mb": round(kib / 1024, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--interruptions", type=int, default=100_000, metavar="N", help="default: %(default)s")
    for name, value in run(parser.parse_args().interruptions).items():
        print(f"{name:12} {value}")


if __name__ == "__main__":
    main()
