"""What the box keeps over restarts: where, how it is written, and what becomes of a damaged file."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from edgevoice.audio.calibration import Calibration
from edgevoice.drivers import state
from edgevoice.errors import DeviceError
from edgevoice.recovery import Kept
from edgevoice.schema import Card

CALIBRATION = Calibration(
    card="plughw:CARD=seeed2micvoicec", made="2026-01-01T00:00:00+00:00", rate=48_000, volume=None, delay_ms=34.25,
    echo_db=-12.0, distortion_percent=2.0, noise_dbfs=-61.0, peak_dbfs=-24.0, sweep_dbfs=-12.0, polarity=-1,
)  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def test_what_was_kept_is_found_again(directory: Path) -> None:
    path = state.keep_calibration(CALIBRATION)
    assert path.parent == directory
    assert state.load_calibration(CALIBRATION.card) == CALIBRATION


def test_a_card_that_was_never_calibrated_is_none(directory: Path) -> None:
    assert state.load_calibration("hw:CARD=x") is None
    state.keep_calibration(CALIBRATION)
    assert state.load_calibration("hw:CARD=x") is None


def test_each_card_has_a_file_of_its_own(directory: Path) -> None:
    for card in ("hw:CARD=a", "hw:CARD=a,DEV=1", "hw-CARD-a", "hw:CARD=ä", "default"):
        state.keep_calibration(replace(CALIBRATION, card=card))
    for card in ("hw:CARD=a", "hw:CARD=a,DEV=1", "hw-CARD-a", "hw:CARD=ä", "default"):
        assert state.load_calibration(card) == replace(CALIBRATION, card=card)


def test_a_new_calibration_replaces_the_old_one_and_leaves_nothing_beside_it(directory: Path) -> None:
    state.keep_calibration(CALIBRATION)
    state.keep_calibration(replace(CALIBRATION, delay_ms=50.0))
    assert state.load_calibration(CALIBRATION.card) == replace(CALIBRATION, delay_ms=50.0)
    assert len(list(directory.iterdir())) == 1


def test_what_root_writes_the_service_can_read(directory: Path) -> None:
    assert stat.S_IMODE(state.keep_calibration(CALIBRATION).stat().st_mode) == 0o644
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 300,
        b"{",
        b"[]",
        b'{"card": "x"}',
        b"\xff\xfe",
        b'{"delay_ms": 1e99}',
        b"null",
        b"9" * 5000,
        b"[" * 9000,
    ],
)
def test_a_damaged_file_counts_as_none(directory: Path, damage: bytes) -> None:
    state.keep_calibration(CALIBRATION).write_bytes(damage)
    assert state.load_calibration(CALIBRATION.card) is None


def test_a_delay_of_hours_is_damage(directory: Path) -> None:
    path = state.keep_calibration(CALIBRATION)
    path.write_bytes(path.read_bytes().replace(b"34.25", b"3.4e9"))
    assert state.load_calibration(CALIBRATION.card) is None


def test_a_file_cut_off_anywhere_counts_as_none(directory: Path) -> None:
    path = state.keep_calibration(CALIBRATION)
    whole = path.read_bytes()
    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        assert state.load_calibration(CALIBRATION.card) is None


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "file" / "state"))
    with pytest.raises(DeviceError, match=r"state/calibration-.*\.json cannot be written: Not a directory"):
        state.keep_calibration(CALIBRATION)
    assert state.load_calibration(CALIBRATION.card) is None


def test_systemd_says_where_else_the_system_s_directory_else_the_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    assert state.directory() == Path("/var/lib/one")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(state, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert state.directory() == tmp_path / "edgevoice"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state.directory() == tmp_path / "system", "where the service will look"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (tmp_path / "system").symlink_to(tmp_path / "private" / "nobody-may-look")
    assert state.directory() == tmp_path / "system", "systemd's link, which only root can follow"


def test_a_card_is_named_by_its_pcms() -> None:
    assert state.name_of(Card()) == "default"
    assert state.name_of(Card(capture="hw:CARD=mic", playback="hw:CARD=dac")) == "hw:CARD=mic hw:CARD=dac"
    assert state.name_of(Card(capture="hw:CARD=mic", simulate=True)) == "simulated room"


# ------------------------------------------------------------------------------------------- a card that hangs


def test_what_was_done_about_a_card_that_hangs_outlives_the_process(directory: Path) -> None:
    assert state.load_recovery() == Kept()
    kept = Kept(state.boot(), (12.5, 99.0), 1)
    state.keep_recovery(kept)
    assert state.load_recovery() == kept
    assert kept.boot, "this boot has a name"


@pytest.mark.parametrize(
    "damage", [b"", b"\xff\xfe", b"{", b"[]", b'{"restarts": "x"}', b'{"reboots": 1e99}', b"null", b'{"a":' * 9000]
)
def test_a_damaged_count_is_none(directory: Path, damage: bytes) -> None:
    state.keep_recovery(Kept("boot", (1.0,), 2))
    (directory / "recovery.json").write_bytes(damage)
    assert state.load_recovery() == Kept()
