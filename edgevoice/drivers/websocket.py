"""A far leg over a WebSocket: owns the socket and the clock of one wire.

    reader task ──> wire.receive ──┐
    timer       ──> wire.expire  ──┼──> Reply ──> outbox ──> writer task ──> service
    perform     ──> wire.perform ──┘      └────> events

`perform` never waits. The outbox is bounded in time: a service that takes nothing for OUTBOX_S is lost, rather than
answered late. A link that is lost in mid-conversation is looked for, and what is said meanwhile is kept (`link.py`).
Source for the library's behaviour: websockets 17, asyncio client.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from edgevoice.drivers.alarm import Alarm
from edgevoice.drivers.http import ask
from edgevoice.drivers.outbox import Outbox, let_go
from edgevoice.drivers.tcp import Unreached, connected, look_up, words
from edgevoice.events import Closed, Command, End, Event, HangUp, LinkDown, Resumed
from edgevoice.link import RESUME_S, Link
from edgevoice.wire import Reply, Request, Wire

log = logging.getLogger(__name__)

OPEN_S = 10.0  # name, connection, TLS and the upgrade on a slow link
REOPEN_S = 4.0  # the same for a link that was lost: the next attempt may find the network back
CLOSE_S = 1.0  # politeness towards a service that does not answer our goodbye
OUTBOX_S = 10.0  # nobody wants an answer to what was said longer ago
DEAD_S = 5.0  # what was sent for so long without being acknowledged: there is no network. Source: tcp(7)
PING_S, PONG_S = 5.0, 10.0  # a service that hangs acknowledges everything; behind a long answer its pong is late
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
        self._left: ClientConnection | None = None  # that we have given up for the next one
        self._link = Link(wire.rate)
        self._outbox = Outbox(OUTBOX_S)
        self._done = asyncio.Event()
        self._alone = False  # the service takes no second connection beside this one
        self._leaving = False  # close when the outbox is empty
        self._alarm = Alarm(self._expired)
        self._renewing: asyncio.TimerHandle | None = None
        self._giving_up: asyncio.TimerHandle | None = None  # while the link is down
        self._told_down = False
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
            self._alarm.cancel()
            for timer in (self._renewing, self._giving_up):
                if timer:
                    timer.cancel()
            for task in self._tasks:
                task.cancel()
            for connection in (self._socket, self._left):
                if connection:
                    connection.transport.abort()  # closed already, unless the service would not take our goodbye

    def perform(self, command: Command, at: float) -> None:
        if self._done.is_set():
            return
        if self._link.keep(command):
            return
        if self._socket is None and isinstance(command, HangUp):
            self._end(Closed(End.HUNG_UP, command.reason))
        elif self._socket or self._link.down:
            self._carry_out(self._wire.perform(command, at))

    # ------------------------------------------------------------------------------------------------- the tasks

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, open_s: float = OPEN_S) -> ClientConnection | Closed:
        at = self._loop.time
        secret = False
        try:
            request = await self._asked_for()
            if isinstance(request, Closed):
                return request
            self._alone, secret = request.alone, request.secret
            give_up = at() + open_s
            service = _direct(request.url)
            way = None if service is None else await connected(*service, open_s)
            connection = await _Connect(
                request.url,
                additional_headers=dict(request.headers),
                create_connection=_Connection,
                compression=None,  # a third of the time and a tenth of the memory of deflate, and sound does not shrink
                sock=way,
                open_timeout=give_up - at(),
                close_timeout=CLOSE_S,
                max_size=LARGEST,
                ping_interval=PING_S,
                ping_timeout=request.pong_s or PONG_S,
            )
            if tcp := connection.transport.get_extra_info("socket"):
                tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(DEAD_S * 1000))
            return connection
        except InvalidStatus as error:
            body = error.response.body or b""
            return self._wire.closed(error.response.status_code, bytes(body).decode(errors="replace"), at())
        except Unreached as error:
            return replace(self._wire.closed(0, str(error), at()), unreached=True)
        except (OSError, InvalidHandshake) as error:  # a certificate that is not trusted is a ValueError, too
            return self._wire.closed(0, words(error), at())
        except (ValueError, InvalidURI, InvalidProxy) as error:  # ValueError: a port or a name that cannot be
            why = "" if secret else f": {error}"
            return Closed(End.REFUSED, f"the address of the service, or of the proxy, is wrong{why}")

    async def _asked_for(self) -> Request | Closed:
        """Return the socket's address, which some services must be asked for. Raises Unreached."""
        request = self._wire.request()
        assert request is not None, "a wire without a request has no use for a socket"
        if request.leads_to is None:
            return request
        if service := _direct(request.url.replace("http", "ws", 1)):
            await look_up(*service)
        return request.leads_to(*await ask("GET", request.url, request.headers, ()))

    async def _open(self) -> None:
        connected = await self._connect()
        if isinstance(connected, Closed):
            self._end(connected)
            return
        self._socket = connected
        self._spawn(self._read(connected))
        self._spawn(self._write())
        self._carry_out(self._wire.opened(self._loop.time()))

    async def _reconnect(self, at: float) -> None:
        """Have a connection for the same conversation, at that time; unless there is one by then."""
        if self._left:
            await self._left.close()
            self._left = None
        await asyncio.sleep(at - self._loop.time())
        if self._socket:
            return
        connected = await self._connect(REOPEN_S)
        if isinstance(connected, Closed):
            self._look_for_link(connected)
        elif self._socket or self._done.is_set():
            connected.transport.abort()
        else:
            self._move_to(connected)

    def _move_to(self, connection: ClientConnection) -> None:
        self._socket = connection
        self._outbox.forget()  # meant for the old session; the wire says again what matters
        self._spawn(self._read(connection))
        self._carry_out(self._wire.opened(self._loop.time()))

    async def _renew(self) -> None:
        """Move to a second connection; while that cannot be had, the first goes on."""
        connected = await self._connect()
        if isinstance(connected, Closed):
            log.info("a new session was not to be had, trying again: %s", connected.reason)
            self._renewing = self._loop.call_later(RENEW_AGAIN_S, self._renew_again)
            return
        old = self._socket
        self._move_to(connected)
        if old:
            await old.close()

    def _move(self) -> None:
        """Give the connection up for another one, where the service does not take both: nobody needs to know."""
        assert self._socket is not None
        self._left, self._socket = self._socket, None
        self._outbox.forget()
        self._look_for_link(Closed(End.LINK_LOST, "the service ends each connection after a while"))

    def _renew_again(self) -> None:
        if self._socket and not self._done.is_set():
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
            self._lose_link(self._wire.closed(code, reason, self._loop.time()))

    async def _write(self) -> None:
        await self._outbox.run(self._connected)
        self._done.set()

    def _connected(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    # -------------------------------------------------------------------------------------------------- the link

    def _lose_link(self, closed: Closed) -> None:
        """The connection that carried the conversation is gone: end, or go on over another one."""
        assert self._socket is not None
        self._socket.transport.abort()
        self._socket = None
        self._outbox.forget()
        if closed.end is not End.LINK_LOST or not self._wire.lost(self._loop.time()):
            self._end(closed)
        else:
            self._look_for_link(closed)

    def _look_for_link(self, closed: Closed) -> None:
        """Try to go on. Nobody is told of a connection that we have given up ourselves."""
        was_up = self._link.down is None
        again_at = self._link.lost(closed, self._loop.time()) if closed.end is End.LINK_LOST else None
        if again_at is None or self._link.deadline is None:
            self._end(closed)
            return
        if was_up:
            self._giving_up = self._loop.call_at(self._link.deadline, self._give_up)
        if not (self._left or self._told_down):
            self._told_down = True
            log.warning("the link is lost: %s; trying to go on for %g s", closed.reason, RESUME_S)
            self._deliver(LinkDown(closed.reason), self._loop.time())
        if not self._done.is_set():
            self._spawn(self._reconnect(again_at))

    def _give_up(self) -> None:
        if self._link.down:
            self._end(self._link.down)

    def _take_up(self, at: float) -> None:
        """The service is ready to go on."""
        if self._link.down is None:  # a session that was only renewed
            return
        away_s, kept = self._link.back(at)
        self._told_down = False
        if self._giving_up:
            self._giving_up.cancel()
        log.info("the link is back after %.1f s", away_s)
        for command in kept:
            self.perform(command, at)  # it is kept again if the link is lost meanwhile
        if self._link.down is None and not self._done.is_set():
            self._deliver(Resumed(), at)

    # ------------------------------------------------------------------------------------------------- the replies

    def _carry_out(self, reply: Reply) -> None:
        if self._done.is_set():
            return
        at = self._loop.time()
        if reply.forget:
            self._outbox.forget()
        if reply.send and self._socket and not self._outbox.put(reply.send, at):
            self._lose_link(Closed(End.LINK_LOST, f"the service took nothing for {OUTBOX_S:g} s"))
            return
        if reply.close and self._socket:
            self._leaving = True
            self._outbox.finish()
        for event in reply.events:
            if isinstance(event, Closed) and not self._leaving:
                self._end(event)
                return
            if isinstance(event, Resumed):
                self._take_up(at)
            else:
                self._deliver(event, at)
        if reply.renew and self._socket:
            if self._alone:
                self._move()
            else:
                self._spawn(self._renew())
        self._alarm.set(self._wire.deadline)

    def _expired(self) -> None:
        at = self._loop.time()
        if self._wire.deadline is not None and self._wire.deadline <= at:
            self._carry_out(self._wire.expire(at))
        else:
            self._alarm.set(self._wire.deadline)

    def _end(self, closed: Closed) -> None:
        """Tell the end once, and let go of the socket without waiting for the other side."""
        if self._done.is_set():
            return
        self._done.set()
        if self._socket:
            self._socket.transport.abort()
        self._deliver(closed, self._loop.time())


def _direct(url: str) -> tuple[str, int] | None:
    """Return whom to connect to, None where that is a proxy's business. Raises InvalidURI, ValueError."""
    service = parse_uri(url)
    return None if get_proxy(service) else (service.host, service.port)
