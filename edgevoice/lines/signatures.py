"""Was this webhook, or this WebSocket upgrade, really sent by the phone service? Twilio, Plivo and Vobiz sign theirs.

Rules
* What was signed is a text: the URL as the service spelled it, and for most of them what was posted. The key is the
  account's secret, so nobody else can sign. 46elks signs nothing: there the path holds a token.
* How a service spells the URL of an upgrade is not documented. So there may be several (`url_variants`); a signature of
  any of them is good.
* Every candidate is compared, in constant time, whether or not an earlier one was right: the time taken tells nothing.
* A body that the signature does not cover is refused where the service covers bodies. Vobiz documents none: there the
  form is only as good as the URL.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlparse, urlsplit

Form: TypeAlias = tuple[tuple[str, str], ...]
Candidate: TypeAlias = tuple[str, str, Callable[[], Any]]  # the signature that came, the text it may sign, the digest

SCHEMES = ("wss", "https", "http")
SIGNATURES = 8  # looked at in one header: an account and its parent each sign with two keys while one is replaced

# Source: the validator of the package twilio 9.13.0. Without the header it is SHA-1 and the account's token; with it
# the key is one that was made for webhooks.
TWILIO_DIGESTS: Mapping[str, Callable[[], Any]] = {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}

PLIVO_NONCES = ("x-plivo-signature-v3-nonce",)
PLIVO_SIGNATURES = ("x-plivo-signature-v3", "x-plivo-signature-ma-v3")  # the second: of the parent account
# Source: Vobiz's notes for those who come from Plivo. They do not name the header of the nonce: it may be any of these.
VOBIZ_NONCES = ("x-vobiz-signature-v2-nonce", "x-vobiz-signature-v3-nonce", "x-vobiz-signature-nonce")
VOBIZ_V2 = ("x-vobiz-signature-v2", "x-vobiz-signature-ma-v2")
VOBIZ_V3 = ("x-vobiz-signature-v3", "x-vobiz-signature-ma-v3")


def check(service: str, secret: str, *, urls: Sequence[str], headers: Mapping[str, str], body: bytes = b"") -> bool:
    """Say whether `service` ("twilio", "plivo", "vobiz") signed this request with `secret`.

    `urls` are the spellings that it may have signed: for a webhook the one that was entered there, with the query of
    the request; for an upgrade `url_variants` of it. The names of `headers` may be in any case. Raises ValueError for a
    service that never signs. The method needs no telling: a GET is a request without a body.
    """
    if service not in _SIGNERS:
        raise ValueError(f'"{service}" signs nothing, expected one of {", ".join(_SIGNERS)}')
    lower = {name.lower(): value for name, value in headers.items()}
    posted = lower.get("content-type", "").lower().startswith("application/x-www-form-urlencoded")
    request = _Request(tuple(dict.fromkeys(urls)), lower, form(body) if posted else (), body)
    genuine = False
    for came, text, digest in _SIGNERS[service](request):
        due = b64encode(hmac.digest(secret.encode(), text.encode("utf-8", "replace"), digest))
        genuine |= hmac.compare_digest(came.encode("utf-8", "replace"), due)
    return genuine and bool(secret)  # without a key anybody could sign


def single_use(service: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the signatures that came, where a nonce makes each good for one request; Twilio has none: nothing.

    A request is a replay if any of them came with a genuine one before.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    names = {"plivo": PLIVO_SIGNATURES, "vobiz": (*VOBIZ_V2, *VOBIZ_V3)}.get(service, ())
    return tuple(_values(lower, names))


def form(body: bytes) -> Form:
    """Return the fields of a posted form in their order; what is no UTF-8 in them is replaced."""
    return tuple(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def url_variants(url: str) -> tuple[str, ...]:
    """Return every spelling of the URL of an upgrade that a service may have signed; `url` itself is the first.

    Source: Twilio's library adds and removes ports, and adds :80 to wss; reports of users name the trailing slash;
    Plivo's own streaming library checks http and a path that ends in /websocket.
    """
    parts = urlsplit(url)
    path, query = parts.path.rstrip("/"), f"?{parts.query}" if parts.query else ""
    host = _without_port(parts.netloc)
    hosts = dict.fromkeys((parts.netloc, host, f"{host}:443", f"{host}:80"))
    paths = (path, f"{path}/", f"{path}/websocket", f"{path}/websocket/")
    spelled = (f"{scheme}://{at}{end}{query}" for scheme, at, end in product(SCHEMES, hosts, paths))
    return tuple(dict.fromkeys((url, *spelled)))


@dataclass(frozen=True, slots=True)
class _Request:
    urls: tuple[str, ...]
    headers: Mapping[str, str]  # names in lower case
    form: Form
    body: bytes


def _values(headers: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """Return what these headers hold; each may hold several values between commas."""
    values = (value for name in names for value in headers.get(name, "").split(",")[:SIGNATURES])
    return [value.strip() for value in values if value.strip()]


def _twilio(request: _Request) -> Iterator[Candidate]:
    """Sign the URL and each field posted, sorted, name and value; of any other body the URL holds a hash.

    Source: the validator of the package twilio 9.13.0, which sorts what a name has several of, and counts it once.
    """
    settings = request.headers.get("x-twilio-webhooks-signature-settings", "")
    digest = TWILIO_DIGESTS.get(_algorithm(settings))
    came = request.headers.get("x-twilio-signature", "")
    if digest is None:
        return
    fields = "".join(name + value for name, value in sorted(set(request.form)))
    for url in dict.fromkeys(spelled for known in request.urls for spelled in _ports(known)):
        if request.form or _covers(url, request.body):
            yield came, url + fields, digest


def _algorithm(settings: str) -> str:
    """Read `key=…,algorithm=HMAC_SHA256`."""
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return "HMAC_SHA1"


def _covers(url: str, body: bytes) -> bool:
    """Say whether a URL that is genuine vouches for the body, too."""
    hashes = [value for name, value in parse_qsl(urlsplit(url).query) if name == "bodySHA256"]
    if not hashes:
        return not body
    return hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), hashes[0].encode())


def _ports(url: str) -> tuple[str, ...]:
    """Return `url` with and without its port: Twilio is not consistent. Where there is none, its library's is added."""
    parts = urlsplit(url)
    bare = _without_port(parts.netloc)
    port = 443 if parts.scheme == "https" else 80
    other = bare if parts.netloc != bare else f"{bare}:{port}"
    return url, url.replace(parts.netloc, other, 1)


def _without_port(netloc: str) -> str:
    return re.sub(r":\d*\Z", "", netloc)


def _plivo(request: _Request) -> Iterator[Candidate]:
    if request.body and not request.form:
        return
    numbers, signatures = _values(request.headers, PLIVO_NONCES), _values(request.headers, PLIVO_SIGNATURES)
    for url, number, came in product(request.urls, numbers, signatures):
        yield came, f"{_plivo_v3(url, request.form)}.{number}", hashlib.sha256


def _plivo_v3(url: str, posted: Form) -> str:
    """Spell what version 3 signs, without the nonce: the query sorted, then what was posted, sorted.

    Source: `utils/signature_v3.py` of the package plivo 4.63.0.
    """
    parts = urlparse(url)
    query = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True)))
    fields = "".join(name + value for name, value in sorted(posted))
    question = "?" if query or posted else ""
    dot = "." if query and posted else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{question}{query}{dot}{fields}"


def _vobiz(request: _Request) -> Iterator[Candidate]:
    """Sign the URL and the nonce, version 3 with a dot between; or as Plivo does, of whom Vobiz is a near copy.

    Whether the query is signed is not said: Plivo's version 2 leaves it out. Both are accepted.
    """
    second, third, numbers = (_values(request.headers, names) for names in (VOBIZ_V2, VOBIZ_V3, VOBIZ_NONCES))
    bare = [url.partition("?")[0] for url in request.urls]
    for url, number in product(dict.fromkeys((*request.urls, *bare)), numbers):
        yield from ((came, url + number, hashlib.sha256) for came in second)
        yield from ((came, f"{url}.{number}", hashlib.sha256) for came in third)
    for url, number, came in product(request.urls, numbers, third):
        yield came, f"{_plivo_v3(url, request.form)}.{number}", hashlib.sha256


_SIGNERS: Mapping[str, Callable[[_Request], Iterator[Candidate]]] = {
    "twilio": _twilio,
    "plivo": _plivo,
    "vobiz": _vobiz,
}
