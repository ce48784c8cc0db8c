"""A call that we make over a phone service: ordered by REST, it rings there, and comes back to us over the socket.

run ──> place by REST ──> ask every second how it is ──> Progress(ringing) ...
                                            └──> busy, no answer, ... ──> Closed
the socket comes in (`answered`) ──> the leg of that call takes over
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgevoice.drivers import http
from edgevoice.drivers.line_leg import LineLeg
from edgevoice.events import Closed, Command, End, Event, HangUp, Progress, Stage
from edgevoice.lines.dial import Dialer, HttpRequest, Placed, e164
from edgevoice.lines.service import Began

ASK_S = 1.0  # a person who hears a busy tone a second late has not noticed
RING_FOR_S = 75.0  # the service itself gives up after 60

Deliver = Callable[[Event, float], None]


class Dialling:
    """The far side of a call to `number`; `name` is ours for it, and `rate` what the line has when it is answered."""

    def __init__(self, line: str, name: str, number: str, rate: int, dialer: Dialer) -> None:
        self.line = line
        self.name = name  # ours
        self.rate = rate
        self._number = number if isinstance(checked := e164(number), Closed) else checked
        self._dialer = dialer
        self._id = ""  # the service's
        self._leg: LineLeg | None = None
        self._closed: Closed | None = None
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def is_it(self, line: str, ours: str, began: Began) -> bool:
        """Tell whether a call that comes in is this one.

        46elks dials the same socket for every call, and does not say whether its id is that of the order: so it may be
        told by the id, or by the number called; once it is given up only by the id: people call back.
        """
        if line != self.line or self._leg is not None:
            return False
        if ours or line != "elks":
            return ours == self.name
        by_number = self._closed is None and self._number in (began.caller, began.callee)
        return began.call == self._id or by_number

    def answered(self, leg: LineLeg) -> None:
        """The person called has answered: `leg` is their side. Too late, it is hung up."""
        self._leg = leg
        self._changed.set()
        if self._closed:
            leg.perform(HangUp(self._closed.reason), self._loop.time())

    @property
    def may_come(self) -> bool:
        """It was placed, and nobody has answered: whoever does yet is nobody who calls us."""
        return bool(self._id) and self._leg is None

    # ------------------------------------------------------------------------------------------ a leg of a call

    async def run(self, deliver: Deliver, group: asyncio.TaskGroup) -> None:
        """Ring until somebody answers, and then take part until it is over."""
        reached = await self.connect(deliver)
        if isinstance(reached, Closed):
            deliver(reached, self._loop.time())
        else:
            await reached.run(deliver, self.rate)

    def perform(self, command: Command, at: float) -> None:
        if self._leg:
            self._leg.perform(command, at)
        elif isinstance(command, HangUp):
            self._closed = Closed(End.HUNG_UP, command.reason)
            self._changed.set()

    async def connect(self, deliver: Deliver) -> LineLeg | Closed:
        """Place the call; return the leg of who answers, or why nobody did."""
        place = self._dialer.place(self._number)
        placed = place if isinstance(place, Closed) else self._dialer.placed(*await _ask(place))
        if isinstance(placed, Closed):
            return placed
        self._id = placed.id
        deliver(Progress(Stage.RINGING), self._loop.time())
        self._closed = self._closed or await self._ring(placed)
        if self._closed is None and self._leg:
            return self._leg
        if self._leg is None and (cancel := self._dialer.cancel(placed.id)):
            await _ask(cancel)
        return self._closed or Closed(End.NO_ANSWER, "nobody answered")

    async def _ring(self, placed: Placed) -> Closed | None:
        """Wait until the call is answered, given up, or over; return why it is over, if that is known."""
        following = asyncio.create_task(self._follow(placed))
        try:
            async with asyncio.timeout(RING_FOR_S):
                await self._changed.wait()
        except TimeoutError:
            return Closed(End.NO_ANSWER, "nobody answered")
        finally:
            following.cancel()
        return self._closed

    async def _follow(self, placed: Placed) -> None:
        """Ask how far the call is until it is over. Who answers is not kept waiting for it."""
        while True:
            await asyncio.sleep(ASK_S)
            progress = self._dialer.progress(*await _ask(self._dialer.ask(placed.id)))
            if isinstance(progress, Closed) and self._leg is None:
                self._closed = progress
                self._changed.set()
                return


async def _ask(request: HttpRequest) -> tuple[int, bytes]:
    return await http.ask(request.method, request.url, request.headers, request.form)
