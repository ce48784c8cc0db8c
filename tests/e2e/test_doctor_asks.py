"""`edgevoice doctor` at a terminal: what is waited for, asked, pressed and consented to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.box import LED, PATIENCE_S, RunningBox
from tests.e2e.doctor import Terminal, configured, quiet_room, with_a_clock_that_nobody_sets
from tests.lab.apa102 import read
from tests.lab.labcard.labcard import World
from tests.lab.labgpio.pins import Pins


@pytest.fixture
def world() -> Iterator[World]:
    with quiet_room() as world:
        yield world


@pytest.mark.parametrize(("answer", "kept"), [("y", "yes\n"), ("", "no\n")])
def test_each_command_that_mends_is_asked_about(world: World, tmp_path: Path, answer: str, kept: str) -> None:
    memory, env = with_a_clock_that_nobody_sets(tmp_path, world.env())
    configuration = configured(tmp_path, '[panel]\npins = "none"\n')
    terminal = Terminal([sys.executable, "-m", "edgevoice", "doctor", "-c", str(configuration), "--fix"], env)
    try:
        terminal.read_until("run `timedatectl set-ntp true`? [y/N] ")
        terminal.type(f"{answer}\n")
        assert terminal.read_to_the_end() == 0
    finally:
        terminal.close()
    assert memory.read_text() == kept


@pytest.fixture
def terminal(world: World, tmp_path: Path) -> Iterator[tuple[Terminal, Pins]]:
    pins = Pins(tmp_path / "pins.sock")
    env = {**world.env(), **pins.env(), "TERM": "xterm", "COLUMNS": "100"}
    env.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "edgevoice", "doctor", "-c", str(configured(tmp_path))]
    terminal = Terminal(command, env)
    yield terminal, pins
    pins.close()
    terminal.close()


def press(pins: Pins) -> None:
    try:
        pins.press()
    except ConnectionError:
        pass  # it has seen the press, and ended before it answered us


def test_a_person_sees_what_is_waited_for_and_the_light_and_their_press_arrives(
    terminal: tuple[Terminal, Pins],
) -> None:
    seen, pins = terminal
    seen.read_until("looking at: ")
    seen.read_until("Do you see it? [Y/n] ")
    assert pins.wait(LED, 1, PATIENCE_S), "the light flashes while it is asked about"
    seen.type("y\n")
    seen.read_until("Press the button")
    press(pins)
    assert seen.read_to_the_end() == 0
    assert "\x1b[32mok     \x1b[0m  button GPIO17" in seen.shown
    assert "a press arrived" in seen.shown
    assert "it was seen to be lit" in seen.shown


def test_a_row_of_leds_flashes_white_while_it_is_asked_about(world: World, tmp_path: Path) -> None:
    configuration = configured(tmp_path, "[panel]\nbutton = -1\nlight = [5, 6]\nlight_leds = 3\n")
    with Pins(tmp_path / "pins.sock") as pins:
        env = {**world.env(), **pins.env()}
        terminal = Terminal([sys.executable, "-m", "edgevoice", "doctor", "-c", str(configuration)], env)
        try:
            terminal.read_until("Do you see it? [Y/n] ")
            edges = 4 * 2 * 168  # dark, white, dark, white
            clock = pins.edges(6, at_least=edges, within_s=PATIENCE_S)[:edges]
            rows = read(pins.edges(5), clock)
            terminal.type("y\n")
            terminal.read_to_the_end()
        finally:
            terminal.close()
    assert [row.leds[0][1:] for row in rows[:4]] == [(0, 0, 0), (255, 255, 255)] * 2
    assert "light GPIO5+GPIO6 (3 APA102 without fades)" in " ".join(terminal.shown.split())


def test_a_light_that_the_person_does_not_see_is_a_failure(terminal: tuple[Terminal, Pins]) -> None:
    seen, pins = terminal
    seen.read_until("Do you see it? [Y/n] ")
    seen.type("n\n")
    seen.read_until("Press the button")
    press(pins)
    assert seen.read_to_the_end() == 1
    assert "nobody saw it" in seen.shown


# ------------------------------------------------------------------------------------------------- the running box


@pytest.fixture
def running(world: World) -> Iterator[tuple[RunningBox, Terminal]]:
    with RunningBox(world) as box:
        box.wait_until_awake()
        env = {name: value for name, value in world.env().items() if name != "XDG_RUNTIME_DIR"}
        terminal = Terminal([sys.executable, "-m", "edgevoice", "doctor", "-c", str(box.configuration)], env)
        yield box, terminal
        terminal.close()


def test_a_running_box_flashes_and_the_press_is_told_to_the_doctor_and_calls_nobody(
    running: tuple[RunningBox, Terminal],
) -> None:
    box, seen = running
    seen.read_until("to see its light flash and press its button within 10 s? [Y/n] ")
    seen.type("\n")
    seen.read_until("Press the button ...")
    assert box.wait_for_state("being tried")["light"] == "two flashes a second"
    for level in (1, 0, 1):
        assert box.pins.wait(LED, level, PATIENCE_S), "the light flashes"
    box.tap()
    seen.read_until("Did the light flash? [Y/n] ")
    assert box.status()["state"] == "idle", "nobody was called"
    seen.type("y\n")
    assert seen.read_to_the_end() == 0
    assert "a press arrived" in seen.shown
    assert "it was seen to be lit" in seen.shown
    box.call()


def test_a_running_box_whose_button_is_dead_and_whose_light_nobody_sees_has_two_failures(
    running: tuple[RunningBox, Terminal],
) -> None:
    box, seen = running
    seen.read_until("within 10 s? [Y/n] ")
    seen.type("y\n")
    seen.read_until("Did the light flash? [Y/n] ")
    seen.type("n\n")
    assert seen.read_to_the_end() == 1
    assert "no press arrived" in seen.shown
    assert "nobody saw it" in seen.shown
    assert box.status()["state"] == "idle"


def test_where_nobody_stands_at_the_running_box_neither_is_tried(running: tuple[RunningBox, Terminal]) -> None:
    box, seen = running
    seen.read_until("within 10 s? [Y/n] ")
    seen.type("n\n")
    assert seen.read_to_the_end() == 0
    assert "not tried: the box has the pins" in " ".join(seen.shown.split())
    assert "being tried" not in box.journal
