"""Whose turn is it? A person on the near leg and an agent on the far leg: events in, orders out, no clock inside.

Rules
* One owner of interruptions: the near leg. One `BargedIn` makes exactly one `Interrupt`.
* A response that was interrupted is dead by name: its audio is dropped here, however late and from wherever it comes.
* A turn is answered by `Respond`: when the service says the turn is over (SERVICE), when the person paused for
  `silence_ms` (LOCAL), or when the button is released (MANUAL). A turn that ends while a response sounds gets none: the
  person would have interrupted it. One that ends while an interrupted response is still being made waits for its end;
  one that ends before anything of the response was heard takes its place.
* Every wait has a deadline: a near leg that never reports `Played`, a service that never answers, a cancelled response
  that never ends, none of them silences the call.
* After `over` is set nothing is ordered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, assert_never

from edgevoice.events import (
    Audio,
    BargedIn,
    BargeIn,
    Cleared,
    Closed,
    Command,
    End,
    Event,
    HangUp,
    Interrupt,
    Listen,
    Listening,
    Mark,
    Opened,
    Play,
    Played,
    Respond,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    Tone,
    ToolCalled,
    ToolResult,
    Transcript,
    TurnCommitted,
    Uplink,
)
from edgevoice.light import Turn

ANSWER_S = 15.0  # a service that has not begun to answer by then will not: listen again, with a tone
CANCEL_S = 3.0  # a cancelled response whose end is not told by then has ended
PAUSE_S = 0.2  # a near leg reports `SpeechStopped` that long after the voice
PLAYED_S = 3.0  # grace for `Played`, after the sound must have been heard
DEAD_NAMES = 64  # more responses than a service ever has under way at once


class Detection(Enum):
    """Who says that the person's turn is over."""

    SERVICE = "service"
    LOCAL = "local"
    MANUAL = "manual"  # push to talk


class Side(Enum):
    NEAR = "near"
    FAR = "far"


Orders: TypeAlias = list[tuple[Side, Command]]


@dataclass(slots=True)
class _Response:
    """A response that is neither dead nor heard to its end."""

    last: float  # when the service was last heard making it
    until: float = 0.0  # its last sound is heard then, if nothing stalls
    sounds: bool = False
    made: bool = False  # the service is done with it


class Conversation:
    """The turn between a person (near) and an agent (far) whose audio has `rate` Hz."""

    def __init__(self, detection: Detection, rate: int, *, silence_ms: int = 500) -> None:
        self.over: Closed | None = None
        self._detection = detection
        self._rate = rate
        self._silence_s = max(0.0, silence_ms / 1000 - PAUSE_S)
        self._far_open = False
        self._uplink = Uplink.OFF  # what the near leg was last told
        self._applied = Uplink.OFF  # what it said it does
        self._muted = False
        self._hearing = False
        self._taking = False  # LOCAL: between the first word and the end of the turn; MANUAL: the button is held
        self._live: dict[str, _Response] = {}
        self._dead: deque[str] = deque(maxlen=DEAD_NAMES)
        self._ending: dict[str, float] = {}  # dead, but still being made: until when we wait for its end
        self._owed = False  # a turn waits for the end of a dead response
        self._asked: float | None = None  # when `Respond` was ordered, until its response begins
        self._quiet_since: float | None = None  # LOCAL: the person paused
        self._sounds_until = 0.0  # of all responses, one after the other
        self._finish_by: float | None = None
        self._finish_reason = ""

    # ------------------------------------------------------------------------------------ what can be read

    @property
    def turn(self) -> Turn:
        """What the light shows in a call. A microphone that is still open is never shown as closed."""
        if not self._far_open:
            return Turn.OPENING
        if self._muted and self._applied is not Uplink.OPEN:
            return Turn.MUTED
        if self.speaking:
            return Turn.SPEAKING
        if self._asked is not None or self._owed or self._live:
            return Turn.THINKING
        if self._hearing:
            return Turn.HEARING
        if self._detection is Detection.MANUAL and not self._taking and self._applied is not Uplink.OPEN:
            return Turn.WAITING
        return Turn.LISTENING

    @property
    def speaking(self) -> bool:
        """A response sounds, also where the light shows something more important."""
        return any(response.sounds for response in self._live.values())

    @property
    def deadline(self) -> float | None:
        """When `expire` must be called at the latest (monotonic seconds)."""
        if self.over:
            return None
        times = [self._due(response) for response in self._live.values()]
        times += self._ending.values()
        if self._asked is not None:
            times.append(self._asked + ANSWER_S)
        if self._quiet_since is not None:
            times.append(self._quiet_since + self._silence_s)
        if self._finish_by is not None:
            times.append(self._finish_by)
        return min(times, default=None)

    def _due(self, response: _Response) -> float:
        """When we stop waiting: for its being heard, or for the service to go on making it."""
        return response.until + PLAYED_S if response.made else max(response.until, response.last) + ANSWER_S

    # -------------------------------------------------------------------------------------- the near leg

    def near(self, event: Event, at: float) -> Orders:
        """Take what the person's leg reports."""
        if self.over:
            return []
        orders: Orders = []
        match event:
            case Audio(pcm):
                if self._far_open and self._finish_by is None:
                    orders.append((Side.FAR, Play(pcm)))
            case SpeechStarted():
                self._hearing = True
                self._quiet_since = None
                self._taking = self._taking or self._detection is Detection.LOCAL
            case SpeechStopped():
                self._hearing = False
                if self._detection is Detection.LOCAL and self._taking:
                    self._quiet_since = at
            case BargedIn(response, heard_ms):
                orders += self._barged_in(response, heard_ms, at)
            case Cleared(response, heard_ms):
                orders += self._barged_in(response, heard_ms, at)
            case Played(_, response):
                self._live.pop(response, None)
                self._remember_dead(response)
            case Listening(uplink):
                self._applied = uplink
            case Closed():
                return self._end(event, Side.FAR)
            case (
                Opened() | TurnCommitted() | ResponseStarted() | ResponseDone() | Transcript() | ToolCalled()
            ):  # an agent's words: not a person's
                pass
            case _:
                assert_never(event)
        return self._settle(orders, at)

    def _barged_in(self, response: str, heard_ms: float, at: float) -> Orders:
        if response not in self._live:
            return []
        self._kill_all(at)
        if self._detection is Detection.LOCAL and self._hearing:
            self._taking = True
        return [(Side.FAR, Interrupt(response, heard_ms))]

    def _kill_all(self, at: float) -> None:
        for name, response in self._live.items():
            self._remember_dead(name)
            if not response.made:
                self._ending[name] = at + CANCEL_S
        self._live.clear()
        self._sounds_until = at

    def _remember_dead(self, name: str) -> None:
        if name and name not in self._dead:
            self._dead.append(name)

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
                orders += self._response_done(response, at)
            case TurnCommitted():
                if self._detection is Detection.SERVICE:
                    orders += self._turn_ended(at)
            case Closed():
                return self._end(event, Side.NEAR)
            case (
                SpeechStarted()
                | SpeechStopped()
                | Listening()
                | BargedIn()
                | Played()
                | Cleared()
                | Transcript()
                | ToolCalled()
            ):  # the near leg is the one owner of interruptions; tools are the box's
                pass
            case _:
                assert_never(event)
        return self._settle(orders, at)

    def _speak(self, pcm: bytes, response: str, at: float) -> Orders:
        if response in self._dead or not pcm:
            return []
        self._asked = None
        speaking = self._live.setdefault(response, _Response(at))
        self._sounds_until = max(at, self._sounds_until) + len(pcm) / 2 / self._rate
        speaking.last, speaking.until, speaking.sounds = at, self._sounds_until, True
        return [(Side.NEAR, Play(pcm, response))]

    def _response_started(self, response: str, at: float) -> Orders:
        self._asked = None
        if response in self._dead:
            return []
        self._live.setdefault(response, _Response(at))
        overtaken = self._owed or (self._detection is Detection.MANUAL and self._taking)
        if not overtaken:  # by another turn, or by one that is being spoken
            return []
        self._kill_all(at)
        return [(Side.FAR, Interrupt(response, 0.0))]

    def _response_done(self, response: str, at: float) -> Orders:
        self._ending.pop(response, None)
        if response not in self._live:
            return []
        return self._made(response)

    def _made(self, response: str) -> Orders:
        """Nothing more comes of it: wait until it was heard, if there is anything to hear."""
        if not self._live[response].sounds:
            del self._live[response]
            return []
        self._live[response].made = True
        return [(Side.NEAR, Mark(response, response))]

    def _turn_ended(self, at: float) -> Orders:
        """Answer the person's turn, now or as soon as the service can."""
        if self.speaking or self._finish_by is not None:
            return []
        self._owed = True
        if not self._live:
            return []
        first = next(iter(self._live))
        self._kill_all(at)
        return [(Side.FAR, Interrupt(first, 0.0))]

    # ------------------------------------------------------------------------------------ what people want

    def talk(self, on: bool, at: float) -> Orders:
        """Push to talk: the button went down or up."""
        if self.over or self._detection is not Detection.MANUAL or on == self._taking:
            return []
        self._taking = on
        if not on:
            return self._settle(self._turn_ended(at), at)
        if self.speaking:
            return self._settle([(Side.NEAR, BargeIn())], at)
        self._owed = False
        if not self._live:
            return self._settle([], at)
        first = next(iter(self._live))
        self._kill_all(at)
        return self._settle([(Side.FAR, Interrupt(first, 0.0))], at)

    def mute(self, on: bool, at: float) -> Orders:
        if self.over or on == self._muted:
            return []
        self._muted = on
        if on and self._detection is Detection.LOCAL:  # half a sentence is no turn
            self._taking = False
            self._quiet_since = None
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
        for name in [name for name, response in self._live.items() if at >= self._due(response)]:
            if self._live[name].made:
                del self._live[name]
            else:
                orders += self._made(name)
        for name in [name for name, until in self._ending.items() if at >= until]:
            del self._ending[name]
        if self._asked is not None and at >= self._asked + ANSWER_S:
            self._asked = None
            orders.append((Side.NEAR, Tone("trouble")))
        if self._quiet_since is not None and at >= self._quiet_since + self._silence_s:
            self._quiet_since = None
            self._taking = False
            orders += self._turn_ended(at)
        return self._settle(orders, at)

    # ------------------------------------------------------------------------------------------- settling

    def _settle(self, orders: Orders, at: float) -> Orders:
        """Order what follows from the new state: the microphone first, an answer that is owed, the end."""
        wanted = self._wanted_uplink()
        if wanted is not self._uplink:
            self._uplink = wanted
            orders.append((Side.NEAR, Listen(wanted, reflex=self._detection is not Detection.MANUAL)))
        if self._owed and self._asked is None and not self._ending and not self._live:
            self._owed = False
            self._asked = at
            orders.append((Side.FAR, Respond()))
        if self._finish_by is not None and not self._live and self._asked is None:
            orders += self.hang_up(self._finish_reason)
        return orders

    def _wanted_uplink(self) -> Uplink:
        if not self._far_open or self._finish_by is not None:
            return Uplink.OFF
        if self._muted:
            return Uplink.SILENT if self._detection is Detection.SERVICE else Uplink.OFF
        if self._detection is Detection.SERVICE or self._taking:
            return Uplink.OPEN
        return Uplink.HELD

    def _end(self, closed: Closed, other: Side) -> Orders:
        self.over = closed
        return [(other, HangUp(closed.reason))]
