"""G.711, the sound of the telephone network: one byte a sample at 8 kHz, by the mu-law or the A-law.

Rules
* Each code stands for an interval of samples, as the standard draws them, and is played as the middle of it. So a
  sample gets the nearest code, but for a sliver where a coarser segment begins: there the standard's bound lies a
  quarter of a step beside the middle of both codes, and every other implementation follows it, too.
* A negative sample is measured by its one's complement, as in the ITU's own program: both halves have as many samples,
  and -1 counts as (negative) zero.

Source: ITU-T G.711, tables 1a to 2b; ITU-T G.191, `alaw_compress` and `ulaw_compress`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

NEGATIVE = 0x80  # the sign of a code, once its bits are as in the tables
ULAW_FLIPPED, ALAW_FLIPPED = 0xFF, 0xD5  # bits that are sent inverted, so that silence keeps the line's clock alive
ULAW_SCALE, ALAW_SCALE = 4, 8  # the tables count in 14 and in 13 bits


Integers: TypeAlias = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class _Law:
    """Both directions as tables: of each code its sample (256,), of each sample its code (65536,)."""

    pcm: NDArray[np.int16]
    code: NDArray[np.uint8]


def ulaw_to_pcm(codes: bytes) -> bytes:
    """Expand mu-law: a byte becomes an int16, little endian."""
    return _ulaw().pcm.take(np.frombuffer(codes, np.uint8)).tobytes()


def pcm_to_ulaw(pcm: bytes) -> bytes:
    """Compress int16, little endian, to mu-law. Half a sample at the end is a ValueError."""
    return _ulaw().code.take(np.frombuffer(pcm, "<u2")).tobytes()


def alaw_to_pcm(codes: bytes) -> bytes:
    """Expand A-law: a byte becomes an int16, little endian."""
    return _alaw().pcm.take(np.frombuffer(codes, np.uint8)).tobytes()


def pcm_to_alaw(pcm: bytes) -> bytes:
    """Compress int16, little endian, to A-law. Half a sample at the end is a ValueError."""
    return _alaw().code.take(np.frombuffer(pcm, "<u2")).tobytes()


@cache
def _ulaw() -> _Law:
    segment, step = np.divmod(np.arange(128), 16)
    bounds = ((2 * step + 32) << segment) - 33
    middles = ((2 * step + 33) << segment) - 33
    return _law(bounds * ULAW_SCALE, middles * ULAW_SCALE, ULAW_FLIPPED)


@cache
def _alaw() -> _Law:
    segment, step = np.divmod(np.arange(128), 16)
    shift = np.maximum(segment - 1, 0)
    line = np.where(segment > 0, 32, 0)  # the first two segments are one straight line
    return _law(((2 * step + line) << shift) * ALAW_SCALE, ((2 * step + line + 1) << shift) * ALAW_SCALE, ALAW_FLIPPED)


def _law(bounds: Integers, middles: Integers, flipped: int) -> _Law:
    """Make the tables from the lower bounds of the 128 intervals and their middles, both from zero upwards."""
    codes = np.arange(256) ^ flipped
    heights = middles[codes & ~NEGATIVE]
    pcm = np.where(codes & NEGATIVE, -heights, heights).astype("<i2")
    samples = np.arange(65536).astype(np.uint16).view(np.int16)
    sizes = np.where(samples < 0, ~samples, samples)
    intervals = np.searchsorted(bounds, sizes, side="right") - 1
    signs = np.where(samples < 0, NEGATIVE, 0)
    return _Law(pcm, ((intervals | signs) ^ flipped).astype(np.uint8))
