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
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.fake_service import Close, Common, Connection, Ear, decode, parser, run

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

    common: Common
    handles: dict[str, int] = field(default_factory=dict)  # -> turns of the session that it stands for
    standing: int = 0  # connections

    async def connect(self, socket: ServerConnection) -> None:
        self.standing += 1
        try:
            await Session(self, socket).run()
        finally:
            self.standing -= 1

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        key = request.headers.get("x-goog-api-key", "")
        self.common.log(0, "client", "upgrade", path=request.path, key=len(key))
        if self.common.options.reject:
            return socket.respond(http.HTTPStatus(self.common.options.reject), REJECTIONS[self.common.options.reject])
        return None


class Session:
    """One connection, from the setup to its end."""

    def __init__(self, server: Server, socket: ServerConnection) -> None:
        self._server, self._common, self._options = server, server.common, server.common.options
        self._connection = Connection(self._common, socket, self._receive)
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

    # ---------------------------------------------------------------------------------------- the connection

    async def run(self) -> None:
        await self._connection.run(self._greet)

    def _greet(self) -> None:
        self._connection.begin_record()
        if self._options.close_at_once is not None:
            self._connection.put(Close(self._options.close_at_once))

    def _send(self, kind: str, body: dict[str, Any], **facts: object) -> None:
        """Send JSON in a binary frame, as the real one does."""
        self._connection.log("server", kind, **facts)
        self._connection.put(json.dumps({kind: body}).encode())

    def _content(self, **content: Any) -> None:
        self._send("serverContent", content, marks=[name for name, value in content.items() if value is True])

    def _end(self, code: int, reason: str) -> None:
        self._close(Close(code, reason))

    def _close(self, close: Close) -> None:
        self._connection.log("server", "close", code=close.code)
        self._connection.put(close)

    def _violation(self, reason: str, message: object) -> None:
        self._connection.violation(reason, message)
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
        self._connection.log("client", kind, message=message, **facts)

    def _set_up(self, setup: dict[str, Any]) -> None:
        handle = setup.get("sessionResumption", {}).get("handle", "")
        self._log_client("setup", {"setup": setup}, resumed=bool(handle))
        if self._setup is not None:
            self._violation("a second setup", setup)
        elif self._options.refuse:
            self._close(Close.told(self._options.refuse))
        elif handle and self._server.standing > 1:
            self._connection.violation("resumed beside itself", handle)
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
        if self._options.go_away_s and self._connection.number == 1:
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
        self._connection.log("client", "audio", bytes=len(pcm))
        self._connection.record(pcm)
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
                self._connection.violation("an unknown call", response)
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
            if tool := self._common.tool():
                self._call_tool(*tool)
            elif not self._options.silent:
                started = time.monotonic()
                sent_ms = await self._speak()
                self._connection.log("fake", "answered", sent_ms=sent_ms)
                await self._cut_off_by(started + sent_ms / 1000)  # to the end of the playback
            self._end_turn()
            self._connection.log("fake", "turned", cut_off=self._cut_off.is_set())

    def _end_turn(self) -> None:
        if self._cut_off.is_set():
            self._content(interrupted=True)
            if self._calls:
                self._send("toolCallCancellation", {"ids": sorted(self._calls)})
                self._calls.clear()
        self._content(turnComplete=True)
        self._turns += 1
        handle = f"handle-{self._connection.number}-{next(self._ids)}"
        self._server.handles[handle] = self._turns
        self._send("sessionResumptionUpdate", {"newHandle": handle, "resumable": True})

    def _call_tool(self, name: str, arguments: str) -> None:
        call = f"call-{self._connection.number}-{next(self._ids)}"
        self._calls.add(call)
        self._send("toolCall", {"functionCalls": [{"id": call, "name": name, "args": json.loads(arguments)}]})

    async def _speak(self) -> float:
        """Send a voice faster than it can be heard; return the ms that it has."""
        number, voice = self._common.next_voice()
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
    options = parser(__doc__, RATE)
    options.add_argument("--go-away-s", type=float, default=0.0, help="after that the first connection's end is told")
    options.add_argument("--refuse", default="", metavar="CODE:REASON", help="answers the setup")
    options.add_argument("--reject", type=int, choices=tuple(REJECTIONS))
    for flag, meaning in {
        "unannounced": "its end comes without a word",
        "forget": "no handle is known",
        "mute": "the setup is never answered",
        "silent": "the agent chooses to say nothing",
    }.items():
        options.add_argument(f"--{flag}", action="store_true", help=meaning)
    return options.parse_args()


if __name__ == "__main__":
    run(Server, _options(), RATE)
