"""What the doctor says of the network, with facts that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgevoice.doctor.facts import (
    Clock,
    KeyAnswer,
    Link,
    Reached,
    Wireless,
)
from edgevoice.doctor.finding import Finding, Level
from edgevoice.doctor.network import (
    check_clock,
    check_key,
    check_reached,
    check_way_out,
    check_wireless,
    clock_by,
    gemini_key_url,
    key_url,
)

OK, WARNING, FAILED, ABSENT = Level.OK, Level.WARNING, Level.FAILED, Level.ABSENT
MB = 1 << 20


def told(found: Finding) -> tuple[Level, str]:
    return found.level, found.sentence


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
        (KeyAnswer("gemini", "h", 400, invalid=True), FAILED, "h does not accept the key (HTTP 400)"),
        (KeyAnswer("gemini", "h", 400), WARNING, "h answers HTTP 400"),
        (KeyAnswer("openai", "h", 403), FAILED, "h forbids this key to look (HTTP 403)"),
        (KeyAnswer("openai", "h", 404, model="m"), WARNING, "h does not know m (HTTP 404), or cannot be asked for it"),
        (
            KeyAnswer("elevenlabs", "h", 404, model="agent_1", setting="agent_id"),
            WARNING,
            "h does not know agent_1 (HTTP 404), or cannot be asked for it",
        ),
        (KeyAnswer("elks", "h", 404), WARNING, "h answers HTTP 404"),
        (
            KeyAnswer("openai", "h", 429),
            WARNING,
            "h is asked too often, or the account has no credit left (HTTP 429)",
        ),
        (KeyAnswer("openai", "h", 503), WARNING, "h answers HTTP 503"),
        (KeyAnswer("openai", "h", trouble="there is no file x", missing=True), FAILED, "there is no file x"),
        (KeyAnswer("openai", "h", trouble="timed out", asked=True), WARNING, "h does not answer: timed out"),
        (KeyAnswer("openai", "h", trouble="$.key: no", unreadable=True), WARNING, "$.key: no"),
        (KeyAnswer("openai", "h"), ABSENT, "none is configured"),
        (KeyAnswer("openai", "h", trouble="not tried: not reached"), ABSENT, "not tried: not reached"),
    ],
)
def test_what_a_service_says_of_a_key_is_told(answer: KeyAnswer, level: Level, words: str) -> None:
    assert told(check_key(answer)) == (level, words)


def test_where_google_tells_of_a_model() -> None:
    live = "wss://generativelanguage.googleapis.com/ws/google.ai.GenerativeService.BidiGenerateContent"
    asked = "https://generativelanguage.googleapis.com/v1beta/models/m"
    assert gemini_key_url(live, "m") == gemini_key_url(live, "models/m") == asked
    assert gemini_key_url("ws://localhost:8000/x?y=z", "m") == "http://localhost:8000/v1beta/models/m"


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
