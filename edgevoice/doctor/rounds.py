"""Runs what waits at the same time, each for as long as it may: a hung card must not keep the network from being seen.

Each runs on a thread of its own that nobody joins. One that hangs for ever is left behind, and ends with the program.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgevoice.errors import EdgevoiceError

T = TypeVar("T")

# What gathering facts may meet. Anything else is a mistake of ours: its trace is printed, and the others go on.
EXPECTED = (OSError, ValueError, EdgevoiceError)


@dataclass(frozen=True, slots=True)
class Came(Generic[T]):
    """What came of one: a value, or why there is none."""

    value: T | None
    trouble: str = ""
    late: bool = False


def together(
    tasks: Mapping[str, Callable[[], T]], limit_s: float, say: Callable[[list[str]], None] = lambda waiting: None
) -> dict[str, Came[T]]:
    """Run all at once and return what came of each, in the order given; `say` which are waited for."""
    done: queue.SimpleQueue[tuple[str, Came[T]]] = queue.SimpleQueue()
    for name, task in tasks.items():
        threading.Thread(target=_run, args=(name, task, done.put), daemon=True, name=f"doctor {name}").start()
    came: dict[str, Came[T]] = {}
    give_up = time.monotonic() + limit_s
    while waiting := [name for name in tasks if name not in came]:
        say(waiting)
        try:
            name, result = done.get(timeout=max(0.0, give_up - time.monotonic()))
        except queue.Empty:
            break
        came[name] = result
    say([])
    return {name: came.get(name, Came(None, f"no answer within {limit_s:g} s", late=True)) for name in tasks}


def _run(name: str, task: Callable[[], T], done: Callable[[tuple[str, Came[T]]], None]) -> None:
    came: Came[T] = Came(None, "a mistake of this program; its trace was printed")
    try:
        came = Came(task())
    except EXPECTED as error:
        came = Came(None, str(error) or type(error).__name__)
    finally:
        done((name, came))
