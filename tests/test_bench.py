"""`edgevoice bench`: what is measured on a card, what without one, and what that comes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import edgevoice_promises
from edgevoice import bench, sound
from edgevoice.config import load
from tests.e2e.box import ROOT
from tests.lab.labcard.labcard import World

RATE = 48_000
GOOD = {
    "room": {"speech_to_silence_ms": 12.5, "lost_samples": 0, "heard_error_ms": -3.0},
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


def verdicts(**changed: object) -> dict[str, bool | None]:
    return {row["figure"]: row["met"] for row in edgevoice_promises.rows(GOOD | changed)}


def test_what_is_promised_is_met_or_it_is_not() -> None:
    assert set(verdicts().values()) == {True}
    for changed, figure in (
        ({"room": {"lost_samples": 1}}, "samples lost by a cough, in that room"),
        ({"room": {"speech_to_silence_ms": 101}}, "voice to silence, in a simulated room"),
        ({"room": {"heard_error_ms": -11}}, "error of what was heard, as the agent is told"),
        ({"busy_s": 0.031}, "echo, detector and resampling, of one core"),
        ({"periods_ms": [10.1]}, "one period's work, p99"),
        ({"drops_ms": [1.0, 12.1]}, "decision to silence at the card, p95"),
        ({"ready_s": 2.1}, "start to ready"),
        ({"rss_bytes": 61 << 20}, "memory in a call (RSS)"),
        ({"xruns": 1}, "xruns in 10 s of a call"),
    ):
        assert verdicts(**changed)[figure] is False, figure


def test_what_was_not_measured_is_no_row_and_a_room_is_not_judged_by_its_memory() -> None:
    assert edgevoice_promises.rows({"period_ms": 10.0}) == []
    assert verdicts(simulated=True)["memory in a call (RSS), with the simulated room"] is None


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
        assert len(told["rows"]) == 12
        assert done.returncode in (0, 1)
        assert (tmp_path / "out" / "report.html").exists()
