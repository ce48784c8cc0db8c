"""A scripted SIP peer: registrar and telephone in one, which does exactly what a test says, or nothing at all.

It answers REGISTER by itself, as told by `registrar`; every other message waits in `got` until the test asks for it.
What is said again, because an answer was late on a busy machine, is answered as it was before and does not wait there.
Source: RFC 3261, 17.2.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

WAIT_S = 30.0  # this machine may be busy with other things
_count = itertools.count(1)


@dataclass(frozen=True)
class Message:
    """One SIP message, and how to answer it where it came from."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: str
    reply: Callable[[str], None] = field(repr=False, default=lambda text: None)

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def method(self) -> str:
        """ "INVITE", or the status "200" of an answer."""
        words = self.start.split(" ")
        return words[1] if words[0] == "SIP/2.0" else words[0]

    @property
    def transaction(self) -> tuple[str, ...]:
        """What is the same when it is sent again, and with no other message."""
        if self.start.startswith("SIP/2.0"):
            return self.method, self.get("Call-ID"), self.get("CSeq")
        return self.method, self.get("Via")

    @property
    def contact(self) -> str:
        return self.get("Contact").partition("<")[2].partition(">")[0]


def parse(text: str, reply: Callable[[str], None]) -> Message:
    head, _, body = text.partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    headers = tuple((key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines))
    return Message(start, headers, body, reply)


def answer(request: Message, status: str, *more: str, tag: str = "peer", body: str = "") -> None:
    """Answer a request: "486 Busy Here", more headers, and SDP."""
    to = request.get("To")
    lines = [f"SIP/2.0 {status}", *(f"Via: {via}" for via in request.all("Via"))]
    lines += [
        f"From: {request.get('From')}",
        f"To: {to if ';tag=' in to or status[:3] == '100' else f'{to};tag={tag}'}",
    ]
    lines += [f"Call-ID: {request.get('Call-ID')}", f"CSeq: {request.get('CSeq')}", *more]
    request.reply(_whole(lines, body))


def _whole(lines: list[str], body: str) -> str:
    typed = any(line.startswith("Content-Type:") for line in lines)
    kind = ["Content-Type: application/sdp"] if body and not typed else []
    return "\r\n".join([*lines, *kind, f"Content-Length: {len(body)}", "", body])


def sdp(
    port: int,
    *,
    codec: str = "0 PCMU/8000",
    direction: str = "sendrecv",
    version: int = 1,
    keys: int = 101,
    host: str = "127.0.0.1",
) -> str:
    number = codec.partition(" ")[0]
    lines = [
        *("v=0", f"o=peer 1 {version} IN IP4 127.0.0.1", "s=-", f"c=IN IP4 {host}", "t=0 0"),
        f"m=audio {port} RTP/AVP {number} {keys}",
        *(f"a=rtpmap:{codec}", f"a=rtpmap:{keys} telephone-event/8000", f"a={direction}", ""),
    ]
    return "\r\n".join(lines)


class Peer(asyncio.DatagramProtocol):
    """One address, over UDP, TCP or TLS. `registrar` answers REGISTER; None: with silence."""

    def __init__(self) -> None:
        self.port = 0
        self.got: asyncio.Queue[Message] = asyncio.Queue()
        self.again: asyncio.Queue[Message] = asyncio.Queue()  # what had come before
        self.registers: list[Message] = []
        self.registrar: Callable[[Message], None] | None = accept
        self.registered = asyncio.Event()
        self.cut: list[asyncio.Transport | asyncio.StreamWriter] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._way: Callable[[str], None] = lambda text: None
        self._answers: dict[tuple[str, ...], str] = {}  # the last one to each message; "": none yet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        transport = self._transport
        assert transport
        self._take(data.decode(), lambda text: transport.sendto(text.encode(), address))

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one TCP or TLS connection."""
        self.cut.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                text = head.decode()
                if not text.strip():
                    continue  # a keepalive
                lengths = [line for line in text.lower().split("\r\n") if line.startswith("content-length:")]
                body = await reader.readexactly(int(lengths[0].partition(":")[2])) if lengths else b""
                self._take(text + body.decode(), lambda text: writer.write(text.encode()))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        writer.close()

    def _take(self, text: str, reply: Callable[[str], None]) -> None:
        if not text.strip():
            return
        message = parse(text, lambda answer: self._reply(message, reply, answer))
        if message.transaction in self._answers:
            if last := self._answers[message.transaction]:
                reply(last)
            self.again.put_nowait(message)
            return
        self._answers[message.transaction] = ""
        if message.method != "REGISTER":
            self.got.put_nowait(message)
            return
        self.registers.append(message)
        self._way = reply
        if self.registrar:
            self.registrar(message)
            self.registered.set()

    def _reply(self, message: Message, reply: Callable[[str], None], answer: str) -> None:
        self._answers[message.transaction] = answer
        reply(answer)

    async def expect(self, method: str) -> Message:
        """Wait for the next new message of that method or status; others before it are thrown away."""
        return await _next(self.got, method)

    async def expect_again(self, method: str) -> Message:
        """Wait until a message of that method or status, which had come, is sent again."""
        return await _next(self.again, method)

    # ------------------------------------------------------------------------------------------- calls to the box

    def invite(
        self, *, who: str = "boss", body: str, headers: tuple[str, ...] = (), contact: str = "", uri: str = ""
    ) -> Invited:
        """Call the box, or `uri` at the box, over the way by which it registered."""
        contact = contact or f"Contact: <sip:{who}@127.0.0.1:{self.port}>"
        call = Invited(self, f"call{next(_count)}@peer", who, uri or self.registers[-1].contact)
        call.request("INVITE", body, (contact, *headers))
        return call

    def say(self, text: str) -> None:
        self._way(text)


async def _next(messages: asyncio.Queue[Message], method: str) -> Message:
    async with asyncio.timeout(WAIT_S):
        while (message := await messages.get()).method != method:
            pass
    return message


class Invited:
    """A call from the peer to the box."""

    def __init__(self, peer: Peer, call_id: str, who: str, uri: str) -> None:
        self._peer, self.call_id, self._who, self.uri = peer, call_id, who, uri
        self.to = f"<{uri}>"
        self._sequence = 0
        self._branch = ""
        self._said = ""  # last

    def request(self, method: str, body: str = "", headers: tuple[str, ...] = ()) -> None:
        if method not in ("ACK", "CANCEL"):
            self._sequence += 1
        if method != "CANCEL":
            self._branch = f"z9hG4bK{next(_count)}"
        lines = [
            f"{method} {self.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self._peer.port};branch={self._branch}",
            f"From: <sip:{self._who}@127.0.0.1>;tag=p",
            f"To: {self.to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self._sequence} {method}",
            "Max-Forwards: 70",
        ]
        self._said = _whole([*lines, *headers], body)
        self._peer.say(self._said)

    def repeat(self) -> None:
        """Say the last message again, as whoever hears no answer does."""
        self._peer.say(self._said)

    async def answered(self) -> Message:
        """Wait for the 200 and acknowledge it."""
        ok = await self._peer.expect("200")
        self.to = ok.get("To")
        self.uri = ok.contact or self.uri
        self.request("ACK")
        return ok


def accept(register: Message, expires: int = 60) -> None:
    """Take who registers, with whatever password."""
    wanted = 0 if "expires=0" in register.get("Contact") or register.get("Expires") == "0" else expires
    answer(register, "200 OK", f"Contact: <{register.contact}>;expires={wanted}")


def refuse(register: Message) -> None:
    """Challenge, and then find the password wrong."""
    if register.get("Authorization"):
        answer(register, "403 Forbidden")
    else:
        answer(register, "401 Unauthorized", 'WWW-Authenticate: Digest realm="peer", nonce="n1", algorithm=MD5')


@asynccontextmanager
async def over_udp(port: int = 0) -> AsyncIterator[Peer]:
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(Peer, ("127.0.0.1", port))
    peer.port = transport.get_extra_info("sockname")[1]
    try:
        yield peer
    finally:
        transport.close()


@asynccontextmanager
async def over_tcp(context: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Serve TCP, or TLS with `context`."""
    peer = Peer()
    server = await asyncio.start_server(peer.attend, "127.0.0.1", 0, ssl=context)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for writer in peer.cut:
            writer.close()
