"""A box at Asterisk: registered, called, calling, as at a PBX and as on the trunk of 46elks. `make test-sip`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from edgevoice.events import Closed, End, Progress, Stage
from edgevoice.lines.service import Began, Flowing
from tests.e2e.box import similarity, voice
from tests.e2e.sip import Talk, telephone
from tests.network.asterisk import CALLER, KEYS, TRUNK, Asterisk

pytestmark = pytest.mark.network

RATE = 8_000
SETTLED_S = 1.0
LONGER_S = 100.0  # than the session that it grants, 90 s
ALIKE, TRIES = 0.99, 8


@pytest.fixture(scope="module")
def exchange() -> Iterator[Asterisk]:
    with Asterisk() as one:
        yield one


def story(tale: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(tale())


async def comes_through(speaks: Talk, hears: Talk) -> bool:
    """Tell whether what is said in one call is heard in the other, sample by sample.

    Again and again: a moment in which this machine has no time is a hole in what is said, as on any network.
    """
    said = voice("question", RATE)[:RATE]
    await speaks.say(np.zeros(round(RATE * SETTLED_S), np.int16))
    for _ in range(TRIES):
        since = asyncio.get_running_loop().time()
        await speaks.say(np.pad(said, (0, RATE // 2)))
        assert speaks.closed is None, speaks.closed
        if similarity(hears.sound(since), said) >= ALIKE:
            return True
    return False


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("codecs", [("PCMA",), ("PCMU",)])
def test_speech_goes_through_and_comes_back_as_it_was(
    exchange: Asterisk, transport: str, codecs: Sequence[str]
) -> None:
    async def tale() -> None:
        async with telephone(exchange, "6001", transport=transport, codecs=codecs) as door:
            talk = door.dial("600")
            await talk.until_event(Flowing)
            assert await comes_through(talk, talk)
            await talk.hang_up()
            await talk.until_event(Closed)
        assert "0 active calls" in exchange.ask("core show calls")

    story(tale)


def test_keys_arrive_from_asterisk_and_the_call_goes_on(exchange: Asterisk) -> None:
    async def tale() -> None:
        async with telephone(exchange, "6001") as door:
            talk = door.dial("601")
            await talk.until(lambda: talk.keys == KEYS)
            assert await comes_through(talk, talk)

    story(tale)


def test_who_is_busy_or_does_not_exist_is_told_apart(exchange: Asterisk) -> None:
    async def tale() -> None:
        async with telephone(exchange, "6001") as door:
            for number, end in (("602", End.BUSY), ("999", End.WRONG_NUMBER)):
                talk = door.dial(number)
                await talk.until_event(Closed)
                assert talk.closed is not None
                assert talk.closed.end is end, (number, talk.closed)

    story(tale)


def test_two_boxes_talk_through_asterisk(exchange: Asterisk) -> None:
    async def tale() -> None:
        async with telephone(exchange, "6001") as door, telephone(exchange, "6002") as reception:
            ours = door.dial("6002")
            await ours.until_event(Progress(Stage.RINGING))
            theirs = await reception.rung()
            await theirs.answer()
            await ours.until_event(Flowing)
            assert await comes_through(ours, theirs)
            assert await comes_through(theirs, ours)
            await theirs.hang_up()
            await ours.until_event(Closed)
            assert ours.closed == Closed(End.HUNG_UP, "the other side hung up")

    story(tale)


def test_a_pbx_that_insists_on_session_timers_keeps_the_call_beyond_the_first() -> None:
    async def tale(exchange: Asterisk) -> None:
        async with telephone(exchange, "6001") as door:
            talk = door.dial("600")
            await talk.until_event(Flowing)
            until = asyncio.get_running_loop().time() + LONGER_S
            while asyncio.get_running_loop().time() < until:
                await talk.say(np.zeros(RATE, np.int16))
            assert talk.closed is None
            assert await comes_through(talk, talk)

    with Asterisk(timers="required") as exchange:
        asyncio.run(tale(exchange))


def test_on_the_trunk_a_number_is_called_and_heard_to_ring(exchange: Asterisk) -> None:
    async def tale() -> None:
        async with telephone(exchange, TRUNK, codecs=("PCMA", "PCMU")) as door:
            talk = door.dial("+46701234567")
            await talk.until_event(Progress)
            await talk.until_event(Flowing)
            assert await comes_through(talk, talk)

    story(tale)


def test_on_the_trunk_a_number_calls_and_opens_the_gate(exchange: Asterisk) -> None:
    async def tale() -> None:
        async with telephone(exchange, TRUNK, codecs=("PCMA", "PCMU")) as door:
            calling = asyncio.ensure_future(asyncio.to_thread(exchange.call, TRUNK, extension="601@pbx"))
            talk = await door.rung()
            await talk.until_event(Began)
            assert next(one for _, one in talk.events if isinstance(one, Began)).caller == CALLER
            await talk.answer()
            await talk.until(lambda: talk.keys == KEYS)
            assert await comes_through(talk, talk)
            await talk.hang_up()
            await calling

    story(tale)
