"""One call in real time: a WebSocket client around a service's core, a log, and the figures in the end."""

from __future__ import annotations

import asyncio
import json
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.phone.core import Core
from tests.phone.counting import COUNT, Reader
from tests.phone.sound import Samples

KIND = re.compile(r'"(?:event|t)"\s*:\s*"(\w+)"')
MOST_SHOWN = 20  # violations; who breaks a rule once a frame breaks it fifty times a second
SOUND = ("audio", "media", "playAudio")


class Log:
    """JSON lines. Whoever waits for an event polls the file: all but sound is written through at once."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def __call__(self, call: int, origin: str, type: str, **facts: object) -> None:
        if self._file:
            self._file.write(json.dumps({"at": time.monotonic(), "call": call, "from": origin, "type": type, **facts}))
            self._file.write("\n")
            if type not in SOUND:
                self._file.flush()


@dataclass(frozen=True, slots=True)
class Plan:
    """What every caller does."""

    says: Samples | None = None
    rate: int = 8000  # of what they say
    says_after_s: float = 0.0
    says_every_s: float | None = None  # again
    counts: bool = False  # what they say is numbered, and expected back
    presses: tuple[tuple[str, float], ...] = ()  # keys, and when
    hangs_up_after_s: float | None = None
    drops: bool = False  # the socket is torn, where the core ends without a goodbye


@dataclass
class Call:
    """A call under way, and what there is to be said about it."""

    number: int
    make: Callable[[float], Core]
    plan: Plan
    log: Log
    sent: list[float] = field(default_factory=list)  # when each piece of the caller's sound left
    received: int = 0  # pieces of sound
    delays_ms: list[float] = field(default_factory=list)
    ended_by: str = ""
    code: int | None = None
    began_at: float = 0.0
    reader: Reader | None = None
    ending: asyncio.Event = field(default_factory=asyncio.Event)  # set from outside
    done: asyncio.Event = field(default_factory=asyncio.Event)
    core: Core = field(init=False)
    to_do: list[tuple[float, str]] = field(default_factory=list)  # of the plan, the next first
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)  # messages leave in the order in which they are made
    _offset: int | None = None  # from the numbers that are read to the frames that left

    def __post_init__(self) -> None:
        self.core = self.make(time.monotonic())  # of a call that never comes about

    def end(self) -> None:
        """Close the socket, without a goodbye of the caller."""
        self.ending.set()

    async def run(self, url: str, headers: Mapping[str, str], connected: Callable[[], None], **how: Any) -> bool:
        """Connect, and stay until the end; return whether the connection was accepted."""
        try:
            async with connect(
                url,
                additional_headers=headers,
                compression=None,
                max_size=None,
                proxy=None,
                close_timeout=2.0,
                **how,
            ) as socket:
                connected()
                await self._stay(socket)
        except (OSError, InvalidHandshake) as error:
            connected()
            status = getattr(getattr(error, "response", None), "status_code", 0)
            self.ended_by, self.code = "refused", status
            self.log(self.number, "fake", "refused", status=status)
            return False
        finally:
            self.done.set()
        return True

    def figures(self) -> dict[str, object]:
        delays = np.array(self.delays_ms)
        percentiles = {f"p{p}": round(float(np.percentile(delays, p)), 2) for p in (50, 99, 100) if len(delays)}
        counted = self.reader
        return {
            "call": self.number,
            "frames_sent": len(self.sent),
            "frames_received": self.received,
            "in_order": counted.in_order if counted else None,
            "counted": counted.seen if counted else None,
            "lost": counted.lost if counted else None,
            "delay_ms": percentiles or None,
            "accepted_ms": round(self.core.player.accepted * 1000 / self.core.player.rate, 1),
            "played_ms": round(self.core.player.played_ms, 1),
            "violations": self.core.violations[:MOST_SHOWN],
            "broken": len(self.core.violations),
            "ended_by": self.ended_by,
            "code": self.code,
        }

    async def _stay(self, socket: ClientConnection) -> None:
        self.began_at = time.monotonic()
        self.core = self.make(self.began_at)
        self.log(self.number, "fake", "connected")
        self.core.player.tap = self._count if self.plan.counts else None
        reading = asyncio.create_task(self._read(socket))
        speaking = asyncio.create_task(self._speak(socket))
        ending = asyncio.create_task(self.ending.wait())  # it ends a call whose server no longer reads, too
        await asyncio.wait((reading, speaking, ending), return_when=asyncio.FIRST_COMPLETED)
        if speaking.done() and speaking.exception() is None and not self.core.over:
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)  # what came before the end
        if self.core.over or ending.done():
            self.ended_by = self.ended_by or "service"
            if self.plan.drops:
                socket.transport.abort()
            else:
                await socket.close()
        self.core.closed()
        for task in (reading, speaking, ending):
            task.cancel()
        for result in await asyncio.gather(reading, speaking, ending, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        self.ended_by = self.ended_by or "server"
        self.code = socket.close_code
        facts = {"code": self.code, "by": self.ended_by, "played_ms": self.core.player.played_ms}
        self.log(self.number, "fake", "closed", **facts)

    async def _read(self, socket: ClientConnection) -> None:
        known = 0
        try:
            async for message in socket:
                player = self.core.player
                before, queued_ms, at = player.accepted, player.queued_ms, time.monotonic()
                answers = self.core.receive(message, at)
                kind = found[1] if (found := KIND.search(str(message))) else "?"
                if kind in SOUND:
                    self.received += 1
                    ms = (player.accepted - before) * 1000 / player.rate
                    self.log(self.number, "server", kind, ms=ms, played_ms=player.played_ms, queued_ms=player.queued_ms)
                else:
                    self.log(self.number, "server", kind, played_ms=player.played_ms, queued_ms=queued_ms)
                for reason in self.core.violations[known:]:
                    self.log(self.number, "fake", "violation", reason=reason)
                known = len(self.core.violations)
                try:
                    await self._send(socket, answers)
                except ConnectionClosed:
                    pass  # what came before the end is read all the same
                if self.core.over:
                    self.ended_by = self.ended_by or "service"
                    return
        except ConnectionClosed:
            pass  # the server has gone without a goodbye: `closed` says so

    async def _speak(self, socket: ClientConnection) -> None:
        """Do what the plan says, and let the core's time pass."""
        plan, begin = self.plan, time.monotonic()
        to_do = self.to_do = [(begin + when, digit) for digit, when in plan.presses]
        if plan.says is not None:
            to_do.append((begin + plan.says_after_s, "says"))
        if plan.hangs_up_after_s is not None:
            to_do.append((begin + plan.hangs_up_after_s, "hangs up"))
        to_do.sort()
        try:
            while not self.core.over:
                at = time.monotonic()
                while to_do and to_do[0][0] <= at:
                    await self._send(socket, self._act(to_do.pop(0)[1], at))
                await self._send(socket, self.core.advance(at))
                wake = min([self.core.next_at, at + 0.25, *(when for when, _ in to_do[:1])])
                await asyncio.sleep(max(0.0, wake - time.monotonic()))
        except ConnectionClosed:
            pass  # the reader sees it too

    def _act(self, what: str, at: float) -> list[str]:
        if what == "says":
            assert self.plan.says is not None
            self.core.caller_says(self.plan.says, at, rate=self.plan.rate)
            self.log(self.number, "fake", "says", ms=len(self.plan.says) * 1000 / self.plan.rate)
            if self.plan.says_every_s is not None:
                self.to_do.append((at + self.plan.says_every_s, "says"))
                self.to_do.sort()
            return []
        if what == "hangs up":
            self.ended_by = "caller"
            return self.core.caller_hangs_up(at)
        return self.core.caller_presses(what, at)

    async def _send(self, socket: ClientConnection, messages: list[str]) -> None:
        if not messages:
            return
        async with self._sending:
            for message in messages:
                kind = found[1] if (found := KIND.search(message[:60])) else "?"
                if kind in SOUND:
                    self.sent.append(time.monotonic())
                self.log(self.number, "service", kind)
                await socket.send(message)

    def _count(self, samples: Samples) -> None:
        """Read the numbers that came back, and how long they were away."""
        at = time.monotonic()
        if self.reader is None:
            self.reader = Reader(self.core.player.rate)
        for number in self.reader.read(samples):
            if self._offset is None:  # it is the latest frame that left with this number
                latest = bisect_right(self.sent, at) - 1
                self._offset = latest - (latest - number) % COUNT - number
            if 0 <= number + self._offset < len(self.sent):
                self.delays_ms.append((at - self.sent[number + self._offset]) * 1000)
