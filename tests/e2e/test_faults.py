"""What goes wrong in the field, tried on the virtual card: the box says so and comes back."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.agent_service import OPENAI, AgentService
from tests.e2e.box import LED, PATIENCE_S, ROOT, RunningBox, last_sound, voice
from tests.lab.labcard.labcard import World
from tests.ports import free_port

RATE = 48_000

HOLD = """
import alsaaudio
pcm = alsaaudio.PCM(type=alsaaudio.PCM_PLAYBACK, device="speaker", rate=48000, channels=1, periodsize=480, periods=4)
print("held", flush=True)
input()
"""


def test_a_busy_card_is_a_fault_until_it_is_free() -> None:
    with World(rate=RATE) as world:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD], env=world.env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with RunningBox(world) as box:
            fault = box.wait_for_state("fault")
            assert 'card.playback "speaker" is held by another program' in fault["fault"]
            assert box.pins.wait(LED, 1, PATIENCE_S), "the light flashes"
            holder.communicate("\n")
            box.wait_for_state("idle")


def test_a_card_that_is_not_there_is_a_fault_with_the_name_that_was_asked() -> None:
    with World(rate=RATE) as world, RunningBox(world, capture="hw:CARD=Nowhere") as box:
        fault = box.wait_for_state("fault")
        assert 'card.capture "hw:CARD=Nowhere" does not open' in fault["fault"]
        box.tap()
        assert box.status()["state"] == "fault"


def test_a_card_pulled_out_in_a_call_comes_back() -> None:
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.call()
        world.unplug()
        box.wait_for_state("fault")
        world.plug()
        box.wait_for_state("idle")
        box.call()
        said_at = box.say(voice("question", RATE))
        box.wait_for_sound(said_at + len(voice("question", RATE)))


def test_a_card_that_goes_deaf_without_a_word_is_noticed() -> None:
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.call()
        world.stall()
        fault = box.wait_for_state("fault")
        assert "no sound from the microphone for 0.5 s" in fault["fault"]
        world.resume()
        box.wait_for_state("idle")
        box.call()


def test_an_underrun_is_counted_and_survived() -> None:
    story = voice("story", RATE)
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.call()
        said_at = box.say(story)
        replied_at = box.wait_for_sound(said_at + len(story))
        box.pause(0.5)
        box.stand_still(0.3)
        box.wait_for_turn("listening")
        counters = box.status()["counters"]
        assert counters["playback_xruns"] >= 1
        assert counters["capture_xruns"] >= 1
        speaker = box.speaker(replied_at)
        assert np.count_nonzero(speaker) > 0.9 * len(story), "nothing of the reply was lost"


def test_sigterm_ends_a_call_politely_and_leaves_nothing_behind() -> None:
    story = np.tile(voice("story", RATE), 2)
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.call()
        said_at = box.say(story)
        replied_at = box.wait_for_sound(said_at + len(story))
        asked_at = world.now()
        box.process.terminate()
        assert box.process.wait(PATIENCE_S) == 0
        stopped_after_s = (replied_at + last_sound(box.speaker(replied_at)) - asked_at) / RATE
        assert 0.5 < stopped_after_s < 5, "it finished what it could in two seconds"
        assert not Path(box.socket).exists()
        box.wait_for_line("the box is being stopped")
        assert [event.what for event in world.events()][-1] == "close"


def test_ctl_does_what_the_button_does_and_more() -> None:
    def ctl(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgevoice", "ctl", "-c", str(box.configuration), *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    with World(rate=RATE) as world, RunningBox(world) as box:
        box.wait_for_state("idle")
        status = json.loads(ctl("--json", "status").stdout)
        assert (status["state"], status["muted"]) == ("idle", False)
        assert (status["echo"]["canceller"], status["echo"]["half_duplex"]) == ("aec3", False)
        assert os.stat(box.socket).st_mode & 0o777 == 0o600
        assert ctl("call", "parrot").returncode == 0
        box.wait_for_turn("listening")
        assert json.loads(ctl("--json", "mute").stdout)["muted"] is True
        box.wait_for_turn("muted")
        assert ctl("mute", "off").returncode == 0
        box.wait_for_turn("listening")
        assert ctl("hangup").returncode == 0
        box.wait_for_state("idle")
        assert ctl("press").returncode == 0
        assert ctl("release").returncode == 0
        box.wait_for_state("in call")
        wrong = ctl("call", "nobody")
        assert (wrong.returncode, "there is no" in wrong.stderr) == (1, True)
        unheard = ctl("volume", "30")
        assert (unheard.returncode, "the volume cannot be set" in unheard.stderr) == (1, True)
        box.process.terminate()
        box.process.wait(PATIENCE_S)
        assert "edgevoice is not running" in ctl("status").stderr


def test_garbage_on_the_socket_harms_nobody() -> None:
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.wait_for_state("idle")
        for garbage in (b"\x00\xff\n", b"{}\n", b'{"do": "reboot"}\n', b"x" * 100_000 + b"\n", b"[" * 5000 + b"\n"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(box.socket)
                try:
                    connection.sendall(garbage)
                    assert connection.recv(4096).startswith(b'{"ok":false')
                except (BrokenPipeError, ConnectionResetError):
                    pass
        box.call()


def test_a_wrong_file_is_told_at_once_and_systemd_does_not_restart(tmp_path: Path) -> None:
    file = tmp_path / "edgevoice.toml"
    file.write_text('[card]\nrte = 48000\nperiod_ms = "ten"\n[call]\nbutton = "openay"\n')
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice", "run", "-c", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert 'card.rte: unknown key; did you mean "rate"?' in done.stderr
    assert "card.period_ms: expected" in done.stderr
    assert 'did you mean "openai"?' in done.stderr


@pytest.mark.parametrize(("content", "words"), [(None, "there is no file"), (b"", "is empty"), (b"a\nb", "one line")])
def test_a_key_that_cannot_be_read_is_told_at_once(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "edgevoice.toml"
    file.write_text('[call]\nbutton = "openai"\n')
    if content is not None:
        (tmp_path / "openai-api-key").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice", "run", "-c", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert words in done.stderr


def test_it_starts_and_stops_as_a_service_of_systemd() -> None:
    with World(rate=RATE) as world, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        address = f"{world.dir}/notify"
        notified.bind(address)
        notified.settimeout(PATIENCE_S)
        with RunningBox(world, env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}) as box:
            told = ""
            while "READY=1" not in told:
                told = notified.recv(4096).decode()
            while "WATCHDOG=1" not in told:
                told = notified.recv(4096).decode()
            box.process.terminate()
            while "STOPPING=1" not in told:
                told = notified.recv(4096).decode()
            assert box.process.wait(PATIENCE_S) == 0


def test_a_box_that_waits_for_its_card_is_alive_for_the_watchdog() -> None:
    with World(rate=RATE) as world, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        address = f"{world.dir}/notify"
        notified.bind(address)
        notified.settimeout(6)  # what systemd is told to wait; feeding is due every 3 s
        with RunningBox(
            world, capture="hw:CARD=Nowhere", env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "6000000"}
        ) as box:
            box.wait_for_state("fault")
            fed = 0
            while fed < 4:
                fed += "WATCHDOG=1" in notified.recv(4096).decode()


def test_the_watchdog_is_not_fed_while_the_program_hangs() -> None:
    with World(rate=RATE) as world, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        address = f"{world.dir}/notify"
        notified.bind(address)
        notified.settimeout(1)
        with RunningBox(world, env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}) as box:
            box.wait_for_state("idle")
            box.process.send_signal(signal.SIGSTOP)
            box.pause(0.2)
            while select.select([notified], [], [], 0)[0]:
                notified.recv(4096)
            notified.settimeout(1)
            with pytest.raises(TimeoutError):
                notified.recv(4096)
            box.process.send_signal(signal.SIGCONT)
            notified.settimeout(PATIENCE_S)
            told = ""
            while "WATCHDOG=1" not in told:
                told = notified.recv(4096).decode()
            assert box.status()["state"] == "idle", "a pause is no fault of the card"


def test_a_box_that_was_muted_is_muted_after_a_crash_too(tmp_path: Path) -> None:
    with World(rate=RATE) as world:
        for number, muted in ((signal.SIGKILL, False), (signal.SIGKILL, True)):
            with RunningBox(world, '[call]\nat_start = "parrot"\n', env={"RUNTIME_DIRECTORY": str(tmp_path)}) as box:
                box.wait_for_turn("muted" if muted else "listening")
                assert box.status()["muted"] is muted
                box.ask(do="mute", on=True)
                box.wait_for_turn("muted")
                box.process.send_signal(number)
                box.process.wait(PATIENCE_S)


def test_a_process_that_the_watchdog_ends_says_where_it_stood() -> None:
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.wait_for_state("idle")
        box.process.send_signal(signal.SIGABRT)
        box.process.wait(PATIENCE_S)
        box.wait_for_line("Fatal Python error: Aborted")
        box.wait_for_line("audio_thread.py")


def test_the_journal_has_two_lines_of_a_service_that_was_away_however_often_it_was_tried(tmp_path: Path) -> None:
    port = free_port()
    url = f'[agent.openai]\napi_key_file = "key"\nurl = "ws://127.0.0.1:{port}/v1/realtime"\n'
    with World(rate=RATE) as world:
        box = RunningBox(world, f'[call]\nat_start = "openai"\n{url}')
        (box.folder / "key").write_text("sk-x")
        with box:
            box.wait_for_state("waiting to retry")
            box.pause(7)  # tried every two seconds
            with AgentService(OPENAI, tmp_path, voice("story", 24_000), "--port", str(port)):
                box.wait_for_state("in call")
            box.wait_for_line("box: in call, after ")
            told = [re.sub(r".* edgevoice\.\w+: ", "", line) for line in box.journal.splitlines()]
    told = [line for line in told if line.startswith(("box: ", "call to"))]
    assert told[0] == "box: connecting"
    assert re.match(r"call to openai over after \S+ s: 127.0.0.1 cannot be reached: Connection refused", told[1])
    assert told[2] == "box: waiting to retry: 127.0.0.1 cannot be reached: Connection refused"
    tries = re.fullmatch(r"box: in call, after (\d+) tries", told[3])
    assert tries
    assert int(tries[1]) >= 3
