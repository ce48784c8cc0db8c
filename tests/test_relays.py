"""A code on the telephone's keys opens its relay, wrong ones are counted, and nothing shows what was typed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgevoice.relays import PAUSE_S, Blocked, Keypad, Opened, Outcome, Wrong

DOOR, GATE = Opened("door"), Opened("gate")


class Caller:
    """Types on a telephone, a key each half second."""

    def __init__(self, codes: Mapping[str, str], max_wrong: int = 3) -> None:
        self.keypad = Keypad(codes, dict.fromkeys(codes, max_wrong))
        self.at = 100.0

    def types(self, keys: str) -> list[Outcome]:
        """Return what came of it, without the keys of which nothing came."""
        outcomes = []
        for key in keys:
            self.at += 0.5
            outcomes.append(self.keypad.press(key, self.at))
        return [outcome for outcome in outcomes if outcome is not None]

    def waits(self, seconds: float) -> None:
        self.at += seconds


def test_the_code_opens_the_door_at_its_last_key() -> None:
    caller = Caller({"door": "12#"})
    assert caller.types("12") == []
    assert caller.types("#") == [DOOR]


def test_the_code_opens_again_and_again() -> None:
    assert Caller({"door": "12#"}).types("12#12#12#12#") == [DOOR] * 4


@pytest.mark.parametrize("stray", ["4", "123", "5", "#", "99999999"])
def test_a_mistyped_key_before_the_code_does_no_harm(stray: str) -> None:
    assert Caller({"door": "5#"}).types(stray + "5#")[-1] == DOOR


def test_a_hash_ends_a_wrong_try() -> None:
    caller = Caller({"door": "12#"})
    assert caller.types("13#") == [Wrong()]
    assert caller.types("13579#") == [Wrong()]
    assert caller.types("12#") == [DOOR]


def test_a_pause_ends_a_wrong_try_which_is_told_with_the_next_key() -> None:
    caller = Caller({"door": "1234"})
    assert caller.types("12") == []
    caller.waits(PAUSE_S)
    assert caller.types("3") == [Wrong()]
    assert caller.types("4") == []


def test_a_code_is_not_put_together_across_a_pause() -> None:
    caller = Caller({"door": "12#"})
    caller.types("12")
    caller.waits(PAUSE_S)
    assert caller.types("#") == [Wrong()]


def test_who_hesitates_for_less_than_the_pause_is_understood() -> None:
    caller = Caller({"door": "12#"})
    caller.types("12")
    caller.waits(PAUSE_S - 0.6)
    assert caller.types("#") == [DOOR]


def test_as_many_keys_as_the_code_has_are_a_try_where_it_has_no_hash_at_its_end() -> None:
    caller = Caller({"door": "1234"})
    assert caller.types("9999") == [Wrong()]
    assert caller.types("1234") == [DOOR]


def test_hash_by_itself_is_no_try() -> None:
    assert Caller({"door": "12#"}, max_wrong=1).types("####12#") == [DOOR]


def test_after_the_last_wrong_try_the_right_code_opens_nothing_any_more() -> None:
    caller = Caller({"door": "12#"}, max_wrong=2)
    assert caller.types("1#2#") == [Wrong(), Blocked()]
    assert caller.types("12#") == [Blocked()]
    caller.waits(3600)
    assert caller.types("12#") == [Blocked()]


def test_each_call_begins_with_all_its_tries() -> None:
    for _ in range(3):
        assert Caller({"door": "12#"}, max_wrong=2).types("99#12#") == [Wrong(), DOOR]


def test_each_relay_counts_to_its_own_limit() -> None:
    keypad = Keypad({"door": "12#", "gate": "34#"}, {"door": 1, "gate": 2})
    assert [keypad.press(key, 0.0) for key in "99#"] == [None, None, Wrong()]
    assert [keypad.press(key, 0.0) for key in "12#"] == [None, None, Blocked()]
    assert [keypad.press(key, 0.0) for key in "34#"] == [None, None, Blocked()]


def test_a_blocked_relay_leaves_the_other_as_it_was() -> None:
    keypad = Keypad({"door": "12#", "gate": "34#"}, {"door": 1, "gate": 5})
    assert [keypad.press(key, 0.0) for key in "99#12#34#"][2::3] == [Wrong(), Wrong(), GATE]


def test_of_two_codes_that_end_alike_the_longer_one_is_meant() -> None:
    codes = {"door": "5#", "gate": "15#"}
    assert Caller(codes).types("15#") == [GATE]
    assert Caller(codes).types("25#") == [DOOR]
    assert Caller(codes).types("5#") == [DOOR]


def test_a_long_code_is_no_series_of_wrong_tries_at_a_short_one() -> None:
    caller = Caller({"door": "99", "gate": "123456"}, max_wrong=2)
    for _ in range(5):
        assert caller.types("123456")[-1] == GATE
    assert caller.types("99") == [DOOR]


def test_who_knows_one_code_cannot_guess_at_the_other_for_ever() -> None:
    caller = Caller({"door": "1#", "gate": "7771#"}, max_wrong=3)
    for guess in ("123", "234", "345"):
        assert caller.types(f"{guess}1#") == [DOOR]
    assert caller.types("7771#") == [DOOR]


def shape(keys: str) -> list[bool]:
    """Return where the hashes are: no key but a hash can be right there."""
    return [key == "#" for key in keys]


@settings(max_examples=1000)
@given(
    secret=st.text("12#", min_size=1, max_size=4),
    known=st.text("12#", max_size=4),
    keys=st.text("12#", max_size=80),
    max_wrong=st.integers(min_value=1, max_value=3),
)
def test_in_a_call_no_more_codes_are_tested_than_keys_and_wrong_tries_allow(
    secret: str, known: str, keys: str, max_wrong: int
) -> None:
    assume(known != secret)
    keypad = Keypad({"secret": secret, "known": known}, {"secret": max_wrong, "known": 1000})
    (lock,) = (lock for lock in keypad._locks if lock.name == "secret")
    typed, tested = "", set()
    for key in keys:
        typed += key
        guess = typed[-len(secret) :]
        if not lock.blocked and shape(guess) == shape(secret) and guess not in known:
            tested.add(guess)
        outcome = keypad.press(key, 0.0)
        if outcome == Opened("secret"):
            return
        if outcome == Opened("known"):
            typed = ""
    assert len(tested) <= max_wrong * len(secret)


@given(st.text(max_size=40), st.lists(st.floats(min_value=0, max_value=10), min_size=40, max_size=40))
def test_whatever_is_typed_raises_nothing_and_no_more_is_kept_than_a_code_is_long(
    keys: str, pauses: list[float]
) -> None:
    keypad = Keypad({"door": "1#2", "gate": "AB*"}, {"door": 3, "gate": 100})
    at = 0.0
    for key, pause in zip(keys, pauses, strict=False):
        at += pause
        keypad.press(key, at)
    assert all(len(lock._keys) <= 3 for lock in keypad._locks)


@pytest.mark.parametrize("code", ["1#2", "1#2#", "##", "#1"])
def test_a_hash_within_a_code_is_a_key_like_others(code: str) -> None:
    assert Caller({"door": code}, max_wrong=1).types(code) == [DOOR]
    assert Caller({"door": code}, max_wrong=1).types("9" * len(code) + code) == [Blocked()] * 2


def test_what_is_no_key_is_ignored_and_small_letters_are_keys() -> None:
    caller = Caller({"door": "AB#"}, max_wrong=1)
    assert caller.types("a x?b€#") == [DOOR]
    assert caller.keypad.press("", 200.0) is None
    assert caller.keypad.press("12", 200.0) is None


def test_without_a_code_nothing_opens_and_nothing_is_counted() -> None:
    assert Caller({"door": ""}).types("#1234#####") == []
    assert Caller({}).types("1#") == []


def test_neither_the_code_nor_the_keys_show_anywhere() -> None:
    caller = Caller({"door": "4711#"})
    caller.types("471")
    for shown in (caller.keypad, *caller.keypad._locks, DOOR, Wrong(), Blocked()):
        assert "47" not in repr(shown).partition(" object at ")[0]
