"""The socket and the clock of a phone call, with a service on loopback and a line that only counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from edgevoice.drivers import line_leg
from edgevoice.drivers.line_leg import LineLeg
from edgevoice.drivers.line_server import Answered, serve_lines
from edgevoice.events import Answer, Audio, Closed, Command, End, Event, HangUp, Opened, Play
from edgevoice.lines.admission import Admitted
from edgevoice.lines.line import Line
from edgevoice.wire import NOTHING, Reply
from tests import journal


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    journal.listen(caplog)
    yield
    journal.check(caplog)


class CountingLine:
    """Sends what it is told to play, and repeats every message as sound."""

    rate = 16_000

    def __init__(self) -> None:
        self.began: object | None = None
        self.deadline: float | None = None
        self.moved: list[float] = []  # the deadline, to where
        self.expired: list[float] = []
        self.commands: list[Command] = []

    def opened(self, at: float) -> Reply:
        return NOTHING

    def receive(self, message: str | bytes, at: float) -> Reply:
        match message:
            case "hello":
                self.began = object()
                return NOTHING
            case "later":  # each message moves the deadline on
                self.deadline = at + 0.05
                self.moved.append(self.deadline)
                return NOTHING
            case "now":
                self.deadline = at
                return NOTHING
            case "bye":
                return Reply(send=("bye",), events=(Closed(End.HUNG_UP, "the other side hung up"),), close=True)
            case _:
                return Reply(events=(Audio(message if isinstance(message, bytes) else message.encode()),))

    def perform(self, command: Command, at: float) -> Reply:
        self.commands.append(command)
        match command:
            case Play(pcm):
                return Reply(send=(pcm,))
            case Answer():
                return Reply(send=("answered",), events=(Opened(),))
            case HangUp(reason):
                return Reply(send=("goodbye",), events=(Closed(End.HUNG_UP, reason),), close=True)
            case _:
                return NOTHING

    def expire(self, at: float) -> Reply:
        self.expired.append(at)
        self.deadline = None if self.deadline is not None and at >= self.deadline else self.deadline
        return NOTHING

    def closed(self, code: int, reason: str, at: float) -> Closed:
        return Closed(End.LINK_LOST, f"code {code}")


class Call:
    """A leg that is attended, and what it told."""

    def __init__(self, connection: ServerConnection) -> None:
        self.line = CountingLine()
        self.leg = LineLeg(cast(Line, self.line), connection)
        self.events: list[Event] = []
        self.changed = asyncio.Event()

    def deliver(self, event: Event, at: float) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, event: Event) -> None:
        while event not in self.events:
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def calling() -> AsyncIterator[tuple[Call, ClientConnection, asyncio.Event]]:
    """A call, the service's end of it, and an event that is set when nobody attends it any more."""
    made: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
    left = asyncio.Event()

    async def attend(connection: ServerConnection, admitted: Admitted) -> None:
        call = Call(connection)
        made.set_result(call)
        await call.leg.attend()
        left.set()

    come_in, answer = (lambda came: Admitted("elks")), (lambda came: Answered(404))
    async with serve_lines("127.0.0.1:0", None, "", come_in, answer, attend) as address:
        socket = await connect(f"ws://{address}/", proxy=None, compression=None, max_queue=1)
        yield await made, socket, left
        socket.transport.abort()


def run(story: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(bounded())


def test_a_call_begins_takes_part_and_ends() -> None:
    async def story() -> None:
        async with calling() as (call, socket, left):
            await socket.send("hello")
            assert await call.leg.begins()
            running = asyncio.create_task(call.leg.run(call.deliver, 24_000))
            await call.until(Opened())
            assert await socket.recv() == "answered"
            await socket.send(b"sound")
            await call.until(Audio(b"sound"))
            await socket.send("bye")
            await running
            assert call.events[-1] == Closed(End.HUNG_UP, "the other side hung up")
            await left.wait()
            assert call.line.commands == [Answer(24_000)], "who is gone is not hung up on"

    run(story())


def test_what_is_said_before_anybody_takes_part_is_thrown_away() -> None:
    async def story() -> None:
        async with calling() as (call, socket, _):
            await socket.send(b"while it rings")
            await socket.send("hello")
            await call.leg.begins()
            running = asyncio.create_task(call.leg.run(call.deliver, 24_000))
            await socket.send(b"after")
            await call.until(Audio(b"after"))
            assert call.events == [Opened(), Audio(b"after")]
            running.cancel()

    run(story())


def test_a_call_that_is_over_before_it_began_is_told_so() -> None:
    async def story() -> None:
        async with calling() as (call, socket, left):
            socket.transport.abort()
            assert not await call.leg.begins()
            await left.wait()
            await call.leg.run(call.deliver, 24_000)
            assert call.events == [Closed(End.LINK_LOST, "code 1006")]
            call.leg.perform(Play(b"x"), 0.0)
            assert call.line.commands == []

    run(story())


def test_hanging_up_says_goodbye_and_is_told_once() -> None:
    async def story() -> None:
        async with calling() as (call, socket, left):
            await socket.send("hello")
            await call.leg.begins()
            running = asyncio.create_task(call.leg.run(call.deliver, 24_000))
            await call.until(Opened())
            call.leg.perform(HangUp("enough"), 0.0)
            call.leg.perform(HangUp("twice"), 0.0)
            await running
            assert [message async for message in socket] == ["answered", "goodbye"]
            await left.wait()
            assert call.events == [Opened(), Closed(End.HUNG_UP, "enough")]

    run(story())


def fill(call: Call) -> None:
    """Say more than the service's sockets hold."""
    for _ in range(200):
        call.leg.perform(Play(bytes(100_000)), 0.0)


def test_a_line_that_takes_nothing_is_let_go_of_after_the_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_leg, "LET_GO_S", 0.1)

    async def story() -> None:
        async with calling() as (call, socket, left):
            await socket.send("hello")
            await call.leg.begins()
            fill(call)
            call.leg.perform(HangUp("enough"), 0.0)
            await left.wait()  # it does not listen, and talks on
            assert call.leg.closed == Closed(End.HUNG_UP, "enough")

    run(story())


def test_a_line_that_takes_nothing_is_lost_when_there_is_more_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_leg, "OUTBOX_S", 0.1)

    async def story() -> None:
        async with calling() as (call, socket, left):
            await socket.send("hello")
            await call.leg.begins()
            running = asyncio.create_task(call.leg.run(call.deliver, 24_000))
            await call.until(Opened())
            fill(call)
            while not call.leg.closed:
                await socket.send(b"sound")
                await call.until(Audio(b"sound"))
                call.leg.perform(Play(b"x"), 0.0)
                call.events.clear()
            await running
            await left.wait()
            assert call.leg.closed == Closed(End.LINK_LOST, "the phone service took nothing for 0.1 s")

    run(story())


def test_who_hangs_up_before_it_has_taken_everything_ends_only_its_own_call() -> None:
    async def story() -> None:
        async with calling() as (call, socket, left):
            await socket.send("hello")
            await call.leg.begins()
            fill(call)
            socket.transport.write_eof()
            try:
                async for _ in socket:
                    pass
            except ConnectionClosed:
                pass
            await left.wait()

    run(story())


def test_a_deadline_that_moves_on_with_each_message_costs_no_timer_and_is_kept() -> None:
    async def story() -> None:
        async with calling() as (call, socket, _):
            loop = asyncio.get_running_loop()
            until, sent = loop.time() + 0.2, 0
            while loop.time() < until:
                await socket.send("later")
                sent += 1
                await asyncio.sleep(0.01)
            while len(call.line.moved) < sent or call.line.deadline is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert call.line.expired[-1] >= call.line.moved[-1]
            assert len(call.line.expired) < 10

    run(story())


def test_a_deadline_that_comes_nearer_is_kept_too() -> None:
    async def story() -> None:
        async with calling() as (call, socket, _):
            call.line.deadline = asyncio.get_running_loop().time() + 60.0
            await socket.send("x")
            await socket.send("now")
            while not call.line.expired:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    run(story())
