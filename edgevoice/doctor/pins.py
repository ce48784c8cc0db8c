"""Checks of the button, the light and the pins they are on."""

from __future__ import annotations

from collections.abc import Mapping

from edgevoice.doctor.facts import Pins
from edgevoice.doctor.finding import STOP_IT, Finding, absent, failed, ok, untried, warning
from edgevoice.schema import Relay

INSTALL_LGPIO = (
    "sudo apt install python3-lgpio; in a virtual environment made with --system-site-packages. "
    "Plain Debian 13 has none: make deb SUITE=trixie, whose package has it inside"
)
PULLED_UP = range(9)  # GPIO0 to 8, until a program takes them. Source: BCM2835 ARM Peripherals, page 102


def check_pins(found: Pins) -> Finding:
    """Can the pins be had?"""
    name, panel = "pins", found.panel
    if panel.pins == "none":
        return absent(name, 'panel.pins = "none"')
    if panel.button < 0 and not panel.light:
        return absent(name, "neither a button nor a light is configured")
    if "lgpio is not installed" in found.trouble + found.words:
        return failed(name, found.trouble or found.words, INSTALL_LGPIO)
    if found.by_box:
        return _of_the_box(found)
    if panel.pins == "mock":
        return warning(name, "they are pretended: nobody can press a button", 'panel.pins = "auto"')
    if found.denied:
        return failed(
            name, f"{found.chips[0]} may not be used by you", "sudo usermod -aG gpio $USER and log in again, or sudo"
        )
    if found.trouble:
        return failed(name, found.trouble, _remedy(found.trouble))
    if found.words.startswith("no pins"):
        return absent(name, found.words.removeprefix("no pins: "))
    return ok(name, f"{found.words}; {', '.join(found.chips) or 'no chip'}")


def _of_the_box(found: Pins) -> Finding:
    if found.words.startswith("no pins"):
        return absent("pins", found.words.removeprefix("no pins: "))
    if found.words.startswith("out of order"):
        return failed("pins", found.words, _remedy(found.words))
    return ok("pins", f"the box has them: {found.words}")


def _remedy(trouble: str) -> str:
    if "lgpio is not installed" in trouble:
        return INSTALL_LGPIO
    if "the configuration says so" in trouble:
        return 'panel.pins = "auto"'
    if "no pins" in trouble:
        return "they need a machine with pins, like a Raspberry Pi; else take them out of the configuration"
    if "group spi" in trouble:
        return "sudo usermod -aG spi $USER and log in again; a service has it from its unit (SupplementaryGroups=)"
    return "gpioinfo names who holds a pin; the box takes them within seconds once they are free"


def check_relays(relays: Mapping[str, Relay], by_box: str) -> tuple[Finding, ...]:
    """Does a door open, as far as the box that runs says so (`by_box`; "": none does)? Does it stay shut else?

    One more finding for each whose pin is pulled up from power-on until the box runs.
    """
    held: tuple[Finding, ...] = ()
    if relays and by_box:
        broken = by_box.startswith(("out of order", "no pins"))
        words = f"the box has them: {by_box}"
        held = (failed("relays", by_box, _remedy(by_box)) if broken else ok("relays", words),)
    advice = "take a pin above 8, which is pulled down, like 26; hardware/parts.md says more"
    return held + tuple(
        warning(f"relay {name}", f"GPIO{relay.pin} is high from power-on until the box runs: it may open", advice)
        for name, relay in relays.items()
        if relay.pin in PULLED_UP
    )


def check_button(found: Pins) -> Finding:
    """Does a press arrive?"""
    name = f"button GPIO{found.panel.button}"
    if found.panel.button < 0:
        return absent("button", "none is configured")
    match found.pressed:
        case True:
            return ok(name, "a press arrived")
        case False:
            return failed(
                name,
                "no press arrived",
                f"is it wired to GPIO{found.panel.button} and "
                f"{'ground' if found.panel.button_pull == 'up' else '3.3 V'}? hardware/README.md has the drawing",
            )
    return untried(name, _not_asked(found))


def check_light(found: Pins) -> Finding:
    """Was it seen to be lit?"""
    if not found.panel.light:
        return absent("light", "none is configured")
    name = f"light {'+'.join(f'GPIO{pin}' for pin in found.panel.light)}"
    match found.seen:
        case True:
            return ok(name, "it was seen to be lit")
        case False:
            how = "its longer leg to the GPIO, a resistor, ground"
            if len(found.panel.light) == 2:
                how = "first the data pin, then the clock, and panel.light_power where a pin switches the supply"
            return failed(name, "nobody saw it", f"{how}: hardware/README.md has the drawing")
    return untried(name, _not_asked(found))


def _not_asked(found: Pins) -> str:
    if found.refused:
        return f"not tried: {found.refused}; {STOP_IT}"
    return "not tried: the box has the pins; at the box: edgevoice ctl try" if found.by_box else "not tried"
