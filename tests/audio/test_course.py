"""When a card was where, from timestamps that are right, of another clock, or nonsense."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from edgevoice.audio.course import Course, Moment, look

NOW = 1000.0
TIME_OF_DAY = (1_700_000_000, 0, 77)
NONSENSE = (140_726_151_252_440, 139_683_412_085_232, 139_683_412_085_232)  # what alsa-lib leaves after an xrun
XRUN = -32


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Pcm:
    """Tells `available`, one after the other; each time it takes 40 us to answer, or what `hiccups` say."""

    clock: Clock
    available: int
    stamp: tuple[int, int, int] | None = None
    hiccups: deque[float] = field(default_factory=deque)
    asked: int = 0

    def avail(self) -> int:
        self.asked += 1
        self.clock.now += self.hiccups.popleft() if self.hiccups else 0.000_04
        return self.available

    def htimestamp(self) -> tuple[int, int, int]:
        return self.stamp or (999, 999_000_000, self.available + 3)


def told(moments: list[Moment | None]) -> list[tuple[float, int]]:
    return [(moment.at, moment.frames) for moment in moments if moment]


def test_the_cards_own_timestamps_are_taken() -> None:
    clock = Clock()
    capture, playback = Pcm(clock, 480), Pcm(clock, 900, (999, 500_000_000, 900))
    assert look(capture, playback, clock) == [Moment(999.999, 483), Moment(999.5, 900)]


@pytest.mark.parametrize("stamp", [TIME_OF_DAY, (0, 0, 0), (NOW + 2, 0, 0)])
def test_a_timestamp_of_another_clock_is_replaced_for_both(stamp: tuple[int, int, int]) -> None:
    clock = Clock()
    capture, playback = Pcm(clock, 480), Pcm(clock, 900, stamp)
    assert told(look(capture, playback, clock)) == [
        (pytest.approx(NOW + 0.0001), 480),
        (pytest.approx(NOW + 0.00014), 900),
    ]


def test_a_look_that_was_held_up_is_repeated() -> None:
    clock = Clock()
    capture = Pcm(clock, 480, TIME_OF_DAY)
    playback = Pcm(clock, 900, TIME_OF_DAY, deque([0.0, 0.004, 0.003]))
    moments = told(look(capture, playback, clock))
    assert moments == [(pytest.approx(clock.now - 0.00006), 480), (pytest.approx(clock.now - 0.00002), 900)]
    assert playback.asked == 4


def test_what_has_run_dry_tells_nothing_whatever_its_timestamp() -> None:
    clock = Clock()
    assert look(Pcm(clock, 480), Pcm(clock, XRUN, NONSENSE), clock) == [Moment(999.999, 483), None]
    assert look(Pcm(clock, XRUN, NONSENSE), Pcm(clock, 900), clock) == [None, Moment(999.999, 903)]


def test_what_was_lost_is_the_time_that_passed_less_what_was_counted() -> None:
    course = Course(48_000)
    assert course.start(10.0, 0) == 0, "it has never stopped"
    course.note(11.0, 48_000)
    assert course.frames_at(11.5) == 72_000
    assert course.start(12.0, 60_000) == 36_000
    assert course.frames_at(12.5) == 84_000


def test_a_start_that_comes_sooner_than_the_crystal_says_loses_nothing() -> None:
    course = Course(48_000)
    course.note(11.0, 48_000)
    assert course.start(12.0, 96_010) == 0
