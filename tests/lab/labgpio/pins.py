"""The test's end of `labgpio`: press the button and look at the light of a program in another process."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import NamedTuple, TextIO

HERE = Path(__file__).resolve().parent


class Edge(NamedTuple):
    """A pin changed to `level` (0 to 1) at `at` (monotonic seconds, the same in every process)."""

    at: float
    level: float


class Pins:
    """The pins of the one program whose LABGPIO_SOCKET is `path`; the first command waits until it is up."""

    def __init__(self, path: str | Path, *, button: int = 17, patience_s: float = 30.0) -> None:
        self.path = Path(path)
        self._button = button
        self._patience_s = patience_s
        self._connection: socket.socket | None = None
        self._answers: TextIO | None = None
        self._rest = b""

    def env(self) -> dict[str, str]:
        """What the program needs in its environment, beside its own."""
        path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, "GPIOZERO_PIN_FACTORY": "lab", "LABGPIO_SOCKET": str(self.path)}

    def press(self) -> float:
        """Press the button (to ground) and return when."""
        return float(self.ask(f"low {self._button}"))

    def release(self) -> float:
        return float(self.ask(f"high {self._button}"))

    def level(self, pin: int) -> float:
        return float(self.ask(f"get {pin}"))

    def edges(self, pin: int, at_least: int = 0, within_s: float = 0.0) -> list[Edge]:
        """Return every change of the pin since the program started, oldest first.

        Waits until there are `at_least` so many; raises ValueError if there never are.
        """
        return [Edge(at, level) for at, level in json.loads(self.ask(f"edges {pin} {at_least} {within_s:g}"))]

    def follow(self, pin: int) -> None:
        """Be told every change of the pin (`news` has them), which the program then forgets; ask nothing else."""
        self._connection = self._connect()
        self._connection.sendall(f"follow {pin}\n".encode())
        self._connection.setblocking(False)
        self._rest = b""

    def news(self) -> list[Edge]:
        """Return what a followed pin has done since the last `news`, also that of a program which has died meanwhile.

        The first has all since the program started. Raises ConnectionError when it does not run (any more), ValueError
        when it does not use that pin (yet).
        """
        if self._connection is None:
            raise ConnectionError("nothing is followed")
        came = self._rest
        while True:
            try:
                piece = self._connection.recv(65_536)
            except BlockingIOError:
                break
            if not piece:
                if not came:
                    raise ConnectionError("the program is gone")
                break
            came += piece
        *lines, self._rest = came.split(b"\n")
        if lines and lines[0].startswith(b"error: "):
            raise ValueError(lines[0].decode().removeprefix("error: "))
        return [Edge(*json.loads(line)) for line in lines]

    def wait(self, pin: int, level: float, within_s: float) -> float:
        """Wait until the pin has this level and return when that was seen; raise ValueError if it never has.

        A light that blinks may have had it for a moment and lost it again: wait for its `edges`.
        """
        return float(self.ask(f"wait {pin} {level:g} {within_s:g}"))

    def ask(self, line: str) -> str:
        """Send one line, return the answer. What the program refuses is a ValueError; its end, a ConnectionError."""
        if self._connection is None or self._answers is None:
            self._connection = self._connect()
            self._answers = self._connection.makefile(encoding="utf-8")
        self._connection.sendall(line.encode() + b"\n")
        answer = self._answers.readline()
        if not answer:
            raise ConnectionError(f"the program is gone; it did not answer {line!r}")
        if answer.startswith("error: "):
            raise ValueError(answer.removeprefix("error: ").strip())
        return answer.strip()

    def close(self) -> None:
        if self._answers is not None:
            self._answers.close()
            self._answers = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Pins:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + self._patience_s
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.path))
            except (FileNotFoundError, ConnectionRefusedError) as error:
                connection.close()
                if time.monotonic() > deadline:
                    raise ConnectionError(f"no program at {self.path} within {self._patience_s:g} s") from error
                threading.Event().wait(0.01)  # a program that starts makes no sound that could be waited for
            else:
                return connection
