"""Panels on gpiozero's mock pins, on pins that remember, and on a Raspberry Pi whose lgpio is made up."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import gpiozero.pins.local
import pytest

from edgevoice.drivers import pins as pins_driver
from edgevoice.drivers.panel import Panel, open_panel
from tests.lab.labgpio.pins import Pins

BUTTON, LED = 17, 25
RASPBERRY_PI_4B = 0xC03111

Opener = Callable[..., Panel]
Raspberry = Callable[[ModuleType | None], None]


def nobody(at: float) -> None:
    pass


@pytest.fixture
def no_such_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a name server says of names in `invalid`, whether or not there is one here and it answers in time."""
    ask = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **options: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Open panels, and close them after the test."""
    panels = []

    def make(**changes: Any) -> Panel:
        wiring: dict[str, Any] = {"pins": "mock", "button": BUTTON, "pull": "up", "light": [LED], "hold_s": 9.0}
        callbacks = {"on_press": nobody, "on_release": nobody, "on_hold": nobody}
        panels.append(open_panel(**(wiring | callbacks | changes)))
        return panels[-1]

    yield make
    for panel in panels:
        panel.close()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pins]:
    """Pins that remember when they changed, for panels opened with `pins="auto"`."""
    with Pins(tmp_path / "pins") as pins:
        monkeypatch.syspath_prepend(str(Path(sys.modules[Pins.__module__].__file__ or "").parent))
        for name, value in pins.env().items():
            monkeypatch.setenv(name, value)
        yield pins


class FakeLgpio(ModuleType):
    """As much of lgpio as claiming pins and sending by SPI needs: one chip, which `trouble` may spoil."""

    SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 0, 32, 64
    RISING_EDGE, FALLING_EDGE, BOTH_EDGES = 1, 2, 3

    class error(Exception):
        pass

    def __init__(self, trouble: str = "") -> None:
        super().__init__("lgpio")
        self.__spec__ = ModuleSpec("lgpio", None)
        self.trouble = trouble
        self.open_chips: list[int] = []
        self.spi: tuple[int, int, int, int] | None = None  # port, device, bits a second, flags
        self.sent: SimpleQueue[bytes] = SimpleQueue()

    def gpiochip_open(self, chip: int) -> int:
        if self.trouble == "can not open gpiochip":
            raise self.error(self.trouble)
        self.open_chips.append(chip)
        return chip

    def gpiochip_close(self, handle: int) -> None:
        self.open_chips.remove(handle)

    def gpio_claim_input(self, handle: int, number: int, flags: int = 0) -> int:
        if self.trouble == "GPIO busy":
            raise self.error(self.trouble)
        return 0

    def spi_open(self, port: int, device: int, baud: int, flags: int = 0) -> int:
        self.spi = port, device, baud, flags
        return 1

    def spi_close(self, handle: int) -> None:
        self.spi = None

    def spi_xfer(self, handle: int, data: bytes) -> tuple[int, bytearray]:
        self.sent.put(bytes(data))
        if self.trouble == "SPI transfer failed":
            raise self.error(self.trouble)
        return len(data), bytearray(len(data))


@pytest.fixture
def raspberry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Raspberry:
    """Make this machine a Raspberry Pi with the given lgpio."""
    chip = tmp_path / "gpiochip0"
    chip.touch()

    def install(lgpio: ModuleType | None) -> None:
        monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
        monkeypatch.setattr(pins_driver, "GPIO_CHIPS", str(chip))
        monkeypatch.setattr(gpiozero.pins.local, "get_pi_revision", lambda: RASPBERRY_PI_4B)
        monkeypatch.setitem(sys.modules, "lgpio", lgpio)
        monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)

    return install
