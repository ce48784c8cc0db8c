"""One end of the socket between the box and its SIP worker: whole packets, in order, and nobody waits for the other.

What the socket has no room for waits here and is sent as soon as there is some: an end of a call that got lost would
leave it ringing. Who sends sound looks at `full` first, or waits for `room`.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable

LARGEST = 65536
AT_ONCE = 64  # packets that are read before others have their turn


class Packets:
    """Called on the event loop. `take` gets each packet; `gone` hears, once, that the other end is not there."""

    def __init__(self, end: socket.socket, take: Callable[[bytes], None], gone: Callable[[], None]) -> None:
        self._end = end
        self._take, self._gone = take, gone
        self._waiting: deque[bytes] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._open = True
        self._loop = asyncio.get_running_loop()
        end.setblocking(False)
        self._loop.add_reader(end, self._read)

    @property
    def full(self) -> bool:
        """The other end is late."""
        return bool(self._waiting)

    async def room(self) -> None:
        """Wait until nothing waits."""
        await self._room.wait()

    def send(self, packet: bytes) -> None:
        """Send a packet after those that wait; none once the other end is gone."""
        if not self._open:
            return
        self._waiting.append(packet)
        if len(self._waiting) == 1:
            self._flush()

    def close(self) -> None:
        """Send and take nothing any more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._end)
            self._loop.remove_writer(self._end)
            self._waiting.clear()
            self._room.set()

    def _flush(self) -> None:
        while self._waiting:
            try:
                self._end.send(self._waiting[0])
            except BlockingIOError:
                self._room.clear()
                self._loop.add_writer(self._end, self._flush)
                return
            except OSError:
                self._lose()
                return
            self._waiting.popleft()
        self._loop.remove_writer(self._end)
        self._room.set()

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            if not self._open:
                return
            try:
                packet = self._end.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lose()
                return
            self._take(packet)

    def _lose(self) -> None:
        self.close()
        self._gone()
