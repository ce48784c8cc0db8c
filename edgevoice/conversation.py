"""Whose turn is it? A person on the near leg and an agent on the far leg: events in, orders out, no clock inside.

Rules
* One owner of interruptions: the near leg. One `BargedIn` makes exactly one `Interrupt`. While it suspects one, nothing
  is decided here: deadlines of what is to be heard stand still, and a turn that ends waits for the verdict. A service
  that interrupts itself makes no more of the response, so that the near leg is told to forget the rest of it.
* A turn is answered by `Respond`: when the service says the turn is over (SERVICE), when the person has paused (LOCAL),
  or when the button is released (MANUAL). A turn that ends while a response sounds gets none: the person would have
  interrupted it. One that ends while an interrupted response is still being made waits for its end; one that ends
  before anything of the response was heard takes its place.
* Every wait has a deadline: a near leg that never reports `Played`, a service that never answers, a cancelled response
  that never ends, none of them silences the call.
* While the link is down (`LinkDown`) the microphone goes on as it was: the far leg keeps what the person says. What was
  received is heard to its end; an answer that is waited for is waited for anew when the link is back.
* After `over` is set nothing is ordered.
"""

from __future__ import annotations

from math import inf
from typing import assert_never

from edgevoice.events import (
    Audio,
    BargedIn,
    BargeIn,
    Clear,
    Cleared,
    Closed,
    Digit,
    End,
    Event,
    HangUp,
    Interrupt,
    Interrupted,
    LinkDown,
    Listen,
    Listening,
    Mark,
    Opened,
    Play,
    Played,
    Progress,
    Respond,
    ResponseDone,
    ResponseStarted,
    Resumed,
    SpeechStarted,
    SpeechStopped,
    Suspected,
    TakenBack,
    Tone,
    ToolCalled,
    ToolResult,
    Transcript,
    TurnCommitted,
    Uplink,
    Witness,
)
from edgevoice.light import Turn
from edgevoice.orders import Orders, Side
from edgevoice.person import PAUSE_S, Detection, Person
from edgevoice.responses import Responses
from edgevoice.suspicion import Suspicion

__all__ = ["Conversation", "Detection", "Orders", "Side"]

ANSWER_S = 15.0  # a service that has not begun to answer by then will not: listen again, with a tone


class Conversation:
    """The turn between a person (near) and an agent (far) whose audio has `rate` Hz."""

    def __init__(self, detection: Detection, rate: int, *, silence_ms: int = 500) -> None:
        self.over: Closed | None = None
        self._person = Person(detection, silence_ms)
        self._responses = Responses(rate)
        self._suspicion = Suspicion(silence_ms)
        self._far_open = False
        self._link_down = False
        self._trouble_told = False  # by a tone
        self._uplink = Uplink.OFF  # what the near leg was last told
        self._uplinks = [Uplink.OFF]  # what it said it does, and after that what it was told and has not done yet
        self._owed = False  # a turn waits for the end of a dead response
        self._asked: float | None = None  # when `Respond` was ordered, until its response begins
        self._finish_by: float | None = None
        self._finish_reason = ""

    # ------------------------------------------------------------------------------------ what can be read

    @property
    def turn(self) -> Turn:
        """What the light shows in a call. A microphone that is still open is never shown as closed."""
        if not self._far_open:
            return Turn.OPENING
        if self._person.muted and Uplink.OPEN not in self._uplinks:
            return Turn.MUTED
        if self._link_down:
            return Turn.RECONNECTING
        if self._suspicion.undecided:
            return Turn.SUSPECTING
        if self.speaking:
            return Turn.SPEAKING
        if self._asked is not None or self._owed or self._responses.live:
            return Turn.THINKING
        if self._person.speaks:
            return Turn.HEARING
        if self._push_to_talk and not self._person.has_turn and Uplink.OPEN not in self._uplinks:
            return Turn.WAITING
        return Turn.LISTENING

    @property
    def speaking(self) -> bool:
        """A response sounds, or is held, also where the light shows something more important."""
        return bool(self._responses.sounding)

    @property
    def deadline(self) -> float | None:
        """When `expire` must be called at the latest (monotonic seconds)."""
        if self.over:
            return None
        times = [self._responses.deadline, self._suspicion.deadline]
        if self._asked is not None and not self._link_down:
            times.append(self._asked + ANSWER_S)
        if not self._suspicion.undecided:
            times.append(self._person.deadline)
        if self._finish_by is not None:
            times.append(self._finish_by)
        due = min(times)
        return due if due < inf else None

    @property
    def _push_to_talk(self) -> bool:
        return self._person.detection is Detection.MANUAL

    @property
    def _service_ends_turns(self) -> bool:
        return self._person.detection is Detection.SERVICE

    # -------------------------------------------------------------------------------------- the near leg

    def near(self, event: Event, at: float) -> Orders:
        """Take what the person's leg reports."""
        if self.over:
            return []
        orders: Orders = []
        match event:
            case Audio(pcm):  # it changes nothing else
                return [(Side.FAR, Play(pcm))] if self._far_open and self._finish_by is None else []
            case SpeechStarted():
                self._person.begins_to_speak(over_us=self.speaking)
                self._suspicion.near_hears()
            case SpeechStopped():
                self._person.pauses(at)
                self._suspicion.near_heard(until=at - PAUSE_S)
            case Suspected(response):
                if response in self._responses:
                    self._suspicion.begin(at)
                    self._responses.hold(at)
            case TakenBack():
                self._take_back(at)
            case BargedIn(response, heard_ms):
                orders += self._barged_in(response, heard_ms, at)
            case Cleared(response, heard_ms):  # without a name: nothing of what waited had sounded
                orders += self._barged_in(response or self._responses.sounding, heard_ms, at)
            case Played(_, response):
                self._responses.heard(response)
            case Listening(uplink):
                done = self._uplinks[1:].index(uplink) + 1 if uplink in self._uplinks[1:] else len(self._uplinks)
                self._uplinks = [uplink, *self._uplinks[done + 1 :]]
            case Closed():
                return self._end(event, Side.FAR)
            case (
                Opened()
                | TurnCommitted()
                | ResponseStarted()
                | ResponseDone()
                | Interrupted()
                | Transcript()
                | ToolCalled()
                | Digit()
                | Progress()
                | LinkDown()
                | Resumed()
            ):  # an agent's words: not a person's; keys are the box's
                pass
            case _:
                assert_never(event)
        return self._settle(orders, at)

    def _barged_in(self, response: str, heard_ms: float, at: float) -> Orders:
        if response not in self._responses:
            return []
        self._person.interrupts(at, by_voice=self._suspicion.undecided)
        if self._suspicion.confirm() and self._finish_by is None:
            self._owed = True
        self._responses.kill(at)
        return [(Side.FAR, Interrupt(response, heard_ms))]

    def _take_back(self, at: float) -> None:
        """If there is a suspicion, it was nobody."""
        self._suspicion.take_back(at)
        self._responses.go_on(at)

    # --------------------------------------------------------------------------------------- the far leg

    def far(self, event: Event, at: float) -> Orders:
        """Take what the agent's leg reports."""
        if self.over:
            return []
        orders: Orders = []
        match event:
            case Opened():
                self._far_open = True
                orders.append((Side.NEAR, Tone("connected")))
            case Audio(pcm, response):
                orders += self._speak(pcm, response, at)
            case ResponseStarted(response):
                orders += self._response_started(response, at)
            case ResponseDone(response):
                orders += self._made(response)
            case Interrupted(response):
                if response in self._responses:
                    orders.append((Side.NEAR, Clear()))
            case SpeechStarted(ago_ms):
                self._suspicion.service_heard(ago_ms, at)
                if ago_ms is not None and self.speaking and self._service_ends_turns:
                    orders.append((Side.NEAR, Witness(ago_ms)))
            case TurnCommitted():
                if self._service_ends_turns and self._suspicion.turn_ended(at):
                    orders += self._turn_ended(at)
            case LinkDown():
                orders += self._lose_link()
            case Resumed():
                orders += self._resume(at)
            case Closed():
                return self._end(event, Side.NEAR)
            case (
                SpeechStopped()
                | Listening()
                | Suspected()
                | TakenBack()
                | BargedIn()
                | Played()
                | Cleared()
                | Transcript()
                | ToolCalled()
                | Digit()
                | Progress()
            ):  # the near leg is the one owner of interruptions; tools are the box's
                pass
            case _:
                assert_never(event)
        return self._settle(orders, at)

    def _speak(self, pcm: bytes, response: str, at: float) -> Orders:
        if not self._responses.sound(response, pcm, at):
            return []
        self._asked = None
        return [(Side.NEAR, Play(pcm, response))]

    def _response_started(self, response: str, at: float) -> Orders:
        self._asked = None
        if not self._responses.begun(response, at):
            return []
        overtaken = self._owed or (self._push_to_talk and self._person.has_turn)
        if not overtaken:  # by another turn, or by one that is being spoken
            return []
        self._responses.kill(at)
        return [(Side.FAR, Interrupt(response, 0.0))]

    def _made(self, response: str) -> Orders:
        """Nothing more comes of it: wait until it was heard, if there is anything to hear."""
        return [(Side.NEAR, Mark(response, response))] if self._responses.made(response) else []

    def _lose_link(self) -> Orders:
        """Nothing more comes of what was being said. It is heard as far as it came, and then a tone says so."""
        self._link_down = True
        return [(Side.NEAR, Mark(name, name, fades=True)) for name in self._responses.break_off()]

    def _resume(self, at: float) -> Orders:
        if not self._link_down:
            return []
        told, self._link_down, self._trouble_told = self._trouble_told, False, False
        if self._asked is not None:
            self._asked = at
        return [(Side.NEAR, Tone("connected"))] if told else []

    def _turn_ended(self, at: float) -> Orders:
        """Answer the person's turn, now or as soon as the service can."""
        if self.speaking or self._finish_by is not None:
            return []
        self._owed = True
        return self._replace_answer(at)

    def _replace_answer(self, at: float) -> Orders:
        """Stop an answer of which nothing was heard yet."""
        return [(Side.FAR, Interrupt(self._responses.kill(at), 0.0))] if self._responses.live else []

    # ------------------------------------------------------------------------------------ what people want

    def talk(self, on: bool, at: float) -> Orders:
        """Push to talk: the button went down or up."""
        if self.over or not self._push_to_talk or on == self._person.has_turn:
            return []
        self._person.has_turn = on
        if not on:
            return self._settle(self._turn_ended(at), at)
        if self.speaking:
            return self._settle([(Side.NEAR, BargeIn())], at)
        self._owed = False
        return self._settle(self._replace_answer(at), at)

    def mute(self, on: bool, at: float) -> Orders:
        if self.over or on == self._person.muted:
            return []
        self._person.mute(on)
        return self._settle([(Side.NEAR, Tone("muted" if on else "unmuted"))], at)

    def tool_result(self, id: str, output: str) -> Orders:
        return [] if self.over else [(Side.FAR, ToolResult(id, output))]

    def leave(self, reason: str, within_s: float, at: float) -> Orders:
        """Hang up when the agent has said what it is saying, at the latest in `within_s`; 0: now."""
        if within_s <= 0:
            return self.hang_up(reason)
        if self.over:
            return []
        self._finish_reason = self._finish_reason or reason
        self._finish_by = min(at + within_s, at + within_s if self._finish_by is None else self._finish_by)
        return self._settle([], at)

    def hang_up(self, reason: str) -> Orders:
        """End it now."""
        if self.over:
            return []
        self.over = Closed(End.HUNG_UP, reason)
        return [(Side.NEAR, HangUp(reason)), (Side.FAR, HangUp(reason))]

    # ----------------------------------------------------------------------------------------------- time

    def expire(self, at: float) -> Orders:
        """The deadline has passed: stop waiting for what did not come."""
        if self.over:
            return []
        orders: Orders = []
        if self._finish_by is not None and at >= self._finish_by:
            return self.hang_up(self._finish_reason)
        if at >= self._suspicion.deadline:
            self._take_back(at)
        orders += [(Side.NEAR, Mark(name, name)) for name in self._responses.expire(at)]
        if self._asked is not None and not self._link_down and at >= self._asked + ANSWER_S:
            self._asked = None
            orders.append((Side.NEAR, Tone("trouble")))
        if not self._suspicion.undecided and self._person.paused_enough(at):
            orders += self._turn_ended(at)
        return self._settle(orders, at)

    # ------------------------------------------------------------------------------------------- settling

    def _settle(self, orders: Orders, at: float) -> Orders:
        """Order what follows from the new state: the microphone first, an answer that is owed, the end."""
        if not self.speaking:
            self._take_back(at)
            self._person.gets_floor(at)
        wanted = self._person.uplink if self._far_open and self._finish_by is None else Uplink.OFF
        if wanted is not self._uplink:
            self._uplink = wanted
            self._uplinks.append(wanted)
            orders.append((Side.NEAR, Listen(wanted, reflex=not self._push_to_talk)))
        if self._link_down and not self._trouble_told and not self.speaking:
            self._trouble_told = True
            orders.append((Side.NEAR, Tone("trouble")))
        if self._owed and self._asked is None and not self._responses.ending and not self._responses.live:
            self._owed = False
            self._asked = at
            orders.append((Side.FAR, Respond()))
        if self._finish_by is not None and not self._responses.live and self._asked is None:
            orders += self.hang_up(self._finish_reason)
        return orders

    def _end(self, closed: Closed, other: Side) -> Orders:
        self.over = closed
        return [(other, HangUp(closed.reason, fades=other is Side.NEAR))]
