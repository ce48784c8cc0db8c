"""What is fuzzed: each parser of what comes from outside, what is right for it, and what it may do with what is not.

A target is a function that takes one input and returns; whatever it raises is a fault of ours. Many of them go on with
the same call over many inputs, so that they get into the states that only several messages lead to.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import struct
import tempfile
import tomllib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import numpy as np
from websockets.datastructures import Headers

from edgevoice.agents.elevenlabs import ElevenLabs
from edgevoice.agents.elevenlabs import Settings as ElevenLabsSettings
from edgevoice.agents.elevenlabs_session import signed
from edgevoice.agents.gemini import Gemini
from edgevoice.agents.gemini import Settings as GeminiSettings
from edgevoice.agents.openai import OpenAI, Settings
from edgevoice.amending import Key, amended
from edgevoice.config import load, secret
from edgevoice.drivers import control, line_server, registrar, state
from edgevoice.drivers.health_server import _answer as answer_health
from edgevoice.drivers.sip import Endpoint
from edgevoice.drivers.wav import write_wav
from edgevoice.errors import ConfigError, DeviceError
from edgevoice.events import Answer, Clear, Closed, Command, Interrupt, Mark, Play, Respond
from edgevoice.health import page
from edgevoice.lines.admission import Admission, Came, Door
from edgevoice.lines.dial import ElksDialer, TwilioDialer
from edgevoice.lines.documents import calling
from edgevoice.lines.elks import Elks
from edgevoice.lines.line import Line
from edgevoice.lines.service import Service
from edgevoice.lines.sip import Sip
from edgevoice.lines.sip_account import Account, caller
from edgevoice.lines.sip_words import NUMBER, TIMED
from edgevoice.lines.twilio import Twilio
from edgevoice.lines.vobiz import Plivo, Vobiz
from edgevoice.profiles import read_profile
from edgevoice.recordings import _read as read_recording
from edgevoice.recovery import Kept
from edgevoice.relays import Keypad
from edgevoice.tools import TOOLS, parse
from edgevoice.wire import Request, Wire
from tests.fakes import LoudnessDetector

ROOT = Path(__file__).parents[2]
HATS = ROOT / "edgevoice" / "hats"
SECRET = "sk-0123456789abcdef"
CALL = 300  # inputs of one call: then a new one begins
Input = str | bytes


@dataclass(frozen=True, slots=True)
class Target:
    """`make` sets it up and returns what takes one input; what it opens is closed by the stack."""

    make: Callable[[ExitStack], Callable[[Input], None]]
    seeds: Sequence[Input]


def text(given: Input) -> str:
    return given if isinstance(given, str) else given.decode(errors="replace")


def raw(given: Input) -> bytes:
    return given if isinstance(given, bytes) else given.encode(errors="surrogatepass")


def at_once(coroutine: Coroutine[Any, Any, bytes]) -> bytes:
    """Run what waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return bytes(done.value)
    raise AssertionError("it waits")


# --------------------------------------------------------------------------------------------------------- files


def configuration(stack: ExitStack) -> Callable[[Input], None]:
    def take(given: Input) -> None:
        try:
            load(text(given))
        except ConfigError as error:
            assert error.problems
            assert all("edgevoice.toml" in problem for problem in error.problems)

    return take


def profile(stack: ExitStack) -> Callable[[Input], None]:
    def take(given: Input) -> None:
        try:
            read_profile(text(given), "mine")
        except ConfigError as error:
            assert error.problems

    return take


def secrets(stack: ExitStack) -> Callable[[Input], None]:
    def take(given: Input) -> None:
        try:
            found = secret("key", "agent.openai.api_key_file", read=lambda path: raw(given), directories=["/etc"])
            assert found.reveal().isprintable()
            assert len(found.reveal()) < 12 or found.reveal() not in repr(found)
        except ConfigError as error:
            shown = raw(given).decode(errors="replace").strip()
            assert len(shown) < 12 or shown not in str(error), "what the file holds is shown to nobody"

    return take


def kept_state(stack: ExitStack) -> Callable[[Input], None]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgevoice-fuzz.", dir="/dev/shm")))
    path = folder / "recovery.json"
    directory = state.directory

    def take(given: Input) -> None:
        path.write_bytes(raw(given))
        try:
            state.directory = lambda: folder
            assert isinstance(state.load_recovery(), Kept)
        finally:
            state.directory = directory

    return take


def kept_calibration(stack: ExitStack) -> Callable[[Input], None]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgevoice-fuzz.", dir="/dev/shm")))
    path = folder / state.path_of("calibration", "card", "json").name
    directory = state.directory

    def take(given: Input) -> None:
        path.write_bytes(raw(given))
        try:
            state.directory = lambda: folder
            found = state.load_calibration("card")
        finally:
            state.directory = directory
        assert found is None or (found.card == "card" and found.words)

    return take


def amending(stack: ExitStack) -> Callable[[Input], None]:
    """What a person has written, and is TOML (`setup` looks), is amended: two keys have their values, nothing else has.

    A file may have no place for a section, as where `call` is a number, or the library may not know how: that is said.
    """
    new: dict[Key, str | int] = {("call", "button"): "parrot", ("panel", "button"): 5}

    def take(given: Input) -> None:
        try:
            before = tomllib.loads(text(given))
        except (ValueError, RecursionError):
            return
        try:
            after = tomllib.loads(amended(text(given), new, "edgevoice.toml"))
        except ConfigError as error:
            assert error.problems
            return
        for (section, key), value in new.items():
            assert after[section].pop(key) == value
            before.get(section, {}).pop(key, None)
            if not before.get(section):
                before.pop(section, None)
            if not after[section]:
                after.pop(section)
        assert repr(after) == repr(before)

    return take


def recording(stack: ExitStack) -> Callable[[Input], None]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgevoice-fuzz.", dir="/dev/shm")))
    path = folder / "say.wav"

    def take(given: Input) -> None:
        path.write_bytes(raw(given))
        try:
            assert read_recording(path).rate
        except DeviceError as error:
            assert str(error)

    return take


def _wav() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_wav(f"{folder}/a.wav", np.arange(80, dtype=np.int16), 16_000)
        return Path(f"{folder}/a.wav").read_bytes()


# ----------------------------------------------------------------------------------------------------------- agents


def agent(make: Callable[[], Wire], seeds: Sequence[Input]) -> Target:
    commands: list[Command] = [Play(bytes(960)), Respond(), Interrupt("r1", 120.0), Answer(24_000)]

    def begin(stack: ExitStack) -> Callable[[Input], None]:
        wire, at, count = make(), 0.0, CALL

        def take(given: Input) -> None:
            nonlocal wire, at, count
            at, count = at + 0.02, count + 1
            if count >= CALL:
                wire, count = make(), 0
                wire.opened(at)
            reply = wire.receive(given, at)
            if count % 7 == 0:
                wire.perform(commands[count // 7 % len(commands)], at)
            if wire.deadline is not None and wire.deadline <= at:
                wire.expire(at)
            if any(isinstance(event, Closed) for event in reply.events):
                count = CALL

        return take

    return Target(begin, seeds)


def ends(stack: ExitStack) -> Callable[[Input], None]:
    """Every close code and HTTP status, with whatever stands in its reason or its body."""
    codes = (0, 101, 200, *range(400, 432), *range(500, 512), *range(1000, 1016), 3000, 4000, 4999)
    count = 0

    def take(given: Input) -> None:
        nonlocal count
        count += 1
        for make in WITH_A_KEY + WITHOUT:
            closed = make().closed(codes[count % len(codes)], text(given), 1.0)
            assert closed.reason
            assert len(closed.reason) < 500
            assert len(closed.reason.splitlines()) == 1, "it is one line of the journal"
            assert make in WITHOUT or SECRET not in closed.reason, (
                "a service that repeats our key is not quoted with it"
            )

    return take


def signed_address(stack: ExitStack) -> Callable[[Input], None]:
    """What ElevenLabs answers to the question for a private agent's address."""
    settings = ElevenLabsSettings(agent_id="agent_1", api_key=SECRET)
    count = 0

    def take(given: Input) -> None:
        nonlocal count
        count += 1
        answer = signed(settings, (200, 200, 200, 0, 401, 404, 422, 429, 500)[count % 9], raw(given))
        if isinstance(answer, Request):
            assert answer.url.startswith("wss://")
            assert answer.url not in repr(answer)
        else:
            assert answer.reason
            assert SECRET not in answer.reason

    return take


def openai(dialect: Any) -> Wire:
    return OpenAI(Settings(url="wss://example.org/", dialect=dialect, api_key="sk-x", tools=tuple(TOOLS.values())))


OPENAI = [
    '{"type":"session.created","event_id":"e","session":{"id":"s","expires_at":1800000000,"model":"m"}}',
    '{"type":"session.updated","event_id":"e","session":{"id":"s"}}',
    '{"type":"error","error":{"type":"invalid_request_error","code":"c","message":"m","event_id":"e"}}',
    '{"type":"input_audio_buffer.speech_started","audio_start_ms":120,"item_id":"i1"}',
    '{"type":"input_audio_buffer.speech_stopped","audio_end_ms":900,"item_id":"i1"}',
    '{"type":"input_audio_buffer.committed","item_id":"i1","previous_item_id":null}',
    '{"type":"conversation.item.input_audio_transcription.completed","item_id":"i1","transcript":"hello"}',
    '{"type":"response.created","response":{"id":"r1","status":"in_progress","output":[]}}',
    '{"type":"response.output_item.added","response_id":"r1","item":{"id":"a1","type":"message"}}',
    '{"type":"response.output_audio.delta","response_id":"r1","item_id":"a1","content_index":0,"delta":"AAAAAAAA"}',
    '{"type":"response.audio.delta","response_id":"r1","item_id":"a1","content_index":0,"delta":"AAAAAAAA"}',
    '{"type":"response.output_audio_transcript.delta","response_id":"r1","item_id":"a1","delta":"hi"}',
    '{"type":"response.function_call_arguments.done","response_id":"r1","call_id":"c1","name":"hang_up","arguments":"{}"}',
    '{"type":"response.done","response":{"id":"r1","status":"completed","output":[{"type":"function_call",'
    '"call_id":"c1","name":"set_volume","arguments":"{\\"percent\\":5}"}],"usage":{"total_tokens":3}}}',
    '{"type":"response.done","response":{"id":"r1","status":"failed","status_details":{"error":{"code":"x"}}}}',
    '{"type":"conversation.item.truncated","item_id":"a1","audio_end_ms":10}',
    '{"type":"rate_limits.updated","rate_limits":[]}',
]


ELEVENLABS: list[Input] = [
    '{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":{"conversation_id":"c1",'
    '"agent_output_audio_format":"pcm_16000","user_input_audio_format":"pcm_16000"}}',
    '{"type":"audio","audio_event":{"audio_base_64":"AAAAAAAA","event_id":1,"alignment":{"chars":["a"]}}}',
    '{"type":"agent_response","agent_response_event":{"agent_response":"hello","event_id":1}}',
    '{"type":"agent_response_correction","agent_response_correction_event":{"original_agent_response":"hello",'
    '"corrected_agent_response":"hel","event_id":1}}',
    '{"type":"user_transcript","user_transcription_event":{"user_transcript":"hi","event_id":2}}',
    '{"type":"interruption","interruption_event":{"event_id":1}}',
    '{"type":"ping","ping_event":{"event_id":7,"ping_ms":20}}',
    '{"type":"vad_score","vad_score_event":{"vad_score":0.9}}',
    '{"type":"client_tool_call","client_tool_call":{"tool_name":"hang_up","tool_call_id":"t1","parameters":{}}}',
    '{"type":"agent_tool_response","agent_tool_response":{"tool_name":"skip_turn","tool_call_id":"t1","is_error":false}}',
    '{"type":"client_error","client_error_event":{"reason":"quota_exceeded","message":"m"}}',
    '{"type":"error","error_event":{"error_type":"x","message":"m","code":1002}}',
]
GEMINI: list[Input] = [
    '{"setupComplete":{}}',
    '{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"AAAAAAAA"}}]}}}',
    '{"serverContent":{"inputTranscription":{"text":"hm"},"outputTranscription":{"text":"oh"}}}',
    '{"serverContent":{"interrupted":true}}',
    '{"serverContent":{"generationComplete":true}}',
    '{"serverContent":{"turnComplete":true},"usageMetadata":{"totalTokenCount":3}}',
    '{"toolCall":{"functionCalls":[{"id":"t1","name":"set_volume","args":{"percent":5}}]}}',
    '{"toolCallCancellation":{"ids":["t1"]}}',
    '{"goAway":{"timeLeft":"10s"}}',
    '{"sessionResumptionUpdate":{"newHandle":"h","resumable":true}}',
]


def tool(stack: ExitStack) -> Callable[[Input], None]:
    def take(given: Input) -> None:
        for name in ("hang_up", "set_volume", text(given)):
            try:
                parse(name, text(given))
            except ValueError as error:
                assert str(error)

    return take


# ------------------------------------------------------------------------------------------------------------ lines


def line(make: Callable[[], Service], seeds: Sequence[Input]) -> Target:
    commands: list[Command] = [
        Answer(16_000),
        Play(bytes(960), "r1"),
        Mark("m1", "r1"),
        Clear(),
        Play(bytes(1920)),
        Mark("m2", ""),
    ]

    def begin(stack: ExitStack) -> Callable[[Input], None]:
        call, at, count = Line(make(), LoudnessDetector()), 0.0, CALL

        def take(given: Input) -> None:
            nonlocal call, at, count
            at, count = at + 0.02, count + 1
            if count >= CALL:
                call, count = Line(make(), LoudnessDetector()), 0
                call.opened(at)
                call.receive(seeds[0], at)
            reply = call.receive(given, at)
            if count % 5 == 0:
                call.perform(commands[count // 5 % len(commands)], at)
            if call.deadline is not None and call.deadline <= at:
                call.expire(at)
            if any(isinstance(event, Closed) for event in reply.events):
                count = CALL

        return take

    return Target(begin, seeds)


ELKS = [
    '{"t":"hello","callid":"c1","from":"+46700000001","to":"+46700000002"}',
    '{"t":"audio","data":"AAAAAAAAAAA="}',
    '{"t":"sync"}',
    '{"t":"sync","id":"m1"}',
    '{"t":"bye","reason":"hangup"}',
]
TWILIO = [
    '{"event":"start","sequenceNumber":"1","streamSid":"s1","start":{"callSid":"c1","streamSid":"s1",'
    '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"from":"+46"}}}',
    '{"event":"connected","protocol":"Call","version":"1.0.0"}',
    '{"event":"media","streamSid":"s1","media":{"track":"inbound","chunk":"2","timestamp":"5","payload":"fn5+fg=="}}',
    '{"event":"mark","streamSid":"s1","mark":{"name":"m1"}}',
    '{"event":"dtmf","streamSid":"s1","dtmf":{"track":"inbound_track","digit":"5"}}',
    '{"event":"stop","streamSid":"s1","stop":{"callSid":"c1"}}',
]
VOBIZ = [
    '{"event":"start","sequenceNumber":1,"streamId":"s1","callId":"c1","mediaFormat":{"encoding":"audio/x-l16",'
    '"sampleRate":16000},"start":{"streamId":"s1","callId":"c1"},"extra_headers":"{}"}',
    '{"event":"media","streamId":"s1","media":{"track":"inbound","timestamp":"5","payload":"AAAAAAAA"}}',
    '{"event":"playedStream","streamId":"s1","name":"m1"}',
    '{"event":"clearedAudio","streamId":"s1"}',
    '{"event":"dtmf","streamId":"s1","dtmf":{"digit":"#"}}',
    '{"event":"stop","streamId":"s1"}',
]
SIP: list[Input] = [
    '{"is":"incoming","call":1,"account":0,"id":"x","from":"\\"A\\" <sip:100@pbx.example.com>","shown":""}',
    '{"is":"established","call":1,"id":"x","rate":16000}',
    '{"is":"early","call":1,"id":"x","rate":8000}',
    '{"is":"ringing","call":1}',
    '{"is":"key","call":1,"key":"5"}',
    '{"is":"held","call":1}',
    '{"is":"resumed","call":1}',
    '{"is":"reached","call":1,"name":"m1"}',
    '{"is":"quality","call":1,"facts":{"loss":0.1,"jitter_ms":3}}',
    '{"is":"closed","call":1,"status":486}',
    TIMED.pack(1, 12.5) + bytes(640),
    TIMED.pack(1, 12.52) + struct.pack("<320h", *range(320)),
]
WORKER: list[Input] = [
    *SIP,
    '{"is":"ready"}',
    '{"is":"alive"}',
    '{"is":"registered","account":0}',
    '{"is":"unregistered","account":0,"status":401}',
    '{"is":"fault","what":"no library"}',
]


def worker(stack: ExitStack) -> Callable[[Input], None]:
    """The packets of the SIP worker, as the box takes them from the socket."""
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    endpoint: Any = None
    count = CALL

    async def begin() -> Any:
        account = Account("pbx.example.com", "6001")
        return Endpoint([account], {"config": {}, "accounts": []}, lambda call, number, who, shown: None)

    def take(given: Input) -> None:
        nonlocal endpoint, count
        count += 1
        if count >= CALL:
            endpoint, count = loop.run_until_complete(begin()), 0
        packet = raw(given)
        if packet:
            endpoint._take(packet)

    return take


def registrar_answer(stack: ExitStack) -> Callable[[Input], None]:
    """What comes back from the port of a registrar that the doctor asks, over TCP."""
    ours, theirs = stack.enter_context(_pair())

    def take(given: Input) -> None:
        nonlocal ours, theirs
        answer = raw(given)[:60_000] or b"\0"
        theirs.sendall(answer)
        told = registrar._answers(ours, "tcp")
        assert told == answer.startswith(b"SIP/2.0 ")
        theirs.recv(65_536)

    return take


@contextmanager
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection over loopback; what a message is ends with it, as of a datagram."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        with ours, theirs:
            yield ours, theirs


def callers(stack: ExitStack) -> Callable[[Input], None]:
    def take(given: Input) -> None:
        assert not re.search(r"[@:;<>]", caller(text(given)))

    return take


def dialer(stack: ExitStack) -> Callable[[Input], None]:
    dialers = (
        ElksDialer("u", "p", "+46700000000", "+46700000001"),
        TwilioDialer("AC", "t", "+46700000000", "wss://x/"),
    )
    count = 0

    def take(given: Input) -> None:
        nonlocal count
        count += 1
        status = (0, 200, 201, 400, 401, 403, 404, 429, 500)[count % 9]
        for one in dialers:
            one.placed(status, raw(given))
            one.progress(status, raw(given))

    return take


REST = [
    '{"id":"c1","state":"ongoing","direction":"outgoing"}',
    '{"sid":"CA1","status":"queued","from":"+46","to":"+46"}',
    '{"code":21211,"message":"The To number is not valid","status":400}',
    "Not enough credits",
]


def keypad(stack: ExitStack) -> Callable[[Input], None]:
    at = 0.0

    def take(given: Input) -> None:
        nonlocal at
        pad = Keypad({"door": "4711#", "gate": "47"}, {"door": 3, "gate": 3})
        for key in text(given):
            at += 0.1
            pad.press(key, at)

    return take


# ------------------------------------------------------------------------------------------------------------- HTTP


def http(stack: ExitStack) -> Callable[[Input], None]:
    """What a stranger sends to the port of the phone lines, up to the decision whether it is a webhook."""
    tickets = iter(range(10**9))
    doors = {name: Door("t0ken", "s3cret" if name != "elks" else "") for name in ("elks", "twilio", "plivo")}
    admission = Admission(doors, lambda: str(next(tickets)))

    def take(given: Input) -> None:
        posted = line_server._Posted()
        try:
            if not posted.take(raw(given)):
                posted.go_on()
                return
        except (h11.RemoteProtocolError, ValueError):
            posted.written(line_server.NO_REQUEST)
            return
        headers = posted.fields or Headers()
        came = line_server._came(_Nowhere(), "", posted.method, posted.target, headers, posted.body)  # type: ignore[arg-type]
        if came is None:
            return
        for name in ("elks", "twilio", "plivo"):
            admission.webhook(name, came)
            calling(name, came.form)
        admission.upgrade(came, 1.0)
        posted.written(line_server.Answered(200, "ok"))

    return take


class _Nowhere:
    """A connection that came from nowhere in particular."""

    @property
    def transport(self) -> _Nowhere:
        return self

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("203.0.113.9", 4711)}.get(name)


def upgrades(stack: ExitStack) -> Callable[[Input], None]:
    """Addresses that a stranger makes up, of which the library has read the request."""
    doors = {name: Door("t0ken") for name in ("elks", "twilio", "vobiz", "plivo")}
    admission = Admission(doors, lambda: "x")

    def take(given: Input) -> None:
        url = "https://box.example.com/" + re.sub(r"[^!-~]", "", text(given))
        try:
            came = Came("GET", url, {"Sec-WebSocket-Key": text(given)[:24]}, "203.0.113.9")
            path = came.path
        except ValueError:  # `line_server._came` has looked at that already
            return
        if path is not None:
            admission.upgrade(came, 1.0)
            admission.webhook("twilio", came)

    return take


def health(stack: ExitStack) -> Callable[[Input], None]:
    status: dict[str, object] = {"state": "idle", "version": "1", "counters": {}, "echo": {}, "lines": None}
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)

    def take(given: Input) -> None:
        reader = asyncio.StreamReader(limit=8192, loop=loop)
        reader.feed_data(raw(given))
        reader.feed_eof()
        at_once(answer_health(reader, lambda target: page(target, status)))

    return take


def control_socket(stack: ExitStack) -> Callable[[Input], None]:
    def take(given: Input) -> None:
        answered = at_once(control._answer(raw(given), lambda request: {}))
        assert set(json.loads(answered)) <= {"ok", "error"}
        assert answered.endswith(b"\n")

    return take


CONTROL = [
    '{"do":"status"}',
    '{"do":"press"}',
    '{"do":"call","target":"parrot"}',
    '{"do":"mute","on":true}',
    '{"do":"volume","percent":50}',
    '{"do":"say","path":"/a.wav","to":"card","now":false,"loop":true}',
    '{"do":"hush","to":""}',
    '{"do":"keys","keys":"1#","to":"sip-3"}',
    '{"do":"chirp","aloud":false}',
    '{"do":"try","within_s":10}',
]
POSTS: list[Input] = [
    b"POST /twilio/voice HTTP/1.1\r\nHost: box.example.com\r\nX-Twilio-Signature: abc=\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 31\r\n\r\nCallSid=CA1&From=%2B46&To=%2B461",
    b"POST /plivo/answer?token=t0ken HTTP/1.1\r\nHost: [::1]:8443\r\nX-Plivo-Signature-V3: a,b\r\n"
    b"X-Plivo-Signature-V3-Nonce: 5\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nCall\r\n0\r\n\r\n",
    b"HEAD /health HTTP/1.0\r\n\r\n",
    b"PUT http://[ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde",
]
EXAMPLE = re.sub(r" *#.*", "", (ROOT / "systemd" / "edgevoice.toml").read_text())
TOML = [
    *re.split(r"\n(?=\[)", EXAMPLE),  # table by table: the whole of it takes 5 ms to read
    '[card]\ncapture = "hw:CARD=A"\nrate = 16000\n[panel]\nlight = [1, 2, 3]\n[call]\nbutton = "sip:reception"\n',
    '[[line.sip]]\nregistrar = "sip:pbx"\nuser = "6001"\n[line.sip.targets]\na = "sip:1@b"\n[relay.door]\npin = 6\n',
    '[lines]\nlisten = "0.0.0.0:8443"\n[line.elks]\npath_token_file = "t"\nallow_ip = ["192.0.2.0/24"]\n',
]

CALIBRATION = (
    '{"card":"card","made":"2026-11-28T12:00:00","rate":48000,"volume":40,"delay_ms":12.5,"echo_db":-20.1,'
    '"distortion_percent":1.5,"noise_dbfs":-60.0,"peak_dbfs":-12.0,"sweep_dbfs":-20.0,"polarity":1}'
)
WITH_A_KEY: list[Callable[[], Wire | Line]] = [
    lambda: OpenAI(Settings(url="wss://example.org/", dialect="ga", api_key=SECRET)),
    lambda: ElevenLabs(ElevenLabsSettings(agent_id="agent_1", api_key=SECRET)),
    lambda: Gemini(GeminiSettings(api_key=SECRET)),
]
WITHOUT: list[Callable[[], Wire | Line]] = [
    lambda: ElevenLabs(ElevenLabsSettings(agent_id="agent_1")),
    lambda: Line(Elks(), LoudnessDetector()),
    lambda: Line(Twilio(), LoudnessDetector()),
    lambda: Line(Vobiz(), LoudnessDetector()),
    lambda: Line(Plivo(), LoudnessDetector()),
    lambda: Line(Sip(1), LoudnessDetector()),
]
ENDS = [
    '{"error":{"message":"Incorrect API key provided: sk-0123456789abcdef.","code":"invalid_api_key"}}',
    '{"detail":{"status":"quota_exceeded","message":"This request exceeds your quota"}}',
    '{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"quota"}}',
    "The AI agent you are trying to reach does not exist.",
    "<html><title>502 Bad Gateway</title></html>",
    "insufficient_quota",
    "",
]
SIGNED: list[Input] = ['{"signed_url":"wss://api.elevenlabs.io/v1/convai/conversation?token=t"}', *ENDS]
ANSWERS: list[Input] = [
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx\r\nContent-Length: 0\r\n\r\n",
    b"SIP/2.0 401 Unauthorized\r\n\r\n",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"SIP/2.0",
]

TARGETS: dict[str, Target] = {
    "configuration": Target(configuration, TOML),
    "profile": Target(profile, sorted((path.read_text() for path in HATS.glob("*.toml")), key=len)[:3]),
    "secret": Target(secrets, ["sk-0123456789abcdef\n", b"\xef\xbb\xbfsk-x", "two\nlines", ""]),
    "calibration": Target(kept_calibration, [CALIBRATION]),
    "amending": Target(amending, [*TOML, "call.button = 'x'", "[call]\nbutton='x'#c\n\n[call.contacts]\na='b'\n"]),
    "ends": Target(ends, ENDS),
    "signed address": Target(signed_address, SIGNED),
    "registrar": Target(registrar_answer, ANSWERS),
    "state": Target(kept_state, ['{"boot":"b","restarts":[1.0,2.5],"reboots":1}']),
    "recording": Target(recording, [_wav()]),
    "openai": agent(lambda: openai("ga"), OPENAI),
    "openai beta": agent(lambda: openai("beta"), OPENAI),
    "elevenlabs": agent(lambda: ElevenLabs(ElevenLabsSettings(agent_id="agent_1", api_key="sk-x")), ELEVENLABS),
    "gemini": agent(lambda: Gemini(GeminiSettings(api_key="sk-x", tools=tuple(TOOLS.values()))), GEMINI),
    "tool": Target(tool, ['{"percent": 50}', "{}", "set_volume"]),
    "elks": line(Elks, ELKS),
    "twilio": line(Twilio, TWILIO),
    "vobiz": line(Vobiz, VOBIZ),
    "plivo": line(Plivo, VOBIZ),
    "sip": line(lambda: Sip(1), SIP),
    "sip worker": Target(worker, [*WORKER, NUMBER.pack(1) + bytes(64)]),
    "sip caller": Target(callers, ['"Name" <sip:100@pbx.example.com;transport=tls>', "sips:+4670@x", "<sip:a:b@c>"]),
    "dialling": Target(dialer, REST),
    "keypad": Target(keypad, ["4711#", "47", "47 4711#"]),
    "control": Target(control_socket, CONTROL),
    "http": Target(http, POSTS),
    "upgrade": Target(
        upgrades, ["elks/t0ken", "twilio/t0ken/ticket?x=y#z", "//", "elks/t0ken/%00", "plivo?token=t0ken"]
    ),
    "health": Target(health, [b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /metrics?a HTTP/1.0\r\n\r\n", *POSTS]),
}
logging.getLogger("edgevoice").addHandler(logging.NullHandler())
