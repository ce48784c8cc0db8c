"""`edgevoice doctor` as a program, on the virtual card: what the person at the other end of ssh is told."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.doctor.certificates import certificate
from tests.doctor.service import KEY, Service
from tests.e2e.box import LED, ROOT, RunningBox
from tests.e2e.test_faults import HOLD
from tests.fakes import noise
from tests.lab.labcard.labcard import World
from tests.lab.labgpio.pins import Pins

RATE = 48_000
YEAR_S = 365 * 86_400
CARD = """
[card]
capture = "mic"
playback = "speaker"
volume = -1
buffer_ms = 200
[status]
socket = "{folder}/control.sock"
"""
OPENAI = """
[call]
button = "openai"
[agent.openai]
url = "{scheme}://localhost:{port}/v1/realtime"
model = "m"
api_key_file = "key"
"""
LINES = """
[lines]
listen = "127.0.0.1:{port}"
url = "https://localhost:{port}"
certificate_file = "{chain}"
private_key_file = "{key}"
[line.elks]
path_token_file = "token"
"""

Rows = dict[str, tuple[str, str]]


@pytest.fixture
def world() -> Iterator[World]:
    with World(rate=RATE) as world:
        world.air[:] = np.resize(noise(RATE, -60.0), len(world.air))
        world.set_echo(0.02, 0.3)
        yield world


def doctor(
    configuration: Path, env: Mapping[str, str], *options: str, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "edgevoice", "doctor", "-c", str(configuration), *options]
    return subprocess.run(
        command,
        env={**env, "PYTHONWARNINGS": "error"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def examined(configuration: Path, env: Mapping[str, str], before: tuple[str, ...] = ()) -> tuple[int, Rows]:
    """Run it for a program; return the exit code, and level and sentence of each finding by its name."""
    done = doctor(configuration, env, "--json", before=before)
    assert done.stderr == ""
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["ok"] is (done.returncode == 0)
    return done.returncode, {row["name"]: (row["level"], row["sentence"]) for row in said["findings"]}


def configured(folder: Path, more: str = "", *, key: str = KEY) -> Path:
    path = folder / "edgevoice.toml"
    path.write_text(CARD.format(folder=folder) + more)
    (folder / "key").write_text(key)
    (folder / "token").write_text("0123456789abcdef0123456789abcdef")
    return path


def failures(rows: Rows) -> dict[str, str]:
    return {name: sentence for name, (level, sentence) in rows.items() if level == "failed"}


# ------------------------------------------------------------------------------------------------------- the sound


def test_a_healthy_box_has_no_failure_and_the_chirp_is_heard(world: World, tmp_path: Path) -> None:
    files = certificate(tmp_path / "certificate")
    with Service(files) as service:
        configuration = configured(tmp_path, OPENAI.format(scheme="wss", port=service.port))
        code, rows = examined(configuration, {**world.env(), "SSL_CERT_FILE": str(files[0])})
        assert ("GET", "/v1/models/m", f"Bearer {KEY}") in service.asked
        assert {key for method, _, key in service.asked if method == "HEAD"} == {""}, "nobody else is shown the key"
    assert failures(rows) == {}
    assert code == 0
    assert rows["card"][1].startswith('"mic" of the ALSA configuration')
    assert rows["rates"] == ("ok", "48000 Hz, 10 ms periods, 1 in, 1 out, 200 ms ahead")
    assert rows["microphone"] == ("ok", "alive, -60 dBFS while nothing is said")
    assert rows["loudspeaker"][0] == "ok"
    assert rows["TLS"] == ("ok", f"localhost:{service.port}, TLSv1.3")
    assert rows["key of openai"] == ("ok", "localhost takes it, and offers m")


def test_a_loudspeaker_that_is_switched_off_is_not_heard(world: World, tmp_path: Path) -> None:
    world.mute(speaker=True)
    code, rows = examined(configured(tmp_path), world.env())
    assert rows["loudspeaker"] == ("warning", "the microphone does not hear it")
    assert rows["microphone"][0] == "ok"
    assert code == 0


def test_a_microphone_that_is_switched_off_delivers_silence(world: World, tmp_path: Path) -> None:
    world.mute(mic=True)
    code, rows = examined(configured(tmp_path), world.env())
    assert failures(rows) == {"microphone": "it delivers nothing but silence"}
    assert rows["loudspeaker"] == ("absent", "not known: the microphone is silent")
    assert code == 1


def test_a_card_that_another_program_holds_is_told_once(world: World, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], env=world.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        code, rows = examined(configured(tmp_path), world.env())
    finally:
        holder.communicate("\n")
    assert list(failures(rows)) == ["held by"]
    assert 'card.playback "speaker" is held by another program' in rows["held by"][1]
    assert rows["rates"] == ("absent", "not opened: another program has the card")
    assert code == 1


def test_a_card_that_hangs_without_a_word_is_told(world: World, tmp_path: Path) -> None:
    world.stall()
    code, rows = examined(configured(tmp_path), world.env())
    assert failures(rows) == {"microphone": "no sound from the microphone for 0.5 s"}
    assert code == 1


def test_a_card_that_is_not_there_is_one_failure_with_what_to_do(world: World, tmp_path: Path) -> None:
    configuration = configured(tmp_path)
    configuration.write_text(configuration.read_text().replace('"mic"', '"hw:CARD=Nix"'))
    done = doctor(configuration, world.env(), "--no-interaction")
    assert done.returncode == 1
    assert '  FAILED   card: no card "Nix" in the kernel' in done.stdout
    assert "dtoverlay in /boot/firmware/config.txt" in done.stdout
    assert "1 failure, " in done.stdout
    assert "\x1b" not in done.stdout


# ----------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("sk-wrong", "localhost does not accept the key (HTTP 401)"),
        ("", "it must hold the secret on one line and nothing else"),
    ],
)
def test_a_wrong_key_is_told_and_never_shown(world: World, tmp_path: Path, key: str, words: str) -> None:
    with Service() as service:
        configuration = configured(tmp_path, OPENAI.format(scheme="ws", port=service.port), key=key)
        done = doctor(configuration, world.env(), "--no-interaction")
    assert done.returncode == 1
    assert words in " ".join(done.stdout.split())
    assert "sk-wrong" not in done.stdout + done.stderr


def test_a_model_that_is_not_offered_is_a_warning(world: World, tmp_path: Path) -> None:
    with Service(path="/v1/models/another") as service:
        code, rows = examined(configured(tmp_path, OPENAI.format(scheme="ws", port=service.port)), world.env())
    assert rows["key of openai"][0] == "warning"
    assert code == 0


def test_a_clock_that_is_a_year_off_is_told_apart_from_a_bad_certificate(world: World, tmp_path: Path) -> None:
    files = certificate(tmp_path / "certificate", begins_days=-400, ends_days=-300)
    with Service(files, ahead_s=-YEAR_S) as service:
        configuration = configured(tmp_path, OPENAI.format(scheme="wss", port=service.port))
        code, rows = examined(configuration, {**world.env(), "SSL_CERT_FILE": str(files[0])})
        assert {key for _, _, key in service.asked} == {""}, "who is not trusted is not shown the key"
    assert rows["clock"] == ("failed", "it is 365 days ahead of localhost: certificates and signatures fail")
    assert rows["TLS"] == ("failed", f"localhost:{service.port}: certificate has expired")
    assert rows["key of openai"] == ("absent", "not tried: the service is not reached")
    assert code == 1


def can_unshare() -> bool:
    return subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="this user may not make a network namespace")
def test_a_box_without_any_network_is_told_so_first(world: World, tmp_path: Path) -> None:
    configuration = configured(tmp_path, OPENAI.format(scheme="wss", port=443).replace("localhost", "api.example.com"))
    code, rows = examined(configuration, world.env(), before=("unshare", "-n"))
    assert failures(rows)["network"] == "there is no way out (no default route)"
    assert failures(rows)["DNS"].startswith("api.example.com: ")
    assert rows["key of openai"] == ("absent", "not tried: the service is not reached")
    assert code == 1


DEAD_DNS = """
ip link set lo up && ip route add default dev lo && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"
"""


@pytest.mark.skipif(not can_unshare(), reason="this user may not make a network namespace")
def test_a_name_server_that_is_not_there_is_told_apart_from_a_missing_network(world: World, tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\n")
    configuration = configured(tmp_path, OPENAI.format(scheme="wss", port=443).replace("localhost", "api.example.com"))
    before = ("unshare", "-n", "-m", "sh", "-c", DEAD_DNS, "sh", str(resolver))
    code, rows = examined(configuration, world.env(), before=before)
    assert rows["network"] == ("ok", "by lo")
    assert list(failures(rows)) == ["DNS"]
    assert code == 1


# ------------------------------------------------------------------------------------------------- the phone lines


def lines_at(port: int, files: tuple[Path, Path]) -> str:
    return LINES.format(port=port, chain=files[0], key=files[1])


def test_a_certificate_that_has_expired_turns_callers_away(world: World, tmp_path: Path) -> None:
    files = certificate(tmp_path / "certificate", begins_days=-20, ends_days=-10)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, rows = examined(configured(tmp_path, lines_at(port, files)), world.env())
    assert failures(rows) == {
        "port": f"127.0.0.1:{port}: Address already in use",
        "certificate": f"the certificate {files[0]} has expired: phone services turn away; renew it",
    }
    assert code == 1


def test_a_certificate_that_ends_soon_is_a_warning(world: World, tmp_path: Path) -> None:
    files = certificate(tmp_path / "certificate", ends_days=3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    _, rows = examined(configured(tmp_path, lines_at(port, files)), world.env())
    assert rows["certificate"] == ("warning", "the certificate expires in 3 days: renew it")
    assert rows["port"] == ("ok", f"127.0.0.1:{port} is free")


# ------------------------------------------------------------------------------------------------- the running box


def test_a_running_box_is_asked_and_goes_on_undisturbed(world: World, tmp_path: Path) -> None:
    files = certificate(tmp_path / "certificate")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with RunningBox(world, lines_at(port, files), card="volume = -1") as box:
        (box.folder / "token").write_text("0123456789abcdef0123456789abcdef")
        box.wait_until_awake()
        opened = [event for event in world.events() if event.what == "open"]
        code, rows = examined(box.configuration, {**box_env(world), "SSL_CERT_FILE": str(files[0])})
        assert [event for event in world.events() if event.what == "open"] == opened, "the card is left to the box"
        assert box.status()["state"] == "idle"
    assert failures(rows) == {}
    assert rows["held by"] == ("ok", "edgevoice")
    assert rows["rates"] == ("ok", "48000 Hz, 10 ms periods, 1 in, 1 out, 80 ms ahead")
    assert rows["microphone"][1].startswith("the box hears -")
    assert rows["pins"][1].startswith("the box has them: button GPIO17, light GPIO25")
    assert rows["port"] == ("ok", f"the box listens on 127.0.0.1:{port}")
    assert rows["address"] == ("ok", f"https://localhost:{port} leads to this box, seen from here")
    assert rows["service"][1] == "edgevoice runs, but not as a service"
    assert code == 0


def test_the_fault_of_a_running_box_is_repeated(world: World, tmp_path: Path) -> None:
    with RunningBox(world) as box:
        box.wait_until_awake()
        world.unplug()
        box.wait_for_state("fault", within_s=3)
        code, rows = examined(box.configuration, box_env(world))
    assert "fault" in failures(rows)
    assert rows["microphone"] == ("absent", "the box has no card now")
    assert rows["rates"][0] == "absent"
    assert code == 1


def test_a_box_that_does_not_answer_any_more_is_told_and_its_card_is_left_alone(world: World, tmp_path: Path) -> None:
    configuration = configured(tmp_path)
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "control.sock"))
        hung.listen()
        code, rows = examined(configuration, world.env())
    assert "does not answer" in failures(rows)["service"]
    assert rows["card"][0] == "absent"
    assert world.events() == []
    assert code == 1


def box_env(world: World) -> dict[str, str]:
    return {name: value for name, value in world.env().items() if name != "XDG_RUNTIME_DIR"}


# --------------------------------------------------------------------------------------- the configuration, and --fix


def test_a_wrong_configuration_is_the_first_failure_and_the_rest_is_looked_at_all_the_same(
    world: World, tmp_path: Path
) -> None:
    configuration = tmp_path / "edgevoice.toml"
    configuration.write_text("[card]\nrte = 48000\n")
    done = doctor(configuration, world.env(), "--no-interaction")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1].startswith("  FAILED   configuration  ")
    assert 'did you mean "rate"' in " ".join(done.stdout.split())
    assert "  ok       microphone" in done.stdout


def with_a_clock_that_nobody_sets(folder: Path, env: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    """Put a `timedatectl` of ours first, which knows no time from the network until it is told to; and its memory."""
    memory, command = folder / "ntp", folder / "bin" / "timedatectl"
    memory.write_text("no\n")
    command.parent.mkdir()
    told = f'[ "$1" = set-ntp ] && echo yes > {memory}\nknown=$(cat {memory})\n'
    command.write_text(f"#!/bin/sh\n{told}echo NTP=$known\necho NTPSynchronized=$known\n")
    command.chmod(0o755)
    return memory, {**env, "PATH": f"{command.parent}:{os.environ['PATH']}"}


def test_what_is_mended_is_run_looked_at_again_and_told(world: World, tmp_path: Path) -> None:
    memory, env = with_a_clock_that_nobody_sets(tmp_path, world.env())
    _, rows = examined(configured(tmp_path), env)
    assert rows["clock"][0] == "warning"
    assert memory.read_text() == "no\n", "nothing is mended unasked"
    said = json.loads(doctor(configured(tmp_path), env, "--json", "--fix").stdout)
    assert said["mended"] == ["timedatectl set-ntp true"]
    assert {row["name"]: row["level"] for row in said["findings"]}["clock"] == "ok"


def test_without_anybody_to_consent_nothing_is_mended(world: World, tmp_path: Path) -> None:
    memory, env = with_a_clock_that_nobody_sets(tmp_path, world.env())
    done = doctor(configured(tmp_path), env, "--fix")
    assert "Some of this is mended by: sudo edgevoice doctor --fix" in done.stdout
    assert memory.read_text() == "no\n"


# ----------------------------------------------------------------------------------------------- somebody is there


class Terminal:
    """A person at a terminal: reads what it shows, types."""

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(command, env=env, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.shown = ""

    def read_until(self, words: str, within_s: float = 30.0) -> None:
        give_up = time.monotonic() + within_s
        while words not in self.shown:
            left = give_up - time.monotonic()
            assert left > 0, f"not shown: {words}\n{self.shown}"
            assert self._read_some(left), f"it ended without {words}\n{self.shown}"

    def read_to_the_end(self) -> int:
        while self._read_some(30.0):
            pass
        os.close(self._ours)
        return self.process.wait(10)

    def _read_some(self, within_s: float) -> bool:
        if not select.select([self._ours], [], [], within_s)[0]:
            return True
        try:
            some = os.read(self._ours, 4096)
        except OSError:  # nobody has the other end any more
            return False
        self.shown += some.decode().replace("\r\n", "\n")
        return bool(some)

    def type(self, words: str) -> None:
        os.write(self._ours, words.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


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
    assert pins.wait(LED, 1, 5.0), "the light flashes while it is asked about"
    seen.type("y\n")
    seen.read_until("Press the button")
    press(pins)
    assert seen.read_to_the_end() == 0
    assert "\x1b[32mok     \x1b[0m  button GPIO17" in seen.shown
    assert "a press arrived" in seen.shown
    assert "it was seen to be lit" in seen.shown


def test_a_light_that_the_person_does_not_see_is_a_failure(terminal: tuple[Terminal, Pins]) -> None:
    seen, pins = terminal
    seen.read_until("Do you see it? [Y/n] ")
    seen.type("n\n")
    seen.read_until("Press the button")
    press(pins)
    assert seen.read_to_the_end() == 1
    assert "nobody saw it" in seen.shown
