"""Phone calls in virtual time: the same sentences over every service, each with its fake and a network in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgevoice.announcement import Announcement
from edgevoice.audio.pcm import to_bytes
from edgevoice.audio.resample import Resampler
from edgevoice.audio.tones import tone
from edgevoice.call import Call
from edgevoice.events import (
    BargedIn,
    BargeIn,
    Clear,
    Cleared,
    Closed,
    Command,
    Digit,
    End,
    HangUp,
    Listen,
    Listening,
    Mark,
    Play,
    Played,
    Tone,
    Uplink,
)
from edgevoice.intercom import Intercom
from edgevoice.lines.line import BEGIN_S, SILENT_S
from edgevoice.orders import Side
from tests.fakes import noise
from tests.lines.stage import ROWS, START, Stage, answered, flat, say
from tests.phone.caller import Nasty
from tests.phone.player import Clock
from tests.phone.sound import Samples, decode, encode

each_service = pytest.mark.parametrize("name", ROWS)
ROUGH: dict[str, Any] = {"delay_ms": 80.0, "jitter_ms": 40.0}  # each way: 40 ms, and up to 80 more
MARKS = ('"sync"', '"mark"', '"playedStream"')


def voice(seconds: float, rate: int, seed: int = 3) -> Samples:
    return noise(round(seconds * rate), -20.0, seed)


def begins_with(heard: Samples, sound: Samples) -> bool:
    return bool(np.array_equal(heard[: len(sound)], sound))


def hears_no_more(heard: Samples) -> bool:
    """Less than a frame follows, of silence."""
    return len(heard) < 800 and not heard.any()


# ------------------------------------------------------------------------------------------------- what is heard


@each_service
@pytest.mark.parametrize("piece_ms", [15, 100, 4000])
def test_a_response_is_heard_whole_and_in_order(name: str, piece_ms: int) -> None:
    stage = answered(name, **ROUGH)
    rate = stage.line.rate
    sound = voice(5.013, rate)
    stage.perform(*say(sound, "r", piece_ms, rate), Mark("end", "r"))
    stage.run(8)
    assert begins_with(stage.heard(), stage.as_heard(sound))
    assert hears_no_more(stage.heard()[len(sound) :])
    assert stage.far.violations == []


@each_service
def test_the_last_syllable_of_an_agent_at_another_rate_is_heard(name: str) -> None:
    stage = answered(name, rate=48_000)
    sound = voice(1.007, 48_000)
    stage.perform(*say(sound, "r", 20, 48_000), Mark("end", "r"))
    stage.run(3)
    heard = stage.as_heard(Resampler(48_000, stage.line.rate).process(np.append(sound, np.zeros(96, np.int16))))
    assert begins_with(stage.heard(), heard)
    assert stage.far.violations == []


def announcing(stage: Stage, rate: int) -> Call:
    """Return a call whose far leg is on this stage."""

    def perform(command: Command, at: float) -> None:
        stage.perform(command)

    call = Call(Intercom(), lambda command, at: None, perform, rate)
    stage.on_event = lambda event: call.far(event, stage.now)
    return call


@each_service
def test_a_recording_is_heard_without_a_click_at_every_second(name: str) -> None:
    stage = answered(name, rate=48_000)
    sound = voice(6.003, 48_000)
    call = announcing(stage, 48_000)
    call.say(Side.FAR, Announcement(to_bytes(sound), 48_000, name="say"), stage.now)
    stage.run(10)
    heard = stage.as_heard(Resampler(48_000, stage.line.rate).process(np.append(sound, np.zeros(96, np.int16))))
    assert begins_with(stage.heard(), heard)
    assert not call.announcing


@each_service
def test_a_tone_in_the_middle_of_a_response_takes_none_of_it_away(name: str) -> None:
    stage = answered(name)
    rate = stage.line.rate
    sound = voice(4.0, rate)
    stage.perform(*say(sound, "r", 15, rate), Tone("connected"), Mark("end", "r"))
    stage.run(8)
    heard = stage.heard()
    beep = place(heard, stage.as_heard(tone("connected", rate)))
    assert begins_with(heard, stage.as_heard(sound[: 2 * rate]))
    assert 2 * rate < beep < 3.5 * rate
    assert place(heard, stage.as_heard(sound[-rate // 4 :])) > beep


def place(heard: Samples, sought: Samples) -> int:
    """Return where a sound begins in what was heard, or -1."""
    starts = np.flatnonzero(heard[: len(heard) - len(sought) + 1] == sought[0])
    return next((int(start) for start in starts if np.array_equal(heard[start : start + len(sought)], sought)), -1)


@each_service
def test_two_tones_are_heard_in_the_order_in_which_they_were_told(name: str) -> None:
    stage = answered(name)
    rate = stage.line.rate
    stage.perform(Play(to_bytes(flat(0, 4000, rate))), Tone("connected"), Tone("ended"))
    stage.run(8)
    heard = stage.heard()
    first, second = (place(heard, stage.as_heard(tone(name, rate))) for name in ("connected", "ended"))
    assert 0 < first < second


# ------------------------------------------------------------------------------------------------- Played


@each_service
def test_played_comes_once_and_when_it_was_heard(name: str) -> None:
    stage = answered(name, **ROUGH)
    rate = stage.line.rate
    stage.perform(*say(flat(0, 2500, rate), "r", rate=rate), Mark("end", "r"))
    stage.run(10)
    assert stage.told(Played) == [Played("end", "r")]
    (told_at,) = (at for at, event in stage.events if isinstance(event, Played))
    last = stage.player.stretches[-1]
    silent_at = last.at + len(last.samples) / rate
    assert silent_at <= told_at <= silent_at + 0.25


@each_service
def test_played_comes_from_a_service_that_never_says_so(name: str) -> None:
    stage = answered(name)
    stage.loses = lambda message: any(mark in message for mark in MARKS)
    stage.perform(*say(flat(0, 2500, stage.line.rate), "r", rate=stage.line.rate), Mark("end", "r"))
    stage.run(3)
    assert stage.played == []
    stage.run(2)
    assert stage.played == ["end"]


@each_service
def test_several_responses_are_told_in_the_order_in_which_they_were_heard(name: str) -> None:
    stage = answered(name, **ROUGH)
    rate = stage.line.rate
    for index in range(4):
        stage.perform(*say(flat(index, 900, rate), f"r{index}", rate=rate), Mark(f"m{index}", f"r{index}"))
    stage.run(8)
    assert stage.told(Played) == [Played(f"m{index}", f"r{index}") for index in range(4)]


# ------------------------------------------------------------------------------------------------- interruptions


@each_service
@pytest.mark.parametrize("order", [Clear(), BargeIn()])
@pytest.mark.parametrize("pause_s", [0.0, 0.1, 1.5])
def test_after_an_interruption_the_next_response_is_heard_and_nothing_of_the_last(
    name: str, order: Clear | BargeIn, pause_s: float
) -> None:
    stage = answered(name, **ROUGH)
    rate = stage.line.rate
    dead, alive = flat(0, 6000, rate), voice(2.0, rate)
    stage.perform(*say(dead, "dead", rate=rate)[:50])
    stage.run(1.3)
    assert [type(event) for event in stage.perform(order)] == [Cleared if isinstance(order, Clear) else BargedIn]
    before_ms = stage.heard_ms(dead)
    stage.perform(*say(dead, "dead", rate=rate)[50:], Mark("dead", "dead"))  # the agent has not heard of it yet
    stage.run(pause_s)
    stage.perform(*say(alive, "alive", rate=rate), Mark("alive", "alive"))
    stage.run(6)
    assert stage.heard_ms(dead) <= before_ms + 160  # the longest journey, and what was playing by then
    heard = stage.heard()
    begins = int(np.argmax(heard != stage.as_heard(dead)[0]))
    assert begins_with(heard[begins:], stage.as_heard(alive))
    assert stage.played == ["alive"]
    assert stage.far.violations == []


@pytest.mark.parametrize("answers", [True, False])
def test_whether_46elks_answers_what_was_interrupted_or_not_played_is_told_after_it_was_heard(answers: bool) -> None:
    stage = answered("elks", **ROUGH, answers_flushed_syncs=answers)
    for index in range(6):
        sound = flat(index, 3000, 16_000)
        stage.perform(*say(sound, f"r{index}"), Mark(f"m{index}", f"r{index}"))
        stage.run(1.1)
        stage.perform(BargeIn())
        stage.run(0.1 if index < 3 else 1.0)
    stage.perform(*say(flat(6, 1500, 16_000), "last"), Mark("last", "last"))
    stage.run(10)
    assert stage.played == ["last"]
    told_at = next(at for at, event in stage.events if isinstance(event, Played))
    assert told_at >= stage.player.stretches[-1].at + 0.02


@pytest.mark.parametrize("name", ["vobiz", "vobiz at 24 kHz", "plivo"])
def test_the_first_word_after_an_interruption_waits_until_vobiz_has_cleared(name: str) -> None:
    stage = answered(name, cleared_after_ms=120.0, deaf_until_cleared=True)
    rate = stage.line.rate
    stage.perform(*say(flat(0, 3000, rate), "dead", rate=rate))
    stage.run(1)
    alive = voice(1.0, rate)
    stage.perform(Clear(), *say(alive, "alive", rate=rate), Mark("alive", "alive"))
    stage.run(3)
    heard = stage.heard()
    begins = int(np.argmax(heard != stage.as_heard(flat(0, 20, rate))[0]))
    assert begins_with(heard[begins:], stage.as_heard(alive))


@pytest.mark.parametrize("name", ["vobiz", "plivo"])
def test_a_service_that_never_says_that_it_has_cleared_costs_a_quarter_of_a_second(name: str) -> None:
    stage = answered(name, cleared_after_ms=None)
    rate = stage.line.rate
    stage.perform(*say(flat(0, 3000, rate), "dead", rate=rate))
    stage.run(1)
    cleared_at = stage.now
    stage.perform(Clear(), *say(flat(1, 500, rate), "alive", rate=rate))
    stage.run(2)
    next_at = next(at for at, message in stage.sent if at >= cleared_at and "playAudio" in message)
    assert 0.2 <= next_at - cleared_at <= 0.2501


@each_service
def test_a_clear_of_nothing_makes_nobody_wait(name: str) -> None:
    stage = answered(name)
    rate = stage.line.rate
    stage.perform(*say(flat(0, 3000, rate), "dead", rate=rate))
    stage.run(1)
    stage.perform(Clear())
    stage.run(1)
    before = len(stage.sent)
    assert stage.perform(Clear()) == [Cleared("", 0.0)]
    assert len(stage.sent) == before
    stage.perform(*say(flat(1, 500, rate), "alive", rate=rate))
    assert len(stage.sent) > before


@each_service
def test_the_agent_is_told_what_the_caller_heard_of_it(name: str) -> None:
    errors = [error for seed in range(5) for error in heard_errors(name, seed)]
    assert len(errors) >= 12
    assert np.percentile(np.abs(errors), 50) <= 40
    assert np.percentile(np.abs(errors), 90) <= 80


def heard_errors(name: str, seed: int) -> list[float]:
    """Interrupt an agent four times, after stalls and tones; return by how many ms each told too much was heard."""
    rng = np.random.default_rng(seed)
    clock = Clock(rng.uniform(20, 120), ppm=rng.choice([-200, 200]), jitter_ms=20, seed=seed)
    stage = answered(name, **ROUGH, seed=seed, clock=clock)
    rate = stage.line.rate
    errors: list[float] = []
    for turn in range(4):
        sounds = {f"{turn}.{index}": flat(2 * turn + index, rng.uniform(800, 5000), rate) for index in range(2)}
        for response, sound in sounds.items():
            pieces = say(sound, response, rate=rate)
            half = rng.integers(0, len(pieces))
            stage.perform(*pieces[:half])
            stage.run(rng.choice([0.0, 1.0, 2.5]))
            stage.perform(*pieces[half:], Mark(response, response), *[Tone("connected")] * (turn % 2))
        stage.run(rng.uniform(0.2, 3))
        told = stage.perform(BargeIn())
        stage.run(rng.uniform(0.5, 2))
        for event in told:
            assert isinstance(event, BargedIn)
            errors.append(event.heard_ms - stage.heard_ms(sounds[event.response]))
    assert stage.far.violations == []
    return errors


@each_service
def test_no_more_is_told_to_be_heard_than_was_said(name: str) -> None:
    stage = answered(name, rate=24_000)
    stage.loses = lambda message: any(mark in message for mark in MARKS)
    stage.perform(*say(flat(0, 505, 24_000), "r", rate=24_000), Mark("end", "r"))
    stage.run(0.9)
    (told,) = stage.perform(BargeIn())
    assert isinstance(told, BargedIn)
    assert told.heard_ms == pytest.approx(505, abs=0.2)


# ------------------------------------------------------------------------------------------------- never too much


@each_service
def test_however_much_an_agent_says_at_once_little_of_it_waits_at_the_service(name: str) -> None:
    stage = answered(name, **ROUGH, record=False)
    stage.perform(*say(flat(0, 30_000, stage.line.rate), "r", rate=stage.line.rate), Mark("end", "r"))
    stage.run(36)
    assert stage.most_queued_ms < 3_500
    assert stage.played == ["end"]
    assert stage.player.played_ms >= 30_000


@pytest.mark.parametrize("name", ["elks", "vobiz"])
def test_a_service_that_plays_slowly_and_stops_answering_is_never_sent_a_minute_too_much(name: str) -> None:
    stage = answered(name, record=False, clock=Clock(ppm=-100_000))
    rate = stage.line.rate
    stage.perform(*say(flat(0, 280_000, rate), "r", 1000, rate))
    stage.run(30)
    stage.loses = lambda message: any(mark in message for mark in MARKS)
    stage.run(100)
    assert stage.most_queued_ms < 15_000
    assert stage.player.played_ms > 70_000


@pytest.mark.parametrize("name", ["elks", "twilio"])
def test_a_recording_in_a_loop_never_overruns_a_slow_service(name: str) -> None:
    stage = answered(name, record=False, clock=Clock(ppm=-100_000))
    call = announcing(stage, stage.line.rate)
    recording = to_bytes(flat(0, 2500, stage.line.rate))
    call.say(Side.FAR, Announcement(recording, stage.line.rate, name="say", loop=True), stage.now)
    stage.run(60)
    assert stage.most_queued_ms < 3_500
    assert stage.player.played_ms > 50_000
    call.stop_saying(stage.now)
    stage.run(5)
    assert stage.player.queued == 0


@each_service
def test_a_persons_voice_is_never_late_by_half_a_second_after_a_stumble(name: str) -> None:
    stage = answered(name)
    rate = stage.line.rate
    piece = Play(to_bytes(flat(0, 10, rate)), live=True)
    for _ in range(100):
        stage.perform(piece)
        stage.run(0.01)
    stage.run(1.0)
    stage.perform(*[piece] * 200)  # a network has held back two seconds
    for _ in range(100):
        stage.perform(piece)
        stage.run(0.01)
    assert stage.most_queued_ms <= 420


@each_service
def test_a_voice_that_comes_in_time_is_heard_whole_and_asks_seldom_how_far_it_is(name: str) -> None:
    stage = answered(name)
    rate = stage.line.rate
    sound = voice(4.0, rate)
    for piece in say(sound, "", 10, rate, live=True):
        stage.perform(piece)
        stage.run(0.01)
    stage.run(1)
    assert begins_with(stage.heard(), stage.as_heard(sound[: -rate // 50]))
    assert sum(any(word in message for word in ('"sync"', '"mark"', '"checkpoint"')) for _, message in stage.sent) < 30


# ------------------------------------------------------------------------------------------------- the caller


@each_service
def test_what_the_caller_says_comes_once_and_in_order(name: str) -> None:
    stage = answered(name, **ROUGH)
    said = voice(3.0, stage.line.rate)
    stage.caller_says(said, stage.line.rate)
    stage.run(5)
    assert contains(stage, said)


def contains(stage: Stage, said: Samples) -> bool:
    """What was said stands in the uplink, whole."""
    sought = decode(encode(said, "ulaw"), "ulaw") if stage.row.is_ulaw else said
    return place(np.frombuffer(stage.uplink, np.int16), sought) >= 0


@each_service
def test_a_muted_line_sends_silence_at_the_same_pace(name: str) -> None:
    stage = answered(name, uplink=Uplink.SILENT)
    before = len(stage.uplink)
    stage.caller_says(voice(1.0, stage.line.rate), stage.line.rate)
    stage.run(1)
    assert len(stage.uplink) - before == 2 * stage.line.rate
    assert not np.frombuffer(stage.uplink, np.int16).any()


@each_service
def test_nothing_leaves_a_line_that_is_off_not_even_later(name: str) -> None:
    stage = answered(name, uplink=Uplink.OFF)
    stage.caller_says(voice(1.0, stage.line.rate), stage.line.rate)
    stage.run(2)
    assert stage.perform(Listen(Uplink.OPEN)) == [Listening(Uplink.OPEN)]
    stage.run(1)
    assert not np.frombuffer(stage.uplink, np.int16).any()


@each_service
def test_the_first_word_of_an_interruption_is_not_lost(name: str) -> None:
    stage = answered(name, uplink=Uplink.HELD)
    rate = stage.line.rate
    stage.perform(*say(flat(0, 5000, rate), "r", rate=rate))
    stage.run(1)
    said = voice(2.0, rate)
    stage.caller_says(said, rate)
    stage.run(0.5)
    assert len(stage.told(BargedIn)) == 1
    assert stage.uplink == b""
    stage.perform(Listen(Uplink.OPEN))
    stage.run(3)
    assert contains(stage, said)


@pytest.mark.parametrize("name", ["twilio", "plivo"])
def test_a_key_of_the_telephone_is_told(name: str) -> None:
    stage = answered(name)
    for key in "1#":
        stage.caller_presses(key)
    stage.run(1)
    assert stage.told(Digit) == [Digit("1"), Digit("#")]


# ------------------------------------------------------------------------------------------------- the end


@pytest.mark.parametrize("name", ["elks", "twilio"])
def test_a_caller_who_hangs_up_in_mid_response_ends_it_and_nothing_comes_after(name: str) -> None:
    stage = answered(name)
    stage.perform(*say(flat(0, 5000, stage.line.rate), "r", rate=stage.line.rate), Mark("end", "r"))
    stage.run(1)
    stage.caller_hangs_up()
    stage.run(1)
    assert stage.closed is not None
    assert stage.closed.end is End.HUNG_UP
    told = len(stage.events)
    assert stage.perform(Clear(), BargeIn(), HangUp("again")) == []
    stage.run(60)
    assert len(stage.events) == told
    assert stage.line.deadline is None


@each_service
def test_a_service_that_never_says_which_call_it_is_is_given_up_whatever_else_it_says(name: str) -> None:
    stage = Stage(name, nasty=Nasty(silent=True))
    while stage.now < START + BEGIN_S - 1:
        stage.tell('{"event":"connected","t":"connected"}')
        stage.run(1)
    assert stage.closed is None
    stage.run(2)
    assert stage.closed is not None
    assert stage.closed.end is End.BROKEN


@each_service
def test_a_line_that_has_fallen_silent_for_good_is_lost(name: str) -> None:
    stage = answered(name)
    stage.loses = lambda message: True
    stage.run(SILENT_S - 1)
    assert stage.closed is None
    stage.run(2)
    assert stage.closed == Closed(End.LINK_LOST, "nothing came over the line for 30 s")


@each_service
@pytest.mark.parametrize(
    "nasty",
    [
        Nasty(odd_chunks=True),
        Nasty(unknown_messages=True),
        Nasty(second_start=True),
        Nasty(early_media=True),
        Nasty(not_base64=True),
        Nasty(huge=True),
    ],
    ids=["odd chunks", "unknown messages", "second start", "early media", "not base64", "5 MB"],
)
def test_a_service_that_misbehaves_costs_nothing_but_its_own_nonsense(name: str, nasty: Nasty) -> None:
    stage = answered(name, nasty=nasty)
    said = voice(1.0, stage.line.rate)
    stage.run(0.5)
    stage.caller_says(said, stage.line.rate)
    stage.perform(*say(flat(0, 1000, stage.line.rate), "r", rate=stage.line.rate), Mark("end", "r"))
    stage.run(3)
    assert contains(stage, said) or nasty.huge
    assert len(stage.uplink) < 2 * 5 * stage.line.rate, "a message of two minutes is no call"
    assert stage.played == ["end"] or stage.told(BargedIn)
    assert stage.closed is None
