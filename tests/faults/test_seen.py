"""The eye of the fault suite sees a wrong light."""

from __future__ import annotations

import pytest

from edgevoice.events import End
from edgevoice.light import BOX_PATTERNS, CAUSE_PATTERNS, OFF, TURN_PATTERNS, Box, Pattern, Turn
from tests.faults.seen import Look, Stretch, blinking, judge, stretches
from tests.lab.labgpio.pins import Edge

RHYTHMS = [BOX_PATTERNS[Box.CONNECTING], BOX_PATTERNS[Box.FAULT], BOX_PATTERNS[Box.WAITING_TO_RETRY]]
RHYTHMS += [CAUSE_PATTERNS[End.CARD_LOST], TURN_PATTERNS[Turn.MUTED]]


@pytest.mark.parametrize("shown", RHYTHMS, ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("expected", RHYTHMS, ids=lambda pattern: pattern.name)
def test_each_rhythm_is_told_from_the_others(shown: Pattern, expected: Pattern) -> None:
    verdict = judge(blinking(shown, 40), expected, 0, 30)
    assert verdict is not None
    assert (verdict == "") == (shown == expected)


def test_a_light_that_is_off_is_not_on() -> None:
    assert judge([], OFF, 0, 2) == ""
    assert judge([], TURN_PATTERNS[Turn.LISTENING], 0, 2) not in ("", None)


def test_too_short_a_look_says_nothing() -> None:
    assert judge([], BOX_PATTERNS[Box.WAITING_TO_RETRY], 0, 2.5) is None


@pytest.mark.parametrize("expected", RHYTHMS, ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_light_that_stands_still_is_found_in_one_look_of_three_seconds(expected: Pattern, level: float) -> None:
    assert judge([Edge(0.0, level)], expected, 0, 3 + max(expected.on_s, expected.off_s))


def test_the_light_of_a_box_that_does_not_answer_is_not_judged() -> None:
    answers = [(0.0, 0.02, "off"), (0.1, 0.12, "off"), (0.2, 5.0, "off"), (5.1, 5.12, "off"), (5.2, 5.22, "steady")]
    looks = [Look(*answer) for answer in answers] + [Look(5.3, 5.32, "steady"), Look(5.4, 5.42, "")]
    assert stretches(looks) == [Stretch("off", 0.02, 0.1), Stretch("off", 5.0, 5.1), Stretch("steady", 5.22, 5.3)]
