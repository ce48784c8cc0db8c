"""`edgevoice setup` at a terminal: what a person is asked, types, and finds written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.box import LED, PATIENCE_S, ROOT
from tests.e2e.doctor import CARD, Terminal, quiet_room
from tests.e2e.test_doctor_asks import press
from tests.lab.labcard.labcard import World
from tests.lab.labgpio.pins import Pins

KEY = "sk-nobody-may-see-this"


class Setup:
    """A person who sets a box up; its terminal is theirs, so that Ctrl-C reaches it."""

    def __init__(self, folder: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.configuration = folder / "edgevoice.toml"
        command = ["setsid", "--ctty", sys.executable, "-m", "edgevoice", "setup", "-c", str(self.configuration)]
        self.terminal = Terminal([*command, *options], {**os.environ, **(env or {}), "PYTHONWARNINGS": "error"})

    def answer(self, question: str, words: str) -> None:
        """Wait for a question that has not been shown yet, and answer it."""
        self.terminal.read_until(question)
        self.terminal.shown = self.terminal.shown.replace(question, "(asked) ")
        self.terminal.type(f"{words}\n")

    def end(self) -> int:
        try:
            return self.terminal.read_to_the_end()
        finally:
            self.terminal.close()


def test_five_answers_make_a_box(tmp_path: Path) -> None:
    person = Setup(tmp_path)
    person.answer("HAT [none]: ", "?")
    person.terminal.read_until("   codec-zero: Raspberry Pi Codec Zero")
    person.answer("HAT [none]: ", "codec-zer")
    person.terminal.read_until('did you mean "codec-zero"?')
    person.answer("HAT [none]: ", "codec-zero")
    person.answer("call [parrot]: ", "openai")
    person.answer("key: ", KEY)
    person.answer("pin [27]: ", "18")
    person.terminal.read_until('18 is taken by the HAT "codec-zero": I²S bit clock')
    person.answer("pin [27]: ", "")
    person.answer("Test it now? [Y/n] ", "n")
    assert person.end() == 0
    assert KEY not in person.terminal.shown, "what is typed is not shown"
    assert person.configuration.read_text() == '[device]\nhat = "codec-zero"\n\n[call]\nbutton = "openai"\n'
    key = tmp_path / "openai-api-key"
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == (f"{KEY}\n", 0o600)
    assert "In /boot/firmware/config.txt: dtoverlay=rpi-codeczero" in person.terminal.shown


def test_an_agent_that_needs_an_id_is_told_with_it_and_may_have_no_key(tmp_path: Path) -> None:
    person = Setup(tmp_path)
    person.answer("HAT [none]: ", "")
    person.answer("call [parrot]: ", "elevenlabs")
    person.terminal.read_until("cannot be called without it; say elevenlabs:ID")
    person.answer("call [parrot]: ", "elevenlabs:agent_1")
    person.answer("key [none: it wants none]: ", "")
    person.answer("pin [17]: ", "")
    person.answer("5. Test it now? [Y/n] ", "n")
    assert person.end() == 0
    written = '[call]\nbutton = "elevenlabs"\n\n[agent.elevenlabs]\nagent_id = "agent_1"\n'
    assert person.configuration.read_text() == written
    assert list(tmp_path.iterdir()) == [person.configuration]


def test_lines_of_a_pipe_are_the_answers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgevoice", "setup", "-c", str(tmp_path / "edgevoice.toml")]
    done = subprocess.run(
        command, input=f"none\nopenai\n{KEY}\n22\nn\n", capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert KEY not in done.stdout
    assert (tmp_path / "edgevoice.toml").read_text() == '[call]\nbutton = "openai"\n\n[panel]\nbutton = 22\n'
    assert (tmp_path / "openai-api-key").read_text() == f"{KEY}\n"
    nobody = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=ROOT)
    assert nobody.returncode == 64
    assert '"HAT [none]:" has no answer. Nothing was changed.' in nobody.stderr


def test_who_presses_enter_changes_nothing_and_is_shown_so(tmp_path: Path) -> None:
    text = '# mine\n[device]\nhat = "wm8960"\n[call]\nbutton = "openai"\n'
    (tmp_path / "edgevoice.toml").write_text(text)
    (tmp_path / "openai-api-key").write_text("sk-1\n")
    person = Setup(tmp_path)
    for question in ("HAT [wm8960]: ", "call [openai]: ", "key [the one that is there]: ", "pin [17]: "):
        person.answer(question, "")
    person.answer("Test it now? [Y/n] ", "n")
    assert person.end() == 0
    assert "nothing to change" in person.terminal.shown
    assert person.configuration.read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edgevoice.toml", "openai-api-key"]
    assert (tmp_path / "openai-api-key").read_text() == "sk-1\n"


def test_what_is_told_is_not_asked_and_the_file_before_is_kept(tmp_path: Path) -> None:
    text = '[call]\nbutton = "parrot"   # until the key is there\n'
    (tmp_path / "edgevoice.toml").write_text(text)
    (tmp_path / "edgevoice.toml").chmod(0o640)
    person = Setup(tmp_path, "--hat", "none", "--call", "parrot", "--no-test")
    person.answer("pin [17]: ", "seventeen")
    person.terminal.read_until("expected one like 17")
    person.answer("pin [17]: ", "99")
    person.terminal.read_until("expected an integer from -1 to 27")
    person.answer("pin [17]: ", "5")
    assert person.end() == 0
    assert person.configuration.read_text() == f"{text}\n[panel]\nbutton = 5\n"
    assert stat.S_IMODE(person.configuration.stat().st_mode) == 0o640
    assert (tmp_path / "edgevoice.toml.bak").read_text() == text
    assert "   +[panel]\n   +button = 5\n" in person.terminal.shown


@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 1)])
def test_who_goes_away_has_changed_nothing(tmp_path: Path, typed: str, code: int) -> None:
    person = Setup(tmp_path)
    person.answer("HAT [none]: ", "codec-zero")
    person.answer("call [parrot]: ", "openai")
    person.terminal.read_until("key: ")
    person.terminal.type(typed)
    assert person.end() == code
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def world() -> Iterator[World]:
    with quiet_room() as world:
        yield world


def test_the_test_hears_the_loudspeaker_and_feels_the_press(world: World, tmp_path: Path) -> None:
    (tmp_path / "edgevoice.toml").write_text(CARD.format(folder=tmp_path))
    pins = Pins(tmp_path / "pins.sock")
    try:
        person = Setup(
            tmp_path, "--hat", "none", "--call", "parrot", "--button", "17", env={**world.env(), **pins.env()}
        )
        person.answer("5. Test it now? [Y/n] ", "")
        person.terminal.read_until("Do you see it? [Y/n] ")
        assert pins.wait(LED, 1, PATIENCE_S)
        person.terminal.type("y\n")
        person.terminal.read_until("Press the button")
        press(pins)
        assert person.end() == 0
    finally:
        pins.close()
    assert "a press arrived" in person.terminal.shown
    assert "loudspeaker" in person.terminal.shown
    assert "versions" not in person.terminal.shown, "only what a new box needs"
