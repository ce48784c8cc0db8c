"""What waits is waited for at the same time, and not for ever."""

from __future__ import annotations

import threading

import pytest

from edgevoice.doctor.rounds import Came, together
from edgevoice.errors import DeviceError


def test_what_comes_of_each_is_returned_in_the_order_given_whoever_is_first() -> None:
    second = threading.Event()

    def first() -> str:
        assert second.wait(30), "both run at the same time"
        return "1"

    def last() -> str:
        second.set()
        return "2"

    assert list(together({"a": first, "b": last}, 5.0).items()) == [("a", Came("1")), ("b", Came("2"))]


def test_one_that_hangs_does_not_keep_the_others_from_being_seen() -> None:
    end = threading.Event()
    try:
        came = together({"hangs": end.wait, "answers": lambda: True}, 2.0)
    finally:
        end.set()
    assert came == {"hangs": Came(None, "no answer within 2 s", late=True), "answers": Came(True)}


def test_one_that_fails_says_why() -> None:
    def fails() -> str:
        raise DeviceError("the card is gone")

    assert together({"card": fails}, 5.0) == {"card": Came(None, "the card is gone")}


def test_a_mistake_of_ours_is_printed_and_told_at_once_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda ended: printed.append(str(ended.exc_value)))

    def mistaken() -> bool:
        raise KeyError("x")

    came = together({"mistaken": mistaken, "answers": lambda: True}, 60.0)
    assert came["mistaken"].trouble == "a mistake of this program; its trace was printed"
    assert came["answers"] == Came(True)
    assert printed == ["'x'"]


def test_who_is_waited_for_is_said_until_nobody_is() -> None:
    said: list[list[str]] = []
    together({"a": lambda: 1}, 5.0, said.append)
    assert said == [["a"], []]
