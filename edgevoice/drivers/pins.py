"""The pins of this machine, for whoever drives a button, a light or a relay on gpiozero.

Where nothing is wired gpiozero is not loaded: 2.3 MB.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from glob import glob
from typing import Any

from edgevoice.errors import DeviceError

GPIO_CHIPS = "/dev/gpiochip*"
AGAIN_S = 5.0  # pins that cannot be had are asked for again so often: somebody has them, or they are not there yet
LGPIO_MISSING = 'lgpio is not installed: "apt install python3-lgpio", in a venv with --system-site-packages'


def find_pins(pins: str) -> tuple[Any, str]:
    """Return a pin factory and its name, or None and why there is none. gpiozero's own global one stays untouched."""
    match pins:
        case "none":
            return None, "the configuration says so"
        case "mock":
            from gpiozero.pins.mock import MockFactory, MockPWMPin

            return MockFactory(pin_class=MockPWMPin), "gpiozero's mock"
        case "lgpio":
            return _lgpio(), "lgpio"
        case "auto":
            return _find_best_pins()
    raise DeviceError(f'pins are "{pins}", expected auto, lgpio, mock or none')


def pin_errors() -> tuple[type[Exception], ...]:
    """What claiming pins may raise. Each library's own has a name only where it is loaded."""
    loaded = {"gpiozero": "GPIOZeroError", "lgpio": "error"}
    return OSError, *(getattr(sys.modules.get(library), error, OSError) for library, error in loaded.items())


def _find_best_pins() -> tuple[Any, str]:
    if name := os.environ.get("GPIOZERO_PIN_FACTORY"):
        return _find_named_pins(name), name
    if not glob(GPIO_CHIPS):
        return None, f"this machine has no {GPIO_CHIPS}"
    if importlib.util.find_spec("lgpio") is None:
        return None, LGPIO_MISSING
    from gpiozero.exc import PinUnknownPi

    try:
        return _lgpio(), "lgpio"
    except PinUnknownPi:
        return None, "this is no Raspberry Pi"


def _find_named_pins(name: str) -> Any:
    if name == "lgpio":
        return _lgpio()
    from importlib.metadata import entry_points

    known = entry_points(group="gpiozero_pin_factories")
    if name not in known.names:
        raise DeviceError(f'GPIOZERO_PIN_FACTORY is "{name}", expected one of {", ".join(sorted(known.names))}')
    return known[name].load()()


def _lgpio() -> Any:
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except (ImportError, AttributeError) as error:  # the latter: pip may choose an empty package of that name
        raise DeviceError(f"{LGPIO_MISSING} ({error})") from error
    except OSError as error:
        raise DeviceError(
            f"lgpio cannot make its pipe in the working directory {os.getcwd()}, expected one that can be written to"
        ) from error
    return LGPIOFactory()
