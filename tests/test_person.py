"""The person's side of the turn: when they have it, and what becomes of the microphone's samples."""

from __future__ import annotations

from math import inf

import pytest

from edgevoice.events import Uplink
from edgevoice.person import ECHO_S, PAUSE_S, Detection, Person


@pytest.mark.parametrize(
    ("detection", "at_rest", "in_turn", "muted"),
    [
        (Detection.SERVICE, Uplink.OPEN, Uplink.OPEN, Uplink.SILENT),
        (Detection.LOCAL, Uplink.HELD, Uplink.OPEN, Uplink.OFF),
        (Detection.MANUAL, Uplink.HELD, Uplink.OPEN, Uplink.OFF),
    ],
)
def test_the_microphone_is_open_in_the_turn(
    detection: Detection, at_rest: Uplink, in_turn: Uplink, muted: Uplink
) -> None:
    person = Person(detection, 500)
    assert person.uplink is at_rest
    person.has_turn = True
    assert person.uplink is in_turn
    person.mute(True)
    assert person.uplink is muted


def test_a_pause_for_breath_is_not_the_end() -> None:
    person = Person(Detection.LOCAL, 500)
    person.begins_to_speak(over_us=False)
    person.pauses(10.0)
    assert person.deadline == 10.5 - PAUSE_S
    person.begins_to_speak(over_us=False)
    assert (person.has_turn, person.deadline) == (True, inf)


def test_the_end_of_a_turn_is_told_once() -> None:
    person = Person(Detection.LOCAL, 500)
    person.begins_to_speak(over_us=False)
    person.pauses(10.0)
    assert [person.paused_enough(at) for at in (10.2, 10.3, 10.4)] == [False, True, False]
    assert person.uplink is Uplink.HELD


def test_half_a_sentence_before_muting_is_no_turn() -> None:
    person = Person(Detection.LOCAL, 500)
    person.begins_to_speak(over_us=False)
    person.mute(True)
    person.pauses(10.0)
    person.mute(False)
    assert (person.has_turn, person.deadline) == (False, inf)


def test_who_is_muted_neither_begins_a_turn_nor_interrupts() -> None:
    person = Person(Detection.LOCAL, 500)
    person.mute(True)
    person.begins_to_speak(over_us=False)
    person.interrupts(10.0, by_voice=True)
    person.gets_floor(10.0)
    assert not person.has_turn


def test_a_voice_that_outlives_a_response_by_its_echo_is_none() -> None:
    for lasts_s, counts in ((ECHO_S - 0.01, False), (ECHO_S + 0.01, True)):
        person = Person(Detection.LOCAL, 500)
        person.begins_to_speak(over_us=True)
        assert person.uplink is Uplink.HELD
        person.gets_floor(10.0)
        assert person.uplink is Uplink.OPEN, "nothing of it is lost"
        person.pauses(10.0 + lasts_s + PAUSE_S)
        assert person.has_turn is counts


def test_who_begins_anew_after_the_response_is_no_echo() -> None:
    person = Person(Detection.LOCAL, 500)
    person.begins_to_speak(over_us=True)
    person.gets_floor(10.0)
    person.begins_to_speak(over_us=False)
    person.pauses(10.1)
    assert person.has_turn


def test_a_word_that_is_over_when_it_interrupts_is_a_turn_all_the_same() -> None:
    person = Person(Detection.LOCAL, 500)
    person.interrupts(10.0, by_voice=True)
    assert (person.uplink, person.deadline) == (Uplink.OPEN, 10.3)
    person.interrupts(10.1, by_voice=True)
    assert person.deadline == 10.3


@pytest.mark.parametrize("detection", [Detection.SERVICE, Detection.MANUAL])
def test_where_others_end_the_turn_a_voice_means_nothing(detection: Detection) -> None:
    person = Person(detection, 500)
    person.begins_to_speak(over_us=False)
    person.interrupts(10.0, by_voice=True)
    person.gets_floor(10.0)
    person.pauses(11.0)
    assert (person.has_turn, person.deadline) == (False, inf)
