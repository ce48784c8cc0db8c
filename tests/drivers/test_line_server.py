"""The door of the phone lines on real sockets: who is served, who is turned away, and that it survives them all."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edgevoice.drivers import line_server
from edgevoice.drivers.certificate import Certificate
from edgevoice.drivers.line_server import Answered, serve_lines
from edgevoice.errors import DeviceError
from edgevoice.lines.admission import Admitted, Came
from tests import journal
from tests.drivers import certificates

FORM = b"CallSid=CA1&From=%2B46701234567"
POST = (
    b"POST /twilio/voice?x=1 HTTP/1.1\r\nHost: box.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)
SIZED = POST + b"Content-Length: %d\r\n\r\n" % len(FORM) + FORM
CHUNKED = (
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nCallS\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(FORM) - 5, FORM[5:])
)
HEALTH = b"GET /health HTTP/1.1\r\nHost: box\r\n\r\n"
UPGRADE = (
    b"GET /elks/path-token-0123456789 HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    journal.listen(caplog)
    yield
    journal.check(caplog)


class Box:
    """Who comes, and the messages of each connection. It lets /elks in and answers everything else."""

    def __init__(self) -> None:
        self.address = ""
        self.came: list[Came] = []
        self.connection: ServerConnection | None = None  # the last one
        self.received: list[str | bytes] = []
        self.left = asyncio.Event()
        self.mistakes: list[dict[str, Any]] = []

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def admit(self, came: Came) -> Admitted | Answered:
        if came.path.startswith("/elks/"):
            return Admitted("elks")
        return Answered(503, "busy\n") if came.path == "/full" else Answered(404, "refused\n")

    def answer(self, came: Came) -> Answered:
        self.came.append(came)
        return Answered(200, "ok\n")

    @property
    def full(self) -> bool:
        """Something waits to be sent."""
        return self.connection is not None and self.connection.transport.get_write_buffer_size() > 0

    async def attend(self, connection: ServerConnection, admitted: Admitted) -> None:
        self.connection = connection
        try:
            async for message in connection:
                self.received.append(message)
                echo = "heard" if len(message) < 1000 else "heard" * 20_000
                await connection.send(echo)
        except ConnectionClosed:
            pass
        self.left.set()


def run(story: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(bounded())


@asynccontextmanager
async def serving(listen: str = "127.0.0.1:0", certificate: Certificate | None = None) -> AsyncIterator[Box]:
    """Serve; afterwards it still answers, and no callback has raised: that would end the program."""
    box = Box()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: box.mistakes.append(context))
    async with serve_lines(listen, certificate, "", box.admit, box.answer, box.attend) as box.address:
        yield box
        while certificate is None and b"200 OK" not in await ask(box, HEALTH):
            pass  # where a test has it wait for a moment only, a busy machine may be too late at first
    assert box.mistakes == []


async def ask(box: Box, *pieces: bytes) -> bytes:
    """Send these pieces, and return all that comes back until the connection ends."""
    host = "::1" if box.address.startswith("[") else "127.0.0.1"
    reader, writer = await asyncio.open_connection(host, box.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # the loop is the server's, too
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def client(box: Box, path: str = f"/elks/{journal.KEY}") -> connect:
    return connect(f"ws://127.0.0.1:{box.port}{path}", proxy=None, compression=None, max_size=None)


# ---------------------------------------------------------------------------------------------------- webhooks


@pytest.mark.parametrize("sent", [SIZED, CHUNKED], ids=["sized", "chunked"])
@pytest.mark.parametrize("piece", [10_000, 1, 7])
def test_a_webhook_is_read_however_it_is_cut(sent: bytes, piece: int) -> None:
    async def story() -> None:
        async with serving() as box:
            answer = await ask(box, *(sent[at : at + piece] for at in range(0, len(sent), piece)))
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"ok\n")
            [came] = box.came
            assert (came.method, came.url) == ("POST", "http://box.example.com/twilio/voice?x=1")
            assert came.form == (("CallSid", "CA1"), ("From", journal.CALLER))
            assert came.address == "127.0.0.1"

    run(story())


def test_who_asks_whether_the_form_may_come_is_told_so() -> None:
    async def story() -> None:
        async with serving() as box:
            reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
            writer.write(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(FORM))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            writer.write(FORM)
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
            assert len(box.came) == 1

    run(story())


def test_a_webhook_that_is_fetched_with_get_is_read_from_its_query() -> None:
    async def story() -> None:
        async with serving() as box:
            await ask(box, b"GET /vobiz/answer?From=%2B46701234567 HTTP/1.1\r\nHost: box\r\n\r\n")
            assert box.came[0].form == (("From", journal.CALLER),)

    run(story())


def test_a_monitor_that_wants_no_body_gets_none() -> None:
    async def story() -> None:
        async with serving() as box:
            answer = await ask(box, HEALTH.replace(b"GET", b"HEAD"))
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"\r\n\r\n")

    run(story())


def test_two_requests_at_once_get_one_answer() -> None:
    async def story() -> None:
        async with serving() as box:
            assert (await ask(box, SIZED + SIZED)).count(b"HTTP/1.1") == 1
            assert len(box.came) == 1

    run(story())


@pytest.mark.parametrize("sized", [True, False])
def test_too_large_a_form_is_refused(sized: bool) -> None:
    body = b"x" * (line_server.LARGEST_BODY + 1)
    head = (
        b"Content-Length: %d\r\n\r\n" % len(body) if sized else b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
    )

    async def story() -> None:
        async with serving() as box:
            answer = await ask(box, POST + head, body)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
            assert box.came == []

    run(story())


# ----------------------------------------------------------------------------------------------------- garbage


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # TLS to a port without
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"POST / HTTP/1.1\r\nHost: [\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Twilio-Signature: a\x0eb\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 400_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [\r\nConnection: Upgrade\r\n\r\n",
        b"GET /elks/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\r\n",
        b"GET /elks/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: Upgrade\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET " + b"x" * 20_000,
        b"\r\n\r\n\r\n\r\n",
    ],
)
def test_garbage_is_answered_like_garbage_and_never_with_a_trace(sent: bytes) -> None:
    async def story() -> None:
        async with serving() as box:
            answer = await ask(box, sent)
            assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:80]
            assert b"Traceback" not in answer
            assert box.came == []

    run(story())


# ------------------------------------------------------------------------------------------------------- waits


@pytest.mark.parametrize("begins", [b"", b"GE", b"GET /elks/x HTTP/1.1\r\nHost:", POST, SIZED[:-1]])
def test_who_connects_and_sends_no_whole_request_is_let_go(begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_server, "OPEN_S", 0.2)

    async def story() -> None:
        async with serving() as box:
            await ask(box, begins)  # returns when the server has closed

    run(story())


def test_a_form_that_trickles_in_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_server, "OPEN_S", 0.3)

    async def story() -> None:
        async with serving() as box:
            reader, writer = await asyncio.open_connection("127.0.0.1", box.port)
            ended = asyncio.create_task(reader.read())
            sent = 0
            while not ended.done():
                writer.write(SIZED[sent : sent + 1])
                sent += 1
                await asyncio.wait([ended], timeout=0.01)
            writer.close()
            assert sent < len(SIZED)
            assert box.came == []

    run(story())


def test_who_stays_silent_where_tls_is_expected_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_server, "OPEN_S", 0.2)

    async def story() -> None:
        async with serving(certificate=Certificate(*certificates.make(tmp_path))) as box:
            begun = time.monotonic()
            await ask(box, b"\x16\x03\x01")
            assert time.monotonic() - begun < 30.0, "and not after asyncio's minute"

    run(story())


def test_a_crowd_that_only_stands_at_the_door_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_server, "UNDECIDED", 3)

    async def story() -> None:
        async with serving() as box:
            crowd = [await asyncio.open_connection("127.0.0.1", box.port) for _ in range(4)]
            endings = [asyncio.create_task(reader.read()) for reader, _ in crowd]
            done, standing = await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
            assert (len(done), len(standing)) == (1, 3)
            for _, writer in crowd:
                writer.close()
            await asyncio.wait(endings)
            assert b"200 OK" in await ask(box, HEALTH), "there is room again"

    run(story())


def test_calls_under_way_do_not_count_as_standing_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_server, "UNDECIDED", 2)

    async def story() -> None:
        async with serving() as box, client(box) as first, client(box) as second, client(box) as third:
            for socket in (first, second, third):
                await socket.send("hello")
                assert await socket.recv() == "heard"

    run(story())


def test_a_service_that_has_gone_without_a_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_server, "PING_S", 0.1)

    async def story() -> None:
        async with serving() as box:
            _, writer = await asyncio.open_connection("127.0.0.1", box.port)
            writer.write(UPGRADE)  # it reads nothing and answers no ping, but its socket is there
            await box.left.wait()
            writer.close()

    run(story())


# ------------------------------------------------------------------------------------------------------- calls


def test_a_service_with_the_token_is_let_in_and_others_hear_why_not() -> None:
    async def story() -> None:
        async with serving() as box:
            async with client(box) as socket:
                await socket.send("hello")
                assert await socket.recv() == "heard"
            for path, status, again in (("/twilio/x", 404, None), ("/full", 503, "10")):
                with pytest.raises(InvalidStatus) as refused:
                    await client(box, path)
                response = refused.value.response
                assert (response.status_code, response.headers.get("Retry-After")) == (status, again)
                assert response.body in (b"refused\n", b"busy\n")
                assert "Server" not in response.headers

    run(story())


@pytest.mark.parametrize(
    "send",
    [lambda socket: socket.send("x" * 5_000_000), lambda socket: socket.send(b"\xff\xfe", text=True)],
    ids=["5 MB", "no UTF-8"],
)
def test_a_message_that_is_none_ends_its_own_call_at_the_most(send: Any) -> None:
    async def story() -> None:
        async with serving() as box, client(box) as other:
            socket: ClientConnection = await client(box)
            try:
                await send(socket)
                await socket.recv()
            except ConnectionClosed:
                pass
            await box.left.wait()
            assert box.received == []
            await other.send("still here")
            assert await other.recv() == "heard"

    run(story())


def test_a_service_that_hangs_up_before_it_has_taken_everything_harms_nobody() -> None:
    async def story() -> None:
        async with serving() as box:
            reader, writer = await asyncio.open_connection("127.0.0.1", box.port, limit=1024)
            frame = b"\x81\xfe\x03\xe8" + bytes(4) + b"x" * 1000
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            while not box.full:  # it talks, and does not listen
                writer.write(frame)
                await asyncio.sleep(0)
            writer.write_eof()
            while await reader.read(65_536):
                pass
            writer.close()
            await box.left.wait()

    run(story())


def test_running_calls_are_closed_politely_when_the_server_ends() -> None:
    async def story() -> None:
        async with serving() as box:
            socket = await client(box)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1001
        await box.left.wait()

    run(story())


# --------------------------------------------------------------------------------------------------- addresses


def test_it_listens_on_ipv6() -> None:
    async def story() -> None:
        try:
            async with serving("[::1]:0") as box:
                assert box.address.startswith("[::1]:")
                assert b"200 OK" in await ask(box, HEALTH)
                assert box.came[0].address == "::1"
        except DeviceError as error:
            pytest.skip(f"this machine has no IPv6: {error}")

    run(story())


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "127.0.0.1:99999", "a..b:80", "no-such-host.invalid:80"])
def test_an_address_that_cannot_be_had_is_a_sentence(listen: str) -> None:
    async def story() -> None:
        with pytest.raises(DeviceError, match=f"cannot listen on {listen}"):
            async with serving(listen):
                pass

    run(story())


def test_a_port_that_is_taken_is_a_sentence() -> None:
    async def story() -> None:
        async with serving() as box:
            with pytest.raises(DeviceError, match="already in use"):
                async with serving(box.address):
                    pass

    run(story())


# ------------------------------------------------------------------------------------------------ certificates


def test_a_renewed_certificate_is_shown_to_new_callers_and_drops_nobody(tmp_path: Path) -> None:
    old, new = certificates.make(tmp_path, "old"), certificates.make(tmp_path, "new")
    shown, key = tmp_path / "live.pem", tmp_path / "live.key"

    def install(files: tuple[Path, Path]) -> None:
        shown.write_bytes(files[0].read_bytes())
        key.write_bytes(files[1].read_bytes())

    def calling(box: Box, trusted: Path) -> connect:
        context = ssl.create_default_context(cafile=str(trusted))
        return connect(f"wss://127.0.0.1:{box.port}/elks/{journal.KEY}", ssl=context, proxy=None, compression=None)

    async def story() -> None:
        install(old)
        certificate = Certificate(shown, key)
        async with serving(certificate=certificate) as box, calling(box, old[0]) as running:
            install(new)
            assert certificate.reload()
            async with calling(box, new[0]) as later:
                for socket in (running, later):
                    await socket.send(json.dumps({"t": "hello"}))
                    assert await socket.recv() == "heard"
            with pytest.raises(ssl.SSLCertVerificationError):
                await calling(box, old[0])

    run(story())


def test_a_webhook_over_tls_is_answered_and_its_url_is_https(tmp_path: Path) -> None:
    files = certificates.make(tmp_path)

    async def story() -> None:
        async with serving(certificate=Certificate(*files)) as box:
            context = ssl.create_default_context(cafile=str(files[0]))
            reader, writer = await asyncio.open_connection("127.0.0.1", box.port, ssl=context)
            writer.write(SIZED + SIZED)
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
            assert [came.url for came in box.came] == ["https://box.example.com/twilio/voice?x=1"]

    run(story())
