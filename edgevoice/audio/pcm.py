"""Samples as bytes and as arrays: what a leg sends is bytes, what is computed on is int16."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

SILENCE_DBFS = -96.0  # the lowest level told: 16 bits end at -90


def from_bytes(pcm: bytes) -> Samples:
    """Read int16, little endian, as a read-only array (n,). Half a sample at the end is an error."""
    if len(pcm) % 2:
        raise ValueError(f"pcm is {len(pcm)} bytes long, expected an even number (2 per sample)")
    return np.frombuffer(pcm, "<i2")


def to_bytes(samples: Samples) -> bytes:
    """Write `samples` as int16, little endian."""
    return samples.astype("<i2", copy=False).tobytes()


def level_dbfs(samples: Samples) -> float:
    """Measure the RMS of `samples` against full scale (a sine can reach -3); silence and nothing are -96."""
    if not len(samples):
        return SILENCE_DBFS
    x = samples.astype(np.float32)
    power = float(np.dot(x, x)) / len(x) / 32768.0**2
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power else SILENCE_DBFS


def channel(interleaved: Samples, channels: int, pick: int) -> Samples:
    """Take channel `pick` (from 0) out of `channels` interleaved ones."""
    return np.ascontiguousarray(interleaved.reshape(-1, channels)[:, pick])


def duplicate(mono: Samples, channels: int) -> Samples:
    """Give the same samples to each of `channels` interleaved channels."""
    return np.repeat(mono, channels)


class Whole:
    """Sound that may be cut anywhere, made of whole samples again."""

    def __init__(self) -> None:
        self._half = b""

    def samples(self, pcm: bytes) -> bytes:
        """Return `pcm` behind what was left over, up to its last whole sample."""
        if self._half:
            pcm = self._half + pcm
        if len(pcm) % 2 == 0:
            self._half = b""
            return pcm
        self._half = pcm[-1:]
        return pcm[:-1]
