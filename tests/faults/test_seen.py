"""The eye of the fault suite sees a wrong light."""

from __future__ import annotations

import pytest

from edgevoice.events import End
from edgevoice.light import BOX_PATTERNS, CAUSE_PATTERNS, OFF, TURN_PATTERNS, Box, Pattern, Turn
from tests.faults.seen import (
    APART_S,
    LOOK_S,
    SETTLED_S,
    Awake,
    Look,
    Spell,
    Stretch,
    blinking,
    judge,
    spells,
    stretches,
)
from tests.lab.labgpio.pins import Edge

RHYTHMS = [BOX_PATTERNS[Box.CONNECTING], BOX_PATTERNS[Box.FAULT], BOX_PATTERNS[Box.WAITING_TO_RETRY]]
RHYTHMS += [CAUSE_PATTERNS[End.CARD_LOST], TURN_PATTERNS[Turn.MUTED]]
STEADY = TURN_PATTERNS[Turn.LISTENING]
each_rhythm = pytest.mark.parametrize("expected", RHYTHMS, ids=lambda pattern: pattern.name)


def looks(pattern: Pattern, begin: float, end: float) -> list[Look]:
    """Return the looks at a box that says all the time that it shows `pattern`."""
    count = round((end - begin) / LOOK_S)
    return [Look(begin + number * LOOK_S, begin + number * LOOK_S + 0.01, pattern.name) for number in range(count)]


def wrong(edges: list[Edge], seen: list[Look]) -> list[str]:
    return judge(edges, seen, Awake(seen))[1]


@pytest.mark.parametrize("shown", RHYTHMS, ids=lambda pattern: pattern.name)
@each_rhythm
def test_each_rhythm_is_told_from_the_others(shown: Pattern, expected: Pattern) -> None:
    assert (not wrong(blinking(shown, 40), looks(expected, 0, 30))) == (shown == expected)


def test_a_light_that_is_off_is_not_on() -> None:
    assert not wrong([], looks(OFF, 0, 2))
    assert wrong([], looks(STEADY, 0, 2))
    assert wrong([Edge(0.0, 1.0)], looks(OFF, 0, 2))


@each_rhythm
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_light_that_stands_still_is_found_within_one_of_its_holds(expected: Pattern, level: float) -> None:
    assert wrong([Edge(0.0, level)], looks(expected, 0, 1 + max(expected.on_s, expected.off_s)))


@each_rhythm
def test_a_rhythm_that_does_not_begin_with_its_light_is_found_in_half_a_second(expected: Pattern) -> None:
    """However long the rhythm is dark: a state that lasts so short a time is judged, too."""
    brief = looks(OFF, 0, 5) + looks(expected, 5, 5.7)
    begun = [edge._replace(at=edge.at + 5) for edge in blinking(expected, 1)]
    assert not wrong(begun, brief)
    assert wrong([], brief)


def test_what_was_shown_before_is_over_soon_after_the_box_says_something_else() -> None:
    lit = Edge(0.0, 1.0)
    both = looks(STEADY, 0, 5) + looks(OFF, 5, 10)
    assert not wrong([lit, Edge(5.3, 0.0)], both)
    assert wrong([lit, Edge(5.6, 0.0)], both)
    assert wrong([lit, Edge(4.3, 0.0)], both), "it went out before"


def test_all_of_the_time_is_judged_in_which_the_box_answers() -> None:
    both = looks(STEADY, 0, 5) + looks(OFF, 5, 10)
    awake = Awake(both)
    brief_s, found = judge([Edge(0.0, 1.0), Edge(5.1, 0.0)], both, awake)
    assert found == []
    assert brief_s == pytest.approx(0.0, abs=0.02)
    assert awake.answered_s == pytest.approx(9.9)


def test_a_state_that_is_over_before_the_light_has_settled_is_not_judged() -> None:
    brief = looks(STEADY, 0, 2) + looks(OFF, 2, 2 + SETTLED_S) + looks(STEADY, 2 + SETTLED_S, 5)
    brief_s, found = judge([Edge(0.0, 1.0)], brief, Awake(brief))
    assert found == []
    assert brief_s == pytest.approx(SETTLED_S + LOOK_S, abs=0.03)


def test_while_the_box_stands_still_its_light_may() -> None:
    """Stopped in the dark of a rhythm, for longer than that lasts, it goes on with it afterwards."""
    rhythm = BOX_PATTERNS[Box.WAITING_TO_RETRY]
    stopped = [*looks(rhythm, 0, 5), Look(5.0, 8.0, ""), *looks(rhythm, 8, 12)]
    edges = [edge if edge.at < 5 else edge._replace(at=edge.at + 3) for edge in blinking(rhythm, 12)]
    awake = Awake(stopped)
    assert judge(edges, stopped, awake)[1] == []
    assert wrong(edges, looks(rhythm, 0, 12)), "a box that answers does not stand still"
    assert awake.answered_s == pytest.approx(8.8, abs=0.05)


def test_nor_is_it_wrong_while_the_process_is_stopped_between_two_answers() -> None:
    """Four stops of 80 ms each second, of which no answer tells: a rhythm is so much slower."""
    rhythm = TURN_PATTERNS[Turn.MUTED]
    stops = [(number * 0.1 + 0.015, number * 0.1 + 0.095) for number in range(100)]
    seen = looks(rhythm, 0, 10)
    edges = [edge._replace(at=5 * edge.at) for edge in blinking(rhythm, 2)]
    late, right = overdue_in(edges, seen, Awake(seen)), overdue_in(edges, seen, Awake(seen, stops))
    assert late
    assert not right


def overdue_in(edges: list[Edge], seen: list[Look], awake: Awake) -> list[str]:
    """Return what is wrong with the lengths of what is lit and dark."""
    return [verdict for verdict in judge(edges, seen, awake)[1] if " from " in verdict]


def test_an_answer_that_comes_late_stops_the_clock_and_one_that_comes_too_late_is_none() -> None:
    for took_s in (0.3, 0.6):
        late = [*looks(STEADY, 0, 2), Look(2.0, 2.0 + took_s, STEADY.name), *looks(STEADY, 2.7, 4)]
        awake = Awake(late)
        assert awake(2.0) == awake(2.0 + took_s)
        assert judge([Edge(0.0, 1.0)], late, awake)[1] == []
        assert awake.answered_s == pytest.approx(3.9 - (took_s if took_s > APART_S else 0.0), abs=0.02)


def test_what_the_box_says_is_sure_from_an_answer_to_a_question() -> None:
    answers = [(0.0, 0.02, "off"), (0.1, 0.12, "off"), (0.2, 0.25, "steady"), (0.3, 0.32, "steady"), (1.0, 1.1, "off")]
    unknown = float("-inf")
    first, second, third = spells([Look(*answer) for answer in answers])
    assert first == Spell("off", unknown, 0.02, 0.1)
    assert second == Spell("steady", 0.1, 0.25, 0.3)
    assert third == Spell("off", unknown, 1.1, 1.0), "who looks so late does not know when it changed"


def test_a_rhythm_is_counted_only_where_the_box_always_answered_at_once() -> None:
    answers = [(0.0, 0.02, "off"), (0.1, 0.12, "off"), (0.2, 5.0, "off"), (5.1, 5.12, "off"), (5.2, 5.22, "steady")]
    seen = [Look(*answer) for answer in answers] + [Look(5.3, 5.32, "steady"), Look(5.4, 5.42, "")]
    assert stretches(seen) == [Stretch("off", 0.02, 0.1), Stretch("off", 5.0, 5.1), Stretch("steady", 5.22, 5.3)]
