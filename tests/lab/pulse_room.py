"""A person in PulseAudio's room, as a process: speaks a WAV file when told, and records loudspeaker and air meanwhile.

Reads lines from stdin: `say FILE`, `stop FOLDER`. Both recordings are written into the folder with the moment at which
each began, as FOLDER/speaker.npy, air.npy and moments.json.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import wave
from pathlib import Path
from typing import Any

import alsaaudio
import numpy as np

RATE, PERIOD = 48_000, 480


def pcm(direction: int, name: str) -> Any:
    return alsaaudio.PCM(
        type=direction,
        device=name,
        rate=RATE,
        channels=1,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=PERIOD,
        periods=100,  # a second: a machine that is busy may not come back to this one for long
    )


class Recording(threading.Thread):
    """Reads one monitor for ever; knows when its first sample was heard."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        self._source = pcm(alsaaudio.PCM_CAPTURE, name)
        self.pieces: list[bytes] = []
        self.began = 0.0
        self._frames = 0

    def run(self) -> None:
        while True:
            frames, data = self._source.read()
            if frames > 0:
                self.pieces.append(data)
                self._frames += frames
                if (
                    len(self.pieces) >= 100
                ):  # once the server's clock runs evenly; a read that is late tells a later one
                    began = time.monotonic() - self._frames / RATE
                    self.began = min(self.began or began, began)


def say(path: str) -> None:
    with wave.open(path) as file:
        sound = file.readframes(file.getnframes())
    air = pcm(alsaaudio.PCM_PLAYBACK, "air")
    while sound:
        written = air.write(sound[: 2 * PERIOD * 4])
        if written > 0:  # an underrun is told as -32, the chunk not taken: the same again
            sound = sound[2 * written :]
    air.drain()
    air.close()


def main() -> None:
    recordings = {"speaker": Recording("speaker_monitor"), "air": Recording("air_monitor")}
    for recording in recordings.values():
        recording.start()
    print("ready", flush=True)
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "say":
            say(argument)
            print("said", flush=True)
            continue
        for name, recording in recordings.items():
            np.save(Path(argument) / f"{name}.npy", np.frombuffer(b"".join(recording.pieces), "<i2"))
        moments = {name: recording.began for name, recording in recordings.items()}
        (Path(argument) / "moments.json").write_text(json.dumps(moments))
        print("stopped", flush=True)
        return


main()
