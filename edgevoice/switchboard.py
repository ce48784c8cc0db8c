"""The phone lines on the event loop: who is joined to whom.

    reception, SIP ──> LineLeg ── Began ──┬── an agent     a call of its own, many at a time
                                          ├── the card     rings there; or busy
                                          └── a call that we made waits for it

Rules
* Each call has a name ("elks-3") in the journal, in `ctl status` and in nothing else. No number is ever shown.
* A call that finds the box busy hears so, and is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgevoice.audio.line_interruption import TalkOverLine
from edgevoice.call import Call
from edgevoice.capacity import Capacity
from edgevoice.catalogue import Agents
from edgevoice.dialling import Dialling
from edgevoice.doors import Doors
from edgevoice.drivers.line_leg import LineLeg
from edgevoice.errors import DeviceError
from edgevoice.events import HangUp
from edgevoice.line_call import LineCall, converse
from edgevoice.line_catalogue import LINES, PhoneLines
from edgevoice.lines.admission import Admitted
from edgevoice.lines.line import Line
from edgevoice.orders import Side
from edgevoice.outgoing import NOBODY_WAITS, Outgoing
from edgevoice.reception import Reception
from edgevoice.visitor import Box, Visitor, ring, turn_away

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from edgevoice.sip_lines import SipDialling, SipLines

log = logging.getLogger(__name__)


class Switchboard:
    """Every phone call of one box. `box` is None where there is no sound card to ring at."""

    def __init__(self, agents: Agents, doors: Doors, box: Box | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.running: dict[str, LineCall] = {}
        self._agents = agents
        self._config = agents.config
        self._doors = doors
        self._box = box
        lines = PhoneLines(agents.config, agents.files)
        self._capacity = Capacity(self.running, agents.config.lines.max_calls)
        self._reception = Reception(lines, lambda: self.full, self._nobody_answers, self._attend)
        self._outgoing = Outgoing(lines, self._reception.issue)
        self.sip: SipLines | None = None
        self._count = 0
        self._changed = asyncio.Event()  # a call is over

        if agents.config.line.sip:
            from edgevoice.sip_lines import SipLines  # only where there is an account: memory counts

            self.sip = SipLines(lines, self._sip_comes)

    async def live(self, group: asyncio.TaskGroup) -> None:
        """Serve until cancelled; calls are tasks of `group`."""
        self._group = group
        async with asyncio.TaskGroup() as parts:
            if self.sip:
                parts.create_task(self.sip.endpoint.live())
            parts.create_task(self._reception.live())
            parts.create_task(self._capacity.watch())

    @property
    def address(self) -> str:
        """Where the server listens, "" while it does not."""
        return self._reception.address

    @property
    def trouble(self) -> str:
        """What is wrong with the server, or ""."""
        return self._reception.trouble

    @property
    def full(self) -> str:
        """Why no further call may come in, or ""."""
        return self._capacity.full

    def _nobody_answers(self) -> bool:
        """Tell whether a caller would find the box busy."""
        return self._config.call.incoming == "card" and not (self._box and self._box.free)

    # ------------------------------------------------------------------------------------------ calls that come in

    async def _attend(self, connection: ServerConnection, admitted: Admitted) -> None:
        """Be one connection. A mistake of ours in it ends the program, not only the call."""
        running = self._register(connection, admitted)  # at once: those that knock meanwhile are to be counted right
        await asyncio.wait([self._group.create_task(self._take(running, admitted))])

    def _register(self, connection: ServerConnection, admitted: Admitted) -> LineCall:
        barge_in = self._config.barge_in
        line = Line(
            LINES[admitted.service].service(),
            TalkOverLine(sensitivity=barge_in.sensitivity, confirm_ms=barge_in.confirm_ms),
            pre_roll_ms=barge_in.pre_roll_ms,
            give_up_ms=barge_in.give_up_ms,
        )
        return self._enter(LineLeg(line, connection), admitted.service)

    def _sip_comes(self, leg: LineLeg, allowed: bool) -> bool:
        """Take a call that comes in over SIP, if there is room for it."""
        if self.full:
            self._reception.refuse(self.full)
            return False
        self._group.create_task(self._take(self._enter(leg, "sip", allowed=allowed), Admitted("sip")))
        return True

    def _enter(self, leg: LineLeg, line: str, *, allowed: bool = False) -> LineCall:
        """Give a call its name and its place among those that are running."""
        running = LineCall(self._next_name(line), line, leg, self.loop.time(), allowed)
        self.running[running.name] = running
        return running

    def _next_name(self, line: str) -> str:
        self._count += 1
        return f"{line}-{self._count}"

    async def _take(self, running: LineCall, admitted: Admitted) -> None:
        """Be one call, from its first message to its end."""
        self._group.create_task(self._join(running, admitted))
        await self._attend_to(running)

    async def _attend_to(self, running: LineCall) -> None:
        """Read and write until the call is over, and say so."""
        leg = running.leg
        try:
            await leg.attend()
        finally:
            del self.running[running.name]
            self._changed.set()
            closed, faults = leg.closed, leg.line.service.faults
            assert closed is not None, "a leg that is not attended any more is closed"
            log.info(
                "call %s over after %.1f s: %s (%s)%s",
                running.name,
                self.loop.time() - running.since,
                closed.reason,
                closed.end.value,
                f"; {faults} messages were not understood" if faults else "",
            )

    async def _join(self, running: LineCall, admitted: Admitted) -> None:
        """Join a call to whom it is for."""
        leg = running.leg
        if not await leg.begins():
            return
        began = leg.line.began
        assert began is not None
        if dialled := self._outgoing.waiting_for(admitted, began):
            log.info("call %s: the call that was made has been answered", running.name)
            running.joined = "card" if self._box else "nobody"
            dialled.answered(leg)
            return
        if admitted.ticket and admitted.ticket.call:
            log.info(
                "call %s: the call that was made has been answered, and nobody waits for it any more", running.name
            )
            leg.perform(HangUp(NOBODY_WAITS), self.loop.time())
            return
        log.info("call %s comes in, for %s", running.name, self._config.call.incoming)
        if self._config.call.incoming == "card":
            await self._ring(running, self._allowed(running, admitted))
        else:
            await self.converse(running, self._config.call.incoming)

    async def _ring(self, running: LineCall, allowed: bool) -> None:
        """Ring at the box until somebody answers, or the caller gives up."""
        if self._box is None or not self._box.free:
            running.joined = "nobody: busy"
            await turn_away(running.leg)
            return
        running.joined = "card: ringing"
        await ring(self._box, Visitor(running.name, running.line, running.leg, allowed), self._group)
        running.joined = "card"

    def _allowed(self, running: LineCall, admitted: Admitted) -> bool:
        """Tell whether the caller may be answered automatically; the signed webhook's word counts most."""
        began = running.leg.line.began
        assert began is not None
        if running.allowed or running.line == "sip":
            return running.allowed
        caller = admitted.ticket.caller if admitted.ticket else began.caller
        return bool(caller) and caller in getattr(self._config.line, running.line).allow

    async def converse(self, running: LineCall, agent: str) -> None:
        """Let an agent talk with whom is on the line, until one of them hangs up."""
        await converse(running, agent, self._agents, self._doors)

    # ------------------------------------------------------------------------------------------ calls we make

    @contextmanager
    def dialling(self, target: str) -> Iterator[Dialling | SipDialling]:
        """Have a far side for a call to `target` ("elks:+46..."), which rings until it opens. Raises ConfigError."""
        line, _, number = target.partition(":")
        if line == "sip":
            assert self.sip is not None, "a target that can be dialled has an account"
            yield self.sip.dialling(target)
            return
        with self._outgoing.dialling(line, self._next_name(line), number) as dialling:
            yield dialling

    async def converse_with(self, leg: LineLeg, agent: str) -> None:
        """Let an agent talk with somebody whom we call over SIP."""
        running = self._enter(leg, "sip")
        self._group.create_task(self.converse(running, agent))
        await self._attend_to(running)

    async def hang_up(self, reason: str, within_s: float) -> None:
        """End all calls, those that ring somewhere too, and wait until they have said goodbye, or `within_s`."""
        self._outgoing.hang_up(reason)
        try:
            async with asyncio.timeout(within_s):
                while self.running:
                    for running in list(self.running.values()):
                        running.leg.perform(HangUp(reason), self.loop.time())
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass

    # -------------------------------------------------------------------------------------------- the control

    def status(self) -> Mapping[str, object]:
        """Say how the lines are: facts for a program, and no numbers."""
        sip = self.sip.status() if self.sip else None
        return {"listen": self.address or None, "trouble": self.trouble or None, "sip": sip, "calls": self.calls()}

    def calls(self) -> list[dict[str, object]]:
        """Say how each call goes, and no numbers."""
        return [
            {
                "name": running.name,
                "with": running.joined,
                "s": round(self.loop.time() - running.since, 1),
                "turn": running.call.machine.turn.value if running.call else None,
                "waiting_ms": round(running.leg.line.sending.waiting_ms),
                **(self.sip.facts(running.leg) if self.sip else {}),
            }
            for running in self.running.values()
        ]

    def send_keys(self, keys: str, to: str) -> None:
        """Send digits in a call over SIP: "sip-3", or "" for the only one. Raises DeviceError."""
        leg = self.running[to].leg if to in self.running else None
        if self.sip and (leg or not to) and self.sip.send_keys(keys, leg):
            return
        names = ", ".join(name for name, running in self.running.items() if running.line == "sip")
        if not names:
            raise DeviceError("there is no call over SIP to send keys in")
        which = f'in "{to}" now' if to else "without the name of a call (--to)"
        raise DeviceError(f"keys cannot be sent {which}; over SIP there are: {names}")

    def find(self, name: str) -> tuple[Call, Side] | None:
        """Return the call of a line that is joined to an agent, and which leg of it the line is; "": the only one."""
        running = self.running.get(name or next(iter(self.running), "") if len(self.running) == 1 else name)
        return (running.call, Side.NEAR) if running and running.call else None
