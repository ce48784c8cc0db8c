"""The fake OpenAI server behaves like the real one, or as nastily as it is told to: tried as a process."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
from openai.types.realtime import RealtimeServerEvent
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from edgevoice.agents.openai import OpenAI, Settings
from edgevoice.events import Audio, Closed, End, HangUp, Interrupt, Play, Respond, ResponseDone, TurnCommitted
from edgevoice.wire import Reply

SERVER_EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(RealtimeServerEvent)
ROOT = Path(__file__).parent.parent
RATE = 24_000
PATIENCE_S = 30.0  # a fake that says nothing for so long is broken

Events = list[dict[str, Any]]


@dataclass
class Fake:
    """A running fake: where it listens and what it has written."""

    url: str
    log_file: Path
    record: Path

    def log(self, origin: str = "", type: str = "") -> Events:
        written = self.log_file.read_text().rpartition("\n")[0]  # what follows is being written
        lines = [json.loads(line) for line in written.splitlines()]
        return [line for line in lines if origin in ("", line["from"]) and type in ("", line["type"])]

    def when_logged(self, origin: str, type: str) -> dict[str, Any]:
        """Wait for a line of the log: another process writes it."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if lines := self.log(origin, type):
                return lines[0]
        raise AssertionError(f"{origin} never said {type}")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Fake]]:
    """Start a fake with the given options; all are stopped in the end."""
    running: list[subprocess.Popen[str]] = []

    def start_one(*options: str) -> Fake:
        log, record = tmp_path / f"log{len(running)}.jsonl", tmp_path / f"record{len(running)}.pcm"
        command = [
            sys.executable,
            "-m",
            "tests.fake_openai",
            "--log",
            str(log),
            "--record",
            str(record),
        ]
        running.append(subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True))
        stdout = running[-1].stdout
        assert stdout
        port = json.loads(stdout.readline())["port"]
        return Fake(f"ws://127.0.0.1:{port}/v1/realtime", log, record)

    yield start_one
    for process in running:
        process.terminate()
        process.communicate()


def voice(ms: int) -> bytes:
    t = np.arange(ms * RATE // 1000)
    return (9000 * np.sin(t * 2 * np.pi * 300 / RATE)).astype("<i2").tobytes()


def voice_file(folder: Path, ms: int) -> tuple[str, str]:
    """Return the option that has the fake answer with so long a voice."""
    with wave.open(str(folder / f"voice-{ms}.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(voice(ms))
    return "--voice", str(folder / f"voice-{ms}.wav")


def silence(ms: int) -> bytes:
    return bytes(ms * RATE // 1000 * 2)


@contextmanager
def client(fake: Fake) -> Iterator[ClientConnection]:
    with connect(fake.url, max_size=None, compression=None) as socket:
        yield socket


def say(socket: ClientConnection, type: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": type, **fields}))


def append(socket: ClientConnection, pcm: bytes) -> None:
    for i in range(0, len(pcm), 960):
        say(socket, "input_audio_buffer.append", audio=base64.b64encode(pcm[i : i + 960]).decode())


def until(socket: ClientConnection, last: str) -> Events:
    """Read up to a message of type `last`; all of it must be what the types of the package describe."""
    events: Events = []
    while not events or events[-1]["type"] != last:
        event = json.loads(socket.recv(PATIENCE_S))
        SERVER_EVENT.validate_python(event)
        events.append(event)
    return events


def types(events: Events) -> list[str]:
    return [event["type"] for event in events]


def manual(socket: ClientConnection) -> None:
    """Take the end of turns, and the answers, into our own hands."""
    say(socket, "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
    until(socket, "session.updated")


def test_a_voice_is_noticed_committed_and_answered_in_the_documented_order(start: Callable[..., Fake]) -> None:
    fake = start()
    with client(fake) as socket:
        assert until(socket, "conversation.created")[0]["session"]["audio"]["input"]["turn_detection"][
            "create_response"
        ]
        append(socket, silence(500) + voice(400) + silence(400))
        events = until(socket, "response.done")
    deltas = "response.output_audio_transcript.delta", "response.output_audio.delta"
    assert [kind for kind in types(events) if kind not in deltas] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert events[0]["audio_start_ms"] == 200  # 300 ms of prefix
    assert events[1]["audio_end_ms"] == 1100
    assert fake.record.read_bytes() == silence(500) + voice(400) + silence(400)
    assert fake.log("fake", "violation") == []


def test_the_voice_of_a_file_is_sent_faster_than_it_sounds(start: Callable[..., Fake], tmp_path: Path) -> None:
    fake = start(*voice_file(tmp_path, 40_050), "--speed", "100")
    with client(fake) as socket:
        manual(socket)
        began = time.monotonic()
        say(socket, "response.create")
        events = until(socket, "response.done")
    deltas = [base64.b64decode(event["delta"]) for event in events if event["type"] == "response.output_audio.delta"]
    assert b"".join(deltas) == voice(40_050)
    assert 0.39 < time.monotonic() - began < 30
    (answered,) = fake.log("fake", "answered")
    assert list(answered["sent_ms"].values()) == [40_050.0]


def test_after_a_cancel_three_deltas_come_late_and_the_cut_is_checked(
    start: Callable[..., Fake], tmp_path: Path
) -> None:
    fake = start(*voice_file(tmp_path, 30_000))  # longer than any machine is busy
    with client(fake) as socket:
        manual(socket)
        say(socket, "response.create")
        first = until(socket, "response.output_audio.delta")
        say(socket, "response.cancel", response_id=first[0]["response"]["id"])
        assert until(socket, "response.done")[-1]["response"]["status"] == "cancelled"
        kinds = types(fake.log())
        assert kinds[kinds.index("response.cancel") :].count("response.output_audio.delta") == 3
        item = first[-1]["item_id"]
        say(socket, "conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=60)
        assert until(socket, "conversation.item.truncated")[-1]["audio_end_ms"] == 60
        say(socket, "conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=61)
        assert until(socket, "error")[-1]["error"]["message"] == "Audio content of 60ms is already shorter than 61ms"
    assert fake.log("fake", "violation") == []


def test_the_benign_errors_come_where_the_real_ones_do(start: Callable[..., Fake]) -> None:
    fake = start()
    with client(fake) as socket:
        manual(socket)
        append(socket, voice(90))
        say(socket, "input_audio_buffer.commit", event_id="short")
        assert until(socket, "error")[-1]["error"]["code"] == "input_audio_buffer_commit_empty"
        say(socket, "response.cancel")
        assert until(socket, "error")[-1]["error"]["code"] == "response_cancel_not_active"
        say(socket, "conversation.item.delete", item_id="item_nowhere")
        assert until(socket, "error")[-1]["error"]["code"] == "item_delete_invalid_item_id"
        say(socket, "response.create")
        say(socket, "response.create", event_id="again")
        problem = until(socket, "error")[-1]["error"]
        assert (problem["code"], problem["event_id"]) == ("conversation_already_has_active_response", "again")


def test_what_the_real_server_would_not_understand_stands_in_the_log(start: Callable[..., Fake]) -> None:
    fake = start()
    with client(fake) as socket:
        say(socket, "session.update", session={"modalities": ["audio"], "voice": "marin"})
        say(socket, "response.create", response={"temperature": 0.8})
        say(socket, "conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=1.5)
        socket.send(b"binary")
        until(socket, "response.done")
    assert len({violation["message"] for violation in fake.log("fake", "violation")}) == 4


def test_a_tool_is_called_and_its_result_is_taken(start: Callable[..., Fake]) -> None:
    fake = start("--tool", 'set_volume:{"percent": 30}')
    with client(fake) as socket:
        manual(socket)
        say(socket, "response.create")
        (call,) = until(socket, "response.done")[-1]["response"]["output"]
        assert (call["name"], call["arguments"]) == ("set_volume", '{"percent": 30}')
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "done"}
        say(socket, "conversation.item.create", item=output)
        until(socket, "conversation.item.done")
        say(socket, "response.create")
        assert until(socket, "response.done")[-1]["response"]["output"][0]["type"] == "message"


def test_a_session_expires_and_the_network_is_slow(start: Callable[..., Fake]) -> None:
    fake = start("--expire-s", "3", "--delay-ms", "80")
    with client(fake) as socket:
        expires_at = until(socket, "session.created")[0]["session"]["expires_at"]
        assert abs(expires_at - time.time()) < 10
        asked = time.monotonic()
        say(socket, "input_audio_buffer.clear")
        until(socket, "input_audio_buffer.cleared")
        assert time.monotonic() - asked >= 0.16
        assert until(socket, "error")[-1]["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed) as end:
            socket.recv(PATIENCE_S)
    assert end.value.rcvd
    assert end.value.rcvd.code == 1001


@pytest.mark.parametrize(
    ("status", "end"),
    [(401, End.BAD_CREDENTIALS), (403, End.REFUSED), (404, End.REFUSED), (429, End.NO_CREDIT)],
)
def test_it_can_refuse_the_connection(start: Callable[..., Fake], status: int, end: End) -> None:
    fake = start("--reject", str(status))
    with pytest.raises(InvalidStatus) as refused, client(fake):
        pass
    body = (refused.value.response.body or b"").decode()
    closed = OpenAI(Settings(url=fake.url)).closed(refused.value.response.status_code, body, 0.0)
    assert closed.end is end


@pytest.mark.parametrize(("options", "code"), [(("--close-at-once",), 1000), (("--beta-off",), 4000)])
def test_it_can_close_at_once(start: Callable[..., Fake], options: tuple[str, ...], code: int) -> None:
    with client(start(*options)) as socket, pytest.raises(ConnectionClosed) as end:
        until(socket, "its end")
    assert end.value.rcvd
    assert end.value.rcvd.code == code


class Caller:
    """Our own wire on a real socket: the smallest driver that there can be."""

    def __init__(self, fake: Fake, socket: ClientConnection) -> None:
        self.wire = OpenAI(Settings(url=fake.url))
        self.told: list[Any] = []
        self.largest = 0
        self._socket = socket
        self._carry_out(self.wire.opened(time.monotonic()))

    def _carry_out(self, reply: Reply) -> None:
        for message in reply.send:
            self._socket.send(message)
        self.told += reply.events

    def does(self, *commands: Any) -> None:
        for command in commands:
            self._carry_out(self.wire.perform(command, time.monotonic()))

    def until(self, kind: type[object], count: int = 1) -> list[Any]:
        """Listen until there were so many events of a kind."""
        while sum(isinstance(event, kind) for event in self.told) < count:
            message = self._socket.recv(PATIENCE_S)
            self.largest = max(self.largest, len(message))
            self._carry_out(self.wire.receive(message, time.monotonic()))
        return [event for event in self.told if isinstance(event, kind)]


@pytest.mark.parametrize("options", [(), ("--garbage",), ("--huge",), ("--delay-ms", "80")])
def test_our_wire_holds_a_conversation_that_is_interrupted(
    start: Callable[..., Fake], options: tuple[str, ...], tmp_path: Path
) -> None:
    long, short = voice_file(tmp_path, 30_000), voice_file(tmp_path, 1_000)  # the first answer is interrupted
    fake = start(*long, *short, "--speed", "3", *options)
    with client(fake) as socket:
        caller = Caller(fake, socket)
        caller.does(Play(voice(300) + silence(600)))
        caller.until(TurnCommitted)
        caller.does(Respond())
        first = caller.until(Audio)[0].response
        caller.until(Audio, 4)
        caller.does(Interrupt(first, 250.0), Play(voice(300) + silence(600)))
        assert caller.until(ResponseDone)[0] == ResponseDone(first)
        caller.until(TurnCommitted, 2)
        caller.does(Respond())
        done = caller.until(ResponseDone, 2)[1]
        assert done.response != first
        heard = [audio.response for audio in caller.told if isinstance(audio, Audio)]
        assert heard.index(done.response) >= 4
        assert first not in heard[heard.index(done.response) :]
        caller.does(HangUp("enough"))
        assert caller.until(Closed)
    assert [cut["audio_end_ms"] for cut in fake.log("client", "conversation.item.truncate")] == [250]
    assert fake.log("server", "error") == []
    assert fake.log("fake", "violation") == []
    assert fake.when_logged("fake", "closed")["code"] == 1000
    if options == ("--garbage",):
        assert caller.wire.ignored > 10
    if options == ("--huge",):
        assert caller.largest > 20_000_000


@pytest.mark.parametrize(("option", "sounds", "ends"), [("--silent-response", 0, 1), ("--two-responses", 2, 2)])
def test_our_wire_takes_no_sound_and_two_voices_at_once(
    start: Callable[..., Fake], option: str, sounds: int, ends: int
) -> None:
    fake = start(option, "--speed", "100")
    with client(fake) as socket:
        caller = Caller(fake, socket)
        caller.does(Play(voice(300) + silence(600)))
        caller.until(TurnCommitted)
        caller.does(Respond())
        caller.until(ResponseDone, ends)
    assert len({audio.response for audio in caller.told if isinstance(audio, Audio)}) == sounds
    assert fake.log("fake", "violation") == []
