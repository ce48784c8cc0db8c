"""46elks, message by message; and which sync an answer without a name answers."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.events import Audio, Closed, End
from edgevoice.lines.elks import GRACE_S, LOST_S, Elks
from edgevoice.lines.service import Began, Meaning, Reached, Service

HELLO = '{"t":"hello","callid":"c1","from":"+46700000001","to":"+46700000002"}'
SYNC = '{"t":"sync"}'
SECOND = bytes(32_000)


def audio(pcm: bytes) -> str:
    return json.dumps({"t": "audio", "data": b64encode(pcm).decode()})


def kinds(*messages: str | bytes) -> list[str]:
    return [json.loads(message)["t"] for message in messages]


def called() -> Elks:
    elks = Elks()
    elks.receive(HELLO, 0.0)
    elks.begin()
    return elks


def synced(elks: Elks, at: float) -> str | None:
    """Answer a sync; return the mark that it reaches."""
    match elks.receive(SYNC, at):
        case (Reached(mark),):
            return mark
        case ():
            return None
        case other:
            raise AssertionError(other)


def test_a_call_begins_with_hello_and_is_taken_with_listening_alone() -> None:
    elks = Elks()
    service: Service = elks
    assert elks.receive(HELLO, 0.0) == (Began("c1", "+46700000001", "+46700000002"),)
    assert [json.loads(message) for message in elks.begin()] == [{"t": "listening", "format": "pcm_16000"}]
    assert (service.name, service.rate, service.chunk_ms, service.mark_ms) == ("elks", 16_000, 100, 1000)
    assert not service.answers_clear


def test_a_hidden_number_is_no_hindrance() -> None:
    assert Elks().receive('{"t":"hello","callid":"c1"}', 0.0) == (Began("c1"),)


def test_the_numbers_are_not_shown() -> None:
    assert "4670" not in repr(Elks().receive(HELLO, 0.0))


def test_the_callers_sound_may_be_cut_anywhere() -> None:
    elks = called()
    assert elks.receive(audio(b"abc"), 0.1) == (Audio(b"ab"),)
    assert elks.receive(audio(b"d"), 0.2) == (Audio(b"cd"),)
    assert elks.receive(audio(b"e"), 0.3) == ()
    assert elks.receive(audio(b""), 0.4) == ()
    assert elks.receive(audio(b"fg"), 0.5) == (Audio(b"ef"),)
    assert elks.faults == 0


def test_sending_goes_out_right_before_the_first_sound() -> None:
    elks = called()
    sending, first = elks.play(b"abcd")
    assert json.loads(sending) == {"t": "sending", "format": "pcm_16000"}
    assert b64decode(json.loads(first)["data"]) == b"abcd"
    assert kinds(*elks.play(b"ef")) == ["audio"]


def test_audio_after_an_interrupt_waits_for_sending() -> None:
    elks = called()
    elks.play(SECOND)
    assert kinds(*elks.clear(1.0)) == ["interrupt"]
    assert kinds(*elks.play(SECOND)) == ["sending", "audio"]
    assert kinds(*elks.play(SECOND)) == ["audio"]


def test_nothing_is_interrupted_when_nothing_was_sent() -> None:
    elks = called()
    assert elks.clear(1.0) == ()
    elks.play(SECOND)
    elks.clear(2.0)
    assert elks.clear(2.1) == ()
    assert kinds(*elks.play(SECOND)) == ["sending", "audio"]


def test_syncs_are_answered_in_order() -> None:
    elks = called()
    for name in ("a", "b"):
        elks.play(SECOND)
        assert elks.mark(name) == (SYNC,)
    assert [synced(elks, 1.1), synced(elks, 2.1)] == ["a", "b"]
    assert elks.faults == 0


def test_an_answer_to_nothing_is_a_fault() -> None:
    elks = called()
    assert synced(elks, 1.0) is None
    assert elks.faults == 1


def interrupted() -> Elks:
    """Two seconds of sound with a mark after each, interrupted half a second later, at 1.5."""
    elks = called()
    elks.receive(audio(b"ab"), 1.0)
    for name in ("old 1", "old 2"):
        elks.play(SECOND)
        elks.mark(name)
    elks.clear(1.5)
    return elks


def test_answers_to_interrupted_syncs_come_first() -> None:
    elks = interrupted()
    elks.play(SECOND[:3200])  # 0.1 s
    elks.mark("new")
    assert [synced(elks, at) for at in (1.55, 1.56, 1.8)] == ["old 1", "old 2", "new"]


def test_interrupted_syncs_that_are_never_answered_are_forgotten() -> None:
    elks = interrupted()
    elks.play(SECOND)
    elks.mark("new 1")
    elks.play(SECOND)
    elks.mark("new 2")
    assert [synced(elks, at) for at in (1.6 + GRACE_S, 2.6 + GRACE_S)] == ["new 1", "new 2"]


def test_in_doubt_a_sync_was_the_interrupted_one() -> None:
    elks = interrupted()
    elks.play(SECOND[:3200])
    elks.mark("new")
    assert synced(elks, 1.7) == "old 1"


def test_a_late_answer_to_an_interrupted_sync_is_not_taken_for_a_new_one() -> None:
    elks = interrupted()
    elks.play(SECOND * 3)
    elks.mark("new")
    assert [synced(elks, at) for at in (1.6 + GRACE_S, 1.7 + GRACE_S, 4.6)] == ["old 1", "old 2", "new"]


def test_what_was_misjudged_ends_with_the_next_pause() -> None:
    elks = interrupted()
    elks.play(SECOND[:3200])
    elks.mark("short")
    assert synced(elks, 1.7) == "old 1"  # in truth "short": nobody will answer that any more
    elks.receive(audio(b"ab"), 2.0 + LOST_S)
    elks.play(SECOND)
    elks.mark("next")
    assert synced(elks, 3.1 + LOST_S) == "next"


def test_syncs_forgotten_at_one_interrupt_do_not_swallow_the_answers_after_the_next() -> None:
    elks = interrupted()
    elks.play(SECOND * 3)
    elks.clear(5.0)
    elks.play(SECOND[:3200])
    elks.mark("new")
    assert synced(elks, 5.2) == "new"


def test_an_interrupt_in_the_grace_of_another_remembers_both() -> None:
    elks = interrupted()
    elks.play(SECOND)
    elks.mark("newer")
    elks.clear(1.8)
    assert [synced(elks, at) for at in (1.9, 1.91, 1.92, 1.93)] == ["old 1", "old 2", "newer", None]


@pytest.mark.parametrize(
    ("reason", "end"),
    [("done", End.HUNG_UP), ("hangup", End.HUNG_UP), ("error", End.BROKEN), ("tired", End.HUNG_UP), ("", End.HUNG_UP)],
)
def test_the_reason_of_a_bye_says_how_the_call_ended(reason: str, end: End) -> None:
    elks = called()
    elks.play(SECOND)  # in the middle of a response
    (closed,) = elks.receive(json.dumps({"t": "bye", "reason": reason, "message": "to +46700000001 failed"}), 1.0)
    assert isinstance(closed, Closed)
    assert closed.end is end
    assert "4670" not in closed.reason
    assert elks.closed(1000) == closed
    assert elks.play(SECOND) + elks.mark("a") + elks.clear(1.1) + elks.begin() + elks.end() == ()


def test_messages_after_the_end_mean_nothing() -> None:
    elks = called()
    elks.receive('{"t":"bye"}', 1.0)
    assert [elks.receive(message, 1.1) for message in (audio(b"ab"), SYNC, HELLO, '{"t":"bye"}', "?")] == [()] * 5
    assert elks.faults == 0


def test_we_say_goodbye_once_and_play_nothing_after_it() -> None:
    elks = called()
    elks.play(SECOND)
    assert [json.loads(message) for message in elks.end()] == [{"t": "bye"}]
    assert elks.end() + elks.play(SECOND) + elks.mark("a") + elks.clear(1.0) == ()
    assert elks.closed(1006).end is End.HUNG_UP


def test_a_call_can_be_refused_before_it_has_said_hello() -> None:
    assert kinds(*Elks().end()) == ["bye"]


def test_a_socket_that_is_gone_without_a_bye_was_lost() -> None:
    assert called().closed(1006).end is End.LINK_LOST


def test_nothing_goes_out_before_hello() -> None:
    elks = Elks()
    assert elks.begin() + elks.play(SECOND) + elks.mark("a") + elks.clear(0.0) == ()


def test_the_same_hello_again_changes_nothing() -> None:
    elks = called()
    assert elks.receive(HELLO, 1.0) == ()
    assert elks.receive(audio(b"ab"), 1.1) == (Audio(b"ab"),)
    assert elks.faults == 0


def test_another_call_on_the_same_socket_ends_this_one() -> None:
    (closed,) = called().receive('{"t":"hello","callid":"c2"}', 1.0)
    assert isinstance(closed, Closed)
    assert closed.end is End.BROKEN


@pytest.mark.parametrize("message", ['{"t":"dtmf","digit":"5"}', '{"t":"weather"}'])
def test_new_kinds_of_messages_are_no_fault(message: str) -> None:
    elks = called()
    assert elks.receive(message, 1.0) == ()
    assert elks.faults == 0


@pytest.mark.parametrize(
    "message",
    ['{"t":"audio","data":"YWI"}', '{"t":"audio","data":"*"}', '{"t":"audio"}', '{"t":"hello"}', "{", b"\xff", "[]"],
)
def test_what_makes_no_sense_is_counted_and_ignored(message: str | bytes) -> None:
    elks = called()
    assert elks.receive(message, 1.0) == ()
    assert elks.faults == 1
    assert elks.receive(audio(b"ab"), 1.1) == (Audio(b"ab"),)


def test_sound_before_hello_is_ignored() -> None:
    elks = Elks()
    assert elks.receive(audio(b"ab"), 0.0) == ()
    assert elks.faults == 1


MESSAGES = st.sampled_from([HELLO, SYNC, audio(b"abc"), '{"t":"bye","reason":"error"}', '{"t":"hello","callid":""}'])


@given(st.lists(MESSAGES | st.text() | st.binary()))
def test_no_message_raises_and_nothing_comes_after_the_end(messages: list[str | bytes]) -> None:
    elks = Elks()
    told: list[Meaning] = []
    for at, message in enumerate(messages):
        told += elks.receive(message, float(at))
        elks.play(b"ab")
        elks.mark("m")
    assert [meaning for meaning in told if isinstance(meaning, Closed)] == [
        meaning for meaning in told[-1:] if isinstance(meaning, Closed)
    ]


@given(st.lists(st.tuples(st.sampled_from(["play", "mark", "clear", "answer"]), st.floats(0.0, 2.0)), max_size=60))
def test_marks_are_reached_once_each_and_in_order(steps: list[tuple[str, float]]) -> None:
    elks = called()
    at, asked, reached = 0.0, 0, []
    for step, wait in steps:
        at += wait
        match step:
            case "play":
                elks.play(SECOND)
            case "mark":
                asked += 1
                elks.mark(str(asked))
            case "clear":
                elks.clear(at)
            case _:
                mark = synced(elks, at)
                reached += [int(mark)] if mark else []
    assert reached == sorted(set(reached))
