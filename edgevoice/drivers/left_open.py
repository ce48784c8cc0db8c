"""Doors that a killed process left open: the relays' pins are written down while they are held, and shut afterwards.

A Raspberry Pi's kernel leaves an output as it was when its owner is gone: a relay stays on until somebody takes the pin
again. `packaging/shut-doors` runs this module after each end of the service (ExecStopPost=) that left its list behind.
Source: pinctrl-bcm2835.c, `persist_gpio_outputs`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from edgevoice.drivers.relay import open_relays
from edgevoice.drivers.runtime import runtime_file
from edgevoice.errors import DeviceError

log = logging.getLogger(__name__)

LIST = "relays"  # `packaging/shut-doors` looks for it


class Held(msgspec.Struct, frozen=True):
    """What it takes to have the pins: the kind of pins that was configured, and each relay's pin (BCM)."""

    pins: str
    relays: dict[str, int]


@contextmanager
def held(pins: str, relays: Mapping[str, int]) -> Iterator[None]:
    """Have a list of these relays in the service's runtime directory meanwhile; without one nothing is written."""
    path = runtime_file(LIST)
    if path is None or not relays:
        yield
        return
    try:
        path.write_bytes(msgspec.json.encode(Held(pins, dict(relays))))
    except OSError as error:
        log.warning("%s cannot be written, so a killed process may leave a relay on: %s", path, error.strerror)
    yield
    path.unlink(missing_ok=True)  # only where all were switched off: a list that is left is a door that may be open


def shut() -> int:
    """Switch off what the list names, and forget it; return the exit code."""
    path = runtime_file(LIST)
    if path is None or not path.exists():
        return 0
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Held)
    except (msgspec.MsgspecError, OSError) as error:
        print(f"relays may be on: {path}: {error}", file=sys.stderr)
        return 1
    troubles = [trouble for name, pin in found.relays.items() if (trouble := _switch_off(found.pins, name, pin))]
    if troubles:
        print(f"relays may be on: {path}: {'; '.join(troubles)}", file=sys.stderr)
        return 1
    path.unlink()
    print(f"relays switched off after a process that could not do it: {', '.join(found.relays)}")
    return 0


def _switch_off(pins: str, name: str, pin: int) -> str:
    """Do so, one by one: another program may hold one of them; return why not, "" if it was done."""
    try:
        relays = open_relays(pins=pins, relays={name: (pin, 1.0)})
    except DeviceError as error:
        return str(error)
    relays.close()
    return "" if relays.claimed else relays.facts


if __name__ == "__main__":
    sys.exit(shut())
