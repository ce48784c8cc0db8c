"""Writes the page of a HAT from its profile: what it is, how it is wired, what a box with it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgevoice.profiles import UNVERIFIED, Profile
from edgevoice.schema import Setting
from hardware.wiring import relay_pin

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
MIC = "the microphone's hole away from the loudspeaker, and the loudspeaker in a chamber of its own"

Row = tuple[str, str, str]  # pieces, what, why


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
        *_facts(profile),
        *_section("To know", [*profile.notes]),
        *_section("Known troubles", [f"{trouble.words} ({trouble.source})" for trouble in profile.trouble]),
        *_mixer(profile),
        "",
        "## Bill of materials",
        "",
        "[parts.md](parts.md) explains the circuits. No part of these lists was bought and tried by us.",
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
    yield f"| button | GPIO{profile.panel.button}, {'on the HAT' if profile.on_board else 'to be wired'} |"
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
        marked = f"**{UNVERIFIED}**{source.removeprefix(UNVERIFIED)}" if source.startswith(UNVERIFIED) else source
        yield f"| {', '.join(f'`{fact}`' for fact in facts.split())} | {marked} |"


def _table(name: str, rows: Sequence[Row]) -> Iterator[str]:
    yield from (f"### {name}", "", "| pieces | what | why |", "|---|---|---|")
    yield from (f"| {pieces} | {what} | {why} |" for pieces, what, why in rows)


# --------------------------------------------------------------------------------------------- the bills of materials


def kiosk(profile: Profile) -> list[Row]:
    """Return what a kiosk in a room is made of."""
    return [
        (
            "1",
            "Raspberry Pi with 40 pins, 512 MB or more",
            "with canceller the box took 70 to 74 MB in calls (`python -m benchmarks.soak_calls --minutes 8`)",
        ),
        (
            "1",
            "supply of 5.1 V and 3 A, short and thick cable",
            "a voltage that sags shows as crackling and lost calls",
        ),
        *_sound(profile, "in a box of its own, 3 to 5 W", "more loudness than the room needs is echo"),
        ("1", f"push button that closes, between GPIO{profile.panel.button} and ground", "any that is made for hands"),
        *_light(profile),
        ("1", "enclosure", MIC),
    ]


def intercom(profile: Profile) -> list[Row]:
    """Return what an intercom in the open is made of."""
    return [
        ("1", "Raspberry Pi with Ethernet", "a gate is no place for Wi-Fi"),
        ("1", "PoE: an 802.3af splitter to 5 V, 2.4 A, with isolation", "a PoE HAT wants the header for itself"),
        *_sound(profile, "weatherproof (plastic cone, IP65), 8 Ω, 2 to 5 W", "paper swells"),
        ("1", "vandal-proof button, 19 mm, IP67, with a ring light for 3 V", "stainless steel, screwed from behind"),
        ("1 + 1", "1 kΩ and 100 nF, at the Pi, for the button's cable", "a cable of more than a metre is an antenna"),
        *_light(profile),
        (
            "1",
            f"relay board with opto-coupler, its input at GPIO{relay_pin(profile)}",
            "keeps the opener out of the Pi",
        ),
        ("1", "1N4007 across the relay's coil, its ring at plus", "the flyback of the coil; most boards have it"),
        (
            "1",
            "1N4007 (DC) or a varistor (AC) across the door opener",
            "the flyback of the opener, which is the larger one",
        ),
        ("1", "supply of the opener (12 V), fused", "never from the Pi"),
        ("1", "enclosure IP65 with a membrane vent", "water condenses in a tight box"),
        ("1", "acoustic membrane before the microphone", "wind, water, insects"),
    ]


def _sound(profile: Profile, loudspeaker: str, why: str) -> list[Row]:
    """Return the rows of HAT, amplifier and loudspeaker."""
    hat = [("1", profile.title, "microphone and loudspeaker")]
    match profile.output:
        case "own":
            return hat
        case "speaker":
            return [*hat, ("1", f"loudspeaker, {loudspeaker}; the HAT drives {profile.loudspeaker}", why)]
        case "line" | "headphones":
            amplifier = (
                "1",
                "amplifier (class D, 2 × 3 W, with a knob or fixed gain)",
                f"it gives {profile.output} level",
            )
            return [*hat, amplifier, ("1", f"loudspeaker, {loudspeaker}", why)]


def _light(profile: Profile) -> list[Row]:
    if profile.lamp in ("gpio", "apa102"):
        return []
    pins = "+".join(f"GPIO{pin}" for pin in profile.panel.light)
    return [("1", f"LED with 330 Ω, between {pins} and ground", "says when the microphone is open")]
