"""A short chirp, and what was heard around it: enough to say whether loudspeaker and microphone live.

It is fainter and shorter than the sweep of `edgevoice calibrate`, which measures; this only looks. It takes two and a
half seconds.
"""

from __future__ import annotations

from edgevoice.audio.measurement import Sounding, measured, sounded
from edgevoice.audio.recording import Recorder
from edgevoice.audio.sweep import Sweep, highest_hz

CHIRP_S = 0.6
CHIRP_DBFS = -24.0  # a soft word: found in the noise of a fan by its length
TAIL_S = 0.8


def chirp(rate: int, ahead: int, *, aloud: bool = True) -> Recorder:
    """Return what plays it, or only listens; `ahead` frames at most lie between writing and hearing."""
    return Recorder(Sweep(rate, CHIRP_S, CHIRP_DBFS, highest_hz(rate)), TAIL_S, ahead=ahead, aloud=aloud)


def sounding(chirped: Recorder) -> Sounding:
    """Return what was heard, when it is full."""
    figures, _ = measured([chirped.recording], harmonics=False)
    return sounded(figures, chirped.settled, disturbed=chirped.disturbed, aloud=chirped.aloud)
