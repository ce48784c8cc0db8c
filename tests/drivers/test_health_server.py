"""Health over HTTP: what is answered to whom, and that nobody can hang on to it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from edgevoice.drivers import health_server
from edgevoice.drivers.health_server import VISITORS, serve_health
from edgevoice.health import page
from tests.ports import free_port

STATUS: dict[str, object] = {
    "name": "gate 7",
    "state": "idle",
    "fault": None,
    "light": "off",
    "uptime_s": 12.5,
    "version": "1.2.3",
    "counters": {"playback_xruns": 3},
    "echo": {"canceller": "aec3", "suspicions": 2, "half_duplex": False},
    "lines": {"calls": [{"name": "elks-1"}]},
    "call": None,
}


@asynccontextmanager
async def serving(status: Mapping[str, object]) -> AsyncIterator[int]:
    port = free_port()
    task = asyncio.create_task(serve_health(f"127.0.0.1:{port}", lambda target: page(target, status)))
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
    writer.close()
    try:
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def exchange(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def until_answered(port: int) -> bytes:
    """Ask again and again: where a visitor is let go after a moment, a busy machine may be too late at first."""
    async with asyncio.timeout(30):
        while not (answer := await exchange(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")):
            pass
    return answer


def test_a_box_that_can_be_used_is_well_and_one_that_cannot_says_why() -> None:
    async def story() -> None:
        for status, code in (
            (STATUS, 200),
            (STATUS | {"state": "fault", "fault": "no card"}, 503),
            (STATUS | {"state": "waiting to retry", "fault": "the service cannot be reached"}, 503),
            (STATUS | {"out_of_order": {"panel": "GPIO busy"}}, 503),
            (STATUS | {"last_call_failed": "the key is wrong"}, 503),
        ):
            async with serving(status) as port:

                def get(port: int = port) -> tuple[int, dict[str, object]]:
                    try:
                        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
                            return answer.status, json.load(answer)
                    except urllib.error.HTTPError as refused:
                        with refused:
                            return refused.code, json.load(refused)

                found, told = await asyncio.to_thread(get)
                assert (found, told["ok"]) == (code, code == 200)
                for why in ("fault", "out_of_order", "last_call_failed"):
                    assert told[why] == status.get(why)

    asyncio.run(story())


def test_numbers_are_told_as_prometheus_reads_them() -> None:
    code, kind, text = page("/metrics", STATUS)
    assert (code, kind.partition(";")[0]) == (200, "text/plain")
    lines = text.splitlines()
    assert 'edgevoice_state{state="idle"} 1' in lines
    assert 'edgevoice_state{state="fault"} 0' in lines
    for line in (
        "fault 0",
        "out_of_order 0",
        "last_call_failed 0",
        "uptime_s 12.5",
        "counters_playback_xruns 3",
        "echo_suspicions 2",
        "echo_half_duplex 0",
        "line_calls 1",
    ):
        assert f"edgevoice_{line}" in lines
    assert all(len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) >= 0 for line in lines)


@pytest.mark.parametrize(
    ("sent", "begins"),
    [
        (b"GET /secrets HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 404 "),
        (b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 405 "),
        (b"GET /health HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 4"),
        (b"GET /health?a=b HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 "),
    ],
)
def test_whatever_is_asked_is_answered_or_refused(sent: bytes, begins: bytes) -> None:
    async def story() -> bytes:
        async with serving(STATUS) as port:
            return await exchange(port, sent)

    assert asyncio.run(story()).startswith(begins)


def test_head_has_no_body_and_the_length_of_one() -> None:
    async def story() -> bytes:
        async with serving(STATUS) as port:
            return await exchange(port, b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n")

    head, _, body = asyncio.run(story()).partition(b"\r\n\r\n")
    assert body == b""
    assert f"Content-Length: {len(page('/health', STATUS)[2])}".lower().encode() in head.lower()


def test_who_says_nothing_is_let_go_and_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_server, "PATIENCE_S", 0.2)

    async def story() -> bytes:
        async with serving(STATUS) as port:
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * VISITORS)]
            for reader, writer in silent:
                assert await asyncio.wait_for(reader.read(), 30) == b""
                writer.close()
            return await until_answered(port)

    assert asyncio.run(story()).startswith(b"HTTP/1.1 200 ")


def test_a_port_that_is_taken_is_said_once_and_had_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health_server, "AGAIN_S", 0.02)

    async def story() -> bytes:
        with socket.socket() as holder:
            port = free_port()
            holder.bind(("127.0.0.1", port))
            holder.listen()
            task = asyncio.create_task(serve_health(f"127.0.0.1:{port}", lambda target: page(target, STATUS)))
            while "cannot listen" not in caplog.text:  # noqa: ASYNC110 (a log has no event)
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # it has tried again meanwhile
        while "http://" not in caplog.text:  # noqa: ASYNC110 (a log has no event)
            await asyncio.sleep(0.01)
        answer = await exchange(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return answer

    with caplog.at_level(logging.INFO, "edgevoice.drivers.health_server"):
        assert asyncio.run(story()).startswith(b"HTTP/1.1 200 ")
    assert caplog.text.count("cannot listen") == 1
