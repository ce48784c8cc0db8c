"""A box that knows only the name of its HAT: the profile beside its configuration says the rest."""

from __future__ import annotations

from tests.e2e.box import RunningBox, voice
from tests.lab.labcard.labcard import World
from tests.lab.labgpio.pins import Pins

RATE = 16_000
BUTTON, LIGHT = 27, 22

PROFILE = f"""
title = "The virtual card, as if it were a HAT"
ids = ["labcard"]
channels = 4
rates = [{RATE}]

[card]
capture = "mic"
playback = "speaker"
rate = {RATE}
buffer_ms = 80
capture_channel = 2

[panel]
button = {BUTTON}
light = [{LIGHT}]

[mixer]
"Mic 2 Volume" = 5
"""


def named(box: RunningBox, more: str = "") -> None:
    """Let the box know the name of its HAT, and what `more` says, and nothing of its card and its pins."""
    (box.folder / "profiles").mkdir()
    (box.folder / "profiles" / "lab.toml").write_text(PROFILE)
    box.configuration.write_text(f'device.hat = "lab"\nstatus.socket = "{box.socket}"\n{more}')
    box.pins.close()
    box.pins = Pins(box.folder / "pins.sock", button=BUTTON)


def test_a_box_that_knows_the_name_of_its_hat_knows_its_card_its_microphone_and_its_pins() -> None:
    question = voice("question", RATE)
    with World(rate=RATE, channels=4, channels_min=4, mic_channel=2) as world:
        box = RunningBox(world)
        named(box)
        with box:
            box.call()
            assert box.pins.level(LIGHT) == 1, "steady: it listens"
            card = box.status()["card"]
            assert (card["capture"], card["rate"], card["capture_channels"]) == ("mic", RATE, 4)
            said_at = box.say(question)
            box.wait_for_sound(said_at + len(question))
            box.wait_for_line('mixer: "Mic 2 Volume" of hw:labcard is not set to 5: ')


def test_a_key_in_the_file_overrides_the_profile() -> None:
    with World(rate=RATE, channels=4, channels_min=4, mic_channel=2) as world:
        box = RunningBox(world)
        named(box, f"panel.light = [5]\npanel.button = {BUTTON}\n")
        with box:
            box.call()
            assert box.pins.level(5) == 1
            box.wait_for_line(f"panel: button GPIO{BUTTON}, light GPIO5, ")
