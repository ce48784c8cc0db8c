"""Whose decisions are compared: ours at its three sensitivities, and those of the peers on the same sound."""

from __future__ import annotations

from benchmarks.barge_in.runner import Ears
from edgevoice.audio.echo import load
from edgevoice.audio.interruption import TalkOver


def ours(
    canceller: str = "aec3", sensitivity: str = "normal", give_up_ms: int = 500, *, noise_suppression: bool = True
) -> Ears:
    """Return what the box has."""
    return Ears(TalkOver(sensitivity=sensitivity), load(canceller, noise_suppression=noise_suppression)[0], give_up_ms)
