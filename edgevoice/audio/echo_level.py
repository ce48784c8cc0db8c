"""How loud the microphone has been lately from our own sound alone: what is far louder than that is somebody else.

Rules
* It needs no model of the room, so nobody's voice can spoil it: where there is no echo, it is the noise of the room.
* Only what has sounded for a while proves anything: an echo may come late, and a voice is known to be one only after it
  has begun. What is played louder than all that was proven may have any echo.
"""

from __future__ import annotations

import math
from collections import deque

COMES_BACK = 30  # blocks of 10 ms: by then an echo has been heard, and a voice been noticed
FORGOTTEN = 10 ** (-0.03 / 10)  # in each block: 3 dB a second, a voice is as loud again several times in that
LOUDER = 4.0  # times what was proven: the same loudspeaker


class EchoLevel:
    """Hears the power of each block at the microphone and at the loudspeaker."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, float]] = deque()
        self._played = deque([0.0] * COMES_BACK, maxlen=COMES_BACK)
        self._loudest = self._proven = 0.0

    @property
    def most(self) -> float:
        """The power that the echo may have now; infinite if nobody knows."""
        known = self._proven and max(self._played) <= LOUDER * self._proven
        return self._loudest if known else math.inf

    def hear(self, heard: float, played: float, *, somebody: bool) -> None:
        """Take the next block; `somebody`: others may be in it, and in those just before."""
        self._played.append(played)
        if somebody or not any(self._played):
            self._waiting.clear()
            return
        self._waiting.append((heard, played))
        if len(self._waiting) > COMES_BACK:
            heard, played = self._waiting.popleft()
            self._loudest = max(heard, self._loudest * FORGOTTEN)
            self._proven = max(played, self._proven * FORGOTTEN)
