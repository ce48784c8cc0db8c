"""Writes the page of a HAT from its profile: what it is, how it is wired, what a box with it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgevoice.profiles import UNVERIFIED, Profile
from edgevoice.schema import Setting
from hardware.bill import Row, intercom, kiosk
from hardware.wiring import keys_of_a_gate, lit_by_hat

LAMPS = {
    "gpio": "an LED at a pin: the box drives it",
    "apa102": "APA102 LEDs, data and clock at two pins: the box drives them",
    "i2c": "LEDs at an I²C chip: **this version cannot drive them**; wire an LED of your own",
    "own": "it has lights of its own, which the box leaves alone; wire an LED of your own",
    "none": "none: wire an LED of your own",
}
CLOCKS = {
    True: "one for both directions: the echo comes after the same time for ever",
    False: "two: they drift apart, and the box has to follow",
}
DRIVERS = {"kernel": "the kernel's", "maker": "the maker's, to be installed: see below"}


def page(profile: Profile) -> str:
    """Return the page as Markdown."""
    lines = [
        f"<!-- Made from profiles/{profile.name}.toml by `python -m hardware`: change that. -->",
        "",
        f"# {profile.title}",
        "",
        *_configuration(profile),
        "",
        f"![How it is wired](wiring/{profile.name}.svg)",
        "",
        *_gate(profile),
        "",
        *_facts(profile),
        *_section("To know", [*profile.notes]),
        *_section("Known troubles", [f"{trouble.words} ({trouble.source})" for trouble in profile.trouble]),
        *_mixer(profile),
        "",
        "## Bill of materials",
        "",
        "[parts.md](parts.md) explains the circuits; marks like R1 are those of the drawing. No part of these lists",
        "was bought and tried by us.",
        "",
        *_table("A kiosk", kiosk(profile)),
        "",
        *_table("An intercom at a gate", intercom(profile)),
        "",
        *_sources(profile),
    ]
    return "\n".join(lines) + "\n"


def index(profiles: Sequence[Profile]) -> str:
    """Return the table of all pages."""
    rows = [
        (
            f"[{profile.title}]({profile.name}.md)",
            f"`{profile.name}`",
            f"`{profile.overlay}`" if profile.overlay else "–",
            "one" if profile.one_clock else "two",
            f"GPIO{profile.panel.button}",
            "+".join(f"GPIO{pin}" for pin in profile.panel.light),
        )
        for profile in profiles
    ]
    head = ["| HAT | `device.hat` | in config.txt | clocks | button | light |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


# ------------------------------------------------------------------------------------------------- parts of the page


def _configuration(profile: Profile) -> Iterator[str]:
    if profile.overlay:
        yield from ("In `/boot/firmware/config.txt`, and then a restart:", "", f"    {profile.overlay}", "")
    yield from ("In `edgevoice.toml`:", "", "    [device]", f'    hat = "{profile.name}"')


def _gate(profile: Profile) -> Iterator[str]:
    """Yield what of the drawing is for a gate alone."""
    if profile.socket:
        less = f"A kiosk has a button with its lamp at the {profile.socket}, and nothing else."
    else:
        light = "and its light is the HAT's own" if lit_by_hat(profile) else "and so does its light, through R2"
        less = f"A kiosk has no door, and none of R1, C1, D1, D2: its button goes straight to its pins, {light}."
    yield f"The drawing is that of an intercom at a gate. {less}"
    yield from ("An intercom has in `edgevoice.toml` as well:", "")
    for keys in keys_of_a_gate(profile):
        section, _, key = keys.partition(" ")
        yield from (f"    {section}", f"    {key}")


def _facts(profile: Profile) -> Iterator[str]:
    ids = " or ".join(f"`{id}`" for id in profile.ids)
    rates = ", ".join(str(rate) for rate in profile.rates)
    yield from ("| | |", "|---|---|")
    yield f"| id of the card | {ids} (`cat /proc/asound/cards`) |"
    yield f"| codec | {profile.codec} |"
    yield f"| driver | {DRIVERS[profile.driver]} |"
    yield f"| captures | {profile.channels} channels, of which the box takes number {profile.card.capture_channel} |"
    yield f"| rates, Hz | {rates}; the box takes {profile.card.rate} |"
    yield f"| clocks | {CLOCKS[profile.one_clock]} |"
    yield f"| loudspeaker | {profile.loudspeaker} |"
    where = "on the HAT" if profile.on_board else f"at the {profile.socket}" if profile.socket else "to be wired"
    yield f"| button | GPIO{profile.panel.button}, {where} |"
    yield f"| light | {LAMPS[profile.lamp]} |"
    if profile.pins:
        pins = ", ".join(f"GPIO{pin} ({use})" for pin, use in profile.pins.items())
        yield f"| takes the pins | {pins} |"


def _section(name: str, words: Sequence[str]) -> Iterator[str]:
    if words:
        yield from ("", f"## {name}", "", *(f"* {each}" for each in words))


def _mixer(profile: Profile) -> Iterator[str]:
    if not profile.mixer:
        return
    yield from ("", "## The mixer", "")
    yield "While the box runs these are set (`amixer -c ID controls` shows them), and afterwards put back as they were:"
    yield ""
    yield from (f"    {name} = {_value(setting)}" for name, setting in profile.mixer.items())


def _value(setting: Setting) -> str:
    return {True: "on", False: "off"}[setting] if isinstance(setting, bool) else str(setting)


def _sources(profile: Profile) -> Iterator[str]:
    yield from ("## Where this is from", "", "| fact | source |", "|---|---|")
    for facts, source in profile.sources.items():
        marked = source.replace(UNVERIFIED, f"**{UNVERIFIED}**")
        yield f"| {', '.join(f'`{fact}`' for fact in facts.split())} | {marked} |"


def _table(name: str, rows: Sequence[Row]) -> Iterator[str]:
    yield from (f"### {name}", "", "| pieces | what | why |", "|---|---|---|")
    yield from (f"| {pieces} | {what} | {why} |" for pieces, what, why in rows)
