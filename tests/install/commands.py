"""Every command of an installed box, tried there: without a card, a network or somebody at a terminal."""

from __future__ import annotations

import json
import re

from tests.install.debian import Debian

MET, NOT_MET, UNAVAILABLE, CONFIGURATION = 0, 1, 69, 78
# What is typed, and how it may end. The service itself is `run` with a configuration that is there.
TRIED = {
    "run": ("run -c /root/none.toml", {CONFIGURATION}),
    "demo": ("demo --json --out /root/demo", {MET}),
    "calibrate": ("calibrate", {UNAVAILABLE}),
    "bench": ("bench --json", {MET, NOT_MET}),
    "setup": ("setup --yes", {MET}),
    "doctor": ("doctor --json", {NOT_MET}),
    "devices": ("devices --json", {MET}),
    "lines": ("lines setup", {CONFIGURATION}),
    "ctl": ("ctl status", {MET}),
}


def try_every_command(box: Debian) -> None:
    """Run each; assert that it ends as it may, says something, and breaks off nowhere."""
    assert set(TRIED) == set(re.findall(r"^ {4}(\w+)", box.told("edgevoice --help"), flags=re.MULTILINE))
    for name, (words, ends) in TRIED.items():
        done = box.run(f"edgevoice {words}")
        said = done.stdout + done.stderr
        assert done.returncode in ends, f"{words}: {done.returncode}\n{said}"
        assert said, words
        assert "Traceback" not in said, f"{words}\n{said}"
        if name == "bench":
            assert {row["met"] for row in json.loads(done.stdout)["rows"]} & {True, False}
        if name == "doctor":
            assert "service" in {found["name"] for found in json.loads(done.stdout)["findings"]}
