"""The box with a card that hangs, or an audio thread that does: what it does, says, shows and writes down."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice import app, sound, watchdog
from edgevoice.box import RunningBox
from edgevoice.catalogue import Agents
from edgevoice.drivers import audio_thread, control, memory, state
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.errors import DeviceError, DeviceHung, StartAgain
from edgevoice.recovery import REOPENS, RESTARTS, Kept
from edgevoice.schema import Config
from tests.test_app import NoFiles, configuration

HUNG = "no sound from the microphone for 0.5 s"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(audio_thread, "REOPEN_S", (0.003,))
    monkeypatch.setattr(memory, "settle", lambda: None)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


def run(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    open_card: Callable[[], OpenedCard],
    more: str = "",
    *,
    until: Callable[[RunningBox], bool] = lambda box: False,
) -> RunningBox:
    """Be the box until it ends by itself, which raises, or until what is wanted; return it."""
    boxes: list[RunningBox] = []
    monkeypatch.setattr(app, "open_configured", lambda config: open_card())
    live = RunningBox.live

    async def watched(box: RunningBox, group: asyncio.TaskGroup) -> None:
        async def watch() -> None:
            while not until(box):  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.005)
            box.stop()

        boxes.append(box)
        watching = group.create_task(watch())
        await live(box, group)
        watching.cancel()

    monkeypatch.setattr(RunningBox, "live", watched)
    config: Config = configuration(folder, more)
    asyncio.run(asyncio.wait_for(app.run(config, Agents(config, NoFiles())), 60))
    return boxes[0]


def hangs() -> OpenedCard:
    raise DeviceHung(HUNG)


def test_a_card_that_hangs_is_opened_again_and_then_the_process_is_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_card() -> OpenedCard:
        opened.append(1)
        return hangs()

    with pytest.raises(StartAgain, match=rf"{HUNG}: opening the card again did not help"):
        run(tmp_path, monkeypatch, open_card)
    assert len(opened) >= REOPENS
    assert len(state.load_recovery().restarts) == 1, "the next process knows"
    assert not (tmp_path / "control.sock").exists()


def test_a_card_that_is_missing_or_held_is_waited_for_however_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def missing() -> OpenedCard:
        tries.append(1)
        raise DeviceError("there is none")

    box = run(tmp_path, monkeypatch, missing, until=lambda box: len(tries) > 20 * REOPENS)
    assert box.status()["fault"] == "there is none"
    assert not state.directory().exists(), "and nothing is written"


def test_when_new_processes_do_not_help_the_light_and_the_journal_say_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(RESTARTS):
        with pytest.raises(StartAgain):
            run(tmp_path, monkeypatch, hangs)
    kept = state.load_recovery()
    tries = []

    def open_card() -> OpenedCard:
        tries.append(1)
        return hangs()

    with caplog.at_level(logging.ERROR, "edgevoice.mending"):
        box = run(tmp_path, monkeypatch, open_card, until=lambda box: len(tries) > 10 * REOPENS)
    assert box.status()["light"] == "one flash every four seconds"
    assert "3 new starts within an hour did not help" in str(box.status()["fault"])
    said = [record.getMessage() for record in caplog.records if record.name == "edgevoice.mending"]
    assert len(said) == 1
    assert "Somebody has to look" in said[0]
    assert state.load_recovery() == kept, "nothing more is written"


@pytest.mark.parametrize("allowed", [True, False])
def test_the_machine_is_rebooted_only_if_that_is_wished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    asked: list[str] = []

    async def switch(verb: str) -> None:
        asked.append(verb)
        await asyncio.sleep(60)  # a box that is stopped for it does not wait for it

    monkeypatch.setattr("edgevoice.drivers.systemd.switch", switch)
    monkeypatch.setattr("edgevoice.recovery.UP_S", 0.0)  # whatever this machine's uptime
    state.keep_recovery(Kept(state.boot(), (time.monotonic(),) * RESTARTS))
    more = f"[device]\nreboot_after = {RESTARTS if allowed else 0}\n"
    box = run(tmp_path, monkeypatch, hangs, more, until=lambda box: bool(asked) or "did not help" in str(box.status()))
    assert asked == (["reboot"] if allowed else [])
    assert state.load_recovery().reboots == allowed
    assert allowed == ("did not help" not in str(box.status()["fault"]))


def test_what_cannot_be_counted_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file is in the way")
    box = run(tmp_path, monkeypatch, hangs, until=lambda box: box.status()["light"] == "one flash every four seconds")
    assert "a new start could not be written down" in str(box.status()["fault"])
    assert "a new start could not be written down" in caplog.text


def test_a_read_only_root_forbids_no_new_process_but_a_reboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_text("a file is in the way")
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "runtime"))
    for done in range(RESTARTS):
        with pytest.raises(StartAgain):
            run(tmp_path, monkeypatch, hangs)
        assert len(state.load_recovery().restarts) == done + 1
    monkeypatch.setattr("edgevoice.recovery.UP_S", 0.0)
    more = f"[device]\nreboot_after = {RESTARTS}\n"
    box = run(tmp_path, monkeypatch, hangs, more, until=lambda box: "written down" in str(box.status()["fault"]))
    assert state.load_recovery().reboots == 0, box.status()


def test_an_audio_thread_that_stands_still_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def never() -> OpenedCard:
        over.wait(60)
        raise DeviceError("it is over")

    monkeypatch.setattr(audio_thread, "LEAVE_S", 0.01)
    monkeypatch.setattr(watchdog, "WATCH_S", 0.05)
    monkeypatch.setattr(watchdog, "STILL_S", 0.14)
    try:
        with pytest.raises(StartAgain, match="the audio thread stands still"):
            run(tmp_path, monkeypatch, never)
    finally:
        over.set()
    assert len(state.load_recovery().restarts) == 1


def test_one_that_nothing_helps_is_left_alone_and_the_box_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, told = threading.Event(), list[str]()

    def never() -> OpenedCard:
        over.wait(60)
        raise DeviceError("it is over")

    def notify(**fields: str | int) -> None:
        told.extend(fields)

    monkeypatch.setattr(audio_thread, "LEAVE_S", 0.01)
    monkeypatch.setattr(watchdog, "WATCH_S", 0.05)
    monkeypatch.setattr(watchdog, "STILL_S", 0.14)
    monkeypatch.setattr("edgevoice.drivers.systemd.notify", notify)
    state.keep_recovery(Kept(state.boot(), (time.monotonic(),) * RESTARTS))
    try:
        box = run(tmp_path, monkeypatch, never, until=lambda box: told[told.index("ready") :].count("watchdog") > 3
                  if "ready" in told else False)  # fmt: skip
    finally:
        over.set()
    assert "did not help" in str(box.status()["fault"])
    assert box.status()["light"] == "one flash every four seconds"


def test_it_ends_though_a_call_waits_for_the_audio_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    over, stands = threading.Event(), threading.Event()
    real = sound.open_configured

    def open_card() -> OpenedCard:
        card = real(configuration(tmp_path, "[card]\nsimulate = true\n"))
        read = card.read

        def read_until() -> NDArray[np.int16]:
            if stands.is_set():
                over.wait(60)
            return read()

        monkeypatch.setattr(card, "read", read_until)
        return card

    def call(box: RunningBox) -> bool:
        if box.status()["state"] == "idle":
            box.control.answer(control.Call("parrot"))
        elif box.status()["turn"] == "listening":
            stands.set()
        return False

    monkeypatch.setattr(audio_thread, "LEAVE_S", 0.01)
    monkeypatch.setattr(watchdog, "WATCH_S", 0.3)
    monkeypatch.setattr(watchdog, "STILL_S", 0.8)
    try:
        with pytest.raises(StartAgain, match="the audio thread stands still"):
            run(tmp_path, monkeypatch, open_card, until=call)
    finally:
        over.set()
    assert "read_until (test_mending.py:" in caplog.text, "the journal says where"


def test_a_thread_that_was_given_up_and_goes_on_is_no_fault_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    opened = []

    def late() -> OpenedCard:
        opened.append(1)
        if len(opened) == 1:
            over.wait(60)
            raise DeviceError("it is over")
        return real(configuration(tmp_path, "[card]\nsimulate = true\n"))

    shown: list[str] = []

    def saw(box: RunningBox) -> bool:
        if not shown or shown[-1] != box.status()["light"]:
            shown.append(str(box.status()["light"]))
        if "one flash every four seconds" in shown:
            over.set()
        return box.status()["state"] == "idle"

    real = sound.open_configured
    monkeypatch.setattr(watchdog, "WATCH_S", 0.05)
    monkeypatch.setattr(watchdog, "STILL_S", 0.14)
    state.keep_recovery(Kept(state.boot(), (time.monotonic(),) * RESTARTS))
    run(tmp_path, monkeypatch, late, until=saw)
    assert "one flash every four seconds" in shown
    assert shown[-1] == "off"
