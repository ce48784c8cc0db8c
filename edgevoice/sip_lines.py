"""SIP accounts on the event loop: calls that come in go to the switchboard like any other, and calls that we make."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from edgevoice.audio.line_interruption import TalkOverLine
from edgevoice.drivers.line_leg import RATE, LineLeg
from edgevoice.drivers.sip import Endpoint, SipCall
from edgevoice.events import Closed, Command, End, Event, HangUp
from edgevoice.line_catalogue import PhoneLines
from edgevoice.lines.line import Line
from edgevoice.lines.sip import Sip
from edgevoice.lines.sip_account import route

Deliver = Callable[[Event, float], None]
# Takes a call that came in, and whether its caller may be answered automatically; False: there is no room for it.
Carry = Callable[[LineLeg, bool], bool]


class SipLines:
    """Every account of one box. `carry` takes a call that comes in."""

    def __init__(self, lines: PhoneLines, carry: Carry) -> None:
        self._config = lines.config
        self._accounts, start = lines.sip()
        self._carry = carry
        self.endpoint = Endpoint(self._accounts, start, self._arrived)
        self._legs: list[tuple[LineLeg, SipCall, Sip]] = []

    def _leg(self, call: SipCall, service: Sip) -> LineLeg:
        barge_in = self._config.barge_in
        detector = TalkOverLine(sensitivity=barge_in.sensitivity, confirm_ms=barge_in.confirm_ms)
        line = Line(service, detector, pre_roll_ms=barge_in.pre_roll_ms, give_up_ms=barge_in.give_up_ms)
        leg = LineLeg(line, call)
        self._legs = [(leg, call, service), *(row for row in self._legs if row[0].closed is None)]
        return leg

    def _arrived(self, call: SipCall, account: int, who: str, shown: str) -> None:
        leg = self._leg(call, Sip(call.number))
        if not self._carry(leg, self._accounts[account].may_be_answered(who, shown)):
            self._legs = [row for row in self._legs if row[0] is not leg]
            call.abort()

    def dialling(self, target: str) -> SipDialling:
        """Return the far side of a call to "sip:reception": by the first account that is registered."""
        found = route(self._accounts, self.endpoint.registrations, target.partition(":")[2])
        if found is None:
            return SipDialling(None, Closed(End.LINK_LOST, self.unreachable(target)))
        account, address = found
        call = self.endpoint.call()
        service = Sip(call.number, {"account": account, "uri": address})
        return SipDialling(self._leg(call, service), None)

    def unreachable(self, target: str) -> str:
        """Say why nobody can be called now, or "" when somebody can."""
        if route(self._accounts, self.endpoint.registrations, target.partition(":")[2]):
            return ""
        troubles = [self.endpoint.trouble, *(one.trouble for one in self.endpoint.registrations)]
        reason = next((trouble for trouble in troubles if trouble), "the registrar has not answered yet")
        return f"no SIP account is registered: {reason}"

    def send_keys(self, keys: str, leg: LineLeg | None) -> bool:
        """Send digits in that call, or in the only one there is; False: there is none."""
        running = [row for row in self._legs if row[0].closed is None and leg in (None, row[0])]
        if len(running) != 1:
            return False
        _, call, service = running[0]
        for message in service.keys(keys):
            call.send_now(message)
        return True

    def facts(self, leg: LineLeg) -> Mapping[str, object]:
        """Say how a call goes, as far as it is one over SIP."""
        return next((service.facts for known, _, service in self._legs if known is leg), {})

    def status(self) -> Mapping[str, object]:
        """Say how the worker and each account are, and the running calls."""
        now = asyncio.get_running_loop().time()
        accounts = [
            {
                "registrar": account.host,
                "registered_s": None if one.until is None else round(one.until - now),
                "trouble": one.trouble or None,
            }
            for account, one in zip(self._accounts, self.endpoint.registrations, strict=True)
        ]
        calls = [service.facts for leg, _, service in self._legs if leg.closed is None]
        return {"trouble": self.endpoint.trouble or None, "accounts": accounts, "calls": calls}


class SipDialling:
    """The far side of a call that we make; without a `leg` it is `closed` at once."""

    rate = RATE

    def __init__(self, leg: LineLeg | None, closed: Closed | None) -> None:
        self.leg = leg
        self.closed = closed
        self._loop = asyncio.get_running_loop()

    async def run(self, deliver: Deliver, group: asyncio.TaskGroup) -> None:
        """Ring until somebody answers, and then take part until it is over."""
        if self.leg is None:
            assert self.closed is not None
            deliver(self.closed, self._loop.time())
            return
        attending = group.create_task(self.leg.attend())
        await self.leg.run(deliver, RATE)
        await asyncio.wait([attending], timeout=1.0)

    def perform(self, command: Command, at: float) -> None:
        if self.leg is not None:
            self.leg.perform(command, at)
        elif isinstance(command, HangUp):
            self.closed = Closed(End.HUNG_UP, command.reason)
