"""Pins that another program has when the box starts: it says so wherever somebody looks, and takes them once it can."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from tests.e2e.box import RunningBox
from tests.lab.labcard.labcard import World
from tests.ports import free_port

DOOR = '[relay.door]\npin = 26\ndtmf = "12"\n'


def health(port: int) -> tuple[int, dict[str, object]]:
    """Return what a program that watches boxes is told."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}/health"
        ) as page:
            return page.status, json.load(page)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_button_and_a_door_whose_pins_are_held_are_told_of_and_work_when_they_are_free(tmp_path: Path) -> None:
    held, port = tmp_path / "held", free_port()
    held.touch()
    more = f'listen = "127.0.0.1:{port}"\n{DOOR}'
    with World(rate=48_000) as world, RunningBox(world, more, env={"LABGPIO_HELD": str(held)}) as box:
        status = box.wait_until(
            lambda found: found["state"] == "idle" and set(found["out_of_order"] or ()) == {"panel", "relays"}
        )
        assert {part: "GPIO busy" in why for part, why in status["out_of_order"].items()} == {
            "panel": True,
            "relays": True,
        }
        assert status["light"] == "a short flash every six seconds"
        code, told = health(port)
        assert (code, told["ok"], told["out_of_order"]) == (503, False, status["out_of_order"])
        held.unlink()
        status = box.wait_until(lambda found: not found["out_of_order"], within_s=30)
        assert "GPIO26" in status["relays"]
        assert health(port)[0] == 200
        box.call()
        assert "box: idle; out of order: panel: " in box.journal
