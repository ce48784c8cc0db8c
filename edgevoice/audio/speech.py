"""Decides whether somebody speaks into the microphone: every 10 ms a yes or no, and from these, evidence.

    frame (10 ms) ── is it like a voice? (webrtcvad) ────────────────┐
          └───────── is it well above the noise floor? (level) ──────┴─ voiced ── not faded ── share of 16 ── evident

Rules
* webrtcvad takes any loud, steady noise for a voice, so the level must agree. It is measured where voices are and
  rumble is not, which also makes it steady: in the noise of a fan it stays within 3 dB.
* The floor is the lowest level of the last 1.5 s (minimum statistics: R. Martin, IEEE Trans. Speech and Audio
  Processing 9(5), 2001, without the bias correction). Speech has gaps and does not lift it; a fan that gets louder is
  the new floor after 1.5 s.
* A knock or a click is loud at once and then only fades, in a room for a long time; webrtcvad takes that for a voice,
  too. A voice swells and lasts: what is far below the loudest frame of just before is a tail, and no evidence.
* Hysteresis: while somebody speaks, a voice may come closer to the floor than it must to begin.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from edgevoice.audio.pcm import SILENCE_DBFS

Samples = NDArray[np.int16]

RATE = 16_000
FRAME_MS = 10  # the shortest that webrtcvad takes
FULL_SCALE = 32768.0**2

RUMBLE_US = 250  # x(t) - x(t - 0.25 ms): nothing of an offset, -25 dB at 50 Hz, within 3 dB from 0.7 to 3.3 kHz
SMOOTHING = 0.2  # of each new frame, 50 ms: a closed mouth (t, k, p) shows as a gap, a zero crossing does not
BLOCK_FRAMES = 10
BLOCKS = 15  # 1.5 s: there is a gap in any 1.5 s of speech, and a louder fan is forgiven within 2 s
QUIET_DBFS = -70.0  # the floor is never lower: what is not well above it is too faint to be meant for us
UNKNOWN_DBFS = -55.0  # the floor at first, or lower: who speaks at once is louder, most rooms are not
FADED_DB = 10.0  # a room of 0.3 s fades so far in 50 ms; 6 dB would cut off the ends of short words as well
FADING_FRAMES = 16  # 160 ms: after that a click in a room is gone, and a fainter voice than before is heard again
HOLD_DB = 2.0  # how much closer to the floor a voice may come once it speaks
SILENT_FRAMES = 20  # 200 ms: a closed mouth within a word is half as long


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How readily a sound is taken for speech."""

    mode: int  # webrtcvad's: 0 takes most sounds for a voice, 3 few, and no faint ones
    margin_db: float  # above the floor, to begin
    share: float  # of the frames in the last `confirm_ms` that must be voiced


OPERATING_POINTS = {
    "low": OperatingPoint(mode=2, margin_db=8.0, share=0.6),  # for a lively room: 30 ms later; faint words do not count
    "normal": OperatingPoint(mode=1, margin_db=6.0, share=0.4),  # 70 ms from the first sound of a voice to evidence
    "high": OperatingPoint(mode=0, margin_db=6.0, share=0.3),  # for a still room: 20 ms earlier; more knocks count
}


class SpeechDetector:
    """Hears one microphone at `rate` Hz (16 or 8 kHz), from any thread, but from one at a time."""

    def __init__(self, *, sensitivity: str = "normal", confirm_ms: int = 160, rate: int = RATE) -> None:
        if sensitivity not in OPERATING_POINTS:
            raise ValueError(f'sensitivity is "{sensitivity}", expected one of {", ".join(OPERATING_POINTS)}')
        if confirm_ms < 10:
            raise ValueError(f"confirm_ms is {confirm_ms}, expected at least 10 (one frame)")
        point = OPERATING_POINTS[sensitivity]
        frames = confirm_ms // 10
        self._vad = webrtcvad.Vad(point.mode)
        self._rate = rate
        self._frame = rate * FRAME_MS // 1000
        self._lag = rate * RUMBLE_US // 1_000_000
        self._begin = _ratio(point.margin_db)
        self._hold = _ratio(point.margin_db - HOLD_DB)
        self._faded = _ratio(-FADED_DB)
        self._wanted = math.ceil(point.share * frames)
        self._recent = deque([False] * frames, maxlen=frames)
        self._powers = deque([0.0], maxlen=FADING_FRAMES)
        self._voiced = False
        self._silent_frames = SILENT_FRAMES
        self._speaking = False
        self._rest = np.zeros(0, np.int16)
        self._floor = _Floor()

    @property
    def voiced(self) -> bool:
        """Whether the last frame was voice."""
        return self._voiced

    @property
    def evident(self) -> bool:
        """Whether the wanted share of the last `confirm_ms` was voice: enough to interrupt. It fades with the voice."""
        return sum(self._recent) >= self._wanted

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks: from the evidence on, until 200 ms went by without voice."""
        return self._speaking

    @property
    def level_dbfs(self) -> float:
        """RMS of the last frame, without rumble."""
        return _dbfs(self._powers[-1])

    @property
    def floor_dbfs(self) -> float:
        """Level of the noise around the voice, without rumble."""
        return _dbfs(self._floor.power)

    def hear(self, pcm: Samples) -> None:
        """Take the next samples (n,), gapless. What is no whole frame yet waits for the rest of it."""
        if len(self._rest):
            pcm = np.concatenate((self._rest, pcm))
        whole = len(pcm) // self._frame * self._frame
        frames = pcm[:whole].reshape(-1, self._frame)
        for frame, power in zip(frames, _powers_above_rumble(frames, self._lag), strict=True):
            self._judge(frame, power)
        self._rest = pcm[whole:].copy()

    def forget(self) -> None:
        """There is a gap now: keep the noise floor, and no voice of before it."""
        self._recent.extend([False] * len(self._recent))
        self._voiced = self._speaking = False
        self._silent_frames = SILENT_FRAMES
        self._rest = self._rest[:0]

    def _judge(self, frame: Samples, power: float) -> None:
        like_a_voice = self._vad.is_speech(frame.tobytes(), self._rate)  # every frame: it learns the noise, too
        self._powers.append(power)
        self._floor.follow(power)
        clear = power > self._floor.power * (self._hold if self._speaking else self._begin)
        faded = power < max(self._powers) * self._faded
        self._voiced = like_a_voice and clear
        self._recent.append(self._voiced and not faded)
        self._silent_frames = 0 if self._voiced else self._silent_frames + 1
        self._speaking = self.evident or (self._speaking and self._silent_frames < SILENT_FRAMES)


def _powers_above_rumble(frames: Samples, lag: int) -> list[float]:
    """Return the power of each of `frames` (n, frame)."""
    x = frames.astype(np.float32)
    x = x[:, lag:] - x[:, :-lag]
    powers: list[float] = (np.vecdot(x, x) / (2 * x.shape[1])).tolist()  # halved, so that white noise keeps its level
    return powers


class _Floor:
    """The lowest smoothed power of the last 1.5 s."""

    def __init__(self) -> None:
        self._quiet = _power(QUIET_DBFS)
        self._smooth = self._lowest = self.power = _power(UNKNOWN_DBFS)
        self._blocks = deque([self.power] * BLOCKS, maxlen=BLOCKS)
        self._frames = 0  # of the current block

    def follow(self, power: float) -> None:
        """Take the next frame's power."""
        self._smooth += SMOOTHING * (power - self._smooth)
        self._lowest = min(self._lowest, self._smooth)
        self._frames += 1
        if self._frames == BLOCK_FRAMES:
            self._blocks.append(self._lowest)
            self._lowest, self._frames = self._smooth, 0
        self.power = max(self._quiet, min(self._lowest, *self._blocks))


def _ratio(db: float) -> float:
    return float(10 ** (db / 10))


def _power(dbfs: float) -> float:
    return _ratio(dbfs) * FULL_SCALE


def _dbfs(power: float) -> float:
    return max(SILENCE_DBFS, 10 * math.log10(power / FULL_SCALE)) if power else SILENCE_DBFS
