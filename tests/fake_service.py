"""What the stand-ins for agents' services have in common: each is a process of its own, and keeps a log.

They import nothing of what they test.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import itertools
import json
import math
import ssl
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

import numpy as np
import pydantic
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

FRAME_MS = 20  # of the voice detector
ONSET_FRAMES = 3  # 60 ms: a click is shorter


@dataclass(slots=True)
class Ear:
    """A voice detector that knows loudness only. It counts milliseconds of the sound written in this session."""

    rate: int
    threshold_dbfs: float
    heard_ms: int = 0
    speaking: bool = False
    loud: int = 0  # frames in a row
    quiet: int = 0
    rest: bytes = b""

    def listen(self, pcm: bytes, prefix_ms: int, silence_ms: int) -> Iterator[tuple[str, int]]:
        """Yield ("started" or "stopped", audio position in ms)."""
        self.rest += pcm
        size = FRAME_MS * self.rate * 2 // 1000
        while len(self.rest) >= size:
            frame, self.rest = np.frombuffer(self.rest[:size], "<i2").astype(float), self.rest[size:]
            self.heard_ms += FRAME_MS
            level = 10 * math.log10(float(np.mean(frame**2)) / 32768**2 + 1e-10)
            self.loud, self.quiet = (self.loud + 1, 0) if level > self.threshold_dbfs else (0, self.quiet + 1)
            if not self.speaking and self.loud == ONSET_FRAMES:
                self.speaking = True
                yield "started", max(0, self.heard_ms - self.loud * FRAME_MS - prefix_ms)
            elif self.speaking and self.quiet * FRAME_MS >= silence_ms:
                self.speaking = False
                yield "stopped", self.heard_ms


class Log:
    """JSON lines, written through at once: whoever waits for an event polls the file."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def __call__(self, connection: int, origin: str, type: str, **facts: object) -> None:
        if self._file:
            line = {"at": time.monotonic(), "connection": connection, "from": origin, "type": type, **facts}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


class Pipe:
    """Carries messages in order, each `delay_s` later: half a network."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._queue: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()

    def put(self, message: object) -> None:
        self._queue.put_nowait((time.monotonic() + self._delay_s, message))

    async def get(self) -> Any:
        due, message = await self._queue.get()
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        return message


@dataclass(slots=True)
class Close:
    """Put into the pipe to the client: ends the connection when everything before it is sent."""

    code: int
    reason: str = ""

    @classmethod
    def told(cls, words: str) -> Close:
        """Read CODE:REASON."""
        code, _, reason = words.partition(":")
        return cls(int(code), reason)


class Common:
    """What all connections of a stand-in share: its options, its log, and the voice that the agent speaks with."""

    def __init__(self, options: argparse.Namespace, log: Log, rate: int) -> None:
        """The voice is at `rate` Hz."""
        self.options, self.log = options, log
        self.connections = itertools.count(1)
        self._recordings = itertools.count(1)
        self._replies = itertools.count()
        self._voices = [read_voice(path, rate) for path in options.voice] or [hum(rate)]
        self._tool_pending = bool(options.tool)

    def next_voice(self) -> tuple[int, bytes]:
        """Return the number of the next answer, from 0 on, and how it sounds."""
        number = next(self._replies)
        return number, self._voices[number % len(self._voices)]

    def tool(self) -> tuple[str, str] | None:
        """Return name and arguments of the tool that the first answer of all calls; None for all later ones."""
        if not self._tool_pending:
            return None
        self._tool_pending = False
        name, _, arguments = self.options.tool.partition(":")
        return name, arguments

    def open_record(self) -> BinaryIO | None:
        """Open a file for the person's sound, if that is wanted: each time another one."""
        if not self.options.record:
            return None
        number, path = next(self._recordings), Path(self.options.record)
        return open(path if number == 1 else path.with_stem(f"{path.stem}-{number}"), "wb", buffering=0)


class Connection:
    """A client, with half a network each way. `receive` takes its messages; what is in `tasks` ends with it."""

    def __init__(self, common: Common, socket: ServerConnection, receive: Callable[[str | bytes], None]) -> None:
        self.number = next(common.connections)
        self.tasks: asyncio.TaskGroup
        self._common, self._socket, self._receive = common, socket, receive
        delay_s = common.options.delay_ms / 1000
        self._to_client, self._from_client = Pipe(delay_s), Pipe(delay_s)
        self._record: BinaryIO | None = None

    def put(self, message: str | bytes | Close) -> None:
        """Send a message."""
        self._to_client.put(message)

    def log(self, origin: str, type: str, **facts: object) -> None:
        self._common.log(self.number, origin, type, **facts)

    def violation(self, reason: str, message: object = "") -> None:
        """Write down what a client may not do."""
        self.log("fake", "violation", reason=reason, message=str(message)[:500])

    def begin_record(self) -> None:
        """Keep the person's sound from now on."""
        self._record = self._common.open_record()

    def record(self, pcm: bytes) -> None:
        if self._record:
            self._record.write(pcm)

    async def run(self, greet: Callable[[], None]) -> None:
        """Greet the client, and serve it until it has left."""
        try:
            async with asyncio.TaskGroup() as self.tasks:
                self.tasks.create_task(self._write())
                self.tasks.create_task(self._react())
                greet()
                try:
                    async for message in self._socket:
                        self._from_client.put(message)
                except ConnectionClosed:
                    pass
                raise _Gone
        except* _Gone:
            pass
        finally:
            if self._record:
                self._record.close()
            self.log("fake", "closed", code=self._socket.close_code)

    async def _write(self) -> None:
        try:
            while True:
                message = await self._to_client.get()
                if isinstance(message, Close):
                    await self._socket.close(message.code, message.reason)
                else:
                    await self._socket.send(message)
        except ConnectionClosed:
            pass  # the reader sees it too

    async def _react(self) -> None:
        while True:
            self._receive(await self._from_client.get())


class _Gone(Exception):
    """The client has left: everything of its session stops."""


def decode(audio: object) -> bytes | None:
    try:
        return base64.b64decode(audio, validate=True) if isinstance(audio, str) else None
    except binascii.Error:
        return None


def unknown_fields(value: object, path: str) -> Iterator[str]:
    """Find what the types of the package do not know: they let it pass, the real server does not."""
    if isinstance(value, pydantic.BaseModel):
        for name in value.model_extra or {}:
            yield f"{path}.{name}"
        for name in value.model_fields_set:
            yield from unknown_fields(getattr(value, name, None), f"{path}.{name}")
    elif isinstance(value, list):
        for i, element in enumerate(value):
            yield from unknown_fields(element, f"{path}[{i}]")


def read_voice(path: str, rate: int) -> bytes:
    with wave.open(path, "rb") as file:
        shape = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        if shape != (rate, 1, 2):
            raise SystemExit(f"{path} is {shape}, expected {(rate, 1, 2)} (Hz, channels, bytes)")
        return file.readframes(file.getnframes())


def hum(rate: int) -> bytes:
    """Make two seconds of 220 Hz, for whoever does not care what the agent says."""
    return (8000 * np.sin(np.arange(2 * rate) * 2 * np.pi * 220 / rate)).astype("<i2").tobytes()


class Server(Protocol):
    """What a stand-in shares between its connections."""

    async def connect(self, socket: ServerConnection) -> None:
        """Serve one client until it has left."""

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """Let a client in (None), or answer it otherwise."""


def parser(description: str | None, rate: int) -> argparse.ArgumentParser:
    """Return a parser of the options that all stand-ins have; the voice is at `rate` Hz."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"), help="serve over TLS")
    parser.add_argument("--log", help="JSON lines")
    parser.add_argument("--record", help="the person's sound, raw; a second conversation's beside it as NAME-2")
    parser.add_argument("--voice", action="append", default=[], help=f"WAV, {rate} Hz mono; several are used in turn")
    parser.add_argument("--speed", type=float, default=10.0, help="times faster than it can be heard")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="of the network, one way, in both directions")
    parser.add_argument("--vad-dbfs", type=float, default=-40.0, help="louder than this is a voice")
    parser.add_argument("--tool", default="", metavar="NAME:ARGUMENTS", help="called by the first answer")
    parser.add_argument("--close-at-once", type=int, nargs="?", const=1000, metavar="CODE")
    parser.add_argument("--garbage", action="store_true", help="send what no server should")
    parser.add_argument("--huge", action="store_true", help="send a message of 20 MB")
    return parser


def run(make: Callable[[Common], Server], options: argparse.Namespace, rate: int) -> None:
    """Be the process: print the port, and serve until somebody ends it. The voice is at `rate` Hz."""
    with open(options.log, "w") if options.log else nullcontext() as file:
        asyncio.run(_serve(make(Common(options, Log(file), rate)), options.port, _secured(options.tls)))


def _secured(files: tuple[str, str] | None) -> ssl.SSLContext | None:
    """Return what serves over TLS, of the files of a certificate and its key."""
    if files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


async def _serve(server: Server, port: int, context: ssl.SSLContext | None) -> None:
    async with serve(
        server.connect, "127.0.0.1", port, process_request=server.admit, max_size=None, compression=None, ssl=context
    ) as listening:
        print(json.dumps({"port": next(iter(listening.sockets)).getsockname()[1]}), flush=True)
        await listening.serve_forever()
