"""What the doctor says of pins, phone lines and machine, with facts that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgevoice.doctor.facts import (
    Disk,
    Journal,
    Keeping,
    Kind,
    LineFacts,
    Memory,
    Needed,
    Pins,
    Power,
    Unit,
    Versions,
)
from edgevoice.doctor.finding import Finding, Level, Section
from edgevoice.doctor.lines import check_lines
from edgevoice.doctor.machine import (
    check_configuration,
    check_disk,
    check_fault,
    check_journal,
    check_memory,
    check_memory_limit,
    check_power,
    check_unit,
    check_update,
    check_versions,
)
from edgevoice.doctor.pins import check_button, check_light, check_pins, check_relays
from edgevoice.doctor.screen import screen
from edgevoice.schema import Lines, Panel, Relay

OK, WARNING, FAILED, ABSENT = Level.OK, Level.WARNING, Level.FAILED, Level.ABSENT
MB = 1 << 20


def told(found: Finding) -> tuple[Level, str]:
    return found.level, found.sentence


# ----------------------------------------------------------------------------------------------------------- pins

PANEL = Panel()
ROW = Panel(light=(10, 11), light_leds=3)
SPI_DENIED = "/dev/spidev0.0 may not be used by this user; expected one in the group spi"
CLAIMED = Pins(PANEL, ("/dev/gpiochip0",), words="button GPIO17, light GPIO25, pins of lgpio")


@pytest.mark.parametrize(
    ("pins", "level", "words"),
    [
        (CLAIMED, OK, "button GPIO17, light GPIO25, pins of lgpio; /dev/gpiochip0"),
        (Pins(Panel(pins="none")), ABSENT, 'panel.pins = "none"'),
        (Pins(Panel(button=-1, light=())), ABSENT, "neither a button nor a light is configured"),
        (replace(CLAIMED, panel=Panel(button=-1), words="light GPIO25"), OK, "light GPIO25; /dev/gpiochip0"),
        (Pins(Panel(pins="mock")), WARNING, "they are pretended: nobody can press a button"),
        (replace(CLAIMED, denied=True), FAILED, "/dev/gpiochip0 may not be used by you"),
        (
            replace(CLAIMED, words="no pins: lgpio is not installed: apt"),
            FAILED,
            "no pins: lgpio is not installed: apt",
        ),
        (
            replace(CLAIMED, by_box=True, words="no pins: lgpio is not installed: apt"),
            FAILED,
            "no pins: lgpio is not installed: apt",
        ),
        (Pins(PANEL, trouble="GPIO17 is in use"), FAILED, "GPIO17 is in use"),
        (Pins(ROW, trouble=SPI_DENIED), FAILED, SPI_DENIED),
        (Pins(PANEL, words="no pins: this is no Raspberry Pi"), ABSENT, "this is no Raspberry Pi"),
        (replace(CLAIMED, by_box=True), OK, "the box has them: button GPIO17, light GPIO25, pins of lgpio"),
        (Pins(PANEL, by_box=True, words="no pins: the configuration says so"), ABSENT, "the configuration says so"),
        (Pins(PANEL, by_box=True, words="out of order: GPIO17"), FAILED, "out of order: GPIO17"),
    ],
)
def test_pins_that_cannot_be_had_are_told_apart_from_pins_that_are_not_there(
    pins: Pins, level: Level, words: str
) -> None:
    assert told(check_pins(pins)) == (level, words)


def test_an_spi_that_may_not_be_used_says_which_group_may() -> None:
    assert "-aG spi $USER" in check_pins(Pins(ROW, trouble=SPI_DENIED)).advice
    box = check_pins(Pins(ROW, by_box=True, words=f"out of order: {SPI_DENIED}"))
    assert "SupplementaryGroups=" in box.advice
    assert "gpioinfo" in check_pins(Pins(ROW, trouble="GPIO5 is in use")).advice


def test_leds_that_nobody_saw_are_told_by_their_two_wires() -> None:
    found = check_light(replace(CLAIMED, panel=ROW, seen=False))
    assert (found.level, found.name) == (FAILED, "light GPIO10+GPIO11")
    assert found.advice.startswith("first the data pin, then the clock")


def test_a_press_that_does_not_arrive_says_how_the_button_is_wired() -> None:
    assert told(check_button(replace(CLAIMED, pressed=True))) == (OK, "a press arrived")
    assert check_button(replace(CLAIMED, pressed=False)).advice.startswith("is it wired to GPIO17 and ground?")
    down = replace(CLAIMED, panel=Panel(button_pull="down"), pressed=False)
    assert check_button(down).advice.startswith("is it wired to GPIO17 and 3.3 V?")
    assert check_button(down).level is FAILED


def test_without_somebody_to_press_nothing_is_said_against_the_button() -> None:
    assert told(check_button(CLAIMED)) == (ABSENT, "not tried")
    with_the_box = (ABSENT, "not tried: the box has the pins; at the box: edgevoice ctl try")
    assert told(check_button(replace(CLAIMED, by_box=True))) == with_the_box
    assert told(check_light(replace(CLAIMED, by_box=True))) == with_the_box
    busy = replace(CLAIMED, by_box=True, refused="the box is in call")
    why = "not tried: the box is in call; to try it all the same: sudo systemctl stop edgevoice, then doctor again"
    assert told(check_button(busy)) == told(check_light(busy)) == (ABSENT, why)
    assert check_button(busy).untried
    assert not check_button(replace(CLAIMED, panel=Panel(button=-1))).untried, "there is none to try"
    assert told(check_button(replace(CLAIMED, panel=Panel(button=-1)))) == (ABSENT, "none is configured")


def test_a_light_that_nobody_saw_fails() -> None:
    assert told(check_light(replace(CLAIMED, seen=True))) == (OK, "it was seen to be lit")
    assert told(check_light(replace(CLAIMED, seen=False))) == (FAILED, "nobody saw it")
    assert check_light(CLAIMED).level is ABSENT
    assert told(check_light(replace(CLAIMED, panel=Panel(light=())))) == (ABSENT, "none is configured")


def test_a_door_that_may_open_when_the_power_comes_back_is_a_warning() -> None:
    (found,) = check_relays({"safe": Relay(pin=9), "gate": Relay(pin=8), "door": Relay()}, "")
    assert (found.name, *told(found)) == (
        "relay gate",
        WARNING,
        "GPIO8 is high from power-on until the box runs: it may open",
    )
    assert [check_relays({"door": Relay(pin=pin)}, "") != () for pin in range(28)] == [True] * 9 + [False] * 19


def test_a_door_that_the_box_cannot_open_fails() -> None:
    door = {"door": Relay(pin=26)}
    assert [told(one) for one in check_relays(door, '"door" GPIO26, pins of lgpio')] == [
        (OK, 'the box has them: "door" GPIO26, pins of lgpio')
    ]
    for words in ('out of order: relays "door" GPIO26: GPIO busy', "no pins: this machine has no /dev/gpiochip*"):
        assert [told(one) for one in check_relays(door, words)] == [(FAILED, words)]
    (unused,) = check_relays(door, "no pins: the configuration says so")
    assert (unused.level, unused.advice) == (FAILED, 'panel.pins = "auto"')
    assert check_relays({}, "none") == check_relays(door, "") == ()


# ---------------------------------------------------------------------------------------------------- phone lines

LINES = LineFacts(Lines(listen="0.0.0.0:8443", certificate_file="chain.pem", url="https://box.example.com:8443"))
RUNNING = replace(LINES, by_box=True, address="0.0.0.0:8443", health=200)


def rows(facts: LineFacts) -> dict[str, tuple[Level, str]]:
    return {found.name: told(found) for found in check_lines(facts)}


def test_a_box_without_phone_lines_has_one_line_that_says_so() -> None:
    assert rows(LineFacts(Lines())) == {"phone lines": (ABSENT, "none is configured")}


def test_lines_that_are_open_are_told() -> None:
    assert rows(RUNNING) == {
        "port": (OK, "the box listens on 0.0.0.0:8443"),
        "certificate": (OK, "chain.pem"),
        "address": (OK, "https://box.example.com:8443 leads to this box, seen from here"),
    }
    assert rows(LINES)["port"] == (OK, "0.0.0.0:8443 is free")
    assert rows(LINES)["address"][0] is ABSENT


def test_a_port_that_cannot_be_had_fails() -> None:
    (port, *_) = check_lines(replace(LINES, trouble="0.0.0.0:8443: Address already in use"))
    assert (port.level, port.advice) == (FAILED, "sudo ss -ltnp names who has it")
    (port, *_) = check_lines(replace(LINES, trouble="0.0.0.0:443: Permission denied"))
    assert "CAP_NET_BIND_SERVICE" in port.advice
    assert rows(replace(RUNNING, address=""))["port"] == (FAILED, "the box does not listen on 0.0.0.0:8443")


def test_a_certificate_that_turns_callers_away_fails_and_one_that_soon_will_is_a_warning() -> None:
    assert rows(replace(RUNNING, certificate="has expired", certificate_bad=True))["certificate"][0] is FAILED
    assert rows(replace(RUNNING, certificate="expires in 3 days"))["certificate"][0] is WARNING
    behind = replace(RUNNING, lines=Lines(listen="127.0.0.1:8080", url="https://box.example.com"))
    assert rows(behind)["certificate"][0] is ABSENT


def test_an_address_that_does_not_lead_here_is_told() -> None:
    unreached = rows(replace(RUNNING, health=0, health_trouble="timed out"))["address"]
    assert unreached == (WARNING, "https://box.example.com:8443 cannot be reached from here: timed out")
    elsewhere = rows(replace(RUNNING, health=404))["address"]
    assert elsewhere == (FAILED, "https://box.example.com:8443 leads to something else (HTTP 404)")
    assert rows(replace(RUNNING, lines=Lines(listen="0.0.0.0:8443")))["address"][0] is WARNING


def test_a_token_that_is_missing_fails() -> None:
    assert rows(replace(RUNNING, secrets=("$.line.elks: no file",)))["token"] == (FAILED, "$.line.elks: no file")


# -------------------------------------------------------------------------------------------------------- machine

UNIT = Unit("active", "enabled", watchdog_s=10.0, result="success")


def test_each_problem_of_the_configuration_is_a_failure() -> None:
    assert [told(found) for found in check_configuration("a.toml", ["$.x: no", "$.y: no"])] == [
        (FAILED, "$.x: no"),
        (FAILED, "$.y: no"),
    ]
    assert told(check_configuration("a.toml", [])[0]) == (OK, "a.toml")


@pytest.mark.parametrize(
    ("unit", "running", "level", "words"),
    [
        (UNIT, True, OK, "active, starts at boot, watchdog 10 s"),
        (None, False, ABSENT, "not installed as a service"),
        (None, True, ABSENT, "edgevoice runs, but not as a service"),
        (
            replace(UNIT, active="failed", result="exit-code", exit_status=78),
            False,
            FAILED,
            "it has failed (exit code 78) and is not started again",
        ),
        (
            replace(UNIT, active="inactive"),
            False,
            FAILED,
            "it starts at boot, but does not run now",
        ),
        (replace(UNIT, active="inactive", enabled="disabled"), False, WARNING, "it is inactive"),
        (replace(UNIT, active="activating", sub="start"), False, WARNING, "it is activating"),
        (
            replace(UNIT, active="activating", sub="start-pre", restarts=5, result="exit-code", exit_status=1),
            False,
            FAILED,
            "it dies again and again: 5 times so far (exit code 1)",
        ),
        (
            replace(UNIT, sub="auto-restart", result="exit-code", before="restart-delay", before_status=226),
            False,
            FAILED,
            "it dies again and again: 0 times so far (restart-delay, which runs before it: exit code 226, NAMESPACE: "
            "systemd could not prepare its start)",
        ),
        (
            replace(UNIT, sub="auto-restart", result="oom-kill", exit_status=9),
            False,
            FAILED,
            "it dies again and again: 0 times so far (out of memory)",
        ),
        (
            replace(UNIT, active="activating", sub="auto-restart", result="signal", exit_status=9),
            False,
            FAILED,
            "it dies again and again: 0 times so far (killed by signal 9)",
        ),
        (UNIT, False, FAILED, "it is active, but does not answer on its socket"),
        (replace(UNIT, enabled="disabled"), True, WARNING, "it runs, but does not start at boot (disabled)"),
        (replace(UNIT, watchdog_s=0.0), True, WARNING, "it runs, but nobody watches it"),
        (replace(UNIT, restarts=3), True, WARNING, "it runs, and was restarted 3 times since it was loaded"),
        (replace(UNIT, restarts=1), True, WARNING, "it runs, and was restarted 1 time since it was loaded"),
    ],
)
def test_a_service_that_does_not_run_by_itself_is_told(
    unit: Unit | None, running: bool, level: Level, words: str
) -> None:
    assert told(check_unit(unit, running)) == (level, words)


def test_a_service_that_stopped_over_its_configuration_sends_there_and_one_that_is_off_at_boot_is_mended() -> None:
    wrong = replace(UNIT, active="failed", exit_status=78)
    assert check_unit(wrong, False).advice.startswith("see: configuration")
    assert check_unit(replace(wrong, exit_status=1), False).advice.startswith("journalctl")
    assert check_unit(replace(UNIT, enabled="disabled"), True).fix == ("systemctl", "enable", "edgevoice")


def test_what_the_service_cannot_read_is_made_readable_but_no_secret_and_no_folder() -> None:
    toml, key, folder = Needed("/e/a.toml"), Needed("/e/key", Kind.SECRET), Needed("/e", Kind.FOLDER)
    readable, secret = check_configuration("/e/a.toml", [], [toml, key])
    assert told(readable) == (FAILED, "the user of the service cannot read /e/a.toml")
    assert readable.fix == ("chmod", "a+rX", "/e/a.toml")
    assert told(secret) == (FAILED, "the user of the service cannot read the secret /e/key")
    assert secret.fix == ()
    [shut] = check_configuration("/e/a.toml", [], [folder, toml, key])
    assert (told(shut), shut.fix) == ((FAILED, "the user of the service cannot read /e"), ())
    dies = replace(UNIT, sub="auto-restart", result="exit-code", exit_status=66)
    assert check_unit(dies, False).advice.startswith("see: configuration")


def test_an_update_that_did_not_come_up_is_told() -> None:
    assert check_update("") == ()
    said = "version 0.3.0 did not come up on 2026-11-28; 0.2.0 runs"
    assert told(check_update(said)[0]) == (WARNING, said)


def test_the_fault_that_a_box_shows_is_repeated() -> None:
    assert check_fault("") == ()
    assert told(check_fault("the card is gone")[0]) == (FAILED, "the box shows: the card is gone")


@pytest.mark.parametrize(
    ("power", "level", "words"),
    [
        (Power(), ABSENT, "this machine does not tell its voltage"),
        (Power(celsius=40.4), ABSENT, "this machine does not tell its voltage, 40 °C"),
        (Power(0, False, 50.0), OK, "no under-voltage since it started, 50 °C"),
        (Power(alarm=False), OK, "no under-voltage since it started"),
        (Power(0x50005), FAILED, "under-voltage now: sound breaks off, the SD card suffers"),
        (Power(0x50000), WARNING, "under-voltage since it started"),
        (Power(alarm=True), WARNING, "under-voltage since it started"),
        (Power(0x8), WARNING, "it is slowed down because it is too hot"),
        (Power(0, celsius=85.0), WARNING, "it is slowed down because it is too hot, 85 °C"),
        (Power(0x80000), WARNING, "it has been slowed down because it was too hot"),
    ],
)
def test_the_flags_of_the_firmware_are_told_in_words(power: Power, level: Level, words: str) -> None:
    assert told(check_power(power)) == (level, words)


DISK = Disk(5000 * MB, 30_000 * MB, state="/var/lib/edgevoice")


@pytest.mark.parametrize(
    ("disk", "level", "words"),
    [
        (DISK, OK, "5000 MB of 29 GB free"),
        (replace(DISK, free_bytes=100 * MB), WARNING, "it is nearly full: 100 MB of 29 GB free"),
        (replace(DISK, free_bytes=5 * MB), FAILED, "it is full: 5 MB of 29 GB free"),
        (
            replace(DISK, read_only=True, meant_read_only=True),
            OK,
            "read-only, as it is meant to be; 5000 MB of 29 GB free",
        ),
        (
            replace(DISK, read_only=True),
            FAILED,
            "the root is read-only and was not meant to be: a failing SD card",
        ),
        (replace(DISK, state_trouble="No space"), WARNING, "/var/lib/edgevoice cannot be written: No space"),
        (
            replace(DISK, state_trouble="Permission denied", state_denied=True),
            WARNING,
            "/var/lib/edgevoice cannot be written by you: Permission denied",
        ),
    ],
)
def test_a_disk_that_fails_is_told_from_one_that_is_full(disk: Disk, level: Level, words: str) -> None:
    assert told(check_disk(disk)) == (level, words)


def test_a_journal_that_a_power_cut_erases_is_a_warning_that_tells_the_choice() -> None:
    found = check_journal(Journal(Keeping.VOLATILE, "2026-11-28 03:00"))
    assert found.level is WARNING
    assert found.sentence == "in memory only, since 2026-11-28 03:00: gone when the power fails"
    assert found.advice.startswith("your choice: on the disk a call costs some 100 kB of writing")
    shown = screen([Section("Machine", (found,))], width=80).splitlines()
    commands = [line.strip() for line in shown if "sudo" in line]
    assert commands == found.advice.splitlines()[1:], "each can be copied"
    kept = check_journal(Journal(Keeping.KEPT, "2026-11-20 12:00"))
    assert (kept.level, kept.sentence.partition(";")[0]) == (OK, "on the disk, since 2026-11-20 12:00")
    assert check_journal(Journal(Keeping.KEPT)).sentence.startswith("on the disk; "), "it could not be read"
    assert check_journal(Journal(Keeping.NONE)).level is ABSENT


def test_a_service_whose_memory_the_kernel_does_not_count_is_a_warning() -> None:
    found = check_memory_limit(False, True)
    assert found.level is WARNING
    assert found.sentence.startswith("MemoryMax= of the service does nothing")
    assert found.advice.startswith("add cgroup_enable=memory to the one line of /boot/firmware/cmdline.txt")
    assert check_memory_limit(True, True).level is OK
    assert check_memory_limit(None, True).level is ABSENT
    assert check_memory_limit(False, False).level is ABSENT, "nothing sets a limit"


def test_memory_that_is_short_or_lies_on_the_sd_card_is_a_warning() -> None:
    assert told(check_memory(Memory(300 * MB, 900 * MB))) == (OK, "300 MB of 900 available")
    assert told(check_memory(Memory(20 * MB, 900 * MB)))[0] is WARNING
    swapped = check_memory(Memory(300 * MB, 900 * MB, ("/var/swap",)))
    assert swapped.level is WARNING
    assert "swap on /var/swap" in swapped.sentence


def test_the_versions_are_one_line_that_can_be_copied_into_a_report() -> None:
    versions = Versions("0.1.0", "3.11.2", "1.2.8", "6.6.31 aarch64", "Debian 12", "Raspberry Pi 4")
    words = "edgevoice 0.1.0, Python 3.11.2, alsa-lib 1.2.8, kernel 6.6.31 aarch64, Raspberry Pi 4, Debian 12"
    assert told(check_versions(versions)) == (OK, words)
