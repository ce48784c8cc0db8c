"""The fake 46elks does what its pages say, and is merciless about the rest."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from tests.phone.caller import Nasty
from tests.phone.elks import Elks
from tests.phone.player import Clock

PROMPT = Clock(latency_ms=0)
LISTENING = json.dumps({"t": "listening", "format": "pcm_24000"})
SENDING = json.dumps({"t": "sending", "format": "pcm_24000"})
SYNC, INTERRUPT, BYE = (json.dumps({"t": t}) for t in ("sync", "interrupt", "bye"))


def audio(ms: int) -> str:
    return json.dumps({"t": "audio", "data": base64.b64encode(bytes(ms * 48)).decode()})


def said(messages: list[str]) -> list[Any]:
    return [json.loads(message) for message in messages]


def kinds(messages: list[str]) -> list[str]:
    return [message["t"] for message in said(messages)]


def answered(**options: Any) -> Elks:
    elks = Elks(0.0, clock=PROMPT, **options)
    assert kinds(elks.advance(0.0))[-1] == "hello"
    return elks


def test_46elks_says_hello_first_and_then_waits() -> None:
    elks = Elks(0.0)
    (hello,) = said(elks.advance(0.0))
    assert set(hello) == {"t", "callid", "from", "to"}
    assert elks.advance(5.0) == []
    assert elks.violations == []


def test_46elks_sends_the_caller_once_it_is_listened_to() -> None:
    elks = answered()
    elks.caller_says(np.full(960, 500, np.int16), 0.0, rate=24_000)
    assert elks.receive(LISTENING, 1.0) == []
    first, second, third = said(elks.advance(1.06))
    assert base64.b64decode(first["data"]) == base64.b64decode(second["data"]) == np.full(480, 500, "<i2").tobytes()
    assert base64.b64decode(third["data"]) == bytes(960)


def test_46elks_ignores_sound_until_it_is_announced() -> None:
    elks = answered()
    elks.receive(audio(100), 0.0)
    elks.advance(1.0)
    assert (elks.player.played, elks.ignored) == (0, 4800)
    assert elks.violations == ["audio without sending"]
    elks.receive(SENDING, 1.0)
    elks.receive(audio(100), 1.0)
    elks.advance(2.0)
    assert elks.player.played_ms == 100


def test_46elks_discards_sound_after_an_interrupt_until_it_is_announced_again() -> None:
    elks = answered()
    for message in (SENDING, audio(1000)):
        elks.receive(message, 0.0)
    elks.receive(INTERRUPT, 0.319)
    elks.receive(audio(1000), 0.32)
    elks.advance(3.0)
    assert elks.player.played_ms == 300
    for message in (SENDING, audio(200)):
        elks.receive(message, 3.0)
    elks.advance(4.0)
    assert elks.player.played_ms == 500
    assert elks.violations == ["audio without sending"]


def test_46elks_answers_syncs_in_order_when_what_was_before_them_was_played() -> None:
    elks = answered()
    for message in (SENDING, audio(100), SYNC, audio(100), SYNC):
        elks.receive(message, 0.0)
    assert elks.advance(0.119) == []  # the sound began with the wake at 20 ms
    assert kinds(elks.advance(0.12)) == ["sync"]
    assert kinds(elks.advance(0.22)) == ["sync"]


@pytest.mark.parametrize("answers", [False, True])
def test_46elks_may_or_may_not_answer_a_sync_that_was_interrupted(answers: bool) -> None:
    elks = answered(answers_flushed_syncs=answers)
    for message in (SENDING, audio(500), SYNC, audio(500), SYNC):
        elks.receive(message, 0.0)
    assert kinds(elks.receive(INTERRUPT, 0.1)) == ["sync", "sync"] * answers
    assert elks.advance(2.0) == []


def test_46elks_ends_the_call_of_whoever_queues_too_much() -> None:
    elks = answered()
    elks.receive(SENDING, 0.0)
    for _ in range(46):
        assert elks.receive(audio(10_000), 0.0) == []
    (bye,) = said(elks.receive(audio(10_000), 0.0))
    assert (bye["t"], bye["reason"], elks.over) == ("bye", "error", True)


def test_46elks_never_fills_up_where_no_more_is_sent_than_is_played() -> None:
    elks = answered(most_queued=700_000, record=False)  # 10 s of it
    elks.receive(SENDING, 0.0)
    for second in range(300):
        elks.receive(audio(1000), second)
    elks.advance(301)
    assert (elks.over, elks.player.played_ms) == (False, 300_000)


def test_46elks_plays_the_queue_before_it_says_goodbye() -> None:
    elks = answered()
    for message in (SENDING, audio(300), BYE):
        elks.receive(message, 0.0)
    assert elks.advance(0.319) == []
    (bye,) = said(elks.advance(0.32))
    assert (bye["reason"], elks.over, elks.player.played_ms) == ("done", True, 300)


def test_46elks_says_why_it_ends() -> None:
    elks = answered()
    assert said(elks.caller_hangs_up(1.0)) == [{"t": "bye", "reason": "hangup", "message": ""}]
    assert elks.over
    assert elks.receive(BYE, 1.0) == []  # they crossed: nothing is wrong
    assert elks.violations == []


def test_46elks_plays_whatever_format_was_announced() -> None:
    elks = answered()
    elks.receive(json.dumps({"t": "sending", "format": "ulaw"}), 0.0)
    elks.receive(json.dumps({"t": "audio", "data": base64.b64encode(b"\x80" * 800).decode()}), 0.0)
    elks.receive(SENDING, 0.0)
    elks.receive(audio(100), 0.0)
    elks.advance(1.0)
    assert elks.player.played_ms == 200
    assert elks.player.recording()[0] == 32124
    assert elks.violations == []


@pytest.mark.parametrize(
    ("message", "violation"),
    [
        ("{", "no JSON: 1 characters"),
        ("[]", "JSON of type list, expected an object"),
        (b"abc", "a binary frame of 3 bytes"),
        ('{"t":"hangup"}', "unknown message t='hangup'"),
        ('{"t":"sync","name":"a"}', "sync: unknown field name"),
        ('{"t":"audio"}', "audio: no data"),
        ('{"t":"sending","format":24000}', "sending: format is int, expected str"),
        ('{"t":"sending","format":"pcm_44100"}', "sending: format 'pcm_44100'"),
        ('{"t":"listening","format":"mp3"}', "listening: format 'mp3'"),
        ('{"t":"audio","data":"Zm9v*"}', "audio: data is no base64"),
        ('{"t":"audio","data":"AAAA"}', "audio: 3 bytes are no whole samples"),
    ],
)
def test_46elks_notes_what_breaks_its_protocol(message: str | bytes, violation: str) -> None:
    elks = answered()
    elks.receive(SENDING, 0.0)
    elks.receive(message, 0.0)
    assert elks.violations == [violation]


def test_46elks_notes_who_speaks_before_hello_and_after_bye() -> None:
    elks = Elks(0.0, nasty=Nasty(silent=True))
    assert elks.receive(SENDING, 1.0) == []
    assert elks.violations == ["sending before hello"]
    elks = answered()
    for message in (SENDING, audio(100), BYE, audio(100)):
        elks.receive(message, 0.0)
    assert elks.violations == ["audio after bye"]


def test_odd_chunks_hold_all_that_was_said() -> None:
    elks = answered(nasty=Nasty(odd_chunks=True))
    voice = np.arange(24_000).astype(np.int16)
    elks.caller_says(voice, 0.0, rate=24_000)
    elks.receive(LISTENING, 0.0)
    pieces = [base64.b64decode(message["data"]) for message in said(elks.advance(1.0))]
    assert {len(piece) for piece in pieces} == {1, 319, 3, 641, 77}
    assert voice.tobytes().startswith(b"".join(pieces))
    assert len(b"".join(pieces)) > 47_000


def test_everything_nasty_comes_where_it_was_asked_for() -> None:
    nasty = Nasty(unknown_messages=True, second_start=True, early_media=True, huge=True, not_base64=True)
    elks = Elks(0.0, nasty=Nasty(second_start=True, early_media=True))
    assert kinds(elks.advance(0.0)) == ["audio", "hello", "hello"]
    elks = answered(nasty=nasty)
    elks.receive(LISTENING, 0.0)
    messages = elks.advance(1.0)
    assert max(map(len, messages)) > 4_900_000
    assert any("*%&$" in message for message in messages)
    assert '{"event":"media","media":{' in messages


def test_a_sudden_end_comes_without_a_goodbye() -> None:
    elks = answered(nasty=Nasty(close_after_s=2.0))
    elks.receive(LISTENING, 0.0)
    assert elks.advance(1.0)
    assert not elks.over
    assert elks.advance(2.0) == []
    assert elks.over
