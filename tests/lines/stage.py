"""A stage for phone calls in virtual time: a `Line`, a fake service, and the network between them, in both directions.

    perform ──> Line ── sent ──> network ──> the service's core: plays on a clock of its own
    events  <── Line <─ told ─── network <── what the caller says, marks, answers

Time goes from one thing that is due to the next, so an hour of talk takes seconds and every run is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgevoice.audio.g711 import pcm_to_ulaw, ulaw_to_pcm
from edgevoice.audio.pcm import to_bytes
from edgevoice.audio.ports import LineDetector
from edgevoice.events import Answer, Audio, Closed, Command, Event, Listen, Listening, Opened, Play, Played, Uplink
from edgevoice.lines.elks import Elks
from edgevoice.lines.line import Line
from edgevoice.lines.service import Service
from edgevoice.lines.twilio import Twilio
from edgevoice.lines.vobiz import Plivo, Vobiz
from edgevoice.wire import Reply
from tests.fakes import LoudnessDetector
from tests.phone import elks as far_elks
from tests.phone import twilio as far_twilio
from tests.phone import vobiz as far_vobiz
from tests.phone.core import Core
from tests.phone.network import Network
from tests.phone.player import STEADY, Clock
from tests.phone.sound import Samples

START = 100.0


@dataclass(frozen=True, slots=True)
class Row:
    """A service, ours and the fake."""

    ours: Callable[[], Service]
    theirs: Callable[..., Core]
    options: dict[str, Any] = field(default_factory=dict)
    is_ulaw: bool = False


WIDE = {"encoding": far_vobiz.L16, "rate": 24_000}
PLIVO = {"vendor": far_vobiz.Vendor.PLIVO, "encoding": far_vobiz.L16, "rate": 16_000}
ROWS = {
    "elks": Row(Elks, far_elks.Elks),
    "twilio": Row(Twilio, far_twilio.Twilio, is_ulaw=True),
    "vobiz": Row(Vobiz, far_vobiz.Vobiz, is_ulaw=True),
    "vobiz at 24 kHz": Row(Vobiz, far_vobiz.Vobiz, WIDE),
    "plivo": Row(Plivo, far_vobiz.Vobiz, PLIVO),
}


class Stage:
    """One call, which has begun at `now`. What is reported stands in `events`, each with its time."""

    def __init__(
        self,
        name: str,
        *,
        detector: LineDetector | None = None,
        delay_ms: float = 40.0,
        jitter_ms: float = 0.0,
        seed: int = 0,
        clock: Clock = STEADY,
        **options: Any,
    ) -> None:
        self.row = ROWS[name]
        self.now = START
        self.line = Line(self.row.ours(), detector or LoudnessDetector())
        self.far = self.row.theirs(START, clock=clock, **(self.row.options | options))
        self.player = self.far.player
        self.events: list[tuple[float, Event]] = []
        self.sent: list[tuple[float, str]] = []  # to the service
        self.most_queued_ms = 0.0
        self._down: Network[str] = Network(delay_ms, jitter_ms, seed=2 * seed)
        self._up: Network[str] = Network(delay_ms, jitter_ms, seed=2 * seed + 1)
        self.loses: Callable[[str], bool] = lambda message: False  # of the service's messages
        self.on_event: Callable[[Event], None] = lambda event: None
        self._carry_out(self.line.opened(self.now))

    # ------------------------------------------------------------------------------------------------- time

    def run(self, seconds: float) -> list[Event]:
        """Let time pass; return what was reported meanwhile."""
        before, until = len(self.events), self.now + seconds
        while (due := self._due) <= until:
            self.now = max(self.now, due)
            self._step()
        self.now = until
        return [event for _, event in self.events[before:]]

    @property
    def _due(self) -> float:
        far = None if self.far.over else self.far.next_at
        waits = (far, self._up.next_at, self._down.next_at, self.line.deadline)
        return min((wait for wait in waits if wait is not None), default=math.inf)

    def _step(self) -> None:
        if not self.far.over and self.far.next_at <= self.now:
            self._say(self.far.advance(self.now))
        for message in self._down.due(self.now):
            self._say(self.far.receive(message, self.now))
            self.most_queued_ms = max(self.most_queued_ms, self.player.queued_ms)
        for message in self._up.due(self.now):
            self._carry_out(self.line.receive(message, self.now))
        if self.line.deadline is not None and self.line.deadline <= self.now:
            deadline = self.line.deadline
            self._carry_out(self.line.expire(self.now))
            assert self.line.deadline != deadline or self.line.sending.deadline == self.now, "it would spin"

    def _say(self, messages: list[str]) -> None:
        for message in messages:
            if not self.loses(message):
                self._up.put(message, self.now)

    def _carry_out(self, reply: Reply) -> list[Event]:
        for message in reply.send:
            assert isinstance(message, str)
            self.sent.append((self.now, message))
            self._down.put(message, self.now)
        for event in reply.events:
            self.events.append((self.now, event))
            self.on_event(event)
        return list(reply.events)

    # ---------------------------------------------------------------------------------------------- the two ends

    def perform(self, *commands: Command) -> list[Event]:
        return [event for command in commands for event in self._carry_out(self.line.perform(command, self.now))]

    def tell(self, message: str | bytes) -> list[Event]:
        """Let a message of the service come out of nowhere."""
        return self._carry_out(self.line.receive(message, self.now))

    def caller_says(self, pcm: Samples, rate: int = 16_000) -> None:
        self.far.caller_says(pcm, self.now, rate=rate)

    def caller_presses(self, key: str) -> None:
        self._say(self.far.caller_presses(key, self.now))

    def caller_hangs_up(self) -> None:
        self._say(self.far.caller_hangs_up(self.now))

    # ----------------------------------------------------------------------------------------------- what happened

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]

    @property
    def played(self) -> list[str]:
        return [event.mark for event in self.told(Played)]

    @property
    def uplink(self) -> bytes:
        return b"".join(event.pcm for event in self.told(Audio))

    @property
    def closed(self) -> Closed | None:
        return next(iter(self.told(Closed)), None)

    def as_heard(self, sound: Samples) -> Samples:
        """Return what a caller hears of `sound` (at the line's rate) on such a line."""
        return np.frombuffer(ulaw_to_pcm(pcm_to_ulaw(to_bytes(sound))), np.int16) if self.row.is_ulaw else sound

    def heard(self) -> Samples:
        """Return all that the caller has heard."""
        return self.player.recording()

    def heard_ms(self, sound: Samples) -> float:
        """Tell how much was heard of a response that is `flat`."""
        return float(np.count_nonzero(self.heard() == self.as_heard(sound)[:1])) * 1000 / self.line.rate


def answered(name: str, *, rate: int | None = None, uplink: Uplink = Uplink.OPEN, **options: Any) -> Stage:
    """Return a call that has been taken, at the line's own rate unless another is given."""
    stage = Stage(name, **options)
    stage.run(0.5)
    assert stage.line.began is not None
    assert stage.perform(Answer(rate or stage.line.rate)) == [Opened()]
    assert Listening(uplink) in stage.perform(Listen(uplink))
    stage.run(0.5)
    return stage


def flat(index: int, ms: float, rate: int) -> Samples:
    """Return a sound that a resampler and mu-law leave alone: how much of it was heard can be counted."""
    return np.full(round(ms * rate / 1000), 700 * (index + 1), np.int16)


def say(
    sound: Samples, response: str = "", piece_ms: int = 100, rate: int = 16_000, *, live: bool = False
) -> list[Play]:
    """Cut a sound into the pieces in which an agent sends it."""
    size = rate * piece_ms // 1000
    return [Play(to_bytes(sound[i : i + size]), response, live) for i in range(0, len(sound), size)]
