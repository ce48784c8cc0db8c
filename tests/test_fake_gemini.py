"""The fake Gemini server says only what Google's own types know, and refuses what the real one does: as a process."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.genai.types import LiveServerMessage
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from edgevoice.agents.gemini_session import Settings, setup
from tests.e2e.agent_service import GEMINI, AgentService
from tests.e2e.box import voice

PATIENCE_S = 30.0  # a fake that says nothing for so long is broken
LOUD = (8000 * np.sin(np.arange(16_000) / 5)).astype("<i2").tobytes()


@contextmanager
def fake(folder: Path, *options: str, seconds: int = 2) -> Iterator[AgentService]:
    with AgentService(GEMINI, folder, np.resize(voice("story", 24_000), seconds * 24_000), *options) as service:
        yield service


@contextmanager
def talking(service: AgentService, handle: str = "", **settings: Any) -> Iterator[ClientConnection]:
    url = f"ws://127.0.0.1:{service.port}/ws/live"
    with connect(url, additional_headers={"x-goog-api-key": "k"}, compression=None) as socket:
        socket.send(setup(Settings(**settings), handle, ()))
        yield socket


def until(socket: ClientConnection, key: str, mark: str = "") -> list[dict[str, Any]]:
    """Return the messages up to the one with this key, and with this mark in it."""
    found: list[dict[str, Any]] = []
    while not found or key not in found[-1] or (mark and mark not in found[-1][key]):
        message = socket.recv(PATIENCE_S)
        assert isinstance(message, bytes), "the real one sends JSON in binary frames"
        LiveServerMessage.model_validate_json(message)
        found.append(json.loads(message))
    return found


def put(socket: ClientConnection, **body: Any) -> None:
    socket.send(json.dumps({"realtimeInput": body}))


def say(socket: ClientConnection, pcm: bytes) -> None:
    for i in range(0, len(pcm), 640):
        data = base64.b64encode(pcm[i : i + 640]).decode()
        put(socket, audio={"data": data, "mimeType": "audio/pcm;rate=16000"})


def marks(messages: list[dict[str, Any]]) -> list[str]:
    known = ("generationComplete", "interrupted", "turnComplete")
    return [mark for message in messages for mark in known if mark in message.get("serverContent", {})]


def test_a_marked_turn_is_answered_and_a_mark_cuts_the_answer_off(tmp_path: Path) -> None:
    with fake(tmp_path, seconds=20) as service, talking(service) as socket:
        until(socket, "setupComplete")
        put(socket, activityStart={})
        say(socket, LOUD)
        put(socket, activityEnd={})
        until(socket, "serverContent", "modelTurn")
        put(socket, activityStart={})
        assert marks(until(socket, "sessionResumptionUpdate", "newHandle")) == ["interrupted", "turnComplete"]
        assert service.lines("fake", "violation") == []


def test_it_hears_a_voice_by_itself_if_told_to(tmp_path: Path) -> None:
    with fake(tmp_path, "--speed", "100") as service, talking(service, turn_detection="server_vad") as socket:
        until(socket, "setupComplete")
        say(socket, LOUD + bytes(32_000))
        messages = until(socket, "serverContent", "turnComplete")
        assert marks(messages) == ["generationComplete", "turnComplete"]
        spoken = [message["voiceActivity"]["voiceActivityType"] for message in messages if "voiceActivity" in message]
        assert spoken == ["ACTIVITY_START", "ACTIVITY_END"]


@pytest.mark.parametrize(
    "why", ["beside itself", "unknown handle", "sound outside of a turn", "a mark twice", "no setup"]
)
def test_what_the_real_one_refuses_ends_the_session(tmp_path: Path, why: str) -> None:
    with fake(tmp_path) as service, talking(service) as socket:
        until(socket, "setupComplete")
        refused = socket
        match why:
            case "beside itself" | "unknown handle":
                if why == "unknown handle":
                    socket.close()
                    service.wait_for("fake", "closed")
                with talking(service, "handle-7") as refused, pytest.raises(ConnectionClosed):
                    refused.recv(PATIENCE_S)
                assert refused.close_code == (1011 if why == "beside itself" else 1007)
                return
            case "sound outside of a turn":
                say(socket, LOUD[:640])
            case "a mark twice":
                put(socket, activityStart={})
                put(socket, activityStart={})
            case _:
                socket.send('{"setups": {}}')
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE_S)
        assert refused.close_code == 1007
        assert len(service.lines("fake", "violation")) == 1
