"""Whom the box calls when a call has failed: a walk through all that may happen to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.redial import AWAY_AGAIN_S, AWAY_S, REACH_S, RETRY_S, STEADY_S, Redial

TARGETS = ["openai", "parrot", "sip:help"]


def fails_until_given_up(redial: Redial, target: str, at: float) -> list[float]:
    """Fail at once, again and again; return when it was called again."""
    calls = []
    again = redial.again(target, at, lasted_s=None)
    while again is not None:
        calls.append(again - at)
        again = redial.again(target, again, lasted_s=None)
    return calls


@pytest.mark.parametrize(
    ("target", "fallback", "calls"),
    [("openai", "sip:help", [1.0]), ("sip:help", "parrot", [1, 3, 8, 18, 48]), ("openai", "", [1, 3, 8, 18, 48])],
)
def test_only_an_agent_with_a_fallback_is_hurried(target: str, fallback: str, calls: list[float]) -> None:
    redial = Redial(at_start="", fallback=fallback)
    redial.begin(target, 100.0)
    assert fails_until_given_up(redial, target, 100.0) == calls


def test_who_answers_only_to_drop_the_call_is_called_less_and_less_often_unless_a_call_has_lasted() -> None:
    redial = Redial(at_start="openai", fallback="")
    assert [redial.again("openai", 0.0, lasted_s=1.0) for _ in RETRY_S] == list(RETRY_S)
    assert redial.again("openai", 0.0, lasted_s=STEADY_S) == RETRY_S[0]


@given(
    st.sampled_from(["", *TARGETS]),
    st.sampled_from(["", *TARGETS]),
    st.lists(st.tuples(st.sampled_from(TARGETS), st.booleans(), st.floats(0, 100)), min_size=1, max_size=40),
)
def test_whatever_fails_nobody_waits_in_vain_and_nobody_is_called_for_ever(
    at_start: str, fallback: str, calls: list[tuple[str, bool, float]]
) -> None:
    redial, at = Redial(at_start=at_start, fallback=fallback), 0.0
    for target, was_there, after in calls:
        redial.begin(target, at)
        reach_by = redial.reach_by(target)
        if reach_by is not None:
            assert fallback
            assert (target != fallback, target != at_start, reach_by) == (True, True, at + REACH_S)
        at += after
        again = redial.again(target, at, lasted_s=5.0 if was_there else None)
        assert again is None or at < again <= at + RETRY_S[-1]
        assert again is not None or redial.instead(target) != target
        if target == at_start:
            assert again is not None, "a box that is always on goes on for ever"
        elif again is not None and reach_by is not None:
            assert not was_there
            assert again < reach_by
        if target != at_start:
            redial.begin(target, at)
            assert len(fails_until_given_up(redial, target, at)) <= len(RETRY_S)


def test_where_there_is_no_way_a_try_is_never_far_for_a_minute_or_for_ever() -> None:
    redial = Redial(at_start="", fallback="")
    redial.begin("openai", 100.0)
    at, last = 100.0, 100.0
    while (again := redial.again("openai", at, lasted_s=None, unreached=True)) is not None:
        assert again - at == AWAY_AGAIN_S
        at, last = again + 4.0, again
    assert AWAY_S - 4.0 - AWAY_AGAIN_S <= last - 100.0 < AWAY_S + AWAY_AGAIN_S
    always = Redial(at_start="openai", fallback="")
    assert {always.again("openai", 10.0 * i, lasted_s=None, unreached=True) for i in range(1000)} == {
        10.0 * i + AWAY_AGAIN_S for i in range(1000)
    }


def test_a_service_that_answers_with_a_refusal_is_asked_less_and_less_often_whatever_the_network_did_before() -> None:
    redial = Redial(at_start="openai", fallback="")
    for _ in range(100):
        redial.again("openai", 0.0, lasted_s=None, unreached=True)
    assert [redial.again("openai", 0.0, lasted_s=None) for _ in range(7)] == [*RETRY_S, RETRY_S[-1], RETRY_S[-1]]
    assert redial.again("openai", 0.0, lasted_s=None, unreached=True) == AWAY_AGAIN_S
    assert redial.again("openai", 0.0, lasted_s=None) == RETRY_S[-1], "a service that is overloaded is not asked anew"
