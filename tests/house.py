"""The whole program without a sound card in this process: lines, agents, and a service that dials in by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from edgevoice.catalogue import Agents
from edgevoice.config import Secret, load
from edgevoice.doors import Doors
from edgevoice.drivers.relay import Relays
from edgevoice.headless import Headless
from tests import journal

CONFIGURATION = """
[lines]
listen = "{listen}"
max_calls = {max_calls}
{lines}
[call]
incoming = "parrot"
[line.elks]
path_token_file = "token"
{elks}
[line.twilio]
path_token_file = "token"
{twilio}
[status]
socket = "{folder}/control.sock"
"""
NOTHING: Mapping[str, str] = {}
SILENCE = json.dumps({"t": "audio", "data": "A" * 856})  # 20 ms at 16 kHz


@dataclass(frozen=True)
class Files:
    """Files in a folder; `token` is there by itself."""

    folder: Path

    def secret(self, name: str, key: str) -> Secret:
        return Secret(journal.KEY if name == "token" else (self.folder / name).read_text())

    def text(self, name: str, key: str) -> str:
        return (self.folder / name).read_text()

    def path(self, name: str, key: str) -> Path:
        return self.folder / name


def run(story: Coroutine[Any, Any, None], within_s: float = 60.0) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await story

    asyncio.run(bounded())


async def until(true: Callable[[], object]) -> None:
    """Wait until it is so; the story's own limit ends the wait."""
    while True:
        if true():
            return
        await asyncio.sleep(0.002)


@asynccontextmanager
async def house(
    folder: Path, *, listen: str = "127.0.0.1:0", max_calls: int = 4, lines: str = "", elks: str = "", twilio: str = ""
) -> AsyncIterator[Headless]:
    """Run the program; afterwards it is stopped as by SIGTERM, and its own mistakes are raised."""
    text = CONFIGURATION.format(
        listen=listen, max_calls=max_calls, lines=lines, elks=elks, twilio=twilio, folder=folder
    )
    box = Headless(Agents(load(text), Files(folder)), Doors({}, lambda: Relays(facts="none")))
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: box.fail(context.get("exception") or RuntimeError(str(context))))
    async with asyncio.TaskGroup() as group:
        living = group.create_task(box.live(group))
        await until(lambda: box.lines.address or box.lines.trouble)
        try:
            yield box
        finally:
            box.stop()
            await living


def dialling_in(box: Headless, path: str = f"/elks/{journal.KEY}", headers: Mapping[str, str] = NOTHING) -> connect:
    url = f"ws://{box.lines.address}{path}"
    return connect(url, additional_headers=headers, proxy=None, compression=None, max_size=None)


async def say_hello(socket: ClientConnection, call: str = "c1", caller: str = journal.CALLER) -> None:
    await socket.send(json.dumps({"t": "hello", "callid": call, "from": caller, "to": journal.CALLEE}))


async def next_kind(socket: ClientConnection) -> str:
    """Return what the next message is; "" when there is none."""
    try:
        return str(json.loads(await socket.recv())["t"])
    except ConnectionClosed:
        return ""


async def last_kind(socket: ClientConnection) -> str:
    """Return what the last message before the end is."""
    last = ""
    while kind := await next_kind(socket):
        last = kind
    return last
