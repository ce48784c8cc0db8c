"""What a row of APA102 LEDs shows, read off its two wires as the LEDs read them.

A bit is what the data wire has when the clock rises. After 32 bits 0 each LED takes 32 bits: 111, 5 of brightness, 8 of
blue, green and red. Source: APA102 data sheet. This knows nothing of edgevoice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.lab.labgpio.pins import Edge


class Led(NamedTuple):
    """What one LED was told: 0 to 31, and 0 to 255."""

    brightness: int
    red: int
    green: int
    blue: int


class Row(NamedTuple):
    """What all LEDs were told, when that was over (monotonic seconds), and how many bits 0 came after it."""

    at: float
    leds: tuple[Led, ...]
    zeros_after: int


def read(data: Iterable[Edge], clock: Iterable[Edge]) -> list[Row]:
    """Return what was shown, oldest first. Bits that are neither 0 nor an LED's are a ValueError."""
    return rows(list(_bits(data, clock)))


def rows(bits: list[tuple[float, int]]) -> list[Row]:
    """Return what these bits, each with its moment, let the LEDs show."""
    found, here = [], 0
    while here < len(bits):
        zeros = _zeros(bits, here)
        if here + zeros == len(bits):
            break
        if zeros < 32:
            raise ValueError(f"{zeros} bits 0 before an LED, expected 32 at least (bit {here})")
        here += zeros
        leds = []
        while here + 32 <= len(bits) and bits[here][1]:
            leds.append(_led([bit for _, bit in bits[here : here + 32]]))
            here += 32
        found.append(Row(bits[here - 1][0], tuple(leds), _zeros(bits, here)))
    return found


def _bits(data: Iterable[Edge], clock: Iterable[Edge]) -> Iterator[tuple[float, int]]:
    """Yield the moment and the bit of each rise of the clock."""
    level = 0
    for at, is_clock, now in sorted([(at, 0, level) for at, level in data] + [(at, 1, level) for at, level in clock]):
        if not is_clock:
            level = int(now)
        elif now == 1:
            yield at, level


def _zeros(bits: list[tuple[float, int]], start: int) -> int:
    return next((n for n, (_, bit) in enumerate(bits[start:]) if bit), len(bits) - start)


def _led(bits: list[int]) -> Led:
    word = int("".join(map(str, bits)), 2)
    if word >> 29 != 0b111:
        raise ValueError(f"an LED was told {word:032b}, expected 111 in front")
    return Led(word >> 24 & 0b11111, word & 0xFF, word >> 8 & 0xFF, word >> 16 & 0xFF)
