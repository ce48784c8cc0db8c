"""How a call is placed at a phone service: the HTTP requests, and what the answers to them mean; no socket, no clock.

    place(number) ─> POST ─> placed ─> Placed(id) ─> ask(id) ─> GET ─> progress ─> Stage, None, Closed
                                  └──> Closed                └── cancel(id) ─> POST: not wanted any more

When the person called answers, the service connects to our socket as if they had called us: that is the call.

Rules
* Whatever the service answers, nothing raises. HTTP status 0 stands for a service that could not be reached.
* No sentence holds a number, a key, or the service's own words, which may hold either.
* What only says that a question was not answered (any status but 200) does not end a call that was placed: the phone
  may be ringing. Whoever asks gives up after `RING_S` and a little more.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlencode

from edgevoice.events import Closed, End, Stage
from edgevoice.lines.documents import twiml

ELKS = "https://api.46elks.com/a1"
TWILIO = "https://api.twilio.com/2010-04-01"
RING_S = 60  # as long as the services ring by themselves; a mailbox answers before that
SHORTEST, LONGEST = 7, 15  # digits: the longest by E.164; shorter ones are emergency calls and the like, never ours

# Source: Twilio's error dictionary, twilio.com/docs/api/errors.
TWILIO_ERRORS: Mapping[int, tuple[End, str]] = {
    code: (end, sentence)
    for end, codes, sentence in (
        (
            End.BAD_CREDENTIALS,
            (20003, 20008),
            "Twilio does not accept account_sid and auth token: copy both from its console again",
        ),
        (
            End.NO_CREDIT,
            (10001, 20005, 90010),
            "the account at Twilio is not active, mostly for lack of money: look at its balance",
        ),
        (
            End.WRONG_NUMBER,
            (13223, 13224, 13226, 21201, 21211, 21214, 21217),
            "Twilio cannot call this number: check it, with its country code",
        ),
        (
            End.REFUSED,
            (21219, 573005),
            "an account on trial at Twilio calls verified numbers only: verify this one, or upgrade",
        ),
        (
            End.REFUSED,
            (13227, 21215),
            "the account at Twilio may not call this country: allow it under Voice, Geographic Permissions",
        ),
        (
            End.REFUSED,
            (21210, 21212, 21213),
            "Twilio does not accept the number that calls: set `number` to one that the account owns",
        ),
        (End.REFUSED, (13225, 21202, 21216), "Twilio does not let this account call this number: ask its support"),
        (End.REFUSED, (10002,), "an account on trial at Twilio may not do this: upgrade it"),
        (End.REFUSED, (10005,), "the account at Twilio may not make calls: ask its support"),
        (End.LINK_LOST, (10004,), "the account at Twilio has too many calls at once: wait for one to end"),
        (End.LINK_LOST, (20429,), "Twilio is asked too often: wait a little"),
    )
    for code in codes
}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What to ask the service. Keys, numbers and the account are in it, and are not shown."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def body(self) -> bytes:
        """The form as it is sent; nothing for a GET."""
        return urlencode(self.form).encode()


@dataclass(frozen=True, slots=True)
class Placed:
    """The service has taken the call and is calling; `id` is its name there."""

    id: str


class Dialer(Protocol):
    """One account that can call a number."""

    def place(self, number: str) -> HttpRequest | Closed:
        """Say how to call `number`, or what is wrong with it."""

    def placed(self, status: int, body: bytes) -> Placed | Closed:
        """Read the answer to `place`."""

    def ask(self, call: str) -> HttpRequest:
        """Say how to ask how far the call is."""

    def progress(self, status: int, body: bytes) -> Stage | Closed | None:
        """Read the answer to `ask`; None: nothing new."""

    def cancel(self, call: str) -> HttpRequest | None:
        """Say how to end the call, answered or not; None where the service has no way to."""


@dataclass(frozen=True, slots=True)
class ElksDialer:
    """46elks: the person called is connected to the websocket number, and so to us.

    Source: 46elks, "make a phone call" and "call actions". Its error texts are not documented: they are searched for
    words. It has no way to end a call that rings: close the socket when it comes.
    """

    user: str = field(repr=False)
    password: str = field(repr=False)
    number: str = field(repr=False)  # ours, that the person called sees
    websocket_number: str = field(repr=False)
    base: str = ELKS

    def place(self, number: str) -> HttpRequest | Closed:
        to = e164(number)
        if isinstance(to, Closed):
            return to
        action = json.dumps({"connect": self.websocket_number})
        form = (("from", self.number), ("to", to), ("voice_start", action), ("timeout", str(RING_S)))
        return _post(f"{self.base}/calls", self.user, self.password, form)

    def placed(self, status: int, body: bytes) -> Placed | Closed:
        if closed := _not_done("46elks", status):
            return closed
        if status in (200, 201):
            return _named("46elks", _fields(body).get("id"))
        return self._refused(status, body.decode("utf-8", "replace").lower())

    def _refused(self, status: int, words: str) -> Closed:
        if status == 401:
            advice = "copy API username and password from its dashboard again"
            return Closed(End.BAD_CREDENTIALS, f"46elks does not accept the API credentials: {advice}")
        if status == 402 or re.search(r"credit|balance|funds|prepaid", words):
            return Closed(End.NO_CREDIT, "the account at 46elks has no credit left: add some in its dashboard")
        if re.search(r"voice_start|websocket", words):
            return Closed(End.REFUSED, "46elks does not accept where the call is to go: check websocket_number")
        if re.search(r"\bfrom\b|sender|caller", words):
            advice = "set `number` to one that the account owns"
            return Closed(End.REFUSED, f"46elks does not accept the number that calls: {advice}")
        if status in (400, 404, 422) and re.search(r"\bto\b|number|recipient|destination", words):
            return Closed(End.WRONG_NUMBER, "46elks cannot call this number: check it, with its country code")
        advice = "look at the account in its dashboard"
        return Closed(End.REFUSED, f"46elks refuses the call (HTTP {status}): {advice}")

    def ask(self, call: str) -> HttpRequest:
        return _get(f"{self.base}/calls/{quote(call, safe='')}", self.user, self.password)

    def progress(self, status: int, body: bytes) -> Stage | Closed | None:
        """`ongoing` is all that 46elks says of a call that rings or is talked on."""
        match _state(status, body, "state"):
            case "ongoing":
                return Stage.RINGING
            case "busy":
                return _busy()
            case "failed":
                return Closed(End.NO_ANSWER, "nobody answered, or the phone cannot be reached: try again later")
            case "success":
                return Closed(End.HUNG_UP, "the call was answered and has ended")
            case _:
                return None

    def cancel(self, call: str) -> HttpRequest | None:
        return None


@dataclass(frozen=True, slots=True)
class TwilioDialer:
    """Twilio: the call carries its document with it, which connects the person called to our socket.

    Source: Twilio, REST API, resource "Calls".
    """

    account_sid: str = field(repr=False)
    auth_token: str = field(repr=False)
    number: str = field(repr=False)  # ours, that the person called sees
    socket_url: str = field(repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)  # come back with the stream
    base: str = TWILIO

    def place(self, number: str) -> HttpRequest | Closed:
        to = e164(number)
        if isinstance(to, Closed):
            return to
        document = twiml(self.socket_url, self.parameters)
        form = (("To", to), ("From", self.number), ("Twiml", document), ("Timeout", str(RING_S)))
        return _post(f"{self._calls}.json", self.account_sid, self.auth_token, form)

    def placed(self, status: int, body: bytes) -> Placed | Closed:
        answer = _fields(body)
        if status in (200, 201):
            return _named("Twilio", answer.get("sid"))
        return self._error(answer.get("code")) or _not_done("Twilio", status) or self._refused(status, answer)

    def _error(self, code: object) -> Closed | None:
        known = TWILIO_ERRORS.get(code) if isinstance(code, int) else None
        return Closed(*known) if known else None

    def _refused(self, status: int, answer: Mapping[str, object]) -> Closed:
        match status:
            case 401:
                return Closed(*TWILIO_ERRORS[20003])
            case 402:
                return Closed(*TWILIO_ERRORS[20005])
            case 404:
                return Closed(
                    End.BAD_CREDENTIALS, "Twilio knows no such account: copy account_sid from its console again"
                )
        code = answer.get("code")
        if isinstance(code, int) and 10_000 <= code <= 999_999:
            where = f"twilio.com/docs/api/errors/{code} says why"
            return Closed(End.REFUSED, f"Twilio refuses the call (HTTP {status}, error {code}): {where}")
        return Closed(End.REFUSED, f"Twilio refuses the call (HTTP {status}): its console, under Monitor, says why")

    def ask(self, call: str) -> HttpRequest:
        return _get(self._call(call), self.account_sid, self.auth_token)

    def progress(self, status: int, body: bytes) -> Stage | Closed | None:
        match _state(status, body, "status"):
            case "ringing":
                return Stage.RINGING
            case "busy":
                return _busy()
            case "no-answer":
                return Closed(End.NO_ANSWER, "nobody answered: try again later")
            case "failed":
                return Closed(End.WRONG_NUMBER, "the call could not be put through: check the number called")
            case "canceled":
                return Closed(End.HUNG_UP, "the call was called off")
            case "completed":
                return Closed(End.HUNG_UP, "the call was answered and has ended")
            case _:
                return None  # queued, initiated; in-progress: the socket comes by itself

    def cancel(self, call: str) -> HttpRequest | None:
        """`completed` ends a call that rings, too; `canceled` would leave one that was answered meanwhile."""
        return _post(self._call(call), self.account_sid, self.auth_token, (("Status", "completed"),))

    @property
    def _calls(self) -> str:
        return f"{self.base}/Accounts/{quote(self.account_sid, safe='')}/Calls"

    def _call(self, call: str) -> str:
        return f"{self._calls}/{quote(call, safe='')}.json"


def e164(number: str) -> str | Closed:
    """Return the number as the services want it, `+` and digits; what people write between the digits is left out."""
    bare = re.sub(r"[\s().\-/]", "", number)
    if bare.startswith("00"):
        return Closed(End.WRONG_NUMBER, "the number begins with 00: write + instead, then country code and number")
    if not bare.startswith("+"):
        return Closed(End.WRONG_NUMBER, "the number has no country code: write it as + country code, number without 0")
    digits = bare[1:]
    if not (digits.isascii() and digits.isdigit()):
        return Closed(End.WRONG_NUMBER, "the number holds something else than digits: expected + and digits")
    if digits.startswith("0"):
        return Closed(End.WRONG_NUMBER, "the number has a 0 after the +, where its country code ought to be")
    if not SHORTEST <= len(digits) <= LONGEST:
        expected = f"expected {SHORTEST} to {LONGEST} with the country code"
        return Closed(End.WRONG_NUMBER, f"the number has {len(digits)} digits, {expected}")
    return bare


def _post(url: str, user: str, password: str, form: tuple[tuple[str, str], ...]) -> HttpRequest:
    headers = {"Authorization": _basic(user, password), "Content-Type": "application/x-www-form-urlencoded"}
    return HttpRequest("POST", url, headers, form)


def _get(url: str, user: str, password: str) -> HttpRequest:
    return HttpRequest("GET", url, {"Authorization": _basic(user, password)})


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _not_done(host: str, status: int) -> Closed | None:
    """Say what is worth another try."""
    if status == 0:
        return Closed(End.LINK_LOST, f"{host} cannot be reached: is this box on the internet?")
    if status in (408, 425, 429):
        return Closed(End.LINK_LOST, f"{host} is too busy (HTTP {status}): wait a little")
    if 500 <= status <= 599:
        return Closed(End.LINK_LOST, f"{host} is in trouble (HTTP {status}): wait a little")
    return None


def _named(host: str, call: object) -> Placed | Closed:
    """Take the id of the call. Without one it may ring all the same: it is not placed a second time."""
    if isinstance(call, str) and re.fullmatch(r"[\w-]{1,64}", call, re.ASCII):
        return Placed(call)
    return Closed(End.REFUSED, f"{host} answers, but names no call: does its address in the configuration lead there?")


def _busy() -> Closed:
    return Closed(End.BUSY, "the person called is on the phone: try again later")


def _state(status: int, body: bytes, name: str) -> object:
    return _fields(body).get(name) if status == 200 else None


def _fields(body: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
