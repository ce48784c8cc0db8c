"""Both sides of the echo canceller in step, at every rate of a card and in whatever periods they come."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.hearing import BLOCK, RATE, Hearing
from tests.fakes import noise

Samples = NDArray[np.int16]


class Subtraction:
    """A canceller for a loudspeaker that touches the microphone; `fails` when told to."""

    name = "subtraction"

    def __init__(self) -> None:
        self.fails = False
        self.blocks: list[tuple[Samples, Samples]] = []

    def process(self, played: Samples, captured: Samples) -> Samples:
        assert (played.shape, captured.shape) == ((BLOCK,), (BLOCK,))
        assert (played.dtype, captured.dtype) == (np.int16, np.int16)
        if self.fails:
            raise RuntimeError("it does not take this block")
        self.blocks.append((played.copy(), captured.copy()))
        return captured - played


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("period_ms", [5, 10, 20, 30, 40])
def test_loudspeaker_and_microphone_stay_in_step_at_every_rate_and_period(rate: int, period_ms: int) -> None:
    canceller = Subtraction()
    hearing = Hearing(rate, canceller)
    sound = noise(rate)
    period = rate * period_ms // 1000
    blocks = [block for start in range(0, rate, period) for block in hearing.hear(*[sound[start : start + period]] * 2)]
    assert len(blocks) == pytest.approx(100, abs=1)
    assert all(np.array_equal(block.captured, block.played) for block in blocks)
    assert not any(block.cleaned.any() for block in blocks)
    assert sum(len(block.captured) for block in blocks) == BLOCK * len(canceller.blocks)


def test_no_sample_is_lost_or_heard_twice_whatever_the_periods() -> None:
    sound, hearing = noise(RATE), Hearing(RATE, Subtraction())
    silence, random, heard, at = np.zeros(RATE, np.int16), np.random.default_rng(1), [], 0
    while at < RATE:
        size = int(random.choice([1, 50, BLOCK, 700]))
        heard += [block.cleaned for block in hearing.hear(sound[at : at + size], silence[at : at + size])]
        at += size
    assert np.array_equal(np.concatenate(heard), sound[: len(heard) * BLOCK])
    assert len(heard) == RATE // BLOCK


def test_a_block_that_the_canceller_refuses_is_silence_and_counted() -> None:
    canceller = Subtraction()
    hearing = Hearing(RATE, canceller)
    canceller.fails = True
    (block,) = hearing.hear(noise(BLOCK), noise(BLOCK))
    assert (block.cleaned.any(), hearing.faults) == (False, 1)
    assert block.captured.any(), "whoever weighs it hears it as it came"
    canceller.fails = False
    (block,) = hearing.hear(noise(BLOCK), np.zeros(BLOCK, np.int16))
    assert (np.array_equal(block.cleaned, noise(BLOCK)), hearing.faults) == (True, 1)
