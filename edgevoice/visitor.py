"""A call over a line that waits at the box until somebody answers it, or the caller gives up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from edgevoice.drivers.line_leg import FarLine, LineLeg
from edgevoice.events import HangUp, Tone

BUSY_S = 3.0  # of busy tone, before the line is let go
RING_S = 3.0  # between ringing tones


@dataclass(frozen=True, eq=False)
class Visitor:
    """A call that waits at the box. `answered` is set when somebody takes it, or will not."""

    name: str
    line: str
    leg: LineLeg
    allowed: bool
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def far(self) -> FarLine:
        """The caller, as the other side of a call."""
        return FarLine(self.leg)


class Box(Protocol):
    """The box as a call that comes in sees it."""

    @property
    def free(self) -> bool:
        """It may ring."""

    def ring(self, visitor: Visitor) -> None:
        """Ring; the visitor hears what becomes of it."""

    def left(self, visitor: Visitor) -> None:
        """The visitor has gone before it was answered."""


async def ring(box: Box, visitor: Visitor, group: asyncio.TaskGroup) -> None:
    """Ring at the box until somebody answers, or the caller gives up; both are waited for in `group`."""
    leg, loop = visitor.leg, asyncio.get_running_loop()
    box.ring(visitor)
    ends = [group.create_task(visitor.answered.wait()), group.create_task(leg.over())]
    done: set[asyncio.Task[bool]] = set()
    while not done:
        if not leg.line.service.rings_by_itself:
            leg.perform(Tone("ringing"), loop.time())
        done, _ = await asyncio.wait(ends, timeout=RING_S, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    if not visitor.answered.is_set():
        box.left(visitor)


async def turn_away(leg: LineLeg) -> None:
    """Let a caller hear that nobody can be reached, and hang up."""
    loop = asyncio.get_running_loop()
    until = loop.time() + (0.0 if leg.line.service.rings_by_itself else BUSY_S)
    while leg.closed is None and loop.time() < until:
        leg.perform(Tone("busy"), loop.time())
        await asyncio.sleep(1.0)
    leg.perform(HangUp("busy"), loop.time())
