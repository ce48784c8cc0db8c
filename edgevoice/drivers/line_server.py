"""The one server that 46elks, Twilio, Vobiz and Plivo dial: WebSockets for calls, a few HTTP answers beside them.

    accept ── TLS ──> GET with an upgrade ──> admission ──> a connection: `attend`
                 └──> GET, POST           ──> `answer` ──> status, type, body

The library speaks HTTP only as far as an upgrade goes, and refuses a body. A service posts its webhooks, so a request
that begins with another method than GET is read by h11 and answered here. Source: websockets 17, asyncio server.

Rules
* Whatever comes in, nothing raises: a stranger who could make one callback raise could end the program.
* Every wait has an end: the library gives OPEN_S to TLS and to a request, posted or not, and CLOSE_S to our goodbye.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import h11
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import WebSocketException
from websockets.http11 import Request, Response

from edgevoice.drivers.certificate import Certificate
from edgevoice.drivers.outbox import let_go
from edgevoice.errors import DeviceError
from edgevoice.lines.admission import Admitted, Came

log = logging.getLogger(__name__)

OPEN_S = 5.0  # from the connection to a whole request
CLOSE_S = 1.0  # politeness towards a service that does not answer our goodbye
PING_S = 10.0  # a connection that is half open is noticed after two of them
LARGEST = 2**20  # bytes of a message: ten seconds of sound; services send fiftieths of a second
LARGEST_BODY = 64 * 1024  # bytes of a webhook
UNDECIDED = (
    128  # connections that have not sent a whole request: a box with 64 calls and these has file descriptors left
)
WAITING = 32  # messages that are read and not yet taken
UNSENT = 16 * 1024  # bytes that the kernel may hold unsent: what it holds, a `clear` cannot take back
CERTIFICATE_S = 60.0  # how often the certificate's files are looked at
TCP_NOTSENT_LOWAT = 25  # Linux; the socket module names it only from Python 3.12 on

_silent = logging.getLogger("edgevoice.quiet")  # the library's own lines hold addresses and stack traces
_silent.disabled = True


@dataclass(frozen=True, slots=True)
class Answered:
    """An HTTP answer."""

    status: int
    body: str = ""
    type: str = "text/plain; charset=utf-8"


NO_REQUEST = Answered(400, "this is no HTTP request\n")

Admit: TypeAlias = Callable[[Came], Admitted | Answered]
Answer: TypeAlias = Callable[[Came], Answered]
Attend: TypeAlias = Callable[[ServerConnection, Admitted], Awaitable[None]]


@asynccontextmanager
async def serve_lines(
    listen: str, certificate: Certificate | None, base_url: str, admit: Admit, answer: Answer, attend: Attend
) -> AsyncIterator[str]:
    """Serve while the block runs; yields the address that was taken. Raises DeviceError when it cannot be had.

    `base_url` is how the box is reached from outside, "" for what the request itself says. `attend` is awaited for each
    connection that `admit` lets in, and ends before it is closed.
    """
    host, _, port = listen.rpartition(":")

    async def decide(connection: ServerConnection, request: Request) -> Response | None:
        connection.settled()  # type: ignore[attr-defined]
        came = _came(connection, base_url, request.method, request.path, request.headers)
        if came is None:
            return _response(NO_REQUEST)
        if not any("upgrade" in value.lower() for value in request.headers.get_all("Connection")):
            return _response(answer(came))
        decided = admit(came)
        if isinstance(decided, Answered):
            return _response(decided)
        connection.admitted = decided  # type: ignore[attr-defined]
        return None

    async def take(connection: ServerConnection) -> None:
        await attend(connection, connection.admitted)  # type: ignore[attr-defined]

    try:
        server = await serve(
            take,
            host.strip("[]") or None,
            int(port),
            process_request=decide,
            create_connection=partial(_Connection, base_url=base_url, answer=answer, undecided=set()),  # type: ignore[arg-type]  # any factory
            ssl=certificate.context if certificate else None,
            compression=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=LARGEST,
            max_queue=WAITING,
            write_limit=UNSENT,
            server_header=None,
            logger=_silent,
        )
    except (OSError, OverflowError, UnicodeError) as error:  # the latter two: no such port, no such name
        reason = getattr(error, "strerror", None) or error
        raise DeviceError(f"the phone lines cannot listen on {listen}: {reason}") from error
    taken = server.sockets[0].getsockname()
    try:
        yield f"[{taken[0]}]:{taken[1]}" if ":" in taken[0] else f"{taken[0]}:{taken[1]}"
    finally:
        server.close()
        await server.wait_closed()


class _Connection(ServerConnection):
    """A connection that takes a posted form, too: the library itself ends there."""

    def __init__(
        self, *arguments: Any, base_url: str, answer: Answer, undecided: set[ServerConnection], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._base_url = base_url
        self._answer = answer
        self._undecided = undecided  # of the whole server
        self._begins = b""  # the first bytes, until it is clear what they begin
        self._posted: _Posted | None = None
        self._decided = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        tcp = transport.get_extra_info("socket")
        if tcp is not None:
            tcp.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT)
        if len(self._undecided) >= UNDECIDED:
            self.transport.abort()
        self._undecided.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.settled()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        super().eof_received()
        let_go(self)

    def settled(self) -> None:
        """A whole request has come, or none will."""
        self._undecided.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # it is answered; over TLS there may be more
            return
        if self._decided:
            super().data_received(data)
            return
        if self._posted is None:
            self._begins += data
            if len(self._begins) < 4:
                return
            if self._begins.startswith(b"GET "):
                self._decided = True
                super().data_received(self._begins)
                return
            self._posted, data = _Posted(), self._begins
        self._take(self._posted, data)

    def _take(self, posted: _Posted, data: bytes) -> None:
        try:
            whole = posted.take(data)
        except h11.RemoteProtocolError:
            self._end(posted, NO_REQUEST)
            return
        except ValueError:
            self._end(posted, Answered(413, f"more than {LARGEST_BODY} bytes\n"))
            return
        self.transport.write(posted.go_on())
        if whole:
            headers = posted.fields
            came = headers and _came(self, self._base_url, posted.method, posted.target, headers, posted.body)
            self._end(posted, self._answer(came) if came else NO_REQUEST)

    def _end(self, posted: _Posted, answered: Answered) -> None:
        self.settled()
        self.transport.write(posted.written(answered))
        self.transport.close()


class _Posted:
    """One HTTP request that is no upgrade, as it comes in."""

    def __init__(self) -> None:
        self.body = b""
        self.method = self.target = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self._http = h11.Connection(h11.SERVER)

    def take(self, data: bytes) -> bool:
        """Tell whether it is all there. Raises h11.RemoteProtocolError, or ValueError when it is too large."""
        self._http.receive_data(data)
        while True:
            match self._http.next_event():
                case h11.Request() as request:
                    self.method, self.target = request.method.decode(), request.target.decode()
                    self.headers = list(request.headers)
                case h11.Data() as piece:
                    self.body += piece.data
                    if len(self.body) > LARGEST_BODY:
                        raise ValueError
                case h11.EndOfMessage():
                    return True
                case _:
                    return False

    @property
    def fields(self) -> Headers | None:
        """The headers; None where one holds what h11 lets through and websockets raises for: a control character."""
        try:
            return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers])
        except WebSocketException:
            return None

    def go_on(self) -> bytes:
        """Say that the body may come, to who waits for that."""
        if not self._http.they_are_waiting_for_100_continue:
            return b""
        return self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b""

    def written(self, answered: Answered) -> bytes:
        body = b"" if self.method == "HEAD" else answered.body.encode()
        headers = [("Content-Type", answered.type), ("Content-Length", str(len(body))), ("Connection", "close")]
        try:
            start = self._http.send(h11.Response(status_code=answered.status, headers=headers)) or b""
            return start + (self._http.send(h11.Data(data=body)) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError:  # there is no answering what they sent
            return b""


def _came(
    connection: ServerConnection, base_url: str, method: str, target: str, headers: Headers, body: bytes = b""
) -> Came | None:
    """Return the request, or None if there is no telling where it leads."""
    secure = connection.transport.get_extra_info("ssl_object") is not None
    hosts = headers.get_all("Host")
    base = base_url or f"{'https' if secure else 'http'}://{hosts[0] if hosts else ''}"
    url = base.rstrip("/") + target
    peer = connection.transport.get_extra_info("peername") or ("",)
    try:
        urlsplit(url)
    except ValueError:  # "http://["
        return None
    if not (target.startswith("/") and url.isascii()):
        return None
    return Came(method, url, dict(headers.raw_items()), str(peer[0]), body)


def _response(answered: Answered) -> Response:
    body = answered.body.encode()
    headers = Headers({"Content-Type": answered.type, "Content-Length": str(len(body)), "Connection": "close"})
    if answered.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "10"
    return Response(answered.status, HTTPStatus(answered.status).phrase, headers, body)


async def watch(certificate: Certificate) -> None:
    """Load a certificate that was renewed; say so, and say when it is about to expire."""
    told = ""
    while True:
        if certificate.reload():
            log.info("lines: the certificate was loaded")
        if certificate.trouble and certificate.trouble != told:
            log.warning("lines: %s", certificate.trouble)
        told = certificate.trouble
        await asyncio.sleep(CERTIFICATE_S)
