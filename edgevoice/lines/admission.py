"""Who may come in at the door of the phone lines: an upgrade, or a webhook, is a service's, or it is refused.

    GET /elks/<token>           upgrade   token, and the address where `allow_ip` names some
    GET /twilio/<token>[/ticket] upgrade  token, ticket, signature where a secret is configured
    POST /twilio/voice          webhook   signature, or else the token as ?token=
    POST /vobiz/answer, /plivo/answer     the same
    GET /health                           anybody: says that it runs, and nothing else

Rules
* Tokens and signatures are compared in constant time. What is wrong is told to the journal, not to who came.
* A webhook's answer routes the call to a path with a ticket: good for one upgrade, for TICKET_S, by the service that
  fetched it. It says who calls, as the signed webhook told it.
* An upgrade is good once: whoever repeats one, with the same key, is refused. So is a signature that holds a nonce, for
  a webhook as for an upgrade.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import parse_qs, urlsplit

from edgevoice.lines.signatures import Form, check, form, single_use, url_variants

TICKET_S = 120.0  # a service dials the socket within seconds of the webhook; a called person takes a minute to answer
TICKETS = 256
KEYS = 1024  # upgrades, and signatures, that are remembered, so that none is repeated


@dataclass(frozen=True, slots=True)
class Door:
    """What one service must show. Both secrets are as configured, "" where none is."""

    token: str = field(repr=False)
    secret: str = field(default="", repr=False)
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ticket:
    """Which call an upgrade belongs to: `call` is ours (an outgoing one), the numbers are the webhook's."""

    service: str
    call: str = ""
    caller: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Come in. `ticket` is None for a path without one."""

    service: str
    ticket: Ticket | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """An HTTP status for who came, and why for the journal."""

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Came:
    """A request as it came in. `url` is its address as seen from outside, with the path and query of the request."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    address: str
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def form(self) -> Form:
        """What was posted, or for a GET what stands in the query."""
        return form(self.body if self.method == "POST" else urlsplit(self.url).query.encode())

    def socket_url(self, path: str) -> str:
        """Return the address of a WebSocket of ours, reached as this request was."""
        parts = urlsplit(self.url)
        return f"{'ws' if parts.scheme == 'http' else 'wss'}://{parts.netloc}{path}"


class Admission:
    """The doors of one box, by the name of their service. `new_ticket` makes a text that nobody can guess."""

    def __init__(self, doors: Mapping[str, Door], new_ticket: Callable[[], str]) -> None:
        self._doors = doors
        self._new_ticket = new_ticket
        self._tickets: OrderedDict[str, tuple[Ticket, float]] = OrderedDict()
        self._keys: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def issue(self, ticket: Ticket, at: float, *, for_s: float = TICKET_S) -> str:
        """Return the path, without the host, at which one call may come in."""
        name = self._new_ticket()
        self._tickets[name] = ticket, at + for_s
        while len(self._tickets) > TICKETS:
            self._tickets.popitem(last=False)
        return f"/{ticket.service}/{self._doors[ticket.service].token}/{name}"

    def upgrade(self, came: Came, at: float) -> Admitted | Refused:
        """Decide about the upgrade to a WebSocket."""
        service, _, rest = came.path.strip("/").partition("/")
        token, _, name = rest.partition("/")
        door = self._doors.get(service)
        if door is None:
            return Refused(404, "no such service is configured")
        if not _same(token, door.token):
            return Refused(404, f"a wrong token for {service}")
        if not _within(came.address, door.addresses):
            return Refused(403, f"{service} does not call from that address")
        if door.secret and not check(service, door.secret, urls=url_variants(came.url), headers=came.headers):
            return Refused(403, f"a wrong signature, or none, for {service}")
        keys = [("key", value) for name, value in came.headers.items() if name.lower() == "sec-websocket-key"]
        if self._repeated(*keys, *self._signatures("upgrade", service, door, came)):
            return Refused(409, f"an upgrade for {service} was repeated")
        ticket = self._redeem(name, service, at) if name else None
        if name and ticket is None:
            return Refused(403, f"a ticket for {service} that is unknown, used or too old")
        return Admitted(service, ticket)

    def webhook(self, service: str, came: Came) -> Refused | None:
        """Decide about a webhook: signed, or where no secret is configured, with the token in its query."""
        door = self._doors.get(service)
        if door is None:
            return Refused(404, "no such service is configured")
        if not _within(came.address, door.addresses):
            return Refused(403, f"{service} does not call from that address")
        if door.secret:
            if not check(service, door.secret, urls=(came.url,), headers=came.headers, body=came.body):
                return Refused(403, f"a wrong signature, or none, for {service}")
            repeated = self._repeated(*self._signatures("webhook", service, door, came))
            return Refused(409, f"a webhook of {service} was repeated") if repeated else None
        token = parse_qs(urlsplit(came.url).query).get("token", [""])[0]
        return None if _same(token, door.token) else Refused(403, f"a wrong token for {service}")

    def _redeem(self, name: str, service: str, at: float) -> Ticket | None:
        ticket, until = self._tickets.pop(name, (None, 0.0))
        return ticket if ticket and ticket.service == service and at <= until else None

    def _signatures(self, kind: str, service: str, door: Door, came: Came) -> list[tuple[str, ...]]:
        return [(kind, service, one) for one in single_use(service, came.headers)] if door.secret else []

    def _repeated(self, *keys: tuple[str, ...]) -> bool:
        """Remember them; tell whether one of them was known."""
        repeated = any(key in self._keys for key in keys)
        self._keys.update(dict.fromkeys(keys))
        while len(self._keys) > KEYS:
            self._keys.popitem(last=False)
        return repeated


def _same(shown: str, due: str) -> bool:
    return bool(due) and hmac.compare_digest(shown.encode(), due.encode())


def _within(address: str, addresses: Sequence[str]) -> bool:
    """Tell whether `address` is one of those, or in one of their networks; with none named, all are."""
    if not addresses:
        return True
    try:
        came = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(came, "ipv4_mapped", None)  # a socket that listens on both kinds shows IPv4 like this
    return any((mapped or came) in ip_network(network, strict=False) for network in addresses)
