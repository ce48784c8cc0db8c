"""A phone call that came in over a WebSocket, as a leg: owns the socket and the clock of one `Line`.

    reader ──> line.receive ──┐
    timer  ──> line.expire  ──┼──> Reply ──> outbox ──> writer task ──> service
    perform ─> line.perform ──┘      └────> events, once somebody takes part

The connection lives before anybody takes part: while it rings, what the caller says is thrown away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from websockets.exceptions import ConnectionClosed

from edgevoice.audio.conceal import Concealer
from edgevoice.audio.pcm import from_bytes, to_bytes
from edgevoice.drivers.alarm import Alarm
from edgevoice.drivers.outbox import Outbox
from edgevoice.events import Answer, Closed, Command, End, Event, HangUp, Play
from edgevoice.lines.line import Line
from edgevoice.wire import Reply

log = logging.getLogger(__name__)

RATE = 16_000  # Hz, of a line that is the other side of a call: a card and a telephone both know it
OUTBOX_S = 5.0  # nobody waits longer on a silent line
LET_GO_S = 2.0  # from the end to the torn connection, for a service that neither takes our goodbye nor closes

Deliver = Callable[[Event, float], None]


class Socket(Protocol):
    """What carries the messages of one call: a WebSocket of the server's, or a call of the SIP worker's."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Read until the end. May raise ConnectionClosed there."""

    async def send(self, message: str | bytes) -> None:
        """Send one message."""

    async def close(self) -> None:
        """End it, politely."""

    @property
    def close_code(self) -> int | None:
        """Why it ended, as a WebSocket says it."""

    @property
    def transport(self) -> Abortable:
        """What `abort` is called on."""


class Abortable(Protocol):
    """Something that can be ended without a word."""

    def abort(self) -> None:
        """End it."""


class LineLeg:
    """The caller's leg of one call. Everything is called on the event loop."""

    def __init__(self, line: Line, socket: Socket) -> None:
        self.line = line
        self.closed: Closed | None = None
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(OUTBOX_S)
        self._alarm = Alarm(self._expired)
        self._letting_go: asyncio.TimerHandle | None = None
        self._deliver: Deliver | None = None
        self._steady = Concealer(RATE, lossy=False)
        self._began = asyncio.Event()  # or it is over
        self._over = asyncio.Event()

    @property
    def rate(self) -> int:
        return self.line.rate

    async def attend(self) -> None:
        """Read and write until the connection ends. Raises nothing for what the world does."""
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._outbox.run(lambda: self._socket))
            try:
                await self._read()
            finally:
                if self.closed is None:
                    self._end(self.line.closed(self._socket.close_code or 1006, "", self._loop.time()))
                if self._letting_go:
                    self._letting_go.cancel()
                writer.cancel()
                self._socket.transport.abort()

    async def _read(self) -> None:
        self._carry_out(self.line.opened(self._loop.time()))
        try:
            async for message in self._socket:
                self._carry_out(self.line.receive(message, self._loop.time()))
                if self.line.began:
                    self._began.set()
        except ConnectionClosed:
            pass

    async def begins(self) -> bool:
        """Wait until it is known which call this is; False: it is over before that."""
        await self._began.wait()
        return self.closed is None

    async def over(self) -> bool:
        """Wait until it is over."""
        return await self._over.wait()

    async def run(self, deliver: Deliver, rate: int) -> None:
        """Take part in a call whose other side has `rate` Hz, until it is over."""
        self._deliver = deliver
        self._steady = Concealer(rate, lossy=False)
        if self.closed is not None:
            deliver(self.closed, self._loop.time())
            return
        self.perform(Answer(rate), self._loop.time())
        try:
            await self._over.wait()
        finally:
            self._deliver = None
            self.perform(HangUp("the call was abandoned"), self._loop.time())

    def perform(self, command: Command, at: float) -> None:
        if self.closed is not None:
            return
        if isinstance(command, Play) and command.live:  # the card's clock is not that of the network
            command = replace(command, pcm=to_bytes(self._steady.take(from_bytes(command.pcm), at)))
        self._carry_out(self.line.perform(command, at))

    def _carry_out(self, reply: Reply) -> None:
        at = self._loop.time()
        if reply.forget:
            self._outbox.forget()
        if reply.send and not self._outbox.put(reply.send, at):
            self._end(Closed(End.LINK_LOST, f"the phone service took nothing for {OUTBOX_S:g} s"))
            self._socket.transport.abort()
            return
        if reply.close:
            self._outbox.finish()
        for event in reply.events:
            if isinstance(event, Closed):
                self._end(event)
            elif self._deliver:
                self._deliver(event, at)
        self._alarm.set(None if self.closed else self.line.deadline)

    def _end(self, closed: Closed) -> None:
        """Tell the end, once."""
        if self.closed is not None:
            return
        self.closed = closed
        self._began.set()
        self._over.set()
        self._alarm.cancel()
        self._letting_go = self._loop.call_later(LET_GO_S, self._socket.transport.abort)
        if self._deliver:
            self._deliver(closed, self._loop.time())

    def _expired(self) -> None:
        self._carry_out(self.line.expire(self._loop.time()))


@dataclass(frozen=True)
class FarLine:
    """The same where a line is the other side of a call."""

    leg: LineLeg

    @property
    def rate(self) -> int:
        return RATE

    async def run(self, deliver: Deliver, group: asyncio.TaskGroup) -> None:
        await self.leg.run(deliver, RATE)

    def perform(self, command: Command, at: float) -> None:
        self.leg.perform(command, at)
