"""A box behind a network that loses packets, goes away, and gives out another address. `make test-sip`; needs root."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from edgevoice.events import Closed, End
from edgevoice.lines.service import Flowing
from tests.e2e.box import likeness, voice
from tests.e2e.sip import Registrar, Talk, Telephone, telephone
from tests.network.lab import THERE, Cable, echo

pytestmark = pytest.mark.network

RATE = 8_000
AWAY_S = 60.0


@pytest.fixture
def cable() -> Iterator[Cable]:
    with Cable() as one:
        yield one


@pytest.fixture
def registrar(cable: Cable) -> Iterator[Registrar]:
    with Registrar(host=THERE, inside=cable.inside) as one:
        yield one


async def anew(door: Telephone) -> None:
    """Wait until a new worker is registered."""
    async with asyncio.timeout(20):
        while door.endpoint.workers < 2:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.01)
    await door.registered()


async def reaches(door: Telephone, within_s: float = 20.0) -> Talk:
    """Call, and call again after each call that does not come about."""
    async with asyncio.timeout(within_s):
        while True:
            talk = door.dial("reception")
            await talk.until(lambda talk=talk: bool(talk.events) and _decided(talk), within_s)  # type: ignore[misc]
            if talk.closed is None:
                return talk
            await asyncio.sleep(1.0)


def _decided(talk: Talk) -> bool:
    return talk.closed is not None or any(isinstance(one, Flowing) for _, one in talk.events)


async def echoed(talk: Talk) -> float:
    """Say something, and return how alike it comes back."""
    since, said = asyncio.get_running_loop().time(), voice("question", RATE)
    await talk.say(np.pad(said, (0, RATE // 2)))
    assert talk.closed is None, talk.closed
    return likeness(talk.sound(since), said, RATE)


@pytest.mark.parametrize(("percent", "alike"), [(5, 0.9), (15, 0.8)])
def test_a_call_comes_about_and_is_understood(cable: Cable, registrar: Registrar, percent: int, alike: float) -> None:
    async def story() -> None:
        with echo(cable, registrar):
            cable.lose(percent)
            async with telephone(registrar, "door") as door:
                talk = await reaches(door)
                await talk.say(np.zeros(RATE, np.int16))
                begun, before = asyncio.get_running_loop().time(), len(talk.sound())
                found = [await echoed(talk) for _ in range(3)]
                passed = asyncio.get_running_loop().time() - begun
                assert np.median(found) > alike
                assert abs((len(talk.sound()) - before) / RATE - passed) < 0.1, "time goes on as it should"

    asyncio.run(story())


def test_a_minute_without_a_link_ends_the_call_with_a_reason_and_the_next_one_comes_about(
    cable: Cable, registrar: Registrar
) -> None:
    async def story() -> None:
        async with telephone(registrar, "door") as door:
            with echo(cable, registrar):
                talk = await reaches(door)
                await talk.say(np.zeros(RATE, np.int16))
                cable.pull()
                await talk.until_event(Closed, AWAY_S)
                assert talk.closed is not None
                assert talk.closed.end is End.LINK_LOST
                await asyncio.sleep(AWAY_S - 20)
                cable.plug()
            with echo(cable, registrar):
                again = await reaches(door, within_s=45)
                assert await echoed(again) > 0.9

    asyncio.run(story())


def test_another_address_ends_the_call_with_a_reason_and_is_registered_soon(cable: Cable, registrar: Registrar) -> None:
    async def story() -> None:
        async with telephone(registrar, "door") as door:
            with echo(cable, registrar):
                talk = await reaches(door)
                await talk.say(np.zeros(RATE, np.int16))
                cable.move()
                await talk.until_event(Closed, 30)
                assert talk.closed is not None
                assert talk.closed.end is End.LINK_LOST
            with echo(cable, registrar):
                await anew(door)
                again = await reaches(door)
                assert await echoed(again) > 0.9

    asyncio.run(story())
