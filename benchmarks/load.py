"""What else the machine does meanwhile: nothing, or as much as it can."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def busy_cores(busy: bool = True) -> Iterator[None]:
    """Keep every core busy with a program of its own."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1) if busy]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
