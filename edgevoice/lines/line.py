"""A phone call over a service's socket, as a leg: what every service has in common, whatever its messages are.

    messages ── service.receive ──> Began, Audio ──> ear ──> Audio, SpeechStarted, ... ──> the other side
                                    Reached, Emptied ──> playback ──> Played
    messages <── sending <── Play, Mark, Tone, Clear

It is used like a `Wire`, by the side that was called: `opened` when the socket is there, then `receive`, `perform` and
`expire`. `Began` says which call it is; `Answer` takes it, at the rate of the other side.

Rules
* A voice over a response is weighed by `Ear`; only evidence clears. Then the response is dead by name, what waits to be
  sent is forgotten, and `BargedIn` tells what the service will have played when the `clear` reaches it.
* Every wait has a deadline: a service that never says which call it is, a mark that does not come back, a line that
  has fallen silent for good.
"""

from __future__ import annotations

from edgevoice.audio.pcm import from_bytes
from edgevoice.audio.ports import LineDetector
from edgevoice.events import (
    Answer,
    Audio,
    BargedIn,
    BargeIn,
    Clear,
    Cleared,
    Closed,
    Command,
    Digit,
    End,
    Event,
    HangUp,
    Listen,
    Mark,
    Opened,
    Play,
    Played,
    Progress,
    Stage,
    Tone,
    Uplink,
    Witness,
)
from edgevoice.lines.ear import Ear
from edgevoice.lines.sending import Sending
from edgevoice.lines.service import Began, Emptied, Flowing, Messages, Reached, Service
from edgevoice.wire import NOTHING, Reply

SILENT_S = 30.0  # a line carries sound all the time, also of silence; after so long without it is dead
LONGEST_S = 5.0  # of sound in one message: no line has so much to tell at once, and all calls would wait for it
KEEP_MS = 1_000  # from a barge-in to the order to listen


class Line:
    """One call. After `Closed` was told nothing happens any more."""

    def __init__(
        self, service: Service, detector: LineDetector, *, pre_roll_ms: int = 300, give_up_ms: int = 500
    ) -> None:
        self.service = service
        self.began: Began | None = None
        self.sending = Sending(service)
        self._detector = detector
        self._pre_roll_ms, self._give_up_ms = pre_roll_ms, give_up_ms
        self._ear: Ear | None = None
        self._opened_at = 0.0
        self._heard_at = 0.0  # when the last message came
        self._wanted: int | None = None  # the rate of the side that wants to take part
        self._answered = False  # it does
        self._listens: Listen | None = None  # what was ordered last
        self._early = False  # sound comes before anybody has answered
        self._over = False

    @property
    def rate(self) -> int:
        """Hz of the line itself; the other side may have another (`Answer`)."""
        return self.service.rate

    @property
    def deadline(self) -> float | None:
        if self._over:
            return None
        if self.began is None:
            return self._opened_at + self.service.patience_s
        waits = (self._heard_at + SILENT_S, self.sending.playback.deadline, self.sending.deadline)
        return min(wait for wait in waits if wait is not None)

    def opened(self, at: float) -> Reply:
        """The socket is there."""
        self._opened_at = self._heard_at = at
        return _sent(self.service.open())

    def receive(self, message: str | bytes, at: float) -> Reply:
        """Take one message of the service."""
        if self._over:
            return NOTHING
        self._heard_at = at
        replies = [self._take(meaning, at) for meaning in self.service.receive(message, at)]
        return _together(*replies)

    def _take(self, meaning: object, at: float) -> Reply:
        match meaning:
            case Audio(pcm):
                return self._hear(pcm, at)
            case Reached(name):
                return self._passed(self.sending.playback.reached(name, at))
            case Emptied():
                return _sent(self.sending.cleared(at))
            case Began() if self.began is None:
                return self._begin(meaning)
            case Flowing():
                return self._flow()
            case Progress(Stage.EARLY_MEDIA):
                return self._hear_early(meaning)
            case Digit() | Progress():
                return Reply(events=(meaning,))
            case Closed():
                return self._end(meaning)
        return NOTHING

    def perform(self, command: Command, at: float) -> Reply:
        """Carry out one command; those that a line has no part in are ignored."""
        if self._over:
            return NOTHING
        match command:
            case HangUp(reason):
                return self._end(Closed(End.HUNG_UP, reason))
            case Answer(rate) if self._wanted is None:
                self._wanted = rate
                return self._answer() if self.began else NOTHING
            case _ if self._ear is None:  # nobody is there yet
                return NOTHING
            case Play():
                return _sent(self.sending.play(command, at))
            case Mark():
                return _sent(self.sending.mark(command, at))
            case Tone(name):
                return _sent(self.sending.tone(name, at))
            case Listen():
                self._listens = command
                return self._listen()
            case Witness(ago_ms):
                self._ear.witness(ago_ms)
                return self._interrupt(at) if self._ear.evident else NOTHING
            case BargeIn():
                return self._interrupt(at)
            case Clear():
                return self._clear(at, Cleared)
            case _:
                return NOTHING

    def expire(self, at: float) -> Reply:
        """The deadline has passed."""
        if self._over:
            return NOTHING
        if self.began is None:
            patience_s = self.service.patience_s
            if at < self._opened_at + patience_s:
                return NOTHING
            end = End.BROKEN if self.service.flows_at_once else End.NO_ANSWER
            return self._end(Closed(end, f"the service did not say within {patience_s:g} s which call it is"))
        if at >= self._heard_at + SILENT_S:
            return self._end(Closed(End.LINK_LOST, f"nothing came over the line for {SILENT_S:g} s"))
        return _together(self._passed(self.sending.playback.expire(at)), _sent(self.sending.pump(at)))

    def closed(self, code: int, reason: str, at: float) -> Closed:
        """Say what it means that the socket is gone. `reason` is the other side's text, and never shown."""
        self._over = True
        return self.service.closed(code)

    # ------------------------------------------------------------------------------------------------ the call

    def _begin(self, began: Began) -> Reply:
        self.began = began
        self._tune()
        return self._answer() if self._wanted is not None else NOTHING

    def _tune(self) -> None:
        """Take the rate that the service has announced."""
        self.sending.take_from(self.rate)
        self._ear = Ear(self.rate, self._detector, pre_roll_ms=self._pre_roll_ms, give_up_ms=self._give_up_ms)

    def _answer(self) -> Reply:
        """Take the call for the side that wants to take part."""
        begin = _sent(self.service.begin())
        return _together(begin, self._flow()) if self.service.flows_at_once else begin

    def _flow(self) -> Reply:
        """Sound flows from now on; said again, at another rate."""
        if self._wanted is None or (self._answered and self.sending.playback.rate == self.rate):
            return NOTHING
        opened = NOTHING if self._answered else Reply(events=(Opened(),))
        self._tune()
        assert self._ear is not None
        self._answered = True
        self.sending.take_from(self._wanted)
        self._ear.join(self._wanted)
        return _together(opened, self._listen())

    def _listen(self) -> Reply:
        """Do with the caller's sound as was ordered last, as soon as there is any."""
        if self._listens is None or self._ear is None or not self._answered:
            return NOTHING
        return Reply(events=tuple(self._ear.listen(self._listens.uplink, reflex=self._listens.reflex)))

    def _hear_early(self, progress: Progress) -> Reply:
        """Let what the network says be heard: that it rings, or why it does not."""
        if self._wanted is not None and not self._answered:
            self._tune()
            assert self._ear is not None
            self._ear.join(self._wanted)
            self._ear.listen(Uplink.OPEN, reflex=False)
            self._early = True
        return Reply(events=(progress,))

    def _end(self, closed: Closed) -> Reply:
        self._over = True
        return Reply(send=self.service.end(), events=(closed,), close=True)

    def _hear(self, pcm: bytes, at: float) -> Reply:
        if self._ear is None or not (self._answered or self._early):
            return NOTHING
        if len(pcm) > LONGEST_S * self.rate * 2:
            self.service.faults += 1
            return NOTHING
        events = self._ear.hear(from_bytes(pcm), sounding=bool(self.sending.sounding(at)))
        heard = Reply(self.sending.ask_the_way(at), tuple(events))
        return _together(heard, self._interrupt(at)) if self._ear.evident else heard

    def _passed(self, played: list[Played]) -> Reply:
        for one in played:
            self.sending.playback.forget(one.response)
        return Reply(events=tuple(played)) if played else NOTHING

    # ------------------------------------------------------------------------------------------- interruption

    def _interrupt(self, at: float) -> Reply:
        """Stop the response that sounds, if one does."""
        return self._clear(at, BargedIn) if self.sending.sounding(at) else NOTHING

    def _clear(self, at: float, kind: type[BargedIn] | type[Cleared]) -> Reply:
        assert self._ear is not None
        response, heard_ms, send = self.sending.clear(at)
        self._ear.interrupted(keep_ms=KEEP_MS)
        return Reply(send=send, events=(kind(response, heard_ms),), forget=True)


def _sent(messages: Messages) -> Reply:
    return Reply(send=messages) if messages else NOTHING


def _together(*replies: Reply) -> Reply:
    """Do all of it, in that order."""
    some = [reply for reply in replies if reply is not NOTHING]
    if len(some) < 2:
        return some[0] if some else NOTHING
    send: Messages = ()
    events: tuple[Event, ...] = ()
    for reply in some:
        send = reply.send if reply.forget else send + reply.send
        events += reply.events
    return Reply(send, events, close=any(reply.close for reply in some), forget=any(reply.forget for reply in some))
