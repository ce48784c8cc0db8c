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
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from typing import Any

from baresip import BaresipError, Config, Runtime
from baresip._native import lib

from edgevoice.drivers.packets import Packets
from edgevoice.drivers.sip_accounts import Accounts
from edgevoice.drivers.sip_calls import PUMP_S, Calls
from edgevoice.drivers.sip_ghosts import lay_ghosts

ALIVE_S = 0.25  # the parent replaces a worker that says nothing for a second
LOOK_S = 1.0  # how much waits is looked at that often
ADDRESS_S = 2.0  # our own, too
QUALITY_S = 5.0  # a call of which nothing is said for half a minute counts as dead, also on hold
LEAVE_S = 1.0  # to say goodbye to callers and registrars
STUCK_S = 5.0  # the library's own thread answers nothing any more


class Worker:
    """The worker's life, and what the parent asks of it."""

    def __init__(self, parent: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._packets = Packets(parent, self._take, self._gone)
        self._first: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        self._runtime = Runtime()
        self._accounts = Accounts(self._runtime, self._tell_account)
        self._calls = Calls(self._runtime, self._accounts, self._packets, self._tell, self._start)
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
        lay_ghosts()
        await self._accounts.open(first["accounts"])
        self._calls.attend()
        self._accounts.look()
        self._tell("ready")
        self._start(self._keep_address({account["domain"] for account in first["accounts"]}))
        live = self._loop.create_task(self._live())
        quality_at = looked_at = self._loop.time()
        while not self._over.is_set() and not live.done():
            await asyncio.sleep(PUMP_S)
            self._calls.pump()
            now = self._loop.time()
            if now - looked_at >= LOOK_S:
                looked_at = now
                self._calls.look()
            if now - quality_at >= QUALITY_S:
                quality_at = now
                self._calls.tell_quality()
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
        await asyncio.wait([*self._calls.part(), self._start(self._accounts.leave())], timeout=LEAVE_S)

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
            self._calls.play(packet)
        elif self._first.done():
            self._do(json.loads(packet))
        else:
            self._first.set_result(json.loads(packet))

    def _do(self, asked: dict[str, Any]) -> None:
        if asked["do"] == "register":
            self._start(self._accounts.register(asked["account"]))
        else:
            self._calls.do(asked)

    def _start(self, work: Any) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (mistake := task.exception()):
            self.fail(mistake)


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


def main() -> None:
    """Work for the parent at the other end of the socket whose descriptor is the first argument.

    The second one is a directory for what the library writes; it is removed.
    """
    parent, folder = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    tempfile.tempdir = folder
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
            try:
                parent.send(json.dumps({"is": "fault", "what": _words(mistake)}).encode())
            except OSError:
                pass  # nobody is there any more
        shutil.rmtree(folder, ignore_errors=True)
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
