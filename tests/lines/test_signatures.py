"""Signatures made by the services' own libraries are accepted, and nothing that differs from them by one bit."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgevoice.lines.signatures import check, form, single_use, url_variants

RequestValidator = pytest.importorskip("twilio.request_validator").RequestValidator
plivo_v2 = pytest.importorskip("plivo.utils")
plivo_v3 = pytest.importorskip("plivo.utils.signature_v3")

SECRET = "an auth token"
URL = "https://box.example.com:8443/twilio/voice"
POSTED = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
CALL = [("CallSid", "CA1"), ("From", "+4670"), ("To", "+4610"), ("Name", "Åsa & Bo=?")]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
forms = st.lists(st.tuples(texts, texts), min_size=1, max_size=6)


class Fields(dict[str, list[str]]):
    """A form as the web frameworks hand it to Twilio's library: a name may have several values."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[str]:
        return self[name]


def twilio(url: str, pairs: Sequence[tuple[str, str]] = (), algorithm: str | None = None) -> str:
    return str(RequestValidator(SECRET).compute_signature(url, Fields(pairs), algorithm))


def plivo(method: str, url: str, pairs: Sequence[tuple[str, str]] = (), nonce: str = "123") -> dict[str, str]:
    """Return the headers that Plivo's own library holds to be right."""
    fields = dict(Fields(pairs))
    text = plivo_v3.construct_get_url(url, fields) if method == "GET" else plivo_v3.construct_post_url(url, fields)
    signature = plivo_v3.get_signature_v3(SECRET, text.decode(), nonce).decode()
    return {"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": nonce}


def sha256(text: str, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha256)).decode()


def post(
    service: str, url: str, headers: Mapping[str, str], pairs: Sequence[tuple[str, str]], secret: str = SECRET
) -> bool:
    body = urlencode(pairs).encode()
    return check(service, secret, urls=[url], headers={**POSTED, **headers}, body=body)


def upgrade(service: str, url: str, headers: Mapping[str, str]) -> bool:
    return check(service, SECRET, urls=url_variants(url), headers=headers)


def flip(data: bytes, at: int) -> bytes:
    """Flip one bit; `at` may be any number."""
    bit = at % (len(data) * 8)
    return bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(data))


# -------------------------------------------------------------------------------------------------- Twilio


@given(forms)
def test_a_form_that_twilios_library_has_signed_is_genuine(pairs: list[tuple[str, str]]) -> None:
    assert post("twilio", URL, {"X-Twilio-Signature": twilio(URL, pairs)}, pairs)


@given(forms, st.integers(min_value=0))
def test_one_bit_of_the_body_makes_twilios_signature_a_forgery(pairs: list[tuple[str, str]], at: int) -> None:
    body = urlencode(pairs).encode()
    forged = flip(body, at)
    assume(sorted(set(form(forged))) != sorted(set(form(body))))
    headers = POSTED | {"X-Twilio-Signature": twilio(URL, pairs)}
    assert not check("twilio", SECRET, urls=[URL], headers=headers, body=forged)


@given(st.integers(min_value=0))
def test_one_bit_of_the_signature_or_of_the_path_makes_it_a_forgery(at: int) -> None:
    signature = twilio(URL, CALL)
    forged = flip(signature.encode(), at).decode("latin-1")
    assert not post("twilio", URL, {"X-Twilio-Signature": forged}, CALL)
    path = flip(b"/twilio/voice", at).decode("latin-1")
    assert not post("twilio", f"https://box.example.com{path}", {"X-Twilio-Signature": signature}, CALL)


def test_another_key_is_refused_and_no_key_at_all_accepts_nothing() -> None:
    assert not post("twilio", URL, {"X-Twilio-Signature": twilio(URL, CALL)}, CALL, secret="another")
    nobodys = str(RequestValidator("").compute_signature(URL, Fields(CALL)))
    assert not post("twilio", URL, {"X-Twilio-Signature": nobodys}, CALL, secret="")


@pytest.mark.parametrize(
    ("signed", "ours"),
    [
        ("https://box.example.com/v", "https://box.example.com/v"),
        ("https://box.example.com/v", "https://box.example.com:8443/v"),
        ("https://box.example.com:443/v", "https://box.example.com/v"),
        ("http://box.example.com:80/v", "http://box.example.com/v"),
    ],
)
def test_twilio_may_have_signed_the_url_with_or_without_the_port(signed: str, ours: str) -> None:
    assert post("twilio", ours, {"X-Twilio-Signature": twilio(signed, CALL)}, CALL)


def test_the_headers_names_may_be_in_any_case() -> None:
    assert post("twilio", URL, {"x-twilio-SIGNATURE": twilio(URL, CALL)}, CALL)


def test_a_get_with_its_query_is_signed_by_the_url_alone() -> None:
    url = f"{URL}?{urlencode(CALL)}"
    assert check("twilio", SECRET, urls=[url], headers={"X-Twilio-Signature": twilio(url)})


def test_json_is_covered_by_a_hash_in_the_url_and_only_then() -> None:
    body = json.dumps({"hej": "Åsa"}).encode()
    url = f"{URL}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = twilio(url)
    assert RequestValidator(SECRET).validate(url, body.decode(), signature)
    headers = {"Content-Type": "application/json", "X-Twilio-Signature": signature}
    assert check("twilio", SECRET, urls=[url], headers=headers, body=body)
    for at in range(len(body) * 8):
        assert not check("twilio", SECRET, urls=[url], headers=headers, body=flip(body, at))
    bare = headers | {"X-Twilio-Signature": twilio(URL)}
    assert not check("twilio", SECRET, urls=[URL], headers=bare, body=body)


def test_the_newer_key_signs_with_sha_256_and_an_unknown_digest_is_refused() -> None:
    signature = twilio(URL, CALL, "HMAC_SHA256")
    settings = "X-Twilio-Webhooks-Signature-Settings"
    headers = {"X-Twilio-Signature": signature, settings: "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}
    assert post("twilio", URL, headers, CALL)
    assert not post("twilio", URL, {"X-Twilio-Signature": signature}, CALL)
    assert not post("twilio", URL, headers | {settings: "key=1,algorithm=HMAC_MD5"}, CALL)


# --------------------------------------------------------------------------------------------------- Plivo


@given(forms, st.sampled_from(["", "?b=2&a=1&a=0&c=", "?x=a%26b+c"]))
def test_a_form_that_plivos_library_has_signed_is_genuine(pairs: list[tuple[str, str]], query: str) -> None:
    url = f"https://box.example.com:8443/plivo/answer{query}"
    assert post("plivo", url, plivo("POST", url, pairs), pairs)


@pytest.mark.parametrize("query", ["", "?b=2&a=1&a=0&c=", "?x=a%26b+c"])
def test_a_get_that_plivos_library_has_signed_is_genuine(query: str) -> None:
    url = f"https://box.example.com/plivo/answer{query}"
    assert check("plivo", SECRET, urls=[url], headers=plivo("GET", url))


@given(forms, st.integers(min_value=0))
def test_one_bit_of_the_body_makes_plivos_signature_a_forgery(pairs: list[tuple[str, str]], at: int) -> None:
    body = urlencode(pairs).encode()
    forged = flip(body, at)
    assume(sorted(form(forged)) != sorted(form(body)))
    headers = POSTED | plivo("POST", URL, pairs)
    assert not check("plivo", SECRET, urls=[URL], headers=headers, body=forged)


@given(st.integers(min_value=0), st.sampled_from(["X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce"]))
def test_one_bit_of_either_header_makes_plivos_signature_a_forgery(at: int, name: str) -> None:
    headers = plivo("POST", URL, CALL)
    forged = flip(headers[name].encode(), at).decode("latin-1")
    assume(forged.strip(" ,") != headers[name])
    assert not post("plivo", URL, headers | {name: forged}, CALL)


def test_one_good_signature_among_several_is_enough() -> None:
    headers = plivo("POST", URL, CALL)
    several = ", ".join([sha256("something else"), headers["X-Plivo-Signature-V3"], ""])
    assert post("plivo", URL, headers | {"X-Plivo-Signature-V3": several}, CALL)


def test_a_body_that_plivo_does_not_sign_is_refused() -> None:
    headers = plivo("GET", URL) | {"Content-Type": "application/json"}
    assert not check("plivo", SECRET, urls=[URL], headers=headers, body=b"{}")


# --------------------------------------------------------------------------------------------------- Vobiz


@pytest.mark.parametrize(
    "nonce", ["X-Vobiz-Signature-V2-Nonce", "X-Vobiz-Signature-V3-Nonce", "X-Vobiz-Signature-Nonce"]
)
@pytest.mark.parametrize("parent", ["", "MA-"])
@pytest.mark.parametrize(("version", "between"), [("V2", ""), ("V3", ".")])
def test_vobiz_signs_the_url_and_a_nonce(version: str, between: str, parent: str, nonce: str) -> None:
    headers = {f"X-Vobiz-Signature-{parent}{version}": sha256(f"{URL}{between}n1"), nonce: "n1"}
    assert post("vobiz", URL, headers, CALL)
    assert post("vobiz", f"{URL}?a=1", headers, CALL)
    assert not post("vobiz", URL, headers | {nonce: "n2"}, CALL)
    assert not post("vobiz", f"{URL}s", headers, CALL)


def test_vobiz_may_sign_as_plivo_does() -> None:
    theirs = plivo("POST", URL, CALL, nonce="n1")
    assert post("vobiz", URL, {name.replace("Plivo", "Vobiz"): value for name, value in theirs.items()}, CALL)
    second = sha256(f"{URL}n1")
    assert plivo_v2.validate_signature(URL, "n1", second, SECRET)
    assert post("vobiz", URL, {"X-Vobiz-Signature-V2": second, "X-Vobiz-Signature-Nonce": "n1"}, CALL)


# ------------------------------------------------------------------------------------------------ upgrades


@pytest.mark.parametrize("signed", url_variants("wss://box.example.com:8443/plivo/secret"))
def test_an_upgrade_may_be_signed_in_any_spelling_of_its_url(signed: str) -> None:
    ours = "wss://box.example.com:8443/plivo/secret"
    assert upgrade("twilio", ours, {"X-Twilio-Signature": twilio(signed)})
    assert upgrade("plivo", ours, plivo("GET", signed))
    assert upgrade("vobiz", ours, {"X-Vobiz-Signature-V3": sha256(f"{signed}.7"), "X-Vobiz-Signature-Nonce": "7"})


def test_the_spellings_are_those_that_are_known_of() -> None:
    variants = url_variants("wss://box.example.com/plivo/secret")
    assert variants[0] == "wss://box.example.com/plivo/secret"
    for other in (
        "https://box.example.com/plivo/secret/",
        "wss://box.example.com:443/plivo/secret",
        "wss://box.example.com:80/plivo/secret",
        "http://box.example.com/plivo/secret/websocket",
    ):
        assert other in variants
    assert len(set(variants)) == len(variants)
    assert all("/plivo/secret" in variant and "box.example.com" in variant for variant in variants)


@pytest.mark.parametrize("service", ["twilio", "plivo", "vobiz"])
def test_an_upgrade_to_another_path_or_without_signature_is_refused(service: str) -> None:
    assert not upgrade(service, "wss://box.example.com/a", {})
    headers = {"X-Twilio-Signature": twilio("wss://box.example.com/b"), **plivo("GET", "wss://box.example.com/b")}
    assert not upgrade(service, "wss://box.example.com/a", headers)


@given(
    st.sampled_from(["twilio", "plivo", "vobiz"]),
    st.dictionaries(
        st.sampled_from(["X-Twilio-Signature", "X-Plivo-Signature-V3", "X-Plivo-Signature-V3-Nonce"]), texts
    ),
    texts,
    st.binary(max_size=40),
)
def test_nonsense_is_refused_and_raises_nothing(service: str, headers: dict[str, str], url: str, body: bytes) -> None:
    assert not check(service, SECRET, urls=["https://box.example.com/" + url], headers=headers, body=body)


def test_a_replayed_request_is_known_by_its_signature_whatever_was_added_to_it() -> None:
    headers = plivo("GET", URL)
    assert single_use("plivo", headers) == (headers["X-Plivo-Signature-V3"],)
    assert single_use("vobiz", {"x-vobiz-signature-v3": "b, c", "X-Vobiz-Signature-V2": "a"}) == ("a", "b", "c")
    assert single_use("twilio", {"X-Twilio-Signature": twilio(URL)}) == ()


def test_a_service_that_signs_nothing_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match='"elks" signs nothing, expected one of twilio, plivo, vobiz'):
        check("elks", SECRET, urls=[URL], headers={})
