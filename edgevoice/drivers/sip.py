"""SIP, the parent's side: starts the worker, replaces it when it dies or hangs, and gives each call a leg.

    Endpoint ──> worker process ──> registrar
        │  one socket, many calls
        └── SipCall: what a `LineLeg` reads and writes, like a WebSocket

A dead worker costs its calls and nothing else: each is told `Closed`, and a new worker registers within two seconds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

from edgevoice.drivers.packets import Packets
from edgevoice.lines.sip_account import Account, Registration, caller
from edgevoice.lines.sip_words import NUMBER

log = logging.getLogger(__name__)

HUNG_S = 1.0  # without a sign of life; the worker gives one four times a second
AGAIN_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # before a new worker, while they die at once
STEADY_S = 10.0
START_S = 10.0  # on the smallest Pi Python alone takes three
STOP_S = 2.0  # to hang up and to unregister
LOOK_S = 0.1
WAITING = 64  # pieces of a call's sound that are not taken yet: half a second
MISSING = "SIP needs a library that is not installed: pip install 'edgevoice[sip]'"

Arrived = Callable[["SipCall", int, str, str], None]  # the call, the account, who calls, what the secret header held


class SipCall:
    """One call's way to the worker and back. It looks like a WebSocket to who reads and writes it."""

    close_code = 1006

    def __init__(self, number: int, endpoint: Endpoint) -> None:
        self.number = number
        self._endpoint = endpoint
        self._come: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._over = False

    @property
    def transport(self) -> SipCall:
        return self

    async def send(self, message: str | bytes) -> None:
        """Send it, as soon as the worker takes it."""
        await self._endpoint.room()
        self.send_now(message)

    def send_now(self, message: str | bytes) -> None:
        if not self._over:
            self._endpoint.send(message)

    def take(self, message: str | bytes) -> None:
        """Take a message of the worker's. Sound beyond what may wait is thrown away."""
        if isinstance(message, str) or self._come.qsize() < WAITING:
            self._come.put_nowait(message)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (message := await self._come.get()) is not None:
            yield message

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        """Nothing more comes. If the call is not over, it ends: nobody would be there."""
        if not self._over:
            self.send_now(json.dumps({"do": "end", "call": self.number, "status": 486}))
            self.lose()

    def lose(self) -> None:
        """The worker that had this call is gone."""
        self._over = True
        self._endpoint.forget(self)
        self._come.put_nowait(None)


class Endpoint:
    """All accounts of one box. Everything is called on the event loop."""

    def __init__(self, accounts: Sequence[Account], start: Mapping[str, Any], arrived: Arrived) -> None:
        self.registrations = [Registration() for _ in accounts]
        self.workers = 0  # that were started
        self.ended: int | None = None  # how the last one did
        self.trouble = ""
        self._accounts = accounts
        self._start = start  # the worker's first message
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, SipCall] = {}
        self._next = 2  # our own calls are even
        self._packets: Packets | None = None
        self._alive_at = 0.0
        self._ready = False
        self._why = ""  # the worker ends, in its own words
        self._gone = asyncio.Event()

    def call(self) -> SipCall:
        """Return the way of a call that we make."""
        self._next += 2
        return self._open(self._next)

    def _open(self, number: int) -> SipCall:
        call = self._calls[number] = SipCall(number, self)
        return call

    def forget(self, call: SipCall) -> None:
        """Nobody reads that call any more."""
        if self._calls.get(call.number) is call:
            del self._calls[call.number]

    # ---------------------------------------------------------------------------------------------- the worker

    async def live(self) -> None:
        """Keep a worker running until cancelled."""
        failures = 0
        while True:
            if find_spec("baresip") is None:
                self.trouble = MISSING
                log.error("sip: %s", MISSING)
                return
            began = self._loop.time()
            why = await self._work()
            self._lose_all()
            failures = 0 if self._loop.time() - began > STEADY_S else failures + 1
            again_s = AGAIN_S[min(failures, len(AGAIN_S) - 1)]
            self.trouble = f"{why}, for the {failures}. time in a row" if failures > 1 else why
            log.error("sip: %s; a new one follows in %g s", self.trouble, again_s)
            await asyncio.sleep(again_s)

    async def _work(self) -> str:
        """Be one worker's life; say how it ended."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The library makes a directory, and leaves it when it is ended hard. A service's is in memory. Whoever of the
        # two is there at the end removes it: one may have been killed.
        memory = os.environ.get("RUNTIME_DIRECTORY")
        with ours, theirs, TemporaryDirectory(prefix="edgevoice-sip-", dir=memory) as folder:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "edgevoice.drivers.sip_worker", str(theirs.fileno()), folder,
                    pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
            except OSError as error:
                return f"no worker can be started ({error.strerror})"
            theirs.close()
            self.workers += 1
            self._why = ""
            self._gone.clear()
            self._alive_at = self._loop.time() + START_S - HUNG_S
            self._packets = Packets(ours, self._take, self._gone.set)
            self.send(json.dumps(self._start))
            hangs = False
            try:
                hangs = await self._watch()
            finally:
                self._packets.close()
                self._packets = None
                ours.close()
                self.ended = await _end(process, 0.0 if hangs else STOP_S)
        return "the worker hung" if hangs else f"the worker has ended ({self._why or self.ended})"

    async def _watch(self) -> bool:
        """Have accounts registered while the worker lives; tell whether it hangs."""
        while not self._gone.is_set():
            now = self._loop.time()
            if now - self._alive_at > HUNG_S:
                return True
            for index, registration in enumerate(self.registrations):
                if now >= registration.deadline and self._ready:
                    registration.asked(now)
                    self.send(json.dumps({"do": "register", "account": index}))
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._gone.wait()
            except TimeoutError:
                pass
        return False

    def send(self, message: str | bytes) -> None:
        """Tell the worker, if there is one."""
        if self._packets is not None:
            self._packets.send(message.encode() if isinstance(message, str) else message)

    async def room(self) -> None:
        """Wait until the worker has taken what it was sent."""
        if self._packets is not None:
            await self._packets.room()

    # -------------------------------------------------------------------------------------------- what it says

    def _take(self, packet: bytes) -> None:
        if packet[:1] == b"{":
            self._alive_at = self._loop.time()
            self._told(packet.decode(errors="replace"))
        elif len(packet) > NUMBER.size and (call := self._calls.get(NUMBER.unpack_from(packet)[0])):
            call.take(packet)

    def _told(self, message: str) -> None:
        try:
            told = json.loads(message)
        except (ValueError, RecursionError):
            return
        known = range(len(self._accounts))
        match told:
            case {"is": "ready"}:
                self._ready = True
                self.trouble = ""
            case {"is": "fault", "what": str(what)}:
                self._why = what
            case {"is": "registered", "account": int(account)} if account in known:
                self._registered(account)
            case {"is": "unregistered", "account": int(account), "status": int(status)} if account in known:
                if news := self.registrations[account].failed(status, self._loop.time()):
                    log.warning("sip: account %d: %s", account, news)
            case {
                "is": "incoming",
                "call": int(number),
                "account": int(account),
                "from": str(),
                "shown": str(shown),
            } if account in known:
                call = self._open(number)
                call.take(message)
                self._arrived(call, account, caller(told["from"]), shown)
            case {"call": int(number)} if number in self._calls:
                self._calls[number].take(message)

    def _registered(self, account: int) -> None:
        registration = self.registrations[account]
        if not registration.registered:
            log.info("sip: account %d is registered at %s", account, self._accounts[account].host)
        registration.succeeded(self._loop.time())

    def _lose_all(self) -> None:
        self._ready = False
        for call in list(self._calls.values()):
            call.lose()
        for registration in self.registrations:
            registration.lost(self._loop.time())


async def _end(process: asyncio.subprocess.Process, within_s: float) -> int:
    """Let the worker say goodbye, or end it; return its exit status."""
    try:
        async with asyncio.timeout(within_s):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()
