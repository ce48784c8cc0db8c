"""`edgevoice doctor` as a process: what a program reads of it, and a person at a terminal."""

from __future__ import annotations

import codecs
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.doctor.service import KEY
from tests.e2e.box import ROOT
from tests.fakes import noise
from tests.lab.labcard.labcard import World

CARD = """
[card]
capture = "mic"
playback = "speaker"
volume = -1
buffer_ms = 200
[status]
socket = "{folder}/control.sock"
"""
OPENAI = """
[call]
button = "openai"
[agent.openai]
url = "{scheme}://localhost:{port}/v1/realtime"
model = "m"
api_key_file = "key"
"""

Rows = dict[str, tuple[str, str]]


def doctor(
    configuration: Path, env: Mapping[str, str], *options: str, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "edgevoice", "doctor", "-c", str(configuration), *options]
    return subprocess.run(
        command,
        env={**env, "PYTHONWARNINGS": "error"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def examined(
    configuration: Path, env: Mapping[str, str], *options: str, before: tuple[str, ...] = ()
) -> tuple[int, Rows]:
    """Run it for a program; return the exit code, and level and sentence of each finding by its name."""
    done = doctor(configuration, env, "--json", *options, before=before)
    assert done.stderr == ""
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["ok"] is (done.returncode == 0)
    return done.returncode, {row["name"]: (row["level"], row["sentence"]) for row in said["findings"]}


def configured(folder: Path, more: str = "", *, key: str = KEY) -> Path:
    path = folder / "edgevoice.toml"
    path.write_text(CARD.format(folder=folder) + more)
    (folder / "key").write_text(key)
    (folder / "token").write_text("0123456789abcdef0123456789abcdef")
    return path


def failures(rows: Rows) -> dict[str, str]:
    return {name: sentence for name, (level, sentence) in rows.items() if level == "failed"}


def with_a_clock_that_nobody_sets(folder: Path, env: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    """Put a `timedatectl` of ours first, which knows no time from the network until it is told to; and its memory."""
    memory, command = folder / "ntp", folder / "bin" / "timedatectl"
    memory.write_text("no\n")
    command.parent.mkdir()
    told = f'[ "$1" = set-ntp ] && echo yes > {memory}\nknown=$(cat {memory})\n'
    command.write_text(f"#!/bin/sh\n{told}echo NTP=$known\necho NTPSynchronized=$known\n")
    command.chmod(0o755)
    return memory, {**env, "PATH": f"{command.parent}:{os.environ['PATH']}"}


@contextmanager
def quiet_room() -> Iterator[World]:
    """A card in a room that is nearly silent, in which the loudspeaker is heard."""
    with World(rate=48_000) as world:
        world.air[:] = np.resize(noise(48_000, -60.0), len(world.air))
        world.set_echo(0.02, 0.3)
        yield world


class Terminal:
    """A person at a terminal: reads what it shows, types."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(command, env=env, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.shown = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode  # a piece may end within a letter
        self._held = ""  # half an end of a line

    def read_until(self, words: str, within_s: float = 30.0) -> None:
        give_up = time.monotonic() + within_s
        while words not in self.shown:
            left = give_up - time.monotonic()
            assert left > 0, f"not shown: {words}\n{self.shown}"
            assert self._read_some(left), f"it ended without {words}\n{self.shown}"

    def read_to_the_end(self) -> int:
        give_up = time.monotonic() + 120
        while self._read_some(1.0):
            assert time.monotonic() < give_up, f"it does not end\n{self.shown}"
        os.close(self._ours)
        return self.process.wait(30)

    def _read_some(self, within_s: float) -> bool:
        if not select.select([self._ours], [], [], within_s)[0]:
            return True
        try:
            some = os.read(self._ours, 4096)
        except OSError:  # nobody has the other end any more
            return False
        text = self._held + self._decode(some)
        self._held = "\r" if text.endswith("\r") else ""
        self.shown += text.removesuffix("\r").replace("\r\n", "\n")
        return bool(some)

    def type(self, words: str) -> None:
        os.write(self._ours, words.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
