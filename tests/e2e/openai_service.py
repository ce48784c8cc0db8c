"""The fake OpenAI server as a process, and what stands in its log."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent.parent

Line = dict[str, Any]


class OpenAIService:
    """A service on loopback that answers with `voice` (24 kHz, mono). `folder` keeps its log and recording."""

    def __init__(self, folder: Path, voice: NDArray[np.int16], *options: str) -> None:
        self.log_file = folder / "service.jsonl"
        self.record = folder / "service.pcm"
        self._voice = folder / "voice.wav"
        with wave.open(str(self._voice), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(24_000)
            file.writeframes(voice.tobytes())
        self._options = options

    def __enter__(self) -> OpenAIService:
        command = [sys.executable, "tests/fake_openai.py", "--port", "0", "--log", str(self.log_file)]
        command += ["--voice", str(self._voice), "--record", str(self.record), *self._options]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(json.loads(self._process.stdout.readline())["port"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()
        if kind:
            print("".join(f"{line}\n" for line in self.lines() if line["type"] != "input_audio_buffer.append"))

    def configuration(self, **more: str) -> str:
        """Return the tables that make the button call this service; the key is expected beside the file."""
        keys = "".join(f"{name} = {value}\n" for name, value in more.items())
        return (
            '[call]\nbutton = "openai"\n\n[agent.openai]\n'
            f'url = "ws://127.0.0.1:{self.port}/v1/realtime"\napi_key_file = "key"\n{keys}'
        )

    def lines(self, origin: str = "", type: str = "") -> list[Line]:
        """Return the lines of the log, of one side and type if wanted."""
        written, _, _ = self.log_file.read_text().rpartition("\n")  # what follows is being written
        lines = [json.loads(line) for line in written.splitlines()]
        return [line for line in lines if origin in ("", line["from"]) and type in ("", line["type"])]

    def wait_for(self, origin: str, type: str, count: int = 1, within_s: float = 10.0) -> Line:
        """Return the `count`-th line of that kind when it is there."""
        return self.wait(lambda: self.lines(origin, type)[count - 1 : count], f"{count}. {origin} {type}", within_s)

    def wait(self, found: Callable[[], list[Line]], what: str, within_s: float = 10.0) -> Line:
        give_up = time.monotonic() + within_s
        while time.monotonic() < give_up:
            if lines := found():
                return lines[0]
            threading.Event().wait(0.02)
        raise AssertionError(f"not in the service's log within {within_s} s: {what}")

    def heard(self) -> NDArray[np.int16]:
        """Return all the sound that the service was sent, at 24 kHz."""
        pcm = self.record.read_bytes()
        return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
