"""The documents by which a phone service brings a call to us, or turns it away, and what its webhook says of the call.

    webhook (a posted form) -> calling -> which call -> route, busy, refuse -> Document -> the HTTP answer

Everything that comes from a caller is escaped, or left out where XML has no way to write it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

Phone: TypeAlias = Literal["elks", "twilio", "vobiz", "plivo"]

MULAW = "audio/x-mulaw;rate=8000"  # what the telephone network has: no byte order to be wrong about
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, clause 2.2

# Source: the webhooks of 46elks (call actions), Twilio (voice), Plivo and Vobiz (answer_url).
FIELDS: Mapping[Phone, tuple[str, str, str]] = {
    "elks": ("callid", "from", "to"),
    "twilio": ("CallSid", "From", "To"),
    "vobiz": ("CallUUID", "From", "To"),
    "plivo": ("CallUUID", "From", "To"),
}
WEBHOOKS: Mapping[Phone, str] = {"twilio": "/twilio/voice", "vobiz": "/vobiz/answer", "plivo": "/plivo/answer"}


@dataclass(frozen=True, slots=True)
class Calling:
    """Who calls whom, as a webhook tells it. The numbers are never shown."""

    call: str  # the service's own id
    caller: str = field(default="", repr=False)
    callee: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """The answer to a webhook. It may hold the token and numbers, and is not shown."""

    content_type: str
    text: str = field(repr=False)


def calling(service: Phone, form: Sequence[tuple[str, str]]) -> Calling | None:
    """Read a webhook's form; None if it names no call. Of a name that comes twice the first counts."""
    told = dict(reversed(form))
    if service == "elks" and "callid" not in told:
        told["callid"] = told.get("id", "")  # Source: 46elks; some of its pages have it so
    call, caller, callee = (told.get(name, "") for name in FIELDS[service])
    return Calling(call, caller, callee) if call else None


def socket_url(base: str, service: Phone, token: str) -> str:
    """Return where the service connects to; `base` is our public address: "https://box.example.com:8443"."""
    address = base.rstrip("/")
    scheme = "ws" if urlsplit(address).scheme in ("http", "ws") else "wss"
    return f"{scheme}://{address.partition('://')[2]}/{service}/{quote(token, safe='')}"


def route(service: Phone, target: str, *, parameters: Mapping[str, str] | None = None) -> Document:
    """Bring the call to `target`: the socket's URL, for 46elks the websocket number.

    `parameters` come back in the first message of Twilio's stream, the others have no such thing.
    """
    match service:
        case "elks":
            return _json({"connect": target})
        case "twilio":
            return _xml(twiml(target, parameters or {}))
        case "vobiz" | "plivo":
            return _xml(stream(target))


def busy(service: Phone) -> Document:
    """Let the caller hear that the line is busy."""
    match service:
        case "elks":
            return _json({"hangup": "busy"})
        case "twilio":
            return _xml(_response("Reject", {"reason": "busy"}))
        case "vobiz" | "plivo":
            return _xml(_response("Hangup", {"reason": "busy"}))


def refuse(service: Phone) -> Document:
    """Turn the call away: this caller is not wanted, now or later."""
    match service:
        case "elks":
            return _json({"hangup": "reject"})
        case "twilio":
            return _xml(_response("Reject", {"reason": "rejected"}))
        case "vobiz" | "plivo":
            return _xml(_response("Hangup", {"reason": "rejected"}))


def twiml(url: str, parameters: Mapping[str, str]) -> str:
    """Write Twilio's document. It cuts a query off the URL: what we want to know again travels in the parameters."""
    response = ElementTree.Element("Response")
    element = ElementTree.SubElement(ElementTree.SubElement(response, "Connect"), "Stream", url=_writable(url))
    for name, value in parameters.items():
        ElementTree.SubElement(element, "Parameter", name=_writable(name), value=_writable(value))
    return _written(response)


def stream(url: str, content_type: str = MULAW) -> str:
    """Write the document of Vobiz and Plivo. Without `keepCallAlive` the call would end where the document does."""
    response = ElementTree.Element("Response")
    attributes = {"bidirectional": "true", "keepCallAlive": "true", "contentType": content_type}
    ElementTree.SubElement(response, "Stream", attributes).text = _writable(url)
    return _written(response)


def _response(name: str, attributes: Mapping[str, str]) -> str:
    response = ElementTree.Element("Response")
    ElementTree.SubElement(response, name, dict(attributes))
    return _written(response)


def _writable(text: str) -> str:
    return UNWRITABLE.sub("", text)


def _written(root: ElementTree.Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, encoding="unicode")


def _xml(text: str) -> Document:
    return Document("text/xml; charset=utf-8", text)


def _json(action: Mapping[str, str]) -> Document:
    return Document("application/json", json.dumps(action))


# ------------------------------------------------------------------------------------------- what to enter where


@dataclass(frozen=True, slots=True)
class ElksSetup:
    """What is known of a number at 46elks; what is empty shows as a gap to fill."""

    base: str  # our public address: "https://box.example.com:8443"
    token: str = field(repr=False)
    number: str = field(default="", repr=False)
    websocket_number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TwilioSetup:
    """What is known of a number at Twilio; `signed`: the auth token is there to check its webhook by."""

    base: str
    token: str = field(repr=False)
    number: str = field(default="", repr=False)
    signed: bool = False


@dataclass(frozen=True, slots=True)
class StreamSetup:
    """What is known of a number at Vobiz or Plivo; `signed` as above."""

    service: Literal["vobiz", "plivo"]
    base: str
    token: str = field(repr=False)
    signed: bool = False


Setup: TypeAlias = ElksSetup | TwilioSetup | StreamSetup

NUMBERS = "https://api.46elks.com/a1/numbers"
LOGIN = "-u '<API USERNAME>:<API PASSWORD>'"
HIDDEN = "<TOKEN>"
GAP = "__TOKEN__"  # while the text is written: nothing in it is escaped


def setup(services: Sequence[Setup], *, show_token: bool = False) -> str:
    """Write what to enter at each service. Without `show_token` the token is a gap: this text may be passed on then."""
    sections = [_section(service, show_token) for service in services]
    if not show_token and services:
        sections.append(f"{HIDDEN} stands for the secret in the service's path_token_file: give it to nobody else.\n")
    return "\n".join(sections)


def _section(service: Setup, show_token: bool) -> str:
    token = service.token if show_token else HIDDEN
    match service:
        case ElksSetup():
            return _page("46elks", _elks(service, token), ())
        case TwilioSetup():
            return _page("Twilio", _twilio(service, token), _twilio_notes(service))
        case StreamSetup():
            name = service.service.capitalize()
            return _page(name, _stream(service, name, token), (_signature(service.signed, name),))


def _page(title: str, steps: Sequence[str], notes: Sequence[str]) -> str:
    lines = [title, "-" * len(title)]
    for number, step in enumerate(steps, start=1):
        first, *rest = step.split("\n")
        lines += [f"{number}. {first}", *(f"   {line}" if line else "" for line in rest)]
    return "\n".join([*lines, *notes]).rstrip("\n") + "\n"


def _elks(known: ElksSetup, token: str) -> list[str]:
    """Source: 46elks, "realtime voice" and "configure a number"; its tutorial has another field than its reference."""
    address = _filled(_gap(known.base, "elks"), token)
    action = json.dumps({"connect": known.websocket_number or "<WEBSOCKET NUMBER>"})
    ordinary = f"the number {known.number}" if known.number else "the number that people call"
    websocket, called = f"{NUMBERS}/<ID OF THE WEBSOCKET NUMBER>", f"{NUMBERS}/<ID OF THE NUMBER>"
    return [
        f"Find the ids of your numbers:\n\n{_curl(NUMBERS)}",
        f"Tell the websocket number where this box is:\n\n{_curl(websocket, f'websocket_url={address}')}",
        f"Look whether it was kept:\n\n{_curl(websocket)}\n"
        "If the answer has no websocket_url, send step 2 again with voice_start in its place: a tutorial of\n"
        "46elks has it so.\n",
        f"Send the calls of {ordinary} there:\n\n{_curl(called, f'voice_start={action}')}",
    ]


def _curl(url: str, setting: str = "") -> str:
    """A `+` in a setting would reach them as a space if it were not encoded."""
    sent = f" \\\n    --data-urlencode {shlex.quote(setting)}" if setting else ""
    return f"  curl {LOGIN}{sent} \\\n    {shlex.quote(url)}\n"


def _twilio(known: TwilioSetup, token: str) -> list[str]:
    number = f"the number {known.number}" if known.number else "your number"
    document = _filled(twiml(_gap(known.base, "twilio"), {}), token)
    return [
        f"In Twilio's console open {number}: Phone Numbers, Manage, Active numbers.",
        'Under Voice, at "A call comes in", choose Webhook, enter this address and choose HTTP POST:\n\n'
        f"  {_webhook(known.base, 'twilio', token, signed=known.signed)}\n\n"
        "Or, without a webhook: choose TwiML Bin, and make one with this in it:\n\n"
        f"  {document}\n",
    ]


def _twilio_notes(known: TwilioSetup) -> list[str]:
    """Source: Twilio, "TwiML: Stream": it connects with encryption and to port 443, to nothing else."""
    notes = [_signature(known.signed, "Twilio")]
    parts = urlsplit(known.base)
    if parts.scheme != "https" or parts.port not in (None, 443):
        notes.append(
            f"Twilio connects to https and port 443 only, which {known.base} is not: forward port 443 to this box,\n"
            "and leave the port out wherever you enter the address."
        )
    return notes


def _stream(known: StreamSetup, name: str, token: str) -> list[str]:
    """Source: Vobiz and Plivo, applications and `answer_url`."""
    document = _filled(stream(_gap(known.base, known.service)), token)
    return [
        f"In {name}'s console open the application of your number, or make one.",
        "As answer URL, with the method POST, enter:\n\n"
        f"  {_webhook(known.base, known.service, token, signed=known.signed)}\n\n"
        "Or, where another server of yours answers for the number, let it answer with this:\n\n"
        f"  {document}\n",
    ]


def _webhook(base: str, service: Phone, token: str, *, signed: bool) -> str:
    """Return the webhook's address; who does not sign shows the token."""
    address = f"{base.rstrip('/')}{WEBHOOKS[service]}"
    return address if signed else _filled(f"{address}?token={GAP}", token)


def _signature(signed: bool, name: str) -> str:
    if signed:
        return f"The box has the auth token, and checks that it is {name} who asks."
    return (
        f"The box tells by the token alone that it is {name} who asks. Better: write the auth token into a file, and\n"
        "name that in auth_token_file; then the address needs no ?token=."
    )


def _gap(base: str, service: Phone) -> str:
    return socket_url(base, service, GAP)


def _filled(text: str, token: str) -> str:
    """Put the token where the gap is; HIDDEN as it is, which neither a URL nor XML could hold."""
    return text.replace(GAP, token if token == HIDDEN else quote(token, safe=""))
