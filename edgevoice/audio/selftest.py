"""Hears whether loudspeaker and microphone still hear each other: a faint chirp, for when nobody is there.

    audio thread   begin ──> the chirp, to be played ── listen, hear, 10 ms at a time ── 2 s: whole
    event loop     sounding <── read off, the recording forgotten

It is given what the echo canceller is given, the microphone at RATE and the reference beside it, and the microphone as
the card delivers it. Reading the figures off takes longer than a period, so the audio thread does not do it. The
recording lives for those two seconds, in memory; a call that begins abandons it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.measurement import Sounding, measured, sounded
from edgevoice.audio.recording import Recording
from edgevoice.audio.sweep import Sweep, highest_hz

Samples = NDArray[np.int16]

RATE = 16_000  # Hz, of what is heard
CHIRP_DBFS = -30.0  # less than a voice in the next room; by its length it gains 34 dB over noise
CHIRP_S = 0.4
QUIET_S = 0.3  # before it, for the noise floor
TAIL_S = 0.8
HELD_S = 0.5  # the most that a card may hold before it plays the chirp
WHOLE_S = HELD_S + QUIET_S + CHIRP_S + TAIL_S


class SelfTest:
    """One test at a time, on a card of `rate`."""

    def __init__(self, rate: int, *, late_ms: float = 0.0) -> None:
        """`late_ms` is by how much the reference that `hear` is given was delayed on purpose."""
        self.running = False
        self._rate = rate
        self._late_ms = late_ms
        self._high_hz = highest_hz(min(rate, RATE))
        self._filled = 0
        self._played = self._captured = self._plain = np.zeros(0, np.int16)
        self._listened = 0
        self._aloud = True
        self._whole: tuple[Recording, Samples, bool] | None = None  # swapped at once: two threads look at it

    def begin(self, *, aloud: bool = True) -> Samples:
        """Begin a test; return what is to be played now, at the card's rate: silence, if not `aloud`."""
        self.abandon()
        self.running = True
        self._aloud = aloud
        self._filled = self._listened = 0
        self._plain = np.zeros(round(WHOLE_S * self._rate), np.int16)
        self._played, self._captured = (np.zeros(round(WHOLE_S * RATE), np.int16) for _ in range(2))
        quiet = np.zeros(round(QUIET_S * self._rate), np.int16)
        if not aloud:
            return quiet
        return np.concatenate((quiet, Sweep(self._rate, CHIRP_S, CHIRP_DBFS, self._high_hz).samples()))

    def listen(self, pcm: Samples) -> None:
        """Take the next period (n,) of the microphone as it is captured, at the card's rate."""
        if not self.running:
            return
        taken = pcm[: len(self._plain) - self._listened]
        self._plain[self._listened : self._listened + len(taken)] = taken
        self._listened += len(taken)

    def hear(self, captured: Samples, played: Samples) -> None:
        """Take the next moment (n,) of the microphone, before any cancellation, and of the reference beside it."""
        if not self.running:
            return
        room = len(self._captured) - self._filled
        there = slice(self._filled, self._filled + len(captured))
        self._captured[there] = captured[:room]
        self._played[there] = played[:room]
        self._filled += min(room, len(captured))
        if self._filled == len(self._captured):
            sweep = Sweep(RATE, CHIRP_S, CHIRP_DBFS, self._high_hz)
            recording = Recording(sweep, self._played, self._captured, (0.0, QUIET_S), TAIL_S)
            self._whole = recording, self._plain[: self._listened], self._aloud
            self.running = False

    def abandon(self) -> None:
        """Forget what was recorded: somebody wants to speak."""
        self.running = False
        self._whole = None
        self._played = self._captured = self._plain = np.zeros(0, np.int16)

    def sounding(self) -> Sounding | None:
        """Read off a test that is over, once; None while there is none. Any thread may ask."""
        whole, self._whole = self._whole, None
        if whole is None:
            return None
        recording, plain, aloud = whole
        figures, _ = measured([recording], late_ms=self._late_ms, harmonics=False)
        return sounded(figures, plain, aloud=aloud)
