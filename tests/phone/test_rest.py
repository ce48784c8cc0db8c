"""The fake REST APIs place calls, and refuse them as the real ones do."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from tests.phone.rest import Answer, Dial, ElksApi, Exchange, Outcome, TwilioApi, signature

USER, PASSWORD = "AC1", "secret"
KEY = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
CALLS = f"/2010-04-01/Accounts/{USER}/Calls"
TWIML = (
    '<Response><Connect><Stream url="wss://box.example/twilio/t?lost=1"><Parameter name="room" value="hall"/></Stream>'
    "</Connect></Response>"
)
ELKS_FORM = {"from": "+46700000001", "to": "+46700000009", "voice_start": '{"connect":"+46700000002"}', "timeout": "5"}
TWILIO_FORM = {"From": "+46700000001", "To": "+46700000009", "Twiml": TWIML, "Timeout": "5"}


def elks(outcome: Outcome = Outcome.ANSWER) -> ElksApi:
    return ElksApi(Exchange(outcome, USER, PASSWORD, ring_s=1.0), "+46700000002", "ws://box/elks/t")


def twilio(outcome: Outcome = Outcome.ANSWER) -> TwilioApi:
    return TwilioApi(Exchange(outcome, USER, PASSWORD, ring_s=1.0), USER)


def placed(answer: Answer, key: str) -> Any:
    assert answer.status in (200, 201), answer
    return json.loads(answer.body)[key]


def test_46elks_rings_and_then_connects_to_the_websocket_number() -> None:
    api = elks()
    id = placed(api.respond("POST", "/a1/calls", KEY, ELKS_FORM, 0.0), "id")
    assert api.due(0.9) == []
    assert api.due(1.0) == [Dial(id, "+46700000009", "+46700000002", "ws://box/elks/t")]
    assert api.due(1.1) == []
    assert placed(api.respond("GET", f"/a1/calls/{id}", KEY, {}, 2.0), "state") == "ongoing"
    api.ended(id, connected=True)
    assert placed(api.respond("GET", f"/a1/calls/{id}", KEY, {}, 3.0), "state") == "success"


def test_46elks_fails_a_call_that_leads_elsewhere() -> None:
    api = elks()
    form = {**ELKS_FORM, "voice_start": '{"connect":"+46700000003"}'}
    id = placed(api.respond("POST", "/a1/Calls", KEY, form, 0.0), "id")
    assert api.due(1.0) == []
    assert placed(api.respond("GET", f"/a1/calls/{id}", KEY, {}, 2.0), "state") == "failed"


@pytest.mark.parametrize(
    ("outcome", "after_s", "state"),
    [(Outcome.BUSY, 1.0, "busy"), (Outcome.NO_ANSWER, 5.0, "failed"), (Outcome.FAILED, 1.0, "failed")],
)
def test_46elks_says_what_became_of_a_call(outcome: Outcome, after_s: float, state: str) -> None:
    api = elks(outcome)
    id = placed(api.respond("POST", "/a1/calls", KEY, ELKS_FORM, 0.0), "id")
    states = [placed(api.respond("GET", f"/a1/calls/{id}", KEY, {}, at), "state") for at in (after_s - 0.1, after_s)]
    assert states == ["ongoing", state]
    assert api.due(9.0) == []


@pytest.mark.parametrize(
    ("outcome", "status", "word"),
    [
        (Outcome.BAD_CREDENTIALS, 401, "API access requires Basic HTTP authentication"),
        (Outcome.NO_CREDIT, 403, "credits"),
        (Outcome.WRONG_NUMBER, 400, "Invalid"),
    ],
)
def test_46elks_refuses_in_plain_text(outcome: Outcome, status: int, word: str) -> None:
    answer = elks(outcome).respond("POST", "/a1/calls", KEY, ELKS_FORM, 0.0)
    assert (answer.status, answer.type, word in answer.body) == (status, "text/plain", True)


def test_46elks_refuses_what_is_incomplete() -> None:
    answer = elks().respond("POST", "/a1/calls", KEY, {"to": "+46700000009"}, 0.0)
    assert (answer.status, answer.body) == (403, "Missing key from")


def test_twilio_rings_reads_the_twiml_and_dials_without_the_query() -> None:
    api = twilio()
    answer = api.respond("POST", f"{CALLS}.json", KEY, TWILIO_FORM, 0.0)
    id = placed(answer, "sid")
    assert (answer.status, placed(answer, "status")) == (201, "queued")
    assert placed(api.respond("GET", f"{CALLS}/{id}.json", KEY, {}, 0.5), "status") == "ringing"
    (dial,) = api.due(1.0)
    assert (dial.url, dial.parameters) == ("wss://box.example/twilio/t", {"room": "hall"})
    assert placed(api.respond("GET", f"{CALLS}/{id}.json", KEY, {}, 2.0), "status") == "in-progress"
    api.ended(id, connected=True)
    assert placed(api.respond("GET", f"{CALLS}/{id}.json", KEY, {}, 3.0), "status") == "completed"


def test_twilio_asks_the_address_where_there_is_no_twiml() -> None:
    api = twilio()
    form = {"From": "+46700000001", "To": "+46700000009", "Url": "http://box/twilio/voice"}
    id = placed(api.respond("POST", f"{CALLS}.json", KEY, form, 0.0), "sid")
    (dial,) = api.due(1.0)
    assert (dial.document, dial.url) == ("http://box/twilio/voice", "")
    assert api.document(id, TWIML)[0].url == "wss://box.example/twilio/t"
    assert api.document(id, "<Response><Hangup/></Response>") == []
    assert placed(api.respond("GET", f"{CALLS}/{id}.json", KEY, {}, 2.0), "status") == "failed"


@pytest.mark.parametrize(
    ("outcome", "after_s", "status"),
    [(Outcome.BUSY, 1.0, "busy"), (Outcome.NO_ANSWER, 5.0, "no-answer"), (Outcome.FAILED, 1.0, "failed")],
)
def test_twilio_says_what_became_of_a_call(outcome: Outcome, after_s: float, status: str) -> None:
    api = twilio(outcome)
    id = placed(api.respond("POST", f"{CALLS}.json", KEY, TWILIO_FORM, 0.0), "sid")
    seen = [placed(api.respond("GET", f"{CALLS}/{id}.json", KEY, {}, at), "status") for at in (0.5, after_s)]
    assert seen == ["ringing", status]
    assert api.due(9.0) == []


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [(Outcome.BAD_CREDENTIALS, 401, 20003), (Outcome.NO_CREDIT, 401, 10001), (Outcome.WRONG_NUMBER, 400, 21211)],
)
def test_twilio_refuses_with_a_code(outcome: Outcome, status: int, code: int) -> None:
    answer = twilio(outcome).respond("POST", f"{CALLS}.json", KEY, TWILIO_FORM, 0.0)
    error = json.loads(answer.body)
    assert (answer.status, error["status"], error["code"]) == (status, status, code)
    assert set(error) == {"code", "message", "more_info", "status"}


@pytest.mark.parametrize(("at", "status", "hung_up"), [(0.5, "canceled", False), (2.0, "completed", True)])
def test_twilio_ends_a_call_that_rings_or_goes_on(at: float, status: str, hung_up: bool) -> None:
    exchange = Exchange(Outcome.ANSWER, USER, PASSWORD, ring_s=1.0)
    api = TwilioApi(exchange, USER)
    id = placed(api.respond("POST", f"{CALLS}.json", KEY, TWILIO_FORM, 0.0), "sid")
    api.due(at)
    assert placed(api.respond("POST", f"{CALLS}/{id}.json", KEY, {"Status": "completed"}, at), "status") == status
    assert exchange.hung_up == [id] * hung_up
    again = api.respond("POST", f"{CALLS}/{id}.json", KEY, {"Status": "completed"}, at)
    assert (again.status, json.loads(again.body)["code"]) == (404, 20404)


def test_the_fake_signs_as_twilios_own_package_does() -> None:
    form, url = {"To": "+46700000009", "CallSid": "CA1"}, "https://box.example/twilio/voice?a=1"
    assert RequestValidator(PASSWORD).validate(url, form, signature(PASSWORD, url, form))
