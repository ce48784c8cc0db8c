"""`edgevoice bench`: what is measured on a card, what without one, and what that comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import edgevoice_promises
from edgevoice import bench, drill, sound
from edgevoice.config import load
from edgevoice.drivers.wav import write_wav
from tests.e2e.box import ROOT
from tests.lab.labcard.labcard import World

RATE = 48_000
GOOD = {
    "room": {"lost_samples": 0, "heard_error_ms": -3.0},
    "period_ms": 10.0,
    "periods_ms": [0.2] * 99 + [4.0],
    "busy_s": 0.02,
    "drops_ms": [0.5, 1.0],
    "card_period_ms": 10.0,
    "ready_s": 1.5,
    "rss_bytes": 50 << 20,
    "xruns": 0,
    "watched_s": 10.0,
}


def verdicts(**changed: object) -> dict[str, bool]:
    return {row["figure"]: row["met"] for row in edgevoice_promises.rows(GOOD | changed)}


def test_what_is_promised_is_met_or_it_is_not() -> None:
    assert set(verdicts().values()) == {True}
    for changed, figure in (
        ({"room": {"lost_samples": 1}}, "samples lost by a cough, in that room"),
        ({"room": {"heard_error_ms": -11}}, "error of what was heard, as the agent is told"),
        ({"busy_s": 0.031}, "echo, detector and resampling, of one core"),
        ({"periods_ms": [10.1]}, "one period's work, p99"),
        ({"drops_ms": [1.0, 12.1]}, "decision to silence at the card, p95"),
        ({"ready_s": 2.1}, "start to ready"),
        ({"rss_bytes": 61 << 20}, "memory in a call (RSS)"),
        ({"xruns": 1}, "xruns in 10 s of a call"),
    ):
        assert verdicts(**changed)[figure] is False, figure


def test_what_was_not_measured_is_no_row_and_memory_is_judged_without_a_card_too() -> None:
    assert edgevoice_promises.rows({"period_ms": 10.0}) == []
    figure = "memory in a call (RSS), with the simulated room"
    assert verdicts(simulated=True)[figure] is True
    assert verdicts(simulated=True, rss_bytes=61 << 20)[figure] is False


def recorded(folder: Path, silences: list[tuple[str, int]], *, rate: int = RATE) -> str:
    """Write a conversation: an answer from each second on; somebody speaks, or presses, half a second later.

    `silences` are what is done, and after how many ms the loudspeaker is silent.
    """
    seconds = len(silences) + 1
    person, speaker = np.zeros(seconds * rate, np.int16), np.zeros(seconds * rate, np.int16)
    events: list[dict[str, object]] = []
    for second, (what, ms) in enumerate(silences):
        at = second + 0.5
        events += [{"at": float(second), "who": "agent", "what": "says"}, {"at": at, "what": what, "until": at + 0.2}]
        speaker[second * rate : round((at + ms / 1000) * rate)] = 1000
        if what == "speaks":
            person[round(at * rate) : round((at + 0.2) * rate)] = 3000
    for name, pcm in (("person", person), ("speaker", speaker)):
        write_wav(folder / f"{name}.wav", pcm, rate)
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(folder)


def test_silence_after_a_voice_is_judged_by_the_most_of_many_and_says_of_how_many(tmp_path: Path) -> None:
    folder = recorded(tmp_path, [("speaks", 20)] * 18 + [("speaks", 110), ("speaks", 120)])
    rows = {row["figure"]: row for row in edgevoice_promises.rows({"talked_over": folder})}
    assert rows["voice to silence, no echo, p50 of 20"]["value"] == pytest.approx(20)
    assert rows["voice to silence, no echo, p95 of 20"]["value"] == pytest.approx(110)
    assert [row["met"] for row in rows.values()] == [True, False]
    loud = [row["met"] for row in edgevoice_promises.rows({"talked_over_echo": folder})]
    assert loud == [True, True], "with an echo more is promised of nobody"


def test_silence_after_a_press_is_counted_from_the_press_and_the_first_one_calls(tmp_path: Path) -> None:
    folder = recorded(tmp_path, [("presses", 400)] + [("presses", 10)] * 18 + [("presses", 21)] * 2)
    (row,) = edgevoice_promises.rows({"pressed": folder})
    assert (row["figure"], row["met"]) == ("button to silence, p95 of 20", False)
    assert row["value"] == pytest.approx(21)


def test_whoever_speaks_into_silence_interrupts_nobody(tmp_path: Path) -> None:
    folder = recorded(tmp_path, [("speaks", 20), ("speaks", -400), ("speaks", -26)])
    each = edgevoice_promises.silenced_by_voice(Path(folder))
    assert each == pytest.approx([20, 0]), "who fell silent just before is counted as at once, not as earlier"


def test_the_box_is_interrupted_by_voice_and_by_button(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "INTERRUPTIONS", 3)
    found, missing = bench._interruptions(load(""), tmp_path, lambda text: None)
    assert missing == []
    rows = edgevoice_promises.rows(found)
    assert [row["figure"].rpartition(" ")[2] for row in rows] == ["3"] * 5
    assert [row["figure"] for row in rows if not row["met"]] == []


def test_a_box_that_is_deaf_while_it_speaks_says_that_no_voice_interrupts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "INTERRUPTIONS", 2)
    found, missing = bench._interruptions(load('[echo]\ncanceller = "none"\n'), tmp_path, lambda text: None)
    assert list(found) == ["pressed"]
    assert [why.partition(":")[0] for why in missing] == ["voice to silence"]
    (row,) = edgevoice_promises.rows(found)
    assert (row["figure"], row["met"]) == ("button to silence, p95 of 2", True)


def test_the_share_of_a_core_is_the_processor_s_time() -> None:
    (row,) = (row for row in edgevoice_promises.rows(GOOD) if row["unit"] == "%")
    assert row["value"] == pytest.approx(2.0)


def test_the_figures_are_computed_by_another_process_and_shown_in_a_table() -> None:
    rows = bench.judged(GOOD)
    assert rows == json.loads(json.dumps(edgevoice_promises.rows(GOOD)))
    shown = bench.table(rows, ["xruns: there is no card"])
    assert "start to ready" in shown
    assert "met" in shown
    assert shown.endswith("not measured: xruns: there is no card")


def test_the_loudspeaker_is_dropped_on_a_card_and_without_one_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "DROPS", 3)
    with World(rate=RATE) as world:
        monkeypatch.setenv("ALSA_CONFIG_PATH", world.conf)
        config = load('[card]\ncapture = "mic"\nplayback = "speaker"\n')
        found, missing = bench._drops(config, partial(sound.open_configured, config), lambda text: None)
        assert len(found["drops_ms"]) == 3
        assert missing == []
        assert world.spk.any(), "it was played on the card"
    config = load('[card]\ncapture = "hw:CARD=Nowhere"\n')
    found, missing = bench._drops(config, partial(sound.open_configured, config), lambda text: None)
    assert found == {}
    assert "does not open" in missing[0]


def test_the_work_of_a_period_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PERIODS", 40)
    monkeypatch.setattr(bench, "WARM_UP", 10)
    found, _ = bench._work(load(""), lambda text: None)
    assert len(found["periods_ms"]) == 40
    assert found["busy_s"] > 0


@pytest.mark.faults
def test_the_whole_of_it_on_a_virtual_card(tmp_path: Path) -> None:
    with World(rate=RATE) as world:
        file = tmp_path / "edgevoice.toml"
        file.write_text('[card]\ncapture = "mic"\nplayback = "speaker"\nbuffer_ms = 80\n')
        command = [
            sys.executable,
            "-m",
            "edgevoice",
            "bench",
            "-c",
            str(file),
            "--json",
            "--out",
            str(tmp_path / "out"),
        ]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **world.env()}, capture_output=True, text=True, check=False
        )
        told = json.loads(done.stdout)
        assert told["not_measured"] == []
        assert len(told["rows"]) == 16
        assert done.returncode in (0, 1)
        assert (tmp_path / "out" / "report.html").exists()
