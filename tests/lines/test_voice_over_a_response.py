"""People who talk over an agent on the telephone: from the first sound of their voice to the order to fall silent."""

from __future__ import annotations

import wave
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks.onset import level_dbfs, onset
from edgevoice.audio.line_interruption import TalkOverLine
from edgevoice.audio.pcm import to_bytes
from edgevoice.events import BargedIn, Listen, Play, Uplink
from tests.lines.stage import answered, flat
from tests.phone.sound import Samples

SPEECH = Path(__file__).parent.parent / "speech"
PEOPLE = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
WAY_S = 0.04  # from the service to us


def phrase(who: str, dbfs: float, seed: int) -> Samples:
    """Return a person on a noisy line, at 8 kHz, from the onset of the voice on."""
    with wave.open(str(SPEECH / f"{who}.wav")) as file:
        said = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    said = said[onset(said, 8000) :]
    return np.clip(said * 10 ** ((dbfs - level_dbfs(said, 8000)) / 20) + hiss(len(said), seed), -32768, 32767).astype(
        np.int16
    )


def hiss(samples: int, seed: int) -> Samples:
    """Return the noise of a line, at -50 dBFS."""
    return np.random.default_rng(seed).normal(0, 32768 * 10 ** (-50 / 20), samples).astype(np.int16)


def clears_after_ms(name: str, who: str, dbfs: float, seed: int) -> float:
    """Return how long somebody talks over a response until it is cleared."""
    stage = answered(name, detector=TalkOverLine(), seed=seed)
    stage.caller_says(hiss(12_000, seed + 1), 8000)
    stage.perform(Play(to_bytes(flat(0, 60_000, stage.line.rate)), "r"))
    stage.run(1.5)
    assert stage.told(BargedIn) == []
    said = phrase(who, dbfs, seed)
    stage.caller_says(np.concatenate((hiss(4000, seed + 2), said)), 8000)
    begins_at = stage.now + 0.5 + WAY_S
    stage.run(4)
    told = [at for at, event in stage.events if isinstance(event, BargedIn)]
    return (told[0] - begins_at) * 1000 if told else float("inf")


@pytest.mark.parametrize("name", ["elks", "twilio"])
def test_a_person_who_talks_over_an_agent_is_heard_within_a_quarter_of_a_second(name: str) -> None:
    cases = enumerate(product(PEOPLE, (-20.0, -30.0)))
    delays = [clears_after_ms(name, who, dbfs, 10 * seed) for seed, (who, dbfs) in cases]
    assert max(delays) <= 250


def test_the_noise_of_the_line_interrupts_nobody() -> None:
    stage = answered("twilio", detector=TalkOverLine())
    stage.caller_says(hiss(8000 * 20, 5), 8000)
    stage.perform(Play(to_bytes(flat(0, 60_000, 8000)), "r"))
    stage.run(20)
    assert stage.told(BargedIn) == []


def test_a_voice_that_may_not_interrupt_does_not() -> None:
    stage = answered("twilio", detector=TalkOverLine())
    stage.perform(Listen(Uplink.OPEN, reflex=False), Play(to_bytes(flat(0, 60_000, 8000)), "r"))
    stage.caller_says(phrase("george", -20.0, 1), 8000)
    stage.run(3)
    assert stage.told(BargedIn) == []
