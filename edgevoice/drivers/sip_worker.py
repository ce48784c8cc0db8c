"""The child process that owns the SIP library: calls and their sound, over one socket; `lines.sip` has what is said.

    socket (SOCK_SEQPACKET) ──> commands ──> baresip (its own threads) ──> network
                            <── events   <──
    every 10 ms: what was received goes to the parent, with the time at which it was read (and, when nothing is, that
    as well: the parent fills gaps by that time); what is to be sent tops the library's ring up to AHEAD_MS

It runs in a process of its own because the library aborts when it is closed after certain packets, because one process
can have one of it only, and because sound that is paced by Python must not wait for the parent's. It ends by
`os._exit`: closing the library properly is what aborts. Source: baresip-python 0.5.2a3, and what was seen of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import traceback
from array import array
from functools import partial
from typing import Any

from baresip import BaresipError, Call, CallState, CallStats, Config, Runtime
from baresip._native import lib
from baresip.errors import AudioRestarted
from baresip.events import Event, StackEvent

from edgevoice.drivers.packets import Packets
from edgevoice.drivers.sip_accounts import Accounts, number
from edgevoice.lines.backlog import Backlog
from edgevoice.lines.sip_words import NUMBER, TIMED

PUMP_S = 0.01
ALIVE_S = 0.25  # the parent replaces a worker that says nothing for a second
AHEAD_MS = 40  # in the library's ring: two frames; what is more waits here, where it can be taken back
READ_MS = 200  # at once at most
NOTHING_S = 0.025  # nothing has come for more than a packet: that is said, too
LOOK_S = 1.0  # how much waits is looked at that often
ADDRESS_S = 2.0  # our own, too
QUALITY_S = 5.0  # a call of which nothing is said for half a minute counts as dead, also on hold
GHOST_S = 0.2  # a call that is not announced by then never will be: an INVITE that could not be answered
LEAVE_S = 1.0  # to say goodbye to callers and registrars
SILENT_S = 1.0  # from the answer to a call until its sound can flow: as long as nobody says "hello?" twice
STUCK_S = 5.0  # the library's own thread answers nothing any more
BACKLOG_MS = 4_000  # of sound that waits: more than is ever sent ahead, so the library has not taken any for a while


ANSWERS = (Event.CALL_RINGING, Event.CALL_PROGRESS, Event.CALL_ANSWERED, Event.CALL_ESTABLISHED, Event.CALL_CLOSED)


class Live:
    """One call of the library's, with the sound that waits for it."""

    def __init__(self, number: int, call: Call, *, guarded: bool) -> None:
        self.number = number
        self.guarded = guarded  # it may be heard encrypted or not at all
        self.call = call
        self.rate = 0  # while no sound flows
        self.heard_of = asyncio.Event()  # the other side has said something: only then it can be told to stop ringing
        self.secret = False  # its sound is encrypted
        self.held = False  # by the other side: what is sent is not heard, and is not kept for later
        self.channels = 1
        self.backlog = Backlog()
        self.quality: dict[str, object] = {}
        self.told_at = 0.0  # when the parent was sent sound last, or that there is none

    def clear(self) -> None:
        self.backlog.clear()
        try:
            self.call.audio.flush_tx()
        except BaresipError:
            pass  # no sound flows

    def play(self, pcm: bytes) -> None:
        """Have it sent, and begin now: a voice does not wait for the next round. Raises BaresipError; it is kept."""
        try:
            there = self.there
            self.backlog.note(there)
        finally:
            self.backlog.put(pcm, self.rate)
        self.top_up(there)

    @property
    def there(self) -> int:
        """Bytes, mono, that the library has and has not sent."""
        return int(self.call.audio.info().tx_buffered) // self.channels

    def top_up(self, there: int) -> None:
        """Give the library, which has so much, what there is room for."""
        self.backlog.trim(0 if self.held else BACKLOG_MS, self.rate)
        if pcm := self.backlog.take(AHEAD_MS * self.rate // 1000 * 2 - there):
            taken = self.call.audio.write(_spread(pcm, self.channels)) // self.channels
            self.backlog.back(pcm[taken:])

    def pump(self) -> bytes:
        """Top up the library; return what was received since the last time, mono."""
        audio = self.call.audio
        info = audio.info()
        if info.rx_ready and (info.rx_sample_rate, info.rx_channels) != (self.rate, self.channels):
            raise AudioRestarted("another rate")
        there = int(info.tx_buffered) // self.channels
        self.backlog.see()
        self.backlog.note(there)
        self.top_up(there)
        return _mono(audio.read(READ_MS * self.rate // 1000 * 2 * self.channels), self.channels)

    def look(self) -> None:
        """See to it that a voice does not wait longer and longer."""
        try:
            stats = self.call.audio.stats()
            holes = stats.tx_silence_frames + stats.tx_starved_frames
            self.backlog.look(stats.tx_buffered // self.channels, holes, self.rate)
        except BaresipError:
            pass  # no sound flows

    def passed(self) -> list[str]:
        """Name the marks behind which everything was sent."""
        try:
            return self.backlog.passed(self.there)
        except BaresipError:
            return self.backlog.passed(0)


class Worker:
    """All calls of all accounts."""

    def __init__(self, parent: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._packets = Packets(parent, self._take, self._gone)
        self._first: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        self._runtime = Runtime()
        self._accounts = Accounts(self._runtime, self._tell_account)
        self._calls: dict[int, Live] = {}
        self._handles: dict[int, int] = {}  # of the library -> our numbers
        self._next = 1  # of calls that come in: odd; the parent's own are even
        self._dials: dict[int, bool] = {}  # calls that are being placed; whether they are still wanted
        self._early: list[StackEvent] = []  # what happened meanwhile, to calls that we do not know yet
        self._tasks: set[asyncio.Task[None]] = set()
        self._mistake: BaseException | None = None

    async def run(self) -> None:
        """Start as the first message says, and work until the parent is gone."""
        first = await self._first
        if first is None:
            return
        config: dict[str, Any] = dict(first["config"])
        config["expose_headers"] = tuple(config["expose_headers"])
        await self._runtime.start(Config(**config))
        self._runtime.subscribe(self._heard)
        await self._accounts.open(first["accounts"])
        for index, account in enumerate(self._accounts.all):
            account.agent.on_incoming(partial(self._incoming, index))
        self._accounts.look()
        self._tell("ready")
        self._start(self._keep_address({account["domain"] for account in first["accounts"]}))
        live = self._loop.create_task(self._live())
        quality_at = looked_at = self._loop.time()
        while not self._over.is_set() and not live.done():
            await asyncio.sleep(PUMP_S)
            self._pump()
            if self._loop.time() - looked_at >= LOOK_S:
                looked_at = self._loop.time()
                for one in self._calls.values():
                    one.look()
            if self._loop.time() - quality_at >= QUALITY_S:
                quality_at = self._loop.time()
                for one in self._calls.values():
                    self._tell("quality", call=one.number, facts=one.quality)
        if live.done():
            live.result()
        live.cancel()
        if self._mistake is not None:
            raise self._mistake
        await self._leave()

    def fail(self, mistake: BaseException | None) -> None:
        """End with a mistake of ours that nobody caught: the parent starts another worker.

        Of one failure the library makes two errors, and leaves the second to nobody: that is no mistake of ours.
        """
        if mistake is None or isinstance(mistake, BaresipError):
            return
        self._mistake = self._mistake or mistake
        self._over.set()

    async def _live(self) -> None:
        """Give signs of life, as long as the library does. Raises BaresipError."""
        while True:
            await self._runtime.cmd(lib.BP_CMD_PING, timeout=STUCK_S)
            self._accounts.look()
            self._tell("alive")
            await asyncio.sleep(ALIVE_S)

    async def _keep_address(self, hosts: set[str]) -> None:
        """End when we have another address on the way to a registrar: the library would go on with the old one."""
        known: dict[str, str] = {}
        while True:
            for host in hosts:
                address = await _own_address(host)
                if address and known.setdefault(host, address) != address:
                    self._over.set()
            await asyncio.sleep(ADDRESS_S)

    async def _leave(self) -> None:
        """Say goodbye to callers and registrars; what does not answer in time is left."""
        calls = list(self._calls.values())
        for live in calls:
            self._closed(live, 0)  # before they end: nobody has hung up
        parting = [self._start(_hang_up(live)) for live in calls]
        await asyncio.wait([*parting, self._start(self._accounts.leave())], timeout=LEAVE_S)

    # ---------------------------------------------------------------------------------------------- the parent

    def _tell(self, what: str, **facts: object) -> None:
        self._packets.send(json.dumps({"is": what, **facts}).encode())

    def _tell_account(self, what: str, index: int, status: int) -> None:
        self._tell(what, account=index, status=status)

    def _gone(self) -> None:
        self._over.set()
        if not self._first.done():
            self._first.set_result(None)

    def _take(self, packet: bytes) -> None:
        if packet[:1] != b"{":
            if live := self._calls.get(NUMBER.unpack_from(packet)[0]):
                self._play(live, packet[NUMBER.size :])
        elif self._first.done():
            self._do(json.loads(packet))
        else:
            self._first.set_result(json.loads(packet))

    def _play(self, live: Live, pcm: bytes) -> None:
        try:
            live.play(pcm)
        except BaresipError:
            pass  # no sound flows, or the next round binds to new streams

    def _do(self, asked: dict[str, Any]) -> None:
        live = self._calls.get(asked.get("call", 0))
        match asked["do"]:
            case "register":
                self._start(self._accounts.register(asked["account"]))
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
                self._start(_hang_up(live, asked["status"]))
            case "keys":
                self._start(_quietly(live.call.send_dtmf(asked["keys"])))
            case "mark":
                live.backlog.mark(asked["name"])
            case "clear":
                live.clear()

    def _start(self, work: Any) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (mistake := task.exception()):
            self.fail(mistake)

    # ----------------------------------------------------------------------------------------------- the calls

    async def _dial(self, asked: dict[str, Any]) -> None:
        number = asked["call"]
        try:
            call = await self._accounts.all[asked["account"]].agent.dial(asked["uri"])
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
            self._start(_hang_up(live))
        self._loop.call_later(asked["ring_s"], self._give_up, live, 408)

    def _give_up(self, live: Live, status: int) -> None:
        """End a call that nobody has answered, or whose answer brings no sound that may be heard."""
        if live.number in self._calls and not (live.rate and live.call.state is CallState.ESTABLISHED):
            self._closed(live, status)
            self._start(_hang_up(live))

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
        live.quality = _quality(stats)
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
                self._start(_quietly(live.call.reject_transfer()))
            case Event.CALL_CLOSED:
                self._closed(live, _status(event.text or ""))

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
        self._tell(what, call=live.number, rate=live.rate, id=live.call.call_id or "")

    def _tune(self, live: Live) -> None:
        """Go on with the streams that the two sides have agreed on anew."""
        try:
            info = live.call.audio.info()
        except BaresipError:
            return
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
        if event.event is Event.CALL_REMOTE_SDP:
            self._loop.call_later(GHOST_S, self._lay_ghost, event.call)

    def _lay_ghost(self, handle: int) -> None:
        """End a call that the library holds and never announced: such calls add up until none can come in any more.

        An INVITE without a Contact that makes sense leaves one behind; two of them, and everybody hears busy.
        """
        if handle not in self._handles:
            self._start(_quietly(self._runtime.cmd(lib.BP_CMD_CALL_HANGUP, args=str(handle))))

    # ----------------------------------------------------------------------------------------------- the sound

    def _pump(self) -> None:
        for live in list(self._calls.values()):
            if not live.rate:
                continue
            try:
                pcm = live.pump()
            except BaresipError:
                pcm = b""  # renegotiated: the next time binds to the new streams, which may have another rate
                self._tune(live)
            names = live.passed()
            at = self._loop.time()
            if (pcm or at - live.told_at >= NOTHING_S) and not self._packets.full:  # else it is late: sound is lost
                live.told_at = at
                self._packets.send(TIMED.pack(live.number, at) + pcm)
            for name in names:
                self._tell("reached", call=live.number, name=name)


async def _own_address(host: str) -> str:
    """Return our address on the way to "pbx:5060"; "" while there is no way, or nobody to tell where that is."""
    name, _, port = host.partition(":")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, int(port or 5060), type=socket.SOCK_DGRAM)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as one:
            one.connect(address)  # sends nothing
            return str(one.getsockname()[0])
    except (OSError, ValueError, IndexError):
        return ""


def _quality(stats: CallStats) -> dict[str, object]:
    """Say how well sound arrives: of 100 packets that many were lost, jitter and the way there and back in ms."""
    lost = 100 * stats.rx_lost / max(1, stats.rx_packets + stats.rx_lost)
    facts = {"loss_percent": round(lost, 1), "jitter_ms": round(stats.rx_jitter_ms, 1)}
    return {**facts, "round_trip_ms": round(stats.rtt_ms, 1)}


def _status(text: str) -> int:
    """Read why a call is over: its SIP status; 200 for a goodbye, 0 for what never was answered."""
    lost = ("time", "refused", "route", "rtp", "unreachable")
    goodbye = not any(word in text.lower() for word in lost)  # "Connection reset by peer" is one, too
    return number(text) or (200 if goodbye else 0)


def _mono(pcm: bytes, channels: int) -> bytes:
    return pcm if channels == 1 else array("h", pcm)[::channels].tobytes()


def _spread(pcm: bytes, channels: int) -> bytes:
    if channels == 1:
        return pcm
    mono = array("h", pcm)
    spread = array("h", bytes(len(pcm) * channels))
    for channel in range(channels):
        spread[channel::channels] = mono
    return spread.tobytes()


async def _hang_up(live: Live, status: int = 0) -> None:
    """End a call. One that has not been heard of is forgotten by the library and rings on: that is waited for."""
    if live.call.state is CallState.OUTGOING:
        await live.heard_of.wait()
    await _quietly(live.call.reject() if status == 486 else live.call.hangup())


async def _quietly(work: Any) -> None:
    try:
        await work
    except (BaresipError, ValueError):
        pass  # it is gone already


def main() -> None:
    """Work for the parent at the other end of the socket whose descriptor is the argument."""
    parent = socket.socket(fileno=int(sys.argv[1]))
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, signal.SIG_IGN)  # the whole service is told to stop: the parent stops us
    for stream in (1, 2):  # the library prints there what came over the network; our own mistakes are told
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    ended = 1
    try:
        asyncio.run(_work(parent))
        ended = 0
    finally:
        if mistake := sys.exc_info()[1]:
            parent.send(json.dumps({"is": "fault", "what": _words(mistake)}).encode())
        os._exit(ended)  # not through the library's own end: see above


async def _work(parent: socket.socket) -> None:
    worker = Worker(parent)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: worker.fail(context.get("exception")))
    await worker.run()


def _words(mistake: BaseException) -> str:
    """Say which mistake it was and where; its text may hold what came over the network."""
    where = traceback.extract_tb(mistake.__traceback__)[-1]
    return f"{type(mistake).__name__} in {os.path.basename(where.filename)}, line {where.lineno}"


if __name__ == "__main__":
    main()
