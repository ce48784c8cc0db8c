"""SIP as far as it is pure: what the worker says, who may be answered, where a name leads, when to register again."""

from __future__ import annotations

import json
import struct
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.events import Answer, Audio, Closed, Digit, End, Listen, Opened, Progress, Stage, Uplink
from edgevoice.lines.line import Line
from edgevoice.lines.service import Began, Flowing, Reached
from edgevoice.lines.sip import Sip
from edgevoice.lines.sip_account import (
    REFUSED_S,
    RETRY_S,
    UNTIL_S,
    Account,
    Registration,
    caller,
    route,
    worker_account,
    worker_start,
)
from edgevoice.lines.sip_words import TIMED
from tests.fakes import LoudnessDetector

PBX = Account("pbx.example", "6001")


def said(**told: object) -> str:
    return json.dumps(told)


def incoming() -> Sip:
    sip = Sip(3)
    assert sip.receive(said(**{"is": "incoming", "id": "c1", "from": "sip:boss@pbx.example"}), 0.0) == (
        Began("c1", caller="boss"),
    )
    return sip


def talking() -> Sip:
    sip = incoming()
    assert sip.receive(said(**{"is": "established", "rate": 16_000, "id": "c1"}), 0.0) == (Flowing(),)
    return sip


def dialling() -> Sip:
    return Sip(4, {"account": 0, "uri": "sip:bob@pbx.example"})


# ------------------------------------------------------------------------------------------------------ a call


def test_a_call_that_came_in_is_answered_and_speaks_at_its_own_rate() -> None:
    sip = incoming()
    (answer,) = sip.begin()
    assert json.loads(answer) == {"do": "answer", "call": 3}
    sip.receive(said(**{"is": "established", "rate": 48_000, "id": "c1"}), 0.0)
    assert sip.rate == 48_000
    assert sip.receive(struct.pack(">Id", 3, 0.0) + b"\1\0\2\0", 0.0) == (Audio(b"\1\0\2\0"),)


def test_a_call_that_we_make_is_dialled_first_and_begins_with_its_sound() -> None:
    sip = dialling()
    (dial,) = sip.open()
    assert json.loads(dial) == {"do": "dial", "call": 4, "ring_s": 60, "account": 0, "uri": "sip:bob@pbx.example"}
    assert sip.receive(said(**{"is": "ringing"}), 0.0) == (Progress(Stage.RINGING),)
    early = said(**{"is": "early", "rate": 8_000, "id": "c2"})
    assert sip.receive(early, 1.0) == (Began("c2"), Progress(Stage.EARLY_MEDIA))
    assert sip.receive(said(**{"is": "established", "rate": 16_000, "id": "c2"}), 2.0) == (Flowing(),)
    assert sip.rate == 16_000


def test_nobody_rings_when_the_button_was_pressed_again_at_once() -> None:
    sip = dialling()
    sip.end()
    assert sip.open() == ()


def test_what_happens_in_a_call_is_told() -> None:
    sip = talking()
    assert sip.receive(said(**{"is": "key", "key": "#"}), 0.0) == (Digit("#"),)
    assert sip.receive(said(**{"is": "held"}), 0.0) == (Progress(Stage.HELD),)
    assert sip.receive(said(**{"is": "resumed"}), 0.0) == (Progress(Stage.RESUMED),)
    assert sip.receive(said(**{"is": "reached", "name": "m1"}), 0.0) == (Reached("m1"),)
    assert sip.receive(said(**{"is": "quality", "facts": {"loss_percent": 0.5}}), 0.0) == ()
    assert sip.facts == {"codec": "G722", "loss_percent": 0.5}


def test_of_a_call_that_rings_no_codec_is_told() -> None:
    assert incoming().facts == {}


def test_nothing_is_sent_in_a_call_that_is_over() -> None:
    sip = talking()
    sip.receive(said(**{"is": "closed", "status": 200}), 0.0)
    assert [*sip.play(b"\0\0"), *sip.mark("m"), *sip.clear(0.0), *sip.keys("1"), *sip.end()] == []


def test_a_caller_who_is_not_answered_hears_busy_and_one_who_is_hears_the_end() -> None:
    assert json.loads(incoming().end()[0]) == {"do": "end", "call": 3, "status": 486}
    assert json.loads(talking().end()[0]) == {"do": "end", "call": 3, "status": 0}


@pytest.mark.parametrize("number", [123, 379, 123 << 8, 123 << 16])
def test_the_sound_of_no_call_looks_like_a_message(number: int) -> None:
    (packet,) = Sip(number).play(b"\0\0")
    assert packet[:1] != b"{"


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (401, End.BAD_CREDENTIALS),
        (407, End.BAD_CREDENTIALS),
        (403, End.REFUSED),
        (404, End.WRONG_NUMBER),
        (484, End.WRONG_NUMBER),
        (408, End.NO_ANSWER),
        (480, End.NO_ANSWER),
        (486, End.BUSY),
        (600, End.BUSY),
        (603, End.REFUSED),
        (488, End.REFUSED),
        (487, End.HUNG_UP),
        (200, End.HUNG_UP),
        (503, End.LINK_LOST),
        (0, End.LINK_LOST),
        (499, End.REFUSED),
    ],
)
def test_each_way_to_fail_has_its_own_end(status: int, end: End) -> None:
    (closed,) = dialling().receive(said(**{"is": "closed", "status": status}), 0.0)
    assert isinstance(closed, Closed)
    assert closed.end is end
    assert closed.reason


def test_a_call_whose_sound_stops_is_a_lost_link_and_one_that_is_ended_was_hung_up() -> None:
    assert talking().receive(said(**{"is": "closed", "status": 0}), 0.0)[0] == Closed(
        End.LINK_LOST, "no sound came any more"
    )
    assert talking().receive(said(**{"is": "closed", "status": 200}), 0.0)[0] == Closed(
        End.HUNG_UP, "the other side hung up"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KINDS = ("incoming", "ringing", "early", "established", "key", "held", "resumed", "reached", "quality", "closed", "?")
FACTS = st.dictionaries(st.sampled_from(["id", "from", "rate", "key", "name", "facts", "status", "call"]), JSON)


@given(st.lists(st.tuples(st.sampled_from(KINDS), FACTS) | st.text() | st.binary() | JSON, max_size=8))
def test_whatever_the_worker_says_nothing_raises(messages: list[Any]) -> None:
    sip = Sip(3)
    for message in messages:
        if isinstance(message, str | bytes):
            sip.receive(message, 0.0)
        elif isinstance(message, tuple):
            sip.receive(json.dumps({**message[1], "is": message[0]}), 0.0)
        else:
            sip.receive(json.dumps(message), 0.0)
    assert sip.rate in (8_000, 16_000, 48_000)


def test_what_makes_no_sense_is_counted() -> None:
    sip = talking()
    nonsense: list[str | bytes] = [
        "",
        "[",
        "[" * 100_000,
        "7",
        "{}",
        said(**{"is": "established", "rate": 11_025, "id": "c1"}),
        b"\0\0\0\3\1",
        *(TIMED.pack(1, at) + bytes(640) for at in (inf, nan, -inf, 1e300)),
    ]
    for message in nonsense:
        assert sip.receive(message, 0.0) == ()
    assert sip.receive(said(**{"is": "key", "key": "12"}), 0.0) == ()
    assert sip.faults == len(nonsense) + 1


# ------------------------------------------------------------------------------------------------- who may come in


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("sip:6007@127.0.0.1:5080", "6007"),
        ('"Boss" <sip:boss@pbx.example;transport=tls>', "boss"),
        ("<sips:+46701234567@pbx.example>;tag=1", "+46701234567"),
        ("sip:boss:secret@pbx.example", "boss"),
        ('"sip:boss@pbx.example" <sip:thief@evil.example>', "thief"),
        ("sip:boss@pbx.example <sip:thief@evil.example>", "thief"),
        ("sip:pbx.example", ""),
        ("tel:+46701234567", ""),
        ("", ""),
    ],
)
def test_who_calls_is_the_user_of_the_address_whatever_the_name_says(address: str, who: str) -> None:
    assert caller(address) == who


def account(**more: object) -> Account:
    return Account(**{"registrar": "pbx.example", "user": "6001", "allow": ("boss",), **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(("transport", "believed"), [("udp", False), ("tcp", True), ("tls", True)])
def test_over_udp_nobody_is_believed(transport: str, believed: bool) -> None:
    assert account(transport=transport).may_be_answered("boss", "") is believed


def test_beside_an_account_over_udp_a_connection_proves_nothing() -> None:
    assert not account(transport="tls", beside_udp=True).may_be_answered("boss", "")


def test_a_secret_header_is_believed_over_udp_and_its_absence_on_no_connection() -> None:
    for transport in ("udp", "tls"):
        guarded = account(transport=transport, header=("X-Door", "open sesame"), beside_udp=True)
        assert guarded.may_be_answered("boss", "open sesame")
        assert not guarded.may_be_answered("boss", "")
        assert not guarded.may_be_answered("boss", "open sesam\ud800")


def test_a_header_whose_secret_is_empty_opens_nothing() -> None:
    assert not account(transport="tls", header=("X-Door", "")).may_be_answered("boss", "")


def test_who_is_not_on_the_list_is_not_answered_automatically() -> None:
    assert not account(transport="tls").may_be_answered("thief", "")
    assert not account(transport="tls", allow=("",)).may_be_answered("", "")


def test_a_secret_is_not_shown_with_its_account() -> None:
    assert "sesame" not in repr(account(header=("X-Door", "open sesame")))


# ---------------------------------------------------------------------------------------------------- where to


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("reception", "sip:100@pbx.example"),
        ("far", "sips:door@far.example"),
        ("house", "sip:9@house.example"),
        ("+46701234567", "sip:+46701234567@pbx.example"),
        ("bob@far.example", "sip:bob@far.example"),
        ("sip:bob@far.example", "sip:bob@far.example"),
    ],
)
def test_a_name_leads_to_its_address_and_a_number_to_the_registrar(target: str, address: str) -> None:
    targets = {"reception": "100", "far": "sips:door@far.example", "house": "9@house.example"}
    assert Account("sip:pbx.example;transport=tls", "6001", targets=targets).address(target) == address


def registrations(*registered: bool) -> list[Registration]:
    found = [Registration() for _ in registered]
    for one, yes in zip(found, registered, strict=True):
        if yes:
            one.succeeded(0.0)
    return found


FIRST = Account("a.example", "1", targets={"reception": "100"})
SECOND = Account("b.example", "2", targets={"reception": "200", "gate": "300"})


@pytest.mark.parametrize(
    ("registered", "name", "found"),
    [
        ((True, True), "reception", (0, "sip:100@a.example")),
        ((False, True), "reception", (1, "sip:200@b.example")),
        ((True, True), "gate", (1, "sip:300@b.example")),
        ((True, False), "gate", (0, "sip:300@b.example")),
        ((True, True), "112", (0, "sip:112@a.example")),
        ((False, True), "112", (1, "sip:112@b.example")),
        ((False, False), "112", None),
    ],
)
def test_the_first_account_that_is_registered_makes_the_call(
    registered: tuple[bool, bool], name: str, found: tuple[int, str] | None
) -> None:
    assert route([FIRST, SECOND], registrations(*registered), name) == found


# --------------------------------------------------------------------------------------------------- registration


def test_a_registrar_that_is_away_is_asked_after_1_2_5_10_and_then_every_30_s() -> None:
    registration, at, delays = Registration(), 0.0, []
    assert registration.deadline == 0.0
    for _ in range(7):
        registration.asked(at)
        assert registration.deadline == inf
        registration.failed(0, at)
        registration.failed(0, at)  # the library says it twice
        delays.append(registration.deadline - at)
        at = registration.deadline
    assert delays == [*RETRY_S, 30.0, 30.0] == [1.0, 2.0, 5.0, 10.0, 30.0, 30.0, 30.0]


def test_after_a_success_the_delays_begin_anew() -> None:
    registration = registrations(True)[0]
    for _ in range(3):
        registration.asked(0.0)
        registration.failed(503, 0.0)
    registration.asked(0.0)
    registration.succeeded(10.0)
    assert (registration.registered, registration.trouble, registration.until) == (True, "", 10.0 + UNTIL_S)
    registration.failed(0, 20.0)
    assert (registration.registered, registration.until, registration.deadline) == (False, None, 21.0)


@pytest.mark.parametrize("status", [401, 403, 404, 407])
def test_a_wrong_password_is_told_once_and_tried_again_seldom(status: int) -> None:
    registration = Registration()
    registration.asked(0.0)
    assert registration.failed(status, 0.0)
    assert registration.failed(status, 0.0) == ""
    assert registration.deadline == REFUSED_S == 300.0
    registration.asked(300.0)
    assert registration.failed(status, 300.0) == ""
    registration.lost(301.0)
    assert registration.deadline == 600.0, "a new worker is no reason to ask again"


def test_another_trouble_is_news() -> None:
    registration = Registration()
    registration.asked(0.0)
    first = registration.failed(0, 0.0)
    registration.asked(1.0)
    assert registration.failed(403, 1.0) not in ("", first)


def test_a_registration_that_nobody_has_renewed_is_asked_for() -> None:
    registration = registrations(True)[0]
    assert registration.deadline == UNTIL_S
    registration.succeeded(100.0)
    assert registration.deadline == 100.0 + UNTIL_S


def test_a_new_worker_registers_at_once() -> None:
    registration = registrations(True)[0]
    registration.lost(7.0)
    assert (registration.registered, registration.until, registration.deadline) == (False, None, 7.0)


# ------------------------------------------------------------------------------------------------- the worker


def test_no_certificate_goes_unchecked_and_no_pictures_are_asked_for() -> None:
    tls = Account("pbx.example", "6001", transport="tls")
    known = worker_account(tls, "pw", codecs=("G722", "PCMA"), srtp="mandatory")
    assert known["extra_params"] == ["mediaenc=srtp-mand", "video_codecs=none"]
    assert known["audio_codecs"] == ["G722/16000/1", "PCMA/8000/1"]
    config = worker_start([tls], [known], calls=4, jitter_ms=40, ca_file="")["config"]
    assert isinstance(config, dict)
    text = config["extra_config_text"].splitlines()
    assert {"sip_transports tls", "sip_verify_server yes"} <= set(text)
    assert "sip_cafile /etc/ssl/certs/ca-certificates.crt" in text
    assert not [line for line in text if line.startswith(("ausrc_", "auplay_"))], "with these the pitch is wrong"
    assert config["net_interface"] is None


def test_a_registrar_on_this_machine_is_reached() -> None:
    near = Account("127.0.0.1:5080", "6001")
    config = worker_start([near], [], calls=4, jitter_ms=40, ca_file="/ca.pem")["config"]
    assert isinstance(config, dict)
    assert config["net_interface"] == "127.0.0.1"
    assert "sip_cafile /ca.pem" in config["extra_config_text"].splitlines()


def test_a_call_whose_codec_changes_goes_on_at_the_new_pitch() -> None:
    sip = incoming()
    line = Line(sip, LoudnessDetector())
    line.opened(0.0)
    line.receive(said(**{"is": "incoming", "id": "c1", "from": ""}), 0.0)
    line.perform(Answer(16_000), 0.0)
    told = line.receive(said(**{"is": "established", "rate": 8_000, "id": "c1"}), 0.0)
    assert told.events == (Opened(),)
    line.perform(Listen(Uplink.OPEN, reflex=False), 0.0)
    again = line.receive(said(**{"is": "established", "rate": 48_000, "id": "c1"}), 1.0)
    assert Opened() not in again.events
    packets = [struct.pack(">Id", 3, 1 + n * 0.01) + bytes(2 * 480) for n in range(10)]  # 10 ms each
    heard = [event for packet in packets for event in line.receive(packet, 1.0).events]
    assert sum(len(event.pcm) for event in heard if isinstance(event, Audio)) == pytest.approx(2 * 1_600, abs=64)
