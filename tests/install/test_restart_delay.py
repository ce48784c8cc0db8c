"""The longer the box keeps dying, the longer it waits before it starts again; and it forgives."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "packaging" / "restart-delay"


class Service:
    """What systemd does around the box: runs the program before each start and after each end. Its clock is ours."""

    def __init__(self, folder: Path) -> None:
        self.runtime, self._uptime, self._slept = folder / "run", folder / "uptime", folder / "slept"
        self.now_s = 1000
        self.runtime.mkdir()
        sleep = folder / "bin" / "sleep"
        sleep.parent.mkdir()
        sleep.write_text(f'#!/bin/sh\necho "$1" >>{self._slept}\n')
        sleep.chmod(0o755)
        self._environment = {
            "PATH": f"{sleep.parent}:{os.environ['PATH']}",
            "RUNTIME_DIRECTORY": str(self.runtime),
            "UPTIME": str(self._uptime),
        }

    def start(self) -> int:
        """Return for how long it waited, in seconds."""
        self._slept.write_text("")
        self._run("wait", {})
        waited = sum(map(int, self._slept.read_text().split()))
        self.now_s += waited
        return waited

    def end(self, result: str, after_s: int = 1) -> None:
        self.now_s += after_s
        self._run("ended", {"SERVICE_RESULT": result})

    def _run(self, what: str, more: dict[str, str]) -> None:
        self._uptime.write_text(f"{self.now_s}.25 17.00\n")
        subprocess.run([PROGRAM, what], env=self._environment | more, check=True, capture_output=True)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_a_box_that_keeps_dying_is_started_ever_more_slowly(service: Service) -> None:
    waited = []
    for result in ("signal", "watchdog", "exit-code", "signal", "core-dump", "oom-kill", "signal", "signal", "signal"):
        waited.append(service.start())
        service.end(result)
    assert waited == [0, 0, 1, 2, 4, 8, 16, 30, 30]


def test_a_box_that_ran_well_for_five_minutes_is_forgiven(service: Service) -> None:
    for after_s in (1, 1, 1, 1, 299):
        service.start()
        service.end("signal", after_s)
    assert service.start() == 8
    service.end("watchdog", 300)
    assert service.start() == 0


def test_a_person_who_restarts_it_does_not_wait(service: Service) -> None:
    for _ in range(6):
        service.start()
        service.end("exit-code")
    service.end("success")
    assert service.start() == 0


@pytest.mark.parametrize("memory", ["", "\n", "many 12\n", "3\n", "-4 1000\n", "3 1000 extra\n", "\0\0\0"])
def test_a_memory_that_is_damaged_is_none(service: Service, memory: str) -> None:
    (service.runtime / "deaths").write_text(memory)
    service.start()
    service.end("signal")
    service.start()
    service.end("signal")
    assert service.start() == 1


def test_a_box_that_cannot_remember_starts_all_the_same(service: Service) -> None:
    service.runtime.rmdir()
    assert service.start() == 0
    service.end("signal")
    assert service.start() == 0
