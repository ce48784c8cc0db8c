"""What only a Gemini agent has: turns that we mark, connections that end, words of its own for what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.agents.gemini_service import check
from tests.e2e.agent_service import GEMINI, KEY, AgentService, boxed
from tests.e2e.box import RunningBox, likeness, voice
from tests.lab.labcard.labcard import World

RATE = 48_000
ANSWER = voice("story", 24_000)
SHORT = ANSWER[:48_000]


def check_all(service: AgentService, box: RunningBox) -> None:
    """The service was told nothing that Google's own types do not know, and nobody has seen the key."""
    assert service.lines("fake", "violation") == []
    for line in service.lines("client"):
        if "message" in line:
            check("", line["message"])
    [upgrade, *_] = service.lines("client", "upgrade")
    assert upgrade["key"] == len(KEY)
    assert KEY not in upgrade["path"]
    assert KEY not in box.journal


def test_a_connection_that_ends_is_replaced_and_the_person_notices_nothing(tmp_path: Path) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(GEMINI, tmp_path, SHORT, "--go-away-s", "6", "--delay-ms", "100") as service,
        boxed(world, service, turn_detection='"server_vad"') as box,
    ):
        box.call()
        said_at = box.say(question)
        box.wait_for_sound(said_at + len(question))
        moved = service.wait_for("client", "setup", 2)
        again_at = box.say(question, after=0.05)  # the session is not set up before 0.2 s
        box.wait_for_sound(again_at + len(question))
        assert moved["resumed"]
        assert service.wait_for("server", "setupComplete", 2)["turns"] == 1, "it knows what was said"
        assert service.lines("client", "activityStart") == [], "the service ends the turns"
        assert "the link is lost" not in box.journal
        assert "call to gemini over" not in box.journal
        heard = np.frombuffer(service.record.with_stem("service-2").read_bytes(), "<i2")
        assert likeness(heard, voice("question", 16_000)[1600:-1600], 16_000) > 0.95, "nothing was lost"
    check_all(service, box)


@pytest.mark.nightly
@pytest.mark.parametrize("options", [[], ["--forget"]], ids=["resumed", "begun anew"])
def test_a_connection_that_ends_without_a_word_is_had_again(tmp_path: Path, options: list[str]) -> None:
    question = voice("question", RATE)
    with (
        World(rate=RATE) as world,
        AgentService(GEMINI, tmp_path, SHORT, "--go-away-s", "6", "--unannounced", *options) as service,
        boxed(world, service) as box,
    ):
        box.call()
        box.say(question)
        service.wait_for("fake", "turned")
        service.wait_for("client", "setup", 2, within_s=15)
        box.wait_for_line("the link is back", within_s=10)
        said_at = box.say(question, after=0.5)
        box.wait_for_sound(said_at + len(question))
        setups = service.lines("client", "setup")
        assert [setup["resumed"] for setup in setups] == [False, True, False][: 3 if options else 2]
        told = setups[-1]["message"]["setup"].get("systemInstruction", {"parts": [{"text": ""}]})["parts"][0]["text"]
        assert ("Person: words of the person, 0" in told) is bool(options), "a new session reads what was said"
    check_all(service, box)


def test_a_tool_and_then_a_goodbye(tmp_path: Path) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(GEMINI, tmp_path, SHORT, "--tool", 'set_volume:{"percent":30}', "--garbage") as service,
        boxed(world, service, tools='["set_volume", "hang_up"]', greeting='"Hello."') as box,
    ):
        box.wait_for_state("idle")
        box.tap()
        result = service.wait_for("client", "toolResponse")["message"]["toolResponse"]["functionResponses"][0]
        assert result["response"]["error"].startswith("the volume cannot be set"), "this card has no mixer"
        service.wait_for("fake", "answered")
        box.wait_for_turn("listening")
    check_all(service, box)


@pytest.mark.parametrize(
    ("options", "words", "light"),
    [
        (
            ["--refuse", "1007:API key not valid. Please pass a valid API key."],
            "does not accept the API key",
            "one flash every two seconds",
        ),
        pytest.param(
            ["--reject", "429"], "has no credit or no quota left", "on, a gap every second", marks=pytest.mark.nightly
        ),
        pytest.param(
            ["--refuse", "1008:models/m is not found for API version v1beta"],
            "does not offer the model",
            "eight flashes a second",
            marks=pytest.mark.nightly,
        ),
    ],
    ids=["bad key", "no credit", "wrong model"],
)
def test_a_refusal_has_its_own_words_and_light_and_is_not_retried(
    tmp_path: Path, options: list[str], words: str, light: str
) -> None:
    with (
        World(rate=RATE) as world,
        AgentService(GEMINI, tmp_path, SHORT, *options) as service,
        boxed(world, service) as box,
    ):
        box.wait_for_state("idle")
        box.tap()
        fault = box.wait_for_state("fault")
        assert words in fault["fault"]
        assert fault["light"] == light
        box.pause(1.2)
        assert len(service.lines("client", "upgrade")) == 1
        assert KEY not in box.journal
        assert "Traceback" not in box.journal
