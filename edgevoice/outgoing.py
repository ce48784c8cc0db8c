"""The calls that we make over phone services, until they are answered, or cannot come in any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgevoice.dialling import RING_FOR_S, Dialling
from edgevoice.events import HangUp
from edgevoice.line_catalogue import PhoneLines
from edgevoice.lines.admission import Admitted, Ticket
from edgevoice.lines.service import Began

NOBODY_WAITS = "nobody waits for this call any more"


class Outgoing:
    """Those that nobody has answered yet. `issue` returns the path at which who answers comes in."""

    def __init__(self, lines: PhoneLines, issue: Callable[[Ticket], str]) -> None:
        self._lines = lines
        self._issue = issue
        self._loop = asyncio.get_running_loop()
        self._dialled: list[Dialling] = []

    @contextmanager
    def dialling(self, line: str, name: str, number: str) -> Iterator[Dialling]:
        """Have a far side for a call to `number`, which rings until it opens; `name` is ours. Raises ConfigError."""
        path = self._issue(Ticket(line, call=name))
        socket_url = self._lines.config.lines.url.replace("https://", "wss://", 1) + path
        dialling = Dialling(line, name, number, self._lines.dialer(line, socket_url))
        self._dialled.append(dialling)
        try:
            yield dialling
        finally:
            dialling.perform(HangUp(NOBODY_WAITS), self._loop.time())
            if dialling.may_come:
                self._loop.call_later(RING_FOR_S, self._dialled.remove, dialling)
            else:
                self._dialled.remove(dialling)

    def waiting_for(self, admitted: Admitted, began: Began) -> Dialling | None:
        """Return the call that has just come in, if it is one that we made."""
        ours = admitted.ticket.call if admitted.ticket else ""
        return next((dialled for dialled in self._dialled if dialled.is_it(admitted.service, ours, began)), None)

    def hang_up(self, reason: str) -> None:
        """End those that ring somewhere."""
        for dialled in self._dialled:
            dialled.perform(HangUp(reason), self._loop.time())
