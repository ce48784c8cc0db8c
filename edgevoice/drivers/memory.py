"""Memory that is given back: what starting took, and what calls that are over have left.

A call is a circle: legs, timers and wires know each other by their callbacks. So only Python's collector frees it. Left
to itself that looks at old objects when they have become a quarter more, and counts those that `settle` has frozen,
40,000. A call leaves a hundred or two: so dozens of calls would wait, each with 15 s of the person's sound and what
both sides said.
Source: CPython 3.11 to 3.13, Modules/gcmodule.c or Python/gc.c: `long_lived_pending` and `long_lived_total`.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

EVERY_S = 10.0
# Looking at 5000 objects, more than a box has that are not frozen, takes 0.8 ms of a server and some ms of a Pi, and
# every thread waits, the one of the sound as well: where somebody talks it is seldom.
TALKING_S = 300.0


def settle() -> None:
    """Never look again at what lives as long as the program, and give back what starting took (3 MB of 50)."""
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
    if trim:
        trim(0)


async def free_what_is_over(talking: Callable[[], bool]) -> None:
    """Free what nobody can reach any more, until cancelled: every EVERY_S, every TALKING_S while there is `talking`."""
    waited_s = 0.0
    while True:
        await asyncio.sleep(EVERY_S)
        waited_s += EVERY_S
        if not talking() or waited_s >= TALKING_S:
            gc.collect()
            waited_s = 0.0
