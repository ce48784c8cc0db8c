"""What the doctor says of pins, network, phone lines and machine, with facts that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgevoice.doctor.facts import (
    Clock,
    Disk,
    KeyAnswer,
    LineFacts,
    Link,
    Memory,
    Pins,
    Power,
    Reached,
    Unit,
    Versions,
    Wireless,
)
from edgevoice.doctor.finding import Finding, Level
from edgevoice.doctor.lines import check_lines
from edgevoice.doctor.machine import (
    check_configuration,
    check_disk,
    check_fault,
    check_memory,
    check_power,
    check_unit,
    check_versions,
)
from edgevoice.doctor.network import (
    check_clock,
    check_key,
    check_reached,
    check_way_out,
    check_wireless,
    clock_by,
    key_url,
)
from edgevoice.doctor.pins import check_button, check_light, check_pins
from edgevoice.schema import Lines, Panel

OK, WARNING, FAILED, ABSENT = Level.OK, Level.WARNING, Level.FAILED, Level.ABSENT
MB = 1 << 20


def told(found: Finding) -> tuple[Level, str]:
    return found.level, found.sentence


# ----------------------------------------------------------------------------------------------------------- pins

PANEL = Panel()
CLAIMED = Pins(PANEL, ("/dev/gpiochip0",), words="button GPIO17, light GPIO25, pins of lgpio")


@pytest.mark.parametrize(
    ("pins", "level", "words"),
    [
        (CLAIMED, OK, "button GPIO17, light GPIO25, pins of lgpio; /dev/gpiochip0"),
        (Pins(Panel(pins="none")), ABSENT, 'panel.pins = "none"'),
        (Pins(Panel(button=-1, light=())), ABSENT, "neither a button nor a light is configured"),
        (Pins(Panel(pins="mock")), WARNING, "they are pretended: nobody can press a button"),
        (replace(CLAIMED, denied=True), FAILED, "/dev/gpiochip0 may not be used by you"),
        (
            replace(CLAIMED, words="no pins: lgpio is not installed: apt"),
            FAILED,
            "no pins: lgpio is not installed: apt",
        ),
        (Pins(PANEL, trouble="GPIO17 is in use"), FAILED, "GPIO17 is in use"),
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


def test_a_press_that_does_not_arrive_says_how_the_button_is_wired() -> None:
    assert told(check_button(replace(CLAIMED, pressed=True))) == (OK, "a press arrived")
    assert check_button(replace(CLAIMED, pressed=False)).advice.startswith("is it wired to GPIO17 and ground?")
    down = replace(CLAIMED, panel=Panel(button_pull="down"), pressed=False)
    assert check_button(down).advice.startswith("is it wired to GPIO17 and 3.3 V?")
    assert check_button(down).level is FAILED


def test_without_somebody_to_press_nothing_is_said_against_the_button() -> None:
    assert told(check_button(CLAIMED)) == (ABSENT, "not tried")
    assert check_button(replace(CLAIMED, by_box=True)).sentence.startswith("not tried: the box has the pins")
    assert told(check_button(replace(CLAIMED, panel=Panel(button=-1)))) == (ABSENT, "none is configured")


def test_a_light_that_nobody_saw_fails() -> None:
    assert told(check_light(replace(CLAIMED, seen=True))) == (OK, "it was seen to be lit")
    assert told(check_light(replace(CLAIMED, seen=False))) == (FAILED, "nobody saw it")
    assert check_light(CLAIMED).level is ABSENT
    assert told(check_light(replace(CLAIMED, panel=Panel(light=())))) == (ABSENT, "none is configured")


# -------------------------------------------------------------------------------------------------------- network


def test_no_way_out_matters_only_to_a_box_that_needs_one() -> None:
    assert told(check_way_out(Link("wlan0"), True)) == (OK, "by wlan0")
    assert check_way_out(Link(), True).level is FAILED
    assert check_way_out(Link(), False).level is ABSENT


def test_wifi_that_sleeps_is_a_warning_that_can_be_mended_where_iw_is_installed() -> None:
    (found,) = check_wireless(Wireless("wlan0", power_save=True, signal_dbm=-50, can_set=True))
    assert told(found) == (WARNING, "power save is on: calls stutter and begin late")
    assert found.fix == ("iw", "dev", "wlan0", "set", "power_save", "off")
    (without,) = check_wireless(Wireless("wlan0", power_save=True))
    assert (without.fix, without.advice[:19]) == ((), "sudo apt install iw")


def test_wifi_that_is_awake_or_does_not_tell_is_fine() -> None:
    assert told(check_wireless(Wireless("wlan0", False, -50))[0]) == (OK, "power save is off, -50 dBm")
    assert check_wireless(Wireless("wlan0"))[0].level is OK


def test_a_weak_signal_is_a_warning_of_its_own() -> None:
    awake, weak = check_wireless(Wireless("wlan0", False, -80))
    assert awake.level is OK
    assert told(weak) == (WARNING, "the signal is weak: -80 dBm, expected -75 or more")


SERVICE = Reached("api.example.com", 443, True, dns_s=0.012, version="TLSv1.3", ahead_s=0.4)


def test_a_service_that_is_reached_is_told_with_its_version_of_tls() -> None:
    assert [told(found) for found in check_reached(SERVICE)] == [
        (OK, "api.example.com in 12 ms"),
        (OK, "api.example.com:443, TLSv1.3"),
    ]


def test_a_name_that_is_not_found_ends_the_way_there() -> None:
    (found,) = check_reached(Reached("api.example.com", 443, True, dns_trouble="no answer within 4 s"))
    assert (found.name, *told(found)) == ("DNS", FAILED, "api.example.com: no answer within 4 s")


def test_a_slow_name_server_is_a_warning() -> None:
    assert told(check_reached(replace(SERVICE, dns_s=2.5))[0]) == (WARNING, "api.example.com took 2.5 s")


def test_a_service_that_does_not_answer_fails_and_one_without_tls_is_a_connection() -> None:
    refused = Reached("192.168.1.20", 8000, False, trouble="Connection refused")
    found = check_reached(refused)[1]
    assert (found.name, *told(found)) == ("connection", FAILED, "192.168.1.20:8000: Connection refused")


def test_a_certificate_whose_dates_are_wrong_sends_to_the_clock_and_any_other_does_not() -> None:
    dates = check_reached(replace(SERVICE, certificate_trouble="certificate is not yet valid", dates_wrong=True))[1]
    assert (dates.level, dates.advice) == (FAILED, "first see: clock")
    other = check_reached(replace(SERVICE, certificate_trouble="self-signed certificate"))[1]
    assert other.level is FAILED
    assert "captive portal" in other.advice


def test_the_clock_is_compared_with_the_first_service_that_tells_the_time() -> None:
    silent = Reached("silent.example.com", 443, True)
    compared = clock_by([silent, replace(SERVICE, ahead_s=-3.0)], Clock(synchronised=True))
    assert compared == Clock(-3.0, "api.example.com", True)
    assert clock_by([silent], Clock()) == Clock()


@pytest.mark.parametrize(
    ("clock", "level", "words"),
    [
        (Clock(0.4, "h", True), OK, "as at h, synchronised"),
        (Clock(0.4, "h"), OK, "as at h"),
        (Clock(synchronised=True), OK, "synchronised"),
        (Clock(), ABSENT, "nobody to compare it with, and timedatectl does not say"),
        (Clock(40.0, "h", True), WARNING, "it is 40 s ahead of h"),
        (Clock(-31_536_000.0, "h", False), FAILED, "it is 365 days behind h: certificates and signatures fail"),
        (Clock(7200.0, "h"), FAILED, "it is 2 hours ahead of h: certificates and signatures fail"),
        (Clock(-600.0, "h"), FAILED, "it is 10 minutes behind h: certificates and signatures fail"),
        (
            Clock(0.1, "h", False),
            WARNING,
            "as at h, not synchronised, and there is no clock that runs while it is off",
        ),
        (Clock(synchronised=False, battery=True), WARNING, "not synchronised"),
    ],
)
def test_a_wrong_clock_is_told_with_its_size(clock: Clock, level: Level, words: str) -> None:
    assert told(check_clock(clock)) == (level, words)


def test_a_clock_that_nobody_sets_can_be_mended() -> None:
    assert check_clock(Clock(synchronised=False, ntp=False)).fix == ("timedatectl", "set-ntp", "true")
    assert check_clock(Clock(synchronised=False, ntp=True)).fix == ()


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        (KeyAnswer("openai", "h", 200, model="m"), OK, "h takes it, and offers m"),
        (KeyAnswer("elks", "h", 200), OK, "h takes it"),
        (KeyAnswer("openai", "h", 401), FAILED, "h does not accept the key (HTTP 401)"),
        (KeyAnswer("openai", "h", 403), FAILED, "h forbids this key to look (HTTP 403)"),
        (KeyAnswer("openai", "h", 404, model="m"), WARNING, "h does not know m (HTTP 404), or cannot be asked for it"),
        (KeyAnswer("elks", "h", 404), WARNING, "h answers HTTP 404"),
        (
            KeyAnswer("openai", "h", 429),
            WARNING,
            "h is asked too often, or the account has no credit left (HTTP 429)",
        ),
        (KeyAnswer("openai", "h", 503), WARNING, "h answers HTTP 503"),
        (KeyAnswer("openai", "h", trouble="$.key: there is no file x"), FAILED, "$.key: there is no file x"),
        (KeyAnswer("openai", "h", trouble="$.key: no", unreadable=True), WARNING, "$.key: no"),
        (KeyAnswer("openai", "h"), ABSENT, "none is configured"),
        (KeyAnswer("openai", "h", trouble="not tried: not reached"), ABSENT, "not tried: not reached"),
    ],
)
def test_what_a_service_says_of_a_key_is_told(answer: KeyAnswer, level: Level, words: str) -> None:
    assert told(check_key(answer)) == (level, words)


@pytest.mark.parametrize(
    ("url", "named", "asked"),
    [
        ("wss://api.openai.com/v1/realtime", True, "https://api.openai.com/v1/models/m"),
        ("ws://192.168.1.20:8000/v1/realtime/?model=x", False, "http://192.168.1.20:8000/v1/models"),
        ("wss://r.openai.azure.com/openai/v1/realtime", False, "https://r.openai.azure.com/openai/v1/models"),
        (
            "wss://r.openai.azure.com/openai/realtime?api-version=2024-10-01&deployment=d",
            False,
            "https://r.openai.azure.com/openai/models?api-version=2024-10-01",
        ),
    ],
)
def test_the_models_are_asked_for_beside_the_address_of_the_agent(url: str, named: bool, asked: str) -> None:
    assert key_url(url, "m", named=named) == asked


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
            "it has failed (exit-code, exit code 78) and is not started again",
        ),
        (replace(UNIT, active="inactive"), False, WARNING, "it is inactive"),
        (replace(UNIT, active="activating"), False, WARNING, "it is activating"),
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


def test_the_fault_that_a_box_shows_is_repeated() -> None:
    assert check_fault("") == ()
    assert told(check_fault("the card is gone")[0]) == (FAILED, "the box shows: the card is gone")


@pytest.mark.parametrize(
    ("power", "level", "words"),
    [
        (Power(), ABSENT, "this machine does not tell its voltage"),
        (Power(celsius=40.4), ABSENT, "this machine does not tell its voltage, 40 °C"),
        (Power(0, False, 50.0), OK, "no under-voltage since it started, 50 °C"),
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
    ],
)
def test_a_disk_that_fails_is_told_from_one_that_is_full(disk: Disk, level: Level, words: str) -> None:
    assert told(check_disk(disk)) == (level, words)


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
