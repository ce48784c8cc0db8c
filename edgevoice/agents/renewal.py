"""When the connection to an agent's service is given up for another: in a pause, or else in time before its end."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

LOOK_S = 0.25  # how often a pause is looked for


@dataclass(slots=True)
class Renewal:
    """In the first pause from `at` on, and `by` then at all events (monotonic seconds); infinity: not at all."""

    at: float = inf
    by: float = inf

    def due(self, at: float, *, pause: bool) -> bool:
        """Tell whether it is to be done now; if not, `at` is when to ask again."""
        due = pause or at >= self.by
        self.at = inf if due else min(at + LOOK_S, self.by)
        return due
