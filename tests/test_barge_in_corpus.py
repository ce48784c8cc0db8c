"""The corpus is what it says it is, and the loop holds its sessions: with voices made here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.barge_in import corpus, figures, noises, peers, rooms, runner
from benchmarks.barge_in.__main__ import main
from benchmarks.barge_in.record import Record
from benchmarks.barge_in.voices import AGENT_DBFS, PEOPLE, RATE, Voices, at_level
from benchmarks.onset import level_dbfs
from edgevoice.audio.acoustics import softly_clipped

Samples = NDArray[np.int16]

ROOT = Path(__file__).parent.parent
STILL = corpus.Condition("still", 1.0)
OVER = corpus.Condition("over", 1.0, talked_over=True, talker_db=6.0)


def babble(seconds: float, seed: int) -> Samples:
    """Return noise in the rhythm of syllables, as broad as a telephone's voice."""
    rng = np.random.default_rng(seed)
    size = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hz = np.fft.rfftfreq(size, 1 / RATE)
    sound = np.fft.irfft(spectrum * ((hz > 300) & (hz < 3400)), size)
    return at_level(sound * (0.02 + np.sin(np.pi * 4 * np.arange(size) / RATE) ** 2), AGENT_DBFS)


@cache
def voices() -> Voices:
    people = {name: [babble(1.5, 10 * index + number) for number in range(5)] for index, name in enumerate("abc")}
    return Voices(people, [babble(2.0, 100 + number) for number in range(9)])


class Attentive:
    """A detector that is told by what was captured alone: louder than a threshold."""

    level_dbfs = -96.0
    harmless = unspoilt = False

    def __init__(self, threshold: float, wanted: int = 1) -> None:
        self.hint = self.evident = self.speaking = self._suspecting = False
        self._threshold = threshold
        self._wanted = wanted
        self._loud = 0

    def hear(self, cleaned: Samples, captured: Samples, played: Samples) -> None:
        self.hint = self.speaking = bool(np.abs(cleaned).max() > self._threshold)
        self._loud += self.hint
        self.evident = self._suspecting and self._loud >= self._wanted

    @property
    def evidence(self) -> Self:
        return self

    def suspect(self) -> None:
        self._suspecting, self._loud = True, 0

    def relax(self) -> None:
        self._suspecting = self.evident = False

    def witness(self) -> None: ...

    def forget(self) -> None: ...


class Through:
    """No canceller."""

    name = "none"
    late = 0

    def process(self, played: Samples, captured: Samples) -> Samples:
        return captured


def held(condition: corpus.Condition, detector: Any, *, number: int = 0, interruptions: int = 0) -> Record:
    session = corpus.Session("tuning", condition, number, interruptions)
    return runner.hold(corpus.scene(session, voices()), runner.Ears(detector, Through()))


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SESSION_S", 20.0)
    monkeypatch.setattr(runner, "SESSION_S", 20.0)


# -------------------------------------------------------------------------------------------------- the corpus


def test_the_halves_have_nobody_in_common() -> None:
    assert not set(PEOPLE["tuning"]) & set(PEOPLE["held-out"])


def test_a_session_is_the_same_every_time_and_no_other_is_like_it() -> None:
    def sounds(half: str, number: int) -> tuple[bytes, ...]:
        made = corpus.scene(corpus.Session(half, OVER, number, 2), voices())
        said = [interruption.pcm for interruption in made.interruptions]
        return (made.echo.tobytes(), *(pcm.tobytes() for pcm in (*made.noises, *said, next(made.responses))))

    first = sounds("tuning", 0)
    assert sounds("tuning", 0) == first
    for other in (sounds("tuning", 1), sounds("held-out", 0)):
        assert not set(first) & set(other)


def test_more_hours_are_more_sessions_and_the_first_stay_as_they_are() -> None:
    few, many = (corpus.sessions("tuning", hours, count) for hours, count in ((1.0, 120), (2.0, 240)))
    assert set(few) <= set(many)
    assert sum(session.interruptions for session in many) == 240
    alone = [session for session in many if not session.condition.talked_over]
    assert len(alone) * corpus.SPEECH_S / 3600 == pytest.approx(2.0, rel=0.05)


def test_a_half_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of tuning, held-out"):
        corpus.sessions("test", 1.0, 10)


@pytest.mark.parametrize("number", range(4))
def test_the_echo_is_as_loud_as_it_was_drawn(short: None, number: int) -> None:
    loud = replace(STILL, erl_db=(-5.0, -10.0))
    made = corpus.scene(corpus.Session("tuning", loud, number), voices())
    said = np.concatenate([next(made.responses) for _ in range(2)])
    membrane = softly_clipped(said.astype(np.float32), made.drive)
    came_back = np.clip(rooms.heard(membrane, made.echo), -32768, 32767).astype(np.int16)
    erl_db = level_dbfs(said, RATE) - level_dbfs(came_back, RATE)
    assert erl_db == pytest.approx(made.facts["erl_db"], abs=0.7)
    late_ms = 1000 / RATE * int(np.flatnonzero(made.echo)[0])
    assert late_ms == pytest.approx(made.facts["delay_ms"], abs=0.1)


def test_a_talker_is_so_much_louder_than_the_echo_and_the_onset_is_that_at_the_microphone() -> None:
    made = corpus.scene(corpus.Session("tuning", OVER, 0, 3), voices())
    for interruption in made.interruptions:
        above_db = level_dbfs(interruption.pcm, RATE) - (AGENT_DBFS - made.facts["erl_db"])
        assert above_db == pytest.approx(6.0, abs=0.1)
        before = interruption.pcm[: interruption.onset].astype(float)
        frame = interruption.pcm[interruption.onset : interruption.onset + 160].astype(float)
        least = 32768 * 10 ** ((level_dbfs(interruption.pcm, RATE) - 20) / 20)
        assert np.sqrt((frame**2).mean()) >= least
        assert all(np.sqrt((part**2).mean()) < least for part in before.reshape(-1, 160))


def test_an_hour_has_as_many_coughs_as_is_said() -> None:
    noisy = replace(STILL, per_hour=(("cough", 60), ("typing", 60)))
    made = corpus.scene(corpus.Session("tuning", noisy, 0), voices())
    names = [person.name for person in made.people]
    assert names.count("cough") == names.count("typing") == round(60 * corpus.SESSION_S / 3600)


def test_a_room_decays_as_fast_as_it_was_drawn() -> None:
    for rt60_s in rooms.RT60_S:
        response = rooms.response(np.random.default_rng(1), rt60_s, "far").astype(float)
        left_db = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / (response**2).sum())
        first, last = (int(np.argmax(left_db < level)) for level in (-10.0, -30.0))
        assert (last - first) / RATE * 3 == pytest.approx(rt60_s, rel=0.2)


@pytest.mark.parametrize("make", [noises.cough, noises.typing, noises.door])
def test_a_noise_begins_and_ends(make: Any) -> None:
    sound = make(np.random.default_rng(1))
    assert np.isfinite(sound).all()
    assert np.abs(sound[-80:]).max() < 0.05 * np.abs(sound).max()


# ------------------------------------------------------------------------------------------------ the closed loop


def test_an_agent_that_nobody_interrupts_says_one_response_after_the_other(short: None) -> None:
    found = held(STILL, Attentive(40_000))
    said = np.concatenate(list(found.responses.values()))
    sounding = found.speaker[round(runner.FIRST_S * RATE) :]
    sounding = sounding[sounding != 0]
    assert np.array_equal(sounding, said[: len(sounding)])
    outcome = figures.measure(found)
    assert (outcome.suspicions, outcome.false, outcome.interrupted) == (0, 0, ())
    assert outcome.agent_s > 18.0


def test_a_person_is_noticed_and_the_agent_falls_silent() -> None:
    alone = replace(OVER, erl_db=None)
    outcome = figures.measure(held(alone, Attentive(600), interruptions=3))
    assert (len(outcome.interrupted), outcome.false) == (3, 0)
    for one in outcome.interrupted:
        assert one.confirmed_ms is not None
        assert one.silence_ms is not None
        assert -50 < one.silence_ms < one.confirmed_ms < 150
        assert one.lost_ms == 0
    assert all(abs(error) < 1 for error in outcome.heard_errors_ms)


def test_a_deaf_box_misses_everybody() -> None:
    outcome = figures.measure(held(OVER, Attentive(40_000), interruptions=2))
    assert [one.missed for one in outcome.interrupted] == [True, True]
    assert [one.silence_ms for one in outcome.interrupted] == [None, None]


def test_an_echo_that_is_taken_for_a_person_is_counted_and_what_is_taken_back_is_complete(short: None) -> None:
    outcome = figures.measure(held(STILL, Attentive(3000, wanted=1000), number=1))
    assert outcome.suspicions > 3
    assert outcome.false == 0
    assert outcome.continued.pauses >= outcome.suspicions - 1
    assert (outcome.continued.lost, outcome.continued.repeated) == (0, 0)


def test_the_processes_say_the_same_as_one(monkeypatch: pytest.MonkeyPatch, short: None) -> None:
    monkeypatch.setattr(runner, "load", lambda digits, half: voices())
    sessions = [corpus.Session("tuning", STILL, 0)]
    policy = partial(peers.level_gate, factor=0.6, least_dbfs=-40.0, blocks=1)
    (outcome,) = runner.run(sessions, Path(), policy, figures.measure, processes=1)
    assert outcome.false > 3, "the gate hears the echo"


def test_the_command_prints_the_tables_and_keeps_figures_and_picture(
    monkeypatch: pytest.MonkeyPatch, short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "load", lambda digits, half: voices())
    monkeypatch.setattr(corpus, "QUIET", (STILL,))
    monkeypatch.setattr(corpus, "TALKED_OVER", (replace(OVER, erl_db=None, name="talker, no echo"),))
    monkeypatch.chdir(tmp_path)
    few = ["--hours", "0.001", "--interruptions", "2", "--policy", "level gate", "--processes", "1"]
    main(["--speech", "nowhere", "--keep", "kept", *few])
    printed = capsys.readouterr().out
    assert "talker, no echo" in printed
    assert "2/2" in printed
    kept = tmp_path / "bench-results" / "barge-in"
    assert set(json.loads((kept / "held-out.json").read_text())) == {"level gate"}
    ElementTree.parse(kept / "held-out-false.svg")
    folders = [str(folder) for folder in (tmp_path / "kept").glob("*/*")]
    command = [sys.executable, "-m", "benchmarks.barge_in.figures", *folders]
    again = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    first = json.loads((kept / "held-out.json").read_text())["level gate"]
    assert sorted(json.loads(line)["condition"] for line in again) == sorted(each["condition"] for each in first)
    assert all(json.loads(line) in first for line in again)


# ----------------------------------------------------------------------------------------------------- the peers


def hints(peer: Any, cleaned: Samples, captured: Samples, played: Samples) -> list[bool]:
    found = []
    for at in range(0, len(cleaned), 160):
        peer.hear(*(sound[at : at + 160] for sound in (cleaned, captured, played)))
        found.append(peer.hint)
    return found


def test_a_level_gate_asks_for_more_than_the_loudspeaker_plays() -> None:
    quiet, loud = np.full(1600, 100, np.int16), np.full(1600, 3000, np.int16)
    gate = partial(peers.LevelGate, factor=0.6, least_dbfs=-50.0, blocks=2)
    assert not any(hints(peers.Peer(gate()), loud, loud // 2, loud))
    assert not any(hints(peers.Peer(gate()), quiet, quiet, np.zeros(1600, np.int16)))
    assert hints(peers.Peer(gate()), loud, loud, loud).index(True) == 7


def test_a_pause_is_taken_back_unless_there_are_words() -> None:
    peer = peers.Peer(peers.Duration(mode=0, least_ms=50, gap_ms=0), words_ms=30, mode=0)
    voice, silence = babble(0.2, 3) * 4, np.zeros(3200, np.int16)
    hints(peer, voice, voice, silence)
    peer.suspect()
    hints(peer, silence, silence, silence)
    before = peer.evident
    hints(peer, voice, voice, silence)
    assert (before, peer.evident) == (False, True)
