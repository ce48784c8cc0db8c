"""What holds for every test.

Input that hypothesis makes is judged by its outcome, never by how long this machine takes to make it; and it is the
same each time, so that who changes something else is not told of a case of one in a million. `make test-nightly` looks
for those, with the profile "chance".
"""

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from edgevoice.drivers import memory

settings.register_profile("chance", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same each time", settings.get_profile("chance"), derandomize=True)
settings.load_profile("same each time")

# A proxy that somebody has configured here knows nothing of servers on loopback, nor that others do not exist.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,::1,localhost,invalid"

# Started in the background of a shell we ignore Ctrl-C, and so would every program that we start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def only_we_collect(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Python does by itself, at any time or never, it does not; the program looks often."""
    monkeypatch.setattr(memory, "EVERY_S", 0.1)
    gc.disable()
    yield
    gc.enable()
