"""A far leg over a WebSocket: owns the socket and the clock of one wire.

    reader task ──> wire.receive ──┐
    timer       ──> wire.expire  ──┼──> Reply ──> outbox ──> writer task ──> service
    perform     ──> wire.perform ──┘      └────> events

`perform` never waits. The outbox is bounded in time: a service that takes nothing for OUTBOX_S is lost, rather than
answered late. Source for the library's behaviour: websockets 17, asyncio client.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI

from edgevoice.drivers.outbox import Outbox, let_go
from edgevoice.events import Closed, Command, End, Event, HangUp
from edgevoice.wire import Reply, Wire

log = logging.getLogger(__name__)

OPEN_S = 10.0  # TLS and the upgrade on a slow link
CLOSE_S = 1.0  # politeness towards a service that does not answer our goodbye
PING_S, PONG_S = 5.0, 10.0  # a network that is gone says nothing: a call is silent for no longer than both together
OUTBOX_S = 10.0  # nobody wants an answer to what was said longer ago
RENEW_AGAIN_S = 5.0  # after a second connection that did not come about
LARGEST = 16 * 2**20  # bytes of one message: 15 MiB is the largest that a service announces


class _Connect(connect):
    """Follows no redirect: our key is for the host that was configured."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Connection(ClientConnection):
    def eof_received(self) -> None:
        super().eof_received()
        let_go(self)


class WebSocketLeg:
    """The agent's leg of one call. `perform` is called on the event loop."""

    def __init__(self, wire: Wire) -> None:
        self.rate = wire.rate
        self._wire = wire
        self._socket: ClientConnection | None = None
        self._outbox = Outbox(OUTBOX_S)
        self._done = asyncio.Event()
        self._leaving = False  # close when the outbox is empty
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._deliver: Callable[[Event, float], None] = lambda event, at: None

    async def run(self, deliver: Callable[[Event, float], None], group: asyncio.TaskGroup) -> None:
        """Connect, and live until the connection ends. Raises nothing for what the world does."""
        self._deliver = deliver
        self._group = group
        self._spawn(self._open())
        try:
            await self._done.wait()
        finally:
            self._done.set()
            for timer in (self._timer, self._renewing):
                if timer:
                    timer.cancel()
            for task in self._tasks:
                task.cancel()
            if self._socket:
                self._socket.transport.abort()  # closed already, unless the service would not take our goodbye

    def perform(self, command: Command, at: float) -> None:
        if self._done.is_set():
            return
        if self._socket is None:
            if isinstance(command, HangUp):
                self._end(Closed(End.HUNG_UP, command.reason))
            return
        self._carry_out(self._wire.perform(command, at))

    # ------------------------------------------------------------------------------------------------- the tasks

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> ClientConnection | Closed:
        request = self._wire.request()
        assert request is not None, "a wire without a request has no use for a socket"
        at = self._loop.time
        try:
            return await _Connect(
                request.url,
                additional_headers=dict(request.headers),
                create_connection=_Connection,
                compression=None,  # a third of the time and a tenth of the memory of deflate, and sound does not shrink
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                ping_interval=PING_S,
                ping_timeout=PONG_S,
                max_size=LARGEST,
            )
        except InvalidStatus as error:
            body = error.response.body or b""
            return self._wire.closed(error.response.status_code, bytes(body).decode(errors="replace"), at())
        except (ValueError, InvalidURI, InvalidProxy) as error:  # ValueError: a port or a name that cannot be
            return Closed(End.REFUSED, f"the address of the service, or of the proxy, is wrong: {error}")
        except (OSError, TimeoutError, InvalidHandshake) as error:
            return self._wire.closed(0, str(error) or type(error).__name__, at())

    async def _open(self) -> None:
        connected = await self._connect()
        if isinstance(connected, Closed):
            self._end(connected)
            return
        self._socket = connected
        self._spawn(self._read(connected))
        self._spawn(self._write())
        self._carry_out(self._wire.opened(self._loop.time()))

    async def _renew(self) -> None:
        """Move to a second connection; while that cannot be had, the first goes on."""
        connected = await self._connect()
        if isinstance(connected, Closed):
            log.info("a new session was not to be had, trying again: %s", connected.reason)
            self._renewing = self._loop.call_later(RENEW_AGAIN_S, self._renew_again)
            return
        old, self._socket = self._socket, connected
        self._outbox.forget()  # meant for the old session; the wire says again what matters
        self._spawn(self._read(connected))
        self._carry_out(self._wire.opened(self._loop.time()))
        if old:
            await old.close()

    def _renew_again(self) -> None:
        if not self._done.is_set():
            self._spawn(self._renew())

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                if socket is not self._socket:
                    return
                if log.isEnabledFor(logging.DEBUG):
                    log.debug("< %d bytes", len(message))
                self._carry_out(self._wire.receive(message, self._loop.time()))
        except ConnectionClosed:
            pass
        if socket is self._socket and not self._leaving:
            code, reason = socket.close_code or 1006, socket.close_reason or ""
            self._end(self._wire.closed(code, reason, self._loop.time()))

    async def _write(self) -> None:
        await self._outbox.run(self._connected)
        self._done.set()

    def _connected(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    # ------------------------------------------------------------------------------------------------- the replies

    def _carry_out(self, reply: Reply) -> None:
        if self._done.is_set():
            return
        at = self._loop.time()
        if reply.forget:
            self._outbox.forget()
        if reply.send and not self._outbox.put(reply.send, at):
            self._end(Closed(End.LINK_LOST, f"the service took nothing for {OUTBOX_S:g} s"))
            return
        if reply.close:
            self._leaving = True
            self._outbox.finish()
        for event in reply.events:
            if isinstance(event, Closed) and not reply.close:
                self._end(event)
                return
            self._deliver(event, at)
        if reply.renew:
            self._spawn(self._renew())
        self._set_timer()

    def _set_timer(self) -> None:
        """Wake at the deadline, or before: it moves on with many a message, and the timer follows when it fires."""
        deadline = self._wire.deadline
        if deadline is None or (self._timer and self._timer.when() <= deadline):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._expired)

    def _expired(self) -> None:
        self._timer = None
        at = self._loop.time()
        if self._wire.deadline is not None and self._wire.deadline <= at:
            self._carry_out(self._wire.expire(at))
        else:
            self._set_timer()

    def _end(self, closed: Closed) -> None:
        """Tell the end once, and let go of the socket without waiting for the other side."""
        if self._done.is_set():
            return
        self._done.set()
        if self._socket:
            self._socket.transport.abort()
        self._deliver(closed, self._loop.time())
