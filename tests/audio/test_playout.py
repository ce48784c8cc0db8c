"""The queue before the card and the ledger of what was heard, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.audio.playout import LIMIT_MS, Playout
from edgevoice.events import Played

RATE = 16_000
PERIOD = 160


def ramp(start: int, samples: int) -> bytes:
    """Samples that each say where they come from; never zero."""
    return (np.arange(start, start + samples) % 30_000 + 1).astype("<i2").tobytes()


def joined() -> Playout:
    playout = Playout(RATE)
    playout.join(RATE)
    return playout


def test_what_is_played_is_what_was_sent_then_silence() -> None:
    playout = joined()
    playout.play(ramp(0, 100), "r1")
    playout.play(ramp(100, 150), "r1")
    assert playout.take(200).tobytes() == ramp(0, 200)
    assert playout.take(100).tobytes() == ramp(200, 50) + bytes(100)


def test_a_mark_is_played_when_the_card_has_played_up_to_it() -> None:
    playout = joined()
    playout.play(ramp(0, 320), "r1")
    playout.mark("end", "r1")
    playout.take(400)
    assert list(playout.advance(81)) == []
    assert list(playout.advance(80)) == [Played("end", "r1")]
    assert list(playout.advance(0)) == []


def test_the_mark_of_a_response_without_sound_is_played_at_once() -> None:
    playout = joined()
    playout.mark("end", "r1")
    playout.take(PERIOD)
    assert list(playout.advance(PERIOD)) == [Played("end", "r1")]


def test_heard_is_what_left_the_loudspeaker_of_that_response() -> None:
    playout = joined()
    playout.take(1000)  # silence before it does not count
    playout.play(ramp(0, 1600), "r1")
    playout.take(800)
    list(playout.advance(160))
    assert playout.sounding == "r1"
    assert playout.discard() == ("r1", pytest.approx(40.0))


def test_a_pause_in_the_middle_is_nobodys_heard_time() -> None:
    playout = joined()
    playout.play(ramp(0, 160), "r1")
    playout.take(480)  # 160 of it, then it starves
    playout.play(ramp(160, 160), "r1")
    playout.take(160)
    list(playout.advance(0))
    assert playout.discard() == ("r1", pytest.approx(20.0))


def test_a_tone_comes_first_and_is_nobodys_heard_time() -> None:
    playout = joined()
    playout.play(ramp(0, 160), "r1")
    playout.tone(np.full(50, 7, np.int16))
    assert playout.take(210).tobytes() == np.full(50, 7, "<i2").tobytes() + ramp(0, 160)
    list(playout.advance(0))
    assert playout.discard() == ("r1", pytest.approx(10.0))


def test_audio_of_a_discarded_response_is_never_played_however_late() -> None:
    playout = joined()
    playout.play(ramp(0, 1600), "r1")
    playout.play(ramp(0, 1600), "r2")
    playout.take(160)
    playout.discard()
    for response in ("r1", "r2"):
        playout.play(ramp(0, 160), response)
        playout.mark("late", response)
    assert not playout.take(800).any()
    assert list(playout.advance(0)) == []
    playout.play(ramp(0, 160), "r3")
    assert playout.take(160).tobytes() == ramp(0, 160)


def test_an_interruption_in_one_call_does_not_silence_the_next() -> None:
    playout = joined()
    playout.play(ramp(0, 1600), "parrot_1")
    playout.take(160)
    playout.discard()
    playout.join(RATE)
    playout.play(ramp(0, 160), "parrot_1")
    assert playout.take(160).tobytes() == ramp(0, 160)


def test_a_response_that_never_ends_does_not_hold_back_the_marks_of_the_next() -> None:
    playout = joined()
    playout.play(ramp(0, 100), "r1")
    playout.play(ramp(0, 100), "r2")
    playout.mark("two", "r2")
    playout.take(400)
    assert list(playout.advance(0)) == [Played("two", "r2")]


def test_two_responses_play_one_after_the_other() -> None:
    playout = joined()
    playout.play(ramp(0, 100), "r1")
    playout.play(ramp(5000, 100), "r2")
    playout.play(ramp(100, 100), "r1")
    playout.mark("one", "r1")
    playout.mark("two", "r2")
    assert playout.take(300).tobytes() == ramp(0, 200) + ramp(5000, 100)
    assert list(playout.advance(0)) == [Played("one", "r1"), Played("two", "r2")]


def test_only_a_named_sound_can_be_talked_over() -> None:
    playout = joined()
    playout.play(ramp(0, 1600), "")
    playout.tone(np.full(50, 7, np.int16))
    playout.take(160)
    assert playout.sounding == ""
    assert playout.audible


def test_a_response_that_starves_still_sounds_until_it_is_ended() -> None:
    playout = joined()
    playout.play(ramp(0, 160), "r1")
    playout.take(480)
    list(playout.advance(0))
    assert playout.sounding == "r1"
    playout.mark("end", "r1")
    playout.take(160)
    list(playout.advance(0))
    assert playout.sounding == ""


def test_the_queue_is_bounded_and_says_what_it_left_out() -> None:
    playout = joined()
    second = ramp(0, RATE)
    for _ in range(LIMIT_MS // 1000 + 5):
        playout.play(second, "r1")
    assert playout.waiting_ms == LIMIT_MS
    assert playout.overflow_ms == 5000


def test_a_resampled_response_is_played_to_its_last_sample() -> None:
    playout = Playout(48_000)
    playout.join(24_000)
    playout.play(np.full(2400, 9000, "<i2").tobytes(), "r1")
    playout.mark("end", "r1")
    out = playout.take(9600)
    level = out[1000:4700]
    assert abs(level.astype(int) - 9000).max() < 200
    last = int(np.nonzero(out)[0][-1])
    assert 4800 - 24 <= last <= 4800 + 200, "100 ms and the resampler's few samples"
    assert list(playout.advance(9600 - last)) == [] or last > 0
    assert list(playout.advance(0)) == [Played("end", "r1")]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("play"), st.sampled_from(["a", "b", "c"]), st.integers(1, 700)),
        st.tuples(st.just("mark"), st.sampled_from(["a", "b", "c"]), st.just(0)),
        st.tuples(st.just("take"), st.just(""), st.integers(0, 500)),
        st.tuples(st.just("advance"), st.just(""), st.integers(0, 600)),
        st.tuples(st.just("discard"), st.just(""), st.just(0)),
        st.tuples(st.just("tone"), st.just(""), st.integers(1, 300)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(STEPS)
def test_heard_never_exceeds_what_was_handed_over_and_the_dead_stay_dead(steps: list[tuple[str, str, int]]) -> None:
    playout = joined()
    given_ms = {"a": 0.0, "b": 0.0, "c": 0.0}
    dead: set[str] = set()
    held = 0
    value = {"a": 1000, "b": 2000, "c": 3000}
    for kind, response, number in steps:
        match kind:
            case "play":
                playout.play(np.full(number, value[response], "<i2").tobytes(), response)
            case "mark":
                playout.mark(response, response)
            case "take":
                out = playout.take(number)
                held += number
                for name in given_ms:
                    frames = int((out == value[name]).sum())
                    given_ms[name] += frames / RATE * 1000
                    assert not (frames and name in dead), "a dead response sounds"
            case "advance":
                held = min(held, number)
                list(playout.advance(held))
            case "tone":
                playout.tone(np.full(number, 7, np.int16))
            case _:
                list(playout.advance(held))
                sounding = playout.sounding
                response, heard_ms = playout.discard()
                assert response == sounding
                assert not response or heard_ms <= given_ms[response] + 1e-6
                assert not playout.audible
                dead |= {name for name in given_ms if name in playout._dead}
