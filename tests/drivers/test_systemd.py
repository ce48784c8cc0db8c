"""What systemd hears from us, what it does for us, and whether it accepts the units that we ship."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevoice.drivers import systemd

UNIT = Path(__file__).parents[2] / "systemd" / "edgevoice.service"


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of the notify socket."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(30)
        listener.bind(path if request.param == "path" else "\0" + path)
        monkeypatch.setenv("NOTIFY_SOCKET", path if request.param == "path" else "@" + path)
        yield listener


# ------------------------------------------------------------------------------------------------- sd_notify


def test_systemd_is_told_that_the_box_is_ready(manager: socket.socket) -> None:
    systemd.ready("waiting for the button")
    assert manager.recv(1000) == b"READY=1\nSTATUS=waiting for the button"


def test_systemd_is_told_what_goes_on_that_all_is_well_and_the_end(manager: socket.socket) -> None:
    systemd.status("in a call")
    systemd.alive()
    systemd.stopping()
    told = [manager.recv(1000) for _ in range(3)]
    assert told == [b"STATUS=in a call", b"WATCHDOG=1", b"STOPPING=1\nSTATUS=stopping"]


def test_a_status_of_two_lines_cannot_smuggle_in_a_field(manager: socket.socket) -> None:
    systemd.status("calling\nMAINPID=1")
    assert manager.recv(1000) == b"STATUS=calling MAINPID=1"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.ready("alone")


def test_a_manager_that_went_away_is_a_warning_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    systemd.ready("alone")
    assert "systemd cannot be told ready, status" in caplog.text


# -------------------------------------------------------------------------------------------------- watchdog


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_bites(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], interval_s: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval_s() == interval_s


# ----------------------------------------------------------------------------------------- reboot and power off


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The service's runtime directory; `systemctl` says no to its user, and writes down what it was asked."""
    runtime, programs = tmp_path / "runtime", tmp_path / "bin"
    for folder in (runtime, programs):
        folder.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\nexit 1\n')
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{runtime}:/somebody/else's")
    monkeypatch.setattr(systemd, "STILL_UP_S", 0.0)
    return runtime


@pytest.mark.parametrize("verb", ["reboot", "poweroff"])
def test_systemd_sees_what_the_box_wishes_and_a_machine_that_is_still_up_is_told_of(
    runtime: Path, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def seen() -> None:
        switching = asyncio.create_task(systemd.switch(verb))
        await asyncio.sleep(0)  # it has begun
        (runtime / verb).unlink()  # as systemd does
        await switching

    asyncio.run(asyncio.wait_for(seen(), 30))
    assert not (runtime.parent / "asked").exists(), "nothing else was needed"
    assert f"the machine was told to {verb} and is still up" in caplog.text


def test_a_wish_that_nobody_sees_is_taken_back_and_systemctl_is_asked(
    runtime: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(systemd, "SEEN_S", 0.05)
    asyncio.run(systemd.switch("reboot"))
    assert list(runtime.iterdir()) == []
    assert (runtime.parent / "asked").read_text() == "reboot\n"
    assert "the machine cannot be told to reboot: edgevoice-switch@reboot.path does not run" in caplog.text
    assert "still up" not in caplog.text


def test_a_box_that_is_stopped_takes_its_wish_back(runtime: Path) -> None:
    async def stopped() -> None:
        switching = asyncio.create_task(systemd.switch("reboot"))
        await asyncio.sleep(0)  # it has begun
        assert (runtime / "reboot").exists()
        switching.cancel()
        await asyncio.wait([switching])

    asyncio.run(asyncio.wait_for(stopped(), 30))
    assert list(runtime.iterdir()) == []


def test_outside_the_service_systemctl_is_asked(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    asyncio.run(systemd.switch("poweroff"))
    assert (runtime.parent / "asked").read_text() == "poweroff\n"


# --------------------------------------------------------------------------------------------------- journal


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2), (25, 6)],
)
def test_the_journal_learns_the_priority_of_a_line(level: int, priority: int) -> None:
    record = logging.LogRecord("edgevoice", level, "", 0, "a call of %d s", (7,), None)
    assert systemd.JournalFormatter().format(record) == f"<{priority}>a call of 7 s"


def test_every_line_of_a_trace_has_the_priority() -> None:
    try:
        raise ValueError("no card\nno microphone")
    except ValueError:
        record = logging.LogRecord("edgevoice", logging.ERROR, "", 0, "it broke", None, sys.exc_info())
    lines = systemd.JournalFormatter().format(record).splitlines()
    assert len(lines) > 3
    assert {line[:3] for line in lines} == {"<3>"}


LOGGER = """
import logging
from edgevoice.drivers.systemd import log_to_stderr
log_to_stderr(logging.INFO)
logging.getLogger("edgevoice.app").debug("too much")
logging.getLogger("edgevoice.app").warning("no card")
"""


@pytest.mark.parametrize("journal", [True, False])
def test_log_lines_carry_a_priority_only_where_the_journal_reads_them(journal: bool, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log:
        stream = os.fstat(log.fileno())
        named = f"{stream.st_dev}:{stream.st_ino}" if journal else f"{stream.st_dev}:{stream.st_ino + 1}"
        environment = os.environ | {"JOURNAL_STREAM": named, "PYTHONPATH": str(UNIT.parents[1])}
        subprocess.run([sys.executable, "-c", LOGGER], env=environment, stderr=log, check=True)
        log.seek(0)
        (line,) = log.read().splitlines()
    assert line.endswith("no card")
    assert line.startswith("<4>edgevoice.app: ") == journal


# -------------------------------------------------------------------------------------------------- the unit


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Our unit beside the others, with programs that are there: the real ones are not where it is tested."""
    for other in UNIT.parent.glob("edgevoice-switch@.*"):
        shutil.copy(other, tmp_path)
    shipped = UNIT.read_text()
    assert "ExecStart=/opt/edgevoice/current/bin/edgevoice run\n" in shipped
    copy = tmp_path / "edgevoice.service"
    copy.write_text(shipped.replace("/opt/edgevoice/current/bin", str(UNIT.parents[1] / "packaging")))
    return copy


def test_systemd_has_nothing_to_say_about_the_units(unit: Path) -> None:
    switches = [unit.with_name(f"edgevoice-switch@{verb}.path") for verb in ("reboot", "poweroff")]
    units = [unit, *switches, UNIT.with_name("edgevoice-trial.service")]
    checked = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    about_us = [line for line in checked.stderr.splitlines() if "edgevoice" in line or "Unknown" in line]
    assert (about_us, checked.returncode) == ([], 0)


def test_systemd_does_complain_about_a_unit_with_a_mistake(unit: Path) -> None:
    unit.write_text(unit.read_text() + "Wobble=yes\n")
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert "Wobble" in checked.stderr


def test_the_unit_is_locked_up_well(unit: Path) -> None:
    """15 is an exposure of 1.5 out of 10: what is missing is the network, the card, the pins, and real time."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit)]
    subprocess.run(command, capture_output=True, check=True)


def test_what_reboots_the_machine_can_do_little_else(unit: Path) -> None:
    """It has to be root: that alone is 0.4 of these 1.4."""
    switch = unit.with_name("edgevoice-switch@.service")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=14", str(switch)]
    subprocess.run(command, capture_output=True, check=True)


def test_what_watches_an_update_at_boot_can_do_little_else() -> None:
    """It is root, likewise, and writes what everybody may read."""
    trial = UNIT.with_name("edgevoice-trial.service")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=10", str(trial)]
    subprocess.run(command, capture_output=True, check=True)


def test_a_mistake_in_the_configuration_is_not_retried_and_everything_else_is_for_ever() -> None:
    lines = UNIT.read_text().splitlines()
    assert {"Restart=always", "RestartPreventExitStatus=78", "StartLimitIntervalSec=0"} <= set(lines)
