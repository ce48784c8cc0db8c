"""An agent that cannot be reached, or is lost: what the person hears and sees, and what the agent knows afterwards."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from edgevoice.light import TURN_PATTERNS, Turn
from tests.e2e.agent_service import ELEVENLABS, GEMINI, OPENAI, Agent, AgentService, Line
from tests.e2e.agent_service import boxed as agent_boxed
from tests.e2e.box import PATIENCE_S, TRUSTING, RunningBox, Samples, likeness, voice
from tests.e2e.cable import Cable
from tests.e2e.telephone import hears_tone
from tests.lab.labcard.labcard import World

RATE = 48_000
# The agent hums, so that every click shows: at 48 kHz its steps are 157 high, those of the loudest tone 500.
HUM = (6000 * np.sin(2 * np.pi * 200 * np.arange(8 * 24_000) / 24_000)).astype(np.int16)
LARGEST_STEP = 600
BUFFER_MS = 500  # the most there is: a machine that runs tests is busy, and a card that runs dry is another story
PARROT = '[call]\nbutton = "openai"\nfallback = "parrot"\n'


def boxed(world: World, port: int, more: str = PARROT, **keys: str) -> RunningBox:
    """Return a box whose button calls the service at `port`."""
    wanted = "".join(f"{name} = {value}\n" for name, value in keys.items())
    agent = f'[agent.openai]\nurl = "ws://127.0.0.1:{port}/v1/realtime"\napi_key_file = "key"\n{wanted}'
    box = RunningBox(world, f"{TRUSTING}\n{agent}\n{more}", buffer_ms=BUFFER_MS)
    (box.folder / "key").write_text("sk-nobodys")
    return box


def nothing_clicked(box: RunningBox, since: int) -> Samples:
    """Check that the card was neither opened again nor ran dry, and that nothing clicked; return what was heard."""
    counters = box.status()["counters"]
    assert (counters["opened"], counters["playback_xruns"]) == (1, 0)
    heard = box.speaker(since)
    assert np.abs(np.diff(heard.astype(int))).max() < LARGEST_STEP
    return heard


def in_session(service: AgentService, connection: int, type: str, origin: str = "fake") -> list[Line]:
    return [line for line in service.lines(origin, type) if line["connection"] == connection]


def longest_silence_s(heard: Samples) -> float:
    sounding = np.flatnonzero(heard)
    return float(np.diff(sounding).max()) / RATE


def test_an_agent_without_credit_gives_way_to_the_fallback(tmp_path: Path) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, HUM, "--reject", "429") as service,
        boxed(world, service.port) as box,
    ):
        box.wait_until_awake()
        since = world.now()
        box.tap()
        status = box.wait_for_turn("listening")
        assert "no credit left" in status["fallback"]
        assert status["call"] == "parrot"
        hears_tone(box, "refused", since)
        hears_tone(box, "connected", since)
        box.wait_for_line("box: in call: with the fallback, as the account at 127.0.0.1 has no credit left")
        heard = nothing_clicked(box, since)
        assert longest_silence_s(heard) < 0.1, "from one tone to the other"
        box.tap()
        assert box.wait_for_state("idle")["fallback"] is None


@pytest.mark.nightly
def test_an_agent_that_is_accepted_and_says_nothing_gives_way_after_three_seconds() -> None:
    with (
        World(rate=RATE) as world,
        socket.create_server(("127.0.0.1", 0)) as silent,
        boxed(world, silent.getsockname()[1]) as box,
    ):
        box.wait_until_awake()
        since = world.now()
        box.tap()
        box.wait_for_state("connecting")
        status = box.wait_for_turn("listening", within_s=6)
        assert status["fallback"] == "openai could not be reached within 3 s"
        hears_tone(box, "trouble", since)
        hears_tone(box, "connected", since)
        nothing_clicked(box, since)


def test_a_link_that_dies_in_mid_response_is_taken_up_again_and_nothing_said_is_lost(tmp_path: Path) -> None:
    question, meanwhile = voice("question", RATE), voice("interruption", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, HUM[: 2 * 24_000], "--speed", "1.5") as service,
        Cable(service.port) as cable,
        boxed(world, cable.port) as box,
    ):
        box.wait_until_awake()
        since = world.now()
        box.call()
        said_at = box.say(question)
        box.wait_for_sound(said_at + len(question))
        box.pause(0.5)
        cut_at = world.now()
        cable.cut()
        down = box.wait_for_turn("reconnecting")
        assert down["light"] == TURN_PATTERNS[Turn.RECONNECTING].name
        assert "127.0.0.1" in down["link"]
        hears_tone(box, "trouble", cut_at)
        box.say(meanwhile, after=0.3)
        box.pause(0.5 + len(meanwhile) / RATE)
        assert box.status()["turn"] == "reconnecting"
        cable.mend()
        box.wait_until(lambda status: status["link"] is None)
        box.wait_for_line("the link is back after")
        service.wait(lambda: in_session(service, 2, "answered"), "an answer in the second session")
        box.wait_for_turn("listening")
        nothing_clicked(box, since)
        heard = np.frombuffer(service.record.with_stem("service-2").read_bytes(), "<i2")
        assert likeness(heard, voice("interruption", 24_000)[2400:-2400], 24_000) > 0.95
        box.tap()
        box.wait_for_state("idle")
        box.wait_for_line("1 links lost")
        texts = [
            line["item"]["content"][0]["text"] for line in in_session(service, 2, "conversation.item.create", "client")
        ]
        assert texts[0].startswith("words of the person")
        assert texts[1].startswith("word0-0 word0-1 ")
        assert "words of" not in box.journal, "what was said stands nowhere"
        assert service.lines("fake", "violation") == []


@pytest.mark.nightly
def test_a_link_that_never_comes_back_gives_way_to_the_fallback(tmp_path: Path) -> None:
    with World(rate=RATE) as world, AgentService(OPENAI, tmp_path, HUM) as service, boxed(world, service.port) as box:
        box.wait_until_awake()
        since = world.now()
        box.call()
        said_at = box.say(voice("question", RATE))
        box.wait_for_sound(said_at + len(voice("question", RATE)))
        box.pause(0.3)
        service.die()
        box.wait_for_turn("reconnecting")
        status = box.wait_until(lambda status: bool(status["fallback"]), within_s=13)
        box.wait_for_turn("listening")
        assert "127.0.0.1" in status["fallback"]
        nothing_clicked(box, since)
        told_at = box.say(voice("question", RATE))
        box.wait_for_sound(told_at + len(voice("question", RATE)))


@pytest.mark.nightly
def test_an_agent_hands_the_person_over_to_another_and_no_gap_is_heard(tmp_path: Path) -> None:
    contacts = '[call]\nbutton = "openai"\n[call.contacts]\n"the bird" = "parrot"\n'
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, HUM, "--tool", 'call:{"to": "the bird"}', "--delay-ms", "200") as service,
        boxed(world, service.port, contacts, tools='["call"]') as box,
    ):
        box.wait_until_awake()
        since = world.now()
        box.call()
        box.say(voice("question", RATE))
        box.wait_until(lambda status: status["call"] == "parrot" and status["turn"] == "listening")
        line = box.journal.index("call to openai over")
        assert "the agent hands the person over" in box.journal[:line]
        nothing_clicked(box, since)
        update = service.wait_for("client", "session.update")
        (tool,) = update["session"]["tools"]
        assert tool["parameters"]["properties"]["to"]["enum"] == ["the bird"]
        box.tap()
        box.wait_for_state("idle")


@pytest.mark.nightly
def test_an_agent_opens_a_door_that_it_may_open_and_says_so(tmp_path: Path) -> None:
    relay = '[call]\nbutton = "openai"\n[relay.door]\npin = 5\npulse_s = 0.5\nagent_may = true\n'
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, HUM[:24_000], "--tool", 'open_relay:{"relay": "door"}') as service,
        boxed(world, service.port, relay, tools='["open_relay"]') as box,
    ):
        box.call()
        box.say(voice("question", RATE))
        assert box.pins.wait(5, 1, PATIENCE_S)
        result = service.wait_for("client", "conversation.item.create")
        assert result["item"]["output"] == "door is open for 0.5 s"
        assert box.pins.wait(5, 0, PATIENCE_S)
        box.wait_for_line("relay door opened by an agent")
        service.wait_for("client", "response.create", 2)


@pytest.mark.nightly
@pytest.mark.parametrize("agent", [OPENAI, ELEVENLABS, GEMINI], ids=lambda agent: agent.name)
def test_every_agent_goes_on_after_a_link_that_was_lost(agent: Agent, tmp_path: Path) -> None:
    question, reply = voice("question", RATE), voice("story", agent.rate)[: 2 * agent.rate]
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, reply) as service,
        Cable(service.port) as cable,
        agent_boxed(world, service, TRUSTING, url=f'"ws://127.0.0.1:{cable.port}{agent.path}"') as box,
    ):
        box.wait_until_awake()
        box.call()
        said_at = box.say(question)
        box.wait_for_sound(said_at + len(question))
        box.wait_for_turn("listening")
        cable.cut()
        box.wait_for_turn("reconnecting")
        box.pause(0.6)  # the tone
        said_at = box.say(question)
        box.pause(0.3 + len(question) / RATE)
        assert box.status()["state"] == "in call"
        since = world.now()
        cable.mend()
        box.wait_until(lambda status: status["link"] is None)
        box.wait_for_turn("speaking")
        box.wait_for_turn("listening")
        assert likeness(box.speaker(since), voice("story", RATE)[RATE // 10 : RATE], RATE) > 0.9, (
            "what was said is answered"
        )
        box.tap()
        box.wait_for_state("idle")
        box.wait_for_line("1 links lost")
    assert service.lines("fake", "violation") == []
