"""`edgevoice calibrate`, from the card to what is printed and kept: in the room, and through the real alsa-lib."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevoice import calibrate, scenery
from edgevoice.audio.calibration import Calibration
from edgevoice.config import load
from edgevoice.drivers import control, state
from edgevoice.drivers.alsa import CardSettings, open_card
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.drivers.room import Room, RoomCard, VirtualClock
from edgevoice.drivers.wav import read_wav
from edgevoice.errors import DeviceError
from edgevoice.schema import Config
from tests.fakes import noise
from tests.lab.labcard import World

RATE = 16_000
NOBODY = 65_534


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path / "state"


def config(tmp_path: Path, card: str = "simulate = true") -> Config:
    return load(f'[card]\n{card}\n[status]\nsocket = "{tmp_path}/control.sock"\n', source="test")


def room_card(*, gain_db: float = -12.0, noise_dbfs: float = -65.0) -> RoomCard:
    echo = scenery.echo(RATE, delay_ms=35.0, rt60_s=0.3, gain_db=gain_db)
    return RoomCard(Room(RATE, echo=echo, noise_dbfs=noise_dbfs), VirtualClock())


def found(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


# ------------------------------------------------------------------------------------------------------- in the room


def test_a_good_card_is_measured_told_and_kept(tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate.run(config(tmp_path), room_card) == 0
    said = capsys.readouterr().out
    assert "Listening to the room, then playing a sweep ..." in said
    assert "echo delay        35.0 ms" in said
    assert "echo             -11." in said
    assert "All is well." in said
    calibration = state.load_calibration("simulated room")
    assert isinstance(calibration, Calibration)
    assert calibration.delay_ms == pytest.approx(35.0, abs=0.2)
    assert {path.suffix for path in kept.iterdir()} == {".json", ".svg"}


def test_a_program_reads_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate.run(config(tmp_path), room_card, as_json=True) == 0
    said = found(capsys)
    assert (said["ok"], said["findings"]) == (True, [])
    assert said["calibration"]["delay_ms"] == pytest.approx(35.0, abs=0.2)
    assert all(Path(path).exists() for path in said["files"])


def test_recordings_and_picture_are_written_where_it_is_told(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    calibrate.run(config(tmp_path), room_card, out=out)
    speaker, rate = read_wav(out / "speaker.wav")
    microphone, _ = read_wav(out / "microphone.wav")
    assert (rate, len(speaker)) == (RATE, len(microphone))
    picture = ET.fromstring((out / "impulse-response.svg").read_text())
    texts = [each.text or "" for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "edgevoice: simulated room" in texts
    assert "the echo comes: 35.0 ms" in texts
    assert "http" not in (out / "impulse-response.svg").read_text().replace("http://www.w3.org/2000/svg", "")


def test_without_being_told_no_recording_is_written(tmp_path: Path) -> None:
    calibrate.run(config(tmp_path), room_card)
    assert not list(tmp_path.rglob("*.wav"))


def test_what_is_wrong_is_printed_and_makes_the_exit_code_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.keep_calibration(first := _some_calibration())
    assert calibrate.run(config(tmp_path), lambda: room_card(gain_db=-200.0), out=tmp_path / "out") == 1
    assert "WRONG: the microphone hears the room, but not the loudspeaker" in capsys.readouterr().out
    assert state.load_calibration("simulated room") == first, "what was known before stays"
    assert (tmp_path / "out" / "impulse-response.svg").exists()


def _some_calibration() -> Calibration:
    return Calibration(
        card="simulated room", made="2026-01-01T00:00:00+00:00", rate=RATE, volume=None, delay_ms=1.0, echo_db=-3.0,
        distortion_percent=0.0, noise_dbfs=-60.0, peak_dbfs=-9.0, sweep_dbfs=-12.0, polarity=1,
    )  # fmt: skip


class Unplugging(VirtualClock):
    """The card is pulled out after two seconds."""

    card: RoomCard

    def wait_until(self, at: float) -> None:
        super().wait_until(at)
        self.card.unplugged = self.card.unplugged or at > 2.0


def test_a_card_that_is_pulled_out_in_the_middle_is_told_and_nothing_is_kept(tmp_path: Path, kept: Path) -> None:
    clock = Unplugging()
    clock.card = RoomCard(Room(RATE), clock)
    with pytest.raises(DeviceError, match="the sound card is gone: unplugged"):
        calibrate.run(config(tmp_path), lambda: clock.card)
    assert not kept.exists()


def test_it_refuses_while_the_appliance_runs(tmp_path: Path) -> None:
    settings = config(tmp_path)

    async def beside_a_running_box() -> None:
        async with control.serve(settings.status.socket, lambda request: {}):
            await asyncio.to_thread(calibrate.run, settings, room_card)

    with pytest.raises(DeviceError, match=r"edgevoice is running and has the card: .*systemctl stop edgevoice"):
        asyncio.run(beside_a_running_box())


def test_it_plays_nothing_over_a_box_that_runs_and_may_not_be_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(tmp_path)
    root = os.geteuid() == 0
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(settings.status.socket)
        theirs.listen()
        os.chmod(settings.status.socket, 0)
        if root:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(DeviceError, match="permission denied; ask as the user of the service, or with sudo"):
                calibrate.run(settings, room_card)
        finally:
            if root:
                os.seteuid(0)
    assert capsys.readouterr().out == ""


def test_what_cannot_be_kept_is_told_after_the_result(
    tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.write_text("in the way")
    with pytest.raises(DeviceError, match="cannot be written"):
        calibrate.run(config(tmp_path), room_card)
    assert "echo delay        35.0 ms" in capsys.readouterr().out


def test_what_cannot_be_kept_is_still_measured_for_a_program_and_written_where_it_was_told(
    tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.write_text("in the way")
    with pytest.raises(DeviceError, match="cannot be written"):
        calibrate.run(config(tmp_path), room_card, out=tmp_path / "out", as_json=True)
    said = found(capsys)
    assert (said["ok"], said["findings"]) == (False, [])
    assert said["calibration"]["delay_ms"] == pytest.approx(35.0, abs=0.2)
    assert {Path(path).name for path in said["files"]} == {"impulse-response.svg", "speaker.wav", "microphone.wav"}


def test_a_folder_that_goes_away_while_it_measures_does_not_cost_the_calibration(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def opened() -> RoomCard:
        out.rmdir()
        out.write_text("in the way")
        return room_card()

    with pytest.raises(DeviceError, match=r"out: .*"):
        calibrate.run(config(tmp_path), opened, out=out)
    calibration = state.load_calibration("simulated room")
    assert isinstance(calibration, Calibration)
    assert calibration.delay_ms == pytest.approx(35.0, abs=0.2)


def test_a_folder_that_cannot_be_made_is_told_before_the_card_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def unwanted() -> RoomCard:
        raise AssertionError("nothing may be played now")

    with pytest.raises(DeviceError, match=r"file/below cannot be written to: .*; name another folder with --out"):
        calibrate.run(config(tmp_path), unwanted, out=tmp_path / "file" / "below")


# ----------------------------------------------------------------------------------------- through the real alsa-lib


@pytest.fixture
def make_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []
    monkeypatch.setattr("edgevoice.audio.calibration.MOST_SWEEPS", 20)  # on a busy machine the card loses frames

    def make(**options: Any) -> World:
        world = World(rate=RATE, **options)
        worlds.append(world)
        monkeypatch.setenv("ALSA_CONFIG_PATH", world.conf)
        world.air[:] = np.resize(noise(RATE, -62.0), len(world.air))
        return world

    yield make
    for world in worlds:
        world.close()


LAB = 'capture = "mic"\nplayback = "speaker"\nrate = 16000'
CARD = CardSettings(capture="mic", playback="speaker", rate=RATE, ahead_ms=400)  # dry after that: a busy machine's part


def run_on_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    code = calibrate.run(config(tmp_path, LAB), lambda: open_card(CARD), as_json=True)
    return code, found(capsys)


def test_a_card_behind_alsa_is_measured(
    tmp_path: Path, make_world: Callable[..., World], capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world(fifo=32)
    world.set_echo(0.034, -0.25)
    world.set_drive(4.0)
    code, said = run_on_lab(tmp_path, capsys)
    assert code == 0
    calibration = said["calibration"]
    assert calibration["card"] == "mic speaker"
    assert calibration["delay_ms"] == pytest.approx(34.0 + 2.0, abs=1.0), "the card's own fifo is a part of it"
    assert calibration["echo_db"] == pytest.approx(-12.0 - 1.8, abs=1.0), "tanh takes 1.8 dB of the fundamental"
    assert calibration["distortion_percent"] == pytest.approx(6.8, abs=1.0)
    assert calibration["noise_dbfs"] == pytest.approx(-62.0, abs=1.0)
    assert [finding["trouble"] for finding in said["findings"]] == ["polarity inverted"]


def test_a_loudspeaker_that_is_muted_in_the_mixer_is_told(
    tmp_path: Path, make_world: Callable[..., World], capsys: pytest.CaptureFixture[str]
) -> None:
    world = make_world()
    world.set_echo(0.02, 0.3)
    world.mute(speaker=True)
    code, said = run_on_lab(tmp_path, capsys)
    assert (code, [finding["trouble"] for finding in said["findings"]]) == (1, ["loudspeaker not heard"])


def test_a_card_behind_alsa_that_is_pulled_out_is_told(
    tmp_path: Path, make_world: Callable[..., World], kept: Path
) -> None:
    pull = threading.Timer(1.0, make_world().unplug)

    def opened() -> OpenedCard:
        card = open_card(CARD)
        pull.start()
        return card

    with pytest.raises(DeviceError, match="gone"):
        calibrate.run(config(tmp_path, LAB), opened)
    pull.join()
    assert not kept.exists()


def test_a_card_that_another_program_holds_is_refused_with_what_to_do(
    tmp_path: Path, make_world: Callable[..., World]
) -> None:
    make_world()
    holder = open_card(CARD)
    try:
        with pytest.raises(DeviceError, match=r"held by another program.*systemctl stop edgevoice"):
            calibrate.run(config(tmp_path, LAB), lambda: open_card(CARD))
    finally:
        holder.close()


def test_a_card_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, make_world: Callable[..., World]
) -> None:
    make_world()
    with pytest.raises(DeviceError, match=r"does not open: .*Cards there are: ") as refused:
        calibrate.run(config(tmp_path, LAB), lambda: open_card(CardSettings(capture="mic", playback="hw:CARD=Nix")))
    assert "systemctl" not in str(refused.value)
