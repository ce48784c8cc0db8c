"""`edgevoice demo`, as somebody without hardware sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


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


def test_it_holds_a_conversation_with_an_interruption_and_measures_it(demo: Path) -> None:
    figures = json.loads((demo / "figures.json").read_text())
    assert (figures["turns"], figures["interruptions"]) == (3, 1)
    assert 0 < figures["mic_to_silence_ms"] <= 200
    assert figures["drop_to_silence_ms"] <= 12, "one period and 2 ms"
    assert abs(figures["heard_error_ms"]) <= 20


def test_the_report_stands_alone_and_says_what_room_it_was(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    assert "<svg" in page
    assert "headset" in page
    for foreign in ("<script", "<link", "http://", "https://", "src="):
        assert foreign not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_figures_do_not_believe_the_program(demo: Path, tmp_path: Path) -> None:
    for name in ("microphone.wav", "speaker.wav"):
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
    assert (tmp_path / "speaker.wav").read_bytes() == (demo / "speaker.wav").read_bytes()
