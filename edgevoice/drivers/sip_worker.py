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
import socket
import struct
import sys
from array import array
from functools import partial
from typing import Any

from baresip import Account, BaresipError, Call, CallStats, Config, Runtime, UserAgent
from baresip._native import lib
from baresip.errors import RegistrationError
from baresip.events import Event, StackEvent

from edgevoice.lines.backlog import Backlog

PUMP_S = 0.01
ALIVE_S = 0.25  # the parent replaces a worker that says nothing for a second
AHEAD_MS = 40  # in the library's ring: two frames; what is more waits here, where it can be taken back
READ_MS = 200  # at once at most
NOTHING_S = 0.025  # nothing has come for more than a packet: that is said, too
LOOK_S = 1.0  # how much waits is looked at that often
QUALITY_S = 5.0  # a call of which nothing is said for half a minute counts as dead, also on hold
GHOST_S = 0.2  # a call that is not announced by then never will be: an INVITE that could not be answered
ADDRESS_S = 2.0  # our own is looked at that often
DYING_S = 0.5  # to say goodbye at the registrar


class Live:
    """One call of the library's, with the sound that waits for it."""

    def __init__(self, number: int, call: Call) -> None:
        self.number = number
        self.call = call
        self.rate = 0  # while no sound flows
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

    @property
    def there(self) -> int:
        """Bytes, mono, that the library has and has not sent."""
        return int(self.call.audio.info().tx_buffered) // self.channels

    def top_up(self) -> int:
        """Give the library what there is room for; return how many bytes, mono, it has then."""
        there = self.there
        if pcm := self.backlog.take(AHEAD_MS * self.rate // 1000 * 2 - there):
            taken = self.call.audio.write(_spread(pcm, self.channels)) // self.channels
            self.backlog.back(pcm[taken:])
            there += taken
        return there

    def pump(self) -> tuple[bytes, list[str]]:
        """Top up the library; return what was received since the last time, mono, and the marks that were passed."""
        self.backlog.see(self.there)
        there = self.top_up()
        received = self.call.audio.read(READ_MS * self.rate // 1000 * 2 * self.channels)
        return _mono(received, self.channels), self.backlog.passed(there)

    def look(self) -> None:
        """See to it that a voice does not wait longer and longer."""
        try:
            self.backlog.look(self.there, self.rate)
        except BaresipError:
            pass  # no sound flows


class Worker:
    """All calls of all accounts."""

    def __init__(self, parent: socket.socket) -> None:
        self._parent = parent
        self._loop = asyncio.get_running_loop()
        self._runtime = Runtime()
        self._agents: list[UserAgent] = []
        self._headers: list[str] = []
        self._calls: dict[int, Live] = {}
        self._handles: dict[int, int] = {}  # of the library -> our numbers
        self._next = 1  # of calls that come in: odd; the parent's own are even
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Start as the first message says, and work until the parent is gone."""
        first = json.loads(await self._loop.sock_recv(self._parent, 65536) or b"{}")
        if not first:
            return
        await self._runtime.start(Config(**{**first["config"], **_tuples(first["config"])}))
        self._runtime.subscribe(self._heard)
        for account in first["accounts"]:
            self._headers.append(account.pop("header"))
            agent = await UserAgent.create(self._runtime, Account(**{**account, **_tuples(account)}))
            agent.on_incoming(partial(self._incoming, len(self._agents)))
            self._agents.append(agent)
        self._tell("ready")
        self._start(self._keep_address({account["domain"] for account in first["accounts"]}))
        self._loop.add_reader(self._parent, self._read)
        alive_at = quality_at = looked_at = self._loop.time()
        while not self._over.is_set():
            await asyncio.sleep(PUMP_S)
            self._pump()
            now = self._loop.time()
            if now - alive_at >= ALIVE_S:
                alive_at = now
                self._tell("alive")
            if now - looked_at >= LOOK_S:
                looked_at = now
                for live in self._calls.values():
                    live.look()
            if now - quality_at >= QUALITY_S:
                quality_at = now
                for live in self._calls.values():
                    self._tell("quality", call=live.number, facts=live.quality)
        await self._leave()

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
        parting = [self._start(_quietly(live.call.hangup())) for live in calls]
        parting += [self._start(_quietly(agent.unregister(timeout=DYING_S))) for agent in self._agents]
        if parting:
            await asyncio.wait(parting, timeout=2 * DYING_S)

    # ---------------------------------------------------------------------------------------------- the parent

    def _tell(self, what: str, **facts: object) -> None:
        self._send(json.dumps({"is": what, **facts}).encode())

    def _send(self, packet: bytes) -> None:
        try:
            self._parent.send(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass  # the parent is late: sound is lost, as on any network
        except OSError:
            self._over.set()

    def _read(self) -> None:
        while True:
            try:
                packet = self._parent.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._over.set()
                self._loop.remove_reader(self._parent)
                return
            if packet[:1] == b"{":
                self._do(json.loads(packet))
            elif live := self._calls.get(struct.unpack_from("<I", packet)[0]):
                self._play(live, packet[4:])

    def _play(self, live: Live, pcm: bytes) -> None:
        live.backlog.put(pcm, live.rate)
        try:
            live.top_up()  # now: a voice does not wait for the next round
        except BaresipError:
            pass  # no sound flows, or the next round binds to new streams

    def _do(self, asked: dict[str, Any]) -> None:
        live = self._calls.get(asked.get("call", 0))
        match asked["do"]:
            case "register":
                self._start(self._register(asked["account"]))
            case "dial":
                self._start(self._dial(asked))
            case "stop":
                self._over.set()
            case _ if live is None:
                pass  # it is over already
            case "answer":
                self._start(self._answer(live))
            case "end":
                self._start(_quietly(live.call.reject() if asked["status"] == 486 else live.call.hangup()))
            case "keys":
                self._start(_quietly(live.call.send_dtmf(asked["keys"])))
            case "mark":
                live.backlog.mark(asked["name"])
            case "clear":
                live.clear()

    def _start(self, work: Any) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ----------------------------------------------------------------------------------------------- the calls

    async def _register(self, account: int) -> None:
        try:
            await self._agents[account].register()
        except RegistrationError as error:
            self._tell("unregistered", account=account, status=error.status or 0)
        except BaresipError:
            self._tell("unregistered", account=account, status=0)

    async def _dial(self, asked: dict[str, Any]) -> None:
        try:
            call = await self._agents[asked["account"]].dial(asked["uri"])
        except (BaresipError, ValueError):
            self._tell("closed", call=asked["call"], status=404)
            return
        self._follow(asked["call"], call)

    async def _answer(self, live: Live) -> None:
        try:
            await live.call.answer()
        except BaresipError:
            self._closed(live, 500)

    def _incoming(self, account: int, call: Call) -> None:
        self._next += 2
        self._follow(self._next, call)
        shown = call.headers.get(self._headers[account], "") if self._headers[account] else ""
        facts = {"call": self._next, "account": account, "id": call.call_id, "from": call.peer or "", "shown": shown}
        self._tell("incoming", **facts)

    def _follow(self, number: int, call: Call) -> None:
        live = Live(number, call)
        self._calls[number] = live
        self._handles[call.handle] = number
        call.on(lambda event: self._happened(live, event))
        call.on_dtmf(lambda digit: self._tell("key", call=number, key=digit.digit))
        call.on_rtcp(lambda stats: setattr(live, "quality", _quality(stats)))

    def _happened(self, live: Live, event: StackEvent) -> None:
        match event.event:
            case Event.CALL_RINGING:
                self._tell("ringing", call=live.number)
            case Event.CALL_PROGRESS:
                self._flow(live, "early")
            case Event.CALL_ESTABLISHED:
                self._flow(live, "established")
            case Event.CALL_HOLD:
                self._tell("held", call=live.number)
            case Event.CALL_RESUME:
                self._tell("resumed", call=live.number)
            case Event.CALL_CLOSED:
                self._closed(live, _status(event.text or ""))

    def _flow(self, live: Live, what: str) -> None:
        """Sound flows now, or is about to: say at which rate."""
        try:
            info = live.call.audio.info()
        except BaresipError:
            info = None
        if info is None or not info.tx_ready or not info.rx_ready:
            if live.number in self._calls:
                self._loop.call_later(PUMP_S, self._flow, live, what)
            return
        live.rate, live.channels = info.rx_sample_rate, info.rx_channels
        self._tell(what, call=live.number, rate=live.rate, id=live.call.call_id or "")

    def _closed(self, live: Live, status: int) -> None:
        if self._calls.pop(live.number, None):
            self._handles.pop(live.call.handle, None)
            self._tell("closed", call=live.number, status=status)

    def _heard(self, event: StackEvent) -> None:
        match event.event:
            case Event.REGISTER_OK:
                self._tell("registered", account=self._account(event.ua))
            case Event.REGISTER_FAIL:
                status = _status(event.text or "")
                self._tell("unregistered", account=self._account(event.ua), status=status)
            case Event.CALL_REMOTE_SDP:
                self._loop.call_later(GHOST_S, self._lay_ghost, event.call)

    def _lay_ghost(self, handle: int) -> None:
        """End a call that the library holds and never announced: such calls add up until none can come in any more.

        An INVITE without a Contact that makes sense leaves one behind; two of them, and everybody hears busy.
        """
        if handle not in self._handles:
            self._start(_quietly(self._runtime.cmd(lib.BP_CMD_CALL_HANGUP, args=str(handle))))

    def _account(self, handle: int) -> int:
        return next((index for index, agent in enumerate(self._agents) if agent.handle == handle), 0)

    # ----------------------------------------------------------------------------------------------- the sound

    def _pump(self) -> None:
        for live in list(self._calls.values()):
            if not live.rate:
                continue
            try:
                pcm, names = live.pump()
            except BaresipError:
                continue  # renegotiated: the next time binds to the new streams
            at = self._loop.time()
            if pcm or at - live.told_at >= NOTHING_S:
                live.told_at = at
                self._send(struct.pack("<Id", live.number, at) + pcm)
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


def _tuples(account: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) for name, value in account.items() if isinstance(value, list)}


def _quality(stats: CallStats) -> dict[str, object]:
    """Say how well sound arrives: of 100 packets that many were lost, jitter and the way there and back in ms."""
    lost = 100 * stats.rx_lost / max(1, stats.rx_packets + stats.rx_lost)
    facts = {"loss_percent": round(lost, 1), "jitter_ms": round(stats.rx_jitter_ms, 1)}
    return {**facts, "round_trip_ms": round(stats.rtt_ms, 1)}


def _status(text: str) -> int:
    """Read the SIP status at the beginning of a reason; 200 for a goodbye, 0 for what never was answered."""
    number = text.partition(" ")[0]
    if number.isdigit():
        return int(number)
    lost = ("time", "refused", "route", "rtp", "unreachable")
    return 0 if any(word in text.lower() for word in lost) else 200  # "Connection reset by peer" is a goodbye


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


async def _quietly(work: Any) -> None:
    try:
        await work
    except (BaresipError, ValueError):
        pass  # it is gone already


def main() -> None:
    """Work for the parent at the other end of the socket whose descriptor is the argument."""
    parent = socket.socket(fileno=int(sys.argv[1]))
    parent.setblocking(False)

    async def work() -> None:
        await Worker(parent).run()

    try:
        asyncio.run(work())
    finally:
        os._exit(0)  # not through the library's own end: see above


if __name__ == "__main__":
    main()
