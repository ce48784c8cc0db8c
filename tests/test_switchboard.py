"""The phone lines of a box without a card: who is let in, joined, called, and how all of it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from edgevoice import capacity, dialling, reception, visitor
from edgevoice.dialling import Dialling
from edgevoice.drivers import control, http
from edgevoice.errors import DeviceError
from edgevoice.headless import Headless
from edgevoice.lines import line
from edgevoice.lines.dial import TwilioDialer
from edgevoice.lines.elks import Elks
from edgevoice.schema import Config
from edgevoice.visitor import Visitor
from tests import journal
from tests.drivers import certificates
from tests.house import NOTHING, SILENCE, dialling_in, house, last_kind, next_kind, run, say_hello, until
from tests.ports import free_port


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    journal.listen(caplog)
    yield
    journal.check(caplog)


@pytest.fixture(autouse=True)
def _this_machine_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else runs on it: a second call is not refused for that."""
    monkeypatch.setattr(capacity, "LATE_S", 10.0)


# ----------------------------------------------------------------------------------------------------- coming in


def test_a_call_is_answered_listed_without_its_number_and_gone_when_it_is_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as box:
            async with dialling_in(box) as socket:
                await say_hello(socket)
                assert await next_kind(socket) == "listening"
                await until(lambda: box.lines.calls()[0]["with"] == "parrot")
                status = json.dumps(box.answer(control.Status()))
                assert '"name": "elks-1"' in status
                assert journal.CALLER not in status
                assert journal.CALLEE not in status
            await until(lambda: not box.lines.running)

    run(story())


@pytest.mark.usefixtures("only_we_collect")
def test_of_a_call_over_a_line_that_is_over_nothing_stays_in_memory(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as box:
            async with dialling_in(box) as socket:
                await say_hello(socket)
                assert await next_kind(socket) == "listening"
                await until(lambda: box.lines.calls()[0]["with"] == "parrot")
                call = weakref.ref(box.lines.running["elks-1"].call)
            await until(lambda: not (box.lines.running or call()))

    run(story())


def test_what_cannot_be_asked_without_a_card_or_a_call_is_told_with_what_was_expected(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as box:
            with pytest.raises(DeviceError, match=r'expected a number over a line, like elks:\+46.*, got "card"'):
                box.answer(control.Call("card"))
            for to in ("", "sip-9"):
                with pytest.raises(DeviceError, match=r"^there is no call over SIP to send keys in$"):
                    box.answer(control.Keys("1", to))

    run(story())


def test_of_twenty_calls_at_the_same_moment_exactly_as_many_as_allowed_come_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, max_calls=3) as box:
            came = await asyncio.gather(*(dialling_in(box) for _ in range(20)), return_exceptions=True)
            refused = [one.response.status_code for one in came if isinstance(one, InvalidStatus)]
            assert refused == [503] * 17
            assert len(box.lines.running) == 3
            for one in came:
                if not isinstance(one, BaseException):
                    await one.close()
            await until(lambda: not box.lines.running)
            async with dialling_in(box) as socket:
                await say_hello(socket)
                assert await next_kind(socket) == "listening", "there is room again"

    run(story())


def test_calls_that_take_all_the_time_there_is_leave_none_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capacity, "LATE_S", 0.01)
    monkeypatch.setattr(capacity, "LATELY_S", 0.5)

    async def story() -> None:
        async with house(tmp_path) as box, dialling_in(box) as socket:
            await say_hello(socket)
            assert await next_kind(socket) == "listening"
            while not box.lines.full:
                busy_until = box.loop.time() + 0.2
                while box.loop.time() < busy_until:
                    pass  # somebody keeps the loop: what is due waits
                await asyncio.sleep(0)
            with pytest.raises(InvalidStatus) as refused:
                await dialling_in(box)
            assert refused.value.response.status_code == 503
            assert "1 calls take all the time that this machine has" in caplog.text
            monkeypatch.setattr(capacity, "LATE_S", 10.0)
            await until(lambda: not box.lines.full)
            async with dialling_in(box):
                assert len(box.lines.running) == 2, "and there is time again"

    run(story())


def test_a_service_that_never_says_which_call_it_is_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Elks, "patience_s", 0.1)

    async def story() -> None:
        async with house(tmp_path) as box, dialling_in(box) as socket:
            assert await next_kind(socket) in ("bye", "")
            await until(lambda: not box.lines.running)
            assert "did not say within 0.1 s which call it is (broken)" in caplog.text

    run(story())


def test_a_line_that_falls_silent_for_good_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "SILENT_S", 0.2)

    async def story() -> None:
        async with house(tmp_path) as box, dialling_in(box) as socket:
            await say_hello(socket)
            for _ in range(5):
                await socket.send(SILENCE)
            assert await last_kind(socket) == "bye"
            await until(lambda: not box.lines.running)

    run(story())


def test_what_it_does_not_understand_is_counted_and_the_call_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with house(tmp_path) as box:
            async with dialling_in(box) as socket:
                await say_hello(socket)
                for message in ("", "{", "[]", f'{{"t":"{journal.WORD}"}}', '{"t":"audio","data":"%"}', b"\xff"):
                    await socket.send(message)
                await say_hello(socket)
                assert await next_kind(socket) == "listening"
                await socket.send('{"t":"bye","reason":"hangup"}')
            await until(lambda: "messages were not understood" in caplog.text)

    run(story())


# ------------------------------------------------------------------------------------------------------- webhooks

FORM = {"CallSid": "CA1", "From": journal.CALLER, "To": journal.CALLEE}


async def post(box: Headless, path: str, headers: Mapping[str, str] = NOTHING) -> tuple[int, str]:
    """Post what Twilio posts; return the status and the document."""
    body = urlencode(FORM)
    lines = [f"POST {path} HTTP/1.1", f"Host: {box.lines.address}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/x-www-form-urlencoded", *(f"{name}: {text}" for name, text in headers.items())]
    reader, writer = await asyncio.open_connection(*box.lines.address.split(":"))
    writer.write("\r\n".join([*lines, "", body]).encode())
    head, _, document = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), document


def leads_to(document: str) -> str:
    """Return the path of the socket to which a document sends the call."""
    found = re.search(r'Stream url="wss?://[^/]+(/[^"]+)"', document)
    assert found, document
    return found[1]


async def begin(socket: ClientConnection) -> None:
    await socket.send(
        json.dumps({"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1", "streamSid": "MZ1"}})
    )


def test_a_signed_webhook_leads_the_call_in_once(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")

    async def story() -> None:
        async with house(tmp_path, twilio='auth_token_file = "secret"') as box:
            sign = RequestValidator("secret").compute_signature
            url = f"http://{box.lines.address}/twilio/voice"
            status, document = await post(box, "/twilio/voice", {"X-Twilio-Signature": sign(url, FORM)})
            assert status == 200
            path = leads_to(document)
            signed = {"X-Twilio-Signature": sign(f"wss://{box.lines.address}{path}", {})}
            with pytest.raises(InvalidStatus, match="403"):
                await dialling_in(box, path)
            async with dialling_in(box, path, signed) as socket:
                await begin(socket)
                await until(lambda: box.lines.calls()[0]["with"] == "parrot")
                with pytest.raises(InvalidStatus, match="403"):
                    await dialling_in(box, path, signed)

    run(story())


def test_a_webhook_of_a_stranger_is_refused_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")

    async def story() -> None:
        async with house(tmp_path, twilio='auth_token_file = "secret"') as box:
            sign = RequestValidator("another secret").compute_signature
            url = f"http://{box.lines.address}/twilio/voice"
            for headers in ({}, {"X-Twilio-Signature": sign(url, FORM)}):
                assert await post(box, "/twilio/voice", headers) == (403, "refused\n")
            assert await post(box, "/plivo/answer") == (404, "refused\n")
            assert await post(box, "/elsewhere") == (404, "not found\n")

    run(story())


def test_a_caller_hears_that_all_lines_are_busy(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, max_calls=1) as box, dialling_in(box) as socket:
            await say_hello(socket)
            status, document = await post(box, f"/twilio/voice?token={journal.KEY}")
            assert (status, '<Reject reason="busy"' in document) == (200, True)

    run(story())


# ------------------------------------------------------------------------------------------------------ listening


def test_a_port_that_is_taken_is_told_once_and_served_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reception, "BIND_S", (0.01,))

    async def story() -> None:
        port = free_port()
        async with (
            await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port) as other,
            house(tmp_path, listen=f"127.0.0.1:{port}") as box,
        ):
            status = box.lines.status()
            assert (status["listen"], "already in use" in str(status["trouble"])) == (None, True)
            for _ in range(5):
                await asyncio.sleep(0.01)  # it has tried again meanwhile
            other.close()
            await until(lambda: box.lines.address)
            assert box.lines.status()["trouble"] is None
            async with dialling_in(box) as socket:
                await say_hello(socket)
                assert await next_kind(socket) == "listening"
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 1

    run(story())


# --------------------------------------------------------------------------------------------------------- ending


def test_stopping_says_goodbye_to_everybody(tmp_path: Path) -> None:
    async def story() -> None:
        sockets = []
        async with house(tmp_path) as box:
            for number in range(3):
                socket = await dialling_in(box)
                await say_hello(socket, f"c{number}")
                assert await next_kind(socket) == "listening"
                sockets.append(socket)
        for socket in sockets:
            assert await last_kind(socket) == "bye"
            assert socket.close_code == 1000

    run(story())


def test_a_box_with_a_certificate_ends_when_it_is_stopped(tmp_path: Path) -> None:
    certificate, _ = certificates.make(tmp_path)
    lines = 'certificate_file = "server.pem"\nprivate_key_file = "server.key"'

    async def story() -> None:
        async with house(tmp_path, lines=lines) as box:
            trusting = ssl.create_default_context(cafile=str(certificate))
            url = f"wss://{box.lines.address}/elks/{journal.KEY}"
            async with connect(url, ssl=trusting, proxy=None, compression=None) as socket:
                await say_hello(socket)
                assert await next_kind(socket) == "listening"

    run(story(), within_s=20.0)  # asyncio would wait 30 s for the other side to close TLS


def test_an_expired_certificate_stands_in_the_status_and_in_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificates.make(tmp_path, begins="20200101000000Z", ends="20210101000000Z")
    lines = 'certificate_file = "server.pem"\nprivate_key_file = "server.key"'

    async def story() -> None:
        async with house(tmp_path, lines=lines) as box:
            assert "has expired" in str(box.lines.status()["trouble"])
            await until(lambda: "has expired" in caplog.text)

    run(story())


# -------------------------------------------------------------------------------------------------- calls we make


class Rest:
    """46elks' REST API for one call, which rings until the test answers it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.state = "ongoing"
        self.slow = asyncio.Event()  # while it is not set, a question how far the call is waits
        self.slow.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(row.split(":")[1]) for row in head.splitlines() if row.lower().startswith("content-l")), 0)
        await reader.readexactly(length)
        self.asked.append(head.split()[0])
        if head.startswith("GET"):
            await self.slow.wait()
        body = json.dumps({"id": "c0ffee", "state": self.state})
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()


@asynccontextmanager
async def exchange() -> AsyncIterator[tuple[Rest, str]]:
    rest = Rest()
    async with await asyncio.start_server(rest.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield (
            rest,
            f'number = "+46766861004"\nwebsocket_number = "+46766861005"\napi_credentials_file = "login"\n'
            f'api_url = "http://127.0.0.1:{port}/a1"',
        )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "login").write_text("user:password")
    monkeypatch.setattr(dialling, "ASK_S", 0.05)
    return tmp_path


CALL = control.Call(f"elks:{journal.CALLER}")


@pytest.mark.parametrize("hello", [("c0ffee", "+46700000000"), ("another-id", journal.CALLER)])
def test_who_answers_our_call_talks_with_the_agent(folder: Path, hello: tuple[str, str]) -> None:
    async def story() -> None:
        async with exchange() as (rest, elks), house(folder, elks=elks) as box:
            box.answer(CALL)
            await until(lambda: "GET" in rest.asked)
            async with dialling_in(box) as socket:
                await say_hello(socket, *hello)
                assert await next_kind(socket) == "listening"
                await until(lambda: box.lines.calls()[0]["with"] == "parrot")

    run(story())


def test_who_answers_is_not_kept_waiting_by_a_slow_service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 60.0)
    monkeypatch.setattr(http, "WHOLE_S", 60.0)

    async def story() -> None:
        async with exchange() as (rest, elks), house(folder, elks=elks) as box:
            rest.slow.clear()
            box.answer(CALL)
            await until(lambda: "GET" in rest.asked)
            async with dialling_in(box) as socket:
                await say_hello(socket, "c0ffee")
                assert await next_kind(socket) == "listening", "the question is still unanswered"
                rest.slow.set()

    run(story(), within_s=30.0)


def test_who_answers_and_hangs_up_at_once_does_no_harm(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with exchange() as (rest, elks), house(folder, elks=elks) as box:
            box.answer(CALL)
            await until(lambda: "GET" in rest.asked)
            async with dialling_in(box) as socket:
                await say_hello(socket, "c0ffee")
                await socket.send('{"t":"bye","reason":"hangup"}')
            await until(lambda: not box.lines.running)
            await until(lambda: "over after" in caplog.text)

    run(story())


def test_who_answers_after_we_have_given_up_is_hung_up_on_and_who_calls_back_is_not(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with exchange() as (rest, elks), house(folder, elks=elks) as box:
            box.answer(CALL)
            await until(lambda: "GET" in rest.asked)
            box.answer(control.HangUp())
            await until(
                lambda: (
                    "nobody waits" in "".join(one._closed.reason for one in box.lines._outgoing._dialled if one._closed)
                )
            )
            async with dialling_in(box) as late:
                await say_hello(late, "c0ffee")
                assert await next_kind(late) == "bye"
            async with dialling_in(box) as back:
                await say_hello(back, "another-call")
                assert await next_kind(back) == "listening"

    run(story())


TWILIO = 'number = "+46766861004"\naccount_sid = "AC1"\nauth_token_file = "secret"'


def test_who_answers_by_a_ticket_when_nobody_waits_any_more_does_not_meet_the_agent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret").write_text("secret")

    async def story() -> None:
        lines = 'url = "https://127.0.0.1"'
        async with house(tmp_path, lines=lines, twilio=TWILIO) as box:
            with box.lines.dialling(f"twilio:{journal.CALLER}") as dialled:
                assert isinstance(dialled, Dialling)
                dialer = dialled._dialer
            assert isinstance(dialer, TwilioDialer)
            signature = RequestValidator("secret").compute_signature(dialer.socket_url, {})
            path = dialer.socket_url.removeprefix("wss://127.0.0.1")
            async with dialling_in(box, path, {"X-Twilio-Signature": signature}) as socket:
                await begin(socket)
                assert await next_kind(socket) == ""
            assert "with parrot" not in caplog.text

    run(story())


class Bell:
    """A box that rings, and is told when the visitor has gone."""

    free = True

    def __init__(self) -> None:
        self.rang, self.gone = asyncio.Event(), asyncio.Event()

    def ring(self, visitor: Visitor) -> None:
        self.rang.set()

    def left(self, visitor: Visitor) -> None:
        self.gone.set()


def test_a_caller_who_gives_up_ends_the_ringing_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitor, "RING_S", 60.0)

    async def story() -> None:
        async with house(tmp_path) as box:
            bell = Bell()
            monkeypatch.setattr(box.lines, "_box", bell)
            monkeypatch.setattr(box.lines, "_config", ringing(box.lines._config))
            async with dialling_in(box) as socket:
                await say_hello(socket)
                await bell.rang.wait()
            await bell.gone.wait()

    run(story())


def ringing(config: Config) -> Config:
    return msgspec.structs.replace(config, call=msgspec.structs.replace(config.call, incoming="card"))


def test_nobody_is_called_who_could_not_be_heard(folder: Path) -> None:
    async def story() -> None:
        async with exchange() as (rest, elks), house(folder, elks=elks, max_calls=1) as box, dialling_in(box) as socket:
            await say_hello(socket)
            assert await next_kind(socket) == "listening"
            with pytest.raises(DeviceError, match="there are 1 calls already"):
                box.answer(CALL)
            assert rest.asked == []

    run(story())


def test_a_call_that_nobody_answers_is_a_line_in_the_journal(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with exchange() as (rest, elks), house(folder, elks=elks) as box:
            rest.state = "busy"
            box.answer(CALL)
            await until(lambda: "the person called is on the phone: try again later (busy)" in caplog.text)

    run(story())


def test_stopping_while_it_rings_somewhere_does_not_wait_for_an_answer(folder: Path) -> None:
    async def story() -> None:
        async with exchange() as (rest, elks), house(folder, elks=elks) as box:
            box.answer(CALL)
            await until(lambda: "GET" in rest.asked)

    run(story(), within_s=30.0)
