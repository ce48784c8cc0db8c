"""The figures are right: recordings made here, of which every sample is known, are measured."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgevoice_measure
from edgevoice.audio.tones import TONES, tone
from edgevoice_measure import (
    Interruption,
    Samples,
    Stretch,
    Unmeasurable,
    Utterance,
    heard_count,
    heard_samples,
    interruptions,
    is_chime,
    last_sounding,
    measure,
    onset,
    percentiles,
    replies,
    resample,
    sounding,
)

RATE = 48000


def noise(seconds: float, level: float, *, seed: int = 0, rate: int = RATE) -> Samples:
    """Return band-limited noise of RMS `level`, never exactly zero for long."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal(round(seconds * rate) + 8)
    soft = np.convolve(white, np.ones(9) / 3, "valid")
    return np.rint(soft * level).astype(np.int16)


def speech(seconds: float, *, seed: int = 1, rate: int = RATE, level: float = 4000.0) -> Samples:
    """Return noise that swells and fades four times a second, as syllables do, over a quiet room."""
    t = np.arange(round(seconds * rate)) / rate
    syllables = np.maximum(0.0, np.sin(2 * np.pi * 4 * t)) * (0.6 + 0.4 * np.sin(7 * t + seed))
    loud = noise(seconds, level, seed=seed, rate=rate) * syllables
    return (loud + noise(seconds, 10, seed=seed + 100, rate=rate)).astype(np.int16)


def note(hz: float, seconds: float, *, level: float = 3000.0) -> Samples:
    n = round(seconds * RATE)
    fade = np.minimum(1.0, np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.008 * RATE))
    return np.rint(level * fade * np.sin(2 * np.pi * hz * np.arange(n) / RATE)).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


def placed(seconds: float, *sounds: tuple[float, Samples]) -> Samples:
    """Return silence with each sound in it at its second."""
    x = silence(seconds)
    for at, sound in sounds:
        x[round(at * RATE) : round(at * RATE) + len(sound)] += sound
    return x


# ------------------------------------------------------------------------------------------------- what sounds


def test_silence_has_no_stretches() -> None:
    assert sounding(silence(1), RATE) == []


def test_short_gaps_join_and_long_ones_part() -> None:
    x = placed(4, (0.5, noise(0.5, 500)), (1.1, noise(0.5, 500)), (2.0, noise(0.5, 500)))
    x[[24000, 76799, 96000, 119999]] = 1
    assert sounding(x, RATE) == [Stretch(24000, 76799), Stretch(96000, 119999)]
    assert sounding(x, RATE, join_s=0.05)[:2] == [Stretch(24000, 47999), Stretch(52800, 76799)]


def test_what_is_too_short_can_be_left_out() -> None:
    x = placed(3, (0.5, noise(0.1, 500)), (1.0, noise(0.6, 500)))
    assert [stretch.first // 4800 for stretch in sounding(x, RATE, least_s=0.5)] == [10]


def test_sound_up_to_the_last_sample_is_a_stretch() -> None:
    assert sounding(np.array([0, 0, 7, 0, 9], np.int16), RATE) == [Stretch(2, 4)]


@pytest.mark.parametrize("name", TONES)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_signal_of_the_box_is_no_reply(name: str, rate: int) -> None:
    x = np.pad(tone(name, rate), rate)
    assert sounding(x, rate) != []
    assert replies(x, rate) == []


@given(seed=st.integers(0, 10_000), ms=st.integers(60, 400))
@settings(max_examples=50)
def test_a_scrap_of_speech_is_no_chime(seed: int, ms: int) -> None:
    assert not is_chime(speech(0.1 + ms / 1000, seed=seed)[4800:], RATE)


@pytest.mark.parametrize("ms", [60, 150, 400])
def test_a_scrap_of_a_vowel_is_no_chime(ms: int) -> None:
    t = np.arange(round(ms / 1000 * RATE)) / RATE
    overtones = sum(np.sin(2 * np.pi * 140 * n * (t + 0.1 * t**2)) / n for n in range(1, 12))
    assert not is_chime(np.rint(3000 * overtones).astype(np.int16), RATE)


def test_a_long_note_is_no_chime() -> None:
    assert not is_chime(note(440, 0.8), RATE)


def test_a_chime_just_before_a_reply_is_not_part_of_it() -> None:
    x = placed(3, (0.5, note(880, 0.2)), (0.75, speech(1)))
    assert [round(reply.first / RATE, 2) for reply in replies(x, RATE)] == [0.75]


# --------------------------------------------------------------------------------------------------- the onset


def test_an_utterance_begins_where_it_is_loud_not_where_the_room_hums() -> None:
    x = noise(2, 20)
    x[RATE:] += noise(1, 3000, seed=5)
    assert onset(x, RATE) == RATE


def test_a_soft_beginning_within_20_db_counts_and_a_softer_one_does_not() -> None:
    loud = noise(1, 3000, seed=5)
    for soft, first in ((400, 4800), (200, 9600)):  # -17.5 and -23.5 dB
        x = np.concatenate([silence(0.1), noise(0.1, soft, seed=6), loud])
        assert onset(x, RATE) == first


def test_pauses_do_not_lower_the_level_of_an_utterance() -> None:
    words = np.concatenate([noise(0.2, 3000, seed=5), noise(3, 20, seed=6)])
    assert onset(np.concatenate([noise(0.1, 200, seed=7), words]), RATE) == 4800


def test_silence_has_no_onset() -> None:
    assert onset(silence(1), RATE) is None
    assert onset(silence(0), RATE) is None


# -------------------------------------------------------------------------------------------- the last sounding


def test_the_last_sounding_sample_is_before_the_silence_that_follows() -> None:
    x = placed(4, (0.5, noise(1, 500)), (2.5, noise(1, 500)))
    x[[24000, 71999, 120000, 167999]] = 1
    assert last_sounding(x, 48000) == 71999
    assert last_sounding(x, 80000) == 71999
    assert last_sounding(x, 130000) == 167999
    assert last_sounding(x, 190000) == 167999


def test_an_underrun_is_not_yet_silence() -> None:
    x = placed(2, (0.5, noise(1, 500)))
    x[40000:41000] = 0
    x[[39999, 71999]] = 1
    assert last_sounding(x, 30000) == 71999
    assert last_sounding(x, 30000, quiet=1000) == 39999


def test_nothing_sounded_before_the_silence() -> None:
    assert last_sounding(silence(1), 10) is None
    assert last_sounding(placed(2, (1, noise(0.5, 500))), 24000) is None


def test_what_never_falls_silent_sounds_to_the_end() -> None:
    x = noise(1, 500)
    x[-1] = 1
    assert last_sounding(x, 30000) == len(x) - 1


# --------------------------------------------------------------------------------------------- how much is heard


def test_fill_silence_inside_a_reply_was_not_heard() -> None:
    x = placed(3, (1, noise(1, 500)))
    x[60000:60480] = 0
    x[[48000, 59999, 60480, 95999]] = 1
    assert heard_count(x, RATE, Stretch(48000, 95999)) == 48000 - 480


@given(cut=st.integers(300, 90_000), start=st.integers(0, 5000), volume=st.sampled_from([1, 2, 3]))
@settings(max_examples=40)
def test_a_copy_of_the_reference_is_counted_to_the_sample(cut: int, start: int, volume: int) -> None:
    reference = speech(2, level=3000)
    reference[cut - 1] = reference[cut - 1] or 1
    recording = np.concatenate([np.zeros(start, np.int16), reference[:cut] * volume, np.zeros(9000, np.int16)])
    assert heard_samples(recording.astype(np.int16), start, start + cut, reference) == cut
    assert heard_samples(recording.astype(np.int16), 0, len(recording), reference) == cut


def test_an_underrun_delays_the_reference_and_loses_nothing_of_it() -> None:
    reference = speech(2)
    recording = np.concatenate([reference[:40000], silence(0.02), reference[40000:60000]])
    recording[-1] = reference[59999] = 9
    assert heard_samples(recording, 0, len(recording), reference) == 60000


def test_a_lost_period_moves_the_place_in_the_reference() -> None:
    reference = speech(2)
    recording = np.concatenate([reference[:40000], reference[40480:60000]])
    recording[-1] = reference[59999] = 9
    assert heard_samples(recording, 0, len(recording), reference) == 60000


def test_a_scrap_after_an_underrun_follows_upon_what_came_before() -> None:
    reference = speech(2)
    reference[39999] = reference[40000] = reference[40099] = 9
    recording = np.concatenate([reference[:40000], silence(0.02), reference[40000:40100]])
    assert heard_samples(recording, 0, len(recording), reference) == 40100


@pytest.mark.parametrize("cut", [7000, 20000, 33333])
def test_a_resampled_reference_is_found_within_a_millisecond(cut: int) -> None:
    reference = speech(2, rate=24000)
    late = np.concatenate([np.zeros(20, np.int16), resample(reference, 24000, RATE)])  # a filter's delay, 0.4 ms
    found = heard_samples(late, 0, 2 * cut, resample(reference, 24000, RATE))
    assert found is not None
    assert abs(found - 2 * cut) <= 48


def test_silence_is_nothing_heard_and_another_voice_is_unclear() -> None:
    reference = speech(2)
    assert heard_samples(silence(1), 0, 48000, reference) == 0
    assert heard_samples(speech(1, seed=77), 0, 40000, reference) is None


def test_resampling_keeps_the_tone_and_the_moment() -> None:
    x = np.zeros(2400, np.int16)
    x[1200] = 20000
    assert int(np.argmax(resample(x, 24000, RATE))) == 2400
    tone = np.rint(5000 * np.sin(2 * np.pi * 440 * np.arange(4800) / RATE)).astype(np.int16)
    expected = np.rint(5000 * np.sin(2 * np.pi * 440 * np.arange(1600) / 16000))
    assert np.abs(resample(tone, RATE, 16000) - expected).max() <= 1
    assert len(resample(np.zeros(0, np.int16), 16000, RATE)) == 0


# ------------------------------------------------------------------------------------------------- percentiles


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentiles(range(1, 51)) == {"p50": 25.0, "p95": 48.0, "p99": 50.0, "max": 50.0, "n": 50}
    assert percentiles([3.5]) == {"p50": 3.5, "p95": 3.5, "p99": 3.5, "max": 3.5, "n": 1}


def test_percentiles_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentiles([])


# ---------------------------------------------------------------------------------------------- interruptions


def test_only_a_reply_that_falls_silent_under_a_voice_is_interrupted() -> None:
    spoken = [Stretch(0, 47999), Stretch(96000, 143999), Stretch(192000, 239999)]
    microphone = placed(6, (1.2, speech(0.5)), (2.5, noise(1.0, 3000)), (4.2, noise(0.3, 3000)))
    utterances = [Utterance(57600, 81600), Utterance(120000, 168000), Utterance(201600, 216000)]
    assert interruptions(microphone, spoken, RATE, utterances) == [Interruption(Stretch(96000, 143999), 120000)]


def test_a_reply_that_starts_while_somebody_speaks_is_spoken_over_from_its_start() -> None:
    microphone = placed(4, (0.5, noise(3, 3000)))
    found = interruptions(microphone, [Stretch(48000, 96000)], RATE, [Utterance(24000, 168000)])
    assert [interruption.onset for interruption in found] == [48000]


def test_a_recording_that_opens_with_silence_interrupts_when_its_voice_does() -> None:
    microphone = noise(4, 8) + placed(4, (1.5, noise(1.5, 3000)))
    found = interruptions(microphone, [Stretch(24000, 84000)], RATE, [Utterance(48000, 144000)])
    assert [interruption.onset for interruption in found] == [72000]


# ------------------------------------------------------------------------------------------------- the folder


def write_wav(path: Path, x: Samples, rate: int = RATE) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(x.astype("<i2").tobytes())


CUT = round(6.7 * RATE)  # the first silent sample
SCRIPT: list[dict[str, Any]] = [
    {"at": 0.1, "who": "turn", "what": "turn", "turn": "listening"},
    {"at": 1.0, "who": "person", "what": "speaks", "until": 2.5, "file": "ask.wav"},
    {"at": 3.0, "who": "agent", "what": "ResponseStarted", "response": "r1"},
    {"at": 6.5, "who": "person", "what": "speaks", "until": 8.5, "file": "stop.wav"},
    {"at": 6.695, "who": "card", "what": "BargedIn", "response": "r2", "heard_ms": 1205.0},
]


def conversation() -> tuple[Samples, Samples]:
    """Return microphone and loudspeaker: a chime, a reply, and one cut at 6.7 s by a voice that began at 6.5 s."""
    microphone = noise(10, 8) + placed(10, (1.0, speech(1.5)), (6.5, noise(2.0, 3000, seed=9)))
    speaker = placed(10, (0.2, note(880, 0.2)), (3.0, speech(1.5)), (5.5, speech(2.5, seed=4)))
    speaker[CUT:] = 0
    speaker[[round(5.5 * RATE), CUT - 1]] = 1
    return microphone, speaker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    microphone, speaker = conversation()
    write_wav(tmp_path / "microphone.wav", microphone)
    write_wav(tmp_path / "speaker.wav", speaker)
    tell(tmp_path, SCRIPT)
    return tmp_path


def tell(folder: Path, events: Sequence[dict[str, Any]]) -> None:
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")


def test_a_conversation_is_measured(folder: Path) -> None:
    figures = measure(folder)
    assert figures["each"] == [
        {
            "reply_at": 5.5,
            "onset_at": 6.5,
            "decided_at": 6.695,
            "silent_at": 6.7,
            "mic_to_silence_ms": 200.0,
            "drop_to_silence_ms": 5.0,
            "heard_ms": 1200.0,
            "claimed_ms": 1205.0,
            "heard_error_ms": 5.0,
        }
    ]
    assert {name: value for name, value in figures.items() if name not in {"each", "replies"}} == {
        "rate": RATE,
        "seconds": 10.0,
        "turns": 2,
        "interruptions": 1,
        "claimed_interruptions": 1,
        "mic_to_silence_ms": 200.0,
        "drop_to_silence_ms": 5.0,
        "heard_error_ms": 5.0,
    }
    assert [[round(edge, 1) for edge in reply] for reply in figures["replies"]] == [[3.0, 4.5], [5.5, 6.7]]


def test_silence_before_the_decision_was_logged_is_negative(folder: Path) -> None:
    tell(folder, [*SCRIPT[:-1], SCRIPT[-1] | {"at": 6.71}])
    assert measure(folder)["drop_to_silence_ms"] == -10.0


def test_an_interruption_that_nobody_claimed_has_no_error(folder: Path) -> None:
    tell(folder, SCRIPT[:-1])
    figures = measure(folder)
    assert (figures["interruptions"], figures["claimed_interruptions"]) == (1, 0)
    assert (figures["mic_to_silence_ms"], figures["drop_to_silence_ms"], figures["heard_error_ms"]) == (200, None, None)


def test_a_claim_that_the_loudspeaker_does_not_bear_out_is_no_interruption(folder: Path) -> None:
    tell(folder, [*SCRIPT[:3], {"at": 3.5, "who": "card", "what": "BargedIn", "response": "r1", "heard_ms": 500.0}])
    figures = measure(folder)
    assert (figures["interruptions"], figures["claimed_interruptions"]) == (0, 1)
    assert figures["mic_to_silence_ms"] is None


def test_the_worst_of_several_interruptions_counts(folder: Path) -> None:
    first = [
        {"at": 4.0, "who": "person", "what": "speaks", "until": 4.9},
        {"at": 4.2, "who": "card", "what": "BargedIn", "response": "r1", "heard_ms": 1400.0},
    ]
    microphone, speaker = conversation()
    speaker[round(4.25 * RATE) : round(5 * RATE)] = 0
    speaker[round(4.25 * RATE) - 1] = 1
    write_wav(folder / "speaker.wav", speaker)
    write_wav(folder / "microphone.wav", microphone + placed(10, (4.0, noise(0.9, 3000))))
    tell(folder, [*SCRIPT, *first])
    figures = measure(folder)
    assert (figures["interruptions"], figures["mic_to_silence_ms"], figures["drop_to_silence_ms"]) == (2, 250.0, 50.0)
    assert figures["heard_error_ms"] == figures["each"][0]["heard_error_ms"]
    assert figures["heard_error_ms"] == pytest.approx(150.0, abs=5)


def test_a_missing_recording_is_named(folder: Path) -> None:
    (folder / "speaker.wav").unlink()
    with pytest.raises(Unmeasurable, match=r"speaker\.wav is missing"):
        measure(folder)


def test_recordings_that_do_not_belong_together_are_refused(folder: Path) -> None:
    _, speaker = conversation()
    write_wav(folder / "speaker.wav", speaker[:-1])
    with pytest.raises(Unmeasurable, match="479999 samples, expected the 480000"):
        measure(folder)
    write_wav(folder / "speaker.wav", speaker, 44100)
    with pytest.raises(Unmeasurable, match="44100 Hz, expected the 48000"):
        measure(folder)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("no JSON", "line 2 is not JSON"),
        ("[]", r'line 2 is \[\], expected an object with a number "at"'),
        ('{"at": NaN}', "line 2 is"),
        ('{"at": true}', "line 2 is"),
        ('{"at": 1, "who": "person", "what": "speaks"}', "until None, expected a number"),
    ],
)
def test_a_damaged_line_is_named(folder: Path, line: str, complaint: str) -> None:
    (folder / "events.jsonl").write_text('{"at": 0}\n' + line + "\n", "utf-8")
    with pytest.raises(Unmeasurable, match=complaint):
        measure(folder)


def test_a_stereo_recording_or_garbage_is_refused(folder: Path) -> None:
    with wave.open(str(folder / "speaker.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
    with pytest.raises(Unmeasurable, match="2 channels of 16 bits, expected mono of 16"):
        measure(folder)
    (folder / "speaker.wav").write_bytes(b"RIFF")
    with pytest.raises(Unmeasurable, match="is not a WAV file"):
        measure(folder)


# ------------------------------------------------------------------------------------------------ independence


def run(code: Sequence[str]) -> subprocess.CompletedProcess[str]:
    root = Path(edgevoice_measure.__file__).parent
    return subprocess.run([sys.executable, *code], capture_output=True, text=True, cwd=root, timeout=60, check=False)


def test_the_program_prints_one_json_object(folder: Path) -> None:
    done = run(["-m", "edgevoice_measure", str(folder)])
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == measure(folder)


def test_the_program_says_what_is_wrong_and_exits_65(tmp_path: Path) -> None:
    done = run(["-m", "edgevoice_measure", str(tmp_path)])
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr == f"edgevoice_measure: {tmp_path / 'microphone.wav'} is missing\n"


def test_the_code_that_measures_imports_nothing_of_what_it_measures() -> None:
    tree = ast.parse(Path(edgevoice_measure.__file__).read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 0 for node in froms)
    modules = {alias.name for node in imports for alias in node.names} | {node.module or "" for node in froms}
    assert {module.split(".")[0] for module in modules} - sys.stdlib_module_names == {"numpy"}
    assert "importlib" not in modules


def test_once_it_runs_the_package_cannot_be_imported(folder: Path) -> None:
    code = f"import edgevoice_measure; edgevoice_measure.main([{str(folder)!r}]); import edgevoice"
    done = run(["-c", code])
    assert done.returncode == 1
    assert done.stderr.endswith("import of edgevoice halted; None in sys.modules\n")
