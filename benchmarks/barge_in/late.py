"""The alternative to dropping at the hint: what the card was given plays out, and only a confirmed voice drops it.

The card is never stopped by a suspicion, so the reference keeps its place, and nothing has to be played again. It costs
what the card holds ahead: the person hears the box for so much longer, and so does the microphone.
"""

from __future__ import annotations

from edgevoice.audio.duplex import Duplex
from edgevoice.events import BargeIn, Suspected


class PlaysOut(Duplex):
    """The product's loop, with another answer to a hint."""

    def _judge(self) -> None:
        super()._judge()
        if self._dropping and not isinstance(self._dropping, BargeIn):
            self._dropping = None
            self.playout.on_hold = True
            self.detector.suspect()
            self._suspected = 0
            self.suspicions += 1
            self._events.append(Suspected(self.playout.sounding))

    def _confirm(self) -> None:
        self._forget_suspicion()
        self._dropping = BargeIn()
