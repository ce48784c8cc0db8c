"""What one period of sound costs: the product's own loop body, on a card that takes no time.

    python -m benchmarks.period PERIODS      prints one JSON object

In a call with everything on: somebody makes noise near the microphone, which is resampled, cleaned of the echo, judged
and sent; a response of 24 kHz is resampled and played, and told to the canceller. Alone, period upon period, it is the
pure cost. Beside a thread that computes in Python all the time, at the pace of a card, it is what a listener would
notice: the time from the moment at which the period was captured to the moment at which the loudspeaker has its next
samples.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import threading
import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from edgevoice.app import SWITCH_S
from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.echo import load
from edgevoice.audio.interruption import TalkOver
from edgevoice.drivers.real_time import PRIORITY
from edgevoice.events import Answer, Command, Listen, Play, Uplink

Samples = NDArray[np.int16]

RATE, FAR_RATE = 48_000, 24_000
PERIOD = RATE // 100
AHEAD = 4 * PERIOD
PACE_S = 0.005  # of the paced card: twice as fast as a real one, to be done in half the time
WARM_UP = 200  # periods, 2 s: by then the noise is the floor above which a voice would have to be


class TimelessCard:
    """A card that plays a period whenever it is read, at the `pace_s` wanted, and notes when it was read."""

    rate, ahead = RATE, AHEAD

    def __init__(self, pace_s: float) -> None:
        self.captured_at = time.perf_counter()
        self._pace_s = pace_s
        self.restarts = 0
        self._queued = 0
        self._written = 0
        self._noise: Samples = np.random.default_rng(1).normal(0, 300, 100 * PERIOD).astype(np.int16)
        self._reads = 0

    def read(self) -> Samples:
        self.captured_at = max(self.captured_at + self._pace_s, time.perf_counter() if not self._pace_s else 0.0)
        late = self.captured_at - time.perf_counter()
        if late > 0:
            time.sleep(late)  # lets go of the interpreter, as poll() does
        self._queued = max(0, self._queued - PERIOD)
        self._reads += 1
        first = self._reads % 100 * PERIOD
        return self._noise[first : first + PERIOD]

    def queued(self) -> int:
        return self._queued

    def drop(self) -> int:
        raise AssertionError("noise interrupts nobody")

    def position(self) -> float | None:
        return self._written - self._queued

    def write(self, pcm: Samples) -> None:
        self.restarts = 1
        self._queued += len(pcm)
        self._written += len(pcm)


def measure(periods: int, pace_s: float) -> NDArray[np.float64]:
    """Return the milliseconds of each period, from captured to written."""
    card = TimelessCard(pace_s)
    canceller, _ = load("aec3", noise_suppression=True)
    duplex = Duplex(RATE, TalkOver(), canceller, half_duplex=False, pre_roll_ms=300)
    commands: deque[Command] = deque([Answer(FAR_RATE), Listen(Uplink.OPEN)])
    response = np.random.default_rng(2).normal(0, 3000, FAR_RATE // 10).astype("<i2").tobytes()
    took = []
    for period in range(periods + WARM_UP):
        if period >= WARM_UP and period % 10 == 0:
            commands.append(Play(response, "response"))
        cycle(card, duplex, commands)
        took.append((time.perf_counter() - card.captured_at) * 1e3)
    return np.array(took[WARM_UP:])


def in_a_thread(periods: int, pace_s: float) -> dict[str, float]:
    """Measure in a thread of its own, as the product does, with real time where it may."""
    found: list[NDArray[np.float64]] = []

    def run() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        except OSError:
            pass  # not allowed: as in the product
        found.append(measure(periods, pace_s))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    p999 = float(np.percentile(found[0], 99.9, method="inverted_cdf"))
    return {"n": periods, "mean": float(found[0].mean()), "p99.9": p999, "max": float(found[0].max())}


def burn(over: threading.Event) -> None:
    """Compute in Python until it is over."""
    while not over.is_set():
        sum(range(1000))


def main() -> None:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.period", description=(__doc__ or "").partition("\n")[0]
    )
    arguments.add_argument("periods", type=int, metavar="PERIODS", help="how many, 10 ms each: 3000")
    periods = arguments.parse_args().periods
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
    alone = in_a_thread(periods, 0.0)
    over = threading.Event()
    burner = threading.Thread(target=burn, args=(over,))
    burner.start()
    beside = in_a_thread(periods, PACE_S)
    over.set()
    burner.join()
    print(json.dumps({"alone": alone, "beside": beside}))


if __name__ == "__main__":
    main()
