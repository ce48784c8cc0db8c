"""Who talks over us: recorded voices do; coughs, keys, and our own echo do not. Heard block by block, as in a call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.echo import load
from edgevoice.audio.evidence import OPERATING_POINTS
from edgevoice.audio.interruption import TalkOver
from edgevoice.audio.resample import Resampler
from edgevoice.drivers.wav import read_wav
from edgevoice_measure import onset

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]

RATE, BLOCK = 16_000, 160
SPEECH = Path(__file__).parent.parent / "speech"
NAMES = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
GIVE_UP = 50  # blocks
SILENCE = np.zeros(BLOCK, np.int16)


def said(name: str) -> Floats:
    pcm, rate = read_wav(SPEECH / f"{name}.wav")
    voice = Resampler(rate, RATE).process(pcm).astype(np.float64)
    return voice[onset(voice.astype(np.int16), RATE) :] if onset(voice.astype(np.int16), RATE) else voice


def room(seconds: float, dbfs: float = -65.0) -> Floats:
    return np.random.default_rng(5).normal(0, 32768 * 10 ** (dbfs / 20), round(seconds * RATE))


def cough(ms: int = 150) -> Floats:
    """Return a burst of noise that fades. Synthetic."""
    at = np.arange(RATE * ms // 1000)
    burst = np.random.default_rng(6).normal(0, 6000, len(at)) * np.exp(-at / (0.3 * len(at)))
    return np.convolve(burst, np.ones(6) / 3, "same")


def path() -> Floats:
    """Return a loud echo in a small room, 20 ms late."""
    at = np.arange(RATE // 8)
    ringing = np.random.default_rng(7).normal(0, 1, len(at)) * 10 ** (-3 * at / RATE / 0.3)
    return np.concatenate((np.zeros(RATE // 50), ringing / np.sqrt(np.sum(ringing**2))))


class Listener:
    """A detector as the audio loop uses it: a hint stops the loudspeaker, then it is weighed."""

    def __init__(self, sensitivity: str = "normal") -> None:
        self.detector = TalkOver(sensitivity=sensitivity)
        self.hinted: int | None = None  # block
        self.evident: int | None = None
        self.in_vain = 0
        self._canceller, _ = load("aec3", noise_suppression=True)

    def hear(self, air: Floats, played: Floats | None = None, echo: Floats | None = None) -> None:
        """Hear people, and the echo of what is played until a hint stops it."""
        speaker = np.zeros(len(air)) if played is None else played[: len(air)].copy()
        weighed: int | None = None
        heard = np.zeros(len(air) + (0 if echo is None else len(echo)))
        for block in range(len(air) // BLOCK):
            now = slice(block * BLOCK, (block + 1) * BLOCK)
            if echo is not None and weighed is None:
                heard[now.start : now.stop + len(echo) - 1] += np.convolve(speaker[now], echo)
            sounds = np.zeros(BLOCK) if weighed is not None else speaker[now]
            captured = np.clip(np.rint(air[now] + heard[now]), -32768, 32767).astype(np.int16)
            reference = sounds.astype(np.int16)
            self.detector.hear(self._canceller.process(reference, captured), captured, reference)
            if weighed is not None:
                weighed += 1
                if self.detector.evidence.evident and self.evident is None:
                    self.evident = block
                if self.detector.evidence.evident or self.detector.evidence.harmless or weighed >= GIVE_UP:
                    self.in_vain += not self.detector.evidence.evident
                    weighed = None
                    self.detector.evidence.relax()
            elif self.detector.hint:
                self.hinted = block if self.hinted is None else self.hinted
                weighed = 0
                self.detector.suspect()


@pytest.mark.parametrize("name", NAMES)
def test_a_voice_in_a_quiet_room_is_a_hint_at_once_and_then_evident(name: str) -> None:
    listener = Listener()
    voice = said(name)[: 2 * RATE]
    listener.hear(np.concatenate((room(2), room(2)[: len(voice)] + voice)))
    assert listener.hinted is not None
    assert (listener.hinted - 200) * 10 <= 60
    assert listener.evident is not None
    assert (listener.evident - 200) * 10 <= 800


@pytest.mark.parametrize("name", NAMES)
def test_a_voice_as_loud_as_our_own_echo_is_found(name: str) -> None:
    listener = Listener()
    speaker = np.tile(said("theo" if name != "theo" else "george"), 8)[: 10 * RATE]
    voice = said(name)[: 2 * RATE]
    voice *= 0.7 * np.sqrt(np.mean(speaker**2) / np.mean(voice**2))
    air = room(10)
    air[8 * RATE : 8 * RATE + len(voice)] += voice
    listener.hear(air, 0.7 * speaker, path())
    assert listener.hinted is not None
    assert 0 <= (listener.hinted - 800) * 10 <= 300, "and before it, it heard only itself"
    assert listener.evident is not None
    assert (listener.evident - 800) * 10 <= 1000


def test_a_minute_of_our_own_voice_is_nobody() -> None:
    listener = Listener()
    speaker = np.concatenate([said(name) for name in NAMES])
    speaker = np.tile(speaker, 60 * RATE // len(speaker) + 1)[: 60 * RATE]
    listener.hear(room(60), 0.7 * speaker, path())
    assert listener.evident is None
    assert listener.in_vain <= 2


def test_a_cough_is_a_hint_and_then_harmless() -> None:
    listener = Listener()
    air = room(6)
    for second in (2, 3, 4, 5):
        air[second * RATE :][: len(cough())] += cough()
    listener.hear(air)
    assert listener.hinted is not None
    assert listener.evident is None
    assert listener.in_vain >= 4


def test_a_short_word_and_the_next_are_one_suspicion() -> None:
    """The reply came back between them, for half a word."""
    voice = said("jackson")
    word = voice[: 70 * RATE // 1000] * np.minimum(1, np.arange(70 * RATE // 1000, 0, -1) / 80)
    listener = Listener()
    listener.hear(room(1))
    before = listener.in_vain
    air = room(2)
    air[: len(word)] += word
    air[400 * RATE // 1000 :][: len(voice[:RATE])] += voice[:RATE]
    listener.hear(air)
    assert (listener.in_vain - before, listener.evident is not None) == (0, True)


def test_a_fan_that_goes_on_is_no_hint() -> None:
    listener = Listener()
    fan = np.convolve(room(12, -30), np.ones(8) / 8, "same")
    listener.hear(fan[: 3 * RATE])
    listener.hinted = None
    listener.hear(fan[3 * RATE :])
    assert listener.hinted is None


def test_a_second_witness_halves_what_is_wanted() -> None:
    alone, witnessed = TalkOver(), TalkOver()
    voice = np.clip(said("theo")[: RATE // 2], -32768, 32767).astype(np.int16)
    needed = []
    for detector, witness in ((alone, False), (witnessed, True)):
        for block in room(2).astype(np.int16).reshape(-1, BLOCK):
            detector.hear(block, block, SILENCE)
        detector.suspect()
        if witness:
            detector.evidence.witness()
        blocks = [voice[at : at + BLOCK] for at in range(0, len(voice) - BLOCK, BLOCK)]
        needed.append(0)
        for block in blocks:
            detector.hear(block, block, SILENCE)
            needed[-1] += 1
            if detector.evidence.evident:
                break
    assert needed[1] < needed[0]


def test_sensitivity_moves_what_is_wanted_one_way() -> None:
    low, normal, high = (OPERATING_POINTS[name] for name in ("low", "normal", "high"))
    assert low.share > normal.share > high.share
    assert low.margin_db >= normal.margin_db >= high.margin_db


def test_after_a_gap_nothing_of_before_counts() -> None:
    detector = TalkOver()
    voice = np.clip(said("theo")[:RATE], -32768, 32767).astype(np.int16)
    detector.suspect()
    for at in range(0, len(voice) - BLOCK, BLOCK):
        detector.hear(voice[at : at + BLOCK], voice[at : at + BLOCK], SILENCE)
    detector.forget()
    assert not detector.evidence.evident
    assert not detector.speaking
