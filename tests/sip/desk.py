"""The box's side of a SIP test: an endpoint with its worker, and calls that tell what they were told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from edgevoice.drivers.sip import Endpoint, SipCall
from edgevoice.events import Audio, Closed, Event
from edgevoice.lines.service import Began, Flowing, Meaning
from edgevoice.lines.sip import Sip
from edgevoice.lines.sip_account import Account, worker_account, worker_start
from tests.sip.media import Media
from tests.sip.peer import Invited, Message, Peer, sdp

WAIT_S = 30.0  # this machine may be busy with other things


class Talk:
    """One call, read as it goes."""

    def __init__(self, call: SipCall, service: Sip) -> None:
        self.service = service
        self.told: list[Meaning] = []
        self.sound = bytearray()
        self._call = call
        self._changed = asyncio.Event()
        self._reading = asyncio.get_running_loop().create_task(self._read())
        for message in service.open():
            self.say(message)

    async def _read(self) -> None:
        async for message in self._call:
            self._take(self.service.receive(message, asyncio.get_running_loop().time()))
        if not any(isinstance(one, Closed) for one in self.told):
            self._take((self.service.closed(1006),))

    def _take(self, meanings: Sequence[Meaning]) -> None:
        for one in meanings:
            if isinstance(one, Audio):
                self.sound += one.pcm
            else:
                self.told.append(one)
        self._changed.set()

    def say(self, *messages: str | bytes) -> None:
        for message in messages:
            self._call.send_now(message)

    def answer(self) -> None:
        self.say(*self.service.begin())

    def hang_up(self) -> None:
        self.say(*self.service.end())

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def hears(self, wanted: Meaning | Event) -> None:
        """Wait until it was told."""
        await self.until(lambda: wanted in self.told)

    async def began(self) -> Began:
        await self.until(lambda: any(isinstance(one, Began) for one in self.told))
        return next(one for one in self.told if isinstance(one, Began))

    async def closed(self) -> Closed:
        await self.until(lambda: any(isinstance(one, Closed) for one in self.told))
        return next(one for one in self.told if isinstance(one, Closed))

    async def outcome(self) -> Flowing | Closed:
        """Wait until somebody answers, or will not."""
        await self.until(lambda: any(isinstance(one, Flowing | Closed) for one in self.told))
        return next(one for one in self.told if isinstance(one, Flowing | Closed))

    def drop(self) -> None:
        self._reading.cancel()
        self._call.abort()


class Desk:
    """An endpoint that runs, and who has called."""

    def __init__(self, accounts: Sequence[Account], *, password: str, srtp: str, calls: int, ca_file: str) -> None:
        self.accounts = accounts
        self.came: asyncio.Queue[tuple[Talk, bool]] = asyncio.Queue()
        self.talks: list[Talk] = []
        codecs = ("PCMU", "PCMA", "G722", "opus")
        known = [worker_account(account, password, codecs=codecs, srtp=srtp) for account in accounts]
        start = worker_start(accounts, known, calls=calls, jitter_ms=20, ca_file=ca_file)
        self.endpoint = Endpoint(accounts, start, self._arrived)

    def _arrived(self, call: SipCall, account: int, who: str, shown: str) -> None:
        talk = self._talk(call, Sip(call.number))
        self.came.put_nowait((talk, self.accounts[account].may_be_answered(who, shown)))

    def _talk(self, call: SipCall, service: Sip) -> Talk:
        self.talks.append(Talk(call, service))
        return self.talks[-1]

    async def visitor(self) -> tuple[Talk, bool]:
        """Wait for a call that comes in; and whether it may be answered automatically."""
        async with asyncio.timeout(WAIT_S):
            return await self.came.get()

    def dial(self, uri: str, account: int = 0) -> Talk:
        call = self.endpoint.call()
        return self._talk(call, Sip(call.number, {"account": account, "uri": uri}))

    async def until(self, true: Callable[[], object], within_s: float = WAIT_S) -> None:
        """Wait for what the endpoint tells by no event."""
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.02)

    async def registered(self, account: int = 0, within_s: float = WAIT_S) -> None:
        await self.until(lambda: self.endpoint.registrations[account].registered, within_s)


@asynccontextmanager
async def desk(
    *accounts: Account, password: str = "secret6001", srtp: str = "off", calls: int = 8, ca_file: str = ""
) -> AsyncIterator[Desk]:
    """Run the SIP side of a box."""
    running = Desk(accounts, password=password, srtp=srtp, calls=calls, ca_file=ca_file)
    living = asyncio.get_running_loop().create_task(running.endpoint.live())
    try:
        yield running
    finally:
        for talk in running.talks:
            talk.drop()
        living.cancel()
        await asyncio.wait([living])


def worker() -> int:
    """Return the process of the one worker of this process."""
    (only,) = workers()
    return only


def workers(of: int = 0) -> list[int]:
    """Return the workers of a process, or of this one."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1:2] if words else []
        except OSError:
            continue
        if b"edgevoice.drivers.sip_worker" in words and parent == [str(of or os.getpid())]:
            found.append(int(entry.name))
    return found


async def answered(peer: Peer, ours: Desk, media: Media, *, who: str = "boss") -> tuple[Invited, Talk, Message]:
    """Have a call come in and be answered, with sound; return both its ends, and the answer that the peer got."""
    call = peer.invite(who=who, body=sdp(media.port))
    talk, _ = await ours.visitor()
    talk.answer()
    ok = await call.answered()
    media.towards(ok.body)
    await talk.hears(Flowing())
    return call, talk, ok
