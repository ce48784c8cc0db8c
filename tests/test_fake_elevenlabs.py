"""The fake ElevenLabs server is one to the real client, and sees what a client does wrong: tried as a process."""

from __future__ import annotations

import base64
import json
import queue
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elevenlabs.client import ElevenLabs
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.e2e.agent_service import ELEVENLABS, AgentService
from tests.elevenlabs_types import problems

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from elevenlabs.conversational_ai.conversation import AudioInterface, ClientTools, Conversation

KEY = "sk_of_the_owner"
PIECE = 640  # bytes of 20 ms
VOICE = (9000 * np.sin(np.arange(8000) * 2 * np.pi * 300 / 16_000)).astype("<i2").tobytes()


class Recorder(AudioInterface):
    """The sound card of the package's client: what it is to play, and what it is told."""

    def __init__(self) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.say: Callable[[bytes], None] = lambda pcm: None

    def start(self, input_callback: Callable[[bytes], None]) -> None:
        self.say = input_callback
        self.heard.put("started")

    def stop(self) -> None:
        self.heard.put("stopped")

    def output(self, audio: bytes) -> None:
        self.heard.put(f"sound of {len(audio)}")

    def interrupt(self) -> None:
        self.heard.put("interrupted")

    def wait_for(self, what: str) -> None:
        """Take what is heard until this is."""
        while self.heard.get(timeout=30.0) != what:
            pass


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[AgentService]:
    answer = np.full(48_000, 500, np.int16)
    with AgentService(ELEVENLABS, tmp_path, answer, *getattr(request, "param", ())) as running:
        yield running


@pytest.mark.parametrize("service", [("--private", KEY, "--tool", 'lamp:{"on":true}')], indirect=True)
def test_the_client_of_the_package_talks_with_it_is_interrupted_and_uses_a_tool(service: AgentService) -> None:
    recorder, said, tools = Recorder(), list[str](), ClientTools()

    def switch(parameters: dict[str, Any]) -> str:
        said.append(f"lamp {parameters['on']}")
        return "it is on"

    tools.register("lamp", switch)
    conversation = Conversation(
        ElevenLabs(api_key=KEY, base_url=f"http://127.0.0.1:{service.port}"),
        "agent_1",
        requires_auth=True,
        audio_interface=recorder,
        client_tools=tools,
        callback_agent_response=lambda text: said.append(text),
        callback_agent_response_correction=lambda original, corrected: said.append(corrected[-3:]),
        callback_user_transcript=lambda text: said.append(text),
        callback_audio_alignment=lambda alignment: said.append("letters") if "letters" not in said else None,
    )
    conversation.start_session()  # type: ignore[no-untyped-call]
    recorder.wait_for("started")
    for pcm in (VOICE, bytes(16_000)):
        for i in range(0, len(pcm), PIECE):
            recorder.say(pcm[i : i + PIECE])
    recorder.wait_for("sound of 6400")
    for i in range(0, 9600, PIECE):
        recorder.say(VOICE[i : i + PIECE])
    recorder.wait_for("interrupted")
    conversation.end_session()  # type: ignore[no-untyped-call]
    conversation.wait_for_session_end()
    assert said[:2] == ["words of the person, turn 1", "lamp True"]
    assert "letters" in said
    assert "This is the answer to turn 1, and it is a long one." in said
    assert service.lines("fake", "violation") == []
    numbers = [line["event_id"] for line in service.lines("server", "audio")]
    (interruption,) = service.lines("server", "interruption")
    assert [number for number in numbers[-3:] if number <= interruption["event_id"]] == numbers[-3:], "they come late"


def chunk(pcm: bytes) -> dict[str, Any]:
    return {"user_audio_chunk": base64.b64encode(pcm).decode()}


BEGIN = {"type": "conversation_initiation_client_data"}
WRONG: list[tuple[list[dict[str, Any]], str]] = [
    ([chunk(bytes(640))], "not the first message"),
    ([{**BEGIN, "overrides": {}}], "unknown field"),
    ([BEGIN, BEGIN], "begins once"),
    ([BEGIN, {"type": "pong", "event_id": 99}], "a pong without a ping"),
    ([BEGIN, {"type": "stop"}], "unknown type 'stop'"),
]


def test_what_a_client_does_wrong_stands_in_the_log(service: AgentService) -> None:
    for count, (messages, reason) in enumerate(WRONG, 1):
        with connect(f"ws://127.0.0.1:{service.port}{ELEVENLABS.path}?agent_id=agent_1") as socket:
            for message in messages:
                socket.send(json.dumps(message))
            assert reason in service.wait_for("fake", "violation", count)["reason"]


def test_a_client_that_neither_answers_pings_nor_sends_sound_is_seen(service: AgentService) -> None:
    with connect(f"ws://127.0.0.1:{service.port}{ELEVENLABS.path}?agent_id=agent_1") as socket:
        socket.send('{"type":"conversation_initiation_client_data"}')
        service.wait_for("fake", "violation")
        service.wait(
            lambda: [line for line in service.lines("fake", "violation") if "ping" in line["reason"]], "the ping"
        )
        reasons = {line["reason"].partition(" for")[0] for line in service.lines("fake", "violation")}
        assert reasons == {"no sound", "a ping was not answered"}


@pytest.mark.parametrize("service", [("--private", KEY, "--expired", "1")], indirect=True)
def test_an_address_is_good_once_and_not_when_it_has_expired(service: AgentService) -> None:
    client = ElevenLabs(api_key=KEY, base_url=f"http://127.0.0.1:{service.port}")
    ends = []
    for url in [client.conversational_ai.conversations.get_signed_url(agent_id="agent_1").signed_url for _ in range(2)]:
        for _ in range(2):
            with connect(url) as socket:
                try:
                    socket.send('{"type":"conversation_initiation_client_data"}')
                    ends.append(json.loads(socket.recv())["type"])
                except ConnectionClosed as closed:
                    ends.append(closed.rcvd.reason if closed.rcvd else "")
    refused = "Could not authorize the conversation."
    assert ends == ["The signed URL has expired.", refused, "conversation_initiation_metadata", refused]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"type": "user_activity"}, ""),
        ({"type": "contextual_update", "text": "x"}, ""),
        ({"type": "contextual_update", "text": "x", "to": "y"}, "contextual_update has"),
        ({"type": "client_tool_result", "tool_call_id": "1", "result": "x", "is_error": False}, ""),
        ({"type": "client_tool_result", "tool_call_id": "1", "result": "x"}, "client_tool_result has"),
        ({"type": "pong", "event_id": "1"}, "pong has"),
        ({"type": "conversation_initiation_client_data", "user_id": 7}, "1 validation error"),
        ({"user_audio_chunk": "@@@"}, "no type, and no sound"),
        ({"user_audio_chunk": "AAAA", "rate": 1}, "no type, and no sound"),
    ],
)
def test_the_types_of_the_package_judge_messages(message: dict[str, Any], problem: str) -> None:
    found = problems(json.dumps(message))
    assert [words[: len(problem)] for words in found] == ([problem] if problem else [])
    assert problems(json.dumps(message).encode()) == ["a binary frame"]
