"""Measure the virtual card itself: how fast it starts, falls silent and delivers, and what its room costs.

Run as `python -m tests.lab.labcard.demo [rate]`, from the top of the checkout.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import alsaaudio
import numpy as np

from .labcard import World

DROPS = 20
QUEUED_PERIODS = 8
TAIL_S = 0.3  # listened to after a drop


def open_pcm(direction: int, rate: int) -> Any:
    return alsaaudio.PCM(
        type=direction,
        device="card",
        rate=rate,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=rate // 100,
        periods=QUEUED_PERIODS,
    )


def measure_drops(world: World) -> str:
    """Play and drop some times, at ever other moments of the period."""
    speaker, period = open_pcm(alsaaudio.PCM_PLAYBACK, world.rate), world.rate // 100
    starts, tails = [], []
    for drop in range(DROPS):
        begin = time.monotonic()
        while time.monotonic() < begin + 0.2 + drop * 0.0037:
            speaker.write(np.ones(period, np.int16).tobytes())
        speaker.drop()
        dropped = time.monotonic()
        time.sleep(TAIL_S)
        sounding = np.nonzero(world.speaker(begin, dropped + TAIL_S))[0] + world.index(begin)
        starts.append(world.time(int(sounding[0])) - begin)
        tails.append(world.time(int(sounding[-1]) + 1) - dropped)
    speaker.close()
    return f"write to sound {1e3 * np.median(starts):.2f} ms, drop to silence at most {1e3 * max(tails):.2f} ms"


def measure_capture(world: World, periods: int = 300) -> str:
    """Read, and compare with the moments at which the periods were complete."""
    mic, period = open_pcm(alsaaudio.PCM_CAPTURE, world.rate), world.rate // 100
    read_at = []
    for _ in range(periods):
        mic.read()
        read_at.append(time.monotonic())
    first = next(event.details["idx"] for event in world.events() if event[2:4] == ("mic", "start"))
    late = [at - world.time(first + (k + 1) * period) for k, at in enumerate(read_at)]
    mic.close()
    return f"period to read {1e3 * np.median(late):.2f} ms, at most {1e3 * max(late):.2f} ms"


def measure_room(world: World, room_s: float, drive: float) -> str:
    """Count the processor time of hearing noise through a dense room."""
    world.spk[:] = np.random.default_rng(1).integers(-8000, 8000, len(world.spk))
    world.set_ir(np.full(int(room_s * world.rate), 0.001))
    world.set_drive(drive)
    mic = open_pcm(alsaaudio.PCM_CAPTURE, world.rate)
    mic.read()
    begin = time.process_time()
    for _ in range(100):
        mic.read()
    cost = time.process_time() - begin
    mic.close()
    return f"a room of {room_s} s, drive {drive:g}: {cost:.3f} s of processor a second"


def main() -> None:
    rate = int(sys.argv[1]) if len(sys.argv) > 1 else 48_000
    with World(rate=rate) as world:
        os.environ["ALSA_CONFIG_PATH"] = world.conf
        print(measure_drops(world))
        print(measure_capture(world))
        for room_s, drive in ((0.0, 0.0), (0.3, 0.0), (0.3, 2.0), (1.0, 0.0), (1.0, 2.0)):
            print(measure_room(world, room_s, drive))


if __name__ == "__main__":
    main()
