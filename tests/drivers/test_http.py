"""Questions to a service over HTTP: whatever it answers, or does not, the answer is a status and a body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from edgevoice.drivers import http
from tests.ports import free_port

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def answers(*pieces: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
        writer.close()

    return serve


def asked(serve: Serve, *, form: tuple[tuple[str, str], ...] = (), method: str = "GET") -> tuple[int, bytes]:
    async def story() -> tuple[int, bytes]:
        served = asyncio.Event()

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await serve(reader, writer)
            served.set()

        async with asyncio.timeout(60), await asyncio.start_server(once, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            answer = await http.ask(method, f"http://127.0.0.1:{port}/a1/calls", {"Authorization": "Basic x"}, form)
            await served.wait()
            return answer

    return asyncio.run(story())


def test_a_form_is_posted_with_its_plus_and_the_answer_comes_back() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        heard.append(await reader.readexactly(len(b"to=%2B46700000001")))
        writer.write(OK)
        writer.close()

    assert asked(serve, form=(("to", "+46700000001"),), method="POST") == (200, b"{}")
    assert heard[0].startswith(b"POST /a1/calls HTTP/1.1\r\n")
    assert b"Authorization: Basic x\r\n" in heard[0]
    assert heard[1] == b"to=%2B46700000001"


@pytest.mark.parametrize(
    "status", [b"401 Unauthorized", b"403 Forbidden", b"500 Oh", b"302 Found\r\nLocation: http://elsewhere/"]
)
def test_a_refusal_is_its_status_and_its_words_and_no_redirect_is_followed(status: bytes) -> None:
    answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 4\r\n\r\nwhy?"
    assert asked(answers(answer)) == (int(status[:3]), b"why?")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_an_answer_that_is_none_is_like_no_answer(answer: bytes) -> None:
    assert asked(answers(answer))[0] == 0


def test_nobody_listening_is_status_0() -> None:
    async def story() -> tuple[int, bytes]:
        return await http.ask("GET", f"http://127.0.0.1:{free_port()}/", {}, ())

    status, why = asyncio.run(story())
    assert (status, b"refused" in why) == (0, True)
    assert asyncio.run(http.ask("GET", "nonsense", {}, ()))[0] == 0


def test_a_service_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.1)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side has given up
        writer.close()

    assert asked(silent)[0] == 0


def test_an_answer_that_trickles_in_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WHOLE_S", 0.2)
    monkeypatch.setattr(http, "TIMEOUT_S", 0.3)
    given_up = asyncio.Event()

    async def trickles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(40):
            writer.write(b"x")
            try:
                async with asyncio.timeout(0.02):
                    await given_up.wait()
            except TimeoutError:
                pass
        writer.close()

    assert asked(trickles) == (0, b"no whole answer in time")
