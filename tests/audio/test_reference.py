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
@settings(max_examples=300)
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
    """A loudspeaker that plays without a pause, its clock `ppm` fast, and positions that are wrong by `jitter`.

    What it plays, unless told otherwise, is the number of each frame.
    """

    reference: Reference
    jitter: Jitter = lambda captured: 0.0
    ppm: float = 0.0
    sound: Samples = field(default_factory=lambda: (np.arange(30_000 * 40) % 30_000).astype(np.int16))
    begins: float = 100.0  # captured frame beside the first one played
    captured: int = 0
    restarts: int = 1
    positions: int = 0
    written: int = 0

    def true(self) -> float:
        return (self.captured - self.begins) * (1 + self.ppm * 1e-6)

    def step(self) -> Samples:
        """Live through 100 ms; return the reference."""
        frames = RATE // 10
        self.write(math.ceil(self.true()) + 4 * frames - self.written)
        self.captured += frames
        if self.reference.due(self.restarts):
            self.positions += 1
            self.reference.anchor(self.true() + self.jitter(self.captured), self.restarts)
        return self.reference.take(frames)

    def write(self, frames: int) -> None:
        self.reference.wrote(self.sound[np.arange(self.written, self.written + frames) % len(self.sound)])
        self.written += frames

    def begin_again(self) -> None:
        """Drop what is not played, and start anew a little later."""
        held = self.written - max(0, math.ceil(self.true()))
        self.reference.dropped(held)
        self.written -= held
        self.begins = self.captured + 77.0 - self.written / (1 + self.ppm * 1e-6)
        self.restarts += 1

    def in_bursts_of(self, frames: int) -> Jitter:
        """Let the pointer move by so many frames at once."""
        return lambda captured: -(self.true() % frames)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.step()

    def off(self) -> float:
        """Tell by how many frames the reference is from what sounds, at the end of the next step."""
        played = self.step()
        while not 1000 < self.true() % 30_000 < 29_000:  # nothing lies between 29 999 and 0
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


JITTERS: dict[str, Callable[[int], Jitter]] = {
    "none": lambda seed: lambda captured: 0.0,
    "a millisecond": lambda seed: white(1.0, seed),
    "ten milliseconds": lambda seed: white(5.0, seed),
    "bursts of a millisecond": lambda seed: flipping(1.0, 30.0, seed),
    "bursts of four": lambda seed: flipping(4.0, 300.0, seed),
}


@pytest.mark.parametrize("kind", JITTERS)
def test_a_card_of_one_clock_is_never_corrected_within_an_hour(kind: str) -> None:
    clocks = Clocks(Reference(RATE), JITTERS[kind](3))
    clocks.run(2)
    off = clocks.off()
    assert off == int(off)
    drifts = set()
    while clocks.captured < 3600 * RATE:
        assert clocks.off() == off
        drifts.add(clocks.reference.drift_ppm)
    assert (drifts, clocks.reference.slips, clocks.reference.unusable) == ({0.0}, 0, "")
    assert clocks.positions < 3700, "one a second is enough"


def test_a_card_of_one_clock_is_never_corrected_over_many_interruptions_either() -> None:
    clocks = Clocks(Reference(RATE), white(1.0))
    for _ in range(500):
        clocks.begin_again()
        clocks.run(1)
        off = clocks.off()
        for _ in range(40):
            assert clocks.off() == off
    assert clocks.reference.drift_ppm == 0.0


def test_the_first_positions_of_a_run_settle_it_together() -> None:
    clocks = Clocks(Reference(RATE), white(1.0))
    first, settled = [], []
    for _ in range(200):
        clocks.begin_again()
        first.append(clocks.off())
        clocks.run(1)
        settled.append(clocks.off())
    assert float(np.std(first)) > 8.0
    assert float(np.std(settled)) < 5.0


# ------------------------------------------------------------------------------------------------ clocks that drift


@pytest.mark.parametrize("ppm", [20.0, -80.0, 80.0, 300.0])
def test_two_clocks_are_kept_together(ppm: float) -> None:
    clocks = Clocks(Reference(RATE), ppm=ppm)
    clocks.run(18)
    assert clocks.reference.drift_ppm == pytest.approx(ppm, abs=0.1)
    clocks.run(240)  # led back by at most TRIM_PPM
    for _ in range(1000):
        assert abs(clocks.off()) < 1.0
    assert (clocks.reference.slips, clocks.reference.unusable) == (0, "")


@pytest.mark.parametrize("ppm", [-80.0, 80.0])
@pytest.mark.parametrize("jitter", [white(1.0), None])
def test_two_clocks_are_kept_together_by_positions_that_jitter_by_a_millisecond(
    ppm: float, jitter: Jitter | None
) -> None:
    clocks = Clocks(Reference(RATE), ppm=ppm)
    clocks.jitter = jitter or clocks.in_bursts_of(16)
    clocks.run(70)
    assert clocks.reference.drift_ppm == pytest.approx(ppm, abs=5)
    clocks.run(300)
    assert clocks.reference.drift_ppm == pytest.approx(ppm, abs=1)
    off = []
    while clocks.captured < 1800 * RATE:
        off.append(clocks.off())
    assert max(off) - min(off) < 8.0, "half a millisecond in half an hour, all of it slow"
    assert max(abs(float(change)) for change in np.diff(off)) < 1.0


def test_the_drift_is_learnt_over_many_short_runs() -> None:
    clocks = Clocks(Reference(RATE), white(1.0), ppm=80.0)
    for _ in range(40):
        clocks.begin_again()
        clocks.run(15)
    assert clocks.reference.drift_ppm == pytest.approx(80.0, abs=5)
    off = []
    for _ in range(10):
        clocks.begin_again()
        clocks.run(2)
        off.append(clocks.off())
        clocks.run(20)
        assert abs(clocks.off() - off[-1]) < 12.0, "26 without"
    assert max(map(abs, off)) < 16.0
    assert clocks.reference.faults == 0


def test_drift_is_made_up_for_between_the_samples() -> None:
    tone = (10_000 * np.sin(2 * np.pi * 440 / RATE * np.arange(200 * RATE))).astype(np.int16)
    clocks = Clocks(Reference(RATE), ppm=80.0, sound=tone)
    clocks.run(180)
    played = np.concatenate([clocks.step() for _ in range(10)])
    turns = 440 / RATE * (1 + 80e-6) * np.arange(len(played))
    both = np.stack((np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)), axis=1)
    fitted, *_ = np.linalg.lstsq(both, played, rcond=None)
    assert float(np.abs(played - both @ fitted).max()) < 200, "2 % of the tone: no jump of a whole sample (17 %)"


@pytest.mark.parametrize("ppm", [-81_000.0, -5000.0, -900.0, 700.0, 5000.0, 88_000.0])
def test_clocks_that_run_wildly_apart_are_unusable_and_said_to_be(ppm: float) -> None:
    clocks = Clocks(Reference(RATE), ppm=ppm)
    clocks.run(30)
    assert f"run {ppm:+.0f} ppm apart, expected at most 500" in clocks.reference.unusable


def test_positions_that_contradict_each_other_are_unusable_and_said_to_be() -> None:
    clocks = Clocks(Reference(RATE), white(40.0))
    clocks.run(60)
    assert "positions" in clocks.reference.unusable


def test_a_card_that_never_tells_its_position_is_unusable_and_said_to_be() -> None:
    reference = Reference(RATE)
    for _ in range(60):
        reference.wrote(noise(RATE // 10))
        assert reference.due(1)
        reference.anchor(None, 1)
        assert not reference.take(RATE // 10).any()
    assert reference.unusable == "the card does not tell what it has played"


# ---------------------------------------------------------------------------------------- frames lost without a word


def test_frames_that_the_microphone_lost_without_a_word_are_made_up_for() -> None:
    clocks = Clocks(Reference(RATE), white(0.5))
    clocks.run(30)
    clocks.begins -= 800  # the loudspeaker is 50 ms further
    clocks.run(3)
    assert abs(clocks.off()) < 8
    assert (clocks.reference.slips, clocks.reference.drift_ppm, clocks.reference.unusable) == (1, 0.0, "")


def test_one_wrong_position_changes_nothing() -> None:
    clocks = Clocks(Reference(RATE))
    clocks.run(30)
    off = clocks.off()
    clocks.jitter = lambda captured: 800.0 if captured % (4 * RATE) < RATE // 4 else 0.0
    clocks.run(60)
    clocks.jitter = lambda captured: 0.0
    clocks.run(5)
    assert (clocks.off(), clocks.reference.slips, clocks.reference.unusable) == (off, 0, "")


# ----------------------------------------------------------------------------------------------- never silent nonsense


def begun() -> Reference:
    """Let 3200 frames be written and 1600 of them be played, in a run that has settled."""
    reference = Reference(RATE)
    reference.wrote(SOUND[:3200])
    for played in range(PERIOD, 1600 + 1, PERIOD):
        if reference.due(1):
            reference.anchor(played, 1)
        assert np.array_equal(reference.take(PERIOD), SOUND[played - PERIOD : played])
    assert not reference.due(1)
    return reference


def test_a_card_that_plays_on_where_nothing_was_written_is_a_fault() -> None:
    reference = begun()
    assert np.count_nonzero(reference.take(1760)) == 1600, "it may have run dry"
    assert not reference.due(1)
    reference.wrote(SOUND[3200:4800])
    assert reference.due(1), "it has played all there was, and did not start again with this"
    reference.anchor(3200 + 320, 1)
    assert np.array_equal(reference.take(PERIOD), SOUND[3360:3520])
    assert reference.faults == 1


def test_what_was_written_over_is_silence_and_a_fault() -> None:
    reference = begun()
    for _ in range(20):
        reference.wrote(SOUND[: RATE // 10])
    assert not reference.take(PERIOD).any()
    assert reference.faults == 1


@pytest.mark.parametrize("position", [-1e9, float("nan")])
def test_a_position_that_cannot_be_is_a_fault_and_no_anchor(position: float) -> None:
    reference = begun()
    reference.anchor(position, 1)
    assert np.array_equal(reference.take(PERIOD), SOUND[1600:1760])
    assert reference.faults == 1


def test_a_drop_of_more_than_was_written_is_a_fault() -> None:
    reference = begun()
    reference.dropped(3201)
    assert not reference.take(PERIOD).any()
    assert reference.faults == 1


def test_what_begins_before_the_card_has_told_anything_is_silence() -> None:
    reference = Reference(RATE)
    assert not reference.take(160).any()
    reference.wrote(SOUND[:640])
    reference.anchor(None, 1)
    assert not reference.take(160).any()
    assert (reference.faults, reference.unusable) == (0, "")


# ------------------------------------------------------------------------------------------------ an echo that is late


@pytest.mark.parametrize(("delay_ms", "frames"), [(0.0, 0), (20.0, 0), (60.0, 640)])
def test_the_reference_of_a_late_echo_is_late(delay_ms: float, frames: int) -> None:
    reference = Reference(RATE, delay_ms=delay_ms)
    sound = SOUND[:1600]
    reference.wrote(sound)
    reference.anchor(160, 1)
    played = np.concatenate([reference.take(160) for _ in range(10)])
    assert np.array_equal(played, np.concatenate((np.zeros(frames), sound))[:1600])
