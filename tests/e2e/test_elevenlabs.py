"""What only an agent at ElevenLabs has: a private address, formats of its own, refusals, silence that flows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.agent_service import ELEVENLABS, KEY, AgentService, boxed
from tests.e2e.box import TRUSTING, last_sound, likeness, similarity, voice
from tests.lab.labcard.labcard import World

RATE = 48_000
ANSWER = voice("story")
PRIVATE = {"api_key_file": '"key"'}


NIGHTLY = pytest.mark.nightly
FAULT, NO_KEY, NO_CREDIT = "eight flashes a second", "one flash every two seconds", "on, a gap every second"


@pytest.mark.parametrize(
    ("options", "keys", "words", "light"),
    [
        pytest.param(["--agent", "another"], {}, "has no agent 'agent_1'", FAULT, id="no such agent"),
        pytest.param(["--private", "sk_another"], PRIVATE, "does not accept the API key", NO_KEY, id="wrong key"),
        pytest.param(["--private", KEY], {}, "is private: name a file", NO_KEY, id="no key", marks=NIGHTLY),
        pytest.param(["--refuse", "1002:quota limit"], {}, "no credit left", NO_CREDIT, id="quota", marks=NIGHTLY),
        pytest.param(["--speaks", "mp3_44100"], {}, "speaks 'mp3_44100', expected", FAULT, id="format", marks=NIGHTLY),
    ],
)
def test_a_refusal_has_its_own_words_and_light_and_is_not_retried(
    tmp_path: Path, options: list[str], keys: dict[str, str], words: str, light: str
) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(ELEVENLABS, tmp_path, ANSWER, *options) as service,
        boxed(world, service, **keys) as box,
    ):
        box.wait_for_state("idle")
        box.tap()
        fault = box.wait_for_state("fault")
        assert words in fault["fault"]
        assert fault["light"] == light
        asked = len(service.lines("client", "upgrade")) + len(service.lines("client", "question"))
        box.pause(1.2)
        assert asked == len(service.lines("client", "upgrade")) + len(service.lines("client", "question")) == 1
        assert KEY not in box.journal
        assert "Traceback" not in box.journal


@pytest.mark.nightly
def test_a_private_agent_is_talked_with_in_its_own_formats_though_its_first_address_has_expired(tmp_path: Path) -> None:
    question = voice("question", RATE)
    options = ("--private", KEY, "--expired", "1", "--speaks", "pcm_22050", "--hears", "ulaw_8000", "--speed", "3")
    with (
        World(rate=RATE) as world,
        AgentService(ELEVENLABS, tmp_path, ANSWER, *options) as service,
        boxed(world, service, TRUSTING, **PRIVATE) as box,
    ):
        box.wait_until_awake()
        box.call()
        assert "the signed address of 127.0.0.1 has expired: the next try asks for a new one" in box.journal
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        box.pause(3.0)
        assert similarity(box.speaker(replied_at), voice("story", RATE)[4800:96_000]) > 0.95
        assert likeness(service.heard(), voice("question", 8000)[800:-800], 8000) > 0.93
        assert KEY not in box.journal
        assert "signature" not in box.journal
    assert [len(service.lines("client", kind)) for kind in ("question", "upgrade")] == [2, 2]
    assert service.lines("fake", "violation") == []


@pytest.mark.nightly
def test_an_agent_that_does_not_hear_the_person_over_itself_is_silenced_all_the_same(tmp_path: Path) -> None:
    question, interruption = voice("question", RATE), voice("interruption", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(ELEVENLABS, tmp_path, ANSWER, "--deaf", "--speed", "1.5") as service,
        boxed(world, service, TRUSTING) as box,
    ):
        box.wait_until_awake()
        box.call()
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        box.pause(1.0)
        talked_at = box.say(interruption)
        service.wait_for("client", "user_activity")
        box.pause(0.3)
        silent_at = replied_at + last_sound(box.speaker(replied_at))
        assert service.lines("fake", "answered") == [], "it goes on making its answer"
        service.wait_for("server", "user_transcript", 2)
        assert not world.spk[silent_at + 1 : talked_at + len(interruption)].any()
    assert service.lines("fake", "violation") == []


@pytest.mark.nightly
def test_an_agent_that_interrupts_itself_is_silent_at_once_and_answers_the_next_turn(tmp_path: Path) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(ELEVENLABS, tmp_path, ANSWER, "--cut-s", "1.5") as service,
        boxed(world, service) as box,
    ):
        box.wait_until_awake()
        box.call()
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        service.wait_for("server", "interruption")
        box.pause(0.6)
        heard = box.speaker(replied_at)
        assert 1.0 < last_sound(heard) / RATE < 1.9, "it had sent all of it"
        assert box.status()["turn"] == "listening"
        again_at = box.say(question)
        box.wait_for_sound(again_at + len(question))
        box.pause(2.2)
        assert similarity(box.speaker(again_at + len(question)), voice("story", RATE)[4800:96_000]) > 0.95
    assert service.lines("fake", "violation") == []


@pytest.mark.nightly
def test_an_agent_that_ends_the_conversation_is_not_called_again(tmp_path: Path) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(ELEVENLABS, tmp_path, ANSWER[:16_000], "--end-call") as service,
        boxed(world, service) as box,
    ):
        box.call()
        box.say(voice("question", RATE))
        box.wait_for_state("idle", within_s=15)
        box.wait_for_line("the agent ended the conversation (hung up)")
        assert len(service.lines("client", "upgrade")) == 1
