"""The far end of an ElevenLabs wire in the tests: what the service says, and a stage that checks what it is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from edgevoice.agents.agent import Agent
from edgevoice.agents.elevenlabs import ElevenLabs, Settings
from tests.agents.stage import Stage as WireStage
from tests.elevenlabs_types import problems

RATE = 16_000
KEY = "sk_secret0123456789"

Message = dict[str, Any]


def sound(ms: float, first: int = 0) -> bytes:
    """Make samples of which no two are alike, so that a gap or a repetition shows."""
    return ((first + np.arange(int(ms * RATE / 1000))) % 32000).astype("<i2").tobytes()


def check(message: str, event: Message) -> None:
    """Check a message of ours against the types of the service's own package."""
    assert problems(message) == []


class Stage(WireStage):
    """What an agent at ElevenLabs says and is told."""

    wire: Agent

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(ElevenLabs(settings or Settings(agent_id="agent_1")), check)

    # ------------------------------------------------------------------------------------------ what happens

    def opens(self, speaks: str = "pcm_16000", hears: str = "pcm_16000") -> Stage:
        """Connect, and let the conversation begin."""
        self.take(self.wire.opened(self.at))
        return self.hears(metadata(speaks, hears))

    def hears(self, *messages: Message) -> Stage:
        for message in messages:
            self.take(self.wire.receive(json.dumps(message), self.at))
        return self

    # --------------------------------------------------------------------------------------- what came of it

    def said(self) -> list[str]:
        """Return the types of what was sent since the last time, without the person's sound."""
        types = [message["type"] for message in self.sent if "type" in message]
        self.sent.clear()
        return types

    def fields(self, type: str) -> list[Message]:
        """Return all that was sent of one type, without its type."""
        found = [message for message in self.sent if message.get("type") == type]
        return [{name: value for name, value in message.items() if name != "type"} for message in found]

    def sent_sound(self) -> bytes:
        chunks = [message["user_audio_chunk"] for message in self.sent if "user_audio_chunk" in message]
        return b"".join(base64.b64decode(chunk) for chunk in chunks)


# ------------------------------------------------------------------------------------------- what the service says


def metadata(speaks: str | None = "pcm_16000", hears: str | None = "pcm_16000") -> Message:
    formats = {"agent_output_audio_format": speaks, "user_input_audio_format": hears}
    event = {"conversation_id": "conv_1", **{name: format for name, format in formats.items() if format}}
    return {"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": event}


def audio(number: int, pcm: bytes, **more: object) -> Message:
    encoded = base64.b64encode(pcm).decode()
    return {"type": "audio", "audio_event": {"audio_base_64": encoded, "event_id": number, **more}}


def interruption(number: int) -> Message:
    return {"type": "interruption", "interruption_event": {"event_id": number}}


def user_transcript(text: str) -> Message:
    return {"type": "user_transcript", "user_transcription_event": {"user_transcript": text}}


def agent_response(text: str) -> Message:
    return {"type": "agent_response", "agent_response_event": {"agent_response": text}}


def correction(original: str, corrected: str) -> Message:
    words = {"original_agent_response": original, "corrected_agent_response": corrected}
    return {"type": "agent_response_correction", "agent_response_correction_event": words}


def complete(number: int = 1) -> Message:
    return {"type": "agent_response_complete", "agent_response_complete_event": {"event_id": number}}


def ping(number: int) -> Message:
    return {"type": "ping", "ping_event": {"event_id": number, "ping_ms": None}}


def tool_call(id: str, name: str, parameters: object) -> Message:
    call = {"tool_name": name, "tool_call_id": id, "parameters": parameters}
    return {"type": "client_tool_call", "client_tool_call": call}
