"""Vobiz and Plivo, message by message."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.g711 import pcm_to_ulaw, ulaw_to_pcm
from edgevoice.audio.pcm import to_bytes
from edgevoice.drivers.wav import read_wav
from edgevoice.events import Audio, Closed, Digit, End
from edgevoice.lines.service import Began, Emptied, Meaning, Reached, Service
from edgevoice.lines.vobiz import PLIVO, VOBIZ, Dialect, Plivo, Vobiz

L16 = {"encoding": "audio/x-l16", "sampleRate": 8000}
ULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000}
STOP = '{"event":"stop","streamId":"s1"}'
CLEARED = '{"event":"clearedAudio","sequenceNumber":7,"streamId":"s1"}'
FRAME = bytes(range(160))
VOICE, _ = read_wav(Path(__file__).parent.parent / "speech" / "george.wav")

each_dialect = pytest.mark.parametrize("dialect", [VOBIZ, PLIVO], ids=lambda dialect: dialect.name)


def start(form: object = L16, call: str = "c1", **fields: Any) -> str:
    inner = {"streamId": "s1", "callId": call, "tracks": ["inbound"], "mediaFormat": form}
    return json.dumps({"event": "start", "sequenceNumber": 0, "start": inner} | fields)


def media(payload: bytes, track: str = "inbound") -> str:
    sound = {"track": track, "timestamp": "20", "chunk": 2, "payload": b64encode(payload).decode()}
    return json.dumps({"event": "media", "sequenceNumber": 2, "streamId": "s1", "media": sound, "extra_headers": "{}"})


def played(name: str) -> str:
    return json.dumps({"event": "playedStream", "name": name})


def dtmf(key: str) -> str:
    return json.dumps({"event": "dtmf", "streamId": "s1", "dtmf": {"track": "inbound", "digit": key, "timestamp": "1"}})


def called(dialect: Dialect = VOBIZ, form: object = L16) -> Vobiz:
    service = Vobiz(dialect)
    service.receive(start(form), 0.0)
    return service


@each_dialect
def test_a_call_begins_with_start(dialect: Dialect) -> None:
    vobiz = Vobiz(dialect)
    service: Service = vobiz
    assert vobiz.receive(start(), 0.0) == (Began("c1"),)
    assert vobiz.begin() == ()
    assert (service.name, service.rate, service.chunk_ms, service.mark_ms) == (dialect.name, 8000, 20, 250)
    assert service.answers_clear
    assert service.faults == 0


@each_dialect
@pytest.mark.parametrize(
    "message",
    [
        {"event": "start", "streamId": "s1", "callId": "c1", "mediaFormat": ULAW},
        {"event": "start", "streamId": "s1", "callId": "c1", "start": {"mediaFormat": ULAW}},
        {"event": "start", "streamId": "s1", "start": {"callId": "c1", "mediaFormat": ULAW}},
        {"event": "start", "start": {"streamId": "s1", "callId": "c1"}, "mediaFormat": ULAW},
    ],
)
def test_the_ids_may_stand_in_either_place(message: dict[str, Any], dialect: Dialect) -> None:
    service = Vobiz(dialect)
    assert service.receive(json.dumps(message), 0.0) == (Began("c1"),)
    assert json.loads(service.clear(0.1)[0]) == {"event": "clearAudio", "streamId": "s1"}


def test_a_call_without_an_id_goes_by_its_streams() -> None:
    assert Vobiz().receive(start(callId=""), 0.0) == (Began("c1"),)
    assert Vobiz().receive('{"event":"start","streamId":"s1","mediaFormat":{"encoding":"audio/x-l16"}}', 0.0) == (
        Began("s1"),
    )


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        ('{"room":"hall","from":"+46700000001"}', {"room": "hall", "from": "+46700000001"}),
        ({"room": "hall"}, {"room": "hall"}),
        ("room=hall, token=a=b;door", {"room": "hall", "token": "a=b"}),
        ("{'room': 'hall'}", {}),
        ("", {}),
        ("[1]", {}),
        ("[" * 100_000, {}),
        (None, {}),
        (7, {}),
        ('{"floor":2}', {}),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_plivos_headers_are_parameters_however_they_are_written(
    headers: object, parameters: dict[str, str], nested: bool
) -> None:
    inner: dict[str, object] = {"streamId": "s1", "callId": "c1", "mediaFormat": L16}
    message: dict[str, object] = {"event": "start", "start": inner}
    (inner if nested else message)["extra_headers"] = headers
    (began,) = Vobiz(PLIVO).receive(json.dumps(message), 0.0)
    assert began == Began("c1", parameters.get("from", ""), "", parameters)
    assert "4670" not in repr(began)


@each_dialect
@pytest.mark.parametrize(
    ("form", "rate", "is_ulaw"),
    [
        (L16, 8000, False),
        ({"encoding": "audio/x-l16", "sampleRate": 16000}, 16000, False),
        ({"encoding": "audio/x-l16", "sampleRate": "24000"}, 24000, False),
        ({"encoding": "audio/x-l16;rate=16000"}, 16000, False),
        ({"encoding": "Audio/X-L16; Rate=24000", "sampleRate": 24000}, 24000, False),
        ({"encoding": "audio/x-l16"}, 8000, False),
        (ULAW, 8000, True),
        ({"encoding": "audio/x-mulaw"}, 8000, True),
        ({"encoding": "AUDIO/X-MULAW;rate=8000"}, 8000, True),
        ({"encoding": "audio/x-mulaw", "sampleRate": 16000}, 16000, True),
    ],
)
def test_the_sound_is_what_start_announces(form: dict[str, Any], rate: int, is_ulaw: bool, dialect: Dialect) -> None:
    service = called(dialect, form)
    assert service.rate == rate
    pcm = ulaw_to_pcm(FRAME)
    (message,) = service.play(pcm)
    sent = json.loads(message)
    assert b64decode(sent["media"].pop("payload")) == (pcm_to_ulaw(pcm) if is_ulaw else pcm)
    assert sent == {"event": "playAudio", "media": {"contentType": form["encoding"], "sampleRate": rate}}


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"encoding": "audio/opus", "sampleRate": 48000}, "sound as 'audio/opus' at 48000 Hz"),
        ({"encoding": "audio/x-l16", "sampleRate": 44100}, "sound as 'audio/x-l16' at 44100 Hz"),
        ({"encoding": "audio/x-l16;rate=11025"}, "sound as 'audio/x-l16;rate=11025'"),
        ({"encoding": "audio/x-l16;rate=" + "9" * 5000}, f"sound as 'audio/x-l16;rate={'9' * 23}'"),
        (None, "no format of its sound"),
        ({"sampleRate": 8000}, "no format of its sound"),
    ],
)
def test_another_format_ends_the_call_and_is_named(form: object, told: str) -> None:
    service = Vobiz()
    (closed,) = service.receive(start(form), 0.0)
    expected = "expected 'audio/x-l16' or 'audio/x-mulaw' at 8000, 16000 or 24000 Hz"
    assert closed == Closed(End.BROKEN, f"Vobiz announced {told}, {expected}")
    assert service.play(bytes(320)) == ()


def test_vobiz_sends_the_high_byte_first_and_wants_the_low_one_first() -> None:
    service = called()
    assert service.receive(media(b"\x01\x02\x03\x04"), 0.1) == (Audio(b"\x02\x01\x04\x03"),)
    assert b64decode(json.loads(service.play(b"\x02\x01")[0])["media"]["payload"]) == b"\x02\x01"


@each_dialect
def test_mu_law_has_no_order(dialect: Dialect) -> None:
    assert called(dialect, ULAW).receive(media(FRAME), 0.1) == (Audio(ulaw_to_pcm(FRAME)),)


@pytest.mark.parametrize("sent_as", ["<i2", ">i2"])
def test_plivo_is_heard_in_the_order_that_its_sound_tells(sent_as: str) -> None:
    service = called(PLIVO)
    idle = bytes(320)
    assert [service.receive(media(idle), 0.1)] * 10 == [(Audio(idle),)] * 10
    heard = b""
    for at in range(0, len(VOICE) - 160, 160):
        (sound,) = service.receive(media(VOICE[at : at + 160].astype(sent_as).tobytes()), 0.2)
        assert isinstance(sound, Audio)
        heard += sound.pcm
    late = np.flatnonzero(np.frombuffer(heard, "<i2"))[0]
    assert late % 160 == 0
    assert late <= 800  # 100 ms
    assert heard[2 * late :] == to_bytes(VOICE)[2 * late : len(heard)]


def test_an_order_once_told_is_kept() -> None:
    service = called(PLIVO)
    voice = to_bytes(VOICE[2000:4000])
    assert service.receive(media(voice), 0.1) == (Audio(voice),)
    noise = np.random.default_rng(1).integers(0, 65536, 2000).astype("<u2").tobytes()
    assert service.receive(media(noise), 0.2) == (Audio(noise),)


def test_an_odd_byte_waits_for_its_other_half() -> None:
    service = called()
    assert service.receive(media(b"\x01\x02\x03"), 0.1) == (Audio(b"\x02\x01"),)
    assert service.receive(media(b"\x04"), 0.2) == (Audio(b"\x04\x03"),)
    assert service.receive(media(b""), 0.3) == ()
    assert service.faults == 0


@each_dialect
def test_only_the_callers_track_counts(dialect: Dialect) -> None:
    service = called(dialect)
    assert service.receive(media(bytes(320), "outbound"), 0.1) == ()
    assert service.faults == 0


@each_dialect
def test_a_checkpoint_has_a_name_and_comes_back_with_it(dialect: Dialect) -> None:
    service = called(dialect)
    (message,) = service.mark('u7 "é"')
    assert json.loads(message) == {"event": "checkpoint", "streamId": "s1", "name": 'u7 "é"'}
    assert service.receive(played('u7 "é"'), 0.5) == (Reached('u7 "é"'),)


@each_dialect
def test_a_clear_is_answered(dialect: Dialect) -> None:
    service = called(dialect)
    assert [json.loads(message) for message in service.clear(0.5)] == [{"event": "clearAudio", "streamId": "s1"}]
    assert service.receive(CLEARED, 0.6) == (Emptied(),)


@each_dialect
def test_a_key_is_told(dialect: Dialect) -> None:
    service = called(dialect)
    assert service.receive(dtmf("#"), 0.5) == (Digit("#"),)
    assert service.receive(dtmf("12"), 0.6) == ()
    assert service.faults == 1


@each_dialect
def test_a_stop_ends_the_call_in_the_middle_of_a_response(dialect: Dialect) -> None:
    service = called(dialect)
    service.play(bytes(320))
    (closed,) = service.receive(STOP, 1.0)
    assert isinstance(closed, Closed)
    assert closed.end is End.HUNG_UP
    assert service.closed(1006) == closed
    assert service.play(bytes(320)) + service.mark("a") + service.clear(1.0) + service.end() == ()


@each_dialect
@pytest.mark.parametrize("code", [1000, 1005, 1006])
def test_a_closed_socket_is_the_end_of_the_call(code: int, dialect: Dialect) -> None:
    assert called(dialect).closed(code) == Closed(End.HUNG_UP, "the call has ended")


def test_vobiz_is_told_goodbye_once() -> None:
    service = called()
    assert [json.loads(message) for message in service.end()] == [{"event": "stop", "streamId": "s1"}]
    assert service.end() + service.play(bytes(320)) + service.mark("a") + service.clear(1.0) == ()
    assert service.closed(1000) == Closed(End.HUNG_UP, "we ended the call")


def test_plivo_has_no_word_for_goodbye() -> None:
    service: Service = Plivo()
    assert service.receive(start(), 0.0) == (Began("c1"),)
    assert (service.name, service.end()) == ("plivo", ())


@each_dialect
def test_messages_after_the_end_mean_nothing(dialect: Dialect) -> None:
    service = called(dialect)
    service.receive(STOP, 1.0)
    after = (media(FRAME), played("a"), CLEARED, dtmf("1"), start(call="c2"), STOP, "?")
    assert [service.receive(message, 1.1) for message in after] == [()] * 7
    assert service.faults == 0


@each_dialect
def test_the_same_start_again_changes_nothing(dialect: Dialect) -> None:
    service = called(dialect)
    assert service.receive(start(ULAW), 0.1) == ()
    assert service.receive(media(bytes(320)), 0.2) == (Audio(bytes(320)),)
    assert service.faults == 0


@each_dialect
def test_another_call_on_the_same_socket_ends_this_one(dialect: Dialect) -> None:
    (closed,) = called(dialect).receive(start(call="c2"), 0.1)
    assert isinstance(closed, Closed)
    assert closed.end is End.BROKEN
    assert dialect.title in closed.reason


def test_new_kinds_of_messages_are_no_fault() -> None:
    service = called()
    assert service.receive('{"event":"weather"}', 1.0) == ()
    assert service.faults == 0


@each_dialect
@pytest.mark.parametrize(
    "message",
    [
        '{"event":"media","media":{"payload":"YWI"}}',
        '{"event":"media","media":{"payload":"*"}}',
        '{"event":"media"}',
        '{"event":"playedStream"}',
        '{"event":"start","start":{"callId":"c1"}}',
        '{"event":"start","streamId":"s1","mediaFormat":{"sampleRate":1' + "0" * 5000 + "}}",
        "{",
        b"\xff",
        "[]",
    ],
)
def test_what_makes_no_sense_is_counted_and_ignored(message: str | bytes, dialect: Dialect) -> None:
    service = called(dialect)
    assert service.receive(message, 1.0) == ()
    assert service.faults == 1
    assert service.receive(media(bytes(320)), 1.1) == (Audio(bytes(320)),)


@pytest.mark.parametrize("message", [media(FRAME), played("a"), CLEARED, dtmf("5")])
def test_nothing_counts_before_start(message: str) -> None:
    service = Vobiz()
    assert service.receive(message, 0.0) == ()
    assert service.faults == 1
    assert service.play(bytes(320)) + service.mark("a") + service.clear(0.0) + service.end() == ()


MESSAGES = st.sampled_from(
    [start(), start(ULAW), start(call="c2"), start({}), media(FRAME[1:]), played("a"), CLEARED, dtmf("1"), STOP]
)
HEADERS = st.text().map(lambda headers: start(extra_headers=headers))
FORMATS = st.text().map(lambda encoding: start({"encoding": encoding}))


@each_dialect
@given(messages=st.lists(MESSAGES | HEADERS | FORMATS | st.text() | st.binary()))
def test_no_message_raises_and_nothing_comes_after_the_end(messages: list[str | bytes], dialect: Dialect) -> None:
    service = Vobiz(dialect)
    told: list[Meaning] = []
    for message in messages:
        told += service.receive(message, 0.0)
        service.play(bytes(320))
    assert not any(isinstance(meaning, Closed) for meaning in told[:-1])
