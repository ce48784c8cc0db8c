"""What every service must do, whichever it is: the same sentences run over each wire of the catalogue.

A new service is one row in SERVICES.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.agents.openai import OpenAI, Settings
from edgevoice.agents.parrot import Parrot
from edgevoice.audio.resample import RATES
from edgevoice.catalogue import AGENTS
from edgevoice.events import (
    Answer,
    BargeIn,
    Clear,
    Closed,
    Command,
    End,
    HangUp,
    Interrupt,
    Listen,
    Mark,
    Play,
    Respond,
    Tone,
    ToolResult,
    Uplink,
    Witness,
)
from edgevoice.tools import TOOLS
from edgevoice.wire import NOTHING, Reply, Wire

KEY = "sk-very-secret-0123456789"


def openai(dialect: str, turn_detection: str = "server_vad") -> OpenAI:
    return OpenAI(
        Settings(
            url="wss://example.org/v1/realtime",
            dialect=dialect,  # type: ignore[arg-type]
            model="a-model",
            api_key=KEY,
            turn_detection=turn_detection,  # type: ignore[arg-type]
            tools=tuple(TOOLS.values()),
        )
    )


SERVICES: dict[str, Callable[[], Wire]] = {
    "parrot": Parrot,
    "openai": lambda: openai("ga"),
    "openai beta": lambda: openai("beta"),
    "openai azure": lambda: openai("azure"),
    "openai push to talk": lambda: openai("ga", "none"),
}
each_service = pytest.mark.parametrize("service", SERVICES)

COMMANDS: list[Command] = [
    *(Answer(16_000), Play(bytes(960)), Play(bytes(960), "r1"), Mark("m", "r1"), Clear(), BargeIn(), Tone("ringing")),
    *(Listen(Uplink.OPEN), Interrupt("r1", 120.0), Interrupt("never heard of", 0.0), Respond(), ToolResult("1", "ok")),
    Witness(200.0),
]
MESSAGES = st.one_of(
    st.text(max_size=60),
    st.binary(max_size=60),
    st.sampled_from(
        [
            "{}",
            "[]",
            "null",
            '{"type": 5}',
            '{"type": "error"}',
            '{"type": "error", "error": {"code": "who knows", "message": "?"}}',
            '{"type": "session.created", "session": {"expires_at": "soon"}}',
            '{"type": "response.created", "response": {"id": "r1"}}',
            '{"type": "response.output_audio.delta", "response_id": "r1", "item_id": "i1", "delta": "@@@"}',
            '{"type": "response.output_audio.delta", "response_id": "r1", "item_id": "i1", "delta": "AAAAAA=="}',
            '{"type": "response.done", "response": {"id": "r1", "status": "completed", "output": []}}',
            '{"type": "input_audio_buffer.committed", "item_id": "i2"}',
            '{"type": "input_audio_buffer.speech_started", "audio_start_ms": 1e300}',
            '{"type": "something.new", "event_id": "e1"}',
        ]
    ),
)


def test_every_agent_of_the_catalogue_is_tried() -> None:
    assert {name.partition(" ")[0] for name in SERVICES} == set(AGENTS)


@each_service
def test_its_rate_is_one_that_we_convert(service: str) -> None:
    assert SERVICES[service]().rate in RATES


@each_service
def test_hanging_up_ends_it_and_nothing_is_said_after(service: str) -> None:
    wire = SERVICES[service]()
    wire.opened(1.0)
    reply = wire.perform(HangUp("enough"), 2.0)
    assert reply.close
    assert reply.events == (Closed(End.HUNG_UP, "enough"),)
    for command in [*COMMANDS, HangUp("again")]:
        assert wire.perform(command, 3.0) == NOTHING
    assert wire.receive('{"type": "error", "error": {"code": "x"}}', 4.0) == NOTHING
    assert wire.expire(5.0) == NOTHING
    assert wire.deadline is None


@each_service
def test_the_key_shows_in_no_picture_of_it(service: str) -> None:
    wire = SERVICES[service]()
    assert KEY not in repr(wire.request())
    assert KEY not in repr(wire)


@each_service
@pytest.mark.parametrize("code", [0, 400, 401, 403, 404, 408, 429, 500, 503, 1000, 1001, 1006, 1008, 1009, 1011, 4000])
def test_every_end_of_a_connection_has_a_sentence_and_no_secret(service: str, code: int) -> None:
    wire = SERVICES[service]()
    wire.opened(1.0)
    closed = wire.closed(code, f"bad key {KEY}", 2.0)
    assert closed.reason
    assert KEY not in closed.reason
    if code in (401, 403):
        assert closed.end in (End.REFUSED, End.HUNG_UP)


@each_service
@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("receive"), MESSAGES),
            st.tuples(st.just("perform"), st.sampled_from(COMMANDS)),
            st.tuples(st.just("expire"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_no_message_and_no_command_breaks_it(service: str, steps: list[tuple[str, object]]) -> None:
    wire = SERVICES[service]()
    at, over = 1.0, False
    replies = [wire.opened(at)]
    for kind, value in steps:
        at += 0.02
        match kind, value:
            case "receive", (str() | bytes()) as message:
                reply = wire.receive(message, at)
            case "expire", _:
                at = max(at, wire.deadline or at)
                reply = wire.expire(at)
            case _, command:
                reply = wire.perform(command, at)  # type: ignore[arg-type]
        assert isinstance(reply, Reply)
        assert not (over and reply != NOTHING), "after the end there is nothing"
        over = over or any(isinstance(event, Closed) for event in reply.events)
        replies.append(reply)
    assert not any(KEY in str(message) for reply in replies for message in reply.send), "the key is in the header only"
