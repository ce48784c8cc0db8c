"""The lab's pins answer every line, also the ones that make no sense."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import PWMLED, DigitalInputDevice

from tests.lab.labgpio.labgpio import LabFactory
from tests.lab.labgpio.pins import Edge, Pins


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pins]:
    """A button on 17 and an LED on 25, in this process."""
    monkeypatch.setenv("LABGPIO_SOCKET", str(tmp_path / "pins"))
    factory = LabFactory()
    with (
        Pins(tmp_path / "pins") as pins,
        DigitalInputDevice(17, pull_up=True, pin_factory=factory),
        PWMLED(25, pin_factory=factory) as led,
    ):
        led.value = 0.25
        yield pins


def test_a_button_is_pressed_by_driving_it_low(pins: Pins) -> None:
    assert pins.level(17) == 1
    pressed = pins.press()
    assert pins.level(17) == 0
    released = pins.release()
    trace = pins.edges(17)[-2:]
    assert [edge.level for edge in trace] == [0, 1]
    assert pressed < trace[0].at < released < trace[1].at


def test_a_dimmed_light_has_a_level_between_nothing_and_all(pins: Pins) -> None:
    assert pins.level(25) == 0.25
    assert [edge.level for edge in pins.edges(25)] == [0.25]
    assert pins.wait(25, 0.25, 0) > pins.edges(25)[0].at


def test_a_pin_that_is_followed_tells_what_it_did_how_it_is_and_each_change(pins: Pins) -> None:
    with Pins(pins.path) as ear:
        ear.follow(17)
        assert [edge.level for edge in news(ear, 1)][-1] == 1, "as it is now"
        pressed = pins.press()
        released = pins.release()
        down, up = news(ear, 2)
        assert (down.level, up.level) == (0, 1)
        assert pressed < down.at < released < up.at
        assert pins.edges(17) == [], "what was told is forgotten"


def news(ear: Pins, at_least: int, within_s: float = 30.0) -> list[Edge]:
    """Return what a followed pin tells, when it is so much."""
    give_up, heard = time.monotonic() + within_s, list[Edge]()
    while len(heard) < at_least and time.monotonic() < give_up:
        heard += ear.news()
    return heard


def test_a_pin_that_is_not_used_cannot_be_followed(pins: Pins) -> None:
    with Pins(pins.path) as ear:
        ear.follow(4)
        with pytest.raises(ValueError, match="does not use GPIO4"):
            news(ear, 1)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "is no command"),
        ("jump 17", "is no command"),
        ("low", "is no command"),
        ("low seventeen", "invalid literal"),
        ("get 5", "the program does not use GPIO5"),
        ("low 25", "GPIO25 is an output of the program"),
        ("edges 25 2 0", "GPIO25 changed 1 times, expected 2 within 0 s"),
        ("wait 25 1 0", "GPIO25 is 0.25, expected 1 within 0 s"),
    ],
)
def test_nonsense_is_answered_with_an_error_and_the_next_line_works(pins: Pins, line: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        pins.ask(line)
    assert pins.level(17) == 1


def test_a_program_that_is_killed_and_started_again_takes_its_socket_back(
    pins: Pins, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pins.path.is_socket()
    again = LabFactory()
    with DigitalInputDevice(17, pull_up=True, pin_factory=again) as button, Pins(pins.path) as new:
        new.press()
        assert button.is_active


def test_no_program_is_an_error_not_a_wait_for_ever(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="no program at"):
        Pins(tmp_path / "nobody", patience_s=0).press()
