"""The pages and drawings of `hardware/` say what the profiles say, and name only what is there."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from edgevoice.config import load
from edgevoice.drivers.profile_files import profile_texts
from edgevoice.profiles import Profile, read_profile
from hardware.__main__ import files
from hardware.bill import Row, intercom, kiosk
from hardware.circuits import BY_MARK
from hardware.pages import page
from hardware.power import FUSE_W, PIS, SPLITTER_W, budget, watts
from hardware.wiring import FIVE_VOLTS, GROUNDS, PINS, THREE_VOLTS, draw, keys_of_a_gate, parts_of, relay_pin
from tests.test_layers import ROOT

FOLDER = ROOT / "hardware"
MADE = files()
PROFILES = {name: read_profile(text, name) for name, text in profile_texts().items()}
BY_HAND = {"README.md", "parts.md"}
SVG = "{http://www.w3.org/2000/svg}"
each_profile = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


@pytest.mark.parametrize("name", sorted(MADE))
def test_what_lies_there_is_what_the_profiles_make(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == MADE[name], "run python -m hardware"


def test_no_page_and_no_drawing_is_left_of_a_profile_that_is_gone() -> None:
    pages = {path.name for path in FOLDER.glob("*.md")} - BY_HAND
    drawings = {path.name for path in (FOLDER / "wiring").iterdir()}
    assert (pages, drawings) == ({f"{name}.md" for name in PROFILES}, {f"{name}.svg" for name in PROFILES})


def test_a_changed_profile_changes_its_page_and_its_drawing() -> None:
    text = profile_texts()["codec-zero"].replace("button = 27", "button = 17")

    changed = read_profile(text, "codec-zero")
    assert "GPIO17, on the HAT" in page(changed)
    assert draw(changed) != MADE["wiring/codec-zero.svg"]


def test_the_header_has_forty_places_and_none_is_two_things() -> None:
    places = [*PINS.values(), *GROUNDS, *THREE_VOLTS, *FIVE_VOLTS]
    assert sorted(places) == list(range(1, 41))
    assert sorted(PINS) == list(range(28))


@each_profile
def test_nothing_is_wired_to_a_place_that_is_taken(profile: Profile) -> None:
    places = [place for part in parts_of(profile) for place in part.places]
    assert len(places) == len(set(places))
    ours = {PINS[pin] for pin in (profile.panel.button, *profile.panel.light)}
    taken = {PINS[pin] for pin in profile.taken}
    assert (set(places) & taken) <= ours


@each_profile
def test_a_door_is_wired_to_a_pin_that_is_low_when_the_power_comes_back(profile: Profile) -> None:
    assert 9 <= relay_pin(profile) <= 27


@each_profile
def test_what_a_page_says_for_a_gate_is_a_configuration_that_lights_the_drawn_pin(profile: Profile) -> None:
    keys = "\n".join(keys.replace(" ", "\n", 1) for keys in keys_of_a_gate(profile))
    config = load(f"device.hat = '{profile.name}'\n{keys}", profiles=profile_texts())
    button, light, door = parts_of(profile)
    assert (config.panel.button, config.panel.light) == (button.pin, (light.pin,))
    assert [relay.pin for relay in config.relay.values()] == [door.pin]


def test_a_profile_whose_button_closes_to_plus_would_need_another_drawing() -> None:
    assert {profile.panel.button_pull for profile in PROFILES.values()} == {"up"}


@each_profile
def test_a_drawing_is_well_formed_and_names_every_pin_that_the_hat_takes(profile: Profile) -> None:
    drawing = ElementTree.fromstring(MADE[f"wiring/{profile.name}.svg"])
    words = [text.text or "" for text in drawing.iter(f"{SVG}text")]
    for pin, use in profile.pins.items():
        assert f"GPIO{pin}: {use}" in words
    assert any(words_.startswith(f"GPIO{profile.panel.button}: ") for words_ in words)


@each_profile
def test_a_drawing_stays_on_its_paper(profile: Profile) -> None:
    drawing = ElementTree.fromstring(MADE[f"wiring/{profile.name}.svg"])
    width, height = float(drawing.attrib["width"]), float(drawing.attrib["height"])
    boxes = [box for box in drawing.iter(f"{SVG}rect") if box.attrib["class"] != "paper"]
    assert boxes
    for box in boxes:
        assert 0 <= float(box.attrib["x"]) <= width - float(box.attrib["width"])
        assert 0 <= float(box.attrib["y"]) <= height - float(box.attrib["height"])


@each_profile
def test_no_wire_runs_through_the_name_of_a_pin_or_through_another_wire(profile: Profile) -> None:
    drawing = ElementTree.fromstring(MADE[f"wiring/{profile.name}.svg"])
    names = [(*_span(text), float(text.attrib["y"]) - 4) for text in drawing.iter(f"{SVG}text") if _is(text, "label")]
    wires = [re.findall(r"[\d.]+", path.attrib["d"]) for path in drawing.iter(f"{SVG}path") if _is(path, "wire")]
    header = [tuple(map(float, wire)) for wire in wires if len(wire) == 5]  # M x y H turn V y H edge
    turns = [(turn, *sorted((begin, end))) for _, begin, turn, end, _ in header if 250 < turn < 720]
    assert len(turns) == len({turn for turn, _, _ in turns}) >= 4
    for turn, above, below in turns:
        assert [name for name in names if name[0] < turn < name[1] and above < name[2] < below] == []


def _is(element: ElementTree.Element, kind: str) -> bool:
    return kind in element.attrib.get("class", "").split()


def _span(text: ElementTree.Element) -> tuple[float, float]:
    """Return where a text of 13 px begins and ends, in px."""
    x, width = float(text.attrib["x"]), 7 * len(text.text or "")
    return (x - width, x) if text.attrib.get("text-anchor") == "end" else (x, x + width)


@each_profile
def test_every_part_in_a_drawing_is_in_the_bill_as_often_as_it_is_drawn(profile: Profile) -> None:
    drawing = ElementTree.fromstring(MADE[f"wiring/{profile.name}.svg"])
    drawn = {text.text or "" for text in drawing.iter(f"{SVG}text") if _is(text, "mark")}
    marks = {what: re.match(r"[A-Z]\d(, [A-Z]\d)*(?=: )", what) for _, what, _ in intercom(profile)}
    billed = {what: found[0].split(", ") for what, found in marks.items() if found}
    assert sorted(mark for row in billed.values() for mark in row) == sorted(drawn)
    assert [pieces for pieces, what, _ in intercom(profile) if what in billed] == [
        str(len(row)) for row in billed.values()
    ]


@each_profile
@pytest.mark.parametrize("bill", [kiosk, intercom])
def test_a_box_can_be_built_hears_speaks_and_shows_its_light(
    profile: Profile, bill: Callable[[Profile], list[Row]]
) -> None:
    rows = bill(profile)
    assert all(all(row) for row in rows)
    hat = next(why for _, what, why in rows if what == profile.title)
    whats = [what for _, what, _ in rows]

    def listed(*beginnings: str) -> bool:
        return all(any(what.startswith(beginning) for what in whats) for beginning in beginnings)

    assert hat.startswith("microphone") or listed("electret microphone", "preamplifier")
    assert hat.endswith("loudspeaker") or listed("loudspeaker")
    assert hat.endswith(("loudspeaker", "amplifier")) or listed("amplifier")
    assert any(word in what for word in ("ring light", "LED", "with a lamp") for what in whats)
    assert any("button" in what for what in whats)
    assert listed("microSD card")
    assert listed("stacking header") == bool(profile.pins and not (bill is kiosk and profile.socket))
    assert any(profile.supply in what for what in whats)
    if profile.output == "headphones":
        assert re.match(r"Raspberry Pi 3( B)? or 4", whats[0]), "the others have no jack"


# ------------------------------------------------------------------------------------------------------ the arithmetic


def test_every_intercom_stays_below_what_splitter_and_fuse_let_pass() -> None:
    assert FUSE_W < SPLITTER_W
    most = {(profile.name, pi): watts(pi, profile) for profile in PROFILES.values() for pi in ("Pi 3 B", "Pi 4 B")}
    assert {case: power for case, power in most.items() if power > FUSE_W} == {}


def test_the_table_says_which_box_takes_too_much() -> None:
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in budget().splitlines()[2:]]
    for pi, busy, hat, _, speaks, leds, total, verdict in cells:
        assert float(busy) == pytest.approx(PIS[pi], abs=0.051)
        assert float(total) == pytest.approx(sum(map(float, (busy, hat, speaks, leds))), abs=0.21)
        assert (verdict == "fits") == (float(total) <= 10.0)
    fitting = {pi for pi, *_, verdict in cells if verdict == "fits"}
    assert fitting == {"Pi Zero 2 W", "Pi 3 B", "Pi 4 B"}
    assert {row[-1] for row in cells if "4 Ω" in row[3]} == {"**too much**"}


def test_the_door_opens_with_the_worst_parts_and_stays_shut_without_a_program() -> None:
    led_a = (3.3 - 1.4) / _ohm("R3")
    assert 0.005 < led_a < (3.3 - 1.2) / _ohm("R3") < 0.016, (
        "what its transfer ratio is told at, and what a pin may give"
    )
    base_a = min(0.5 * led_a / 2, (12 - 0.2 - 0.7) / _ohm("R5")) - 0.7 / _ohm("R6")  # of an aged opto-coupler
    coil_a = 12 / 360
    assert base_a * 160 > 3 * coil_a
    pulled_up = 3.3 * _ohm("R4") / (_ohm("R4") + 50_000)
    assert pulled_up < 1.0, "the LED of the opto-coupler is dark"
    assert 10e-6 * _ohm("R6") < 0.5, "what it leaks when it is hot opens no transistor"


def test_the_button_reads_as_pressed_and_its_ring_is_neither_dark_nor_too_much_for_a_pin() -> None:
    assert 3.3 * _ohm("R1") / (_ohm("R1") + 50_000) < 0.8
    assert 0.002 < (3.3 - 2.0) / _ohm("R2") < 0.016


def _ohm(mark: str) -> float:
    value, unit = BY_MARK[mark].value.split()
    return float(value) * {"Ω": 1, "kΩ": 1000}[unit]


@pytest.mark.parametrize("name", sorted(BY_HAND | {name for name in MADE if name.endswith(".md")}))
def test_every_file_that_a_page_links_to_exists(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (FOLDER / name).read_text())
    assert [link for link in links if not (FOLDER / link).exists()] == []
