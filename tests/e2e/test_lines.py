"""The telephone: `edgevoice run` without a card, called by services that are processes of their own and no friends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.drivers import certificates
from tests.e2e.box import first_word, likeness, voice
from tests.e2e.lines import CLEARS, PATIENCE_S, SERVICES, SOUNDS, LineBox, PhoneService, wait, write_wav
from tests.journal import CALLEE, CALLER
from tests.ports import free_port

RATE = 16_000
TRIES = 3  # two processes that answer each other in real time, on a machine that is shared
SOME = [
    *("elks", "twilio"),
    *(pytest.param(service, marks=pytest.mark.nightly) for service in ("vobiz", "plivo")),
]
QUESTION, STORY, INTERRUPTION = voice("question"), voice("story"), voice("interruption")


def silence(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.zeros(round(seconds * RATE), np.int16)


@pytest.mark.parametrize("service", SOME)
def test_a_caller_hears_the_parrot_say_what_they_said(service: str, tmp_path: Path) -> None:
    said = write_wav(tmp_path / "said.wav", np.concatenate([silence(0.3), QUESTION]), RATE)
    seconds = 0.3 + 2 * len(QUESTION) / RATE + 1.7
    with LineBox() as box:
        options = ("--url", box.url(service), "--caller-wav", said, "--hang-up-after-s", seconds)
        with PhoneService(tmp_path, service, *options, "--unknown-messages") as phone:
            assert [call["with"] for call in wait(box.calls, "a call")] in (["parrot"], ["nobody"])
            [call] = phone.ended()
            heard, rate = phone.heard()
        first = first_word(QUESTION, RATE) * rate // RATE
        assert likeness(heard, voice("question", rate)[first : first + rate], rate) > 0.9
        assert call["violations"] == []
        box.wait_for_line(f"call {service}-1 over after")
        wait(lambda: box.calls() == [], "nobody is on the line")
        box.wait_for_line("1 turns, 0 interruptions")


@pytest.mark.parametrize("service", SOME)
def test_a_caller_who_talks_over_the_parrot_is_obeyed(service: str, tmp_path: Path) -> None:
    over = 0.2 + len(STORY) / RATE + 2.0  # the parrot has begun by then
    talk = np.concatenate([silence(0.2), STORY, silence(2.0), INTERRUPTION])
    said = write_wav(tmp_path / "said.wav", talk, RATE)
    with LineBox() as box:
        options = ("--url", box.url(service), "--caller-wav", said)
        for _ in range(TRIES):
            with PhoneService(tmp_path, service, *options) as phone:
                cleared = phone.wait_for("server", CLEARS[service])["at"]
                begun = phone.wait_for("fake", "says")["at"] + over + first_word(INTERRUPTION, RATE) / RATE
                sounds = wait(lambda: after(phone, SOUNDS[service], cleared), "a reply")  # noqa: B023
                assert sounds[0] - cleared > 0.4, "nothing of the interrupted answer"
                assert phone.lines("fake", "violation") == []
            if cleared - begun < 0.5:
                break
        assert 0 < cleared - begun < 0.5
        box.wait_for_line("1 interruptions")


def after(phone: PhoneService, type: str, at: float) -> list[float]:
    """Return when what the box sent after that moment came."""
    return [line["at"] for line in phone.lines("server", type) if line["at"] > at]


@pytest.mark.parametrize("service", SERVICES)
def test_a_connection_that_is_torn_ends_its_call_and_no_other(service: str, tmp_path: Path) -> None:
    with LineBox() as box:
        with PhoneService(tmp_path, service, "--url", box.url(service), "--close-after-s", 0.5, "--calls", 3) as phone:
            phone.ended()
        box.wait_for_line("call " + service + "-3 over after")
        wait(lambda: box.calls() == [], "nobody is on the line")


def test_a_recording_is_played_again_and_again_until_it_is_hushed(tmp_path: Path) -> None:
    recording = write_wav(tmp_path / "notice.wav", QUESTION, RATE)
    with LineBox() as box, PhoneService(tmp_path, "elks", "--url", box.url("elks")) as phone:
        wait(lambda: [call for call in box.calls() if call["with"] == "parrot"], "a call")
        assert box.ask(do="say", path=str(recording), loop=True)["ok"]
        length_ms = len(QUESTION) / RATE * 1000
        wait(lambda: sum(line["ms"] for line in phone.lines("server", "audio")) > 1.5 * length_ms, "a second time")
        assert box.ask(do="hush")["ok"]
        phone.wait_for("server", "interrupt")
        assert max(line["queued_ms"] for line in phone.lines("server", "audio")) < 5000
        assert not box.ask(do="say", path=str(recording), to="elks-9")["ok"]


def test_stopping_the_box_says_goodbye_to_who_is_on_the_line(tmp_path: Path) -> None:
    with LineBox() as box, PhoneService(tmp_path, "elks", "--url", box.url("elks"), "--calls", 2) as phone:
        wait(lambda: len([call for call in box.calls() if call["with"] == "parrot"]) == 2, "two calls")
        box.process.terminate()
        assert box.process.wait(PATIENCE_S) == 0
        assert [call["ended_by"] for call in phone.ended()] == ["server", "server"]
        assert len(phone.lines("server", "bye")) == 2


# -------------------------------------------------------------------------------------------------- calls we make

ELKS = """
number = "+46766861004"
websocket_number = "{callee}"
api_credentials_file = "login"
api_url = "http://127.0.0.1:{port}/a1"
"""
USER = "AC" + "0" * 32


def elks_rest(folder: Path, port: int, outcome: str, *more: object) -> PhoneService:
    account = ("--account", USER, "--auth-token", "secret", "--number", CALLEE)
    url = f"ws://127.0.0.1:{port}/elks/path-token-0123456789"
    return PhoneService(folder, "elks", "--rest", 0, "--url", url, "--outcome", outcome, *account, *more)


def test_who_is_called_over_46elks_answers_and_talks_with_the_agent(tmp_path: Path) -> None:
    said = write_wav(tmp_path / "said.wav", np.concatenate([silence(0.3), QUESTION]), RATE)
    port = free_port()
    with elks_rest(tmp_path, port, "answer", "--caller-wav", said) as phone:
        elks = ELKS.format(port=phone.ready["rest"], callee=CALLEE)
        with LineBox(port=port, elks=elks, files={"login": f"{USER}:secret"}) as box:
            assert box.ask(do="call", target=f"elks:{CALLER}")["ok"]
            phone.wait_for("server", "audio")
            wait(lambda: [call["with"] for call in box.calls()] == ["parrot"], "the parrot")
            assert box.ask(do="hangup")["ok"]
            phone.wait_for("server", "bye")


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ("busy", "the person called is on the phone: try again later (busy)"),
        ("no-answer", "nobody answered"),
        ("wrong-number", "46elks cannot call this number"),
        ("no-credit", "the account at 46elks has no credit left"),
        ("bad-credentials", "46elks does not accept the API credentials"),
        ("down", "46elks cannot be reached"),
    ],
)
def test_a_call_that_does_not_come_about_says_why(outcome: str, sentence: str, tmp_path: Path) -> None:
    rings = "failed" if outcome == "no-answer" else "busy" if outcome == "down" else outcome
    with elks_rest(tmp_path, free_port(), rings) as phone:
        port = free_port() if outcome == "down" else phone.ready["rest"]
        elks = ELKS.format(port=port, callee=CALLEE)
        with LineBox(elks=elks, files={"login": f"{USER}:secret"}) as box:
            assert box.ask(do="call", target=f"elks:{CALLER}")["ok"]
            box.wait_for_line(sentence)
            assert box.status()["ok"]


TWILIO = """
number = "+46766861004"
account_sid = "{user}"
auth_token_file = "auth-token"
api_url = "http://127.0.0.1:{port}/2010-04-01"
"""


def test_who_is_called_over_twilio_comes_in_by_a_ticket_and_a_signature(tmp_path: Path) -> None:
    certificate, key = certificates.make(tmp_path)
    said = write_wav(tmp_path / "said.wav", np.concatenate([silence(0.3), QUESTION]), RATE)
    account = ("--account", USER, "--auth-token", "secret", "--cafile", certificate)
    port = free_port()
    lines = f'certificate_file = "{certificate}"\nprivate_key_file = "{key}"\nurl = "https://127.0.0.1:{port}"'
    with PhoneService(tmp_path, "twilio", "--rest", 0, *account, "--caller-wav", said) as phone:
        twilio = TWILIO.format(user=USER, port=phone.ready["rest"])
        with LineBox(port=port, lines=lines, twilio=twilio, files={"auth-token": "secret"}) as box:
            assert box.ask(do="call", target=f"twilio:{CALLER}")["ok"]
            phone.wait_for("server", "media")
            wait(lambda: [call["with"] for call in box.calls()] == ["parrot"], "the parrot")
            assert box.ask(do="hangup")["ok"]
            phone.wait_for("fake", "closed")


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ("busy", "the person called is on the phone: try again later (busy)"),
        ("failed", "the call could not be put through"),
        ("wrong-number", "Twilio cannot call this number"),
        ("no-credit", "the account at Twilio is not active"),
        ("bad-credentials", "Twilio does not accept account_sid and auth token"),
    ],
)
def test_a_call_over_twilio_that_does_not_come_about_says_why(outcome: str, sentence: str, tmp_path: Path) -> None:
    account = ("--account", USER, "--auth-token", "secret")
    with PhoneService(tmp_path, "twilio", "--rest", 0, "--outcome", outcome, *account) as phone:
        twilio = TWILIO.format(user=USER, port=phone.ready["rest"])
        lines = 'url = "https://box.example.com"'
        with LineBox(lines=lines, twilio=twilio, files={"auth-token": "secret"}) as box:
            assert box.ask(do="call", target=f"twilio:{CALLER}")["ok"]
            box.wait_for_line(sentence)
            assert box.status()["ok"]
