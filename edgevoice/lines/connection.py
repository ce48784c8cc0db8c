"""Which call a phone service's WebSocket carries, and whether that stands: begun, up, ended by us, over."""

from __future__ import annotations

from edgevoice.events import Closed, End
from edgevoice.lines.service import Meaning


class Connection:
    """One WebSocket, which carries one call at the most."""

    def __init__(self, title: str) -> None:
        """`title` is how sentences for the owner name the service."""
        self.call = ""  # the service's own id; "": it has not begun
        self.up = False  # it has begun, and nobody has ended it
        self.left = False  # we have ended it
        self.over: Closed | None = None  # it has ended
        self._title = title

    def begin(self, call: str) -> None:
        self.call, self.up = call, not self.left

    def again(self, call: str) -> tuple[Meaning, ...]:
        """Take a second beginning: of the same call it means nothing, of another it ends this one."""
        if call == self.call:
            return ()
        return self.close(End.BROKEN, f"{self._title} began a second call on the connection of another")

    def leave(self) -> None:
        """We end the call."""
        self.left, self.up = True, False

    def close(self, end: End, reason: str) -> tuple[Meaning, ...]:
        """The service has ended the call, or must not go on with it."""
        self.over, self.up = Closed(end, reason), False
        return (self.over,)

    def closed(self, code: int) -> Closed:
        """Say what it means that the socket is gone, of a service that says goodbye first."""
        if self.over or self.left:
            return self.over or Closed(End.HUNG_UP, "we ended the call")
        of = "'" if self._title.endswith("s") else "'s"
        broke_off = f"{self._title}{of} connection broke off in the middle of a call (code {code})"
        return Closed(End.LINK_LOST, broke_off)
