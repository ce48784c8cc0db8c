"""The sound of a scripted peer: mu-law over RTP, sent every 20 ms, and digits as RFC 4733 has them."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

FRAME_S, FRAME = 0.02, 160
LOUD = bytes([0x80, 0x00] * 80)  # a square wave of 4 kHz: nobody takes it for silence
SILENT = bytes([0xFF] * 160)
KEYS = "0123456789*#ABCD"
WAIT_S = 30.0


class Media(asyncio.DatagramProtocol):
    """One socket. It sends as soon as it knows where to."""

    def __init__(self, payload: int) -> None:
        self.port = 0
        self.source = 7
        self.sound = LOUD  # of a packet
        self.sends = True
        self.sent = 0  # packets of sound
        self.heard = bytearray()
        self.keys: list[str] = []
        self.payload = payload
        self._sequence = self._time = 0
        self._last_key = -1
        self._to: tuple[str, int] | None = None
        self._changed = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, payload: int = 0, host: str = "127.0.0.1") -> AsyncIterator[Media]:
        loop = asyncio.get_running_loop()
        transport, media = await loop.create_datagram_endpoint(lambda: cls(payload), (host, 0))
        media.port = transport.get_extra_info("sockname")[1]
        sending = loop.create_task(media._send())
        try:
            yield media
        finally:
            sending.cancel()
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def towards(self, body: str) -> None:
        """Send to where the other side's SDP says."""
        found = re.search(r"m=audio (\d+)", body)
        assert found, body
        self._to = ("127.0.0.1", int(found.group(1)))

    async def _send(self) -> None:
        """Send 50 packets a second: who was kept from it sends more of them afterwards."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self.sends:
                self._packet(self.payload, self.sound, self._time)
                self.sent += 1
            self._time += FRAME
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _packet(self, payload: int, body: bytes, time: int, *, mark: bool = False) -> None:
        if self._to and self._transport:
            numbers = self._sequence & 0xFFFF, time & 0xFFFFFFFF, self.source
            head = struct.pack(">BBHII", 0x80, payload | mark << 7, *numbers)
            self._sequence += 1
            self._transport.sendto(head + body, self._to)

    def begin_anew(self, source: int) -> None:
        """Send from now on as another sender, with other numbers and another time: a PBX that joins somebody else."""
        self.source = source
        self._sequence, self._time = (self._sequence + 30_000) & 0xFFFF, self._time + 1_000_000_007

    def press(self, key: str, payload: int = 101, time: int | None = None) -> None:
        """Press a key for 100 ms, at `time` of its own. Source: RFC 4733, 2.5.1: the end is said three times."""
        for index, ended in enumerate((0, 0, 0, 1, 1, 1)):
            body = struct.pack(">BBH", KEYS.index(key), ended << 7 | 10, min(index + 1, 4) * 200)
            self._packet(payload, body, self._time if time is None else time, mark=not index)

    def report(self) -> None:
        """Send what RTCP says of the call so far. Source: RFC 3550, 6.4.1, and 6.5 for the name that goes with it."""
        if self._to and self._transport:
            sender = struct.pack(">BBHIIIIII", 0x80, 200, 6, 7, 0, 0, self._time & 0xFFFFFFFF, self._sequence, 0)
            name = struct.pack(">BBHIBB", 0x81, 202, 3, 7, 1, 4) + b"peer\0\0"
            self._transport.sendto(sender + name, (self._to[0], self._to[1] + 1))

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        payload, time = data[1] & 0x7F, struct.unpack_from(">I", data, 4)[0]
        if payload == self.payload:
            self.heard += data[12:]
        elif len(data) == 16 and time != self._last_key:
            self._last_key = time
            self.keys.append(KEYS[data[12]])
        self._changed.set()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not true():
                self._changed.clear()
                await self._changed.wait()
