"""Mute and volume outlive the process, and a file that is torn counts as none."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevoice.drivers.turned import Turned


def test_what_was_turned_is_known_to_the_next_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    turned = Turned(60)
    assert (turned.muted, turned.volume) == (False, None)
    turned.mute(True)
    turned.turn(35)
    assert (Turned(60).muted, Turned(60).volume) == (True, 35)
    Turned(60).mute(False)
    assert (Turned(60).muted, Turned(60).volume) == (False, 35)
    assert Turned(80).volume is None, "the owner has configured another one since"


@pytest.mark.parametrize("content", [b"", b'{"muted": 3}', b"\xff", b"["])
def test_a_torn_file_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    (tmp_path / "turned.json").write_bytes(content)
    assert (Turned(60).muted, Turned(60).volume) == (False, None)


def test_a_directory_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "gone"))
    turned = Turned(60)
    turned.mute(True)
    assert turned.muted
    assert "cannot be written" in caplog.text


def test_without_a_runtime_directory_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    Turned(60).mute(True)
    assert not Turned(60).muted
