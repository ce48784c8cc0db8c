"""Both orders of speech, noise and tones, as recorded and as the telephone network makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.byte_order import ENOUGH, Order, byte_order, to_little
from edgevoice.audio.g711 import alaw_to_pcm, pcm_to_alaw, pcm_to_ulaw, ulaw_to_pcm
from edgevoice.audio.pcm import to_bytes
from edgevoice.drivers.wav import read_wav

SPEECH = Path(__file__).parent.parent / "speech"
SIXTEEN_BITS = ["george", "jackson", "lucas", "theo", "yweweler"]  # nicolas was recorded with 8
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "mu-law": lambda pcm: ulaw_to_pcm(pcm_to_ulaw(pcm)),
    "A-law": lambda pcm: alaw_to_pcm(pcm_to_alaw(pcm)),
}

each_order = pytest.mark.parametrize("order", ["little", "big"])
each_way = pytest.mark.parametrize("way", WAYS)


def verdicts(pcm: bytes, order: Order) -> list[Order | None]:
    """Judge each stretch of 40 ms (half of it new) of little-endian sound that is sent in `order`."""
    sent = to_little(pcm, order)
    return [byte_order(sent[at : at + 2 * ENOUGH]) for at in range(0, len(sent) - 2 * ENOUGH + 1, ENOUGH)]


@each_order
@each_way
@pytest.mark.parametrize("gain", [0.1, 1.0])
@pytest.mark.parametrize("speaker", SIXTEEN_BITS)
def test_a_voice_tells_the_order_and_no_part_of_it_the_wrong_one(
    speaker: str, gain: float, way: str, order: Order
) -> None:
    samples, _ = read_wav(SPEECH / f"{speaker}.wav")
    told = verdicts(WAYS[way](to_bytes((samples * gain).astype(np.int16))), order)
    assert set(told) - {None} == {order}
    assert told.count(order) > len(told) / 4


@each_order
@each_way
@pytest.mark.parametrize("rms", [10, 100, 1000, 3000])
def test_noise_tells_the_order_too(rms: int, way: str, order: Order) -> None:
    noise = np.random.default_rng(1).normal(0, rms, 16_000).astype(np.int16)
    assert set(verdicts(WAYS[way](to_bytes(noise)), order)) == {order}


@each_order
def test_noise_at_full_scale_sounds_alike_either_way(order: Order) -> None:
    noise = np.random.default_rng(1).integers(-32768, 32768, 16_000).astype(np.int16)
    assert set(verdicts(to_bytes(noise), order)) == {None}


@each_order
def test_a_voice_of_eight_bits_is_left_in_doubt(order: Order) -> None:
    samples, _ = read_wav(SPEECH / "nicolas.wav")
    assert order not in (told := verdicts(to_bytes(samples), order))
    assert set(told) == {None}


@each_order
@pytest.mark.parametrize("idle", [(0, 0), (8, 8), (0, 8)], ids=str)
def test_the_networks_idle_noise_tells_nothing(idle: tuple[int, int], order: Order) -> None:
    samples = np.random.default_rng(1).choice(np.array(idle, np.int16), 16_000)
    assert set(verdicts(to_bytes(samples), order)) == {None}


def test_less_than_enough_tells_nothing() -> None:
    tone = to_bytes((1000 * np.sin(np.arange(ENOUGH))).astype(np.int16))
    assert byte_order(tone) == "little"
    assert byte_order(tone[2:]) is None
    assert byte_order(b"") is None


@given(st.binary(max_size=4 * ENOUGH).filter(lambda pcm: len(pcm) % 2 == 0))
def test_whatever_sounds_gives_a_verdict_and_the_opposite_one_when_swapped(pcm: bytes) -> None:
    opposite = {"big": "little", "little": "big", None: None}
    assert byte_order(to_little(pcm, "big")) == opposite[byte_order(pcm)]


def test_our_own_order_is_left_alone() -> None:
    assert to_little(b"\x01\x02\x03\x04", "little") == b"\x01\x02\x03\x04"
    assert to_little(b"\x01\x02\x03\x04", "big") == b"\x02\x01\x04\x03"
