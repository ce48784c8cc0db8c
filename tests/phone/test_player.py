"""A fake service plays on a clock of its own, and knows exactly what was heard."""

from __future__ import annotations

import numpy as np
import pytest

from tests.phone import sound
from tests.phone.network import Network
from tests.phone.player import Clock, Player
from tests.phone.sound import Samples

RATE = 8000
PROMPT = Clock(latency_ms=0)


def tone(ms: float, level: int = 1000) -> Samples:
    return np.full(round(ms * RATE / 1000), level, np.int16)


def test_what_was_sent_at_once_is_heard_in_its_own_time() -> None:
    player = Player(RATE, 0.0, PROMPT)
    player.play(tone(1000), 0.0)
    player.advance(0.499)
    assert player.played_ms == 500
    player.advance(2.0)
    assert player.played_ms == 1000
    assert [round(stretch.at, 3) for stretch in player.stretches[:3]] == [0.0, 0.02, 0.04]


def test_the_first_sound_after_a_silence_is_late_by_the_latency() -> None:
    player = Player(RATE, 0.0, Clock(latency_ms=60))
    player.play(tone(40), 0.1)
    player.play(tone(40), 0.11)
    player.advance(1.0)
    assert [round(stretch.at, 3) for stretch in player.stretches] == [0.16, 0.18, 0.2, 0.22]
    player.play(tone(20), 1.0)
    player.advance(2.0)
    assert round(player.stretches[-1].at, 3) == 1.06


def test_a_clear_silences_what_no_wake_has_taken() -> None:
    player = Player(RATE, 0.0, PROMPT)
    player.play(tone(400), 0.0)
    player.mark("end", 0.0)
    assert player.advance(0.105) == []
    assert player.clear() == ["end"]
    assert player.advance(1.0) == []
    assert player.played_ms == 120
    assert player.heard_ms(by=0.105) == pytest.approx(105)
    assert player.queued == 0


def test_a_mark_is_reached_when_everything_before_it_has_sounded() -> None:
    player = Player(RATE, 0.0, PROMPT)
    player.play(tone(50), 0.0)
    player.mark("a", 0.0)
    player.mark("b", 0.0)
    player.play(tone(20), 0.0)
    player.mark("c", 0.0)
    assert player.advance(0.059) == []
    assert player.advance(0.06) == ["a", "b"]
    assert player.advance(0.08) == ["c"]


def test_a_mark_after_nothing_is_reached_at_once() -> None:
    player = Player(RATE, 0.0, Clock(latency_ms=500))
    player.mark("a", 0.1)
    assert player.advance(0.12) == ["a"]


def test_a_test_can_ask_how_much_of_one_reply_was_heard() -> None:
    player = Player(RATE, 0.0, PROMPT)
    player.play(tone(100), 0.0)
    begin = player.accepted
    player.play(tone(100, 2000), 0.0)
    end = player.accepted
    player.play(tone(100), 0.0)
    player.advance(0.13)
    assert player.heard_ms(begin, end) == pytest.approx(40)
    assert player.heard_ms(begin, end, by=0.13) == pytest.approx(30)
    assert player.heard_ms(end) == 0
    assert list(player.recording()[begin:]) == [2000] * 320


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_clock_that_is_off_plays_an_hour_in_its_own_hour(ppm: int) -> None:
    player = Player(RATE, 0.0, Clock(latency_ms=0, ppm=ppm), record=False)
    player.play(np.zeros(3700 * RATE, np.int16), 0.0)
    player.advance(3600.0)
    assert player.played_ms == pytest.approx(3_600_000 * (1 + ppm / 1e6), abs=20)


def test_a_jittery_clock_neither_loses_sound_nor_drifts() -> None:
    player = Player(RATE, 0.0, Clock(latency_ms=0, jitter_ms=80, seed=7))
    player.play(tone(60_000), 0.0)
    player.advance(60.2)
    starts = [stretch.at for stretch in player.stretches]
    assert player.played_ms == 60_000
    assert all(0 <= start - 0.02 * n <= 0.08 for n, start in enumerate(starts))
    assert max(start - 0.02 * n for n, start in enumerate(starts)) > 0.06


def test_what_a_network_delays_arrives_in_order() -> None:
    network = Network[int](40, 80, seed=3)
    for n in range(500):
        network.put(n, n * 0.02)
    arrivals = [(at / 1000, n) for at in range(0, 11_000) for n in network.due(at / 1000)]
    assert [n for _, n in arrivals] == list(range(500))
    assert network.next_at is None
    delays = [at - n * 0.02 for at, n in arrivals]
    assert min(delays) >= 0
    assert max(delays) <= 0.122
    assert max(delays) - min(delays) > 0.05


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_g711_comes_back_as_it_was_coded(law: str) -> None:
    codes = bytes(set(range(256)) - {0x7F})  # of mu-law: a second zero
    assert sound.encode(sound.decode(codes, law), law) == codes
    levels = np.arange(-32000, 32000, 7).astype(np.int16)
    error = np.abs(sound.decode(sound.encode(levels, law), law).astype(int) - levels)
    assert (error <= np.maximum(np.abs(levels.astype(int)) / 16, 16)).all()


def test_silence_is_what_g711_says() -> None:
    assert sound.encode(np.zeros(1, np.int16), "ulaw") == b"\xff"
    assert sound.encode(np.zeros(1, np.int16), "alaw") == b"\xd5"
    assert sound.encode(np.array([258], np.int16), "s16be") == b"\x01\x02"
