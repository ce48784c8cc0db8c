"""What holds for every test: random input is judged by its outcome, never by how long this machine takes to make it."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from edgevoice.drivers import memory

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture
def only_we_collect(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Python does by itself, at any time or never, it does not; the program looks often."""
    monkeypatch.setattr(memory, "EVERY_S", 0.1)
    gc.disable()
    yield
    gc.enable()
