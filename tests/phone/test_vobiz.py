"""The fake Vobiz and the fake Plivo do what is known of them, and are merciless about the rest."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from tests.phone.caller import Nasty
from tests.phone.player import Clock
from tests.phone.vobiz import L16, MULAW, Vendor, Vobiz

STREAM = "8d0ad0a4-0000-4000-8000-000000000002"
PROMPT = Clock(latency_ms=0)
CLEAR = json.dumps({"event": "clearAudio", "streamId": STREAM})
each_vendor = pytest.mark.parametrize("vendor", list(Vendor))


def play(sound: bytes, encoding: str = MULAW, rate: int = 8000) -> str:
    media = {"contentType": encoding, "sampleRate": rate, "payload": base64.b64encode(sound).decode()}
    return json.dumps({"event": "playAudio", "media": media})


def checkpoint(name: str) -> str:
    return json.dumps({"event": "checkpoint", "streamId": STREAM, "name": name})


def said(messages: list[str], *events: str) -> list[Any]:
    found = [json.loads(message) for message in messages]
    return [message for message in found if not events or message["event"] in events]


def started(**options: Any) -> Vobiz:
    vobiz = Vobiz(0.0, clock=PROMPT, **options)
    assert said(vobiz.advance(0.0))[-1]["event"] == "start"
    return vobiz


def test_vobiz_tells_the_ids_inside_or_at_the_top() -> None:
    (inside,) = said(Vobiz(0.0).advance(0.0))
    (top,) = said(Vobiz(0.0, nested=False).advance(0.0))
    assert set(inside) == {"event", "start"}
    assert {"event": "start", **inside["start"]} == top
    assert top["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000}


def test_plivo_numbers_its_messages_and_names_the_stream() -> None:
    plivo = Vobiz(0.0, vendor=Vendor.PLIVO)
    start, media = said(plivo.advance(0.02))
    assert set(start) == {"event", "sequenceNumber", "start", "extra_headers"}
    assert set(start["start"]) == {"callId", "streamId", "accountId", "tracks", "mediaFormat"}
    assert set(media) == {"event", "sequenceNumber", "streamId", "media", "extra_headers"}
    assert (start["sequenceNumber"], media["sequenceNumber"], media["media"]["chunk"]) == (1, 2, 1)


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
def test_vobiz_sends_l16_big_endian_and_plays_it_little_endian(rate: int) -> None:
    vobiz = started(encoding=L16, rate=rate)
    voice = np.arange(rate // 50).astype(np.int16)
    vobiz.caller_says(voice, 0.0, rate=rate)
    (media,) = said(vobiz.advance(0.02))
    assert base64.b64decode(media["media"]["payload"]) == voice.astype(">i2").tobytes()
    vobiz.receive(play(voice.astype("<i2").tobytes(), L16, rate), 0.02)
    vobiz.advance(1.0)
    assert list(vobiz.player.recording()) == list(voice)
    assert vobiz.violations == []


@each_vendor
def test_a_checkpoint_is_told_when_it_was_played(vendor: Vendor) -> None:
    vobiz = started(vendor=vendor)
    vobiz.receive(play(b"\xff" * 800), 0.0)
    vobiz.receive(checkpoint("a"), 0.0)
    assert said(vobiz.advance(0.119), "playedStream") == []  # the sound began with the wake at 20 ms
    (played,) = said(vobiz.advance(0.12), "playedStream")
    assert played["name"] == "a"
    assert ("streamId" in played) == (vendor is Vendor.PLIVO)


@each_vendor
def test_a_checkpoint_that_was_cleared_is_never_told(vendor: Vendor) -> None:
    vobiz = started(vendor=vendor)
    vobiz.receive(play(b"\xff" * 8000), 0.0)
    vobiz.receive(checkpoint("a"), 0.0)
    vobiz.receive(CLEAR, 0.139)
    late = said(vobiz.advance(60.0), "playedStream", "clearedAudio")
    assert [message["event"] for message in late] == ["clearedAudio"]
    assert vobiz.player.played_ms == 120


def test_cleared_audio_comes_late_or_never() -> None:
    late, never = started(cleared_after_ms=200), started(cleared_after_ms=None)
    for vobiz in (late, never):
        vobiz.receive(CLEAR, 0.0)
    assert said(late.advance(0.199), "clearedAudio") == []
    assert len(said(late.advance(0.2), "clearedAudio")) == 1
    assert said(never.advance(60.0), "clearedAudio") == []


def test_what_does_not_wait_for_cleared_audio_may_be_lost() -> None:
    vobiz = started(deaf_until_cleared=True)
    for message in (CLEAR, play(b"\xff" * 160)):
        vobiz.receive(message, 0.0)
    vobiz.receive(play(b"\xff" * 160), 0.05)
    vobiz.advance(1.0)
    assert vobiz.player.played_ms == 20


def test_vobiz_stops_when_it_is_told_and_plivo_knows_no_stop() -> None:
    stop = json.dumps({"event": "stop", "streamId": STREAM})
    vobiz, plivo = started(), started(vendor=Vendor.PLIVO)
    vobiz.receive(stop, 0.0)
    plivo.receive(stop, 0.0)
    assert (vobiz.over, vobiz.violations) == (True, [])
    assert (plivo.over, plivo.violations) == (False, ["unknown message event='stop'"])


def test_a_hang_up_is_a_closed_socket_and_nothing_else() -> None:
    vobiz, older = started(), started(says_stop=True)
    assert said(vobiz.caller_hangs_up(0.0)) == []
    assert said(older.caller_hangs_up(0.0))[0]["event"] == "stop"
    assert vobiz.over
    assert older.over


def test_only_plivo_tells_of_keys() -> None:
    assert said(started().caller_presses("5", 0.0)) == []
    (key,) = said(started(vendor=Vendor.PLIVO).caller_presses("5", 0.0))
    assert key["dtmf"]["digit"] == "5"


@pytest.mark.parametrize(
    ("message", "violation"),
    [
        (play(b"", L16), "playAudio: the format differs from the one announced, ('audio/x-mulaw', 8000)"),
        (play(b"", MULAW, 16_000), "playAudio: the format differs from the one announced, ('audio/x-mulaw', 8000)"),
        (play(b"").replace("8000", '"8000"'), "playAudio.media: sampleRate is str, expected int"),
        (play(b"").replace('"payload": ""', '"payload": "*"'), "playAudio: the payload is no base64"),
        ('{"event":"checkpoint","name":"a"}', "checkpoint: no streamId"),
        ('{"event":"clearAudio","streamId":"x"}', "clearAudio: another call's streamId"),
        ('{"event":"clear","streamId":"x"}', "unknown message event='clear'"),
    ],
)
@each_vendor
def test_both_note_what_breaks_their_protocol(vendor: Vendor, message: str, violation: str) -> None:
    vobiz = started(vendor=vendor)
    vobiz.receive(message, 0.0)
    assert vobiz.violations == [violation]


def test_half_a_sample_is_noted() -> None:
    vobiz = started(encoding=L16)
    vobiz.receive(play(b"abc", L16), 0.0)
    assert vobiz.violations == ["playAudio: 3 bytes are no whole samples"]


def test_everything_nasty_comes_where_it_was_asked_for() -> None:
    begin = Vobiz(0.0, nasty=Nasty(second_start=True, early_media=True)).advance(0.0)
    assert [message["event"] for message in said(begin)] == ["media", "start", "start"]
    assert "null" in started(nasty=Nasty(unknown_messages=True)).advance(1.0)
    assert Vobiz(0.0, nasty=Nasty(silent=True)).advance(10.0) == []
