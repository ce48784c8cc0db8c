"""The eye of the fault suite sees a wrong light."""

from __future__ import annotations

import pytest

from edgevoice.events import End
from edgevoice.light import BOX_PATTERNS, CAUSE_PATTERNS, OFF, TURN_PATTERNS, Box, Pattern, Turn
from tests.faults.seen import blinking, judge

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
    assert judge([], BOX_PATTERNS[Box.WAITING_TO_RETRY], 0, 3) is None
