"""Decides whether somebody talks over us: at once whether it might be so, and then, in silence, whether it is.

    captured, played ──> echo path ──> residual ── well above noise and doubt? ──> hint
                                          │                                          ║ the loudspeaker falls silent
                                          └── harmonic? lasting? moving? ── summed since the hint ──> evident
    cleaned ──> speech ──> speaking                                 └── silence ──> harmless

Rules
* The hint may be wrong, so it may be quick: 10 ms in which three of six bands stand out from the noise and from all the
  echo that may be in them. How much that is, the echo path knows itself: so it is stricter while it still learns. What
  is 10 dB louder than the loudest echo of late is a hint in any case.
* A voice that is 10 dB above all that may be echo needs no cleaning, and a new canceller would mute it: `unspoilt`.
* What follows is weighed in silence, block by block (`evidence`). `evident` wants a share of `confirm_ms` in all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.echo_level import EchoLevel
from edgevoice.audio.echo_path import BINS, BLOCK, EchoPath
from edgevoice.audio.evidence import (
    BANDS,
    CLEAR,
    NOISE,
    OPERATING_POINTS,
    PITCH_SAMPLES,
    STAND_OUT,
    Evidence,
    Noise,
    bands,
)
from edgevoice.audio.speech import SpeechDetector

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]

USUAL = 6.0  # times what is usually left of the echo: a loudspeaker that distorts leaves more than the path doubts
USUAL_STEP = 10 ** (0.05 / 10)  # up or down in each block: the median, followed by 5 dB a second
USUAL_RANGE = (0.02, 10.0)  # of doubt
OVER_ECHO = 0.5  # of the echo that was taken away is expected as well, while it still rings
UNSPOILT = 10.0  # times all the echo and noise that may be in it: a voice hides what is so much fainter
STILL_UNSPOILT = 4.0  # times the echo: a voice that fades, or an echo that comes
UNSPOILT_BLOCKS = 10  # 100 ms: a closed mouth within a word
LEARNT_BLOCKS = 100  # 1 s without a sound of ours: by then every canceller lets a voice pass


class TalkOver:
    """Hears one microphone at 16 kHz, block by block, from one thread at a time."""

    def __init__(self, *, sensitivity: str = "normal", confirm_ms: int = 160) -> None:
        self._speech = SpeechDetector(sensitivity=sensitivity, confirm_ms=confirm_ms)
        point = OPERATING_POINTS[sensitivity]
        self._path = EchoPath()
        self._echo_level = EchoLevel()
        self._margin = 10 ** (point.margin_db / 10)
        self.evidence = Evidence(point.share * confirm_ms)
        self._noise = Noise()
        self._bands = bands()
        self._powers = np.zeros((2, BINS), np.float32)  # of the residual, and doubt
        self._last = np.zeros(BANDS, np.float32)
        self._usual = np.full(BANDS, 0.1, np.float32)
        self._expected = self._noise.floor
        self._above = 0
        self._recent = np.zeros(PITCH_SAMPLES, np.float32)
        self._heard = self._doubt = self._last
        self._unspoilt = 0
        self._loud = False

    @property
    def hint(self) -> bool:
        """Right now something begins that may be a voice over us: worth silencing the loudspeaker."""
        return (self._above >= STAND_OUT or self._loud) and not self.evidence.resting

    @property
    def unspoilt(self) -> bool:
        """What was captured is somebody's voice, with hardly an echo in it; only told while there may be one."""
        return self._unspoilt > 0

    @property
    def speaking(self) -> bool:
        """Somebody speaks; a short pause does not end it."""
        return self._speech.speaking

    @property
    def level_dbfs(self) -> float:
        """How loud the last block was, without rumble."""
        return self._speech.level_dbfs

    def hear(self, cleaned: Samples, captured: Samples, played: Samples) -> None:
        """Take the next 10 ms: after and before the echo canceller, and what the loudspeaker played."""
        self._speech.hear(cleaned)
        path = self._path
        path.hear(captured, played)
        self._powers[0], self._powers[1] = path.power, path.doubt
        self._heard, self._doubt = self._powers @ self._bands
        self._recent[:-BLOCK] = self._recent[BLOCK:]
        self._recent[-BLOCK:] = path.residual
        self._noise.follow(self._heard)
        lately = (self._heard + self._last) * 0.5
        self._last = self._heard
        self._expected = NOISE * self._noise.floor
        if path.sounding:
            self._expected += self._doubt * np.maximum(1, USUAL * self._usual)
        self._above = int(np.count_nonzero(lately > self._margin * self._expected))
        self.evidence.hear(float(self._heard.sum()))
        self._unspoilt = max(0, self._unspoilt - 1)
        self._look_for_echo()
        if self.evidence.suspecting:
            least = CLEAR * self._expected + OVER_ECHO * (path.echo @ self._bands)
            self.evidence.weigh(self._heard, self._noise.floor, least, self._recent)
        else:
            self._compare()

    def suspect(self) -> None:
        """The loudspeaker has been silenced because of the hint: collect evidence from the hint on."""
        self.evidence.suspect(self._heard, self._noise.floor)

    def forget(self) -> None:
        """There is a gap now: what was heard so far says nothing about what comes."""
        self._speech.forget()
        self._path.forget()
        self.evidence.suspecting = False

    def _look_for_echo(self) -> None:
        """Notice a voice that is so much louder than any echo that it may leave as it was captured."""
        path, somebody = self._path, self._above >= STAND_OUT or self.evidence.suspecting or self._unspoilt > 0
        self._echo_level.hear(path.heard, path.played, somebody=somebody)
        self._loud = self._above > 0 and path.heard > UNSPOILT * self._echo_level.most
        if not self._above or path.silent >= LEARNT_BLOCKS:
            return
        level, echo = self.evidence.level, path.echo @ self._bands
        if self._loud or level > UNSPOILT * float((echo + self._expected).sum()):
            self._unspoilt = UNSPOILT_BLOCKS
        elif level < STILL_UNSPOILT * float((echo + self._doubt).sum()):
            self._unspoilt = 0

    def _compare(self) -> None:
        """Learn how much of what may be echo usually is."""
        if not self._path.sounding:
            return
        usual = self._usual
        more = np.where(self._heard > usual * self._doubt, usual * USUAL_STEP, usual / USUAL_STEP)
        shows = self._doubt * np.maximum(usual, 0.1) > self._noise.floor
        self._usual = np.clip(np.where(shows, more, usual), *USUAL_RANGE)
