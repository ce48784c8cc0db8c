"""The card's own floor: a program of a dozen lines plays, drops, and notes when. Nothing falls silent sooner.

python -m benchmarks.bare COUNT      prints the monotonic seconds of each call of drop, as one JSON array
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import alsaaudio
import numpy as np

from benchmarks.recording import Cut, Recording, write
from tests.lab.labcard.labcard import World

RATE = 48_000
PERIOD = RATE // 100
SOUND_S, TAIL_S = 0.25, 0.3
ODD_S = 0.0037  # drops fall on ever other moments of the period


def record(folder: Path, count: int, fifo: int) -> None:
    """Let the bare program play on a card of its own, and keep what was heard."""
    with World(rate=RATE, fifo=fifo, seconds=30 + count * 2 * (SOUND_S + TAIL_S)) as world:
        command = [sys.executable, "-m", "benchmarks.bare", str(count)]
        output = subprocess.run(command, env=world.env(), check=True, stdout=subprocess.PIPE).stdout
        cuts = [Cut("drop", world.index(at)) for at in json.loads(output)]
        end = world.now()
        write(folder, Recording(RATE, world.spk[:end], world.air[:end], cuts))


def main() -> None:
    pcm = alsaaudio.PCM(
        type=alsaaudio.PCM_PLAYBACK,
        device="speaker",
        rate=RATE,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=PERIOD,
        periods=8,
    )
    sound = np.full(PERIOD, 1000, np.int16).tobytes()
    drops = []
    for drop in range(int(sys.argv[1])):
        stop = time.monotonic() + SOUND_S + drop * ODD_S % 0.01
        while time.monotonic() < stop:
            pcm.write(sound)
        drops.append(time.monotonic())
        pcm.drop()
        time.sleep(TAIL_S)
    print(json.dumps(drops))


if __name__ == "__main__":
    main()
