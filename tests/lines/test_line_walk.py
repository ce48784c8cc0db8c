"""Whatever is ordered and whatever a service says, in any order: what holds for a phone call all the same."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.audio.pcm import to_bytes
from edgevoice.events import (
    Answer,
    BargedIn,
    BargeIn,
    Clear,
    Cleared,
    Closed,
    Command,
    HangUp,
    Listen,
    Mark,
    Play,
    Played,
    Tone,
    Uplink,
    Witness,
)
from edgevoice.lines.line import Line
from edgevoice.wire import NOTHING
from tests.fakes import LoudnessDetector, noise
from tests.lines.stage import ROWS

LOUD = b64encode(to_bytes(noise(1600, -10))).decode()
QUIET = b64encode(bytes(3200)).decode()
COMMANDS: dict[str, Command] = {
    **{f"play {name}": Play(bytes(9600), name) for name in ("a", "b", "c", "")},
    **{f"long {name}": Play(bytes(960_000), name) for name in ("a", "d")},
    **{f"listen {uplink.value}": Listen(uplink) for uplink in Uplink},
    "live": Play(bytes(960), live=True),
    "clear": Clear(),
    "stop": BargeIn(),
    "tone": Tone("connected"),
    "witness": Witness(100.0),
    "answer": Answer(24_000),
    "mark": Mark(""),
}
MESSAGES = {
    "elks": ['{"t":"hello","callid":"c"}', '{"t":"sync"}', '{"t":"bye","reason":"hangup"}'],
    "twilio": [
        '{"event":"start","streamSid":"s","start":{"callSid":"c"}}',
        '{"event":"stop"}',
        *(json.dumps({"event": "mark", "mark": {"name": f"m{number}"}}) for number in range(1, 20)),
    ],
    "vobiz": [
        '{"event":"start","start":{"callId":"c","streamId":"s","mediaFormat":{"encoding":"audio/x-l16"}}}',
        '{"event":"clearedAudio"}',
        *(json.dumps({"event": "playedStream", "name": f"m{number}"}) for number in range(1, 20)),
    ],
}
MESSAGES["plivo"] = MESSAGES["vobiz"]
SOUND = {
    name: [
        json.dumps({"t": "audio", "data": sound} if name == "elks" else {"event": "media", "media": {"payload": sound}})
        for sound in (LOUD, QUIET, "@@", "AAA=")
    ]
    for name in MESSAGES
}
STEPS = st.lists(
    st.tuples(st.sampled_from(["message", "sound", "sound", "sound"]), st.integers(0, 30))
    | st.tuples(st.just("perform"), st.sampled_from(sorted(COMMANDS)))
    | st.tuples(st.just("mark"), st.sampled_from(["a", "b", "c", "d", ""]))
    | st.tuples(st.just("expire"), st.just(0))
    | st.tuples(st.just("wait"), st.floats(0.0, 4.0)),
    max_size=60,
)


class Walk:
    """One line on a walk, and what has been reported."""

    def __init__(self, name: str) -> None:
        self.name, self.at, self.marks = name, 1.0, 0
        self.line = Line(ROWS[name].ours(), LoudnessDetector())
        self.line.opened(self.at)
        self.events: Counter[str] = Counter()
        self.dead: set[str] = set()
        self.over = False
        self.step("message", 0)
        self.step("perform", "answer")
        self.step("perform", "listen open")

    def step(self, kind: str, value: object) -> None:
        line, reply = self.line, NOTHING
        match kind, value:
            case "message", int(index):
                reply = line.receive(MESSAGES[self.name][index % len(MESSAGES[self.name])], self.at)
            case "sound", int(index):
                self.at += 0.1
                reply = line.receive(SOUND[self.name][index % 4], self.at)
            case "perform", str(name):
                reply = line.perform(COMMANDS[name], self.at)
            case "mark", str(response):
                self.marks += 1
                reply = line.perform(Mark(str(self.marks), response), self.at)
            case "wait", float(seconds):
                self.at += seconds
            case _:
                self.at = max(self.at, line.deadline or self.at)
                reply = line.expire(self.at)
        assert not (self.over and reply != NOTHING), "after the end there is nothing"
        for event in reply.events:
            self.take(event)

    def take(self, event: object) -> None:
        match event:
            case Closed():
                self.over = True
            case Played(mark, response):
                self.events[mark] += bool(mark)
                assert self.events[mark] <= 1, "a mark is played once"
                assert response not in self.dead, "what is dead is never played to its end"
            case BargedIn(response, heard_ms) | Cleared(response, heard_ms):
                assert heard_ms >= 0
                self.dead |= {response} - {""}
            case _:
                pass


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=50)
@given(STEPS)
def test_whatever_happens_a_call_stays_within_its_bounds(name: str, steps: list[tuple[str, object]]) -> None:
    walk = Walk(name)
    for kind, value in steps:
        walk.step(kind, value)
        sending = walk.line.sending
        assert -1e-6 <= sending.waiting_ms <= 301_500
        assert sending.playback.ahead_ms(walk.at) <= 3_500
        assert len(sending.playback._marks) <= 200
        assert walk.line.deadline is None or not walk.over


@pytest.mark.parametrize("name", MESSAGES)
def test_a_long_call_keeps_no_more_than_a_short_one(name: str) -> None:
    walk = Walk(name)
    for index in range(300):
        walk.line.perform(Play(bytes(96_000), f"r{index}"), walk.at)
        walk.line.perform(Mark(f"m{index}", f"r{index}"), walk.at)
        if index % 3 == 0:
            walk.step("perform", "clear")
        for _ in range(15):
            walk.step("sound", 1)
            walk.line.expire(walk.at)
    playback = walk.line.sending.playback
    assert len(playback._heard) <= 5
    assert len(playback._spans) <= 20
    assert len(playback._marks) <= 30


def test_hanging_up_is_the_last_thing_that_is_told() -> None:
    for name in MESSAGES:
        walk = Walk(name)
        walk.line.perform(Play(bytes(96_000), "a"), walk.at)
        assert walk.line.perform(HangUp("enough"), walk.at).close
        walk.over = True
        for command in COMMANDS:
            walk.step("perform", command)
        walk.step("expire", 0)
