"""How far the microphone is turned up, read from a mixer: looked at, never touched."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from edgevoice.audio.findings import CaptureLevel
from edgevoice.drivers import capture_level as driver
from edgevoice.drivers.capture_level import capture_level
from tests.drivers.fake_alsaaudio import FakeAlsaaudio, FakeMixer


@dataclass
class Control:
    """One simple control of a card; `range_db` in hundredths of a dB."""

    abilities: list[str]
    percent: int = 50
    range_db: tuple[int, int] = (0, 0)


class Mixer(FakeMixer[Control]):
    def volumecap(self) -> list[str]:
        return self._control.abilities

    def getvolume(self, pcmtype: int, units: int = 0) -> list[int]:
        assert (pcmtype, units) == (1, 0)
        return [self._control.percent, self._control.percent]

    def getrange(self, pcmtype: int, units: int = 1) -> list[int]:
        assert (pcmtype, units) == (1, 2)
        return list(self._control.range_db)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeAlsaaudio[Control]:
    made = FakeAlsaaudio(
        Mixer,
        seeed={
            "Speaker": Control(["Playback Volume"]),
            "ADC": Control(["Capture Volume"], 40),
            "Capture": Control(["Capture Volume"], 85, (-1725, 3000)),
        },
    )
    monkeypatch.setattr(driver, "alsaaudio", made)
    return made


def test_the_microphone_s_control_is_found_with_its_range(fake: FakeAlsaaudio[Control]) -> None:
    assert capture_level("hw:seeed") == CaptureLevel("hw:seeed", "Capture", 85, 47.25)
    assert fake.open_mixers == 0


def test_a_control_without_decibels_has_no_range(fake: FakeAlsaaudio[Control]) -> None:
    del fake.cards["hw:seeed"]["Capture"]
    assert capture_level("hw:seeed") == CaptureLevel("hw:seeed", "ADC", 40, None)


def test_a_card_without_a_mixer_has_none(fake: FakeAlsaaudio[Control]) -> None:
    assert capture_level("hw:other") is None
    fake.cards["hw:seeed"] = {"Speaker": Control(["Playback Volume"])}
    assert capture_level("hw:seeed") is None


@pytest.mark.parametrize(("by_db", "percent"), [(9.0, 65), (0.5, 80), (60.0, 0)])
def test_a_lower_level_is_told_in_fives(by_db: float, percent: int) -> None:
    assert CaptureLevel("hw:x", "Capture", 85, 47.25).lowered(by_db) == percent
