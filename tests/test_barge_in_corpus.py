"""The corpus is what it says it is, and its figures are right: voices made here, of which every sample is known."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.barge_in import bounds, corpus, figures, noises, peers, resumed, rooms, runner, tables, targets
from benchmarks.barge_in import record as records
from benchmarks.barge_in.__main__ import main
from benchmarks.barge_in.picture import Point, picture
from benchmarks.barge_in.record import Happened, Record, Spoken
from benchmarks.barge_in.resumed import Continued
from benchmarks.barge_in.voices import AGENT_DBFS, PEOPLE, RATE, Voices, at_level
from benchmarks.onset import level_dbfs
from edgevoice.audio.acoustics import softly_clipped
from tests.test_layers import imports

Samples = NDArray[np.int16]

ROOT = Path(__file__).parent.parent
COMPUTING = ("figures", "resumed", "record", "bounds", "tables", "targets", "picture")
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

    level_dbfs = floor_dbfs = -96.0
    harmless = False

    def __init__(self, threshold: float, wanted: int = 1) -> None:
        self.hint = self.evident = self.speaking = self._suspecting = False
        self._threshold = threshold
        self._wanted = wanted
        self._loud = 0

    def hear(self, cleaned: Samples, captured: Samples, played: Samples) -> None:
        self.hint = self.speaking = bool(np.abs(cleaned).max() > self._threshold)
        self._loud += self.hint
        self.evident = self._suspecting and self._loud >= self._wanted

    def suspect(self) -> None:
        self._suspecting, self._loud = True, 0

    def relax(self) -> None:
        self._suspecting = self.evident = False

    def witness(self) -> None: ...

    def forget(self) -> None: ...


class Through:
    """No canceller."""

    name = "none"

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
    assert len(alone) * corpus.SESSION_S / 3600 == pytest.approx(2.0, rel=0.05)


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


# --------------------------------------------------------------------------------------------------- the figures


def tell(**changed: Any) -> Record:
    """Return ten seconds: a response from second 1 that is cut at 3.1, a voice from second 3 that is confirmed."""
    rng = np.random.default_rng(1)
    response = np.where(rng.random(4 * RATE) < 0.5, -1, 1).astype(np.int16) * rng.integers(1, 3000, 4 * RATE)
    speaker = np.zeros(10 * RATE, np.int16)
    speaker[RATE : RATE + round(2.1 * RATE)] = response[: round(2.1 * RATE)]
    voice = babble(1.0, 1)
    uplink = np.zeros(10 * RATE, np.int16)
    uplink[3 * RATE : 4 * RATE] = voice
    values: dict[str, Any] = {
        "rate": RATE,
        "condition": "talker +6 dB",
        "drift_ppm": 0.0,
        "speaker": speaker,
        "uplink": uplink,
        "captured": 10 * RATE,
        "responses": {"r0": response.astype(np.int16)},
        "spoken": [Spoken(3 * RATE, 3 * RATE + 800, voice, "r0")],
        "events": [
            Happened(1.0, "Play", "r0"),
            Happened(3.1, "Suspected", "r0"),
            Happened(3.25, "BargedIn", "r0", 2100.0),
        ],
        "planned": 1,
    }
    return Record(**(values | changed))


def test_times_run_from_the_onset_and_are_read_off_the_loudspeaker() -> None:
    outcome = figures.measure(tell())
    (one,) = outcome.interrupted
    assert (one.confirmed_ms, one.silence_ms, one.lost_ms, one.early) == (200.0, 50.0, 0.0, True)
    assert outcome.heard_errors_ms == (0.0,)
    assert outcome.agent_s == pytest.approx(2.1)


def test_a_clock_that_is_fast_is_taken_into_account() -> None:
    (one,) = figures.measure(tell(drift_ppm=-1000.0)).interrupted
    assert one.silence_ms == pytest.approx(50 + 3.1, abs=0.1)


def test_what_is_confirmed_after_800_ms_is_missed() -> None:
    late = [Happened(1.0, "Play", "r0"), Happened(3.86, "BargedIn", "r0", 2100.0)]
    (one,) = figures.measure(tell(events=late)).interrupted
    assert one.missed
    assert one.confirmed_ms == 810.0


def test_what_nobody_caused_is_false() -> None:
    outcome = figures.measure(tell(spoken=[]))
    assert (outcome.suspicions, outcome.false, outcome.early_false) == (1, 1, 1)


def test_speech_that_was_not_sent_is_lost() -> None:
    silenced = tell()
    silenced.uplink[3 * RATE : 3 * RATE + RATE // 2] //= 20
    (one,) = figures.measure(silenced).interrupted
    assert 300 < one.lost_ms <= 500
    assert figures.measure(tell(uplink=silenced.uplink[:-160])).unsent == 160


def test_a_record_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    told = tell()
    records.write(tmp_path, told)
    assert figures.measure(records.read(tmp_path)) == figures.measure(told)


def went_on(*, lost: int = 0, pause: int = 4000) -> Samples:
    """Return a loudspeaker that pauses after 8000 samples and goes on with a fade, `lost` samples later."""
    response = tell().responses["r0"]
    rest = response[8000 + lost : 20_000].astype(float)
    rest[:80] *= np.sin(np.pi / 2 * np.arange(80) / 80) ** 2
    silence = np.zeros(pause, np.int16)
    return np.concatenate((silence[:500], response[:8000], silence, np.rint(rest).astype(np.int16)))


@pytest.mark.parametrize("off", [0, 1, -1, 7, -16, 160, -480])
def test_a_lost_or_repeated_sample_is_found(off: int) -> None:
    found = resumed.continued(went_on(lost=off), tell().responses["r0"], RATE)
    assert found == Continued(pauses=1, lost=max(0, off), repeated=max(0, -off))


def test_a_response_that_paused_before_anything_of_it_was_heard_is_complete() -> None:
    response = tell().responses["r0"]
    twice = response[:8000].astype(float)
    twice[:80] *= np.sin(np.pi / 2 * np.arange(80) / 80) ** 4
    for sound in (went_on()[12_500:], np.r_[np.zeros(99, np.int16), np.rint(twice).astype(np.int16)]):
        found = resumed.continued(sound, response[8000:] if len(sound) > 9000 else response, RATE)
        assert found == Continued()


def test_a_response_that_begins_too_late_has_lost_something() -> None:
    response = tell().responses["r0"]
    assert resumed.continued(np.r_[np.zeros(10, np.int16), response[3:]], response, RATE) == Continued(lost=3)


# -------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 2.996), (1, 0.0253, 5.572), (10, 4.795, 18.390), (200, 173.2, 229.7)]
)
def test_the_bounds_of_a_count_are_those_of_the_tables(count: int, low: float, high: float) -> None:
    assert bounds.poisson(count) == pytest.approx((low, high), rel=1e-3)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 100, 0.0, 0.02951), (2, 100, 0.002431, 0.07038), (50, 100, 0.3983, 0.6017), (10, 10, 0.7411, 1.0)],
)
def test_the_bounds_of_a_share_are_those_of_the_tables(count: int, of: int, low: float, high: float) -> None:
    assert bounds.share(count, of) == pytest.approx((low, high), rel=1e-3)


# ---------------------------------------------------------------------------------------------- what is printed


def test_a_table_has_a_row_for_each_condition() -> None:
    quiet = replace(figures.measure(tell(spoken=[], events=[])), condition=targets.FALSE, planned=0)
    lines = tables.text([quiet, figures.measure(tell())]).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        *("nobody interrupts", targets.FALSE, "all"),
        *("somebody interrupts", "talker +6 dB"),
    ]


def test_a_promise_that_is_kept_is_told_from_one_that_is_not() -> None:
    late = [Happened(1.0, "Play", "r0"), Happened(3.86, "BargedIn", "r0", 2080.0)]
    met = {verdict.figure: verdict.met for verdict in targets.verdicts([figures.measure(tell(events=late))])}
    assert met["missed %, talker at least as loud as the echo"] is False
    assert met["silence ms, at least as loud as the echo, p50"] is True
    assert met["|heard_ms - heard|, p99"] is False


def test_the_picture_has_a_circle_for_each_policy() -> None:
    points = [
        Point("ours", True, 0.0, (0.0, 0.3), (50.0, 200.0), 1.0),
        Point("<theirs>", False, 9000.0, (8000.0, 10_000.0), (float("nan"), float("nan")), float("nan")),
    ]
    drawn = ElementTree.fromstring(picture("who?", "times", points))
    assert len([part for part in drawn if part.tag.endswith("circle")]) == 2


@pytest.mark.parametrize("name", COMPUTING)
def test_what_computes_figures_does_not_import_the_program(name: str) -> None:
    own = {f"benchmarks.barge_in.{other}" for other in COMPUTING} | {"benchmarks.onset"}
    for imported in imports(ROOT / "benchmarks" / "barge_in" / f"{name}.py"):
        assert not imported.startswith(("edgevoice", "tests")), imported
        if imported.startswith("benchmarks"):
            assert imported in own or imported.rpartition(".")[0] in own, imported


def test_figures_can_be_computed_where_the_program_is_not() -> None:
    program = "import sys; sys.modules['edgevoice'] = None; import benchmarks.barge_in.figures"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


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
