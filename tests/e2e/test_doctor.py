"""`edgevoice doctor` as a program, on the virtual card: what the person at the other end of ssh is told."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.drivers.sound_holders import kernel_cards
from tests.doctor.certificates import certificate
from tests.doctor.service import KEY, Service
from tests.e2e.box import RunningBox
from tests.e2e.doctor import OPENAI, configured, doctor, examined, failures, with_a_clock_that_nobody_sets
from tests.e2e.test_faults import HOLD
from tests.fakes import noise
from tests.lab.labcard.labcard import World
from tests.lab.mixer import control
from tests.lab.pulse import PulseAudio
from tests.ports import free_port

RATE = 48_000
QUIET_AT_16_KHZ = "alive, -66 dBFS while nothing is said"  # 5 dB of the noise is above what the box hears
YEAR_S = 365 * 86_400
LINES = """
[lines]
listen = "127.0.0.1:{port}"
url = "https://localhost:{port}"
certificate_file = "{chain}"
private_key_file = "{key}"
[line.elks]
path_token_file = "token"
"""


@pytest.fixture
def world() -> Iterator[World]:
    with World(rate=RATE) as world:
        world.air[:] = np.resize(noise(RATE, -60.0), len(world.air))
        world.set_echo(0.02, 0.3)
        yield world


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
    port = free_port()
    _, rows = examined(configured(tmp_path, lines_at(port, files)), world.env())
    assert rows["certificate"] == ("warning", "the certificate expires in 3 days: renew it")
    assert rows["port"] == ("ok", f"127.0.0.1:{port} is free")


@pytest.mark.skipif(kernel_cards() != (), reason="this machine has a sound card")
def test_a_server_for_phone_lines_and_agents_wants_neither_card_nor_pins(world: World, tmp_path: Path) -> None:
    files = certificate(tmp_path / "certificate")
    port = free_port()
    configuration = configured(tmp_path, lines_at(port, files))
    server = configuration.read_text().partition("[status]")[2]
    configuration.write_text(f'[status]{server}\n[call]\nincoming = "parrot"\n')
    code, rows = examined(configuration, world.env())
    assert (failures(rows), code) == ({}, 0)
    assert rows["card"] == ("absent", "none is wanted: the phone lines are answered by an agent")
    assert rows["pins"] == ("absent", "no button and no light is wanted")
    assert world.events() == [], "nothing is opened"


# ------------------------------------------------------------------------------------------------- the running box


def test_a_running_box_is_asked_and_goes_on_undisturbed(world: World, tmp_path: Path) -> None:
    files = certificate(tmp_path / "certificate")
    port = free_port()
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
    assert rows["microphone"] == ("ok", QUIET_AT_16_KHZ)
    assert rows["loudspeaker"][0] == "ok"
    assert rows["loudspeaker"][1].startswith("loudspeaker and microphone hear each other: echo -10 dB, ")
    assert rows["pins"][1].startswith("the box has them: button GPIO17, light GPIO25")
    assert rows["port"] == ("ok", f"the box listens on 127.0.0.1:{port}")
    assert rows["address"] == ("ok", f"https://localhost:{port} leads to this box, seen from here")
    assert rows["service"][1] == "edgevoice runs, but not as a service"
    assert code == 0


def test_a_running_box_finds_its_microphone_dead_and_its_loudspeaker_silent(world: World, tmp_path: Path) -> None:
    with RunningBox(world) as box:
        box.wait_until_awake()
        world.mute(speaker=True)
        _, rows = examined(box.configuration, box_env(world))
        assert rows["loudspeaker"] == ("warning", "the microphone does not hear it")
        assert rows["microphone"][0] == "ok"
        world.mute(mic=True)
        code, rows = examined(box.configuration, box_env(world))
    assert failures(rows) == {"microphone": "it delivers nothing but silence"}
    assert rows["loudspeaker"] == ("absent", "not known: the microphone is silent")
    assert code == 1


@pytest.mark.parametrize(
    ("air", "words"),
    [
        (np.clip(np.rint(60_000 * np.sin(2 * np.pi * np.arange(RATE) / 480)), -32767, 32767), "it clips ("),
        (3000 + noise(RATE, -60.0), "it has an offset of 9 % of full scale"),
    ],
    ids=["clipping", "offset"],
)
def test_a_running_box_hears_what_is_wrong_with_its_microphone(world: World, air: NDArray[Any], words: str) -> None:
    with RunningBox(world) as box:
        box.wait_until_awake()
        world.air[:] = np.resize(air.astype(np.int16), len(world.air))
        code, rows = examined(box.configuration, box_env(world))
    assert rows["microphone"][0] == "warning"
    assert rows["microphone"][1].startswith(words)
    assert code == 0


def test_a_running_box_that_is_to_be_silent_plays_nothing_and_listens(world: World) -> None:
    with RunningBox(world) as box:
        box.wait_until_awake()
        since = world.now()
        _, rows = examined(box.configuration, box_env(world), "--silent")
        assert not box.speaker(since).any()
        assert rows["microphone"] == ("ok", QUIET_AT_16_KHZ)
        assert rows["loudspeaker"] == ("absent", "the box has not tested itself yet: it does so at night")
        examined(box.configuration, box_env(world))
        assert box.speaker(since).any()


def test_a_running_box_in_a_call_is_not_disturbed_and_says_why_it_was_not_listened_to(world: World) -> None:
    with RunningBox(world) as box:
        box.wait_until_awake()
        box.call()
        _, rows = examined(box.configuration, box_env(world))
        assert box.status()["state"] == "in call"
    why = "the box cannot listen to itself now: it is in call"
    what_to_do = "to try it all the same: sudo systemctl stop edgevoice, then doctor again"
    assert rows["microphone"][1].endswith(f"dBFS now; {why}")
    assert rows["loudspeaker"] == ("absent", f"{why}; {what_to_do}")


def test_a_running_box_that_is_muted_is_a_warning(world: World) -> None:
    with RunningBox(world) as box:
        box.wait_until_awake()
        box.ask(do="mute", on=True)
        _, rows = examined(box.configuration, box_env(world), "--silent")
    assert rows["muted"] == ("warning", "the box is muted: nobody hears the person")


def test_the_relay_of_a_box_without_a_card_is_looked_at_too(world: World, tmp_path: Path) -> None:
    headless = tmp_path / "edgevoice.toml"
    headless.write_text(
        f'[status]\nsocket = "{tmp_path}/control.sock"\n[call]\nincoming = "parrot"\n'
        '[[line.sip]]\nregistrar = "127.0.0.1:9"\nuser = "door"\n[relay.door]\npin = 5\n'
    )
    _, rows = examined(headless, world.env())
    assert rows["pins"] == ("absent", "no button and no light is wanted")
    assert rows["relay door"] == ("warning", "GPIO5 is high from power-on until the box runs: it may open")


def test_the_fault_of_a_running_box_is_repeated(world: World, tmp_path: Path) -> None:
    with RunningBox(world) as box:
        box.wait_until_awake()
        world.unplug()
        box.wait_for_state("fault")
        code, rows = examined(box.configuration, box_env(world))
    assert "fault" in failures(rows)
    assert rows["microphone"] == ("absent", "the box has no card now")
    assert rows["rates"][0] == "absent"
    assert code == 1


def test_a_box_that_does_not_answer_any_more_is_told_and_its_card_is_left_alone(world: World, tmp_path: Path) -> None:
    files = certificate(tmp_path / "certificate")
    configuration = configured(tmp_path, lines_at(free_port(), files))
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "control.sock"))
        hung.listen()
        code, rows = examined(configuration, world.env())
    assert "does not answer" in failures(rows)["service"]
    assert (rows["card"][0], rows["phone lines"][0]) == ("absent", "absent")
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


def test_what_is_muted_is_switched_on_where_no_amixer_is_installed(tmp_path: Path) -> None:
    """On the mixer of a real alsa-lib: PulseAudio's."""
    with PulseAudio() as pulse:
        env = {**pulse.env(), "PATH": str(tmp_path)}
        control("Master", "speaker", pulse.env(), "mixer.setmute(1)")
        assert control("Capture", "mic", pulse.env(), "mixer.setrec(0)") == (100, False)
        _, rows = examined(configured(tmp_path, '[panel]\npins = "none"\n'), env)
        assert rows["volume"] == ("failed", 'the loudspeaker is muted: "Master" of speaker')
        assert rows["capture"] == ("failed", 'the microphone is switched off: "Capture" of mic')
        assert control("Master", "speaker", pulse.env()) == (100, False), "nothing is mended unasked"
        said = json.loads(doctor(tmp_path / "edgevoice.toml", env, "--json", "--fix").stdout)
        assert said["mended"][:2] == ['switch on "Master" of speaker', 'switch on "Capture" of mic']
        assert {row["name"]: row["level"] for row in said["findings"]}["volume"] == "ok"
        assert control("Master", "speaker", pulse.env()) == (100, True)
        assert control("Capture", "mic", pulse.env()) == (100, True)
