"""What an agent's wire answers, while it is being put together: JSON messages for the service, events for us."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from edgevoice.events import Event
from edgevoice.wire import NOTHING, Reply


def message(type: str, **fields: object) -> str:
    """Write one message."""
    return msgspec.json.encode({"type": type, **fields}).decode()


@dataclass(slots=True)
class Draft:
    """The reply under construction."""

    send: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def say(self, type: str, **fields: object) -> None:
        self.send.append(message(type, **fields))

    def reply(self, *, renew: bool = False, close: bool = False) -> Reply:
        """Return what was put together, and begin anew."""
        if not (self.send or self.events or renew):
            return NOTHING
        reply = Reply(tuple(self.send), tuple(self.events), renew=renew, close=close)
        self.send.clear()
        self.events.clear()
        return reply
