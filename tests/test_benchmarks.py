"""The benchmark's figures are right: recordings made here, of which every sample is known, are measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.figures import measure, round_trips
from benchmarks.picture import picture
from benchmarks.recording import Cut, Recording, read, write
from benchmarks.table import distribution, single, text
from edgevoice_measure import Unmeasurable
from tests.test_layers import imports

ROOT = Path(__file__).parent.parent
RATE = 48_000
COMPUTING = ("figures", "sip_figures", "sdk_figures", "recording", "targets", "table", "picture", "speech", "onset")


def sound(seconds: float, seed: int, level: float = 3000.0) -> NDArray[np.int16]:
    """Return noise that is never zero for long, each second of it another one."""
    return np.random.default_rng(seed).normal(0, level, round(seconds * RATE)).astype(np.int16)


REPLY = sound(3.0, 1)


def recording(spoken_s: float, *cuts: Cut, drops: tuple[int, ...] = ()) -> Recording:
    """Return five seconds: a reply from second 1 on, of which so much was heard, and a voice in second 2."""
    speaker, microphone = np.zeros((2, 5 * RATE), np.int16)
    heard = round(spoken_s * RATE)
    speaker[RATE : RATE + heard] = REPLY[:heard]
    microphone[2 * RATE : 3 * RATE] = sound(1.0, 2)
    return Recording(RATE, speaker, microphone, cuts, drops, REPLY)


def samples(ms: float) -> int:
    return round(ms * RATE / 1000)


def voice(**known: float) -> Cut:
    """The person's utterance begins 50 ms before anything can be heard of it."""
    decided_at = round(known["decided_at"]) if "decided_at" in known else None
    return Cut("voice", 2 * RATE - samples(50), 3 * RATE, decided_at, known.get("claimed_ms"))


# ------------------------------------------------------------------------------------------------- the figures


def test_a_voice_is_timed_from_its_first_sound_to_the_first_silent_sample() -> None:
    assert measure(recording(1.095, voice())) == {"voice_to_silence": [95.0]}


def test_a_reply_that_fell_silent_before_the_voice_has_a_negative_latency() -> None:
    assert measure(recording(0.97, voice())) == {"voice_to_silence": [-30.0]}


def test_a_reply_that_nobody_stopped_counts_to_its_end() -> None:
    assert measure(recording(3.0, voice())) == {"voice_to_silence": [2000.0]}


def test_an_underrun_is_not_silence() -> None:
    found = recording(1.2, voice())
    found.speaker[2 * RATE + samples(20) : 2 * RATE + samples(60)] = 0
    assert measure(found) == {"voice_to_silence": [200.0]}


def test_the_button_and_a_bare_drop_are_timed_from_the_moment_itself() -> None:
    cuts = [Cut(what, 2 * RATE - samples(7)) for what in ("button", "drop")]
    assert measure(recording(1.0, *cuts)) == {"button_to_silence": [7.0], "drop_to_silence": [7.0]}


def test_decision_and_stop_are_timed_to_the_same_silence() -> None:
    cut = voice(decided_at=2 * RATE + samples(90))
    drops = (RATE, 2 * RATE + samples(94))
    assert measure(recording(1.095, cut, drops=drops)) == {
        "voice_to_silence": [95.0],
        "decision_to_silence": [5.0],
        "stop_to_silence": [1.0],
    }


def test_a_stop_of_something_else_is_not_taken_for_this_one() -> None:
    assert "stop_to_silence" not in measure(recording(1.095, voice(), drops=(2 * RATE + samples(300),)))


@pytest.mark.parametrize(("claimed_ms", "error"), [(1095.0, 0.0), (1100.0, 5.0), (1000.0, -95.0)])
def test_what_the_program_claims_is_compared_with_what_left_the_loudspeaker(claimed_ms: float, error: float) -> None:
    found = measure(recording(1.095, voice(claimed_ms=claimed_ms)))
    assert found["heard_error"] == [error]


def test_samples_that_an_underrun_swallowed_were_passed_over_not_heard_later() -> None:
    found = recording(1.2, voice(claimed_ms=1200.0))
    found.speaker[2 * RATE : 2 * RATE + samples(40)] = 0
    assert measure(found)["heard_error"] == [0.0]


def test_nothing_is_measured_where_nothing_sounds() -> None:
    with pytest.raises(Unmeasurable, match="expected something to interrupt"):
        measure(recording(0.0, voice()))


def test_a_round_trip_ends_with_the_first_request_after_the_turn() -> None:
    def line(at: float, origin: str, kind: str) -> dict[str, object]:
        return {"at": at, "from": origin, "type": kind}

    log = [
        line(0.5, "client", "response.create"),
        line(1.0, "server", "input_audio_buffer.committed"),
        line(1.08, "client", "response.create"),
        line(2.0, "server", "input_audio_buffer.committed"),
    ]
    assert round_trips(log) == [80.0], "the last turn was never answered"


# -------------------------------------------------------------------------------------------- who computes them


@pytest.mark.parametrize("name", COMPUTING)
def test_what_computes_figures_imports_neither_the_program_nor_what_does(name: str) -> None:
    own = {f"benchmarks.{other}" for other in COMPUTING}
    for imported in imports(ROOT / "benchmarks" / f"{name}.py"):
        top, _, rest = imported.partition(".")
        assert top not in ("edgevoice", "tests"), imported
        assert top != "benchmarks" or f"benchmarks.{rest.partition('.')[0]}" in own, imported


def test_a_recording_is_measured_by_a_process_that_cannot_import_the_program(tmp_path: Path) -> None:
    kept = recording(1.095, voice(claimed_ms=1100.0), drops=(2 * RATE,))
    write(tmp_path, kept)
    assert list(read(tmp_path).cuts) == list(kept.cuts)
    program = f"from benchmarks.figures import main; main([{str(tmp_path)!r}]); import edgevoice"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert json.loads(ended.stdout) == measure(kept)
    assert "import of edgevoice halted" in ended.stderr


# ---------------------------------------------------------------------------------------------- what is printed


def test_a_figure_beyond_its_target_is_not_met() -> None:
    limits = {"p50": 10.0, "p95": 20.0}
    assert distribution("", "", [5.0] * 19 + [30.0], limits).met
    assert distribution("", "", [5.0] * 18 + [30.0] * 2, limits).met is False
    assert distribution("", "", [11.0] * 20, limits).met is False
    assert distribution("", "", [11.0] * 20, limits, above=1.0).met
    assert single("", "", 3.1, "%", 3.0).met is False
    assert distribution("", "", [1.0]).met is None


def test_the_table_says_each_figure_its_count_and_the_verdict() -> None:
    rows = [distribution("speech -> silence", "idle", [1.0, 2.0, 3.0], {"p50": 1.5}), single("start", "idle", 0.5, "s")]
    lines = text(rows).splitlines()
    assert " ".join(lines[1].split()) == "speech -> silence idle 3 1.00 2.00 3.00 3.00 ms p50 <= 1.5 NOT met"
    assert " ".join(lines[2].split()) == "start idle 0.50 s"


def test_the_picture_has_a_curve_for_everybody() -> None:
    drawn = ElementTree.fromstring(picture("Silence & speech", {"ours": [70.0, 80.0], "theirs": [300.0, 420.0]}))
    curves = [path.get("d", "") for path in drawn.iter("{http://www.w3.org/2000/svg}path")]
    assert [curve.count("V") for curve in curves] == [2, 2]


@pytest.mark.parametrize("name", ["period", "resumes", "echo"])
@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--nonsense"], 2)])
def test_who_asks_how_a_benchmark_is_called_is_told_and_nothing_is_measured(
    name: str, words: list[str], code: int
) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == code
    assert f"usage: python -m benchmarks.{name}" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
