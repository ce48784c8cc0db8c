"""What the tests of several drivers need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.labgpio.pins import Pins


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pins]:
    """Pins that remember when they changed, for what is opened with `pins="auto"`."""
    with Pins(tmp_path / "pins") as pins:
        monkeypatch.syspath_prepend(str(Path(sys.modules[Pins.__module__].__file__ or "").parent))
        for name, value in pins.env().items():
            monkeypatch.setenv(name, value)
        yield pins
