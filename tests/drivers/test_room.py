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
    held = card.drop()
    for _ in range(20):
        card.read()
    assert np.count_nonzero(card.speaker) == 3200 - held + 32


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
