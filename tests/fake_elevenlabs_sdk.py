"""A stand-in for ElevenLabs' agents as the SDK meets them, as its own process. It imports nothing of what it tests.

    python tests/fake_elevenlabs_sdk.py --port 0 --log events.jsonl --voice reply.wav     prints {"port": 43210}

It greets, hears (by loudness alone), answers each turn with the voice, five times faster than that is spoken, and tells
an interruption some time after it began. The log is JSON lines, each with `at` (monotonic seconds), `from` (client,
server or fake) and `type`. What the SDK sends is checked against what is documented of it; the SDK checks what we send.

Source: elevenlabs.io/docs, API reference, "Agents WebSockets"; elevenlabs 2.78, conversational_ai/conversation.py.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import math
import time
import wave
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

RATE = 16_000
BYTES_PER_MS = RATE * 2 // 1000
PIECE_MS, FASTER = 100, 5  # of the reply: how much at once, and how much faster than it is spoken
FRAME_MS, LOUD_DBFS, VOICE_FRAMES, PAUSE_FRAMES = 20, -45.0, 3, 25  # of the ear: 60 ms are a voice, 500 ms a pause


class Session:
    """One conversation, from the initiation data to the end."""

    def __init__(self, options: argparse.Namespace, voice: bytes, socket: ServerConnection) -> None:
        self._options, self._voice, self._socket = options, voice, socket
        self._event_id = 0
        self._heard_ms = 0.0
        self._loud = self._quiet = 0
        self._speaking = False  # the person
        self._silent_at = 0.0  # the agent, as far as one can know it here
        self._rest = b""
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        query = parse_qs(urlsplit(self._socket.request.path).query) if self._socket.request else {}
        self._log("client", "upgrade", agent=query.get("agent_id"), source=query.get("source"))
        try:
            first = json.loads(await self._socket.recv())
            if first.get("type") != "conversation_initiation_client_data":
                self._log("fake", "violation", message=first)
            self._log("client", str(first.get("type")))
            formats = {"agent_output_audio_format": "pcm_16000", "user_input_audio_format": "pcm_16000"}
            await self._send("conversation_initiation_metadata", conversation_id="conv_1", **formats)
            await self._send("ping", event_id=1, ping_ms=20)
            self._later(self._speak())
            if self._options.interrupts_ms:
                self._later(self._interrupt(self._options.interrupts_ms))
            async for message in self._socket:
                await self._receive(json.loads(message))
        except ConnectionClosed:
            pass
        finally:
            for task in self._tasks:
                task.cancel()
            self._log("fake", "closed")

    async def _receive(self, message: dict[str, Any]) -> None:
        if list(message) == ["user_audio_chunk"]:
            await self._hear(base64.b64decode(message["user_audio_chunk"], validate=True))
        elif message.get("type") in ("pong", "user_message", "user_activity", "contextual_update"):
            self._log("client", message["type"], event_id=message.get("event_id"))
        else:
            self._log("fake", "violation", message=message)

    async def _hear(self, pcm: bytes) -> None:
        self._log("client", "user_audio_chunk", bytes=len(pcm))
        self._record(pcm)
        self._heard_ms += len(pcm) / BYTES_PER_MS
        if self._options.hang_up_ms and self._heard_ms >= self._options.hang_up_ms:
            await self._socket.close(self._options.hang_up_code)
            return
        self._rest += pcm
        while len(self._rest) >= FRAME_MS * BYTES_PER_MS:
            frame, self._rest = self._rest[: FRAME_MS * BYTES_PER_MS], self._rest[FRAME_MS * BYTES_PER_MS :]
            power = float(np.mean(np.frombuffer(frame, "<i2").astype(float) ** 2)) / 32768**2
            self._weigh(10 * math.log10(power + 1e-10) > LOUD_DBFS)

    def _weigh(self, loud: bool) -> None:
        """Notice, 20 ms after 20 ms, that the person begins to speak, and that the turn is over."""
        self._loud, self._quiet = (self._loud + 1, 0) if loud else (0, self._quiet + 1)
        if self._loud == VOICE_FRAMES and not self._speaking:
            self._speaking = True
            if time.monotonic() < self._silent_at and not self._options.deaf:
                self._later(self._interrupt(self._options.notices_ms))
        elif self._quiet == PAUSE_FRAMES and self._speaking:
            self._speaking = False
            self._later(self._answer())

    async def _interrupt(self, after_ms: float) -> None:
        await asyncio.sleep(after_ms / 1000)
        self._silent_at = 0.0
        await self._send("interruption", event_id=self._event_id)
        await self._send("agent_response_correction", original_agent_response="All.", corrected_agent_response="A...")

    async def _answer(self) -> None:
        await self._send("user_transcript", user_transcript="Words.")
        await self._speak()

    async def _speak(self) -> None:
        await self._send("agent_response", agent_response="All.")
        begun, length_s = time.monotonic(), len(self._voice) / BYTES_PER_MS / 1000
        self._silent_at = begun + length_s
        size = PIECE_MS * BYTES_PER_MS
        for number, first in enumerate(range(0, len(self._voice), size)):
            if not self._silent_at:
                return  # interrupted
            self._event_id += 1
            piece = base64.b64encode(self._voice[first : first + size]).decode()
            await self._send("audio", audio_base_64=piece, event_id=self._event_id)
            await asyncio.sleep(max(0.0, begun + (number + 1) * PIECE_MS / 1000 / FASTER - time.monotonic()))

    async def _send(self, type: str, **fields: Any) -> None:
        names = {
            "user_transcript": "user_transcription_event",
            "conversation_initiation_metadata": "conversation_initiation_metadata_event",
        }
        self._log("server", type, event_id=fields.get("event_id"))
        try:
            await self._socket.send(json.dumps({"type": type, names.get(type, f"{type}_event"): fields}))
        except ConnectionClosed:
            pass  # the reader sees it, too

    def _record(self, pcm: bytes) -> None:
        if self._options.record:
            with open(self._options.record, "ab") as file:
                file.write(pcm)

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _log(self, origin: str, type: str, **facts: Any) -> None:
        with open(self._options.log, "a") as file:
            file.write(json.dumps({"at": time.monotonic(), "from": origin, "type": type, **facts}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", required=True)
    parser.add_argument("--voice", type=Path, required=True, help="a WAV file at 16 kHz: every reply")
    parser.add_argument("--record", help="all that was heard, 16 bits at 16 kHz")
    parser.add_argument("--notices-ms", type=float, default=150, help="from a voice to the interruption that is told")
    parser.add_argument("--deaf", action="store_true", help="never notice that the agent is talked over")
    parser.add_argument("--interrupts-ms", type=float, default=0, help="tell an interruption so late in the greeting")
    parser.add_argument("--hang-up-ms", type=float, default=0, help="close after so much of the microphone")
    parser.add_argument("--hang-up-code", type=int, default=1000)
    options = parser.parse_args()
    Path(options.log).touch()
    with wave.open(str(options.voice), "rb") as file:
        voice = file.readframes(file.getnframes())

    asyncio.run(listen(options, voice))


async def listen(options: argparse.Namespace, voice: bytes) -> None:
    async def connect(socket: ServerConnection) -> None:
        await Session(options, voice, socket).run()

    async with serve(connect, "127.0.0.1", options.port, max_size=2**24) as server:
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    main()
