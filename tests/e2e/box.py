"""`edgevoice run` as a process on a virtual card: the test's hands, eyes and ears."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgevoice.drivers import control
from edgevoice.drivers.wav import read_wav
from edgevoice.errors import DeviceError
from edgevoice_measure import onset
from tests.e2e.process import Journal, end
from tests.lab.labcard.labcard import World
from tests.lab.labgpio.pins import Pins

Samples = NDArray[np.int16]

ROOT = Path(__file__).parent.parent.parent
VOICES = ROOT / "edgevoice" / "voices"
LED = 25
BUFFERED = 96_000  # frames: more than any card holds
AWAKE_S = 1.2  # the longest of all tones, and what it waits for in the card
REST_S = 0.4  # longer than any pause within a tone
PATIENCE_S = 30.0  # a busy machine is late, and later than this only what never comes

CONFIGURATION = """
[card]
capture = "{capture}"
playback = "{playback}"
rate = {rate}
buffer_ms = {buffer_ms}
{card}

[status]
socket = "{socket}"
{more}
"""
TRUSTING = '[echo]\nhalf_duplex = "never"\n'  # a headset: the loudspeaker is not heard by the microphone


def voice(name: str, rate: int = 16_000) -> Samples:
    """Return a recording of the package, as it is (16 kHz) or by simple interpolation at another rate."""
    pcm, recorded_at = read_wav(VOICES / f"{name}.wav")
    if rate == recorded_at:
        return pcm
    at = np.arange(round(len(pcm) * rate / recorded_at)) * recorded_at / rate
    return np.interp(at, np.arange(len(pcm)), pcm).astype(np.int16)


class SoundCardLab(Protocol):
    """What a program is run on: the virtual card, or PulseAudio."""

    @property
    def rate(self) -> int:
        """Hz."""

    def env(self) -> dict[str, str]:
        """Return the environment in which a program finds the card."""


class RunningBox:
    """The process. `say` injects speech, `heard` reads the loudspeaker, `pins` has the button and the light."""

    def __init__(
        self,
        lab: SoundCardLab,
        more: str = "",
        *,
        card: str = "",
        capture: str = "mic",
        playback: str = "speaker",
        rate: int | None = None,
        buffer_ms: int = 80,  # machines that run tests are shared: a box has 40
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._lab = lab
        self.rate = rate or lab.rate
        self._folder = tempfile.TemporaryDirectory(prefix="edgevoice-test.", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.socket = str(self.folder / "run" / "control.sock")
        self.pins = Pins(self.folder / "pins.sock")
        self.configuration = self.folder / "edgevoice.toml"
        self.configuration.write_text(
            CONFIGURATION.format(
                card=card,
                capture=capture,
                playback=playback,
                rate=self.rate,
                buffer_ms=buffer_ms,
                socket=self.socket,
                more=more,
            )
        )
        kept = {"STATE_DIRECTORY": str(self.folder / "state")}  # nothing of this machine's own box is read or written
        self.stops: list[tuple[float, float]] = []  # when the process was stopped, and went on (monotonic seconds)
        self._env = {**kept, **lab.env(), **self.pins.env(), **(env or {}), "PYTHONWARNINGS": "error"}

    def __enter__(self) -> RunningBox:
        command = [sys.executable, "-m", "edgevoice", "run", "-c", str(self.configuration)]
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            command, env=self._env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._journal = Journal(self.process)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pins.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
        end(self.process, PATIENCE_S)
        self._journal.close()
        self._folder.cleanup()
        if kind:
            print(self.journal)

    @property
    def world(self) -> World:
        assert isinstance(self._lab, World), "only the virtual card has a world to look into"
        return self._lab

    @property
    def journal(self) -> str:
        return self._journal.text

    # ------------------------------------------------------------------------------------------------- asking

    def ask(self, **request: Any) -> dict[str, Any]:
        return control.ask(self.socket, request, PATIENCE_S)

    def status(self) -> dict[str, Any]:
        return self.ask(do="status")

    def wait_until(self, true: Callable[[dict[str, Any]], bool], within_s: float = PATIENCE_S) -> dict[str, Any]:
        """Ask again and again until the status is as wanted; fail with the journal."""
        give_up = time.monotonic() + within_s
        status: dict[str, Any] = {}
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                raise AssertionError(f"the program ended with {self.process.returncode}:\n{self.journal}")
            try:
                status = self.status()
                if true(status):
                    return status
            except DeviceError:
                pass  # it is starting
            self.pause(0.02)
        raise AssertionError(f"not so within {within_s} s: {json.dumps(status)}\n{self.journal}")

    def wait_for_state(self, state: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
        return self.wait_until(lambda status: status["state"] == state, within_s)

    def wait_for_line(self, words: str, within_s: float = PATIENCE_S) -> None:
        """Wait until these words stand in the journal: it is read by another thread than the status."""
        give_up = time.monotonic() + within_s
        while words not in self.journal:
            assert time.monotonic() < give_up, f"not in the journal: {words}\n{self.journal}"
            self.pause(0.01)

    def wait_for_turn(self, turn: str, within_s: float = PATIENCE_S) -> dict[str, Any]:
        return self.wait_until(lambda status: status["turn"] == turn, within_s)

    @staticmethod
    def pause(seconds: float) -> None:
        """Let the real time of a real card pass."""
        threading.Event().wait(seconds)

    def stand_still(self, seconds: float) -> None:
        """Stop the process for so long, as a machine does that has no processor for it."""
        self.process.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        self.pause(seconds)
        self.process.send_signal(signal.SIGCONT)
        self.stops.append((stopped_at, time.monotonic()))

    # ----------------------------------------------------------------------------------------- hands and ears

    def wait_until_awake(self) -> None:
        """Wait until it has said that it can be used: who speaks before that is not heard clearly."""
        self.wait_for_state("idle")
        self.hear_out(self.started_at)

    def call(self) -> None:
        """Press the button and wait until the box listens, and has said so."""
        self.wait_for_state("idle")
        self.pause(0.25)  # a press that follows the last one at once is a bounce
        pressed_at = self.tap()
        self.wait_for_turn("listening")
        self.hear_out(pressed_at)

    def tap(self) -> float:
        """Press and release the button; return when it went down."""
        at = self.pins.press()
        self.pins.release()
        return at

    def say(self, pcm: Samples, *, after: float = 0.2) -> int:
        """Let a person say `pcm` (at the world's rate); return the world index of the first sample."""
        return self.world.inject(pcm, at=time.monotonic() + after)

    def speaker(self, since: int) -> Samples:
        """Return what left the loudspeaker from that world index until now."""
        return self.world.spk[since : self.world.now()].copy()

    def wait_for_sound(self, since: int, within_s: float = PATIENCE_S) -> int:
        """Wait until the loudspeaker sounds; return the world index of the first sample that does."""
        give_up = time.monotonic() + within_s
        while time.monotonic() < give_up:
            sounding = np.nonzero(self.speaker(since))[0]
            if len(sounding):
                return since + int(sounding[0])
            self.pause(0.01)
        raise AssertionError(f"nothing was heard within {within_s} s\n{self.journal}")

    def hear_out(self, since: float) -> None:
        """Wait until the loudspeaker has sounded since that monotonic second, and rests."""
        if not isinstance(self._lab, World):
            self.pause(AWAKE_S)  # nobody can tell
            return
        self.wait_for_sound(self.world.index(since))
        give_up = time.monotonic() + PATIENCE_S
        while self._sounds():
            assert time.monotonic() < give_up, f"it sounds for more than {PATIENCE_S} s\n{self.journal}"
            self.pause(0.02)

    def _sounds(self) -> bool:
        """Tell whether the loudspeaker has sounded within REST_S, or will by what it has been given."""
        now = self.world.now()
        return bool(self.world.spk[max(0, now - round(REST_S * self.world.rate)) : now + BUFFERED].any())

    def stopped_at(self, voice_at: int) -> tuple[int, float]:
        """Return when the loudspeaker was first stopped after a voice began (world indices), and after how much of it.

        That is in s, and what the box had read by then: how late this machine let it read is left out.
        """
        for event in self.world.events():
            if (event.who, event.what) == ("speaker", "stop") and event.details["idx"] > voice_at:
                return event.details["idx"], (event.details["heard"] - voice_at) / self.world.rate
        raise AssertionError(f"it was not stopped\n{self.journal}")


def first_word(pcm: Samples, rate: int) -> int:
    """Return the sample at which a person who says `pcm` is first to be heard."""
    first = onset(pcm, rate)
    assert first is not None, "there is nothing to hear"
    return first


def last_word(pcm: Samples, rate: int) -> int:
    """Return the sample at which a person who says `pcm` is last to be heard."""
    return len(pcm) - first_word(pcm[::-1], rate)


def likeness(long: Samples, short: Samples, rate: int) -> float:
    """Return how alike `short` and some part of `long` are to the ear, which does not hear phases: 1 is the same.

    An echo canceller turns phases, and what suppresses noise takes a little of the voice, too: together they leave
    0.98. Without its first 100 ms a second of speech is at 0.92, and another sentence at 0.8.
    """
    where, what = _loudness(long, rate), _loudness(short, rate)
    parts = np.lib.stride_tricks.sliding_window_view(where, len(what), axis=0).transpose(0, 2, 1)
    products = np.einsum("pfb,fb->p", parts, what)
    energies = np.einsum("pfb,pfb->p", parts, parts)
    return float(np.max(products / np.sqrt(energies * np.sum(what**2) + 1)))


def _loudness(pcm: Samples, rate: int) -> NDArray[np.float64]:
    """Return how loud each band of a telephone's is, every 10 ms."""
    hop = rate // 100
    frames = np.lib.stride_tricks.sliding_window_view(pcm.astype(np.float64), 4 * hop)[::hop] * np.hanning(4 * hop)
    powers = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    hz = np.fft.rfftfreq(4 * hop, 1 / rate)
    bands = [powers[:, (hz >= low) & (hz < high)].sum(axis=1) for low, high in pairwise(np.geomspace(200, 3800, 13))]
    return np.stack(bands, axis=1) ** 0.25


def similarity(long: Samples, short: Samples) -> float:
    """Return how well `short` is found somewhere in `long`: 1 is the same samples, 0 has nothing to do with it."""
    a, b = long.astype(float), short.astype(float)
    size = len(a) + len(b)
    products = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[: len(a) - len(b) + 1]
    energies = np.cumsum(np.concatenate(([0.0], a**2)))
    return float(np.max(products / np.sqrt((energies[len(b) :] - energies[: -len(b)]) * (b @ b) + 1)))


def last_sound(speaker: Samples) -> int:
    """Return the index of the last sample that is not silence, or -1."""
    sounding = np.nonzero(speaker)[0]
    return int(sounding[-1]) if len(sounding) else -1


def worker_of(box: RunningBox) -> int:
    """Return the process of the SIP library."""
    for children in Path(f"/proc/{box.process.pid}/task").glob("*/children"):
        for pid in children.read_text().split():
            if b"sip_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
    raise AssertionError("there is no worker")
