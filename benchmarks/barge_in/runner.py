"""Holds a session with the real loop body in virtual time: what we play changes what we hear.

The card has 16 kHz (the rate at which everything is decided anyway: nothing is resampled, which saves a third of the
time), periods of 10 ms and 40 ms ahead. The agent says one response after the other; when it was interrupted it is
silent for a second. Whoever interrupts waits until a response has sounded for a while, whatever went before, so that
what a policy does wrong at one of them does not change the next.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from benchmarks.barge_in.corpus import EACH_S, SESSION_S, Interruption, Scene, Session, scene
from benchmarks.barge_in.record import Happened, Record, Spoken
from benchmarks.barge_in.voices import RATE, load
from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.echo import Canceller
from edgevoice.audio.ports import CardDetector
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.events import (
    Answer,
    Audio,
    BargedIn,
    Clear,
    Cleared,
    Command,
    Event,
    Listen,
    Mark,
    Play,
    Played,
    Suspected,
    TakenBack,
    Tone,
    Uplink,
)

Result = TypeVar("Result")

PERIOD = RATE // 100
CONVERTER_DBFS = -84.0  # what a microphone and its converter add to the noise of the room
FIRST_S = 1.8  # the chime of the box, that of the call, then the first response
PAUSE_S = 1.0  # of an agent that was interrupted
AFTERWARDS_S = 1.0  # of the utterance, until an agent that was not interrupted is stopped
NOTED = (Suspected, TakenBack, BargedIn, Played, Cleared)


class Ears(NamedTuple):
    """Who hears, and how long a suspicion may last."""

    detector: CardDetector
    canceller: Canceller
    give_up_ms: int = 500
    duplex: type[Duplex] = Duplex


Policy = Callable[[], Ears]  # makes new ones for each session; to be sent to other processes: of top-level functions


def run(
    sessions: Sequence[Session], digits: Path, policy: Policy, measure: Callable[[Record], Result], processes: int = 2
) -> list[Result]:
    """Hold every session and return what `measure` makes of each, in their order."""
    hold_one = partial(_hold_and_measure, digits, policy, measure)
    if processes == 1:
        return [hold_one(session) for session in sessions]
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the processes share the cores, not each of them all
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return pool.map(hold_one, sessions, chunksize=1)


def _hold_and_measure(digits: Path, policy: Policy, measure: Callable[[Record], Result], session: Session) -> Result:
    return measure(hold(scene(session, load(digits, session.half)), policy()))


def make_duplex(ears: Ears) -> Duplex:
    return ears.duplex(
        RATE, ears.detector, ears.canceller, half_duplex=False, pre_roll_ms=300, give_up_ms=ears.give_up_ms
    )


def hold(held: Scene, ears: Ears) -> Record:
    """Hold one session."""
    seconds = held.session.interruptions * EACH_S or SESSION_S
    room = Room(RATE, held.people, held.echo, CONVERTER_DBFS, held.seed, drive=held.drive, noises=held.noises)
    card = RoomCard(room, VirtualClock(), seconds=seconds, drift_ppm=held.drift_ppm)
    duplex = make_duplex(ears)
    commands: deque[Command] = deque([Answer(RATE), Listen(Uplink.OPEN), Tone("awake"), Tone("connected")])
    far = _Far(held, room)
    uplink: list[bytes] = []
    for period in range(round(seconds * RATE) // PERIOD):
        events = cycle(card, duplex, commands)
        uplink += [event.pcm for event in events if isinstance(event, Audio)]
        commands.extend(far.step(card.clock.now(), (period + 1) * PERIOD, events))
        if far.over:
            break
    captured = (period + 1) * PERIOD
    return Record(
        rate=RATE,
        condition=held.session.condition.name,
        drift_ppm=held.drift_ppm,
        speaker=card.speaker[: round(captured * (1 + held.drift_ppm * 1e-6))],
        uplink=np.frombuffer(b"".join(uplink), "<i2"),
        captured=captured,
        responses=far.said,
        spoken=far.spoken,
        events=far.events,
        planned=held.session.interruptions,
        facts=held.facts,
    )


class _Far:
    """The agent, and the person who interrupts it."""

    def __init__(self, held: Scene, room: Room) -> None:
        self.said: dict[str, np.ndarray] = {}
        self.spoken: list[Spoken] = []
        self.events: list[Happened] = []
        self.over = False
        self._responses = held.responses
        self._room = room
        self._random = np.random.default_rng(held.seed)
        self._waiting = deque(held.interruptions)
        self._talked_over = bool(held.interruptions)
        self._next_at: float | None = FIRST_S  # the next response; None: one sounds
        self._began_at = 0.0
        self._stop_at: float | None = None  # somebody talks; an agent that goes on until then is stopped

    def step(self, now: float, frame: int, events: Sequence[Event]) -> Iterable[Command]:
        """Take what the card reported in the period that ended with `frame`; return what it is told next."""
        for event in events:
            if isinstance(event, NOTED):
                self._note(now, event)
        yield from self._talk(now, frame)
        if self._next_at is not None and now >= self._next_at:
            yield from self._respond(now)

    def _note(self, now: float, event: Event) -> None:
        response = getattr(event, "response", "")
        self.events.append(Happened(now, type(event).__name__, response, getattr(event, "heard_ms", None)))
        if isinstance(event, Played):
            self._next_at = now
        elif isinstance(event, BargedIn | Cleared):
            self._next_at = max(now, (self._stop_at or now) - AFTERWARDS_S) + PAUSE_S

    def _respond(self, now: float) -> Iterator[Command]:
        name = f"r{len(self.said)}"
        self.said[name] = next(self._responses)
        self._next_at, self._began_at, self._stop_at = None, now, None
        self.events.append(Happened(now, "Play", name))
        yield Play(self.said[name].astype("<i2").tobytes(), name)
        yield Mark("end", name)

    def _talk(self, now: float, frame: int) -> Iterator[Command]:
        """Let the person speak when it is time, and stop an agent that talks through all of it."""
        if self._stop_at is not None:
            if now >= self._stop_at and self._next_at is None:
                yield Clear()
                self._stop_at = now
            return
        if self._talked_over and not self._waiting:
            self.over = True
        elif self._waiting and self._next_at is None and now - self._began_at >= self._waiting[0].after_s:
            self._speak(frame, self._waiting.popleft())

    def _speak(self, frame: int, interruption: Interruption) -> None:
        first = frame + int(self._random.integers(PERIOD))
        self._room.say(Utterance(first / RATE, interruption.pcm))
        self.spoken.append(Spoken(first, first + interruption.onset, interruption.pcm, list(self.said)[-1]))
        self._stop_at = (first + len(interruption.pcm)) / RATE + AFTERWARDS_S
