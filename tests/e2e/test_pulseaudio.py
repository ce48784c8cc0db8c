"""The interruption once more, on a card that we did not write."""

from __future__ import annotations

import json
import subprocess
import sys
from math import inf
from pathlib import Path

import numpy as np

from edgevoice.drivers.wav import write_wav
from tests.e2e.box import ROOT, TRUSTING, RunningBox, first_word, last_sound, voice
from tests.lab.pulse import PulseAudio

RATE = 48_000
TRIES = 3  # four processes in real time, on a machine that is shared


class Person:
    """`tests/lab/pulse_room.py` as a process."""

    def __init__(self, pulse: PulseAudio) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "tests/lab/pulse_room.py"],
            env=pulse.env(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.wait("ready")

    def wait(self, word: str) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == word

    def tell(self, line: str, answer: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.wait(answer)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_talk_over_it_on_pulseaudio_and_it_falls_silent(tmp_path: Path) -> None:
    for _ in range(TRIES):
        silent_s = talk_over_it(tmp_path)
        if silent_s < 0.4:
            break
    assert silent_s < 0.4, "two clocks and two servers apart, and still at once"


def talk_over_it(tmp_path: Path) -> float:
    """Return how many s the box speaks on; inf: it was not interrupted, or not while it spoke."""
    question, interruption = voice("question", RATE), voice("interruption", RATE)
    write_wav(tmp_path / "question.wav", question, RATE)
    write_wav(tmp_path / "interruption.wav", interruption, RATE)
    with PulseAudio(RATE) as pulse, RunningBox(pulse, TRUSTING) as box:
        person = Person(pulse)
        try:
            box.call()
            person.tell(f"say {tmp_path}/question.wav", "said")
            box.wait_for_turn("speaking")
            box.pause(0.5)
            person.tell(f"say {tmp_path}/interruption.wav", "said")
            box.pause(1.0)
            person.tell(f"stop {tmp_path}", "stopped")
        finally:
            person.close()
        box.ask(do="hangup")
        box.wait_for_state("idle")
        box.wait_for_line(" interruptions")
        if " 1 interruptions" not in box.journal:
            return inf
    began = json.loads((tmp_path / "moments.json").read_text())
    air, speaker = np.load(tmp_path / "air.npy"), np.load(tmp_path / "speaker.npy")
    spoken = np.nonzero(air)[0]
    second = spoken[np.nonzero(np.diff(spoken) > RATE // 2)[0][-1] + 1]  # the first sample after the last long silence
    leading = int(np.nonzero(interruption)[0][0])
    talked_s = began["air"] + (second - leading + first_word(interruption, RATE)) / RATE
    window = slice(round((talked_s - 0.3 - began["speaker"]) * RATE), round((talked_s + 1.0 - began["speaker"]) * RATE))
    spoke = np.any(speaker[window][: RATE // 5])
    return last_sound(speaker[window]) / RATE - 0.3 if spoke else inf
