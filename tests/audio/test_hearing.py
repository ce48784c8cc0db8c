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
    late = 40

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


def speckled(at: int) -> Samples:
    """10 ms of a sound in which every sample says which it is; 50 more than that, as a microphone adds an offset."""
    return np.arange(at + 50, at + 50 + BLOCK).astype(np.int16)


def left(hearing: Hearing, at: int, *, plain: bool) -> Samples:
    (block,) = hearing.hear(speckled(at), np.ones(BLOCK, np.int16))
    return hearing.leaves(block, plain=plain)


def test_what_need_not_be_cleaned_leaves_as_it_came_and_as_late_as_if_it_were() -> None:
    hearing = Hearing(RATE, Subtraction())
    assert np.array_equal(left(hearing, 1000, plain=False), speckled(1000) - 1)
    left(hearing, 1000 + BLOCK, plain=True)
    plain = left(hearing, 1000 + 2 * BLOCK, plain=True)
    assert plain == pytest.approx(speckled(1000 + 2 * BLOCK - 40), abs=60), (
        "less what the mean of this sound is taken for"
    )
    assert np.all(np.diff(plain) == 1)


def test_one_fades_into_the_other_without_a_step() -> None:
    """A canceller that leaves nothing of a loud voice: the steepest step of the fade is that of the voice itself."""
    hearing = Hearing(RATE, Subtraction())
    voice = np.rint(8000 * np.sin(np.arange(40 * BLOCK) * 2 * np.pi * 150 / RATE)).astype(np.int16)
    sent = []
    for number in range(40):
        sound = voice[number * BLOCK : (number + 1) * BLOCK]
        (block,) = hearing.hear(sound, sound)
        sent.append(hearing.leaves(block, plain=10 <= number < 20 or number == 30))
    whole = np.concatenate(sent).astype(int)
    assert not whole[: 10 * BLOCK].any()
    assert np.abs(whole[11 * BLOCK : 20 * BLOCK] - voice[11 * BLOCK - 40 : 20 * BLOCK - 40]).max() < 500
    assert not whole[21 * BLOCK : 30 * BLOCK].any()
    assert np.abs(np.diff(whole)).max() < 1.3 * np.abs(np.diff(voice)).max()


def test_an_offset_of_the_microphone_is_no_step() -> None:
    hearing = Hearing(RATE, Subtraction())
    offset, sent = np.full(BLOCK, 700, np.int16), []
    for number in range(800):
        (block,) = hearing.hear(offset, offset)
        sent.append(hearing.leaves(block, plain=number >= 790))
    assert np.abs(np.concatenate(sent)).max() <= 1
