"""Recordings: 16-bit mono WAV files in and out."""

from __future__ import annotations

import wave
from os import PathLike

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def read_wav(path: str | PathLike[str]) -> tuple[Samples, int]:
    """Return the samples (n,) and their rate. Raises ValueError for anything but 16-bit mono, OSError as `open`."""
    try:
        with wave.open(str(path)) as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise ValueError(
                    f"{path} has {file.getnchannels()} channels of {8 * file.getsampwidth()} bits, expected 16-bit mono"
                )
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16), file.getframerate()
    except (wave.Error, EOFError, RuntimeError) as error:  # RuntimeError: a part of it is longer than the whole
        raise ValueError(f"{path} is not a WAV file: {error or 'it is damaged'}") from error


def write_wav(path: str | PathLike[str], samples: Samples, rate: int) -> None:
    """Write `samples` (n,) as a 16-bit mono file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
