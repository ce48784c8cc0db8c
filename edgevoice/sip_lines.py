"""SIP accounts on the event loop: calls that come in go to the switchboard like any other, and calls that we make."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from edgevoice.audio.interruption import TalkOver
from edgevoice.catalogue import Agents
from edgevoice.drivers.line_leg import RATE, LineLeg
from edgevoice.drivers.sip import Endpoint, SipCall
from edgevoice.events import Closed, Command, End, Event, HangUp
from edgevoice.lines.line import Line
from edgevoice.lines.sip import Sip

Deliver = Callable[[Event, float], None]
Carry = Callable[[LineLeg, bool], None]  # a call that came in; whether its caller may be answered automatically


class SipLines:
    """Every account of one box. `carry` takes a call that comes in."""

    def __init__(self, agents: Agents, carry: Carry) -> None:
        self._config = agents.config
        self._accounts, start = agents.sip()
        self._carry = carry
        self.endpoint = Endpoint(self._accounts, start, self._arrived)

    def _leg(self, call: SipCall, service: Sip) -> LineLeg:
        barge_in = self._config.barge_in
        detector = TalkOver(sensitivity=barge_in.sensitivity, confirm_ms=barge_in.confirm_ms)
        line = Line(service, detector, pre_roll_ms=barge_in.pre_roll_ms, give_up_ms=barge_in.give_up_ms)
        return LineLeg(line, call)

    def _arrived(self, call: SipCall, account: int, who: str, shown: str) -> None:
        self._carry(self._leg(call, Sip(call.number)), self._accounts[account].may_be_answered(who, shown))

    def dialling(self, target: str) -> SipDialling:
        """Return the far side of a call to "sip:reception": by the first account that is registered."""
        name = target.partition(":")[2]
        account = self.endpoint.healthy()
        if account is None:
            troubles = [one.trouble for one in self.endpoint.registrations if one.trouble]
            reason = (
                f"no SIP account is registered: {troubles[0] if troubles else 'the registrar has not answered yet'}"
            )
            return SipDialling(None, Closed(End.LINK_LOST, reason))
        # A name stands in the account that knows it.
        account = next((index for index, one in enumerate(self._accounts) if name in one.targets), account)
        call = self.endpoint.call()
        service = Sip(call.number, {"account": account, "uri": self._accounts[account].address(name)})
        return SipDialling(self._leg(call, service), None)

    def status(self) -> list[Mapping[str, object]]:
        """Say how each account is."""
        now = asyncio.get_running_loop().time()
        return [
            {
                "registrar": account.host,
                "registered_s": None if one.until is None else round(one.until - now),
                "trouble": one.trouble or None,
            }
            for account, one in zip(self._accounts, self.endpoint.registrations, strict=True)
        ]


class SipDialling:
    """The far side of a call that we make; without a `leg` it is `closed` at once."""

    rate = RATE

    def __init__(self, leg: LineLeg | None, closed: Closed | None) -> None:
        self.leg = leg
        self._closed = closed
        self._loop = asyncio.get_running_loop()

    async def run(self, deliver: Deliver, group: asyncio.TaskGroup) -> None:
        """Ring until somebody answers, and then take part until it is over."""
        if self.leg is None:
            assert self._closed is not None
            deliver(self._closed, self._loop.time())
            return
        attending = group.create_task(self.leg.attend())
        await self.leg.run(deliver, RATE)
        await asyncio.wait([attending], timeout=1.0)

    def perform(self, command: Command, at: float) -> None:
        if self.leg is not None:
            self.leg.perform(command, at)
        elif isinstance(command, HangUp):
            self._closed = Closed(End.HUNG_UP, command.reason)
