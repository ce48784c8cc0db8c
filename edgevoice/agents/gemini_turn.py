"""Gemini Live: the person's turn on its way to the service: 16 kHz, in frames, between two marks that we set.

           first 100 ms, or an interruption           Respond
    (quiet) ------------------------> activityStart, sound ... ------------> activityEnd      answered: forget it
                                                 a session that takes over is told all of it again

* Where the service ends the turns (`marks` off) the sound flows without marks, and a session that takes over is sent
  nothing twice.
* The mark alone stops an answer that is being made; what is less than 100 ms is a touch of the button, and no turn.
"""

from __future__ import annotations

import binascii
from collections import deque

from edgevoice.agents.gemini_session import PERSON_RATE, RATE, message
from edgevoice.audio.pcm import from_bytes, to_bytes
from edgevoice.audio.resample import Resampler

FRAME_MS = 20  # of one message: small enough that the service notices a voice at once
FRAME = FRAME_MS * PERSON_RATE * 2 // 1000  # bytes
SHORTEST_FRAMES = 5  # of a turn: 100 ms
KEPT_FRAMES = 30_000 // FRAME_MS  # 30 s of a turn, for a session that takes over
SOUND = '{"realtimeInput":{"audio":{"data":"%s","mimeType":"audio/pcm;rate=16000"}}}'
START, END = message("realtimeInput", {"activityStart": {}}), message("realtimeInput", {"activityEnd": {}})


class PersonsTurn:
    """What it returns is to be sent, in order."""

    def __init__(self, *, marks: bool) -> None:
        self._marks = marks
        self._resampler = Resampler(RATE, PERSON_RATE)
        self._partial = bytearray()  # less than a frame
        self._frames: deque[bytes] = deque(maxlen=KEPT_FRAMES)  # of the turn, with marks
        self._started = False  # the service was told that it has begun, and not yet that it is over
        self._sounds = False  # some of it was sent
        self.over = False  # all of it is said, and not answered yet

    @property
    def under_way(self) -> bool:
        """The service has heard some of a turn that is not over or not answered; never without marks."""
        return self._sounds or self.over

    def hear(self, pcm: bytes) -> list[str]:
        """Take what the microphone hears, at 24 kHz."""
        self._partial += to_bytes(self._resampler.process(from_bytes(pcm)))
        whole = len(self._partial) // FRAME * FRAME
        frames = [bytes(self._partial[i : i + FRAME]) for i in range(0, whole, FRAME)]
        del self._partial[:whole]
        return self._take(frames) if frames else []

    def _take(self, frames: list[bytes]) -> list[str]:
        if not self._marks:
            return _written(frames)
        self.answered()
        self._frames.extend(frames)
        if self._sounds:
            return _written(frames)
        return self._begin() if len(self._frames) >= SHORTEST_FRAMES else []

    def _begin(self) -> list[str]:
        self._sounds = True
        return [*self.interrupt(), *_written(self._frames)]

    def interrupt(self) -> list[str]:
        """Stop the answer that the service is making, by the beginning of a turn."""
        if not self._marks or self._started:
            return []
        self.answered()
        self._started = True
        return [START]

    def end(self) -> list[str] | None:
        """The person has said all; None: it was nothing."""
        if not self._sounds:
            self._frames.clear()
            self._partial.clear()
            return None
        rest = [bytes(self._partial)] if self._partial else []
        self._partial.clear()
        self._frames.extend(rest)
        self._started = self._sounds = False
        self.over = True
        return [*_written(rest), END]

    def say(self, text: str) -> list[str]:
        """Let the service answer `text`, as if the person had written it."""
        said = message("realtimeInput", {"text": text})
        return [START, said, END] if self._marks else [said]

    def answered(self) -> None:
        """The answer has begun, or there will be none: nobody needs to be told this turn again."""
        if self.over:
            self._frames.clear()
        self.over = False

    def take_over(self) -> list[str]:
        """Tell a new session what the old one may not have kept."""
        self._started = False
        if self.over:
            return [START, *_written(self._frames), END]
        return self._begin() if self._sounds else []


def _written(frames: list[bytes] | deque[bytes]) -> list[str]:
    return [SOUND % binascii.b2a_base64(frame, newline=False).decode("ascii") for frame in frames]
