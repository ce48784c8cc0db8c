"""A conversation with OpenAI's protocol, by a fake service that is its own process and no friend."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.agent_service import KEY, OPENAI, AgentService, boxed
from tests.e2e.box import voice
from tests.lab.labcard.labcard import World

RATE = 48_000
ANSWER = voice("story", 24_000)


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


@pytest.mark.nightly
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
