"""Somebody else's server talks to our fakes over a socket: pipecat's serializers for Twilio and Plivo."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.phone.call import Call, Log, Plan
from tests.phone.core import Core
from tests.phone.counting import numbered
from tests.phone.shapes import SHAPES, differences
from tests.phone.twilio import Twilio
from tests.phone.vobiz import Vendor, Vobiz

RATE = 8000
PEERS = Path(sys.prefix) / "peers"  # where the Makefile puts it
HELLO_MS = 1000  # of the caller's sound, at least: then there was time for everything
FRAME = RATE // 50
FRAMES_UNTIL_INTERRUPTED = 20

each_peer = pytest.mark.parametrize("name", ["twilio", "plivo"])


def pipecat(module: str) -> Any:
    if str(PEERS) not in sys.path:
        sys.path.append(str(PEERS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # audioop, which Python 3.13 no longer has
        return importlib.import_module(f"pipecat.{module}")


def serializer(name: str, stream: str) -> Any:
    module = pipecat(f"serializers.{name}")
    kind = getattr(module, f"{name.title()}FrameSerializer")
    return kind(stream, params=kind.InputParams(sample_rate=RATE, auto_hang_up=False))


def sound(ms: int) -> Any:
    """A frame of a bot that speaks."""
    pcm = numbered(ms // 20, RATE).astype("<i2").tobytes()
    return pipecat("frames.frames").OutputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1)


class Bot:
    """A server that says back what it hears, and interrupts itself once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard_ms = 0.0
        self.keys: list[str] = []
        self.content = asyncio.Event()

    async def talk(self, socket: ServerConnection) -> None:
        frames = pipecat("frames.frames")
        wire = None
        async for message in socket:
            event = json.loads(message)
            if event["event"] == "start":
                wire = serializer(self.name, event["start"].get("streamSid") or event["start"]["streamId"])
                await wire.setup(SimpleNamespace(audio_in_sample_rate=RATE))
            if wire is None or (frame := await wire.deserialize(message)) is None:
                continue
            if isinstance(frame, frames.InputDTMFFrame):
                self.keys.append(frame.button.value)
                continue
            self.heard_ms += len(frame.audio) / 2 / RATE * 1000
            if self.heard_ms >= HELLO_MS and self.keys:
                self.content.set()
            back = frames.OutputAudioRawFrame(audio=frame.audio, sample_rate=RATE, num_channels=1)
            await socket.send(await wire.serialize(back))
            if round(self.heard_ms) == FRAMES_UNTIL_INTERRUPTED * 20:
                await socket.send(await wire.serialize(sound(2000)))
                await socket.send(await wire.serialize(frames.InterruptionFrame()))


async def converse(name: str, make: Callable[[float], Core]) -> tuple[Bot, Call]:
    bot = Bot(name)
    plan = Plan(numbered(500, RATE), RATE, presses=(("5", 0.2),))
    call = Call(1, make, plan, Log(None))
    async with serve(bot.talk, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        calling = asyncio.create_task(call.run(f"ws://127.0.0.1:{port}/", {}, lambda: None))
        async with asyncio.timeout(60):
            await bot.content.wait()
            call.to_do.insert(0, (0.0, "hangs up"))
            assert await calling
    return bot, call


@each_peer
def test_somebody_elses_server_converses_with_our_fake(name: str) -> None:
    def make(at: float) -> Core:
        return Twilio(at) if name == "twilio" else Vobiz(at, vendor=Vendor.PLIVO)

    pipecat(f"serializers.{name}")  # takes a second: before the call, not in it
    bot, call = asyncio.run(converse(name, make))
    figures = call.figures()
    assert figures["violations"] == []
    assert bot.keys == ["5"]
    assert bot.heard_ms == pytest.approx(20 * len(call.sent), abs=60)
    assert figures["accepted_ms"] == pytest.approx(bot.heard_ms + 2000, abs=60)
    assert call.core.player.queued_ms < 1000, "the two seconds were cleared"
    heard, said = (sound.reshape(-1, FRAME) for sound in (call.core.player.recording(), numbered(500, RATE)))
    assert np.array_equal(heard[0], said[0])
    assert all((said == frame).all(axis=1).any() for frame in heard)


@each_peer
def test_somebody_elses_sound_and_interruption_are_of_the_shape_in_the_table(name: str) -> None:
    wire = serializer(name, "the stream")
    frame = sound(40)
    play = asyncio.run(wire.serialize(frame))
    clear = asyncio.run(wire.serialize(pipecat("frames.frames").InterruptionFrame()))
    assert differences(play, SHAPES[name]["play"]) == []
    assert differences(clear, SHAPES[name]["clear"]) == []
    media = json.loads(play)["media"]
    assert len(base64.b64decode(media["payload"])) == 320
    if name == "plivo":
        assert (media["contentType"], media["sampleRate"]) == ("audio/x-mulaw", 8000)


def test_a_message_that_differs_is_found_out() -> None:
    shape = SHAPES["twilio"]["play"]
    message = '{"event":"media","streamSid":7,"media":{"payload":"","track":"inbound"}}'
    assert differences(message, shape) == [".media.track: unknown", ".streamSid: int, expected str"]
    assert differences('{"event":"mark"}', shape) == [
        ".event: 'mark', expected 'media'",
        ".media: missing",
        ".streamSid: missing",
    ]
    assert (
        differences(
            '{"event":"playAudio","media":{"contentType":"","sampleRate":8000,"payload":""}}', SHAPES["vobiz"]["play"]
        )
        == []
    )
