"""The baseline's program: the default audio interface of the `elevenlabs` package, and nothing else of that package.

It stands where their SDK stands, between a service and the card. Their service would decide, a network away, that the
person speaks; here our own voice detector does, on the same machine, as soon as a chunk of the microphone comes in.

    each line on stdin              the agent says its reply: all of it is handed over at once, in chunks
    {"interrupted_at": seconds}     on stdout, when a voice was evident and `interrupt` is about to be called
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from elevenlabs.conversational_ai.default_audio_interface import DefaultAudioInterface

from benchmarks import speech
from edgevoice.audio.speech import SpeechDetector

RATE = 16_000  # the interface's only one
FRAME = RATE // 100
CHUNK = RATE // 10 * 2  # bytes of 100 ms: one audio event of the service. Theirs may be longer; each plays to its end


class AudioInterface(Protocol):
    """What the SDK wants of a sound card; theirs has no types."""

    def start(self, input_callback: Callable[[bytes], None]) -> None: ...
    def output(self, audio: bytes) -> None: ...
    def interrupt(self) -> None: ...
    def stop(self) -> None: ...


OPEN: Callable[[], AudioInterface] = DefaultAudioInterface


class Agent:
    """Speaks when told to, until it hears a voice."""

    def __init__(self) -> None:
        self._interface = OPEN()
        self._detector = SpeechDetector()
        self._speaking = threading.Event()

    def start(self) -> None:
        self._interface.start(self._hear)

    def speak(self, reply: bytes) -> None:
        self._speaking.set()
        for first in range(0, len(reply), CHUNK):
            self._interface.output(reply[first : first + CHUNK])

    def stop(self) -> None:
        self._interface.interrupt()
        self._interface.stop()

    def _hear(self, pcm: bytes) -> None:
        """Called on a thread of PortAudio's, every 250 ms."""
        heard = np.frombuffer(pcm, "<i2")
        for first in range(0, len(heard), FRAME):
            self._detector.hear(heard[first : first + FRAME])
            if self._detector.evident and self._speaking.is_set():
                self._speaking.clear()
                print(json.dumps({"interrupted_at": time.monotonic()}), flush=True)
                self._interface.interrupt()


def main() -> None:
    agent = Agent()
    reply = speech.reply(RATE).tobytes()
    agent.start()
    for _ in sys.stdin:
        agent.speak(reply)
    agent.stop()


if __name__ == "__main__":
    main()
