"""The services' REST APIs, as far as they place calls: pure, time is an argument.

Source: 46elks, "Make a call" and the texts that its users report; Twilio, "Call resource" and its error dictionary.
What is thought of and not known: which status 46elks gives for no credit and for a number that is none, and that Twilio
answers a suspended account with 401 (the code, 10001, is known). Trust the code or the text, not the status alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

NUMBER = re.compile(r"\+[1-9]\d{4,14}")
QUEUED_S = 0.05  # before it rings
ENDED = ("success", "busy", "failed", "completed", "no-answer", "canceled")


class Outcome(Enum):
    """What becomes of every call that is placed."""

    ANSWER = "answer"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    WRONG_NUMBER = "wrong-number"
    NO_CREDIT = "no-credit"
    BAD_CREDENTIALS = "bad-credentials"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str
    type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Dial:
    """The person called has answered: connect to `url`, or ask `document` for the TwiML that says where to."""

    id: str
    caller: str = ""
    callee: str = ""
    url: str = ""
    document: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Placed:
    id: str
    at: float
    form: Mapping[str, str]
    timeout_s: float
    state: str
    dialled: bool = False


class Exchange:
    """What both services have in common: calls that ring and are answered, or not."""

    def __init__(self, outcome: Outcome, user: str, password: str, *, ring_s: float) -> None:
        self.outcome, self.ring_s = outcome, ring_s
        self.hung_up: list[str] = []  # by REST; whoever runs the calls ends them and empties the list
        self.calls: dict[str, _Placed] = {}
        self._key = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._ids = itertools.count(1)

    def knows(self, authorization: str) -> bool:
        return authorization == self._key and self.outcome is not Outcome.BAD_CREDENTIALS

    def place(self, kind: str, form: Mapping[str, str], timeout: str, state: str, at: float) -> _Placed:
        id = f"{kind}{next(self._ids):032x}"
        timeout_s = float(timeout) if timeout.isdigit() else 60.0
        self.calls[id] = _Placed(id, at, form, timeout_s, state)
        return self.calls[id]

    def answered(self, at: float) -> list[_Placed]:
        """Return the calls whose person has picked up by `at`, each once."""
        picked_up = self.outcome is Outcome.ANSWER
        found = [
            call
            for call in self.calls.values()
            if picked_up and not call.dialled and call.state not in ENDED and at >= call.at + self.ring_s
        ]
        for call in found:
            call.dialled = True
        return found

    def rings(self, call: _Placed, at: float) -> bool:
        """Whether nothing has become of a call yet."""
        patience_s = call.timeout_s if self.outcome is Outcome.NO_ANSWER else self.ring_s
        return at < call.at + patience_s


class ElksApi:
    """46elks' `/a1/calls`. `number` is the websocket number, whose calls go to `url`."""

    def __init__(self, exchange: Exchange, number: str, url: str) -> None:
        self._exchange, self._number, self._url = exchange, number, url

    def respond(self, method: str, path: str, authorization: str, form: Mapping[str, str], at: float) -> Answer:
        """Answer one request. Errors are plain text."""
        exchange = self._exchange
        if not exchange.knows(authorization):
            return _plain(401, "API access requires Basic HTTP authentication. Read documentation or examples.")
        parts = path.strip("/").split("/")
        if [part.lower() for part in parts[:2]] != ["a1", "calls"] or len(parts) > 3:
            return _plain(404, "Not found")
        if len(parts) == 3:
            call = exchange.calls.get(parts[2])
            return self._show(call, at) if call and method == "GET" else _plain(404, "Not found")
        if method != "POST":
            return _plain(404, "Not found")
        for key in ("from", "to", "voice_start"):
            if key not in form:
                return _plain(403, f"Missing key {key}")
        if exchange.outcome is Outcome.WRONG_NUMBER or not NUMBER.fullmatch(form["to"]):
            return _plain(400, "Invalid to number")
        if exchange.outcome is Outcome.NO_CREDIT:
            return _plain(403, "Not enough credits")
        return self._show(exchange.place("c", form, form.get("timeout", ""), "ongoing", at), at)

    def due(self, at: float) -> list[Dial]:
        """Return the calls that have been answered and lead to the websocket number."""
        found: list[Dial] = []
        for call in self._exchange.answered(at):
            if _connects_to(call.form["voice_start"]) == self._number:
                found.append(Dial(call.id, call.form["to"], self._number, self._url))
            else:
                call.state = "failed"
        return found

    def ended(self, id: str, *, connected: bool) -> None:
        """The socket of a call is closed, or (not `connected`) was refused."""
        self._exchange.calls[id].state = "success" if connected else "busy"

    def _show(self, call: _Placed, at: float) -> Answer:
        if call.state == "ongoing" and not self._exchange.rings(call, at):
            ends = {Outcome.BUSY: "busy", Outcome.NO_ANSWER: "failed", Outcome.FAILED: "failed"}
            call.state = ends.get(self._exchange.outcome, call.state)
        shown = {"id": call.id, "direction": "outgoing", "from": call.form["from"], "to": call.form["to"]}
        return Answer(200, json.dumps({**shown, "created": "2026-01-01T00:00:00.000000", "state": call.state}))


class TwilioApi:
    """Twilio's `Calls` of one account."""

    def __init__(self, exchange: Exchange, account: str) -> None:
        self._exchange, self._account = exchange, account

    def respond(self, method: str, path: str, authorization: str, form: Mapping[str, str], at: float) -> Answer:
        """Answer one request."""
        exchange = self._exchange
        if not exchange.knows(authorization):
            return _error(401, 20003, "Authenticate")
        place = re.fullmatch(r"/2010-04-01/Accounts/(\w+)/Calls(?:/(\w+))?\.json", path)
        if place is None or place[1] != self._account or (method, place[2]) == ("GET", None):
            return _error(404, 20404, f"The requested resource {path} was not found")
        if place[2] is None:
            return self._place(form, at)
        call = exchange.calls.get(place[2])
        if call is None:
            return _error(404, 20404, f"The requested resource {path} was not found")
        if method == "POST":
            return self._change(call, form, at)
        return self._show(call, at, 200)

    def due(self, at: float) -> list[Dial]:
        """Return the calls that have been answered: where their TwiML leads, or where it is."""
        found: list[Dial] = []
        for call in self._exchange.answered(at):
            if "Twiml" in call.form:
                found += self.document(call.id, call.form["Twiml"])
            else:
                found.append(Dial(call.id, call.form["From"], call.form["To"], document=call.form["Url"]))
        return found

    def document(self, id: str, text: str) -> list[Dial]:
        """Read TwiML: where `<Connect><Stream>` leads. Twilio removes a query from its address."""
        call = self._exchange.calls[id]
        try:
            stream = ET.fromstring(text).find("./Connect/Stream")
        except ET.ParseError:
            stream = None
        if stream is None or "url" not in stream.attrib:
            call.state = "failed"
            return []
        call.state = "in-progress"
        parameters = {part.get("name", ""): part.get("value", "") for part in stream.findall("Parameter")}
        url = urlsplit(stream.attrib["url"])._replace(query="", fragment="").geturl()
        return [Dial(id, call.form["From"], call.form["To"], url, parameters=parameters)]

    def ended(self, id: str, *, connected: bool) -> None:
        """The socket of a call is closed, or (not `connected`) was refused: the TwiML ends either way."""
        call = self._exchange.calls[id]
        if call.state not in ENDED:
            call.state = "completed"

    def _place(self, form: Mapping[str, str], at: float) -> Answer:
        if "To" not in form:
            return _error(400, 21201, "No 'To' number is specified")
        if "From" not in form:
            return _error(400, 21213, "No 'From' number is specified")
        if "Url" not in form and "Twiml" not in form:
            return _error(400, 21205, "Url parameter is required.")
        if self._exchange.outcome is Outcome.WRONG_NUMBER or not NUMBER.fullmatch(form["To"]):
            return _error(400, 21211, f"The phone number you are attempting to call, {form['To']}, is not valid.")
        if self._exchange.outcome is Outcome.NO_CREDIT:
            return _error(401, 10001, "Account is not active")
        return self._show(self._exchange.place("CA", form, form.get("Timeout", ""), "queued", at), at, 201)

    def _change(self, call: _Placed, form: Mapping[str, str], at: float) -> Answer:
        self._pass_time(call, at)
        if call.state in ENDED:
            return _error(404, 20404, "The requested resource was not found: the call is over")
        if form.get("Status") not in ("completed", "canceled"):
            return _error(400, 21218, "Invalid Status")
        if not call.dialled:
            call.state = "canceled"
        elif form["Status"] == "completed":  # "canceled" spares a call that goes on
            call.state = "completed"
            self._exchange.hung_up.append(call.id)
        return self._show(call, at, 200)

    def _pass_time(self, call: _Placed, at: float) -> None:
        if call.state == "queued" and at >= call.at + QUEUED_S:
            call.state = "ringing"
        if call.state == "ringing" and not self._exchange.rings(call, at):
            ends = {Outcome.BUSY: "busy", Outcome.NO_ANSWER: "no-answer", Outcome.FAILED: "failed"}
            call.state = ends.get(self._exchange.outcome, call.state)

    def _show(self, call: _Placed, at: float, status: int) -> Answer:
        self._pass_time(call, at)
        shown = {"sid": call.id, "account_sid": self._account, "to": call.form["To"], "from": call.form["From"]}
        return Answer(status, json.dumps({**shown, "direction": "outbound-api", "status": call.state}))


def signature(token: str, url: str, form: Mapping[str, str]) -> str:
    """Sign as Twilio does. Source: Twilio, "Webhooks security"."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _plain(status: int, text: str) -> Answer:
    return Answer(status, text, "text/plain")


def _error(status: int, code: int, message: str) -> Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Answer(status, json.dumps({"code": code, "message": message, "more_info": more, "status": status}))


def _connects_to(voice_start: str) -> str:
    try:
        action = json.loads(voice_start)
    except ValueError:
        return ""
    return str(action.get("connect", "")) if isinstance(action, dict) else ""
