"""A phone service's side of one call, as far as all services are alike: it rings in, time passes, it may break off."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tests.phone.caller import Caller, Nasty
from tests.phone.player import Player


class FarEnd(ABC):
    """One call. It begins with the first `advance`."""

    def __init__(self, player: Player, nasty: Nasty, at: float) -> None:
        self.violations: list[str] = []
        self.over = False  # send what was returned, then close the socket
        self.player = player
        self._nasty = nasty
        self._start = at
        self._sudden_end = float("inf") if nasty.close_after_s is None else at + nasty.close_after_s
        self._greeted = False
        self._mouth = Caller(nasty)

    @property
    def next_at(self) -> float:
        """When `advance` wants to be called next."""
        if not self._greeted:
            return self._start if not self._nasty.silent else float("inf")
        return min(self.player.due_at, self._mouth.next_at, self._sudden_end)

    def advance(self, at: float) -> list[str]:
        """Let time pass until `at`; return the messages that have become due."""
        if self.over or self._nasty.silent:
            return []
        if at >= self._sudden_end:
            self.over = True
            return []
        if self._greeted:
            return self._due(at)
        self._greeted = True
        return [*self._greet(), *self._due(at)]

    def closed(self) -> None:
        """The server has closed the socket: whatever would follow is done now, and the call is over."""
        self.over = True

    @abstractmethod
    def _greet(self) -> list[str]:
        """Say which call this is."""

    @abstractmethod
    def _due(self, at: float) -> list[str]:
        """Return what has become due by `at`, after the greeting."""
