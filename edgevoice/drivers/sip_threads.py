"""The threads by which the SIP library keeps time, made real-time: what one is late by, a call is late for good.

Of its two threads on the way out one fills a queue every 20 ms and another empties it as often. If the first is late
once, the second finds nothing, and from then on a packet more waits between them: up to 600 ms, until the call ends.
Nothing takes it out again. Source: baresip 4.10, `tx_thread` in audio.c, and a worker that was stopped for 250 ms.
"""

from __future__ import annotations

import os
from pathlib import Path

NAMES = ("aumem_src", "Audio TX", "aumem_play")
PRIORITY = 9  # SCHED_FIFO, below the audio thread of the box


def hurry() -> int:
    """Let those that run now go before everything ordinary, where the system allows it; return how many do."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        try:
            if (task / "comm").read_text().strip() in NAMES:
                os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(PRIORITY))
                found += 1
        except OSError:  # it has ended meanwhile, or nobody may
            continue
    return found
