"""Who speaks in the corpus: the people, and the agent, each in two halves that have nobody and nothing in common.

people   spoken digits of the Free Spoken Digit Dataset, joined to phrases: the folder is given
agent    a studio voice, Debian's `asterisk-core-sounds-en-wav`: every other prompt for each half

Both were recorded at 8 kHz, so there is nothing above 4 kHz in anybody's voice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.onset import level_dbfs, read_phrases
from edgevoice_measure import read_wav, resample

Samples = NDArray[np.int16]

RATE = 16_000
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
PACKAGE = "asterisk-core-sounds-en-wav"
PEOPLE = {"tuning": ("george", "lucas", "theo"), "held-out": ("jackson", "nicolas", "yweweler")}
HALVES = tuple(PEOPLE)
AGENT_DBFS = -26.0  # the level of whatever the agent says, where it speaks; its peaks are some 15 dB higher
NO_SPEECH = ("tone", "beep", "silence")
SHORTEST_S = 1.2  # of a prompt: single words are not what an agent says
PAUSE_S = (0.15, 0.45)  # between two prompts of one response


@dataclass(frozen=True)
class Voices:
    """One half's voices, at RATE: the people's phrases by name, and the agent's prompts, all at AGENT_DBFS."""

    people: Mapping[str, Sequence[Samples]]
    prompts: Sequence[Samples]

    def response(self, rng: np.random.Generator, seconds: float) -> Samples:
        """Return something that the agent says, at least so long. No sample of it is 0: a 0 is nobody's sound."""
        parts: list[Samples] = []
        while sum(map(len, parts)) < seconds * RATE:
            pause = np.zeros(round(rng.uniform(*PAUSE_S) * RATE), np.int16)
            parts += [pause, self.prompts[int(rng.integers(len(self.prompts)))]]
        said = np.concatenate(parts[1:])
        return np.where(said == 0, rng.choice(np.array([-1, 1], np.int16), len(said)), said)


@lru_cache
def load(digits: Path, half: str) -> Voices:
    """Read the voices of one half."""
    phrases, rate = read_phrases(digits)
    people = {name: [resample(phrase, rate, RATE) for phrase in phrases[name]] for name in PEOPLE[half]}
    return Voices(people, _prompts(half))


def _prompts(half: str) -> list[Samples]:
    paths = [path for path in sorted(PROMPTS.glob("*.wav")) if not any(word in path.name for word in NO_SPEECH)]
    if not paths:
        raise FileNotFoundError(f"{PROMPTS} has no recordings: install Debian's {PACKAGE}")
    prompts = []
    for path in paths[HALVES.index(half) :: len(HALVES)]:
        pcm, rate = read_wav(path)
        if len(pcm) >= SHORTEST_S * rate:
            prompts.append(at_level(resample(pcm, rate, RATE), AGENT_DBFS))
    return prompts


def at_level(x: NDArray[np.floating] | Samples, dbfs: float) -> Samples:
    """Return `x` (n,) so loud that its level, over the frames in which it sounds, is `dbfs`."""
    peak = float(np.abs(x).max())
    scaled = np.asarray(x, np.float64) * (16000 / peak)
    gain = 10 ** ((dbfs - level_dbfs(np.rint(scaled).astype(np.int16), RATE)) / 20)
    return np.clip(np.rint(scaled * gain), -32768, 32767).astype(np.int16)
