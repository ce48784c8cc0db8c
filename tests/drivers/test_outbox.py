"""What waits to be sent over a socket: in order, forgotten, bounded in time, finished."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from edgevoice.drivers.outbox import Outbox


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[ServerConnection, ClientConnection]]:
    """Two ends of a connection: ours, and the service's."""
    ours: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def attend(connection: ServerConnection) -> None:
        ours.set_result(connection)
        await connection.wait_closed()

    async with serve(attend, "127.0.0.1", 0, compression=None, write_limit=1024) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/", proxy=None, compression=None, max_queue=1) as theirs:
            yield await ours, theirs


def run(story: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(bounded())


def test_what_is_put_is_sent_in_order_and_then_the_connection_is_closed() -> None:
    async def story() -> None:
        async with pair() as (ours, theirs):
            outbox = Outbox(5.0)
            sending = asyncio.create_task(outbox.run(lambda: ours))
            outbox.put(["1", b"2"], 0.0)
            outbox.put(["3"], 0.0)
            outbox.finish()
            assert [message async for message in theirs] == ["1", b"2", "3"]
            await sending
            assert theirs.close_code == 1000

    run(story())


def test_what_is_forgotten_is_not_sent() -> None:
    async def story() -> None:
        async with pair() as (ours, theirs):
            outbox = Outbox(5.0)
            outbox.put(["of the interrupted answer"] * 3, 0.0)
            outbox.forget()
            outbox.put(["clear"], 0.0)
            outbox.finish()
            await asyncio.gather(outbox.run(lambda: ours), theirs.wait_closed())
            assert [message async for message in theirs] == ["clear"]

    run(story())


def test_a_service_that_takes_nothing_is_noticed_when_the_next_message_is_put() -> None:
    outbox = Outbox(5.0)
    assert outbox.put(["first"], 0.0)
    assert outbox.put(["second"], 5.0)
    assert not outbox.put(["third"], 5.1)
    outbox.forget()
    assert outbox.put(["fourth"], 60.0), "nothing waited"
    assert len(outbox) == 1


def test_a_connection_that_is_gone_is_no_mistake_of_ours() -> None:
    async def story() -> None:
        async with pair() as (ours, theirs):
            outbox = Outbox(5.0)
            sending = asyncio.create_task(outbox.run(lambda: ours))
            theirs.transport.abort()
            await ours.wait_closed()
            outbox.put(["too late"] * 3, 0.0)
            outbox.finish()
            await sending

    run(story())


def test_what_the_socket_takes_at_once_needs_no_task() -> None:
    async def story() -> None:
        async with pair() as (ours, theirs):
            outbox = Outbox(5.0)
            sending = asyncio.create_task(outbox.run(lambda: ours))
            await asyncio.sleep(0)
            outbox.put(["at once"], 0.0)
            assert len(outbox) == 0, "it has left, though no task has run since"
            assert await theirs.recv() == "at once"
            outbox.finish()
            await asyncio.gather(sending, theirs.wait_closed())

    run(story())


def test_nothing_overtakes_what_the_socket_does_not_take() -> None:
    """So what a `clear` makes pointless is still here, where it can be forgotten."""

    async def story() -> None:
        async with pair() as (ours, theirs):
            outbox = Outbox(5.0)
            sending = asyncio.create_task(outbox.run(lambda: ours))
            await asyncio.sleep(0)
            theirs.transport.pause_reading()
            sent = 0
            while len(outbox) < 3:  # the socket's own buffers are full
                outbox.put([f"{sent} {'.' * 50_000}"], 0.0)
                sent += 1
            theirs.transport.resume_reading()
            outbox.finish()
            got = [int(str(message).split()[0]) async for message in theirs]
            assert got == list(range(sent))
            await sending

    run(story())
