"""The voice detector: six people who are heard soon, and everything else that is not a voice."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevoice.audio.resample import Resampler
from edgevoice.audio.speech import SpeechDetector

Samples = NDArray[np.int16]
Sound = NDArray[np.float64]

RATE = 16_000
FRAME = 160
PEOPLE = ("george", "lucas", "theo", "jackson", "nicolas", "yweweler")
SPEECH = Path(__file__).parents[1] / "speech"


def said(name: str) -> Sound:
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return Resampler(file.getframerate(), RATE).process(pcm).astype(np.float64)


def power(x: Sound) -> Sound:
    frames: Sound = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME)
    mean: Sound = (frames**2).mean(axis=1)
    return mean


def voice_level(x: Sound) -> float:
    frames = power(x)
    return float(frames[frames >= frames.max() / 1e3].mean())


def onset(x: Sound) -> int:
    """Return the first frame of `x` within 20 dB of its level."""
    return int(np.argmax(power(x) >= voice_level(x) / 100))


def noise(seconds: float, dbfs: float, *, falling: float, seed: int = 1) -> Sound:
    """Return noise that falls by `falling` dB an octave: 0 white, 3 pink, 6 brown."""
    samples = round(seconds * RATE)
    rng = np.random.default_rng(seed)
    hz = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum = rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))
    spectrum *= np.where(hz < 20, 0, np.maximum(hz, 20) ** (-falling / 6.02))
    sound: Sound = np.fft.irfft(spectrum, samples)
    return at_level(sound, dbfs)


def fan(seconds: float, dbfs: float) -> Sound:
    """Return a fan: air that breathes slowly, and the tone of its blades."""
    at = np.arange(round(seconds * RATE)) / RATE
    air = noise(seconds, 0, falling=4) / 32768
    return at_level(air * (1 + 0.12 * np.sin(2 * np.pi * 0.7 * at)) + 0.5 * np.sin(2 * np.pi * 142 * at), dbfs)


def at_level(sound: Sound, dbfs: float) -> Sound:
    return sound * float(32768 * 10 ** (dbfs / 20) / np.sqrt((sound**2).mean()))


def pcm(sound: Sound) -> Samples:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def evidence(sound: Sound, detector: SpeechDetector | None = None) -> list[bool]:
    """Return after which frames speech was evident."""
    detector = detector or SpeechDetector()
    seen = []
    for frame in pcm(sound)[: len(sound) // FRAME * FRAME].reshape(-1, FRAME):
        detector.hear(frame)
        seen.append(detector.evident)
    return seen


def after_onset_ms(name: str, surroundings: Sound, lead: int, gain: float = 1.0) -> int:
    """Return how long after its onset a voice that begins at frame `lead` is evident."""
    voice = gain * said(name)
    heard = surroundings[: lead * FRAME + len(voice)].copy()
    heard[lead * FRAME :] += voice
    begin = lead + onset(voice)
    return 10 * (evidence(heard)[begin:].index(True) + 1)


# ---------------------------------------------------------------------------------------------------- voices


@pytest.mark.parametrize("name", PEOPLE)
def test_a_voice_in_a_quiet_room_is_evident_within_170_milliseconds(name: str) -> None:
    assert after_onset_ms(name, noise(6, -65, falling=3), lead=300) <= 170


def test_half_of_the_voices_are_evident_within_90_milliseconds() -> None:
    took = [after_onset_ms(name, noise(6, -65, falling=3), lead=300) for name in PEOPLE]
    assert sorted(took)[2] <= 90


@pytest.mark.parametrize("name", PEOPLE)
def test_a_voice_beside_a_fan_is_evident_within_200_milliseconds(name: str) -> None:
    voice = said(name)
    first_word = voice[onset(voice) * FRAME :][: RATE // 2]  # faint and loud digits were joined
    level = 32768 * 10 ** ((15 - 40) / 20)  # 15 dB above the fan
    assert after_onset_ms(name, fan(6, -40), lead=300, gain=level / voice_level(first_word) ** 0.5) <= 200


@pytest.mark.parametrize("name", [name for name in PEOPLE if name != "theo"])  # who is fainter than an unknown room
def test_a_person_who_speaks_at_once_is_not_missed(name: str) -> None:
    assert after_onset_ms(name, noise(6, -65, falling=3), lead=0) <= 270


@pytest.mark.parametrize("name", PEOPLE)
def test_somebody_speaks_from_the_evidence_on_until_200_milliseconds_without_voice(name: str) -> None:
    detector = SpeechDetector()
    silent = 0
    heard = np.concatenate((noise(2, -65, falling=3), said(name), noise(2, -65, falling=3)))
    for frame in pcm(heard)[: len(heard) // FRAME * FRAME].reshape(-1, FRAME):
        before = detector.speaking
        detector.hear(frame)
        silent = 0 if detector.voiced else silent + 1
        assert detector.speaking == (detector.evident or (before and silent < 20))
    assert not detector.speaking


@pytest.mark.parametrize("name", PEOPLE)
def test_the_evidence_fades_soon_after_the_voice(name: str) -> None:
    voice = said(name)
    heard = np.concatenate((noise(2, -65, falling=3), voice, np.zeros(RATE)))
    ends = (2 * RATE + len(voice)) // FRAME
    assert not any(evidence(heard)[ends + 15 :])


def frames_until_jackson_is_evident(detector: SpeechDetector) -> int:
    heard = np.concatenate((noise(3, -65, falling=3), said("jackson")))
    return evidence(heard, detector).index(True) - 300


def test_more_sensitive_means_sooner() -> None:
    low, normal, high = (
        frames_until_jackson_is_evident(SpeechDetector(sensitivity=sensitivity))
        for sensitivity in ("low", "normal", "high")
    )
    assert high < normal < low


def test_a_longer_confirmation_takes_longer() -> None:
    short, long = (frames_until_jackson_is_evident(SpeechDetector(confirm_ms=ms)) for ms in (80, 320))
    assert short < long


# ------------------------------------------------------------------------------------------- everything else


@pytest.mark.parametrize("dbfs", [-50, -40, -30, -25])
@pytest.mark.parametrize("falling", [0, 3, 6])
def test_steady_noise_is_no_voice(falling: float, dbfs: float) -> None:
    assert not any(evidence(noise(30, dbfs, falling=falling))[200:])


@pytest.mark.parametrize("dbfs", [-50, -40, -30, -25])
def test_a_fan_is_no_voice(dbfs: float) -> None:
    assert not any(evidence(fan(30, dbfs))[200:])


@pytest.mark.parametrize(("before", "after"), [(-65, -30), (-45, -25), (-30, -60)])
def test_a_fan_that_changes_its_speed_is_forgiven_within_two_seconds(before: float, after: float) -> None:
    heard = np.concatenate((fan(5, before), fan(10, after)))
    assert not any(evidence(heard)[700:])


def test_digital_silence_an_offset_and_hum_are_no_voice_from_the_start() -> None:
    at = np.arange(10 * RATE) / RATE
    assert not any(evidence(0 * at))
    assert not any(evidence(0 * at + 3000))
    assert not any(evidence(1465 * np.sin(2 * np.pi * 50 * at)))  # -30 dBFS


def test_noise_after_digital_silence_is_forgiven_as_well() -> None:
    assert not any(evidence(np.concatenate((np.zeros(5 * RATE), noise(10, -40, falling=3))))[700:])


def test_a_beep_too_high_for_a_voice_is_none() -> None:
    heard = noise(5, -65, falling=3)
    heard[2 * RATE : 4 * RATE] += 1000 * np.sin(2 * np.pi * 6500 / RATE * np.arange(2 * RATE))
    assert not any(evidence(heard))


def test_a_click_in_a_room_is_no_voice() -> None:
    rng = np.random.default_rng(3)
    heard = noise(30, -65, falling=3)
    for second in range(2, 29):
        decay = np.arange(RATE // 4)
        tail = 0.03 * rng.standard_normal(len(decay)) * 10 ** (-3 * decay / (0.3 * RATE))
        tail[:32] += np.hanning(32) * rng.choice([-1, 1], 32)
        heard[second * RATE : second * RATE + len(tail)] += 8000 * tail
    assert not any(evidence(heard))


# ------------------------------------------------------------------------------------------------- the rest


@given(st.lists(st.integers(0, 500), max_size=30))
def test_it_does_not_matter_in_which_chunks_it_is_heard(lengths: list[int]) -> None:
    sound = pcm(said("jackson"))[: sum(lengths)]
    chunked, whole = SpeechDetector(), SpeechDetector()
    for part in np.split(sound, np.cumsum(lengths)):
        chunked.hear(part)
    whole.hear(sound)
    assert (chunked.level_dbfs, chunked.floor_dbfs) == (whole.level_dbfs, whole.floor_dbfs)
    assert (chunked.voiced, chunked.evident, chunked.speaking) == (whole.voiced, whole.evident, whole.speaking)


def test_a_chunk_may_be_overwritten_once_it_was_heard() -> None:
    detector, buffer = SpeechDetector(), np.zeros(100, np.int16)
    detector.hear(buffer)
    buffer[:] = 20_000
    detector.hear(np.zeros(60, np.int16))
    assert detector.level_dbfs == -96.0


def test_levels_are_those_of_the_noise() -> None:
    detector = SpeechDetector()
    assert (detector.level_dbfs, detector.floor_dbfs) == (-96.0, -55.0)
    detector.hear(pcm(noise(5, -40, falling=0)))
    assert detector.level_dbfs == pytest.approx(-40, abs=2)
    assert detector.floor_dbfs == pytest.approx(-41, abs=1)


def test_the_floor_is_never_below_the_quietest_room() -> None:
    detector = SpeechDetector()
    detector.hear(np.zeros(5 * RATE, np.int16))
    assert detector.floor_dbfs == pytest.approx(-70)
    assert (detector.voiced, detector.evident, detector.speaking) == (False, False, False)


def test_a_wrong_setting_is_an_error_that_says_what_was_expected() -> None:
    with pytest.raises(ValueError, match='sensitivity is "extreme", expected one of low, normal, high'):
        SpeechDetector(sensitivity="extreme")
    with pytest.raises(ValueError, match="confirm_ms is 9, expected at least 10"):
        SpeechDetector(confirm_ms=9)
