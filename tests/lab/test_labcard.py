"""The virtual sound card keeps the rules of a real one: what is written sounds, sample by sample, and faults look real.

These are tests of a device, so they take real time; what they assert is samples, states and counts.
"""

from __future__ import annotations

import ctypes
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import alsaaudio
import numpy as np
import pytest
from numpy.typing import NDArray

from .labcard import Event, World, build, labcard

RATE = 48_000
PERIOD = 480
PERIODS = 200  # 2 s: a machine that runs other tests may not come back to this one for long
FEW = 50  # periods, where a card shall run over
GONE = -19  # ENODEV
XRUN = -32  # EPIPE
WRONG_STATE = -77  # EBADFD
SOON_S = 30.0  # more than any of this takes, however busy the machine

Samples = NDArray[np.int16]


@pytest.fixture
def make_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(**options: Any) -> World:
        world = World(**{"rate": RATE, "seconds": 60, **options})
        worlds.append(world)
        monkeypatch.setenv("ALSA_CONFIG_PATH", world.conf)
        return world

    yield make
    for world in worlds:
        world.close()


def open_pcm(
    direction: int,
    *,
    nonblock: bool = False,
    device: str = "card",
    rate: int = RATE,
    channels: int = 1,
    periods: int = PERIODS,
) -> Any:
    return alsaaudio.PCM(
        type=direction,
        mode=alsaaudio.PCM_NONBLOCK if nonblock else alsaaudio.PCM_NORMAL,
        device=device,
        rate=rate,
        channels=channels,
        format=alsaaudio.PCM_FORMAT_S16_LE,
        periodsize=PERIOD,
        periods=periods,
    )


def open_speaker(**options: Any) -> Any:
    return open_pcm(alsaaudio.PCM_PLAYBACK, **options)


def open_mic(**options: Any) -> Any:
    return open_pcm(alsaaudio.PCM_CAPTURE, **options)


def queued(speaker: Any) -> int:
    return int(speaker.info()["buffer_size"] - speaker.avail())


def record(mic: Any, frames: int) -> Samples:
    """Read until there are so many: (frames,) of one channel, (frames, channels) of more."""
    chunks = [mic.read() for _ in range(frames // PERIOD)]
    assert [count for count, _ in chunks] == [PERIOD] * len(chunks)
    samples = np.frombuffer(b"".join(data for _, data in chunks), np.int16)
    channels = mic.info()["channels"]
    return samples if channels == 1 else samples.reshape(-1, channels)


def ramp(frames: int, first: int = 1) -> Samples:
    """Every sample differs from its neighbours and none is silence."""
    return np.arange(first, first + frames).astype(np.int16)


def noise(frames: int, level: int = 8000) -> Samples:
    return np.random.default_rng(7).integers(-level, level, frames).astype(np.int16)


def fill(timeline: Samples, world: World) -> None:
    """Let every instant of a timeline have its own sample."""
    timeline[:] = np.resize(noise(RATE), len(timeline))


def last(world: World, who: str, what: str) -> Event:
    return [event for event in world.events() if (event.who, event.what) == (who, what)][-1]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def failure_of(call: Callable[[], object]) -> queue.SimpleQueue[str]:
    """Repeat a blocking call in a thread until it fails; what it says then arrives in the queue."""
    failure: queue.SimpleQueue[str] = queue.SimpleQueue()

    def repeat() -> None:
        try:
            while True:
                call()
        except alsaaudio.ALSAAudioError as error:
            failure.put(str(error))

    threading.Thread(target=repeat, daemon=True).start()
    return failure


# -------------------------------------------------------------------------------------------------- the loudspeaker


def test_every_sample_sounds_in_order_until_the_drop(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    for _ in range(5):
        written = PERIODS // 2 * PERIOD  # at once: a machine that is busy between two periods lets no card run dry
        assert speaker.write(ramp(written).tobytes()) == written
        while written < (PERIODS + 12) * PERIOD:
            assert speaker.write(ramp(PERIOD, 1 + written).tobytes()) == PERIOD
            written += PERIOD
        speaker.drop()
        first, stop = last(world, "speaker", "start").details["idx"], last(world, "speaker", "stop").details
        played = stop["played"]
        assert played + stop["discarded"] == written
        assert stop["idx"] == first + played
        assert 8 * PERIOD < played < written
        assert np.array_equal(world.spk[first : first + written], np.append(ramp(played), ramp(written)[played:] * 0))
        assert not world.spk[world.now() + 1 :].any()


def test_a_drop_discards_what_was_not_played(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    speaker.write(ramp(100 * PERIOD).tobytes())
    before = queued(speaker)
    speaker.drop()
    after = last(world, "speaker", "stop").details["discarded"]
    assert np.count_nonzero(world.spk) == 100 * PERIOD - after
    assert 0 < after <= before <= 100 * PERIOD
    assert speaker.state() == alsaaudio.PCM_STATE_SETUP
    assert speaker.avail() == WRONG_STATE


def test_a_write_after_the_drop_sounds_at_once(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    speaker.write(ramp(4 * PERIOD).tobytes())
    speaker.drop()
    before = world.now()
    speaker.write(ramp(2 * PERIOD, 9000).tobytes())
    after = world.now()
    first = int(np.argmax(world.spk == 9000))
    assert before < first <= after + 1
    assert np.array_equal(world.spk[first : first + 2 * PERIOD], ramp(2 * PERIOD, 9000))


def test_buffer_minus_avail_is_what_has_not_been_played(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    speaker.write(ramp(PERIODS * PERIOD).tobytes())
    first = last(world, "speaker", "start").details["idx"]
    for _ in range(100):
        at_most = PERIODS * PERIOD - (world.now() - first + 1)
        waiting = queued(speaker)
        at_least = PERIODS * PERIOD - (world.now() - first + 1)
        assert at_least <= waiting <= at_most


def test_a_drop_cannot_stop_what_is_in_the_fifo(make_world: Callable[..., World]) -> None:
    fifo = 600
    world = make_world(fifo=fifo)
    speaker = open_speaker()
    speaker.write(ramp(100 * PERIOD).tobytes())
    before = world.now()
    speaker.drop()
    after = world.now()
    played = last(world, "speaker", "stop").details["played"]
    sounding = np.nonzero(world.spk)[0]
    assert np.array_equal(world.spk[sounding], ramp(played))
    assert before + fifo <= sounding[-1] <= after + fifo


def test_the_delay_counts_the_fifo_and_avail_does_not(make_world: Callable[..., World]) -> None:
    make_world(fifo=600)
    alsa = ctypes.CDLL("libasound.so.2")  # pyalsaaudio has no delay()
    pcm, delay = ctypes.c_void_p(), ctypes.c_long()
    assert alsa.snd_pcm_open(ctypes.byref(pcm), b"speaker", 0, 0) == 0
    assert alsa.snd_pcm_set_params(pcm, alsaaudio.PCM_FORMAT_S16_LE, 3, 1, RATE, 0, 100_000) == 0
    assert alsa.snd_pcm_writei(pcm, ramp(1000).tobytes(), 1000) == 1000  # less than a buffer: it has not started
    assert alsa.snd_pcm_delay(pcm, ctypes.byref(delay)) == 0
    assert delay.value == 1600
    assert alsa.snd_pcm_close(pcm) == 0


def test_an_underrun_is_told_once_and_costs_that_chunk(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    speaker.write(ramp(2 * PERIOD).tobytes())
    until(lambda: speaker.avail() == XRUN)
    assert speaker.state() == alsaaudio.PCM_STATE_XRUN
    assert speaker.write(ramp(PERIOD, 5000).tobytes()) == XRUN
    assert speaker.write(ramp(PERIOD, 6000).tobytes()) == PERIOD
    assert np.array_equal(world.spk[np.nonzero(world.spk)], np.append(ramp(2 * PERIOD), ramp(PERIOD, 6000)))
    assert [event.what for event in world.events()].count("xrun") == 1


def test_closing_plays_what_is_queued(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    speaker.write(ramp(3 * PERIOD).tobytes())
    speaker.close()
    assert np.array_equal(world.spk[: world.now()][np.nonzero(world.spk[: world.now()])], ramp(3 * PERIOD))


def test_a_second_program_finds_the_card_busy(make_world: Callable[..., World]) -> None:
    make_world()
    speaker, mic = open_speaker(), open_mic()
    with pytest.raises(alsaaudio.ALSAAudioError, match="busy"):
        open_speaker()
    with pytest.raises(alsaaudio.ALSAAudioError, match="busy"):
        open_mic()
    speaker.close()
    mic.close()
    open_speaker().close()


def test_a_killed_player_falls_silent(make_world: Callable[..., World]) -> None:
    world = make_world()
    play = (
        "import alsaaudio as a; p = a.PCM(a.PCM_PLAYBACK, device='speaker', rate=48000, channels=1, periodsize=480,"
        " periods=1000); p.write(b'\\1\\0' * 480000); print(flush=True); input()"
    )
    program = subprocess.Popen([sys.executable, "-c", play], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with program:
        assert program.stdout is not None
        program.stdout.readline()
        program.kill()
    mic = open_mic()
    record(mic, 2 * PERIOD)
    assert not world.spk[last(world, "mic", "reaped").details["idx"] :].any()
    assert np.count_nonzero(world.spk) < 10 * RATE


# --------------------------------------------------------------------------------------------------- the microphone


def test_the_microphone_hears_the_air_exactly(make_world: Callable[..., World]) -> None:
    world = make_world()
    mic = open_mic()
    fill(world.air, world)
    heard = record(mic, 20 * PERIOD)
    first = last(world, "mic", "start").details["idx"]
    assert np.array_equal(heard, world.air[first : first + len(heard)])


def test_injected_sound_is_mixed_and_clipped(make_world: Callable[..., World]) -> None:
    world = make_world()
    at = time.monotonic() + 1
    index = world.inject([10_000, -20_000], at)
    assert world.inject([30_000, -30_000], at, gain=0.5) == index
    assert world.inject([30_000], at + 0.1) == index + RATE // 10
    assert world.air[index : index + 2].tolist() == [25_000, -32_768]


def test_a_muted_microphone_hears_nothing_at_the_usual_pace(make_world: Callable[..., World]) -> None:
    world = make_world()
    fill(world.air, world)
    mic = open_mic()
    world.mute(mic=True)
    assert not record(mic, 3 * PERIOD).any()
    world.mute(mic=False)
    assert record(mic, 3 * PERIOD).any()


def test_poll_wakes_a_reader_once_for_every_period(make_world: Callable[..., World]) -> None:
    world = make_world()
    fill(world.air, world)
    mic = open_mic(nonblock=True)
    poll = select.poll()
    for descriptor, mask in mic.polldescriptors():
        poll.register(descriptor, mask)
    assert poll.poll(0) == []  # prepared: nothing comes before the first read
    assert mic.avail() == 0
    assert mic.read() == (0, b"")  # ... which starts it
    heard, polls = b"", 0
    for _ in range(50):
        while mic.avail() < PERIOD:
            assert poll.poll(500) != []
            polls += 1
        frames, data = mic.read()
        assert frames == PERIOD
        heard += data
    assert 0 < polls <= 50  # fewer when the machine was busy elsewhere for more than a period
    first = last(world, "mic", "start").details["idx"]
    assert np.array_equal(np.frombuffer(heard, np.int16), world.air[first : first + 50 * PERIOD])


def test_a_reader_that_is_late_loses_frames_and_is_told_once(make_world: Callable[..., World]) -> None:
    world = make_world()
    mic = open_mic(periods=FEW)
    record(mic, PERIOD)
    until(lambda: mic.avail() == XRUN)
    assert mic.read() == (XRUN, b"")
    record(mic, 2 * PERIOD)
    assert [event.what for event in world.events()].count("xrun") == 1


def test_pointers_move_in_the_steps_that_were_asked_for(make_world: Callable[..., World]) -> None:
    world = make_world(mic_step=1, speaker_step=48)
    mic, speaker = open_mic(nonblock=True), open_speaker()
    mic.read()
    speaker.write(ramp(PERIODS * PERIOD).tobytes())
    first = last(world, "mic", "start").details["idx"]
    waiting = set()
    for _ in range(100):
        at_least = world.now() - first
        available = mic.avail()
        assert at_least <= available <= world.now() - first
        waiting.add(queued(speaker) % 48)
    assert waiting == {0}


# -------------------------------------------------------------------------------------------------------- the room


def hear_speaker(world: World, frames: int = 4 * PERIOD) -> tuple[Samples, int]:
    """Record while the loudspeaker plays noise; return that, and its world time."""
    fill(world.spk, world)
    heard = record(open_mic(), frames)
    return heard, last(world, "mic", "start").details["idx"]


def test_the_echo_is_exact(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.set_echo(delay_s=0.03, gain=0.5)
    until(lambda: world.now() > 1440)
    heard, first = hear_speaker(world)
    sent = world.spk[first - 1440 : first - 1440 + len(heard)]
    assert np.array_equal(heard, np.rint(sent / 2).astype(np.int16))


def test_the_echo_of_what_a_program_plays_comes_back_to_it(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.set_echo(delay_s=0.01, gain=0.25)
    speaker, mic = open_speaker(), open_mic()
    speaker.write(noise(100 * PERIOD, 30_000).tobytes())
    heard = record(mic, 12 * PERIOD)
    first = last(world, "mic", "start").details["idx"]
    sent = np.append(np.zeros(480, np.int16), world.spk)[first : first + len(heard)]
    assert np.array_equal(heard, np.rint(sent / 4).astype(np.int16))
    assert np.count_nonzero(heard) > 6 * PERIOD


def test_an_overdriven_loudspeaker_distorts_the_echo_only(make_world: Callable[..., World]) -> None:
    world = make_world(drive=4.0)
    world.set_echo(delay_s=0, gain=1)
    heard, first = hear_speaker(world)
    sent = world.spk[first : first + len(heard)].astype(float)
    assert np.abs(heard - 32_767 / 4 * np.tanh(4 * sent / 32_767)).max() <= 0.51
    assert np.abs(heard - sent).max() > 1000


def test_a_room_may_ring_for_most_of_a_second(make_world: Callable[..., World]) -> None:
    world = make_world()
    taps = int(0.9 * RATE)
    response = np.random.default_rng(1).normal(size=taps) * np.exp(-np.arange(taps) / 9000) / 100
    world.set_ir(response)
    until(lambda: world.now() > taps)
    heard, first = hear_speaker(world)
    expected = np.convolve(world.spk[first - taps + 1 : first + len(heard)], response, "valid")
    assert np.abs(heard - expected).max() < 0.6
    assert np.abs(expected).max() > 1000


def test_a_response_beyond_the_limit_is_refused(make_world: Callable[..., World]) -> None:
    with pytest.raises(ValueError, match="expected at most 65536"):
        make_world().set_ir(np.ones(65_537))


def test_a_fast_microphone_clock_delivers_more_frames_of_the_same_world(make_world: Callable[..., World]) -> None:
    world = make_world(skew_ppm=50_000)
    world.air[:] = np.arange(len(world.air)) % 20_000
    mic = open_mic(nonblock=True)
    mic.read()
    first = last(world, "mic", "start").details["idx"]
    until(lambda: world.now() >= first + 3200)
    available = mic.avail()  # 3360 mic frames took 3200 of the world's
    assert available >= 3360
    assert available <= (world.now() - first) * 1.05
    heard = record(mic, 3360)
    expected = np.interp(first + np.arange(3360) / 1.05, np.arange(len(world.air)), world.air)
    assert np.abs(heard - expected).max() <= 0.51


# ---------------------------------------------------------------------------------------------- what the card knows


def test_a_stereo_only_card_says_so_and_counts_uneven_frames(make_world: Callable[..., World]) -> None:
    world = make_world(channels=2, channels_min=2)
    speaker = open_speaker(channels=1)
    assert speaker.info()["channels"] == 2
    mono = ramp(2 * PERIOD)
    speaker.write(np.repeat(mono, 2).tobytes())
    assert np.array_equal(world.spk[np.nonzero(world.spk)], mono)
    assert world.uneven_frames == 0
    speaker.drop()
    speaker.write(np.stack([mono, mono * 0], axis=1).tobytes())
    assert world.uneven_frames == 2 * PERIOD
    first = last(world, "speaker", "start").details["idx"]
    assert np.array_equal(world.spk[first : first + len(mono)], mono)


def test_one_channel_of_eight_hears(make_world: Callable[..., World]) -> None:
    world = make_world(channels=8, channels_min=8, mic_channel=5, mic_idle=100)
    mic = open_mic(channels=1)
    assert mic.info()["channels"] == 8
    fill(world.air, world)
    heard = record(mic, 3 * PERIOD)
    first = last(world, "mic", "start").details["idx"]
    assert np.array_equal(heard[:, 5], world.air[first : first + len(heard)])
    assert (np.delete(heard, 5, axis=1) == 100).all()


def test_a_card_of_44100_hz_gives_that_whatever_was_asked(make_world: Callable[..., World]) -> None:
    world = make_world(rate=44_100)
    mic = open_mic(rate=48_000)
    assert mic.info()["rate"] == 44_100
    fill(world.air, world)
    heard = record(mic, 5 * PERIOD)
    first = last(world, "mic", "start").details["idx"]
    assert np.array_equal(heard, world.air[first : first + len(heard)])


def test_whoever_opens_first_chooses_the_rate_for_both_directions(make_world: Callable[..., World]) -> None:
    world = make_world(rate=16_000, rates=(16_000, 48_000))
    speaker = open_speaker(rate=44_100)
    assert speaker.info()["rate"] == world.rate == 48_000
    assert open_mic(rate=16_000).info()["rate"] == 48_000
    speaker.close()
    assert open_speaker(rate=16_000).info()["rate"] == world.rate == 16_000


def test_the_default_pcm_converts_what_the_card_does_not_know(make_world: Callable[..., World]) -> None:
    world = make_world(channels=2, channels_min=2)
    speaker = open_speaker(device="default", rate=16_000)
    assert speaker.info()["rate"] == 16_000
    assert speaker.info()["channels"] == 1
    speaker.write(np.full(8 * PERIOD, 1000, np.int16).tobytes())
    assert np.median(world.spk[np.nonzero(world.spk)]) == 1000  # alsa-lib's resampler rings at the edges
    assert world.uneven_frames == 0
    world.air[:] = 2000
    assert np.median(record(open_mic(device="default", rate=16_000), 2 * PERIOD)) == 2000


# ---------------------------------------------------------------------------------------------------------- unplugged


def test_unplugging_ends_a_read_that_waits(make_world: Callable[..., World]) -> None:
    world = make_world()
    mic = open_mic()
    record(mic, PERIOD)
    reader = failure_of(mic.read)
    world.unplug()
    assert reader.get(timeout=SOON_S) == "No such device [card]"
    assert mic.avail() == GONE
    assert mic.state() == alsaaudio.PCM_STATE_DISCONNECTED
    mic.close()


def test_unplugging_ends_a_write_that_waits(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    writer = failure_of(lambda: speaker.write(ramp(20 * PERIOD).tobytes()))
    until(lambda: world.spk.any())
    world.unplug()
    silent_from = world.now() + 1
    assert writer.get(timeout=SOON_S) == "No such device [card]"
    assert not world.spk[silent_from:].any()
    assert speaker.avail() == GONE
    with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
        speaker.drop()
    speaker.close()


def test_unplugging_wakes_a_poll_even_of_a_stalled_card(make_world: Callable[..., World]) -> None:
    world = make_world()
    mic = open_mic(nonblock=True)
    mic.read()
    world.stall()
    while mic.avail():
        mic.read()
    (descriptor, mask), *_ = mic.polldescriptors()
    poll = select.poll()
    poll.register(descriptor, mask)
    assert poll.poll(0) == []
    world.unplug()
    woken = poll.poll(SOON_S * 1000)
    assert woken == [(descriptor, select.POLLIN)]
    assert mic.polldescriptors_revents(woken) == select.POLLERR | select.POLLNVAL


def test_the_first_drop_after_unplugging_succeeds_and_then_nothing_does(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    speaker.write(ramp(2 * PERIOD).tobytes())
    world.unplug()
    assert speaker.drop() == 0  # alsa-lib asks the plugin, and does not listen to its answer
    with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
        speaker.write(ramp(PERIOD).tobytes())
    assert speaker.avail() == GONE


def test_an_unplugged_card_does_not_open_until_it_is_back(make_world: Callable[..., World]) -> None:
    world = make_world()
    dead = open_speaker()
    world.unplug()
    with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
        open_speaker()
    world.plug()
    alive = open_speaker()  # though the old one is still open
    assert alive.write(ramp(PERIOD).tobytes()) == PERIOD
    assert dead.avail() == GONE
    with pytest.raises(alsaaudio.ALSAAudioError, match="No such device"):
        dead.write(ramp(PERIOD).tobytes())


# ------------------------------------------------------------------------------------------------------------ stalled


def test_a_stalled_microphone_delivers_nothing_and_no_error(make_world: Callable[..., World]) -> None:
    world = make_world()
    fill(world.air, world)
    mic = open_mic(nonblock=True)
    mic.read()
    poll = select.poll()
    for descriptor, mask in mic.polldescriptors():
        poll.register(descriptor, mask)
    until(lambda: mic.avail() >= PERIOD)
    before = record(mic, PERIOD)
    begin = world.stall()
    while mic.avail() >= PERIOD:
        before = np.append(before, record(mic, PERIOD))
    assert poll.poll(100) == []
    assert mic.avail() == 0
    assert mic.read() == (0, b"")
    assert mic.state() == alsaaudio.PCM_STATE_RUNNING
    end = world.resume()
    until(lambda: mic.avail() >= 3 * PERIOD)
    heard = np.append(before, record(mic, 3 * PERIOD))
    first = last(world, "mic", "start").details["idx"]
    assert end - begin > 0.1 * RATE
    assert np.array_equal(heard, np.append(world.air[first:begin], world.air[end:])[: len(heard)])


def test_a_stalled_loudspeaker_plays_the_rest_when_it_goes_on(make_world: Callable[..., World]) -> None:
    world = make_world()
    speaker = open_speaker()
    speaker.write(ramp(100 * PERIOD).tobytes())
    begin, waiting = world.stall(), queued(speaker)
    assert not world.spk[begin:].any()
    assert speaker.write(ramp(2 * PERIOD, 1 + 100 * PERIOD).tobytes()) == 2 * PERIOD
    until(lambda: world.now() > begin + 8 * PERIOD)
    assert queued(speaker) == waiting + 2 * PERIOD
    assert speaker.state() == alsaaudio.PCM_STATE_RUNNING
    assert not world.spk[begin:].any()
    world.resume()
    assert 0 < queued(speaker) <= waiting + 2 * PERIOD
    sounding = np.nonzero(world.spk)[0]
    assert np.array_equal(world.spk[sounding], ramp(102 * PERIOD))
    assert np.diff(sounding).max() > 8 * PERIOD
    assert not [event for event in world.events() if event.what == "xrun"]


def test_a_stalled_card_can_be_opened_again_and_is_still_stalled(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.stall()
    mic, speaker = open_mic(nonblock=True), open_speaker(nonblock=True)
    assert mic.read() == (0, b"")
    assert speaker.write(ramp(PERIODS * PERIOD).tobytes()) == PERIODS * PERIOD
    assert speaker.write(ramp(PERIOD).tobytes()) == 0  # full, and stays so
    speaker.drop()
    assert not world.spk.any()
    world.resume()
    until(lambda: mic.avail() >= PERIOD)


# ----------------------------------------------------------------------------------------------------------- the lab


def test_the_plugin_is_built_when_a_source_is_newer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugin = tmp_path / build().name
    for source in [*labcard.HERE.glob("*.[ch]"), labcard.HERE / "Makefile"]:
        (tmp_path / source.name).write_bytes(source.read_bytes())
    plugin.write_bytes(b"built before")
    monkeypatch.setattr(labcard, "HERE", tmp_path)
    monkeypatch.setattr(labcard, "PLUGIN", plugin)
    assert build().read_bytes() == b"built before"
    os.utime(plugin, (0, 0))
    assert build().read_bytes().startswith(b"\x7fELF")


def test_worlds_do_not_hear_each_other(make_world: Callable[..., World]) -> None:
    one = make_world()
    speaker = open_speaker()
    two = make_world()
    other = open_speaker()
    speaker.write(ramp(PERIOD).tobytes())
    other.write(ramp(2 * PERIOD).tobytes())
    assert np.count_nonzero(one.spk) == PERIOD
    assert np.count_nonzero(two.spk) == 2 * PERIOD
