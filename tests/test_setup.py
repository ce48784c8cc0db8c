"""`edgevoice setup` without anybody to ask: what is found, told, refused, and handed to the service."""

from __future__ import annotations

import io
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edgevoice import cli, files, questions, setup
from edgevoice.catalogue import AGENTS, NEEDS, Agents
from edgevoice.config import load
from edgevoice.drivers import state
from edgevoice.errors import DeviceError

UNIT = (Path(__file__).parents[1] / "systemd" / "edgevoice.service").read_text()


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on it; returns the configuration of its service."""
    monkeypatch.setattr(files, "CONFIGURATION", tmp_path / "etc" / "edgevoice.toml")
    monkeypatch.setattr(files, "CREDENTIALS", (str(tmp_path / "credstore"),))
    monkeypatch.setattr(setup, "CREDENTIALS", tmp_path / "credstore")
    monkeypatch.setattr(questions, "ENCRYPTED", tmp_path / "credstore.encrypted")
    monkeypatch.setattr("edgevoice.drivers.machine.unit", lambda: None)
    monkeypatch.setattr(questions, "hat_product", lambda: ("", ""))
    _cards(monkeypatch)
    return tmp_path / "etc" / "edgevoice.toml"


def _cards(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    for module in (files, questions, setup):
        monkeypatch.setattr(module, "card_ids", lambda: list(ids))


def set_up(*options: str) -> int:
    return cli.main(["setup", "--yes", *options])


def test_a_hat_that_is_the_only_one_it_can_be_is_found(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cards(monkeypatch, "vc4hdmi0", "Zero")
    assert set_up() == 0
    assert told.read_text() == '[device]\nhat = "codec-zero"\n'
    assert stat.S_IMODE(told.parent.stat().st_mode) == 0o755, "the service is another user"


@pytest.mark.parametrize(("hat", "wanted"), [("respeaker-4mic", True), ("adafruit-voice-bonnet", False)])
def test_where_the_spi_would_let_the_light_pulse_it_is_told_how(
    told: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hat: str, wanted: bool
) -> None:
    spi = told.parent / "spidev0.0"
    monkeypatch.setattr("edgevoice.drivers.lamp.SPI_DEVICE", spi)
    assert set_up("--hat", hat) == 0
    assert ("dtparam=spi=on" in capsys.readouterr().out) == wanted
    spi.touch()
    assert set_up("--hat", hat) == 0
    assert "dtparam=spi=on" not in capsys.readouterr().out


def test_of_several_that_it_can_be_none_is_taken_and_each_is_named(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _cards(monkeypatch, "wm8960soundcard")
    assert set_up() == 0
    assert "hat" not in told.read_text().replace("that", "")
    said = capsys.readouterr().out
    assert "say which one: edgevoice setup --hat NAME" in said
    named = re.findall(r"^   ([\w-]+): .*, card wm8960soundcard$", said, flags=re.MULTILINE)
    assert named == ["adafruit-voice-bonnet", "respeaker-2mic-v1", "wm8960"]
    assert set_up("--hat", "wm8960") == 0
    assert "say which one" not in capsys.readouterr().out
    assert set_up() == 0
    assert "say which one" not in capsys.readouterr().out, "it has been said"


@pytest.mark.parametrize(
    ("product", "hat"), [("DAC+ ADC", "hifiberry-dac-adc"), ("DAC2 ADC Pro", "hifiberry-dac-adc-pro")]
)
def test_of_several_the_one_that_the_memory_of_the_hat_names_is_taken(
    told: Path, monkeypatch: pytest.MonkeyPatch, product: str, hat: str
) -> None:
    _cards(monkeypatch, "sndrpihifiberry")
    monkeypatch.setattr(questions, "hat_product", lambda: ("HiFiBerry", product))
    assert set_up() == 0
    assert told.read_text() == f'[device]\nhat = "{hat}"\n'


def test_a_card_that_its_owner_has_named_is_not_replaced(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _cards(monkeypatch, "Zero")
    told.parent.mkdir()
    told.write_text('[card]\ncapture = "hw:CARD=Device"\n')
    assert set_up() == 0
    assert "hat" not in told.read_text()


def test_the_key_goes_where_systemd_hands_it_over_from(told: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.write_text("\ufeffsk-1\r\n")
    assert set_up("--call", "openai", "--key-file", str(given)) == 0
    key = tmp_path / "credstore" / "openai-api-key"
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == ("sk-1\n", 0o600)
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert "LoadCredential=openai-api-key\n" in UNIT
    assert set_up("--button", "5") == 0, "it is not asked for again"


def test_the_key_comes_from_standard_input_too(told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("sk-2\n"))
    assert set_up("--call", "openai", "--key-file", "-") == 0
    assert (tmp_path / "credstore" / "openai-api-key").read_text() == "sk-2\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--call", "openai"], "$.agent.openai.api_key_file: The API key of OpenAI is not in openai-api-key yet; "),
        (["--call", "parrot", "--key-file", "x"], "--key-file: parrot needs no key"),
        (["--call", "openai", "--key-file", "/nowhere"], "--key-file: /nowhere cannot be read: No such file"),
        (["--call", "gemini"], "$.agent.gemini.api_key_file: The API key of Gemini is not in gemini-api-key yet; "),
        (
            ["--call", "elevenlabs"],
            "$.agent.elevenlabs.agent_id: elevenlabs cannot be called without it; say elevenlabs:ID",
        ),
        (["--call", "elevenlabs", "--agent-id", "?"], "$.agent.elevenlabs.agent_id: "),
        (["--call", "gemini", "--agent-id", "a"], "--agent-id: gemini has none"),
        (["--hat", "codec-zer"], 'did you mean "codec-zero"?'),
        (["--button", "40"], "$.panel.button: expected an integer from -1 to 27, got 40"),
        (
            ["--hat", "codec-zero", "--button", "18"],
            '$.panel.button: 18 is taken by the HAT "codec-zero": I²S bit clock',
        ),
        (["--call", "elevenlabs:agent_1", "--agent-id", "agent_2"], "--agent-id: agent_2, but the call is to be "),
        (["--call", "parrot:agent_1"], "$.call.button: "),
        (["--call", "elks:+46701234567"], "to call out it needs line.elks.number, "),
        (["--call", "elks:+46701234567"], "A phone line is configured first, in "),
        (["--call", "sip:reception"], "A phone line is configured first, in "),
        (["--call", ""], "$.call.button: "),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert set_up(*options) == 64
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_all_that_is_wrong_is_told_together(told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--hat", "nonsense", "--call", "nonsense", "--button", "99", "--key-file", "/nowhere")
    for yes in (("--yes",), ()):
        assert cli.main(["setup", *yes, *options]) == 64
        problems = capsys.readouterr().err.splitlines()
        assert [problem.partition(": ")[0] for problem in problems if problem.startswith("--")] == ["--key-file"]
        assert [problem.split("$.")[1].split(":")[0] for problem in problems if "$." in problem] == [
            "device.hat",
            "call.button",
            "panel.button",
        ]
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_missing_and_a_wrong_pin_are_told_together(
    told: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set_up("--call", "openai", "--button", "99") == 64
    said = capsys.readouterr().err
    assert "is not in openai-api-key yet" in said
    assert "$.panel.button: expected an integer" in said


def test_a_hat_that_takes_the_pin_of_before_wants_another_one(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_up("--button", "18") == 0
    assert set_up("--hat", "codec-zero") == 64
    assert "$.panel.button: 18 is taken by the HAT" in capsys.readouterr().err
    assert set_up("--hat", "codec-zero", "--button", "5") == 0
    assert told.read_text().endswith('[panel]\nbutton = 5\n\n[device]\nhat = "codec-zero"\n')


def test_a_file_that_is_not_there_is_made_when_nothing_is_to_be_set(told: Path) -> None:
    assert set_up() == 0
    assert told.read_text() == setup.NOTHING_SET
    assert files.configuration(told) == load("")
    assert set_up("--button", "5") == 0
    assert told.read_text() == f"{setup.NOTHING_SET}\n[panel]\nbutton = 5\n"


# ------------------------------------------------------------------------------------------------ answers in lines


def pipe(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_lines_that_come_through_a_pipe_are_answers(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, "none", "openai", "sk-3", "22", "n")
    assert cli.main(["setup"]) == 0
    assert told.read_text() == '[call]\nbutton = "openai"\n\n[panel]\nbutton = 22\n'
    assert (tmp_path / "credstore" / "openai-api-key").read_text() == "sk-3\n"


def test_a_hat_that_takes_the_pin_of_before_offers_its_own_button(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set_up("--button", "18") == 0
    pipe(monkeypatch, "codec-zero", "parrot", "", "n")
    assert cli.main(["setup"]) == 0
    assert "pin [27]: " in capsys.readouterr().out
    assert files.configuration(told).panel.button == 27


def test_lines_answer_what_no_option_does(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, "elevenlabs:agent_1", "", "22")
    assert cli.main(["setup", "--hat", "none", "--no-test"]) == 0
    written = '[call]\nbutton = "elevenlabs"\n\n[agent.elevenlabs]\nagent_id = "agent_1"\n\n[panel]\nbutton = 22\n'
    assert told.read_text() == written


def test_a_key_that_comes_through_the_pipe_leaves_nothing_to_ask(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, "sk-4")
    assert cli.main(["setup", "--call", "openai", "--key-file", "-"]) == 0
    assert (tmp_path / "credstore" / "openai-api-key").read_text() == "sk-4\n"


@pytest.mark.parametrize(
    ("lines", "unanswered"),
    [
        ((), "HAT [none]:"),
        (("none",), "call [parrot]:"),
        (("none", "openai"), "key:"),
        (("none", "openai", "sk-5"), "pin [17]:"),
        (("none", "openai", "sk-5", "22"), "5. Test it now? [Y/n]"),
    ],
)
def test_lines_that_end_too_early_change_nothing_and_say_how_to_answer(
    told: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: tuple[str, ...],
    unanswered: str,
) -> None:
    pipe(monkeypatch, *lines)
    assert cli.main(["setup"]) == 64
    said = capsys.readouterr().err
    assert f'"{unanswered}" has no answer. Nothing was changed.' in said
    assert "ssh -t" in said
    assert "edgevoice setup --yes" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("none", "parrot", "sk-SECRET-SECRET", "22", "n"), "no number, expected one like 17"),
        (("sk-SECRET-SECRET", "openai"), "device.hat"),
        (("none", "sk-SECRET-SECRET", "22"), "call.button"),
        (("none", "parrot", "", "22", "n"), "expected y or n"),
    ],
)
def test_lines_that_are_one_off_show_no_key_and_change_nothing(
    told: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lines: tuple[str, ...],
    said: str,
) -> None:
    pipe(monkeypatch, *lines)
    assert cli.main(["setup"]) == 64
    shown = capsys.readouterr()
    assert said in shown.err
    assert "SECRET" not in shown.out + shown.err
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_is_no_answer_ends_it(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, "none", "opnai", "sk-6", "22", "n")
    assert cli.main(["setup"]) == 64
    assert 'did you mean "openai"?' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("agent", AGENTS)
def test_after_setup_the_box_can_call_any_agent(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str
) -> None:
    needs = NEEDS[agent]
    (tmp_path / "given").write_text("key-1\n")
    options = ["--agent-id", "agent_1"] if needs.setting else []
    options += ["--key-file", str(tmp_path / "given")] if needs.key_of else []
    assert set_up("--call", agent, *options) == 0
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credstore"))
    config = files.configuration(told)
    assert config.call.button == agent
    Agents(config, files.FilesBeside(told)).check()
    if needs.key_of:
        assert (tmp_path / "credstore" / needs.file).read_text() == "key-1\n"
        assert getattr(config.agent, agent).api_key_file == needs.file
        assert f"LoadCredential={needs.file}\n" in UNIT
    assert set_up("--button", "5") == 0, "nothing is asked for again"


def test_every_agent_has_a_row_and_help_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(NEEDS) == list(AGENTS)
    with pytest.raises(SystemExit):
        cli.main(["setup", "--help"])
    said = capsys.readouterr().out
    assert [name for name in AGENTS if name not in said] == []
    assert "--agent-id" in said


def test_an_agent_without_a_key_needs_none(told: Path) -> None:
    assert set_up("--call", "elevenlabs", "--agent-id", "agent_1") == 0
    written = '[call]\nbutton = "elevenlabs"\n\n[agent.elevenlabs]\nagent_id = "agent_1"\n'
    assert told.read_text() == written
    assert set_up("--agent-id", "agent_2") == 0
    assert told.read_text() == written.replace("agent_1", "agent_2")


@pytest.mark.parametrize("before", [None, "sk-0\n"])
def test_when_the_configuration_cannot_be_written_the_key_is_as_it_was(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    key = tmp_path / "credstore" / "openai-api-key"
    if before:
        key.parent.mkdir()
        key.write_text(before)
    (tmp_path / "given").write_text("sk-1\n")
    keep = state.keep

    def full(path: Path, content: bytes, *, mode: int = 0o644) -> None:
        if path == told:
            raise DeviceError(f"{path} cannot be written: No space left on device")
        keep(path, content, mode=mode)

    monkeypatch.setattr(state, "keep", full)
    assert set_up("--call", "openai", "--key-file", str(tmp_path / "given")) == 69
    assert (key.read_text() if key.exists() else None) == before


@pytest.mark.parametrize("content", [b"", b"\n", b"sk-1\nsk-2\n", b"sk-\x00", b"\xff\xfe"])
def test_a_key_that_is_none_is_refused_and_not_shown(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "given").write_bytes(content)
    assert set_up("--call", "openai", "--key-file", str(tmp_path / "given")) == 64
    said = capsys.readouterr()
    assert "--key-file" in said.err
    assert "sk-" not in said.out + said.err
    assert not told.exists()


def test_a_key_that_is_kept_encrypted_is_not_shadowed_by_a_plain_one(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "credstore.encrypted").mkdir()
    (tmp_path / "credstore.encrypted" / "openai-api-key").write_text("...")
    assert set_up("--call", "openai") == 0, "it is there"
    (tmp_path / "given").write_text("sk-1\n")
    assert set_up("--key-file", str(tmp_path / "given")) == 64
    assert "systemd-creds encrypt --name=openai-api-key" in capsys.readouterr().err
    assert not (tmp_path / "credstore").exists()


SIP = """
[call]
button = "sip:gate"
[[line.sip]]
registrar = "sip:one.example.com"
user = "6001"
password_file = "one-password"
[[line.sip]]
registrar = "sip:two.example.com"
user = "6002"
password_file = "sip-password"
[line.sip.targets]
gate = "sip:100@two.example.com"
"""


def test_the_password_is_that_of_the_account_which_knows_the_name(told: Path, tmp_path: Path) -> None:
    told.parent.mkdir()
    told.write_text(SIP)
    (tmp_path / "given").write_text("secret\n")
    assert set_up("--key-file", str(tmp_path / "given")) == 0
    assert (tmp_path / "credstore" / "sip-password").read_text() == "secret\n"
    assert told.read_text() == SIP


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("", "A phone line is configured first, in "),
        (SIP, "Or somebody over a line, as in sip:gate."),
        (SIP.replace("[line.sip.targets]\ngate", "[call.contacts]\ngate").replace("sip:gate", "parrot"), "sip:100."),
    ],
)
def test_only_lines_that_are_configured_are_offered(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, offered: str
) -> None:
    told.parent.mkdir()
    told.write_text(text)
    pipe(monkeypatch, "none")
    assert cli.main(["setup"]) == 64
    said = capsys.readouterr().out
    assert offered in said
    assert "elks:" not in said
    assert "An agent: parrot, openai, elevenlabs:ID, gemini" in said


def test_a_configuration_that_is_wrong_already_is_left_alone(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told.parent.mkdir()
    told.write_text("[call]\nbuton = 'parrot'\n")
    assert set_up("--call", "parrot") == 78
    assert 'did you mean "button"?' in capsys.readouterr().err
    assert told.read_text() == "[call]\nbuton = 'parrot'\n"


def test_a_configuration_that_is_no_text_is_said(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told.parent.mkdir()
    told.write_bytes(b"\xff")
    assert set_up() == 78
    assert "is not UTF-8 text" in capsys.readouterr().err


def test_who_may_not_write_is_told_before_anything_is_asked(
    told: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path != told.parent.parent)  # root may write everywhere
    assert set_up("--button", "5") == 69
    assert "sudo edgevoice setup" in capsys.readouterr().err


def test_a_link_to_the_configuration_stays_one(told: Path, tmp_path: Path) -> None:
    told.parent.mkdir()
    (tmp_path / "mine.toml").write_text("")
    told.symlink_to(tmp_path / "mine.toml")
    assert set_up("--button", "5") == 0
    assert told.is_symlink()
    assert (tmp_path / "mine.toml").read_text() == "[panel]\nbutton = 5\n"


def test_what_setup_needs_is_not_loaded_by_the_box() -> None:
    program = "import sys, edgevoice.app, edgevoice.cli; sys.exit('tomlkit' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
