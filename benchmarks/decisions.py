"""When the voice was evident: the detector hears the microphone's recording once more, period by period.

The program tells nobody when it decided. But its detector is a pure function of what was captured, and the card's log
has the first captured sample. So the end of the period that made a voice evident is known to the sample: before that
nobody can have decided, and whatever passes after it is ours. This is no figure, only a moment; as long as the
microphone lost nothing (an xrun), it is the program's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.duplex import Duplex
from edgevoice.audio.speech import SpeechDetector

Samples = NDArray[np.int16]

PERIOD_S = 0.010


def evident_at(microphone: Samples, first: int, rate: int) -> NDArray[np.int64]:
    """Return the ends of the periods after which a voice was evident, the first period beginning at `first`."""
    detector = SpeechDetector()
    duplex = Duplex(rate, detector, half_duplex=False, pre_roll_ms=0)
    period = round(PERIOD_S * rate)
    ends = []
    for end in range(first + period, len(microphone) + 1, period):
        duplex.capture(microphone[end - period : end], 0)
        duplex.take_events()
        if detector.evident:
            ends.append(end)
    return np.array(ends, np.int64)
