"""Decides whether somebody talks over us: at once whether it might be so, and then, in silence, whether it is.

cleaned ──> speech ──> speaking                       for the turn
        └─> above the floor and what is left of our echo ──> hint ══> silence ──> voice in it ──> evident
                                                                         └────> none in it ──> harmless
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.speech import SpeechDetector

Samples = NDArray[np.int16]

HINT_FRAMES = 2  # 20 ms
QUIET_AGAIN_FRAMES = 12  # 120 ms without any voice: nobody speaks


class TalkOver:
    """Hears one microphone at 16 kHz, block by block, from one thread at a time."""

    def __init__(self, *, sensitivity: str = "normal", confirm_ms: int = 160) -> None:
        self._speech = SpeechDetector(sensitivity=sensitivity, confirm_ms=confirm_ms)
        self._wanted = max(1, confirm_ms // 20)
        self._recent: list[bool] = []
        self._suspecting = False
        self._voiced = 0
        self._quiet = 0

    @property
    def hint(self) -> bool:
        """Right now something begins that may be a voice over us: worth silencing the loudspeaker."""
        return len(self._recent) == HINT_FRAMES and all(self._recent)

    @property
    def evident(self) -> bool:
        """There is enough evidence of a person's voice: interrupt."""
        return self._suspecting and self._voiced >= self._wanted

    @property
    def harmless(self) -> bool:
        """It is clear by now that nobody speaks: the suspicion may be taken back."""
        return self._suspecting and self._quiet >= QUIET_AGAIN_FRAMES and not self.evident

    @property
    def speaking(self) -> bool:
        """Somebody speaks; a short pause does not end it."""
        return self._speech.speaking

    @property
    def level_dbfs(self) -> float:
        """How loud the last block was, without rumble."""
        return self._speech.level_dbfs

    @property
    def floor_dbfs(self) -> float:
        """Level of the noise around the voice, without rumble."""
        return self._speech.floor_dbfs

    def hear(self, cleaned: Samples, captured: Samples, played: Samples) -> None:
        """Take the next 10 ms: after and before the echo canceller, and what the loudspeaker played."""
        self._speech.hear(cleaned)
        voiced = self._speech.voiced
        self._recent = [*self._recent, voiced][-HINT_FRAMES:]
        self._voiced += voiced
        self._quiet = 0 if voiced else self._quiet + 1

    def suspect(self) -> None:
        """The loudspeaker has been silenced because of the hint: collect evidence from the hint on."""
        self._suspecting = True
        self._voiced = sum(self._recent)
        self._quiet = 0

    def relax(self) -> None:
        """The suspicion is over, either way."""
        self._suspecting = False

    def witness(self) -> None:
        """The agent's own voice detection heard a voice begin in this suspicion: less evidence is needed."""
        self._voiced += self._wanted // 2

    def forget(self) -> None:
        """There is a gap now: what was heard so far says nothing about what comes."""
        self._speech.forget()
        self._recent = []
        self._suspecting = False
