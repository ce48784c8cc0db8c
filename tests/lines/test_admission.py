"""Who may come in: tokens, tickets and signatures, and what is refused. The signatures are made by others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3
from twilio.request_validator import RequestValidator

from edgevoice.lines.admission import KEYS, TICKET_S, TICKETS, Admission, Admitted, Came, Door, Refused, Ticket

TOKEN = "token-of-sixteen"
BASE = "https://box.example.com"
CALLER = "+46701234567"
FORM = {"CallSid": "CA1", "From": CALLER, "To": "+46812345678"}
NOBODY: Mapping[str, str] = {}


def admission(**doors: Door) -> Admission:
    count = itertools.count(1)
    return Admission(doors or {"elks": Door(TOKEN), "twilio": Door(TOKEN)}, lambda: f"ticket{next(count)}")


def upgrade(path: str, key: str = "k1", headers: Mapping[str, str] = NOBODY, address: str = "192.0.2.1") -> Came:
    return Came("GET", BASE + path, {"Sec-WebSocket-Key": key, **headers}, address)


def posted(path: str, form: Mapping[str, str], headers: Mapping[str, str] = NOBODY) -> Came:
    typed = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    return Came("POST", BASE + path, typed, "192.0.2.1", urlencode(form).encode())


def status(decided: Admitted | Refused | None) -> int:
    return decided.status if isinstance(decided, Refused) else 200


# ------------------------------------------------------------------------------------------------------- tokens


def test_who_knows_the_token_comes_in() -> None:
    assert admission().upgrade(upgrade(f"/elks/{TOKEN}"), 0.0) == Admitted("elks")


@pytest.mark.parametrize(
    "path",
    [
        "/elks/token-of-sixteem",
        "/elks/",
        "/elks",
        "/",
        "",
        f"/elks/{TOKEN}x",
        f"/ELKS/{TOKEN}",
        f"/vobiz/{TOKEN}",
        f"/{TOKEN}",
        f"/elks/%74oken-of-sixteen?token={TOKEN}",
    ],
)
def test_a_wrong_token_and_a_service_that_is_not_configured_look_the_same_from_outside(path: str) -> None:
    assert status(admission().upgrade(upgrade(path), 0.0)) == 404


def test_the_token_of_one_service_does_not_open_the_door_of_another() -> None:
    doors = admission(elks=Door("token-of-the-elks"), twilio=Door("token-of-twilio-x"))
    assert status(doors.upgrade(upgrade("/twilio/token-of-the-elks"), 0.0)) == 404


def test_a_door_without_a_token_stays_shut() -> None:
    assert status(admission(elks=Door("")).upgrade(upgrade("/elks/"), 0.0)) == 404


def test_a_refusal_tells_neither_token_nor_number() -> None:
    doors = admission()
    for path in (f"/elks/{TOKEN[:-1]}", f"/elks/{TOKEN}/{CALLER}", f"/nowhere/{CALLER}"):
        decided = doors.upgrade(upgrade(path), 0.0)
        assert isinstance(decided, Refused)
        assert TOKEN[:-1] not in decided.why
        assert CALLER not in decided.why
    assert CALLER not in repr(posted("/twilio/voice", FORM)) + repr(Ticket("twilio", caller=CALLER))
    assert TOKEN not in repr(Door(TOKEN, "secret"))


# ---------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("198.51.100.1", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_only_the_named_addresses_come_in(address: str, allowed: bool) -> None:
    doors = admission(elks=Door(TOKEN, addresses=("192.0.2.0/24", "2001:db8::/32")))
    assert status(doors.upgrade(upgrade(f"/elks/{TOKEN}", address=address), 0.0)) == (200 if allowed else 403)


# ------------------------------------------------------------------------------------------------------ tickets


def test_a_ticket_says_who_calls_and_is_good_once() -> None:
    doors = admission()
    ticket = Ticket("twilio", caller=CALLER)
    path = doors.issue(ticket, 0.0)
    assert doors.upgrade(upgrade(path, "k1"), 1.0) == Admitted("twilio", ticket)
    assert status(doors.upgrade(upgrade(path, "k2"), 1.0)) == 403


def test_a_ticket_runs_out() -> None:
    doors = admission()
    early, late = doors.issue(Ticket("twilio"), 0.0), doors.issue(Ticket("twilio"), 0.0)
    assert status(doors.upgrade(upgrade(early, "k1"), TICKET_S)) == 200
    assert status(doors.upgrade(upgrade(late, "k2"), TICKET_S + 0.1)) == 403


def test_a_ticket_of_another_service_is_none_and_is_gone() -> None:
    doors = admission()
    path = doors.issue(Ticket("twilio"), 0.0)
    stolen = path.replace("/twilio/", "/elks/")
    assert status(doors.upgrade(upgrade(stolen, "k1"), 1.0)) == 403
    assert status(doors.upgrade(upgrade(path, "k2"), 1.0)) == 403, "whoever shows it burns it"


def test_a_ticket_does_not_replace_the_token() -> None:
    doors = admission()
    path = doors.issue(Ticket("twilio"), 0.0)
    assert status(doors.upgrade(upgrade(path.replace(TOKEN, "x" * len(TOKEN))), 1.0)) == 404
    assert status(doors.upgrade(upgrade(path), 1.0)) == 200, "a stranger without the token has not burned it"


def test_tickets_that_nobody_redeems_do_not_pile_up() -> None:
    doors = admission()
    paths = [doors.issue(Ticket("twilio"), 0.0) for _ in range(TICKETS + 1)]
    assert status(doors.upgrade(upgrade(paths[0], "k1"), 1.0)) == 403
    assert status(doors.upgrade(upgrade(paths[1], "k2"), 1.0)) == 200


# ------------------------------------------------------------------------------------------------------ replays


def test_an_upgrade_that_is_repeated_is_refused() -> None:
    doors = admission()
    assert status(doors.upgrade(upgrade(f"/elks/{TOKEN}", "same"), 0.0)) == 200
    assert status(doors.upgrade(upgrade(f"/elks/{TOKEN}", "same"), 1.0)) == 409
    other = Came("GET", f"{BASE}/elks/{TOKEN}", {"SEC-WEBSOCKET-KEY": "same"}, "192.0.2.1")
    assert status(doors.upgrade(other, 1.0)) == 409


def test_strangers_cannot_make_the_box_forget_which_upgrades_it_has_seen() -> None:
    doors = admission()
    doors.upgrade(upgrade(f"/elks/{TOKEN}", "same"), 0.0)
    for number in range(KEYS + 1):
        doors.upgrade(upgrade("/elks/wrong-token-wrong", f"k{number}"), 0.0)
    assert status(doors.upgrade(upgrade(f"/elks/{TOKEN}", "same"), 1.0)) == 409


# --------------------------------------------------------------------------------------------------- signatures


def twilio(url: str, form: Mapping[str, str], secret: str = "secret") -> dict[str, str]:
    return {"X-Twilio-Signature": str(RequestValidator(secret).compute_signature(url, form))}


def plivo(path: str, form: Mapping[str, str], nonce: str) -> dict[str, str]:
    signed = get_signature_v3("secret", construct_post_url(BASE + path, dict(form)), nonce)
    text = signed.decode() if isinstance(signed, bytes) else str(signed)
    return {"X-Plivo-Signature-V3": text, "X-Plivo-Signature-V3-Nonce": nonce}


def test_a_webhook_that_twilio_signed_is_answered_and_any_other_is_not() -> None:
    doors = admission(twilio=Door(TOKEN, "secret"))
    signed = posted("/twilio/voice", FORM, twilio(f"{BASE}/twilio/voice", FORM))
    assert doors.webhook("twilio", signed) is None
    forged = replace(signed, body=urlencode(FORM | {"From": "+46700000000"}).encode())
    assert status(doors.webhook("twilio", forged)) == 403, "another caller than the one that was signed"
    assert status(doors.webhook("twilio", posted("/twilio/voice", FORM))) == 403
    wrong = posted("/twilio/voice", FORM, twilio(f"{BASE}/twilio/voice", FORM, "another secret"))
    assert status(doors.webhook("twilio", wrong)) == 403
    assert status(doors.webhook("twilio", posted(f"/twilio/voice?token={TOKEN}", FORM))) == 403, "it has a secret"


def test_an_upgrade_needs_token_and_signature() -> None:
    doors = admission(twilio=Door(TOKEN, "secret"))
    path = f"/twilio/{TOKEN}"
    for number, spelled in enumerate((f"wss://box.example.com{path}", f"https://box.example.com{path}/")):
        came = upgrade(path, f"k{number}", twilio(spelled, {}))
        assert doors.upgrade(came, 0.0) == Admitted("twilio"), spelled
    assert status(doors.upgrade(upgrade(path, "k8"), 0.0)) == 403
    other = twilio("wss://box.example.com/twilio/another-token-xx", {})
    assert status(doors.upgrade(upgrade(path, "k9", other), 0.0)) == 403
    assert status(doors.upgrade(upgrade("/twilio/another-token-xx", "k10", other), 0.0)) == 404


def test_what_plivo_signed_with_a_nonce_is_good_once() -> None:
    doors = admission(plivo=Door(TOKEN, "secret"))
    form = {"CallUUID": "u1", "From": CALLER, "To": "+46812345678"}
    signed = posted("/plivo/answer", form, plivo("/plivo/answer", form, "12345"))
    assert doors.webhook("plivo", signed) is None
    assert status(doors.webhook("plivo", signed)) == 409
    again = posted("/plivo/answer", form, plivo("/plivo/answer", form, "12346"))
    assert doors.webhook("plivo", again) is None, "another call of the same person"


def test_a_forged_signature_does_not_use_up_the_genuine_one() -> None:
    doors = admission(plivo=Door(TOKEN, "secret"))
    form = {"CallUUID": "u1", "From": CALLER, "To": "+46812345678"}
    signed = posted("/plivo/answer", form, plivo("/plivo/answer", form, "12345"))
    assert status(doors.webhook("plivo", replace(signed, body=b"CallUUID=u2"))) == 403
    assert doors.webhook("plivo", signed) is None


def test_a_webhook_without_a_secret_shows_the_token() -> None:
    doors = admission()
    assert doors.webhook("twilio", posted(f"/twilio/voice?token={TOKEN}", FORM)) is None
    assert status(doors.webhook("twilio", posted("/twilio/voice?token=wrong", FORM))) == 403
    assert status(doors.webhook("twilio", posted("/twilio/voice", FORM | {"token": TOKEN}))) == 403
    assert status(doors.webhook("vobiz", posted(f"/vobiz/answer?token={TOKEN}", FORM))) == 404


def test_a_form_is_read_from_the_body_or_of_a_get_from_the_query() -> None:
    assert posted("/twilio/voice", {"From": CALLER}).form == (("From", CALLER),)
    assert Came("GET", f"{BASE}/vobiz/answer?From=%2B46701234567", {}, "").form == (("From", CALLER),)
    assert posted("/twilio/voice", {}).socket_url("/twilio/x") == "wss://box.example.com/twilio/x"
