"""The reference beside the microphone, sample by sample, against a loudspeaker that knows when each frame sounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.audio.reference import Reference, Samples
from edgevoice.drivers.room import Room, RoomCard, VirtualClock
from tests.fakes import noise

RATE = 16_000
PERIOD = 160
AHEAD = 640
CAPTURE_BUFFER = 3200
SOUND = np.random.default_rng(3).integers(1, 30_000, 1 << 16).astype(np.int16)  # never zero, never twice the same


# ------------------------------------------------------------------------------- whatever becomes of the two streams


@dataclass(frozen=True)
class Step:
    """One period of a card's life: how late it is read, and what is done then."""

    late: int = 0  # frames after the period was captured
    drop: bool = False
    write: bool = True
    gap: int = 0  # frames from the first write to its first sound


@dataclass
class Loudspeaker:
    """A card that plays and captures in whole frames of one clock, and keeps what sounded at each of them."""

    ahead: int = AHEAD
    now: int = 0
    sounded: Samples = field(default_factory=lambda: np.zeros(1 << 18, np.int16))
    restarts: int = 1
    capture_began: int = 0
    read: int = 0  # frames since then
    written: int = 0  # frames, less those dropped
    begins: int = 0  # of the run
    ends: int = 0  # when what is written has sounded
    stopped: bool = True

    def capture(self, late: int) -> Samples:
        """Return what the microphone, at the loudspeaker itself, heard in the next period."""
        self.now = max(self.now, self.capture_began + self.read + PERIOD) + late
        if self.now - self.capture_began - self.read > CAPTURE_BUFFER:
            self.capture_began, self.read = self.now + 3, 0
            self.now += PERIOD + 3
            self.restarts += 1
        self.read += PERIOD
        return self.sounded[self.captured - PERIOD : self.captured].copy()

    @property
    def captured(self) -> int:
        return self.capture_began + self.read

    def queued(self) -> int:
        return 0 if self.stopped else min(self.written, max(0, self.ends - max(self.now, self.begins)))

    def position(self) -> float | None:
        return None if self.stopped else self.written - (self.ends - self.captured)

    def drop(self) -> int:
        held = self.queued()
        self.sounded[self.ends - held : self.ends] = 0
        self.written -= held
        self.stopped = True
        return held

    def write(self, pcm: Samples, gap: int) -> None:
        if self.stopped or self.ends <= self.now:
            self.begins = self.ends = self.now + 1 + gap
            self.restarts += 1
        self.stopped = False
        self.sounded[self.ends : self.ends + len(pcm)] = pcm
        self.ends += len(pcm)
        self.written += len(pcm)


def live(card: Loudspeaker, reference: Reference, step: Step, said: int) -> tuple[Samples, Samples]:
    """Live through one period; return what was captured and the reference beside it."""
    heard = card.capture(step.late)
    if reference.due(card.restarts):
        reference.anchor(card.position(), card.restarts)
    played = reference.take(PERIOD)
    if step.drop:
        reference.dropped(card.drop())
    wanted = card.ahead - card.queued()
    if step.write and wanted > 0:
        pcm = np.take(SOUND, range(said, said + wanted), mode="wrap")
        card.write(pcm, step.gap)
        reference.wrote(pcm)
    return heard, played


late = st.one_of(st.just(0), st.integers(0, 40), st.integers(0, 900), st.integers(0, 5000))
steps = st.lists(
    st.builds(
        Step, late=late, drop=st.integers(0, 4).map(lambda n: n == 0), write=st.booleans(), gap=st.integers(0, 48)
    ),
    max_size=60,
)


@given(steps, st.sampled_from([320, AHEAD, 8000]))
@settings(max_examples=1500)
def test_the_reference_is_what_sounded_whatever_drops_underruns_and_overruns_there_are(
    lived: list[Step], ahead: int
) -> None:
    card, reference, said = Loudspeaker(ahead), Reference(RATE), 0
    for step in [*lived, *[Step()] * 30]:
        heard, played = live(card, reference, step, said)
        assert np.array_equal(heard, played)
        said += ahead
    assert heard.all()
    assert (reference.faults, reference.slips, reference.unusable) == (0, 0, "")


def test_it_steps_neither_at_a_drop_nor_at_an_overrun() -> None:
    card, reference = Loudspeaker(), Reference(RATE)
    lived = [Step()] * 5 + [Step(drop=True, gap=7)] + [Step()] * 5 + [Step(late=4000)] + [Step()] * 5
    heard, played = (
        np.concatenate(sound)
        for sound in zip(*(live(card, reference, step, 1000 * n) for n, step in enumerate(lived)), strict=True)
    )
    assert np.array_equal(heard, played)
    assert card.restarts == 5, "the opening, the first write, after the drop, both directions after the overrun"


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_sounds_in_the_simulated_room(seed: int) -> None:
    rate, lag = 48_000, 5  # the room's echo, in frames
    echo = np.zeros(lag + 1, np.float32)
    echo[lag] = 1.0
    card = RoomCard(Room(rate, echo=echo, noise_dbfs=-200, seed=seed), VirtualClock())
    reference, random, late = Reference(rate), np.random.default_rng(seed), np.zeros(lag, np.int16)
    for _ in range(2000):
        heard = card.read()
        held = card.queued()
        if reference.due(card.restarts):
            reference.anchor(card.position(), card.restarts)
        played = np.concatenate((late, reference.take(card.period)))
        late = played[card.period :]
        assert np.array_equal(heard, played[: card.period])
        if random.random() < 0.1:
            reference.dropped(card.drop())
            held = 0
        if held < card.ahead and random.random() < 0.9:
            pcm = noise(card.ahead - held, seed=int(random.integers(1000)))
            card.write(pcm)
            reference.wrote(pcm)
    assert (reference.faults, reference.slips, reference.drift_ppm) == (0, 0, 0.0)
    assert card.restarts > 150


# --------------------------------------------------------------------------------------------- positions that jitter

Jitter = Callable[[int], float]  # frames by which a position is wrong, when so many had been captured


@dataclass
class Clocks:
    """A loudspeaker that plays without a pause, its clock `ppm` fast, and positions that are wrong by `jitter`."""

    reference: Reference
    jitter: Jitter = lambda captured: 0.0
    ppm: float = 0.0
    begins: int = 100  # captured frame beside the first one played
    captured: int = 0
    restarts: int = 1
    positions: int = 0

    def true(self) -> float:
        return (self.captured - self.begins) * (1 + self.ppm * 1e-6)

    def step(self) -> Samples:
        """Live through 100 ms; return the reference. What is written is the number of its frame."""
        frames = RATE // 10
        wanted = math.ceil(self.true()) + 4 * frames - self.reference._written
        self.reference.wrote(
            (np.arange(self.reference._written, self.reference._written + wanted) % 30_000).astype("i2")
        )
        self.captured += frames
        if self.reference.due(self.restarts):
            self.positions += 1
            self.reference.anchor(self.true() + self.jitter(self.captured), self.restarts)
        return self.reference.take(frames)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.step()

    def off(self) -> float:
        """Tell by how many frames the reference is from what sounds, at the end of the next step."""
        played = self.step()
        while not 100 < played[-1] < 29_900:  # nothing lies between 29 999 and 0
            played = self.step()
        frame = float(played[-1]) - (self.true() - 1) % 30_000
        return (frame + 15_000) % 30_000 - 15_000


def white(ms: float, seed: int = 1) -> Jitter:
    random = np.random.default_rng(seed)
    return lambda captured: float(random.uniform(-1, 1)) * ms * RATE / 1000


def flipping(ms: float, dwell_s: float, seed: int = 1) -> Jitter:
    """A pointer that moves in bursts, read close to the edge of one: for a long time it is on either side."""
    random = np.random.default_rng(seed)
    on = False

    def jitter(captured: int) -> float:
        nonlocal on
        if random.random() < 1 / dwell_s:
            on = not on
        return on * ms * RATE / 1000

    return jitter


JITTERS = {
    "none": lambda seed: lambda captured: 0.0,
    "a millisecond": lambda seed: white(1.0, seed),
    "ten milliseconds": lambda seed: white(5.0, seed),
    "a burst of a millisecond": lambda seed: flipping(1.0, 30.0, seed),
    "a burst of four": lambda seed: flipping(4.0, 300.0, seed),
}


@pytest.mark.parametrize("kind", JITTERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_card_of_one_clock_is_never_corrected_within_an_hour(kind: str, seed: int) -> None:
    clocks = Clocks(Reference(RATE), JITTERS[kind](seed))
    clocks.run(2)
    off = clocks.off()
    assert off == int(off)
    worst = 0.0
    for _ in range(36_000):
        assert clocks.off() == off
        worst = max(worst, abs(clocks.reference.drift_ppm))
    assert (worst, clocks.reference.slips, clocks.reference.unusable) == (0.0, 0, "")
    assert clocks.positions < 3700, "one a second is enough"
