"""The doors as an agent opens them: only those that are marked for it, not too often, and never without a trace."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.doors import Doors
from edgevoice.drivers.relay import Relays, open_relays
from edgevoice.relays import AGENT_OPENINGS, AGENT_WINDOW_S, Openings
from edgevoice.schema import Relay

CONFIGURED = {"door": Relay(pin=5, pulse_s=60.0, agent_may=True), "safe": Relay(pin=6, pulse_s=60.0)}


@pytest.fixture
def doors() -> Iterator[Doors]:
    relays = open_relays(pins="mock", relays={name: (relay.pin, relay.pulse_s) for name, relay in CONFIGURED.items()})
    yield Doors(CONFIGURED, lambda: relays)
    relays.close()


def test_an_agent_opens_a_door_and_the_journal_says_in_which_call(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edgevoice.doors")
    assert doors.open_for_agent("door", "elks-3", 1.0) == "door is open for 60 s"
    assert caplog.messages == ["call elks-3: relay door opened by an agent"]


def test_a_door_that_is_not_marked_for_agents_stays_shut(doors: Doors, caplog: pytest.LogCaptureFixture) -> None:
    assert doors.open_for_agent("safe", "openai", 1.0) == "error: safe may not be opened by you"
    assert caplog.messages == ["call openai: an agent wants relay safe, which it may not open"]


def test_whoever_talks_an_agent_into_it_again_and_again_is_stopped(
    doors: Doors, caplog: pytest.LogCaptureFixture
) -> None:
    said = [doors.open_for_agent("door", call, 10.0) for call in ("elks-1", "elks-2", "openai", "openai")]
    assert [words.partition(" ")[0] for words in said] == ["door", "door", "door", "error:"]
    assert caplog.messages[-1] == "call openai: an agent wants relay door too often; it stays shut"
    assert doors.open_for_agent("door", "openai", 10.0 + AGENT_WINDOW_S).startswith("door is open")


def test_a_relay_that_does_not_work_is_told_to_the_agent_and_why_to_the_owner(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = Doors(CONFIGURED, lambda: Relays(facts="no pins: this machine has none"))
    told = broken.open_for_agent("door", "openai", 1.0)
    assert told == "error: door does not open; the owner finds the cause in the journal"
    assert "no pins: this machine has none" in caplog.messages[-1]


@given(st.lists(st.tuples(st.sampled_from(["door", "gate"]), st.floats(0, 30)), max_size=60))
def test_no_door_is_opened_more_often_than_that_in_any_minute(wishes: list[tuple[str, float]]) -> None:
    openings, at = Openings(), 0.0
    opened: list[tuple[str, float]] = []
    for name, after in wishes:
        at += after
        if openings.may(name, at):
            opened.append((name, at))
        else:
            assert sum(one == name and when > at - AGENT_WINDOW_S for one, when in opened) == AGENT_OPENINGS
    for name, at in opened:
        assert sum(one == name and at <= when < at + AGENT_WINDOW_S for one, when in opened) <= AGENT_OPENINGS
