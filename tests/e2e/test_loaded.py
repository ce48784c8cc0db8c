"""What a box does not need is not loaded: on a small machine each module costs memory, and time at the start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.box import RunningBox
from tests.lab.labcard.labcard import World

SAYS_WHAT_IT_LOADS = {"PYTHONPROFILEIMPORTTIME": "1"}
LINES = re.compile(
    r"edgevoice\.(lines|drivers\.(line_\w+|sip\w*|certificate)|line_\w+|sip_lines|switchboard|reception|outgoing|"
    r"dialling|visitor|capacity|headless)\b"
)
AGENTS = re.compile(r"(edgevoice\.agents\.(openai|elevenlabs|gemini)|edgevoice\.drivers\.websocket|websockets)\b")
SERVERS = re.compile(r"(edgevoice\.drivers\.health_server|h11)\b")
A_LINE = """
[lines]
listen = "127.0.0.1:0"
[line.elks]
path_token_file = "{token}"
"""
AN_ACCOUNT = """
[[line.sip]]
registrar = "127.0.0.1:9"
user = "6001"
"""
OPENAI = '[call]\nbutton = "openai"\n[agent.openai]\nurl = "ws://127.0.0.1:9"\napi_key_file = ""\n'


@pytest.fixture
def world() -> Iterator[World]:
    with World(rate=48_000, seconds=30) as world:
        yield world


def loaded(box: RunningBox) -> list[str]:
    """Return every module that the program has said to import, in the order in which they were done."""
    return re.findall(r"^import time:[^|]+\|[^|]+\| *([\w.]+)$", box.journal, flags=re.MULTILINE)


def of(modules: list[str], kind: re.Pattern[str]) -> list[str]:
    return [module for module in modules if kind.match(module)]


def test_a_box_without_lines_loads_none_and_no_agent_but_its_own(world: World) -> None:
    with RunningBox(world, env=SAYS_WHAT_IT_LOADS) as box:
        box.call()
        box.wait_for_line("box: in call")
        modules = loaded(box)
        assert "edgevoice.box" in modules
        assert "edgevoice.agents.parrot" in modules
        assert of(modules, LINES) == []
        assert of(modules, AGENTS) == []
        assert of(modules, SERVERS) == []


def test_a_press_of_the_button_waits_for_no_module(world: World) -> None:
    with RunningBox(world, OPENAI, env=SAYS_WHAT_IT_LOADS) as box:
        box.wait_for_line("box: idle")
        before = loaded(box)
        assert of(before, AGENTS)
        assert of(before, LINES) == []
        box.pause(0.25)
        box.tap()
        box.wait_for_line("box: waiting to retry")
        assert of(loaded(box)[len(before) :], re.compile(r"(edgevoice|websockets)\b")) == []


@pytest.mark.parametrize(
    ("more", "needs", "spares"),
    [
        (A_LINE, {"edgevoice.switchboard", "edgevoice.lines.elks", "h11"}, {"edgevoice.sip_lines"}),
        (AN_ACCOUNT, {"edgevoice.switchboard", "edgevoice.drivers.sip"}, {"edgevoice.headless"}),
    ],
    ids=["46elks", "SIP"],
)
def test_a_box_with_lines_loads_what_they_need(
    world: World, tmp_path: Path, more: str, needs: set[str], spares: set[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef")
    with RunningBox(world, more.format(token=token), env=SAYS_WHAT_IT_LOADS) as box:
        box.wait_for_line("box: idle")
        modules = set(loaded(box))
        assert needs <= modules
        assert not spares & modules
