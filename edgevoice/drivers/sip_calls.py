"""All calls of the SIP library's, in the worker: placed, announced, answered, ended, and their sound on its way.

The library is watched, not trusted: what is remedied here has its reason beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from baresip import BaresipError, Call, CallState, CallStats, Runtime
from baresip.events import Event, StackEvent

from edgevoice.drivers.packets import Packets
from edgevoice.drivers.sip_accounts import Accounts
from edgevoice.drivers.sip_call import Live, ending, hang_up, quality, quietly
from edgevoice.drivers.sip_media import let_in, shut_out
from edgevoice.drivers.sip_threads import hurry
from edgevoice.lines.sip_words import NUMBER, TIMED

PUMP_S = 0.01
NOTHING_S = 0.025  # nothing has come for more than a packet: that is said, too
AGREED_S = 0.05  # from another offer of the other side's until the library goes by it
STARTED_S = (0.1, 0.5)  # until the last of a call's threads has begun
HEARD_S = 2.0  # then something must have come from where the other side said
SILENT_S = 1.0  # from the answer to a call until its sound can flow: as long as nobody says "hello?" twice

# The library answers who asks whether a session goes on, and asks nobody. So the other side is to ask, which a PBX that
# insists on it takes, too. Whether it still is there we know by its sound. Source: RFC 4028, 7.1 and table 2.
TIMER = {"Supported": "timer", "Session-Expires": "1800;refresher=uas"}

ANSWERS = (Event.CALL_RINGING, Event.CALL_PROGRESS, Event.CALL_ANSWERED, Event.CALL_ESTABLISHED, Event.CALL_CLOSED)

Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Tell(Protocol):
    """Says to the parent what is."""

    def __call__(self, what: str, **facts: object) -> None:
        """Say it."""


class Calls:
    """Called on the event loop. `start` runs what takes time."""

    def __init__(self, runtime: Runtime, accounts: Accounts, packets: Packets, tell: Tell, start: Start) -> None:
        self._runtime, self._accounts, self._packets = runtime, accounts, packets
        self._tell, self._start = tell, start
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, Live] = {}
        self._handles: dict[int, int] = {}  # of the library -> our numbers
        self._next = 1  # of calls that come in: odd; the parent's own are even
        self._dials: dict[int, bool] = {}  # calls that are being placed; whether they are still wanted
        self._early: list[StackEvent] = []  # what happened meanwhile, to calls that we do not know yet

    def attend(self) -> None:
        """Take what the library tells, and calls that come in."""
        self._runtime.subscribe(self._heard)
        for index, account in enumerate(self._accounts.all):
            account.agent.on_incoming(partial(self._incoming, index))

    def do(self, asked: dict[str, Any]) -> None:
        """Do to a call what the parent asks for."""
        live = self._calls.get(asked["call"])
        match asked["do"]:
            case "dial":
                self._dials[asked["call"]] = True
                self._start(self._dial(asked))
            case "end" if asked["call"] in self._dials:
                self._dials[asked["call"]] = False
            case _ if live is None:
                pass  # it is over already
            case "answer":
                self._start(self._answer(live))
            case "end":
                self._start(hang_up(live, asked["status"]))
            case "keys":
                self._start(quietly(live.call.send_dtmf(asked["keys"])))
            case "mark":
                live.backlog.mark(asked["name"])
            case "clear":
                live.clear()

    def play(self, packet: bytes) -> None:
        """Send sound, behind the number of its call."""
        if live := self._calls.get(NUMBER.unpack_from(packet)[0]):
            try:
                live.play(packet[NUMBER.size :])
            except BaresipError:
                pass  # no sound flows, or the next round binds to new streams

    def part(self) -> list[asyncio.Task[None]]:
        """End all calls."""
        calls = list(self._calls.values())
        for live in calls:
            self._closed(live, 0)  # before they end: nobody has hung up
        return [self._start(hang_up(live)) for live in calls]

    # ------------------------------------------------------------------------------------------- one after another

    async def _dial(self, asked: dict[str, Any]) -> None:
        number = asked["call"]
        try:
            call = await self._accounts.all[asked["account"]].agent.dial(asked["uri"], TIMER)
        except (BaresipError, ValueError) as error:
            del self._dials[number]
            self._tell("closed", call=number, status=404 if isinstance(error, ValueError) else 0)
            return
        live = self._follow(number, asked["account"], call)
        early, self._early = self._early, []
        wanted = self._dials.pop(number)
        for event in early:
            if event.call == call.handle:
                self._happened(live, event)
        if not wanted:
            self._start(hang_up(live))
        self._loop.call_later(asked["ring_s"], self._give_up, live, 408)

    def _give_up(self, live: Live, status: int) -> None:
        """End a call that nobody has answered, or whose answer brings no sound that may be heard."""
        if live.number in self._calls and not (live.rate and live.call.state is CallState.ESTABLISHED):
            self._closed(live, status)
            self._start(hang_up(live))

    async def _answer(self, live: Live) -> None:
        try:
            await live.call.answer()
        except BaresipError:
            self._closed(live, 500)

    def _incoming(self, account: int, call: Call) -> None:
        self._next += 2
        self._follow(self._next, account, call)
        headers = {name.lower(): value for name, value in call.headers.items()}
        shown = headers.get(self._accounts.all[account].header, "")
        facts = {"call": self._next, "account": account, "id": call.call_id, "from": call.peer or "", "shown": shown}
        self._tell("incoming", **facts)

    def _follow(self, number: int, account: int, call: Call) -> Live:
        live = Live(number, call, guarded=self._accounts.all[account].guarded)
        self._calls[number] = live
        self._handles[call.handle] = number
        call.on(lambda event: self._happened(live, event))
        call.on_dtmf(lambda digit: self._tell("key", call=number, key=digit.digit))
        call.on_rtcp(lambda stats: self._measured(live, stats))
        return live

    def _measured(self, live: Live, stats: CallStats) -> None:
        live.quality = quality(stats)
        self._tell("quality", call=live.number, facts=live.quality)

    def _happened(self, live: Live, event: StackEvent) -> None:
        if event.event in ANSWERS:
            live.heard_of.set()
        match event.event:
            case Event.CALL_RINGING:
                self._tell("ringing", call=live.number)
            case Event.CALL_PROGRESS:
                self._flow(live, "early")
            case Event.CALL_ESTABLISHED:
                self._flow(live, "established")
                self._loop.call_later(SILENT_S, self._give_up, live, 488)
            case Event.CALL_MENC:
                live.secret = True
            case Event.CALL_HOLD:
                live.held = True
                self._tell("held", call=live.number)
            case Event.CALL_RESUME:
                live.held = False
                self._tell("resumed", call=live.number)
            case Event.CALL_TRANSFER:  # it would have us call whom the other side says
                self._start(quietly(live.call.reject_transfer()))
            case Event.CALL_CLOSED:
                self._closed(live, ending(event.text or ""))

    def _flow(self, live: Live, what: str) -> None:
        """Sound flows now, or is about to: say at which rate."""
        if what == "early" and live.call.state is CallState.ESTABLISHED:
            return  # it was answered meanwhile
        try:
            info = live.call.audio.info()
        except BaresipError:
            info = None
        if info is None or not info.tx_ready or not info.rx_ready:
            if live.number in self._calls:
                self._loop.call_later(PUMP_S, self._flow, live, what)
            return
        if live.guarded and not live.secret:
            return
        live.rate, live.channels = info.rx_sample_rate, info.rx_channels
        self._hurry()
        self._guard(live)
        self._tell(what, call=live.number, rate=live.rate, id=live.call.call_id or "")

    def _hurry(self) -> None:
        """Let the threads that keep time go first; some come, and take their names, only after they are said to run."""
        hurry()
        for later_s in STARTED_S:
            self._loop.call_later(later_s, hurry)

    def _guard(self, live: Live) -> None:
        """Hear nobody but the other side; but hear it, wherever its sound comes from."""
        if live.number in self._calls and (sender := shut_out(live.call.call_id or "", live.mistaken)):
            self._loop.call_later(HEARD_S, self._unguard, live, sender, live.came)

    def _unguard(self, live: Live, sender: str, came: int) -> None:
        if live.number in self._calls and live.came == came and not live.held:
            live.mistaken = sender
            let_in(live.call.call_id or "")

    def _tune(self, live: Live) -> None:
        """Go on with the streams that the two sides have agreed on anew."""
        try:
            info = live.call.audio.info()
        except BaresipError:
            return
        self._hurry()
        if info.rx_ready and (info.rx_sample_rate, info.rx_channels) != (live.rate, live.channels):
            live.clear()
            self._flow(live, "established" if live.call.state is CallState.ESTABLISHED else "early")

    def _closed(self, live: Live, status: int) -> None:
        if self._calls.pop(live.number, None):
            self._handles.pop(live.call.handle, None)
            self._tell("closed", call=live.number, status=status)

    def _heard(self, event: StackEvent) -> None:
        if self._dials and event.call and event.call not in self._handles:
            self._early.append(event)
        live = self._calls.get(self._handles.get(event.call, 0))
        if event.event is Event.CALL_REMOTE_SDP and live and live.rate:
            self._loop.call_later(AGREED_S, self._guard, live)

    # ----------------------------------------------------------------------------------------------- the sound

    def pump(self) -> None:
        """Carry sound, both ways."""
        for live in list(self._calls.values()):
            if live.rate:
                self._pump(live)

    def _pump(self, live: Live) -> None:
        try:
            pcm = live.pump()
        except BaresipError:
            pcm = b""  # renegotiated: the next time binds to the new streams, which may have another rate
            self._tune(live)
        at = self._loop.time()
        if (pcm or at - live.told_at >= NOTHING_S) and not self._packets.full:  # else it is late: sound is lost
            live.told_at = at
            self._packets.send(TIMED.pack(live.number, at) + pcm)
        for name in live.passed():
            self._tell("reached", call=live.number, name=name)

    def look(self) -> None:
        """See to it that no voice waits longer and longer."""
        for live in self._calls.values():
            live.look()

    def tell_quality(self) -> None:
        """Say how each call goes, and with that that it goes on."""
        for live in self._calls.values():
            self._tell("quality", call=live.number, facts=live.quality)
