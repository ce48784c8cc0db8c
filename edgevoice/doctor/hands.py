"""Gathers what there is to know of the pins; with a person there, asks for a press and whether the light is seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgevoice.doctor.facts import Pins
from edgevoice.drivers.machine import chips
from edgevoice.drivers.panel import Panel, open_panel
from edgevoice.errors import DeviceError
from edgevoice.light import WHITE, Pattern
from edgevoice.schema import Config

PRESS_S = 15.0  # to walk to the box
FLASHING = Pattern("doctor", WHITE, on_s=0.25, off_s=0.25)  # of all colours at once


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be told something, and asked: the answer is what they type."""

    tell: Callable[[str], None]
    ask: Callable[[str], str]


def pins(config: Config, box: Mapping[str, Any] | None, person: Person | None) -> Pins:
    """Claim the pins, ask for a press, free them; what goes wrong is a part of what is returned."""
    found, denied = chips()
    facts = Pins(config.panel, chips=found, denied=denied)
    if box is not None:
        return replace(facts, by_box=True, denied=False, words=str(box.get("panel") or "no pins: they are not used"))
    if config.panel.pins in ("none", "mock") or (config.panel.button < 0 and not config.panel.light):
        return facts
    pressed = threading.Event()
    try:
        panel = open_panel(
            pins=config.panel.pins,
            button=config.panel.button,
            pull=config.panel.button_pull,
            light=config.panel.light,
            leds=config.panel.light_leds,
            power=config.panel.light_power,
            hold_s=config.panel.hold_s,
            on_press=lambda at: pressed.set(),
            on_release=lambda at: None,
            on_hold=lambda at: None,
        )
    except DeviceError as error:
        return replace(facts, trouble=str(error))
    try:
        facts = replace(facts, words=panel.facts)
        if person is None or panel.factory is None:
            return facts
        return _tried(facts, panel, pressed, person)
    finally:
        panel.close()


def _tried(facts: Pins, panel: Panel, pressed: threading.Event, person: Person) -> Pins:
    if facts.panel.light:
        panel.show(FLASHING)
        seen = person.ask("The light flashes now. Do you see it? [Y/n] ").strip().lower()
        facts = replace(facts, seen=not seen.startswith("n"))
    if facts.panel.button >= 0:
        pressed.clear()
        person.tell(f"Press the button, within {PRESS_S:g} s ...")
        facts = replace(facts, pressed=pressed.wait(PRESS_S))
    return facts
