"""What every fake phone service is to whoever runs it, in virtual time or in real: one call's far side."""

from __future__ import annotations

from typing import Protocol

from tests.phone.player import Player
from tests.phone.sound import Samples


class Core(Protocol):
    """Time is monotonic seconds and never goes back. What a method returns is to be sent, in that order."""

    player: Player
    violations: list[str]  # what the server did against the protocol
    over: bool  # send what was returned, then close the socket

    @property
    def next_at(self) -> float:
        """When `advance` wants to be called next; infinity for never."""

    def caller_says(self, pcm: Samples, at: float, *, rate: int = ...) -> None:
        """Add to what the caller says (n,), after what they are saying."""

    def caller_presses(self, digit: str, at: float) -> list[str]: ...

    def caller_hangs_up(self, at: float) -> list[str]: ...

    def advance(self, at: float) -> list[str]:
        """Let time pass until `at`; return the messages that have become due."""

    def receive(self, message: str | bytes, at: float) -> list[str]:
        """Take one message of the server; return what became due and what it is answered with."""

    def closed(self) -> None:
        """The server has closed the socket."""
