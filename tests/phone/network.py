"""Half a network for virtual time: every message arrives, in order, each a little late."""

from __future__ import annotations

import random
from collections import deque
from typing import Generic, TypeVar

Message = TypeVar("Message")


class Network(Generic[Message]):
    """One direction. A message takes `delay_ms`, give or take `jitter_ms`, and waits for those before it."""

    def __init__(self, delay_ms: float = 40.0, jitter_ms: float = 0.0, *, seed: int = 0) -> None:
        self._delay_ms, self._jitter_ms = delay_ms, jitter_ms
        self._random = random.Random(seed)
        self._under_way: deque[tuple[float, Message]] = deque()
        self._last = float("-inf")

    @property
    def next_at(self) -> float | None:
        """When the next message arrives, or None."""
        return self._under_way[0][0] if self._under_way else None

    def put(self, message: Message, at: float) -> None:
        delay_ms = max(0.0, self._delay_ms + self._random.uniform(-self._jitter_ms, self._jitter_ms))
        self._last = max(self._last, at + delay_ms / 1000)
        self._under_way.append((self._last, message))

    def due(self, at: float) -> list[Message]:
        """Return what has arrived by `at`, in the order in which it was sent."""
        arrived: list[Message] = []
        while self._under_way and self._under_way[0][0] <= at:
            arrived.append(self._under_way.popleft()[1])
        return arrived
