"""The pages and drawings of `hardware/` say what the profiles say, and name only what is there."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from edgevoice.config import load
from edgevoice.drivers.profile_files import profile_texts
from edgevoice.profiles import Profile, read_profile
from hardware.__main__ import files
from hardware.pages import intercom, kiosk, page
from hardware.wiring import FIVE_VOLTS, GROUNDS, PINS, THREE_VOLTS, draw, parts_of, relay_pin
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
    pin = relay_pin(profile)
    assert 9 <= pin <= 27
    load(f"device.hat = '{profile.name}'\n[relay.door]\npin = {pin}", profiles=profile_texts())


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
def test_every_part_of_an_intercom_has_its_reason(profile: Profile) -> None:
    for row in (*kiosk(profile), *intercom(profile)):
        assert all(row)
    words = " ".join(what for _, what, _ in intercom(profile))
    for needed in ("opto-coupler", "1N4007 across the relay's coil", "vandal-proof", "PoE", "loudspeaker"):
        assert needed in words or (needed == "loudspeaker" and profile.output == "own")


@pytest.mark.parametrize("name", sorted(BY_HAND | {name for name in MADE if name.endswith(".md")}))
def test_every_file_that_a_page_links_to_exists(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (FOLDER / name).read_text())
    assert [link for link in links if not (FOLDER / link).exists()] == []
