"""Random walks through the turn: with legs that report what they like, and with legs that keep their promises."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.conversation import ANSWER_S, Conversation, Detection, Orders
from edgevoice.events import (
    Audio,
    BargedIn,
    BargeIn,
    Cleared,
    Closed,
    Command,
    End,
    Event,
    Interrupt,
    Interrupted,
    LinkDown,
    Listen,
    Listening,
    Mark,
    Opened,
    Play,
    Played,
    Respond,
    ResponseDone,
    ResponseStarted,
    Resumed,
    SpeechStarted,
    SpeechStopped,
    Suspected,
    TakenBack,
    TurnCommitted,
    Uplink,
    Witness,
)
from edgevoice.light import Turn
from edgevoice.responses import CANCEL_S
from tests.turns import FAR, NEAR, RATE, SECOND

# --------------------------------------------------------------------------------- legs that report what they like

NAMES = ("r1", "r2", "r3")
RESPONSES = st.sampled_from(NAMES)
NEAR_EVENTS = st.one_of(
    st.just(Opened()),
    st.just(SpeechStarted()),
    st.just(SpeechStopped()),
    st.builds(Suspected, RESPONSES),
    st.builds(Suspected, RESPONSES),
    st.builds(TakenBack, RESPONSES),
    st.builds(BargedIn, RESPONSES, st.floats(1, 5000)),
    st.builds(Cleared, st.sampled_from(("", *NAMES)), st.floats(1, 5000)),
    st.builds(Played, RESPONSES, RESPONSES),
    st.builds(Listening, st.sampled_from(Uplink)),
    st.just(Closed(End.CARD_LOST, "unplugged")),
)
FAR_EVENTS = st.one_of(
    st.just(Opened()),
    st.just(TurnCommitted()),
    st.builds(SpeechStarted, st.none() | st.floats(0, 5000)),
    st.builds(ResponseStarted, RESPONSES),
    st.builds(Audio, st.just(SECOND), RESPONSES),
    st.builds(ResponseDone, RESPONSES),
    st.builds(Interrupted, RESPONSES),
    st.just(LinkDown("gone")),
    st.just(Resumed()),
    st.just(Closed(End.LINK_LOST, "gone")),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("near"), NEAR_EVENTS),
        st.tuples(st.just("near"), NEAR_EVENTS),
        st.tuples(st.just("far"), FAR_EVENTS),
        st.tuples(st.just("far"), FAR_EVENTS),
        st.tuples(st.just("person"), st.just(0)),
        st.tuples(st.just("wait"), st.just(0)),
        st.tuples(st.just("pass"), st.floats(0, 2)),
        st.tuples(st.just("mute"), st.booleans()),
        st.tuples(st.just("talk"), st.booleans()),
        st.tuples(st.just("leave"), st.sampled_from([0.0, 2.0])),
    ),
    max_size=60,
)


class Judge:
    """Walks, and holds what was ordered against what was reported."""

    def __init__(self, detection: Detection) -> None:
        self.conversation = Conversation(detection, RATE)
        self.at = 0.0
        self.said = 0
        self.turns = self.responds = 0
        self._dead: set[str] = set()
        self._passed_on = -1

    def walk(self, kind: str, value: object) -> Orders:
        conversation, at = self.conversation, self.at
        over, live, sounding = conversation.over is not None, self._live(), conversation._responses.sounding
        due = at if conversation.deadline is None else min(at, conversation.deadline)
        orders = self._step(kind, value)
        assert not (over and orders), "nothing is ordered after the end"
        assert conversation.deadline is None or conversation.deadline >= due - CANCEL_S - ANSWER_S
        interrupts = [command for _, command in orders if isinstance(command, Interrupt)]
        silenced = value.response if isinstance(value, BargedIn | Cleared) else ""
        silenced = sounding if isinstance(value, Cleared) and not silenced else silenced
        if isinstance(value, BargedIn | Cleared) and silenced in live and not over:
            assert interrupts == [Interrupt(silenced, value.heard_ms)], "one barge-in makes exactly one interrupt"
        else:
            assert [interrupt.heard_ms for interrupt in interrupts] in ([], [0.0]), "else nothing of it was heard"
        if interrupts:
            self._dead |= live - self._live()
        for side, command in orders:
            self._judge(side is NEAR, command)
        return orders

    def _live(self) -> set[str]:
        return {name for name in NAMES if name in self.conversation._responses}

    def _step(self, kind: str, value: object) -> Orders:
        conversation = self.conversation
        match kind, value:
            case "near", Opened() | SpeechStarted() | SpeechStopped() | Suspected() | TakenBack() | BargedIn():
                return conversation.near(value, self.at)
            case "near", Played() | Listening() | Closed() | Cleared():
                return conversation.near(value, self.at)
            case "far", Closed() | Opened() | TurnCommitted() | SpeechStarted():
                self.turns += isinstance(value, TurnCommitted)
                return conversation.far(value, self.at)
            case "far", ResponseStarted() | Audio() | ResponseDone() | Interrupted():
                return conversation.far(value, self.at)
            case "person", _:
                self.said += 1
                return conversation.near(Audio(self.said.to_bytes(2, "little")), self.at)
            case "mute", bool(on):
                return conversation.mute(on, self.at)
            case "talk", bool(on):
                self.turns += not on
                return conversation.talk(on, self.at)
            case "leave", float(within_s):
                return conversation.leave("enough", within_s, self.at)
            case "pass", float(seconds):
                self.at += seconds
                return []
        self.turns += 1
        self.at = max(self.at, conversation.deadline or self.at)
        return conversation.expire(self.at)

    def _judge(self, near: bool, command: Command) -> None:
        match command:
            case Play(_, response) if near:
                assert response not in self._dead, "audio of an interrupted response is never played"
            case Play(pcm):
                sample = int.from_bytes(pcm, "little")
                assert sample > self._passed_on, "what the agent gets is in order, each sample once"
                self._passed_on = sample
            case Respond():
                assert self.conversation.turn is not Turn.SUSPECTING, "nobody is answered before the verdict"
                self.responds += 1
            case Witness():
                assert self.conversation.speaking, "a line tells of no suspicion, and has one only over a response"
            case _:
                pass


@settings(max_examples=400)
@given(STEPS, st.sampled_from(Detection))
def test_whatever_happens_the_rules_hold(steps: list[tuple[str, object]], detection: Detection) -> None:
    judge = Judge(detection)
    for kind, value in steps:
        judge.walk(kind, value)
    assert judge.responds <= judge.turns, "nobody is answered twice"


@settings(max_examples=400)
@given(STEPS, st.sampled_from(Detection))
def test_whatever_happened_a_call_that_is_left_alone_comes_to_rest_and_answers_the_next_turn(
    steps: list[tuple[str, object]], detection: Detection
) -> None:
    judge = Judge(detection)
    for kind, value in [("far", Opened()), *steps, ("mute", False)]:
        judge.walk(kind, value)
    waits = 0
    while judge.conversation.deadline is not None:
        judge.walk("wait", 0)
        waits += 1
        assert waits < 20, "it would wait for ever"
    if judge.conversation.over:
        return
    judge.walk("pass", 2.0)
    assert not judge.conversation.speaking
    match detection:
        case Detection.SERVICE:
            orders = judge.walk("far", TurnCommitted())
        case Detection.LOCAL:
            judge.walk("near", SpeechStarted())
            judge.walk("near", SpeechStopped())
            orders = judge.walk("wait", 0)
        case Detection.MANUAL:
            judge.walk("talk", True)
            orders = judge.walk("talk", False)
            if not orders:  # it was down already, and let go of
                judge.walk("talk", True)
                orders = judge.walk("talk", False)
    assert (FAR, Respond()) in orders


# ------------------------------------------------------------------------------------- legs that keep their promises

TICK_S = 0.05


@dataclass
class Loudspeaker:
    """A near leg: it plays in time, may hold, and forgets what was interrupted."""

    queue: deque[tuple[str, float, str]] = field(default_factory=deque)  # response, seconds left, mark
    held: bool = False
    uplink: Uplink = Uplink.OFF
    dead: set[str] = field(default_factory=set)
    held_s: float = 0.0

    @property
    def sounding(self) -> str:
        return next((response for response, seconds, _ in self.queue if seconds > 0), "")

    @property
    def hears(self) -> bool:
        return self.uplink in (Uplink.HELD, Uplink.OPEN)

    def perform(self, command: Command) -> list[Event]:
        match command:
            case Play(pcm, response) if response not in self.dead:
                self.queue.append((response, len(pcm) / 2 / RATE, ""))
            case Mark(name, response) if response not in self.dead:
                self.queue.append((response, 0.0, name))
            case BargeIn():
                return self.confirm()
            case Listen(uplink):
                self.uplink = uplink
                taken_back = self.take_back() if self.held and not self.hears else []
                return [*taken_back, Listening(uplink)]
        return []

    def play(self, seconds: float) -> list[Event]:
        """Let time pass: half a second of a suspicion at most."""
        events: list[Event] = []
        self.held_s = self.held_s + seconds if self.held else 0.0
        if self.held_s > 0.5:
            events += self.take_back()
        while self.queue and not self.held:
            response, left, mark = self.queue.popleft()
            if left > seconds + 1e-9:
                self.queue.appendleft((response, left - seconds, mark))
                break
            seconds -= left
            if mark:
                events.append(Played(mark, response))
        return events

    def suspect(self) -> list[Event]:
        if self.held or not self.hears or not self.sounding:
            return []
        self.held = True
        return [Suspected(self.sounding)]

    def take_back(self) -> list[Event]:
        was, self.held = self.held, False
        return [TakenBack(self.sounding)] if was else []

    def confirm(self) -> list[Event]:
        response, self.held = self.sounding, False
        self.dead |= {name for name, _, _ in self.queue}
        self.queue.clear()
        return [BargedIn(response, 400.0)] if response else []


class World:
    """A loudspeaker, a service that makes one response at a time, and a person, on one clock."""

    def __init__(self, detection: Detection) -> None:
        self.conversation = Conversation(detection, RATE)
        self.detection = detection
        self.leg = Loudspeaker()
        self.at = 0.0
        self.making = ""  # the response that the service makes
        self.cancelled_at = inf  # it ends a second after it was told to
        self.names = 0
        self.asked = False
        self.speaks = False
        self.waits = False  # a turn ended during this suspicion
        self.owed = False  # and somebody spoke: it must be answered
        self.answerable = self.answered = 0
        self.far(Opened())

    # ------------------------------------------------------------------------------------- between the parts

    def near(self, *events: Event) -> None:
        for event in events:
            live = self.leg.uplink
            orders = self.conversation.near(event, self.at)
            self._judge_near(event, orders, live)
            self._carry_out(orders)

    def far(self, *events: Event) -> None:
        for event in events:
            self._carry_out(self.conversation.far(event, self.at))

    def _judge_near(self, event: Event, orders: Orders, uplink: Uplink) -> None:
        interrupts = [command for _, command in orders if isinstance(command, Interrupt)]
        listens = [command.uplink for _, command in orders if isinstance(command, Listen)]
        match event:
            case BargedIn(response, heard_ms):
                assert interrupts == [Interrupt(response, heard_ms)]
                self.owed, self.waits = self.owed or self.waits, False
                self.answerable += self.owed
                if self.detection is Detection.LOCAL and self.speaks and uplink is Uplink.HELD:
                    assert listens == [Uplink.OPEN], "who interrupts has the turn, from the first word"
            case TakenBack():
                self.waits = False
                assert not interrupts
            case SpeechStarted():
                assert not (listens and self.leg.sounding), "a voice over the agent is no turn yet"
            case _:
                assert not interrupts

    def _carry_out(self, orders: Orders) -> None:
        for side, command in orders:
            if isinstance(command, Respond):
                assert not self.leg.held, "nobody is answered before the verdict"
                assert not self.making, "the service refuses"
                self.asked, self.owed = True, False
                self.answered += 1
            if isinstance(command, Interrupt):
                assert command.response not in {name for name, seconds, _ in self.leg.queue if seconds > 0}
                self.cancelled_at = self.at if self.making else inf
            if side is NEAR:
                self.near(*self.leg.perform(command))
        if self.conversation.over:
            return
        assert (self.conversation.turn is Turn.SUSPECTING) == self.leg.held
        if self.leg.sounding:
            assert self.conversation.speaking, "it is not given up while it is heard"

    # --------------------------------------------------------------------------------------- what may happen

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.at += TICK_S
            self.near(*self.leg.play(TICK_S))
            if self.at >= self.cancelled_at + 1.0:
                self.service("ends")
            deadline = self.conversation.deadline
            if deadline is not None and deadline <= self.at:
                self._carry_out(self.conversation.expire(self.at))

    def service(self, what: str) -> None:
        match what:
            case "begins" if self.asked and not self.making:
                self.names += 1
                self.asked, self.making = False, f"r{self.names}"
                self.far(ResponseStarted(self.making))
            case "speaks" if self.making:
                self.far(Audio(SECOND, self.making))
            case "ends" if self.making:
                ended, self.making, self.cancelled_at = self.making, "", inf
                self.far(ResponseDone(ended))
            case "commits" if self.detection is Detection.SERVICE:
                self.waits = self.waits or self.leg.held
                self.answerable += not self.leg.sounding
                self.far(TurnCommitted())
            case "hears":
                self.far(SpeechStarted(200.0))

    def person(self, what: str) -> None:
        match what:
            case "speaks" if self.leg.hears and not self.speaks:
                self.speaks = True
                self.near(SpeechStarted())
            case "pauses" if self.speaks:
                self.speaks = False
                self.near(SpeechStopped())
            case "hint":
                self.near(*self.leg.suspect())
            case "harmless":
                self.near(*self.leg.take_back())
            case "evident" if self.leg.held:
                self.near(*self.leg.confirm())
            case "stops it":
                self.near(*self.leg.confirm())

    def replies(self) -> None:
        """Let the service answer, if it was asked, with more than can be heard at once."""
        for what in ("begins", "speaks", "speaks"):
            self.service(what)


MOMENTS = st.lists(
    st.one_of(
        st.tuples(st.just("service"), st.sampled_from(["begins", "speaks", "ends", "commits", "commits", "hears"])),
        st.tuples(st.just("person"), st.sampled_from(["speaks", "pauses", "hint", "hint", "harmless", "evident"])),
        st.tuples(st.just("person"), st.sampled_from(["speaks", "pauses", "hint", "harmless", "stops it"])),
        st.tuples(st.just("replies"), st.just("")),
        st.tuples(st.just("passes"), st.sampled_from(["0.05", "0.2", "0.5", "1.0", "4.0"])),
    ),
    max_size=50,
)


@pytest.mark.parametrize("detection", [Detection.SERVICE, Detection.LOCAL])
@settings(max_examples=300)
@given(MOMENTS)
def test_between_legs_that_keep_their_promises_no_turn_is_lost_and_none_is_invented(
    detection: Detection, moments: list[tuple[str, str]]
) -> None:
    world = World(detection)
    for kind, what in moments:
        match kind:
            case "service":
                world.service(what)
            case "person":
                world.person(what)
            case "replies":
                world.replies()
            case _:
                world.passes(float(what))
    world.person("harmless")
    world.person("pauses")
    world.service("ends")
    world.passes(CANCEL_S + 0.1)
    assert not world.owed, "somebody spoke, and was never answered"
    if detection is Detection.SERVICE:
        assert world.answered <= world.answerable, "nobody spoke, and was answered"
