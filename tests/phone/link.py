"""A phone service and a server in virtual time, with half a network each way."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.phone.core import Core
from tests.phone.network import Network

Server = Callable[[str, float], Iterable[str]]


class Link:
    """Carries messages between `core` and `receive`, which returns what the server answers at once."""

    def __init__(self, core: Core, receive: Server, *, up: Network[str], down: Network[str], at: float = 0.0) -> None:
        """`up` leads to the server, `down` to the service."""
        self.at = at
        self._core, self._receive, self._up, self._down = core, receive, up, down

    def send(self, messages: Iterable[str]) -> None:
        """Let the server say something, now."""
        for message in messages:
            self._down.put(message, self.at)

    def run(self, until: float) -> None:
        """Let time pass, from event to event."""
        while True:
            times = (self._core.next_at, self._up.next_at, self._down.next_at)
            at = min((time for time in times if time is not None), default=until)
            if at > until:
                self.at = until
                return
            self.at = max(at, self.at)
            self._step()
            if self._core.over and self._up.next_at is None:
                self.at = until
                return

    def _step(self) -> None:
        for message in self._down.due(self.at):
            self._tell(self._core.receive(message, self.at))
        self._tell(self._core.advance(self.at))
        for message in self._up.due(self.at):
            self.send(self._receive(message, self.at))

    def _tell(self, messages: Iterable[str]) -> None:
        for message in messages:
            self._up.put(message, self.at)
