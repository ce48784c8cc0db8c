"""Recordings in files, read for `ctl say`: checked, mono, at the rate of the leg that plays them."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevoice.announcement import Announcement
from edgevoice.audio.pcm import to_bytes
from edgevoice.audio.resample import RATES, Resampler
from edgevoice.drivers.wav import read_wav
from edgevoice.errors import DeviceError

RECORDING = "recording"  # the target of a call of a box that rests, to nobody
LONGEST_S = 600.0  # 29 MB at 24 kHz
LARGEST = 60_000_000  # bytes: as much at 48 kHz

_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples (n,) at `rate` Hz."""

    pcm: NDArray[np.int16]
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.pcm) / self.rate

    def announcement(self, rate: int, *, loop: bool = False) -> Announcement:
        """Return it as a leg of `rate` Hz takes it, with a name of its own. Takes seconds for ten minutes."""
        resampler, second = Resampler(self.rate, rate), self.rate  # all of it at once would take half a gigabyte
        parts = (self.pcm[start : start + second] for start in range(0, len(self.pcm), second))
        pcm = b"".join(to_bytes(resampler.process(part)) for part in parts)
        return Announcement(pcm, rate, name=f"recording {next(_names)}", loop=loop)


class Recordings:
    """What is to be played next by a box that rests."""

    def __init__(self) -> None:
        self._next: tuple[Recording, bool] | None = None

    async def read(self, path: str) -> Recording:
        """Read a WAV file. Raises DeviceError with a sentence."""
        return await asyncio.to_thread(_read, Path(path))

    @property
    def rate(self) -> int:
        return self._next[0].rate if self._next else RATES[1]

    def put(self, recording: Recording, *, loop: bool) -> None:
        self._next = recording, loop

    def take(self, rate: int) -> Announcement:
        assert self._next is not None, "a recording is played that was put here"
        (recording, loop), self._next = self._next, None
        return recording.announcement(rate, loop=loop)


def _read(path: Path) -> Recording:
    try:
        if path.exists() and not path.is_file():  # a pipe, say, would keep a thread for ever
            raise DeviceError(f"{path} is no file, expected a WAV file of 16 bits")
        if path.stat().st_size > LARGEST:
            raise DeviceError(
                f"{path} is larger than {LARGEST / 1e6:.0f} MB, expected at most {LONGEST_S:.0f} s of sound"
            )
        pcm, rate = read_wav(path)
    except OSError as error:
        raise DeviceError(f"{path}: {error.strerror or error}; the service's user must be able to read it") from error
    except ValueError as error:
        raise DeviceError(f"{error}; expected a WAV file of 16 bits") from error
    if rate not in RATES:
        raise DeviceError(f"{path} has {rate} Hz, expected one of {', '.join(map(str, RATES))}")
    if len(pcm) > LONGEST_S * rate:
        raise DeviceError(f"{path} lasts {len(pcm) / rate:.0f} s, expected at most {LONGEST_S:.0f}")
    if not len(pcm):
        raise DeviceError(f"{path} is empty")
    return Recording(pcm, rate)
