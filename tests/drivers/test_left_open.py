"""A process that is killed leaves a list of its relays behind, and what runs after it switches them off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.box import RunningBox
from tests.lab.labcard.labcard import World

RELAY = "[relay.door]\npin = 26\npulse_s = 30.0\n[panel]\nbutton = 17\nlight = [27]\n"
PROGRAM = Path(__file__).parents[2] / "packaging" / "shut-doors"


def after_it(folder: Path, *, kind: str = "mock") -> subprocess.CompletedProcess[str]:
    """Run what the service runs after an end, with the interpreter of the tests beside it."""
    installed = folder / "bin"
    installed.mkdir(exist_ok=True)
    (installed / "shut-doors").write_bytes(PROGRAM.read_bytes())
    (installed / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (installed / "python").chmod(0o755)
    env = {"PATH": os.environ["PATH"], "RUNTIME_DIRECTORY": str(folder), "GPIOZERO_PIN_FACTORY": kind}
    return subprocess.run(["sh", installed / "shut-doors"], env=env, capture_output=True, text=True, timeout=60)


def test_a_box_that_is_killed_leaves_its_list_and_one_that_ends_does_not(tmp_path: Path) -> None:
    with World(rate=16_000) as world:
        for number, left in ((signal.SIGKILL, True), (signal.SIGTERM, False)):
            box = RunningBox(world, more=RELAY, env={"RUNTIME_DIRECTORY": str(tmp_path)})
            with box:
                box.wait_for_state("idle")
                assert (tmp_path / "relays").exists()
                box.process.send_signal(number)
                box.process.wait(30)
            assert (tmp_path / "relays").exists() is left
            ran = after_it(tmp_path)
            assert ran.returncode == 0, ran
            assert ("switched off" in ran.stdout) is left
            assert not (tmp_path / "relays").exists()


def test_nothing_is_started_without_a_list(tmp_path: Path) -> None:
    ran = after_it(tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_list_that_cannot_be_served_is_said_and_stays(tmp_path: Path) -> None:
    for content, why in ((b"{", "truncated"), (b'{"pins": "auto", "relays": {"door": 26}}', "GPIOZERO_PIN_FACTORY")):
        (tmp_path / "relays").write_bytes(content)
        ran = after_it(tmp_path, kind="nosuch")
        assert ran.returncode == 1
        assert "relays may be on" in ran.stderr
        assert why in ran.stderr
        assert (tmp_path / "relays").exists()
