"""The lamp: what its two wires say is read off them bit by bit, as the LEDs do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgevoice.drivers import lamp as driver
from edgevoice.drivers.lamp import Lamp, frame, steps
from edgevoice.drivers.panel import Panel
from edgevoice.drivers.pins import find_pins
from edgevoice.errors import DeviceError
from edgevoice.light import BLACK, OFF, TURN_PATTERNS, WHITE, Pattern, Turn, rhythm
from tests.drivers.conftest import FakeLgpio, Opener, Raspberry
from tests.lab.apa102 import Led, Row, read, rows
from tests.lab.labgpio.pins import Pins

DATA, CLOCK, POWER, BUTTON = 5, 6, 13, 17
SPI = (10, 11)
LEDS = 3
EDGES = 2 * (32 + 32 * LEDS + 32 + 8)  # of the clock, for each frame
AMBER, CYAN = (1.0, 0.5, 0.0), (0.0, 1.0, 1.0)
DARK, LIT_AMBER, LIT_CYAN = (0, 0, 0), (255, 128, 0), (0, 255, 255)


@pytest.fixture(autouse=True)
def spi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the kernel would show its SPI. It is off, on a Raspberry Pi too, until somebody makes that file."""
    device = tmp_path / "spidev0.0"
    monkeypatch.setattr(driver, "SPI_DEVICE", device)
    return device


@pytest.fixture
def shown(opened: Opener, lab: Pins) -> Opener:
    """Open panels whose light is a row of LEDs, on pins that remember."""

    def make(**changes: Any) -> Panel:
        return opened(**({"pins": "auto", "light": [DATA, CLOCK], "leds": LEDS} | changes))

    return make


def seen(lab: Pins, *, at_least: int, pins: tuple[int, int] = (DATA, CLOCK)) -> list[Row]:
    clock = lab.edges(pins[1], at_least=at_least * EDGES, within_s=9)
    return read(lab.edges(pins[0]), clock)


def colors(found: list[Row]) -> list[tuple[int, ...]]:
    """Return the one colour of each row."""
    for row in found:
        assert len(row.leds) == LEDS
        assert len(set(row.leds)) == 1, "all LEDs show the same"
    return [row.leds[0][1:] for row in found]


# -------------------------------------------------------------------------------------------- what is on the wires


def test_every_led_is_told_the_colour_and_the_dark_before_it(shown: Opener, lab: Pins) -> None:
    shown().show(Pattern("steady", AMBER))
    assert colors(seen(lab, at_least=2)) == [DARK, LIT_AMBER]


def test_no_led_is_told_to_be_so_bright_that_it_takes_more_than_15_milliamperes(shown: Opener, lab: Pins) -> None:
    shown().show(Pattern("steady", WHITE))
    told = [led.brightness for row in seen(lab, at_least=2) for led in row.leds]
    assert all(0 < brightness * 60 / 31 < 16 for brightness in told)


@pytest.mark.parametrize("leds", [1, 3, 12, 16, 17, 32])
def test_a_frame_is_long_enough_for_the_last_led_of_the_row(leds: int) -> None:
    bits = [(0.0, int(bit)) for byte in frame(CYAN, leds) for bit in f"{byte:08b}"]
    [row] = rows(bits)
    assert row.leds == (Led(driver.BRIGHTNESS, *LIT_CYAN),) * leds
    assert row.zeros_after >= 32 + leds / 2, "a clone shows it after 32 more, and each LED is half a clock late"


def test_a_blinking_row_is_on_and_off_for_as_long_as_the_pattern_says(shown: Opener, lab: Pins) -> None:
    shown().show(Pattern("flashes", CYAN, 0.02, 0.04))
    found = seen(lab, at_least=6)[1:]
    assert colors(found)[:5] == [LIT_CYAN, DARK, LIT_CYAN, DARK, LIT_CYAN]
    lasted = [after.at - before.at for before, after in pairwise(found)]
    assert all(on_s > 0.019 and off_s > 0.039 for on_s, off_s in zip(lasted[0:4:2], lasted[1:4:2], strict=True))


def test_pins_that_we_clock_do_not_fade_and_are_lit_for_as_long_as_a_pulse(shown: Opener, lab: Pins) -> None:
    shown().show(Pattern("pulse", CYAN, 0.01, 0.01, 0.04))
    found = seen(lab, at_least=4)
    assert colors(found)[:4] == [DARK, LIT_CYAN, DARK, LIT_CYAN]
    assert found[2].at - found[1].at > 0.089


def test_nothing_is_sent_while_a_colour_stays(shown: Opener, lab: Pins) -> None:
    shown().show(Pattern("steady", CYAN))
    seen(lab, at_least=2)
    with pytest.raises(ValueError, match=f"changed {2 * EDGES} times"):
        lab.edges(CLOCK, at_least=2 * EDGES + 1, within_s=0.3)


def test_what_is_asked_for_last_is_shown_at_once_and_in_the_end(shown: Opener, lab: Pins) -> None:
    panel = shown()
    panel.show(Pattern("a flash", CYAN, 60.0, 60.0))
    seen(lab, at_least=2)
    panel.show(Pattern("steady", AMBER))
    assert colors(seen(lab, at_least=3)) == [DARK, LIT_CYAN, LIT_AMBER]


def test_a_closed_lamp_is_dark_whatever_it_showed_and_its_pins_are_free(shown: Opener, lab: Pins) -> None:
    panel = shown(power=POWER)
    panel.show(TURN_PATTERNS[Turn.HEARING])
    seen(lab, at_least=2)
    pins = [panel.factory.pin(pin) for pin in (DATA, CLOCK, POWER)]
    panel.close()
    panel.close()
    panel.show(Pattern("steady", AMBER))
    assert colors(seen(lab, at_least=3))[-1] == DARK
    assert [pin.function for pin in pins] == ["input"] * 3


def test_the_supply_is_on_before_the_first_word_to_the_leds(shown: Opener, lab: Pins) -> None:
    shown(power=POWER)
    [on] = lab.edges(POWER)
    assert on.level == 1
    assert on.at < lab.edges(CLOCK)[0].at


# ------------------------------------------------------------------------------------------------------ the steps


def test_a_steady_colour_is_one_step_without_an_end() -> None:
    assert steps(OFF, fades=True) == [(BLACK, None)]


@pytest.mark.parametrize("fades", [True, False])
@pytest.mark.parametrize("turn", [Turn.THINKING, Turn.SPEAKING, Turn.HEARING])
def test_the_steps_last_as_long_as_the_rhythm(turn: Turn, fades: bool) -> None:
    shown = TURN_PATTERNS[turn]
    on_s, off_s, fade_s = rhythm(shown, fades=fades)
    found = steps(shown, fades=fades)
    assert sum(for_s or 0.0 for _, for_s in found) == pytest.approx(on_s + off_s + 2 * fade_s)
    assert (shown.rgb, on_s) in found
    assert found[-1] == (BLACK, off_s)


def test_a_pulse_rises_and_falls_evenly() -> None:
    pulse = steps(Pattern("pulse", CYAN, 0.1, 0.2, 0.16), fades=True)
    assert [round(blue, 3) for (_, _, blue), _ in pulse] == [0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2, 0]


# -------------------------------------------------------------------------------------------------------- the SPI


@pytest.fixture
def on_spi(raspberry: Raspberry, spi: Path) -> Iterator[tuple[Lamp, FakeLgpio]]:
    """A lamp at the SPI of a Raspberry Pi, by gpiozero's own driver for lgpio."""
    lgpio = FakeLgpio()
    raspberry(lgpio)
    spi.touch()
    factory, _ = find_pins("auto")
    lamp = Lamp(SPI, leds=LEDS, power=-1, factory=factory)
    yield lamp, lgpio
    lamp.close()
    factory.close()
    assert lgpio.spi is None


def told(lgpio: FakeLgpio) -> tuple[int, ...]:
    """Wait for the next frame that is sent, and return its colour."""
    bits = [(0.0, int(bit)) for byte in lgpio.sent.get(timeout=9) for bit in f"{byte:08b}"]
    [color] = colors(rows(bits))
    return color


def test_at_the_pins_of_the_spi_the_spi_sends_whole_frames(on_spi: tuple[Lamp, FakeLgpio]) -> None:
    lamp, lgpio = on_spi
    lamp.show(Pattern("steady", AMBER))
    assert lgpio.spi == (0, 0, 500_000, 0), "mode 0: the LEDs take a bit when the clock rises"
    assert [told(lgpio), told(lgpio)] == [DARK, LIT_AMBER]


def test_the_spi_lets_a_pulse_fade(on_spi: tuple[Lamp, FakeLgpio]) -> None:
    lamp, lgpio = on_spi
    lamp.show(Pattern("pulse", CYAN, 0.01, 9, 0.16))
    assert [told(lgpio)[2] for _ in range(11)] == [0, 51, 102, 153, 204, 255, 204, 153, 102, 51, 0]


def test_leds_that_fail_are_told_once_and_show_again_when_they_can(
    on_spi: tuple[Lamp, FakeLgpio], caplog: pytest.LogCaptureFixture
) -> None:
    lamp, lgpio = on_spi
    assert told(lgpio) == DARK
    lgpio.trouble = "SPI transfer failed"
    lamp.show(Pattern("flashes", CYAN, 0.001, 0.001))
    for _ in range(5):
        told(lgpio)
    assert [record.message for record in caplog.records] == [
        "the light cannot be set: SPI transfer failed; expected LEDs whose pins are still ours"
    ]
    lgpio.trouble = ""
    lamp.show(Pattern("steady", AMBER))
    while told(lgpio) != LIT_AMBER:
        pass


def test_without_the_spi_its_pins_are_clocked_and_the_facts_say_what_would_be_nicer(shown: Opener, lab: Pins) -> None:
    panel = shown(light=list(SPI))
    panel.show(Pattern("steady", CYAN))
    assert colors(seen(lab, at_least=2, pins=SPI)) == [DARK, LIT_CYAN]
    assert panel.facts == (
        f"button GPIO{BUTTON}, light GPIO10+GPIO11 "
        "(3 APA102 without fades, as these need dtparam=spi=on in config.txt), pins of lab"
    )


def test_an_spi_that_belongs_to_others_is_not_taken_from_them(
    shown: Opener, spi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spi.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DeviceError, match=r"spidev0\.0 may not be used by this user; expected one in the group spi"):
        shown(light=list(SPI))


# ------------------------------------------------------------------------------------------------ what cannot be had


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"light": [DATA, BUTTON]}, f"light GPIO5\\+GPIO17: pin GPIO{BUTTON} is already in use"),
        ({"power": DATA}, f"light GPIO5\\+GPIO6: pin GPIO{DATA} is already in use"),
    ],
)
def test_pins_that_are_taken_are_refused_and_none_is_kept(
    shown: Opener, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DeviceError, match=sentence):
        shown(**changes)
    shown(power=POWER)


def test_the_facts_name_the_row(shown: Opener) -> None:
    assert shown().facts == "button GPIO17, light GPIO5+GPIO6 (3 APA102 without fades), pins of lab"
