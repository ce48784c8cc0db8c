"""A connection to a service on loopback: every way in which there is none has its own words."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from edgevoice.drivers.tcp import Unreached, aside, connected, look_up


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
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreached, match="Connection refused"):  # a socket left open would be a warning, and so an error
        asyncio.run(connected("127.0.0.1", port, 5.0))


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

    assert 0.25 < asyncio.run(story()) < 2.0


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
