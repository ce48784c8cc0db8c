"""The documents are those that the services' own libraries would write, whatever a caller puts into them."""

from __future__ import annotations

import json
import shlex
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.lines.documents import (
    FIELDS,
    Calling,
    ElksSetup,
    Phone,
    Setup,
    StreamSetup,
    TwilioSetup,
    busy,
    calling,
    refuse,
    route,
    setup,
    socket_url,
    stream,
    twiml,
)

BASE, TOKEN = "https://box.example.com:8443", "s3cret"
URL = "wss://box.example.com/twilio/s3cret"
HOSTILE = ["+46701234567", "<\"'&>]]>", "Åsa 🚪", 'anonymous"/></Stream><Dial>+1900</Dial>', "\n\t\r", "", "%00&amp;"]
SERVICES: list[Phone] = ["elks", "twilio", "vobiz", "plivo"]
KNOWN: list[Setup] = [
    ElksSetup(BASE, TOKEN, number="+4610", websocket_number="+4600"),
    TwilioSetup(BASE, TOKEN, number="+4620", signed=True),
    StreamSetup("vobiz", BASE, TOKEN),
    StreamSetup("plivo", BASE, TOKEN, signed=True),
]

writable = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=30)


def theirs(url: str, parameters: dict[str, str]) -> str:
    """Return what Twilio's own package writes."""
    voice = pytest.importorskip("twilio.twiml.voice_response")
    response, connect = voice.VoiceResponse(), voice.Connect()
    element = connect.stream(url=url)
    for name, value in parameters.items():
        element.parameter(name=name, value=value)
    response.append(connect)
    return str(response)


def same(document: str, other: str) -> bool:
    return ElementTree.canonicalize(document) == ElementTree.canonicalize(other)


@pytest.mark.parametrize("text", HOSTILE)
def test_twilios_document_is_the_one_that_its_own_package_writes(text: str) -> None:
    parameters = {"from": text, "to": text + text}
    assert same(twiml(URL, parameters), theirs(URL, parameters))
    assert same(route("twilio", URL, parameters=parameters).text, theirs(URL, parameters))


@given(writable, st.dictionaries(writable, writable, max_size=4))
def test_no_text_of_a_caller_changes_what_twilios_document_says(url: str, parameters: dict[str, str]) -> None:
    assert same(twiml(url, parameters), theirs(url, parameters))


@given(st.text(max_size=30))
def test_every_document_can_be_read_again(text: str) -> None:
    element = ElementTree.fromstring(twiml(URL, {"from": text}).encode())
    assert [child.tag for child in element.iter()] == ["Response", "Connect", "Stream", "Parameter"]
    assert [child.tag for child in ElementTree.fromstring(stream(text).encode()).iter()] == ["Response", "Stream"]
    assert json.loads(route("elks", text).text) == {"connect": text}


@pytest.mark.parametrize("service", ["vobiz", "plivo"])
def test_vobiz_and_plivo_are_told_to_stay_for_both_directions(service: Phone) -> None:
    (element,) = ElementTree.fromstring(route(service, f"{URL}?a=1&b=2").text.encode())
    assert (element.tag, element.text) == ("Stream", f"{URL}?a=1&b=2")
    assert element.attrib == {
        "bidirectional": "true",
        "keepCallAlive": "true",
        "contentType": "audio/x-mulaw;rate=8000",
    }


def test_plivos_own_package_writes_the_same_stream() -> None:
    plivo = pytest.importorskip("plivo.xml")
    element = plivo.StreamElement(URL, bidirectional=True, keepCallAlive=True, contentType="audio/x-mulaw;rate=8000")
    assert same(stream(URL), plivo.ResponseElement().add(element).to_string(pretty=False))


def test_a_busy_line_and_a_refused_caller_hear_it() -> None:
    assert json.loads(busy("elks").text) == {"hangup": "busy"}
    assert json.loads(refuse("elks").text) == {"hangup": "reject"}
    assert same(busy("twilio").text, '<Response><Reject reason="busy"/></Response>')
    assert same(refuse("twilio").text, '<Response><Reject reason="rejected"/></Response>')
    for service in ("vobiz", "plivo"):
        assert same(busy(service).text, '<Response><Hangup reason="busy"/></Response>')
        assert same(refuse(service).text, '<Response><Hangup reason="rejected"/></Response>')


def test_each_document_names_its_kind_and_does_not_show_itself() -> None:
    for service in SERVICES:
        kind = "application/json" if service == "elks" else "text/xml; charset=utf-8"
        for document in (route(service, URL), busy(service), refuse(service)):
            assert document.content_type == kind
            assert repr(document) == f"Document(content_type={kind!r})"


@pytest.mark.parametrize("service", SERVICES)
def test_a_webhook_tells_which_call_and_between_whom(service: Phone) -> None:
    call, caller, callee = FIELDS[service]
    form = [("Direction", "in"), (call, "c1"), (caller, "+46 <1>"), (callee, "+462"), (call, "c2")]
    assert calling(service, form) == Calling("c1", "+46 <1>", "+462")
    assert calling(service, [(call, "c1")]) == Calling("c1")
    assert calling(service, [(call, ""), (caller, "+461")]) is None
    assert calling(service, []) is None


def test_46elks_may_call_the_call_by_another_name() -> None:
    assert calling("elks", [("id", "c1"), ("from", "+461"), ("to", "+462")]) == Calling("c1", "+461", "+462")


def test_the_numbers_of_a_call_do_not_show() -> None:
    assert repr(Calling("c1", "+461", "+462")) == "Calling(call='c1')"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://box.example.com:8443", "wss://box.example.com:8443/elks/a%2Fb"),
        ("https://box.example.com/", "wss://box.example.com/elks/a%2Fb"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/elks/a%2Fb"),
    ],
)
def test_the_socket_is_where_the_public_address_is(base: str, url: str) -> None:
    assert socket_url(base, "elks", "a/b") == url


# ------------------------------------------------------------------------------------------- what to enter where


def test_the_token_shows_only_when_the_owner_wants_it() -> None:
    assert TOKEN not in setup(KNOWN)
    assert setup(KNOWN).count("<TOKEN>") == 6  # one for each service, and what it stands for
    assert setup(KNOWN, show_token=True).count(TOKEN) == 5
    assert "<TOKEN>" not in setup(KNOWN, show_token=True)
    assert TOKEN not in "".join(map(repr, KNOWN))
    assert setup([]) == ""


def test_at_46elks_both_numbers_are_told_by_commands_that_a_shell_understands() -> None:
    text = setup([KNOWN[0]], show_token=True)
    commands = [shlex.split(part.partition("\n\n")[0]) for part in text.replace("\\\n", " ").split("\n\n     ")[1:]]
    login = ["curl", "-u", "<API USERNAME>:<API PASSWORD>"]
    numbers = "https://api.46elks.com/a1/numbers"
    websocket = f"{numbers}/<ID OF THE WEBSOCKET NUMBER>"
    assert commands == [
        [*login, numbers],
        [*login, "--data-urlencode", "websocket_url=wss://box.example.com:8443/elks/s3cret", websocket],
        [*login, websocket],
        [*login, "--data-urlencode", 'voice_start={"connect": "+4600"}', f"{numbers}/<ID OF THE NUMBER>"],
    ]
    assert "with voice_start in its place" in text


def test_a_quote_in_a_number_does_not_end_the_command() -> None:
    text = setup([ElksSetup(BASE, TOKEN, websocket_number="'; rm -rf / #")])
    last = text.replace("\\\n", " ").split("\n\n     ")[-1].partition("\n\n")[0]
    assert len(shlex.split(last)) == 6


@pytest.mark.parametrize(
    ("known", "webhook", "document"),
    [
        (KNOWN[1], f"{BASE}/twilio/voice", twiml(socket_url(BASE, "twilio", TOKEN), {})),
        (KNOWN[2], f"{BASE}/vobiz/answer?token={TOKEN}", stream(socket_url(BASE, "vobiz", TOKEN))),
        (KNOWN[3], f"{BASE}/plivo/answer", stream(socket_url(BASE, "plivo", TOKEN))),
    ],
)
def test_the_others_are_told_by_a_webhook_or_by_the_document_itself(known: Setup, webhook: str, document: str) -> None:
    lines = [line.strip() for line in setup([known], show_token=True).splitlines()]
    assert webhook in lines
    assert document in lines


def test_who_signs_nothing_yet_is_told_how() -> None:
    assert "write the auth token into a file" in setup([StreamSetup("vobiz", BASE, TOKEN)])
    assert "checks that it is Vobiz who asks" in setup([StreamSetup("vobiz", BASE, TOKEN, signed=True)])


@pytest.mark.parametrize("base", ["https://box.example.com:8443", "http://box.example.com"])
def test_an_address_that_twilio_does_not_connect_to_is_told(base: str) -> None:
    assert f"port 443 only, which {base} is not" in setup([TwilioSetup(base, TOKEN)])
    for good in ("https://box.example.com", "https://box.example.com:443"):
        assert "443 only" not in setup([TwilioSetup(good, TOKEN)])


def test_what_is_not_known_is_a_gap() -> None:
    text = setup([ElksSetup(BASE, TOKEN), TwilioSetup(BASE, TOKEN)])
    assert '{"connect": "<WEBSOCKET NUMBER>"}' in text
    assert "the number that people call" in text
    assert "open your number" in text
