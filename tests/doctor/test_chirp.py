"""A chirp in a simulated room: does it tell a living microphone from a dead one?"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.measurement import Sounding
from edgevoice.audio.recording import Recorder
from edgevoice.audio.reference import Reference
from edgevoice.calibrate import run_a_period
from edgevoice.doctor.chirp import chirp, sounding
from edgevoice.drivers.room import Room, RoomCard, VirtualClock

RATE = 16_000


def chirped(
    *, gain_db: float | None = -12.0, noise_dbfs: float = -62.0, aloud: bool = True
) -> tuple[Sounding, Recorder]:
    """Play it in a room with one reflection, 20 ms late; None is no way from loudspeaker to microphone."""
    echo = np.zeros(RATE // 50 + 1, np.float32)
    echo[-1] = 0.0 if gain_db is None else 10 ** (gain_db / 20)
    card = RoomCard(Room(RATE, echo=echo, noise_dbfs=noise_dbfs), VirtualClock())
    recorder, reference = chirp(card.rate, card.ahead, aloud=aloud), Reference(card.rate)
    while not recorder.full:
        run_a_period(card, reference, recorder)
    return sounding(recorder), recorder


def test_a_loudspeaker_is_heard_with_its_level_and_delay() -> None:
    found, recorder = chirped()
    heard = found.figures.heard
    assert heard
    assert heard.echo_db == pytest.approx(-12.0, abs=1.0)
    assert heard.delay_ms == pytest.approx(20.0, abs=1.0)
    assert found.figures.noise_dbfs == pytest.approx(-62.0, abs=1.0)
    assert (found.still, recorder.disturbed) == (False, False)


def test_a_loudspeaker_that_is_not_connected_is_not_heard() -> None:
    assert chirped(gain_db=None)[0].figures.heard is None


def test_a_faint_loudspeaker_is_heard_in_the_noise_of_a_fan() -> None:
    assert chirped(gain_db=-20.0, noise_dbfs=-50.0)[0].figures.heard is not None


def test_nothing_is_played_where_it_is_to_be_silent_and_the_microphone_is_listened_to() -> None:
    found, recorder = chirped(aloud=False)
    assert not recorder.recording.played.any()
    assert (found.aloud, found.figures.heard) == (False, None)
    assert found.figures.noise_dbfs == pytest.approx(-62.0, abs=1.0)


def hear_only(samples: NDArray[np.int16]) -> Sounding:
    recorder = chirp(RATE, 0)
    while not recorder.full:
        recorder.hear(samples, recorder.next(len(samples)), 0)
    return sounding(recorder)


def test_a_dead_microphone_is_still_and_one_with_an_offset_is_not_silent() -> None:
    assert hear_only(np.zeros(160, np.int16)).still
    humming = (3000 + 20 * np.sin(np.arange(160) * 2 * np.pi / 80)).astype(np.int16)
    found = hear_only(humming)
    assert (found.still, round(found.offset, 2)) == (False, 0.09)


def test_a_card_that_starts_anew_in_the_middle_has_disturbed_it_and_one_that_does_so_at_first_has_not() -> None:
    for moment, disturbed in ((0.1, False), (1.0, True)):
        recorder, heard = chirp(RATE, 0), 0
        while not recorder.full:
            recorder.hear(np.zeros(160, np.int16), recorder.next(160), int(heard > moment * RATE))
            heard += 160
        assert recorder.disturbed is disturbed
