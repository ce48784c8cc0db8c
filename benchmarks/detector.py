"""Measures the voice detector on recorded speech and on noise: how soon a voice is evident, and how often noise is.

    python benchmarks/detector.py FOLDER [--sensitivity low|normal|high] [--minutes 10]

FOLDER holds `phrases.csv` and one WAV per speaker; half of the speakers were used for tuning, half were held out.

quiet     every phrase as loud as it was recorded, after 1.5 to 2 s of a room's pink noise at -65 dBFS
fan       synthetic fan noise at -41 dBFS; every phrase so loud that the first half second from its onset (its first
          word: the phrases are joined from single words up to 25 dB apart) is 15 dB above the noise
opening   as quiet, but the phrase is the first thing that a new detector hears

A latency is the time from the first sample of the onset's frame (labelled in `onset.py`) to the end of the frame with
which speech became evident; frames fall anywhere on the phrase. A phrase that never becomes evident counts as infinite,
one that does so before the labelled onset (breath, the hiss of its own recording) as negative: `early`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.onset import level_dbfs, onset, percentiles, read_phrases
from edgevoice.audio.resample import Resampler
from edgevoice.audio.speech import SpeechDetector

Samples = NDArray[np.int16]
Sound = NDArray[np.float64]
Detectors = Callable[[], SpeechDetector]

RATE = 16_000
FRAME = 160
HELD_OUT = ("jackson", "nicolas", "yweweler")
ROOM_DBFS, FAN_DBFS, SNR_DB = -65.0, -41.0, 15.0
NOISE_DBFS = (-50, -40, -30, -25)
SETTLING = 200  # frames: noise is allowed 2 s to become the floor


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--sensitivity", default="normal")
    options.add_argument("--minutes", type=float, default=10.0, help="of each noise at each level")
    chosen = options.parse_args()

    def detectors() -> SpeechDetector:
        return SpeechDetector(sensitivity=chosen.sensitivity)

    print(f"sensitivity {chosen.sensitivity}")
    latencies(chosen.folder, detectors)
    false_alarms(detectors, chosen.minutes)
    cost(detectors)


def latencies(folder: Path, detectors: Detectors) -> None:
    """Print how long after its onset a phrase was evident, per condition and speaker."""
    recorded, rate = read_phrases(folder)
    speakers = sorted(recorded, key=lambda speaker: (speaker in HELD_OUT, speaker))
    scenes = {"quiet": quiet, "fan": fan, "opening": opening}
    print("onset to evident speaker    phrases  p50 ms  p95 ms never early")
    for name, scene in scenes.items():
        halves: dict[str, list[float]] = {"tuned on": [], "held out": []}
        for speaker in speakers:
            found = list(scene(recorded[speaker], rate, detectors))
            halves["held out" if speaker in HELD_OUT else "tuned on"] += found
            row(name, speaker, found)
        for half, found in halves.items():
            row(name, half.upper(), found)


def row(scene: str, speaker: str, found: Sequence[float]) -> None:
    """Print one line; `early` counts the phrases during which speech was evident before they began."""
    p50, p95 = percentiles(found, 50, 95)
    never, early = sum(map(math.isinf, found)), sum(latency < 0 for latency in found)
    print(f"{scene:<16} {speaker:<10} {len(found):>7} {p50:>7.0f} {p95:>7.0f} {never:>5} {early:>5}")


def quiet(phrases: Iterable[Samples], rate: int, detectors: Detectors) -> Iterator[float]:
    """Say the phrases one after another in a quiet room."""
    rng = np.random.default_rng(1)
    detector = detectors()
    for phrase in phrases:
        yield latency(detector, phrase, rate, 1.0, lambda n: at_level(pink(n, rng), ROOM_DBFS), rng)


def fan(phrases: Iterable[Samples], rate: int, detectors: Detectors) -> Iterator[float]:
    """Say the phrases beside a fan."""
    rng = np.random.default_rng(2)
    detector = detectors()
    for phrase in phrases:
        begin = onset(phrase, rate)
        louder = FAN_DBFS + SNR_DB - level_dbfs(phrase[begin : begin + rate // 2], rate)
        yield latency(detector, phrase, rate, 10 ** (louder / 20), lambda n: at_level(fan_noise(n, rng), FAN_DBFS), rng)


def opening(phrases: Iterable[Samples], rate: int, detectors: Detectors) -> Iterator[float]:
    """Say each phrase to a detector that has heard nothing yet."""
    rng = np.random.default_rng(3)
    for phrase in phrases:
        yield latency(detectors(), phrase, rate, 1.0, lambda n: at_level(pink(n, rng), ROOM_DBFS), None)


def latency(
    detector: SpeechDetector,
    phrase: Samples,
    rate: int,
    gain: float,
    noise: Callable[[int], Sound],
    rng: np.random.Generator | None,
) -> float:
    """Return the milliseconds from onset to evident (before the onset: negative), after a pause chosen by `rng`."""
    lead = 0 if rng is None else int(rng.integers(3 * RATE // 2, 2 * RATE))
    spoken = Resampler(rate, RATE).process(phrase) * gain
    begin = lead + onset(phrase, rate) * RATE // rate
    total = (lead + len(spoken) + RATE // 2) // FRAME * FRAME
    heard = noise(total)
    heard[lead : lead + len(spoken)] += spoken
    sure = evidence(detector, to_int16(heard))
    ends = FRAME * (1 + np.flatnonzero(sure))
    settled = ends[ends > lead // 2]  # the phrase before may still be evident at first
    return float(settled[0] - begin) / RATE * 1e3 if len(settled) else math.inf


def false_alarms(detectors: Detectors, minutes: float) -> None:
    """Print how often steady noise became evident."""
    rng = np.random.default_rng(4)
    print("\nevident in  dBFS minutes periods")
    samples = round(minutes * 60 * RATE)
    for name, colour in {"pink": pink, "brown": brown, "fan": fan_noise}.items():
        for dbfs in NOISE_DBFS:
            noise = to_int16(at_level(colour(samples, rng), dbfs))
            print(f"{name:<10} {dbfs:>5} {minutes:>7.1f} {periods(evidence(detectors(), noise)[SETTLING:]):>7}")
    steps = np.arange(60 * RATE)
    hum = np.sin(2 * np.pi * 50 / RATE * steps)
    steady = {"zeros": 0 * hum, "offset": 0 * hum + 3000, "hum": at_level(hum, -30), "loud hum": at_level(hum, -20)}
    for name, sound in steady.items():
        sure = evidence(detectors(), to_int16(sound))
        print(f"{name:<16} {1.0:>7.1f} {periods(sure[SETTLING:]):>7}  and in the first 2 s {periods(sure[:SETTLING])}")
    for name, knock in {"clicks": click, "knocks": thump}.items():
        rng = np.random.default_rng(6)
        sound = at_level(pink(62 * RATE, rng), ROOM_DBFS) + knocks(60, knock, rng)
        print(f"{name:<16} {1.0:>7.1f} {periods(evidence(detectors(), to_int16(sound))):>7}  of 60, in a room of 0.3 s")


def cost(detectors: Detectors) -> None:
    """Print the processor time of a 10 ms frame."""
    rng = np.random.default_rng(5)
    noise = to_int16(at_level(pink(60 * RATE, rng), -30)).reshape(-1, FRAME)
    detector = detectors()
    begun = time.process_time()
    for frame in noise:
        detector.hear(frame)
    print(f"\nprocessor time per 10 ms frame: {(time.process_time() - begun) / len(noise) * 1e6:.1f} us")


def evidence(detector: SpeechDetector, pcm: Samples) -> NDArray[np.bool_]:
    """Return after which frames of `pcm` speech was evident."""
    sure = []
    for frame in pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME):
        detector.hear(frame)
        sure.append(detector.evident)
    return np.array(sure)


def periods(sure: NDArray[np.bool_]) -> int:
    """Count the separate times that `sure` was true."""
    return int(sure[0]) + int((sure[1:] & ~sure[:-1]).sum())


# --------------------------------------------------------------------------------------------------- synthetic noise


def pink(samples: int, rng: np.random.Generator) -> Sound:
    """Return noise that falls by 3 dB an octave, from 20 Hz."""
    return _coloured(samples, rng, 1.0)


def brown(samples: int, rng: np.random.Generator) -> Sound:
    """Return noise that falls by 6 dB an octave, from 20 Hz."""
    return _coloured(samples, rng, 2.0)


def fan_noise(samples: int, rng: np.random.Generator) -> Sound:
    """Return air that breathes slowly and flutters, and three tones of the blades."""
    at = np.arange(samples) / RATE
    noise = _coloured(samples, rng, 1.4)
    noise *= (1 / noise.std()) * (1 + 0.12 * np.sin(2 * np.pi * 0.7 * at) + 0.08 * np.sin(2 * np.pi * 23 * at))
    for blade, loud in ((142, 0.5), (284, 0.3), (426, 0.15)):
        noise += loud * np.sin(2 * np.pi * blade * at + 0.5 * np.sin(2 * np.pi * 0.3 * at))
    return noise


def knocks(count: int, knock: Callable[[np.random.Generator], Sound], rng: np.random.Generator) -> Sound:
    """Return a knock a second, from the third on, with peaks of -30 to -10 dBFS and a room's decay of 0.3 s."""
    dry = np.zeros((count + 2) * RATE)
    for second in range(2, count + 2):
        sound = knock(rng)
        at = second * RATE + int(rng.integers(RATE // 2))
        dry[at : at + len(sound)] += sound / np.abs(sound).max() * 32768 * 10 ** (rng.uniform(-30, -10) / 20)
    decay = np.arange(round(0.3 * RATE))
    room = 0.03 * rng.standard_normal(len(decay)) * 10 ** (-3 * decay / len(decay))  # 5 dB below the direct sound
    room[0] = 1.0
    size = 2 ** (len(dry) + len(room)).bit_length()
    wet: Sound = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(room, size), size)
    return wet[: len(dry)]


def click(rng: np.random.Generator) -> Sound:
    """Return a key or a switch: 2 ms of noise."""
    return rng.standard_normal(32) * np.hanning(32)


def thump(rng: np.random.Generator) -> Sound:
    """Return a fist on the table: a low tone that fades within 0.1 s, and the noise of the touch."""
    at = np.arange(RATE // 5) / RATE
    tone = np.sin(2 * np.pi * rng.uniform(70, 160) * at) * np.exp(-at / 0.04)
    return tone + 0.1 * rng.standard_normal(len(at)) * np.exp(-at / 0.0125)


def at_level(noise: Sound, dbfs: float) -> Sound:
    """Return `noise` with an RMS of `dbfs`, in units of int16."""
    return noise * float(32768 * 10 ** (dbfs / 20) / np.sqrt((noise**2).mean()))


def to_int16(x: Sound) -> Samples:
    """Round, and clip."""
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def _coloured(samples: int, rng: np.random.Generator, exponent: float) -> Sound:
    hz = np.arange(samples // 2 + 1) / samples * RATE
    spectrum = rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))
    spectrum *= np.where(hz < 20, 0, np.maximum(hz, 20) ** (-exponent / 2))
    noise: Sound = np.fft.irfft(spectrum, samples)
    return noise


if __name__ == "__main__":
    main()
