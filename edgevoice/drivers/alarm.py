"""A timer on the event loop that follows a deadline, without being set anew each time that moves on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `wake` at the deadline, or before. Used on the event loop."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._at = 0.0  # when the timer fires

    def set(self, deadline: float | None) -> None:
        """Take the deadline (the loop's time), or that there is none.

        A later one than before is followed when the timer fires: whoever is woken asks whether it is time, and sets it
        again. So a deadline that moves on with every message costs nothing.
        """
        if deadline is None or (self._timer and self._at <= deadline):
            return
        self.cancel()
        self._at = deadline
        self._timer = self._loop.call_at(deadline, self._fired)

    def cancel(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _fired(self) -> None:
        self._timer = None
        self._wake()
