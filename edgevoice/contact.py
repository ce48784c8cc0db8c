"""The contact under a finger: it bounces when it opens, and fingers are slow. No clock inside."""

from __future__ import annotations

BOUNCE_S = 0.2  # presses closer together than this are one: no finger is that quick
RELEASE_S = 0.03  # a contact that closes again within this has bounced: the finger is still there


class Contact:
    """Whether the button is down. A press takes effect at its first edge; letting go when the contact stays open."""

    def __init__(self) -> None:
        self.down = False
        self._pressed_at = -BOUNCE_S
        self._opened_at: float | None = None  # whether it bounces shows within RELEASE_S

    @property
    def deadline(self) -> float | None:
        """When `rests` must be asked."""
        return None if self._opened_at is None else self._opened_at + RELEASE_S

    def closes(self, at: float) -> bool:
        """Tell whether that is a press."""
        still_down = self._opened_at is not None
        self._opened_at = None
        if still_down or at - self._pressed_at < BOUNCE_S:
            return False
        self._pressed_at = at
        self.down = True
        return True

    def opens(self, at: float) -> None:
        self._opened_at = at if self.down else None

    def rests(self, at: float) -> bool:
        """Tell whether it has stayed open: the finger is gone. It is told once."""
        if self.deadline is None or at < self.deadline:
            return False
        self._opened_at = None
        self.down = False
        return True
