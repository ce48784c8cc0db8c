"""The running box around a simulated room: what it does at night, and what it says of its hearing."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgevoice import nightly, self_test
from edgevoice.audio import echo
from edgevoice.audio.calibration import Calibration
from edgevoice.audio.measurement import Sounding
from edgevoice.audio.selftest import WHOLE_S
from edgevoice.box import RunningBox
from edgevoice.catalogue import Agents
from edgevoice.config import load
from edgevoice.drivers.control import Call, Chirp, HangUp, Press, Request, Try
from edgevoice.drivers.room import RealClock, Room, RoomCard
from edgevoice.errors import DeviceError
from edgevoice.events import Command, ToolResult
from edgevoice.happenings import Connect, Pressed, StopAsked
from edgevoice.orders import Side
from edgevoice.sound import configured_duplex
from tests.ports import free_port
from tests.test_app import NO_DOORS, NoFiles

RATE = 16_000
HALF_PAST_FOUR = 4.5 * 3600
CALIBRATION = Calibration(
    card="simulated room", made="2026-01-01T00:00:00+00:00", rate=48_000, volume=None, delay_ms=20.0, echo_db=-20.0,
    distortion_percent=0.0, noise_dbfs=-60.0, peak_dbfs=-31.0, sweep_dbfs=-12.0, polarity=1,
)  # fmt: skip


def empty_room() -> RoomCard:
    """Nobody is there; the loudspeaker is heard 20 ms late, 20 dB down.

    It runs dry after 0.4 s only: a machine that is busy for less costs no frame.
    """
    response = np.eye(1, RATE // 50, RATE // 50 - 1, dtype=np.float32)[0] * 0.1
    return RoomCard(Room(RATE, echo=response), RealClock(), ahead_ms=400)


@asynccontextmanager
async def living(folder: Path, calibration: Calibration | None = None, status: str = "") -> AsyncIterator[RunningBox]:
    """A box that has been idle for a while."""
    config = load(
        f'[card]\nsimulate = true\n[panel]\npins = "none"\n[status]\nsocket = "{folder}/control.sock"\n{status}'
    )
    agents = Agents(config, NoFiles())
    canceller, words = echo.load("none", noise_suppression=False)
    duplex = partial(configured_duplex, config, canceller)
    box = RunningBox(config, agents, empty_room, duplex, words, NO_DOORS, lambda: calibration)
    box.card.sound.start()
    try:
        await until(box, "state", "idle")
        async with asyncio.TaskGroup() as group:
            group.create_task(box.live(group))
            yield box
            box.post(StopAsked())
    finally:
        box.card.sound.stop()


async def until(box: RunningBox, key: str, value: object) -> None:
    give_up = box.loop.time() + 30
    while box.status()[key] != value:
        assert box.loop.time() < give_up, f"{key} is {box.status()[key]}, expected {value}"
        await asyncio.sleep(0.01)


async def until_told(box: RunningBox) -> None:
    async with asyncio.timeout(30):
        while not box.status()["self_test"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_it_chirps(box: RunningBox) -> None:
    async with asyncio.timeout(30):
        while not chirps(box):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def chirps(box: RunningBox) -> bool:
    return box.card.sound.duplex is not None and box.card.sound.duplex.self_test.running


@pytest.fixture
def at_night(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """It is half past four, and the box has been on for long enough."""
    monkeypatch.setattr(nightly, "SETTLED_S", 0.0)
    monkeypatch.setattr(self_test, "_time_of_day_s", lambda: HALF_PAST_FOUR)
    caplog.set_level(logging.INFO, "edgevoice.self_test")
    return caplog


def test_at_night_it_tests_itself_and_says_what_came_of_it(tmp_path: Path, at_night: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with living(tmp_path, CALIBRATION) as box:
            await until_told(box)
            words = "loudspeaker and microphone hear each other: echo -20 dB, 20 ms"
            assert box.status()["self_test"] == f"{words}; just now"
            assert f"self-test: {words}" in at_night.messages

    asyncio.run(story())


def test_a_call_during_the_self_test_goes_through_and_the_test_is_made_up_for(
    tmp_path: Path, at_night: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "BUSY_S", 0.3)

    async def story() -> None:
        async with living(tmp_path) as box:
            await until_it_chirps(box)
            box.control.answer(Press())
            await until(box, "turn", "listening")
            assert not chirps(box)
            await asyncio.sleep(WHOLE_S + 1.0)
            assert (box.status()["turn"], box.status()["self_test"]) == ("listening", None)
            assert not chirps(box), "nor is it tried again in a call"
            box.control.answer(Press())
            await until(box, "state", "idle")
            await until_it_chirps(box)  # in the same night

    asyncio.run(story())


def test_by_day_it_never_chirps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "SETTLED_S", 0.0)
    monkeypatch.setattr(self_test, "_time_of_day_s", lambda: 12 * 3600.0)

    async def story() -> None:
        async with living(tmp_path) as box:
            await asyncio.sleep(0.5)
            assert not chirps(box)

    asyncio.run(story())


# ------------------------------------------------------------------------------------------- it is asked to by day


async def asked(box: RunningBox, request: Request) -> dict[str, Any]:
    answer = box.control.answer(request)
    return await answer if inspect.isawaitable(answer) else answer


def test_asked_by_day_it_chirps_and_says_what_the_microphone_hears(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path, CALIBRATION) as box:
            told = await asked(box, Chirp())
            assert told["judged"] == "loudspeaker and microphone hear each other: echo -20 dB, 20 ms"
            assert told["warning"] is False
            found = msgspec.convert(msgspec.to_builtins(told["sounding"]), Sounding)
            assert (found.aloud, found.still, found.disturbed) == (True, False, False)
            assert found.figures.noise_dbfs < -50
            assert box.status()["self_test"] == f"{told['judged']}; just now"

    asyncio.run(story())


def test_a_bad_verdict_is_out_of_order_until_a_good_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path, replace(CALIBRATION, delay_ms=80.0)) as box:
            told = await asked(box, Chirp())
            assert told["warning"] is True
            assert box.status()["out_of_order"] == {"self-test": told["judged"]}
            assert box.status()["light"] == "a short flash every six seconds"
            box.card.calibration = CALIBRATION
            assert (await asked(box, Chirp()))["warning"] is False
            assert (box.status()["out_of_order"], box.status()["light"]) == (None, "off")

    asyncio.run(story())


def test_asked_to_be_silent_it_only_listens(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path, CALIBRATION) as box:
            told = await asked(box, Chirp(aloud=False))
            assert list(told) == ["sounding"]
            assert (told["sounding"]["aloud"], told["sounding"]["figures"]["heard"]) == (False, None)
            assert box.status()["self_test"] is None, "that says nothing of the loudspeaker"

    asyncio.run(story())


def test_in_a_call_it_neither_chirps_nor_is_tried_and_a_second_chirp_waits_for_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path) as box, asyncio.TaskGroup() as group:
            first = group.create_task(asked(box, Chirp()))
            await asyncio.sleep(0)
            with pytest.raises(DeviceError, match="listens to itself already"):
                await asked(box, Chirp())
            await first
            box.control.answer(Press())
            await until(box, "turn", "listening")
            with pytest.raises(DeviceError, match="cannot listen to itself now: it is in call"):
                await asked(box, Chirp())
            with pytest.raises(DeviceError, match="the box is in call"):
                await asked(box, Try())

    asyncio.run(story())


def test_a_box_that_shows_the_fault_of_a_call_is_tried_too_and_without_a_card_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path) as box:
            with pytest.raises(DeviceError, match=r"^elevenlabs cannot be called: agent.elevenlabs.agent_id: names no"):
                box.control.answer(Call("elevenlabs"))
            box.control.answer(Call("openai"))
            await until(box, "state", "fault")
            fault = box.status()["fault"]
            assert "there is no file openai-api-key" in str(fault)
            assert await asked(box, Try(within_s=1.0)) == {"pressed": False}
            assert (box.status()["state"], box.status()["fault"]) == ("fault", fault)
            box.control.answer(HangUp())
            assert (box.status()["state"], box.status()["fault"]) == ("idle", None)
            assert isinstance(box.card.sound.card, RoomCard)
            box.card.sound.card.unplugged = True
            await until(box, "state", "fault")
            with pytest.raises(DeviceError, match=r"cannot be tried now: the box shows a fault$"):
                await asked(box, Try())

    asyncio.run(story())


def test_who_calls_while_it_listens_to_itself_goes_first_and_whoever_asked_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path) as box, asyncio.TaskGroup() as group:

            async def refused() -> None:
                with pytest.raises(DeviceError, match="disturbed while it listened to itself"):
                    await asked(box, Chirp())

            group.create_task(refused())
            await until_it_chirps(box)
            box.control.answer(Press())
            await until(box, "turn", "listening")

    asyncio.run(story())


def test_a_press_while_it_is_tried_is_told_to_whoever_asked_and_calls_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path) as box, asyncio.TaskGroup() as group:
            trying = group.create_task(asked(box, Try()))
            await until(box, "state", "being tried")
            assert box.status()["light"] == "two flashes a second"
            with pytest.raises(DeviceError, match="being tried"):
                await asked(box, Try())
            box.post(Pressed())
            assert await trying == {"pressed": True}
            assert box.status()["state"] == "idle"
            assert await asked(box, Try(within_s=1.0)) == {"pressed": False}
            assert box.status()["state"] == "idle"

    asyncio.run(story())


@pytest.mark.usefixtures("only_we_collect")
def test_of_a_call_that_is_over_nothing_stays_in_memory(tmp_path: Path) -> None:
    """A box grew by 0.6 MB with each call: what the person had said waited until Python looked for it."""

    async def story() -> None:
        async with living(tmp_path) as box:
            await asyncio.sleep(0)  # it lives
            box.control.answer(Press())
            await until(box, "turn", "listening")
            assert box.call.running
            call = weakref.ref(box.call.running)
            box.control.answer(HangUp())
            await until(box, "state", "idle")
            async with asyncio.timeout(30):
                while call():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    asyncio.run(story())


def test_an_agent_that_cannot_hand_the_person_over_is_told_so_without_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with living(tmp_path) as box:
            await asyncio.sleep(0)  # it lives
            box.control.answer(Press())
            await until(box, "turn", "listening")
            assert box.call.running
            told: list[Command] = []
            monkeypatch.setitem(box.call.running._perform, Side.FAR, lambda command, at: told.append(command))
            monkeypatch.setattr(box.directory, "unreachable", lambda target: "no SIP account: pbx.example.com is away")
            box._do(Connect("sip:reception", 10.0, "c1"))
            results = [command for command in told if isinstance(command, ToolResult)]
            assert results == [ToolResult("c1", "error: the telephone is out of order now")]
            assert box.status()["turn"] == "listening", "they go on talking"
            assert "the agent cannot hand the person over: no SIP account: pbx.example.com is away" in caplog.messages

    asyncio.run(story())


def test_the_status_is_one_object_of_the_same_shape_with_and_without_a_card(tmp_path: Path) -> None:
    async def story() -> None:
        async with living(tmp_path, CALIBRATION) as box:
            hearing = json.loads(msgspec.json.encode(box.status()))["echo"]
            assert hearing == {
                "canceller": "none", "missing": None, "calibrated": CALIBRATION.made, "half_duplex": True,
                "suspicions": 0, "taken_back": 0, "drift_ppm": 0.0, "faults": 0, "trouble": None,
            }  # fmt: skip
            assert isinstance(box.card.sound.card, RoomCard)
            box.card.sound.card.unplugged = True
            await until(box, "state", "fault")
            hearing = json.loads(msgspec.json.encode(box.status()))["echo"]
            assert hearing == {"canceller": "none", "missing": None}

    asyncio.run(story())


def test_its_health_is_served_where_that_is_asked_for(tmp_path: Path) -> None:
    port = free_port()

    async def ask() -> tuple[bytes, bytes]:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return head, body

    async def story() -> tuple[bytes, bytes]:
        async with living(tmp_path, status=f'listen = "127.0.0.1:{port}"\n'):
            return await asyncio.wait_for(ask(), 30)

    head, body = asyncio.run(story())
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["state"] == "idle"
