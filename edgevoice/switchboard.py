"""The phone lines on the event loop: who comes in, whom they are joined to, and calls that we make.

    server ── admission ──> LineLeg ── Began ──┬── an agent     a call of its own, many at a time
                                               ├── the card     rings there; or busy
                                               └── a call that we made waits for it

Rules
* Each call has a name ("elks-3") in the journal, in `ctl status` and in nothing else. No number is ever shown.
* A call that finds the box busy hears so, and is over.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from websockets.asyncio.server import ServerConnection

from edgevoice.audio.line_interruption import TalkOverLine
from edgevoice.bridge import Bridge, FarLeg
from edgevoice.call import Call
from edgevoice.catalogue import LINES, Agents
from edgevoice.conversation import Conversation
from edgevoice.dialling import RING_FOR_S, Dialling
from edgevoice.doors import Doors
from edgevoice.drivers.certificate import Certificate
from edgevoice.drivers.line_leg import LineLeg
from edgevoice.drivers.line_server import Answered, serve_lines, watch
from edgevoice.drivers.local import LocalLeg
from edgevoice.drivers.websocket import WebSocketLeg
from edgevoice.errands import GOODBYE_S, errand
from edgevoice.errors import ConfigError, DeviceError
from edgevoice.events import HangUp, Tone, ToolCalled
from edgevoice.happenings import Connect, EndCall, OpenRelay, ToolDone, TurnVolume
from edgevoice.lines import documents
from edgevoice.lines.admission import Admission, Admitted, Came, Refused, Ticket
from edgevoice.lines.line import Line
from edgevoice.orders import Side
from edgevoice.sip_lines import SipDialling, SipLines
from edgevoice.wire import Wire

log = logging.getLogger(__name__)

BIND_S = (1.0, 2.0, 5.0, 10.0, 30.0)  # a port that is taken may be free again: the old process is ending
BUSY_S = 3.0  # of busy tone, before the line is let go
RING_S = 3.0  # between ringing tones
LOOK_S = 0.1  # how often it is looked whether this program has time
LATE_S, OFTEN = 0.15, 4  # who is woken so late, that often in a row, has no time for another call
LATELY_S = 3.0  # for so long no further call may come in then
TOLD_S = 10.0  # one line in the journal that often, however many knock at the door
WEBHOOKS: Mapping[str, documents.Phone] = {path: name for name, path in documents.WEBHOOKS.items()}


class Box(Protocol):
    """The box as a call that comes in sees it."""

    @property
    def free(self) -> bool:
        """It may ring."""

    def ring(self, visitor: Visitor) -> None:
        """Ring; the visitor hears what becomes of it."""

    def left(self, visitor: Visitor) -> None:
        """The visitor has gone before it was answered."""


@dataclass(frozen=True, eq=False)
class Visitor:
    """A call that waits at the box. `answered` is set when somebody takes it, or will not."""

    name: str
    line: str
    leg: LineLeg
    allowed: bool
    answered: asyncio.Event


@dataclass
class Running:
    """A call over a line, as `ctl status` shows it."""

    name: str
    line: str
    leg: LineLeg
    since: float
    allowed: bool = False  # it may be answered automatically, as its account says
    joined: str = "nobody"  # to whom
    call: Call | None = None


class Switchboard:
    """Every phone call of one box. `box` is None where there is no sound card to ring at."""

    def __init__(self, agents: Agents, doors: Doors, box: Box | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.running: dict[str, Running] = {}
        self.address = ""  # where the server listens, "" while it does not
        self.trouble = ""
        self._agents = agents
        self._config = agents.config
        self._doors = doors
        self._box = box
        self._admission = Admission(agents.doors(), lambda: secrets.token_urlsafe(16))
        self._certificate = self._load_certificate()
        self.sip = SipLines(agents, self._sip_comes) if self._config.line.sip else None
        self._dialled: list[Dialling] = []  # those that nobody has answered yet
        self._count = 0
        self._changed = asyncio.Event()  # a call is over
        self._knocks, self._told_at = 0, -TOLD_S
        self._late_until = 0.0

    def _load_certificate(self) -> Certificate | None:
        lines = self._config.lines
        if not lines.certificate_file:
            return None
        files = self._agents.files
        try:
            return Certificate(
                files.path(lines.certificate_file, "lines.certificate_file"),
                files.path(lines.private_key_file, "lines.private_key_file"),
            )
        except DeviceError as error:
            raise ConfigError([f"$.lines.certificate_file: {error}"]) from error

    async def live(self, group: asyncio.TaskGroup) -> None:
        """Serve until cancelled; calls are tasks of `group`."""
        self._group = group
        async with asyncio.TaskGroup() as parts:
            if self.sip:
                parts.create_task(self.sip.endpoint.live())
            if self._certificate:
                parts.create_task(watch(self._certificate))
            if self._config.lines.listen:
                parts.create_task(self._listen())
            parts.create_task(self._watch_load())

    async def _watch_load(self) -> None:
        """Notice that calls take all the time there is: those that are running must not wait for one more."""
        late = 0
        while True:
            due = self.loop.time() + LOOK_S
            await asyncio.sleep(LOOK_S)
            late = late + 1 if self.running and self.loop.time() - due > LATE_S else 0
            if late >= OFTEN:
                self._late_until = self.loop.time() + LATELY_S

    async def _listen(self) -> None:
        """Serve phone services, and try again while the port cannot be had."""
        failures = 0
        while True:
            try:
                async with self._serve() as self.address:
                    self.trouble = ""
                    log.info("lines: listening on %s%s", self.address, "" if self._certificate else " (without TLS)")
                    await asyncio.Event().wait()
            except DeviceError as error:
                if str(error) != self.trouble:
                    log.error("%s", error)
                self.address, self.trouble = "", str(error)
                await asyncio.sleep(BIND_S[min(failures, len(BIND_S) - 1)])
                failures += 1

    def _serve(self) -> AbstractAsyncContextManager[str]:
        lines = self._config.lines
        return serve_lines(lines.listen, self._certificate, lines.url, self._admit, self._answer, self._attend)

    # ------------------------------------------------------------------------------------------------ the door

    @property
    def full(self) -> str:
        """Why no further call may come in, or ""."""
        if len(self.running) >= self._config.lines.max_calls:
            return f"there are {self._config.lines.max_calls} calls already (lines.max_calls)"
        if self.loop.time() < self._late_until:
            return f"{len(self.running)} calls take all the time that this machine has"
        return ""

    def _admit(self, came: Came) -> Admitted | Answered:
        if self.full:
            self._refuse(self.full)
            return Answered(503, "busy\n")
        decided = self._admission.upgrade(came, self.loop.time())
        if isinstance(decided, Refused):
            self._refuse(decided.why)
            return Answered(decided.status, "refused\n")
        return decided

    def _refuse(self, why: str) -> None:
        """Tell the journal, but not each time: whoever knocks all night must not fill the disk."""
        self._knocks += 1
        if self.loop.time() - self._told_at >= TOLD_S:
            log.warning("lines: refused: %s (%d since the last such line)", why, self._knocks)
            self._knocks, self._told_at = 0, self.loop.time()

    def _answer(self, came: Came) -> Answered:
        """Answer a request that is no upgrade."""
        if came.path == "/health":
            return Answered(200, "ok\n")
        service = WEBHOOKS.get(came.path)
        if service is None:
            self._refuse("no such page")
            return Answered(404, "not found\n")
        if refused := self._admission.webhook(service, came):
            self._refuse(refused.why)
            return Answered(refused.status, "refused\n")
        if self.full or (self._config.call.incoming == "card" and not (self._box and self._box.free)):
            return _document(documents.busy(service))
        calling = documents.calling(service, came.form)
        if calling is None:
            self._refuse(f"a webhook of {service} that names no call")
            return Answered(400, "which call?\n")
        path = self._admission.issue(Ticket(service, caller=calling.caller), self.loop.time())
        numbers = {"from": calling.caller, "to": calling.callee}
        return _document(documents.route(service, came.socket_url(path), parameters=numbers))

    # ------------------------------------------------------------------------------------------------- a call

    async def _attend(self, connection: ServerConnection, admitted: Admitted) -> None:
        """Be one connection. A mistake of ours in it ends the program, not only the call."""
        running = self._register(connection, admitted)  # at once: those that knock meanwhile are to be counted right
        await asyncio.wait([self._group.create_task(self._take(running, admitted))])

    def _register(self, connection: ServerConnection, admitted: Admitted) -> Running:
        barge_in = self._config.barge_in
        line = Line(
            LINES[admitted.service].service(),
            TalkOverLine(sensitivity=barge_in.sensitivity, confirm_ms=barge_in.confirm_ms),
            pre_roll_ms=barge_in.pre_roll_ms,
            give_up_ms=barge_in.give_up_ms,
        )
        return self._enter(LineLeg(line, connection), admitted, allowed=False)

    def _enter(self, leg: LineLeg, admitted: Admitted, *, allowed: bool) -> Running:
        """Give a call its name and its place among those that are running."""
        self._count += 1
        running = Running(f"{admitted.service}-{self._count}", admitted.service, leg, self.loop.time(), allowed)
        self.running[running.name] = running
        return running

    def _sip_comes(self, leg: LineLeg, allowed: bool) -> bool:
        """Take a call that comes in over SIP, if there is room for it."""
        if self.full:
            self._refuse(self.full)
            return False
        admitted = Admitted("sip")
        self._group.create_task(self._take(self._enter(leg, admitted, allowed=allowed), admitted))
        return True

    async def _take(self, running: Running, admitted: Admitted) -> None:
        """Be one call, from its first message to its end."""
        self._group.create_task(self._join(running, admitted))
        await self._attend_to(running)

    async def _attend_to(self, running: Running) -> None:
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

    async def _join(self, running: Running, admitted: Admitted) -> None:
        """Join a call to whom it is for."""
        leg = running.leg
        if not await leg.begins():
            return
        if dialled := self._waiting_for(running, admitted):
            log.info("call %s: the call that was made has been answered", running.name)
            running.joined = "card" if self._box else "nobody"
            dialled.answered(leg)
            return
        if admitted.ticket and admitted.ticket.call:
            log.info(
                "call %s: the call that was made has been answered, and nobody waits for it any more", running.name
            )
            leg.perform(HangUp("nobody waits for this call any more"), self.loop.time())
            return
        log.info("call %s comes in, for %s", running.name, self._config.call.incoming)
        if self._config.call.incoming == "card":
            await self._ring(running, admitted)
        else:
            await self.converse(running, self._config.call.incoming)

    async def converse_with(self, leg: LineLeg, agent: str) -> None:
        """Let an agent talk with somebody whom we call over SIP."""
        self._count += 1
        running = Running(f"sip-{self._count}", "sip", leg, self.loop.time())
        self.running[running.name] = running
        self._group.create_task(self.converse(running, agent))
        await self._attend_to(running)

    async def converse(self, running: Running, agent: str) -> None:
        """Let an agent talk with whom is on the line, until one of them hangs up."""
        leg, now = running.leg, self.loop.time
        try:
            reached = self._agents.make(agent, now, by_line=True)
        except ConfigError as error:
            log.error("call %s: %s cannot be reached: %s", running.name, agent, " ".join(error.problems))
            await self.busy(leg)
            return
        far = far_leg(reached.wire)
        conversation = Conversation(reached.detection, reached.wire.rate, silence_ms=reached.silence_ms)
        call = Call(conversation, leg.perform, far.perform, reached.wire.rate)
        bridge = Bridge(call, leg, far)
        call.on_key = self._doors.listener(running.name, leg.perform, now)
        call.on_tool = lambda called: self._tool(bridge, running, called)
        running.joined, running.call = agent, call
        ends = self.loop.call_later(self._config.call.max_s, self._time_is_up, bridge)
        try:
            await bridge.run()
        finally:
            ends.cancel()
        log.info("call %s with %s: %s", running.name, agent, call.figures.words)

    def _time_is_up(self, bridge: Bridge) -> None:
        at = self.loop.time()
        bridge.want(lambda machine: machine.leave("the longest time of a call is over", GOODBYE_S, at))

    def _tool(self, bridge: Bridge, running: Running, called: ToolCalled) -> None:
        """Do what an agent asks in a call over a line, or tell it why that cannot be."""
        at = self.loop.time()
        match errand(self._agents.toolbox(running.joined), called):
            case EndCall(reason, within_s):
                bridge.want(lambda machine: machine.leave(reason, within_s, at))
                return
            case OpenRelay(relay):
                outcome = self._doors.open_for_agent(relay, running.name, at)
            case TurnVolume():
                outcome = "error: a telephone's volume is set by who holds it"
            case Connect():
                outcome = "error: who is on the telephone cannot be connected to anybody else"
            case ToolDone(_, outcome):
                pass
        bridge.want(lambda machine: machine.tool_result(called.id, outcome))

    async def _ring(self, running: Running, admitted: Admitted) -> None:
        """Ring at the box until somebody answers, or the caller gives up."""
        leg = running.leg
        if self._box is None or not self._box.free:
            running.joined = "nobody: busy"
            await self.busy(leg)
            return
        visitor = Visitor(running.name, running.line, leg, self._allowed(running, admitted), answered=asyncio.Event())
        running.joined = "card: ringing"
        self._box.ring(visitor)
        ends = [self._group.create_task(visitor.answered.wait()), self._group.create_task(leg.over())]
        done: set[asyncio.Task[bool]] = set()
        while not done:
            if not leg.line.service.rings_by_itself:
                leg.perform(Tone("ringing"), self.loop.time())
            done, _ = await asyncio.wait(ends, timeout=RING_S, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        if not visitor.answered.is_set():
            self._box.left(visitor)
        running.joined = "card"

    def _allowed(self, running: Running, admitted: Admitted) -> bool:
        """Tell whether the caller may be answered automatically; the signed webhook's word counts most."""
        began = running.leg.line.began
        assert began is not None
        if running.allowed or running.line == "sip":
            return running.allowed
        caller = admitted.ticket.caller if admitted.ticket else began.caller
        return bool(caller) and caller in getattr(self._config.line, running.line).allow

    async def busy(self, leg: LineLeg) -> None:
        """Let a caller hear that nobody can be reached, and hang up."""
        until = self.loop.time() + (0.0 if leg.line.service.rings_by_itself else BUSY_S)
        while leg.closed is None and self.loop.time() < until:
            leg.perform(Tone("busy"), self.loop.time())
            await asyncio.sleep(1.0)
        leg.perform(HangUp("busy"), self.loop.time())

    # ------------------------------------------------------------------------------------------ calls we make

    @contextmanager
    def dialling(self, target: str) -> Iterator[Dialling | SipDialling]:
        """Have a far side for a call to `target` ("elks:+46..."), which rings until it opens. Raises ConfigError."""
        line, _, number = target.partition(":")
        if line == "sip":
            assert self.sip is not None, "a target that can be dialled has an account"
            yield self.sip.dialling(target)
            return
        self._count += 1
        name = f"{line}-{self._count}"
        path = self._admission.issue(Ticket(line, call=name), self.loop.time())
        socket_url = self._config.lines.url.replace("https://", "wss://", 1) + path
        dialer = self._agents.dialer(line, socket_url)
        dialling = Dialling(line, name, number, dialer)
        self._dialled.append(dialling)
        try:
            yield dialling
        finally:
            dialling.perform(HangUp("nobody waits for this call any more"), self.loop.time())
            if dialling.may_come:
                self.loop.call_later(RING_FOR_S, self._dialled.remove, dialling)
            else:
                self._dialled.remove(dialling)

    def _waiting_for(self, running: Running, admitted: Admitted) -> Dialling | None:
        began = running.leg.line.began
        assert began is not None
        ours = admitted.ticket.call if admitted.ticket else ""
        for dialled in self._dialled:
            if dialled.is_it(running.line, ours, began):
                return dialled
        return None

    async def hang_up(self, reason: str, within_s: float) -> None:
        """End all calls, those that ring somewhere too, and wait until they have said goodbye, or `within_s`."""
        for dialled in self._dialled:
            dialled.perform(HangUp(reason), self.loop.time())
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
        trouble = self.trouble or (self._certificate.trouble if self._certificate else "")
        sip = self.sip.status() if self.sip else None
        return {"listen": self.address or None, "trouble": trouble or None, "sip": sip, "calls": self.calls()}

    def calls(self) -> list[dict[str, object]]:
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
        if not self.sip or (to and leg is None) or not self.sip.send_keys(keys, leg):
            names = ", ".join(name for name, running in self.running.items() if running.line == "sip") or "no calls"
            raise DeviceError(f'keys cannot be sent in "{to}" now; over SIP there are: {names}')

    def find(self, name: str) -> tuple[Call, Side] | None:
        """Return the call of a line that is joined to an agent, and which leg of it the line is; "": the only one."""
        running = self.running.get(name or next(iter(self.running), "") if len(self.running) == 1 else name)
        return (running.call, Side.NEAR) if running and running.call else None


def far_leg(wire: Wire) -> FarLeg:
    """Return the leg of an agent, with a socket if its service needs one."""
    return LocalLeg(wire) if wire.request() is None else WebSocketLeg(wire)


def _document(document: documents.Document) -> Answered:
    return Answered(200, document.text, document.content_type)
