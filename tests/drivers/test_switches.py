"""The mixer as it is found: levels and switches, looked at and never touched."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from edgevoice.doctor.facts import Control, MixerLook
from edgevoice.drivers import switches as driver


@dataclass
class Simple:
    """One simple control of a card."""

    volumes: list[str]
    switches: list[str]
    percent: int = 50
    mutes: tuple[int, ...] = (0, 0)
    records: tuple[int, ...] = (1, 1)
    choice: tuple[str, ...] = ()  # the one that is chosen, and all of them


class FakeAlsaaudio:
    """As much of `alsaaudio` 0.11 as the driver calls, with the signatures and errors of its C code."""

    PCM_PLAYBACK, PCM_CAPTURE = 0, 1

    class ALSAAudioError(Exception):
        pass

    def __init__(self, **controls: Simple) -> None:
        self.controls = controls
        self.open = 0

    def mixers(self, cardindex: int = -1, device: str = "default") -> list[str]:
        if device != "hw:seeed":
            raise self.ALSAAudioError(f"No such file or directory [{device}]")
        return list(self.controls)

    def Mixer(self, control: str = "Master", id: int = 0, cardindex: int = -1, device: str = "default") -> FakeMixer:
        if control not in self.mixers(device=device):
            raise self.ALSAAudioError(f"Unable to find mixer control {control},{id} [{device}]")
        self.open += 1
        return FakeMixer(self, self.controls[control])


@dataclass
class FakeMixer:
    alsaaudio: FakeAlsaaudio
    control: Simple

    def volumecap(self) -> list[str]:
        return self.control.volumes

    def switchcap(self) -> list[str]:
        return self.control.switches

    def getvolume(self, pcmtype: int = 0) -> list[int]:
        return [self.control.percent, 0]

    def getmute(self) -> list[int]:
        if not {"Mute", "Playback Mute"} & set(self.control.switches):
            raise self.alsaaudio.ALSAAudioError("Mixer has no playback mute")
        return list(self.control.mutes)

    def getrec(self) -> list[int]:
        if "Capture Mute" not in self.control.switches:
            raise self.alsaaudio.ALSAAudioError("Mixer has no capture switch")
        return list(self.control.records)

    def getenum(self) -> tuple[()] | tuple[str, list[str]]:
        if not self.control.choice:
            return ()
        return self.control.choice[0], list(self.control.choice[1:])

    def close(self) -> None:
        self.alsaaudio.open -= 1


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> FakeAlsaaudio:
    fake = FakeAlsaaudio(
        Speaker=Simple(["Playback Volume"], ["Playback Mute"], 70),
        Mic=Simple(["Capture Volume"], ["Capture Mute"], 40),
        Boost=Simple(["Volume"], [], 10),
        DAC=Simple([], ["Playback Mute"], mutes=(1, 1)),
    )
    monkeypatch.setattr(driver, "alsaaudio", fake)
    return fake


def test_both_controls_are_read_and_every_muted_one_is_named(card: FakeAlsaaudio) -> None:
    found = driver.look("hw:seeed", "Speaker", "Mic")
    assert found == MixerLook("hw:seeed", Control("Speaker", 70, False), Control("Mic", 40, False), ("DAC",))
    assert card.open == 0, "every mixer is closed again"


def test_a_control_is_muted_when_all_of_its_channels_are(card: FakeAlsaaudio) -> None:
    card.controls["Speaker"].mutes = (1, 0)
    card.controls["Mic"].records = (0, 0)
    found = driver.look("hw:seeed", "Speaker", "Mic")
    assert found.loudspeaker == Control("Speaker", 70, False)
    assert found.microphone == Control("Mic", 40, True)


def test_a_control_without_a_switch_or_without_a_level_has_none(card: FakeAlsaaudio) -> None:
    assert driver.look("hw:seeed", "Boost", "").loudspeaker == Control("Boost", 10, None)
    assert driver.look("hw:seeed", "DAC", "").loudspeaker == Control("DAC", None, True)
    assert driver.look("hw:seeed", "", "").microphone is None


def test_a_card_that_is_not_there_shows_nothing(card: FakeAlsaaudio) -> None:
    assert driver.look("hw:gone", "Speaker", "Mic") == MixerLook("hw:gone")


@pytest.mark.parametrize(
    ("name", "control", "on"),
    [
        ("Auto Gain Control", Simple([], ["Playback Mute"], mutes=(0, 0)), True),
        ("Auto Gain Control", Simple([], ["Playback Mute"], mutes=(1, 1)), False),
        ("AGC", Simple([], ["Capture Mute"], records=(1, 0)), True),
        ("AGC", Simple([], ["Capture Mute"], records=(0, 0)), False),
        ("ALC Function", Simple([], [], choice=("Stereo", "Off", "Right", "Left", "Stereo")), True),
        ("ALC Function", Simple([], [], choice=("Off", "Off", "Right", "Left", "Stereo")), False),
        ("ALC Mode", Simple([], [], choice=("Limiter", "ALC", "Limiter")), False),
        ("ALC Anticlip Mode", Simple([], ["Playback Mute"]), False),
        ("ALC Max Gain", Simple(["Volume"], []), False),
        ("Mic", Simple([], ["Capture Mute"]), False),
    ],
)
def test_a_control_that_turns_the_microphone_up_by_itself_is_named_when_it_is_on(
    monkeypatch: pytest.MonkeyPatch, name: str, control: Simple, on: bool
) -> None:
    card = FakeAlsaaudio(**{name: control})
    monkeypatch.setattr(driver, "alsaaudio", card)
    assert driver.automatic("hw:seeed") == ((name,) if on else ())
    assert card.open == 0
    assert driver.automatic("hw:gone") == ()
