"""The card's own floor: programs of a dozen lines, straight on pyalsaaudio. Nothing is faster or cheaper than they.

    python -m benchmarks.bare drop COUNT         plays and drops; prints when drop was called, each time
    python -m benchmarks.bare duplex SECONDS     reads and writes every period; prints per cent of one core

The virtual card is a part of the program that opens it, so what it costs is taken off what the box costs. A real card
does its work in the kernel.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import alsaaudio
import numpy as np

from benchmarks.load import busy_cores
from benchmarks.recording import Cut, Recording, write
from tests.lab.labcard.labcard import World

RATE = 48_000
PERIOD = RATE // 100
PERIODS = 4  # 40 ms, as the box
SOUND_S, TAIL_S = 0.25, 0.2
ODD_S = 0.0037  # drops fall on ever other moments of the period


def record(folder: Path, count: int, *, fifo: int, busy: bool) -> None:
    """Play and drop on a card of its own; keep what was heard."""
    with World(rate=RATE, fifo=fifo, seconds=30 + count * 2 * (SOUND_S + TAIL_S)) as world:
        with busy_cores(busy):
            dropped_at = _run(world, "drop", str(count))
        cuts = [Cut("drop", world.index(at)) for at in dropped_at]
        end = world.now()
        write(folder, Recording(RATE, world.spk[:end], world.air[:end], cuts))


def processor_share(seconds: float) -> float:
    """Return the per cent of one core that reading and writing every period takes."""
    with World(rate=RATE, seconds=30 + seconds) as world:
        return float(_run(world, "duplex", str(seconds)))


def _run(world: World, *arguments: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.bare", *arguments]
    return json.loads(subprocess.run(command, env=world.env(), check=True, stdout=subprocess.PIPE).stdout)


# ---------------------------------------------------------------------------------------------------- the programs


def drop(count: int) -> list[float]:
    speaker = _open(alsaaudio.PCM_PLAYBACK, "speaker")
    sound = np.full(PERIOD, 1000, np.int16).tobytes()
    dropped_at = []
    for turn in range(count):
        stop = time.monotonic() + SOUND_S + turn * ODD_S % 0.01
        while time.monotonic() < stop:
            speaker.write(sound)
        dropped_at.append(time.monotonic())
        speaker.drop()
        time.sleep(TAIL_S)
    return dropped_at


def duplex(seconds: float) -> float:
    microphone, speaker = _open(alsaaudio.PCM_CAPTURE, "mic"), _open(alsaaudio.PCM_PLAYBACK, "speaker")
    for _ in range(PERIODS):
        speaker.write(bytes(2 * PERIOD))
    begun, used = time.monotonic(), time.process_time()
    while time.monotonic() < begun + seconds:
        microphone.read()
        speaker.write(bytes(2 * PERIOD))
    return 100 * (time.process_time() - used) / (time.monotonic() - begun)


def _open(direction: int, name: str) -> Any:
    return alsaaudio.PCM(
        type=direction,
        device=name,
        rate=RATE,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=PERIOD,
        periods=PERIODS,
    )


if __name__ == "__main__":
    program, number = sys.argv[1:]
    print(json.dumps(drop(int(number)) if program == "drop" else duplex(float(number))))
