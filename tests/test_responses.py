"""The responses of a call: which may still be heard, and how long each is waited for."""

from __future__ import annotations

from math import inf

import pytest

from edgevoice.responses import CANCEL_S, DEAD_NAMES, PLAYED_S, STALLED_S, Responses

RATE = 24_000
SECOND = bytes(2 * RATE)


def sounding(*names: str, at: float = 10.0) -> Responses:
    """Let one second of each sound, one after the other."""
    responses = Responses(RATE)
    assert [responses.sound(name, SECOND, at) for name in names] == [True] * len(names)
    return responses


def test_a_response_is_waited_for_until_it_must_have_been_heard() -> None:
    responses = sounding("a")
    assert responses.deadline == 11.0 + STALLED_S
    assert responses.made("a")
    assert responses.deadline == 11.0 + PLAYED_S
    responses.heard("a")
    assert (responses.live, responses.sounding, responses.deadline) == (False, "", inf)


def test_responses_are_heard_one_after_the_other() -> None:
    responses = sounding("a", "b")
    responses.made("b")
    assert responses.deadline == 12.0 + PLAYED_S


def test_one_without_sound_is_not_waited_for() -> None:
    responses = Responses(RATE)
    assert responses.begun("a", 10.0)
    assert responses.live
    assert not responses.made("a")
    assert not responses.live


def test_one_that_stalls_is_made_when_nothing_more_came_of_it() -> None:
    responses = sounding("a")
    assert responses.expire(11.0 + STALLED_S - 0.1) == []
    assert responses.expire(11.0 + STALLED_S) == ["a"]
    assert responses.expire(11.0 + STALLED_S) == []
    assert "a" not in responses, "and it must have been heard long ago"


def test_the_dead_stay_dead_and_the_service_is_given_time_to_end_them() -> None:
    responses = sounding("a", "b")
    responses.made("b")
    assert responses.kill(10.5) == "a"
    assert not responses.sound("a", SECOND, 10.6)
    assert not responses.begun("b", 10.6)
    assert (responses.ending, responses.deadline) == (True, 10.5 + CANCEL_S)
    assert not responses.made("a")
    assert (responses.ending, responses.deadline) == (False, inf)


def test_what_is_said_after_them_is_heard_at_once() -> None:
    responses = sounding("a", "b", "c")
    responses.kill(10.5)
    responses.sound("d", SECOND, 10.6)
    responses.made("d")
    responses.made("a")
    assert responses.expire(10.5 + CANCEL_S) == []
    assert responses.deadline == pytest.approx(11.6 + PLAYED_S)


def test_the_names_of_the_dead_do_not_pile_up() -> None:
    responses = Responses(RATE)
    for i in range(DEAD_NAMES + 1):
        responses.heard(str(i))
    assert responses.begun("0", 1.0)
    assert not responses.begun("1", 1.0)


def test_while_the_loudspeaker_is_held_nothing_comes_nearer() -> None:
    responses = sounding("a")
    responses.made("a")
    responses.hold(10.4)
    responses.hold(10.6)
    assert responses.deadline == inf
    assert responses.expire(100.0) == []
    responses.go_on(10.9)
    responses.go_on(11.9)
    assert responses.deadline == pytest.approx(11.5 + PLAYED_S)


def test_one_that_is_late_when_it_is_held_is_not_given_up() -> None:
    responses = sounding("a")
    responses.made("a")
    responses.hold(11.0 + PLAYED_S)
    assert responses.expire(20.0) == []
    assert "a" in responses


def test_after_the_dead_the_clock_goes_on() -> None:
    responses = sounding("a")
    responses.made("a")
    responses.hold(10.4)
    responses.kill(10.9)
    responses.sound("b", SECOND, 12.0)
    assert responses.deadline == pytest.approx(13.0 + STALLED_S)


def test_a_verdict_that_was_stamped_before_its_suspicion_does_not_turn_time_back() -> None:
    responses = sounding("a")
    responses.made("a")
    responses.hold(10.4)
    responses.go_on(10.3)
    assert responses.deadline == 11.0 + PLAYED_S


def test_sound_that_comes_meanwhile_is_heard_afterwards() -> None:
    responses = sounding("a")
    responses.hold(10.5)
    responses.sound("a", SECOND, 20.0)
    responses.go_on(30.5)
    responses.made("a")
    assert responses.deadline == pytest.approx(32.0 + PLAYED_S)


def test_the_end_of_a_dead_response_is_waited_for_in_our_own_time() -> None:
    responses = sounding("a")
    responses.kill(10.5)
    responses.sound("b", SECOND, 10.6)
    responses.hold(10.7)
    assert responses.deadline == 10.5 + CANCEL_S
    responses.expire(10.5 + CANCEL_S)
    assert not responses.ending
