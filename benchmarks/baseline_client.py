"""The baseline's program: the default audio interface of the `elevenlabs` package, and nothing else of that package.

    python -m benchmarks.baseline_client [--edgevoice FILE] [--chunk-ms N] [--heard FILE]

It stands where their SDK stands, between a service and the card. Their service would decide, a network away, that the
person speaks; here our own voice detector does, on the same machine, as soon as a chunk of the microphone comes in.
With `--edgevoice`, a configuration, it does the same with our interface.

    "speak" on stdin                the agent says its reply: all of it is handed over at once, in chunks
    {"interrupted_at": seconds}     on stdout, when a voice was evident and `interrupt` is about to be called
    "interrupt", "sound", "cost"    call `interrupt`, hand over a short sound, or do neither;
    {"at": seconds, "used": ...}    answers each of them: just before the call; processor time so far
    --heard                         gets a line for each chunk of the microphone: when it came, and its loudest sample
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from sys import stdin
from typing import Protocol, TextIO

import numpy as np

from benchmarks import speech
from edgevoice.audio.speech import SpeechDetector

RATE = 16_000  # the interface's only one
FRAME = RATE // 100
CHUNK = RATE // 10 * 2  # bytes of 100 ms: one audio event of the service. Theirs may be longer; each plays to its end
SOUND = np.full(RATE // 8, 2000, np.int16).tobytes()  # 125 ms without silence: two of their buffers, whole ones


class AudioInterface(Protocol):
    """What the SDK wants of a sound card; theirs has no types."""

    def start(self, input_callback: Callable[[bytes], None]) -> None: ...
    def output(self, audio: bytes) -> None: ...
    def interrupt(self) -> None: ...
    def stop(self) -> None: ...


class Agent:
    """Speaks when told to, until it hears a voice."""

    def __init__(self, interface: AudioInterface, heard: TextIO | None) -> None:
        self._interface = interface
        self._heard = heard
        self._detector = SpeechDetector()
        self._speaking = threading.Event()
        self._reply = speech.reply(RATE).tobytes()

    def start(self) -> None:
        self._interface.start(self._hear)

    def obey(self, command: str) -> None:
        if command == "speak":
            self._speaking.set()
            for first in range(0, len(self._reply), CHUNK):
                self._interface.output(self._reply[first : first + CHUNK])
            return
        print(json.dumps({"at": time.monotonic(), "used": time.process_time()}), flush=True)
        if command == "interrupt":
            self._speaking.clear()
            self._interface.interrupt()
        elif command == "sound":
            self._interface.output(SOUND)

    def stop(self) -> None:
        self._interface.interrupt()
        self._interface.stop()

    def _hear(self, pcm: bytes) -> None:
        """Called on a thread of the interface's, every 250 ms."""
        at, heard = time.monotonic(), np.frombuffer(pcm, "<i2")
        if self._heard:
            self._heard.write(f"{at} {np.abs(heard.astype(np.int32)).max()}\n")
            self._heard.flush()
        for first in range(0, len(heard), FRAME):
            self._detector.hear(heard[first : first + FRAME])
            if self._detector.evident and self._speaking.is_set():
                self._speaking.clear()
                print(json.dumps({"interrupted_at": time.monotonic()}), flush=True)
                self._interface.interrupt()


def open_interface(configuration: Path | None, chunk_ms: int) -> AudioInterface:
    """Return theirs, or ours where there is a configuration for it."""
    if configuration:
        from edgevoice.elevenlabs import AlsaAudioInterface

        return AlsaAudioInterface(configuration, chunk_ms=chunk_ms)
    from elevenlabs.conversational_ai.default_audio_interface import DefaultAudioInterface

    theirs: Callable[[], AudioInterface] = DefaultAudioInterface
    return theirs()


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.baseline_client")
    parser.add_argument("--edgevoice", type=Path, metavar="FILE")
    parser.add_argument("--chunk-ms", type=int, default=250)
    parser.add_argument("--heard", type=Path, metavar="FILE")
    options = parser.parse_args()
    heard = options.heard.open("w") if options.heard else None
    agent = Agent(open_interface(options.edgevoice, options.chunk_ms), heard)
    agent.start()
    for line in stdin:
        agent.obey(line.strip())
    agent.stop()


if __name__ == "__main__":
    main()
