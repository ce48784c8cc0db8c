"""What is wrong with an account is said before the first call, and not by the library at three in the night."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgevoice.config import Secret, load
from edgevoice.errors import ConfigError
from edgevoice.line_catalogue import PhoneLines

ACCOUNT = '[[line.sip]]\nregistrar = "{registrar}"\nuser = "6001"\n{more}\n'


def problems(*accounts: str, before: str = "") -> list[str]:
    text = before + "".join(
        account if account.startswith("[[") else ACCOUNT.format(registrar="pbx.example", more=account)
        for account in accounts
    )
    try:
        load(text, source="t")
    except ConfigError as error:
        return [problem.removeprefix("t: $.line.sip") for problem in error.problems]
    return []


def at(registrar: str, more: str = "") -> str:
    return ACCOUNT.format(registrar=registrar, more=more)


@pytest.mark.parametrize(
    "registrar",
    ["pbx.example", "pbx.example:5061", "sip:pbx.example;transport=tcp", "192.0.2.7:5080", "[2001:db8::1]:5060"],
)
def test_a_registrar_is_taken_as_the_pbx_shows_it(registrar: str) -> None:
    assert problems(at(registrar)) == []


@pytest.mark.parametrize("registrar", ["192.0.2.7", "192.0.2.7:5061", "sips:192.0.2.7", "[2001:db8::1]:5061"])
def test_over_tls_an_address_is_refused_as_no_certificate_names_it(registrar: str) -> None:
    (problem,) = problems(at(registrar, 'transport = "tls"'))
    assert (
        problem
        == "[0].registrar: with tls name the registrar by its host name: no certificate is checked for an address"
    )


@pytest.mark.parametrize("registrar", ["pbx example", "6001@pbx.example", "pbx.example>", "pbx.example/x"])
def test_a_registrar_that_the_library_would_misread_is_refused(registrar: str) -> None:
    (problem,) = problems(at(registrar))
    assert "cannot stand in a SIP address" in problem


def test_a_user_that_the_library_would_misread_is_refused() -> None:
    (problem,) = problems('[[line.sip]]\nregistrar = "pbx.example"\nuser = "6001@pbx"')
    assert problem.startswith('[0].user: "6001@pbx" cannot stand in a SIP address')


def test_an_account_without_a_codec_is_refused() -> None:
    assert problems("codecs = []") == ["[0].codecs: without a codec nobody is heard; name at least one"]


def test_keys_of_srtp_do_not_travel_in_clear() -> None:
    (problem,) = problems('srtp = "mandatory"')
    assert problem == '[0].srtp: its keys travel in the SIP messages: use transport = "tls"'


def test_two_accounts_share_one_file_of_authorities() -> None:
    assert problems('ca_file = "a.crt"', 'ca_file = "a.crt"') == []
    assert problems('ca_file = "a.crt"', 'ca_file = "b.crt"') == [
        "[1].ca_file: one file is for all accounts: name the same in each"
    ]


AUTOMATIC = "[call]\nauto_answer = true\n"
TLS, UDP = 'transport = "tls"\nallow = ["boss"]', 'allow = ["boss"]'


def test_who_wants_the_boss_answered_over_udp_is_told_that_it_could_be_anybody() -> None:
    assert problems(TLS, before=AUTOMATIC) == []
    assert problems(UDP + '\nsecret_header = "X-Door: secret"', before=AUTOMATIC) == []
    (problem,) = problems(UDP, before=AUTOMATIC)
    assert problem.startswith("[0].allow: over UDP anybody may claim to be on it; use")


def test_beside_an_account_over_udp_the_boss_could_be_anybody_too() -> None:
    (problem,) = problems(TLS, "", before=AUTOMATIC)
    assert problem.startswith("[0].allow: over UDP anybody may claim to be on it, and line.sip[1] uses it; use")


@dataclass
class Files:
    """Files that are there as a dictionary says."""

    content: dict[str, str] = field(default_factory=dict)

    def secret(self, name: str, key: str) -> Secret:
        return Secret(self.content[name])

    def text(self, name: str, key: str) -> str:
        return self.content[name]

    def path(self, name: str, key: str) -> Path:
        return Path(name)


def lines(text: str, **content: str) -> PhoneLines:
    return PhoneLines(load(text), Files(content))


@pytest.mark.parametrize("password", ['a"b', "a\\b"])
def test_a_password_that_the_library_cannot_send_is_refused_and_not_shown(password: str) -> None:
    with pytest.raises(ConfigError) as refused:
        lines(at("pbx.example", 'password_file = "pw"'), pw=password).sip()
    assert "quotation mark or a backslash" in refused.value.problems[0]
    assert password not in refused.value.problems[0]


def test_a_box_with_one_account_over_udp_trusts_the_connection_of_none() -> None:
    accounts, start = lines(at("a.example", 'transport = "tls"') + at("b.example")).sip()
    assert [account.beside_udp for account in accounts] == [True, True]
    accounts, start = lines(at("a.example", 'transport = "tls"')).sip()
    assert [account.beside_udp for account in accounts] == [False]
    assert isinstance(start["config"], dict)
    assert "sip_transports tls\n" in start["config"]["extra_config_text"]
