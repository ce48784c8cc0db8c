"""What happens between loudspeaker and microphone in a simulated room is what arithmetic says it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.acoustics import Clocks, Echo, softly_clipped

RATE = 16_000
PERIOD = 160


def sine(hz: float, frames: int) -> NDArray[np.float32]:
    tone: NDArray[np.float32] = (10_000 * np.sin(2 * np.pi * hz / RATE * np.arange(frames))).astype(np.float32)
    return tone


@pytest.mark.parametrize("late", [0, 7, 160, 500])
@pytest.mark.parametrize("long", [1, 160, 161, 3000])
def test_an_echo_is_the_convolution_however_long_and_late_it_is(late: int, long: int) -> None:
    rng = np.random.default_rng(1)
    response = np.concatenate((np.zeros(late), rng.standard_normal(long)))
    played = rng.normal(0, 3000, 40 * PERIOD).astype(np.float32)
    echo = Echo(response, PERIOD)
    heard = np.concatenate([echo.hear(played[at : at + PERIOD]) for at in range(0, len(played), PERIOD)])
    expected = np.convolve(played, response)[: len(played)]
    assert np.abs(heard - expected).max() < 1e-5 * np.abs(expected).max() + 0.1


def test_a_room_without_an_echo_is_silent() -> None:
    assert not Echo(np.zeros(100), PERIOD).hear(sine(440, PERIOD)).any()


def test_a_membrane_spares_what_is_faint_and_never_goes_beyond_its_limit() -> None:
    loud = np.array([0.0, 10.0, -10.0, 8000.0, 32767.0, -32768.0], np.float32)
    clipped = softly_clipped(loud, 4.0)
    assert np.allclose(clipped[:3], loud[:3], atol=1e-3)
    assert 5000 < clipped[3] < 8000
    assert np.all(np.abs(clipped) < 8192)
    assert np.array_equal(softly_clipped(loud, 0.0), loud)


@pytest.mark.parametrize("hz", [200, 1000, 3000])
@pytest.mark.parametrize("drift_ppm", [100.0, -100.0, 3.0])
def test_a_clock_that_is_fast_reads_the_same_tone_a_little_faster(hz: float, drift_ppm: float) -> None:
    clocks = Clocks(drift_ppm)
    tone = sine(hz, 4 * RATE)
    read = []
    for start in range(PERIOD, 3 * RATE, PERIOD):
        first, end = clocks.frames(start, start + PERIOD)
        read.append(clocks.read(start, start + PERIOD, tone[first:end]))
    moments = np.arange(PERIOD, PERIOD + PERIOD * len(read)) * (1 + drift_ppm * 1e-6) - 4
    expected = 10_000 * np.sin(2 * np.pi * hz / RATE * moments)
    assert np.std(np.concatenate(read) - expected) < 7071 * 10 ** (-50 / 20)


def test_one_clock_for_both_directions_changes_nothing() -> None:
    clocks = Clocks(0.0)
    assert clocks.frames(320, 480) == (320, 480)
    tone = sine(440, PERIOD)
    assert clocks.read(320, 480, tone) is tone
