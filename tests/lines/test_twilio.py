"""Twilio, message by message."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.g711 import pcm_to_ulaw, ulaw_to_pcm
from edgevoice.events import Audio, Closed, Digit, End
from edgevoice.lines.service import Began, Meaning, Reached, Service
from edgevoice.lines.twilio import Twilio

CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
STOP = '{"event":"stop","sequenceNumber":"9","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}'
ULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
FRAME = bytes(range(160))


def start(call: str = "CA1", **fields: Any) -> str:
    inner = {"streamSid": "MZ1", "accountSid": "AC1", "callSid": call, "tracks": ["inbound"], "mediaFormat": ULAW}
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": inner | fields})


def media(codes: bytes, track: str = "inbound") -> str:
    sound = {"track": track, "chunk": "2", "timestamp": "20", "payload": b64encode(codes).decode()}
    return json.dumps({"event": "media", "sequenceNumber": "3", "streamSid": "MZ1", "media": sound})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "sequenceNumber": "4", "streamSid": "MZ1", "mark": {"name": name}})


def dtmf(key: str) -> str:
    return json.dumps({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": key}})


def called() -> Twilio:
    twilio = Twilio()
    twilio.receive(CONNECTED, 0.0)
    twilio.receive(start(), 0.0)
    return twilio


def test_a_call_begins_with_start() -> None:
    twilio = Twilio()
    service: Service = twilio
    assert twilio.receive(CONNECTED, 0.0) == ()
    assert twilio.receive(start(), 0.0) == (Began("CA1"),)
    assert twilio.begin() == ()
    assert (service.name, service.rate, service.chunk_ms, service.mark_ms) == ("twilio", 8000, 20, 250)
    assert not service.answers_clear
    assert twilio.faults == 0


def test_the_parameters_tell_who_calls_whom() -> None:
    told = {"from": "+46700000001", "to": "+46700000002", "token": "t"}
    began = Twilio().receive(start(customParameters=told), 0.0)
    assert began == (Began("CA1", "+46700000001", "+46700000002", told),)
    assert "4670" not in repr(began)


@pytest.mark.parametrize("parameters", [None, [], "room", {}, {"floor": 2}])
def test_parameters_of_another_shape_are_no_hindrance(parameters: object) -> None:
    assert Twilio().receive(start(customParameters=parameters), 0.0) == (Began("CA1"),)


@pytest.mark.parametrize("form", [None, {}, {"encoding": "audio/x-mulaw"}, {**ULAW, "encoding": "Audio/X-Mulaw"}])
def test_a_format_that_is_told_in_part_is_the_only_one_there_is(form: object) -> None:
    assert Twilio().receive(start(mediaFormat=form), 0.0) == (Began("CA1"),)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"encoding": "audio/x-l16"}, "'audio/x-l16' at 8000 Hz with 1 channels"),
        ({"sampleRate": 16000}, "'audio/x-mulaw' at 16000 Hz with 1 channels"),
        ({"channels": 2}, "'audio/x-mulaw' at 8000 Hz with 2 channels"),
    ],
)
def test_another_format_ends_the_call_and_is_named(form: dict[str, Any], told: str) -> None:
    twilio = Twilio()
    (closed,) = twilio.receive(start(mediaFormat=ULAW | form), 0.0)
    assert closed == Closed(End.BROKEN, f"Twilio announced sound as {told}, expected 'audio/x-mulaw' at 8000 Hz with 1")
    assert twilio.play(bytes(320)) == ()


def test_the_caller_is_heard() -> None:
    assert called().receive(media(FRAME), 0.1) == (Audio(ulaw_to_pcm(FRAME)),)


@pytest.mark.parametrize("track", ["outbound", ""])
def test_only_the_callers_track_counts(track: str) -> None:
    twilio = called()
    assert twilio.receive(media(FRAME, track), 0.1) == ()
    assert twilio.faults == 0


def test_what_we_play_goes_out_as_mu_law() -> None:
    pcm = ulaw_to_pcm(FRAME)
    (message,) = called().play(pcm)
    sent = json.loads(message)
    assert b64decode(sent["media"].pop("payload")) == pcm_to_ulaw(pcm)
    assert sent == {"event": "media", "streamSid": "MZ1", "media": {}}


def test_a_mark_has_a_name_and_comes_back_with_it() -> None:
    twilio = called()
    (message,) = twilio.mark('r1 "é"')
    assert json.loads(message) == {"event": "mark", "streamSid": "MZ1", "mark": {"name": 'r1 "é"'}}
    assert twilio.receive(mark('r1 "é"'), 0.5) == (Reached('r1 "é"'),)


def test_marks_that_come_back_because_of_a_clear_are_told_too() -> None:
    twilio = called()
    twilio.play(bytes(320))
    twilio.mark("r1")
    assert [json.loads(message) for message in twilio.clear(0.5)] == [{"event": "clear", "streamSid": "MZ1"}]
    assert twilio.receive(mark("r1"), 0.6) == (Reached("r1"),)


@pytest.mark.parametrize("key", "0123456789*#A")
def test_a_key_is_told(key: str) -> None:
    assert called().receive(dtmf(key), 0.5) == (Digit(key),)


@pytest.mark.parametrize("key", ["", "12", "x"])
def test_a_key_that_no_telephone_has_is_a_fault(key: str) -> None:
    twilio = called()
    assert twilio.receive(dtmf(key), 0.5) == ()
    assert twilio.faults == 1


def test_stop_ends_the_call_in_the_middle_of_a_response() -> None:
    twilio = called()
    twilio.play(bytes(320))
    (closed,) = twilio.receive(STOP, 1.0)
    assert isinstance(closed, Closed)
    assert closed.end is End.HUNG_UP
    assert twilio.closed(1006) == closed
    assert twilio.play(bytes(320)) + twilio.mark("a") + twilio.clear(1.0) == ()


def test_messages_after_the_end_mean_nothing() -> None:
    twilio = called()
    twilio.receive(STOP, 1.0)
    assert [twilio.receive(message, 1.1) for message in (media(FRAME), mark("a"), start("CA2"), STOP, "?")] == [()] * 5
    assert twilio.faults == 0


def test_no_message_says_goodbye() -> None:
    twilio = called()
    assert twilio.end() + twilio.play(bytes(320)) + twilio.mark("a") + twilio.clear(1.0) == ()
    assert twilio.closed(1005).end is End.HUNG_UP


def test_a_socket_that_is_gone_without_a_stop_was_lost() -> None:
    assert called().closed(1006).end is End.LINK_LOST


def test_the_stream_may_be_named_in_either_place() -> None:
    for message in (
        {"event": "start", "start": {"streamSid": "MZ1", "callSid": "CA1"}},
        {"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1"}},
    ):
        twilio = Twilio()
        assert twilio.receive(json.dumps(message), 0.0) == (Began("CA1"),)
        assert json.loads(twilio.clear(0.1)[0])["streamSid"] == "MZ1"


def test_the_same_start_again_changes_nothing() -> None:
    twilio = called()
    assert twilio.receive(start(), 0.1) == ()
    assert twilio.receive(media(FRAME), 0.2) == (Audio(ulaw_to_pcm(FRAME)),)
    assert twilio.faults == 0


def test_another_call_on_the_same_socket_ends_this_one() -> None:
    (closed,) = called().receive(start("CA2"), 0.1)
    assert isinstance(closed, Closed)
    assert closed.end is End.BROKEN


@pytest.mark.parametrize("message", ['{"event":"weather"}', CONNECTED])
def test_new_kinds_of_messages_are_no_fault(message: str) -> None:
    twilio = called()
    assert twilio.receive(message, 1.0) == ()
    assert twilio.faults == 0


@pytest.mark.parametrize(
    "message",
    [
        '{"event":"media","media":{"payload":"YWI"}}',
        '{"event":"media","media":{"payload":"*"}}',
        '{"event":"media"}',
        '{"event":"mark","mark":{}}',
        '{"event":"start","start":{"callSid":"CA1"}}',
        '{"event":"start","start":{"callSid":"CA1","mediaFormat":{"sampleRate":1' + "0" * 5000 + "}}}",
        "{",
        b"\xff",
        "[]",
    ],
)
def test_what_makes_no_sense_is_counted_and_ignored(message: str | bytes) -> None:
    twilio = called()
    assert twilio.receive(message, 1.0) == ()
    assert twilio.faults == 1
    assert twilio.receive(media(FRAME), 1.1) == (Audio(ulaw_to_pcm(FRAME)),)


@pytest.mark.parametrize("message", [media(FRAME), mark("a"), dtmf("5")])
def test_nothing_counts_before_start(message: str) -> None:
    twilio = Twilio()
    assert twilio.receive(message, 0.0) == ()
    assert twilio.faults == 1
    assert twilio.play(bytes(320)) + twilio.mark("a") + twilio.clear(0.0) == ()


MESSAGES = st.sampled_from(
    [CONNECTED, start(), start("CA2"), start(mediaFormat={"channels": 2}), media(FRAME), mark("a"), dtmf("1"), STOP]
)


@given(st.lists(MESSAGES | st.text() | st.binary()))
def test_no_message_raises_and_nothing_comes_after_the_end(messages: list[str | bytes]) -> None:
    twilio = Twilio()
    told: list[Meaning] = []
    for message in messages:
        told += twilio.receive(message, 0.0)
        twilio.play(bytes(320))
    assert not any(isinstance(meaning, Closed) for meaning in told[:-1])
