"""A box that knows only the name of its HAT: the profile beside its configuration says the rest."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.box import PATIENCE_S, RunningBox, voice
from tests.lab.apa102 import Row, read
from tests.lab.labcard.labcard import World
from tests.lab.labgpio.pins import Pins
from tests.lab.pulse import PulseAudio

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


def named(box: RunningBox, more: str = "", profile: str = PROFILE) -> None:
    """Let the box know the name of its HAT, and what `more` says, and nothing of its card and its pins."""
    (box.folder / "profiles").mkdir()
    (box.folder / "profiles" / "lab.toml").write_text(profile)
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


DATA, CLOCK, POWER = 5, 6, 13
ROW = PROFILE.replace(f"light = [{LIGHT}]", f"light = [{DATA}, {CLOCK}]\nlight_leds = 3\nlight_power = {POWER}")


def test_the_leds_of_a_hat_show_what_the_box_does_all_of_them_and_are_dark_when_it_rests() -> None:
    with World(rate=RATE, channels=4, channels_min=4, mic_channel=2) as world:
        box = RunningBox(world)
        named(box, profile=ROW)
        with box:
            box.call()
            listening = time.monotonic()
            assert box.pins.level(POWER) == 1
            box.tap()
            box.wait_for_state("idle")
            box.wait_for_line(f"light GPIO{DATA}+GPIO{CLOCK} (3 APA102 without fades), ")
            rows = _settled(box)
    assert all(len(row.leds) == 3 and len(set(row.leds)) == 1 for row in rows)
    shown = [(row.at, row.leds[0][1:]) for row in rows]
    assert shown[0][1] == (0, 0, 0), "whatever it showed before"
    assert [color for at, color in shown if at < listening][-1] == (0, 255, 0), "green and steady: it listens"
    assert shown[-1][1] == (0, 0, 0)


def _settled(box: RunningBox) -> list[Row]:
    """Return what the LEDs have shown, as soon as that has been dark for a while."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        clock = box.pins.edges(CLOCK)
        if clock and time.monotonic() - clock[-1].at > 0.5:
            return read(box.pins.edges(DATA), clock)
        box.pause(0.05)
    raise AssertionError("it still blinks")


# ------------------------------------------------------------------------------------- a mixer that we did not write

MIXED = """
ids = ["HAT"]
[card]
capture = "mic"
playback = "speaker"
volume = -1
[panel]
button = 27
light = [22]
[mixer]
"Master Playback Volume" = 30000
"Master Playback Switch" = false
"Capture Volume" = 20000
"Capture Switch" = false
"""
AS_FOUND = {"Master": [[65536], [0]], "Capture": [[65536], [1]]}
LOOK = """
import alsaaudio, json
play, hear = (alsaaudio.Mixer(name, device="hw:HAT") for name in ("Master", "Capture"))
raw = alsaaudio.VOLUME_UNITS_RAW
master = play.getvolume(alsaaudio.PCM_PLAYBACK, raw), play.getmute()
capture = hear.getvolume(alsaaudio.PCM_CAPTURE, raw), hear.getrec()
print(json.dumps({"Master": master, "Capture": capture}))
"""


def has_a_mixer(pulse: PulseAudio) -> None:
    """Let PulseAudio's sink and source be the mixer of a card with the id HAT (and of every other)."""
    file = Path(pulse.env()["ALSA_CONFIG_PATH"])
    socket = file.with_name("native")
    mixer = f'type pulse server "unix:{socket}" sink speaker source mic'
    file.write_text(f"{file.read_text()}ctl.!hw {{ @args [ CARD ] @args.CARD {{ type string }} {mixer} }}\n")


def levels(pulse: PulseAudio) -> object:
    """Return level and switch of both controls, as alsa-lib tells them: mute for one, capture for the other."""
    done = subprocess.run([sys.executable, "-c", LOOK], env=pulse.env(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_mixer_is_as_the_hat_wants_it_while_the_box_runs_and_as_it_was_afterwards() -> None:
    with PulseAudio() as pulse:
        has_a_mixer(pulse)
        assert levels(pulse) == AS_FOUND
        box = RunningBox(pulse)
        named(box, profile=MIXED)
        with box:
            box.wait_for_state("idle")
            assert levels(pulse) == {"Master": [[30000], [1]], "Capture": [[20000], [0]]}
        assert levels(pulse) == AS_FOUND


def test_only_the_audio_thread_has_real_time_even_where_a_library_starts_threads_on_it() -> None:
    with PulseAudio() as pulse, RunningBox(pulse) as box:
        box.wait_for_state("idle")
        policies = [policy for task in Path(f"/proc/{box.process.pid}/task").iterdir() for policy in policy_of(task)]
        assert policies.count("1") <= 1 < len(policies), "none, where this user may not have it"


def policy_of(task: Path) -> list[str]:
    """Return the scheduling policy of a thread, or nothing if it has ended meanwhile."""
    try:
        return [(task / "stat").read_text().rpartition(")")[2].split()[38]]
    except (FileNotFoundError, ProcessLookupError):
        return []
