"""The command line, as typed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgevoice import __version__, cli, files
from edgevoice.drivers import control
from edgevoice.errors import ConfigError
from tests.drivers import certificates


def edgevoice(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgevoice", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_it_says_its_version() -> None:
    assert edgevoice("--version").stdout == f"edgevoice {__version__}\n"


def test_devices_names_every_kind_also_where_there_is_none() -> None:
    found = json.loads(edgevoice("devices", "--json").stdout)
    assert [kind.partition(" ")[0] for kind in found] == ["capture", "playback", "mixer", "GPIO", "HAT"]
    assert edgevoice("devices").stdout.count(":\n") >= 5


def test_a_file_that_is_not_there_is_a_matter_of_configuration(tmp_path: Path) -> None:
    done = edgevoice("run", "-c", str(tmp_path / "no.toml"))
    assert done.returncode == 78
    assert "no.toml: cannot be read: No such file or directory" in done.stderr


def test_a_file_that_is_not_text_is_a_matter_of_configuration(tmp_path: Path) -> None:
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff\xfe\x00")
    done = edgevoice("run", "-c", str(file))
    assert done.returncode == 78
    assert "is not UTF-8 text" in done.stderr


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("edgevoice.toml", "{place}: cannot be read: Input/output error"),
        ("profiles/mine.toml", "{place}: cannot be read: Input/output error"),
        ("openai-api-key", "$.agent.openai.api_key_file: cannot read {place}: Input/output error; let the user"),
        ("words.txt", "$.agent.openai.instructions_file: cannot read {place}: Input/output error"),
        ("pbx.pem", "$.lines.certificate_file: {place}: "),
    ],
)
def test_a_disk_that_does_not_give_a_file_now_is_no_mistake_in_the_configuration(
    tmp_path: Path, place: str, said: str
) -> None:
    (tmp_path / "profiles").mkdir()
    for key in ("openai-api-key", "token"):
        (tmp_path / key).write_text("0123456789abcdef\n")
    (tmp_path / "words.txt").write_text("Be brief.\n")
    certificates.make(tmp_path)
    (tmp_path / "server.pem").rename(tmp_path / "pbx.pem")
    (tmp_path / "edgevoice.toml").write_text(
        f'[call]\nbutton = "openai"\n[agent.openai]\ninstructions_file = "words.txt"\n[panel]\npins = "none"\n'
        '[lines]\nlisten = "127.0.0.1:0"\ncertificate_file = "pbx.pem"\nprivate_key_file = "server.key"\n'
        f'[line.elks]\npath_token_file = "token"\n[card]\nsimulate = true\n[status]\nsocket = "{tmp_path}/socket"\n'
    )
    broken = tmp_path / place
    broken.unlink(missing_ok=True)
    broken.symlink_to("/proc/self/mem")  # whose first page nobody can read: EIO
    done = edgevoice("run", "-c", str(tmp_path / "edgevoice.toml"))
    assert done.returncode == 66
    assert said.format(place=broken) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_certificate_that_is_not_there_may_be_a_moment_later_and_a_text_is_not(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    lines = '[lines]\nlisten = "127.0.0.1:0"\ncertificate_file = "pbx.pem"\nprivate_key_file = "server.key"\n'
    rest = f'[line.elks]\npath_token_file = "token"\n[card]\nsimulate = true\n[status]\nsocket = "{tmp_path}/socket"\n'
    file = tmp_path / "edgevoice.toml"
    file.write_text(f'[panel]\npins = "none"\n{lines}{rest}')
    done = edgevoice("run", "-c", str(file))
    assert done.returncode == 66
    assert f"$.lines.certificate_file: there is no file {tmp_path}/pbx.pem" in done.stderr
    file.write_text('[call]\nbutton = "gemini"\n[agent.gemini]\napi_key_file = ""\ninstructions_file = "words.txt"\n')
    done = edgevoice("run", "-c", str(file))
    assert done.returncode == 78
    assert f"$.agent.gemini.instructions_file: there is no file {tmp_path}/words.txt" in done.stderr


def test_what_a_person_must_change_is_told_before_what_may_mend_itself(tmp_path: Path) -> None:
    lines = (
        '[lines]\nlisten = "127.0.0.1:1"\n[line.elks]\npath_token_file = "{}"\n[line.vobiz]\npath_token_file = "{}"\n'
    )
    file = tmp_path / "edgevoice.toml"
    (tmp_path / "broken").symlink_to("/proc/self/mem")
    for tokens, code in {("broken", "broken"): 66, ("broken", "missing"): 78}.items():
        file.write_text(lines.format(*tokens))
        done = edgevoice("lines", "setup", "-c", str(file))
        assert (done.returncode, len(done.stderr.splitlines())) == (code, 2)


def test_ctl_without_an_appliance_says_so(tmp_path: Path) -> None:
    file = tmp_path / "edgevoice.toml"
    file.write_text(f'[status]\nsocket = "{tmp_path}/control.sock"\n')
    done = edgevoice("ctl", "-c", str(file), "status")
    assert done.returncode == 69
    assert "edgevoice is not running" in done.stderr


def at_a_box(folder: Path, answer: Mapping[str, Any], *words: str) -> tuple[int, list[control.Request]]:
    """Ask a box that answers so over a real socket; return the exit code, and what it was asked."""
    file = folder / "edgevoice.toml"
    asked: list[control.Request] = []
    file.write_text(f'[status]\nsocket = "{folder}/control.sock"\n')

    def answering(request: control.Request) -> Mapping[str, Any]:
        asked.append(request)
        return answer

    async def story() -> int:
        async with control.serve(f"{folder}/control.sock", answering):
            return await asyncio.to_thread(cli.main, ["ctl", "-c", str(file), *words])

    return asyncio.run(story()), asked


def test_the_status_of_phone_lines_reads_as_words_and_not_as_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = {"registrar": "pbx", "registered_s": 55, "trouble": None}
    lines: dict[str, Any] = {
        "listen": None,
        "sip": {"trouble": None, "accounts": [account, account], "calls": []},
        "calls": [],
    }
    assert at_a_box(tmp_path, {"state": "idle", "fault": None, "lines": lines}, "status")[0] == 0
    assert capsys.readouterr().out.splitlines() == [
        "state            idle",
        "lines            sip (accounts ((registrar pbx, registered_s 55), (registrar pbx, registered_s 55)), "
        "calls none), calls none",
    ]


@pytest.mark.parametrize("words", [["--json", "status"], ["status", "--json"], ["volume", "3", "--json"]])
def test_json_may_stand_before_the_request_or_after_it(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert at_a_box(tmp_path, {"state": "idle"}, *words)[0] == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "state": "idle"}


def test_who_lets_the_box_chirp_is_asked_to_be_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert at_a_box(tmp_path, {"judged": "well"}, "chirp") == (0, [control.Chirp()])
    assert capsys.readouterr() == ("judged           well\n", "please be quiet for 3 s ...\n")


@pytest.mark.parametrize("words", [["keys", "0A*#"], ["volume", "0"], ["volume", "100"]])
def test_what_the_box_would_take_is_sent(tmp_path: Path, words: list[str]) -> None:
    code, [asked] = at_a_box(tmp_path, {}, *words)
    assert (code, type(asked).__name__.lower()) == (0, words[0])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["keys", "x"], "argument KEYS: keys are 0-9, A-D, * and #, 32 at most"),
        (["keys", "1" * 33], "argument KEYS: keys are 0-9, A-D, * and #, 32 at most"),
        (["volume", "400"], "argument N: expected 0 to 100, got 400"),
        (["volume", "loud"], "argument N: expected 0 to 100, got loud"),
    ],
)
def test_what_the_box_would_not_take_is_told_in_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["ctl", *words])
    assert capsys.readouterr().err.endswith(f"error: {sentence}\n")


@pytest.mark.parametrize("words", [["devices"], ["doctor", "--json", "--silent"]])
def test_a_reader_that_has_seen_enough_is_no_reason_for_a_trace(tmp_path: Path, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "edgevoice", *words]
    try:
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("words", ["devices", "devices --json", "doctor --json --silent"])
@pytest.mark.parametrize(
    ("where", "said"),
    [
        (">/dev/full", "edgevoice: standard output cannot be written to: No space left on device\n"),
        (">&-", "edgevoice: standard output is closed, expected one to print to\n"),
    ],
)
def test_a_full_disk_under_the_output_is_told_in_a_sentence(words: str, where: str, said: str) -> None:
    command = f"exec {sys.executable} -m edgevoice {words} {where}"
    done = subprocess.run(["/bin/sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (74, said)


@pytest.mark.parametrize("command", ["demo", "bench", "calibrate"])
@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_said_before_anything_is_computed(
    tmp_path: Path, command: str, place: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "room.toml").write_text(f'[card]\nsimulate = true\n[status]\nsocket = "{tmp_path}/control.sock"\n')
    configured = [] if command == "demo" else ["-c", "room.toml"]
    done = edgevoice(command, *configured, "--out", place, cwd=tmp_path)
    assert (done.stdout == "") == (command != "demo"), "the demo says what it is about to do"
    assert done.returncode == 69
    assert re.fullmatch(rf"edgevoice: {place} cannot be written to: .*; name another folder.*\n", done.stderr)


def test_demo_writes_where_it_is_told_and_says_what_to_look_at(tmp_path: Path) -> None:
    done = edgevoice("demo", "--out", "there", cwd=tmp_path)
    assert done.returncode == 0
    assert "report.html" in done.stdout
    assert {path.name for path in (tmp_path / "there").iterdir()} == {
        "agent.wav",
        "cleaned.wav",
        "events.jsonl",
        "microphone.wav",
        "person.wav",
        "report.html",
        "speaker.wav",
    }


def test_calibrate_without_a_card_says_which_there_are(tmp_path: Path) -> None:
    file = tmp_path / "edgevoice.toml"
    file.write_text(f'[card]\nplayback = "hw:CARD=Nix"\n[status]\nsocket = "{tmp_path}/control.sock"\n')
    done = edgevoice("calibrate", "-c", str(file))
    assert (done.returncode, done.stdout) == (69, "")
    assert re.fullmatch(r'edgevoice: card\.playback "hw:CARD=Nix" does not open: .*Cards there are: .*\n', done.stderr)


def test_whoever_breaks_a_calibration_off_gets_the_prompt_back_and_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "edgevoice.toml"
    file.write_text(f'[card]\nsimulate = true\n[status]\nsocket = "{tmp_path}/control.sock"\n')
    command = [sys.executable, "-m", "edgevoice", "calibrate", "-c", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.readline() == "Listening to the room, then playing a sweep ... (4 s; please be quiet)\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
        assert running.stderr.read() == ""


@pytest.mark.parametrize("words", [[], ["sing"], ["ctl"], ["ctl", "volume", "200"], ["ctl", "mute", "perhaps"]])
def test_what_makes_no_sense_is_told_with_the_usage(words: list[str]) -> None:
    done = edgevoice(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


def test_who_looks_from_outside_finds_the_key_that_systemd_hands_to_the_service(tmp_path: Path) -> None:
    (tmp_path / "credstore").mkdir()
    (tmp_path / "credstore" / "openai-api-key").write_text("sk-1\n")
    configuration = tmp_path / "etc" / "edgevoice.toml"
    outside = files.FilesBeside(configuration, (str(tmp_path / "credstore"),))
    assert outside.secret("openai-api-key", "agent.openai.api_key_file").reveal() == "sk-1"
    with pytest.raises(ConfigError, match="there is no file"):
        files.FilesBeside(configuration).secret("openai-api-key", "agent.openai.api_key_file")


@pytest.mark.parametrize("key", ["openai-api-key", "nowhere/key"])
def test_a_missing_key_is_told_with_the_configuration_that_names_it_and_its_whole_path(
    tmp_path: Path, key: str
) -> None:
    (tmp_path / "edgevoice.toml").write_text(f'[call]\nbutton = "openai"\n[agent.openai]\napi_key_file = "{key}"\n')
    done = edgevoice("run", "-c", "edgevoice.toml", cwd=tmp_path)
    assert done.returncode == 78
    assert done.stderr == (
        f"edgevoice.toml: $.agent.openai.api_key_file: there is no file {tmp_path}/{key}; write the secret into it\n"
    )


@pytest.mark.parametrize("file", ["openai-api-key", "elks-token", "sip-password", "elks-credentials", "privkey.pem"])
def test_no_secret_of_a_newcomer_gets_into_git(tmp_path: Path, file: str) -> None:
    (tmp_path / ".gitignore").write_text((Path(__file__).parents[1] / ".gitignore").read_text())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert subprocess.run(["git", "check-ignore", "-q", file], cwd=tmp_path, check=False).returncode == 0
    assert subprocess.run(["git", "check-ignore", "-q", "README.md"], cwd=tmp_path, check=False).returncode == 1


def test_a_socket_that_cannot_be_made_names_its_key(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "edgevoice.toml").write_text(
        f'[card]\nsimulate = true\n[panel]\npins = "none"\n[status]\nsocket = "{tmp_path}/file/control.sock"\n'
    )
    done = edgevoice("run", "-c", "edgevoice.toml", cwd=tmp_path)
    assert done.returncode == 69
    assert f"the control socket {tmp_path}/file/control.sock cannot be made: " in done.stderr
    assert done.stderr.endswith("; name another place in the configuration: status.socket\n")
