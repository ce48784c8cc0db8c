"""What waits to be sent over one WebSocket, and the task that sends it. Bounded in time: nobody wants late sound."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from websockets.asyncio.connection import Connection as WebSocket
from websockets.asyncio.connection import broadcast
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

log = logging.getLogger(__name__)


def let_go(connection: WebSocket) -> None:
    """Tear a connection whose other side has sent its end, if something still waits to be sent there.

    asyncio would close it when that is taken, and then fail (AttributeError in `abort`) whoever tears it afterwards, as
    the library does. Source: CPython 3.11 to 3.13, `_SelectorTransport.close` and `_force_close`.
    """
    if connection.transport.can_write_eof() and connection.transport.get_write_buffer_size():  # TLS knows no half end
        connection.transport.abort()


class Connection(Protocol):
    """What is sent over."""

    async def send(self, message: str | bytes) -> None:
        """Send one message. May raise ConnectionClosed."""

    async def close(self) -> None:
        """End it, politely."""


class Outbox:
    """Messages in order. Called on the event loop."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._waiting: deque[tuple[float, str | bytes]] = deque()
        self._wake = asyncio.Event()  # there is something to send, or the end has come
        self._finishing = False
        self._connection: Callable[[], Connection] | None = None  # while it is run

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, messages: Iterable[str | bytes], at: float) -> bool:
        """Have them sent; False when the first in the row has waited too long: the other side takes nothing."""
        if self._waiting and at - self._waiting[0][0] > self._limit_s:
            return False
        connection = self._connection() if self._connection else None
        for message in messages:
            if self._waiting or connection is None or not _sent_at_once(connection, message):
                self._waiting.append((at, message))
        if self._waiting:
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
        self._connection = connection
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


def _sent_at_once(connection: Connection, message: str | bytes) -> bool:
    """Send without a task, if nothing waits in the socket: that is nearly always so, and half as dear."""
    if (
        not isinstance(connection, WebSocket)
        or connection.state is not State.OPEN
        or connection.transport.get_write_buffer_size()
    ):
        return False
    broadcast((connection,), message)
    return True
