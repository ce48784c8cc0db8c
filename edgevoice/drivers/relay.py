"""Relays on gpiozero that are switched on for a moment, to open a door.

A pulse ends by itself, on a thread of its own, so whoever asks for it need not wait. It is never longer than was
configured: asked for again while it lasts, it ends when it would have ended. What a killed program left on is switched
off by `left_open`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from edgevoice.drivers.pins import find_pins, pin_errors
from edgevoice.errors import DeviceError

_log = logging.getLogger(__name__)


def open_relays(*, pins: str, relays: Mapping[str, tuple[int, float]], factory: Any = None) -> Relays:
    """Claim the pins and switch them off; `relays` is the pin (BCM) and the seconds of a pulse, by name.

    `pins` is that of `open_panel`. `factory` is the panel's, where it has one: then it is used and left open, so close
    the relays before the panel. Raises DeviceError when a pin cannot be had. Without relays no pin is looked for.
    """
    if not relays:
        return Relays(facts="none")
    with ExitStack() as claimed:
        wiring = ", ".join(f'"{name}" GPIO{pin}' for name, (pin, _) in relays.items())
        source = "the panel"
        try:
            if factory is None:
                factory, source = find_pins(pins)
                if factory is None:
                    return Relays(facts=f"no pins: {source}")
                claimed.callback(factory.close)
            opened = {}
            for name, (pin, pulse_s) in relays.items():
                opened[name] = _Relay(name, pin, pulse_s, factory)
                claimed.callback(opened[name].close)
        except pin_errors() as error:
            raise DeviceError(
                f"relays {wiring}: {error}; "
                "expected free pins and a user in the group gpio (gpioinfo tells who holds a pin)"
            ) from error
        return Relays(facts=f"{wiring}, pins of {source}", relays=opened, claimed=claimed.pop_all())


class Relays:
    """Relays that can be pulsed by name, from any thread; there may be none, `facts` says so."""

    def __init__(
        self, *, facts: str, relays: Mapping[str, _Relay] | None = None, claimed: ExitStack | None = None
    ) -> None:
        self.facts = facts
        self.claimed = bool(relays)  # there are some, and their pins were ours
        self._relays = dict(relays or {})
        self._claimed = claimed or ExitStack()

    def pulse(self, name: str) -> None:
        """Switch the relay on, and off again after its time. Raises DeviceError when it cannot."""
        if name not in self._relays:
            here = ", ".join(f'"{known}"' for known in self._relays) or self.facts
            raise DeviceError(f'there is no relay "{name}", expected one of: {here}')
        self._relays[name].pulse()

    def close(self) -> None:
        """Switch all off and free the pins. Calling it again does nothing."""
        self._relays = {}
        self._claimed.close()


class _Relay:
    """One pin and the pulse that runs on it."""

    def __init__(self, name: str, pin: int, pulse_s: float, factory: Any) -> None:
        self._name, self._pin, self._pulse_s = name, pin, pulse_s
        from gpiozero import OutputDevice

        self._device = OutputDevice(pin, initial_value=False, pin_factory=factory)
        self._turn = threading.Lock()  # of whoever asks, and of the timer
        self._running: threading.Timer | None = None

    def pulse(self) -> None:
        with self._turn:
            if self._running is not None:
                return
            timer = threading.Timer(self._pulse_s, self._release)
            timer.daemon = True
            timer.start()  # first: what cannot be switched off in time must not be switched on
            try:
                self._device.on()
            except pin_errors() as error:
                timer.cancel()
                self._switch_off()
                raise DeviceError(
                    f'relay "{self._name}" on GPIO{self._pin} cannot be switched on: {error}; '
                    "expected a pin that is still ours (gpioinfo tells who holds it)"
                ) from error
            self._running = timer

    def _release(self) -> None:
        with self._turn:
            self._running = None
            self._switch_off()

    def _switch_off(self) -> None:
        try:
            self._device.off()
        except pin_errors() as error:
            _log.error('relay "%s" on GPIO%d is given up: %s', self._name, self._pin, error)
            self._device.close()  # a pin that is let go is an input, which drives nothing

    def close(self) -> None:
        with self._turn:
            if self._running is not None:
                self._running.cancel()
                self._running = None
            if not self._device.closed:
                self._switch_off()
            self._device.close()
