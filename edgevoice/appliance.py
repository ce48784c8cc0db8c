"""The box: button, card, call, retry, light. What happens to it goes in, what it does comes out; no clock inside.

Rules
* The light is a function of (state, turn), in `light.py`, and of nothing else.
* While light and button are being tried, a press is only counted. A call that comes in, or is asked for, ends that;
  else the box then goes on with what it did before.
* A press while the agent speaks stops the agent (the panel has already told the audio thread); the next one hangs up.
* Whom to call when a call has failed is for `redial.py` to say. An agent that is not there in time gives way to the
  fallback; the tone and the light say so, and `instead` says why for as long as that call lasts.
* When the network comes back nobody waits any longer for the next try.
* A line that rings is answered by the button; by itself only for a caller who is allowed to, and with a beep first. A
  box that is in a call, or has no card, is busy.
* The card going away ends the call; when it is back, a box that is always on calls again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias, assert_never

from edgevoice.contact import Contact
from edgevoice.errands import GOODBYE_S, errand
from edgevoice.events import Closed, End, ToolCalled
from edgevoice.happenings import (
    AnswerCall,
    CallAsked,
    CallEnded,
    CallOpened,
    CardLost,
    CardReady,
    Decline,
    Effect,
    EndCall,
    HangUpAsked,
    Happening,
    HeldLong,
    Mute,
    MuteAsked,
    NetworkBack,
    PartTold,
    PlaceCall,
    PowerOff,
    Pressed,
    Released,
    RingingEnded,
    Rings,
    Sound,
    StopAsked,
    Stopped,
    Talk,
    ToolDone,
    TryAsked,
    TurnChanged,
)
from edgevoice.light import Box, Pattern, Turn, pattern
from edgevoice.redial import REACH_S, STEADY_S, Redial
from edgevoice.tools import NO_TOOLS, Toolbox

FAULT_SHOWN_S = 30.0  # the light tells why a call failed for so long
PUSH_IDLE_S = 60.0  # push to talk: nobody pressed for so long, the call ends
DRAIN_S = 2.0  # the same when the box itself is stopped
TICK_S = 2.0  # a soft tick that often while connecting
RING_S = 3.0  # a tone of 0.9 s, then silence: as telephones ring
RING_FOR_S = 60.0  # nobody comes any more; services give up at about the same time
END_TONES = {End.BUSY: "busy", End.NO_ANSWER: "no answer", End.WRONG_NUMBER: "wrong number"}  # else "refused"

CALLING = (Box.CONNECTING, Box.FALLING_BACK)

Effects: TypeAlias = list[Effect]


@dataclass(frozen=True, slots=True)
class Rest:
    """How the box rested when it began to be tried."""

    state: Box
    fault: str = ""
    cause: End | None = None
    wake: float | None = None


class Appliance:
    """The state of the box. `receive` and `expire` return what it does, in order."""

    def __init__(
        self,
        *,
        button: str,
        at_start: str = "",
        fallback: str = "",
        push_to_talk: bool = False,
        max_s: float = 600.0,
        power_off: bool = False,
        auto_answer: bool = False,
        muted: bool = False,
        tools: Mapping[str, Toolbox] = MappingProxyType({}),
    ) -> None:
        self.state = Box.STARTING
        self.turn = Turn.OPENING
        self.speaking = False  # a response sounds
        self.muted = muted
        self.felt = False  # a press arrived while the box was being tried
        self.target = ""  # whom the running, or the next, call is to
        self.fault = ""  # why the state is FAULT or WAITING_TO_RETRY, in words
        self.cause: End | None = None  # of a fault that a call left behind
        self.instead = ""  # why the fallback is called, or talked with
        self.failed = ""  # why the last call to whom was wanted did not come about, or broke; until one does
        self.out_of_order: Mapping[str, str] = {}  # parts that do not work, and why; the card's loss is a fault
        self.call_since: float | None = None
        self.failures = 0  # tries in a row to have the same call that came to nothing
        self._button = button
        self._at_start = at_start
        self._redial = Redial(at_start=at_start, fallback=fallback)
        self._push_to_talk = push_to_talk
        self._max_s = max_s
        self._power_off = power_off
        self._auto_answer = auto_answer
        self._tools = tools  # what each agent may ask for
        self._card = False
        self._hopeless = False  # it hangs, and nothing helps
        self._awake = False  # a card has been there before
        self._contact = Contact()
        self._counted = False  # the last press was only tried, however long it is held
        self._incoming = False  # the call was made by the other side: it is not made again
        self._rings_until = 0.0
        self._ending = False  # the call was told to end; `CallEnded` has not come yet
        self._stopping = False
        self._unreached = ""  # it was told to end because it was not there in time
        self._next_target = ""  # asked for while another call was ending
        self._wake: float | None = None  # when a retry, the end of a fault or a tick is due
        self._before_trial = Rest(Box.IDLE)
        self._idle_since = 0.0  # push to talk

    @property
    def light(self) -> Pattern:
        cause = End.CARD_LOST if self._hopeless else self.cause
        return pattern(self.state, self.turn, cause, whole=not self.out_of_order)

    @property
    def free(self) -> bool:
        """A call that comes in may ring."""
        resting = self.state in (Box.IDLE, Box.TRIED, Box.WAITING_TO_RETRY, Box.FAULT)
        return self._card and resting and not self._ending and not self._stopping

    @property
    def deadline(self) -> float | None:
        times = [] if self._wake is None else [self._wake]
        if self._contact.deadline is not None:
            times.append(self._contact.deadline)
        if self.state is Box.IN_CALL and self.call_since is not None and not self._ending:
            times.append(self.call_since + self._max_s)
            if self._idle:
                times.append(self._idle_since + PUSH_IDLE_S)
        if self._reach_by is not None:
            times.append(self._reach_by)
        return min(times, default=None)

    @property
    def _reach_by(self) -> float | None:
        """By when the call that is being made must be there."""
        return self._redial.reach_by(self.target) if self.state is Box.CONNECTING and not self._ending else None

    @property
    def _idle(self) -> bool:
        """Push to talk: nobody talks, and nobody is talked to."""
        return (
            self._push_to_talk
            and not self._contact.down
            and self.turn in (Turn.WAITING, Turn.MUTED)
            and not self.speaking
        )

    def receive(self, happening: Happening, at: float) -> Effects:
        """Take one happening; return what to do, in order."""
        if self._stopping and not isinstance(happening, CallEnded | TurnChanged):
            return []
        match happening:
            case Pressed(stops):
                return self._pressed(stops, at)
            case Released():
                self._contact.opens(at)
                return []
            case HeldLong():
                wished = self._power_off and not self._counted
                return [EndCall("the box is switched off"), PowerOff()] if wished else []
            case CardReady():
                return self._card_ready(at)
            case CardLost(reason, hopeless):
                self._hopeless = hopeless
                return self._card_lost(reason)
            case PartTold(part, why):
                others = {name: words for name, words in self.out_of_order.items() if name != part}
                self.out_of_order = others | ({part: why} if why else {})
                return []
            case NetworkBack():
                waits = self.state is Box.WAITING_TO_RETRY and self._redial.may_be_sooner(at)
                return self._place(self.target, at) if waits else []
            case CallOpened():
                return self._call_opened(at)
            case TurnChanged(turn, speaking):
                self.turn, self.speaking = turn, speaking
                self._idle_since = at
                return []
            case CallEnded(closed):
                return self._call_ended(closed, at)
            case CallAsked(target, within_s):
                return self._call_asked(target, within_s, at)
            case Rings(line, allowed):
                return self._rings(line, allowed, at)
            case RingingEnded():
                return self._ringing_ended(at)
            case HangUpAsked():
                return self._give_up(at)
            case MuteAsked(on):
                return self._mute(on)
            case TryAsked(within_s):
                return self._try(within_s, at)
            case StopAsked():
                return self._stop()
            case ToolCalled():
                return self._tool(happening)
            case _:
                assert_never(happening)

    # ---------------------------------------------------------------------------------------------- the button

    def _pressed(self, stops: bool, at: float) -> Effects:
        if not self._contact.closes(at):
            return []
        self._counted = self.state is Box.TRIED
        match self.state:
            case Box.IDLE | Box.WAITING_TO_RETRY if self._push_to_talk or self.state is Box.IDLE:
                return self._want(self._button, at)
            case Box.TRIED:
                self.felt = True
                self._end_trial()
                return []
            case Box.FAULT if self._card:
                return self._want(self._redial.wanted or self._button, at)
            case Box.RINGING:
                return self._answer(beep=False, at=at)
            case Box.WAITING_TO_RETRY | Box.CONNECTING | Box.FALLING_BACK:
                return [] if self._push_to_talk else self._give_up(at)
            case Box.IN_CALL if self._push_to_talk:
                return [Talk(True)]
            case Box.IN_CALL if not stops:
                return self._give_up(at)
            case _:  # the agent was speaking: it has been stopped; starting, or no card: the light says so
                return []

    def _released(self, at: float) -> Effects:
        """The finger is gone."""
        self._idle_since = at
        return [Talk(False)] if self._push_to_talk and self.state is Box.IN_CALL else []

    # ------------------------------------------------------------------------------------------------ the card

    def _card_ready(self, at: float) -> Effects:
        first, self._card, self._awake, self._hopeless = not self._awake, True, True, False
        hello: Effects = [Sound("awake")] if first else []  # before any other tone: see `audio.tones`
        if self.state is Box.STARTING or (self.state is Box.FAULT and not self._ending):
            return hello + self._rest(at)
        self.fault = ""
        return hello

    def _card_lost(self, reason: str) -> Effects:
        """Show it. A running call hears of it from its own leg, and ends."""
        self._card = False
        self.fault = reason
        if self.state is Box.RINGING:
            self._enter(Box.FAULT)
            return [Decline(reason)]
        if self.state is not Box.IN_CALL and self.state not in CALLING:
            self._enter(Box.FAULT)
        return []

    # ------------------------------------------------------------------------------------------------ the call

    def _want(self, target: str, at: float) -> Effects:
        """Call whom somebody wants, or always wants."""
        self._redial.begin(target, at)
        self.failures = 0
        return self._place(target, at)

    def _place(self, target: str, at: float, state: Box = Box.CONNECTING) -> Effects:
        if state is not Box.FALLING_BACK:
            self.instead = ""
        self.target = target
        self._connect(state, at, incoming=False)
        return [PlaceCall(target)]

    def _connect(self, state: Box, at: float, *, incoming: bool) -> None:
        self._enter(state)
        self._incoming = incoming
        self._next_target = ""
        self.turn, self.speaking = Turn.OPENING, False
        self._wake = at + TICK_S

    def _rings(self, line: str, allowed: bool, at: float) -> Effects:
        if not self.free:
            return [Decline("the box is in another call")]
        self._enter(Box.RINGING)
        self.target = line
        self.failures = 0
        if allowed and self._auto_answer:
            return self._answer(beep=True, at=at)
        self._rings_until = at + RING_FOR_S
        self._wake = at + RING_S
        return [Sound("ringing")]

    def _answer(self, *, beep: bool, at: float) -> Effects:
        self.instead = ""
        self._connect(Box.CONNECTING, at, incoming=True)
        return [AnswerCall(beep)]

    def _ringing_ended(self, at: float) -> Effects:
        return self._rest(at) if self.state is Box.RINGING else []

    def _call_opened(self, at: float) -> Effects:
        if self.state not in CALLING or self._ending:
            return []
        if self.state is Box.CONNECTING:
            self.failed = ""
        self._enter(Box.IN_CALL)
        self.call_since = at
        self._idle_since = at
        effects: Effects = [Mute(True)] if self.muted else []
        return [*effects, Talk(True)] if self._push_to_talk and self._contact.down else effects

    def _call_ended(self, closed: Closed, at: float) -> Effects:
        lasted_s = None if self.call_since is None else at - self.call_since
        self.call_since = None
        if lasted_s is not None and lasted_s >= STEADY_S:
            self.failures = 0
        wanted, self._ending = self._ending, False
        unreached, self._unreached = self._unreached, ""
        if self._stopping:
            return [Stopped()]
        if not self._card:
            self._next_target = ""
            self._enter(Box.FAULT)
            return []
        if self._next_target:
            return self._want(self._next_target, at)
        if unreached and closed.end is not End.CARD_LOST:
            wanted, closed = False, Closed(End.LINK_LOST, unreached)
        wanted = wanted or self._incoming
        if not wanted and closed.end not in (End.HUNG_UP, End.CARD_LOST):
            self.failed = "" if closed.end in (End.BUSY, End.NO_ANSWER) else closed.reason
        match End.HUNG_UP if wanted and closed.end is not End.CARD_LOST else closed.end:
            case End.HUNG_UP:
                self._redial.forget()
                return [Sound("ended"), *self._rest(at)]
            case End.LINK_LOST | End.BROKEN:
                return [Sound("trouble"), *self._try_on(closed, lasted_s, at)]
            case End.CARD_LOST:  # and is back already
                return self._rest(at)
            case _:  # REFUSALS
                self._redial.refused(self.target, at)
                return [Sound(END_TONES.get(closed.end, "refused")), *self._fall_back(closed.reason, at, closed.end)]

    def _rest(self, at: float) -> Effects:
        """Nothing is wanted of the box, unless it is one that is always in a call."""
        self.instead = ""
        self.failures = 0
        if not self._at_start:
            self._enter(Box.IDLE)
            return []
        if self.state is Box.STARTING:
            return self._want(self._at_start, at)
        self._enter(Box.WAITING_TO_RETRY)  # not at once: a card may come and go every second
        self.target = self._at_start
        self._wake = self._redial.at_rest(at)
        return []

    def _try_on(self, closed: Closed, lasted_s: float | None, at: float) -> Effects:
        again_at = self._redial.again(self.target, at, lasted_s=lasted_s, unreached=closed.unreached)
        if again_at is None:
            return self._fall_back(closed.reason, at)
        self.failures += 1
        self._enter(Box.WAITING_TO_RETRY)
        self.fault = closed.reason
        self._wake = again_at
        return []

    def _fall_back(self, reason: str, at: float, cause: End | None = None) -> Effects:
        """Call somebody else instead, once; else show what is wrong."""
        self.failures = 0
        if fallback := self._redial.instead(self.target):
            self.instead = reason
            return self._place(fallback, at, Box.FALLING_BACK)
        self._enter(Box.FAULT)
        self.fault, self.cause = reason, cause
        self._wake = at + FAULT_SHOWN_S
        return []

    def _give_up(self, at: float) -> Effects:
        """Leave the call, at once even if it was about to end, or stop trying to have one."""
        self._next_target = self._unreached = ""
        if self.state in (*CALLING, Box.IN_CALL):
            self._ending = True
            return [EndCall("hung up at the box")]
        if self.state is Box.WAITING_TO_RETRY or (self.state is Box.FAULT and self._card):
            self._redial.forget()
            self._enter(Box.IDLE)
        self._before_trial = Rest(Box.IDLE)  # nor does a box that is being tried go on with that
        if self.state is Box.RINGING:
            return [Decline("declined at the box"), *self._rest(at)]
        return []

    def _call_asked(self, target: str, within_s: float, at: float) -> Effects:
        match self.state:
            case Box.IN_CALL | Box.CONNECTING | Box.FALLING_BACK:
                self._unreached, self._next_target, self._ending = "", target, True
                return [EndCall("the person is connected to somebody else", within_s)]
            case Box.RINGING:
                return [Decline("the box calls somebody else"), *self._want(target, at)]
            case Box.STARTING:
                return []
            case Box.FAULT if not self._card:
                return []
            case _:
                return self._want(target, at)

    # -------------------------------------------------------------------------------------------------- the rest

    def _mute(self, on: bool | None) -> Effects:
        wanted = not self.muted if on is None else on
        if wanted == self.muted:
            return []
        self.muted = wanted
        return [Mute(wanted)] if self.state is Box.IN_CALL else []

    def _try(self, within_s: float, at: float) -> Effects:
        """Flash until a press arrives. Only a box that rests is tried."""
        if self.free and self.state is not Box.TRIED:
            self._before_trial = Rest(self.state, self.fault, self.cause, self._wake)
            self._enter(Box.TRIED)
            self.felt = False
            self._wake = at + within_s
        return []

    def _end_trial(self) -> None:
        """Go on with what was before: a fault goes on showing, a retry comes when it is due."""
        before = self._before_trial
        self._enter(before.state)
        self.fault, self.cause, self._wake = before.fault, before.cause, before.wake

    def _tool(self, called: ToolCalled) -> Effects:
        if self._ending or self.state is not Box.IN_CALL:
            return [ToolDone(called.id, "error: the call is about to end")]
        effect = errand(self._tools.get(self.target, NO_TOOLS), called)
        self._ending = isinstance(effect, EndCall)
        return [effect]

    def _stop(self) -> Effects:
        self._stopping = True
        self._wake = None
        if self.state in (*CALLING, Box.IN_CALL):
            self._ending = True
            return [EndCall("the box is being stopped", DRAIN_S)]
        if self.state is Box.RINGING:
            return [Decline("the box is being stopped"), Stopped()]
        if self.state is Box.TRIED:
            self._enter(Box.IDLE)
        return [Stopped()]

    def expire(self, at: float) -> Effects:
        """The deadline has passed."""
        if self._contact.rests(at):
            return self._released(at)
        if self.state is Box.IN_CALL and self.call_since is not None and not self._ending:
            if at >= self.call_since + self._max_s:
                self._ending = True
                return [EndCall("the longest time of a call is over", GOODBYE_S)]
            if self._idle and at >= self._idle_since + PUSH_IDLE_S:
                return self._give_up(at)
        if self._reach_by is not None and at >= self._reach_by:
            self._ending, self._unreached = True, f"{self.target} could not be reached within {REACH_S:g} s"
            return [EndCall(self._unreached)]
        if self._wake is None or at < self._wake:
            return []
        self._wake = None
        match self.state:
            case Box.CONNECTING | Box.FALLING_BACK:
                self._wake = at + TICK_S
                return [Sound("waiting")]
            case Box.RINGING if at >= self._rings_until:
                return [Decline("nobody answered at the box"), *self._rest(at)]
            case Box.RINGING:
                self._wake = at + RING_S
                return [Sound("ringing")]
            case Box.WAITING_TO_RETRY:
                return self._place(self.target, at)
            case Box.TRIED:
                self._end_trial()
                return []
            case Box.FAULT if self._card:
                return self._rest(at)
            case _:
                return []

    def _enter(self, state: Box) -> None:
        self.state = state
        self.cause = None
        self._wake = None
        if state is not Box.FAULT:
            self.fault = ""
