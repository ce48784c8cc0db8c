"""What was heard, against the recording of the loudspeaker: drops, underruns, coughs and interruptions in random order.

A simulated card in virtual time runs the product's own loop. Each response is one loud level, above zero or below, so
that the recording shows which one sounded; it is resampled on its way, and each reply that goes on swells from nothing.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.echo import load
from edgevoice.audio.resample import Resampler
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.events import (
    Answer,
    BargedIn,
    BargeIn,
    Clear,
    Cleared,
    Command,
    Event,
    Listen,
    Mark,
    Play,
    Played,
    Uplink,
)
from tests.fakes import LoudnessDetector, noise

RATE, FAR = 48_000, 24_000
LOUD = 20_000
VOICE = noise(RATE // 5, -10)
COUGH = VOICE[: RATE // 20]
RECORDED_S = 60.0
WAYS = ("voice", "stop", "clear")
FAULTS = ("cough", "cough", "dry", "slow", "nothing")


class Stage:
    """Somebody at a box whose card does what cards do, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = np.random.default_rng(seed)
        period_ms = int(self.chance.choice([5, 10, 20, 40]))
        ahead_ms = period_ms * int(self.chance.choice([2, 4, 10]))
        fifo = int(self.chance.choice([0, 32]))
        self.room = Room(RATE, noise_dbfs=-90, seed=seed)
        self.card = RoomCard(self.room, VirtualClock(), period_ms, ahead_ms, fifo=fifo, seconds=RECORDED_S)
        canceller, _ = load("none", noise_suppression=True)
        self.duplex = Duplex(RATE, LoudnessDetector(), canceller, half_duplex=False, pre_roll_ms=100, give_up_ms=150)
        self.commands: deque[Command] = deque([Answer(FAR), Listen(Uplink.OPEN)])
        self.events: list[Event] = []

    def run(self, seconds: float) -> None:
        until = self.card.clock.now() + seconds
        while self.card.clock.now() < until:
            self.events += cycle(self.card, self.duplex, self.commands)

    def say(self, pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
        self.room.say(Utterance(self.card.clock.now() + 0.02, pcm))

    def suffer(self, fault: str) -> None:
        """Let something happen that must not matter."""
        match fault:
            case "cough":
                self.say(COUGH)
            case "dry":
                self.card.clock.wait_until(self.card.clock.now() + self.card.ahead / RATE + 0.02)
            case "slow":
                self.card.clock.wait_until(self.card.clock.now() + self.card.ahead / RATE / 2)
        self.run(float(self.chance.uniform(0.1, 0.5)))

    def recorded_ms(self, level: int, begin: int) -> float:
        return np.count_nonzero(np.sign(self.card.speaker[begin:]) == np.sign(level)) * 1000 / RATE

    def told(self, *kinds: type[Event]) -> list[Event]:
        told = [event for event in self.events if isinstance(event, kinds)]
        self.events.clear()
        return told


@pytest.mark.parametrize("seed", range(12))
def test_heard_ms_is_what_the_recording_shows_whatever_happened_before(seed: int) -> None:
    stage, begin, wrong_ms = Stage(seed), 0, []
    for number in range(12):
        level = LOUD if number % 2 else -LOUD
        stage.commands.append(Play(np.full(5 * FAR, level, "<i2").tobytes(), f"r{number}"))
        stage.run(float(stage.chance.uniform(0.0, 0.8)))
        for fault in stage.chance.choice(FAULTS, 4):
            stage.suffer(fault)
        match WAYS[number % 3]:
            case "voice":
                stage.say(VOICE)
            case "stop":
                stage.commands.append(BargeIn())
            case _:
                stage.commands.append(Clear())
        stage.run(0.6)
        (told,) = stage.told(BargedIn, Cleared)
        assert isinstance(told, BargedIn | Cleared)
        assert told.response == f"r{number}"
        wrong_ms.append(told.heard_ms - stage.recorded_ms(level, begin))
        begin = int(stage.card.clock.now() * RATE) - stage.card.period
    assert stage.card.clock.now() < RECORDED_S
    assert max(map(abs, wrong_ms)) < 1.0, wrong_ms
    assert stage.duplex.taken_back >= 5
    assert stage.card.xruns >= 2


@pytest.mark.parametrize("seed", range(12))
def test_coughs_and_underruns_lose_no_sample_of_a_reply_and_repeat_none(seed: int) -> None:
    stage, reply = Stage(seed), np.full(3 * FAR, LOUD, np.int16)
    stage.commands += [Play(reply.tobytes(), "r1"), Mark("end", "r1")]
    stage.run(0.1)
    for fault in stage.chance.choice(FAULTS, 10):
        stage.suffer(fault)
    stage.run(6.0)
    assert stage.told(Played) == [Played("end", "r1")]
    assert stage.duplex.taken_back >= 2
    resampler = Resampler(FAR, RATE)
    held_back = np.zeros(round(resampler.delay_ms * FAR / 1000), np.int16)
    whole = resampler.process(np.append(reply, held_back))
    missing = np.count_nonzero(whole) - np.count_nonzero(stage.card.speaker)
    assert 0 <= missing <= stage.duplex.taken_back, "each reply that goes on swells from one frame of nothing"
