"""What the stand-ins for agents' services have in common: each is a process of its own, and keeps a log.

They import nothing of what they test.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

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


class Connection:
    """A client, with half a network each way. `receive` takes its messages; what is in `tasks` ends with it."""

    def __init__(self, socket: ServerConnection, delay_s: float, receive: Callable[[str | bytes], None]) -> None:
        self.tasks: asyncio.TaskGroup
        self._socket, self._receive = socket, receive
        self._to_client, self._from_client = Pipe(delay_s), Pipe(delay_s)

    def put(self, message: str | bytes | Close) -> None:
        """Send a message."""
        self._to_client.put(message)

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


def run(make: Callable[[Log], Server], port: int, log: str | None) -> None:
    """Be the process: print the port, and serve until somebody ends it. `log` names a file."""
    with open(log, "w") if log else nullcontext() as file:
        asyncio.run(_serve(make(Log(file)), port))


async def _serve(server: Server, port: int) -> None:
    async with serve(
        server.connect, "127.0.0.1", port, process_request=server.admit, max_size=None, compression=None
    ) as listening:
        print(json.dumps({"port": next(iter(listening.sockets)).getsockname()[1]}), flush=True)
        await listening.serve_forever()
