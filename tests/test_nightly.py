"""When the box tests itself, and what it says of the result."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.calibration import Calibration
from edgevoice.audio.measurement import Figures, Heard
from edgevoice.nightly import DAY_S, FROM_S, SETTLED_S, UNTIL_S, Nights, Verdict, ago, verdict

HEARD = Heard(
    delay_ms=34.2, echo_db=-12.1, polarity=1, distortion_percent=None, clear_db=20.0, loudest_dbfs=-6.0
)  # fmt: skip
FIGURES = Figures(heard=HEARD, noise_dbfs=-60.0, peak_dbfs=-36.0, clipped=0, sweep_dbfs=-30.0)
DEAF = replace(FIGURES, heard=None, peak_dbfs=-50.0)
CALIBRATION = Calibration(
    card="hw:x", made="2026-01-01T00:00:00+00:00", rate=48_000, volume=70, delay_ms=34.0, echo_db=-12.0,
    distortion_percent=2.0, noise_dbfs=-61.0, peak_dbfs=-24.0, sweep_dbfs=-12.0, polarity=1,
)  # fmt: skip


def moments(
    nights: Nights, *, start_clock_s: float, days: float, calls: tuple[tuple[float, float], ...] = ()
) -> list[float]:
    """Let time pass from look to look; return the times of day of the tests."""
    at, tested = 0.0, []
    while at < days * DAY_S:
        clock_s = (start_clock_s + at) % DAY_S
        busy = any(begin <= start_clock_s + at < end for begin, end in calls)
        if nights.look(at, clock_s, busy=busy):
            tested.append(start_clock_s + at)
        assert nights.deadline > at, "or it would look for ever"
        at = nights.deadline
    return tested


# ---------------------------------------------------------------------------------------------------------- when


@given(st.text(max_size=20), st.floats(0, DAY_S - 1))
def test_every_box_tests_itself_once_a_night_between_three_and_five(name: str, start_clock_s: float) -> None:
    tested = moments(Nights(name, 0.0), start_clock_s=start_clock_s, days=10)
    assert 9 <= len(tested) <= 11
    assert all(FROM_S <= clock_s % DAY_S < UNTIL_S for clock_s in tested)
    assert len({clock_s // DAY_S for clock_s in tested}) == len(tested), "once a night"


def test_two_boxes_beside_each_other_do_not_test_at_the_same_moment() -> None:
    (first,), (second,) = (moments(Nights(name, 0.0), start_clock_s=0.0, days=1) for name in ("door", "gate"))
    assert abs(first - second) > 60


def test_a_test_that_came_to_nothing_is_made_up_for_in_the_same_night() -> None:
    nights = Nights("door", -SETTLED_S)
    assert nights.look(0.0, 4.5 * 3600, busy=False)
    nights.put_off(3.0)
    assert nights.deadline == 63.0
    assert nights.look(63.0, 4.5 * 3600 + 63.0, busy=False)
    assert not nights.look(123.0, 4.5 * 3600 + 123.0, busy=False), "once is enough"


def test_a_call_puts_it_off_until_it_is_over() -> None:
    (undisturbed,) = moments(Nights("door", 0.0), start_clock_s=0.0, days=1)
    call = (undisturbed - 600.0, undisturbed + 1800.0)
    (put_off,) = moments(Nights("door", 0.0), start_clock_s=0.0, days=1, calls=(call,))
    assert call[1] <= put_off <= call[1] + 60


def test_a_call_all_night_puts_it_off_to_the_next_night() -> None:
    (tested,) = moments(Nights("door", 0.0), start_clock_s=0.0, days=2, calls=((0.0, 6 * 3600.0),))
    assert DAY_S + FROM_S <= tested < DAY_S + UNTIL_S


def test_a_box_that_starts_again_and_again_in_the_night_stays_quiet() -> None:
    nights = Nights("door", 1000.0)
    middle = (FROM_S + UNTIL_S) / 2
    assert not nights.look(1000.0, middle, busy=False)
    assert not nights.look(1000.0 + SETTLED_S - 1, middle, busy=False)
    assert nights.look(1000.0 + SETTLED_S, middle, busy=False)


def test_a_clock_that_is_set_meanwhile_is_noticed_within_the_hour() -> None:
    nights = Nights("door", 0.0)
    assert not nights.look(0.0, 12 * 3600.0, busy=False)
    assert nights.deadline <= 3600.0
    assert nights.look(nights.deadline, (FROM_S + UNTIL_S) / 2, busy=False)


# ----------------------------------------------------------------------------------------------------------- what


def test_all_is_well_in_words() -> None:
    well = Verdict("loudspeaker and microphone hear each other: echo -12 dB, 34 ms", warning=False)
    assert verdict(FIGURES, CALIBRATION, 70) == well
    assert verdict(FIGURES, None, None) == well, "never calibrated"


@pytest.mark.parametrize(
    ("now", "volume", "said", "warning"),
    [
        (replace(FIGURES, heard=replace(HEARD, echo_db=-26.0)), 70, "14 dB quieter than when it was calibrated", True),
        (replace(FIGURES, heard=replace(HEARD, echo_db=-26.0)), 30, "echo -26 dB, 34 ms", False),
        (replace(FIGURES, heard=replace(HEARD, echo_db=0.0)), 70, "12 dB louder than when it was calibrated", True),
        (replace(FIGURES, heard=replace(HEARD, echo_db=-5.0)), 70, "echo -5 dB, 34 ms", False),
        (replace(FIGURES, heard=replace(HEARD, delay_ms=94.0)), 70, "94 ms, 34 ms when it was calibrated", True),
        (DEAF, 70, "does not hear the loudspeaker any more: one of them is dead, covered or switched off", True),
        (replace(DEAF, noise_dbfs=-30.0), 70, "too noisy to tell: noise floor -30 dBFS", False),
        (replace(DEAF, noise_dbfs=-96.0, peak_dbfs=-96.0), 70, "the microphone delivers nothing but silence", True),
    ],
)
def test_what_has_changed_is_told_and_what_matters_is_a_warning(
    now: Figures, volume: int, said: str, warning: bool
) -> None:
    judged = verdict(now, CALIBRATION, volume)
    assert said in judged.words
    assert judged.warning is warning


def test_a_headset_that_was_never_calibrated_is_no_reason_to_warn() -> None:
    assert not verdict(DEAF, None, None).warning


@pytest.mark.parametrize(
    "now",
    [  # as measured in the simulated room
        replace(FIGURES, heard=replace(HEARD, echo_db=-120.0, clear_db=-121.7), noise_dbfs=-70.5, peak_dbfs=-13.7),
        replace(FIGURES, heard=replace(HEARD, echo_db=6.0, clear_db=10.6), noise_dbfs=-70.8, peak_dbfs=-13.6),
        replace(FIGURES, heard=replace(HEARD, echo_db=13.3, clear_db=13.9), noise_dbfs=-24.2, peak_dbfs=-5.8),
        replace(FIGURES, heard=replace(HEARD, delay_ms=60.4, clear_db=2.3), noise_dbfs=-22.6, peak_dbfs=-8.8),
        replace(FIGURES, heard=None, noise_dbfs=-70.5, peak_dbfs=-6.9),
    ],
)
def test_somebody_who_speaks_into_the_chirp_does_not_make_a_sound_box_broken(now: Figures) -> None:
    assert verdict(now, CALIBRATION, 70) == Verdict("too noisy to tell, or somebody spoke: ask again", False)


def test_it_says_how_long_ago_that_was() -> None:
    times = [0.0, 59.0, 61.0, 3599.0, 3601.0, DAY_S - 1.0, DAY_S + 1.0, 2.5 * DAY_S]
    assert [ago(each) for each in times] == [
        "just now", "just now", "1 minute ago", "59 minutes ago", "1 hour ago", "23 hours ago", "1 day ago",
        "2 days ago",
    ]  # fmt: skip
