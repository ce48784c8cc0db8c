"""`edgevoice demo`, as somebody without hardware sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgevoice import demo as the_demo

RECORDINGS = ("person.wav", "microphone.wav", "speaker.wav", "cleaned.wav", "agent.wav")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice", "demo", "--json", "--out", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "figures.json").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def figures(demo: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((demo / "figures.json").read_text())
    return found


def test_the_echo_is_as_loud_as_the_person_and_is_cancelled(figures: dict[str, Any]) -> None:
    assert figures["echo_dbfs"] > figures["voice_dbfs"] - 2
    assert figures["echo_removed_db"] > 25
    assert figures["echo_left_dbfs"] < figures["noise_dbfs"]


def test_it_answers_and_never_interrupts_itself(figures: dict[str, Any]) -> None:
    assert figures["replies"] == 3
    assert (figures["false_interruptions"], figures["missed_interruptions"], figures["skipped_samples"]) == (0, 0, 0)


def test_a_cough_pauses_it_and_costs_not_a_sample(figures: dict[str, Any]) -> None:
    coughed = [pause for pause in figures["pauses"] if pause["cause"] == "cough"]
    assert 50 <= sum(pause["ms"] for pause in coughed) == figures["cough_pause_ms"]
    assert coughed[0]["onset_to_silence_ms"] <= 100
    assert (figures["lost_samples"], figures["repeated_samples"]) == (0, 0)
    assert figures["resume_step"] < 327, "a hundredth of full scale: no click"


def test_a_word_stops_it_and_the_agent_knows_how_much_was_heard(figures: dict[str, Any]) -> None:
    assert (figures["interruptions"], figures["claimed_interruptions"]) == (1, 1)
    assert 0 < figures["speech_to_silence_ms"] <= 300
    assert figures["speech_to_silence_ms"] <= figures["speech_to_decision_ms"] <= 800
    assert abs(figures["heard_error_ms"]) <= 10


def test_the_report_stands_alone_and_says_what_room_it_was(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    assert page.count("<svg") == 7
    for word in ("loud echo", "fan", "synthetic", "1 an ordinary turn", "2 a cough", "3 an interruption"):
        assert word in page
    for foreign in ("<script", "<link", "http://", "https://", "src="):
        assert foreign not in page.replace("http://www.w3.org/2000/svg", "")


def test_without_a_canceller_it_is_deaf_while_it_speaks_and_says_so(tmp_path: Path) -> None:
    figures = the_demo.run(tmp_path, canceller="none")
    assert (figures["replies"], figures["interruptions"], figures["claimed_interruptions"]) == (3, 1, 1)
    assert (figures["false_interruptions"], figures["cough_pause_ms"], figures["echo_removed_db"]) == (0, 0, 0)
    assert abs(figures["heard_error_ms"]) <= 10
    assert "No echo canceller is installed" in (tmp_path / "report.html").read_text()


def test_the_figures_do_not_believe_the_program(demo: Path, tmp_path: Path) -> None:
    for name in RECORDINGS:
        (tmp_path / name).write_bytes((demo / name).read_bytes())
    lines = (demo / "events.jsonl").read_text().splitlines()
    lies = [json.loads(line) for line in lines]
    for line in lies:
        if line["what"] == "BargedIn":
            line["heard_ms"] += 500
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lies))
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice_measure", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["heard_error_ms"] > 450


def test_a_run_is_the_same_twice(demo: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "edgevoice", "demo", "--json", "--out", str(tmp_path)], check=True)
    for name in RECORDINGS:
        assert (tmp_path / name).read_bytes() == (demo / name).read_bytes()
