"""The fake Twilio does what its pages say, and is merciless about the rest."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from tests.phone.caller import Nasty
from tests.phone.player import Clock
from tests.phone.twilio import Twilio

STREAM = "MZ" + "2" * 32
PROMPT = Clock(latency_ms=0)
CLEAR = json.dumps({"event": "clear", "streamSid": STREAM})


def media(ms: int) -> str:
    payload = base64.b64encode(b"\xff" * (ms * 8)).decode()
    return json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": payload}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": STREAM, "mark": {"name": name}})


def said(messages: list[str], *events: str) -> list[Any]:
    found = [json.loads(message) for message in messages]
    return [message for message in found if not events or message["event"] in events]


def marks(messages: list[str]) -> list[str]:
    return [message["mark"]["name"] for message in said(messages, "mark")]


def started(**options: Any) -> Twilio:
    twilio = Twilio(0.0, clock=PROMPT, **options)
    assert [message["event"] for message in said(twilio.advance(0.0))][:1] == ["connected"]
    return twilio


def test_twilio_begins_with_connected_and_start() -> None:
    connected, start = said(Twilio(0.0, parameters={"token": "t"}).advance(0.0))
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert set(start) == {"event", "sequenceNumber", "start", "streamSid"}
    assert start["sequenceNumber"] == "1"
    assert start["start"]["customParameters"] == {"token": "t"}
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


def test_twilio_sends_the_caller_every_20_ms_with_numbers_that_are_strings() -> None:
    twilio = started()
    twilio.caller_says(np.full(160, 32124, np.int16), 0.0)
    first, second = said(twilio.advance(0.04))
    assert base64.b64decode(first["media"]["payload"]) == b"\x80" * 160
    assert base64.b64decode(second["media"]["payload"]) == b"\xff" * 160
    assert (first["sequenceNumber"], second["sequenceNumber"]) == ("2", "3")
    assert [(m["media"]["chunk"], m["media"]["timestamp"]) for m in (first, second)] == [("1", "20"), ("2", "40")]
    assert len(twilio.advance(60.04)) == 3000


def test_twilio_returns_a_mark_when_it_was_reached() -> None:
    twilio = started()
    for message in (media(100), mark("a"), media(100), mark("b")):
        twilio.receive(message, 0.0)
    assert marks(twilio.advance(0.119)) == []  # the sound began with the wake at 20 ms
    assert marks(twilio.advance(0.12)) == ["a"]
    assert marks(twilio.advance(1.0)) == ["b"]
    assert twilio.violations == []


def test_twilio_returns_all_pending_marks_at_once_when_it_is_cleared() -> None:
    twilio = started()
    for message in (media(100), mark("a"), media(100), mark("b"), media(100), mark("c")):
        twilio.receive(message, 0.0)
    assert marks(twilio.receive(CLEAR, 0.139)) == ["a", "b", "c"]
    assert marks(twilio.advance(1.0)) == []
    assert twilio.player.played_ms == 120


def test_twilio_plays_what_comes_after_a_clear() -> None:
    twilio = started()
    for message, at in ((media(500), 0.0), (CLEAR, 0.025), (media(60), 0.025)):
        twilio.receive(message, at)
    twilio.advance(1.0)
    assert twilio.player.played_ms == 80  # a frame of the first was on its way


def test_twilio_tells_of_keys_and_of_the_end() -> None:
    twilio = started()
    assert said(twilio.caller_presses("5", 0.0))[-1]["dtmf"] == {"track": "inbound_track", "digit": "5"}
    assert set(said(twilio.caller_hangs_up(0.0))[-1]["stop"]) == {"accountSid", "callSid"}
    assert twilio.over


@pytest.mark.parametrize(
    ("message", "violation"),
    [
        ('{"event":"start"}', "unknown message event='start'"),
        ('{"event":"clear"}', "clear: no streamSid"),
        ('{"event":"clear","streamSid":"MZ1"}', "clear: another call's streamSid"),
        (mark(""), "mark: the name is empty"),
        (media(0).replace('"payload": ""', '"payload": "*"'), "media: the payload is no base64"),
        (media(0).replace('"payload": ""', '"payload": "UklGRgAA"'), "media: a file, expected bare mu-law"),
        (media(0).replace('"payload"', '"data"'), "media.media: no payload"),
        (mark("a").replace('"mark": {', '"media": {'), "mark: no mark"),
    ],
)
def test_twilio_notes_what_breaks_its_protocol(message: str, violation: str) -> None:
    twilio = started()
    twilio.receive(message, 0.0)
    assert twilio.violations[0] == violation


def test_everything_nasty_comes_where_it_was_asked_for() -> None:
    twilio = started(nasty=Nasty(second_start=True, early_media=True, unknown_messages=True, odd_chunks=True))
    begin = Twilio(0.0, nasty=Nasty(second_start=True, early_media=True)).advance(0.0)
    assert [message["event"] for message in said(begin)] == ["connected", "media", "start", "start"]
    assert "null" in twilio.advance(1.0)
    assert Twilio(0.0, nasty=Nasty(silent=True)).advance(10.0) == []
