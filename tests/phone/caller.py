"""The person on the telephone, as the service hears them: 20 ms of sound every 20 ms, silence where they say nothing.

Here is also what a service does to a server that trusts it: `Nasty`.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from dataclasses import dataclass

import numpy as np

from tests.phone.sound import Samples, encode, resample, wrap

FRAME_S = 0.020
ODD_SIZES = (1, 319, 3, 641, 77)  # bytes: none is a frame, most split a sample
HUGE = 5_000_000  # characters
NOT_BASE64 = "Zm9v*%&$"
# Messages that no service has sent yet, JSON that is none of its, and text that is no JSON.
UNKNOWN = (
    '{"event":"of.the.future","t":"future","x":1}',
    '{"event":7,"t":[]}',
    '{"event":"media","media":[]}',
    '{"t":"audio","data":17}',
    '["media"]',
    "null",
    '{"event":"media","media":{',
    "",
)


@dataclass(frozen=True, slots=True)
class Nasty:
    """What goes wrong at the service's side; nothing, unless it is asked for."""

    odd_chunks: bool = False  # the sound comes in pieces of any size
    unknown_messages: bool = False  # in between, ten times a second
    second_start: bool = False  # the beginning is told twice
    early_media: bool = False  # sound comes before the beginning
    silent: bool = False  # connects and never says a word
    huge: bool = False  # one message of 5 MB
    not_base64: bool = False  # one sound that is none
    close_after_s: float | None = None  # and no goodbye


KIND = Nasty()


@dataclass(frozen=True, slots=True)
class Piece:
    """What the caller said until `ms` after the start, in base64; or a message that stands in between."""

    ms: int
    payload: str = ""
    unknown: str | None = None


class Caller:
    """What the caller says, cut into the service's pieces. Its clock starts with `start`."""

    def __init__(self, nasty: Nasty = KIND) -> None:
        self.frames = 0  # of 20 ms, so far
        self.next_at = float("inf")
        self._start = 0.0
        self._nasty = nasty
        self._waiting: deque[tuple[Samples, int]] = deque()
        self._said: Samples = np.zeros(0, np.int16)
        self._odd = itertools.cycle(ODD_SIZES)
        self._rest = b""
        self._size = next(self._odd)

    def say(self, samples: Samples, rate: int) -> None:
        self._waiting.append((samples, rate))

    def start(self, at: float) -> None:
        """Begin to be heard, with silence at least."""
        self._start, self.next_at, self.frames = at, at + FRAME_S, 0

    def due(self, at: float, rate: int, format: str) -> list[Piece]:
        """Return the pieces that have become due by `at`."""
        pieces: list[Piece] = []
        while self.next_at <= at:
            self.frames += 1
            self.next_at = self._start + (self.frames + 1) * FRAME_S
            sound = encode(self._frame(rate), format)
            payloads = [wrap(cut) for cut in self._cut(sound)] if self._nasty.odd_chunks else [wrap(sound)]
            if self._nasty.not_base64 and self.frames == 10:
                payloads.append(NOT_BASE64)
            if self._nasty.huge and self.frames == 20:
                payloads.append(wrap(bytes(HUGE // 4 * 3 // 2 * 2)))
            pieces += [Piece(self.frames * 20, payload) for payload in payloads]
            if self._nasty.unknown_messages and self.frames % 5 == 0:
                pieces.append(Piece(self.frames * 20, unknown=UNKNOWN[self.frames // 5 % len(UNKNOWN)]))
        return pieces

    def _frame(self, rate: int) -> Samples:
        size = round(rate * FRAME_S)
        while len(self._said) < size and self._waiting:
            samples, of_rate = self._waiting.popleft()
            more = resample(samples, of_rate, rate)
            self._said = np.concatenate([self._said, more]) if len(self._said) else more  # many calls share one
        frame, self._said = self._said[:size], self._said[size:]
        return frame if len(frame) == size else np.concatenate([frame, np.zeros(size - len(frame), np.int16)])

    def _cut(self, sound: bytes) -> list[bytes]:
        self._rest += sound
        pieces: list[bytes] = []
        while len(self._rest) >= self._size:
            pieces.append(self._rest[: self._size])
            self._rest = self._rest[self._size :]
            self._size = next(self._odd)
        return pieces


def parse(message: str | bytes, violations: list[str]) -> dict[str, object] | None:
    """Return the JSON object that a message is, or note why it is none."""
    if isinstance(message, bytes):
        violations.append(f"a binary frame of {len(message)} bytes")
        return None
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        violations.append(f"no JSON: {len(message)} characters")
        return None
    if not isinstance(found, dict):
        violations.append(f"JSON of type {type(found).__name__}, expected an object")
        return None
    return found


def fits(value: object, shape: dict[str, type], where: str, violations: list[str], optional: str = "") -> bool:
    """Whether an object has exactly the fields of `shape`; note each that is missing, wrong or unknown."""
    before = len(violations)
    if not isinstance(value, dict):
        violations.append(f"{where} is {type(value).__name__}, expected an object")
        return False
    for name, kind in shape.items():
        if name not in value:
            if name not in optional.split():
                violations.append(f"{where}: no {name}")
        elif type(value[name]) is not kind:
            violations.append(f"{where}: {name} is {type(value[name]).__name__}, expected {kind.__name__}")
    violations += [f"{where}: unknown field {name}" for name in value if name not in shape]
    return len(violations) == before
