"""What a sweep tells of a room whose impulse response is known, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice import scenery
from edgevoice.audio.calibration import MOST_SWEEPS, SWEEP_DBFS, Calibrator, calibration
from edgevoice.audio.findings import CaptureLevel, Setting, Trouble, findings
from edgevoice.audio.measurement import Heard, clipped, noise_floor
from edgevoice.audio.sweep import Sweep, highest_hz
from edgevoice.calibrate import measure
from edgevoice.drivers.room import Room, RoomCard, VirtualClock
from tests.fakes import noise

RATE = 16_000
Floats = NDArray[np.float32]


def late(frames: int, gain: float) -> Floats:
    """One reflection."""
    return np.pad(np.array([gain], np.float32), (frames, 0))


def calibrated(
    echo: Floats, *, rate: int = RATE, noise_dbfs: float = -65.0, drive: float = 0.0, drift_ppm: float = 0.0
) -> Calibrator:
    room = Room(rate, echo=echo, noise_dbfs=noise_dbfs, drive=drive)
    return measure(RoomCard(room, VirtualClock(), drift_ppm=drift_ppm), lambda doing: None)


def heard(calibrator: Calibrator) -> Heard:
    assert calibrator.figures is not None
    assert calibrator.figures.heard is not None
    return calibrator.figures.heard


def troubles(calibrator: Calibrator) -> list[Trouble]:
    return [finding.trouble for finding in findings(calibrator.figures, Setting())]


def words(calibrator: Calibrator, **setting: object) -> str:
    return " ".join(each.words for each in findings(calibrator.figures, Setting(**setting)))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ the figures


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("frames", [3, 700])
def test_the_delay_is_right_within_two_samples_at_every_rate(rate: int, frames: int) -> None:
    assert heard(calibrated(late(frames, 0.2), rate=rate)).delay_ms == pytest.approx(
        1000 * frames / rate, abs=2000 / rate
    )


@pytest.mark.parametrize("seed", range(4))
def test_in_a_reverberant_room_it_is_the_direct_sound_that_counts(seed: int) -> None:
    echo = scenery.echo(RATE, delay_ms=40 + 25 * seed, rt60_s=0.2 + 0.1 * seed, gain_db=-6, seed=seed)
    assert heard(calibrated(echo)).delay_ms == pytest.approx(40 + 25 * seed, abs=2000 / RATE)


@pytest.mark.parametrize("echo_db", [6.0, -10.0, -30.0, -45.0])
def test_the_echo_is_right_within_half_a_decibel(echo_db: float) -> None:
    calibrator = calibrated(late(320, 10 ** (echo_db / 20)))
    assert heard(calibrator).echo_db == pytest.approx(echo_db, abs=0.5)


def test_the_echo_of_a_reverberant_room_is_all_of_it() -> None:
    echo = np.zeros(3200, np.float32)
    echo[160:] = np.random.default_rng(1).normal(0, 0.02, 3040) * 0.998 ** np.arange(3040)
    expected = 10 * np.log10(float((echo.astype(np.float64) ** 2).sum()))
    assert heard(calibrated(echo)).echo_db == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_polarity_is_told_both_ways(sign: int) -> None:
    assert heard(calibrated(late(320, 0.2 * sign))).polarity == sign


def test_a_polarity_that_is_inverted_is_told_and_harms_nobody() -> None:
    calibrator = calibrated(late(320, -0.2))
    (finding,) = findings(calibrator.figures, Setting())
    assert (finding.trouble, finding.grave) == (Trouble.INVERTED, False)


@pytest.mark.parametrize("drive", [2.0, 4.0, 8.0])
def test_distortion_is_that_of_the_loudspeaker(drive: float) -> None:
    echo = scenery.echo(RATE, delay_ms=30, rt60_s=0.3, gain_db=-6)
    turn = np.sin(2 * np.pi * np.arange(4096) / 4096) * 10 ** (SWEEP_DBFS / 20)
    lines = np.abs(np.fft.rfft(np.tanh(drive * turn)))
    expected = 100 * float(np.sqrt((lines[2:6] ** 2).sum())) / float(lines[1])
    measured = heard(calibrated(echo, drive=drive)).distortion_percent
    assert measured == pytest.approx(expected, rel=0.1)


def test_a_loudspeaker_without_distortion_has_none() -> None:
    measured = heard(calibrated(late(320, 0.3))).distortion_percent
    assert measured is not None
    assert measured < 0.2


def test_the_noise_floor_is_that_of_the_room() -> None:
    figures = calibrated(late(320, 0.3), noise_dbfs=-58.0).figures
    assert figures is not None
    assert figures.noise_dbfs == pytest.approx(-58.0, abs=0.5)


def test_a_word_and_an_offset_are_not_the_noise_floor() -> None:
    quiet = noise(RATE // 2, -60.0) + np.int16(700)
    quiet[3000:4000] += noise(1000, -20.0)
    assert noise_floor(quiet, RATE) == pytest.approx(-60.0, abs=0.5)


def test_clocks_that_drift_move_the_delay_by_less_than_a_millisecond() -> None:
    calibrator = calibrated(late(960, 0.2), rate=48_000, drift_ppm=100)
    assert heard(calibrator).delay_ms == pytest.approx(20.0, abs=1.0)
    assert heard(calibrator).echo_db == pytest.approx(-14.0, abs=0.5)


def test_flat_tops_are_clipping_and_a_loud_sine_is_none() -> None:
    sine = 40_000 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
    assert clipped(np.rint(sine * 0.8).astype(np.int16)) == 0
    assert clipped(np.clip(sine, -32768, 32767).astype(np.int16)) > 1000
    assert clipped(np.clip(sine, -25_000, 25_000).astype(np.int16)) > 1000, "some converters clip below full scale"


# ----------------------------------------------------------------------------------------------- how it goes about


def test_one_sweep_is_enough_in_a_quiet_room() -> None:
    assert calibrated(late(320, 0.3)).sweeps == 1


def test_a_sweep_in_a_noisy_room_is_repeated_until_it_is_clear() -> None:
    calibrator = calibrated(late(320, 0.1), noise_dbfs=-31.0)
    assert 1 < calibrator.sweeps < MOST_SWEEPS
    assert heard(calibrator).delay_ms == pytest.approx(20.0, abs=0.2)
    assert heard(calibrator).echo_db == pytest.approx(-20.0, abs=1.0)
    assert troubles(calibrator) == [Trouble.LOUD_ROOM]


def test_a_fan_that_drowns_it_makes_it_give_up_in_words() -> None:
    calibrator = calibrated(late(320, 0.01), noise_dbfs=-16.0)
    assert calibrator.sweeps == MOST_SWEEPS
    assert "too noisy to measure anything: noise floor -16 dBFS" in words(calibrator)
    assert calibrator.figures is not None
    assert calibration(calibrator.figures, card="x", made="now", rate=RATE, volume=None) is None, "nothing is kept"


def test_a_microphone_that_clips_is_measured_with_a_softer_sweep() -> None:
    calibrator = calibrated(late(320, 8.0))
    assert calibrator.sweeps == 2
    assert heard(calibrator).echo_db == pytest.approx(18.0, abs=0.5)
    level = CaptureLevel("hw:seeed", "Capture", 95, range_db=60.0)
    assert "the microphone clips: lower Capture to 55 % (now 95 %): amixer -D hw:seeed sset Capture 55%" in words(
        calibrator, capture=level
    )
    assert "the microphone clips: lower the microphone by 21 dB" in words(calibrator)


def test_a_microphone_that_only_the_loudest_replies_clip_is_a_note() -> None:
    (finding,) = findings(calibrated(late(320, 1.5)).figures, Setting())
    assert (finding.trouble, finding.grave) == (Trouble.CLIPS, False)
    assert finding.words.startswith("the loudest replies clip the microphone: lower")


def test_a_microphone_that_clips_at_every_level_is_told_so() -> None:
    assert "clips, also when the loudspeaker is soft" in words(calibrated(late(320, 200.0)))


def test_a_card_that_loses_frames_in_the_middle_is_asked_once_more() -> None:
    card = RoomCard(Room(RATE, echo=late(320, 0.3)), VirtualClock())
    calibrator = Calibrator(RATE, card.ahead)
    for period in range(2 * 482):
        calibrator.recorder.hear(card.read(), np.zeros(160, np.int16), disturbances=int(period > 100))
        if calibrator.recorder.full:
            break
    calibrator.judge()
    assert (calibrator.done, calibrator.figures) == (False, None)
    assert calibrator.doing == "Sweep 2, once more, because the card lost frames"


def test_a_card_that_always_loses_frames_is_given_up_in_words() -> None:
    calibrator = Calibrator(RATE, 640)
    count = 0
    while not calibrator.done:
        count += 1
        calibrator.recorder.hear(np.zeros(160, np.int16), np.zeros(160, np.int16), disturbances=count)
        if calibrator.recorder.full:
            calibrator.judge()
    assert calibrator.sweeps == MOST_SWEEPS
    assert troubles(calibrator) == [Trouble.DISTURBED]


# ---------------------------------------------------------------------------------------------------- what is wrong


def test_a_loudspeaker_that_is_not_heard_is_told_from_a_microphone_that_hears_nothing() -> None:
    assert troubles(calibrated(late(0, 0.0))) == [Trouble.NOT_HEARD]
    assert troubles(calibrated(late(0, 0.0), noise_dbfs=-120.0)) == [Trouble.MICROPHONE_SILENT]
    assert troubles(calibrated(late(0, 0.0), noise_dbfs=-30.0)) == [Trouble.TOO_NOISY], "it cannot be known"


def test_an_echo_that_is_too_quiet_is_a_note() -> None:
    calibrator = calibrated(late(320, 0.001), noise_dbfs=-80.0)
    assert heard(calibrator).echo_db == pytest.approx(-60.0, abs=1.0)
    (finding,) = findings(calibrator.figures, Setting())
    assert (finding.trouble, finding.grave) == (Trouble.FAINT, False)


def test_a_loudspeaker_that_distorts_is_told() -> None:
    assert "the loudspeaker distorts: 1" in words(calibrated(late(320, 0.3), drive=8.0))


def test_an_echo_through_a_sound_server_comes_late() -> None:
    calibrator = calibrated(late(RATE * 4 // 10, 0.3))
    assert heard(calibrator).delay_ms == pytest.approx(400.0, abs=0.2)
    assert troubles(calibrator) == [Trouble.LATE]


def test_a_control_without_a_scale_is_named_with_decibels() -> None:
    level = CaptureLevel("hw:x", "Mic", 80)
    assert "lower Mic (now 80 %) by 21 dB" in words(calibrated(late(320, 8.0)), capture=level)


def test_what_is_kept_is_what_was_found() -> None:
    figures = calibrated(late(320, 0.25)).figures
    assert figures is not None
    kept = calibration(figures, card="hw:x", made="2026-01-01T00:00:00+00:00", rate=RATE, volume=70)
    assert kept is not None
    assert (kept.card, kept.rate, kept.volume, kept.delay_ms, kept.echo_db, kept.polarity) == (
        "hw:x", RATE, 70, 20.0, pytest.approx(-12.0, abs=0.2), 1,
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------------- the sweep


def test_a_sweep_is_as_loud_as_it_shall_be_and_begins_and_ends_with_nothing() -> None:
    sound = Sweep(48_000, 2.5, SWEEP_DBFS, highest_hz(48_000)).samples()
    assert len(sound) == 120_000
    assert int(np.abs(sound).max()) == pytest.approx(32767 * 10 ** (SWEEP_DBFS / 20), abs=2)
    assert abs(int(sound[0])) + abs(int(sound[-1])) == 0
    assert int(np.abs(sound[:48]).max()) < 0.03 * int(np.abs(sound).max()), "no click"
