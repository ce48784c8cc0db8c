"""The pins as they are found: claimed and freed, or left to the box."""

from __future__ import annotations

from typing import Any

import pytest

from edgevoice.config import load
from edgevoice.doctor import hands
from edgevoice.doctor.hands import Person, pins
from edgevoice.errors import DeviceError


def unwanted(**options: Any) -> Any:
    raise AssertionError("nobody may claim the pins now")


@pytest.mark.parametrize("panel", ['pins = "none"', 'pins = "mock"', "button = -1\nlight = []"])
def test_pins_that_are_not_wanted_are_not_claimed(monkeypatch: pytest.MonkeyPatch, panel: str) -> None:
    monkeypatch.setattr(hands, "open_panel", unwanted)
    found = pins(load(f"[panel]\n{panel}\n"), None, None)
    assert (found.words, found.trouble, found.pressed) == ("", "", None)


def test_the_pins_of_a_running_box_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "open_panel", unwanted)
    found = pins(load(""), {"panel": "button GPIO17, light GPIO25, pins of lgpio"}, None)
    assert (found.by_box, found.words) == (True, "button GPIO17, light GPIO25, pins of lgpio")


def test_pins_that_cannot_be_had_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(**options: Any) -> Any:
        raise DeviceError("GPIO17 is in use")

    monkeypatch.setattr(hands, "open_panel", taken)
    assert pins(load(""), None, None).trouble == "GPIO17 is in use"


def test_without_pins_nobody_is_asked_for_a_press(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.setattr("edgevoice.drivers.pins.GPIO_CHIPS", "/nowhere/gpiochip*")
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return ""

    found = pins(load(""), None, Person(asked.append, ask))
    assert (found.words, found.pressed, asked) == ("no pins: this machine has no /nowhere/gpiochip*", None, [])
