"""The card through the real alsa-lib: what opens, what is refused and in which words, what a drop accounts for."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edgevoice.drivers.alsa import AlsaCard, CardSettings, open_card
from edgevoice.errors import DeviceError
from tests.fakes import noise
from tests.lab.labcard import World

RATE = 48_000
CARD = CardSettings(capture="mic", playback="speaker", rate=RATE)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with World(rate=RATE) as made:
        monkeypatch.setenv("ALSA_CONFIG_PATH", made.conf)
        yield made


def settings(**changes: object) -> CardSettings:
    return CardSettings(**({"capture": "mic", "playback": "speaker", "rate": RATE} | changes))  # type: ignore[arg-type]


def test_what_was_opened_is_what_was_asked(world: World) -> None:
    card = open_card(CARD)
    try:
        assert (card.rate, card.period, card.ahead) == (RATE, 480, 1920)
        assert len(card.read()) == 480
    finally:
        card.close()


def test_a_card_that_knows_another_rate_is_used_at_that_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(rate=44_100) as world:
        monkeypatch.setenv("ALSA_CONFIG_PATH", world.conf)
        card = open_card(CARD)
        try:
            assert (card.rate, card.period, len(card.read())) == (44_100, 441, 441)
        finally:
            card.close()


def test_a_rate_that_cannot_be_converted_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(rate=32_000) as world:
        monkeypatch.setenv("ALSA_CONFIG_PATH", world.conf)
        with pytest.raises(DeviceError, match=r"rate is 32000 Hz, expected one of .*asked \"speaker\".*plughw"):
            open_card(CARD)
        assert [event.what for event in world.events()][-1] == "close", "nothing is left open"


def test_a_channel_that_the_microphone_lacks_is_refused_in_words(world: World) -> None:
    with pytest.raises(DeviceError, match=r"expected 6 or more for card\.capture_channel = 5"):
        open_card(settings(capture_channel=5))
    assert [event.what for event in world.events()].count("close") == 2, "neither direction is left open"


def test_a_card_that_does_not_exist_is_refused_with_those_that_do(world: World) -> None:
    with pytest.raises(DeviceError, match=r'card.playback "hw:CARD=Nix" does not open: .*Cards there are: '):
        open_card(settings(playback="hw:CARD=Nix"))


def test_a_busy_card_is_refused_in_words(world: World) -> None:
    card = open_card(CARD)
    try:
        with pytest.raises(DeviceError, match="held by another program"):
            open_card(CARD)
    finally:
        card.close()


def play(card: AlsaCard, pcm: np.ndarray) -> None:
    while len(pcm):
        card.read()
        room = card.ahead - card.queued()
        card.write(pcm[:room])
        pcm = pcm[room:]


def test_a_drop_accounts_for_every_frame(world: World) -> None:
    card = open_card(CARD)
    try:
        began = world.now()
        sound = noise(RATE // 2)
        sound[sound == 0] = 1
        play(card, sound)
        held = card.drop()
        played = np.count_nonzero(world.spk[began : world.now() + RATE // 10])
        assert abs(played - (len(sound) - held)) <= 48, "a millisecond passes between asking and dropping"
        assert card.queued() == 0
        play(card, noise(4800, seed=2))
        assert card.queued() > 0, "it starts again by itself"
    finally:
        card.close()


def test_an_underrun_is_counted_and_nothing_is_lost(world: World) -> None:
    card = open_card(CARD)
    try:
        began = world.now()
        card.write(np.full(960, 5, np.int16))
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            card.read()
        assert card.queued() == 0
        card.write(np.full(960, 7, np.int16))
        assert card.counters.playback_xruns == 1
        for _ in range(5):
            card.read()
        sound = world.spk[began : world.now()]
        assert (np.count_nonzero(sound == 5), np.count_nonzero(sound == 7)) == (960, 960)
    finally:
        card.close()


def test_a_reader_who_comes_too_late_is_counted_and_goes_on(world: World) -> None:
    card = open_card(CARD)
    try:
        card.read()
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            os.sched_yield()
        for _ in range(30):
            assert len(card.read()) == 480
        assert card.counters.capture_xruns == 1
    finally:
        card.close()


def test_an_unplugged_card_says_so_and_can_be_closed(world: World) -> None:
    card = open_card(CARD)
    play(card, noise(4800))
    world.unplug()
    with pytest.raises(DeviceError, match="gone"):
        play(card, noise(48_000))
    card.close()
