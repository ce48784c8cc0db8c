"""A conversation with each agent that is spoken to over the internet: the fake services are no friends."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.agent_service import ELEVENLABS, GEMINI, KEY, OPENAI, Agent, AgentService, boxed
from tests.e2e.box import TRUSTING, first_word, last_sound, likeness, similarity, voice
from tests.lab.labcard.labcard import World

RATE = 48_000
each_agent = pytest.mark.parametrize("agent", [OPENAI, ELEVENLABS, GEMINI], ids=lambda agent: agent.name)
# What the agents have in common is tried with one of them each day, and with the others at night.
each_agent_at_night = pytest.mark.parametrize(
    "agent",
    [OPENAI, *(pytest.param(agent, marks=pytest.mark.nightly) for agent in (ELEVENLABS, GEMINI))],
    ids=lambda agent: agent.name,
)


def _openai_heard(service: AgentService) -> float:
    return float(service.wait_for("client", "conversation.item.truncate")["audio_end_ms"])


def _heard_in_words(service: AgentService) -> float:
    told = service.wait_for("client", {"elevenlabs": "contextual_update"}.get(service.agent.name, "clientContent"))[
        "text"
    ]
    after = re.match(r"The person stopped you (\d+\.\d+) s after", told)
    assert after, told
    return 1000 * float(after[1])


# How many ms of its answer each agent is told that the person has heard.
HEARD_MS: dict[str, Callable[[AgentService], float]] = {
    "openai": _openai_heard,
    "elevenlabs": _heard_in_words,
    "gemini": _heard_in_words,
}

# By what each agent is told that the button was released; None: by the silence that flows then.
TURN_ENDS = {"openai": "input_audio_buffer.commit", "elevenlabs": None, "gemini": "activityEnd"}


@each_agent
def test_a_conversation_and_an_interruption(tmp_path: Path, agent: Agent) -> None:
    question, interruption = voice("question", RATE), voice("interruption", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate)) as service,
        boxed(world, service, TRUSTING) as box,
    ):
        box.wait_until_awake()
        box.call()
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        box.pause(1.5)
        talked_at = box.say(interruption)
        first = talked_at + first_word(interruption, RATE)
        told_ms = HEARD_MS[agent.name](service)
        stopped_at, after_s = box.stopped_at(first)
        assert after_s < 0.3
        silent_at = replied_at + last_sound(box.speaker(replied_at))
        assert first < silent_at < stopped_at
        assert told_ms == pytest.approx((silent_at + 1 - replied_at) / RATE * 1000, abs=20)
        box.wait_for_sound(talked_at + len(interruption))
        box.wait_for_turn("listening")
        replies = box.speaker(talked_at + len(interruption))
        assert similarity(replies, voice("story", RATE)[4800:96_000]) > 0.95, "the next response is whole"
        said = voice("question", agent.heard_rate)[agent.heard_rate // 10 : -agent.heard_rate // 10]
        assert likeness(service.heard(), said, agent.heard_rate) > 0.95, "it heard the question"
        box.tap()
        box.wait_for_state("idle")
        box.wait_for_line("2 turns, 1 interruptions")
    assert service.lines("fake", "violation") == []
    assert len(service.lines("fake", "answered")) == 2
    assert KEY not in box.journal


@each_agent_at_night
def test_the_button_interrupts_a_response_that_is_made_already(tmp_path: Path, agent: Agent) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate)) as service,
        boxed(world, service) as box,
    ):
        box.call()
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        service.wait_for("fake", "answered")
        box.pause(1.0)
        box.tap()
        told_ms = HEARD_MS[agent.name](service)
        box.pause(0.3)
        assert told_ms == pytest.approx((last_sound(box.speaker(replied_at)) + 1) / RATE * 1000, abs=20)
        assert service.lines("client", "response.cancel") == [], "there was nothing left to cancel"
        assert box.status()["turn"] == "listening"
    assert service.lines("fake", "violation") == []


@each_agent_at_night
def test_with_push_to_talk_the_button_ends_the_turn_and_interrupts(tmp_path: Path, agent: Agent) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate)) as service,
        boxed(world, service, '[panel]\npress = "push_to_talk"\n') as box,
    ):
        box.wait_for_state("idle")
        box.pins.press()
        box.wait_for_turn("listening")
        said_at = box.say(question)
        box.pause(0.3 + len(question) / RATE)
        box.pins.release()
        if turn_ends := TURN_ENDS[agent.name]:
            service.wait_for("client", turn_ends)
        box.wait_for_sound(said_at + len(question))
        box.pins.press()
        HEARD_MS[agent.name](service)
        if agent is GEMINI:
            assert service.wait_for("fake", "turned")["cut_off"]
        box.pins.release()
    assert service.lines("fake", "violation") == [], "nor was it silent for long"


@each_agent_at_night
def test_a_muted_box_sends_silence(tmp_path: Path, agent: Agent) -> None:
    keys = {"turn_detection": '"server_vad"'} if agent is GEMINI else {}  # else a muted box has nothing to send it
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate)) as service,
        boxed(world, service, **keys) as box,
    ):
        box.call()
        assert box.ask(do="mute", on=True)["muted"]
        box.wait_for_turn("muted")
        before = len(service.heard())
        box.say(voice("question", RATE), after=0.05)
        box.pause(2.0)
        muted = service.heard()[before + agent.heard_rate // 20 :]
        assert len(muted) > agent.heard_rate, "the service's clock goes on"
        assert not muted.any()


@each_agent_at_night
def test_tools_work_end_to_end(tmp_path: Path, agent: Agent) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate), "--tool", 'set_volume:{"percent":30}') as service,
        boxed(world, service, tools='["set_volume", "hang_up"]') as box,
    ):
        box.call()
        box.say(question)
        if agent is OPENAI:
            result = service.wait_for("client", "conversation.item.create")["item"]
            assert result["type"] == "function_call_output"
            assert result["output"].startswith("error: the volume cannot be set"), "this card has no mixer"
            service.wait_for("client", "response.create", 2)
        elif agent is GEMINI:
            [result] = service.wait_for("client", "toolResponse")["message"]["toolResponse"]["functionResponses"]
            assert result["response"]["error"].startswith("the volume cannot be set"), "this card has no mixer"
            service.wait_for("fake", "answered")
        else:
            result = service.wait_for("client", "client_tool_result")
            assert result["is_error"]
            assert result["result"].startswith("error: the volume cannot be set"), "this card has no mixer"
            service.wait_for("server", "audio")
    assert service.lines("fake", "violation") == []


@each_agent_at_night
def test_an_agent_may_hang_up(tmp_path: Path, agent: Agent) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate), "--tool", "hang_up:{}") as service,
        boxed(world, service, tools='["hang_up"]') as box,
    ):
        box.call()
        box.say(voice("question", RATE))
        box.wait_for_state("idle")
        box.wait_for_line("the agent hung up")


@each_agent_at_night
def test_a_server_that_closes_at_once_is_asked_less_and_less_often(tmp_path: Path, agent: Agent) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate), "--close-at-once", "1011") as service,
        boxed(world, service) as box,
    ):
        box.wait_for_state("idle")
        box.tap()
        box.wait_for_state("waiting to retry")
        box.pause(3.5)
        assert len(service.lines("client", "upgrade")) in (2, 3)
        box.tap()
        box.wait_for_state("idle")


@pytest.mark.parametrize(
    ("agent", "option"),
    [
        (OPENAI, "--garbage"),
        *(
            pytest.param(agent, option, marks=pytest.mark.nightly)
            for agent, option in (
                (OPENAI, "--two-responses"),
                (OPENAI, "--silent-response"),
                (ELEVENLABS, "--garbage"),
                (GEMINI, "--garbage"),
                (GEMINI, "--silent"),
            )
        ),
    ],
)
def test_odd_services_do_not_end_a_call(tmp_path: Path, agent: Agent, option: str) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate), option) as service,
        boxed(world, service) as box,
    ):
        box.call()
        box.say(question)
        service.wait_for("fake", "turned" if agent is GEMINI else "answered")
        box.wait_for_turn("listening")
        assert box.status()["state"] == "in call"


@each_agent_at_night
def test_a_message_of_twenty_megabytes_ends_the_call_and_not_the_box(tmp_path: Path, agent: Agent) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(agent, tmp_path, voice("story", agent.rate), "--huge") as service,
        boxed(world, service) as box,
    ):
        box.wait_for_state("idle")
        box.tap()
        box.wait_for_state("waiting to retry")
        assert service.lines("client", "upgrade")
