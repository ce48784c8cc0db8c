"""The first words over the first response of a call reach the far side: the canceller, still new, would mute them."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.barge_in.rooms import echo
from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.echo import load
from edgevoice.audio.interruption import TalkOver
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.events import Answer, Audio, BargedIn, Command, Event, Listen, Play, Tone, Uplink
from tests.audio.test_interruption import NAMES, said

Samples = NDArray[np.int16]

RATE, PERIOD = 16_000, 160
RESPONSE_AT, SPEAKS_AT = 180, 400  # periods
FIRST = 35  # frames of 10 ms
LATE = 2  # frames: the canceller


def phrase(name: str) -> Samples:
    voice = said(name)[: RATE * 2]
    loud: Samples = np.rint(voice * 6000 / np.abs(voice).max()).astype(np.int16)
    return loud


def call(voice: Samples, path: NDArray[np.float32], uplink: Uplink = Uplink.OPEN) -> tuple[Samples, list[Event]]:
    """Hold a call in which somebody talks over the first response; return what was sent, and what happened."""
    room = Room(RATE, [Utterance(SPEAKS_AT / 100, voice)], path, -65.0)
    card = RoomCard(room, VirtualClock(), seconds=6.0)
    canceller, _ = load("aec3", noise_suppression=True)
    duplex = Duplex(RATE, TalkOver(), canceller, half_duplex=False, pre_roll_ms=300)
    commands: deque[Command] = deque([Answer(RATE), Listen(uplink), Tone("awake"), Tone("connected")])
    events: list[Event] = []
    for period in range(500):
        if period == RESPONSE_AT:
            commands.append(Play(response(), "r1"))
        happened = cycle(card, duplex, commands)
        if any(isinstance(event, BargedIn) for event in happened):
            commands.append(Listen(Uplink.OPEN))
        events += happened
    return np.frombuffer(b"".join(event.pcm for event in events if isinstance(event, Audio)), np.int16), events


def response() -> bytes:
    """The agent: another voice, for long enough."""
    voice = np.concatenate([said("theo"), said("george")])
    loud: Samples = np.rint(voice * 5000 / np.abs(voice).max()).astype("<i2")
    return loud.tobytes()


def fainter_db(voice: Samples, sent: Samples) -> NDArray[np.float64]:
    """Return by how much each of the first frames that are loud enough is fainter in what was sent."""
    said, left = (part[: (FIRST + LATE) * PERIOD].astype(float).reshape(-1, PERIOD) for part in (voice, sent))
    power, late = (said**2).mean(1), (left**2).mean(1)
    there = np.max([late[frames : frames + FIRST] for frames in range(LATE + 1)], axis=0)
    fainter: NDArray[np.float64] = 10 * np.log10((power[:FIRST] + 1) / (there + 1))
    loud: NDArray[np.float64] = fainter[power[:FIRST] > power.max() / 100]
    return loud


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("theo", "george")])
def test_the_first_words_of_a_call_are_not_lost_where_there_is_no_echo(name: str) -> None:
    voice = phrase(name)
    sent, _ = call(voice, np.zeros(0, np.float32))
    fainter = fainter_db(voice, sent[SPEAKS_AT * PERIOD :])
    assert np.sum(fainter > 20) <= 2, "20 ms, before anybody could know that it is a voice"
    assert np.sum(fainter > 6) <= 4


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("theo", "george")])
def test_the_first_words_of_a_call_are_not_lost_once_the_echo_is_over(name: str) -> None:
    voice = phrase(name)
    path = 0.1 * echo(np.random.default_rng(3), 0.3, 20.0)
    sent, _ = call(voice, path)
    assert np.sum(fainter_db(voice, sent[SPEAKS_AT * PERIOD :]) > 20) <= 3
