"""`edgevoice run` without a card as a process, and the phone services that call it as others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice.drivers import control
from edgevoice.errors import DeviceError
from tests.e2e.process import Journal, end
from tests.journal import FORBIDDEN, KEY
from tests.ports import free_port

Samples = NDArray[np.int16]
Line = dict[str, Any]

ROOT = Path(__file__).parent.parent.parent
SERVICES = ("elks", "twilio", "vobiz", "plivo")
PATIENCE_S = 30.0  # a busy machine is late, and later than this only what never comes
CLEARS = {"elks": "interrupt", "twilio": "clear", "vobiz": "clearAudio", "plivo": "clearAudio"}
SOUNDS = {"elks": "audio", "twilio": "media", "vobiz": "playAudio", "plivo": "playAudio"}

CONFIGURATION = """
[call]
incoming = "{incoming}"
[lines]
listen = "127.0.0.1:{port}"
max_calls = 64
{lines}
[line.elks]
path_token_file = "token"
{elks}
[line.twilio]
path_token_file = "token"
{twilio}
[line.vobiz]
path_token_file = "token"
[line.plivo]
path_token_file = "token"
[status]
socket = "{folder}/control.sock"
{more}
"""


def pause(seconds: float) -> None:
    """Let real time pass."""
    threading.Event().wait(seconds)


def wait(found: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Ask until there is something, and return it."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if result := found():
            return result
        pause(0.02)
    raise AssertionError(f"not so within {within_s} s: {what}")


def write_wav(path: Path, pcm: Samples, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())
    return path


class LineBox:
    """The process. In the end nothing of what may never be in the journal is there."""

    def __init__(
        self,
        more: str = "",
        *,
        incoming: str = "parrot",
        lines: str = "",
        elks: str = "",
        twilio: str = "",
        files: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edgevoice-lines.")
        self.folder = Path(self._folder.name)
        self.port = port or free_port()
        self.configuration = self.folder / "edgevoice.toml"
        fields = {"incoming": incoming, "lines": lines, "elks": elks, "twilio": twilio, "more": more}
        self.configuration.write_text(CONFIGURATION.format(port=self.port, folder=self.folder, **fields))
        for name, text in {"token": KEY, **(files or {})}.items():
            (self.folder / name).write_text(f"{text}\n")

    def __enter__(self) -> LineBox:
        command = [sys.executable, "-m", "edgevoice", "run", "--verbose", "-c", str(self.configuration)]
        env = {
            **os.environ,
            "PYTHONWARNINGS": "error",
            "no_proxy": "127.0.0.1",
            "STATE_DIRECTORY": f"{self.folder}/state",
        }
        self.process = subprocess.Popen(
            command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._journal = Journal(self.process)
        wait(lambda: self._asked() and self.status()["lines"]["listen"], "it listens")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end(self.process, PATIENCE_S)
        self._journal.close()
        self._folder.cleanup()
        if kind:
            print(self.journal)
            return
        assert self.process.returncode == 0
        assert "Traceback" not in self.journal, self.journal
        assert not [secret for secret in FORBIDDEN if secret in self.journal]

    def _asked(self) -> bool:
        assert self.process.poll() is None, self.journal
        try:
            self.status()
        except DeviceError:
            return False
        return True

    @property
    def journal(self) -> str:
        return self._journal.text

    def ask(self, **request: Any) -> dict[str, Any]:
        return control.ask(str(self.folder / "control.sock"), request, PATIENCE_S)

    def status(self) -> dict[str, Any]:
        return self.ask(do="status")

    def calls(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.status()["lines"]["calls"]
        return found

    def wait_for_line(self, words: str, within_s: float = PATIENCE_S) -> None:
        try:
            wait(lambda: words in self.journal, words, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.journal}") from error

    def url(self, service: str, scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/{service}/{KEY}"


class PhoneService:
    """`python -m tests.phone` with these options; `folder` keeps its log and what call 1 heard."""

    def __init__(self, folder: Path, service: str, *options: object) -> None:
        self._log, self._heard = folder / f"{service}.jsonl", folder / f"{service}.wav"
        named = ["--log", self._log, "--record", self._heard, "--latency-ms", "20"]
        self._command = [sys.executable, "-m", "tests.phone", service, *map(str, [*named, *options])]

    def __enter__(self) -> PhoneService:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.ready: dict[str, int] = json.loads(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        assert self._process.stdout
        self._process.stdout.close()
        if kind:
            print("".join(f"{line}\n" for line in self.lines() if line["type"] not in (*SOUNDS.values(), "mark")))

    def lines(self, origin: str = "", type: str = "") -> list[Line]:
        """Return the lines of the log, of one side and type if wanted."""
        whole = self._log.read_text().rpartition("\n")[0].splitlines()
        lines = [json.loads(line) for line in whole]
        return [line for line in lines if origin in ("", line["from"]) and type in ("", line["type"])]

    def wait_for(self, origin: str, type: str, count: int = 1, within_s: float = PATIENCE_S) -> Line:
        found: list[Line] = wait(
            lambda: self.lines(origin, type)[count - 1 : count], f"{count}. {origin} {type}", within_s
        )
        return found[0]

    def ended(self, within_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """Wait until all calls are over; return the figures of each."""
        assert self._process.stdout
        self._process.wait(within_s)
        calls: list[dict[str, Any]] = json.loads(self._process.stdout.readlines()[-1])["calls"]
        return calls

    def heard(self) -> tuple[Samples, int]:
        """Return what call 1 heard, every pause in its place, and its rate."""
        with wave.open(str(self._heard)) as file:
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16), file.getframerate()
