"""A little of `make soak` in every test run; and it fails when the promise is not kept, or something grows."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.soak_calls import (
    CARD_RATE,
    HEARD_MS,
    LEAST_WEIGHTS,
    Findings,
    a_box,
    a_day,
    interrupt,
    minutes,
    sounded,
)


def steady(**last: float) -> list[dict[str, float]]:
    """Return the weights of a process that weighs the same all the time, but for the last one."""
    weight = {"rss_mb": 60.0, "threads": 9.0, "descriptors": 30.0}
    return [weight] * (LEAST_WEIGHTS - 1) + [weight | last]


def test_a_short_day_in_virtual_time_keeps_the_promise(capsys: pytest.CaptureFixture[str]) -> None:
    found = a_day(0.05)
    assert len(found.errors_ms) > 5
    assert Findings(errors_ms=found.errors_ms, weights=steady(), calls=found.calls).tell() == 0
    assert "error p50 0." in capsys.readouterr().out


@pytest.mark.faults
def test_a_minute_in_real_time_keeps_the_promise() -> None:
    found = minutes(1.0)
    assert len(found.errors_ms) >= 5
    assert max(map(abs, found.errors_ms)) <= HEARD_MS


@pytest.mark.parametrize("stopped_s", [0.2, 0.4])
def test_what_was_heard_is_told_right_though_the_card_ran_dry_in_mid_sentence(stopped_s: float) -> None:
    """A machine that is busy for so long is what made one interruption of fifty look 397 ms wrong: it was not."""
    with a_box(60) as (box, service):
        box.wait_until_awake()
        box.call()
        xruns = box.status()["counters"]["playback_xruns"]
        assert abs(interrupt(box, service, stopped_s=stopped_s)) <= HEARD_MS
        assert box.status()["counters"]["playback_xruns"] > xruns


def test_one_interruption_of_fifty_that_is_told_wrong_is_a_broken_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert Findings(errors_ms=[0.3] * 49 + [-397.0], weights=steady()).tell() == 1
    assert "BROKEN: what was heard is told wrong by 397.0 ms" in capsys.readouterr().out


@pytest.mark.parametrize("grown", [{"rss_mb": 62.0}, {"threads": 10.0}, {"descriptors": 40.0}])
def test_what_grows_is_told(grown: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    assert Findings(errors_ms=[0.3] * 50, weights=steady(**grown)).tell() == 1
    assert f"BROKEN: {next(iter(grown))} has grown" in capsys.readouterr().out


def test_nothing_interrupted_proves_nothing() -> None:
    assert Findings(weights=steady()).tell() == 1


def test_silence_of_a_card_that_ran_dry_is_not_the_speakers() -> None:
    speaker = np.ones(CARD_RATE, np.int16)
    speaker[1000 : 1000 + 4800] = 0
    speaker[40_000:] = 0
    assert sounded(speaker, CARD_RATE) == ((40_000 - 4800) * 1000 / CARD_RATE, [100.0])
