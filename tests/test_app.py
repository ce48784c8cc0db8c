"""The composition: what happens when a part of it is ours and wrong."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from edgevoice import app
from edgevoice.audio.echo import load as load_canceller
from edgevoice.box import RunningBox
from edgevoice.catalogue import Agents
from edgevoice.config import Secret, load
from edgevoice.drivers.control import Press
from edgevoice.errors import ConfigError
from edgevoice.happenings import StopAsked
from edgevoice.schema import Config


class NoFiles:
    """A configuration without files beside it."""

    def secret(self, name: str, key: str) -> Secret:
        raise ConfigError([f"$.{key}: there is no file {name}"])

    def text(self, name: str, key: str) -> str:
        raise ConfigError([f"$.{key}: there is no file {name}"])


def configuration(folder: Path, more: str = "") -> Config:
    return load(f'[panel]\npins = "none"\n[status]\nsocket = "{folder}/control.sock"\n{more}')


@pytest.fixture(autouse=True)
def _this_process_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    monkeypatch.setattr(app, "_settle_memory", lambda: None)


def test_a_mistake_in_the_audio_thread_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(config: Config) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(app, "_open_card", mistaken)
    config = configuration(tmp_path)
    with pytest.raises(ExceptionGroup) as ended:
        asyncio.run(asyncio.wait_for(app.run(config, Agents(config, NoFiles())), 10))
    assert ended.value.subgroup(ZeroDivisionError) is not None
    assert not (tmp_path / "control.sock").exists(), "and still leaves nothing behind"


def test_a_mistake_on_the_loop_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(self: object, facts: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(RunningBox, "_card_ready", mistaken)
    config = configuration(tmp_path, "[card]\nsimulate = true\n")
    with pytest.raises(ExceptionGroup) as ended:
        asyncio.run(asyncio.wait_for(app.run(config, Agents(config, NoFiles())), 10))
    assert ended.value.subgroup(ZeroDivisionError) is not None


def test_a_call_whose_key_is_gone_is_refused_and_the_box_lives_on(tmp_path: Path) -> None:
    config = configuration(tmp_path, '[card]\nsimulate = true\n[call]\nbutton = "openai"\n')
    with pytest.raises(ConfigError, match="there is no file openai-api-key"):
        Agents(config, NoFiles()).check()

    async def story() -> None:
        agents = Agents(config, NoFiles())
        canceller, echo = load_canceller("none", noise_suppression=False)
        duplex = partial(app._duplex, config, canceller)
        box = RunningBox(config, agents, partial(app.open_configured, config), duplex, echo)
        box.sound.start()
        async with asyncio.TaskGroup() as group:
            living = group.create_task(box.live(group))
            while box.status()["state"] != "fault":
                box.answer(Press())
                await asyncio.sleep(0.05)
            assert "there is no file openai-api-key" in str(box.status()["fault"])
            box.post(StopAsked())
            await living
        box.sound.stop()

    asyncio.run(story())
