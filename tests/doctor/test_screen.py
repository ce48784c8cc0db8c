"""The one screen, as the person at the other end of ssh sees it."""

from __future__ import annotations

import json

from edgevoice.doctor.finding import Section, SwitchOn, absent, exit_code, failed, ok, untried, warning
from edgevoice.doctor.screen import plain, screen

WELL = [Section("Sound", (ok("card", "Device"), absent("volume", "no mixer")))]
ILL = [
    Section(
        "Sound",
        (
            failed("microphone", "it delivers nothing but silence", "switch it on"),
            warning("Wi-Fi wlan0", "power save is on", "iw dev wlan0 set power_save off", ("iw", "dev")),
            failed("card", "it is gone", "put it back"),
        ),
    )
]


def test_a_healthy_box_is_told_in_aligned_lines_and_one_sentence() -> None:
    assert screen(WELL) == "Sound\n  ok       card    Device\n  -        volume  no mixer\n\nAll is well."


def test_a_box_of_which_not_all_could_be_tried_is_not_called_well() -> None:
    panel = Section("Panel", (untried("button", "not tried"), untried("light", "not tried"), absent("pins", "none")))
    words = "Nothing is wrong with what was looked at; not tried: button, light."
    assert screen([*WELL, panel]).splitlines()[-1] == words
    assert words not in screen([*ILL, panel]), "there is more to be said"


def test_failures_are_repeated_at_the_end_causes_first_and_warnings_after_them() -> None:
    assert screen(ILL).split("\n\n")[1].splitlines() == [
        "2 failures, 1 warning. What to do, first things first:",
        "  FAILED   card: it is gone",
        "           -> put it back",
        "  FAILED   microphone: it delivers nothing but silence",
        "           -> switch it on",
        "  warning  Wi-Fi wlan0: power save is on",
        "           -> iw dev wlan0 set power_save off",
        "Some of this is mended by: sudo edgevoice doctor --fix",
    ]


def test_warnings_alone_are_no_failure_and_are_not_all_is_well() -> None:
    said = screen([Section("Sound", (warning("card", "hm", "look"),))])
    assert said.splitlines()[3] == "no failures, 1 warning. What to do, first things first:"


def test_a_long_sentence_is_wrapped_under_itself_and_no_line_is_wider_than_the_terminal() -> None:
    long = [Section("Machine", (failed("disk", "word " * 60, "advice " * 40),))]
    lines = screen(long, width=70).splitlines()
    assert max(map(len, lines)) <= 70
    assert lines[2].startswith(" " * 17 + "word")


def test_there_is_no_colour_unless_it_is_asked_for() -> None:
    assert "\x1b" not in screen(ILL)
    colored = screen(ILL, color=True)
    assert "\x1b[1;31mFAILED \x1b[0m" in colored
    assert screen(WELL, color=True).splitlines()[2] == "\x1b[2m  -        volume  no mixer\x1b[0m"


def test_the_exit_code_is_that_of_failures_alone() -> None:
    assert exit_code(WELL) == 0
    assert exit_code(ILL) == 1
    assert exit_code([Section("Sound", (warning("card", "hm", "look"),))]) == 0


def test_a_program_is_told_the_same() -> None:
    said = plain(ILL)
    assert said["ok"] is False
    assert said["findings"][1] == {  # type: ignore[index]
        "section": "Sound",
        "name": "Wi-Fi wlan0",
        "level": "warning",
        "sentence": "power save is on",
        "advice": "iw dev wlan0 set power_save off",
        "fix": ["iw", "dev"],
    }
    assert plain(WELL)["ok"] is True


def test_a_switch_that_mends_is_told_in_words() -> None:
    section = Section("Sound", (failed("volume", "it is muted", "do it", SwitchOn("hw:Device", "PCM")),))
    assert json.loads(json.dumps(plain([section])))["findings"][0]["fix"] == ['switch on "PCM" of hw:Device']
    assert "Some of this is mended by: sudo edgevoice doctor --fix" in screen([section])
