"""What two people hear of each other over SIP, through Debian's Kamailio on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from edgevoice.events import Closed, End
from tests.e2e.box import likeness, similarity, voice
from tests.e2e.sip import Registrar, Samples, Talk, Telephone, talking, telephone

PIECE_MS = 200
TRIES = 10  # machines that run tests are shared: a microphone that is read late is heard to be


@pytest.fixture(scope="module")
def registrar() -> Iterator[Registrar]:
    with Registrar() as one:
        yield one


async def hears(speaker: Talk, listener: Talk, said: Samples) -> Samples:
    """Return what `listener` hears while `speaker` says it, and a little longer."""
    since = asyncio.get_running_loop().time()
    await speaker.say(said)
    await listener.until(lambda: len(listener.sound(since)) > len(said) + speaker.service.rate // 4)
    return listener.sound(since)


async def best(speaker: Talk, listener: Talk, said: Samples, good: float) -> float:
    """Return how exactly the pieces of `said` are heard, the one in the middle, each in the best of some tries.

    Where a machine that is shared stumbles, time is made up for within a piece, another one in each try.
    """
    size = speaker.service.rate * PIECE_MS // 1000
    pieces = [said[start : start + size] for start in range(0, len(said) - size + 1, size)]
    found = [0.0] * len(pieces)
    for _ in range(TRIES):
        heard = await hears(speaker, listener, said)
        found = [max(before, similarity(heard, piece)) for before, piece in zip(found, pieces, strict=True)]
        if np.median(found) >= good:
            break
    return float(np.median(found))


@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
def test_both_hear_each_other_over_g711_as_it_was_said(registrar: Registrar, codec: str) -> None:
    async def story() -> None:
        async with (
            telephone(registrar, "door", codecs=(codec,)) as door,
            telephone(registrar, "reception", codecs=(codec,)) as reception,
        ):
            ours, theirs = await talking(door, reception)
            said = voice("question", 8_000)[:8_000]
            assert ours.service.rate == 8_000
            assert await best(ours, theirs, said, 0.99) >= 0.99
            assert await best(theirs, ours, said, 0.99) >= 0.99

    asyncio.run(story())


@pytest.mark.parametrize(("codec", "rate"), [("G722", 16_000), ("opus", 48_000)])
def test_both_hear_each_other_over_wide_band(registrar: Registrar, codec: str, rate: int) -> None:
    async def story() -> None:
        async with (
            telephone(registrar, "door", codecs=(codec,)) as door,
            telephone(registrar, "reception", codecs=(codec,)) as reception,
        ):
            ours, theirs = await talking(door, reception)
            said = voice("question", rate)[:rate]
            assert ours.service.rate == theirs.service.rate == rate
            for speaker, listener in ((ours, theirs), (theirs, ours)):
                alike = 0.0
                for _ in range(TRIES):
                    alike = max(alike, likeness(await hears(speaker, listener, said), said, rate))
                    if alike > 0.95:
                        break
                assert alike > 0.95

    asyncio.run(story())


@pytest.mark.parametrize(("ours", "theirs"), [("mandatory", "mandatory"), ("optional", "off"), ("off", "optional")])
def test_both_hear_each_other_where_their_encryption_agrees(registrar: Registrar, ours: str, theirs: str) -> None:
    async def story() -> None:
        async with (
            telephone(registrar, "door", transport="tls", srtp=ours) as door,
            telephone(registrar, "reception", transport="tls", srtp=theirs) as reception,
        ):
            one, other = await talking(door, reception)
            said = voice("question", 8_000)[:4_000]
            assert await best(one, other, said, 0.95) >= 0.95
            assert await best(other, one, said, 0.95) >= 0.95

    asyncio.run(story())


@pytest.mark.parametrize("calls", [True, False])
def test_who_insists_on_encryption_does_not_talk_without(registrar: Registrar, calls: bool) -> None:
    async def story() -> None:
        async with (
            telephone(registrar, "door", transport="tls", srtp="mandatory") as door,
            telephone(registrar, "reception", transport="tls", srtp="off") as reception,
        ):
            from_, to = (door, reception) if calls else (reception, door)
            talk = from_.dial(to.account.user)
            await asyncio.wait([asyncio.create_task(_answers(to)), asyncio.create_task(talk.until_event(Closed))])
            assert talk.closed is not None
            assert talk.closed.end is End.REFUSED
            assert not len(talk.sound()), "not a word"

    asyncio.run(story())


async def _answers(telephone: Telephone) -> None:
    """Answer, if it rings at all."""
    try:
        talk = await telephone.rung(within_s=1.0)
    except TimeoutError:
        return
    for message in talk.service.begin():
        await talk.call.send(message)


def test_a_burst_of_late_sound_does_not_make_a_voice_late_for_good(registrar: Registrar) -> None:
    async def story() -> None:
        async with telephone(registrar, "door") as door, telephone(registrar, "reception") as reception:
            ours, theirs = await talking(door, reception)
            tone = (6000 * np.sin(2 * np.pi * 200 * np.arange(8_000 * 5) / 8_000)).astype(np.int16)
            speaking = asyncio.create_task(ours.say(tone))
            await asyncio.sleep(0.2)
            await ours.send(tone[: 8_000 * 140 // 1000])  # as if the microphone had been read late
            await speaking
            delay_s = 1.0
            for _ in range(TRIES):
                delay_s = min(delay_s, await _click(ours, theirs))
                if delay_s < 0.14:
                    break
                await asyncio.sleep(1.0)
            assert delay_s < 0.14

    asyncio.run(story())


async def _click(speaker: Talk, listener: Talk) -> float:
    """Return how many s later something loud is heard at the other end."""
    at = asyncio.get_running_loop().time()
    await speaker.send(np.full(8_000 // 50, 20_000, np.int16))
    await listener.until(lambda: bool(np.any(listener.sound(at) > 15_000)))
    return asyncio.get_running_loop().time() - at
