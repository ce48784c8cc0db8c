"""The package on a plain Debian 13, with nothing of Raspberry Pi OS. Needs root, and minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.install.debian import Debian, Packages

pytestmark = pytest.mark.debian
# The library speaks with the kernel: there is no such chip.
OPENED = """
import lgpio
from gpiozero.pins.lgpio import LGPIOFactory
try:
    lgpio.gpiochip_open(99)
except lgpio.error as error:
    print(lgpio.__file__, error)
"""


def test_the_box_runs_and_has_the_library_of_the_pins(tmp_path: Path) -> None:
    box = Debian(tmp_path / "tree", "trixie")
    try:
        box.boot()
        box.told(f"dpkg -i {box.put(Packages(tmp_path / 'deb', 'trixie').real)}")
        assert box.property("ActiveState") == "active"
        assert box.property("StatusText").startswith("fault: card.playback"), "there is no card, and it says so"
        where, error = box.told(f"cd /tmp && /opt/edgevoice/current/bin/python -I -c '{OPENED}'").split(maxsplit=1)
        assert where.startswith("/opt/edgevoice/"), "it is inside"
        assert error == "'can not open gpiochip'"
        assert box.told("systemctl --failed --no-legend") == ""
    finally:
        box.stop()
