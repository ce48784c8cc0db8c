"""A stage for stories about an agent's wire: it lets time pass, and keeps everything that comes out of the wire."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np

from edgevoice.events import Audio, Command, Event
from edgevoice.wire import NOTHING, Reply, Wire

RATE = 24_000

AnyEvent = TypeVar("AnyEvent", bound=Event)


def sound(ms: float, rate: int = RATE) -> bytes:
    """Make samples of which no two are alike, so that a gap or a repetition shows."""
    return (np.arange(int(ms * rate / 1000)) % 32000).astype("<i2").tobytes()


def stays_small(exchange: Callable[[int], None], *, exchanges: int) -> None:
    """Check that so many exchanges more than 200, each with a number of its own, take no memory."""
    for number in range(100):
        exchange(number)
    tracemalloc.start()
    for number in range(100, 200):
        exchange(number)
    before, _ = tracemalloc.get_traced_memory()
    for number in range(200, 200 + exchanges):
        exchange(number)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after < before + 200_000


class Stage:
    """Drives one wire. Kept are: what it has `sent` (checked), `told`, and the two wishes."""

    def __init__(self, wire: Wire, check: Callable[[str, dict[str, Any]], None]) -> None:
        self.wire = wire
        self.at = 100.0
        self.sent: list[dict[str, Any]] = []
        self.told: list[Event] = []
        self.renew = False
        self.close = False
        self._check = check

    def take(self, reply: Reply) -> Reply:
        assert reply == NOTHING or not self.close, "something came after the end"
        for message in reply.send:
            assert isinstance(message, str)
            event = json.loads(message)
            self._check(message, event)
            self.sent.append(event)
        self.told += reply.events
        self.renew |= reply.renew
        self.close |= reply.close
        return reply

    def does(self, *commands: Command) -> Self:
        for command in commands:
            self.take(self.wire.perform(command, self.at))
        return self

    def passes(self, seconds: float) -> Self:
        """Let time pass, calling `expire` whenever the wire wants it."""
        until = self.at + seconds
        while (deadline := self.wire.deadline) is not None and deadline <= until:
            self.at = max(self.at, deadline)
            self.take(self.wire.expire(self.at))
            assert self.wire.deadline is None or self.wire.deadline > deadline, "it would spin"
        self.at = until
        return self

    def told_of(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        return [event for event in self.told if isinstance(event, kind)]

    def heard(self, response: str) -> bytes:
        return b"".join(audio.pcm for audio in self.told_of(Audio) if audio.response == response)
