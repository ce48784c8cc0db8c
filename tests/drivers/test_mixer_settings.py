"""The settings of a HAT's profile: set when the card is opened, put back in the end, and never in the way."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgevoice import profiles
from edgevoice.drivers import mixer_settings as driver
from edgevoice.drivers.mixer_settings import MixerSettings
from edgevoice.schema import HatMixer, Setting
from tests.drivers.fake_alsaaudio import FakeAlsaaudio, FakeMixer, change

PLAYBACK, CAPTURE = 0, 1


@dataclass
class Control:
    """One simple control: of each side that it has, raw levels, and 1 for on; or a choice."""

    levels: dict[int, list[int]] = field(default_factory=dict)
    on: dict[int, list[int]] = field(default_factory=dict)
    both: bool = False  # one value for both sides, kept under PLAYBACK
    choices: tuple[str, ...] = ()
    chosen: int = 0


Card = dict[str, Control]


class Mixer(FakeMixer[Control]):
    def volumecap(self) -> list[str]:
        return self._abilities(self._control.levels, "Volume")

    def switchcap(self) -> list[str]:
        return self._abilities(self._control.on, "Mute")

    def _abilities(self, sides: dict[int, list[int]], word: str) -> list[str]:
        if self._control.both and sides:
            return [word, f"Playback {word}", f"Capture {word}"]
        return [f"{('Playback', 'Capture')[side]} {word}" for side in sides]

    def getvolume(self, pcmtype: int, units: int) -> list[int]:
        assert units == FakeAlsaaudio.VOLUME_UNITS_RAW
        return list(self._side(self._control.levels, pcmtype))

    def setvolume(self, volume: int, channel: int, pcmtype: int, units: int) -> None:
        assert units == FakeAlsaaudio.VOLUME_UNITS_RAW
        change(self._side(self._control.levels, pcmtype), channel, volume)

    def getmute(self) -> list[int]:
        return [1 - on for on in self._side(self._control.on, PLAYBACK)]

    def setmute(self, mute: int, channel: int = -1, /) -> None:
        change(self._side(self._control.on, PLAYBACK), channel, 1 - mute)

    def getrec(self) -> list[int]:
        return list(self._side(self._control.on, CAPTURE))

    def setrec(self, capture: int, channel: int = -1, /) -> None:
        change(self._side(self._control.on, CAPTURE), channel, capture)

    def getenum(self) -> tuple[()] | tuple[str, list[str]]:
        choices = self._control.choices
        return (choices[self._control.chosen], list(choices)) if choices else ()

    def setenum(self, index: int) -> None:
        assert 0 <= index < len(self._control.choices)
        self._control.chosen = index

    def _side(self, sides: dict[int, list[int]], side: int) -> list[int]:
        side = PLAYBACK if self._control.both else side
        if side not in sides:
            raise FakeAlsaaudio.ALSAAudioError("no such capability")
        return sides[side]


WANTED: dict[str, Setting] = {
    "Mic 2 Volume": 5,
    "Mic 2 Switch": True,
    "PGA Capture Volume": 95,
    "PGA Capture Switch": True,
    "HP Playback Volume": 9,
    "HP Playback Switch": False,
    "DAI Source MUX": "ADC Right",
}


def codec() -> Card:
    return {
        "Mic 2": Control({PLAYBACK: [0]}, {PLAYBACK: [0]}, both=True),
        "PGA": Control({CAPTURE: [10, 20]}, {CAPTURE: [0, 1]}),
        "HP": Control({PLAYBACK: [3, 4]}, {PLAYBACK: [1, 0]}),
        "DAI Source MUX": Control(choices=("ADC Left", "ADC Right")),
        "Speaker": Control({PLAYBACK: [7]}),
    }


def install(monkeypatch: pytest.MonkeyPatch, **cards: Card) -> FakeAlsaaudio[Control]:
    fake = FakeAlsaaudio(Mixer, **cards)
    monkeypatch.setattr(driver, "alsaaudio", fake)
    return fake


def test_every_setting_is_made_on_its_own_side_and_nothing_else_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    card = codec()
    install(monkeypatch, Zero=card)
    assert MixerSettings().apply(HatMixer("Zero", WANTED)) == []
    assert card == {
        "Mic 2": Control({PLAYBACK: [5]}, {PLAYBACK: [1]}, both=True),
        "PGA": Control({CAPTURE: [95, 95]}, {CAPTURE: [1, 1]}),
        "HP": Control({PLAYBACK: [9, 9]}, {PLAYBACK: [0, 0]}),
        "DAI Source MUX": Control(choices=("ADC Left", "ADC Right"), chosen=1),
        "Speaker": Control({PLAYBACK: [7]}),
    }


def test_everything_is_put_back_channel_by_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    card = codec()
    fake = install(monkeypatch, Zero=card)
    settings = MixerSettings()
    settings.apply(HatMixer("Zero", WANTED))
    fake.opened.clear()
    settings.restore()
    assert card == codec()
    assert fake.opened[0] == "DAI Source MUX", "the last one first"


def test_after_a_crash_everything_is_put_back_as_it_was_before_the_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    card = codec()
    install(monkeypatch, Zero=card)
    MixerSettings().apply(HatMixer("Zero", WANTED))  # and is killed
    second = MixerSettings()
    fewer = {name: WANTED[name] for name in list(WANTED)[:2]}  # the profile is another one since
    assert second.apply(HatMixer("Zero", fewer)) == []
    second.restore()
    assert card == codec()
    assert list(tmp_path.iterdir()) == []


def test_what_is_known_after_a_crash_is_all_that_was_touched_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    card = codec()
    install(monkeypatch, Zero=card)
    touched: list[str] = []

    def killed(mixer: object, place: profiles.Control, values: list[int]) -> None:
        touched.append(place.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(driver, "_set", killed)
        with pytest.raises(KeyboardInterrupt):
            MixerSettings().apply(HatMixer("Zero", WANTED))
    card["Mic 2"].levels[PLAYBACK] = [5]  # it had just got through
    MixerSettings().restore()
    assert touched == ["Mic 2"]
    assert card == codec()


def test_a_card_that_was_unplugged_is_set_again_and_put_back_as_it_was_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = codec()
    install(monkeypatch, Zero=card)
    settings = MixerSettings()
    settings.apply(HatMixer("Zero", WANTED))
    card["PGA"].levels[CAPTURE] = [1, 1]  # what the driver begins with
    settings.apply(HatMixer("Zero", WANTED))
    assert card["PGA"].levels[CAPTURE] == [95, 95]
    settings.restore()
    assert card == codec()


def test_a_card_that_comes_back_under_another_id_is_put_back_as_that_one_was(monkeypatch: pytest.MonkeyPatch) -> None:
    card = codec()
    install(monkeypatch, Zero_1=card)
    settings = MixerSettings()
    settings.apply(HatMixer("Zero", {"Speaker Playback Volume": 1}))
    card["Speaker"].levels[PLAYBACK] = [6]
    settings.apply(HatMixer("Zero_1", {"Speaker Playback Volume": 1}))
    assert card["Speaker"].levels[PLAYBACK] == [1]
    settings.restore()
    assert card["Speaker"].levels[PLAYBACK] == [6]


def test_a_control_that_the_card_lacks_is_told_and_the_others_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    card = codec()
    del card["PGA"]
    install(monkeypatch, Zero=card)
    settings = MixerSettings()
    problems = settings.apply(HatMixer("Zero", WANTED))
    assert [problem.partition(":")[0] for problem in problems] == [
        '"PGA Capture Volume" of hw',
        '"PGA Capture Switch" of hw',
    ]
    assert problems[0] == (
        '"PGA Capture Volume" of hw:Zero is not set to 95: Unable to find mixer control PGA,0 [hw:Zero]'
    )
    assert card["HP"].levels[PLAYBACK] == [9, 9]
    settings.restore()
    assert card["HP"] == codec()["HP"]


def test_a_choice_that_the_control_does_not_have_is_told_with_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    card = codec()
    install(monkeypatch, Zero=card)
    wanted: dict[str, Setting] = {"DAI Source MUX": "ADC Middle", "Speaker": "Loud"}
    assert MixerSettings().apply(HatMixer("Zero", wanted)) == [
        '"DAI Source MUX" of hw:Zero is not set to ADC Middle: its choices are ADC Left, ADC Right',
        '"Speaker" of hw:Zero is not set to Loud: it has no choices',
    ]
    assert card == codec()


def test_a_card_that_is_gone_has_nothing_to_put_back_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, Zero=codec())
    settings = MixerSettings()
    settings.apply(HatMixer("Zero", {"Mic 2 Volume": 5}))
    install(monkeypatch)
    settings.restore()
    assert '"Mic 2 Volume" of hw:Zero is not put back as it was: No such file' in caplog.text


def test_no_mixer_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, Zero=copy.deepcopy(codec()))
    settings = MixerSettings()
    settings.apply(HatMixer("Zero", WANTED | {"DAI Source MUX": "ADC Middle"}))
    settings.restore()
    assert fake.open_mixers == 0


def test_a_card_that_does_not_exist_is_told_for_each_setting_on_the_real_library() -> None:
    problems = MixerSettings().apply(HatMixer("nobody", {"Mic Volume": 5, "Mic Switch": True}))
    assert len(problems) == 2
    assert all("[hw:nobody]" in problem for problem in problems)


def test_without_a_hat_no_mixer_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, Zero=codec())
    settings = MixerSettings()
    assert settings.apply(HatMixer()) == []
    settings.restore()
    assert fake.opened == []
