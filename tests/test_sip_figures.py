"""The figures of calls are right: what was said and heard is made here, and every delay in it is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sip_figures import burst_delays, first_loud, last_word, voice_delay
from tests.e2e.box import voice

RATE = 8_000
FRAME = RATE // 50
LOUD, QUIET = np.full(FRAME, 20_000, np.int16), np.full(FRAME, 8, np.int16)


def test_a_burst_is_as_late_as_the_frame_that_has_it() -> None:
    heard = [(n * 0.02, LOUD if n in (7, 8, 50) else QUIET) for n in range(80)]
    assert burst_delays([0.1, 0.95], heard) == [40.0, 50.0]


def test_a_burst_that_never_came_has_no_delay() -> None:
    assert burst_delays([0.1], [(n * 0.02, QUIET) for n in range(80)]) == []


@pytest.mark.parametrize("late_ms", [0.0, 37.5, 200.0])
def test_a_voice_is_as_late_as_it_is_also_when_it_is_softer_and_there_is_noise(late_ms: float) -> None:
    said = voice("question", RATE)
    heard = np.concatenate([np.zeros(round(late_ms * RATE / 1000), np.int16), said // 3, np.zeros(RATE, np.int16)])
    heard += np.random.default_rng(1).integers(-40, 40, len(heard)).astype(np.int16)
    assert voice_delay(said, heard, RATE) == late_ms


def test_the_last_word_is_the_last_that_can_be_heard_before_the_next_reply() -> None:
    heard = [(n * 0.02, LOUD if n < 30 or n > 100 else QUIET) for n in range(150)]
    assert last_word(heard, 0.3, 1.5) == pytest.approx(0.58)
    assert last_word(heard, 0.7, 1.5) is None


def test_a_voice_begins_with_its_first_loud_frame() -> None:
    pcm = np.concatenate([np.full(RATE // 2, 8, np.int16), np.tile([8000, -8000], RATE // 2).astype(np.int16)])
    assert first_loud(pcm, RATE) == 0.5
