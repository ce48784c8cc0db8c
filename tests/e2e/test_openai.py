"""A conversation with OpenAI's protocol, by a fake service that is its own process and no friend."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.agent_service import OPENAI, AgentService
from tests.e2e.box import TRUSTING, RunningBox, first_word, last_sound, likeness, similarity, voice
from tests.lab.labcard.labcard import World

RATE = 48_000
KEY = "sk-this-must-never-be-seen"
ANSWER = voice("story", 24_000)


def boxed(world: World, service: AgentService, more: str = "", **keys: str) -> RunningBox:
    box = RunningBox(world, f"{more}\n{service.configuration(**keys)}")
    (box.folder / "key").write_text(f"{KEY}\n")  # with the newline that every editor leaves
    return box


def test_a_conversation_and_an_interruption(tmp_path: Path) -> None:
    question, interruption = voice("question", RATE), voice("interruption", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER) as service,
        boxed(world, service, TRUSTING) as box,
    ):
        box.wait_until_awake()
        box.call()
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        box.pause(1.5)
        talked_at = box.say(interruption)
        first = talked_at + first_word(interruption, RATE)
        truncated = service.wait_for("client", "conversation.item.truncate")
        box.pause(0.2)
        silent_at = replied_at + last_sound(world.spk[replied_at : first + RATE])
        assert 0 < (silent_at - first) / RATE < 0.3
        heard_ms = (silent_at + 1 - replied_at) / RATE * 1000
        assert truncated["audio_end_ms"] == pytest.approx(heard_ms, abs=20)
        box.wait_for_sound(talked_at + len(interruption))
        box.wait_for_turn("listening", within_s=15)
        replies = box.speaker(talked_at + len(interruption))
        assert similarity(replies, voice("story", RATE)[4800:96_000]) > 0.95, "the next response is whole"
        said = voice("question", 24_000)[2400:-2400]
        assert likeness(service.heard(), said, 24_000) > 0.95, "it heard the question"
        box.tap()
        box.wait_for_state("idle")
        box.wait_for_line("2 turns, 1 interruptions")
    assert service.lines("fake", "violation") == []
    assert len(service.lines("client", "response.create")) == 2
    assert KEY not in box.journal


def test_the_button_interrupts_a_response_that_is_made_already(tmp_path: Path) -> None:
    question = voice("question", RATE)
    with World(rate=RATE) as world, AgentService(OPENAI, tmp_path, ANSWER) as service, boxed(world, service) as box:
        box.call()
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        service.wait_for("fake", "answered")
        box.pause(1.0)
        box.tap()
        truncated = service.wait_for("client", "conversation.item.truncate")
        box.pause(0.3)
        heard_ms = (last_sound(box.speaker(replied_at)) + 1) / RATE * 1000
        assert truncated["audio_end_ms"] == pytest.approx(heard_ms, abs=20)
        assert service.lines("client", "response.cancel") == [], "there was nothing left to cancel"
        assert box.status()["turn"] == "listening"
    assert service.lines("fake", "violation") == []


def test_a_muted_box_sends_silence(tmp_path: Path) -> None:
    with World(rate=RATE) as world, AgentService(OPENAI, tmp_path, ANSWER) as service, boxed(world, service) as box:
        box.call()
        assert box.ask(do="mute", on=True)["muted"]
        box.wait_for_turn("muted")
        before = len(service.heard())
        box.say(voice("question", RATE), after=0.05)
        box.pause(2.0)
        muted = service.heard()[before + 480 :]
        assert len(muted) > 24_000, "the service's clock goes on"
        assert not muted.any()


def test_push_to_talk_commits_the_turn_itself(tmp_path: Path) -> None:
    question = voice("question", RATE)
    panel = '[panel]\npress = "push_to_talk"\n'
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER) as service,
        boxed(world, service, panel) as box,
    ):
        box.wait_for_state("idle")
        box.pins.press()
        box.wait_for_turn("listening")
        said_at = box.say(question)
        box.pause(0.3 + len(question) / RATE)
        box.pins.release()
        service.wait_for("client", "input_audio_buffer.commit")
        box.wait_for_sound(said_at + len(question))
        box.pins.press()
        service.wait_for("client", "conversation.item.truncate")
        box.pins.release()
    assert service.lines("fake", "violation") == []


def test_tools_work_end_to_end(tmp_path: Path) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER, "--tool", 'set_volume:{"percent":30}') as service,
        boxed(world, service, tools='["set_volume", "hang_up"]') as box,
    ):
        box.call()
        box.say(question)
        result = service.wait_for("client", "conversation.item.create")
        assert result["item"]["type"] == "function_call_output"
        assert result["item"]["output"].startswith("error: the volume cannot be set"), "this card has no mixer"
        service.wait_for("client", "response.create", 2)
    assert service.lines("fake", "violation") == []


def test_an_agent_may_hang_up(tmp_path: Path) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER, "--tool", "hang_up:{}") as service,
        boxed(world, service, tools='["hang_up"]') as box,
    ):
        box.call()
        box.say(voice("question", RATE))
        box.wait_for_state("idle", within_s=15)
        box.wait_for_line("the agent hung up")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--reject", "401"], "does not accept the API key"),
        (["--reject", "429"], "no credit"),
        (["--reject", "404"], "does not offer the model"),
        (["--beta-off"], "no longer speaks the beta"),
    ],
    ids=["bad key", "no credit", "wrong model", "beta closed"],
)
def test_a_refusal_has_its_own_words_and_is_not_retried(tmp_path: Path, options: list[str], words: str) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER, *options) as service,
        boxed(world, service) as box,
    ):
        box.wait_for_state("idle")
        box.tap()
        fault = box.wait_for_state("fault")
        assert words in fault["fault"]
        box.pause(1.5)
        assert len(service.lines("client", "upgrade")) == 1
        assert KEY not in box.journal


def test_a_server_that_closes_at_once_is_asked_less_and_less_often(tmp_path: Path) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER, "--close-at-once", "1011") as service,
        boxed(world, service) as box,
    ):
        box.wait_for_state("idle")
        box.tap()
        box.wait_for_state("waiting to retry")
        box.pause(3.5)
        assert len(service.lines("client", "upgrade")) in (2, 3)
        box.tap()
        box.wait_for_state("idle")


@pytest.mark.parametrize("options", [["--garbage"], ["--two-responses"], ["--silent-response"]])
def test_odd_services_do_not_end_a_call(tmp_path: Path, options: list[str]) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER, *options) as service,
        boxed(world, service) as box,
    ):
        box.call()
        box.say(question)
        service.wait_for("fake", "answered")
        box.wait_for_turn("listening", within_s=20)
        assert box.status()["state"] == "in call"


def test_a_message_of_twenty_megabytes_ends_the_call_and_not_the_box(tmp_path: Path) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER, "--huge") as service,
        boxed(world, service) as box,
    ):
        box.wait_for_state("idle")
        box.tap()
        box.wait_for_state("waiting to retry")
        assert service.lines("client", "upgrade")


def test_a_session_that_ends_is_taken_over_and_the_person_notices_nothing(tmp_path: Path) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, ANSWER[:48_000], "--expire-s", "64") as service,
        boxed(world, service) as box,
    ):
        box.call()
        box.say(question)
        service.wait_for("fake", "answered")
        box.wait_for_turn("listening", within_s=15)
        service.wait_for("client", "session.update", 2, within_s=40)
        said_at = box.say(question)
        box.wait_for_sound(said_at + len(question))
        assert [line["connection"] for line in service.lines("client", "session.update")] == [1, 2]
        assert "call to openai over" not in box.journal
    assert service.lines("fake", "violation") == []
