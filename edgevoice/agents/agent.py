"""An agent as a `Wire`, whatever its service: what is decided before the service's own messages come into play.

    Wire: opened, receive, perform, expire ──> Agent ──> Service: opened, take, hear, respond, interrupt, ...
    Reply <──────────────────────────────────────┴────── Draft: what the service wrote into it

A service is what its own protocol needs, and nothing of what all have in common. So a new one is one class, which
`Agent` makes a wire of.
"""

from __future__ import annotations

from math import inf
from typing import Protocol, assert_never

from edgevoice.agents.draft import Draft
from edgevoice.events import (
    Answer,
    BargeIn,
    Chirp,
    Clear,
    Closed,
    Command,
    End,
    HangUp,
    Interrupt,
    Listen,
    Mark,
    Play,
    Respond,
    Tone,
    ToolResult,
    Witness,
)
from edgevoice.wire import NOTHING, Reply, Request


class Service(Protocol):
    """One conversation by one service's protocol. Sound is int16, little endian, mono, at `rate`; `at` as in `Wire`.

    What is to be sent and told it writes into `draft`. Once that is over it is not called any more, but for `request`.
    """

    @property
    def draft(self) -> Draft:
        """What it writes into."""

    @property
    def rate(self) -> int:
        """Hz, of the samples that it takes and gives."""

    @property
    def listens(self) -> bool:
        """It has been connected for long enough that a command means something."""

    @property
    def deadline(self) -> float:
        """When `expire` wants to be called, or infinity."""

    def request(self) -> Request:
        """Say where to connect."""

    def opened(self, at: float) -> None:
        """The connection stands, or stands again: say hello."""

    def take(self, message: str | bytes, at: float) -> bool:
        """Take one message; False: it made no sense."""

    def hear(self, pcm: bytes, at: float) -> None:
        """The person says that."""

    def respond(self, at: float) -> None:
        """The person's turn is over: let the agent answer."""

    def interrupt(self, name: str, heard_ms: float, at: float) -> None:
        """Stop a response and everything begun after it; `heard_ms` of it was heard, and nothing of the others."""

    def tool_result(self, id: str, output: str, at: float) -> None:
        """Give the agent what came of its tool."""

    def expire(self, at: float) -> None:
        """The deadline has passed."""

    def lost(self, at: float) -> None:
        """The link is gone, after `Opened` was told: `opened` may follow."""

    def closing(self, code: int, reason: str) -> Closed:
        """Say what it means that the connection is gone, in the terms of `Wire.closed`."""


class Agent:
    """A `Wire` to one conversation. After `Closed` nothing is sent and nothing is told."""

    def __init__(self, service: Service) -> None:
        self.rate = service.rate
        self._service = service
        self._draft = service.draft

    @property
    def ignored(self) -> int:
        """How many messages, or sounds in them, made no sense."""
        return self._draft.ignored

    @property
    def deadline(self) -> float | None:
        due = inf if self._draft.over else self._service.deadline
        return due if due < inf else None

    def request(self) -> Request:
        return self._service.request()

    def opened(self, at: float) -> Reply:
        if self._draft.over:
            return NOTHING
        self._service.opened(at)
        return self._draft.reply()

    def receive(self, message: str | bytes, at: float) -> Reply:
        if self._draft.over:
            return NOTHING
        if not self._service.take(message, at):
            self._draft.ignored += 1
        return self._draft.reply()

    def perform(self, command: Command, at: float) -> Reply:
        if self._draft.over or not (self._service.listens or isinstance(command, HangUp)):
            return NOTHING
        match command:
            case Play(pcm, ""):
                self._service.hear(pcm, at)
            case Respond():
                self._service.respond(at)
            case Interrupt(response, heard_ms):
                self._service.interrupt(response, heard_ms, at)
            case ToolResult(id, output):
                self._service.tool_result(id, output, at)
            case HangUp(reason):
                self._draft.end(Closed(End.HUNG_UP, reason))
            case Play() | Answer() | Mark() | Clear() | BargeIn() | Witness() | Chirp() | Tone() | Listen():
                pass  # an agent has neither loudspeaker nor microphone
            case _:
                assert_never(command)
        return self._draft.reply()

    def expire(self, at: float) -> Reply:
        if self._draft.over:
            return NOTHING
        self._service.expire(at)
        return self._draft.reply()

    def lost(self, at: float) -> bool:
        if self._draft.over or not self._draft.opened:
            return False
        self._service.lost(at)
        return True

    def closed(self, code: int, reason: str, at: float) -> Closed:
        return self._draft.over or self._service.closing(code, reason)  # maybe only a second connection's end
