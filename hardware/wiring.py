"""Draws how a HAT sits on the Pi, and what is to be wired to it, as one SVG made from its profile.

    parts of the left ── wires ── names │ o o │ names ── wires ── parts of the right
                                        the header
    below: the circuit of each part

What is drawn is an intercom at a gate; a kiosk is made of less. Only what the profile says is drawn, so that the two
cannot disagree. The file needs nothing but itself, and follows the reader's choice of light or dark.

The header: Raspberry Pi documentation, GPIO and the 40-pin header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from edgevoice.profiles import Profile
from hardware.circuits import HEIGHT as CIRCUITS
from hardware.circuits import circuits

PINS = {  # BCM number -> place on the header
    **{2: 3, 3: 5, 4: 7, 14: 8, 15: 10, 17: 11, 18: 12, 27: 13, 22: 15, 23: 16, 24: 18, 10: 19, 9: 21, 25: 22, 11: 23},
    **{8: 24, 7: 26, 0: 27, 1: 28, 5: 29, 6: 31, 12: 32, 13: 33, 19: 35, 16: 36, 26: 37, 20: 38, 21: 40},
}
AT = {place: gpio for gpio, place in PINS.items()}
GROUNDS, THREE_VOLTS, FIVE_VOLTS = (6, 9, 14, 20, 25, 30, 34, 39), (1, 17), (2, 4)
# The pin of a door is the first of these that is free. GPIO0 to 8 are pulled up from power-on until a program takes
# them, those above are pulled down: a door must not open because the power came back. Source: BCM2835 ARM Peripherals,
# page 102.
FOR_RELAYS = (26, 16, 13, 22)
FOR_LIGHTS = (25, 24, 22)  # of the ring light, where the profile's light is the HAT's own

WIDTH, TOP, PITCH = 960, 92, 25  # px
LEGEND = TOP + 20 * PITCH + 38
HEIGHT = LEGEND + 50 + CIRCUITS
COLUMNS = {1: 466, 0: 494}  # x of the odd and of the even pins
NAMES = 176  # px that the names take on either side
LETTER = 7.6  # px, a generous mean for 13 px text
BOX, BOX_GAP, LINE = 214, 16, 17  # px: width of a part, distance between two, height of a line
CHANNEL = 7  # px between two wires


@dataclass(frozen=True, slots=True)
class Part:
    """Something outside the HAT: its name, what is to be known of it, its pin (BCM) and the place of its ground.

    Without a ground it hangs on a socket of the HAT, and on no place of the header.
    """

    kind: str
    words: Sequence[str]
    pin: int
    ground: int | None

    @property
    def places(self) -> tuple[int, ...]:
        """The places on the header that it is wired to."""
        return () if self.ground is None else (PINS[self.pin], self.ground)

    @property
    def wires(self) -> tuple[str, str]:
        """The names of its two wires, signal and ground."""
        if self.ground is None:
            return "socket: signal", "socket: ground"
        return f"GPIO{self.pin}, pin {PINS[self.pin]}", f"ground, pin {self.ground}"


def draw(profile: Profile) -> str:
    """Return the drawing as a whole SVG file."""
    parts = parts_of(profile)
    button, light, door = (part.wires for part in parts)
    wired = {place: part.kind for part in parts for place in part.places}
    inside = [
        f'<text class="title" x="24" y="34">{escape(profile.title)}</text>',
        f'<text x="24" y="56">{escape(_subtitle(profile))}</text>',
        *_side(parts, profile, odd=1),
        *_side(parts, profile, odd=0),
        _board(),
        *(mark for place in range(1, 41) for mark in _pin(place, profile, wired)),
        *_legend(profile),
        *circuits(LEGEND + 60, button=button, light=light, door=door),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(profile.title)}: wiring"><style>{_style()}</style>'
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>{"".join(inside)}</svg>\n'
    )


def parts_of(profile: Profile) -> tuple[Part, Part, Part]:
    """Return what is to be wired: a button that closes to ground, a light, and a door."""
    used, button = set[int](), profile.panel.button
    ground = None if profile.socket else _ground(button, used)
    light, door = light_pin(profile), relay_pin(profile)
    return (
        Part("button", ("Button", *_where(profile)), button, ground),
        Part("light", ("Light", "a ring around the button"), light, _ground(light, used)),
        Part("relay", ("Door", "opto-coupler, relay, opener"), door, _ground(door, used)),
    )


def _where(profile: Profile) -> Sequence[str]:
    if profile.socket:
        return f"at the {profile.socket}", "(in a kiosk with its lamp)"
    return ("beside the one on the HAT",) if profile.on_board else ()


def lit_by_hat(profile: Profile) -> bool:
    """Say whether the profile's light is one that the HAT brings, or has a socket for."""
    return not profile.taken.isdisjoint(profile.panel.light)


def light_pin(profile: Profile) -> int:
    """Return the BCM number of an LED of one's own: the profile's, or a free one where the HAT has the light."""
    if not lit_by_hat(profile):
        return profile.panel.light[0]
    return next(pin for pin in FOR_LIGHTS if pin not in {*profile.taken, profile.panel.button})


def relay_pin(profile: Profile) -> int:
    """Return a BCM number for a door's relay that neither the HAT nor the panel takes."""
    taken = {*profile.taken, profile.panel.button, light_pin(profile)}
    return next(pin for pin in FOR_RELAYS if pin not in taken)


def _ground(pin: int, used: set[int]) -> int:
    """Return the nearest ground on the same side that nothing else is wired to, and take it."""
    free, place = [ground for ground in GROUNDS if ground not in used], PINS[pin]
    same = [ground for ground in free if ground % 2 == place % 2]
    found = min(same or free, key=lambda ground: abs(ground - place))
    used.add(found)
    return found


def _y(place: int) -> float:
    return TOP + (place - 1) // 2 * PITCH + PITCH / 2


# ------------------------------------------------------------------------------------------------- the parts, the wires


def _side(parts: Sequence[Part], profile: Profile, odd: int) -> Iterator[str]:
    """Draw the parts whose signal is on this side of the header, from the top, with their wires."""
    mine = sorted((part for part in parts if PINS[part.pin] % 2 == odd), key=lambda part: _y(PINS[part.pin]))
    edge = 20 + BOX if odd else WIDTH - 20 - BOX
    free, channel = 0.0, 0
    for part in mine:
        height = LINE * (len(part.words) + 1)
        around = part.places or (PINS[part.pin],)
        wanted = sum(map(_y, around)) / len(around) - height / 2
        y = max(wanted, free)
        free = y + height + BOX_GAP
        places, last = sorted(part.places), len(part.places) - 1
        for n, place in enumerate(places):
            at = y + height * (n + 1) / (last + 2)
            outer = n if y <= wanted else last - n  # of wires that go down the uppermost turns last, and none cross
            name = _name(place, profile, {place: part.kind for place in places})[1]
            yield _wire(place, name, edge, at, channel + outer, part.kind)
        channel += len(places)
        yield from _box(part, edge - BOX if odd else edge, y, height)


def _wire(place: int, name: str, edge: float, y: float, channel: int, kind: str) -> str:
    """Draw one wire: from the name of its pin, up or down in a channel of its own, into the part."""
    out = -1 if place % 2 else 1
    begin = COLUMNS[place % 2] + out * (24 + LETTER * len(name))
    turn = COLUMNS[place % 2] + out * (NAMES + channel * CHANNEL)
    kind = "ground" if place in GROUNDS else kind
    return f'<path class="wire {kind}" d="M{begin:.1f} {_y(place)}H{turn}V{y:.1f}H{edge}"/>'


def _box(part: Part, x: float, y: float, height: float) -> Iterator[str]:
    yield f'<rect class="part {part.kind}" x="{x}" y="{y:.1f}" width="{BOX}" height="{height}" rx="7"/>'
    for n, words in enumerate(part.words):
        kind = ' class="name"' if n == 0 else ""
        yield f'<text{kind} x="{x + 12}" y="{y + LINE * (n + 1) + 3:.1f}">{escape(words)}</text>'


# ----------------------------------------------------------------------------------------------------------- the header


def _board() -> str:
    left, right = COLUMNS[1] - 15, COLUMNS[0] + 15
    return f'<rect class="board" x="{left}" y="{TOP - 4}" width="{right - left}" height="{20 * PITCH + 8}" rx="8"/>'


def _pin(place: int, profile: Profile, wired: dict[int, str]) -> Iterator[str]:
    """Draw one pin with its number, and its name beside it."""
    x, y = COLUMNS[place % 2], _y(place)
    kind, words = _name(place, profile, wired)
    yield f'<circle class="pin {kind}" cx="{x}" cy="{y}" r="10"/>'
    yield f'<text class="number {kind}" x="{x}" y="{y + 4}" text-anchor="middle">{place}</text>'
    if words:
        beside = f'x="{x - 19}" text-anchor="end"' if place % 2 else f'x="{x + 19}"'
        yield f'<text class="label" {beside} y="{y + 4}">{escape(words)}</text>'


def _name(place: int, profile: Profile, wired: dict[int, str]) -> tuple[str, str]:
    """Return the class of a pin, and its name."""
    if place in GROUNDS:
        return "ground", "ground" if place in wired else ""
    if place in (*THREE_VOLTS, *FIVE_VOLTS):
        return "volts", "3.3 V" if place in THREE_VOLTS else "5 V"
    gpio = AT[place]
    use = profile.pins.get(str(gpio), "")
    if place in wired:
        return wired[place], f"GPIO{gpio}: {use or wired[place]}"
    if use:
        ours = {profile.panel.button: "button", **dict.fromkeys(profile.panel.light, "light")}
        return ours.get(gpio, "taken"), f"GPIO{gpio}: {use}"
    if gpio in (0, 1):
        return "memory", f"GPIO{gpio}: memory of HATs"
    return "free", f"GPIO{gpio}"


def _subtitle(profile: Profile) -> str:
    light = "+".join(f"GPIO{pin}" for pin in profile.panel.light)
    return f'hat = "{profile.name}": button GPIO{profile.panel.button}, light {light}'


def _legend(profile: Profile) -> Iterator[str]:
    keys = f"In edgevoice.toml: {'; '.join(keys_of_a_gate(profile))}"
    for n, (kind, words) in enumerate([("taken", "used by the HAT"), ("free", "free"), ("volts", "supply")]):
        x = 24 + n * 165
        yield f'<circle class="pin {kind}" cx="{x + 8}" cy="{LEGEND - 4}" r="8"/>'
        yield f'<text x="{x + 24}" y="{LEGEND}">{words}</text>'
    yield f'<text x="{WIDTH - 24}" y="{LEGEND}" text-anchor="end">{escape(keys)}</text>'
    yield f'<text x="24" y="{LEGEND + 24}">In the circles: places on the header. Place 1 is at the corner.</text>'


def keys_of_a_gate(profile: Profile) -> list[str]:
    """Return what `edgevoice.toml` needs for what is drawn, beside the name of the HAT."""
    light = [f"[panel] light = [{light_pin(profile)}]"] if lit_by_hat(profile) else []
    return [*light, f"[relay.door] pin = {relay_pin(profile)}"]


def _style() -> str:
    """Return the style in both palettes. Not every program that shows SVG knows variables."""
    dark = COLOURS.format_map(DARK).replace("\n", "")
    return f"{FORMS}{COLOURS.format_map(PALE)}@media (prefers-color-scheme:dark){{{dark}}}"


PALE = {
    **{"paper": "#fbfbfa", "ink": "#1d2329", "soft": "#5d666f", "line": "#aab1b8", "board": "#e9ecef"},
    **{"taken": "#d98c1f", "volts": "#c8322b", "button": "#2563c9", "light": "#0b7f6b", "relay": "#8a3fb5"},
}
DARK = {
    **{"paper": "#14171a", "ink": "#e6e9ec", "soft": "#98a2ac", "line": "#5d666f", "board": "#23282d"},
    **{"taken": "#e0a23f", "volts": "#ff7b72", "button": "#79a8ff", "light": "#4cc9b0", "relay": "#cf95f0"},
}
FORMS = """
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
.title{font-size:18px;font-weight:600}.name{font-weight:600}.number{font-size:10px}
.pin{stroke-width:1.5}.pin.memory{stroke-dasharray:3 2}
.wire{fill:none;stroke-width:2.5;stroke-linejoin:round}.part{stroke-width:2}
.mark{font-weight:600}.symbol,.case{stroke-width:1.8;stroke-linejoin:round}
.case{fill:none;stroke-dasharray:5 3}.ray{fill:none;stroke-width:1.2}
"""
COLOURS = """text{{fill:{soft}}}.title,.name,.label,.mark{{fill:{ink}}}
.paper,.part,.pin,.symbol{{fill:{paper}}}.symbol.open{{fill:none}}
.board{{fill:{board};stroke:{line}}}.pin{{stroke:{line}}}
.pin.taken{{fill:{taken}}}.pin.volts{{fill:{volts}}}.pin.ground{{fill:{ink}}}
.pin.button{{fill:{button}}}.pin.light{{fill:{light}}}.pin.relay{{fill:{relay}}}
.number.taken,.number.volts,.number.ground,.number.button,.number.light,.number.relay{{fill:{paper}}}
.wire.ground{{stroke:{ink}}}.wire.button,.part.button{{stroke:{button}}}
.wire.light,.part.light{{stroke:{light}}}.wire.relay,.part.relay{{stroke:{relay}}}
.symbol,.case,.ray,.wire.plain{{stroke:{ink}}}.dot,.point{{fill:{ink}}}.wire.far{{stroke:{taken}}}
"""
