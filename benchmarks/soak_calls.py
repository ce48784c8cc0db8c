"""Calls for a day in virtual time, or for minutes in real time, with five interruptions a minute: does anything grow?

    python -m benchmarks.soak_calls [--hours 24]        the whole box, on a card that takes no time
    python -m benchmarks.soak_calls --minutes 10        `edgevoice run` on the virtual card, with a fake service

What is looked at: the memory of the process, its threads, descriptors and sockets (real time) or objects (virtual
time), and whether what the box says was heard of a response drifts from what the card has played of it. The exit code
is 1 when something grew or drifted beyond the bounds below.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks import speech
from benchmarks.soak import PERIOD, RATE, StepCard
from edgevoice.agents.parrot import Parrot
from edgevoice.appliance import Appliance
from edgevoice.audio.duplex import Duplex
from edgevoice.audio.echo import load
from edgevoice.audio.interruption import TalkOver
from edgevoice.drivers.room import RoomCard
from edgevoice.happenings import HangUpAsked
from edgevoice.light import Box, Turn
from edgevoice.simulation import Simulation
from tests.e2e.agent_service import OPENAI, AgentService
from tests.e2e.box import TRUSTING, RunningBox, first_word, last_sound, voice
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

A_MINUTE = 5  # interruptions
GROWN_MB, GROWN_OBJECTS = 1.0, 500  # in the second half: what leaks does so all the time, pools fill in the first
JUST_NOW = 2  # a connection that is being closed, and the one that asks
DRIFT_MS = 1.0  # between the medians of the first and the last tenth
CARD_RATE = 48_000
TRUNCATED = ("client", "conversation.item.truncate")


@dataclass
class Findings:
    """What is seen in the course of time: the weight of the process, and how far `heard` is from what was played."""

    weights: list[dict[str, float]] = field(default_factory=list)
    errors_ms: list[float] = field(default_factory=list)
    calls: int = 0

    def tell(self) -> int:
        """Print what grew; return the exit code."""
        first, last = self.weights[len(self.weights) // 2], self.weights[-1]
        bounds = {"rss_mb": GROWN_MB, "objects": GROWN_OBJECTS, "descriptors": JUST_NOW, "sockets": JUST_NOW}
        failed = False
        for name, before in first.items():
            grown = last[name] - before > bounds.get(name, 0)
            failed |= grown
            print(f"{name:12} {before:10.6g} -> {last[name]:10.6g}  {'GROWN' if grown else 'ok'}")
        few = max(1, len(self.errors_ms) // 10)
        drift = statistics.median(self.errors_ms[-few:]) - statistics.median(self.errors_ms[:few])
        failed |= abs(drift) > DRIFT_MS
        shown = sorted(abs(error) for error in self.errors_ms)
        print(f"{self.calls} calls, {len(shown)} interruptions; heard against played: drift {drift:+.2f} ms,", end=" ")
        print(
            f"error p50 {shown[len(shown) // 2]:.2f}, p99 {shown[int(len(shown) * 0.99)]:.2f}, most {shown[-1]:.2f} ms"
        )
        return int(failed)


# ----------------------------------------------------------------------------------------------------- virtual time


class DayCard(StepCard):
    """The card that takes no time, with the clock that it is, and with a note of where a response began."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = self
        self.sounded_at: int | None = None  # the first frame that sounds since this was None
        self.dropped_at = 0

    def now(self) -> float:
        return self._reads * PERIOD / RATE

    def drop(self) -> int:
        dropped = super().drop()
        self.dropped_at = self._written
        return dropped

    def write(self, pcm: Samples) -> None:
        if self.sounded_at is None and len(sounding := np.flatnonzero(pcm)):
            self.sounded_at = self._written + int(sounding[0])
        super().write(pcm)


def a_day(hours: float) -> Findings:
    """Call, ask, interrupt the answer, hang up, again and again for so many hours of the box's time."""
    chance = random.Random(1)
    canceller, _ = load("auto", noise_suppression=True)
    card = DayCard()
    duplex = Duplex(RATE, TalkOver(), canceller, half_duplex=False, pre_roll_ms=300)
    box = Simulation(cast(RoomCard, card), duplex, Appliance(button="parrot", max_s=86_400), Parrot)
    said = speech.recordings(RATE)
    found = Findings()
    weighed = 0.0
    while box.now < hours * 3600:
        if box.appliance.state is Box.IDLE:
            box.run(box.now + 2.0)
            box.press()
            found.calls += 1
            box.run(box.now + 1.5)
        card.air, card.sounded_at = chance.choice(said), None  # the question
        _until(box, Turn.SPEAKING, 20.0)
        box.run(box.now + chance.uniform(0.4, 0.9))
        box.notes.clear()
        card.air = chance.choice(said)[: RATE // 2]  # and somebody talks over the answer
        box.run(box.now + 1.0)
        barged = [note for note in box.notes if note["what"] == "BargedIn"]
        taken_back = any(note["what"] == "TakenBack" for note in box.notes)
        if barged and not taken_back and card.sounded_at is not None:
            played_ms = (card.dropped_at - card.sounded_at) * 1000 / RATE
            found.errors_ms.append(float(barged[0]["heard_ms"]) - played_ms)
        box.run(box.now + 60.0 / A_MINUTE - 8.0)
        box.notes.clear()
        if chance.random() < 0.1:
            box.happen(HangUpAsked())
            box.run(box.now + 3.0)
        if box.now - weighed > hours * 36:
            weighed = box.now
            found.weights.append(_weight())
    return found


def _until(box: Simulation, turn: Turn, within_s: float) -> None:
    give_up = box.now + within_s
    while box.appliance.turn is not turn and box.now < give_up:
        box.step()


def _weight() -> dict[str, float]:
    gc.collect()
    return {"rss_mb": _rss_mb(os.getpid()), "objects": float(len(gc.get_objects()))}


# -------------------------------------------------------------------------------------------------------- real time


def minutes(length: float) -> Findings:
    """Do the same with the program itself, a card that takes its time, and a service in a process of its own."""
    found = Findings()
    question, over_it = voice("question", CARD_RATE), voice("interruption", CARD_RATE)
    with (
        tempfile.TemporaryDirectory() as folder,
        World(rate=CARD_RATE, seconds=60 * length + 120) as world,
        AgentService(OPENAI, Path(folder), voice("story", 24_000)) as service,
    ):
        dark = "[panel]\nlight = []\n"  # the pins of the lab keep every change of a light, and would grow
        box = RunningBox(world, f"{TRUSTING}\n{dark}\n{service.configuration()}")
        (box.folder / "key").write_text("sk-x")
        with box:
            box.wait_until_awake()
            until = time.monotonic() + 60 * length
            while time.monotonic() < until:
                box.call()
                found.calls += 1
                for _ in range(A_MINUTE):
                    began = time.monotonic()
                    said_at = box.say(question)
                    replied_at = box.wait_for_sound(said_at + len(question), within_s=20)
                    taken_back = box.status()["echo"]["taken_back"]
                    box.pause(1.5)
                    before = len(service.lines(*TRUNCATED))
                    first = box.say(over_it) + first_word(over_it, CARD_RATE)
                    told = service.wait_for(*TRUNCATED, before + 1)
                    box.pause(0.2)
                    silent_at = replied_at + last_sound(world.spk[replied_at : first + CARD_RATE])
                    if box.status()["echo"]["taken_back"] == taken_back:  # else there is a pause in what was played
                        played_ms = (silent_at + 1 - replied_at) * 1000 / CARD_RATE
                        found.errors_ms.append(told["audio_end_ms"] - played_ms)
                    box.wait_for_turn("speaking", within_s=20)  # it answers the interruption
                    box.pause(0.3)
                    box.ask(do="press")
                    box.wait_for_turn("listening", within_s=20)
                    box.pause(max(0.2, 60 / A_MINUTE - (time.monotonic() - began) - 1))
                box.ask(do="hangup")
                box.wait_for_state("idle")
                found.weights.append(_process(box.process.pid))
                print(f"{found.weights[-1]} {found.errors_ms[-1]:+.1f} ms", file=sys.stderr, flush=True)
    return found


def _process(pid: int) -> dict[str, float]:
    """Weigh a process from outside. Source: proc(5)."""
    descriptors = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            descriptors.append(os.readlink(path))
        except FileNotFoundError:
            pass  # closed meanwhile
    return {
        "rss_mb": _rss_mb(pid),
        "threads": float(len(list(Path(f"/proc/{pid}/task").iterdir()))),
        "descriptors": float(len(descriptors)),
        "sockets": float(sum(name.startswith("socket:") for name in descriptors)),
    }


def _rss_mb(pid: int) -> float:
    """Return VmRSS, less the shared memory of the virtual card's world."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in status) if "kB" in rest}
    return round((kib["VmRSS"] - kib["RssShmem"]) / 1024, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak_calls")
    parser.add_argument("--hours", type=float, default=24.0, metavar="H", help="of virtual time; default: 24")
    parser.add_argument("--minutes", type=float, metavar="M", help="of real time, instead")
    chosen: Any = parser.parse_args(arguments)
    found = minutes(chosen.minutes) if chosen.minutes else a_day(chosen.hours)
    return found.tell()


if __name__ == "__main__":
    sys.exit(main())
