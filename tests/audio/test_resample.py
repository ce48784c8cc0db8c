"""The resampler: what it lets through, what it keeps out, and that nobody hears where one chunk ends."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevoice.audio.resample import GRAIN, RATES, SERVICE_RATES, Resampler

Samples = NDArray[np.int16]

PERIODS = list(itertools.permutations(RATES, 2))
PAIRS = [*PERIODS, *((rate, 16_000) for rate in SERVICE_RATES[len(RATES) :]), (16_000, SERVICE_RATES[-1])]
PEAK = 26_000


def sine(hz: float, rate: int, seconds: float = 0.52) -> Samples:
    wave: NDArray[np.float64] = np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)
    return np.rint(PEAK * wave).astype(np.int16)


def settled(y: Samples, rate: int) -> NDArray[np.float64]:
    """Return the middle half second of `y`, of which any even number of Hz is one line of the spectrum."""
    middle = y[rate // 100 : -(rate // 100)].astype(np.float64)
    return middle * np.blackman(len(middle))


def lines(y: Samples, rate: int) -> NDArray[np.float64]:
    """Return the amplitude spectrum in dB relative to a sine of `PEAK`."""
    x = settled(y, rate)
    spectrum = np.abs(np.fft.rfft(x)) / (0.42 * len(x) / 2 * PEAK)
    level: NDArray[np.float64] = 20 * np.log10(spectrum + 1e-9)
    return level


def frequencies(y: Samples, rate: int) -> NDArray[np.floating]:
    return np.fft.rfftfreq(len(settled(y, rate)), 1 / rate)


@pytest.mark.parametrize(("source", "target"), PERIODS)
def test_ten_milliseconds_are_ten_milliseconds_every_time(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    period = np.ones(source // 100, np.int16)
    assert {len(resampler.process(period)) for _ in range(100)} == {target // 100}


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_after_every_sample_the_right_number_has_come_out(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    made = 0
    for n in range(1, 1000):
        made += len(resampler.process(np.zeros(1, np.int16)))
        assert made == math.ceil(n * target / source)


@given(st.sampled_from(PAIRS), st.lists(st.integers(0, 700), max_size=20), st.integers(0, 2**32 - 1))
def test_nobody_hears_where_one_chunk_ends(pair: tuple[int, int], lengths: list[int], seed: int) -> None:
    x = np.random.default_rng(seed).integers(-32768, 32768, sum(lengths)).astype(np.int16)
    resampler = Resampler(*pair)
    chunks = np.split(x, np.cumsum(lengths)[:-1]) if lengths else []
    parts = [resampler.process(chunk) for chunk in chunks]
    assert np.concatenate([*parts, np.zeros(0, np.int16)]).tolist() == Resampler(*pair).process(x).tolist()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_one_sample_at_a_time_gives_the_same_as_all_at_once(source: int, target: int) -> None:
    x = np.random.default_rng(1).integers(-32768, 32768, 500).astype(np.int16)
    resampler = Resampler(source, target)
    singly = np.concatenate([resampler.process(x[k : k + 1]) for k in range(len(x))])
    assert singly.tolist() == Resampler(source, target).process(x).tolist()


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_sum_is_exact_so_that_every_machine_gives_the_same(source: int, target: int) -> None:
    taps = Resampler(source, target)._bank * GRAIN
    assert np.array_equal(taps, np.rint(taps))
    assert np.abs(taps).sum(axis=1).max() * 32768 < 2**53


@pytest.mark.parametrize("rate", RATES)
def test_equal_rates_return_the_chunk_itself(rate: int) -> None:
    x = np.arange(-5, 5, dtype=np.int16)
    resampler = Resampler(rate, rate)
    assert resampler.process(x) is x
    assert resampler.delay_ms == 0.0


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_delay_is_told_right_and_is_at_most_two_milliseconds(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    assert 0 < resampler.delay_ms <= 2.0
    y = resampler.process(sine(500, source))
    at = np.arange(len(y)) / target - resampler.delay_ms / 1e3
    error = (y - PEAK * np.sin(2 * np.pi * 500 * at))[target // 100 :]
    assert np.abs(error).max() <= 0.005 * PEAK


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_constant_stays_exactly_the_same(source: int, target: int) -> None:
    y = Resampler(source, target).process(np.full(source // 10, 12_345, np.int16))
    assert set(y[target // 100 :].tolist()) == {12_345}


@pytest.mark.parametrize(("source", "target"), PERIODS)  # whose spectrum has whole lines
def test_what_is_below_0_36_of_the_slower_rate_passes_alone_and_unchanged(source: int, target: int) -> None:
    slower = min(source, target)
    for share in (0.02, 0.1, 0.2, 0.3, 0.36):
        hz = 2 * round(share * slower / 2)
        y = Resampler(source, target).process(sine(hz, source))
        level, far = lines(y, target), np.abs(frequencies(y, target) - hz) > 100
        assert level.max() == pytest.approx(0.0, abs=0.02)  # passband ripple, dB
        assert level[far].max() <= -69.0  # images and all the rest


@pytest.mark.parametrize(("source", "target"), [pair for pair in PAIRS if pair[0] > pair[1]])
def test_what_the_slower_rate_cannot_carry_does_not_fold_back(source: int, target: int) -> None:
    for share, rejected_db in ((0.53, 63.0), (0.6, 68.5), (0.7, 68.5), (0.9, 68.5), (1.05, 68.5)):
        if share * target < source / 2:
            y = Resampler(source, target).process(sine(share * target, source))
            assert lines(y, target).max() <= -rejected_db


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_too_loud_is_clipped_and_never_wraps_around(source: int, target: int) -> None:
    halves = np.repeat([32767, -32768] * 10, source // 200).astype(np.int16)
    y = Resampler(source, target).process(halves)
    assert (int(y.min()), int(y.max())) == (-32768, 32767)
    assert np.count_nonzero(np.diff(y[target // 400 :] < 0)) == 19  # an overshoot that wrapped would change the sign


@pytest.mark.parametrize(("source", "target"), [(48_000, 16_000), (44_100, 16_000), (16_000, 24_000)])
def test_a_reset_forgets_what_was_heard(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    resampler.process(np.full(101, 9_999, np.int16))
    resampler.reset()
    assert not resampler.process(np.zeros(source // 100, np.int16)).any()


def test_a_rate_that_is_not_supported_is_an_error() -> None:
    with pytest.raises(ValueError, match="rate is 11025 Hz, expected one of 8000, 16000, 24000, 44100, 48000, 22050"):
        Resampler(48_000, 11_025)
