"""A connection to a service on loopback: every way in which there is none has its own words."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import pytest

from edgevoice.drivers import tcp
from edgevoice.drivers.tcp import Unreached, aside, connected, look_up
from tests.ports import free_port


def test_of_several_addresses_the_one_that_answers_is_taken() -> None:
    """`localhost` is ::1 first on many machines, where nobody listens."""

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            way = await connected("localhost", server.getsockname()[1], 5.0)
            with way:
                assert way.getpeername() == server.getsockname()
                assert not way.getblocking()

    asyncio.run(story())


def test_where_nobody_listens_it_says_so_and_leaves_no_socket() -> None:
    with pytest.raises(Unreached, match="Connection refused"):  # a socket left open would be a warning, and so an error
        asyncio.run(connected("127.0.0.1", free_port(), 5.0))


@pytest.mark.usefixtures("no_such_name")
def test_a_name_that_does_not_exist_is_told_from_a_name_server_that_does_not_answer() -> None:
    with pytest.raises(Unreached, match="there is no such name"):
        asyncio.run(look_up("nobody.invalid", 443))


@pytest.mark.parametrize("name", ["my..server", "a" * 64])
def test_what_cannot_be_a_name_is_not_taken_for_a_network_that_is_gone(name: str) -> None:
    with pytest.raises(ValueError, match="label"):
        asyncio.run(look_up(name, 443))


def test_a_connection_that_nobody_accepts_is_given_up_in_time() -> None:
    """A full backlog: the kernel drops the SYN, as a network does that is gone."""

    async def story() -> float:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            port, full = server.getsockname()[1], []
            for _ in range(3):
                knocking = socket.socket()
                knocking.setblocking(False)
                knocking.connect_ex(("127.0.0.1", port))
                full.append(knocking)
            began = time.monotonic()
            with pytest.raises(Unreached, match="it does not answer"):
                await connected("127.0.0.1", port, 0.3)
            for knocking in full:
                knocking.close()
            return time.monotonic() - began

    assert 0.25 < asyncio.run(story()) < 30.0, "the kernel would try for two minutes"


def test_the_end_does_not_wait_for_what_is_asked_aside() -> None:
    """As of a resolver whose name server stays silent."""
    asked = threading.Event()

    async def story() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await aside(lambda: asked.wait(20))

    began = time.monotonic()
    asyncio.run(story())
    assert time.monotonic() - began < 10
    asked.set()


def test_eight_addresses_that_are_far_away_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes longer than its share of the time would be."""
    tried: list[int] = []

    async def far(family: int, address: Any) -> socket.socket:
        tried.append(address[1])
        await asyncio.sleep(0.8)
        return await near(family, address)

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            addresses = [(socket.AF_INET, ("127.0.0.1", server.getsockname()[1]))] * 8
            monkeypatch.setattr(tcp, "_addresses", lambda host, port: addresses)
            with await connected("service.example", 443, 5.0) as way:
                assert way.getpeername() == server.getsockname()
        assert 1 < len(tried) < 8

    near = tcp._connected
    monkeypatch.setattr(tcp, "_connected", far)
    asyncio.run(story())


def test_all_who_look_for_a_name_wait_for_the_same_question(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()
    questions: list[str] = []

    def never(host: str, port: int) -> tcp.Addresses:
        questions.append(host)
        silent.wait(20)
        return []

    async def story() -> None:
        looks = [look_up("service.example", 443, 0.3) for _ in range(20)]
        for outcome in await asyncio.gather(*looks, return_exceptions=True):
            assert isinstance(outcome, Unreached)

    monkeypatch.setattr(tcp, "_addresses", never)
    asyncio.run(story())
    assert len(questions) == 1
    silent.set()


def test_no_room_for_a_thread_is_a_reason_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(Unreached, match="can't start new thread"):
        asyncio.run(look_up("service.example", 443))
