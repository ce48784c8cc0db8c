"""What the doctor says of a SIP registrar, with facts that are made up, and of registrars on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgevoice.doctor.calling import registrars
from edgevoice.doctor.facts import Registrar
from edgevoice.doctor.finding import Finding, Level
from edgevoice.doctor.registrars import check_registrar
from edgevoice.drivers import registrar as driver
from edgevoice.drivers.registrar import look
from tests.doctor.test_calling import agents
from tests.ports import free_port
from tests.sip.peer import Peer, answer, over_tcp, over_udp
from tests.sip.peers import certificate

OK, WARNING, FAILED = Level.OK, Level.WARNING, Level.FAILED
REACHED = Registrar("pbx.example.com", "tls", version="TLSv1.3", answers=True)
RUNNING = replace(REACHED, by_box=True)


def told(found: Finding) -> tuple[Level, str]:
    return found.level, found.sentence


def test_a_registrar_at_which_the_box_is_registered_is_well_even_if_it_does_not_answer_strangers() -> None:
    found = check_registrar(replace(RUNNING, registered_s=97, answers=False))
    assert (found.name, *told(found)) == (
        *("SIP pbx.example.com", OK),
        "the box is registered over TLSv1.3, for the next 97 s",
    )


def test_without_the_box_it_is_said_what_is_not_known() -> None:
    level, sentence = told(check_registrar(REACHED))
    assert (level, "the password is not tried" in sentence) == (OK, True)
    silent = replace(REACHED, transport="udp", version="", answers=False)
    assert told(check_registrar(silent)) == (
        WARNING,
        "nothing comes back over UDP: some answer nobody but their own",
    )


@pytest.mark.parametrize(
    ("found", "sentence", "advice"),
    [
        (replace(RUNNING, dns_trouble="no answer within 4 s"), "the name is not found: no answer within 4 s", "spelt"),
        (replace(RUNNING, trouble="Connection refused"), "not reached over TLSv1.3: Connection refused", "firewall"),
        (
            replace(RUNNING, certificate_trouble="self-signed certificate"),
            "its certificate is not good: self-signed certificate",
            "line.sip.ca_file",
        ),
        (
            replace(RUNNING, certificate_trouble="certificate has expired", dates_wrong=True),
            "its certificate is not good: certificate has expired",
            "clock",
        ),
        (
            replace(RUNNING, box_trouble="the registrar does not accept user and password"),
            "not registered: the registrar does not accept user and password",
            "line.sip.password_file",
        ),
        (replace(RUNNING, box_trouble="the worker hung"), "not registered: the worker hung", "journalctl"),
    ],
)
def test_each_way_not_to_be_registered_has_its_own_sentence_and_advice(
    found: Registrar, sentence: str, advice: str
) -> None:
    finding = check_registrar(found)
    assert told(finding) == (FAILED, sentence)
    assert advice in finding.advice


def test_a_box_that_has_just_started_is_given_a_moment() -> None:
    assert told(check_registrar(RUNNING)) == (WARNING, "the box is not registered yet")


# ----------------------------------------------------------------------------------------------- looked at for real


def looked_at(
    there: Callable[[], AbstractAsyncContextManager[Peer]], transport: str, ca_file: str = "", *, answers: bool = True
) -> Registrar:
    async def tale() -> Registrar:
        async with there() as peer:
            host = "localhost" if transport == "tls" else "127.0.0.1"
            looking = asyncio.ensure_future(asyncio.to_thread(look, f"{host}:{peer.port}", transport, ca_file))
            if answers:
                asked = await peer.expect("OPTIONS")
                assert "6001" not in asked.get("From")
                answer(asked, "405 Method Not Allowed")
            return await looking

    return asyncio.run(tale())


@pytest.mark.parametrize(("there", "transport"), [(over_udp, "udp"), (over_tcp, "tcp")])
def test_a_registrar_that_says_anything_at_all_is_there(there: Any, transport: str) -> None:
    found = looked_at(there, transport)
    assert (found.answers, found.trouble, found.version) == (True, "", "")


def test_one_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "ANSWER_S", 0.2)
    assert not looked_at(over_udp, "udp", answers=False).answers


def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    port = free_port()
    assert look(f"127.0.0.1:{port}", "tcp", "").trouble == "Connection refused"
    assert look(f"127.0.0.1:{port}", "udp", "").trouble == "Connection refused"
    assert look("no-such-host.invalid", "tls", "").dns_trouble


@pytest.mark.parametrize(("made_for", "trusted", "trouble"), [
    ("localhost", True, ""),
    ("elsewhere.example", True, "Hostname mismatch"),
    ("localhost", False, "certificate"),
])  # fmt: skip
def test_the_certificate_is_looked_at_as_the_box_does(
    made_for: str, trusted: bool, trouble: str, tmp_path: Path
) -> None:
    certificate(tmp_path, "authority", "")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, "server", made_for, issuer="authority"))
    ca_file = str(tmp_path / "authority.crt") if trusted else ""
    found = looked_at(lambda: over_tcp(context), "tls", ca_file, answers=not trouble)
    assert trouble in found.certificate_trouble
    assert (found.certificate_trouble == "", found.version) == ((True, "TLSv1.3") if not trouble else (False, ""))


def test_what_the_running_box_says_of_each_account_is_taken() -> None:
    port = free_port()
    account = f'[[line.sip]]\nregistrar = "127.0.0.1:{port}"\nuser = "6001"\ntransport = "tcp"\n'
    found = agents(account + account)
    accounts = [{"registered_s": 60, "trouble": None}, {"registered_s": None, "trouble": "refused"}]
    box = {"lines": {"sip": {"trouble": None, "accounts": accounts}}}
    first, second = (look() for look in registrars(found.config, box, found))
    assert (first.by_box, first.registered_s, first.box_trouble) == (True, 60, "")
    assert (second.registered_s, second.box_trouble) == (None, "refused")
    (alone, _) = (look() for look in registrars(found.config, None, found))
    assert (alone.by_box, alone.registered_s, alone.trouble) == (False, None, "Connection refused")
