"""A stand-in for OpenAI's Realtime API, as its own process: it behaves like the real one, and nastily when asked to.

    python -m tests.fake_openai --port 0 --log events.jsonl --voice reply.wav     prints {"port": 43210}

Every message of the client is checked against the types of the `openai` package; what does not fit stands in the log as
a violation. The log is JSON lines, each with `at` (monotonic seconds), `connection`, `from` (client, server or fake),
`type`, and what matters of that type: `bytes` of appended sound, `ms` of an item's sound sent so far, and so on.
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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pydantic
from openai.types.realtime import RealtimeClientEvent
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.fake_service import Close, Common, Connection, Ear, decode, parser, run, unknown_fields

RATE = 24_000
BYTES_PER_MS = RATE * 2 // 1000
DELTA_MS = 100
LATE_DELTAS = 3  # still come after a cancel

CLIENT_EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(RealtimeClientEvent)


@dataclass(slots=True)
class Answer:
    """A response under way."""

    id: str
    cancelled: bool = False
    done: bool = False


@dataclass
class Server:
    """What all connections share."""

    common: Common

    async def connect(self, socket: ServerConnection) -> None:
        await Session(self.common, socket).run()

    def admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.common.log(
            0,
            "client",
            "upgrade",
            path=request.path,
            headers=sorted(name.lower() for name, _ in request.headers.raw_items()),
        )
        if not self.common.options.reject:
            return None
        code, message = {
            401: ("invalid_api_key", "Incorrect API key provided."),
            403: ("unsupported_country_region_territory", "Country, region, or territory not supported"),
            404: ("model_not_found", "The model does not exist or you do not have access to it."),
            429: ("insufficient_quota", "You exceeded your current quota, please check your plan and billing details."),
        }[self.common.options.reject]
        body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}})
        return socket.respond(http.HTTPStatus(self.common.options.reject), body)


class Session:
    """One connection, from `session.created` to its end."""

    def __init__(self, common: Common, socket: ServerConnection) -> None:
        self._common, self._options = common, common.options
        self._connection = Connection(self._common, socket, self._receive)
        self._ids = itertools.count(1)
        self._session: dict[str, Any] = _default_session(time.time() + self._options.expire_s)
        self._ear = Ear(RATE, self._options.vad_dbfs)
        self._user_item = ""  # of the turn that is being spoken
        self._buffer_ms = 0.0
        self._answers: list[Answer] = []
        self._items: dict[str, float] = {}  # -> ms of sound that it has
        self._sent_ms: dict[str, float] = {}  # of each item, late deltas too
        self._calls: set[str] = set()
        self._reactions: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.truncate": self._truncate,
            "conversation.item.delete": self._delete,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }

    # ---------------------------------------------------------------------------------------- the connection

    async def run(self) -> None:
        await self._connection.run(self._greet)

    def _greet(self) -> None:
        self._connection.begin_record()
        if self._options.close_at_once is not None:
            self._connection.put(Close(self._options.close_at_once))
            return
        if self._options.beta_off:
            self._error(
                "beta_api_shape_disabled",
                "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
            )
            self._connection.put(Close(4000, "beta_api_shape_disabled"))
            return
        self._send("session.created", session=self._session)
        self._send("conversation.created", conversation={"id": "conv_1", "object": "realtime.conversation"})
        self._connection.tasks.create_task(self._expire())
        if self._options.garbage:
            self._litter()
        if self._options.huge:
            self._send("huge.event", padding="x" * 20_000_000)

    async def _expire(self) -> None:
        await asyncio.sleep(self._options.expire_s)
        self._error("session_expired", "Your session hit the maximum duration of 60 minutes.")
        self._connection.put(Close(1001))

    def _litter(self) -> None:
        """Send what no server should."""
        for message in ('{"type":"response.output_audio.delta","delta":', "garbage", b"\x00\xff\xfe", "[" * 100_000):
            self._connection.put(message)
        for message in ('{"type":7}', "null", '{"type":"response.created","response":[]}', '{"type":"error"}'):
            self._connection.put(message)
        self._send("a.type.of.the.future", delta="x", response_id="resp_of_the_future")
        self._send("response.output_audio.delta", response_id="resp_unknown", item_id="item_x", delta="AAAA")
        self._send("response.done", response={"id": "resp_unknown", "status": "completed"})

    def _send(self, type: str, **fields: Any) -> None:
        event = {"type": type, "event_id": self._id("event"), **fields}
        numbers = ("response_id", "item_id", "audio_start_ms", "audio_end_ms")
        shown: dict[str, Any] = {name: fields[name] for name in numbers if name in fields}
        if "response" in fields:
            shown |= {"response_id": fields["response"]["id"], "status": fields["response"]["status"]}
        if type == "error":
            shown["code"] = fields["error"]["code"]
        if type == "response.output_audio.delta":
            shown["ms"] = self._sent_ms.get(fields["item_id"], 0.0)
        self._connection.log("server", type, **shown)
        self._connection.put(json.dumps(event))

    def _error(self, code: str | None, message: str, cause: dict[str, Any] | None = None) -> None:
        problem = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
        self._send("error", error={**problem, "event_id": (cause or {}).get("event_id")})

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._connection.number}_{next(self._ids)}"

    # ------------------------------------------------------------------------------------ what the client says

    def _receive(self, message: str | bytes) -> None:
        try:
            event = json.loads(message)
            checked = CLIENT_EVENT.validate_python(event)
            problems = [f"unknown field {path}" for path in unknown_fields(checked, event.get("type", ""))]
        except ValueError as error:
            event, problems = {}, [str(error)]
        if isinstance(message, bytes):
            problems.append("a binary frame")
        for problem in problems:
            self._connection.violation(problem, message)
        kind = str(event.get("type", ""))
        shown = {name: value for name, value in event.items() if name not in ("type", "audio")}
        if "audio" in event:
            shown["bytes"] = len(decode(event["audio"]) or b"")
        self._connection.log("client", kind, **shown)
        if react := self._reactions.get(kind):
            react(event)
        else:
            self._error("invalid_event", f"unknown type {kind!r}", event)

    def _update(self, event: dict[str, Any]) -> None:
        if not isinstance(event["session"].get("type"), str):
            self._error("missing_required_parameter", "Missing required parameter: 'session.type'.", event)
            return
        _merge(self._session, event["session"])
        self._send("session.updated", session=self._session)

    @property
    def _turn_detection(self) -> dict[str, Any] | None:
        return self._session["audio"]["input"]["turn_detection"]  # type: ignore[no-any-return]

    def _append(self, event: dict[str, Any]) -> None:
        pcm = decode(event["audio"])
        if pcm is None or len(pcm) % 2:
            self._error("invalid_value", "Invalid 'audio'. Expected base64-encoded audio bytes.", event)
            return
        self._connection.record(pcm)
        self._buffer_ms += len(pcm) / BYTES_PER_MS
        detection = self._turn_detection
        if detection is None:
            return
        prefix_ms, silence_ms = detection.get("prefix_padding_ms", 300), detection.get("silence_duration_ms", 500)
        for what, ms in self._ear.listen(pcm, prefix_ms, silence_ms):
            if what == "started":
                self._user_item = self._id("item")
                self._send("input_audio_buffer.speech_started", audio_start_ms=ms, item_id=self._user_item)
                if detection.get("interrupt_response", True):
                    self._cancel_all()
            else:
                self._send("input_audio_buffer.speech_stopped", audio_end_ms=ms, item_id=self._user_item)
                self._commit_item(self._user_item)
                if detection.get("create_response", True):
                    self._respond({"type": "response.create"})

    def _commit(self, event: dict[str, Any]) -> None:
        if self._buffer_ms < 100:
            text = f"Expected at least 100ms of audio, but buffer only has {self._buffer_ms:.2f}ms of audio."
            text = f"Error committing input audio buffer: buffer too small. {text}"
            self._error("input_audio_buffer_commit_empty", text, event)
            return
        self._commit_item(self._id("item"))

    def _commit_item(self, item: str) -> None:
        self._buffer_ms = 0.0
        self._items[item] = 0.0
        self._send("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        message = {"id": item, "type": "message", "role": "user", "status": "completed", "content": content}
        self._item_added(message)
        if self._session["audio"]["input"].get("transcription"):
            self._send(
                "conversation.item.input_audio_transcription.completed",
                item_id=item,
                content_index=0,
                transcript=f"words of the person, {item}",
                usage={"type": "duration", "seconds": 1.0},
            )

    def _item_added(self, item: dict[str, Any]) -> None:
        for what in ("added", "done"):
            self._send(f"conversation.item.{what}", item=item, previous_item_id=None)

    def _clear(self, event: dict[str, Any]) -> None:
        self._buffer_ms = 0.0
        self._send("input_audio_buffer.cleared")

    def _create_item(self, event: dict[str, Any]) -> None:
        item = {"id": self._id("item"), **event["item"]}
        if item["type"] == "function_call_output" and item["call_id"] not in self._calls:
            self._error("invalid_tool_call_id", f"Tool call ID '{item['call_id']}' not found in conversation.", event)
            return
        if any(part.get("type") in ("output_audio", "audio") for part in item.get("content", ())):
            self._error("invalid_value", "Assistant audio items cannot be created.", event)
            return
        self._items[item["id"]] = 0.0
        self._item_added(item)

    def _truncate(self, event: dict[str, Any]) -> None:
        item, end_ms = event["item_id"], event["audio_end_ms"]
        if item not in self._items:
            self._error("item_truncate_invalid_item_id", f"Item with item_id not found: {item}", event)
        elif end_ms > self._items[item]:
            self._error(None, f"Audio content of {self._items[item]:.0f}ms is already shorter than {end_ms}ms", event)
        else:
            self._items[item] = float(end_ms)
            self._send("conversation.item.truncated", item_id=item, content_index=0, audio_end_ms=end_ms)

    def _delete(self, event: dict[str, Any]) -> None:
        if self._items.pop(event["item_id"], None) is None:
            text = f"Error deleting item: the item with id '{event['item_id']}' does not exist."
            self._error("item_delete_invalid_item_id", text, event)
        else:
            self._send("conversation.item.deleted", item_id=event["item_id"])

    def _respond(self, event: dict[str, Any]) -> None:
        if active := next((answer for answer in self._answers if not answer.done), None):
            text = f"Conversation already has an active response in progress: {active.id}. Wait until it is finished."
            self._error("conversation_already_has_active_response", text, event)
            return
        for _ in range(2 if self._options.two_responses else 1):
            answer = Answer(self._id("resp"))
            self._answers.append(answer)
            self._connection.tasks.create_task(self._make(answer))

    def _cancel(self, event: dict[str, Any]) -> None:
        wanted = event.get("response_id")
        if not self._cancel_all(wanted):
            self._error("response_cancel_not_active", "Cancellation failed: no active response found", event)

    def _cancel_all(self, id: str | None = None) -> bool:
        hit = [a for a in self._answers if not (a.done or a.cancelled) and id in (None, a.id)]
        for answer in hit:
            answer.cancelled = True
        return bool(hit)

    # --------------------------------------------------------------------------------------- what the agent says

    async def _make(self, answer: Answer) -> None:
        self._send("response.created", response=_response(answer.id, "in_progress"))
        limits = [{"name": "requests", "limit": 100, "remaining": 99, "reset_seconds": 0.6}]
        self._send("rate_limits.updated", rate_limits=limits)
        if self._options.garbage:
            self._litter()
        output: list[dict[str, Any]] = []
        if tool := self._common.tool():
            output.append(await self._call_tool(answer, *tool))
        elif not self._options.silent_response:
            output.append(await self._speak(answer))
        answer.done = True
        self._send("response.done", response=_response(answer.id, _status(answer), output))
        sent_ms = {item["id"]: self._sent_ms.get(item["id"], 0.0) for item in output}
        self._connection.log("fake", "answered", response_id=answer.id, sent_ms=sent_ms)
        self._answers = [other for other in self._answers if not other.done]

    async def _call_tool(self, answer: Answer, name: str, arguments: str) -> dict[str, Any]:
        call = self._id("call")
        self._calls.add(call)
        item = {"id": self._id("item"), "type": "function_call", "name": name, "call_id": call}
        place = {"response_id": answer.id, "item_id": item["id"], "output_index": 0, "call_id": call}
        self._send(
            "response.output_item.added",
            response_id=answer.id,
            output_index=0,
            item={**item, "status": "in_progress", "arguments": ""},
        )
        await asyncio.sleep(DELTA_MS / 1000 / self._options.speed)
        for i in range(0, len(arguments), 8):
            self._send("response.function_call_arguments.delta", **place, delta=arguments[i : i + 8])
        self._send("response.function_call_arguments.done", **place, name=name, arguments=arguments)
        item |= {"status": _item_status(answer), "arguments": arguments}
        self._send("response.output_item.done", response_id=answer.id, output_index=0, item=item)
        return item

    async def _speak(self, answer: Answer) -> dict[str, Any]:
        """Send a voice faster than it can be heard; a cancel is noticed between two deltas, and a little late."""
        number, voice = self._common.next_voice()
        id = self._id("item")
        self._items[id] = 0.0
        item: dict[str, Any] = {
            "id": id,
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        place: dict[str, Any] = {"response_id": answer.id, "item_id": id, "output_index": 0, "content_index": 0}
        self._send("response.output_item.added", response_id=answer.id, output_index=0, item=item)
        self._send("conversation.item.added", item=item, previous_item_id=None)
        self._send("response.content_part.added", **place, part={"type": "audio", "transcript": ""})
        words: list[str] = []
        late = 0
        started = time.monotonic()
        for i in range(0, len(voice), DELTA_MS * BYTES_PER_MS):
            if not answer.cancelled:
                due = started + i / BYTES_PER_MS / 1000 / self._options.speed
                await asyncio.sleep(due - time.monotonic())
            if answer.cancelled and late == LATE_DELTAS:
                break
            late += answer.cancelled
            words.append(f"word{number}-{len(words)} ")
            self._send("response.output_audio_transcript.delta", **place, delta=words[-1])
            piece = voice[i : i + DELTA_MS * BYTES_PER_MS]
            self._sent_ms[id] = self._sent_ms.get(id, 0.0) + len(piece) / BYTES_PER_MS
            if id in self._items and not late:  # else it was deleted, or is truncated
                self._items[id] = self._sent_ms[id]
            self._send("response.output_audio.delta", **place, delta=base64.b64encode(piece).decode())
        part = {"type": "audio", "transcript": "".join(words)}
        self._send("response.output_audio.done", **place)
        self._send("response.output_audio_transcript.done", **place, transcript="".join(words))
        self._send("response.content_part.done", **place, part=part)
        item |= {"status": _item_status(answer), "content": [{**part, "type": "output_audio"}]}
        self._send("response.output_item.done", response_id=answer.id, output_index=0, item=item)
        self._send("conversation.item.done", item=item, previous_item_id=None)
        return item


def _status(answer: Answer) -> str:
    return "cancelled" if answer.cancelled else "completed"


def _item_status(answer: Answer) -> str:
    return "incomplete" if answer.cancelled else "completed"


def _response(id: str, status: str, output: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    details = {"type": "cancelled", "reason": "client_cancelled"} if status == "cancelled" else None
    return {
        "id": id,
        "object": "realtime.response",
        "conversation_id": "conv_1",
        "status": status,
        "status_details": details,
        "output_modalities": ["audio"],
        "output": output or [],
        "usage": None,
        "metadata": None,
    }


def _default_session(expires_at: float) -> dict[str, Any]:
    """Build what the real one starts with; its silence of 200 ms is not the documented one."""
    pcm = {"type": "audio/pcm", "rate": RATE}
    detection = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}
    detection |= {"idle_timeout_ms": None, "create_response": True, "interrupt_response": True}
    hearing = {"format": pcm, "transcription": None, "noise_reduction": None, "turn_detection": detection}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "model": "gpt-realtime-2",
        "output_modalities": ["audio"],
        "instructions": "You are helpful.",
        "tools": [],
        "tool_choice": "auto",
        "expires_at": int(expires_at),
        "audio": {"input": hearing, "output": {"format": pcm, "voice": "marin", "speed": 1.0}},
    }


def _merge(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Change only what is there; one turn detection replaces the other as a whole."""
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict) and name != "turn_detection":
            _merge(old[name], value)
        else:
            old[name] = value


def _options() -> argparse.Namespace:
    options = parser(__doc__, RATE)
    options.add_argument("--expire-s", type=float, default=3600.0)
    options.add_argument("--reject", type=int, choices=(401, 403, 404, 429))
    for flag in ("beta-off", "silent-response", "two-responses"):
        options.add_argument(f"--{flag}", action="store_true")
    return options.parse_args()


if __name__ == "__main__":
    run(Server, _options(), RATE)
