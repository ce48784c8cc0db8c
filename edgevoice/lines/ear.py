"""Hears the person on a phone line: what of it leaves, who speaks, and whether it is over us; at the line's own rate.

    the line's sound ──┬── delivery: held, sent, as zeros ──> Audio at the other side's rate
                       └── 8 kHz, whole blocks  ── a voice? over us? ──> SpeechStarted, SpeechStopped; `evident`

Rules
* A telephone takes out its own echo, and what it plays cannot be taken back. So a hint silences nothing here: the
  same evidence as at the box is collected, and only then the line is cleared. As a suspicion costs nothing, it may last
  longer; and as there is no echo, that somebody speaks is a witness.
* Nothing is judged that nobody wants to know: with another person at the other side there is no interruption.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.delivery import Delivery
from edgevoice.audio.ports import LineDetector
from edgevoice.audio.resample import Resampler
from edgevoice.events import Event, Listening, SpeechStarted, SpeechStopped, Uplink

Samples = NDArray[np.int16]

RATE = 8_000  # Hz: what the detector hears
BLOCK = 80  # 10 ms
AT_ONCE = 2 * BLOCK  # a message of a phone service
WEIGH_MS = 1_000  # for a suspicion at least: given up in the middle of a word, it would have to begin anew
WITNESS_MS = 500  # a service dates a voice up to so much before its first sound; what began earlier is something else


class Ear:
    """One caller, whose sound comes at `rate` Hz."""

    def __init__(self, rate: int, detector: LineDetector, *, pre_roll_ms: int, give_up_ms: int) -> None:
        self.evident = False  # somebody talks over us, for certain
        self._rate = rate
        self._detector = detector
        self._evidence = detector.evidence
        self._delivery = Delivery(rate, pre_roll_ms=pre_roll_ms)
        self._give_up = max(give_up_ms, WEIGH_MS) * RATE // 1000
        self._to_detector = Resampler(rate, RATE)
        self._rest = np.zeros(0, np.int16)
        self._judges = True
        self._speaking = False
        self._suspected: int | None = None  # samples since the hint
        self._voice_told = False  # in this suspicion the detector knows that somebody speaks
        self._kept = 0  # samples for which what was held while a barge-in was weighed waits for `Listen`

    @property
    def level_dbfs(self) -> float:
        return self._detector.level_dbfs

    def join(self, rate: int) -> None:
        """Begin a call whose other side listens at `rate` Hz."""
        self._delivery.join(rate)
        self._speaking = False
        self._relax()

    def listen(self, uplink: Uplink, *, reflex: bool) -> list[Event]:
        """Change what leaves, and whether a voice may interrupt."""
        held = self._delivery.listen(uplink)
        if reflex and not self._judges:
            self._detector.forget()
            self._rest = self._rest[:0]
        self._judges = reflex
        self._kept = 0
        if not (reflex and self._delivery.hears):
            self._relax()
        return [*self._tell(self._speaking and self._delivery.hears and reflex), Listening(uplink), *held]

    def hear(self, pcm: Samples, *, sounding: bool) -> list[Event]:
        """Take the next samples (n,); `sounding`: a response is being played to the caller."""
        events: list[Event] = []
        events += self._delivery.take(pcm, keep=self._suspected is not None or self._kept > 0)
        if not self._judges:
            return events
        heard = self._to_detector.process(pcm)
        if len(self._rest):
            heard = np.concatenate((self._rest, heard))
        whole = len(heard) // BLOCK * BLOCK
        self._rest = heard[whole:]
        for start in range(0, whole, AT_ONCE):
            self._judge(heard[start : min(whole, start + AT_ONCE)], sounding)
            events += self._tell(self._detector.speaking and self._delivery.hears)
        return events

    def _judge(self, pcm: Samples, sounding: bool) -> None:
        self._detector.hear(pcm)
        self._kept = max(0, self._kept - len(pcm))
        if not sounding:
            self._relax()
        elif self._suspected is not None:
            self._weigh(len(pcm))
        elif self._detector.hint and self._delivery.hears:
            self._detector.suspect()
            self._suspected, self._voice_told = 0, False

    def _weigh(self, samples: int) -> None:
        assert self._suspected is not None
        self._suspected += samples
        if self._detector.speaking and not self._voice_told:
            self._voice_told = True
            self._evidence.witness()
        if self._evidence.evident:
            self.evident = True
        elif self._evidence.harmless or self._suspected >= self._give_up:
            self._relax()

    def interrupted(self, *, keep_ms: int) -> None:
        """The response is cleared: what was held waits for the order to send it."""
        self._relax()
        self._kept = keep_ms * RATE // 1000

    def witness(self, ago_ms: float) -> None:
        """Let the other side's own ears count, if what they heard began in this suspicion."""
        if self._suspected is not None and ago_ms <= self._suspected * 1000 / RATE + WITNESS_MS:
            self._evidence.witness()
            self.evident = self._evidence.evident

    def _relax(self) -> None:
        self.evident = False
        if self._suspected is not None:
            self._suspected = None
            self._evidence.relax()

    def _tell(self, speaking: bool) -> list[Event]:
        if speaking == self._speaking:
            return []
        self._speaking = speaking
        return [SpeechStarted() if speaking else SpeechStopped()]
