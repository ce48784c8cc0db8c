"""Decides whether a caller talks over us: as `interruption` at the box, on a line that gives back no echo.

    heard (8 kHz) ──┬── speech ──> speaking
                    └── bands ── three well above the noise? ──> hint ── weighed (`evidence`) ──> evident, harmless

Without an echo there is nothing to learn and nothing to take away, so it is cheap: a server has many callers.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.echo_path import BINS, BLOCK, RATE
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


class TalkOverLine:
    """Hears one caller at 8 kHz, block by block."""

    def __init__(self, *, sensitivity: str = "normal", confirm_ms: int = 160) -> None:
        self._speech = SpeechDetector(sensitivity=sensitivity, confirm_ms=confirm_ms, rate=RATE)
        point = OPERATING_POINTS[sensitivity]
        self._margin = 10 ** (point.margin_db / 10)
        self.evidence = Evidence(point.share * confirm_ms)
        self._noise = Noise()
        self._spectrum, self._bands = _to_bands()
        self._stands_out = 2 * self._margin * NOISE * self._noise.floor
        self._recent = np.zeros(PITCH_SAMPLES + BLOCK + 1, np.float32)  # one more, for the change from the one before
        self._last: Floats = np.zeros(BANDS, np.float32)  # the last block
        self._above = 0

    @property
    def hint(self) -> bool:
        """Right now something begins that may be a voice over us."""
        return self._above >= STAND_OUT and not self.evidence.resting

    @property
    def speaking(self) -> bool:
        """Somebody speaks; a short pause does not end it."""
        return self._speech.speaking

    @property
    def level_dbfs(self) -> float:
        """How loud the last block was, without rumble."""
        return self._speech.level_dbfs

    def hear(self, pcm: Samples) -> None:
        """Take the next 10 or 20 ms, (80,) or (160,): both blocks at once cost little more than one."""
        self._speech.hear(pcm)
        size = len(pcm)
        recent = self._recent
        recent[:-size] = recent[size:]
        recent[-size:] = pcm
        begin = len(recent) - size - 1  # with the sample before it
        blocks = np.ndarray((size // BLOCK, BLOCK + 1), np.float32, recent, 4 * begin, (4 * BLOCK, 4))
        spectra: Floats = np.dot(blocks, self._spectrum)
        spectra *= spectra
        heard: Floats = np.dot(spectra, self._bands)
        if self._noise.follow(heard[0] if len(heard) == 1 else 0.5 * (heard[0] + heard[1]), len(heard)):
            self._stands_out = 2 * self._margin * NOISE * self._noise.floor
        self._above = 0
        for ago, block in zip(range(len(heard) - 1, -1, -1), heard, strict=True):
            self._above = max(self._above, int(np.count_nonzero(self._last + block > self._stands_out)))
            self._last = block
            self.evidence.hear(float(block.sum()))
            if self.evidence.suspecting:
                self._weigh(block, ago)

    def _weigh(self, heard: Floats, ago: int) -> None:
        """Weigh a block, behind which `ago` others have come already."""
        end = len(self._recent) - ago * BLOCK
        recent = self._recent[end - PITCH_SAMPLES - 1 : end]
        floor = self._noise.floor
        self.evidence.weigh(heard, floor, CLEAR * NOISE * floor, recent[1:] - recent[:-1])

    def suspect(self) -> None:
        """Collect evidence from the hint on."""
        self.evidence.suspect(self._last, self._noise.floor)

    def forget(self) -> None:
        """There is a gap now: what was heard so far says nothing about what comes."""
        self._speech.forget()
        self.evidence.suspecting = False


@cache
def _to_bands() -> tuple[Floats, Floats]:
    """Return what takes a block and the sample before it (81,) to its spectrum, and the squares of that to bands.

    The bass is lowered by 6 dB an octave, as at the box; bins that are in no band are left out.
    """
    change = np.zeros((BLOCK + 1, BLOCK))
    change[np.arange(BLOCK), np.arange(BLOCK)] = -1
    change[np.arange(BLOCK) + 1, np.arange(BLOCK)] = 1
    parts = np.fft.rfft(np.concatenate((change, np.zeros_like(change)), axis=1))
    assert parts.shape == (BLOCK + 1, BINS)
    used = bands().any(axis=1)
    spectrum = np.concatenate((parts.real[:, used], parts.imag[:, used]), axis=1).astype(np.float32)
    power = np.concatenate((bands()[used], bands()[used]))
    for matrix in (spectrum, power):
        matrix.flags.writeable = False
    return spectrum, power
