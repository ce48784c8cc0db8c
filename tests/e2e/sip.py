"""Telephones and the exchange that joins them: Debian's Kamailio on loopback, and people who call over `Endpoint`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import from_bytes, to_bytes
from edgevoice.drivers.sip import Endpoint, SipCall
from edgevoice.events import Audio, Closed, Digit, Progress, Stage
from edgevoice.lines.service import Flowing
from edgevoice.lines.sip import Sip
from edgevoice.lines.sip_account import Account, worker_account, worker_start
from tests.e2e.process import end
from tests.ports import free_port

Samples = NDArray[np.int16]

ROOT = Path(__file__).parent.parent.parent

CONFIGURATION = """#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
auto_aliases=no
{listen}
mpath="{modules}"
{modules_to_load}
modparam("htable", "htable", "pw=>size=4;")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", 10)
modparam("auth", "nonce_count", 0)
modparam("rr", "enable_full_lr", 1)
{tls}
event_route[htable:mod-init] {{ {users} }}
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483","Too Many Hops"); exit; }}
  force_rport();
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    sl_send_reply("404","Not here"); exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (is_method("OPTIONS")) {{ sl_send_reply("200","OK"); exit; }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("lab", "$sht(pw=>$fU)", "0")) {{ www_challenge("lab","1"); exit; }}
    {nat}
    if (!save("location", "0x04")) sl_reply_error(); exit;
  }}
  if (is_method("INVITE|MESSAGE")) {{
    if (!pv_proxy_authenticate("lab", "$sht(pw=>$fU)", "0")) {{ proxy_challenge("lab","1"); exit; }}
    consume_credentials();
  }}
  record_route();
  if (!lookup("location")) {{ sl_send_reply("404","Not Found"); exit; }}
  t_relay();
}}
"""
MODULES = (
    "tm",
    "sl",
    "rr",
    "pv",
    "maxfwd",
    "usrloc",
    "registrar",
    "textops",
    "siputils",
    "auth",
    "htable",
    "nathelper",
)
RECEIVED = 'modparam("nathelper|registrar", "received_avp", "$avp(RECEIVED)")'
TLS_SERVER = (
    "[server:default]\nmethod = TLSv1.2+\nprivate_key = {key}\ncertificate = {certificate}\nverify_certificate = no\n"
)
WAIT_S = 30.0


class Registrar:
    """Kamailio: digest, Record-Route, users with the password `password_of` them."""

    def __init__(
        self,
        users: Sequence[str] = ("door", "reception", "third"),
        *,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
    ) -> None:
        """Be at `host`; `inside`: the command that enters a network of its own."""
        self.host, self.port, self.tls_port = host, free_port(), free_port()
        self._users = users
        self._inside = inside
        self._folder = tempfile.TemporaryDirectory(prefix="edgevoice-sip.")
        self.folder = Path(self._folder.name)
        self._ca_file = self.folder / "ca.pem"

    @property
    def ca_file(self) -> Path:
        return self._ca_file

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def tls_address(self) -> str:
        return f"localhost:{self.tls_port}"

    def __enter__(self) -> Registrar:
        self._make_certificate()
        (self.folder / "tls.cfg").write_text(TLS_SERVER.format(key=self.folder / "key.pem", certificate=self.ca_file))
        modules = next(Path("/usr/lib").glob("*/kamailio/modules"))
        listen = [f"listen={kind}:{self.address}" for kind in ("udp", "tcp")]
        listen += [f"listen=tls:{self.host}:{self.tls_port}", "enable_tls=yes"]
        (self.folder / "kamailio.cfg").write_text(
            CONFIGURATION.format(
                listen="\n".join(listen),
                modules=f"{modules}/",
                modules_to_load="\n".join(f'loadmodule "{name}.so"' for name in (*MODULES, "tls")),
                tls=f'modparam("tls", "config", "{self.folder}/tls.cfg")\n{RECEIVED}',
                users=" ".join(f'$sht(pw=>{user})="{password_of(user)}";' for user in self._users),
                nat="fix_nated_register();",
            )
        )
        self.start()
        return self

    def start(self) -> None:
        self._log = (self.folder / "log").open("a")
        command = ["kamailio", "-DD", "-E", "-f", str(self.folder / "kamailio.cfg"), "-Y", str(self.folder)]
        command += ["-m", "64", "-M", "8", "-P", str(self.folder / "pid")]
        self.process = subprocess.Popen(
            [*self._inside, *command], stdout=self._log, stderr=self._log, start_new_session=True
        )
        give_up = time.monotonic() + WAIT_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < give_up, (self.folder / "log").read_text()

    def _answers(self) -> bool:
        """Ask for its options."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(0.2)
            one.bind((self._opposite(), 0))
            me = "{}:{}".format(*one.getsockname())
            lines = [
                f"OPTIONS sip:{self.address} SIP/2.0",
                f"Via: SIP/2.0/UDP {me};branch=z9hG4bK{os.urandom(4).hex()}",
                "Max-Forwards: 5",
                f"From: <sip:t@{me}>;tag=1",
                f"To: <sip:t@{self.address}>",
                f"Call-ID: {os.urandom(4).hex()}",
                "CSeq: 1 OPTIONS",
                "Content-Length: 0",
            ]
            try:
                one.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), (self.host, self.port))
                return b"200" in one.recv(2000)
            except OSError:
                return False

    def _opposite(self) -> str:
        """Return our own address on the way there."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect((self.host, self.port))  # sends nothing
            return str(one.getsockname()[0])

    def stop(self) -> None:
        end(self.process, WAIT_S)
        self._log.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def _make_certificate(self) -> None:
        asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        files = ["-keyout", str(self.folder / "key.pem"), "-out", str(self.ca_file)]
        subprocess.run(
            ["openssl", *asked.split(), *files, "-addext", "subjectAltName=DNS:localhost"],
            check=True,
            capture_output=True,
        )


def password_of(user: str) -> str:
    return f"secret of {user}"


class Talk:
    """One call of a person's, who hears and speaks at its rate."""

    def __init__(self, call: SipCall, service: Sip) -> None:
        self.service = service
        self.call = call
        self.heard: list[tuple[float, Samples]] = []
        self.events: list[tuple[float, object]] = []
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.reading = self._loop.create_task(self._read())

    async def _read(self) -> None:
        for message in self.service.open():
            await self.call.send(message)
        async for message in self.call:
            at = self._loop.time()
            for meaning in self.service.receive(message, at):
                if isinstance(meaning, Audio):
                    self.heard.append((at, from_bytes(meaning.pcm)))
                else:
                    self.events.append((at, meaning))
            self._changed.set()
        self.events.append((self._loop.time(), self.service.closed(1006)))
        self._changed.set()

    async def until(self, true: Callable[[], bool], within_s: float = WAIT_S) -> None:
        async with asyncio.timeout(within_s):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def until_event(self, wanted: object, within_s: float = WAIT_S) -> float:
        """Wait until that has happened (a value, or a class); return when it did."""

        def found() -> list[float]:
            return [
                at for at, one in self.events if one == wanted or (isinstance(wanted, type) and isinstance(one, wanted))
            ]

        await self.until(lambda: bool(found()), within_s)
        return found()[0]

    async def answer(self) -> None:
        for message in self.service.begin():
            await self.call.send(message)
        await self.until_event(Flowing)

    async def hang_up(self) -> None:
        for message in self.service.end():
            await self.call.send(message)

    async def say(self, pcm: Samples) -> None:
        """Speak: 20 ms at a time, as a microphone does."""
        size, begun = self.service.rate // 50, self._loop.time()
        for number, start in enumerate(range(0, len(pcm), size)):
            await asyncio.sleep(begun + number * 0.02 - self._loop.time())
            await self.send(pcm[start : start + size])

    async def send(self, pcm: Samples) -> None:
        for message in self.service.play(to_bytes(pcm)):
            await self.call.send(message)

    def sound(self, since: float = 0.0) -> Samples:
        """Return what was heard since then."""
        return np.concatenate([np.zeros(0, np.int16), *(pcm for at, pcm in self.heard if at >= since)])

    @property
    def closed(self) -> Closed | None:
        return next((one for _, one in self.events if isinstance(one, Closed)), None)

    @property
    def keys(self) -> str:
        return "".join(one.key for _, one in self.events if isinstance(one, Digit))


RINGS = Progress(Stage.RINGING)


class Telephone:
    """Somebody who is registered. `calls` are those that come in."""

    def __init__(self, account: Account, start: Mapping[str, object]) -> None:
        self.account = account
        self.calls: asyncio.Queue[Talk] = asyncio.Queue()
        self.talks: list[Talk] = []
        self.came_at: list[float] = []
        self._loop = asyncio.get_running_loop()
        self.endpoint = Endpoint([account], start, self._arrived)

    def _arrived(self, call: SipCall, account: int, who: str, shown: str) -> None:
        self.came_at.append(self._loop.time())
        self.calls.put_nowait(self._talk(call, Sip(call.number)))

    def _talk(self, call: SipCall, service: Sip) -> Talk:
        talk = Talk(call, service)
        self.talks.append(talk)
        return talk

    async def registered(self, within_s: float = WAIT_S) -> float:
        async with asyncio.timeout(within_s):
            while not self.endpoint.registrations[0].registered:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.01)
        return self._loop.time()

    def dial(self, user: str) -> Talk:
        call = self.endpoint.call()
        return self._talk(call, Sip(call.number, {"account": 0, "uri": f"sip:{user}@{self.account.host}"}))

    async def rung(self, within_s: float = WAIT_S) -> Talk:
        async with asyncio.timeout(within_s):
            return await self.calls.get()


class Exchange(Protocol):
    """Where people are registered: Kamailio, or Asterisk."""

    @property
    def address(self) -> str:
        """Its host and port."""

    @property
    def tls_address(self) -> str:
        """The same for TLS."""

    @property
    def ca_file(self) -> Path:
        """Who signed its certificate."""


@asynccontextmanager
async def telephone(
    registrar: Exchange,
    user: str,
    *,
    codecs: Sequence[str] = ("PCMA",),
    transport: str = "udp",
    srtp: str = "off",
    jitter_ms: int = 20,
) -> AsyncIterator[Telephone]:
    """Have somebody registered."""
    address = registrar.tls_address if transport == "tls" else registrar.address
    account = Account(address, user, transport)
    known = worker_account(account, password_of(user), codecs=codecs, srtp=srtp)
    start = worker_start([account], [known], calls=20, jitter_ms=jitter_ms, ca_file=str(registrar.ca_file))
    one = Telephone(account, start)
    living = asyncio.create_task(one.endpoint.live())
    try:
        await one.registered()
        yield one
    finally:
        await _cancel(living, *(talk.reading for talk in one.talks))


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def talking(calling: Telephone, called: Telephone) -> tuple[Talk, Talk]:
    """Return both ends of a call between the two."""
    theirs = calling.dial(called.account.user)
    ours = await called.rung()
    await ours.answer()
    await theirs.until_event(Flowing)
    return theirs, ours


@contextmanager
def bare(
    role: str, file: str, first: Mapping[str, Any], *, inside: Sequence[str] = ()
) -> Iterator[subprocess.Popen[str]]:
    """Run a telephone without a box (`benchmarks.sip_bare`) until it is left alone, from where it is registered on.

    `inside` is what a command begins with that is to run elsewhere.
    """
    command = [*inside, sys.executable, "-m", "benchmarks.sip_bare", role, file]
    env = os.environ | {"TMPDIR": str(Path(file).parent)}  # the library leaves a directory when it is killed
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=env, **pipes) as process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(first))
            process.stdin.close()
            assert process.stdout.readline() == "registered\n"
            yield process
        finally:
            process.kill()
