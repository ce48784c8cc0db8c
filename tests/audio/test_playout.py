"""The queue before the card and the ledger of what was heard, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.audio.playout import FADE_MS, LIMIT_MS, Playout
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


@pytest.mark.parametrize("chunk", [20, 1600])
def test_a_response_that_was_broken_off_fades_away_at_its_end(chunk: int) -> None:
    playout, sound = joined(), np.full(1600, 8000, "<i2").tobytes()
    for start in range(0, len(sound), chunk * 2):
        playout.play(sound[start : start + chunk * 2], "r1")
    playout.mark("end", "r1", fades=True)
    heard = playout.take(1700).astype(int)
    faded = FADE_MS * RATE // 1000
    assert (heard[: 1600 - faded] == 8000).all()
    assert np.abs(np.diff(heard)).max() < 8000 * 2 / faded
    assert list(playout.advance(0)) == [Played("end", "r1")]


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


def test_what_the_resampler_holds_back_was_not_heard() -> None:
    playout = Playout(48_000)
    playout.join(24_000)
    playout.play(ramp(0, 2400), "r1")
    playout.take(4800)
    list(playout.advance(0))
    assert playout.discard() == ("r1", pytest.approx(100 - 0.5, abs=0.02))


def test_nothing_of_a_response_that_starves_is_in_the_beginning_of_the_next() -> None:
    playout = Playout(48_000)
    playout.join(24_000)
    playout.play(np.full(240, 20_000, "<i2").tobytes(), "r1")
    playout.play(bytes(480), "r2")
    playout.take(480)
    assert not playout.take(480).any()


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


# ------------------------------------------------------------------------------------------------- a reply that pauses


def held(playout: Playout, card_holds: int) -> None:
    """Drop a card that holds so many frames, and hold what it did not play."""
    assert list(playout.advance(card_holds)) == []
    playout.hold()


def twice_as_fast() -> Playout:
    """Return what has handed a response of 100 ms to the card, but for what the resampler holds back."""
    playout = Playout(48_000)
    playout.join(24_000)
    playout.play(np.full(2400, 9000, "<i2").tobytes(), "r1")
    playout.mark("end", "r1")
    playout.take(4800)
    return playout


def test_what_was_held_goes_on_at_the_very_frame_marks_in_their_places() -> None:
    playout = joined()
    playout.play(ramp(0, 200), "r1")
    playout.mark("one", "r1")
    playout.play(ramp(5000, 500), "r2")
    playout.take(400)
    held(playout, 300)
    assert not playout.take(PERIOD).any()
    assert list(playout.advance(0)) == []
    playout.resume()
    fade = RATE * FADE_MS // 1000
    assert playout.take(800)[fade:].tobytes() == (ramp(100, 100) + ramp(5000, 500))[2 * fade :] + bytes(400)
    assert list(playout.advance(701)) == []
    assert list(playout.advance(700)) == [Played("one", "r1")]


def test_a_pause_within_the_swell_repeats_what_had_swollen_and_swells_again() -> None:
    playout = joined()
    loud = np.full(1600, 20_000, "<i2")
    playout.play(loud.tobytes(), "r1")
    playout.take(400)
    held(playout, 300)
    playout.resume()
    swell = playout.take(PERIOD)[:80]
    held(playout, PERIOD - 40)  # half of the swell was heard
    playout.resume()
    assert np.array_equal(playout.take(PERIOD)[:80], swell)
    playout.take(1600 - 100 - 40 - PERIOD - 1)
    list(playout.advance(0))
    assert playout.discard() == ("r1", pytest.approx(100 - 1 / 16))


def test_a_tone_before_the_last_millisecond_of_a_response_does_not_let_its_mark_fire_early() -> None:
    playout = twice_as_fast()
    playout.tone(np.full(4800, 7, np.int16))
    playout.take(4800)
    assert list(playout.advance(0)) == []
    playout.take(480)
    assert list(playout.advance(0)) == [Played("end", "r1")]


def test_a_response_that_was_held_before_its_last_millisecond_is_over_when_it_was_heard() -> None:
    playout = twice_as_fast()
    held(playout, 100)
    playout.take(480)
    playout.resume()
    playout.take(580)
    assert list(playout.advance(470)) == [], "half a millisecond is still to come"
    assert list(playout.advance(0)) == [Played("end", "r1")]
    assert playout.sounding == ""


def test_what_is_held_is_the_same_response_before_and_after() -> None:
    playout = joined()
    playout.play(ramp(0, 100), "starves")
    playout.play(ramp(0, 1600), "sounds")
    playout.take(400)
    list(playout.advance(200))
    assert playout.sounding == "sounds"
    playout.hold()
    assert playout.sounding == "sounds"
    assert playout.discard() == ("sounds", pytest.approx(100 / 16))


def test_a_mark_that_comes_while_it_is_held_does_not_change_what_is_held() -> None:
    playout = Playout(48_000)
    playout.join(24_000)
    for name in ("r1", "r2"):
        playout.play(ramp(0, 240), name)
        playout.take(960)
    held(playout, 0)
    playout.mark("end", "r2")
    playout.take(480)
    assert playout.sounding == "r1"


def test_a_response_that_was_discarded_before_anything_of_it_was_heard_is_dead_too() -> None:
    playout = joined()
    playout.play(ramp(0, 160), "r1")
    playout.mark("end", "r1")
    playout.take(400)
    held(playout, 400)
    assert playout.discard() == ("r1", 0.0)
    assert playout.waiting_ms == 0
    playout.play(ramp(0, 160), "r1")
    assert not playout.take(400).any()


def test_what_comes_after_an_interruption_is_played_from_its_very_first_sample() -> None:
    playout = joined()
    playout.play(ramp(0, 1600), "r1")
    playout.take(400)
    held(playout, 100)
    playout.resume()
    playout.discard()
    assert playout.waiting_ms == 0
    playout.play(ramp(0, 160), "r2")
    assert playout.take(160).tobytes() == ramp(0, 160)


def test_a_tone_that_was_cut_goes_on_at_once_where_it_was_and_swells() -> None:
    playout = joined()
    playout.play(ramp(0, 1600), "r1")
    tone = np.arange(7000, 7320).astype(np.int16)
    playout.tone(tone)
    playout.take(200)
    held(playout, 100)
    rest = playout.take(400)
    assert (rest[0], np.all(np.diff(rest[:80]) >= 0)) == (0, True)
    assert np.array_equal(rest[80:220], tone[180:])
    assert not rest[220:].any()


def test_an_interruption_cuts_no_tone_that_sounds_while_the_reply_is_held() -> None:
    playout = joined()
    playout.play(ramp(0, 1600), "r1")
    playout.take(400)
    held(playout, 300)
    playout.tone(np.full(320, 7, np.int16))
    playout.take(200)
    list(playout.advance(100))
    playout.discard()
    assert playout.audible
    assert playout.take(400).tobytes() == np.full(120, 7, "<i2").tobytes() + bytes(560)
    list(playout.advance(0))
    assert not playout.audible


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


@pytest.mark.parametrize("written", [160, 3])
@pytest.mark.parametrize("played", range(1, 8))
def test_what_a_fade_left_nothing_of_is_played_again_if_that_is_stopped_at_once(played: int, written: int) -> None:
    """Somebody coughed twice, and a third of a millisecond of the reply was missing: played, but as zeros."""
    playout = joined()
    faint = np.full(1000, 50, np.int16)
    playout.play(faint.tobytes(), "r1")
    playout.take(400)
    list(playout.advance(200))
    playout.hold()
    playout.resume()
    given = np.concatenate([playout.take(written) for _ in range(0, 300, written)])
    assert np.flatnonzero(given)[0] == 6
    list(playout.advance(len(given) - played))
    playout.hold()
    playout.resume()
    left = playout.take(1000)
    assert np.count_nonzero(left[6:]) == 1000 - 200 - 6 - (played if played > 6 else 0)
    playout.mark("end", "r1")
    list(playout.advance(500))
    assert playout.discard() == ("r1", pytest.approx((200 + (played if played > 6 else 0) + 500) / 16))


NAMES = {"a": 10_000, "b": 15_000, "c": 20_000}
WALK = st.lists(
    st.one_of(
        st.tuples(st.just("play"), st.sampled_from(sorted(NAMES)), st.integers(1, 80)),
        st.tuples(st.just("mark"), st.sampled_from(sorted(NAMES)), st.just(0)),
        st.tuples(st.just("period"), st.just(""), st.integers(0, 400)),
        st.tuples(st.sampled_from(["hold", "resume"]), st.just(""), st.just(0)),
        st.tuples(st.just("tone"), st.just(""), st.integers(1, 300)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(WALK)
def test_whatever_is_held_every_sample_is_heard_once_and_then_its_mark_fires(steps: list[tuple[str, str, int]]) -> None:
    playout, ahead = joined(), 500
    card: list[int] = []
    heard: dict[str, list[int]] = {name: [] for name in NAMES}
    sent: dict[str, list[int]] = {name: [] for name in NAMES}
    ended: set[str] = set()
    fired: list[str] = []

    def advance() -> None:
        for mark in playout.advance(len(card)):
            fired.append(mark.mark)
            assert heard[mark.mark] == sent[mark.mark]

    for kind, name, number in [*steps, ("resume", "", 0), *[("period", "", 400)] * 80]:
        match kind:
            case "play" if name not in ended:
                begin = NAMES[name] + len(sent[name])
                sent[name] += range(begin, begin + number)
                playout.play(np.arange(begin, begin + number).astype("<i2").tobytes(), name)
            case "mark" if name not in ended:
                ended.add(name)
                playout.mark(name, name)
            case "tone":
                playout.tone(np.full(number, -7, np.int16))
            case "hold" if not playout.on_hold:
                advance()
                playout.hold()
                card.clear()
            case "resume" if playout.on_hold:
                playout.resume()
                playout._fade = playout._fade[:0]  # the samples are to be recognised
            case "period":
                for frame in card[:number]:
                    if frame > 0:
                        heard["abc"[frame // 5000 - 2]].append(frame)
                del card[:number]
                was_on_hold, so_far = playout.on_hold, len(fired)
                advance()
                assert not was_on_hold or len(fired) == so_far
                card += playout.take(ahead - len(card)).tolist()
            case _:
                pass
    assert heard == sent
    assert sorted(fired) == sorted(ended)
