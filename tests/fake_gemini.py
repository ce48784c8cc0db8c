"""A stand-in for Google's Gemini Live API, as its own process: it behaves like the real one, and nastily when asked to.

    python -m tests.fake_gemini --port 0 --log events.jsonl --voice reply.wav     prints {"port": 43210}

The log is JSON lines, each with `at` (monotonic seconds), `connection`, `from` (client, server or fake), `type`, and
the `message` of a client without its sound. What a client may not do stands there as a violation, and most of it ends
the session, as the real one's does. Nothing is told by an error message: there is only the close frame.
It imports nothing of what it tests.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import http
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tests.fake_service import Close, Connection, Ear, Log, decode, hum, read_voice

RATE, PERSON_RATE = 24_000, 16_000
BYTES_PER_MS = RATE * 2 // 1000
DELTA_MS = 100
LATE_DELTAS = 3  # are on their way when the person begins to speak
LEFT_S = 10.0  # a connection's, when its end is told
INPUTS = {"audio", "text", "activityStart", "activityEnd", "audioStreamEnd"}
REJECTIONS = {
    400: '{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}',
    403: '{"error": {"code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"}}',
    404: "",
    429: '{"error": {"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"}}',
}


@dataclass
class Server:
    """What all connections share."""

    options: argparse.Namespace
    log: Log
    voices: list[bytes]
    replies: Iterator[int] = field(default_factory=itertools.count)
    connections: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    tool_pending: bool = True  # the first answer of all calls the tool
    handles: dict[str, int] = field(default_factory=dict)  # -> turns of the session that it stands for
    standing: int = 0  # connections

    async def connect(self, socket: ServerConnection) -> None:
        self.standing += 1
        try:
            await Session(self, socket, next(self.connections)).run()
        finally:
            self.standing -= 1

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        key = request.headers.get("x-goog-api-key", "")
        self.log(0, "client", "upgrade", path=request.path, key=len(key))
        if self.options.reject:
            return socket.respond(http.HTTPStatus(self.options.reject), REJECTIONS[self.options.reject])
        return None


class Session:
    """One connection, from the setup to its end."""

    def __init__(self, server: Server, socket: ServerConnection, number: int) -> None:
        self._server, self._options, self._socket, self._number = server, server.options, socket, number
        self._connection = Connection(socket, self._options.delay_ms / 1000, self._receive)
        self._ids = itertools.count(1)
        self._setup: dict[str, Any] | None = None
        self._marks = False  # the client says when somebody speaks
        self._speaking = False
        self._heard = False  # some sound of this turn
        self._ear = Ear(PERSON_RATE, self._options.vad_dbfs)
        self._cut_off = asyncio.Event()  # what the agent is saying
        self._answering = asyncio.Lock()
        self._calls: set[str] = set()
        self._turns = 0
        self._record = self._open_record()

    def _open_record(self) -> Any:
        if not self._options.record:
            return None
        path = Path(self._options.record)
        return open(path if self._number == 1 else path.with_stem(f"{path.stem}-{self._number}"), "wb", buffering=0)

    # ---------------------------------------------------------------------------------------- the connection

    async def run(self) -> None:
        try:
            await self._connection.run(self._greet)
        finally:
            if self._record:
                self._record.close()
            self._server.log(self._number, "fake", "closed", code=self._socket.close_code)

    def _greet(self) -> None:
        if self._options.close_at_once is not None:
            self._connection.put(Close(self._options.close_at_once))

    def _send(self, kind: str, body: dict[str, Any], **facts: object) -> None:
        """Send JSON in a binary frame, as the real one does."""
        self._server.log(self._number, "server", kind, **facts)
        self._connection.put(json.dumps({kind: body}).encode())

    def _content(self, **content: Any) -> None:
        self._send("serverContent", content, marks=[name for name, value in content.items() if value is True])

    def _end(self, code: int, reason: str) -> None:
        self._server.log(self._number, "server", "close", code=code)
        self._connection.put(Close(code, reason))

    def _violation(self, reason: str, message: object) -> None:
        self._server.log(self._number, "fake", "violation", reason=reason, message=str(message)[:500])
        self._end(1007, "Request contains an invalid argument.")

    async def _go_away(self) -> None:
        await asyncio.sleep(self._options.go_away_s)
        if not self._options.unannounced:
            self._send("goAway", {"timeLeft": f"{LEFT_S:g}s"})
            await asyncio.sleep(LEFT_S)
        self._end(1011, "Deadline expired before operation could complete.")

    def _litter(self) -> None:
        """Send what no server should."""
        for message in ('{"serverContent":{"modelTurn":', "garbage", b"\x00\xff\xfe", "[" * 100_000, "null", "7"):
            self._connection.put(message)
        for body in ("7", '{"turnComplete": "yes"}', '{"modelTurn": {"parts": [{"inlineData": {"data": 7}}]}}'):
            self._connection.put(f'{{"serverContent": {body}}}')
        self._send("somethingOfTheFuture", {"x": 1})
        self._send("usageMetadata", {"totalTokenCount": 7})
        self._send("toolCall", {"functionCalls": [{"name": "hang_up"}, {"id": "x"}]})
        self._send("toolCallCancellation", {"ids": ["never_heard_of"]})
        parts = [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "@@@"}}, {"text": "a thought"}, {}]
        self._send("serverContent", {"modelTurn": {"parts": parts}})

    # ------------------------------------------------------------------------------------ what the client says

    def _receive(self, message: str | bytes) -> None:
        try:
            event = json.loads(message)
            [(kind, body)] = event.items()
        except ValueError as problem:
            self._violation(f"not one JSON object with one key: {problem}", message)
            return
        if self._setup is None and kind != "setup":
            self._violation("before the setup", message)
        elif kind == "setup":
            self._set_up(body)
        elif kind == "realtimeInput":
            self._input(body)
        elif kind == "toolResponse":
            self._tool_response(body)
        elif kind == "clientContent":
            self._words(body)
        else:
            self._violation(f"{kind} is not known", message)

    def _log_client(self, kind: str, message: dict[str, Any], **facts: object) -> None:
        self._server.log(self._number, "client", kind, message=message, **facts)

    def _set_up(self, setup: dict[str, Any]) -> None:
        handle = setup.get("sessionResumption", {}).get("handle", "")
        self._log_client("setup", {"setup": setup}, resumed=bool(handle))
        if self._setup is not None:
            self._violation("a second setup", setup)
        elif self._options.refuse:
            code, _, reason = self._options.refuse.partition(":")
            self._end(int(code), reason)
        elif handle and self._server.standing > 1:
            self._server.log(self._number, "fake", "violation", reason="resumed beside itself", message=handle)
            self._end(1011, "Internal error encountered.")
        elif handle and (handle not in self._server.handles or self._options.forget):
            self._end(1007, "Request contains an invalid argument.")
        elif not self._options.mute:
            self._begin(setup, handle)

    def _begin(self, setup: dict[str, Any], handle: str) -> None:
        self._setup = setup
        self._turns = self._server.handles.get(handle, 0)
        self._marks = bool(setup["realtimeInputConfig"]["automaticActivityDetection"].get("disabled"))
        if self._options.huge:
            self._send("usageMetadata", {"padding": "x" * 20_000_000})
        self._send("setupComplete", {}, turns=self._turns)
        if self._options.go_away_s and self._number == 1:
            self._connection.tasks.create_task(self._go_away())
        if self._options.garbage:
            self._litter()

    def _input(self, body: dict[str, Any]) -> None:
        if len(body) != 1 or not body.keys() <= INPUTS:
            self._violation("realtimeInput has one of its keys", body)
            return
        [(kind, value)] = body.items()
        if kind == "audio":
            self._hear(value)
            return
        self._log_client(kind, {"realtimeInput": body})
        if kind in ("activityStart", "activityEnd") and (
            not self._marks or self._speaking == (kind == "activityStart")
        ):
            self._violation(f"{kind} while somebody speaks: {self._speaking}; marks: {self._marks}", body)
        elif kind == "activityStart":
            self._speaking, self._heard = True, False
            self._interrupt()
        elif kind == "activityEnd":
            self._speaking = False
            if not self._heard:
                self._violation("a turn of nothing", body)
            self._respond()
        elif kind == "text":
            self._heard = True
            if not self._marks:
                self._respond()

    def _hear(self, audio: dict[str, Any]) -> None:
        pcm = decode(audio.get("data"))
        if pcm is None or len(pcm) % 2 or audio.get("mimeType") != "audio/pcm;rate=16000":
            self._violation("not audio/pcm;rate=16000 in base64", audio.get("mimeType"))
            return
        self._server.log(self._number, "client", "audio", bytes=len(pcm))
        if self._record:
            self._record.write(pcm)
        if self._marks:
            self._heard = True
            if not self._speaking:
                self._violation("sound outside of a turn", len(pcm))
            return
        silence_ms = self._setup["realtimeInputConfig"]["automaticActivityDetection"]["silenceDurationMs"]  # type: ignore[index]
        for what, ms in self._ear.listen(pcm, 0, silence_ms):
            kind = "ACTIVITY_START" if what == "started" else "ACTIVITY_END"
            self._send("voiceActivity", {"voiceActivityType": kind, "audioOffset": f"{ms / 1000:g}s"})
            if what == "started":
                self._interrupt()
            else:
                self._respond()

    def _words(self, body: dict[str, Any]) -> None:
        """Take words into the conversation: whatever is being said stops."""
        self._log_client("clientContent", {"clientContent": body}, text=body["turns"][0]["parts"][0]["text"])
        self._interrupt()
        if body.get("turnComplete"):
            self._respond()

    def _interrupt(self) -> None:
        self._cut_off.set()

    def _tool_response(self, body: dict[str, Any]) -> None:
        self._log_client("toolResponse", {"toolResponse": body})
        for response in body["functionResponses"]:
            if response["id"] not in self._calls:
                self._server.log(self._number, "fake", "violation", reason="an unknown call", message=str(response))
                self._end(1008, "Requested entity was not found.")
                return
            self._calls.discard(response["id"])
        if not self._answering.locked():
            self._respond()

    # --------------------------------------------------------------------------------------- what the agent says

    def _respond(self) -> None:
        self._connection.tasks.create_task(self._answer())

    async def _answer(self) -> None:
        async with self._answering:
            self._cut_off.clear()
            self._content(inputTranscription={"text": f"words of the person, {self._turns} "})
            self._send("sessionResumptionUpdate", {"resumable": False})
            if self._options.garbage:
                self._litter()
            sent_ms = 0.0
            if self._options.tool and self._server.tool_pending:
                self._server.tool_pending = False
                self._call_tool()
            elif not self._options.silent:
                started = time.monotonic()
                sent_ms = await self._speak()
                self._server.log(self._number, "fake", "answered", sent_ms=sent_ms)
                await self._cut_off_by(started + sent_ms / 1000)  # to the end of the playback
            self._end_turn()
            self._server.log(self._number, "fake", "turned", cut_off=self._cut_off.is_set())

    def _end_turn(self) -> None:
        if self._cut_off.is_set():
            self._content(interrupted=True)
            if self._calls:
                self._send("toolCallCancellation", {"ids": sorted(self._calls)})
                self._calls.clear()
        self._content(turnComplete=True)
        self._turns += 1
        handle = f"handle-{self._number}-{next(self._ids)}"
        self._server.handles[handle] = self._turns
        self._send("sessionResumptionUpdate", {"newHandle": handle, "resumable": True})

    def _call_tool(self) -> None:
        name, _, arguments = self._options.tool.partition(":")
        call = f"call-{self._number}-{next(self._ids)}"
        self._calls.add(call)
        self._send("toolCall", {"functionCalls": [{"id": call, "name": name, "args": json.loads(arguments)}]})

    async def _speak(self) -> float:
        """Send a voice faster than it can be heard; return the ms that it has."""
        number = next(self._server.replies)
        voice = self._server.voices[number % len(self._server.voices)]
        started, late, sent_ms = time.monotonic(), 0, 0.0
        for i in range(0, len(voice), DELTA_MS * BYTES_PER_MS):
            await self._cut_off_by(started + i / BYTES_PER_MS / 1000 / self._options.speed)
            if self._cut_off.is_set():
                late += 1
                if late > LATE_DELTAS:
                    return sent_ms
            piece = voice[i : i + DELTA_MS * BYTES_PER_MS]
            sent_ms += len(piece) / BYTES_PER_MS
            blob = {"mimeType": f"audio/pcm;rate={RATE}", "data": base64.b64encode(piece).decode()}
            content = {"modelTurn": {"parts": [{"inlineData": blob}]}, "outputTranscription": {"text": f"w{number} "}}
            self._send("serverContent", content, ms=sent_ms)
        self._content(generationComplete=True)
        return sent_ms

    async def _cut_off_by(self, at: float) -> None:
        """Wait until then, or until somebody speaks."""
        try:
            await asyncio.wait_for(self._cut_off.wait(), max(0.0, at - time.monotonic()))
        except TimeoutError:
            pass


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", help="JSON lines")
    parser.add_argument("--record", help="the person's sound, raw, 16 kHz; a second connection's beside it as NAME-2")
    parser.add_argument("--voice", action="append", default=[], help="WAV, 24 kHz mono; several are used in turn")
    parser.add_argument("--speed", type=float, default=10.0, help="times faster than it can be heard")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="of the network, one way, in both directions")
    parser.add_argument("--vad-dbfs", type=float, default=-40.0, help="louder than this is a voice")
    parser.add_argument("--go-away-s", type=float, default=0.0, help="after that the first connection's end is told")
    parser.add_argument("--tool", default="", metavar="NAME:ARGUMENTS", help="called by the first answer")
    parser.add_argument("--close-at-once", type=int, nargs="?", const=1000, metavar="CODE")
    parser.add_argument("--refuse", default="", metavar="CODE:REASON", help="answers the setup")
    parser.add_argument("--reject", type=int, choices=tuple(REJECTIONS))
    for flag, meaning in {
        "unannounced": "its end comes without a word",
        "forget": "no handle is known",
        "mute": "the setup is never answered",
        "silent": "the agent chooses to say nothing",
        "garbage": "",
        "huge": "",
    }.items():
        parser.add_argument(f"--{flag}", action="store_true", help=meaning)
    return parser.parse_args()


async def main(options: argparse.Namespace, log: TextIO | None) -> None:
    voices = [read_voice(path, RATE) for path in options.voice] or [hum(RATE)]
    server = Server(options, Log(log), voices)
    async with serve(
        server.connect, "127.0.0.1", options.port, process_request=server.admit, max_size=None, compression=None
    ) as listening:
        print(json.dumps({"port": next(iter(listening.sockets)).getsockname()[1]}), flush=True)
        await listening.serve_forever()


if __name__ == "__main__":
    arguments = _options()
    if arguments.log:
        with open(arguments.log, "w") as file:
            asyncio.run(main(arguments, file))
    else:
        asyncio.run(main(arguments, None))
