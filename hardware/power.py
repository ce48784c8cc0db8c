"""What a box takes of the power that comes through an Ethernet cable, at its most.

    12.95 W at the device ── splitter ── 11.0 W at 5 V ── fuse ── Pi + what hears + what speaks + LEDs

Sources: 12.95 W is IEEE 802.3af, class 0. The Pi 3 B and 4 B are the highest figures ("Stress, Max": 1.34 A and 1.25 A)
of raspberrypi/documentation, documentation/asciidoc/computers/raspberry-pi/power-supplies.adoc. All others are typical,
and measured by nobody of us.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgevoice.profiles import Profile

DEVICE_W, EFFICIENCY = 12.95, 0.85  # splitters reach 85 to 90 %
SPLITTER_W = DEVICE_W * EFFICIENCY
FUSE_A = 2
FUSE_W = 5.0 * FUSE_A

PIS = {
    "Pi Zero 2 W": 3.0 + 1.0,  # and a USB adapter for Ethernet, which it has not
    "Pi 3 B": 5 * 1.34,
    "Pi 4 B": 5 * 1.25,
    "Pi 5": 12.0,
}
HAT_W, USB_W = 0.3, 0.5  # a codec; a USB sound card of 100 mA
LOUDSPEAKERS = {  # a bridge at 5 V, be it the HAT's or a board's, at 85 %, with a sine at its limit; speech is a tenth
    "one of 8 Ω": 5.0**2 / (2 * 8) / 0.85,
    "two of 4 Ω": 2 * 5.0**2 / (2 * 4) / 0.85,
}
SPEAKERPHONE_W = 5 * 0.5  # all that a USB socket gives
LED_W = 5 * 0.015  # an APA102 at the brightness that the box gives it; a ring light is 0.02 W


def watts(pi: str, profile: Profile) -> float:
    """Return what an intercom takes at most, in W, with one loudspeaker, and the LEDs of the HAT alight."""
    leds = LED_W * profile.panel.light_leds if profile.lamp == "apa102" else 0.0
    if profile.output == "own":
        return PIS[pi] + SPEAKERPHONE_W + leds
    return PIS[pi] + (HAT_W if profile.pins else USB_W) + LOUDSPEAKERS["one of 8 Ω"] + leds


def budget() -> str:
    """Return the table of which Pi does with which loudspeaker, as Markdown: with a HAT and twelve LEDs, the most."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield "| Pi, busy | W | HAT | loudspeaker | W | 12 LEDs | sum, W | of 10 W |"
    yield "|---|---|---|---|---|---|---|---|"
    leds = 12 * LED_W
    for pi, busy in PIS.items():
        for which, speaks in LOUDSPEAKERS.items():
            total = busy + HAT_W + speaks + leds
            verdict = "fits" if total <= FUSE_W else "**too much**"
            yield f"| {pi} | {busy:.1f} | {HAT_W} | {which} | {speaks:.1f} | {leds:.1f} | {total:.1f} | {verdict} |"
