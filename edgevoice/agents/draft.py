"""What an agent's service writes: JSON messages for it, events for us; and how its messages are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from edgevoice.events import Closed, Event, Opened, Resumed
from edgevoice.wire import NOTHING, Reply

M = TypeVar("M")


def message(type: str, **fields: object) -> str:
    """Write one message."""
    return msgspec.json.encode({"type": type, **fields}).decode()


def reader(kind: type[M], *, strict: bool = True) -> Callable[[str | bytes], M | None]:
    """Return what reads one message, in a text or a binary frame; None if it is none.

    Not `strict`: a number may come as text.
    """
    decoder = msgspec.json.Decoder(kind, strict=strict)

    def read(message: str | bytes) -> M | None:
        try:
            return decoder.decode(message)
        except (ValueError, RecursionError):  # not UTF-8, not JSON, wrong types, or a bomb of brackets
            return None

    return read


@dataclass(slots=True)
class Draft:
    """The reply under construction, and what was told by those before it."""

    send: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    renew: bool = False
    opened: bool = False  # was told
    over: Closed | None = None  # was told, or is to be: nothing comes after it
    ignored: int = 0  # messages, or sounds in them, that made no sense

    def say(self, type: str, **fields: object) -> None:
        self.send.append(message(type, **fields))

    def open(self) -> bool:
        """Tell that we are connected, or are again; return whether it is the first time."""
        first, self.opened = not self.opened, True
        self.events.append(Opened() if first else Resumed())
        return first

    def end(self, closed: Closed) -> None:
        """Tell that it is over."""
        self.over = closed
        self.events.append(closed)

    def reply(self) -> Reply:
        """Return what was put together, and begin anew."""
        if not (self.send or self.events or self.renew):
            return NOTHING
        reply = Reply(tuple(self.send), tuple(self.events), renew=self.renew, close=self.over is not None)
        self.send.clear()
        self.events.clear()
        self.renew = False
        return reply
