"""A stand-in for ElevenLabs Agents, as its own process: it behaves like the real one, and nastily when asked to.

    python -m tests.fake_elevenlabs --port 0 --log events.jsonl --voice reply.wav     prints {"port": 43210}

Every message of the client is judged by the types of the `elevenlabs` package; what does not fit stands in the log as a
violation, and so does a ping that is not answered, or a client that falls silent. The log is that of `fake_service`.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.elevenlabs_types import problems
from tests.fake_service import Close, Common, Connection, Ear, decode, parser, run

RATE = 16_000  # of the recordings
PIECE_MS = 200
LATE_PIECES = 3  # still come after an interruption, with numbers that were interrupted
SILENCE_MS = 500  # ends the person's turn
PING_S = 0.5
PONG_S = 3.0  # an answer that takes longer is none
GAP_S = 2.0  # a client that sends no sound for so long has fallen silent
PATH = "/v1/convai/conversation"
NO_AGENT = Close(3000, "The AI agent you are trying to reach does not exist.")
NOT_AUTHORIZED = Close(3000, "Could not authorize the conversation.")
EXPIRED = Close(3000, "The signed URL has expired.")


@dataclass(frozen=True, slots=True)
class Format:
    """How sound is written: "pcm_16000", "ulaw_8000" ..."""

    name: str

    @property
    def rate(self) -> int:
        return int(self.name.rpartition("_")[2])

    def write(self, pcm: bytes) -> bytes:
        """Write int16 at RATE."""
        samples = np.frombuffer(pcm, "<i2")
        at = np.arange(round(len(samples) * self.rate / RATE)) * RATE / self.rate
        made = np.interp(at, np.arange(len(samples)), samples)
        if self.name.startswith("ulaw"):
            order = np.argsort(ULAW)
            nearest = np.searchsorted((ULAW[order][1:] + ULAW[order][:-1]) / 2, made)
            return bytes(order[nearest].astype(np.uint8))
        return bytes(made.astype("<i2"))

    def read(self, sound: bytes) -> bytes:
        """Return int16 at the format's own rate."""
        if self.name.startswith("ulaw"):
            return ULAW[np.frombuffer(sound, np.uint8)].astype("<i2").tobytes()
        return sound


def _ulaw() -> NDArray[np.int64]:
    """Return the sample that each code of the mu-law stands for. Source: ITU-T G.711, table 2."""
    code = ~np.arange(256) & 0xFF
    height = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -height, height)


ULAW = _ulaw()


@dataclass
class Server:
    """What all connections share."""

    common: Common
    signed: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    good: dict[str, Close | None] = field(default_factory=dict)  # addresses that were signed: each is good once

    async def connect(self, socket: ServerConnection) -> None:
        await Session(self, socket).run()

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        headers = sorted(name.lower() for name, _ in request.headers.raw_items())
        if path.endswith("/get-signed-url"):
            self.common.log(0, "client", "question", headers=headers)
            return self._sign(socket, request)
        self.common.log(0, "client", "upgrade", path=path, headers=headers)
        if self.common.options.reject:
            return socket.respond(http.HTTPStatus(self.common.options.reject), '{"detail":{"status":"rejected"}}')
        return None

    def _sign(self, socket: ServerConnection, request: Request) -> Response:
        """Give an address of a private agent to whoever has the key."""
        if request.headers.get("xi-api-key") != self.common.options.private:
            body = {"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}
            return socket.respond(http.HTTPStatus.UNAUTHORIZED, json.dumps(body))
        asked = parse_qs(urlsplit(request.path).query)
        if asked.get("agent_id") != [self.common.options.agent]:
            body = {"detail": {"status": "document_not_found", "message": "Agent with this ID was not found."}}
            return socket.respond(http.HTTPStatus.NOT_FOUND, json.dumps(body))
        number = next(self.signed)
        signature = f"signature{number}"
        self.good[signature] = EXPIRED if number <= self.common.options.expired else None
        query = urlencode({"agent_id": self.common.options.agent, "conversation_signature": signature})
        return socket.respond(
            http.HTTPStatus.OK, json.dumps({"signed_url": f"ws://{request.headers['Host']}{PATH}?{query}"})
        )

    def refusal(self, path: str) -> Close | None:
        """Say why a client is not let in."""
        asked = parse_qs(urlsplit(path).query)
        if asked.get("agent_id") != [self.common.options.agent]:
            return NO_AGENT
        signature = asked.get("conversation_signature", [""])[0]
        return self.good.pop(signature, NOT_AUTHORIZED) if self.common.options.private else None


@dataclass(slots=True)
class Answer:
    """What the agent is saying, as far as the server knows: it takes it for heard as it sends it."""

    words: str
    began_at: float
    until: float = 0.0  # when all that was sent has been heard
    stopped: bool = False


class Session:
    """One connection, from the client's first message to its end."""

    def __init__(self, server: Server, socket: ServerConnection) -> None:
        self._server, self._common, self._options = server, server.common, server.common.options
        self._socket = socket
        self._connection = Connection(self._common, socket, self._receive)
        self._speaks, self._hears = Format(self._options.speaks), Format(self._options.hears)
        self._ids = itertools.count(self._options.first_id)
        self._last_id = 0
        self._ear = Ear(self._hears.rate, self._options.vad_dbfs)
        self._answer: Answer | None = None
        self._turns = 0
        self._refused = self._begun = False
        self._heard_at = 0.0
        self._pings: dict[int, float] = {}  # not answered -> when
        self._results: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reactions: dict[str, Callable[[dict[str, Any]], None]] = {
            "conversation_initiation_client_data": self._begin,
            "user_audio_chunk": self._hear,
            "pong": self._ponged,
            "client_tool_result": self._tool_done,
            "user_message": self._told,
        }

    async def run(self) -> None:
        await self._connection.run(self._greet)

    def _greet(self) -> None:
        assert self._socket.request
        refusal = self._server.refusal(self._socket.request.path)
        if self._options.close_at_once is not None:
            refusal = Close(self._options.close_at_once)
        if refusal:
            self._refused = True
            self._connection.put(refusal)

    def _send(self, type: str, event: str, **fields: Any) -> None:
        shown = {name: value for name, value in fields.items() if name not in ("audio_base_64", "alignment")}
        self._connection.log("server", type, **shown)
        self._connection.put(json.dumps({"type": type, event: fields}))

    # ------------------------------------------------------------------------------------ what the client says

    def _receive(self, message: str | bytes) -> None:
        for problem in problems(message):
            self._connection.violation(problem, message)
        try:
            event = json.loads(message)
        except ValueError:
            return
        kind = event.get("type", "user_audio_chunk")
        shown = {name: value for name, value in event.items() if name not in ("type", "user_audio_chunk")}
        if kind == "user_audio_chunk":
            shown["bytes"] = len(decode(event["user_audio_chunk"]) or b"")
        self._connection.log("client", kind, **shown)
        if self._refused:
            return
        if not self._begun and kind != "conversation_initiation_client_data":
            self._connection.violation("not the first message of a conversation", message)
        elif react := self._reactions.get(kind):
            react(event)

    def _begin(self, event: dict[str, Any]) -> None:
        if self._begun:
            self._connection.violation("a conversation begins once", event)
            return
        self._begun = True
        if self._options.refuse:
            self._connection.put(Close.told(self._options.refuse))
            return
        if self._options.no_metadata:
            return
        self._heard_at = time.monotonic()
        self._connection.begin_record()
        self._send(
            "conversation_initiation_metadata",
            "conversation_initiation_metadata_event",
            conversation_id=f"conv_{self._connection.number}",
            agent_output_audio_format=self._speaks.name,
            user_input_audio_format=self._hears.name,
        )
        self._connection.tasks.create_task(self._ping())
        if self._options.garbage:
            self._litter()
        if self._options.huge:
            self._send("huge", "huge_event", padding="x" * 20_000_000)
        if self._options.greet:
            self._say("Hello.")

    async def _ping(self) -> None:
        """Ping, and look whether the client still answers and still sends sound."""
        for number in itertools.count(1):
            self._pings[number] = time.monotonic()
            self._send("ping", "ping_event", event_id=number, ping_ms=None)
            await asyncio.sleep(PING_S)
            now = time.monotonic()
            if any(now - at > PONG_S + self._options.delay_ms / 500 for at in self._pings.values()):
                self._connection.violation("a ping was not answered")
            if now - self._heard_at > GAP_S:
                self._connection.violation(f"no sound for {now - self._heard_at:.1f} s")

    def _ponged(self, event: dict[str, Any]) -> None:
        if self._pings.pop(event["event_id"], None) is None:
            self._connection.violation("a pong without a ping", event)

    def _hear(self, event: dict[str, Any]) -> None:
        sound = decode(event["user_audio_chunk"])
        if sound is None:
            return
        self._heard_at = time.monotonic()
        if self._options.hang_up is not None:
            self._connection.put(Close(self._options.hang_up))
        pcm = self._hears.read(sound)
        self._connection.record(pcm)
        for what, _ in self._ear.listen(pcm, 0, SILENCE_MS):
            if what == "started":
                self._interrupt()
            else:
                self._turn_over()

    def _told(self, event: dict[str, Any]) -> None:
        self._say(f"You wrote: {event['text']}")

    def _turn_over(self) -> None:
        self._turns += 1
        words = f"words of the person, turn {self._turns}"
        self._send("user_transcript", "user_transcription_event", user_transcript=words)
        self._say(f"This is the answer to turn {self._turns}, and it is a long one.")

    # --------------------------------------------------------------------------------------- what the agent says

    def _say(self, words: str) -> None:
        self._connection.tasks.create_task(self._make(words))

    async def _make(self, words: str) -> None:
        if tool := self._common.tool():
            await self._call_tool(*tool)
        number, voice = self._common.next_voice()
        answer = self._answer = Answer(words, time.monotonic())
        if self._options.garbage:
            self._litter()
        if self._options.interrupts_ms:
            asyncio.get_running_loop().call_later(self._options.interrupts_ms / 1000, self._interrupt)
        pieces = [voice[i : i + PIECE_MS * RATE // 500] for i in range(0, len(voice), PIECE_MS * RATE // 500)]
        each = len(words) / len(pieces)
        for i, piece in enumerate(pieces):
            due = answer.began_at + i * PIECE_MS / 1000 / self._options.speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if answer.stopped:
                break
            self._send_piece(piece, words[round(i * each) : round((i + 1) * each)])
            answer.until = max(answer.until, time.monotonic()) + len(piece) / 2 / RATE
            if number == 0 and self._options.cut_s and i == 0:
                asyncio.get_running_loop().call_later(self._options.cut_s, self._interrupt)
            if i == 0:
                self._send("agent_response", "agent_response_event", agent_response=words)
        if not answer.stopped and self._options.complete:
            self._send("agent_response_complete", "agent_response_complete_event", event_id=self._last_id)
        self._connection.log("fake", "answered", stopped=answer.stopped)
        if self._options.end_call:
            await asyncio.sleep(max(0.0, answer.until - time.monotonic()))
            ended = {"tool_name": "end_call", "tool_call_id": "e1", "tool_type": "system", "is_error": False}
            self._send("agent_tool_response", "agent_tool_response", **ended)
            self._connection.put(Close(1000))

    def _send_piece(self, piece: bytes, letters: str, id: int | None = None) -> None:
        self._last_id = id if id is not None else next(self._ids)
        ms = len(piece) / 2 / RATE * 1000 / max(1, len(letters))
        alignment = {
            "chars": list(letters),
            "char_start_times_ms": [round(ms * i) for i in range(len(letters))],
            "char_durations_ms": [round(ms)] * len(letters),
        }
        sound = base64.b64encode(self._speaks.write(piece)).decode()
        self._send("audio", "audio_event", audio_base_64=sound, event_id=self._last_id, alignment=alignment)

    def _interrupt(self) -> None:
        """The person speaks: if the agent does, it stops; a little sound that was under way still comes."""
        answer, now = self._answer, time.monotonic()
        if self._options.deaf or answer is None or answer.stopped or now > answer.until:
            return
        answer.stopped = True
        last = self._last_id
        self._send("interruption", "interruption_event", event_id=last)
        share = (now - answer.began_at) / max(0.1, answer.until - answer.began_at)
        self._send(
            "agent_response_correction",
            "agent_response_correction_event",
            original_agent_response=answer.words,
            corrected_agent_response=answer.words[: round(len(answer.words) * share)] + "...",
        )
        noise = np.random.default_rng(1).integers(-9000, 9000, PIECE_MS * RATE // 1000).astype("<i2").tobytes()
        for late in range(LATE_PIECES):
            self._send_piece(noise, "late", max(0, last - late))
        self._last_id = last

    async def _call_tool(self, name: str, text: str) -> None:
        """Let the client do something, and wait for what came of it."""
        try:
            parameters = json.loads(text)
        except ValueError:
            parameters = text
        call = f"call_{self._connection.number}_1"
        self._results[call] = asyncio.get_running_loop().create_future()
        self._send("client_tool_call", "client_tool_call", tool_name=name, tool_call_id=call, parameters=parameters)
        await self._results[call]

    def _tool_done(self, event: dict[str, Any]) -> None:
        result = self._results.get(event["tool_call_id"])
        if result is None or result.done():
            self._connection.violation("a result that nobody waits for", event)
        else:
            result.set_result(event)

    def _litter(self) -> None:
        """Send what no server should."""
        for message in ('{"type":"audio","audio_event":{"audio_base_64":', "garbage", b"\x00\xff\xfe", "[" * 100_000):
            self._connection.put(message)
        for message in ('{"type":7}', "null", '{"type":"audio","audio_event":[]}', '{"type":"error"}'):
            self._connection.put(message)
        self._connection.put('{"type":"audio","audio_event":{"audio_base_64":"@@@","event_id":"x"}}')
        self._send("a_type_of_the_future", "event", event_id=1)
        self._send("interruption", "interruption_event", event_id=-5)
        self._send("vad_score", "vad_score_event", vad_score=0.3)
        self._send("client_tool_call", "client_tool_call", tool_name="a_tool_without_an_id")


def _options() -> argparse.Namespace:
    options = parser(__doc__, RATE)
    options.add_argument("--agent", default="agent_1", help="the only agent that there is")
    options.add_argument("--private", default="", metavar="KEY", help="the agent is private, and this key may use it")
    options.add_argument(
        "--expired", type=int, default=0, metavar="N", help="of the signed addresses the first N have expired"
    )
    options.add_argument("--speaks", default="pcm_16000")
    options.add_argument("--hears", default="pcm_16000")
    options.add_argument("--first-id", type=int, default=1)
    options.add_argument("--cut-s", type=float, default=0.0, help="it interrupts its first answer after so long")
    options.add_argument("--hang-up", type=int, metavar="CODE", help="close when the first sound of the person comes")
    options.add_argument("--interrupts-ms", type=float, default=0.0, help="interrupt each answer so late by itself")
    options.add_argument("--refuse", default="", metavar="CODE:REASON", help="close after the client's first message")
    options.add_argument("--reject", type=int, metavar="STATUS", help="refuse the upgrade")
    for flag in ("greet", "complete", "deaf", "end-call", "no-metadata"):
        options.add_argument(f"--{flag}", action="store_true")
    return options.parse_args()


if __name__ == "__main__":
    run(Server, _options(), RATE)
