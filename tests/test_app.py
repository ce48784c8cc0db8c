"""The composition: what happens when a part of it is ours and wrong."""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from edgevoice import app, sound
from edgevoice.audio import echo
from edgevoice.audio.echo import Canceller
from edgevoice.box import RunningBox
from edgevoice.box_card import BoxCard
from edgevoice.catalogue import Agents
from edgevoice.config import Secret, load
from edgevoice.doors import Doors
from edgevoice.drivers import memory
from edgevoice.drivers.alsa import CardSettings
from edgevoice.drivers.control import Press
from edgevoice.drivers.profile_files import profile_texts
from edgevoice.drivers.relay import Relays
from edgevoice.errors import ConfigError
from edgevoice.happenings import StopAsked
from edgevoice.headless import Headless
from edgevoice.schema import Config
from edgevoice.sound import configured_duplex


class NoFiles:
    """A configuration without files beside it."""

    def secret(self, name: str, key: str) -> Secret:
        raise ConfigError([f"$.{key}: there is no file {name}"])

    def text(self, name: str, key: str) -> str:
        raise ConfigError([f"$.{key}: there is no file {name}"])

    def path(self, name: str, key: str) -> Path:
        raise ConfigError([f"$.{key}: there is no file {name}"])


NO_DOORS = Doors({}, lambda: Relays(facts="none"))


def configuration(folder: Path, more: str = "") -> Config:
    return load(f'[panel]\npins = "none"\n[status]\nsocket = "{folder}/control.sock"\n{more}')


@pytest.fixture(autouse=True)
def _this_process_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    monkeypatch.setattr(memory, "settle", lambda: None)


def test_a_mistake_in_the_audio_thread_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(config: Config) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(app, "open_configured", mistaken)
    config = configuration(tmp_path)
    with pytest.raises(ExceptionGroup) as ended:
        asyncio.run(asyncio.wait_for(app.run(config, Agents(config, NoFiles())), 30))
    assert ended.value.subgroup(ZeroDivisionError) is not None
    assert not (tmp_path / "control.sock").exists(), "and still leaves nothing behind"


def test_a_mistake_on_the_loop_ends_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(self: object, facts: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(BoxCard, "_ready", mistaken)
    config = configuration(tmp_path, "[card]\nsimulate = true\n")
    with pytest.raises(ExceptionGroup) as ended:
        asyncio.run(asyncio.wait_for(app.run(config, Agents(config, NoFiles())), 30))
    assert ended.value.subgroup(ZeroDivisionError) is not None


# -------------------------------------------------------------------------------------------------------- the echo

HALF_DUPLEX = "; half duplex: nobody is heard while the box speaks"


def echo_of(
    keys: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *hidden: str
) -> tuple[str, str, bool]:
    """Start the box without the `hidden` cancellers; return its line's level and text, and is it half duplex?"""

    def missing(noise_suppression: bool) -> Canceller:
        raise ImportError("there is none")

    for name in hidden:
        monkeypatch.setitem(echo._MAKERS, name, missing)
    config = configuration(folder, f"[card]\nsimulate = true\n[echo]\n{keys}\n")
    heard: list[bool] = []

    async def live(box: RunningBox, group: object) -> None:
        heard.append(box.card.sound._duplex(48_000).half_duplex)

    monkeypatch.setattr(RunningBox, "live", live)
    with caplog.at_level(logging.INFO, "edgevoice.sound"):
        asyncio.run(app.run(config, Agents(config, NoFiles())))
    line = next(record for record in caplog.records if record.name == "edgevoice.sound")
    return line.levelname, line.getMessage(), heard[0]


@pytest.mark.parametrize(
    ("keys", "hidden", "level", "words", "half_duplex"),
    [
        ("", (), "INFO", "echo: aec3", False),
        ('half_duplex = "always"', (), "INFO", f"echo: aec3{HALF_DUPLEX}", True),
        ('canceller = "speex"', (), "INFO", "echo: speex", False),
        ('canceller = "none"', (), "INFO", f"echo: none{HALF_DUPLEX}", True),
        ('canceller = "none"\nhalf_duplex = "never"', (), "INFO", "echo: none", False),
        (
            "",
            ("aec3",),
            "INFO",
            "echo: speex; aec3 does not load: there is none (pip install 'livekit>=1.2')",
            False,
        ),
        (
            "",
            ("aec3", "speex"),
            "WARNING",
            "echo: none; aec3 does not load: there is none (pip install 'livekit>=1.2'); speex does not load: there is "
            f"none (apt install libspeexdsp1){HALF_DUPLEX}",
            True,
        ),
    ],
)
def test_the_journal_says_what_takes_the_echo_out_and_what_follows_from_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    keys: str,
    hidden: tuple[str, ...],
    level: str,
    words: str,
    half_duplex: bool,
) -> None:
    assert echo_of(keys, tmp_path, monkeypatch, caplog, *hidden) == (level, words, half_duplex)


def test_a_canceller_that_is_asked_for_and_not_there_is_a_matter_of_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigError, match=r'echo\.canceller = "speex": speex does not load: .*choose "auto"'):
        echo_of('canceller = "speex"', tmp_path, monkeypatch, caplog, "speex")
    assert not (tmp_path / "control.sock").exists()


def test_a_call_whose_key_is_gone_is_refused_and_the_box_lives_on(tmp_path: Path) -> None:
    config = configuration(tmp_path, '[card]\nsimulate = true\n[call]\nbutton = "openai"\n')
    with pytest.raises(ConfigError, match="there is no file openai-api-key"):
        Agents(config, NoFiles()).check()

    async def story() -> None:
        agents = Agents(config, NoFiles())
        canceller, words = echo.load("none", noise_suppression=False)
        duplex = partial(configured_duplex, config, canceller)
        box = RunningBox(config, agents, partial(sound.open_configured, config), duplex, words, NO_DOORS)
        box.card.sound.start()
        async with asyncio.TaskGroup() as group:
            living = group.create_task(box.live(group))
            while box.status()["state"] != "fault":
                box.control.answer(Press())
                await asyncio.sleep(0.05)
            assert "there is no file openai-api-key" in str(box.status()["fault"])
            box.post(StopAsked())
            await living
        box.card.sound.stop()

    asyncio.run(story())


@pytest.mark.parametrize(("hat", "headless"), [("", True), ("codec-zero", False)])
def test_a_box_with_a_hat_waits_for_its_card_and_one_without_any_is_a_server(
    hat: str, headless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "CARDS", tmp_path / "no sound")
    answered = "lines.listen = '127.0.0.1:8080'\nline.elks.path_token_file = 'token'\ncall.incoming = 'parrot'\n"
    config = load(f"{answered}device.hat = '{hat}'", profiles=profile_texts())
    assert app.is_headless(config) is headless


@pytest.mark.parametrize(
    "written", ["panel.button = 17", "panel.light = [25]", "call.button = 'parrot'", "call.at_start = 'parrot'"]
)
def test_what_has_a_button_waits_for_its_card_though_it_has_lines_too(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "CARDS", tmp_path / "no sound")
    answered = "lines.listen = '127.0.0.1:8080'\nline.elks.path_token_file = 'token'\ncall.incoming = 'parrot'\n"
    assert app.is_headless(load(answered))
    assert not app.is_headless(load(f"{answered}{written}"))


def test_a_hat_that_came_after_the_box_is_opened_by_the_id_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load("device.hat = 'codec-zero'", profiles=profile_texts())
    opened: list[CardSettings] = []
    monkeypatch.setattr(sound, "open_card", opened.append)
    for cards in ([], ["vc4hdmi", "IQaudIOCODEC"]):
        monkeypatch.setattr(sound, "card_ids", lambda cards=cards: cards)
        sound.open_configured(config)
    assert [settings.capture for settings in opened] == ["hw:CARD=Zero", "hw:CARD=IQaudIOCODEC"]


def test_a_crowd_at_the_door_does_not_end_the_program_and_a_mistake_of_ours_does() -> None:
    async def story() -> None:
        failed: list[BaseException] = []
        loop = asyncio.get_running_loop()
        app._let_mistakes_end_us(cast(Headless, SimpleNamespace(loop=loop, fail=failed.append)))
        mistake = ZeroDivisionError("a mistake of ours")
        for error in (OSError(errno.EMFILE, "Too many open files"), ConnectionResetError(), mistake):
            loop.call_exception_handler({"message": "in a callback", "exception": error})
        assert failed == [mistake]

    asyncio.run(story())
