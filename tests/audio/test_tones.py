"""The signals that the box gives."""

from __future__ import annotations

import numpy as np
import pytest

from edgevoice.audio.tones import TONES, tone

CALLS = ("connected", "ended", "ringing", "busy", "no answer", "wrong number", "trouble", "refused", "waiting")
MEANINGS = (*CALLS, "awake", "muted", "unmuted")
RATES = (8_000, 16_000, 44_100, 48_000)


def pitches(name: str) -> list[float]:
    return [note.hz for note in TONES[name]]


def test_there_is_a_tone_for_everything_that_the_box_says() -> None:
    assert set(TONES) == set(MEANINGS)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", MEANINGS)
def test_a_tone_is_quiet_short_and_does_not_click(name: str, rate: int) -> None:
    signal = tone(name, rate)
    assert 0 < len(signal) <= rate
    assert 3200 <= np.abs(signal).max() <= 3277
    assert signal[0] == signal[-1] == 0
    if name != "awake":  # there is noise in that
        steepest = 3277 * 2 * np.pi * max(pitches(name)) / rate
        assert np.abs(np.diff(signal.astype(np.int32))).max() <= steepest + 2  # no step in it
    assert np.abs(signal[: rate // 1000]).max() <= 400  # the first of five milliseconds of fading in


def test_connected_rises_and_ended_falls() -> None:
    assert pitches("connected") == sorted(pitches("connected"))
    assert pitches("ended") == sorted(pitches("ended"), reverse=True)
    assert pitches("muted") < pitches("unmuted")


def test_trouble_is_three_times_the_lowest_note_of_all() -> None:
    lowest = min(note.hz for notes in TONES.values() for note in notes)
    assert pitches("trouble") == [lowest] * 3
    assert all(lowest not in pitches(name) for name in TONES if name != "trouble")


def test_two_notes_with_a_rest_between_are_heard_as_two() -> None:
    signal = tone("busy", 16_000)
    assert not signal[4000:8000].any()
    assert signal[:4000].any()
    assert signal[8000:].any()


def test_a_note_has_its_pitch_at_every_rate() -> None:
    for rate in RATES:
        spectrum = np.abs(np.fft.rfft(tone("muted", rate), rate))  # 1 Hz per bin
        assert abs(int(spectrum.argmax()) - 523) <= 2


def test_a_tone_is_made_once_and_cannot_be_spoilt() -> None:
    assert tone("connected", 48_000) is tone("connected", 48_000)
    with pytest.raises(ValueError, match="read-only"):
        tone("connected", 48_000)[0] = 1


def test_an_unknown_tone_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ValueError, match='tone is "fanfare", expected one of awake, connected'):
        tone("fanfare", 48_000)


@pytest.mark.parametrize("rate", RATES)
def test_the_box_awakes_with_a_breath_in_which_there_is_something_of_every_voice(rate: int) -> None:
    signal = tone("awake", rate).astype(np.float64)
    before_the_notes = np.abs(np.fft.rfft(signal[: rate // 4], rate))
    octaves = [(125, 250), (250, 500), (500, 1000), (1000, 2000), (2000, 3500)]
    levels = [20 * np.log10(np.sqrt(np.sum(before_the_notes[low:high] ** 2))) for low, high in octaves]
    assert max(levels) - min(levels) < 6, "as loud in each octave"
    assert np.sqrt(np.mean(signal[: rate // 4] ** 2)) > 32768 * 10 ** (-36 / 20)
