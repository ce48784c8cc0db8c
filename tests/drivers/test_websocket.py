"""The socket of an agent's leg, against a real server on loopback and a wire that only counts."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from edgevoice.drivers.websocket import WebSocketLeg
from edgevoice.events import Closed, Command, End, Event, HangUp, Interrupt, LinkDown, Opened, Play, Resumed
from edgevoice.wire import NOTHING, Reply, Request
from tests.drivers.certificates import make

Service = Callable[[ServerConnection], Awaitable[None]]


class CountingWire:
    """Says hello, sends what it is told to play, repeats every message as its reason to close."""

    rate = 16_000

    def __init__(self, port: int) -> None:
        self.deadline: float | None = None
        self.received: list[str | bytes] = []
        self.openings = 0
        self.welcomed = asyncio.Event()
        self._port = port

    def request(self) -> Request:
        return Request(f"ws://127.0.0.1:{self._port}/", {"Authorization": "Bearer secret"})

    def opened(self, at: float) -> Reply:
        self.openings += 1
        return Reply(send=(f"hello {self.openings}",), events=(Opened(),) if self.openings == 1 else ())

    def receive(self, message: str | bytes, at: float) -> Reply:
        self.received.append(message)
        match message:
            case "renew":
                return Reply(renew=True)
            case "welcome":
                self.welcomed.set()
            case "wait":
                self.deadline = at + 0.05
            case "end":
                return Reply(events=(Closed(End.REFUSED, "they said so"),))
            case _:
                pass
        return NOTHING

    def perform(self, command: Command, at: float) -> Reply:
        match command:
            case Play(pcm):
                return Reply(send=(pcm,))
            case HangUp(reason):
                return Reply(send=("goodbye",), events=(Closed(End.HUNG_UP, reason),), close=True)
            case _:
                return NOTHING

    def expire(self, at: float) -> Reply:
        self.deadline = None
        return Reply(send=("expired",))

    def lost(self, at: float) -> bool:
        return False

    def closed(self, code: int, reason: str, at: float) -> Closed:
        return Closed(End.LINK_LOST, f"{code} {reason}".strip())


class FaithfulWire(CountingWire):
    """Goes on over another connection, as soon as it is welcomed there."""

    def receive(self, message: str | bytes, at: float) -> Reply:
        if message == "welcome" and self.openings > 1:
            return Reply(events=(Resumed(),))
        return super().receive(message, at)

    def perform(self, command: Command, at: float) -> Reply:
        return Reply(send=("stop it",)) if isinstance(command, Interrupt) else super().perform(command, at)

    def lost(self, at: float) -> bool:
        return True


class LonelyWire(FaithfulWire):
    """Its service takes no second connection beside the first."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.leaving = asyncio.Event()

    def receive(self, message: str | bytes, at: float) -> Reply:
        if message == "renew":
            self.leaving.set()
        return super().receive(message, at)

    def request(self) -> Request:
        return Request(f"ws://127.0.0.1:{self._port}/", alone=True)


class Call:
    """A leg in a task group of its own, and what it told."""

    def __init__(self, leg: WebSocketLeg) -> None:
        self.leg = leg
        self.events: list[Event] = []
        self.opened = asyncio.Event()
        self.changed = asyncio.Event()

    async def told(self, kind: type[Event]) -> None:
        while not any(isinstance(event, kind) for event in self.events):
            self.changed.clear()
            await self.changed.wait()

    def deliver(self, event: Event, at: float) -> None:
        self.events.append(event)
        self.changed.set()
        if isinstance(event, Opened):
            self.opened.set()

    async def run(self) -> None:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            await self.leg.run(self.deliver, group)


@asynccontextmanager
async def calling(
    service: Service, kind: type[CountingWire] = CountingWire
) -> AsyncIterator[tuple[Call, CountingWire, asyncio.Task[None]]]:
    async with serve(service, "127.0.0.1", 0) as server:
        wire = kind(next(iter(server.sockets)).getsockname()[1])
        call = Call(WebSocketLeg(wire))
        task = asyncio.create_task(call.run())
        try:
            yield call, wire, task
        finally:
            task.cancel()
            await asyncio.wait({task})


async def _listen(socket: ServerConnection, heard: list[str | bytes]) -> None:
    try:
        async for message in socket:
            heard.append(message)
    except ConnectionClosed:
        pass


def test_it_says_hello_sends_in_order_and_says_goodbye() -> None:
    heard: list[str | bytes] = []

    async def story() -> None:
        async with calling(lambda socket: _listen(socket, heard)) as (call, _, task):
            await call.opened.wait()
            for number in range(5):
                call.leg.perform(Play(bytes([number])), 0.0)
            call.leg.perform(HangUp("enough"), 0.0)
            await task
            assert call.events == [Opened(), Closed(End.HUNG_UP, "enough")]

    asyncio.run(story())
    assert heard == ["hello 1", *(bytes([number]) for number in range(5)), "goodbye"]


def test_the_end_of_the_connection_is_told_with_its_code() -> None:
    async def service(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(1011, "overloaded")

    async def story() -> None:
        async with calling(service) as (call, _, task):
            await task
            assert call.events == [Opened(), Closed(End.LINK_LOST, "1011 overloaded")]

    asyncio.run(story())


class SignedWire(CountingWire):
    """A wire whose address must be asked for. `request` is replaced, and nothing else."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__(port)
        self.path = path
        self.answers: list[tuple[int, bytes]] = []

    def request(self) -> Request:
        return Request(f"http://127.0.0.1:{self._port}{self.path}", {"xi-api-key": "secret"}, leads_to=self.leads)

    def leads(self, status: int, body: bytes) -> Request | Closed:
        self.answers.append((status, body))
        return Request(body.decode(), secret=True) if status == 200 else Closed(End.REFUSED, f"no address: {status}")


@pytest.mark.parametrize(
    ("path", "events", "heard"),
    [
        ("/sign", [Opened()], ["hello 1"]),
        ("/refuse", [Closed(End.REFUSED, "no address: 403")], []),
        ("/nonsense", [Closed(End.REFUSED, "the address of the service, or of the proxy, is wrong")], []),
    ],
)
def test_an_address_that_must_be_asked_for_is_asked_for_with_the_key_and_not_shown(
    path: str, events: list[Event], heard: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str | bytes] = []

    def sign(socket: ServerConnection, request: HttpRequest) -> Response | None:
        host = request.headers["Host"]
        match request.path:
            case "/sign" | "/refuse" | "/nonsense":
                assert request.headers["xi-api-key"] == "secret"
                body = f"ws://{host}/signed?signature=s3cr3t" if request.path == "/sign" else "http://x/s3cr3t"
                return socket.respond(HTTPStatus.FORBIDDEN if request.path == "/refuse" else HTTPStatus.OK, body)
            case _:
                assert request.path == "/signed?signature=s3cr3t"
                assert "xi-api-key" not in request.headers
                return None

    async def story() -> None:
        async with serve(lambda socket: _listen(socket, said), "127.0.0.1", 0, process_request=sign) as server:
            call = Call(WebSocketLeg(SignedWire(next(iter(server.sockets)).getsockname()[1], path)))
            task = asyncio.create_task(call.run())
            if heard:
                await call.opened.wait()
                call.leg.perform(HangUp("enough"), 0.0)
            await task
            assert [event for event in call.events if event != Closed(End.HUNG_UP, "enough")] == events

    asyncio.run(story())
    assert [message for message in said if message != "goodbye"] == heard
    assert "s3cr3t" not in caplog.text


async def outcome(wire: CountingWire) -> Closed:
    """Return the one thing that is told of a call by `wire`."""
    call = Call(WebSocketLeg(wire))
    await call.run()
    (closed,) = call.events
    assert isinstance(closed, Closed)
    return closed


async def outcome_of(answer: Callable[[ServerConnection, HttpRequest], Response]) -> Closed:
    """Return what is told of a call to a service that gives this answer to the request to connect."""
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, process_request=answer) as server:
        return await outcome(CountingWire(next(iter(server.sockets)).getsockname()[1]))


def test_a_refused_upgrade_is_told_with_its_status_and_body() -> None:
    def refuse(socket: ServerConnection, request: HttpRequest) -> Response:
        assert request.headers["Authorization"] == "Bearer secret"
        return socket.respond(HTTPStatus.UNAUTHORIZED, "wrong key")

    assert asyncio.run(outcome_of(refuse)) == Closed(End.LINK_LOST, "401 wrong key")


def test_a_service_that_cannot_be_reached_is_told() -> None:
    assert asyncio.run(outcome(CountingWire(9))).reason.startswith("0 ")


@pytest.mark.parametrize(
    ("begins", "ends", "sentence"),
    [
        ("20200101000000Z", "20210101000000Z", "0 its certificate has expired, by the clock of this box ("),
        ("20900101000000Z", "20910101000000Z", "0 its certificate is not valid yet, by the clock of this box ("),
    ],
)
def test_a_certificate_that_our_clock_does_not_like_is_tried_again_for_the_clock_may_be_wrong(
    begins: str, ends: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make(tmp_path / "certificate", begins=begins, ends=ends)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Secured(CountingWire):
        def request(self) -> Request:
            return Request(f"wss://127.0.0.1:{self._port}/")

    async def story() -> None:
        async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0, ssl=context) as server:
            call = Call(WebSocketLeg(Secured(next(iter(server.sockets)).getsockname()[1])))
            await call.run()
            (closed,) = call.events
            assert isinstance(closed, Closed)
            assert (closed.end, closed.unreached) == (End.LINK_LOST, False)
            assert closed.reason.startswith(sentence)

    asyncio.run(story())


@pytest.mark.usefixtures("no_such_name")
@pytest.mark.parametrize(("port", "why"), [(9, "refused"), (None, "there is no such name")])
def test_where_there_is_no_way_to_the_service_that_is_told(port: int | None, why: str) -> None:
    class Nowhere(CountingWire):
        def request(self) -> Request:
            return super().request() if port else Request("ws://nobody.invalid/")

    async def story() -> None:
        call = Call(WebSocketLeg(Nowhere(port or 0)))
        await call.run()
        (closed,) = call.events
        assert isinstance(closed, Closed)
        assert closed.unreached
        assert why in closed.reason.lower()

    asyncio.run(story())


@pytest.mark.parametrize("url", ["ws://my..invalid/", "ws://127.0.0.1:99999/", "ws://127.0.0.1:0x/", "ws://[::1/"])
def test_an_address_that_cannot_be_is_refused_and_not_tried_again(url: str) -> None:
    class Misspelt(CountingWire):
        def request(self) -> Request:
            return Request(url)

    assert asyncio.run(outcome(Misspelt(0))).end is End.REFUSED


def test_a_redirect_is_not_followed_with_our_key() -> None:
    seen: list[str] = []

    def redirect(socket: ServerConnection, request: HttpRequest) -> Response:
        seen.append(request.path)
        response = socket.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = "/elsewhere"
        return response

    assert asyncio.run(outcome_of(redirect)) == Closed(End.LINK_LOST, "302")
    assert seen == ["/"]


def test_nothing_is_left_of_a_call_whose_service_takes_no_goodbye() -> None:
    async def service(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await asyncio.sleep(5)

    async def story() -> None:
        async with calling(service) as (call, _, task):
            await call.opened.wait()
            for _ in range(20):
                call.leg.perform(Play(bytes(1_000_000)), 0.0)
            await asyncio.sleep(0.05)
            call.leg.perform(HangUp("enough"), 0.0)
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait({task})
            assert call.leg._socket is not None
            assert call.leg._socket.transport.is_closing()

    asyncio.run(story())


def test_hanging_up_while_it_connects_ends_it_at_once() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def story() -> None:
        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            call = Call(WebSocketLeg(CountingWire(server.sockets[0].getsockname()[1])))
            task = asyncio.create_task(call.run())
            await asyncio.sleep(0)
            call.leg.perform(HangUp("changed my mind"), 0.0)
            await task
            assert call.events == [Closed(End.HUNG_UP, "changed my mind")]

    asyncio.run(story())


def test_an_end_told_by_the_wire_closes_the_socket() -> None:
    async def service(socket: ServerConnection) -> None:
        await socket.send("end")
        await socket.wait_closed()

    async def story() -> None:
        async with calling(service) as (call, _, task):
            await task
            assert call.events == [Opened(), Closed(End.REFUSED, "they said so")]

    asyncio.run(story())


def test_a_deadline_is_kept() -> None:
    heard: list[str | bytes] = []

    async def service(socket: ServerConnection) -> None:
        await socket.send("wait")
        heard.extend([await socket.recv(), await socket.recv()])
        await socket.close()

    async def story() -> None:
        async with calling(service) as (_, _, task):
            await task

    asyncio.run(story())
    assert heard == ["hello 1", "expired"]


def test_a_renewed_session_takes_over_and_nobody_is_told() -> None:
    heard: list[list[str | bytes]] = []

    async def service(socket: ServerConnection) -> None:
        mine: list[str | bytes] = []
        heard.append(mine)
        mine.append(await socket.recv())
        if len(heard) == 1:
            await socket.send("renew")
            await _listen(socket, mine)
        else:
            await socket.send("welcome")
            mine.append(await socket.recv())
            await socket.close(1000)

    async def story() -> None:
        async with calling(service) as (call, wire, task):
            await wire.welcomed.wait()
            call.leg.perform(Play(b"ab"), 0.0)
            await task
            assert [type(event) for event in call.events] == [Opened, Closed]

    asyncio.run(story())
    assert heard == [["hello 1"], ["hello 2", b"ab"]]


def test_a_service_that_takes_nothing_is_lost_not_answered_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevoice.drivers.websocket.OUTBOX_S", 0.3)

    async def service(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await asyncio.sleep(5)

    async def story() -> None:
        async with calling(service) as (call, _, task):
            await call.opened.wait()
            while not task.done():
                call.leg.perform(Play(bytes(1_000_000)), 0.0)
                await asyncio.sleep(0.02)
            assert call.events[-1] == Closed(End.LINK_LOST, "the service took nothing for 0.3 s")

    asyncio.run(story())


def test_a_link_that_is_lost_is_had_again_and_what_was_said_meanwhile_is_sent_in_order() -> None:
    heard: list[list[str | bytes]] = []
    again, ready = asyncio.Event(), asyncio.Event()

    async def service(socket: ServerConnection) -> None:
        mine: list[str | bytes] = []
        heard.append(mine)
        mine.append(await socket.recv())
        if len(heard) == 1:
            socket.transport.abort()
            return
        again.set()
        await ready.wait()
        await socket.send("welcome")
        while mine[-1] != b"!":
            mine.append(await socket.recv())
        await socket.wait_closed()

    async def story() -> None:
        async with calling(service, FaithfulWire) as (call, _, task):
            await call.told(LinkDown)
            for number in range(3):
                call.leg.perform(Play(bytes([number])), 0.0)
            await again.wait()
            call.leg.perform(Interrupt("r1", 100.0), 0.0)
            call.leg.perform(Play(b"a"), 0.0)
            ready.set()
            await call.told(Resumed)
            call.leg.perform(Play(b"!"), 0.0)
            call.leg.perform(HangUp("enough"), 0.0)
            await task
            assert [type(event) for event in call.events] == [Opened, LinkDown, Resumed, Closed]

    asyncio.run(story())
    assert heard == [["hello 1"], ["hello 2", "stop it", b"\0", b"\1", b"\2", b"a", b"!"]]


@pytest.mark.parametrize("why", ["nobody is there", "it is accepted and nothing is said", "it is ended at once"])
def test_a_link_that_does_not_come_back_is_given_up_with_the_first_reason(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevoice.link.RESUME_S", 0.6)
    connections = 0

    async def service(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await socket.recv()
            await socket.close(1011, "overloaded")
        elif why == "it is accepted and nothing is said":
            await socket.wait_closed()

    async def story() -> None:
        async with calling(service, FaithfulWire) as (call, wire, task):
            await call.opened.wait()
            if why == "nobody is there":
                wire._port = 9
            await task
            assert call.events == [Opened(), LinkDown("1011 overloaded"), call.events[-1]]
            closed = call.events[-1]
            assert isinstance(closed, Closed)
            assert closed.end is End.LINK_LOST
            assert connections <= 3, "no hot loop"

    asyncio.run(story())


def test_hanging_up_while_the_link_is_looked_for_ends_it_at_once() -> None:
    async def service(socket: ServerConnection) -> None:
        await socket.recv()
        socket.transport.abort()

    async def story() -> None:
        async with calling(service, FaithfulWire) as (call, wire, task):
            await call.opened.wait()
            wire._port = 9
            await call.told(LinkDown)
            call.leg.perform(HangUp("enough"), 0.0)
            await task
            assert call.events[-1] == Closed(End.HUNG_UP, "enough")

    asyncio.run(story())


def test_a_dead_network_is_noticed_by_what_is_not_acknowledged() -> None:
    """The kernel is asked for it: there is no network to cut here."""

    async def service(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async def story() -> None:
        async with calling(service) as (call, _, _):
            await call.opened.wait()
            assert call.leg._socket is not None
            tcp = call.leg._socket.transport.get_extra_info("socket")
            assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5000

    asyncio.run(story())


def test_a_service_that_takes_one_connection_is_left_and_called_again_and_nobody_is_told() -> None:
    heard: list[list[str | bytes]] = []
    standing = 0
    again, ready = asyncio.Event(), asyncio.Event()

    async def service(socket: ServerConnection) -> None:
        nonlocal standing
        standing += 1
        assert standing == 1, "two connections at a time"
        mine: list[str | bytes] = []
        heard.append(mine)
        mine.append(await socket.recv())
        if len(heard) == 1:
            await socket.send("renew")
            await _listen(socket, mine)
            standing -= 1
            return
        again.set()
        await ready.wait()
        await socket.send("welcome")
        await _listen(socket, mine)

    async def story() -> None:
        async with calling(service, LonelyWire) as (call, _, task):
            await call.opened.wait()
            await again.wait()
            call.leg.perform(Play(b"ab"), 0.0)
            ready.set()
            await call.told(Resumed)
            call.leg.perform(Play(b"cd"), 0.0)
            call.leg.perform(HangUp("enough"), 0.0)
            await task
            assert [type(event) for event in call.events] == [Opened, Resumed, Closed]

    asyncio.run(story())
    assert heard == [["hello 1"], ["hello 2", b"ab", b"cd", "goodbye"]]


def test_a_service_that_is_left_and_does_not_answer_again_is_a_lost_link() -> None:
    async def service(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("renew")
        await socket.wait_closed()

    async def story() -> None:
        async with calling(service, LonelyWire) as (call, wire, task):
            await call.opened.wait()
            wire._port = 9
            await call.told(LinkDown)
            call.leg.perform(HangUp("enough"), 0.0)
            await task
            assert [type(event) for event in call.events] == [Opened, LinkDown, Closed]

    asyncio.run(story())


def test_hanging_up_while_a_connection_is_being_left_ends_it() -> None:
    async def service(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("renew")
        socket.transport.pause_reading()  # our goodbye is not answered
        await socket.wait_closed()

    async def story() -> None:
        async with calling(service, LonelyWire) as (call, wire, task):
            assert isinstance(wire, LonelyWire)
            await wire.leaving.wait()
            call.leg.perform(HangUp("enough"), 0.0)
            await task
            assert call.events == [Opened(), Closed(End.HUNG_UP, "enough")]

    asyncio.run(story())
