"""The link to an agent in mid-conversation: lost, looked for, back; what the person says meanwhile. No clock inside.

             lost                 a new connection stands         the wire tells `Resumed`
    up ──────────────> down ────────────────────────────────> down ────────────────────────> up
                        │ ^   cannot be had, or lost again      │
                        │ └─────────────────────────────────────┘
                        └── RESUME_S after the loss: given up

Rules
* A service that takes the conversation over only to drop it within STEADY_S is tried less and less often, and given up
  the FLAPS-th time. So nothing goes on for ever.
* What the person says while it is down is kept in order, with the ends of their turns, and told once. Of a long absence
  the last KEPT_S are kept.
"""

from __future__ import annotations

from collections import deque

from edgevoice.events import Closed, Command, Play, Respond

RESUME_S = 10.0  # who waits longer for an answer has given up
AGAIN_S = (0.0, 0.5, 1.0, 2.0)  # before each attempt; the last one again and again
STEADY_S = 10.0
FLAPS = 4  # a radio at the edge of its range comes and goes, too
KEPT_S = 30.0


class Link:
    """Whether what is said, at `rate` Hz, reaches the service."""

    def __init__(self, rate: int) -> None:
        self.down: Closed | None = None  # why
        self._rate = rate
        self._kept: deque[Play | Respond] = deque()
        self._kept_bytes = 0
        self._tries = 0
        self._flaps = 0
        self._lost_at = 0.0
        self._back_at: float | None = None
        self._give_up_at = 0.0

    @property
    def deadline(self) -> float | None:
        """When it is given up, while it is down."""
        return self._give_up_at if self.down else None

    def lost(self, closed: Closed, at: float) -> float | None:
        """Take that there is no connection (again); return when to try to have one, None: it is given up."""
        if self.down is None:
            if self._back_at is None or at >= self._back_at + STEADY_S:
                self._tries = self._flaps = 0
            else:
                self._flaps += 1
            self.down, self._lost_at, self._give_up_at = closed, at, at + RESUME_S
        if at >= self._give_up_at or self._flaps >= FLAPS:
            return None
        self._tries += 1
        return at + AGAIN_S[min(self._tries, len(AGAIN_S)) - 1]

    def keep(self, command: Command) -> bool:
        """Keep what the person says while the link is down; False: it is something else, or the link is up."""
        if self.down is None or not isinstance(command, Play | Respond):
            return False
        self._kept.append(command)
        self._kept_bytes += _size(command)
        while self._kept_bytes > KEPT_S * self._rate * 2:
            self._kept_bytes -= _size(self._kept.popleft())
        return True

    def back(self, at: float) -> tuple[float, list[Command]]:
        """Take that the service is ready; return how long it was away (seconds), and what was said meanwhile."""
        kept: list[Command] = list(self._kept)
        self._kept.clear()
        self._kept_bytes = 0
        self.down, self._back_at = None, at
        return at - self._lost_at, kept


def _size(command: Play | Respond) -> int:
    return len(command.pcm) if isinstance(command, Play) else 0
