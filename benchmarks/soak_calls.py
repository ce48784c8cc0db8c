"""Calls for a day in virtual time, or for minutes in real time, with five interruptions a minute: does anything grow?

    python -m benchmarks.soak_calls [--hours 24]        the whole box, on a card that takes no time
    python -m benchmarks.soak_calls --minutes 10        `edgevoice run` on the virtual card, with a fake service

What is looked at: the memory of the process (without what it maps of the virtual card), its threads, descriptors and
sockets (real time) or objects (virtual time); whether what the box says was heard of a response is what the card has
played of it, each time, and does not drift; and, in real time, the light (`tests/faults/seen.py`). The exit code is 1
when something grew, when it drifted, or when the promise is not kept: HEARD_MS at p99.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from tests.e2e.box import TRUSTING, RunningBox, first_word, voice
from tests.faults.seen import Watch
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

A_MINUTE = 5  # interruptions
GROWN_MB, GROWN_OBJECTS = 1.0, 500  # in the second half: what leaks does so all the time, pools fill in the first
JUST_NOW = 2  # a connection that is being closed, and the one that asks
HEARD_MS = 10.0  # at p99: the promise
LEAST_WEIGHTS = 4
GAP_MS = 1.0  # of silence in the middle of speech is none of the speaker's: the card had nothing to play
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
        """Print what grew, and how well the box knows what was heard; return the exit code."""
        broken = [*self._growth(), *self._errors()]
        for sentence in broken:
            print(f"BROKEN: {sentence}")
        return int(bool(broken))

    def _growth(self) -> Iterator[str]:
        """Print what the process weighs in the middle and at the end; yield what has grown."""
        if len(self.weights) < LEAST_WEIGHTS:
            print(f"weighed {len(self.weights)} times, expected {LEAST_WEIGHTS} and more: too short to see growth")
            return
        first, last = self.weights[len(self.weights) // 2], self.weights[-1]
        bounds = {"rss_mb": GROWN_MB, "objects": GROWN_OBJECTS, "descriptors": JUST_NOW, "sockets": JUST_NOW}
        for name, before in first.items():
            print(f"{name:12} {before:10.6g} -> {last[name]:10.6g}")
            if last[name] - before > bounds.get(name, 0):
                yield f"{name} has grown in the second half"

    def _errors(self) -> Iterator[str]:
        """Print how far what was said to be heard is from what was played; yield what was promised otherwise."""
        if not self.errors_ms:
            yield "nothing was interrupted"
            return
        few = max(1, len(self.errors_ms) // 10)
        drift = statistics.median(self.errors_ms[-few:]) - statistics.median(self.errors_ms[:few])
        shown = sorted(abs(error) for error in self.errors_ms)
        p50, p99 = shown[len(shown) // 2], shown[int(len(shown) * 0.99)]
        print(f"{self.calls} calls, {len(shown)} interruptions; heard against played: drift {drift:+.2f} ms,", end=" ")
        print(f"error p50 {p50:.2f}, p99 {p99:.2f}, most {shown[-1]:.2f} ms")
        if abs(drift) > DRIFT_MS:
            yield f"what is told of what was heard drifts by {drift:+.2f} ms"
        if p99 > HEARD_MS:
            yield f"what was heard is told wrong by {p99:.1f} ms at p99, promised are {HEARD_MS:g}"


# ----------------------------------------------------------------------------------------------------- virtual time


class DayCard(StepCard):
    """The card that takes no time, with the clock that it is; what it has played since `listen` is kept.

    A response that is held and goes on is dropped more than once: what counts ends with the last time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = self
        self._since: list[Samples] = []
        self.played: Samples = np.zeros(0, np.int16)  # until the last drop, from the first frame on that sounded

    def now(self) -> float:
        return self._reads * PERIOD / RATE

    def listen(self) -> None:
        """Forget what was played."""
        self._since, self.played = [], np.zeros(0, np.int16)

    def drop(self) -> int:
        dropped = super().drop()
        whole = np.concatenate([np.zeros(0, np.int16), *self._since])
        self._since = [whole[: -dropped or None]]
        self.played = self._since[0][np.flatnonzero(whole)[0] :] if whole.any() else whole[:0]
        return dropped

    def write(self, pcm: Samples) -> None:
        if self._since or pcm.any():
            self._since.append(pcm.copy())
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
        card.air = chance.choice(said)  # the question
        card.listen()
        _until(box, Turn.SPEAKING, 20.0)
        box.run(box.now + chance.uniform(0.4, 0.9))
        box.notes.clear()
        card.air = chance.choice(said)[: RATE // 2]  # and somebody talks over the answer
        box.run(box.now + 1.0)
        barged = [note for note in box.notes if note["what"] == "BargedIn"]
        taken_back = any(note["what"] == "TakenBack" for note in box.notes)
        if barged and not taken_back and len(card.played):
            played_ms, gaps_ms = sounded(card.played, RATE)
            found.errors_ms.append(float(barged[0]["heard_ms"]) - played_ms)
            if abs(found.errors_ms[-1]) > HEARD_MS:
                print(f"told {barged[0]['heard_ms']} ms, played {played_ms:.1f}, gaps {gaps_ms}", file=sys.stderr)
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
    gc.collect()  # in virtual time nobody does it, as the program does (`drivers/memory.py`): that is for real time
    return {"rss_mb": _rss_mb(os.getpid()), "objects": float(len(gc.get_objects()))}


# -------------------------------------------------------------------------------------------------------- real time


def minutes(length: float) -> Findings:
    """Do the same with the program itself, a card that takes its time, and a service in a process of its own."""
    found = Findings()
    with a_box(60 * length + 120) as (box, service), Watch(box) as watch:
        box.wait_until_awake()
        until = time.monotonic() + 60 * length
        while time.monotonic() < until:
            box.call()
            found.calls += 1
            for _ in range(A_MINUTE):
                began = time.monotonic()
                found.errors_ms.append(interrupt(box, service))
                box.wait_for_turn("speaking", within_s=20)  # it answers the interruption
                box.pause(0.3)
                box.ask(do="press")
                box.wait_for_turn("listening", within_s=20)
                box.pause(max(0.2, 60 / A_MINUTE - (time.monotonic() - began) - 1))
            box.ask(do="hangup")
            box.wait_for_state("idle")
            found.weights.append(_process(box.process.pid))
            print(f"{found.weights[-1]} {found.errors_ms[-1]:+.1f} ms", file=sys.stderr, flush=True)
    print(f"the light was right for {watch.words}")
    return found


@contextmanager
def a_box(seconds: float) -> Iterator[tuple[RunningBox, AgentService]]:
    """A box on the virtual card, and the service that its button calls."""
    with (
        tempfile.TemporaryDirectory() as folder,
        World(rate=CARD_RATE, seconds=seconds) as world,
        AgentService(OPENAI, Path(folder), voice("story", 24_000)) as service,
    ):
        box = RunningBox(world, f"{TRUSTING}\n{service.configuration()}")
        (box.folder / "key").write_text("sk-x")
        with box:
            yield box, service


def interrupt(box: RunningBox, service: AgentService, *, stopped_s: float = 0.0) -> float:
    """Ask, and talk over the answer; return by how many ms what the service is told was heard is more than was played.

    `stopped_s`: for so long the process stands still in the middle of the answer, and the card runs dry.
    """
    question, over_it = voice("question", CARD_RATE), voice("interruption", CARD_RATE)
    said_at = box.say(question)
    replied_at = box.wait_for_sound(said_at, within_s=20)
    box.pause(0.5)
    if stopped_s:
        box.stand_still(stopped_s)
    box.pause(1.0)
    before = len(service.lines(*TRUNCATED))
    first = box.say(over_it) + first_word(over_it, CARD_RATE)
    told_ms = service.wait_for(*TRUNCATED, before + 1)["audio_end_ms"]
    box.pause(0.2)
    played_ms, gaps_ms = sounded(box.world.spk[replied_at : first + CARD_RATE], CARD_RATE)
    if abs(told_ms - played_ms) > HEARD_MS:
        asked_s, talked_s = (replied_at - said_at) / CARD_RATE, (first - replied_at) / CARD_RATE
        print(
            f"told {told_ms} ms, played {played_ms:.1f}, gaps {gaps_ms}; the answer began {asked_s:.2f} s after the "
            f"question did, and was talked over {talked_s:.2f} s later; {box.status()}",
            file=sys.stderr,
        )
    return float(told_ms - played_ms)


def sounded(speaker: Samples, rate: int) -> tuple[float, list[float]]:
    """Return for how many ms a response sounded that begins with `speaker`, and the gaps in it (ms).

    A gap is the card's that ran dry, or a suspicion that was taken back: nothing of the response is missing there.
    """
    at = np.flatnonzero(speaker)
    gaps = np.diff(at) - 1
    long = gaps[gaps > GAP_MS * rate / 1000]
    return (at[-1] + 1 - long.sum()) * 1000 / rate, [round(gap * 1000 / rate, 1) for gap in long.tolist()]


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
    """Return VmRSS, less the shared memory of the virtual card's world: the box's own, and its libraries' files."""
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
