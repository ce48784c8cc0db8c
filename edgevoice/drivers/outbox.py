"""What waits to be sent over one WebSocket, and the task that sends it. Bounded in time: nobody wants late sound."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed

log = logging.getLogger(__name__)


def let_go(connection: Connection) -> None:
    """Tear a connection whose other side has sent its end, if something still waits to be sent there.

    asyncio would close it when that is taken, and then fail (AttributeError in `abort`) whoever tears it afterwards, as
    the library does. Source: CPython 3.11 to 3.13, `_SelectorTransport.close` and `_force_close`.
    """
    if connection.transport.can_write_eof() and connection.transport.get_write_buffer_size():  # TLS knows no half end
        connection.transport.abort()


class Outbox:
    """Messages in order. Called on the event loop."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._waiting: deque[tuple[float, str | bytes]] = deque()
        self._wake = asyncio.Event()  # there is something to send, or the end has come
        self._finishing = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, messages: Iterable[str | bytes], at: float) -> bool:
        """Have them sent; False when the first in the row has waited too long: the other side takes nothing."""
        if self._waiting and at - self._waiting[0][0] > self._limit_s:
            return False
        self._waiting.extend((at, message) for message in messages)
        self._wake.set()
        return True

    def forget(self) -> None:
        """What waits is not sent any more."""
        self._waiting.clear()

    def finish(self) -> None:
        """Close the connection when everything is sent."""
        self._finishing = True
        self._wake.set()

    async def run(self, connection: Callable[[], Connection]) -> None:
        """Send until `finish`; `connection` is asked anew each time. Raises nothing for what the world does."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                _, message = self._waiting.popleft()
                if log.isEnabledFor(logging.DEBUG):
                    log.debug("> %d bytes", len(message))
                try:
                    await connection().send(message)
                except ConnectionClosed:
                    break  # the reader tells why
            if self._finishing:
                await connection().close()
                return
