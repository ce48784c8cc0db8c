"""Many phone calls at once, and the agent they talk with: both ends of every call in one process, as cheap as can be.

    python -m benchmarks.line_load --calls 50 --seconds 60      prints {"agent": PORT}; then reads the box's URL
                                                                prints {"steady": true}, {"over": true}, and the figures

Twilio on the one side, OpenAI's protocol on the other, in frames of WebSockets that are made before they are needed:
whoever measures must not be what is measured. Each side sends a number every 20 ms, as a level of sound that no codec
changes; what arrives is kept with its time, and read when all is over. It imports nothing of what it measures.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import hashlib
import json
import re
import resource
import struct
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np

from tests.phone.counting import COUNT, Reader, numbered
from tests.phone.sound import decode, encode

FRAME_S = 0.020
STAGGER_S = 0.047  # between two calls: no multiple of a frame
JOIN_S = 10.0  # more than that, and the box has no time for this call
SETTLE_S = 2.0  # after the last call came in
LINE_RATE, AGENT_RATE = 8000, 24_000
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, clause 1.3
SOUND = 200  # characters: a message that is longer is sound, and is read later
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A

Received = list[tuple[float, bytes]]


def framed(text: str, *, masked: bool) -> bytes:
    """Return a text message; the mask of a client is zeros, which change nothing."""
    payload, mask = text.encode(), 0x80 if masked else 0
    if len(payload) > 125:
        head = struct.pack("!BBH", TEXT, mask | 126, len(payload))
    else:
        head = struct.pack("!BB", TEXT, mask | len(payload))
    return head + (bytes(4) if masked else b"") + payload


def _numbers(rate: int, format: str) -> list[str]:
    """Return the sound of each number in base64."""
    sound = encode(numbered(COUNT, rate), format)
    size = len(sound) // COUNT
    return [base64.b64encode(sound[at : at + size]).decode() for at in range(0, len(sound), size)]


MEDIA = [
    framed(
        json.dumps({"event": "media", "streamSid": "MZ1", "media": {"track": "inbound", "payload": sound}}), masked=True
    )
    for sound in _numbers(LINE_RATE, "ulaw")
]
PLACE = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
DELTAS = [
    framed(json.dumps({"type": "response.output_audio.delta", "event_id": "e", **PLACE, "delta": sound}), masked=False)
    for sound in _numbers(AGENT_RATE, "s16le")
]


class End(asyncio.Protocol):
    """One end of a call: sends a number every 20 ms, and keeps what it hears."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.sent: list[float] = []
        self.heard: Received = []
        self.closed = False
        self._frames = frames
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._open = False
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    def data_received(self, data: bytes) -> None:
        at = time.monotonic()
        self._buffer += data
        if not self._open:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._open, self._buffer = True, rest
            self.opened(head)
        self._take(at)

    def _take(self, at: float) -> None:
        buffer, start = self._buffer, 0
        while len(buffer) - start >= 2:
            kind, size = buffer[start], buffer[start + 1]
            masked, size, head = bool(size & 0x80), size & 0x7F, 2
            if size > 125:
                width = 2 if size == 126 else 8
                head += width
                size = int.from_bytes(buffer[start + 2 : start + 2 + width], "big")
            end = start + head + 4 * masked + size
            if len(buffer) < end or len(buffer) < start + head:
                break
            payload = buffer[start + head : end]
            if kind == TEXT and size > SOUND:
                self.heard.append((at, payload))
            elif kind == PING:
                payload = unmasked(payload) if masked else payload  # or the answer is to another question
                self.transport.write(bytes([PONG, size | 0x80 * (not masked)]) + bytes(4 * (not masked)) + payload)
            elif kind == TEXT:
                self.told(json.loads(unmasked(payload) if masked else payload))
            start = end
        self._buffer = buffer[start:]

    def opened(self, head: bytes) -> None:
        """The handshake is over."""

    def told(self, message: dict[str, Any]) -> None:
        """Take a message that is no sound."""

    def speak(self) -> None:
        self._began = self._loop.time()
        self._tick()

    def _tick(self) -> None:
        if self.closed:
            return
        self.sent.append(time.monotonic())
        self.transport.write(self._frames[(len(self.sent) - 1) % COUNT])
        self._loop.call_at(self._began + len(self.sent) * FRAME_S, self._tick)


class Caller(End):
    """Twilio's side of one call."""

    def __init__(self, number: int, path: str) -> None:
        super().__init__(MEDIA)
        self._number, self._path = number, path

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        key = base64.b64encode(self._number.to_bytes(16, "big")).decode()
        self.transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def opened(self, head: bytes) -> None:
        assert head.startswith(b"HTTP/1.1 101"), head
        call = {"callSid": f"CA{self._number}", "streamSid": "MZ1"}
        self.transport.write(framed(json.dumps({"event": "connected"}), masked=True))
        self.transport.write(framed(json.dumps({"event": "start", "streamSid": "MZ1", "start": call}), masked=True))
        self.speak()

    def told(self, message: dict[str, Any]) -> None:
        if message["event"] == "mark":
            self.transport.write(framed(json.dumps(message), masked=True))
        elif message["event"] == "media":
            raise AssertionError("sound is longer than SOUND")


class Agent(End):
    """OpenAI's side: one response without end."""

    def __init__(self, came: Callable[[Agent], None]) -> None:
        super().__init__(DELTAS)
        self._came = came

    def opened(self, head: bytes) -> None:
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
        assert key, head
        accept = base64.b64encode(hashlib.sha1(key[1] + MAGIC).digest()).decode()
        self.transport.write(
            f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        self._tell("session.created", session={"id": "s", "expires_at": int(time.time()) + 3600})
        self._loop.call_later(0.02, self._begin)

    def _begin(self) -> None:
        """Speak as soon as it is asked to greet; what asks for it is a long message, and so is not read here."""
        self._tell("session.updated", session={"id": "s", "expires_at": int(time.time()) + 3600})
        self._loop.call_later(0.1, self._respond)

    def _respond(self) -> None:
        self._tell("response.created", response={"id": "resp_1", "status": "in_progress", "output": []})
        item = {"id": "item_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        self._tell("response.output_item.added", response_id="resp_1", output_index=0, item=item)
        self._came(self)
        self.speak()

    def _tell(self, type: str, **fields: object) -> None:
        self.transport.write(framed(json.dumps({"type": type, "event_id": "e", **fields}), masked=False))


def unmasked(payload: bytes) -> bytes:
    """Return what a client sent: behind four bytes of mask."""
    mask, body = payload[:4], np.frombuffer(payload[4:], np.uint8)
    return (body ^ np.resize(np.frombuffer(mask, np.uint8), len(body))).tobytes()


# --------------------------------------------------------------------------------------------------- the figures


def sounds_of_agent(call: Agent, since: float, until: float) -> list[tuple[float, np.ndarray[Any, Any]]]:
    texts = ((at, unmasked(payload)) for at, payload in call.heard if since <= at < until)
    found = ((at, json.loads(text)) for at, text in texts)
    return [(at, decode(base64.b64decode(one["audio"]), "s16le")) for at, one in found if "audio" in one]


def sounds_of_caller(call: Caller, since: float, until: float) -> list[tuple[float, np.ndarray[Any, Any]]]:
    found = ((at, json.loads(payload)) for at, payload in call.heard if since <= at < until)
    return [(at, decode(base64.b64decode(one["media"]["payload"]), "ulaw")) for at, one in found]


def read(sounds: Sequence[tuple[float, np.ndarray[Any, Any]]], sent: Sequence[float], rate: int) -> dict[str, Any]:
    """Return the delay of each number that was heard, in ms, and whether all came, in order."""
    reader = Reader(rate)
    delays: list[float] = []
    offset: int | None = None
    for at, samples in sounds:
        for number in reader.read(samples):
            if offset is None:  # the latest that left with this number
                latest = bisect_right(sent, at) - 1
                offset = latest - (latest - number) % COUNT - number
            if 0 <= number + offset < len(sent):
                delays.append((at - sent[number + offset]) * 1000)
    faults = reader.lost + reader.doubled + reader.disordered
    return {"delays": delays, "frames": reader.seen, "faults": faults}


def figures(callers: Sequence[Caller], agents: Sequence[Agent], since: float, until: float) -> dict[str, Any]:
    to_agent = [
        read(sounds_of_agent(agent, since, until), caller.sent, AGENT_RATE)
        for caller, agent in zip(callers, agents, strict=True)
    ]
    to_caller = [
        read(sounds_of_caller(caller, since, until), agent.sent, LINE_RATE)
        for caller, agent in zip(callers, agents, strict=True)
    ]
    found: dict[str, Any] = {}
    for name, ends in {"to_agent": to_agent, "to_caller": to_caller}.items():
        found[name] = {
            "delays_ms": [round(delay, 2) for end in ends for delay in end["delays"]],
            "frames": sum(end["frames"] for end in ends),
            "least_frames": min(end["frames"] for end in ends),
            "faults": sum(end["faults"] for end in ends),
        }
    return found | {"closed": sum(call.closed for call in (*callers, *agents))}


# ------------------------------------------------------------------------------------------------------- the run


async def main(options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    agents: list[Agent] = []
    came = asyncio.Event()

    def joined(agent: Agent) -> None:
        agents.append(agent)
        came.set()

    server = await loop.create_server(lambda: Agent(joined), "127.0.0.1", 0)
    print(json.dumps({"agent": server.sockets[0].getsockname()[1]}), flush=True)
    address = urlsplit((await asyncio.to_thread(sys.stdin.readline)).strip())
    callers: list[Caller] = []
    for number in range(options.calls):
        came.clear()
        _, caller = await loop.create_connection(partial(Caller, number, address.path), address.hostname, address.port)
        callers.append(caller)
        try:
            async with asyncio.timeout(JOIN_S):
                await came.wait()  # so the two ends of each call are found together
        except TimeoutError:
            raise SystemExit(f"call {number + 1} was not joined within {JOIN_S:g} s: the machine is too slow") from None
        await asyncio.sleep(STAGGER_S)
    await asyncio.sleep(SETTLE_S)
    gc.collect()
    gc.disable()
    print(json.dumps({"steady": True}), flush=True)
    late: list[float] = []
    since, used = time.monotonic(), _used_s()
    while (now := time.monotonic()) < since + options.seconds:
        await asyncio.sleep(FRAME_S)
        late.append((time.monotonic() - now - FRAME_S) * 1000)
    until = time.monotonic()
    own = (_used_s() - used) / (until - since) * 100
    print(json.dumps({"over": True}), flush=True)
    found = figures(callers, agents, since, until) | {"own_percent": own, "own_late_ms": late}
    for call in (*callers, *agents):
        call.transport.abort()
    server.close()
    print(json.dumps(found), flush=True)


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    parser = argparse.ArgumentParser("benchmarks.line_load")
    parser.add_argument("--calls", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    asyncio.run(main(parser.parse_args()))
