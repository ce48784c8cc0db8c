"""How others decide, on the same sound and in the same loop: each policy with its settings, to be tuned like ours.

level gate            the microphone is louder than so many times the loudspeaker, and than a threshold (an RMS gate of
                      openai-agents' demonstration: 0.6 times, blocks of 40 ms)
vad                   webrtcvad hears a voice in most of the last frames; nothing is cancelled
vad after ...         the same behind a canceller
minimum duration      a voice without longer gaps for 200 ms (pipecat) or 500 ms (LiveKit), behind aec3
pause and resume      a voice for a while pauses the reply, words interrupt it, and after 2 s without any it goes on
                      (LiveKit). For words stands so much voice in those 2 s: speech recognition is not in this bench

A peer that decides has decided: what is a suspicion in our loop it confirms with the very next block, 10 ms later. Only
the last one takes anything back.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, Self

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from benchmarks.barge_in.runner import Ears
from edgevoice.audio.echo import Canceller, load

Samples = NDArray[np.int16]

RATE, FRAME_MS = 16_000, 10
FULL_SCALE = 32768.0
RESUME_MS = 2000


class Rule(Protocol):
    """Decides whether somebody talks, 10 ms at a time."""

    def decides(self, cleaned: Samples, captured: Samples, played: Samples) -> bool:
        """Take the next block; tell whether by now somebody talks."""


class Peer:
    """A detector of one rule. With `words_ms` that much voice is needed once the reply pauses, else nothing more."""

    level_dbfs = -96.0
    harmless = unspoilt = False

    def __init__(self, rule: Rule, *, words_ms: int = 0, mode: int = 3) -> None:
        self.hint = self.evident = False
        self._rule = rule
        self._words = words_ms // FRAME_MS
        self._vad = webrtcvad.Vad(mode)
        self._pausing = False
        self._voiced = 0

    @property
    def evidence(self) -> Self:
        return self

    @property
    def speaking(self) -> bool:
        return self.hint

    def hear(self, cleaned: Samples, captured: Samples, played: Samples) -> None:
        self.hint = self._rule.decides(cleaned, captured, played)
        if self._pausing:
            self._voiced += self._words > 0 and self._vad.is_speech(cleaned.tobytes(), RATE)
            self.evident = self._voiced >= self._words

    def suspect(self) -> None:
        self._pausing, self._voiced = True, 0

    def relax(self) -> None:
        self._pausing = self.evident = False

    def witness(self) -> None:
        """Peers have no second witness."""

    def forget(self) -> None:
        self.hint = self.evident = False


class LevelGate:
    """`factor` times the loudspeaker's level, and `least_dbfs`; of `blocks` blocks of `block_ms` in a row."""

    def __init__(self, *, factor: float, least_dbfs: float, blocks: int, block_ms: int = 40) -> None:
        self._factor = factor**2
        self._least = (FULL_SCALE * 10 ** (least_dbfs / 20)) ** 2
        self._captured = deque([0.0], maxlen=block_ms // FRAME_MS)
        self._played = deque([0.0], maxlen=block_ms // FRAME_MS)
        self._wanted = blocks * block_ms // FRAME_MS
        self._above = 0

    def decides(self, cleaned: Samples, captured: Samples, played: Samples) -> bool:
        self._captured.append(_power(captured))
        self._played.append(_power(played))
        level = sum(self._captured) / len(self._captured)
        gate = self._factor * sum(self._played) / len(self._played) + self._least
        self._above = self._above + 1 if level > gate else 0
        return self._above >= self._wanted


class Vad:
    """webrtcvad of `mode` hears a voice in `share` of the last `window_ms`."""

    def __init__(self, *, mode: int, share: float, window_ms: int) -> None:
        self._vad = webrtcvad.Vad(mode)
        self._recent = deque([False] * (window_ms // FRAME_MS), maxlen=window_ms // FRAME_MS)
        self._wanted = round(share * window_ms / FRAME_MS)

    def decides(self, cleaned: Samples, captured: Samples, played: Samples) -> bool:
        self._recent.append(self._vad.is_speech(cleaned.tobytes(), RATE))
        return sum(self._recent) >= self._wanted


class Duration:
    """webrtcvad of `mode` hears a voice for `least_ms`, gaps of `gap_ms` included."""

    def __init__(self, *, mode: int, least_ms: int, gap_ms: int) -> None:
        self._vad = webrtcvad.Vad(mode)
        self._least, self._gap = least_ms // FRAME_MS, gap_ms // FRAME_MS
        self._lasting = self._silent = 0

    def decides(self, cleaned: Samples, captured: Samples, played: Samples) -> bool:
        voiced = self._vad.is_speech(cleaned.tobytes(), RATE)
        self._silent = 0 if voiced else self._silent + 1
        self._lasting = self._lasting + 1 if voiced or (self._lasting and self._silent <= self._gap) else 0
        return self._lasting >= self._least


def level_gate(*, factor: float, least_dbfs: float, blocks: int) -> Ears:
    return Ears(Peer(LevelGate(factor=factor, least_dbfs=least_dbfs, blocks=blocks)), _canceller("none"))


def vad(*, canceller: str, mode: int, share: float, window_ms: int) -> Ears:
    return Ears(Peer(Vad(mode=mode, share=share, window_ms=window_ms)), _canceller(canceller))


def minimum_duration(*, least_ms: int, mode: int, gap_ms: int, canceller: str = "aec3") -> Ears:
    return Ears(Peer(Duration(mode=mode, least_ms=least_ms, gap_ms=gap_ms)), _canceller(canceller))


def pause_and_resume(*, least_ms: int, mode: int, gap_ms: int, words_ms: int) -> Ears:
    peer = Peer(Duration(mode=mode, least_ms=least_ms, gap_ms=gap_ms), words_ms=words_ms, mode=mode)
    return Ears(peer, _canceller("aec3"), RESUME_MS)


def _canceller(name: str) -> Canceller:
    return load(name, noise_suppression=True)[0]


def _power(x: Samples) -> float:
    wide = x.astype(np.float32)
    return float(np.dot(wide, wide)) / len(wide)
