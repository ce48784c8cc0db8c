"""The mixer as it is found: levels and switches, looked at; and a mute is taken off when that is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from edgevoice.doctor.facts import Control, MixerLook
from edgevoice.drivers import switches as driver
from edgevoice.errors import DeviceError
from tests.drivers.fake_alsaaudio import FakeAlsaaudio, FakeMixer


@dataclass
class Simple:
    """One simple control of a card."""

    volumes: list[str]
    switches: list[str]
    percent: int = 50
    mutes: tuple[int, ...] = (0, 0)
    records: tuple[int, ...] = (1, 1)
    choice: tuple[str, ...] = ()  # the one that is chosen, and all of them


class Mixer(FakeMixer[Simple]):
    def volumecap(self) -> list[str]:
        return self._control.volumes

    def switchcap(self) -> list[str]:
        return self._control.switches

    def getvolume(self, pcmtype: int = 0) -> list[int]:
        return [self._control.percent, 0]

    def getmute(self) -> list[int]:
        if not {"Mute", "Playback Mute"} & set(self._control.switches):
            raise self._alsaaudio.ALSAAudioError("Mixer has no playback mute")
        return list(self._control.mutes)

    def getrec(self) -> list[int]:
        if "Capture Mute" not in self._control.switches:
            raise self._alsaaudio.ALSAAudioError("Mixer has no capture switch")
        return list(self._control.records)

    def setmute(self, mute: int, channel: int = -1, /) -> None:
        self.getmute()
        self._control.mutes = (mute, mute)

    def setrec(self, capture: int, channel: int = -1, /) -> None:
        self.getrec()
        self._control.records = (capture, capture)

    def getenum(self) -> tuple[()] | tuple[str, list[str]]:
        if not self._control.choice:
            return ()
        return self._control.choice[0], list(self._control.choice[1:])


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> FakeAlsaaudio[Simple]:
    fake = FakeAlsaaudio(
        Mixer,
        seeed={
            "Speaker": Simple(["Playback Volume"], ["Playback Mute"], 70),
            "Mic": Simple(["Capture Volume"], ["Capture Mute"], 40),
            "Boost": Simple(["Volume"], [], 10),
            "DAC": Simple([], ["Playback Mute"], mutes=(1, 1)),
        },
    )
    monkeypatch.setattr(driver, "alsaaudio", fake)
    return fake


def test_both_controls_are_read_and_every_muted_one_is_named(card: FakeAlsaaudio[Simple]) -> None:
    found = driver.look("hw:seeed", "Speaker", "Mic")
    assert found == MixerLook("hw:seeed", Control("Speaker", 70, False), Control("Mic", 40, False), muted=("DAC",))
    assert card.open_mixers == 0, "every mixer is closed again"


def test_a_control_is_muted_when_all_of_its_channels_are(card: FakeAlsaaudio[Simple]) -> None:
    card.cards["hw:seeed"]["Speaker"].mutes = (1, 0)
    card.cards["hw:seeed"]["Mic"].records = (0, 0)
    found = driver.look("hw:seeed", "Speaker", "Mic")
    assert found.loudspeaker == Control("Speaker", 70, False)
    assert found.microphone == Control("Mic", 40, True)


def test_a_control_without_a_switch_or_without_a_level_has_none(card: FakeAlsaaudio[Simple]) -> None:
    assert driver.look("hw:seeed", "Boost", "").loudspeaker == Control("Boost", 10, None)
    assert driver.look("hw:seeed", "DAC", "").loudspeaker == Control("DAC", None, True)
    assert driver.look("hw:seeed", "", "").microphone is None


def test_a_card_that_is_not_there_shows_nothing(card: FakeAlsaaudio[Simple]) -> None:
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
    card = FakeAlsaaudio(Mixer, seeed={name: control})
    monkeypatch.setattr(driver, "alsaaudio", card)
    assert driver.automatic("hw:seeed") == ((name,) if on else ())
    assert card.open_mixers == 0
    assert driver.automatic("hw:gone") == ()


def test_what_is_muted_is_switched_on_and_nothing_else(card: FakeAlsaaudio[Simple]) -> None:
    controls = card.cards["hw:seeed"]
    controls["Mic"].records = (0, 0)
    driver.switch_on("hw:seeed", "DAC", captures=False)
    assert (controls["DAC"].mutes, controls["Mic"].records) == ((0, 0), (0, 0))
    driver.switch_on("hw:seeed", "Mic", captures=True)
    assert controls["Mic"].records == (1, 1)
    assert card.open_mixers == 0


@pytest.mark.parametrize(("device", "control"), [("hw:seeed", "Boost"), ("hw:seeed", "None"), ("hw:gone", "DAC")])
def test_what_cannot_be_switched_on_is_said(card: FakeAlsaaudio[Simple], device: str, control: str) -> None:
    with pytest.raises(DeviceError, match=f'"{control}" of {device} cannot be switched on: '):
        driver.switch_on(device, control, captures=False)
    assert card.open_mixers == 0
