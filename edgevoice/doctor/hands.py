"""Gathers what there is to know of the pins; with a person there, asks for a press and whether the light is seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgevoice.doctor.facts import Pins
from edgevoice.drivers import control
from edgevoice.drivers.machine import chips
from edgevoice.drivers.panel import Panel, open_panel
from edgevoice.errors import DeviceError
from edgevoice.light import BOX_PATTERNS, Box
from edgevoice.schema import Config

PRESS_S = 15.0  # to walk to the box
TRIED_S = 10.0  # by the running box, whose button calls nobody for so long
FLASHING = BOX_PATTERNS[Box.TRIED]  # white: all colours at once


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
        words = str(box.get("panel") or "no pins: they are not used")
        if trouble := (box.get("out_of_order") or {}).get("panel"):
            words = f"out of order: {trouble}"
        facts = replace(facts, by_box=True, denied=False, words=words)
        wired = "no pins" not in words and "out of order" not in words
        return _tried_by_the_box(facts, config.status.socket, person) if person and wired else facts
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


def _tried_by_the_box(facts: Pins, socket: str, person: Person) -> Pins:
    """Let the box flash and feel for a press: both at once, for its button calls nobody meanwhile."""
    button, light = facts.panel.button >= 0, bool(facts.panel.light)
    wanted = " and ".join((["see its light flash"] if light else []) + (["press its button"] if button else []))
    if not wanted or _denied(person.ask(f"Is somebody at the box, to {wanted} within {TRIED_S:g} s? [Y/n] ")):
        return facts
    person.tell(" ".join((["The light flashes now."] if light else []) + (["Press the button ..."] if button else [])))
    try:
        answer = control.ask(socket, {"do": "try", "within_s": TRIED_S}, TRIED_S + 5.0)
    except DeviceError as error:
        return replace(facts, refused=str(error))
    if not answer.get("ok"):
        return replace(facts, refused=str(answer.get("error")))
    pressed = bool(answer.get("pressed")) if button else None
    seen = not _denied(person.ask("Did the light flash? [Y/n] ")) if light else None
    return replace(facts, pressed=pressed, seen=seen)


def _denied(answer: str) -> bool:
    return answer.strip().lower().startswith("n")


def _tried(facts: Pins, panel: Panel, pressed: threading.Event, person: Person) -> Pins:
    if facts.panel.light:
        panel.show(FLASHING)
        facts = replace(facts, seen=not _denied(person.ask("The light flashes now. Do you see it? [Y/n] ")))
    if facts.panel.button >= 0:
        pressed.clear()
        person.tell(f"Press the button, within {PRESS_S:g} s ...")
        facts = replace(facts, pressed=pressed.wait(PRESS_S))
    return facts
