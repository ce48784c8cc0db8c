"""Registering: at Kamailio with digest, over TLS at whom the certificate names, and at registrars that misbehave."""

from __future__ import annotations

import asyncio
import ssl
from array import array
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgevoice.events import Closed, End, Progress, Stage
from edgevoice.lines.service import Flowing
from edgevoice.lines.sip_account import Account, route
from tests.ports import free_port
from tests.sip.desk import desk
from tests.sip.peer import accept, answer, over_tcp, over_udp, refuse
from tests.sip.peers import baresip, certificate, kamailio, sipp


def story(tale: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(tale())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_boxes_talk_through_a_registrar_that_wants_their_passwords(transport: str, tmp_path: Path) -> None:
    async def tale() -> None:
        async with kamailio(tmp_path) as port:
            first = Account(f"127.0.0.1:{port}", "6001", transport=transport)
            second = Account(f"127.0.0.1:{port}", "6002", transport=transport)
            async with desk(first) as here, desk(second, password="secret6002") as there:
                await here.registered()
                await there.registered()
                ours = here.dial(second.address("6002"))
                theirs, _ = await there.visitor()
                assert (await theirs.began()).caller == "6001"
                await ours.hears(Progress(Stage.RINGING))
                theirs.answer()
                await ours.hears(Flowing())
                await theirs.hears(Flowing())
                await ours.until(lambda: len(ours.sound) > 8_000)
                theirs.hang_up()
                assert await ours.closed() == Closed(End.HUNG_UP, "the other side hung up")
                assert (await here.dial(first.address("6009")).closed()).end is End.WRONG_NUMBER

    story(tale)


def test_a_wrong_password_is_said_and_not_tried_again_and_again(tmp_path: Path) -> None:
    async def tale() -> None:
        async with kamailio(tmp_path) as port, desk(Account(f"127.0.0.1:{port}", "6001"), password="guess") as ours:
            registration = ours.endpoint.registrations[0]
            await ours.until(lambda: registration.trouble)
            assert registration.trouble == "the registrar does not accept user and password"
            assert registration.deadline > asyncio.get_running_loop().time() + 250

    story(tale)


def test_a_registrar_that_forbids_is_asked_once() -> None:
    async def tale() -> None:
        async with over_udp() as peer:
            peer.registrar = refuse
            async with desk(Account(f"127.0.0.1:{peer.port}", "6001")) as ours:
                await ours.until(lambda: ours.endpoint.registrations[0].trouble)
            assert len(peer.registers) == 2, "without and with an answer to the challenge"

    story(tale)


def test_a_registrar_that_starts_after_the_box_is_found(tmp_path: Path) -> None:
    async def tale() -> None:
        port = free_port()
        async with desk(Account(f"127.0.0.1:{port}", "6001", transport="tcp")) as ours:
            await ours.until(lambda: ours.endpoint.registrations[0].trouble)
            assert "cannot be reached" in ours.endpoint.registrations[0].trouble
            async with kamailio(tmp_path, port):
                await ours.registered(within_s=40.0)

    story(tale)


def test_a_registrar_that_was_restarted_has_the_box_again_within_seconds(tmp_path: Path) -> None:
    async def tale() -> None:
        async with kamailio(tmp_path) as port:
            account = Account(f"127.0.0.1:{port}", "6001", transport="tcp")
            async with desk(account) as ours:
                await ours.registered()
                ours.endpoint.registrations[0].failed(0, 0.0)  # as the library says when a renewal fails
                await ours.registered()

    story(tale)


@pytest.mark.parametrize("first", [True, False])
def test_a_connection_that_is_cut_is_made_again_at_once(first: bool) -> None:
    async def tale() -> None:
        async with over_tcp() as peer, desk(Account(f"127.0.0.1:{peer.port}", "6001", transport="tcp")) as ours:
            await ours.registered()
            asked = len(peer.registers)
            for writer in peer.cut:
                writer.close()
            if not first:
                peer.registrar = lambda register: answer(register, "503 Service Unavailable")
                await ours.until(lambda: ours.endpoint.registrations[0].trouble)
                peer.registrar = accept
            await ours.until(lambda: len(peer.registers) > asked and ours.endpoint.registrations[0].registered)

    story(tale)


def test_a_renewal_that_nobody_answers_is_followed_by_our_own_delays() -> None:
    async def tale() -> None:
        async with over_tcp() as peer:
            peer.registrar = partial(accept, expires=2)
            async with desk(Account(f"127.0.0.1:{peer.port}", "6001", transport="tcp")) as ours:
                await ours.registered()
                peer.registrar = lambda register: answer(register, "503 Service Unavailable")
                await ours.until(lambda: not ours.endpoint.registrations[0].registered)
                peer.registrar = accept
                await ours.registered()

    story(tale)


def test_a_registrar_that_says_yes_for_no_time_is_not_flooded() -> None:
    async def tale() -> None:
        async with over_udp() as peer:
            peer.registrar = partial(accept, expires=0)
            async with desk(Account(f"127.0.0.1:{peer.port}", "6001")) as ours:
                await ours.until(lambda: ours.endpoint.registrations[0].trouble)
                assert "for no time at all" in ours.endpoint.registrations[0].trouble
                asked = len(peer.registers)
                await asyncio.sleep(0.5)
                assert len(peer.registers) <= asked + 2

    story(tale)


def test_when_the_first_registrar_is_down_the_second_is_called() -> None:
    async def tale() -> None:
        async with over_udp() as dead, over_udp() as alive:
            dead.registrar = None
            accounts = [Account(f"127.0.0.1:{peer.port}", "6001") for peer in (dead, alive)]
            async with desk(*accounts) as ours:
                await ours.registered(1)
                found = route(accounts, ours.endpoint.registrations, "112")
                assert found == (1, f"sip:112@127.0.0.1:{alive.port}")
                ours.dial(found[1], found[0])
                await alive.expect("INVITE")

    story(tale)


# ------------------------------------------------------------------------------------------------------------ TLS


@pytest.mark.parametrize(
    ("made_for", "signed_by", "trusts", "registered"),
    [
        ("localhost", "authority", "authority", True),
        ("elsewhere.example", "authority", "authority", False),
        ("localhost", "", "authority", False),
        ("localhost", "stranger", "authority", False),
        ("localhost", "authority", "", False),
    ],
)
def test_over_tls_only_whom_the_certificate_names_gets_the_password(
    made_for: str, signed_by: str, trusts: str, registered: bool, tmp_path: Path
) -> None:
    for authority in ("authority", "stranger"):
        certificate(tmp_path, authority, "")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, "server", made_for, issuer=signed_by))
    ca_file = str(tmp_path / f"{trusts}.crt") if trusts else ""

    async def tale() -> None:
        async with over_tcp(context) as peer:
            account = Account(f"localhost:{peer.port}", "6001", transport="tls")
            async with desk(account, ca_file=ca_file) as ours:
                registration = ours.endpoint.registrations[0]
                await ours.until(lambda: registration.registered or registration.trouble)
                assert registration.registered is registered
                assert bool(peer.registers) is registered, "nothing is said to somebody else"

    story(tale)


# ----------------------------------------------------------------------------------------------------------- sipp


def test_a_telephone_that_asks_for_the_password_rings_holds_resumes_and_hangs_up(tmp_path: Path) -> None:
    async def tale() -> None:
        async with over_udp() as registrar, sipp("uas_answer_401.xml", tmp_path) as (port, process):
            account = Account(f"127.0.0.1:{registrar.port}", "6001")
            async with desk(account) as ours:
                await ours.registered()
                talk = ours.dial(f"sip:uas@127.0.0.1:{port}")
                for heard in (Progress(Stage.RINGING), Flowing(), Progress(Stage.HELD), Progress(Stage.RESUMED)):
                    await talk.hears(heard)
                assert (await talk.closed()).end is End.HUNG_UP
                assert await process.wait() == 0

    story(tale)


# -------------------------------------------------------------------------------------------------------- baresip


def test_another_telephone_answers_and_says_back_what_it_hears(tmp_path: Path) -> None:
    async def tale() -> None:
        async with kamailio(tmp_path) as port, baresip(tmp_path, port):
            account = Account(f"127.0.0.1:{port}", "6001")
            async with desk(account) as ours:
                await ours.registered()
                talk = ours.dial(account.address("6002"))
                while isinstance(await talk.outcome(), Closed):  # it registers as soon as it has started
                    talk = ours.dial(account.address("6002"))
                talk.say(*talk.service.play(b"\x40\x1f\xc0\xe0" * 4_000))  # a second of 4 kHz, loud
                await talk.until(lambda: max(array("h", bytes(talk.sound[-3_200:])), default=0) > 4_000)
                talk.say(*talk.service.keys("5"))
                await talk.until(lambda: "round_trip_ms" in talk.service.facts)
                assert talk.service.facts["loss_percent"] == 0.0
                talk.hang_up()

    story(tale)


@pytest.mark.parametrize("registrar", ["nobody.invalid", "255.255.255.255:9"])
def test_a_registrar_that_cannot_even_be_asked_costs_no_worker(registrar: str) -> None:
    async def tale() -> None:
        async with desk(Account(registrar, "6001")) as ours:
            await ours.until(lambda: ours.endpoint.registrations[0]._tries >= 3)
            assert "cannot be reached" in ours.endpoint.registrations[0].trouble
            assert ours.endpoint.workers == 1

    story(tale)
