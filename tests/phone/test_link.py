"""A whole call in virtual time: a fake service, a jittery network each way, a server; and no server breaks a fake."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.phone import elks, twilio, vobiz
from tests.phone.core import Core
from tests.phone.counting import Reader, numbered
from tests.phone.elks import Elks
from tests.phone.link import Link
from tests.phone.network import Network
from tests.phone.player import Clock
from tests.phone.sound import wrap
from tests.phone.twilio import Twilio
from tests.phone.vobiz import L16, Vendor, Vobiz

RATE = 8000


def echo(message: str, at: float) -> list[str]:
    """Say back what was heard, in the words of any of the services."""
    match json.loads(message):
        case {"t": "hello"}:
            return [json.dumps({"t": t, "format": "pcm_8000"}) for t in ("listening", "sending")]
        case {"t": "audio"}:
            return [message]
        case {"event": "media", "streamSid": sid, "media": {"payload": payload}}:
            return [json.dumps({"event": "media", "streamSid": sid, "media": {"payload": payload}})]
        case {"event": "media", "media": {"payload": payload}}:
            media = {"contentType": "audio/x-mulaw", "sampleRate": RATE, "payload": payload}
            return [json.dumps({"event": "playAudio", "media": media})]
    return []


MAKERS: dict[str, Callable[[float, Clock], Core]] = {
    "elks": lambda at, clock: Elks(at, clock=clock),
    "twilio": lambda at, clock: Twilio(at, clock=clock),
    "vobiz": lambda at, clock: Vobiz(at, clock=clock),
    "plivo": lambda at, clock: Vobiz(at, vendor=Vendor.PLIVO, clock=clock),
}


@pytest.mark.parametrize("name", MAKERS)
def test_two_minutes_of_speech_come_back_in_order_over_a_bad_network(name: str) -> None:
    core = MAKERS[name](0.0, Clock(jitter_ms=80, ppm=100))
    reader = Reader(RATE)
    core.player.tap = reader.read
    core.caller_says(numbered(120 * 50, RATE), 0.0, rate=RATE)
    link = Link(core, echo, up=Network(40, 80, seed=1), down=Network(40, 80, seed=2))
    link.run(122.0)
    assert (reader.seen, reader.in_order, core.violations) == (6000, True, [])
    assert core.player.played_ms == pytest.approx(122_000, abs=500)


def test_a_clear_is_as_late_as_the_network_and_the_marks_with_it() -> None:
    marks: list[tuple[str, float]] = []

    def listen(message: str, at: float) -> list[str]:
        found = json.loads(message)
        if found["event"] == "mark":
            marks.append((found["mark"]["name"], at))
        return []

    core = Twilio(0.0, clock=Clock(latency_ms=0))
    link = Link(core, listen, up=Network(40), down=Network(40))
    link.run(0.1)
    sid = {"streamSid": "MZ" + "2" * 32}
    media = {"payload": wrap(b"\xff" * RATE)}  # a second of silence
    link.send([json.dumps({"event": "media", **sid, "media": media})])
    link.send([json.dumps({"event": "mark", **sid, "mark": {"name": "a"}})])
    link.run(0.5)
    link.send([json.dumps({"event": "clear", **sid})])
    link.run(2.0)
    assert [(name, round(at, 3)) for name, at in marks] == [("a", 0.58)]
    assert core.player.played_ms == pytest.approx(400, abs=20)
    assert core.violations == []


WORDS = st.sampled_from(
    ["media", "mark", "clear", "audio", "sync", "bye", "playAudio", "ulaw", L16, "", "MZ" + "2" * 32]
)
LEAVES = WORDS | st.none() | st.integers(-1, 9000) | st.text(max_size=4)
NAMES = st.sampled_from(["event", "t", "media", "mark", "streamSid", "payload", "data", "format", "name", "x"])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4))
KINDS = st.sampled_from([*elks.SHAPES, *twilio.SHAPES, *vobiz.SHAPES])


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=40, deadline=None)
@given(
    messages=st.lists(st.tuples(KINDS, st.dictionaries(NAMES, VALUES, max_size=5)) | st.text(max_size=9), max_size=12)
)
def test_no_server_breaks_a_fake(name: str, messages: list[tuple[str, dict[str, object]] | str]) -> None:
    core = MAKERS[name](0.0, Clock())
    core.advance(0.0)
    for at, message in enumerate(messages):
        if isinstance(message, tuple):
            kind, fields = message
            message = json.dumps({"event": kind, "t": kind, **fields})
        core.receive(message, at / 100)
    core.receive("[" * 100_000, 1.0)
    assert core.over or core.violations
    assert core.player.heard_ms() == pytest.approx(core.player.played_ms)
    assert isinstance(core.player.recording(), np.ndarray)
