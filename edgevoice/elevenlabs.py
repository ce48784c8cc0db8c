"""Our sound for the ElevenLabs SDK: its `AudioInterface`, and the async one, on our audio loop instead of PyAudio.

    Conversation(client, agent_id, requires_auth=True, audio_interface=AlsaAudioInterface())

    SDK ── output, interrupt ──> `Stream`: echo, barge-in, playout, card
    callback <── delivery: a thread of its own, or a task on the SDK's loop <──┘

Rules
* The callback runs on the delivery. One that is slow makes sound wait, and the oldest is left out some time; one that
  raises ends the interface, and its trace is told as that of any thread or task. `stop` may be called in it.
* No callback begins after `stop` has returned. The one that runs is not cut off; a thread's is waited for, for LEAVE_S.

Source: elevenlabs 2.78, conversational_ai/conversation.py, what `AudioInterface` promises.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from os import PathLike
from pathlib import Path
from queue import SimpleQueue

try:
    from elevenlabs.conversational_ai.conversation import AsyncAudioInterface, AudioInterface
except ImportError as error:
    raise ImportError("edgevoice.elevenlabs is sound for the ElevenLabs SDK: pip install 'elevenlabs>=2.78'") from error

from edgevoice.drivers.audio_thread import LEAVE_S
from edgevoice.files import configuration
from edgevoice.schema import Config
from edgevoice.stream import Stream

__all__ = ["AlsaAudioInterface", "AsyncAlsaAudioInterface"]

log = logging.getLogger(__name__)

CHUNK_MS = 250  # what the SDK recommends
SHORTEST_MS, LONGEST_MS = 10, 1000  # of a chunk: a period; longer ones make every answer late


class AlsaAudioInterface(AudioInterface):
    """Microphone and loudspeaker for the SDK's `Conversation`. Any thread may call any method.

    `config` is an `edgevoice.toml`, of which [device] hat, [card] (but for the volume), [echo] and [barge_in] count;
    without it, that of the system if there is one, else the defaults. `chunk_ms`, 10 to 1000, is how much sound the
    callback is given at once. Raises ConfigError, with every problem of the file, and ValueError.

    Where Python computes on other threads, `sys.setswitchinterval(0.001)` spares the audio thread long waits for them.
    """

    def __init__(self, config: str | PathLike[str] | None = None, *, chunk_ms: int = CHUNK_MS) -> None:
        self._config, self._chunk_ms = _checked(config, chunk_ms)
        self._changing = threading.Lock()  # by start and stop
        self._stream: Stream | None = None
        self._started = False
        self._work: SimpleQueue[None] = SimpleQueue()
        self._delivery: threading.Thread | None = None

    def start(self, input_callback: Callable[[bytes], None]) -> None:
        """Open the card; from now on `input_callback` is given the microphone.

        Raises DeviceError when it does not open, ConfigError when the wished canceller does not load, with what to do;
        RuntimeError when it was called already.
        """
        with self._changing:
            _check_stopped(self._stream)
            work: SimpleQueue[None] = SimpleQueue()
            stream = Stream(self._config, self._chunk_ms, lambda: work.put(None))
            with ExitStack() as undo:
                undo.callback(stream.close)
                stream.open()
                stream.opened.result()
                stream.set_mixer()
                undo.pop_all()
            delivering = partial(_deliver, stream, work, input_callback)
            self._delivery = threading.Thread(target=delivering, name="delivery", daemon=True)
            self._stream, self._work, self._started = stream, work, True
            self._delivery.start()

    def stop(self) -> None:
        """Let go of everything. Before `start`, or once more, it does nothing."""
        with self._changing:
            stream, self._stream = self._stream, None
            work, delivery = self._work, self._delivery
        if stream and delivery:
            stream.close()
            work.put(None)
            if delivery is not threading.current_thread():
                delivery.join(LEAVE_S)

    def output(self, audio: bytes) -> None:
        """Play it after all that was handed over before; return at once. After `stop` it is heard by nobody."""
        if stream := _to_play_on(self._stream, started=self._started):
            stream.output(audio)

    def interrupt(self) -> None:
        """Be silent within a period, and forget what was handed over."""
        if stream := self._stream:
            stream.interrupt()


class AsyncAlsaAudioInterface(AsyncAudioInterface):
    """The same for `AsyncConversation`, on its event loop, which no callback and no sound keeps waiting."""

    def __init__(self, config: str | PathLike[str] | None = None, *, chunk_ms: int = CHUNK_MS) -> None:
        self._config, self._chunk_ms = _checked(config, chunk_ms)
        self._changing = asyncio.Lock()
        self._stream: Stream | None = None
        self._started = False
        self._work = asyncio.Event()
        self._delivery: asyncio.Task[None] | None = None

    async def start(self, input_callback: Callable[[bytes], Awaitable[None]]) -> None:
        """Open the card; from now on `input_callback` is given the microphone. Raises what the other one does."""
        async with self._changing:
            _check_stopped(self._stream)
            work, loop = asyncio.Event(), asyncio.get_running_loop()

            def wake() -> None:
                try:
                    loop.call_soon_threadsafe(work.set)
                except RuntimeError:  # the loop is closed: nobody is there to call `stop`
                    stream.close()

            stream = await asyncio.to_thread(Stream, self._config, self._chunk_ms, wake)
            with ExitStack() as undo:
                undo.callback(stream.close)
                stream.open()
                await asyncio.wrap_future(stream.opened)
                stream.set_mixer()
                undo.pop_all()
            self._stream, self._work, self._started = stream, work, True
            self._delivery = loop.create_task(_deliver_async(stream, work, input_callback), name="delivery")
            self._delivery.add_done_callback(partial(_tell_why, loop))

    async def stop(self) -> None:
        """Let go of everything. Before `start`, or once more, it does nothing."""
        async with self._changing:
            stream, self._stream = self._stream, None
            work = self._work
        if stream:
            stream.stopped = True  # no callback begins from here on
            work.set()
            await asyncio.to_thread(stream.close)

    async def output(self, audio: bytes) -> None:
        """Play it after all that was handed over before. After `stop` it is heard by nobody."""
        if stream := _to_play_on(self._stream, started=self._started):
            stream.output(audio)

    async def interrupt(self) -> None:
        """Be silent within a period, and forget what was handed over."""
        if stream := self._stream:
            stream.interrupt()


# ---------------------------------------------------------------------------------------------------- the delivery


def _deliver(stream: Stream, work: SimpleQueue[None], callback: Callable[[bytes], None]) -> None:
    """Be the delivery thread of one `start`."""
    try:
        while not stream.stopped:
            work.get()
            for chunk in stream.due():
                callback(chunk)
    finally:
        _end(stream)


async def _deliver_async(stream: Stream, work: asyncio.Event, callback: Callable[[bytes], Awaitable[None]]) -> None:
    try:
        while not stream.stopped:
            await work.wait()
            work.clear()
            for chunk in stream.due():
                await callback(chunk)
    finally:
        _end(stream)


def _end(stream: Stream) -> None:
    """Let go of the card when nobody is given the microphone any more."""
    if not stream.stopped:
        log.error("the callback has raised, or was cancelled: the sound card is closed")
        stream.close()


def _tell_why(loop: asyncio.AbstractEventLoop, delivery: asyncio.Task[None]) -> None:
    if not delivery.cancelled() and (error := delivery.exception()):
        loop.call_exception_handler({"message": "the callback has raised", "exception": error, "task": delivery})


# ------------------------------------------------------------------------------------------------------- the pieces


def _checked(config: str | PathLike[str] | None, chunk_ms: int) -> tuple[Config, int]:
    if not isinstance(chunk_ms, int) or not SHORTEST_MS <= chunk_ms <= LONGEST_MS:
        raise ValueError(f"chunk_ms is {chunk_ms!r}, expected a whole number from {SHORTEST_MS} to {LONGEST_MS}")
    return configuration(None if config is None else Path(config)), chunk_ms


def _check_stopped(stream: Stream | None) -> None:
    if stream:
        raise RuntimeError("start() was called already: call stop() first, or make another interface for another card")


def _to_play_on(stream: Stream | None, *, started: bool) -> Stream | None:
    """Return what to play on; None after `stop`: their server may go on for a moment."""
    if not started:
        raise RuntimeError("output() before start(): no card is open yet, so call start() first")
    return stream
