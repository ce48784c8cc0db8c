"""Which services are gone to, and what is asked there: on loopback, with files that are made up."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgevoice.catalogue import Agents
from edgevoice.config import Secret, load
from edgevoice.doctor.calling import called, line_facts, tried
from edgevoice.doctor.facts import KeyAnswer
from edgevoice.errors import ConfigError
from tests.doctor.certificates import certificate
from tests.doctor.service import KEY, Service

TOKEN = "0123456789abcdef0123456789abcdef"
LINES = '[lines]\nlisten = "127.0.0.1:0"\nurl = "https://localhost:1"\n'
ELKS = '[line.elks]\npath_token_file = "token"\napi_credentials_file = "login"\nnumber = "+4612345678"\n'
TWILIO = '[line.twilio]\npath_token_file = "token"\naccount_sid = "AC1"\nauth_token_file = "login"\n'


@dataclass
class Kept:
    """The files that a configuration names, by name; those `denied` are for somebody else."""

    secrets: dict[str, str] = field(default_factory=lambda: {"token": TOKEN, "key": KEY, "login": "u1:secret"})
    paths: dict[str, Path] = field(default_factory=dict)
    denied: bool = False

    def secret(self, name: str, key: str) -> Secret:
        if self.denied:
            raise ConfigError([f"$.{key}: cannot read {name}: Permission denied; let the user read it"])
        if name not in self.secrets:
            raise ConfigError([f"$.{key}: there is no file {name}"])
        return Secret(self.secrets[name])

    def text(self, name: str, key: str) -> str:
        raise ConfigError([f"$.{key}: there is no file {name}"])

    def path(self, name: str, key: str) -> Path:
        if name not in self.paths:
            raise ConfigError([f"$.{key}: there is no file {name}"])
        return self.paths[name]


def agents(text: str, files: Kept | None = None) -> Agents:
    return Agents(load(text, source="test"), files or Kept())


def openai(port: int, more: str = 'api_key_file = "key"') -> str:
    url = f"ws://localhost:{port}/v1/realtime"
    return f'[call]\nbutton = "openai"\n[agent.openai]\nurl = "{url}"\nmodel = "m"\n{more}\n'


def test_only_what_the_configuration_calls_is_gone_to() -> None:
    assert called(load("")) == {}
    assert called(load('[call]\nfallback = "openai"\n')) == {"openai": "wss://api.openai.com/v1/realtime"}
    assert called(load('[call]\nincoming = "openai"\n')) == {}, "nobody comes in"
    sip = '[[line.sip]]\nregistrar = "sip:pbx.example.com"\nuser = "u"\n'
    assert called(load('[call]\nincoming = "openai"\n' + sip)) == {"openai": "wss://api.openai.com/v1/realtime"}
    contacts = '[call.contacts]\n"the desk" = "openai"\n'
    assert called(load(contacts)) == {"openai": "wss://api.openai.com/v1/realtime"}, "an agent may connect to it"
    assert called(load(LINES + ELKS + '[call]\nincoming = "openai"\n')) == {
        "openai": "wss://api.openai.com/v1/realtime",
        "elks": "https://api.46elks.com/a1",
    }
    assert called(load(LINES + TWILIO)) == {"twilio": "https://api.twilio.com/2010-04-01"}


def test_a_key_that_is_not_there_is_told_by_its_place_in_the_configuration() -> None:
    with Service() as service:
        url = f"ws://localhost:{service.port}/v1/realtime"
        reached, answer = tried("openai", url, agents(openai(service.port), Kept(secrets={})))
    assert reached.trouble == ""
    assert answer == KeyAnswer(
        "openai", "localhost", trouble="$.agent.openai.api_key_file: there is no file key", missing=True
    )


def test_a_key_that_is_for_somebody_else_is_not_taken_for_a_missing_one() -> None:
    with Service() as service:
        url = f"ws://localhost:{service.port}/v1/realtime"
        _, answer = tried("openai", url, agents(openai(service.port), Kept(denied=True)))
    assert (answer.unreadable, answer.missing) == (True, False)


def test_an_agent_without_a_key_is_asked_nothing() -> None:
    with Service() as service:
        url = f"ws://localhost:{service.port}/v1/realtime"
        _, answer = tried("openai", url, agents(openai(service.port, 'api_key_file = ""')))
        assert {method for method, _, _ in service.asked} == {"HEAD"}
    assert answer == KeyAnswer("openai", "localhost")


@pytest.mark.parametrize(
    ("line", "text", "path", "login"),
    [("elks", ELKS, "/a1/me", "u1:secret"), ("twilio", TWILIO, "/a1/Accounts/AC1.json", "AC1:u1:secret")],
)
def test_a_line_shows_its_login_to_an_address_that_costs_nothing(line: str, text: str, path: str, login: str) -> None:
    basic = f"Basic {base64.b64encode(login.encode()).decode()}"
    with Service(key=basic, path=path) as service:
        base = f"http://localhost:{service.port}/a1"
        _, answer = tried(line, base, agents(f'{LINES}{text}api_url = "{base}"\n'))
        assert service.asked[-1] == ("GET", path, basic)
    assert answer == KeyAnswer(line, "localhost", 200, asked=True)


@pytest.mark.parametrize(("key", "status"), [(KEY, 200), ("sk_another", 401)])
def test_a_private_agent_at_elevenlabs_is_asked_for_an_address_which_costs_nothing(key: str, status: int) -> None:
    path = "/v1/convai/conversation/get-signed-url?agent_id=agent_1"
    with Service(key=key, path=path) as service:
        url = f"ws://localhost:{service.port}/v1/convai/conversation"
        text = f'agent_id = "agent_1"\nurl = "{url}"\napi_key_file = "key"'
        configured = agents(f'[call]\nbutton = "elevenlabs"\n[agent.elevenlabs]\n{text}\n')
        assert called(configured.config) == {"elevenlabs": url}
        _, answer = tried("elevenlabs", url, configured)
        assert service.asked[-1] == ("GET", path, KEY)
    assert answer == KeyAnswer("elevenlabs", "localhost", status, asked=True, model="agent_1", setting="agent_id")


def test_a_public_agent_at_elevenlabs_is_asked_nothing() -> None:
    with Service() as service:
        url = f"ws://localhost:{service.port}/v1/convai/conversation"
        text = f'[call]\nbutton = "elevenlabs"\n[agent.elevenlabs]\nagent_id = "agent_1"\nurl = "{url}"\n'
        _, answer = tried("elevenlabs", url, agents(text))
    assert answer == KeyAnswer("elevenlabs", "localhost")


@pytest.mark.parametrize(("key", "status"), [(KEY, 200), ("AIza-wrong", 400)])
def test_gemini_is_asked_for_the_model_and_says_in_words_that_a_key_is_wrong(key: str, status: int) -> None:
    refusal = 400, b'{"error": {"details": [{"reason": "API_KEY_INVALID"}]}}'
    with Service(key=KEY, path="/v1beta/models/m", refusal=refusal) as service:
        url = f"ws://localhost:{service.port}/ws/x"
        text = f'[call]\nbutton = "gemini"\n[agent.gemini]\nurl = "{url}"\nmodel = "m"\napi_key_file = "key"\n'
        assert called(load(text)) == {"gemini": url}
        _, answer = tried("gemini", url, agents(text, Kept(secrets={"key": key})))
        assert service.asked[-1] == ("GET", "/v1beta/models/m", key)
    assert answer == KeyAnswer("gemini", "localhost", status, asked=True, model="m", invalid=status == 400)


def test_a_service_that_breaks_off_over_the_key_is_asked_but_not_known() -> None:
    with Service(silent=True) as service:
        url = f"ws://localhost:{service.port}/v1/realtime"
        _, answer = tried("openai", url, agents(openai(service.port)))
    assert (answer.status, answer.asked, answer.missing) == (0, True, False)
    assert answer.trouble != ""
    assert KEY not in answer.trouble


def test_lines_that_are_not_configured_are_not_looked_at() -> None:
    facts = line_facts(load(""), None, agents(""))
    assert (facts.lines.listen, facts.certificate, facts.secrets) == ("", "", ())


def lines_with(folder: Path, **dates: float) -> Agents:
    chain, key = certificate(folder / "certificate", **dates)
    text = LINES + 'certificate_file = "chain"\nprivate_key_file = "private"\n' + ELKS
    return agents(text, Kept(paths={"chain": chain, "private": key}))


def test_a_good_certificate_and_a_good_token_say_nothing(tmp_path: Path) -> None:
    found = lines_with(tmp_path)
    facts = line_facts(found.config, None, found)
    assert (facts.trouble, facts.certificate, facts.certificate_bad, facts.secrets) == ("", "", False, ())


@pytest.mark.parametrize(("begins", "ends", "bad"), [(-20, -10, True), (10, 20, True), (-20, 5, False)])
def test_the_dates_of_a_certificate_are_judged(tmp_path: Path, begins: int, ends: int, bad: bool) -> None:
    found = lines_with(tmp_path, begins_days=begins, ends_days=ends)
    facts = line_facts(found.config, None, found)
    assert facts.certificate != ""
    assert facts.certificate_bad is bad


def test_a_certificate_that_is_not_there_and_a_weak_token_are_told(tmp_path: Path) -> None:
    found = agents(
        LINES + 'certificate_file = "chain"\nprivate_key_file = "private"\n' + ELKS, Kept(secrets={"token": "short"})
    )
    facts = line_facts(found.config, None, found)
    assert (facts.certificate, facts.certificate_bad) == ("$.lines.certificate_file: there is no file chain", True)
    assert [problem[:35] for problem in facts.secrets] == ["$.line.elks.path_token_file: expect"]


def test_what_a_running_box_says_of_its_lines_is_taken(tmp_path: Path) -> None:
    found = lines_with(tmp_path)
    box = {"lines": {"listen": "127.0.0.1:8443", "trouble": "the phone lines cannot listen on 127.0.0.1:8443"}}
    facts = line_facts(found.config, box, found)
    assert (facts.by_box, facts.address) == (True, "127.0.0.1:8443")
    assert facts.trouble == "the phone lines cannot listen on 127.0.0.1:8443"
    assert (facts.health, facts.health_trouble != "") == (0, True), "nobody is at lines.url"
    expiring = {"lines": {"listen": "127.0.0.1:8443", "trouble": "the certificate expires in 3 days: renew it"}}
    assert line_facts(found.config, expiring, found).trouble == ""
