"""Feeds systemd's watchdog for as long as everything advances that has to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgevoice.drivers import systemd
from edgevoice.drivers.audio_thread import SoundCard

WATCH_S = 2.5  # how often it is looked whether everything advances, where systemd does not say
AGAIN_S = 600.0  # after that, one that is left alone is looked at again
STILL_S = 7.0  # of looks without an advance: longer than any wait of the audio thread, shorter than systemd's patience


async def watch_loop() -> None:
    """Feed it while this loop advances."""
    interval = systemd.watchdog_interval_s()
    while interval is not None:
        await asyncio.sleep(interval / 2)
        systemd.alive()


async def watch_sound(sound: SoundCard, *, on_still: Callable[[], bool], on_again: Callable[[], None]) -> None:
    """Feed it while this loop and the audio thread both advance; tell when that thread stands still, and goes on.

    `on_still` returns whether the thread is left alone: then the box lives on without it, and is asked again later.

    A thread that stands still is our own business first: we know what to write down. A loop that does is systemd's.
    """
    look_s = (systemd.watchdog_interval_s() or 2 * WATCH_S) / 2
    progress, due_s, left_alone = -1, STILL_S, False
    still_s = 0.0  # looks are counted, not time: a process that was stopped has lost time, not a thread
    while True:
        await asyncio.sleep(look_s)
        if sound.progress != progress:
            if still_s >= STILL_S:  # it was given up, and that was wrong
                on_again()
            progress, still_s, due_s, left_alone = sound.progress, 0.0, STILL_S, False
            systemd.alive()
            continue
        still_s += look_s
        if still_s >= due_s:
            left_alone, due_s = on_still(), still_s + AGAIN_S
        if left_alone:
            systemd.alive()
