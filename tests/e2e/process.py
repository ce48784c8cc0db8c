"""A program under test: what it says, read as it comes, and its end."""

from __future__ import annotations

import subprocess
import threading


def end(process: subprocess.Popen[str] | subprocess.Popen[bytes], within_s: float) -> bool:
    """End a process; return whether it did so when it was asked to, in time."""
    if process.poll() is not None:
        return True
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


class Journal:
    """All that a process writes to its output."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.append(line)

    @property
    def text(self) -> str:
        return "".join(self._lines)

    def close(self) -> None:
        """Read the rest, when the process has ended."""
        self._reader.join(30)
        assert self._process.stdout
        self._process.stdout.close()
