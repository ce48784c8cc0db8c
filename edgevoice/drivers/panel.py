"""The button and the light of the box, on gpiozero.

gpiozero watches the button on threads of its own. They do nothing here but call what `open_panel` was given, at the
first edge itself and without waiting for bounces to end: a press may have to stop a voice. The bounces are not told,
but what they came to. The light is told a `Pattern` and keeps its rhythm by itself until it is told another.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any

from edgevoice.contact import RELEASE_S
from edgevoice.drivers.lamp import Lamp
from edgevoice.drivers.pins import find_pins, pin_errors
from edgevoice.errors import DeviceError
from edgevoice.light import Pattern, rhythm


def open_panel(
    *,
    pins: str,
    button: int,
    pull: str,
    light: Sequence[int],
    hold_s: float,
    on_press: Callable[[float], None],
    on_release: Callable[[float], None],
    on_hold: Callable[[float], None],
    leds: int = 1,
    power: int = -1,
) -> Panel:
    """Claim the pins (BCM numbers) and report the button from now on, -1: none; `pull` is "up" or "down".

    `pins` is auto, lgpio, mock or none; auto obeys GPIOZERO_PIN_FACTORY and makes do without pins where there are none.
    `light` is one pin, or three for red, green, blue, or two for data and clock of so many `leds` (APA102), which the
    pin `power` switches on unless it is -1; or empty. The callbacks get the moment (monotonic seconds), are called on
    foreign threads, and must neither wait nor raise. Raises DeviceError when the pins cannot be had.
    """
    with ExitStack() as claimed:
        pressed, lit = "none" if button < 0 else f"GPIO{button}", "+".join(f"GPIO{pin}" for pin in light) or "none"
        wiring = f"button {pressed}, light {lit}"
        try:
            factory, source = find_pins(pins)
            if factory is None:
                return Panel(facts=f"no pins: {source}")
            claimed.callback(factory.close)
            if button >= 0:
                claimed.callback(_Button(button, pull, hold_s, factory, on_press, on_release, on_hold).close)
            lamp: _Light | Lamp | None = None
            if light:
                two_wires = len(light) == 2
                lamp = Lamp(light, leds=leds, power=power, factory=factory) if two_wires else _Light(light, factory)
                claimed.callback(lamp.close)
        except pin_errors() as error:
            raise DeviceError(
                f"{wiring}: {error}; expected free pins and a user in the group gpio (gpioinfo tells who holds a pin)"
            ) from error
        if isinstance(lamp, Lamp):
            wiring = f"{wiring} ({lamp.facts})"
        return Panel(facts=f"{wiring}, pins of {source}", factory=factory, light=lamp, claimed=claimed.pop_all())


class Panel:
    """A button that reports itself and a light that can be set; both may be missing, `facts` says so."""

    def __init__(
        self, *, facts: str, factory: Any = None, light: _Light | Lamp | None = None, claimed: ExitStack | None = None
    ) -> None:
        self.facts = facts
        self.factory = factory  # gpiozero's, for whoever drives mock pins; None without pins
        self._light = light
        self._shown: Pattern | None = None
        self._claimed = claimed or ExitStack()

    def show(self, pattern: Pattern) -> None:
        """Show `pattern` until the next call. The one that shows already goes on undisturbed."""
        if self._light is not None and pattern != self._shown:
            self._light.show(pattern)
            self._shown = pattern

    def close(self) -> None:
        """Turn the light off and free the pins. Calling it again does nothing."""
        self._light = None
        self._claimed.close()


class _Button:
    """Tells presses, releases and holds. gpiozero's own Button does not close while a finger is on it.

    An edge after a pause is told as it comes, those that follow it when the contact has come to rest, and by a single
    thread: a wet cable makes a thousand edges a second, and all that is told of them is one press, and how it ends.
    """

    def __init__(
        self,
        pin: int,
        pull: str,
        hold_s: float,
        factory: Any,
        on_press: Callable[[float], None],
        on_release: Callable[[float], None],
        on_hold: Callable[[float], None],
    ) -> None:
        from gpiozero import DigitalInputDevice

        self._hold_s = hold_s
        self._on_press, self._on_release, self._on_hold = on_press, on_release, on_hold
        self._told = threading.Condition()  # held by whoever tells, so that it is told in order
        self._edge_at = -math.inf
        self._closed = False
        self._contact = DigitalInputDevice(pin, pull_up=pull == "up", pin_factory=factory)
        self._down = self._held = bool(self._contact.is_active)  # as told; what is down from the start is not held
        self._contact.when_activated = lambda: self._edge(down=True)
        self._contact.when_deactivated = lambda: self._edge(down=False)
        threading.Thread(target=self._watch, name="button", daemon=True).start()

    def _edge(self, *, down: bool) -> None:
        """Note an edge, and tell it at once if the contact was at rest."""
        with self._told:
            at = time.monotonic()
            rested = at - self._edge_at >= RELEASE_S
            self._edge_at = at
            if rested and down != self._down:
                self._tell(down)
            if rested:
                self._told.notify()

    def _watch(self) -> None:
        with self._told:
            while not self._closed:
                self._told.wait(self._look())

    def _look(self) -> float | None:
        """Tell what the contact has come to, if it rests; return after how many seconds to look again, None: never."""
        rests_s = time.monotonic() - self._edge_at
        if rests_s < RELEASE_S:
            return RELEASE_S - rests_s
        if (down := bool(self._contact.is_active)) != self._down:
            self._tell(down)
        if not down or self._held:
            return None
        if rests_s < self._hold_s:
            return self._hold_s - rests_s
        self._held = True
        _tell(self._on_hold)
        return None

    def _tell(self, down: bool) -> None:
        self._down, self._held = down, False
        _tell(self._on_press if down else self._on_release)

    def close(self) -> None:
        with self._told:
            self._closed = True
            self._told.notify()
        self._contact.close()


def _tell(report: Callable[[float], None]) -> None:
    at = time.monotonic()
    with _Spared():
        report(at)


class _Spared(AbstractContextManager[None]):
    """Report a mistake as if it had ended this thread (`threading.excepthook`), but let the thread live.

    A dead thread of gpiozero's would be a dead button that nobody notices.
    """

    def __exit__(
        self, kind: type[BaseException] | None, mistake: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        threading.excepthook(threading.ExceptHookArgs((kind, mistake, trace, threading.current_thread())))
        return True


class _Light:
    """One LED, or three as one colour. A pin that cannot fade only switches."""

    def __init__(self, pins: Sequence[int], factory: Any) -> None:
        from gpiozero.exc import PinPWMUnsupported

        self._colored = len(pins) == 3
        self._fades = True
        try:
            self._led = _wire(pins, factory, fades=True)
        except PinPWMUnsupported:
            self._fades = False
            self._led = _wire(pins, factory, fades=False)

    def show(self, pattern: Pattern) -> None:
        lit = self._lit(pattern)
        if pattern.steady:
            self._led.value = lit
            return
        on_s, off_s, fade_s = rhythm(pattern, fades=self._fades)
        fading = (fade_s, fade_s) if self._fades else ()
        color = {"on_color": lit} if self._colored else {}
        self._led.blink(on_s, off_s, *fading, **color)

    def _lit(self, pattern: Pattern) -> float | tuple[float, ...]:
        if not self._colored:
            return float(max(pattern.rgb) > 0)
        return pattern.rgb if self._fades else tuple(float(part >= 0.5) for part in pattern.rgb)

    def close(self) -> None:
        self._led.close()


def _wire(pins: Sequence[int], factory: Any, *, fades: bool) -> Any:
    from gpiozero import LED, PWMLED, RGBLED

    match len(pins):
        case 1:
            return (PWMLED if fades else LED)(*pins, pin_factory=factory)
        case 3:
            return RGBLED(*pins, pwm=fades, pin_factory=factory)
    raise DeviceError(f"the light has {len(pins)} pins, expected one, two for data and clock, or three for the colours")
