"""The button rings somebody's telephone: `edgevoice run` on the virtual card, and a fake Twilio with a REST API."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgevoice.audio.resample import Resampler
from edgevoice.events import End
from edgevoice.light import BOX_PATTERNS, CAUSE_PATTERNS, Box
from tests.e2e.agent_service import OPENAI, AgentService
from tests.e2e.box import LED, PATIENCE_S, RunningBox, likeness, voice
from tests.e2e.lines import wait
from tests.e2e.telephone import Telephone, boxed, hears_caller, hears_tone
from tests.lab.labcard.labcard import World
from tests.ports import free_port

RATE = 48_000
ACCOUNT, KEY = "AC" + "0" * 32, "a-key-of-the-account"
CALLED = "+46700000003"


def certificate(folder: Path) -> Path:
    """Make one for localhost, with its key beside it."""
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", "-x509", *kind, *files, *names], check=True, capture_output=True)
    return folder / "cert.pem"


def calling(
    world: World, at: int, port: int, lines: str = "", more: str = "", agent: AgentService | None = None
) -> RunningBox:
    """Return a box whose button calls somebody over the service whose REST API is at the port `at`.

    With an `agent` the button calls that, which gives way to them.
    """
    target = f'"twilio:{CALLED}"'
    button = f"button = {target}"
    if agent:
        button = f"""
button = "openai"
fallback = {target}
[call.contacts]
"the owner" = {target}
[agent.openai]
url = "ws://127.0.0.1:{agent.port}/v1/realtime"
api_key_file = "key"
tools = ["call"]
"""
    box = boxed(
        world,
        f"""
[line.twilio]
path_token_file = "token"
auth_token_file = "key"
account_sid = "{ACCOUNT}"
number = "+46700000001"
api_url = "http://127.0.0.1:{at}/2010-04-01"
[call]
{button}
{more}
""",
        lines=f'url = "https://localhost:{port}"\n{lines}',
        listen=f"127.0.0.1:{port}",
    )
    (box.folder / "key").write_text(f"{KEY}\n")
    return box


def told(words: str) -> Callable[[dict[str, Any]], bool]:
    """Return what tells whether the box shows a fault with these words."""
    return lambda status: words in (status["fault"] or "")


def rest(folder: Path, outcome: str, *options: str, port: int = 0, **more: object) -> Telephone:
    basics = ["--rest", str(port), "--account", ACCOUNT, "--auth-token", KEY, "--outcome", outcome]
    return Telephone(folder, "twilio", *basics, *options, **more)  # type: ignore[arg-type]


def test_the_button_rings_somebody_until_they_answer_and_then_both_talk(tmp_path: Path) -> None:
    question, answer = voice("question"), voice("interruption")
    made = certificate(tmp_path)
    files = f'certificate_file = "{made}"\nprivate_key_file = "{tmp_path / "key.pem"}"\n'
    options = ["--ring-s", "2", "--cafile", str(made), "--says-after-s", "6", "--says-every-s", "6"]
    with (
        World(rate=RATE) as world,
        rest(tmp_path / "a", "answer", *options, says=answer, rate=16_000) as service,
        calling(world, service.ready["rest"], free_port(), files) as box,
    ):
        box.wait_until_awake()
        rang_from = world.now()
        box.tap()
        box.wait_for_state("connecting")
        assert box.status()["light"] == BOX_PATTERNS[Box.CONNECTING].name
        hears_tone(box, "ringing", rang_from)
        box.wait_for_turn("listening")
        hears_tone(box, "connected", rang_from)
        said_at = box.say(voice("question", RATE))
        assert hears_caller(box, service, answer) > 0.95
        assert [call["with"] for call in box.status()["lines"]["calls"]] == ["card"]
        box.tap()
        box.wait_for_state("idle")
        service.wait_for("closed", "fake")
        figures = service.hang_up()
        journal = box.journal
    assert (figures["violations"], figures["ended_by"]) == ([], "server")
    heard = service.heard_since(world.time(said_at))
    assert likeness(heard, Resampler(16_000, 8000).process(question), 8000) > 0.95
    assert CALLED not in journal
    assert KEY not in journal


def test_why_nobody_was_reached_is_heard_seen_and_told(tmp_path: Path) -> None:
    outcomes = {
        "busy": (End.BUSY, "busy", "the person called is on the phone"),
        "wrong-number": (End.WRONG_NUMBER, "wrong number", "number"),
        "no-credit": (End.NO_CREDIT, "refused", "account"),
        "bad-credentials": (End.BAD_CREDENTIALS, "refused", "auth token"),
    }
    at = free_port()
    with World(rate=RATE) as world, calling(world, at, free_port()) as box:
        box.wait_until_awake()
        for outcome, (end, tone, words) in outcomes.items():
            with rest(tmp_path / outcome, outcome, "--ring-s", "0.5", port=at):
                since = world.now()
                box.tap()
                fault = box.wait_until(told(words))
                assert (fault["state"], fault["light"]) == ("fault", CAUSE_PATTERNS[end].name)
                hears_tone(box, tone, since)
                box.wait_for_line(fault["fault"])
        assert len(box.pins.edges(LED, at_least=8, within_s=PATIENCE_S)) >= 8
        assert CALLED not in box.journal
        assert KEY not in box.journal


def test_a_press_gives_up_and_their_telephone_stops_ringing(tmp_path: Path) -> None:
    with (
        World(rate=RATE) as world,
        rest(tmp_path, "answer", "--ring-s", "60") as service,
        calling(world, service.ready["rest"], free_port()) as box,
    ):
        box.wait_until_awake()
        since = world.now()
        box.tap()
        hears_tone(box, "ringing", since)
        box.tap()
        box.wait_for_state("idle")

        def ends() -> list[int]:
            return [line["status"] for line in service.lines("POST", "server") if "Status" in line["fields"]]

        assert wait(ends, "told that it is over") == [200]


def test_a_service_that_cannot_be_reached_is_tried_again(tmp_path: Path) -> None:
    with (
        World(rate=RATE) as world,
        rest(tmp_path, "busy", port=free_port()) as service,
        calling(world, service.ready["rest"], free_port()) as box,
    ):
        box.wait_until_awake()
        service.kill()
        box.tap()
        waiting = box.wait_for_state("waiting to retry")
        assert "cannot be reached" in waiting["fault"]


@pytest.mark.nightly
@pytest.mark.parametrize("how", ["the agent is not there", "the agent connects them"])
def test_an_agent_gives_way_to_somebody_on_the_telephone(tmp_path: Path, how: str) -> None:
    question, answer, made = voice("question"), voice("interruption"), certificate(tmp_path)
    files = f'certificate_file = "{made}"\nprivate_key_file = "{tmp_path / "key.pem"}"\n'
    options = ["--ring-s", "2", "--cafile", str(made), "--says-after-s", "2.5"]
    tool = ["--tool", 'call:{"to": "the owner"}'] if how == "the agent connects them" else ["--reject", "429"]
    with (
        World(rate=RATE) as world,
        AgentService(OPENAI, tmp_path, voice("story", 24_000), *tool) as agent,
        rest(tmp_path / "a", "answer", *options, says=answer, rate=16_000) as service,
        calling(world, service.ready["rest"], free_port(), files, agent=agent) as box,
    ):
        box.wait_until_awake()
        rang_from = world.now()
        box.tap()
        if how == "the agent connects them":
            box.wait_for_turn("listening")
            box.pause(0.6)
            box.say(voice("question", RATE))
        status = box.wait_until(lambda status: status["call"] == "twilio" and status["turn"] == "listening", 15)
        assert bool(status["fallback"]) == (how == "the agent is not there")
        hears_tone(box, "ringing", rang_from)
        spoke_from = world.now()
        said_at = box.say(voice("question", RATE))
        service.wait_for("says", "fake")
        box.pause(len(answer) / 16_000 + 1.0)
        at_box = Resampler(RATE, 16_000).process(box.speaker(spoke_from))
        counters = box.status()["counters"]
        assert counters["opened"] == 1, "the card stays open"
        box.tap()
        box.wait_for_state("idle")
        service.hang_up()
        journal = box.journal
    assert likeness(service.heard_since(world.time(said_at)), Resampler(16_000, 8000).process(question), 8000) > 0.95
    assert likeness(at_box, answer, 16_000) > 0.95
    assert CALLED not in journal
    assert CALLED not in agent.log_file.read_text(), "nor is an agent told a number"
