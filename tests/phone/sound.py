"""Sound as the phone services carry it: G.711 in both laws, and PCM in both byte orders.

A table of 256 values and its inverse of 65,536 make a frame cost one look-up. Source: ITU-T G.711, tables 1 and 2.
"""

from __future__ import annotations

import base64
import binascii
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

FORMATS = ("ulaw", "alaw", "s16le", "s16be")


def decode(sound: bytes, format: str) -> Samples:
    """Return the samples (n,) of what came in one of FORMATS."""
    if format == "s16le":
        return np.frombuffer(sound, "<i2").astype(np.int16)
    if format == "s16be":
        return np.frombuffer(sound, ">i2").astype(np.int16)
    return _levels(format)[np.frombuffer(sound, np.uint8)]


def encode(samples: Samples, format: str) -> bytes:
    """Return the samples (n,) as one of FORMATS."""
    if format == "s16le":
        return samples.astype("<i2").tobytes()
    if format == "s16be":
        return samples.astype(">i2").tobytes()
    return _codes(format)[samples.view(np.uint16)].tobytes()


def bytes_per_sample(format: str) -> int:
    return 2 if format.startswith("s16") else 1


def unwrap(payload: object) -> bytes | None:
    """Return what stands in base64, or None if it is none."""
    try:
        return base64.b64decode(payload, validate=True) if isinstance(payload, str) else None
    except (binascii.Error, ValueError):
        return None


def wrap(sound: bytes) -> str:
    return base64.b64encode(sound).decode()


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """Change the rate by straight lines between samples: a caller's voice stays a voice."""
    if rate == wanted or not len(samples):
        return samples
    places = np.arange(len(samples) * wanted // rate) * (rate / wanted)
    return _int16(np.interp(places, np.arange(len(samples)), samples))


@cache
def _levels(law: str) -> Samples:
    """Return the level of each of the 256 codes."""
    codes = np.arange(256)
    if law == "ulaw":
        bits = ~codes & 0xFF
        size = (((bits & 0xF) << 3) + 0x84 << (bits >> 4 & 7)) - 0x84
        return _int16(np.where(bits & 0x80, -size, size))
    bits = codes ^ 0x55
    segment, step = bits >> 4 & 7, (bits & 0xF) << 4
    size = np.where(segment == 0, step + 8, step + 0x108 << np.maximum(segment - 1, 0))
    return _int16(np.where(bits & 0x80, size, -size))


@cache
def _codes(law: str) -> NDArray[np.uint8]:
    """Return the code of each of the 65,536 samples, in the order of their bits as an unsigned number."""
    samples = np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int32)
    negative = samples < 0
    if law == "ulaw":
        size = np.minimum(np.abs(samples), 32635) + 0x84
        segment = np.floor(np.log2(size)).astype(np.int32) - 7
        return _uint8(~(np.where(negative, 0x80, 0) | segment << 4 | size >> segment + 3 & 0xF) & 0xFF)
    size = np.where(negative, ~samples, samples)
    segment = np.maximum(np.floor(np.log2(np.maximum(size, 1))).astype(np.int32) - 7, 0)
    step = np.where(segment == 0, size >> 4, size >> segment + 3) & 0xF
    return _uint8((np.where(negative, 0, 0x80) | segment << 4 | step) ^ 0x55)


def _int16(values: NDArray[Any]) -> Samples:
    return values.astype(np.int16)


def _uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    return values.astype(np.uint8)
