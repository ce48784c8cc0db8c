"""When the box fell silent of its own will: its detector hears the recordings once more, period by period.

The program tells nobody when it decided. But what it decides by is a pure function of what was captured and of what
was played, and the card's log has the first captured sample. So the end of the period that held the hint is known to
the sample: before that nobody can have decided, and whatever passes after it is ours. This is no figure, only a moment;
as long as the microphone lost nothing (an xrun), it is the program's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.echo import load
from edgevoice.audio.hearing import Hearing
from edgevoice.audio.interruption import TalkOver
from edgevoice.schema import BargeIn

Samples = NDArray[np.int16]

PERIOD_S = 0.010
SOUNDS_S = 0.060  # a response is over for the ear so much later than for the box: what the card holds, and a pause
GIVE_UP = BargeIn().give_up_ms // 10  # blocks


def hinted_at(microphone: Samples, speaker: Samples, first: int, rate: int) -> NDArray[np.int64]:
    """Return the ends of the periods in which a hint silenced a response, the first period beginning at `first`."""
    detector = TalkOver()
    hearing = Hearing(rate, load("aec3", noise_suppression=True)[0])
    period = round(PERIOD_S * rate)
    ends = []
    weighed: int | None = None
    for end in range(first + period, len(microphone) + 1, period):
        for block in hearing.hear(microphone[end - period : end], speaker[end - period : end]):
            detector.hear(*block)
            if weighed is not None:
                weighed += 1
                if detector.evidence.evident or detector.evidence.harmless or weighed >= GIVE_UP:
                    weighed = None
                    detector.evidence.relax()
            elif detector.hint and speaker[max(0, end - round(SOUNDS_S * rate)) : end].any():
                weighed = 0
                detector.suspect()
                ends.append(end)
    return np.array(ends, np.int64)
