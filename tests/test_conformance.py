"""What every service must do, whichever it is: the same sentences run over each wire of the catalogue.

A new service is one row in SERVICES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice import line_catalogue
from edgevoice.agents.elevenlabs import ElevenLabs
from edgevoice.agents.elevenlabs import Settings as ElevenLabsSettings
from edgevoice.agents.gemini import Gemini
from edgevoice.agents.gemini import Settings as GeminiSettings
from edgevoice.agents.openai import OpenAI, Settings
from edgevoice.agents.parrot import Parrot
from edgevoice.audio.resample import RATES
from edgevoice.catalogue import AGENTS
from edgevoice.events import (
    REFUSALS,
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
from edgevoice.lines.elks import Elks
from edgevoice.lines.line import Line
from edgevoice.lines.service import Service
from edgevoice.lines.twilio import Twilio
from edgevoice.lines.vobiz import Plivo, Vobiz
from edgevoice.tools import TOOLS
from edgevoice.wire import NOTHING, Reply, Wire
from tests.fakes import LoudnessDetector

KEY = "sk-very-secret-0123456789"


def openai(dialect: str, turn_detection: str = "server_vad") -> Wire:
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


def gemini(turn_detection: str) -> Wire:
    return Gemini(
        GeminiSettings(
            url="wss://example.org/live",
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
    "elevenlabs": lambda: ElevenLabs(ElevenLabsSettings(agent_id="agent_1", api_key=KEY)),
    "elevenlabs public": lambda: ElevenLabs(ElevenLabsSettings(agent_id="agent_1")),
    "gemini": lambda: gemini("local"),
    "gemini server vad": lambda: gemini("server_vad"),
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
            '{"setupComplete": {}}',
            '{"setupComplete": 5}',
            '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}]}}}',
            '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/opus", "data": "AAAA"}}]}}}',
            '{"serverContent": {"interrupted": true, "turnComplete": true}}',
            '{"toolCall": {"functionCalls": [{"id": "1", "name": "set_volume", "args": {"percent": []}}]}}',
            '{"goAway": {"timeLeft": "0s"}}',
            '{"sessionResumptionUpdate": {"newHandle": "h", "resumable": true}}',
            '{"type": "conversation_initiation_metadata"}',
            '{"type": "audio", "audio_event": {"audio_base_64": "AAAAAA==", "event_id": 1}}',
            '{"type": "audio", "audio_event": {"audio_base_64": "@@@", "event_id": 1e300}}',
            '{"type": "interruption", "interruption_event": {"event_id": 1}}',
            '{"type": "ping", "ping_event": {"event_id": 1}}',
            '{"type": "user_transcript", "user_transcription_event": {"user_transcript": "?"}}',
            '{"type": "client_tool_call", "client_tool_call": {"tool_name": "x", "tool_call_id": "1"}}',
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
        assert closed.end in {*REFUSALS, End.HUNG_UP}


def steps(messages: st.SearchStrategy[str | bytes]) -> st.SearchStrategy[list[tuple[str, object]]]:
    """Make what may happen to a wire: messages of the service, commands, deadlines."""
    step = st.one_of(
        st.tuples(st.just("receive"), messages),
        st.tuples(st.just("perform"), st.sampled_from(COMMANDS)),
        st.tuples(st.just("expire"), st.just(0)),
    )
    return st.lists(step, max_size=40)


def walk(wire: Wire | Line, steps: list[tuple[str, object]], at: float) -> Iterator[Reply]:
    """Let all that happen; after its end the wire has nothing more to say."""
    over = False
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
        yield reply


@each_service
@settings(max_examples=60)
@given(steps(MESSAGES))
def test_no_message_and_no_command_breaks_it(service: str, steps: list[tuple[str, object]]) -> None:
    wire = SERVICES[service]()
    replies = [wire.opened(1.0), *walk(wire, steps, 1.0)]
    assert not any(KEY in str(message) for reply in replies for message in reply.send), "the key is in the header only"


# --------------------------------------------------------------------------------------------- the phone services

LINES: dict[str, tuple[Callable[[], Service], str]] = {
    "elks": (Elks, '{"t":"hello","callid":"c1","from":"+46700000001","to":"+46700000002"}'),
    "twilio": (Twilio, '{"event":"start","streamSid":"s1","start":{"callSid":"c1","customParameters":{"from":"+46"}}}'),
    "vobiz": (Vobiz, '{"event":"start","streamId":"s1","callId":"c1","mediaFormat":{"encoding":"audio/x-l16"}}'),
    "plivo": (Plivo, '{"event":"start","start":{"streamId":"s1","mediaFormat":{"encoding":"audio/x-mulaw"}}}'),
}
each_line = pytest.mark.parametrize("name", LINES)
FROM_A_LINE = st.one_of(
    MESSAGES,
    st.sampled_from([begins for _, begins in LINES.values()]),
    st.sampled_from(
        [
            '{"t":"audio","data":"AAA="}',
            '{"t":"audio","data":"@@@"}',
            '{"t":"sync"}',
            '{"t":"bye"}',
            '{"t":"hello","callid":"another"}',
            '{"event":"media","media":{"payload":"AAA="}}',
            '{"event":"media","media":{"payload":7}}',
            '{"event":"mark","mark":{"name":"m1"}}',
            '{"event":"playedStream","name":"m1"}',
            '{"event":"clearedAudio"}',
            '{"event":"dtmf","dtmf":{"digit":"5"}}',
            '{"event":"stop"}',
            '{"event":"start","start":{"callSid":"another"},"streamSid":"s2"}',
        ]
    ),
)


def line(name: str) -> Line:
    """Return a call that has begun and was taken."""
    service, begins = LINES[name]
    line = Line(service(), LoudnessDetector())
    line.opened(1.0)
    line.receive(begins, 1.0)
    assert line.perform(Answer(16_000), 1.0).events
    return line


def test_every_phone_service_of_the_catalogue_is_tried() -> None:
    assert set(LINES) == set(line_catalogue.LINES)


@each_line
def test_its_rate_is_one_that_we_convert_too(name: str) -> None:
    assert line(name).rate in RATES


@each_line
def test_hanging_up_a_line_ends_it_and_nothing_is_said_after(name: str) -> None:
    call = line(name)
    reply = call.perform(HangUp("enough"), 2.0)
    assert reply.close
    assert reply.events == (Closed(End.HUNG_UP, "enough"),)
    for command in [*COMMANDS, HangUp("again")]:
        assert call.perform(command, 3.0) == NOTHING
    assert call.receive(LINES[name][1], 4.0) == NOTHING
    assert call.expire(5.0) == NOTHING
    assert call.deadline is None


@each_line
@pytest.mark.parametrize("code", [0, 1000, 1001, 1006, 1009, 1011, 4000])
def test_every_end_of_a_line_has_a_sentence_and_no_secret(name: str, code: int) -> None:
    closed = line(name).closed(code, f"{KEY} +46700000001", 2.0)
    assert closed.reason
    assert KEY not in closed.reason
    assert "+46" not in closed.reason


@each_line
def test_the_numbers_and_keys_show_in_no_picture_of_a_line(name: str) -> None:
    call = line(name)
    reply = call.receive('{"event":"dtmf","dtmf":{"digit":"5"}}', 2.0)
    assert "'5'" not in repr(reply)
    assert "+46" not in repr(call.began)


@each_line
@settings(max_examples=60)
@given(steps(FROM_A_LINE))
def test_no_message_and_no_command_breaks_a_line(name: str, steps: list[tuple[str, object]]) -> None:
    assert len(list(walk(line(name), steps, 1.0))) == len(steps)
