"""A person's voice from a network: it comes in jerks and late, and is heard evenly and soon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevoice.audio.filling import FADE_MS
from edgevoice.audio.live import EVEN_S, MOST_MS, PIECE_MS, SCARCE_MS, SPARE_MS, START_MS, Live

Samples = NDArray[np.int16]

RATE = 8000
PACKET_MS = 20
PERIOD_MS = 10  # of the card
PIECE = RATE * PIECE_MS // 1000


def packet(number: int, level: int = 3000) -> bytes:
    """Return the `number`th 20 ms of a voice; the first sample of each piece tells which."""
    pcm = np.full(RATE * PACKET_MS // 1000, level, "<i2")
    pcm[::PIECE] = number
    return pcm.tobytes()


class Loudspeaker:
    """Wants 10 ms every 10 ms, and keeps what it got, piece by piece: the number of the packet, or -1 for silence."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.heard: list[int] = []

    def play(self, ms: int) -> None:
        for _ in range(ms // PIECE_MS):
            self.heard.append(int(self.live.take()[0]) if self.live.flows else -1)


def test_the_first_word_waits_a_moment_so_that_a_jerk_is_not_heard() -> None:
    live = Live(RATE)
    for number in range(START_MS // PACKET_MS - 1):
        live.put(packet(number))
    assert not live.flows
    live.put(packet(9))
    assert live.flows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, START_MS - PACKET_MS - PERIOD_MS), min_size=20, max_size=60))
def test_packets_that_come_in_jerks_are_heard_evenly_and_in_order(late_ms: list[int]) -> None:
    live = Live(RATE)
    ear = Loudspeaker(live)
    due = np.maximum.accumulate([number * PACKET_MS + late for number, late in enumerate(late_ms)])
    due[0] = late_ms[0] = 0
    number = 0
    for now in range(0, int(due[-1]) + 10, 10):
        while number < len(due) and due[number] <= now:
            live.put(packet(number))
            number += 1
        ear.play(10)
    live.pause()
    ear.play(live.waiting_ms)
    begun = ear.heard[ear.heard.index(0) :]
    pieces = PACKET_MS // PIECE_MS
    assert begun == [number for number in range(len(due)) for _ in range(pieces)], "no gap, none lost, none twice"


def test_a_network_that_was_away_is_not_heard_seconds_late() -> None:
    live = Live(RATE)
    for number in range(100):  # two seconds at once
        live.put(packet(number))
        assert live.waiting_ms <= MOST_MS
    assert live.waiting_ms + live.left_out_ms == 2000
    ear = Loudspeaker(live)
    ear.play(20)
    assert ear.heard[-1] >= 100 - MOST_MS // PACKET_MS, "what is heard now was said just now"


def test_one_message_with_seconds_of_sound_is_cut_too() -> None:
    live = Live(RATE)
    live.put(b"".join(packet(number) for number in range(200)))
    assert live.waiting_ms == START_MS


def test_in_a_pause_of_the_voice_what_came_too_early_is_made_up_for() -> None:
    live = Live(RATE)
    for number in range(12):
        live.put(packet(number))
    ear = Loudspeaker(live)
    ear.play(60)
    assert live.waiting_ms == 240 - 60, "not in the middle of a word"
    for number in range(12, 30):
        live.put(packet(number, level=0))
        ear.play(20)
    assert live.waiting_ms <= SPARE_MS
    assert [number for number in ear.heard if 0 < number < 12] == [n for n in range(1, 12) for _ in range(4)]


def test_a_far_clock_that_is_faster_than_ours_makes_nobody_late() -> None:
    live = Live(RATE)
    ear = Loudspeaker(live)
    longest = 0
    for number in range(3000):  # a minute, 0.5 per cent too fast, with a pause every second
        live.put(packet(1, level=0 if number % 50 > 40 else 3000))
        if number % 200 != 199:
            ear.play(20)
        longest = max(longest, live.waiting_ms)
    assert longest <= SPARE_MS + 2 * PACKET_MS
    assert ear.heard[ear.heard.index(1) :].count(-1) == 0


def test_a_far_clock_that_is_slower_than_ours_breaks_a_word_now_and_then_and_leaves_no_gap() -> None:
    live = Live(RATE)
    ear = Loudspeaker(live)
    for number in range(1000):
        live.put(packet(1))
        ear.play(30 if number % 100 == 99 else 20)
    assert ear.heard[ear.heard.index(1) :].count(-1) == 0
    assert 0 < live.filled_ms <= 5 * START_MS


def test_when_nothing_is_left_the_voice_goes_on_fades_and_begins_anew() -> None:
    live = Live(RATE)
    for number in range(3):
        live.put(packet(number))
    for _ in range(START_MS // PIECE_MS):
        live.take()
    fading = []
    while live.flows:
        fading.append(int(np.max(live.take())))
    assert fading[0] > 2500, "no gap"
    assert fading == sorted(fading, reverse=True)
    assert fading[-1] < 600
    assert len(fading) == FADE_MS // PIECE_MS
    live.put(packet(3))
    assert not live.flows
    live.put(packet(4))
    live.put(packet(5))
    assert live.flows


def test_a_voice_that_was_held_up_goes_on_where_it_was_without_a_click() -> None:
    said = (8000 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype("<i2")
    size = RATE * PACKET_MS // 1000
    live, heard, at = Live(RATE), [], 0
    for step in range(44):  # of 20 ms; from the 10th on three packets are held up and come together
        due = range(at, step + 1) if not 10 <= step < 13 else range(0)
        for number in due:
            live.put(said[number * size : (number + 1) * size].tobytes())
            at = number + 1
        heard += [live.take() for _ in range(PACKET_MS // PIECE_MS) if live.flows]
    steps = np.abs(np.diff(np.concatenate(heard).astype(int)))
    assert live.filled_ms > 0
    assert max(steps) < 3 * 8000 * 2 * np.pi * 200 / RATE


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 35), st.integers(0, 9))
def test_on_an_even_network_no_more_waits_than_its_jerks_need(jerk_ms: int, phase_ms: int) -> None:
    live = Live(RATE)
    ear = Loudspeaker(live)
    chance = np.random.default_rng(jerk_ms)
    due = np.maximum.accumulate([phase_ms + 20 * n + chance.integers(0, jerk_ms + 1) for n in range(800)])
    number, waits = 0, []
    for now in range(0, 16_000, PERIOD_MS):
        while number < len(due) and due[number] <= now:
            live.put(packet(number, level=0 if number % 5 else 3000))
            number += 1
        ear.play(PERIOD_MS)
        if now > 2 * EVEN_S * 1000 and live.flows:
            waits.append(live.waiting_ms)
    assert min(waits) <= SCARCE_MS + 2 * PIECE_MS, "in a moment of bad luck little is left"
    assert max(waits) <= jerk_ms + PACKET_MS + PERIOD_MS + SCARCE_MS + 2 * PIECE_MS


def test_a_short_word_before_a_pause_does_not_wait_for_the_next_one() -> None:
    live = Live(RATE)
    live.put(packet(1))
    live.pause()
    ear = Loudspeaker(live)
    ear.play(30)
    assert ear.heard == [1, 1, 1, 1, -1, -1]
    live.pause()
    assert not live.flows


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 44_100, 48_000])
def test_odd_packets_lose_no_sample(rate: int) -> None:
    live = Live(rate)
    voice = np.random.default_rng(1).integers(-9000, 9000, rate // 5).astype("<i2")
    taken: list[Samples] = []
    at = 0
    for size in (1, 77, 319, 441, 3, 1000) * 8:
        live.put(voice[at : at + size].tobytes())
        at += size
        live.pause()  # or what is missing would be filled in
        while live.flows:
            taken.append(live.take())
    live.pause()
    while live.flows:
        taken.append(live.take())
    sound = np.concatenate(taken)
    assert np.array_equal(sound, voice[: len(sound)])
    assert len(voice[:at]) - len(sound) < rate * PIECE_MS // 1000


def test_what_was_cleared_is_not_heard() -> None:
    live = Live(RATE)
    live.put(b"".join(packet(number) for number in range(5)) + b"\x01\x00")
    live.clear()
    assert (live.flows, live.waiting_ms) == (False, 0)
    for number in range(3):
        live.put(packet(number))
    assert live.take()[0] == 0, "not a rest of what was there before"
