"""A profile: what is known of a sound HAT, and what fills the keys that a configuration leaves out.

    TOML -> Reading -> _rules -> Profile -> filled: [card], [panel], and the settings of the mixer -> as_found

Profiles lie in `hats/`, one file for each, called as `device.hat` calls it. [card] and [panel] there are those of
`edgevoice.toml`; in the names of PCMs "{card}" stands for the card's id. Every fact has its source in [sources], or a
word of who has to find out: "unverified". Nothing here reads a file.

Ids: the kernel makes them of the last word of a card's name, 15 letters and digits at most.
Source: Linux, sound/core/init.c, retrieve_id_from_card_name and copy_valid_id_string.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Literal

from msgspec import Meta, structs

from edgevoice.errors import ConfigError
from edgevoice.reading import Reading, document, join, show
from edgevoice.schema import Card, Config, HatMixer, NonEmpty, Panel, Section, Setting, Text

Id = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,15}\Z", description="the id of a card, up to 15 letters and digits")
]
Overlay = Annotated[str, Meta(pattern=r"\A(|dt(overlay|param)=[!-~]+)\Z", description="a line of config.txt")]
PLACE = "{card}"  # in the name of a PCM, where the id goes
PINS = 28  # BCM numbers on the 40-pin header
# Whose a pin may be although the HAT has it: words of what the HAT uses it for, the first that fits.
OWN = {"relay": r"\brelays?\b", "light": r"\b(LEDs?|lamps?|lights?)\b", "button": r"\bbutton\b"}
UNVERIFIED = "unverified"  # how the source of a fact begins that nobody of us has seen written by its maker


class Trouble(Section, frozen=True):
    """Something that is known to go wrong, and where that is told."""

    words: NonEmpty = "-"
    source: NonEmpty = "-"


class Facts(Section, frozen=True):
    """One file."""

    title: Text = ""
    ids: tuple[Id, ...] = ()  # of the card, the likeliest first
    products: tuple[NonEmpty, ...] = ()  # what the memory on it calls it (HAT EEPROM), where that is known
    overlay: Overlay = ""  # empty: none is needed
    driver: Literal["kernel", "maker"] = "kernel"  # who brings it
    codec: Text = ""
    channels: Annotated[int, Meta(ge=1, le=32)] = 2  # that it captures
    rates: tuple[Annotated[int, Meta(ge=8000, le=192_000)], ...] = ()  # Hz, without conversion
    one_clock: bool = False  # both directions keep the same time
    input: Literal["microphone", "line"] = "microphone"  # line: a microphone needs a preamplifier
    output: Literal["speaker", "line", "headphones", "own"] = "line"  # headphones: the Pi's jack; own: built in
    loudspeaker: Text = ""  # what may be connected to the output
    lamp: Literal["gpio", "apa102", "i2c", "own", "none"] = "none"  # what lights on it, and how
    on_board: bool = False  # it has a button of its own
    socket: Text = ""  # where a button with a lamp plugs in, when that is not the header
    supply: Text = ""  # where it wants 5 V of its own
    pins: Mapping[str, NonEmpty] = {}  # BCM number -> what the HAT uses it for
    card: Card = Card()
    panel: Panel = Panel()
    mixer: Mapping[str, Setting] = {}
    sources: Mapping[str, NonEmpty] = {}
    trouble: tuple[Trouble, ...] = ()
    notes: tuple[NonEmpty, ...] = ()


class Profile(Facts, frozen=True):
    """One file, its name, and the dotted paths of those keys of [card] and [panel] that it holds."""

    name: str = ""
    holds: tuple[str, ...] = ()

    @property
    def taken(self) -> set[int]:
        """The pins (BCM) that are not free under this HAT."""
        return {int(pin) for pin in self.pins}

    @property
    def wired(self) -> set[tuple[str, int]]:
        """The keys of [panel] that it holds, each with a pin (BCM) that it gives them."""
        panel = self.panel
        pins = {"panel.button": (panel.button,), "panel.light": panel.light, "panel.light_power": (panel.light_power,)}
        return {(path, pin) for path in pins if path in self.holds for pin in pins[path]}


def read_profile(text: str, name: str) -> Profile:
    """Read a profile. Raises ConfigError with all problems."""
    source = f'the profile "{name}"'
    reading = Reading()
    facts = reading.table(Facts, document(text, source), "")
    own = [f"card.{key}" for key in Card.__struct_fields__] + [f"panel.{key}" for key in Panel.__struct_fields__]
    holds = tuple(path for path in own if path not in reading.left_out)
    profile = Profile(**structs.asdict(facts), name=name, holds=holds)
    wrong = {path.partition("[")[0] for path, _ in reading.problems}
    problems = [*reading.problems, *((path, words) for path, words in _rules(profile) if path not in wrong)]
    if problems:
        raise ConfigError([f"{source}: $.{path}: {sentence}" for path, sentence in problems])
    return profile


def filled(config: Config, profile: Profile, cards: Collection[str]) -> Config:
    """Return the configuration with the profile's values for the keys that it left out; `cards` are the ids found."""
    keys = [path for path in profile.holds if path in config.left_out]
    if "panel.light" not in keys and len(config.panel.light) != 2:  # a light of one's own, not the HAT's row of LEDs
        keys = [path for path in keys if path not in ("panel.light_leds", "panel.light_power")]
    values: dict[str, dict[str, object]] = {"card": {}, "panel": {}}
    for path in keys:
        section, _, key = path.partition(".")
        values[section][key] = getattr(getattr(profile, section), key)
    names = {key: value for key, value in values["card"].items() if isinstance(value, str) and PLACE in value}
    with_keys = structs.replace(
        config,
        card=structs.replace(config.card, **values["card"]),
        panel=structs.replace(config.panel, **values["panel"]),
        left_out=config.left_out - set(keys),
        hat_mixer=HatMixer(settings=profile.mixer, ids=profile.ids, names=names),
    )
    return as_found(with_keys, cards)


def occupied(config: Config, profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield path and sentence of each key that names a pin which the HAT needs for itself.

    Its own button, LEDs and relays are there to be used as such; so is what its profile has in [panel].
    """
    panel = config.panel
    if panel.pins == "none":
        return
    wired = [("panel.button", panel.button, "button"), *(("panel.light", pin, "light") for pin in panel.light)]
    if len(panel.light) == 2:
        wired.append(("panel.light_power", panel.light_power, "light"))
    wired += [(f"{join('relay', name)}.pin", relay.pin, "relay") for name, relay in config.relay.items()]
    for path, pin, what in wired:
        use = profile.pins.get(str(pin), "")
        if use and what != _whose(use) and (path, pin) not in profile.wired:
            yield path, f'{pin} is taken by the HAT "{profile.name}": {use}; choose a pin that it leaves free'


def _whose(use: str) -> str:
    return next((what for what, words in OWN.items() if re.search(words, use, re.IGNORECASE)), "")


def as_found(config: Config, cards: Collection[str]) -> Config:
    """Return the configuration for the card that is there now: of a HAT with several ids it may have any of them.

    Where none is there the likeliest is expected. A card may come late, so this is asked again when one is opened.
    """
    hat = config.hat_mixer
    if not hat.ids:
        return config
    card = next((id for id in hat.ids if id in cards), hat.ids[0])
    names = {key: name.replace(PLACE, card) for key, name in hat.names.items()}
    return structs.replace(
        config, card=structs.replace(config.card, **names), hat_mixer=structs.replace(hat, card=card)
    )


def matching(profiles: Collection[Profile], cards: Collection[str]) -> list[tuple[Profile, str]]:
    """Return the profiles whose card is there, with its id. Several HATs may have the same."""
    return [(profile, id) for profile in profiles for id in profile.ids if id in cards]


def likely(profiles: Collection[Profile], cards: Collection[str], product: str) -> list[tuple[Profile, str]]:
    """Return those of `matching` that the memory of the HAT calls `product`, or all of them where it names none."""
    found = matching(profiles, cards)
    return [one for one in found if product in one[0].products] or found


# ------------------------------------------------------------------------------------------------ controls of a mixer


class Part(Enum):
    """What of a control is set."""

    LEVEL = "Volume"
    SWITCH = "Switch"
    CHOICE = "Enum"


@dataclass(frozen=True, slots=True)
class Control:
    """A raw control as alsa-lib's simple mixer, and so pyalsaaudio, calls it.

    `direction` is "Playback", "Capture", or "" when its name leaves that open.
    """

    name: str
    part: Part
    direction: str


def control(raw: str, setting: Setting) -> Control:
    """Take a raw control's name apart: "Mic 2 Volume" and "Mic 2 Switch" are two parts of "Mic 2".

    Source: alsa-lib, src/mixer/simple_none.c, `suffixes`.
    """
    part = {bool: Part.SWITCH, int: Part.LEVEL, str: Part.CHOICE}[type(setting)]
    for direction in ("Playback", "Capture", ""):
        suffix = f" {direction} {part.value}" if direction else f" {part.value}"
        if raw.endswith(suffix) and len(raw) > len(suffix):
            return Control(raw.removesuffix(suffix), part, direction)
    return Control(raw, part, "")


def _rules(profile: Profile) -> Iterator[tuple[str, str]]:
    """Yield path and sentence of what makes no sense as a whole."""
    if not profile.ids:
        yield "ids", "expected the id of a card at least, as in /proc/asound/cards"
    for pin in profile.pins:
        if pin not in map(str, range(PINS)):
            yield join("pins", pin), f"expected a BCM number from 0 to {PINS - 1}, got {show(pin)}"
    if profile.rates and profile.card.rate not in profile.rates:
        yield "card.rate", f"{profile.card.rate} is none of its rates: {', '.join(map(str, profile.rates))}"
    if profile.card.capture_channel >= profile.channels:
        yield "card.capture_channel", f"{profile.card.capture_channel} of {profile.channels} channels, counted from 0"
    for name, setting in profile.mixer.items():
        if (wanted := _wanted(name)) is not None and type(setting) is not wanted:
            words = {int: "a raw level, which is a number", bool: "true or false"}[wanted]
            yield join("mixer", name), f"expected {words}, got {show(setting)}"


def _wanted(name: str) -> type[Setting] | None:
    """Return the type of a control's setting, when its name says that."""
    return int if name.endswith("Volume") else bool if name.endswith("Switch") else None
