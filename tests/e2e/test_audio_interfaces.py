"""The two audio interfaces for the ElevenLabs SDK on the virtual card: what the SDK is promised, and bad input."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice import elevenlabs
from edgevoice.elevenlabs import AlsaAudioInterface, AsyncAlsaAudioInterface
from edgevoice.errors import ConfigError, DeviceError
from edgevoice.stream import LIMIT_MS
from tests.fakes import noise
from tests.lab.labcard import World

Samples = NDArray[np.int16]

RATE = 16_000
CARD = '[card]\ncapture = "{mic}"\nplayback = "speaker"\nrate = 16000\nbuffer_ms = 200\n'
PLAIN = '[echo]\ncanceller = "none"\nhalf_duplex = "never"\n'  # what is captured leaves as it is
PATIENCE_S = 30.0


class Running:
    """An interface of either kind, used from this thread as the SDK uses it, and what its callback was given."""

    def __init__(self, kind: str, config: Path, **options: int) -> None:
        self.chunks: list[bytes] = []
        self.on_chunk: Callable[[], object] = lambda: None
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(1))  # so that its threads can be counted
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        make = AsyncAlsaAudioInterface if kind == "async" else AlsaAudioInterface
        try:
            self._interface: Any = make(config, **options)
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        asynchronous = isinstance(self._interface, AsyncAlsaAudioInterface)
        self._do("start", self._take_async if asynchronous else self._take)

    def stop(self) -> None:
        self._do("stop")

    def output(self, audio: Any) -> None:
        self._do("output", audio)

    def interrupt(self) -> None:
        self._do("interrupt")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, method: str, *arguments: Any) -> None:
        done = getattr(self._interface, method)(*arguments)
        if done is not None:
            asyncio.run_coroutine_threadsafe(done, self._loop).result(PATIENCE_S)

    def _take(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.on_chunk()

    async def _take_async(self, chunk: bytes) -> None:
        self._take(chunk)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with World(rate=RATE) as made:
        monkeypatch.setenv("ALSA_CONFIG_PATH", made.conf)
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edgevoice.toml"
    path.write_text(CARD.format(mic="mic") + PLAIN)
    return path


@pytest.fixture(params=["sync", "async"])
def running(request: pytest.FixtureRequest, world: World, config: Path) -> Iterator[Running]:
    made = Running(request.param, config, chunk_ms=20)
    yield made
    made.stop()
    made.close()


one_kind = pytest.mark.parametrize("running", ["sync"], indirect=True)  # of what both have from `Stream`


def wait_until(true: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up, f"not within {PATIENCE_S} s: {what}"
        threading.Event().wait(0.005)


def sound(seconds: float, seed: int = 1) -> Samples:
    """Return noise in which no sample is silence: what is heard of it can be counted."""
    made = noise(round(seconds * RATE), seed=seed)
    made[made == 0] = 1
    return made


def heard(world: World, since: int) -> Samples:
    """Return what the loudspeaker has played, without the silence before, after, and of underruns."""
    played: Samples = world.spk[since : world.now()]
    sounding: Samples = played[played != 0]
    return sounding


def wait_until_heard(world: World, since: int, samples: int) -> None:
    wait_until(lambda: len(heard(world, since)) >= samples, f"{samples} samples heard")


def wait_for_silence(world: World) -> None:
    wait_until(lambda: not world.spk[world.now() - RATE // 5 : world.now()].any(), "silence")


def of_output(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said of what is handed over, and nothing of a machine that is late."""
    said = [record.getMessage() for record in caplog.records]
    return [words for words in said if words.startswith("output() ")]


def closed_as_often_as_opened(world: World) -> bool:
    done = [event.what for event in world.events()]
    return done.count("open") == done.count("close") > 0


# ------------------------------------------------------------------------------------------------- what is promised


def test_the_microphone_comes_whole_and_in_order_in_chunks_of_the_wanted_length(world: World, running: Running) -> None:
    world.air[:] = noise(len(world.air), seed=3)
    running.start()
    wait_until(lambda: len(running.chunks) >= 25, "25 chunks")
    chunks = running.chunks[:25]
    assert {len(chunk) for chunk in chunks} == {640}
    captured = np.frombuffer(b"".join(chunks), "<i2")
    first = np.flatnonzero(
        np.all(np.lib.stride_tricks.sliding_window_view(world.air[: 30 * RATE], 8) == captured[:8], 1)
    )
    assert len(first) == 1
    said = world.air[first[0] : first[0] + len(captured)]
    assert np.abs(captured.astype(int) - said).max() < 200, "the same but for what is below all voices; noise has 3000"


def test_a_chunk_has_250_ms_unless_another_length_is_wished(world: World, config: Path) -> None:
    interface, chunks = AlsaAudioInterface(config), list[bytes]()
    interface.start(chunks.append)
    wait_until(lambda: bool(chunks), "a chunk")
    interface.stop()
    assert len(chunks[0]) == 8000


def test_all_that_is_handed_over_is_heard_in_order(world: World, running: Running) -> None:
    said = sound(0.6)
    running.start()
    for piece in np.split(said, 6):
        running.output(piece.tobytes())
    wait_until_heard(world, 0, len(said))
    assert np.array_equal(heard(world, 0), said)


@one_kind
def test_interrupted_it_is_silent_within_a_period_and_what_comes_then_is_heard_whole(
    world: World, running: Running
) -> None:
    old, new = sound(5.0), sound(0.3, seed=2)
    running.start()
    running.output(old.tobytes())
    wait_until_heard(world, 0, RATE // 4)
    running.interrupt()
    running.output(new.tobytes())
    wait_until_heard(world, 0, RATE // 4 + len(new))
    wait_for_silence(world)
    of_old = len(heard(world, 0)) - len(new)
    assert np.array_equal(heard(world, 0), np.concatenate((old[:of_old], new)))
    stops = [event for event in world.events() if (event.who, event.what) == ("speaker", "stop")]
    assert len(stops) == 1, "the card was dropped, not played empty"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_after_stop_nothing_comes_and_everything_is_given_back(kind: str, world: World, config: Path) -> None:
    gc.collect()  # what other tests have left
    running, late = Running(kind, config, chunk_ms=50), list[bool]()

    def holds() -> tuple[int, int, int]:
        """Count threads, files and tasks."""
        return threading.active_count(), len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks(running._loop))

    def given_back() -> bool:
        return all(now <= then for now, then in zip(holds(), before, strict=True))

    before = (0, 0, 0)
    for turn in range(6):
        running.on_chunk = lambda: None
        running.chunks.clear()
        running.start()
        wait_until(lambda: bool(running.chunks), "a chunk")
        running.output(sound(0.1).tobytes())
        threading.Event().wait(0.0037 * turn)  # another moment of the period
        running.stop()
        running.on_chunk = lambda: late.append(True)
        assert closed_as_often_as_opened(world)
        threading.Event().wait(0.06)
        if turn == 1:  # the first has to load the canceller
            before = holds()
        elif turn:
            wait_until(given_back, f"no more threads, files and tasks than {before}")
    running.close()
    assert late == []


# ------------------------------------------------------------------------------------------------------- bad input


def test_output_before_start_is_refused_and_the_rest_does_nothing(running: Running) -> None:
    running.interrupt()
    running.stop()
    with pytest.raises(RuntimeError, match=r"output\(\) before start\(\): .*call start\(\) first"):
        running.output(bytes(320))


def test_what_comes_after_stop_is_heard_by_nobody(world: World, running: Running) -> None:
    running.start()
    running.stop()
    since = world.now()
    running.output(sound(0.1).tobytes())
    running.interrupt()
    running.stop()
    threading.Event().wait(0.1)
    assert not heard(world, since).size
    running.start()
    running.output(sound(0.1).tobytes())
    wait_until_heard(world, since, RATE // 10)


def test_started_twice_the_second_is_refused_and_the_first_goes_on(world: World, running: Running) -> None:
    running.start()
    with pytest.raises(RuntimeError, match=r"start\(\) was called already: call stop\(\) first"):
        running.start()
    running.output(sound(0.2).tobytes())
    wait_until_heard(world, 0, RATE // 5)


@one_kind
def test_ten_minutes_in_one_call_are_heard_and_one_interrupt_ends_them(
    world: World, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = sound(1.0)
    running.start()
    running.output(np.tile(pattern, 600).tobytes())
    assert not of_output(caplog)
    wait_until_heard(world, 0, RATE // 5)  # it is the audio thread's by now, who counts it
    running.output(np.tile(pattern, 600).tobytes())
    assert of_output(caplog) == [f"output() has {LIMIT_MS // 60_000} minutes waiting: what is more is left out"]
    wait_until_heard(world, 0, RATE + RATE // 5)
    running.interrupt()
    wait_for_silence(world)
    played = heard(world, 0)
    assert len(played) < 60 * RATE
    assert np.array_equal(played, np.resize(pattern, len(played)))


@one_kind
def test_an_odd_byte_is_left_out_and_told_once(
    world: World, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    said = sound(0.2)
    running.start()
    running.output(said.tobytes() + b"\x7f")
    running.output(said.tobytes() + b"\x7f")
    running.output(b"\x7f")
    running.output(b"")
    wait_until_heard(world, 0, 2 * len(said))
    assert np.array_equal(heard(world, 0), np.tile(said, 2))
    assert of_output(caplog) == ["output() got 6401 bytes, expected samples of two: the last byte is left out"]


@one_kind
def test_what_are_no_bytes_is_refused(running: Running) -> None:
    running.start()
    with pytest.raises(TypeError, match=r"output\(\) got str, expected bytes: 16-bit mono samples at 16000 Hz"):
        running.output("sound")


@one_kind
def test_three_interrupts_at_once_are_one_silence_and_the_next_reply_is_heard_whole(
    world: World, running: Running
) -> None:
    running.start()
    for turn in range(2):
        since = world.now()
        new = sound(0.2, seed=turn + 4)
        running.output(sound(5.0).tobytes())
        wait_until_heard(world, since, RATE // 10)
        barrier = threading.Barrier(3)

        def interrupt(barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            running.interrupt()

        threads = [threading.Thread(target=interrupt) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_for_silence(world)
        running.output(new.tobytes())
        wait_until(lambda new=new, since=since: np.array_equal(heard(world, since)[-len(new) :], new), "the reply")  # type: ignore[misc]


def test_a_card_that_is_not_there_is_told_in_words_and_can_be_tried_again(world: World, running: Running) -> None:
    world.unplug()
    with pytest.raises(DeviceError, match=r'card\.playback "speaker" does not open: .*Cards there are: '):
        running.start()
    with pytest.raises(RuntimeError, match="before start"):
        running.output(bytes(320))
    world.plug()
    running.start()
    wait_until(lambda: bool(running.chunks), "a chunk")


@one_kind
def test_a_card_that_another_program_holds_is_told_in_words(world: World, config: Path, running: Running) -> None:
    other = AlsaAudioInterface(config)
    other.start(lambda chunk: None)
    with pytest.raises(DeviceError, match="held by another program: stop it"):
        running.start()
    other.stop()
    assert closed_as_often_as_opened(world)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("chunk_ms", [0, 9, 1001, 2.5, "250"])
def test_a_length_that_makes_no_sense_is_refused(kind: str, chunk_ms: Any, config: Path) -> None:
    with pytest.raises(ValueError, match=r"chunk_ms is .*, expected a whole number from 10 to 1000"):
        Running(kind, config, chunk_ms=chunk_ms)


def test_every_problem_of_the_configuration_is_told_at_once(config: Path) -> None:
    config.write_text('[card]\nplaybak = "x"\n[echo]\ncanceller = "best"\n')
    with pytest.raises(ConfigError) as told:
        AlsaAudioInterface(config)
    assert len(told.value.problems) == 2
    assert 'did you mean "playback"?' in told.value.problems[0]


# ---------------------------------------------------------------------------------------------------- the callback


def test_a_callback_that_takes_long_harms_nobody_but_itself(
    world: World, running: Running, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevoice.stream.BACKLOG_MS", 100)
    go_on, said = threading.Event(), sound(1.0)
    running.start()
    wait_until(lambda: bool(running.chunks), "a chunk")
    if isinstance(running._interface, AlsaAudioInterface):
        running.on_chunk = lambda: go_on.wait(PATIENCE_S)
    else:  # a callback that keeps their loop from running
        running._loop.call_soon_threadsafe(go_on.wait, PATIENCE_S)
    interface: Any = running._interface
    interface._stream.output(said.tobytes())
    wait_until_heard(world, 0, len(said))
    assert np.array_equal(heard(world, 0), said)
    assert len(interface._stream.chunks) <= 5, "20 ms each"
    go_on.set()
    count = len(running.chunks)
    wait_until(lambda: len(running.chunks) > count + 6, "the microphone again")
    running.stop()
    assert "of the microphone were left out: the callback took longer" in caplog.text


def test_the_callback_may_stop(world: World, config: Path) -> None:
    interface, chunks = AlsaAudioInterface(config, chunk_ms=10), list[bytes]()

    def stop(chunk: bytes) -> None:
        chunks.append(chunk)
        interface.stop()

    for turn in (1, 2):
        interface.start(stop)
        wait_until(lambda: closed_as_often_as_opened(world), "the card closed")
        wait_until(lambda: "delivery" not in {thread.name for thread in threading.enumerate()}, "the thread ended")
        assert len(chunks) == turn


def test_the_callback_of_the_async_one_may_stop(world: World, config: Path) -> None:
    interface, chunks = AsyncAlsaAudioInterface(config, chunk_ms=10), list[bytes]()

    async def stop(chunk: bytes) -> None:
        chunks.append(chunk)
        await interface.stop()

    async def story() -> None:
        for turn in (1, 2):
            await interface.start(stop)
            while "delivery" in {task.get_name() for task in asyncio.all_tasks()}:  # noqa: ASYNC110  # it is not ours
                await asyncio.sleep(0.005)
            assert closed_as_often_as_opened(world)
            assert len(chunks) == turn

    asyncio.run(asyncio.wait_for(story(), PATIENCE_S))


def test_stop_waits_for_a_callback_that_runs(world: World, config: Path) -> None:
    interface, begun, go_on, ended = AlsaAudioInterface(config), threading.Event(), threading.Event(), list[bool]()

    def work(chunk: bytes) -> None:
        begun.set()
        ended.append(go_on.wait(PATIENCE_S))

    interface.start(work)
    assert begun.wait(PATIENCE_S)
    wait = threading.Timer(0.1, go_on.set)
    wait.start()
    interface.stop()
    assert ended == [True]
    wait.join()


def test_stop_does_not_wait_for_ever(world: World, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elevenlabs, "LEAVE_S", 0.05)
    interface, go_on, begun = AlsaAudioInterface(config, chunk_ms=10), threading.Event(), threading.Event()

    def wait(chunk: bytes) -> None:
        begun.set()
        go_on.wait(PATIENCE_S)

    interface.start(wait)
    assert begun.wait(PATIENCE_S)
    interface.stop()
    assert closed_as_often_as_opened(world)
    assert "delivery" in {thread.name for thread in threading.enumerate()}, "it was not waited for"
    go_on.set()
    wait_until(lambda: "delivery" not in {thread.name for thread in threading.enumerate()}, "the thread ended")


def test_a_callback_that_raises_ends_the_interface_and_is_told(
    world: World, config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda ended: told.append(ended.exc_value))
    mistake = ZeroDivisionError("a mistake of theirs")

    def fail(chunk: bytes) -> None:
        raise mistake

    interface = AlsaAudioInterface(config, chunk_ms=10)
    interface.start(fail)
    wait_until(lambda: told == [mistake], "the mistake")
    wait_until(lambda: closed_as_often_as_opened(world), "the card closed")
    assert "the sound card is closed" in caplog.text
    interface.output(bytes(320))
    interface.stop()
    interface.start(lambda chunk: None)
    interface.stop()


def test_a_callback_that_raises_ends_the_async_one_and_is_told(
    world: World, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[dict[str, Any]] = []
    mistake = ZeroDivisionError("a mistake of theirs")

    async def fail(chunk: bytes) -> None:
        raise mistake

    async def story() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        interface = AsyncAlsaAudioInterface(config, chunk_ms=10)
        await interface.start(fail)
        while not told:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert closed_as_often_as_opened(world)
        await interface.stop()

    asyncio.run(asyncio.wait_for(story(), PATIENCE_S))
    assert [context["exception"] for context in told] == [mistake]


def test_a_program_that_ends_without_stop_leaves_the_card(world: World, config: Path) -> None:
    interface = AsyncAlsaAudioInterface(config, chunk_ms=10)

    async def take(chunk: bytes) -> None:
        pass

    asyncio.run(interface.start(take))
    wait_until(lambda: closed_as_often_as_opened(world), "the card closed")


def test_a_loop_that_is_closed_without_stop_leaves_the_card(world: World, config: Path) -> None:
    interface, loop = AsyncAlsaAudioInterface(config, chunk_ms=10), asyncio.new_event_loop()

    async def take(chunk: bytes) -> None:
        pass

    loop.run_until_complete(interface.start(take))
    loop.close()
    wait_until(lambda: closed_as_often_as_opened(world), "the card closed")


@one_kind
def test_a_card_that_is_pulled_out_and_put_back_is_used_again(
    world: World, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.start()
    wait_until(lambda: bool(running.chunks), "a chunk")
    world.unplug()
    wait_until(lambda: "no sound: " in caplog.text, "told")
    running.output(sound(0.2).tobytes())  # heard by nobody
    world.plug()
    caplog.set_level(logging.INFO)
    count = len(running.chunks)
    wait_until(lambda: len(running.chunks) > count + 2, "the microphone again")
    since, said = world.now(), sound(0.2, seed=2)
    running.output(said.tobytes())
    wait_until_heard(world, since, len(said))
    assert np.array_equal(heard(world, since), said)
