"""The self-test of the running box: a faint chirp, heard through what the echo canceller is given."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice import scenery
from edgevoice.audio.echo import load
from edgevoice.audio.hearing import Hearing
from edgevoice.audio.measurement import Figures
from edgevoice.audio.reference import LEAD_MS, Reference
from edgevoice.audio.selftest import CHIRP_DBFS, WHOLE_S, SelfTest
from edgevoice.drivers.room import Room, RoomCard, VirtualClock

Samples = NDArray[np.int16]


class Box:
    """A card with nobody there: what the audio thread does when it does nothing but test itself."""

    def __init__(self, room: Room, *, delay_ms: float = 0.0, ahead_ms: int = 40) -> None:
        self.card = RoomCard(room, VirtualClock(), ahead_ms=ahead_ms)
        self.reference = Reference(room.rate, delay_ms=delay_ms)
        self.hearing = Hearing(room.rate, load("none", noise_suppression=True)[0])
        self.test = SelfTest(room.rate, late_ms=max(0.0, delay_ms - LEAD_MS))
        self._queue: Samples = np.zeros(0, np.int16)

    def begin(self) -> None:
        self._queue = self.test.begin()

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            captured, held = self.card.read(), self.card.queued()
            if self.reference.due(self.card.restarts):
                self.reference.anchor(self.card.position(), self.card.restarts)
            for block in self.hearing.hear(captured, self.reference.take(len(captured))):
                self.test.hear(block.captured, block.played)
            wanted = max(0, self.card.ahead - held)
            piece, self._queue = self._queue[:wanted], self._queue[wanted:]
            piece = np.pad(piece, (0, wanted - len(piece)))
            self.card.write(piece)
            self.reference.wrote(piece)


def chirped(room: Room, **options: float) -> Figures | None:
    box = Box(room, **options)  # type: ignore[arg-type]
    box.run(0.5)
    box.begin()
    box.run(WHOLE_S + 0.02)
    assert not box.test.running
    return box.test.figures()


def living_room(rate: int, *, delay_ms: float = 34.0, gain_db: float = -12.0, noise_dbfs: float = -60.0) -> Room:
    return Room(rate, echo=scenery.echo(rate, delay_ms=delay_ms, rt60_s=0.3, gain_db=gain_db), noise_dbfs=noise_dbfs)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_both_hear_each_other_at_every_rate(rate: int) -> None:
    figures = chirped(living_room(rate))
    assert figures is not None
    assert figures.heard is not None
    assert figures.heard.delay_ms == pytest.approx(34.0, abs=0.2)
    assert figures.heard.echo_db == pytest.approx(-12.0, abs=1.5)


def test_a_reference_that_was_delayed_for_the_canceller_is_accounted_for() -> None:
    figures = chirped(living_room(48_000, delay_ms=134.0), delay_ms=134.0)
    assert figures is not None
    assert figures.heard is not None
    assert figures.heard.delay_ms == pytest.approx(134.0, abs=0.2)


def test_a_card_that_holds_half_a_second_is_waited_for() -> None:
    figures = chirped(living_room(16_000), ahead_ms=500)
    assert figures is not None
    assert figures.heard is not None
    assert figures.heard.delay_ms == pytest.approx(34.0, abs=0.2)


def test_a_loudspeaker_that_is_dead_is_not_heard() -> None:
    figures = chirped(Room(48_000, noise_dbfs=-60.0))
    assert figures is not None
    assert figures.heard is None
    assert figures.noise_dbfs == pytest.approx(-64.6, abs=1.5), "of what is left at 16 kHz"


def test_the_chirp_is_short_and_faint() -> None:
    sound = SelfTest(48_000).begin()
    loud = np.flatnonzero(sound)
    assert (loud[-1] - loud[0]) / 48_000 <= 0.5
    assert int(np.abs(sound).max()) <= 32768 * 10 ** (CHIRP_DBFS / 20)


def test_a_call_that_begins_abandons_the_test() -> None:
    box = Box(living_room(16_000))
    box.begin()
    box.run(1.0)
    assert box.test.running
    box.test.abandon()
    box.run(WHOLE_S)
    assert (box.test.running, box.test.figures()) == (False, None)


def test_the_recording_is_forgotten_when_it_is_read_off() -> None:
    box = Box(living_room(16_000))
    box.begin()
    assert box.test.figures() is None, "not yet"
    box.run(WHOLE_S + 0.02)
    assert box.test.figures() is not None
    assert box.test.figures() is None
