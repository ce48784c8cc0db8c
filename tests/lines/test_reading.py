"""What is unknown, and what makes no sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from edgevoice.lines.reading import UNKNOWN, reader, texts


class Ring(Struct, tag_field="event", tag="ring"):
    times: int


class Sound(Struct, tag_field="event", tag="sound"):
    payload: bytes


read = reader("event", Ring, Sound)


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ('{"event":"ring","times":2}', Ring(2)),
        ('{"times":2,"event":"ring","since":{"deep":[1,{}]}}', Ring(2)),
        ('{"event":"ring","times":"2"}', Ring(2)),
        (b'{"event":"sound","payload":"YWI="}', Sound(b"ab")),
        ('{"event":"hum","times":[]}', UNKNOWN),
        ('{"event":"ring"}', None),
        ('{"event":"ring","times":"twice"}', None),
        ('{"event":"sound","payload":"YWI"}', None),
        ('{"event":"sound","payload":"*WI="}', None),
        ('{"event":"sound","payload":null}', None),
        ('{"event":7}', None),
        ('{"times":2}', None),
        ('["ring"]', None),
        ('{"event":"hum"', None),
        ("", None),
        (b"\xff\xfe", None),
        ("\ud800", None),
        ('{"event":"hum","deep":' + "[" * 100_000, None),
    ],
)
def test_what_a_message_means(message: str | bytes, meaning: object) -> None:
    assert read(message) == meaning


@given(st.text() | st.binary())
def test_nothing_raises(message: str | bytes) -> None:
    assert read(message) in (None, UNKNOWN)


def test_of_parameters_only_texts_are_kept() -> None:
    assert texts({"room": "hall", "floor": 2, "door": None}) == {"room": "hall"}
    assert texts(None) == texts("room") == texts(["room"]) == {}
