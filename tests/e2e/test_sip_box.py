"""The box at a door, on the virtual card, and a reception that it calls and is called by, through Debian's Kamailio."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from edgevoice.events import Closed, End
from edgevoice.lines.service import Flowing
from tests.e2e.box import TRUSTING, RunningBox, likeness, voice, worker_of
from tests.e2e.sip import Registrar, Samples, Talk, Telephone, password_of, telephone
from tests.lab.labcard.labcard import World

RATE = 48_000
PHONE = 8_000
SETTLED_S = 1.5  # the tone that says that somebody is there, and what a new canceller makes of it
TRIES = 5  # of a canceller that learns by them, on a machine that is shared
ALIKE = 0.9  # over the telephone and through a canceller; another sentence is at 0.8

LINES = """
[call]
button = "{button}"
incoming = "{incoming}"
auto_answer = {auto_answer}

[[line.sip]]
registrar = "{registrar}"
user = "door"
password_file = "{password}"
transport = "{transport}"
codecs = ["PCMA"]
jitter_ms = 20
allow = ["reception"]
ca_file = "{ca_file}"
targets = {{ reception = "reception" }}

[relay.gate]
pin = 5
pulse_s = 0.3
dtmf = "5#"
"""


@pytest.fixture(scope="module")
def registrar() -> Iterator[Registrar]:
    with Registrar() as one:
        yield one


@asynccontextmanager
async def at_the_door(
    registrar: Registrar,
    world: World,
    *,
    button: str = "sip:reception",
    incoming: str = "card",
    auto_answer: bool = False,
    transport: str = "udp",
    more: str = TRUSTING,
) -> AsyncIterator[tuple[RunningBox, Telephone]]:
    """Have a box that is registered, and a reception."""
    password = registrar.folder / "password"
    password.write_text(password_of("door"))
    lines = LINES.format(
        button=button,
        incoming=incoming,
        auto_answer=str(auto_answer).lower(),
        registrar=registrar.tls_address if transport == "tls" else registrar.address,
        password=password,
        transport=transport,
        ca_file=registrar.ca_file if transport == "tls" else "",
    )
    with RunningBox(world, lines + more) as box:
        async with telephone(registrar, "reception", transport=transport) as reception:
            await until(box, lambda status: status["lines"]["sip"]["accounts"][0]["registered_s"] is not None)
            await asyncio.to_thread(box.wait_until_awake)
            yield box, reception


async def until(box: RunningBox, true: Callable[[dict[str, Any]], bool]) -> None:
    await asyncio.to_thread(box.wait_until, true)


async def state(box: RunningBox, wanted: str) -> None:
    await asyncio.to_thread(box.wait_for_state, wanted)


async def turn(box: RunningBox, wanted: str) -> None:
    await asyncio.to_thread(box.wait_for_turn, wanted)


def run(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(story())


async def rings(box: RunningBox, reception: Telephone) -> tuple[Talk, float]:
    """Press the button; return the call that rings at the reception, and how many ms later."""
    await state(box, "idle")
    await asyncio.to_thread(box.pause, 0.25)
    pressed_at = box.tap()
    talk = await reception.rung()
    return talk, (reception.came_at[-1] - pressed_at) * 1000


async def hears_the_door(box: RunningBox, talk: Talk) -> float:
    """Say something at the door; return how alike it is at the telephone, the best of some tries."""
    await asyncio.to_thread(box.pause, SETTLED_S)
    found = 0.0
    for _ in range(TRIES):
        found = max(found, await _hears_the_door(box, talk))
        if found > ALIKE:
            break
    return found


async def _hears_the_door(box: RunningBox, talk: Talk) -> float:
    since = asyncio.get_running_loop().time()
    said = voice("question", RATE)
    box.say(said)
    await talk.until(lambda: len(talk.sound(since)) > PHONE * (len(said) / RATE + 1.2))
    return likeness(talk.sound(since), voice("question", PHONE), PHONE)


async def is_heard_at_the_door(box: RunningBox, talk: Talk) -> float:
    """Say something into the telephone; return how alike it is at the loudspeaker, the best of some tries."""
    found = 0.0
    for _ in range(TRIES):
        since = box.world.now()
        await talk.say(np.pad(voice("interruption", PHONE), PHONE // 2))
        await asyncio.to_thread(box.pause, 1.0)
        found = max(found, likeness(box.speaker(since), voice("interruption", RATE), RATE))
        if found > ALIKE:
            break
    return found


def test_the_button_rings_at_the_reception_and_both_hear_each_other(registrar: Registrar) -> None:
    async def story() -> None:
        with World(rate=RATE) as world:
            async with at_the_door(registrar, world) as (box, reception):
                for _ in range(TRIES):
                    talk, rang_ms = await rings(box, reception)
                    if rang_ms < 300:
                        break
                    box.tap()
                    await talk.until_event(Closed)
                assert rang_ms < 300
                await talk.answer()
                await turn(box, "listening")
                assert await hears_the_door(box, talk) > ALIKE
                assert await is_heard_at_the_door(box, talk) > ALIKE
                box.tap()
                await talk.until_event(Closed)
                assert talk.closed is not None
                assert talk.closed.end is End.HUNG_UP
                await state(box, "idle")

    run(story)


def test_the_reception_does_not_hear_itself(registrar: Registrar) -> None:
    async def story() -> None:
        with World(rate=RATE) as world:
            world.set_echo(0.02, 0.5)
            async with at_the_door(registrar, world, more="") as (box, reception):
                talk, _ = await rings(box, reception)
                await talk.answer()
                await turn(box, "listening")
                await talk.say(voice("story", PHONE))  # a canceller learns its room by what is played
                said = voice("story", PHONE)
                for _ in range(TRIES):
                    since = asyncio.get_running_loop().time() + 0.3
                    await talk.say(said)
                    below_db = level(said) - level(talk.sound(since))
                    if below_db > 25:
                        break
                assert below_db > 25
                box.tap()
                await state(box, "idle")

    run(story)


def level(pcm: Samples) -> float:
    return 10 * float(np.log10(np.mean(pcm.astype(np.float64) ** 2) + 1.0))


def test_a_call_rings_at_the_box_and_the_button_answers_and_a_code_opens_the_gate(registrar: Registrar) -> None:
    async def story() -> None:
        with World(rate=RATE) as world:
            async with at_the_door(registrar, world) as (box, reception):
                await state(box, "idle")
                talk = reception.dial("door")
                await state(box, "ringing")
                box.tap()
                await talk.until_event(Flowing)
                await turn(box, "listening")
                assert await hears_the_door(box, talk) > ALIKE
                for message in talk.service.keys("5#"):
                    await talk.call.send(message)
                await asyncio.to_thread(box.wait_for_line, "relay gate opened by a code")
                assert "5#" not in box.journal
                async with telephone(registrar, "third") as third:
                    second = third.dial("door")
                    await second.until_event(Closed)
                    assert second.closed is not None
                    assert second.closed.end is End.BUSY
                await talk.hang_up()
                await state(box, "idle")

    run(story)


def test_who_may_is_answered_over_tls_and_hears_the_beep_before_the_microphone(registrar: Registrar) -> None:
    async def story() -> None:
        with World(rate=RATE) as world:
            async with at_the_door(registrar, world, auto_answer=True, transport="tls") as (box, reception):
                await state(box, "idle")
                since = world.now()
                talk = reception.dial("door")
                speaking = asyncio.create_task(asyncio.to_thread(box.say, np.tile(voice("story", RATE), 12), after=0.0))
                await talk.until_event(Flowing)
                await turn(box, "listening")
                beeped_at = await asyncio.to_thread(box.wait_for_sound, since)
                await talk.until(lambda: loud(talk.sound()))
                heard_at = world.index(next(at for at, pcm in talk.heard if loud(pcm)))
                assert 0.3 < (heard_at - beeped_at) / RATE < 10
                await speaking
                await talk.hang_up()
                await state(box, "idle")

    run(story)


def loud(pcm: Samples) -> bool:
    return bool(np.any(np.abs(pcm.astype(np.int32)) > 2000))


def test_who_is_not_on_the_list_is_not_answered_by_the_box(registrar: Registrar) -> None:
    async def story() -> None:
        with World(rate=RATE) as world:
            async with (
                at_the_door(registrar, world, auto_answer=True, transport="tls") as (box, _),
                telephone(registrar, "third", transport="tls") as third,
            ):
                await state(box, "idle")
                talk = third.dial("door")
                await state(box, "ringing")
                await talk.hang_up()
                await state(box, "idle")

    run(story)


def test_the_worker_dies_in_a_call_and_the_box_calls_again(registrar: Registrar) -> None:
    async def story() -> None:
        with World(rate=RATE) as world:
            async with at_the_door(registrar, world) as (box, reception):
                talk, _ = await rings(box, reception)
                await talk.answer()
                await turn(box, "listening")
                os.kill(worker_of(box), signal.SIGKILL)
                await until(box, lambda status: status["turn"] != "listening")
                await until(box, lambda status: status["lines"]["sip"]["accounts"][0]["registered_s"] is not None)
                again = await reception.rung()
                await again.answer()
                await turn(box, "listening")
                box.tap()
                await state(box, "idle")

    run(story)


def test_the_parrot_answers_and_is_silent_when_the_caller_talks_over_it(registrar: Registrar) -> None:
    async def story() -> None:
        with World(rate=RATE) as world:
            async with at_the_door(registrar, world, incoming="parrot") as (box, reception):
                talk = reception.dial("door")
                await talk.until_event(Flowing)
                for _ in range(TRIES):
                    spoke_on_s = await interrupts(talk)
                    if 0 < spoke_on_s < 0.4:
                        break
                assert spoke_on_s > 0, "it spoke until it was interrupted"
                assert spoke_on_s < 0.4
                await talk.hang_up()
                await until(box, lambda status: status["lines"]["calls"] == [])

    run(story)


async def interrupts(talk: Talk) -> float:
    """Talk over an answer of the parrot's; return for how many s it spoke on."""
    await talk.say(np.pad(voice("story", PHONE), (0, PHONE * 7 // 10)))
    since = asyncio.get_running_loop().time()
    quiet = asyncio.create_task(talk.say(np.zeros(PHONE * 2, np.int16)))
    await talk.until(lambda: loud(talk.sound(since)))
    await quiet
    interruption = voice("interruption", PHONE)
    began = asyncio.get_running_loop().time() + onset_s(interruption)
    await talk.say(interruption)
    return max(at for at, pcm in talk.heard if at < began + len(interruption) / PHONE and audible(pcm)) - began


def audible(pcm: Samples) -> bool:
    return bool(np.any(np.abs(pcm.astype(np.int32)) > 300))


def onset_s(pcm: Samples) -> float:
    return int(np.argmax(np.abs(pcm.astype(np.int32)) > 1000)) / PHONE
