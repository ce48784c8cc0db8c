"""The test's side of the virtual sound card: a file that holds all that the card plays and hears, sample by sample.

    with World(rate=16000) as world:
        program = subprocess.Popen([...], env=world.env())  # opens "card", "speaker", "mic" or the default PCM
        world.set_echo(delay_s=0.03, gain=0.3)              # the loudspeaker is heard by the microphone
        index = world.inject(speech, at=time.monotonic() + 1)
        ...
        world.speaker(t0, t1)                               # what left the loudspeaker between two moments
        world.unplug()                                      # ... and what a program does about that

Everything is counted in world time: frames at `rate` since the world began. `world.h` has the layout and the rules.
"""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

HERE = Path(__file__).resolve().parent
PLUGIN = HERE / "libasound_module_pcm_labcard.so"

MAGIC, HEADER_BYTES, TAPS, STALLS, RATES = 0x4C414243, 4096, 65536, 16, 8
HEADER = np.dtype(  # the same table is in world.h
    [
        ("magic", "u4"),
        ("bytes", "u4"),
        ("epoch_ns", "i8"),
        ("capacity", "u8"),
        ("rate", "u4"),
        ("rates", "u4", (RATES,)),
        ("channels_min", "u4"),
        ("channels_max", "u4"),
        ("mic_channel", "i4"),
        ("mic_idle", "i4"),
        ("mute_mic", "u4"),
        ("mute_speaker", "u4"),
        ("mic_step", "u4"),
        ("speaker_step", "u4"),
        ("fifo", "u4"),
        ("taps", "u4"),
        ("drive", "f4"),
        ("skew_ppm", "f8"),
        ("connection", "u4"),
        ("stall_count", "u4"),
        ("stalls", [("from", "i8"), ("until", "i8")], (STALLS,)),
        ("speaker_end", "i8"),
        ("uneven_frames", "u8"),
        ("heard", "i8"),
        ("hung_pid", "u4"),
    ],
    align=True,
)
CONF = """\
</usr/share/alsa/alsa.conf>
pcm_type.labcard {{ lib "{plugin}" }}
pcm.speaker {{ type labcard world "{world}" hint {{ show on description "virtual loudspeaker" }} }}
pcm.mic {{ type labcard world "{world}" hint {{ show on description "virtual microphone" }} }}
pcm.card {{ type asym playback.pcm speaker capture.pcm mic hint {{ show on description "virtual card" }} }}
pcm.!default {{ type asym playback.pcm {{ type plug slave.pcm speaker }} capture.pcm {{ type plug slave.pcm mic }} }}
"""


class Event(NamedTuple):
    """One line of the card's log: open, hw_params, start, stop, sounds, xrun, reaped or close.

    A loudspeaker `sounds` when sound is written after 50 ms of silence. `heard` is the index
    up to which the microphone had been read by then, of that and of its stop.
    """

    at: float  # time.monotonic()
    pid: int
    who: str  # "speaker" or "mic"
    what: str
    details: dict[str, int]


def build() -> Path:
    """Compile the plugin unless it is newer than its sources, and return it."""
    sources = [*HERE.glob("*.[ch]"), HERE / "Makefile"]
    if not PLUGIN.exists() or PLUGIN.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        subprocess.run(["make", "--silent", "-C", str(HERE)], check=True)
    return PLUGIN


class World:
    """A room with one sound card in it. Each has its own, so tests can run side by side."""

    spk: NDArray[np.int16]  # what left the loudspeaker (channel 0), by world time
    air: NDArray[np.int16]  # what sounds near the microphone, by world time

    def __init__(
        self,
        *,
        rate: int = 16000,
        seconds: float = 120,
        channels: int = 2,
        channels_min: int = 1,
        rates: Sequence[int] | None = None,
        mic_step: int = 0,
        speaker_step: int = 1,
        fifo: int = 0,
        mic_channel: int | None = None,
        mic_idle: int = 0,
        skew_ppm: float = 0.0,
        drive: float = 0.0,
    ) -> None:
        """Make the card.

        `rates`: those it accepts, by default only `rate`. Whoever opens it first sets that of the timelines: inject
            after that, if there are several.
        `mic_step`, `speaker_step`: frames by which the card tells that it has moved (mic: 0 is by whole periods).
        `fifo`: frames on their way to the air that `drop()` cannot stop.
        `mic_channel`: the capture channel that hears (None: all); `mic_idle`: the constant sample on the others.
        `skew_ppm`: how much faster the microphone's clock is than the world's, latched when its stream starts.
        `drive`: see `set_drive`.
        """
        rates = (rate,) if rates is None else tuple(rates)
        if rate not in rates or len(rates) > RATES:
            raise ValueError(f"rates are {rates}, expected at most {RATES} with {rate} among them")
        if abs(skew_ppm) > 100_000:
            raise ValueError(f"skew_ppm is {skew_ppm}, expected at most 100000")
        plugin = build()
        self.cap = int(max(rates) * seconds)
        self.dir = tempfile.mkdtemp(prefix="labcard.", dir="/dev/shm")
        self.path = os.path.join(self.dir, "world")
        self.conf = os.path.join(self.dir, "asound.conf")
        self._map()
        self._write_conf(plugin)
        header = self._header
        header["bytes"], header["capacity"], header["epoch_ns"] = HEADER.itemsize, self.cap, time.monotonic_ns()
        header["rate"], header["rates"][: len(rates)] = rate, rates
        header["channels_min"], header["channels_max"] = channels_min, channels
        header["mic_channel"], header["mic_idle"] = -1 if mic_channel is None else mic_channel, mic_idle
        header["mic_step"], header["speaker_step"] = mic_step, speaker_step
        header["fifo"], header["skew_ppm"], header["drive"] = fifo, skew_ppm, drive
        header["magic"] = MAGIC

    def _map(self) -> None:
        taps_end = HEADER_BYTES + TAPS * 4
        size = taps_end + self.cap * 4
        with open(self.path, "w+b") as file:
            file.truncate(size)
            shared = mmap.mmap(file.fileno(), size)
        self._header = np.frombuffer(shared, HEADER, 1)[0]
        self._response = np.frombuffer(shared, np.float32, TAPS, HEADER_BYTES)
        self.spk = np.frombuffer(shared, np.int16, self.cap, taps_end)
        self.air = np.frombuffer(shared, np.int16, self.cap, taps_end + self.cap * 2)

    def _write_conf(self, plugin: Path) -> None:
        beside = shutil.copy(plugin, self.dir)  # so that there is one directory to bind into a container
        Path(self.conf).write_text(CONF.format(plugin=beside, world=self.path))
        os.chmod(self.dir, 0o777)
        os.chmod(self.path, 0o666)

    def close(self) -> None:
        """Remove the files. Whoever has the card open keeps it until then; the arrays stay readable."""
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def env(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment for a program that shall find this card."""
        return {**(os.environ if base is None else base), "ALSA_CONFIG_PATH": self.conf}

    # ------------------------------------------------------------------------------------------------- time

    @property
    def rate(self) -> int:
        return int(self._header["rate"])

    @property
    def epoch_ns(self) -> int:
        return int(self._header["epoch_ns"])

    def index(self, at: float) -> int:
        """Return the world time at monotonic second `at`."""
        return int((at * 1e9 - self.epoch_ns) * self.rate // 1e9)

    def time(self, index: int) -> float:
        """Return the monotonic second at which `index` begins."""
        return (self.epoch_ns + index * 1e9 / self.rate) / 1e9

    def now(self) -> int:
        return (time.monotonic_ns() - self.epoch_ns) * self.rate // 1_000_000_000

    # ------------------------------------------------------------------------------------------------- sound

    def inject(self, samples: ArrayLike, at: float | None = None, *, gain: float = 1.0, mix: bool = True) -> int:
        """Let int16 samples sound near the microphone from `at` (in 50 ms, if None); return the index of the first."""
        index = self.index(time.monotonic() + 0.05 if at is None else at)
        sound = np.asarray(samples) * gain
        target = self.air[index : index + len(sound)]
        sound = sound[: len(target)] + (target.astype(np.float64) if mix else 0)
        target[:] = np.clip(sound, -32768, 32767).astype(np.int16)
        return index

    def speaker(self, begin: float, end: float) -> NDArray[np.int16]:
        """Return what left the loudspeaker between two monotonic seconds."""
        return self.spk[self.index(begin) : self.index(end)].copy()

    def set_ir(self, response: ArrayLike) -> None:
        """Set the room's response from loudspeaker to microphone; an empty one is a room without echo."""
        taps = np.asarray(response, np.float32)
        if len(taps) > TAPS:
            raise ValueError(f"the response has {len(taps)} taps, expected at most {TAPS}")
        self._header["taps"] = 0
        self._response[: len(taps)] = taps
        self._response[len(taps) :] = 0
        self._header["taps"] = len(taps)

    def set_echo(self, delay_s: float, gain: float) -> None:
        """Set a room of one reflection."""
        response = np.zeros(int(delay_s * self.rate) + 1, np.float32)
        response[-1] = gain
        self.set_ir(response)

    def set_drive(self, drive: float) -> None:
        """Let the loudspeaker distort in the echo: y = A tanh(x / A) with A = 32767 / drive. 0: linear.

        `spk` stays what was written.
        """
        self._header["drive"] = drive

    def mute(self, *, mic: bool = False, speaker: bool = False) -> None:
        """Switch either side off as a mixer does: the streams run on, with silence."""
        self._header["mute_mic"], self._header["mute_speaker"] = mic, speaker

    @property
    def uneven_frames(self) -> int:
        """How many played frames did not have the same sample on every channel."""
        return int(self._header["uneven_frames"])

    # ------------------------------------------------------------------------------------------------- faults

    def unplug(self) -> None:
        """Pull the card out: whatever is open fails with ENODEV for ever, and so does opening until `plug`."""
        if self._header["connection"] % 2 == 0:
            self._header["connection"] += 1
            self._ring()
            self._silence(self.now() + 1)
            self._header["speaker_end"] = 0

    def plug(self) -> None:
        """Put the card back. It is a new one: PCMs that were open stay dead."""
        if self._header["connection"] % 2:
            self._header["connection"] += 1
            self._ring()

    def stall(self) -> int:
        """Stop the card's clock, without any error; return the first index that it neither plays nor captures."""
        count = int(self._header["stall_count"])
        if count == STALLS:
            raise ValueError(f"the card has stalled {STALLS} times, which is all it can")
        stop = self.now() + 1
        self._header["stalls"][count]["from"] = stop
        self._header["stall_count"] = count + 1
        self._ring()
        self._silence(stop + int(self._header["fifo"]))
        return stop

    def resume(self) -> int:
        """Let the clock go on, and what was waiting be played; return the index from which on it does."""
        start = self.now() + 1
        self._header["stalls"][int(self._header["stall_count"]) - 1]["until"] = start
        self._ring()
        return start

    def hang(self, pid: int) -> None:
        """Let no read of that process come back, as in a driver that hangs; 0: they do. Others are not concerned."""
        self._header["hung_pid"] = pid

    def _ring(self) -> None:
        os.utime(self.path)  # wakes every PCM that is open, in any process

    def _silence(self, start: int) -> None:
        self.spk[start : max(start, int(self._header["speaker_end"]))] = 0

    # ------------------------------------------------------------------------------------------------- log

    def events(self) -> list[Event]:
        """Return what the programs did with the card so far."""
        log = Path(self.path + ".log")
        return [_event(line) for line in log.read_text().splitlines()] if log.exists() else []


def _event(line: str) -> Event:
    ns, pid, who, what, *rest = line.split()
    details = dict(item.split("=") for item in rest)
    return Event(int(ns) / 1e9, int(pid), who, what, {key: int(value) for key, value in details.items()})
