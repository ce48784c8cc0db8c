"""Numbered sound tells what is missing, doubled or out of order, however it is cut."""

from __future__ import annotations

import numpy as np
import pytest

from tests.phone.counting import Reader, numbered
from tests.phone.sound import Samples, decode, encode

RATE = 8000
FRAMES = np.split(numbered(300, RATE), 300)


def read(pieces: list[Samples]) -> Reader:
    reader = Reader(RATE)
    for piece in pieces:
        reader.read(piece)
    return reader


@pytest.mark.parametrize("size", [7, 160, 161, 5000])
def test_every_number_is_read_however_the_sound_is_cut(size: int) -> None:
    sound = np.concatenate(FRAMES)
    reader = read([sound[i : i + size] for i in range(0, len(sound), size)])
    assert (reader.seen, reader.last, reader.in_order) == (300, 299, True)


def test_numbers_come_through_mu_law_and_silence() -> None:
    silence = np.zeros(1000, np.int16)
    coded = [decode(encode(frame, "ulaw"), "ulaw") for frame in FRAMES]
    assert read([silence, *coded[:100], silence, *coded[100:], silence]).in_order


def test_what_is_missing_is_counted() -> None:
    reader = read(FRAMES[:100] + FRAMES[103:])
    assert (reader.seen, reader.lost, reader.in_order) == (297, 3, False)


def test_what_comes_twice_is_counted() -> None:
    assert read([*FRAMES[:100], FRAMES[99], *FRAMES[100:]]).doubled == 1


def test_what_comes_too_late_is_counted() -> None:
    assert read([*FRAMES[:100], FRAMES[98], *FRAMES[100:]]).disordered == 1
