"""The whole box in virtual time: appliance, conversation, duplex and agent around a simulated card, without a loop.

The program runs the same parts on threads and sockets (`app.py`); here one step is one period of the card, so that an
hour passes in seconds and every run is the same. The demo, the property tests and the benchmarks use it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, is_dataclass
from enum import Enum
from typing import Any

from edgevoice.appliance import Appliance
from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.call import Call, Machine
from edgevoice.conversation import Conversation, Detection, Orders
from edgevoice.drivers.room import RoomCard
from edgevoice.errors import DeviceError
from edgevoice.events import Answer, Audio, BargeIn, Closed, Command, End, Event, Play, Tone
from edgevoice.happenings import (
    AnswerCall,
    CallEnded,
    CallOpened,
    CardLost,
    CardReady,
    Connect,
    Effect,
    EndCall,
    Happening,
    Mute,
    OpenRelay,
    PlaceCall,
    Pressed,
    Sound,
    Talk,
    ToolDone,
    TurnChanged,
    TurnVolume,
)
from edgevoice.intercom import Intercom
from edgevoice.light import Pattern, Turn
from edgevoice.wire import Reply, Wire

Note = dict[str, Any]

NOBODY_ELSE = "error: the simulated room has no doors, and nobody else is there"
NO_MIXER = "error: the volume cannot be set: the simulated room has no mixer"


@dataclass
class Simulation:
    """A box in a room. `agent` makes the far side of each call; `notes` is what happened, in order."""

    card: RoomCard
    duplex: Duplex
    appliance: Appliance
    agent: Callable[[], Wire]
    detection: Detection = Detection.LOCAL
    intercom: bool = False  # `agent` is a person on a line, when the box calls, too
    notes: list[Note] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commands: deque[Command] = deque()
        self.call: Call | None = None
        self._wire: Wire | None = None
        self._light: Pattern | None = None
        self._lost = False
        self.happen(CardReady())

    @property
    def now(self) -> float:
        return self.card.clock.now()

    # --------------------------------------------------------------------------------------------- what happens

    def step(self) -> list[Event]:
        """Run one period; return what the card reported."""
        try:
            events = cycle(self.card, self.duplex, self.commands)
        except DeviceError as error:
            if not self._lost:
                self._lost = True
                self.happen(CardLost(str(error)))
                self._near(Closed(End.CARD_LOST, str(error)))
                self._end_call()
            return []
        for event in events:
            self._near(event)
        if self._wire and _due(self._wire.deadline, self.now):
            self._tell(self._wire.expire(self.now))
        if self.call and _due(self.call.deadline, self.now):
            self.call.expire(self.now)
        if _due(self.appliance.deadline, self.now):
            self._carry_out(self.appliance.expire(self.now))
        self._end_call()
        return events

    def run(self, until: float) -> None:
        """Step until `until` seconds after the room was entered."""
        while self.now < until and not self._lost:
            self.step()

    def press(self) -> None:
        """Press the button: the audio side hears of it first, as on the real panel."""
        pressed = Pressed(stops=self.appliance.speaking)
        self.commands.append(BargeIn())
        self.happen(pressed)

    def happen(self, happening: Happening) -> None:
        """Let something happen to the box."""
        self._carry_out(self.appliance.receive(happening, self.now))

    # ------------------------------------------------------------------------------------------------- the call

    def _near(self, event: Event) -> None:
        self._note("card", event)
        if self.call:
            self.call.near(event, self.now)

    def _far(self, event: Event) -> None:
        self._note("agent", event)
        if self.call:
            self.call.far(event, self.now)

    def _place(self) -> None:
        if self.intercom:
            self._join(Intercom(push_to_talk=self.detection is Detection.MANUAL), self.agent())
        else:
            wire = self.agent()
            self._join(Conversation(self.detection, wire.rate), wire)

    def _join(self, machine: Machine, wire: Wire) -> None:
        self._wire = wire

        def perform(command: Command, at: float) -> None:
            self._note("to agent", command)
            self._tell(wire.perform(command, at))

        self.call = Call(machine, self._perform_near, perform, wire.rate)
        self.call.on_opened = lambda: self.happen(CallOpened())
        self.call.on_turn = self._turn
        self.call.on_tool = self.happen
        self.commands.append(Answer(wire.rate))
        self._tell(wire.opened(self.now))

    def _tell(self, reply: Reply) -> None:
        for event in reply.events:
            self._far(event)

    def _perform_near(self, command: Command, at: float) -> None:
        self._note("to card", command)
        self.commands.append(command)

    def _turn(self, turn: Turn, speaking: bool) -> None:
        self.notes.append({"at": self.now, "who": "turn", "what": "turn", "turn": turn.value})
        self.happen(TurnChanged(turn, speaking))

    def _end_call(self) -> None:
        """Tell the box when the near leg has closed, or is lost."""
        if self.call and self.call.machine.over and (self._lost or not self.duplex.in_call):
            closed, self.call, self._wire = self.call.machine.over, None, None
            self.happen(CallEnded(closed))

    def _carry_out(self, effects: list[Effect]) -> None:
        if self.appliance.light != self._light:
            self._light = self.appliance.light
            self.notes.append({"at": self.now, "who": "light", "what": "light", "pattern": self._light.name})
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case PlaceCall():
                self._place()
            case AnswerCall(beep):
                self._join(Intercom(push_to_talk=self.detection is Detection.MANUAL, beep=beep), self.agent())
            case Sound(name):
                self.commands.append(Tone(name))
            case EndCall(reason, within_s):
                self._want(lambda conversation: conversation.leave(reason, within_s, self.now))
            case Mute(on):
                self._want(lambda conversation: conversation.mute(on, self.now))
            case Talk(on):
                self._want(lambda conversation: conversation.talk(on, self.now))
            case ToolDone(id, output):
                self._want(lambda conversation: conversation.tool_result(id, output))
            case TurnVolume(_, id):
                self._want(lambda conversation: conversation.tool_result(id, NO_MIXER))
            case OpenRelay(_, id) | Connect(_, _, id):
                self._want(lambda conversation: conversation.tool_result(id, NOBODY_ELSE))
            case _:
                pass

    def _want(self, orders: Callable[[Machine], Orders]) -> None:
        if self.call:
            self.call.want(orders, self.now)

    # ------------------------------------------------------------------------------------------------- the notes

    def _note(self, who: str, value: Event | Command) -> None:
        """Write down what happened; sound itself is in the recordings."""
        if isinstance(value, Audio | Play):
            return
        assert is_dataclass(value)
        plain = {key: part.value if isinstance(part, Enum) else part for key, part in asdict(value).items()}
        self.notes.append({"at": self.now, "who": who, "what": type(value).__name__} | plain)


def _due(deadline: float | None, now: float) -> bool:
    return deadline is not None and now >= deadline
