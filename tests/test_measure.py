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
    Recordings,
    Said,
    Samples,
    Stretch,
    Unmeasurable,
    echo,
    find,
    heard_samples,
    last_sounding,
    measure,
    onset,
    pauses,
    percentiles,
    replies,
    resample,
    sounding,
)

RATE = 48000
AGENT_RATE = 16000


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
    assert sounding(x, RATE, join_s=0.15) == [Stretch(24000, 76799), Stretch(96000, 119999)]
    assert sounding(x, RATE)[:2] == [Stretch(24000, 47999), Stretch(52800, 76799)]


def test_sound_up_to_the_last_sample_is_a_stretch() -> None:
    assert sounding(np.array([0, 0, 7, 0, 9], np.int16), RATE) == [Stretch(2, 4)]


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


# --------------------------------------------------------------------------------- what the loudspeaker says of it


def sent(*seconds: float) -> tuple[Samples, list[Said]]:
    """Return replies of so many seconds on the agent's track, a second apart, and where they are at `RATE`."""
    track, spans = [silence(1.0)], []
    for n, length in enumerate(seconds):
        begin = sum(map(len, track))
        track += [resample(speech(length, seed=n + 1, rate=AGENT_RATE), AGENT_RATE, RATE), silence(1.0)]
        spans.append(Said(begin, begin + round(length * RATE)))
    return np.concatenate(track), spans


def of(agent: Samples, span: Said, start_s: float = 0.0, end_s: float = 99.0) -> Samples:
    """Return a piece of a reply, its edges audible."""
    piece = agent[span[0] : span[1]][round(start_s * RATE) : round(end_s * RATE)].copy()
    piece[[0, -1]] += np.where(piece[[0, -1]] == 0, 1, 0).astype(np.int16)
    return piece


def faded(x: Samples) -> Samples:
    gains = np.ones(len(x))
    gains[:240] = np.sin(np.arange(240) / 240 * np.pi / 2) ** 2
    return np.rint(x * gains).astype(np.int16)


def recorded(speaker: Samples, agent: Samples, **others: Samples) -> Recordings:
    nothing = np.zeros(len(speaker), np.int16)
    rest = {name: others.get(name, nothing) for name in ("person", "microphone", "cleaned")}
    return Recordings(RATE, speaker=speaker, agent=agent, cleaned_rate=RATE, **rest)


def resumed(agent: Samples, span: Said, *, cut_s: float, gap_s: float, skip: int) -> Samples:
    """Return a reply that pauses at `cut_s`, and goes on `skip` samples later than where it stopped, fading in."""
    rest = agent[span[0] + round(cut_s * RATE) + skip : span[1]]
    return np.concatenate([silence(1), of(agent, span, 0, cut_s), silence(gap_s), faded(rest), silence(1)])


@pytest.mark.parametrize("name", TONES)
def test_a_signal_of_the_box_is_no_reply(name: str) -> None:
    agent, spans = sent(2.0)
    x = np.pad(tone(name, RATE), RATE)
    assert sounding(x, RATE) != []
    assert replies(x, RATE, agent, spans) == []


def test_a_chime_just_before_a_reply_is_not_part_of_it() -> None:
    agent, spans = sent(2.0)
    speaker = placed(5, (0.5, note(880, 0.2)), (0.702, of(agent, spans[0])))
    (reply,) = replies(speaker, RATE, agent, spans)
    assert reply.start == pytest.approx(0.702 * RATE, abs=2)
    assert reply.heard == pytest.approx(2.0 * RATE, abs=2)


def test_what_sounded_before_the_agent_said_it_is_no_reply() -> None:
    agent, spans = sent(2.0)
    speaker = placed(8, (1, of(agent, spans[0])), (5, of(agent, spans[0])))
    (reply,) = replies(speaker, RATE, agent, [spans[0]._replace(since=4 * RATE)])
    assert reply.start == 5 * RATE


def test_what_was_heard_of_each_reply_is_known_to_the_sample() -> None:
    agent, spans = sent(2.0, 3.0)
    speaker = placed(9, (1, of(agent, spans[0], 0, 1.25)), (4, of(agent, spans[1])))
    first, second = replies(speaker, RATE, agent, spans)
    assert (round(first.heard), round(second.heard)) == (round(1.25 * RATE), 3 * RATE)
    assert (first.start, first.silence) == (RATE, round(2.25 * RATE))


@given(
    syllable=st.integers(1, 9),
    within_ms=st.integers(0, 30),
    gap_ms=st.integers(12, 600),
    skip=st.sampled_from([0, 0, -480, -96, -30, 30, 96, 480]),
)
@settings(max_examples=20, deadline=None)
def test_what_a_pause_costs_is_counted_in_samples(syllable: int, within_ms: int, gap_ms: int, skip: int) -> None:
    agent, spans = sent(3.0)
    cut_s = (50 + 250 * syllable + within_ms) / 1000
    speaker = resumed(agent, spans[0], cut_s=cut_s, gap_s=gap_ms / 1000, skip=skip)
    (pause,) = pauses(recorded(speaker, agent), replies(speaker, RATE, agent, spans), [])
    cost = pause["lost_samples"], pause["repeated_samples"]
    if skip:
        third_of_a_ms = RATE // 3000  # where a syllable is as good a match a little earlier
        assert cost == (pytest.approx(max(skip, 0), abs=third_of_a_ms), pytest.approx(max(-skip, 0), abs=third_of_a_ms))
    else:
        assert cost == (0, 0)
    assert pause["ms"] == pytest.approx(gap_ms, abs=1)


def test_a_reply_that_goes_on_with_a_click_has_a_step() -> None:
    agent, spans = sent(3.0)
    loud = 1.0 + float(np.argmax(agent[spans[0][0] + RATE :][:RATE])) / RATE
    soft = resumed(agent, spans[0], cut_s=loud, gap_s=0.2, skip=0)
    hard = np.concatenate([silence(1), of(agent, spans[0], 0, loud), silence(0.2), of(agent, spans[0], loud)])
    found = [pauses(recorded(x, agent), replies(x, RATE, agent, spans), [])[0] for x in (soft, hard)]
    assert found[0]["resume_step"] < 200 < 5000 < found[1]["resume_step"]


def test_a_reply_that_was_muted_instead_of_paused_has_lost_what_was_said_meanwhile() -> None:
    agent, spans = sent(3.0)
    speaker = placed(5, (1, of(agent, spans[0])))
    speaker[round(2.0 * RATE) : round(2.2 * RATE)] = 0
    (pause,) = pauses(recorded(speaker, agent), replies(speaker, RATE, agent, spans), [])
    assert pause["lost_samples"] == pytest.approx(0.2 * RATE, abs=48)


def test_a_silence_of_the_agents_own_is_no_pause() -> None:
    agent, spans = sent(3.0)
    begin = spans[0][0]
    agent[begin + RATE : begin + RATE + 9600] = 0
    speaker = placed(5, (1, of(agent, spans[0])))
    assert len(sounding(speaker, RATE)) == 2
    assert pauses(recorded(speaker, agent), replies(speaker, RATE, agent, spans), []) == []


def test_a_scrap_between_two_pauses_follows_upon_what_came_before() -> None:
    agent, spans = sent(3.0)
    begin, end, _ = spans[0]
    pieces = [of(agent, spans[0], 0, 1), silence(0.2), faded(agent[begin + RATE :][:240])[:24], silence(0.2)]
    speaker = np.concatenate([silence(1), *pieces, faded(agent[begin + RATE + 24 : end]), silence(1)])
    found = pauses(recorded(speaker, agent), replies(speaker, RATE, agent, spans), [])
    assert [(pause["lost_samples"], pause["repeated_samples"]) for pause in found] == [(0, 0), (0, 0)]


def test_a_piece_is_found_between_two_samples() -> None:
    reference = resample(speech(1.0, rate=AGENT_RATE), AGENT_RATE, 96_000)
    assert find(reference[20_001:60_001:2], reference[::2]) == pytest.approx(10_000.5, abs=0.1)
    assert find(speech(0.2, seed=8), reference[::2]) is None


# ------------------------------------------------------------------------------------------------------ the echo


def test_the_echo_is_measured_while_nobody_else_is_heard() -> None:
    speaker, person = (
        placed(10, (1, noise(3, 3000)), (6, noise(2, 3000, seed=2))),
        placed(10, (3, noise(3.5, 9000, seed=3))),
    )
    microphone = person + speaker // 2 + noise(10, 20, seed=4)
    figures = echo(recorded(speaker, silence(1), person=person, microphone=microphone, cleaned=person + speaker // 100))
    level_dbfs = 20 * np.log10(3000 / 32768)
    assert figures["echo_dbfs"] == pytest.approx(level_dbfs - 6, abs=0.3)
    assert figures["echo_left_dbfs"] == pytest.approx(level_dbfs - 40, abs=0.3)
    assert figures["echo_removed_db"] == pytest.approx(34, abs=0.3)
    assert figures["noise_dbfs"] == pytest.approx(20 * np.log10(20 / 32768), abs=0.3)


def test_a_loudspeaker_that_says_nothing_has_no_echo() -> None:
    assert set(echo(recorded(silence(1), silence(1))).values()) == {None}
    assert set(echo(recorded(silence(0), silence(0))).values()) == {None}


# ------------------------------------------------------------------------------------------------- the folder


def write_wav(path: Path, x: Samples, rate: int = RATE) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(x.astype("<i2").tobytes())


ASKS, COUGHS, STOPS = 1.0, 6.2, 8.0
PAUSED, WENT_ON = 6.3, 6.55
CUT = 8.2  # of the second reply, which began at 5.5
SCRIPT: list[dict[str, Any]] = [
    {"at": 0.1, "who": "turn", "what": "turn", "turn": "listening"},
    {"at": ASKS, "who": "person", "what": "speaks", "until": 2.5, "file": "ask.wav"},
    {"at": 2.9, "who": "agent", "what": "says", "response": "r1", "from_s": 1.0, "until_s": 2.5},
    {"at": 5.4, "who": "agent", "what": "says", "response": "r2", "from_s": 3.5, "until_s": 7.5},
    {"at": COUGHS, "who": "person", "what": "coughs", "until": 6.5},
    {"at": 6.29, "who": "card", "what": "Suspected", "response": "r2"},
    {"at": 6.5, "who": "card", "what": "TakenBack", "response": "r2"},
    {"at": STOPS, "who": "person", "what": "speaks", "until": 10.0, "file": "stop.wav"},
    {"at": 8.19, "who": "card", "what": "Suspected", "response": "r2"},
    {"at": 8.4, "who": "card", "what": "BargedIn", "response": "r2", "heard_ms": 2455.0},
]


def conversation() -> dict[str, Samples]:
    """Return the recordings of a chime, a reply, and one that pauses for a cough and is cut by a word."""
    agent, spans = sent(1.5, 4.0)
    begin, paused = spans[1][0], round((PAUSED - 5.5) * RATE)
    rest = faded(agent[begin + paused :][: round((CUT - WENT_ON) * RATE)])
    rest[-1] = 1
    speaker = placed(11, (0.2, note(880, 0.2)), (3.0, of(agent, spans[0])), (WENT_ON, rest))
    speaker[round(5.5 * RATE) :][:paused] = agent[begin:][:paused]
    speaker[round(PAUSED * RATE) - 1] = 1
    voices = (ASKS, speech(1.5)), (COUGHS, noise(0.3, 6000, seed=8)), (STOPS, noise(2.0, 3000, seed=9))
    person = placed(11, *voices)
    microphone = (person.astype(np.int32) + speaker // 2).clip(-32768, 32767).astype(np.int16)
    cleaned = (person + speaker // 100).astype(np.int16)
    return {
        "person": person,
        "microphone": microphone,
        "speaker": speaker,
        "cleaned": resample(cleaned, RATE, AGENT_RATE),
        "agent": resample(agent, RATE, AGENT_RATE),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, samples in conversation().items():
        write_wav(tmp_path / f"{name}.wav", samples, RATE if name not in ("cleaned", "agent") else AGENT_RATE)
    tell(tmp_path, SCRIPT)
    return tmp_path


def tell(folder: Path, events: Sequence[dict[str, Any]]) -> None:
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")


def said(*changes: dict[str, Any], without: str = "") -> list[dict[str, Any]]:
    return [*(event for event in SCRIPT if event["what"] != without), *changes]


def test_a_conversation_is_measured(folder: Path) -> None:
    figures = measure(folder)
    counts = ("replies", "interruptions", "claimed_interruptions", "coughs")
    assert [figures[name] for name in counts] == [2, 1, 1, 1]
    wrong = ("false_interruptions", "missed_interruptions", "false_pauses", "lost_samples", "repeated_samples")
    assert [figures[name] for name in (*wrong, "skipped_samples")] == [0] * 6
    assert figures["cough_pause_ms"] == pytest.approx(250, abs=1)
    assert figures["speech_to_silence_ms"] == pytest.approx(200, abs=0.1)
    assert figures["speech_to_decision_ms"] == pytest.approx(400, abs=0.1)
    assert figures["heard_error_ms"] == pytest.approx(5, abs=0.1)
    assert figures["echo_removed_db"] == pytest.approx(34, abs=1)
    assert [[round(edge, 1) for edge in reply] for reply in figures["spoken"]] == [[3.0, 4.5], [5.5, 8.2]]
    (pause,) = figures["pauses"]
    assert (pause["cause"], pause["onset_to_silence_ms"]) == ("cough", pytest.approx(100, abs=0.1))


def test_a_breath_before_the_word_may_interrupt_and_is_no_onset(folder: Path) -> None:
    person = conversation()["person"]
    person[round(STOPS * RATE) : round(8.25 * RATE)] //= 20
    write_wav(folder / "person.wav", person)
    figures = measure(folder)
    assert (figures["interruptions"], figures["false_interruptions"]) == (1, 0)
    assert figures["speech_to_silence_ms"] == pytest.approx(-50, abs=0.1)
    assert figures["heard_error_ms"] == pytest.approx(5, abs=0.1)


def test_an_interruption_that_nobody_claimed_has_no_error(folder: Path) -> None:
    tell(folder, said(without="BargedIn"))
    figures = measure(folder)
    assert (figures["interruptions"], figures["claimed_interruptions"]) == (1, 0)
    assert figures["speech_to_silence_ms"] == pytest.approx(200, abs=0.1)
    assert (figures["speech_to_decision_ms"], figures["heard_error_ms"]) == (None, None)


def test_a_claim_that_the_loudspeaker_does_not_bear_out_is_no_interruption(folder: Path) -> None:
    tell(folder, said({"at": 3.5, "who": "card", "what": "BargedIn", "response": "r1", "heard_ms": 500.0}))
    figures = measure(folder)
    assert (figures["interruptions"], figures["claimed_interruptions"]) == (1, 2)


def test_a_reply_that_ends_early_while_nobody_speaks_is_a_false_interruption(folder: Path) -> None:
    speaker = conversation()["speaker"]
    speaker[round(4.0 * RATE) : round(5.0 * RATE)] = 0
    write_wav(folder / "speaker.wav", speaker)
    figures = measure(folder)
    assert (figures["interruptions"], figures["false_interruptions"]) == (1, 1)


def test_a_cough_that_ends_a_reply_is_a_false_interruption(folder: Path) -> None:
    speaker = conversation()["speaker"]
    speaker[round(PAUSED * RATE) :] = 0
    write_wav(folder / "speaker.wav", speaker)
    figures = measure(folder)
    assert (figures["interruptions"], figures["false_interruptions"], figures["cough_pause_ms"]) == (0, 1, 0)


def test_who_speaks_over_a_reply_that_does_not_mind_is_missed(folder: Path) -> None:
    tell(folder, said({"at": 3.2, "who": "person", "what": "speaks", "until": 4.4}))
    person = conversation()["person"] + placed(11, (3.2, noise(1.2, 3000, seed=9)))
    write_wav(folder / "person.wav", person)
    assert measure(folder)["missed_interruptions"] == 1


def test_a_pause_while_nobody_makes_a_sound_is_one_for_nothing(folder: Path) -> None:
    tell(folder, said(without="coughs"))
    figures = measure(folder)
    assert (figures["false_pauses"], figures["cough_pause_ms"]) == (1, 0)
    assert figures["pauses"][0]["cause"] is None


def test_a_period_that_is_missing_in_a_reply_is_counted(folder: Path) -> None:
    speaker = conversation()["speaker"]
    at = round(3.7 * RATE)
    speaker[at : round(5.0 * RATE)] = speaker[at + 480 : round(5.0 * RATE) + 480]
    write_wav(folder / "speaker.wav", speaker)
    assert measure(folder)["skipped_samples"] == pytest.approx(480, abs=2)


def test_a_missing_recording_is_named(folder: Path) -> None:
    (folder / "speaker.wav").unlink()
    with pytest.raises(Unmeasurable, match=r"speaker\.wav is missing"):
        measure(folder)


def test_recordings_that_do_not_belong_together_are_refused(folder: Path) -> None:
    speaker = conversation()["speaker"]
    write_wav(folder / "speaker.wav", speaker[:-1])
    with pytest.raises(Unmeasurable, match="527999 samples, expected the 528000"):
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
        ('{"at": 1, "who": "agent", "what": "says"}', "expected from_s and until_s"),
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
