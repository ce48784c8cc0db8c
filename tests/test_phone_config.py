"""What a person may write about phone lines and relays, and what they are told when it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from edgevoice.catalogue import Agents
from edgevoice.config import Secret, cannot_dial, is_line, load
from edgevoice.conversation import Detection
from edgevoice.errors import ConfigError
from edgevoice.events import Closed
from edgevoice.line_catalogue import PhoneLines
from edgevoice.lines.admission import Door
from edgevoice.lines.dial import ElksDialer, TwilioDialer
from tests.test_config import problems

LOCAL = "[lines]\nlisten = '127.0.0.1:8443'\n"
ELKS = LOCAL + "[line.elks]\npath_token_file = 'token'\n"
ELKS_CALLS = ELKS + "number = '+46700000001'\nwebsocket_number = '+46700000002'\napi_credentials_file = 'login'\n"
TWILIO = (
    "[lines]\nlisten = '127.0.0.1:8443'\nurl = 'https://box.example.com'\n[line.twilio]\npath_token_file = 'token'\n"
)
TWILIO_CALLS = TWILIO + "number = '+46700000001'\naccount_sid = 'AC1'\nauth_token_file = 'auth'\n"
TOKEN = "0123456789abcdef0123456789abcdef"


class Folder:
    """Files by name."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def secret(self, name: str, key: str) -> Secret:
        if name not in self.files:
            raise ConfigError([f"$.{key}: there is no file {name}"])
        return Secret(self.files[name])

    def text(self, name: str, key: str) -> str:
        return self.secret(name, key).reveal()

    def path(self, name: str, key: str) -> Path:
        return Path(name)


def agents(text: str, **files: str) -> Agents:
    return Agents(load(text), Folder(files))


def lines(text: str, **files: str) -> PhoneLines:
    return PhoneLines(load(text), Folder(files))


# -------------------------------------------------------------------------------------------- a file that is right


def test_what_is_written_about_lines_is_what_one_gets() -> None:
    config = load(
        """
        [call]
        incoming = "card"
        auto_answer = true
        [lines]
        listen = "[::]:8443"
        certificate_file = "fullchain.pem"
        private_key_file = "privkey.pem"
        url = "https://box.example.com:8443"
        max_calls = 64
        [line.elks]
        path_token_file = "token"
        allow_ip = ["192.0.2.0/24", "2001:db8::1"]
        allow = ["+46701234567"]
        [relay.door]
        pin = 5
        dtmf = "5#"
        """
    )
    assert (config.lines.listen, config.lines.url, config.lines.max_calls) == (
        "[::]:8443",
        "https://box.example.com:8443",
        64,
    )
    assert config.line.elks.allow == ("+46701234567",)
    assert (config.relay["door"].pin, config.relay["door"].dtmf, config.relay["door"].max_wrong) == (5, "5#", 3)


@pytest.mark.parametrize("listen", ["127.0.0.1:8443", "127.3.2.1:0", "localhost:8443", "[::1]:8443"])
def test_behind_a_proxy_of_ones_own_no_certificate_is_needed(listen: str) -> None:
    assert load(ELKS.replace("127.0.0.1:8443", listen)).lines.listen == listen


@pytest.mark.parametrize("key", ["button", "at_start", "fallback"])
def test_a_telephone_can_be_called(key: str) -> None:
    for text, target in ((ELKS_CALLS, "elks:+46701234567"), (TWILIO_CALLS, "twilio:+15550100000")):
        config = load(f"call.{key} = '{target}'\n{text}")
        assert getattr(config.call, key) == target


# -------------------------------------------------------------------------------------------- a file that is wrong


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lines.listen = '8443'", '$.lines.listen: expected an address and a port, like "0.0.0.0:8443" or "[::]:8443"'),
        ("lines.url = 'box.example.com'", "$.lines.url: expected an address like https://box.example.com:8443"),
        ("lines.url = 'https://box.example.com/x'", "without a path"),
        ("lines.url = 'http://box.example.com'", "$.lines.url: expected an address like https://"),
        ("lines.max_calls = 65", "$.lines.max_calls: expected an integer from 1 to 64, got 65"),
        ("line.elks.allow_ip = '192.0.2.1'", "$.line.elks.allow_ip: expected an array"),
        ("relay.door.pin = 28", "$.relay.door.pin: expected an integer from 0 to 27, got 28"),
        ("relay.door.pulse_s = 0", "$.relay.door.pulse_s: expected a number from 0.05 to 60, got 0"),
        ("relay.door.max_wrong = 0", "$.relay.door.max_wrong: expected an integer from 1 to 100, got 0"),
        ("relay.door.dtmf = '5 #'", "$.relay.door.dtmf: expected keys of a telephone: 0-9, A-D, * and #"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(text: str, problem: str) -> None:
    [told] = problems(text)
    assert problem in told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "lines.listen = '127.0.0.1:8443'",
            "$.lines.listen: no line is set up; fill path_token_file in one of line.elks, line.twilio, line.vobiz, "
            "line.plivo",
        ),
        (
            "line.vobiz.path_token_file = 'token'",
            '$.lines.listen: line.vobiz is set up, but nothing listens; use e.g. "0.0.0.0:8443"',
        ),
        (
            "line.twilio.auth_token_file = 'auth'",
            "$.line.twilio: auth_token_file without path_token_file; name the file with the token of /twilio/<token>",
        ),
        (
            ELKS.replace("127.0.0.1", "0.0.0.0"),
            "$.lines.certificate_file: without a certificate the token is sent in clear; name one, or listen on "
            "127.0.0.1 behind a proxy",
        ),
        (
            ELKS.replace("127.0.0.1", "127.evil.example.com"),
            "$.lines.certificate_file: without a certificate the token is sent in clear; name one, or listen on "
            "127.0.0.1 behind a proxy",
        ),
        (
            ELKS.replace("[line.elks]", "certificate_file = 'a.pem'\n[line.elks]"),
            "$.lines.certificate_file: a certificate and its key go together; name both",
        ),
        (
            ELKS.replace("8443", "99999"),
            "$.lines.listen: there is no port 99999; expected at most 65535",
        ),
        (
            ELKS + "allow_ip = ['192.0.2.0/24', 'example.com']",
            '$.line.elks.allow_ip[1]: expected an address or a network like "192.0.2.0/24", got example.com',
        ),
        (
            "call.auto_answer = true",
            "$.call.auto_answer: nobody may be answered automatically; name callers in a line's allow",
        ),
        (
            "call.auto_answer = true\ncall.incoming = 'parrot'\n" + ELKS + "allow = ['+46701234567']",
            "$.call.auto_answer: it is the card that answers by itself; an agent always does",
        ),
        (
            "[relay.door]\npin = 25",
            "$.relay.door.pin: 25 is the pin of panel.light, too; give each one its own",
        ),
        (
            "[relay.door]\npin = 17",
            "$.relay.door.pin: 17 is the pin of panel.button, too; give each one its own",
        ),
        (
            "[relay.door]\npin = 5\n[panel]\nlight = [10, 11]\nlight_power = 5",
            "$.relay.door.pin: 5 is the pin of panel.light_power, too; give each one its own",
        ),
        (
            "[relay.door]\npin = 5\n[relay.gate]\npin = 5",
            "$.relay.gate.pin: 5 is the pin of relay.door, too; give each one its own",
        ),
        (
            "[relay.door]\npin = 5\ndtmf = '5#'\n[relay.gate]\npin = 6\ndtmf = '5#'",
            "$.relay.gate.dtmf: the same code as relay.door; give each door its own",
        ),
    ],
)
def test_keys_of_lines_and_relays_that_contradict_each_other_are_told(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_two_doors_without_a_code_do_not_share_one() -> None:
    assert len(load("[relay.door]\npin = 5\n[relay.gate]\npin = 6").relay) == 2


@pytest.mark.parametrize(
    ("text", "target", "problem"),
    [
        ("", "elks:0701234567", "expected elks: and a number with its country code, like elks:+46701234567"),
        ("", "twilio:", "expected twilio: and a number with its country code, like twilio:+46701234567"),
        ("", "vobiz:+46701234567", "vobiz cannot call out in this version; use elks:+... or twilio:+..."),
        ("", "sip:reception", "to call out it needs an account, [[line.sip]]"),
        (
            "",
            "elks:+46701234567",
            "to call out it needs line.elks.number, line.elks.websocket_number, line.elks.api_credentials_file, "
            "line.elks.path_token_file, lines.listen",
        ),
        (
            "",
            "twilio:+46701234567",
            "to call out it needs line.twilio.number, line.twilio.account_sid, line.twilio.auth_token_file, "
            "line.twilio.path_token_file, lines.listen, lines.url",
        ),
        (
            TWILIO_CALLS.replace("url = 'https://box.example.com'\n", ""),
            "twilio:+46701234567",
            "to call out it needs lines.url",
        ),
    ],
)
def test_a_number_that_cannot_be_called_is_told_with_what_it_needs(text: str, target: str, problem: str) -> None:
    assert cannot_dial(load(text), target) == problem
    assert problems(f"call.button = '{target}'\n{text}") == [f"$.call.button: {problem}"]


def test_an_agent_or_the_card_answers_and_no_number() -> None:
    assert problems("call.incoming = 'elks:+46701234567'") == [
        '$.call.incoming: "elks:…" is not one of "elevenlabs", "gemini", "openai", "parrot", "card"'
    ]


def test_no_number_of_a_person_is_in_what_is_told_of_a_file() -> None:
    for text in (
        "call.button = 'elks:+46701234567'",
        "call.button = '+46701234567'",
        "call.fallback = 'twilio:0701234567'",
        "call.incoming = 'elks:+46 70 123 45 67'",
        "line.elks.allow = ['0701234567']",
        "line.twilio.number = '46701234567'",
    ):
        told = " ".join(problems(text))
        assert told.startswith("$."), told
        for part in ("701234567", "70 123", "45 67"):
            assert part not in told.replace("like elks:+46701234567", "").replace(
                "like twilio:+46701234567", ""
            ).replace("a telephone number like +46701234567", "")


def test_what_is_a_line_is_told_from_an_agent() -> None:
    assert [is_line(target) for target in ("elks:+46701234567", "plivo:x", "parrot", "card", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]


# ------------------------------------------------------------------------------------------ the secrets of a line


def test_each_service_that_is_set_up_has_a_door_with_its_own_secrets() -> None:
    text = TWILIO + "auth_token_file = 'auth'\n[line.elks]\npath_token_file = 'other'\nallow_ip = ['192.0.2.1']"
    assert lines(text, token=TOKEN, auth="secret", other=TOKEN[::-1]).doors() == {
        "elks": Door(TOKEN[::-1], "", ("192.0.2.1",)),
        "twilio": Door(TOKEN, "secret", ()),
    }
    assert lines("").doors() == {}


@pytest.mark.parametrize(
    "token", ["short", "x" * 129, "a/b/c/d/e/f/g/h/i", "with spaces in it all", "ümläut-ümläut-ümläut"]
)
def test_a_token_that_is_easy_to_guess_or_no_part_of_an_address_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        agents(ELKS, token=token).check()
    [problem] = caught.value.problems
    assert problem.startswith("$.line.elks.path_token_file: expected 16 to 128 letters, digits, - and _")
    assert "openssl rand -hex 16" in problem
    assert token not in problem


def test_all_that_is_missing_is_told_at_once() -> None:
    text = TWILIO + "auth_token_file = 'auth'\n[line.elks]\npath_token_file = 'other'"
    with pytest.raises(ConfigError) as caught:
        agents(text, token=TOKEN).check()
    assert sorted(caught.value.problems) == [
        "$.line.elks.path_token_file: there is no file other",
        "$.line.twilio.auth_token_file: there is no file auth",
    ]


def test_a_button_that_calls_somebody_is_checked_when_the_box_starts() -> None:
    text = "call.button = 'elks:+46701234567'\n" + ELKS_CALLS
    with pytest.raises(ConfigError, match=r"\$.line.elks.api_credentials_file: there is no file login"):
        agents(text, token=TOKEN).check()
    with pytest.raises(ConfigError, match="expected the API's username:password") as caught:
        agents(text, token=TOKEN, login="u1234").check()
    assert "u1234" not in str(caught.value)
    agents(text, token=TOKEN, login="u1234:pass:word").check()


def test_an_agent_that_answers_the_telephone_is_checked_too() -> None:
    with pytest.raises(ConfigError, match=r"\$.agent.openai.api_key_file: there is no file openai-api-key"):
        agents("call.incoming = 'openai'\n" + ELKS, token=TOKEN).check()


def test_a_call_goes_out_with_the_login_and_the_numbers_of_the_line() -> None:
    elks = lines(ELKS_CALLS, token=TOKEN, login="u1234:pass:word").dialer("elks", "")
    assert isinstance(elks, ElksDialer)
    placed = elks.place("+46701234567")
    assert not isinstance(placed, Closed)
    assert placed.url == "https://api.46elks.com/a1/calls"
    form = dict(placed.form)
    assert (form["from"], form["to"]) == ("+46700000001", "+46701234567")
    assert "+46700000002" in form["voice_start"]
    twilio = lines(TWILIO_CALLS, token=TOKEN, auth="secret").dialer("twilio", "wss://box.example.com/twilio/t/k")
    assert isinstance(twilio, TwilioDialer)
    placed = twilio.place("+46701234567")
    assert not isinstance(placed, Closed)
    assert placed.url == "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls.json"
    assert 'url="wss://box.example.com/twilio/t/k"' in dict(placed.form)["Twiml"]


def test_the_address_of_a_service_may_be_another_one_for_a_test() -> None:
    text = TWILIO_CALLS + "api_url = 'http://127.0.0.1:8081/2010-04-01/'"
    placed = lines(text, token=TOKEN, auth="secret").dialer("twilio", "wss://x/y").place("+46701234567")
    assert not isinstance(placed, Closed)
    assert placed.url == "http://127.0.0.1:8081/2010-04-01/Accounts/AC1/Calls.json"


def test_somebody_on_the_telephone_has_no_button_to_hold() -> None:
    held = agents("panel.press = 'push_to_talk'")
    assert held.make("parrot", lambda: 0.0).detection is Detection.MANUAL
    assert held.make("parrot", lambda: 0.0, by_line=True).detection is Detection.LOCAL


def test_what_to_enter_where_is_told_for_the_lines_that_are_there_and_without_the_token() -> None:
    text = TWILIO + "[line.elks]\npath_token_file = 'token'"
    told = lines(text, token=TOKEN).setup(show_token=False)
    assert "box.example.com" in told
    assert TOKEN not in told
    shown = lines(text, token=TOKEN).setup(show_token=True)
    assert f"wss://box.example.com/elks/{TOKEN}" in shown
    assert "Fill lines.url" in lines(ELKS, token=TOKEN).setup(show_token=False)
