"""The mixer: one playback control is set and put back, everything else on the card is left alone."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgevoice.drivers import mixer as driver
from edgevoice.drivers.mixer import AlsaMixer, NoMixer, mixer_device, open_mixer
from edgevoice.errors import DeviceError
from tests.drivers.fake_alsaaudio import FakeAlsaaudio, FakeMixer, change


@dataclass
class Control:
    """One simple control of a card: raw levels of 0 to `top`, for each channel."""

    levels: list[int] = field(default_factory=lambda: [20, 20])
    top: int = 50
    mutes: list[int] | None = None
    abilities: tuple[str, ...] = ("Playback Volume",)


Card = dict[str, Control]


class Mixer(FakeMixer[Control]):
    def volumecap(self) -> list[str]:
        return list(self._control.abilities)

    def switchcap(self) -> list[str]:
        return [] if self._control.mutes is None else ["Playback Mute"]

    def getvolume(self, pcmtype: int = 0, units: int = 0) -> list[int]:
        assert pcmtype == FakeAlsaaudio.PCM_PLAYBACK
        if units == FakeAlsaaudio.VOLUME_UNITS_RAW:
            return list(self._control.levels)
        return [round(100 * level / self._control.top) for level in self._control.levels]

    def setvolume(self, volume: int, channel: int = -1, pcmtype: int = 0, units: int = 0) -> None:
        assert pcmtype == FakeAlsaaudio.PCM_PLAYBACK
        raw = volume if units == FakeAlsaaudio.VOLUME_UNITS_RAW else round(volume * self._control.top / 100)
        change(self._control.levels, channel, raw)

    def getmute(self) -> list[int]:
        if self._control.mutes is None:
            raise FakeAlsaaudio.ALSAAudioError("no playback switch capabilities")
        return list(self._control.mutes)

    def setmute(self, mute: int, channel: int = -1, /) -> None:
        if self._control.mutes is None:
            raise FakeAlsaaudio.ALSAAudioError("no playback switch capabilities")
        change(self._control.mutes, channel, mute)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    """A USB card: what one hears of oneself comes first, the loudspeaker is muted and unbalanced."""
    controls = {
        "Line": Control([4], abilities=("Playback Volume", "Capture Volume")),
        "Mic": Control([7], abilities=("Playback Volume", "Capture Volume")),
        "Mic Boost": Control([1], abilities=("Playback Volume",)),
        "Auto Gain Control": Control([], abilities=()),
        "Speaker": Control([11, 13], mutes=[1, 0]),
        "Headphone": Control([30, 30]),
        "Capture": Control([5], abilities=("Capture Volume",)),
    }
    install(monkeypatch, voice=controls)
    return controls


def install(monkeypatch: pytest.MonkeyPatch, **cards: Any) -> FakeAlsaaudio[Control]:
    fake = FakeAlsaaudio(Mixer, **cards)
    monkeypatch.setattr(driver, "alsaaudio", fake)
    return fake


def test_the_loudspeaker_is_found_set_and_unmuted_and_nothing_else_is_touched(card: Card) -> None:
    others = copy.deepcopy({name: control for name, control in card.items() if name != "Speaker"})
    mixer = open_mixer("hw:CARD=voice,DEV=0", "", 70)
    assert mixer.facts == 'mixer "Speaker" of hw:voice'
    assert mixer.volume() == 70
    assert card["Speaker"] == Control([35, 35], mutes=[0, 0])
    assert {name: control for name, control in card.items() if name != "Speaker"} == others


def test_everything_is_put_back_channel_by_channel(card: Card) -> None:
    mixer = open_mixer("plughw:CARD=voice", "Speaker", 70)
    mixer.set_volume(5)
    mixer.restore()
    assert card["Speaker"] == Control([11, 13], mutes=[1, 0])


def test_after_a_crash_it_is_put_back_as_it_was_before_the_crash(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    open_mixer("hw:CARD=voice", "", 70)  # and is killed
    second = open_mixer("hw:CARD=voice", "", 70)
    second.restore()
    assert card["Speaker"] == Control([11, 13], mutes=[1, 0])
    assert list(tmp_path.iterdir()) == []
    card["Speaker"].levels = [40, 40]
    third = open_mixer("hw:CARD=voice", "", 70)
    third.restore()
    assert card["Speaker"].levels == [40, 40], "what was before the crash is forgotten"


def test_what_another_control_was_is_not_put_into_this_one(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    open_mixer("hw:CARD=voice", "Speaker", 70)
    open_mixer("hw:CARD=voice", "Headphone", 20).restore()
    assert card["Headphone"].levels == [30, 30]


@pytest.mark.parametrize("content", [b"", b'{"device": 3}', b"\xff", b"["])
def test_a_torn_file_is_none(card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    (tmp_path / driver.FILE).write_bytes(content)
    open_mixer("hw:CARD=voice", "", 70).restore()
    assert card["Speaker"] == Control([11, 13], mutes=[1, 0])


def test_a_volume_of_minus_one_leaves_the_mixer_alone(card: Card) -> None:
    mixer = open_mixer("hw:CARD=voice", "", -1)
    assert card["Speaker"] == Control([11, 13], mutes=[1, 0])
    card["Speaker"].levels = [50, 50]  # somebody else turns it up
    mixer.restore()
    assert card["Speaker"].levels == [50, 50]


def test_a_mixer_left_alone_obeys_all_the_same_when_it_is_asked(card: Card) -> None:
    mixer = open_mixer("hw:CARD=voice", "", -1)
    mixer.set_volume(100)
    assert mixer.volume() == 100
    mixer.restore()
    assert card["Speaker"].levels == [11, 13]


def test_the_volume_is_what_it_is_now_not_what_we_set(card: Card) -> None:
    mixer = open_mixer("hw:CARD=voice", "Headphone", 20)
    card["Headphone"].levels = [45, 45]
    assert mixer.volume() == 90


def test_a_card_that_is_unplugged_has_no_volume_and_cannot_be_set_but_restored_without_harm(
    card: Card, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mixer = open_mixer("hw:CARD=voice", "Speaker", 50)
    install(monkeypatch)
    assert mixer.volume() is None
    with pytest.raises(DeviceError, match=r'mixer "Speaker" of hw:voice: No such file or directory'):
        mixer.set_volume(60)
    mixer.restore()
    assert "not put back as it was" in caplog.text


def test_a_control_that_the_card_lacks_is_an_error_that_names_those_it_has(card: Card) -> None:
    with pytest.raises(
        DeviceError, match=r'no mixer control "Speeker", expected one of Line, Mic, .*Speaker, Headphone'
    ):
        open_mixer("hw:CARD=voice", "Speeker", 70)


def test_a_control_of_the_microphone_is_refused(card: Card) -> None:
    with pytest.raises(DeviceError, match=r'"Capture" of hw:voice has no playback volume'):
        open_mixer("hw:CARD=voice", "Capture", 70)


def test_a_card_with_only_a_microphone_has_no_mixer(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, webcam={"Mic": Control([3], abilities=("Playback Volume", "Capture Volume"))})
    mixer = open_mixer("hw:CARD=webcam", "", 70)
    assert isinstance(mixer, NoMixer)
    assert mixer.facts == "no mixer: hw:webcam has no playback volume"


def test_a_card_without_a_mixer_works_and_says_so_when_it_is_asked() -> None:
    """On the real alsa-lib, for a card that does not exist."""
    mixer = open_mixer("hw:CARD=nobody,DEV=0", "Speaker", 70)
    assert mixer.facts.startswith("no mixer: ")
    assert mixer.facts.endswith("[hw:nobody]")
    assert mixer.volume() is None
    mixer.restore()
    with pytest.raises(DeviceError, match="the volume cannot be set: no mixer"):
        mixer.set_volume(50)


def test_no_mixer_stays_open(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    alsaaudio = install(monkeypatch, voice=card)
    mixer = AlsaMixer("hw:voice", "Speaker")
    mixer.set_volume(30)
    mixer.restore()
    with pytest.raises(DeviceError):
        AlsaMixer("hw:voice", "Capture")
    assert alsaaudio.open_mixers == 0


@pytest.mark.parametrize(
    ("pcm", "device"),
    [
        ("hw:CARD=seeed,DEV=0", "hw:seeed"),
        ("plughw:CARD=seeed", "hw:seeed"),
        ("hw:DEV=0,CARD=seeed", "hw:seeed"),
        ("hw:1,0", "hw:1"),
        ("plughw:1", "hw:1"),
        ("plug:SLAVE='hw:CARD=seeed,DEV=0'", "hw:seeed"),
        ("sysdefault:CARD=Device", "hw:Device"),
        ("default", "default"),
        ("pulse", "pulse"),
        ("my_card", "my_card"),
    ],
)
def test_the_mixer_is_that_of_the_pcms_card(pcm: str, device: str) -> None:
    assert mixer_device(pcm) == device
