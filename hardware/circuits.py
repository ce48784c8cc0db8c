"""The three circuits between a Pi and a gate: its button, its light, its door.

    Pi ── resistor ──┬── cable ── button, light, or the relay's board
                     TVS diode, on the side of the cable

Each part has a mark and is told of once, in PARTS: the bill lists them, the drawing draws them, parts.md calculates.

Values. PC817: Sharp's data sheet (1.2 V at 20 mA, current transfer ratio 50 % or more at 5 mA). G5LE-1 DC12: Omron's
(360 Ω, 33.3 mA, closes at 9 V). PESD3V3L1BA: UMW's (3.3 V, either polarity, 1 µA). BC337-25, 1N4007, 1N4148: typical,
unverified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

HEIGHT = 492  # px of all three


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a circuit: its mark and its value in the drawing, and what is bought."""

    mark: str
    value: str
    what: str
    why: str


TVS = "TVS diode of 3.3 V that leaks little: PESD3V3L1BA"
SURGES = "on the cable's side of its resistor, against surges and fingers"
SHUT = "keeps the door shut while nothing drives it, as during boot"
LED = "4 mA for the ring light; 6 mA for the opto-coupler"
FLYBACK = "a coil that is switched off drives its current on: its ring is at plus"
PARTS = (
    Component(
        "S1",
        "button",
        "vandal-proof button that closes, 19 mm, IP67; its ring light red or green, of 2 V, without a resistor",
        "stainless steel, screwed from behind; the ring is the light of the box",
    ),
    Component("R1", "1 kΩ", "resistor 1 kΩ", "keeps out of the pin what the cable catches"),
    Component("C1", "100 nF", "capacitor 100 nF, ceramic", "takes the spikes of the button's cable"),
    Component("R2", "330 Ω", "resistor 330 Ω", LED),
    Component("R3", "330 Ω", "resistor 330 Ω", LED),
    Component("R4", "10 kΩ", "resistor 10 kΩ", SHUT),
    Component("R6", "10 kΩ", "resistor 10 kΩ", SHUT),
    Component("R5", "4.7 kΩ", "resistor 4.7 kΩ", "2.4 mA into the base of Q1"),
    Component("D1", "TVS", TVS, SURGES),
    Component("D2", "TVS", TVS, SURGES),
    Component("D3", "TVS", TVS, SURGES),
    Component("D4", "1N4148", "diode 1N4148", "leads surges round the LED of the opto-coupler"),
    Component("U1", "PC817", "opto-coupler PC817", "the Pi and the door have no wire in common"),
    Component("Q1", "BC337-25", "NPN transistor BC337-25", "the coil takes 33 mA, an opto-coupler carries a few"),
    Component("K1", "G5LE-1", "relay Omron G5LE-1 DC12: coil of 12 V, 360 Ω", "its contact carries 8 A at 30 V DC"),
    Component("D5", "1N4007", "diode 1N4007", FLYBACK),
    Component("D6", "1N4007", "diode 1N4007", FLYBACK),
    Component(
        "G1", "DC 12 V", "supply of 12 V DC, 1.5 A, isolated from the mains", "for coil and opener; never the Pi's"
    ),
    Component("F1", "1 A", "fuse of 1 A, slow, with its holder", "in the plus wire of G1"),
    Component("Y1", "opener", "door opener for 12 V DC, 1 A at most, that opens with current", "shut without power"),
)
BY_MARK = {part.mark: part for part in PARTS}


def circuits(top: float, *, button: tuple[str, str], light: tuple[str, str], door: tuple[str, str]) -> Iterator[str]:
    """Draw them as SVG below `top` px; of each the names of the two wires that come from the Pi, signal and ground."""
    yield from _button(top, button)
    yield from _light(top, light)
    yield from _door(top + 180, door)


# -------------------------------------------------------------------------------------------------------- the circuits
# Each begins at the Pi, left, with its signal above and its ground below.


def _button(top: float, names: tuple[str, str]) -> Iterator[str]:
    signal, ground = top + 50, top + 140
    yield _title(24, top, "Button")
    yield from _from_pi(132, signal, ground, names)
    yield _wire("button", f"M132 {signal}H420V{(signal + ground) / 2}")
    yield _wire("ground", f"M132 {ground}H420V{(signal + ground) / 2}")
    yield from _capacitor("C1", 172, signal, ground)
    yield from _resistor("R1", 242, signal)
    yield from _tvs("D1", 292, signal, ground)
    yield _cable(352, signal)
    yield from _contact("S1", 420, (signal + ground) / 2, "button")


def _light(top: float, names: tuple[str, str]) -> Iterator[str]:
    signal, ground = top + 50, top + 140
    yield _title(504, top, "Light")
    yield from _from_pi(612, signal, ground, names)
    yield _wire("light", f"M612 {signal}H850V{(signal + ground) / 2}")
    yield _wire("ground", f"M612 {ground}H850V{(signal + ground) / 2}")
    yield from _resistor("R2", 662, signal)
    yield from _tvs("D2", 712, signal, ground)
    yield _cable(782, signal)
    yield _diode(850, (signal + ground) / 2, "down")
    yield _light_of_led(862, (signal + ground) / 2)
    yield from _label(886, (signal + ground) / 2, "S1", "its ring")


def _door(top: float, names: tuple[str, str]) -> Iterator[str]:
    signal, ground = top + 60, top + 190
    yield _title(24, top, "Door")
    yield from _from_pi(132, signal, ground, names)
    yield _wire("relay", f"M132 {signal}H446V{(signal + ground) / 2}")
    yield _wire("ground", f"M132 {ground}H446V{(signal + ground) / 2}")
    yield from _upright("R4", 164, signal, ground)
    yield from _resistor("R3", 242, signal)
    yield from _tvs("D3", 280, signal, ground)
    yield _cable(330, signal)
    yield _wire("relay", f"M352 {signal}V{ground}")
    yield from (_dot(352, y) for y in (signal, ground))
    yield _diode(352, (signal + ground) / 2, "up")
    yield from _label(364, (signal + ground) / 2, "D4", BY_MARK["D4"].value)
    yield from _opto_coupler("U1", 424, signal, ground)
    yield from _behind_the_door(top)


def _behind_the_door(top: float) -> Iterator[str]:
    """Draw what hangs on the supply of the opener: its plus above, its minus below."""
    plus, node, minus = top + 10, top + 135, top + 270
    collector, emitter = top + 60, top + 190  # of the opto-coupler; the latter drives the base of Q1
    yield _wire("far", f"M500 {collector}H516V{plus}H944V{minus}H600V{emitter}M500 {emitter}H646")
    yield _wire("far", f"M664 {plus}V{emitter - 14}M664 {emitter + 14}V{minus}M664 {node}H716V{plus}")
    yield _wire("far", f"M812 {plus}V{minus}M812 {node}H868V{minus}")
    yield from _resistor("R5", 556, emitter)
    yield from _upright("R6", 600, emitter, minus)
    yield from _transistor("Q1", 646, emitter)
    yield from _coil("K1", 664, top + 85)
    yield _diode(716, top + 85, "up")
    yield from _label(730, top + 85, "D5", BY_MARK["D5"].value)
    yield from _contact("K1", 812, top + 85, "contact")
    yield from _opener("Y1", 812, top + 200)
    yield _diode(868, top + 200, "up")
    yield from _label(882, top + 200, "D6", BY_MARK["D6"].value)
    yield from _fuse("F1", 944, top + 52)
    yield from _supply("G1", 944, top + 120)
    ends = [(664, plus), (716, plus), (812, plus), (664, node), (812, node), (664, minus), (812, minus), (868, minus)]
    yield from (_dot(x, y) for x, y in ends)
    yield f'<text x="522" y="{plus - 7}">+ 12 V</text>'
    yield f'<text x="522" y="{minus + 22}">− of G1, which touches no ground of the Pi</text>'


# --------------------------------------------------------------------------------------------------------- the symbols
# The wires are drawn first, and a symbol covers the wire that it lies on.


def _title(x: float, top: float, words: str) -> str:
    return f'<text class="name" x="{x}" y="{top + 14}">{words}</text>'


def _from_pi(x: float, signal: float, ground: float, names: tuple[str, str]) -> Iterator[str]:
    for y, name in zip((signal, ground), names, strict=True):
        yield f'<circle class="symbol" cx="{x}" cy="{y}" r="4"/>'
        yield f'<text class="label" x="{x - 9}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'


def _wire(kind: str, path: str) -> str:
    return f'<path class="wire {kind}" d="{path}"/>'


def _dot(x: float, y: float) -> str:
    return f'<circle class="dot" cx="{x}" cy="{y}" r="3.5"/>'


def _cable(x: float, y: float) -> str:
    return f'<text x="{x}" y="{y - 7}" text-anchor="middle">cable</text>'


def _label(x: float, y: float, mark: str, value: str, anchor: str = "start") -> Iterator[str]:
    """Write mark and value in two lines beside a symbol whose middle is at `y`."""
    yield f'<text class="mark" x="{x}" y="{y - 3}" text-anchor="{anchor}">{mark}</text>'
    yield f'<text x="{x}" y="{y + 12}" text-anchor="{anchor}">{escape(value)}</text>'


def _covered(x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="symbol" x="{x - width / 2}" y="{y - height / 2}" width="{width}" height="{height}"/>'


def _gap(x: float, y: float, height: float) -> str:
    return f'<rect class="paper" x="{x - 5}" y="{y - height / 2}" width="10" height="{height}"/>'


def _resistor(mark: str, x: float, y: float) -> Iterator[str]:
    yield _covered(x, y, 36, 14)
    yield f'<text class="mark" x="{x}" y="{y - 12}" text-anchor="middle">{mark}</text>'
    yield f'<text x="{x}" y="{y + 22}" text-anchor="middle">{BY_MARK[mark].value}</text>'


def _upright(mark: str, x: float, above: float, below: float) -> Iterator[str]:
    """Draw a resistor from one wire to another."""
    yield _wire("plain", f"M{x} {above}V{below}")
    yield from (_dot(x, y) for y in (above, below))
    yield _covered(x, (above + below) / 2, 14, 36)
    yield from _label(x + 13, (above + below) / 2, mark, BY_MARK[mark].value)


def _capacitor(mark: str, x: float, above: float, below: float) -> Iterator[str]:
    y = (above + below) / 2
    yield _wire("plain", f"M{x} {above}V{below}")
    yield from (_dot(x, end) for end in (above, below))
    yield _gap(x, y, 8)
    yield f'<path class="symbol" d="M{x - 13} {y - 4}H{x + 13}M{x - 13} {y + 4}H{x + 13}"/>'
    yield from _label(x + 18, y, mark, BY_MARK[mark].value)


def _tvs(mark: str, x: float, above: float, below: float) -> Iterator[str]:
    """Draw one for both polarities: two points that meet at a bar."""
    y = (above + below) / 2
    yield _wire("plain", f"M{x} {above}V{below}")
    yield from (_dot(x, end) for end in (above, below))
    yield f'<path class="symbol" d="M{x - 9} {y - 16}H{x + 9}L{x} {y}L{x + 9} {y + 16}H{x - 9}L{x} {y}Z"/>'
    yield f'<path class="symbol" d="M{x - 10} {y}H{x + 10}"/>'
    yield from _label(x + 15, y, mark, BY_MARK[mark].value)


def _diode(x: float, y: float, conducts: str) -> str:
    """Draw a diode that lets current pass "up" or "down": its bar, the cathode, is where the current goes."""
    tip = 10 if conducts == "down" else -10
    return f'<path class="symbol" d="M{x - 10} {y - tip}H{x + 10}L{x} {y + tip}ZM{x - 10} {y + tip}H{x + 10}"/>'


def _light_of_led(x: float, y: float) -> str:
    arrow = "l12 -7m-5 -1l5 1l-2 5"
    return f'<path class="ray" d="M{x} {y - 1}{arrow}M{x} {y + 10}{arrow}"/>'


def _contact(mark: str, x: float, y: float, words: str) -> Iterator[str]:
    """Draw one that is open at rest."""
    yield _gap(x, y, 28)
    yield f'<path class="symbol" d="M{x} {y + 14}L{x - 13} {y - 11}"/>'
    yield from (_dot(x, y + end) for end in (-14, 14))
    yield from _label(x + 11, y, mark, words)


def _opto_coupler(mark: str, x: float, signal: float, ground: float) -> Iterator[str]:
    """Draw LED and transistor over the wires that end in them; the numbers are those of its legs."""
    y = (signal + ground) / 2
    yield f'<rect class="case" x="{x}" y="{signal - 16}" width="76" height="{ground - signal + 32}" rx="4"/>'
    yield f'<text class="mark" x="{x + 38}" y="{signal - 24}" text-anchor="middle">{mark}</text>'
    yield f'<text x="{x + 38}" y="{ground + 32}" text-anchor="middle">{BY_MARK[mark].value}</text>'
    yield _diode(x + 22, y, "down")
    yield _light_of_led(x + 34, y)
    collector, emitter = (
        f"M{x + 76} {signal}H{x + 66}V{y - 18}L{x + 54} {y - 7}",
        f"M{x + 54} {y + 7}L{x + 66} {y + 18}",
    )
    yield f'<path class="symbol open" d="M{x + 54} {y - 16}V{y + 16}{collector}{emitter}V{ground}H{x + 76}"/>'
    yield f'<path class="point" d="M{x + 66} {y + 18}l-9 -2l5 -6Z"/>'
    for number, at, height in ((1, x - 8, signal), (2, x - 8, ground), (4, x + 82, signal), (3, x + 82, ground)):
        yield f'<text class="number" x="{at}" y="{height - 5}" text-anchor="middle">{number}</text>'


def _transistor(mark: str, x: float, y: float) -> Iterator[str]:
    """Draw an NPN one: base at the left, collector above, emitter below."""
    yield f'<circle class="symbol" cx="{x + 9}" cy="{y}" r="18"/>'
    yield f'<path class="symbol open" d="M{x - 9} {y}H{x + 2}M{x + 2} {y - 11}V{y + 11}"/>'
    yield f'<path class="symbol open" d="M{x + 2} {y - 4}L{x + 18} {y - 15}M{x + 2} {y + 4}L{x + 18} {y + 15}"/>'
    yield f'<path class="point" d="M{x + 18} {y + 15}l-10 -2l5 -7Z"/>'
    yield from _label(x + 32, y, mark, BY_MARK[mark].value)


def _coil(mark: str, x: float, y: float) -> Iterator[str]:
    yield _covered(x, y, 40, 24)
    yield from _label(x - 26, y, mark, BY_MARK[mark].value, "end")


def _opener(mark: str, x: float, y: float) -> Iterator[str]:
    yield _covered(x, y, 40, 24)
    yield from _label(x - 26, y + 38, mark, BY_MARK[mark].value, "end")


def _fuse(mark: str, x: float, y: float) -> Iterator[str]:
    yield f'<rect class="symbol open" x="{x - 6}" y="{y - 16}" width="12" height="32"/>'
    yield from _label(x - 12, y, mark, BY_MARK[mark].value, "end")


def _supply(mark: str, x: float, y: float) -> Iterator[str]:
    yield f'<rect class="symbol" x="{x - 62}" y="{y - 22}" width="70" height="44" rx="4"/>'
    yield from _label(x - 56, y - 2, mark, BY_MARK[mark].value)
    yield f'<text x="{x - 6}" y="{y - 27}" text-anchor="end">+</text>'
    yield f'<text x="{x - 6}" y="{y + 36}" text-anchor="end">−</text>'
