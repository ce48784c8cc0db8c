"""A call is placed as the services want it, and each of their refusals says what to do, without a number or a key."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.events import REFUSALS, Closed, End, Stage
from edgevoice.lines.dial import (
    TWILIO_ERRORS,
    Dialer,
    ElksDialer,
    HttpRequest,
    Placed,
    TwilioDialer,
    e164,
)

CALLED = "+46701234567"
OURS = "+46101234567"
ELKS = ElksDialer("uname", "pword", OURS, "+4600987654")
TWILIO = TwilioDialer("AC123", "t0ken", OURS, "wss://box.example.com/twilio/s3cret", {"call": "<1>"})
DIALERS: list[Dialer] = [ELKS, TWILIO]
each_dialer = pytest.mark.parametrize("dialer", DIALERS, ids=["elks", "twilio"])
SECRETS = ("uname", "pword", "t0ken", "s3cret", "AC123", CALLED[1:], OURS[1:], "4600987654")


def place(dialer: Dialer, number: str = CALLED) -> HttpRequest:
    request = dialer.place(number)
    assert isinstance(request, HttpRequest)
    return request


def refusal(dialer: Dialer, status: int, body: str | dict[str, object] = "") -> Closed:
    closed = dialer.placed(status, (body if isinstance(body, str) else json.dumps(body)).encode())
    assert isinstance(closed, Closed)
    return closed


def login(request: HttpRequest) -> str:
    kind, _, secret = request.headers["Authorization"].partition(" ")
    assert kind == "Basic"
    return base64.b64decode(secret).decode()


# -------------------------------------------------------------------------------------------------- placing


def test_46elks_calls_the_person_and_connects_them_to_the_websocket_number() -> None:
    request = place(ELKS)
    assert (request.method, request.url) == ("POST", "https://api.46elks.com/a1/calls")
    assert login(request) == "uname:pword"
    form = dict(parse_qsl(request.body.decode(), strict_parsing=True))
    assert json.loads(form.pop("voice_start")) == {"connect": "+4600987654"}
    assert form == {"from": OURS, "to": CALLED, "timeout": "60"}


def test_twilio_calls_the_person_and_connects_them_to_our_socket() -> None:
    request = place(TWILIO)
    assert (request.method, request.url) == ("POST", "https://api.twilio.com/2010-04-01/Accounts/AC123/Calls.json")
    assert login(request) == "AC123:t0ken"
    form = dict(parse_qsl(request.body.decode(), strict_parsing=True))
    (stream,) = ElementTree.fromstring(form.pop("Twiml").encode()).iter("Stream")
    assert stream.attrib == {"url": "wss://box.example.com/twilio/s3cret"}
    assert [child.attrib for child in stream] == [{"name": "call", "value": "<1>"}]
    assert form == {"From": OURS, "To": CALLED, "Timeout": "60"}


def test_twilios_own_package_asks_the_same() -> None:
    asked: list[tuple[str, str, Mapping[str, object], str]] = []

    class Recording:
        """A client of Twilio's package that keeps what it would send."""

        is_async = False

        def request(self, method: str, url: str, **sent: Any) -> Any:
            asked.append((method, url, sent["data"] or {}, ":".join(sent["auth"])))
            return pytest.importorskip("twilio.http.response").Response(200, '{"sid": "CA1"}')

    client = pytest.importorskip("twilio.rest").Client("AC123", "t0ken", http_client=Recording())
    ours = [place(TWILIO), TWILIO.ask("CA1"), TWILIO.cancel("CA1")]
    document = dict(ours[0].form)["Twiml"] if ours[0] else ""
    client.calls.create(to=CALLED, from_=OURS, twiml=document, timeout=60)
    client.calls("CA1").fetch()
    client.calls("CA1").update(status="completed")
    assert asked == [
        (
            request.method,
            request.url,
            {name: int(value) if name == "Timeout" else value for name, value in request.form},
            login(request),
        )
        for request in ours
        if request
    ]


def test_the_services_address_can_be_another_one() -> None:
    elks = ElksDialer("u", "p", OURS, "+46", base="http://127.0.0.1:1")
    twilio = TwilioDialer("AC1", "t", OURS, "ws://x", base="http://127.0.0.1:2")
    assert place(elks).url == "http://127.0.0.1:1/calls"
    assert place(twilio).url == "http://127.0.0.1:2/Accounts/AC1/Calls.json"


@each_dialer
def test_an_answer_with_the_calls_name_means_that_it_was_placed(dialer: Dialer) -> None:
    name = "id" if dialer is ELKS else "sid"
    for status in (200, 201):
        assert dialer.placed(status, json.dumps({name: "CA1-x_2", "to": CALLED}).encode()) == Placed("CA1-x_2")


@each_dialer
@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": 5, "sid": 5}', '{"id": "../x", "sid": "a b"}', "[" * 100_000])
def test_an_answer_without_a_name_is_not_asked_for_twice(dialer: Dialer, body: str) -> None:
    assert refusal(dialer, 200, body).end in REFUSALS


@each_dialer
def test_neither_key_nor_number_shows(dialer: Dialer) -> None:
    requests = [place(dialer), dialer.ask("CA1"), dialer.cancel("CA1")]
    shown = repr(dialer) + repr(requests)
    assert not [secret for secret in SECRETS if secret in shown]


# ----------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "body", "end"),
    [
        (401, "API access requires Basic HTTP authentication", End.BAD_CREDENTIALS),
        (402, "", End.NO_CREDIT),
        (403, "Not enough credits", End.NO_CREDIT),
        (400, f"Invalid to number {CALLED}", End.WRONG_NUMBER),
        (400, '"to" is missing', End.WRONG_NUMBER),
        (400, f"Invalid from number {OURS}", End.REFUSED),
        (400, "Invalid voice_start", End.REFUSED),
        (403, "You are not allowed to do this", End.REFUSED),
        (418, "", End.REFUSED),
        (404, "<html>", End.REFUSED),
    ],
)
def test_what_46elks_says_is_sorted_by_what_to_do(status: int, body: str, end: End) -> None:
    assert refusal(ELKS, status, body).end is end


@pytest.mark.parametrize(
    ("status", "code", "end"),
    [
        (401, 20003, End.BAD_CREDENTIALS),
        (401, None, End.BAD_CREDENTIALS),
        (404, 20404, End.BAD_CREDENTIALS),
        (402, None, End.NO_CREDIT),
        (403, 20005, End.NO_CREDIT),
        (403, 10001, End.NO_CREDIT),
        (400, 21211, End.WRONG_NUMBER),
        (400, 21214, End.WRONG_NUMBER),
        (400, 21217, End.WRONG_NUMBER),
        (400, 13224, End.WRONG_NUMBER),
        (400, 21215, End.REFUSED),
        (400, 21219, End.REFUSED),
        (400, 21210, End.REFUSED),
        (400, 29999, End.REFUSED),
        (400, "21211", End.REFUSED),
        (403, None, End.REFUSED),
        (429, 20429, End.LINK_LOST),
    ],
)
def test_twilios_error_codes_are_sorted_by_what_to_do(status: int, code: object, end: End) -> None:
    answer = {"code": code, "message": f"{CALLED} is no number", "status": status}
    assert refusal(TWILIO, status, answer).end is end


def test_an_error_of_twilios_that_is_not_known_here_is_named_with_where_it_is_explained() -> None:
    sentence = refusal(TWILIO, 400, {"code": 29999}).reason
    assert sentence == "Twilio refuses the call (HTTP 400, error 29999): twilio.com/docs/api/errors/29999 says why"
    assert str(46701234567) not in refusal(TWILIO, 400, {"code": 46701234567}).reason


@each_dialer
@pytest.mark.parametrize("status", [0, 408, 429, 500, 502, 503, 599])
def test_a_service_that_is_away_or_in_trouble_may_be_tried_again(dialer: Dialer, status: int) -> None:
    assert refusal(dialer, status, "<html>to from credit</html>").end is End.LINK_LOST


@each_dialer
@given(st.integers(min_value=0, max_value=999), st.text(max_size=40))
def test_no_answer_raises_or_shows_up_in_the_sentence(dialer: Dialer, status: int, words: str) -> None:
    for body in (words + CALLED, json.dumps({"code": words, "message": CALLED, "x": OURS})):
        closed = refusal(dialer, status, body)
        assert CALLED[1:] not in closed.reason
        assert not re.search(r"\d{6}", closed.reason)
        assert dialer.progress(status, body.encode()) is None


def test_every_sentence_says_what_to_do_or_where_to_look() -> None:
    for _, sentence in TWILIO_ERRORS.values():
        assert ": " in sentence


# ------------------------------------------------------------------------------------------ how far it is


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("ongoing", Stage.RINGING),
        ("busy", End.BUSY),
        ("failed", End.NO_ANSWER),
        ("success", End.HUNG_UP),
        ("something new", None),
    ],
)
def test_46elks_tells_how_far_the_call_is(state: str, means: Stage | End | None) -> None:
    request = ELKS.ask("c1")
    assert (request.method, request.url, request.body) == ("GET", "https://api.46elks.com/a1/calls/c1", b"")
    assert login(request) == "uname:pword"
    told = ELKS.progress(200, json.dumps({"id": "c1", "state": state}).encode())
    assert (told.end if isinstance(told, Closed) else told) is means


@pytest.mark.parametrize(
    ("status", "means"),
    [
        ("queued", None),
        ("initiated", None),
        ("ringing", Stage.RINGING),
        ("in-progress", None),
        ("completed", End.HUNG_UP),
        ("busy", End.BUSY),
        ("no-answer", End.NO_ANSWER),
        ("failed", End.WRONG_NUMBER),
        ("canceled", End.HUNG_UP),
        ("something new", None),
    ],
)
def test_twilio_tells_how_far_the_call_is(status: str, means: Stage | End | None) -> None:
    request = TWILIO.ask("CA1")
    where = "https://api.twilio.com/2010-04-01/Accounts/AC123/Calls/CA1.json"
    assert (request.method, request.url, request.body) == ("GET", where, b"")
    assert login(request) == "AC123:t0ken"
    told = TWILIO.progress(200, json.dumps({"sid": "CA1", "status": status}).encode())
    assert (told.end if isinstance(told, Closed) else told) is means


@each_dialer
@pytest.mark.parametrize("status", [0, 401, 404, 429, 500])
def test_a_question_that_is_not_answered_does_not_end_the_call(dialer: Dialer, status: int) -> None:
    assert dialer.progress(status, b'{"state": "busy", "status": "busy"}') is None


def test_a_call_at_twilio_can_be_called_off_and_one_at_46elks_cannot() -> None:
    request = TWILIO.cancel("CA1")
    assert request is not None
    assert (request.method, request.url) == ("POST", TWILIO.ask("CA1").url)
    assert request.body == b"Status=completed"
    assert ELKS.cancel("c1") is None


# ---------------------------------------------------------------------------------------------- the number


@pytest.mark.parametrize("written", [CALLED, "+46 70-123 45 67", "+46 (70) 123.45.67", " +4670/1234567 "])
def test_a_number_may_be_written_as_people_do(written: str) -> None:
    assert e164(written) == CALLED


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("0046701234567", "begins with 00"),
        ("0701234567", "no country code"),
        ("", "no country code"),
        ("sip:alice", "no country code"),
        ("+46O701234567", "something else than digits"),
        ("+٤٦٧٠١٢٣٤٥٦٧", "something else than digits"),
        ("+", "something else than digits"),
        ("+0701234567", "0 after the +"),
        ("+46112", "has 5 digits, expected 7 to 15"),
        ("+4670123456789012", "has 16 digits, expected 7 to 15"),
    ],
)
def test_a_number_that_cannot_be_called_is_refused_before_anybody_is_asked(written: str, sentence: str) -> None:
    for dialer in DIALERS:
        closed = dialer.place(written)
        assert isinstance(closed, Closed)
        assert closed.end is End.WRONG_NUMBER
        assert sentence in closed.reason
        assert len(written) < 2 or written not in closed.reason
