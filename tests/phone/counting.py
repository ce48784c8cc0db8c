"""Sound that tells its own number, so that whoever hears it knows what is missing, doubled or late.

Each 20 ms hold one level. The levels are those of mu-law, so that no service changes them.
"""

from __future__ import annotations

import itertools

import numpy as np

from tests.phone.sound import Samples, decode, encode

FIRST = 0x80  # the mu-law code of number 0, the loudest
COUNT = 96  # then they begin again; the quietest is well above silence
LEAST_S = 0.005  # of one level: a shorter piece is the edge between two


def numbered(frames: int, rate: int) -> Samples:
    """Return frames of 20 ms with the numbers 0, 1, 2 ... (n,)."""
    levels = decode(bytes(FIRST + n % COUNT for n in range(frames)), "ulaw")
    return np.repeat(levels, rate // 50)


class Reader:
    """Reads numbers off sound that comes in pieces of any size, at `rate` Hz."""

    def __init__(self, rate: int) -> None:
        self.seen = 0
        self.lost = 0
        self.doubled = 0
        self.disordered = 0
        self.last: int | None = None  # counted on beyond COUNT
        self._least, self._most = round(rate * LEAST_S), rate // 50 + round(rate * LEAST_S)
        self._code, self._length = -1, 0

    @property
    def in_order(self) -> bool:
        return not (self.lost or self.doubled or self.disordered)

    def read(self, samples: Samples) -> list[int]:
        """Take sound (n,); return the numbers that came, the first between 0 and 95 and then counted on."""
        found: list[int] = []
        codes = np.frombuffer(encode(samples, "ulaw"), np.uint8)
        edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
        for begin, end in itertools.pairwise(edges):
            if end == begin:
                continue
            if codes[begin] != self._code:
                self._code, self._length = int(codes[begin]), 0
            before, self._length = self._length, self._length + end - begin
            if not FIRST <= self._code < FIRST + COUNT:
                continue
            if before < self._least <= self._length:
                found += self._count(self._code - FIRST)
            self.doubled += before <= self._most < self._length
        return found

    def _count(self, number: int) -> list[int]:
        self.seen += 1
        if self.last is None:
            self.last = number
            return [number]
        step = (number - self.last) % COUNT
        if not 1 <= step <= COUNT // 2:
            self.disordered += 1
            return []
        self.lost += step - 1
        self.last += step
        return [self.last]
