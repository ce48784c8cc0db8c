"""The figures of the corpus are right: recordings made here, of which every sample is known, are measured."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.barge_in import bounds, figures, resumed, tables, targets
from benchmarks.barge_in import record as records
from benchmarks.barge_in.picture import Point, picture
from benchmarks.barge_in.record import Happened, Record, Spoken
from benchmarks.barge_in.resumed import Continued
from benchmarks.barge_in.voices import RATE
from tests.test_barge_in_corpus import babble
from tests.test_layers import imports

Samples = NDArray[np.int16]

ROOT = Path(__file__).parent.parent
COMPUTING = ("figures", "resumed", "record", "bounds", "tables", "targets", "picture")


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
