"""Which of the microphone's samples leave: each at most once, in order, and none that came to a shut door."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevoice.audio.delivery import KEEP_MS, Delivery
from edgevoice.audio.resample import Resampler
from edgevoice.events import Audio, Uplink

Samples = NDArray[np.int16]

RATE = 16_000
BLOCK = 160


def block(number: int) -> Samples:
    """10 ms that say which they are; never zero."""
    return np.arange(number * BLOCK + 1, (number + 1) * BLOCK + 1).astype(np.int16)


def joined(rate: int = RATE, *, pre_roll_ms: int = 30, uplink: Uplink = Uplink.OFF) -> Delivery:
    delivery = Delivery(RATE, pre_roll_ms=pre_roll_ms)
    delivery.join(rate)
    delivery.listen(uplink)
    return delivery


def hear(delivery: Delivery, *numbers: int, keep: bool = False) -> bytes:
    return b"".join(audio.pcm for number in numbers for audio in delivery.take(block(number), keep=keep))


def opened(delivery: Delivery) -> bytes:
    return b"".join(audio.pcm for audio in delivery.listen(Uplink.OPEN))


def sound(*numbers: int) -> bytes:
    return b"".join(block(number).tobytes() for number in numbers)


def test_what_is_heard_leaves_at_once_while_it_is_open() -> None:
    delivery = joined(uplink=Uplink.OPEN)
    assert delivery.take(block(0), keep=False) == [Audio(sound(0))]
    assert hear(delivery, 1, 2) == sound(1, 2)


@pytest.mark.parametrize("uplink", [Uplink.OFF, Uplink.SILENT])
def test_what_was_said_behind_a_shut_door_never_leaves(uplink: Uplink) -> None:
    delivery = joined(uplink=uplink)
    assert not any(hear(delivery, 0, 1))
    assert opened(delivery) == b""
    assert hear(delivery, 2) == sound(2)


def test_a_silent_microphone_keeps_the_pace() -> None:
    delivery = joined(24_000, uplink=Uplink.SILENT)
    assert hear(delivery, *range(10)) == bytes(2 * 2400)


def test_the_last_that_was_held_leaves_first() -> None:
    delivery = joined(uplink=Uplink.HELD)
    assert hear(delivery, *range(8)) == b""
    assert opened(delivery) == sound(5, 6, 7)
    assert hear(delivery, 8) == sound(8)
    assert opened(delivery) == b"", "and only once"


def test_what_is_held_while_it_is_weighed_is_given_up_when_it_was_nobody() -> None:
    delivery = joined(uplink=Uplink.HELD)
    hear(delivery, *range(8), keep=True)
    hear(delivery, 8)
    assert opened(delivery) == sound(6, 7, 8)


def test_what_is_held_while_it_is_weighed_is_kept_for_long_but_not_for_ever() -> None:
    delivery = joined(uplink=Uplink.HELD)
    hear(delivery, *range(8), keep=True)
    assert opened(delivery) == sound(*range(8))
    delivery.listen(Uplink.HELD)
    hear(delivery, *[0] * (KEEP_MS // 10 + 50), keep=True)
    assert len(opened(delivery)) == 2 * RATE * KEEP_MS // 1000


def test_without_pre_roll_nothing_is_held() -> None:
    delivery = joined(pre_roll_ms=0, uplink=Uplink.HELD)
    hear(delivery, 0, 1)
    assert opened(delivery) == b""


@pytest.mark.parametrize("uplink", [Uplink.OFF, Uplink.SILENT, Uplink.HELD])
def test_what_was_held_is_forgotten_when_the_order_changes(uplink: Uplink) -> None:
    delivery = joined(uplink=Uplink.HELD)
    hear(delivery, 0, 1)
    delivery.listen(uplink)
    assert opened(delivery) == b""


def test_what_was_heard_before_the_gate_shut_does_not_come_out_later() -> None:
    delivery = joined(24_000, uplink=Uplink.HELD)
    hear(delivery, 0, 1)
    delivery.shut()
    delivery.take(np.zeros(BLOCK, np.int16), keep=False)
    assert not any(opened(delivery))


@pytest.mark.parametrize("uplink", [Uplink.OFF, Uplink.SILENT])
def test_no_millisecond_of_the_last_word_is_in_the_resampler_when_it_is_muted(uplink: Uplink) -> None:
    delivery = joined(24_000, uplink=Uplink.OPEN)
    hear(delivery, 0, 1)
    delivery.listen(uplink)
    assert not any(hear(delivery, 2))
    delivery.listen(Uplink.OPEN)
    assert not any(audio.pcm.strip(b"\0") for audio in delivery.take(np.zeros(BLOCK, np.int16), keep=False))


def test_what_was_held_and_what_follows_are_one_sound_at_the_far_sides_rate() -> None:
    delivery = joined(24_000, pre_roll_ms=300, uplink=Uplink.HELD)
    hear(delivery, *range(5))
    heard = opened(delivery) + hear(delivery, 5, 6)
    alone = Resampler(RATE, 24_000).process(np.concatenate([block(number) for number in range(7)]))
    assert heard == alone.tobytes()


def test_a_call_begins_with_a_shut_door_and_nothing_of_the_last_one() -> None:
    delivery = joined(uplink=Uplink.HELD)
    hear(delivery, 0, 1)
    delivery.join(24_000)
    assert delivery.uplink is Uplink.OFF
    assert hear(delivery, 2) == b""
    assert opened(delivery) == b""


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from([*Uplink, None]), st.booleans()), max_size=80), st.sampled_from([0, 30, 300]))
def test_every_sample_leaves_at_most_once_in_order_and_only_if_it_was_to_be_heard(
    steps: list[tuple[Uplink | None, bool]], pre_roll_ms: int
) -> None:
    delivery = joined(pre_roll_ms=pre_roll_ms)
    left, may_leave, must_leave = b"", [], set()
    for number, (uplink, keep) in enumerate(steps):
        if uplink:
            left += b"".join(audio.pcm for audio in delivery.listen(uplink))
        if delivery.hears:
            may_leave.append(number)
        if delivery.uplink is Uplink.OPEN:
            must_leave.add(number)
        left += hear(delivery, number, keep=keep)
    blocks = [left[start : start + 2 * BLOCK] for start in range(0, len(left), 2 * BLOCK)]
    numbers = [int(np.frombuffer(sent, np.int16)[0]) // BLOCK for sent in blocks if any(sent)]
    assert [sent for sent in blocks if any(sent)] == [sound(number) for number in numbers]
    assert numbers == sorted(set(numbers))
    assert must_leave <= set(numbers) <= set(may_leave)
