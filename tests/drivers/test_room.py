"""The simulated card behaves like a card: frames are consumed by a clock, whatever the program does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.errors import DeviceError

RATE = 16_000
SILENT_ROOM = -120.0


def quiet_card(**options: float) -> RoomCard:
    return RoomCard(Room(RATE, noise_dbfs=SILENT_ROOM), VirtualClock(), seconds=2.0, **options)  # type: ignore[arg-type]


def ramp(frames: int) -> NDArray[np.int16]:
    return np.arange(1, frames + 1).astype(np.int16)


def play(card: RoomCard, pcm: NDArray[np.int16]) -> None:
    """Write all of it, a period at a time, as the program does."""
    while len(pcm):
        room = card.ahead - card.queued()
        card.write(pcm[:room])
        pcm = pcm[room:]
        card.read()


def test_what_was_written_leaves_the_loudspeaker_sample_by_sample() -> None:
    card = quiet_card()
    play(card, ramp(8000))
    for _ in range(20):
        card.read()
    sounding = card.speaker[np.nonzero(card.speaker)]
    assert np.array_equal(sounding, ramp(8000))
    first = int(np.nonzero(card.speaker)[0][0])
    assert np.all(card.speaker[first : first + 8000] > 0), "without a gap"


def test_a_drop_silences_what_was_not_played() -> None:
    card = quiet_card()
    play(card, ramp(3200))
    held = card.drop()
    for _ in range(20):
        card.read()
    sounding = card.speaker[np.nonzero(card.speaker)]
    assert np.array_equal(sounding, ramp(3200 - held))
    assert 0 < held <= card.ahead


def test_what_the_converter_holds_cannot_be_dropped() -> None:
    card = quiet_card(fifo=32)
    play(card, ramp(3200))
    dropped_at = card.clock.now()
    held = card.drop()
    for _ in range(20):
        card.read()
    assert np.count_nonzero(card.speaker) == 3200 - held, "all but what was still in reach"
    silent_from = int(np.nonzero(card.speaker)[0][-1]) + 1
    assert silent_from - int(dropped_at * card.rate) in (31, 32, 33)


def test_what_the_converter_holds_sounds_before_what_is_written_after_a_drop() -> None:
    card = quiet_card(fifo=32)
    play(card, ramp(3200))
    held = card.drop()
    card.write(ramp(320))
    assert card.queued() == 320
    for _ in range(20):
        card.read()
    sounding = card.speaker[np.nonzero(card.speaker)]
    assert np.array_equal(sounding, np.append(ramp(3200 - held), ramp(320)))


def test_a_card_whose_last_frames_are_in_the_converter_has_run_dry() -> None:
    card = quiet_card(fifo=64)
    card.write(ramp(160))
    while card.queued():
        card.clock.wait_until(card.clock.now() + 0.0005)
    card.write(ramp(160))
    assert card.xruns == 1


def test_a_card_that_nobody_writes_to_runs_dry_and_counts_it() -> None:
    card = quiet_card()
    card.write(ramp(640))
    for _ in range(10):
        card.read()
    assert card.queued() == 0
    card.write(ramp(640))
    assert card.xruns == 1
    for _ in range(10):
        card.read()
    assert np.count_nonzero(card.speaker) == 1280


def test_it_starts_again_at_a_phase_of_its_own() -> None:
    card = quiet_card()
    for _ in range(20):
        card.write(ramp(320))
        for _ in range(3):
            card.read()
        card.drop()
    sounding = card.speaker != 0
    starts = np.nonzero(sounding[1:] & ~sounding[:-1])[0]
    assert len(starts) == 20
    assert len(set(starts % card.period)) > 3


def test_the_microphone_hears_people_when_they_speak() -> None:
    voice = np.full(1600, 5000, np.int16)
    room = Room(RATE, [Utterance(0.5, voice)], noise_dbfs=SILENT_ROOM)
    card = RoomCard(room, VirtualClock(), seconds=1.0)
    while card.clock.now() < 1.0:
        card.read()
    heard = np.nonzero(card.microphone)[0]
    assert (heard[0], heard[-1]) == (8000, 9599)


def test_the_microphone_hears_the_loudspeaker_later_and_softer() -> None:
    echo = np.zeros(321, np.float32)
    echo[320] = 0.5
    card = RoomCard(Room(RATE, echo=echo, noise_dbfs=SILENT_ROOM), VirtualClock(), seconds=1.0)
    play(card, np.full(1600, 8000, np.int16))
    while card.clock.now() < 1.0:
        card.read()
    spoken, heard = np.nonzero(card.speaker)[0], np.nonzero(card.microphone)[0]
    assert heard[0] == spoken[0] + 320
    assert card.microphone[heard[10]] == 4000


def test_a_long_echo_of_a_loudspeaker_that_distorts_is_heard_as_it_should_be() -> None:
    echo = np.random.default_rng(2).normal(0, 0.02, RATE * 6 // 10).astype(np.float32)
    card = RoomCard(Room(RATE, echo=echo, noise_dbfs=SILENT_ROOM, drive=4.0), VirtualClock(), seconds=1.0)
    play(card, np.random.default_rng(3).normal(0, 3000, 8000).astype(np.int16))
    while card.clock.now() < 1.0:
        card.read()
    membrane = np.tanh(card.speaker / 8192) * 8192
    expected = np.convolve(membrane, echo)[: len(card.microphone)]
    assert np.abs(card.microphone - expected)[: RATE - card.period].max() <= 1


def test_noises_sound_for_ever_and_together() -> None:
    noises = [np.arange(1000).astype(np.int16), np.full(1234, 5000, np.int16)]
    card = RoomCard(Room(RATE, noise_dbfs=SILENT_ROOM, noises=noises), VirtualClock(), seconds=1.0)
    while card.clock.now() < 1.0:
        card.read()
    assert np.array_equal(card.microphone[:15_000], np.arange(15_000) % 1000 + 5000)


def test_somebody_may_begin_to_speak_when_nobody_knew() -> None:
    room = Room(RATE, noise_dbfs=SILENT_ROOM)
    card = RoomCard(room, VirtualClock(), seconds=1.0)
    while card.clock.now() < 0.5:
        card.read()
    room.say(Utterance(0.75, np.full(800, 5000, np.int16)))
    while card.clock.now() < 1.0:
        card.read()
    heard = np.nonzero(card.microphone)[0]
    assert (heard[0], heard[-1]) == (12_000, 12_799)


@pytest.mark.parametrize("drift_ppm", [100.0, -100.0])
def test_a_loudspeaker_with_a_clock_of_its_own_takes_more_or_fewer_frames(drift_ppm: float) -> None:
    card = RoomCard(Room(RATE, noise_dbfs=SILENT_ROOM), VirtualClock(), drift_ppm=drift_ppm)
    written = 0
    for _ in range(1000):
        card.read()
        frames = card.ahead - card.queued()
        card.write(np.ones(frames, np.int16))
        written += frames
        if card.restarts == 1 and card.clock.now() < 0.1:
            first = written - card.queued() - card.clock.now() * RATE
    played = written - card.queued() - card.clock.now() * RATE - first
    assert played == pytest.approx(drift_ppm * 1e-6 * 10 * RATE, abs=2.0)
    assert card.xruns == 0


@pytest.mark.parametrize("drift_ppm", [0.0, 80.0, -80.0])
def test_its_position_says_what_sounded_beside_the_last_captured_frame(drift_ppm: float) -> None:
    echo = np.ones(1, np.float32)
    card = RoomCard(Room(RATE, echo=echo, noise_dbfs=SILENT_ROOM), VirtualClock(), drift_ppm=drift_ppm)
    written = 0
    late = 4 if drift_ppm else 0  # the air between two clocks
    for period in range(150):
        captured = card.read()
        position = card.position()
        if period > 10:
            assert position is not None
            assert position - 1 - late == pytest.approx(captured[-1], abs=2.0)
        frames = card.ahead - card.queued()
        card.write(np.arange(written, written + frames).astype(np.int16))
        written += frames
        if period % 40 == 39:
            written -= card.drop()
            assert card.position() is None
            card.read()
            card.write(np.arange(written, written + card.ahead).astype(np.int16))
            written += card.ahead


def test_an_unplugged_card_says_so() -> None:
    card = quiet_card()
    card.unplugged = True
    with pytest.raises(DeviceError, match="unplugged"):
        card.read()


def test_the_same_room_is_the_same_twice() -> None:
    def hear() -> bytes:
        card = RoomCard(Room(RATE, noise_dbfs=-40), VirtualClock())
        return b"".join(card.read().tobytes() for _ in range(50))

    assert hear() == hear()


@settings(max_examples=100)
@given(st.lists(st.one_of(st.just("read"), st.just("drop"), st.integers(0, 640)), max_size=80))
def test_nothing_is_played_twice_or_made_up(steps: list[str | int]) -> None:
    card = quiet_card()
    written, dropped = 0, 0
    for step in steps:
        match step:
            case "read":
                card.read()
            case "drop":
                dropped += card.drop()
            case int(frames):
                frames = min(frames, card.ahead - card.queued())
                card.write((np.arange(written, written + frames) + 1).astype(np.int16))
                written += frames
    for _ in range(30):
        card.read()
    played = card.speaker[np.nonzero(card.speaker)].astype(int)
    assert len(played) == written - dropped
    assert np.all(np.diff(played) > 0)
