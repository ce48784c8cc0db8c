"""Who talks over us on a phone line, where there is no echo; and what makes a sound a voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.evidence import PITCH_SAMPLES, harmonicity
from edgevoice.audio.interruption import TalkOver
from edgevoice.audio.line_interruption import TalkOverLine
from edgevoice.audio.resample import Resampler
from edgevoice.drivers.wav import read_wav

Samples = NDArray[np.int16]

RATE, BLOCK = 8_000, 80
LEARNT_MS = 1_900  # of the noise of the line
SPEECH = Path(__file__).parent.parent / "speech"
NAMES = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def hiss(seconds: float, seed: int = 1, dbfs: float = -50.0) -> Samples:
    return np.random.default_rng(seed).normal(0, 32768 * 10 ** (dbfs / 20), round(seconds * RATE)).astype(np.int16)


def on_the_line(name: str) -> Samples:
    """Return two seconds of the line's noise, then somebody's voice."""
    pcm, rate = read_wav(SPEECH / f"{name}.wav")
    voice = Resampler(rate, RATE).process(pcm)[: 3 * RATE]
    return np.concatenate((hiss(2), np.clip(voice.astype(np.int32) + hiss(3, 2)[: len(voice)], -32768, 32767))).astype(
        np.int16
    )


def hinted_ms(detector: TalkOver | TalkOverLine, sound: Samples, at_once: int) -> int | None:
    """Return when the detector first takes it for somebody, in pieces of so many blocks. It has LEARNT_MS to learn."""
    size = at_once * BLOCK
    to_wide = Resampler(RATE, 16_000)
    for start in range(0, len(sound) - size + 1, size):
        piece = sound[start : start + size]
        if isinstance(detector, TalkOverLine):
            detector.hear(piece)
        else:
            wide = to_wide.process(piece)
            detector.hear(wide, wide, np.zeros_like(wide))
        at_ms = (start + size) * 1000 // RATE
        if detector.hint and at_ms > LEARNT_MS:
            return at_ms
    return None


@pytest.mark.parametrize("name", NAMES)
def test_a_voice_is_noticed_as_soon_as_at_the_box_and_no_later_in_pieces_of_two_blocks(name: str) -> None:
    sound = on_the_line(name)
    at_the_box = hinted_ms(TalkOver(), sound, 1)
    one, two = (hinted_ms(TalkOverLine(), sound, at_once) for at_once in (1, 2))
    assert at_the_box is not None
    assert one is not None
    assert two is not None
    assert abs(one - at_the_box) <= 20
    assert one <= two <= one + 20


def test_the_noise_of_a_line_is_nobody() -> None:
    detector = TalkOverLine()
    assert hinted_ms(detector, hiss(30), 2) is None
    assert not detector.speaking


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_suspected_voice_is_evident_and_a_click_is_harmless(at_once: int) -> None:
    size = at_once * BLOCK
    click = hiss(3)
    click[RATE : RATE + 40] = 20_000
    verdicts: list[str] = []
    for sound in (on_the_line("george"), click):
        detector = TalkOverLine()
        suspected = False
        verdict = ""
        for start in range(0, len(sound) - size + 1, size):
            detector.hear(sound[start : start + size])
            if suspected and (detector.evidence.evident or detector.evidence.harmless):
                verdict = "evident" if detector.evidence.evident else "harmless"
                break
            if detector.hint and not suspected and start > 0.9 * RATE:
                suspected = True
                detector.suspect()
        verdicts.append(verdict)
    assert verdicts == ["evident", "harmless"]


def test_what_repeats_itself_is_harmonic_and_noise_is_not() -> None:
    at = np.arange(PITCH_SAMPLES) / RATE
    vowel = np.sum([np.sin(2 * np.pi * 120 * n * at) / n for n in range(1, 9)], axis=0)
    noise = np.random.default_rng(3).normal(0, 1, PITCH_SAMPLES)
    assert harmonicity((3000 * vowel).astype(np.float32)) > 0.95
    assert harmonicity((3000 * noise).astype(np.float32)) < 0.6
    assert harmonicity(np.zeros(PITCH_SAMPLES, np.float32)) == 0
