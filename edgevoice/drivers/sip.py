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
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from edgevoice.lines.sip import Account, Registration, caller, healthy

log = logging.getLogger(__name__)

HUNG_S = 1.5  # without a sign of life; the worker gives one four times a second
AGAIN_S = (0.0, 0.5, 1.0, 2.0, 5.0)  # before a new worker, while they die at once
STEADY_S = 10.0
START_S = 10.0  # on the smallest Pi Python alone takes three
STOP_S = 2.0  # to hang up and to unregister
WAITING = 64  # messages of a call that are not taken yet: a second of sound
LARGEST = 65536

Arrived = Callable[["SipCall", int, str, str], None]  # the call, the account, who calls, what the secret header held


class SipCall:
    """One call's way to the worker and back. It looks like a WebSocket to who reads and writes it."""

    close_code = 1006

    def __init__(self, number: int, send: Callable[[str | bytes], None], forget: Callable[[int], object]) -> None:
        self.number = number
        self._send = send
        self._forget = forget
        self._come: asyncio.Queue[str | bytes | None] = asyncio.Queue()

    @property
    def transport(self) -> SipCall:
        return self

    async def send(self, message: str | bytes) -> None:
        self._send(message)

    def take(self, message: str | bytes) -> None:
        """Take a message of the worker's. Sound that nobody reads is thrown away, the oldest first."""
        if isinstance(message, str) or self._come.qsize() < WAITING:
            self._come.put_nowait(message)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (message := await self._come.get()) is not None:
            yield message

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        """Nothing more comes."""
        self._forget(self.number)
        self._come.put_nowait(None)


class Endpoint:
    """All accounts of one box. Everything is called on the event loop."""

    def __init__(self, accounts: Sequence[Account], start: Mapping[str, Any], arrived: Arrived) -> None:
        self.registrations = [Registration() for _ in accounts]
        self._accounts = accounts
        self._start = start  # the worker's first message
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, SipCall] = {}
        self._next = 2  # our own calls are even
        self._socket: socket.socket | None = None
        self._alive_at = 0.0
        self.workers = 0  # that were started

    def call(self) -> SipCall:
        """Return the way of a call that we make."""
        self._next += 2
        return self._open(self._next)

    def healthy(self) -> int | None:
        """Return the account by which calls are made now, or None."""
        return healthy(self.registrations)

    async def live(self) -> None:
        """Keep a worker running until cancelled."""
        failures = 0
        while True:
            began = self._loop.time()
            await self._work()
            self._lose_all()
            failures = 0 if self._loop.time() - began > STEADY_S else failures + 1
            await asyncio.sleep(AGAIN_S[min(failures, len(AGAIN_S) - 1)])

    async def _work(self) -> None:
        """Be one worker's life."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "edgevoice.drivers.sip_worker", str(theirs.fileno()),
                pass_fds=[theirs.fileno()], stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            theirs.close()
            self.workers += 1
            self._socket = ours
            self._send(json.dumps(self._start))
            self._alive_at = self._loop.time() + START_S - HUNG_S
            self._loop.add_reader(ours, self._read)
            try:
                await self._watch(process)
            finally:
                self._loop.remove_reader(ours)
                self._socket = None
                await _end(process, ours)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Return when the worker is dead, or hangs."""
        while process.returncode is None and self._socket is not None:
            now = self._loop.time()
            if now - self._alive_at > HUNG_S:
                log.error("sip: the worker hangs, and is replaced")
                return
            for index, registration in enumerate(self.registrations):
                if now >= registration.deadline and self._ready:
                    registration.asked(now)
                    self._send(json.dumps({"do": "register", "account": index}))
            await asyncio.sleep(0.1)
        log.error("sip: the worker has ended (%s), and is replaced", process.returncode)

    _ready = False

    def _send(self, message: str | bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(message.encode() if isinstance(message, str) else message)
        except BlockingIOError:
            pass  # a worker that takes nothing hangs, and will be replaced
        except OSError:
            self._socket = None

    def _read(self) -> None:
        while self._socket is not None:
            try:
                packet = self._socket.recv(LARGEST)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._socket = None
                return
            if packet[:1] == b"{":
                self._told(packet.decode())
            elif call := self._calls.get(struct.unpack_from("<I", packet)[0]):
                call.take(packet)

    def _told(self, message: str) -> None:
        told = json.loads(message)
        self._alive_at = max(self._alive_at, self._loop.time())
        at = self._loop.time()
        match told["is"]:
            case "ready":
                self._ready = True
            case "registered":
                registration = self.registrations[told["account"]]
                if not registration.registered:
                    log.info("sip: account %d is registered at %s", told["account"], self._host(told["account"]))
                registration.succeeded(at)
            case "unregistered":
                if news := self.registrations[told["account"]].failed(told["status"], at):
                    log.warning("sip: account %d: %s", told["account"], news)
            case "incoming":
                call = self._open(told["call"])
                call.take(message)
                self._arrived(call, told["account"], caller(told["from"]), told["shown"])
            case _ if "call" in told and told["call"] in self._calls:
                self._calls[told["call"]].take(message)

    def _host(self, account: int) -> str:
        return self._accounts[account].host

    def _open(self, number: int) -> SipCall:
        call = SipCall(number, self._send, lambda number: self._calls.pop(number, None))
        self._calls[number] = call
        return call

    def _lose_all(self) -> None:
        self._ready = False
        for call in list(self._calls.values()):
            call.abort()
        for registration in self.registrations:
            registration.lost(self._loop.time())


async def _end(process: asyncio.subprocess.Process, ours: socket.socket) -> None:
    """Let the worker say goodbye, or end it."""
    ours.close()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
