"""Which end of a sample comes first, told from the sound itself, where a service does not say.

Read in the wrong order the low byte becomes the high one: every signal that is not itself at full scale turns into a
noise that jumps from sample to sample. So the order in which it jumps less is the right one.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Order: TypeAlias = Literal["big", "little"]

ENOUGH = 320  # samples, two messages of 20 ms at 8 kHz
CLEARLY = 4.0  # times as smooth: a voice mostly is far more, and with less than 3 very loud A-law was mistaken


def byte_order(pcm: bytes) -> Order | None:
    """Say which order the int16 samples have; None where `pcm` is too short, too quiet or too odd to tell.

    Sound that never swings below zero is too odd: it may be the network's idle noise, or 8 bits wide.
    """
    if len(pcm) < 2 * ENOUGH:
        return None
    big, little = np.frombuffer(pcm, ">i2"), np.frombuffer(pcm, "<i2")
    order: Order
    order, smooth, rough = ("big", big, little) if _jumps(big) < _jumps(little) else ("little", little, big)
    return order if _jumps(rough) > CLEARLY * _jumps(smooth) and smooth.min() < 0 <= smooth.max() else None


def to_little(pcm: bytes, order: Order) -> bytes:
    """Bring samples into our order."""
    return pcm if order == "little" else np.frombuffer(pcm, np.int16).byteswap().tobytes()


def _jumps(samples: NDArray[np.int16]) -> int:
    """Add up how far it is from each sample to the next."""
    return int(np.abs(np.diff(samples.astype(np.int32))).sum())
