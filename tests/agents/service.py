"""The far end of an OpenAI wire in the tests: it says what the service would say, and checks what it is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import pydantic
from openai.types.beta.realtime import RealtimeClientEvent as BetaClientEvent
from openai.types.realtime import RealtimeClientEvent

from edgevoice.agents.agent import Agent
from edgevoice.agents.openai import OpenAI, Settings
from edgevoice.wire import Reply
from tests.agents.stage import Stage, sound
from tests.fake_service import unknown_fields

GA: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(RealtimeClientEvent)
BETA: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(BetaClientEvent)


class Service(Stage):
    """What OpenAI says and is told."""

    wire: Agent

    def __init__(self, settings: Settings | None = None, *, clock_offset_s: float = 0.0) -> None:
        self.settings = settings or Settings(api_key="sk-secret")
        super().__init__(OpenAI(self.settings, clock_offset_s=clock_offset_s), self._checked)

    def _checked(self, message: str, event: dict[str, Any]) -> None:
        checked = (BETA if self.settings.beta else GA).validate_python(event)
        assert not list(unknown_fields(checked, event["type"]))

    # ------------------------------------------------------------------------------------------ what happens

    def opens(self, expires_at: float | None = None) -> Service:
        self.take(self.wire.opened(self.at))
        self.says("session.created", session={"type": "realtime", "expires_at": expires_at})
        self.says("session.updated", session={"type": "realtime"})
        return self

    def says(self, type: str, **fields: Any) -> Reply:
        return self.take(self.wire.receive(json.dumps({"type": type, "event_id": "e", **fields}), self.at))

    # ---------------------------------------------------------------------------------------- what it may say

    def commits(self, item: str = "item_person", words: str = "") -> Service:
        self.says("input_audio_buffer.committed", item_id=item)
        if words:
            self.says(
                "conversation.item.input_audio_transcription.completed",
                item_id=item,
                content_index=0,
                transcript=words,
                usage={"type": "duration", "seconds": 1},
            )
        return self

    def begins(self, response: str, *items: str) -> Service:
        self.says("response.created", response={"id": response, "status": "in_progress"})
        for item in items:
            self.adds(response, item)
        return self

    def adds(self, response: str, item: str) -> Service:
        added = {"id": item, "type": "message", "role": "assistant", "status": "in_progress"}
        self.says("response.output_item.added", response_id=response, output_index=0, item=added)
        return self

    def speaks(self, response: str, item: str, ms: float, words: str = "") -> Service:
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        if words:
            self.says("response.output_audio_transcript.delta", **place, delta=words)
        self.says("response.output_audio.delta", **place, delta=base64.b64encode(sound(ms)).decode())
        return self

    def calls(self, response: str, call: str, name: str, arguments: str, status: str = "completed") -> Service:
        item = {"id": f"item_{call}", "type": "function_call", "call_id": call, "name": name, "status": status}
        place = {"response_id": response, "item_id": item["id"], "output_index": 1, "call_id": call}
        self.says("response.function_call_arguments.done", **place, name=name, arguments=arguments)
        item["arguments"] = arguments
        self.says("response.output_item.done", response_id=response, output_index=1, item=item)
        return self

    def ends(self, response: str, status: str = "completed", code: str = "") -> Service:
        details = {"type": status, "error": {"type": "server_error", "code": code}} if code else None
        self.says("response.done", response={"id": response, "status": status, "status_details": details, "output": []})
        return self

    def objects(self, code: str | None, event_id: str | None = None, message: str = "words") -> Service:
        problem = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
        self.says("error", error={**problem, "event_id": event_id})
        return self

    # --------------------------------------------------------------------------------------- what came of it

    def sent_types(self) -> list[str]:
        """Return the types of what was sent since the last time, without the person's sound."""
        types = [event["type"] for event in self.sent if event["type"] != "input_audio_buffer.append"]
        self.sent.clear()
        return types

    def sent_fields(self, type: str) -> list[dict[str, Any]]:
        """Return all that was sent of one type, without what every message has."""
        found = [event for event in self.sent if event["type"] == type]
        return [{name: value for name, value in event.items() if name not in ("type", "event_id")} for event in found]

    def appended(self) -> bytes:
        return b"".join(base64.b64decode(event["audio"]) for event in self.sent if "audio" in event)
