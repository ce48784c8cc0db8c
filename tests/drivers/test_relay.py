"""A relay is on for its time and no longer, and never when nobody asked."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockFactory, MockPin

from edgevoice.drivers.panel import open_panel
from edgevoice.drivers.relay import Relays, open_relays
from edgevoice.errors import DeviceError
from tests.lab.labgpio.pins import Pins

DOOR, GATE = 5, 6
LONG_S = 60.0  # a pulse that no test waits for

Opener = Callable[..., Relays]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Open relays, and close them after the test."""
    made = []

    def make(*, pins: str = "mock", factory: Any = None, **relays: tuple[int, float]) -> Relays:
        made.append(open_relays(pins=pins, relays=relays, factory=factory))
        return made[-1]

    yield make
    for relays in made:
        relays.close()


class WornPin(MockPin):  # type: ignore[misc]
    """A pin that refuses one of its two states, once told to."""

    refused: int | None = None

    def _set_state(self, value: int) -> None:
        if value == self.refused:
            raise GPIOZeroError("the chip is gone")
        super()._set_state(value)


def timers() -> list[threading.Timer]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_a_pulse_is_as_long_as_configured(opened: Opener, lab: Pins) -> None:
    relays = opened(pins="auto", door=(DOOR, 0.1))
    asked = time.monotonic()
    relays.pulse("door")
    told = time.monotonic()
    on, off = lab.edges(DOOR, at_least=2, within_s=9)
    assert (on.level, off.level) == (1, 0)
    assert on.at <= told
    assert off.at - asked >= 0.1


def test_a_relay_is_off_from_the_beginning(opened: Opener, lab: Pins) -> None:
    opened(pins="auto", door=(DOOR, 0.1))
    assert lab.level(DOOR) == 0
    assert lab.edges(DOOR) == []


def test_whoever_asks_for_a_pulse_does_not_wait_for_its_end(opened: Opener) -> None:
    relays = opened(door=(DOOR, LONG_S))
    before = time.monotonic()
    relays.pulse("door")
    assert time.monotonic() - before < LONG_S / 2


def test_a_pulse_asked_for_again_while_it_lasts_is_no_longer(opened: Opener, lab: Pins) -> None:
    relays = opened(pins="auto", door=(DOOR, 3.0))
    relays.pulse("door")
    until = time.monotonic() + 1.5
    while (asked := time.monotonic()) < until:
        relays.pulse("door")
        last = asked
    _, off = lab.edges(DOOR, at_least=2, within_s=9)
    assert off.at < last + 3.0
    assert [edge.level for edge in lab.edges(DOOR)] == [1, 0]
    relays.pulse("door")
    assert [edge.level for edge in lab.edges(DOOR, at_least=4, within_s=9)] == [1, 0, 1, 0]


def test_each_relay_has_its_own_pulse(opened: Opener, lab: Pins) -> None:
    relays = opened(pins="auto", door=(DOOR, 0.05), gate=(GATE, LONG_S))
    relays.pulse("gate")
    relays.pulse("door")
    lab.edges(DOOR, at_least=2, within_s=9)
    assert lab.level(GATE) == 1


def test_closing_switches_off_in_the_middle_of_a_pulse(opened: Opener, lab: Pins) -> None:
    relays = opened(pins="auto", door=(DOOR, LONG_S))
    relays.pulse("door")
    relays.close()
    assert [edge.level for edge in lab.edges(DOOR)] == [1, 0]
    for timer in timers():
        timer.join(30)
    assert timers() == []
    relays.close()


def test_a_closed_relay_is_pulsed_no_more(opened: Opener) -> None:
    relays = opened(door=(DOOR, 1.0))
    relays.close()
    with pytest.raises(DeviceError, match='there is no relay "door"'):
        relays.pulse("door")


def test_the_pins_of_the_panel_serve_for_both(opened: Opener, lab: Pins) -> None:
    def nobody(at: float) -> None:
        pass

    callbacks: dict[str, Any] = {"on_press": nobody, "on_release": nobody, "on_hold": nobody}
    panel = open_panel(pins="auto", button=17, pull="up", light=[25], hold_s=5.0, **callbacks)
    relays = opened(pins="auto", factory=panel.factory, door=(DOOR, LONG_S))
    assert relays.facts == '"door" GPIO5, pins of the panel'
    relays.pulse("door")
    relays.close()
    assert lab.press() > 0  # the pins of the panel are still there
    panel.close()


def test_an_unknown_relay_is_refused_with_the_known_ones(opened: Opener) -> None:
    relays = opened(door=(DOOR, 1.0), gate=(GATE, 1.0))
    assert relays.facts == '"door" GPIO5, "gate" GPIO6, pins of gpiozero\'s mock'
    with pytest.raises(DeviceError, match='there is no relay "dor", expected one of: "door", "gate"'):
        relays.pulse("dor")


def test_without_pins_the_facts_say_why_and_so_does_a_pulse(opened: Opener) -> None:
    relays = opened(pins="none", door=(DOOR, 1.0))
    assert relays.facts == "no pins: the configuration says so"
    with pytest.raises(DeviceError, match="the configuration says so"):
        relays.pulse("door")
    assert opened(pins="lgpio").facts == "none"


@pytest.mark.parametrize(
    ("relays", "sentence"),
    [
        ({"door": (99, 1.0)}, 'relays "door" GPIO99: 99 is not a valid pin name'),
        ({"door": (DOOR, 1.0), "gate": (DOOR, 1.0)}, 'relays "door" GPIO5, "gate" GPIO5: pin GPIO5 is already in use'),
    ],
)
def test_impossible_wiring_is_refused_in_a_sentence(
    opened: Opener, relays: dict[str, tuple[int, float]], sentence: str
) -> None:
    factory = MockFactory()
    with pytest.raises(DeviceError, match=sentence):
        opened(factory=factory, **relays)
    opened(factory=factory, door=(DOOR, 1.0))  # what was claimed before is free again


def test_a_pin_that_cannot_be_switched_on_is_told_in_a_sentence(opened: Opener) -> None:
    factory = MockFactory(pin_class=WornPin)
    relays = opened(factory=factory, door=(DOOR, LONG_S))
    factory.pin(DOOR).refused = 1
    with pytest.raises(DeviceError, match='relay "door" on GPIO5 cannot be switched on: the chip is gone'):
        relays.pulse("door")
    factory.pin(DOOR).refused = None
    relays.pulse("door")
    assert factory.pin(DOOR).state == 1


def test_a_pin_that_cannot_be_switched_off_is_let_go(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    factory = MockFactory(pin_class=WornPin)
    relays = opened(factory=factory, door=(DOOR, 0.05))
    factory.pin(DOOR).refused = 0  # that it is off already is not asked again
    relays.pulse("door")
    with caplog.at_level(logging.ERROR):
        for timer in timers():
            timer.join(30)
    assert factory.pin(DOOR).function == "input"
    assert caplog.messages == ['relay "door" on GPIO5 is given up: the chip is gone']
    with pytest.raises(DeviceError, match="cannot be switched on"):
        relays.pulse("door")
