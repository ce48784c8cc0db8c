"""The panel: its button reports at once, its light keeps a rhythm, and missing pins are told in a sentence."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import gpiozero.pins.local
import pytest
from gpiozero import Device
from gpiozero.exc import PinUnknownPi
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from edgevoice.contact import RELEASE_S
from edgevoice.drivers import panel as driver
from edgevoice.drivers import pins as pins_driver
from edgevoice.drivers.panel import Panel
from edgevoice.errors import DeviceError
from edgevoice.light import BOX_PATTERNS, OFF, TURN_PATTERNS, Pattern, Turn, rhythm
from tests.drivers.conftest import BUTTON, LED, FakeLgpio, Opener, Raspberry
from tests.lab.labgpio.pins import Pins

RGB = (22, 23, 24)
RED, AMBER, CYAN = (1.0, 0.0, 0.0), (1.0, 0.5, 0.0), (0.0, 1.0, 1.0)
STEADY = Pattern("steady", RED)


def button(panel: Panel) -> MockPWMPin:
    return panel.factory.pin(BUTTON)


def watchers() -> list[threading.Thread]:
    """Return the threads that watch a button, after those of closed ones have had the time to end."""
    found = [thread for thread in threading.enumerate() if thread.name == "button"]
    for thread in found:
        thread.join(10)
    return [thread for thread in found if thread.is_alive()]


class Told:
    """What a panel tells, in order, and the wait for it: what follows an edge too quickly is told a little later."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.moments: list[float] = []
        self._new = threading.Condition()

    def callbacks(self) -> dict[str, Callable[[float], None]]:
        return {f"on_{what}": partial(self._hear, what) for what in ("press", "release", "hold")}

    def _hear(self, what: str, at: float) -> None:
        with self._new:
            self.said.append(what)
            self.moments.append(at)
            self._new.notify_all()

    def until(self, count: int) -> list[str]:
        """Return what was told, once it is so much; after 30 s whatever it is."""
        with self._new:
            self._new.wait_for(lambda: len(self.said) >= count, 30)
            return list(self.said)

    def until_up(self) -> list[str]:
        """Return what was told, once the last of it is a release; after 30 s whatever it is."""
        with self._new:
            self._new.wait_for(lambda: self.said[-1:] == ["release"], 30)
            return list(self.said)


# ----------------------------------------------------------------------------------------------- the button


def test_a_press_and_a_release_are_told_with_their_moment(opened: Opener) -> None:
    told = Told()
    panel = opened(**told.callbacks())
    before = time.monotonic()
    button(panel).drive_low()
    assert told.said == ["press"]
    button(panel).drive_high()
    assert told.until(2) == ["press", "release"]
    assert before <= told.moments[0] <= told.moments[1] <= time.monotonic()


def test_a_button_to_the_supply_is_pressed_by_a_high_level(opened: Opener) -> None:
    presses: list[float] = []
    panel = opened(pull="down", on_press=presses.append)
    button(panel).drive_high()
    assert len(presses) == 1


def test_a_bouncing_contact_is_told_at_its_first_edge_and_then_when_it_rests(opened: Opener) -> None:
    told = Told()
    panel = opened(**told.callbacks())
    button(panel).drive_low()
    assert told.said == ["press"]
    for _ in range(3):
        button(panel).drive_high()
        button(panel).drive_low()
    button(panel).drive_high()
    assert told.until(2) == ["press", "release"]


def test_a_contact_that_bounces_and_stays_down_is_a_press_and_nothing_else(opened: Opener) -> None:
    told = Told()
    panel = opened(hold_s=0.1, **told.callbacks())
    for _ in range(3):
        button(panel).drive_low()
        button(panel).drive_high()
    button(panel).drive_low()
    assert told.until(2) == ["press", "hold"]
    assert told.moments[1] - told.moments[0] >= 0.1


@pytest.mark.parametrize("pins", ["mock", "auto"])
def test_a_wet_cable_starts_no_thread_and_is_told_as_one_press(opened: Opener, lab: Pins, pins: str) -> None:
    told = Told()
    panel = opened(pins=pins, hold_s=0.5, **told.callbacks())
    threads = threading.active_count()
    edges, rests, longest = 0, 0, threads
    began = edge_at = time.monotonic()
    while edges < 1000 or time.monotonic() < began + 1:
        for drive in (button(panel).drive_low, button(panel).drive_high):
            drive()
            rests += (at := time.monotonic()) - edge_at > RELEASE_S / 2  # on a machine that does other things
            edge_at, edges = at, edges + 1
        longest = max(longest, threading.active_count())
    assert longest == threads
    said = told.until_up()
    assert (said[0], said[-1]) == ("press", "release")
    assert "hold" not in said
    assert len(said) <= 2 + 2 * rests


def test_a_button_that_stays_down_is_told_as_held_once(opened: Opener) -> None:
    told = Told()
    panel = opened(hold_s=0.05, **told.callbacks())
    button(panel).drive_low()
    assert told.until(2) == ["press", "hold"]
    button(panel).drive_high()
    assert told.until(3) == ["press", "hold", "release"]


class ShortedPin(MockPin):  # type: ignore[misc]
    """A pin with a button that is down, whatever pulls at it."""

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        self._change_state(False)


def test_a_button_that_is_down_from_the_start_is_no_press_and_not_held(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    factory = MockFactory(pin_class=ShortedPin)
    monkeypatch.setattr(driver, "find_pins", lambda pins: (factory, "a short circuit"))
    panel = opened(hold_s=0.01, light=[], **told.callbacks())
    button(panel).drive_high()
    assert told.until(1) == ["release"]
    button(panel).drive_low()
    assert told.until(3) == ["release", "press", "hold"]


def test_a_button_that_is_lifted_in_time_was_not_held(opened: Opener) -> None:
    told = Told()
    panel = opened(hold_s=0.1, **told.callbacks())
    button(panel).drive_low()
    button(panel).drive_high()
    assert told.until(2) == ["press", "release"]
    panel.close()
    assert watchers() == []
    assert told.said == ["press", "release"]


def test_the_panel_closes_at_once_even_with_a_finger_on_the_button(opened: Opener) -> None:
    panel = opened(hold_s=60.0)
    button(panel).drive_low()
    before = time.monotonic()
    panel.close()
    assert time.monotonic() - before < 30
    assert watchers() == []


def test_a_mistake_in_a_callback_is_reported_and_the_button_still_works(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(str(args.exc_value)))
    told = Told()

    def stumble(at: float) -> None:
        raise ValueError("the loop is closed")

    panel = opened(**{**told.callbacks(), "on_press": stumble})
    button(panel).drive_low()
    button(panel).drive_high()
    assert told.until(1) == ["release"]
    assert reported == ["the loop is closed"]


# ------------------------------------------------------------------------------------------------ the light


def test_one_led_shows_any_colour_as_fully_on(opened: Opener) -> None:
    panel = opened()
    panel.show(Pattern("steady", AMBER))
    assert panel.factory.pin(LED).state == 1
    panel.show(OFF)
    assert panel.factory.pin(LED).state == 0


def test_three_leds_show_the_colour(opened: Opener) -> None:
    panel = opened(light=RGB)
    panel.show(Pattern("steady", AMBER))
    assert [panel.factory.pin(pin).state for pin in RGB] == [1, 0.5, 0]


def test_pins_that_only_switch_show_the_nearest_colour(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    panel = opened(pins="auto", light=RGB)
    panel.show(Pattern("steady", AMBER))
    assert [panel.factory.pin(pin).state for pin in RGB] == [True, True, False]


def test_a_blinking_light_is_on_and_off_for_as_long_as_the_pattern_says(opened: Opener, lab: Pins) -> None:
    panel = opened(pins="auto")
    panel.show(Pattern("flashes", RED, 0.02, 0.04))
    edges = lab.edges(LED, at_least=5, within_s=9)
    assert [edge.level for edge in edges[:5]] == [1, 0, 1, 0, 1]
    lasted = [after.at - before.at for before, after in pairwise(edges)]
    assert all(on_s > 0.019 and off_s > 0.039 for on_s, off_s in zip(lasted[0:4:2], lasted[1:4:2], strict=True))


def test_a_pulse_rises_and_falls_in_steps(opened: Opener, lab: Pins) -> None:
    panel = opened(pins="auto")
    panel.show(Pattern("pulse", RED, 0.01, 9, 0.2))
    levels = [round(edge.level, 3) for edge in lab.edges(LED, at_least=10, within_s=9)]
    assert levels == [0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2, 0]


def test_a_colour_blinks_as_one(opened: Opener, lab: Pins) -> None:
    panel = opened(pins="auto", light=RGB)
    panel.show(Pattern("flash", CYAN, 0.02, 9))
    lab.edges(RGB[2], at_least=2, within_s=9)
    assert [[edge.level for edge in lab.edges(pin)] for pin in RGB] == [[], [1, 0], [1, 0]]


def test_showing_what_shows_already_does_not_restart_the_rhythm(opened: Opener, lab: Pins) -> None:
    panel = opened(pins="auto")
    panel.show(Pattern("a flash", RED, 0.01, 9))
    lab.edges(LED, at_least=2, within_s=9)
    panel.show(Pattern("a flash", RED, 0.01, 9))
    panel.show(OFF)
    assert [edge.level for edge in lab.edges(LED)] == [1, 0]


@pytest.mark.parametrize("fades", [True, False])
def test_the_rhythm_alone_tells_whether_the_microphone_may_be_open(fades: bool) -> None:
    def seen(pattern: Pattern) -> tuple[float, ...]:
        return () if pattern.steady else tuple(round(part_s, 6) for part_s in rhythm(pattern, fades=fades))

    shown = [pattern for pattern in {*BOX_PATTERNS.values(), *TURN_PATTERNS.values()} if pattern != OFF]
    opens = [seen(pattern) for pattern in shown if pattern.microphone]
    closed = [seen(pattern) for pattern in shown if not pattern.microphone]
    assert len(set(opens)) == len(opens)
    assert not set(opens) & set(closed)


def test_a_pin_that_cannot_fade_is_on_for_as_long_as_the_pulse_is_lit() -> None:
    pulse = Pattern("pulse", RED, on_s=0.5, off_s=0.25, fade_s=1.0)
    assert rhythm(pulse, fades=True) == (0.5, 0.25, 1.0)
    assert rhythm(pulse, fades=False) == (2.5, 0.25, 0.0)


def test_a_closed_panel_is_dark_has_freed_its_pins_and_ignores_what_comes(opened: Opener) -> None:
    presses: list[float] = []
    panel = opened(on_press=presses.append)
    led, switch = panel.factory.pin(LED), button(panel)
    panel.show(TURN_PATTERNS[Turn.THINKING])
    panel.close()
    panel.close()
    panel.show(STEADY)
    switch.drive_low()
    assert (led.state, led.function, presses) == (0, "input", [])


# ------------------------------------------------------------------------------------- which pins, and none


def test_gpiozeros_global_pins_stay_untouched(opened: Opener) -> None:
    opened()
    assert Device.pin_factory is None


def test_without_pins_everything_works_and_the_facts_say_why(opened: Opener) -> None:
    panel = opened(pins="none")
    panel.show(STEADY)
    panel.close()
    assert panel.facts == "no pins: the configuration says so"


def test_the_facts_name_the_wiring(opened: Opener) -> None:
    assert opened(light=RGB).facts == "button GPIO17, light GPIO22+GPIO23+GPIO24, pins of gpiozero's mock"
    assert opened(light=[]).facts == "button GPIO17, light none, pins of gpiozero's mock"


def test_a_box_without_a_button_has_its_light(opened: Opener) -> None:
    panel = opened(button=-1)
    panel.show(STEADY)
    assert panel.factory.pin(LED).state == 1
    assert panel.facts == "button none, light GPIO25, pins of gpiozero's mock"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"button": 99}, "button GPIO99, light GPIO25: 99 is not a valid pin name"),
        ({"light": [BUTTON]}, "button GPIO17, light GPIO17: pin GPIO17 is already in use"),
        ({"light": [22, 23, 24, 25]}, "the light has 4 pins, expected one, two for data and clock, or three"),
        ({"pins": "rpi"}, 'pins are "rpi", expected auto, lgpio, mock or none'),
    ],
)
def test_impossible_wiring_is_refused_in_a_sentence(opened: Opener, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        opened(**changes)


def test_an_unknown_name_in_the_environment_is_refused_with_the_known_ones(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpoi")
    with pytest.raises(DeviceError, match=r'"lgpoi", expected one of .*lgpio'):
        opened(pins="auto")


def test_a_machine_without_a_gpio_chip_has_no_pins(
    opened: Opener, raspberry: Raspberry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    raspberry(None)
    monkeypatch.setattr(pins_driver, "GPIO_CHIPS", str(tmp_path / "nothing*"))
    assert opened(pins="auto").facts == f"no pins: this machine has no {tmp_path}/nothing*"


def test_a_raspberry_without_lgpio_has_no_pins_and_says_which_package(opened: Opener, raspberry: Raspberry) -> None:
    raspberry(None)
    assert "python3-lgpio" in opened(pins="auto").facts


@pytest.mark.parametrize("lgpio", [None, ModuleType("lgpio")], ids=["missing", "empty package"])
def test_lgpio_that_was_asked_for_but_is_not_there_is_an_error(
    opened: Opener, raspberry: Raspberry, lgpio: ModuleType | None
) -> None:
    raspberry(lgpio)
    with pytest.raises(DeviceError, match="python3-lgpio"):
        opened(pins="lgpio")


@pytest.mark.parametrize("trouble", ["can not open gpiochip", "GPIO busy"])
def test_pins_that_cannot_be_claimed_are_an_error_that_says_what_to_do(
    opened: Opener, raspberry: Raspberry, trouble: str
) -> None:
    lgpio = FakeLgpio(trouble)
    raspberry(lgpio)
    with pytest.raises(DeviceError, match=f"{trouble}.*group gpio"):
        opened(pins="auto")
    assert lgpio.open_chips == []


def test_a_computer_with_a_gpio_chip_that_is_no_raspberry_has_no_pins(
    opened: Opener, raspberry: Raspberry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> int:
        raise PinUnknownPi

    raspberry(FakeLgpio(""))
    monkeypatch.setattr(gpiozero.pins.local, "get_pi_revision", unknown)
    assert opened(pins="auto").facts == "no pins: this is no Raspberry Pi"


# --------------------------------------------------------------------------------------- in another process

PROGRAM = """
import sys
from edgevoice.drivers.panel import open_panel
from edgevoice.light import OFF, TURN_PATTERNS, Turn

panel = open_panel(
    pins="auto", button=17, pull="up", light=[25], hold_s=9.0,
    on_press=lambda at: panel.show(TURN_PATTERNS[Turn.LISTENING]),
    on_release=lambda at: panel.show(OFF), on_hold=lambda at: None,
)
print(panel.facts, flush=True)
sys.stdin.readline()
panel.close()
print("closed", flush=True)
sys.stdin.readline()
"""


def test_a_panel_in_another_process_is_pressed_and_read(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM]
    with Pins(tmp_path / "pins") as pins:
        root = str(Path(driver.__file__).parents[2])
        environment = pins.env()
        environment["PYTHONPATH"] += f":{root}"
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            assert program.stdout.readline() == "button GPIO17, light GPIO25, pins of lab\n"
            pressed = pins.press()
            assert pins.level(LED) == 1
            pins.release()
            pins.wait(LED, 0, 5)
            pins.press()
            pins.wait(LED, 1, 5)
            program.stdin.write("close\n")
            program.stdin.flush()
            assert program.stdout.readline() == "closed\n"
            edges = pins.edges(LED)
            assert [edge.level for edge in edges] == [1, 0, 1, 0]
            assert pressed < edges[0].at < edges[1].at
            program.communicate("end\n")
        assert program.returncode == 0
