"""Profiles of sound HATs: what they hold, what they fill, and what a person is told when one is wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.config import load
from edgevoice.drivers.profile_files import profile_texts
from edgevoice.errors import ConfigError
from edgevoice.profiles import Control, Part, as_found, control, matching, read_profile
from edgevoice.schema import Config, HatMixer
from tests.test_config import toml
from tests.test_layers import ROOT

SHIPPED = profile_texts()
each_profile = pytest.mark.parametrize("name", sorted(SHIPPED))

# What a profile says of a HAT. Whatever is not at its default has to have a source.
FACTS = (
    "ids",
    "overlay",
    "driver",
    "codec",
    "channels",
    "rates",
    "one_clock",
    "input",
    "output",
    "loudspeaker",
    "lamp",
)
MORE_FACTS = ("products", "on_board", "socket", "supply", "pins", "mixer")
# A source is a repository or a site, the kernel's tree, our own reasoning, or a word that there is none.
SOURCE = re.compile(r"(unverified: |ours: |Linux, |[\w.-]+/[\w.-]+[,#]|[\w-]+(\.[\w-]+)*\.(com|org)[,:])")

LAB = """
title = "A HAT of the laboratory"
ids = ["lab", "old"]
rates = [16000]
[card]
capture = "mic:{card}"
rate = 16000
[panel]
button = 27
light = [22, 23, 24]
[mixer]
"Mic Volume" = 3
"""


def with_hat(text: str, *, cards: tuple[str, ...] = (), profile: str = LAB) -> Config:
    return load(f"[device]\nhat = 'lab'\n{text}", profiles={"lab": profile}, cards=cards)


def problems(profile: str) -> list[str]:
    """Return what is wrong with a profile, without its name."""
    with pytest.raises(ConfigError) as caught:
        read_profile(profile, "lab")
    assert all(problem.startswith('the profile "lab": ') for problem in caught.value.problems)
    return [problem.removeprefix('the profile "lab": ') for problem in caught.value.problems]


# ------------------------------------------------------------------------------------------------ those of the package


def test_there_are_profiles_for_the_hats_that_people_have() -> None:
    assert set(SHIPPED) == {
        "adafruit-voice-bonnet",
        "aiy-voice-bonnet",
        "aiy-voice-hat",
        "codec-zero",
        "hifiberry-dac-adc",
        "hifiberry-dac-adc-pro",
        "respeaker-2mic-v1",
        "respeaker-2mic-v2",
        "respeaker-4mic",
        "respeaker-lite",
        "respeaker-xvf3800",
        "usb-microphone",
        "usb-speakerphone",
        "wm8960",
    }


@pytest.mark.parametrize(
    ("codec", "control", "off"), [("WM8960", "ALC Function", "Off"), ("DA7212", "ALC Switch", False)]
)
def test_no_hat_turns_the_microphone_up_by_itself_whose_maker_says_how_to_prevent_it(
    codec: str, control: str, off: str | bool
) -> None:
    found = [read_profile(text, name) for name, text in SHIPPED.items()]
    settings = {profile.name: profile.mixer.get(control) for profile in found if codec in profile.codec}
    assert settings
    assert set(settings.values()) == {off}, settings


@each_profile
def test_every_profile_makes_a_configuration_without_contradictions(name: str) -> None:
    config = load(f"device.hat = '{name}'", profiles=SHIPPED)
    assert config.card.capture != "default"
    assert config.card.playback != "default"
    assert "{" not in config.card.capture + config.card.playback


@each_profile
def test_every_fact_has_a_source_or_says_that_nobody_has_verified_it(name: str) -> None:
    profile = read_profile(SHIPPED[name], name)
    told = [fact for facts in profile.sources for fact in facts.split()]
    assert len(told) == len(set(told)), "one source for each fact"
    given = {fact for fact in (*FACTS, *MORE_FACTS) if fact in told or getattr(profile, fact) not in ((), {}, "")}
    assert set(told) == given | set(profile.holds)


@each_profile
def test_every_source_names_somebody_or_begins_with_a_word_of_warning(name: str) -> None:
    sources = read_profile(SHIPPED[name], name).sources.values()
    assert [source for source in sources if not SOURCE.match(source)] == []


@each_profile
def test_every_known_trouble_says_where_it_is_told(name: str) -> None:
    assert all(trouble.words != "-" and trouble.source != "-" for trouble in read_profile(SHIPPED[name], name).trouble)


@each_profile
def test_button_and_light_are_where_the_hat_has_them_or_on_free_pins(name: str) -> None:
    profile = read_profile(SHIPPED[name], name)
    panel = profile.panel
    taken = {pin: profile.pins[str(pin)] for pin in {panel.button, *panel.light} & profile.taken}
    assert all(any(word in use for word in ("button", "LED", "lamp")) for use in taken.values()), taken


def test_the_profiles_are_found_from_the_folder_of_the_wiring_too() -> None:
    beside = {path.stem for path in (ROOT / "hardware" / "profiles").glob("*.toml")}
    assert beside == set(SHIPPED)


# ------------------------------------------------------------------------------------------ pins that it needs itself


def wired(text: str, hat: str) -> list[str]:
    """Return what is wrong with a configuration of that HAT, if anything is, without the file's name."""
    try:
        load(f"device.hat = '{hat}'\n{text}", profiles=SHIPPED)
    except ConfigError as error:
        return [problem.partition(": ")[2] for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("hat", "text", "key", "taken"),
    [
        ("codec-zero", "panel.button = 18", "panel.button", '18 is taken by the HAT "codec-zero": I²S bit clock'),
        ("codec-zero", "panel.light = [2]", "panel.light", '2 is taken by the HAT "codec-zero": I²C data'),
        ("codec-zero", "panel.light = [12, 20, 22]", "panel.light", '20 is taken by the HAT "codec-zero": I²S in'),
        ("codec-zero", "relay.gate.pin = 20", "relay.gate.pin", '20 is taken by the HAT "codec-zero": I²S in'),
        ("codec-zero", "relay.gate.pin = 24", "relay.gate.pin", '24 is taken by the HAT "codec-zero": red LED'),
        (
            "aiy-voice-hat",
            "relay.gate.pin = 16",
            "relay.gate.pin",
            '16 is taken by the HAT "aiy-voice-hat": amplifier on',
        ),
        ("aiy-voice-hat", "panel = {button = 25, light = [12]}", "panel.button", "25 is taken by the HAT"),
        ("respeaker-4mic", "panel.light_power = 19", "panel.light_power", "19 is taken by the HAT"),
    ],
)
def test_a_pin_that_the_hat_needs_is_an_error_that_says_what_for(hat: str, text: str, key: str, taken: str) -> None:
    [problem] = wired(text, hat)
    assert problem.startswith(f"$.{key}: {taken}")
    assert problem.endswith("; choose a pin that it leaves free")


@pytest.mark.parametrize(
    ("hat", "text"),
    [
        ("codec-zero", "panel.light = [24]"),  # the other LED on the board
        ("codec-zero", "panel.light = [23, 24, 22]"),
        ("codec-zero", "panel = {button = 5, light = [6]}"),
        ("respeaker-4mic", "panel = {light = [10, 11], light_power = 5, light_leds = 12}"),
        ("aiy-voice-hat", "panel = {button = 23, light = [25]}"),
        ("usb-speakerphone", "panel.button = 18"),  # no HAT is on the header
        ("codec-zero", "panel = {pins = 'none', button = 18}"),
    ],
)
def test_what_the_hat_has_to_press_and_to_shine_is_used_as_such(hat: str, text: str) -> None:
    assert wired(text, hat) == []


def test_a_pin_that_is_no_pin_is_told_once() -> None:
    assert wired("panel.button = 99", "wm8960") == ["$.panel.button: expected an integer from -1 to 27, got 99"]


def test_what_a_profile_of_ones_own_has_as_button_light_and_relay_is_used_in_any_language() -> None:
    own = LAB + "[pins]\n27 = 'Taster'\n22 = 'rot'\n5 = 'Relais, relay 1'\n6 = 'Takt'\n"
    assert with_hat("[relay.gate]\npin = 5", profile=own).panel.button == 27
    with pytest.raises(ConfigError, match=r"\$\.relay\.gate\.pin: 6 is taken by the HAT \"lab\": Takt"):
        with_hat("[relay.gate]\npin = 6", profile=own)


# ---------------------------------------------------------------------------------------------- filling, and overriding


def test_a_profile_fills_what_the_file_leaves_out() -> None:
    config = with_hat("")
    assert (config.card.capture, config.card.rate, config.card.playback) == ("mic:lab", 16_000, "default")
    assert (config.panel.button, config.panel.light) == (27, (22, 23, 24))
    assert config.hat_mixer == HatMixer("lab", {"Mic Volume": 3}, ("lab", "old"), {"capture": "mic:{card}"})


def test_what_the_file_holds_overrides_the_profile() -> None:
    config = with_hat("[card]\nrate = 48000\n[panel]\nlight = []")
    assert (config.card.capture, config.card.rate) == ("mic:lab", 48_000)
    assert (config.panel.button, config.panel.light) == (27, ())


def test_a_key_that_the_file_sets_to_its_default_is_not_filled() -> None:
    assert with_hat("[panel]\nbutton = 17").panel.button == 17


def test_what_a_profile_has_filled_is_not_left_out_any_more() -> None:
    left_out = with_hat("").left_out
    assert left_out.isdisjoint({"card.capture", "card.rate", "panel.button", "panel.light"})
    assert left_out >= {"card.playback", "panel.button_pull"}


def test_without_a_hat_nothing_is_filled() -> None:
    config = load("", profiles={"lab": LAB})
    assert (config.card.capture, config.hat_mixer) == ("default", HatMixer())


def test_of_several_ids_the_one_that_is_there_is_taken() -> None:
    assert with_hat("", cards=("vc4hdmi", "old")).card.capture == "mic:old"
    assert with_hat("", cards=("vc4hdmi", "old")).hat_mixer.card == "old"
    assert with_hat("", cards=("vc4hdmi",)).card.capture == "mic:lab", "it may come later"


def test_the_file_and_the_profile_may_not_contradict_each_other() -> None:
    with pytest.raises(ConfigError) as caught:
        with_hat("[panel]\nlight = [27]")
    assert caught.value.problems == (
        "edgevoice.toml: $.panel.light: a pin is used twice; give button and light one each",
    )


def test_the_cards_that_are_there_tell_which_profiles_fit() -> None:
    profiles = [read_profile(text, name) for name, text in SHIPPED.items()]
    found = [(profile.name, id) for profile, id in matching(profiles, ["Headphones", "sndrpihifiberry"])]
    assert found == [("hifiberry-dac-adc-pro", "sndrpihifiberry"), ("hifiberry-dac-adc", "sndrpihifiberry")]
    assert matching(profiles, ["vc4hdmi"]) == []


def test_a_card_that_comes_late_is_taken_by_the_id_that_it_has() -> None:
    at_boot = with_hat("[card]\nplayback = 'mine'")
    assert as_found(at_boot, []) == at_boot
    late = as_found(at_boot, ["old"])
    assert (late.card.capture, late.card.playback, late.hat_mixer.card) == ("mic:old", "mine", "old")
    assert as_found(late, ["lab"]) == at_boot, "and by another one when it has that"


def test_a_name_that_the_file_holds_stays_whatever_cards_there_are() -> None:
    config = with_hat("[card]\ncapture = 'mic:lab'")
    assert as_found(config, ["old"]).card.capture == "mic:lab"


def test_a_configuration_without_a_hat_is_as_it_is() -> None:
    assert as_found(load(""), ["old"]) == load("")


# ------------------------------------------------------------------------------------------------------- what is wrong


def test_a_hat_that_is_misspelled_is_put_right() -> None:
    with pytest.raises(ConfigError) as caught:
        load("device.hat = 'codec-zer0'", profiles=SHIPPED)
    [problem] = caught.value.problems
    assert problem.startswith('edgevoice.toml: $.device.hat: "codec-zer0" is not one of "adafruit-voice-bonnet", ')
    assert problem.endswith('; did you mean "codec-zero"?')


def test_a_hat_is_asked_for_and_there_are_no_profiles() -> None:
    with pytest.raises(ConfigError) as caught:
        load("device.hat = 'codec-zero'")
    assert caught.value.problems == ('edgevoice.toml: $.device.hat: "codec-zero" is not known: there are none',)


def test_all_problems_of_a_profile_are_told_where_its_hat_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        with_hat("[call]\nbutton = 'x'", profile="ids = ['lab']\ncolour = 1\n[card]\nrate = 7")
    assert [problem.removeprefix("edgevoice.toml: ") for problem in caught.value.problems] == [
        '$.device.hat: the profile "lab": $.colour: unknown key',
        '$.device.hat: the profile "lab": $.card.rate: 7 is not one of 8000, 16000, 24000, 44100, 48000',
        '$.call.button: "x" is not one of "elevenlabs", "gemini", "openai", "parrot"',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "$.ids: expected the id of a card at least, as in /proc/asound/cards"),
        ("ids = ['two words']", '$.ids[0]: expected the id of a card, up to 15 letters and digits, got "two words"'),
        ("ids = ['a']\noverlay = 'rm -rf /'", '$.overlay: expected a line of config.txt, got "rm -rf /"'),
        ("ids = ['a']\nlamp = 'apa101'", '"gpio", "apa102", "i2c", "own", "none"; did you mean "apa102"?'),
        ("ids = ['a']\npins.28 = 'x'", '$.pins.28: expected a BCM number from 0 to 27, got "28"'),
        ("ids = ['a']\npins.04 = 'x'", '$.pins.04: expected a BCM number from 0 to 27, got "04"'),
        ("ids = ['a']\nrates = [7]", "$.rates[0]: expected an integer from 8000 to 192000, got 7"),
        ("ids = ['a']\nrates = [16000]", "$.card.rate: 48000 is none of its rates: 16000"),
        ("ids = ['a']\ncard.capture_channel = 2", "$.card.capture_channel: 2 of 2 channels, counted from 0"),
        (
            "ids = ['a']\nmixer.'A Volume' = true",
            '$.mixer."A Volume": expected a raw level, which is a number, got true',
        ),
        ("ids = ['a']\nmixer.'A Switch' = 1", '$.mixer."A Switch": expected true or false, got 1'),
        ("ids = ['a']\nmixer.'A MUX' = []", '$.mixer."A MUX": expected a number, true or false, or text, got an array'),
        ("ids = ['a']\nmixr.A = 1", '$.mixr: unknown key; did you mean "mixer"?'),
    ],
)
def test_a_profile_that_is_wrong_is_told_with_what_was_expected(text: str, problem: str) -> None:
    [told] = problems(text)
    assert told.endswith(problem)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(SHIPPED)), data=st.data())
def test_whatever_is_written_into_a_profile_it_is_read_or_told(name: str, data: st.DataObject) -> None:
    lines = SHIPPED[name].splitlines()
    written = [n for n, line in enumerate(lines) if " = " in line and line.partition(" = ")[2][:1] not in ("", "[")]
    at = data.draw(st.sampled_from(written))
    key = lines[at].partition(" = ")[0]
    values = st.text() | st.integers() | st.booleans() | st.lists(st.integers() | st.text(), max_size=3) | st.dates()
    lines[at] = f"{key} = {toml(data.draw(values))}"
    ids: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    try:
        ids = read_profile("\n".join(lines), name).ids
    except ConfigError as error:
        told = error.problems
    assert ids or told
    assert all(problem.startswith(f'the profile "{name}": ') for problem in told)


@pytest.mark.parametrize("key", ["pins", "mixer", "sources"])
def test_a_key_of_thousands_of_digits_is_told_and_harms_nobody(key: str) -> None:
    text = f"ids = ['a']\n[{key}]\n{'9' * 5000} = 0x{'f' * 5000}"
    assert all(len(problem) < 300 for problem in problems(text))


# ------------------------------------------------------------------------------------------------ controls of a mixer


@pytest.mark.parametrize(
    ("raw", "setting", "expected"),
    [
        ("Mic 2 Volume", 5, Control("Mic 2", Part.LEVEL, "")),
        ("Mic 2 Switch", True, Control("Mic 2", Part.SWITCH, "")),
        ("PGA Capture Volume", 95, Control("PGA", Part.LEVEL, "Capture")),
        ("Left Output Mixer PCM Playback Switch", True, Control("Left Output Mixer PCM", Part.SWITCH, "Playback")),
        ("DAI Left Source MUX", "ADC Left", Control("DAI Left Source MUX", Part.CHOICE, "")),
        ("Capture Volume", 45, Control("Capture", Part.LEVEL, "")),
        ("ALC Target", 4, Control("ALC Target", Part.LEVEL, "")),
    ],
)
def test_a_raw_control_is_found_in_the_simple_mixer(raw: str, setting: int | bool | str, expected: Control) -> None:
    assert control(raw, setting) == expected
