"""The pins as they are found: claimed and freed, or left to the box."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgevoice.config import load
from edgevoice.doctor import hands
from edgevoice.doctor.facts import Pins
from edgevoice.doctor.finding import Level
from edgevoice.doctor.hands import Person, pins
from edgevoice.doctor.pins import check_pins
from edgevoice.drivers import control
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


# ------------------------------------------------------------------------------------------------- the running box

WIRED = "button GPIO17, light GPIO25, pins of lgpio"


class Somebody:
    """Answers what they are asked, in this order, and remembers all that was said."""

    def __init__(self, *answers: str) -> None:
        self.heard: list[str] = []
        self._answers = list(answers)
        self.person = Person(self.heard.append, self._ask)

    def _ask(self, question: str) -> str:
        self.heard.append(question)
        return self._answers.pop(0)


def at_a_box(
    folder: Path, somebody: Somebody, answer: Mapping[str, Any], *, panel: str = "", words: str = WIRED
) -> tuple[Pins, list[control.Request]]:
    """Look at the pins of a box that answers so over a real socket; return what is found, and what it was asked."""
    path = str(folder / "control.sock")
    asked: list[control.Request] = []

    def answering(request: control.Request) -> Mapping[str, Any]:
        asked.append(request)
        return answer

    async def story() -> Pins:
        config = load(f'[panel]\n{panel}\n[status]\nsocket = "{path}"\n')
        async with control.serve(path, answering):
            return await asyncio.to_thread(pins, config, {"panel": words}, somebody.person)

    return asyncio.run(story()), asked


@pytest.mark.parametrize("pressed", [True, False])
def test_a_running_box_is_told_to_try_both_at_once(tmp_path: Path, pressed: bool) -> None:
    somebody = Somebody("", "n")
    found, asked = at_a_box(tmp_path, somebody, {"pressed": pressed})
    assert (found.pressed, found.seen, found.refused) == (pressed, False, "")
    assert asked == [control.Try(10.0)]
    assert somebody.heard == [
        "Is somebody at the box, to see its light flash and press its button within 10 s? [Y/n] ",
        "The light flashes now. Press the button ...",
        "Did the light flash? [Y/n] ",
    ]


def test_of_a_running_box_without_a_button_only_the_light_is_asked_about(tmp_path: Path) -> None:
    somebody = Somebody("y", "y")
    found, _ = at_a_box(tmp_path, somebody, {"pressed": False}, panel="button = -1")
    assert (found.pressed, found.seen) == (None, True)
    assert somebody.heard[0] == "Is somebody at the box, to see its light flash within 10 s? [Y/n] "


def test_of_a_running_box_without_a_light_only_a_press_is_asked_for(tmp_path: Path) -> None:
    somebody = Somebody("")
    found, _ = at_a_box(tmp_path, somebody, {"pressed": True}, panel="light = []")
    assert (found.pressed, found.seen) == (True, None)
    assert somebody.heard[1:] == ["Press the button ..."]


def test_a_running_box_that_refuses_or_is_too_old_says_so(tmp_path: Path) -> None:
    found, _ = at_a_box(tmp_path, Somebody(""), {"ok": False, "error": "the box is in call"})
    assert (found.pressed, found.seen, found.refused) == (None, None, "the box is in call")


def test_pins_that_somebody_wants_and_the_box_does_not_have_fail_with_what_to_do() -> None:
    why = "no pins: this machine has no /dev/gpiochip*"
    found = check_pins(pins(load(""), {"panel": why, "out_of_order": {"panel": why}}, None))
    assert (found.level, found.sentence) == (Level.FAILED, f"out of order: {why}")
    assert "a machine with pins" in found.advice
    assert check_pins(pins(load(""), {"panel": why, "out_of_order": None}, None)).level is Level.ABSENT


@pytest.mark.parametrize("words", ["no pins: they are not used", "out of order: GPIO17 is in use"])
def test_a_running_box_that_has_no_pins_is_not_tried(tmp_path: Path, words: str) -> None:
    somebody = Somebody()
    found, asked = at_a_box(tmp_path, somebody, {}, words=words)
    assert (found.words, asked, somebody.heard) == (words, [], [])
