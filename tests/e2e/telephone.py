"""Fake phone services as processes, and boxes that they reach."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.resample import Resampler
from edgevoice.audio.tones import tone
from edgevoice.drivers.wav import read_wav, write_wav
from tests.e2e.box import PATIENCE_S, RunningBox, likeness, similarity
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]
Line = dict[str, Any]

ROOT = Path(__file__).parent.parent.parent
TOKEN = "a-token-that-nobody-guesses"
TRIES = 5  # processes that talk in real time, on a machine that is shared
ELKS_CALLER = "+46700000001"  # the fake's


def boxed(world: World, more: str = "", *, lines: str = "", line: str = "", listen: str = "127.0.0.1:0") -> RunningBox:
    """Return a box that 46elks and Twilio can reach; `line` is more about the first, `more` comes last."""
    text = f"""
[lines]
listen = "{listen}"
{lines}
[line.elks]
path_token_file = "token"
{line}
"""
    twilio = "" if "[line.twilio]" in more else '[line.twilio]\npath_token_file = "token"\n'
    box = RunningBox(world, text + twilio + more)
    (box.folder / "token").write_text(TOKEN + "\n")
    return box


def hears_tone(box: RunningBox, name: str, since: int, within_s: float = PATIENCE_S) -> None:
    """Wait until one of the box's own signals is on the loudspeaker, whole."""
    give_up, sound = time.monotonic() + within_s, tone(name, box.rate)
    while similarity(np.pad(box.speaker(since), (0, len(sound))), sound) < 0.99:
        assert time.monotonic() < give_up, f"not heard: {name}\n{box.journal}"
        box.pause(0.05)


def hears_caller(box: RunningBox, caller: Telephone, said: Samples) -> float:
    """Return how alike `said` (16 kHz) is out of the loudspeaker, the best of some times that the caller says it."""
    found, length_s = 0.0, len(said) / 16_000 + 1.5
    for number in range(TRIES):
        began_at = caller.wait_for("says", "fake", number + 1)["at"]
        box.pause(max(0.0, began_at + length_s - time.monotonic()))
        heard = box.world.speaker(began_at, began_at + length_s)
        found = max(found, likeness(Resampler(box.rate, 16_000).process(heard), said, 16_000))
        if found > 0.95:
            break
    return found


def address(box: RunningBox) -> str:
    """Return where the box listens, once it does."""
    return str(box.wait_until(lambda status: bool(status["lines"]["listen"]))["lines"]["listen"])


class Telephone:
    """One fake service: `service` and options as of `python -m tests.phone`. `folder` keeps its log and recording."""

    def __init__(
        self, folder: Path, service: str, *options: str, says: Samples | None = None, rate: int = 8000
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.log_file, self._recording = folder / "phone.jsonl", folder / "heard.wav"
        self._command = [sys.executable, "-m", "tests.phone", service, *options]
        self._command += ["--log", str(self.log_file), "--record", str(self._recording)]
        if says is not None:
            write_wav(folder / "says.wav", says, rate)
            self._command += ["--caller-wav", str(folder / "says.wav")]
        self.figures: Line = {}

    @classmethod
    def calling(cls, folder: Path, service: str, box: RunningBox, *options: str, **more: Any) -> Telephone:
        """Return one that calls the box."""
        return cls(folder, service, "--url", f"ws://{address(box)}/{service}/{TOKEN}", *options, **more)

    def __enter__(self) -> Telephone:
        self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.ready = json.loads(self.process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        assert self.process.stdout
        self.process.stdout.close()
        if kind:
            print("".join(f"{line}\n" for line in self.lines() if line["type"] not in ("audio", "media")))

    def hang_up(self) -> Line:
        """End it; return the figures of its first call."""
        if not self.figures and self.process.returncode is None:
            self.process.terminate()
            self.wait_for_the_end()
        return self.figures

    def wait_for_the_end(self, within_s: float = PATIENCE_S) -> Line:
        """Wait until its calls are over; return the figures of the first."""
        told, _ = self.process.communicate(timeout=within_s)
        calls = json.loads(told.splitlines()[-1])["calls"] if told.strip() else []
        self.figures = calls[0] if calls else {}
        return self.figures

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def lines(self, type: str = "", origin: str = "") -> list[Line]:
        """Return the lines of the log, of one type and side if wanted."""
        text = self.log_file.read_text() if self.log_file.exists() else ""
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if type in ("", line["type"]) and origin in ("", line["from"])]

    def wait_for(self, type: str, origin: str = "", count: int = 1, within_s: float = PATIENCE_S) -> Line:
        """Return the `count`-th line of that kind when it is there."""
        give_up = time.monotonic() + within_s
        while time.monotonic() < give_up:
            if lines := self.lines(type, origin)[count - 1 : count]:
                return lines[0]
            threading.Event().wait(0.02)
        raise AssertionError(f"not in the service's log within {within_s} s: {count}. {origin} {type}")

    @property
    def began_at(self) -> float:
        """When the first call was connected: the recording begins there."""
        return float(self.wait_for("connected", "fake")["at"])

    def heard_since(self, at: float) -> Samples:
        """Return what the first call has heard since then (monotonic). Only after its end."""
        sound, rate = self.heard()
        return sound[max(0, round((at - self.began_at) * rate)) :]

    def heard(self) -> tuple[Samples, int]:
        """Return what the first call has heard, pauses too, and its rate. Only after its end."""
        return read_wav(self._recording)


def tone_s(sound: Samples, rate: int, hz: float) -> float:
    """Return for how many seconds a sound is a pure tone of `hz`."""
    size = rate // 50
    parts = sound[: len(sound) // size * size].reshape(-1, size).astype(np.float64)
    found = np.abs(parts @ np.exp(-2j * np.pi * hz * np.arange(size) / rate)) ** 2
    return float(np.count_nonzero(2 * found > 0.9 * size * ((parts**2).sum(axis=1) + size)) * 0.02)
