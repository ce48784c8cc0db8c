"""A person interrupts a box that runs as a process on the virtual card, again and again, by voice and by button.

The agent is the fake OpenAI service: its log has what the box told it was heard. The room has a headset in it: what the
loudspeaker says does not reach the microphone, and the box is told to trust that.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import speech
from benchmarks.decisions import hinted_at
from benchmarks.load import busy_cores
from benchmarks.recording import Cut, Recording, write
from tests.e2e.agent_service import OPENAI, AgentService, Line
from tests.e2e.box import TRUSTING, RunningBox
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

RATE = 48_000
BUFFER_MS = 40  # the product's default
ROOM_DBFS = -65.0
SILENCE_MS = 200  # of the service, the shortest: what is measured is not how long it waits
VAD_DBFS = "-50"  # of the service: the quietest of the recorded speakers has -37 dBFS
EACH_S = 4.0  # at most, for an interruption and the turn that follows; half of that is usual
PATIENCE_S = 2.0  # without a reply for so long, a person asks again
SOUNDED_S = (0.25, 0.75)  # of a reply, before it is interrupted


@dataclass(frozen=True, slots=True)
class Condition:
    """On which card, beside what."""

    name: str
    fifo: int = 0  # frames that have left the ring buffer and cannot be taken back
    busy: bool = False  # every core has something else to do


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened beside the recording."""

    xruns: str  # of playback / of capture
    unheard: int  # turns that the service did not notice
    calls: int


def record(
    folder: Path, condition: Condition, said: Sequence[Samples], *, voices: int, presses: int, seed: int
) -> Outcome:
    """Interrupt `voices` times by voice and `presses` times by button; keep what was heard in `folder`."""
    with (
        tempfile.TemporaryDirectory() as log,
        World(rate=RATE, fifo=condition.fifo, seconds=30 + (voices + presses) * EACH_S) as world,
        AgentService(OPENAI, Path(log), speech.reply(24_000), "--vad-dbfs", VAD_DBFS) as service,
    ):
        world.air[:] = speech.room(len(world.air), RATE, ROOM_DBFS)
        box = boxed(world, service)
        with busy_cores(condition.busy), box:
            person = Person(box, said, random.Random(seed))
            for _ in range(voices):
                person.talk_over()
            for _ in range(presses):
                person.press()
            box.pause(0.5)
            counters = box.status()["counters"]
            end = world.now()
        cuts = _with_claims(person.cuts, service.lines("client", "conversation.item.truncate"), world)
        write(folder, _recording(world, end, cuts))
    xruns = f"{counters['playback_xruns']}/{counters['capture_xruns']}"
    return Outcome(xruns, person.unheard, person.calls)


def boxed(world: World, service: AgentService) -> RunningBox:
    """Return the box with its defaults, in that room, with that agent."""
    more = TRUSTING + service.configuration(vad_silence_ms=str(SILENCE_MS))
    box = RunningBox(world, more, buffer_ms=BUFFER_MS)
    (box.folder / "key").write_text("no key at all\n")
    return box


class Person:
    """Whoever talks with the box. Every utterance is another one, every moment by chance."""

    def __init__(self, box: RunningBox, said: Sequence[Samples], chance: random.Random) -> None:
        self.cuts: list[Cut] = []
        self.unheard = self.calls = 0
        self._box = box
        self._chance = chance
        self._said = cycle(chance.sample(list(said), len(said)))
        self._since = 0  # the next reply cannot begin earlier

    def talk_over(self) -> None:
        """Interrupt the reply by voice; that is the next turn as well."""
        self._wait_for_reply()
        begin, end = self._say()
        self.cuts.append(Cut("voice", begin, end))

    def press(self) -> None:
        """Interrupt the reply by the button, then say something."""
        self._wait_for_reply()
        pressed_at = self._box.world.index(self._box.tap())
        self.cuts.append(Cut("button", pressed_at))
        self._box.pause(0.1)
        self._say()

    def ask(self) -> None:
        """Take a turn, once the last reply was heard to its end."""
        while self._sounds(0.3):
            self._since = self._box.world.now()
        self._say()

    def _say(self) -> tuple[int, int]:
        utterance = next(self._said)
        begin = self._box.say(utterance, after=0.06)
        self._since = begin + len(utterance)
        self._pause_until(self._since)
        return begin, self._since

    def _wait_for_reply(self) -> None:
        """Wait until the agent has been speaking for a while. A call that is over is made anew."""
        while not self._sounds(PATIENCE_S):
            if self._box.status()["state"] == "in call":
                self.unheard += 1
            else:
                self._box.call()
                self.calls += 1
            self._say()
        self._box.pause(self._chance.uniform(*SOUNDED_S))

    def _sounds(self, within_s: float) -> bool:
        """Tell whether the loudspeaker sounds within so long."""
        world = self._box.world
        give_up = world.now() + round(within_s * RATE)
        while world.now() < give_up:
            if self._box.speaker(max(self._since, world.now() - RATE // 5)).any():
                return True
            self._box.pause(0.01)
        return False

    def _pause_until(self, index: int) -> None:
        self._box.pause(max(0.0, (index - self._box.world.now()) / RATE))


def _with_claims(cuts: Sequence[Cut], truncations: Sequence[Line], world: World) -> list[Cut]:
    """Give each cut the first truncation that the service was told between it and the next one."""
    found = []
    ends = [*(cut.at for cut in cuts[1:]), world.now()]
    for cut, end in zip(cuts, ends, strict=True):
        told = (line["audio_end_ms"] for line in truncations if cut.at <= world.index(line["at"]) < end)
        found.append(replace(cut, claimed_ms=next(told, None)))
    return found


def _recording(world: World, end: int, cuts: Sequence[Cut]) -> Recording:
    """Return what sounded until `end`, each voice with the moment of the hint that silenced it."""
    events = world.events()
    first = next(event.details["idx"] for event in events if (event.who, event.what) == ("mic", "start"))
    lost = min((event.details["idx"] for event in events if (event.who, event.what) == ("mic", "xrun")), default=end)
    hinted = hinted_at(world.air[:lost], world.spk[:lost], first, RATE)
    decided = []
    for cut in cuts:
        later = hinted[hinted > cut.at] if cut.what == "voice" else hinted[:0]
        decided.append(replace(cut, decided_at=int(later[0])) if len(later) else cut)
    stops = [world.index(event.at) for event in events if (event.who, event.what) == ("speaker", "stop")]
    return Recording(RATE, world.spk[:end], world.air[:end], decided, stops, speech.reply(RATE))
