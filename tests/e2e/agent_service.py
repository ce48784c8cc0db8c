"""The fake server of an agent as a process, and what stands in its log."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.e2e.box import PATIENCE_S, RunningBox
from tests.lab.labcard.labcard import World

ROOT = Path(__file__).parent.parent.parent

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent's name in the configuration, its fake server, the Hz of the server's sound, and the path of its url.

    `heard_rate` is that of the person's sound.
    """

    name: str
    server: str
    rate: int
    path: str
    heard_rate: int
    keys: str = ""


KEY_FILE = 'api_key_file = "key"\n'
OPENAI = Agent("openai", "tests.fake_openai", 24_000, "/v1/realtime", 24_000, KEY_FILE)
ELEVENLABS = Agent(
    "elevenlabs", "tests.fake_elevenlabs", 16_000, "/v1/convai/conversation", 16_000, 'agent_id = "agent_1"\n'
)
GEMINI = Agent("gemini", "tests.fake_gemini", 24_000, "/ws/live", 16_000, KEY_FILE)
SOUND = ("input_audio_buffer.append", "user_audio_chunk", "audio")  # what is in the log fifty times a second
KEY = "sk-this-must-never-be-seen"


class AgentService:
    """A service on loopback that answers with `voice` (at its rate, mono). `folder` keeps its log and recording."""

    def __init__(self, agent: Agent, folder: Path, voice: NDArray[np.int16], *options: str) -> None:
        self.agent = agent
        self.log_file = folder / "service.jsonl"
        self.record = folder / "service.pcm"
        self._voice = folder / "voice.wav"
        with wave.open(str(self._voice), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(agent.rate)
            file.writeframes(voice.tobytes())
        self._options = options
        self._read = 0  # bytes of the log
        self._lines: list[Line] = []  # in them

    def __enter__(self) -> AgentService:
        command = [sys.executable, "-m", self.agent.server, "--port", "0", "--log", str(self.log_file)]
        command += ["--voice", str(self._voice), "--record", str(self.record), *self._options]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(json.loads(self._process.stdout.readline())["port"])
        return self

    def die(self) -> None:
        """End without a word."""
        self._process.kill()
        self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()
        if kind:
            print("".join(f"{line}\n" for line in self.lines() if line["type"] not in SOUND))

    def configuration(self, **more: str) -> str:
        """Return the tables that make the button call this service."""
        values = {"url": f'"ws://127.0.0.1:{self.port}{self.agent.path}"', **more}
        keys = "".join(f"{name} = {value}\n" for name, value in values.items())
        return f'[call]\nbutton = "{self.agent.name}"\n\n[agent.{self.agent.name}]\n{self.agent.keys}{keys}'

    def lines(self, origin: str = "", type: str = "") -> list[Line]:
        """Return the lines of the log, of one side and type if wanted."""
        with self.log_file.open("rb") as file:
            file.seek(self._read)  # an hour's log is long, and looked at fifty times a second
            written, end, _ = file.read().rpartition(b"\n")  # what follows is being written
        self._read += len(written) + len(end)
        self._lines += [json.loads(line) for line in written.splitlines()]
        return [line for line in self._lines if origin in ("", line["from"]) and type in ("", line["type"])]

    def wait_for(self, origin: str, type: str, count: int = 1, within_s: float = PATIENCE_S) -> Line:
        """Return the `count`-th line of that kind when it is there."""
        return self.wait(lambda: self.lines(origin, type)[count - 1 : count], f"{count}. {origin} {type}", within_s)

    def wait(self, found: Callable[[], list[Line]], what: str, within_s: float = PATIENCE_S) -> Line:
        give_up = time.monotonic() + within_s
        while time.monotonic() < give_up:
            if lines := found():
                return lines[0]
            threading.Event().wait(0.02)
        raise AssertionError(f"not in the service's log within {within_s} s: {what}")

    def heard(self) -> NDArray[np.int16]:
        """Return all the sound that the service was sent, at `heard_rate`."""
        pcm = self.record.read_bytes()
        return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")


def boxed(world: World, service: AgentService, more: str = "", **keys: str) -> RunningBox:
    """Return a box whose button calls the service, with a key for it."""
    box = RunningBox(world, f"{more}\n{service.configuration(**keys)}")
    (box.folder / "key").write_text(f"{KEY}\n")  # with the newline that every editor leaves
    return box
