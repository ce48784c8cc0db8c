"""How far apart two clocks run, as one learns it from positions that jitter."""

from __future__ import annotations

import numpy as np
import pytest

from edgevoice.audio.drift import POINTS, Drift

RATE = 16_000
HOUR_S = 3600


def watched(
    drift: Drift, seconds: int, ppm: float, *, since_s: int = 0, jitter_ms: float = 0.0, seed: int = 1
) -> float:
    """Look once a second at a loudspeaker that is `ppm` fast; return where the lead has come to."""
    random = np.random.default_rng(1)
    lead = 0.0
    for at_s in range(since_s, since_s + seconds):
        lead = ppm * 1e-6 * RATE * (at_s - since_s)
        drift.observe(at_s * RATE, lead + float(random.uniform(-1, 1)) * jitter_ms * RATE / 1000)
    return lead


def test_what_cannot_be_known_yet_is_no_drift() -> None:
    drift = Drift(RATE)
    watched(drift, POINTS - 1, 80.0)
    assert (drift.established, drift.ppm) == (False, 0.0)


def test_two_clocks_are_told_apart_by_their_positions() -> None:
    drift = Drift(RATE)
    watched(drift, 60, -80.0)
    assert drift.ppm == pytest.approx(-80.0)
    assert drift.trouble == ""


def test_what_was_believed_once_is_not_doubted_at_the_next_position() -> None:
    doubted = 0
    for seed in range(30):
        drift, random, believed = Drift(RATE), np.random.default_rng(seed), False
        for at_s in range(400):
            drift.observe(at_s * RATE, 20e-6 * RATE * at_s + float(random.uniform(-16, 16)))
            doubted += believed and not drift.established
            believed = drift.established
        assert believed
    assert doubted == 0


def test_a_crystal_that_warms_up_is_followed() -> None:
    drift = Drift(RATE)
    watched(drift, HOUR_S, 80.0, jitter_ms=0.5)
    assert drift.ppm == pytest.approx(80.0, abs=1)
    drift.begin()
    watched(drift, HOUR_S, 60.0, since_s=HOUR_S, jitter_ms=0.5)
    assert drift.ppm == pytest.approx(60.0, abs=2)


def test_each_run_of_the_loudspeaker_begins_at_a_height_of_its_own() -> None:
    drift = Drift(RATE)
    for run in range(40):
        drift.begin()
        height = float(np.random.default_rng(run).uniform(-1000, 1000))
        for second in range(10):
            at_s = 20 * run + second
            drift.observe(at_s * RATE, height + 50e-6 * RATE * at_s)
    assert drift.ppm == pytest.approx(50.0)


def test_a_position_far_from_all_others_strays_and_one_beside_them_does_not() -> None:
    drift = Drift(RATE)
    lead = watched(drift, 120, 80.0)
    at = 130 * RATE
    expected = lead + 80e-6 * RATE * 11
    assert not drift.strays(at, expected + 4.9 * RATE / 1000)
    assert drift.strays(at, expected + 5.1 * RATE / 1000)


def test_the_first_positions_may_be_far_apart_without_being_a_trouble() -> None:
    drift = Drift(RATE)
    for at_s, lead in enumerate([0.0, 800.0, 0.0, 800.0, 0.0]):
        drift.observe(at_s * RATE, lead)
    assert drift.trouble == ""
    for at_s in range(5, 40):
        drift.observe(at_s * RATE, 800.0 * (at_s % 2))
    assert drift.trouble.startswith("the card's positions scatter by 2")
