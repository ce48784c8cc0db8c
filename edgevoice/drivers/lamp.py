"""A row of APA102 LEDs (DotStar) on two wires, data and clock: all of them show one colour, and keep its rhythm.

    show(Pattern) -> steps: colour, seconds -> the lamp's own thread -> frame -> SPI, or two pins that we clock

The thread sleeps until the next step, so a steady colour is sent once. LEDs keep what they were told, whatever becomes
of this program: they are told to be dark when a lamp is opened and when it is closed.

A pin that this program clocks by itself costs it some hundred calls a frame, so such a lamp switches and does not fade.

Source: APA102 data sheet: 32 bits 0, then for each LED 111, 5 bits of brightness, 8 of blue, green and red, and in the
end half a clock for each LED. SK9822 are sold as APA102 and show a colour only after 32 more bits 0: cpldcpu.com,
"SK9822 - a clone of the APA102?".
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from edgevoice.drivers.pins import pin_errors
from edgevoice.errors import DeviceError
from edgevoice.light import BLACK, Color, Pattern, rhythm

BRIGHTNESS = 8  # of 31: nobody is dazzled, and an LED takes 15 mA at most instead of 60
FADE_STEP_S = 0.04
SPI_PINS, SPI_SELECT = (10, 11), 8  # BCM: data and clock; what the SPI wants to select, and no LED looks at
SPI_DEVICE = Path("/dev/spidev0.0")  # there when config.txt has dtparam=spi=on

_log = logging.getLogger(__name__)

Steps = Sequence[tuple[Color, float | None]]  # seconds; None: until something else is asked


class Lamp:
    """A row of LEDs that can be told a pattern, from any thread. `facts` says how they are reached."""

    def __init__(self, pins: Sequence[int], *, leds: int, power: int, factory: Any) -> None:
        """Claim the pins (BCM) of data and clock, and `power`, which switches the LEDs on; -1: nothing does.

        Raises DeviceError, or one of `pin_errors`.
        """
        self._leds = leds
        self._failed = False
        with ExitStack() as claimed:
            if power >= 0:
                from gpiozero import OutputDevice

                claimed.callback(OutputDevice(power, initial_value=True, pin_factory=factory).close)
            self._bus = _open_bus(pins, factory)
            claimed.callback(self._bus.close)
            self._bus.transfer(frame(BLACK, leds))
            self._claimed = claimed.pop_all()
        self._fades = not isinstance(self._bus, _TwoPins)
        self.facts = f"{leds} APA102 {'by SPI' if self._fades else 'without fades'}{_spi_wanted(pins)}"
        self._asked: SimpleQueue[Steps | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="lamp", daemon=True)
        self._thread.start()

    def show(self, pattern: Pattern) -> None:
        """Show `pattern` until the next call. Returns at once."""
        self._asked.put(steps(pattern, fades=self._fades))

    def close(self) -> None:
        """Turn the LEDs off and free the pins."""
        self._asked.put(None)
        self._thread.join()
        self._claimed.close()

    def _run(self) -> None:
        asked = self._asked.get()
        while asked is not None:
            asked = self._play(asked)
        self._send(BLACK)

    def _play(self, shown: Steps) -> Steps | None:
        """Go through the steps again and again; return what is asked for then."""
        while True:
            for color, for_s in shown:
                self._send(color)
                with suppress(Empty):
                    return self._asked.get(timeout=for_s)

    def _send(self, color: Color) -> None:
        """Send one frame. What fails is told once, and tried again with the next colour."""
        try:
            self._bus.transfer(frame(color, self._leds))
        except pin_errors() as error:
            if not self._failed:
                _log.error("the light cannot be set: %s; expected LEDs whose pins are still ours", error)
            self._failed = True


def frame(color: Color, leds: int) -> bytes:
    """Return what lets so many LEDs show a colour: red, green and blue, each 0 to 1."""
    red, green, blue = (round(255 * part) for part in color)
    one = bytes([0b111_00000 | BRIGHTNESS, blue, green, red])
    return bytes(4) + leds * one + bytes(4 + (leds + 15) // 16)


def steps(pattern: Pattern, *, fades: bool) -> Steps:
    """Return what to show, and for how long, over and over."""
    if pattern.steady:
        return [(pattern.rgb, None)]
    on_s, off_s, fade_s = rhythm(pattern, fades=fades)
    count = round(fade_s / FADE_STEP_S)
    red, green, blue = pattern.rgb
    levels = [n / (count + 1) for n in range(1, count + 1)]
    up = [((red * level, green * level, blue * level), fade_s / count) for level in levels]
    return [*up, (pattern.rgb, on_s), *reversed(up), (BLACK, off_s)]


def spi_is_off(pins: Sequence[int]) -> bool:
    """Tell whether these are the pins of the SPI, and it is not there to be used."""
    return tuple(pins) == SPI_PINS and not SPI_DEVICE.exists()


def _spi_wanted(pins: Sequence[int]) -> str:
    return ", as these need dtparam=spi=on in config.txt" if spi_is_off(pins) else ""


class _Bus(Protocol):
    def transfer(self, data: bytes) -> object:
        """Send bytes, the highest bit first."""

    def close(self) -> None:
        """Free the pins."""


def _open_bus(pins: Sequence[int], factory: Any) -> _Bus:
    data, clock = pins
    if tuple(pins) != SPI_PINS or not SPI_DEVICE.exists():
        return _TwoPins(data, clock, factory)
    if not os.access(SPI_DEVICE, os.R_OK | os.W_OK):  # gpiozero would take the pins from the SPI
        raise DeviceError(f"{SPI_DEVICE} may not be used by this user; expected one in the group spi")
    bus: _Bus = factory.spi(clock_pin=clock, mosi_pin=data, miso_pin=None, select_pin=SPI_SELECT)
    return bus


class _TwoPins:
    """Two pins as a bus. gpiozero's own software SPI wants a third one, which may be somebody else's."""

    def __init__(self, data: int, clock: int, factory: Any) -> None:
        from gpiozero import OutputDevice

        with ExitStack() as claimed:
            self._data = OutputDevice(data, pin_factory=factory)
            claimed.callback(self._data.close)
            self._clock = OutputDevice(clock, pin_factory=factory)
            claimed.callback(self._clock.close)
            self._claimed = claimed.pop_all()

    def transfer(self, data: bytes) -> None:
        """Send bytes. The LEDs take a bit when the clock rises."""
        line, clock = self._data.pin, self._clock.pin
        sent = None
        for byte in data:
            for place in range(7, -1, -1):
                bit = byte >> place & 1
                if bit != sent:
                    line.state = sent = bit
                clock.state = 1
                clock.state = 0

    def close(self) -> None:
        """Free the pins."""
        self._claimed.close()
