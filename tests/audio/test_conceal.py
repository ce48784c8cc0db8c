"""A voice over a network that loses, holds up and brings late; all in virtual time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.conceal import LATE_MS, MOST_MS, SLIP_MS, Concealer
from edgevoice.audio.filling import FADE_MS
from edgevoice.audio.live import Live
from tests.e2e.box import likeness, voice

Samples = NDArray[np.int16]

RATE = 8_000
PACKET = RATE // 50
LOOK_S = 0.0103  # how often a worker looks for sound that has come, being a little late each time


def speech(rate: int = RATE) -> Samples:
    return np.concatenate([voice(name, rate) for name in ("story", "question")])


def packets(pcm: Samples, lost: Iterable[int] = (), *, ppm: float = 0.0) -> Iterator[tuple[float, Samples]]:
    """Yield when each packet comes that is not lost; the far clock is faster by `ppm`."""
    gone = set(lost)
    for number, start in enumerate(range(0, len(pcm) - PACKET + 1, PACKET)):
        if number not in gone:
            yield (start + PACKET) / RATE / (1 + ppm / 1e6), pcm[start : start + PACKET]


def listen(concealer: Concealer, network: Iterable[tuple[float, Samples]], until_s: float = 0.0) -> Samples:
    """Return what is heard by somebody who looks every LOOK_S, until nothing more comes and `until_s`."""
    coming = iter(network)
    following = next(coming, None)
    heard, at = [], 0.0
    while following is not None or at < until_s:
        at += LOOK_S
        came = [np.zeros(0, np.int16)]
        while following is not None and following[0] <= at:
            came.append(following[1])
            following = next(coming, None)
        heard.append(concealer.take(np.concatenate(came), at))
    return np.concatenate(heard)


def lost_at_random(pcm: Samples, percent: float, seed: int = 5) -> list[int]:
    chance = random.Random(seed)
    return [number for number in range(1, len(pcm) // PACKET) if chance.random() * 100 < percent]


def largest_step(pcm: Samples) -> int:
    return int(np.max(np.abs(np.diff(pcm.astype(np.int32)))))


def test_a_voice_that_loses_nothing_is_heard_as_it_was_said() -> None:
    said = speech()[: PACKET * 300]
    assert np.array_equal(listen(Concealer(RATE), packets(said)), said)


@pytest.mark.parametrize(("percent", "alike"), [(5, 0.97), (15, 0.93)])
def test_a_voice_that_loses_packets_is_understood(percent: float, alike: float) -> None:
    said = speech()[: PACKET * 300]
    lost = lost_at_random(said, percent)
    concealer = Concealer(RATE)
    heard = listen(concealer, packets(said, lost))
    assert abs(concealer.filled_ms - 20 * len(lost)) <= 20, "what is missing is filled in, and no more"
    assert abs(len(heard) - len(said)) <= PACKET, "in time from the beginning to the end"
    assert likeness(np.pad(heard, PACKET), said, RATE) > alike
    silenced = said.copy()
    for number in lost:
        silenced[number * PACKET : (number + 1) * PACKET] = 0
    assert likeness(heard, said[: len(heard)], RATE) > likeness(silenced, said, RATE) + 0.005, "better than gaps"


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_a_lost_packet_does_not_click(rate: int) -> None:
    said = speech(rate)
    packet, loudest = rate // 50, largest_step(said)
    steps = []
    for lost in range(20, 200, 3):
        concealer = Concealer(rate)
        came = [n for n in range(lost - 10, lost + 4) if n != lost]
        heard = [concealer.take(said[n * packet : (n + 1) * packet], (n + 1) * 0.02) for n in came]
        steps.append(largest_step(np.concatenate(heard)))
        assert concealer.filled_ms == 20
    assert max(steps) <= loudest


def test_the_middle_of_a_vowel_goes_on_as_if_nothing_had_been_lost() -> None:
    t = np.arange(RATE)
    said = (8000 * np.sin(2 * np.pi * 125 * t / RATE) + 3000 * np.sin(2 * np.pi * 375 * t / RATE)).astype(np.int16)
    heard = listen(Concealer(RATE), packets(said, lost=[25]))
    assert len(heard) == len(said)
    error = heard.astype(float) - said
    assert np.sqrt(np.mean(error[25 * PACKET : 26 * PACKET] ** 2)) < 0.1 * np.sqrt(np.mean(said.astype(float) ** 2))


def test_a_network_that_is_away_is_silent_before_long_and_does_not_stop_time() -> None:
    said = speech()[: PACKET * 100]
    concealer = Concealer(RATE)
    heard = listen(concealer, packets(said, lost=range(40, 100)), until_s=2.0)
    gone = 40 * PACKET
    assert heard[gone : gone + RATE * 10 // 1000].any(), "the voice goes on for a moment"
    assert not heard[gone + RATE * FADE_MS // 1000 :].any()
    assert len(heard) >= RATE * (2.0 - LATE_MS / 1000 - LOOK_S), "a telephone that falls silent still lets time pass"


def test_what_comes_late_after_all_does_not_make_the_delay_grow() -> None:
    said = speech()[: PACKET * 300]
    held_up = [(at if not 2.0 < at <= 2.2 else 2.21, pcm) for at, pcm in packets(said)]
    concealer = Concealer(RATE)
    heard = listen(concealer, held_up)
    assert concealer.filled_ms > 100
    assert abs(concealer.filled_ms - concealer.left_out_ms) <= 20, "as much is left out as was filled in"
    assert abs(len(heard) - len(said)) <= PACKET
    rest = said[RATE * 3 :]
    assert np.array_equal(heard[-len(rest) + 2 * PACKET :], rest[2 * PACKET :]), "and later all is as it was said"
    assert largest_step(heard) <= largest_step(said)


def test_a_packet_that_is_held_up_for_less_than_one_is_no_loss() -> None:
    said = speech()[: PACKET * 300]
    chance = random.Random(3)
    jittering = sorted(((at + chance.uniform(0, 0.004), pcm) for at, pcm in packets(said)), key=lambda one: one[0])
    concealer = Concealer(RATE)
    listen(concealer, jittering)
    assert concealer.filled_ms == 0


@pytest.mark.parametrize("ppm", [200, pytest.param(-200, marks=pytest.mark.nightly)])
def test_an_hour_with_a_clock_of_its_own_neither_clicks_nor_falls_behind(ppm: float) -> None:
    said = speech()
    concealer = Concealer(RATE)
    worst, steps, given, last = 0.0, 0, 0, 0
    packet_s = 0.02 / (1 + ppm / 1e6)
    seam = abs(int(said[len(said) - len(said) % PACKET - 1]) - int(said[0]))
    for number in range(180_000):
        start = number % (len(said) // PACKET) * PACKET
        at = (number + 1) * packet_s
        heard = concealer.take(said[start : start + PACKET], at)
        given += len(heard)
        worst = max(worst, abs(given - at * RATE))
        steps = max(steps, largest_step(np.concatenate(([last], heard))))
        last = int(heard[-1])
    assert worst / RATE * 1000 <= MOST_MS + SLIP_MS
    assert concealer.filled_ms == 0
    assert steps <= max(largest_step(said), seam)


def test_a_voice_that_never_pauses_is_kept_in_time_too() -> None:
    t = np.arange(RATE // 50 * 1000)
    said = (8000 * np.sin(2 * np.pi * 125 * t / RATE)).astype(np.int16)
    concealer = Concealer(RATE)
    heard = listen(concealer, packets(said, ppm=3_000))
    assert concealer.left_out_ms >= SLIP_MS
    assert largest_step(heard) < 3 * largest_step(said)


def test_a_microphone_that_is_read_late_is_not_filled_in() -> None:
    said = speech()[: PACKET * 100]
    held_up = [(at if not 1.0 < at <= 1.2 else 1.21, pcm) for at, pcm in packets(said)]
    assert np.array_equal(listen(Concealer(RATE, lossy=False), held_up), said)


def test_a_microphone_that_was_away_for_long_is_not_made_up_for() -> None:
    said = speech()[: PACKET * 200]
    away = [(at if at <= 2.0 else at + 30.0, pcm) for at, pcm in packets(said)]
    concealer = Concealer(RATE, lossy=False)
    heard = [concealer.take(pcm, at) for at, pcm in away]
    assert np.array_equal(np.concatenate(heard), said)


def test_an_hour_with_a_slower_far_clock_leaves_no_word_broken_at_the_loudspeaker() -> None:
    """The card takes 200 ppm more than comes; pauses are made longer, so that something is always there to play."""
    said = speech()
    rate = len(said) // 80 * 80
    live, dry, taken = Live(RATE), 0, 0
    for number in range(60 * 60 * 50):
        start = number * PACKET % (rate - PACKET) // 80 * 80
        live.put(said[start : start + PACKET].tobytes())
        while taken < (number - 2) * 2 * 1.0002:
            taken += 1
            if live.flows:
                live.take()
            else:
                dry += 1
    assert dry < 10, "at the beginning, while it fills"
