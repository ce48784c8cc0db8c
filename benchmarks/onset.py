"""Labels where recorded phrases begin, from their samples alone: what the voice detector is measured against.

Imports nothing of edgevoice, so that the program cannot flatter itself.
"""

from __future__ import annotations

import csv
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

FRAME_S = 0.010
VOICED_DB = 30.0  # below the loudest frame: what is quieter than that is a pause
ONSET_DB = 20.0  # below the utterance's level: what is quieter than that is breath, or room


def read_phrases(folder: Path) -> tuple[dict[str, list[Samples]], int]:
    """Read every speaker's phrases as `phrases.csv` in `folder` cuts them out of the speaker's WAV; and their rate."""
    phrases: dict[str, list[Samples]] = {}
    rate = 0
    with (folder / "phrases.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for speaker in dict.fromkeys(row["speaker"] for row in rows):
        with wave.open(str(folder / f"{speaker}.wav")) as file:
            rate = file.getframerate()
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        cuts = [(int(row["first_sample"]), int(row["samples"])) for row in rows if row["speaker"] == speaker]
        phrases[speaker] = [pcm[first : first + count] for first, count in cuts]
    return phrases, rate


def level_dbfs(x: Samples, rate: int) -> float:
    """Return the RMS of all voiced frames of `x` (n,) together; voiced lies within 30 dB of the loudest frame."""
    power = _power(x, rate)
    return float(10 * np.log10(power[power >= power.max() * _ratio(-VOICED_DB)].mean() / 32768.0**2))


def onset(x: Samples, rate: int) -> int:
    """Return the first sample of the first 10 ms frame of `x` (n,) within 20 dB of the utterance's level."""
    enough = 32768.0**2 * _ratio(level_dbfs(x, rate) - ONSET_DB)
    return round(FRAME_S * rate) * int(np.argmax(_power(x, rate) >= enough))


def percentiles(values: Sequence[float], *percents: float) -> list[float]:
    """Return the smallest values that are not exceeded by the given shares of `values`; a miss is infinite."""
    ordered = sorted(values)
    return [ordered[max(0, int(np.ceil(percent / 100 * len(ordered))) - 1)] for percent in percents]


def _power(x: Samples, rate: int) -> NDArray[np.float64]:
    size = round(FRAME_S * rate)
    power: NDArray[np.float64] = (x[: len(x) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    return power


def _ratio(db: float) -> float:
    return float(10 ** (db / 10))
