"""The self-test of the running box: a faint chirp, heard through what the echo canceller is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice import scenery
from edgevoice.audio import selftest
from edgevoice.audio.calibration import Calibration
from edgevoice.audio.echo import load
from edgevoice.audio.hearing import Hearing
from edgevoice.audio.measurement import Figures, Sounding, measured
from edgevoice.audio.reference import LEAD_MS, Reference
from edgevoice.audio.resample import Resampler
from edgevoice.audio.selftest import CHIRP_DBFS, WHOLE_S, SelfTest
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.drivers.wav import read_wav
from edgevoice.nightly import verdict
from edgevoice.sound import VOICES

Samples = NDArray[np.int16]


class Box:
    """A card with nobody there: what the audio thread does when it does nothing but test itself."""

    def __init__(self, room: Room, *, delay_ms: float = 0.0, ahead_ms: int = 40) -> None:
        self.card = RoomCard(room, VirtualClock(), ahead_ms=ahead_ms)
        self.reference = Reference(room.rate, delay_ms=delay_ms)
        self.hearing = Hearing(room.rate, load("none", noise_suppression=True)[0])
        self.test = SelfTest(room.rate, late_ms=max(0.0, delay_ms - LEAD_MS))
        self._queue: Samples = np.zeros(0, np.int16)

    def begin(self, *, aloud: bool = True) -> None:
        self._queue = self.test.begin(aloud=aloud)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            captured, held = self.card.read(), self.card.queued()
            if self.reference.due(self.card.restarts):
                self.reference.anchor(self.card.position(), self.card.restarts)
            for block in self.hearing.hear(captured, self.reference.take(len(captured))):
                self.test.hear(block.captured, block.played)
            self.test.listen(captured)
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
    found = box.test.sounding()
    return found.figures if found else None


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


@pytest.mark.parametrize("spoken_at_s", [1.1, 1.3, 1.5, 1.7, 2.0])
def test_a_chirp_into_which_somebody_speaks_is_no_reason_to_warn(spoken_at_s: float) -> None:
    pcm, rate = read_wav(sorted(VOICES.glob("*.wav"))[0])
    room = living_room(48_000)
    room.say(Utterance(spoken_at_s, Resampler(rate, 48_000).process(pcm)))
    figures = chirped(room)
    assert figures is not None
    calibration = Calibration(
        card="x", made="", rate=48_000, volume=None, delay_ms=34.0, echo_db=-12.0, distortion_percent=0.0,
        noise_dbfs=-60.0, peak_dbfs=-24.0, sweep_dbfs=-12.0, polarity=1,
    )  # fmt: skip
    assert figures.peak_dbfs > -35, "who speaks is louder than the chirp"
    assert not verdict(figures, calibration, None).warning


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
    assert (box.test.running, box.test.sounding()) == (False, None)


def test_the_recording_is_forgotten_when_it_is_read_off() -> None:
    box = Box(living_room(16_000))
    box.begin()
    assert box.test.sounding() is None, "not yet"
    box.run(WHOLE_S + 0.02)
    assert box.test.sounding() is not None
    assert box.test.sounding() is None


def listened(microphone: Samples) -> Sounding:
    """Let a test run, nothing being played, over a microphone that delivers these samples, period by period."""
    test = SelfTest(48_000)
    assert not test.begin(aloud=False).any()
    hearing = Hearing(48_000, load("none", noise_suppression=True)[0])
    for period in microphone.reshape(-1, 480):
        test.listen(period)
        for block in hearing.hear(period, np.zeros(480, np.int16)):
            test.hear(block.captured, block.played)
    found = test.sounding()
    assert found is not None
    return found


def whole(level: float, offset: float = 0.0) -> Samples:
    """Return a hum of 100 Hz at 48 kHz, for as long as a test lasts."""
    at = np.arange(round((WHOLE_S + 0.02) * 48_000))
    return np.clip(np.rint(level * np.sin(2 * np.pi * at / 480) + offset), -32768, 32767).astype(np.int16)


def test_flat_tops_are_counted_as_the_card_delivers_them() -> None:
    assert listened(whole(40_000)).figures.clipped > 1000
    assert listened(whole(20_000)).figures.clipped == 0


def test_an_offset_and_a_microphone_that_stands_still_are_told_apart() -> None:
    humming = listened(whole(300, offset=3000))
    assert (round(humming.offset, 2), humming.still) == (0.09, False)
    assert listened(whole(0, offset=3000)).still


def test_who_only_listens_hears_no_loudspeaker() -> None:
    found = listened(whole(300))
    assert (found.aloud, found.figures.heard) == (False, None)
    assert found.figures.peak_dbfs == pytest.approx(-40.8, abs=0.2)


def test_a_test_that_only_listens_plays_nothing_in_the_room() -> None:
    box = Box(living_room(16_000))
    box.begin(aloud=False)
    box.run(WHOLE_S + 0.02)
    found = box.test.sounding()
    assert found is not None
    assert (found.figures.heard, found.figures.noise_dbfs) == (None, pytest.approx(-60, abs=2))


def test_a_call_that_begins_while_the_figures_are_read_off_takes_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(living_room(16_000))
    box.begin()
    box.run(WHOLE_S + 0.02)

    def slowly(*given: Any, **how: Any) -> Any:
        box.test.abandon()  # the audio thread, meanwhile
        return measured(*given, **how)

    monkeypatch.setattr(selftest, "measured", slowly)
    assert box.test.sounding() is not None
