"""A loudspeaker that the microphone hears as loud as the person: the box neither stops itself nor misses anybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.audio.resample import Resampler
from edgevoice.drivers.wav import read_wav
from tests.e2e.agent_service import OPENAI, AgentService
from tests.e2e.box import RunningBox, first_word, last_sound, similarity, voice
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

RATE = 48_000
SPEECH = Path(__file__).parent.parent / "speech"
DELAY_MS, RT60_S, LENGTH_S = 15, 0.25, 0.12
REPLY_S = 60
FADE = RATE * 5 // 1000
MOST_REPEATED = RATE // 1000  # 1 ms: what a real card has played beyond its last position


def echoing(world: World, gain: float = 1.0) -> None:
    """Let the microphone hear the loudspeaker, in a small room that rings, `gain` times as loud as it plays."""
    late = np.arange(round(LENGTH_S * RATE))
    ringing = np.random.default_rng(7).normal(0, 1, len(late)) * 10 ** (-3 * late / RATE / RT60_S)
    ringing[0] = 4.0
    response = np.concatenate((np.zeros(DELAY_MS * RATE // 1000), gain * ringing / np.sqrt(np.sum(ringing**2))))
    world.set_ir(response)
    world.air[:] = np.random.default_rng(8).normal(0, 20, len(world.air)).astype(np.int16)


def long_reply() -> Samples:
    """Return a minute of speech at 24 kHz."""
    parts = []
    for path in sorted(SPEECH.glob("*.wav")):
        pcm, rate = read_wav(path)
        parts.append(Resampler(rate, 24_000).process(pcm))
    return np.tile(np.concatenate(parts), 20)[: REPLY_S * 24_000]


def boxed(world: World, service: AgentService) -> RunningBox:
    box = RunningBox(world, service.configuration())
    (box.folder / "key").write_text("no key at all\n")
    return box


@pytest.mark.nightly
def test_it_hears_out_its_own_minute_and_then_lets_itself_be_interrupted(tmp_path: Path) -> None:
    question, interruption = voice("question", RATE), voice("interruption", RATE)
    with (
        World(rate=RATE, seconds=150) as world,
        AgentService(OPENAI, tmp_path, long_reply(), "--vad-dbfs", "-40") as service,
        boxed(world, service) as box,
    ):
        echoing(world)
        box.call()
        replied_at = box.wait_for_sound(box.say(question) + len(question))
        box.pause(REPLY_S - 6)
        assert service.lines("client", "conversation.item.truncate") == [], "it did not stop itself"
        assert service.lines("client", "response.cancel") == []
        for count in (1, 2, 3):
            talked_at = box.say(interruption)
            first = talked_at + first_word(interruption, RATE)
            truncated = service.wait_for("client", "conversation.item.truncate", count)
            box.pause(0.2)
            silent_at = replied_at + last_sound(world.spk[replied_at : talked_at + len(interruption)])
            stopped_at, after_s = box.stopped_at(first)
            assert after_s < 0.5
            assert first < silent_at < stopped_at
            assert truncated["audio_end_ms"] > 0
            replied_at = box.wait_for_sound(talked_at + len(interruption))
            box.pause(2.0)
        status = box.status()
    assert status["echo"]["canceller"].startswith("aec3")
    assert not status["echo"]["half_duplex"]
    assert status["echo"]["faults"] == 0
    assert service.lines("fake", "violation") == []


@pytest.mark.parametrize("fifo", [pytest.param(0, marks=pytest.mark.nightly), 32])
def test_after_a_cough_the_reply_goes_on_where_it_was(tmp_path: Path, fifo: int) -> None:
    question, reply = voice("question", RATE), voice("story", 24_000)
    cough = np.random.default_rng(3).normal(0, 8000, RATE * 60 // 1000)
    with (
        World(rate=RATE, fifo=fifo, mic_step=1) as world,
        AgentService(OPENAI, tmp_path, reply, "--vad-dbfs", "-40") as service,
        boxed(world, service) as box,
    ):
        echoing(world, 0.5)
        box.call()
        replied_at = box.wait_for_sound(box.say(question) + len(question))
        box.wait_for_turn("listening")
        learnt = box.status()["echo"]  # the first reply is what it learns the room from
        replied_at = box.wait_for_sound(box.say(question) + len(question))
        box.pause(1.5)
        coughed_at = world.inject(cough)
        box.wait_until(lambda status: status["echo"]["suspicions"] > learnt["suspicions"])
        box.wait_for_turn("listening")
        disturbed = box.speaker(replied_at)
        held_for_s = held_s(world, coughed_at)
        echo = box.status()["echo"]
    assert echo["suspicions"] - learnt["suspicions"] == echo["taken_back"] - learnt["taken_back"] == 1
    assert service.lines("client", "conversation.item.truncate") == []
    undisturbed = Resampler(24_000, RATE).process(reply)
    undisturbed = undisturbed[np.flatnonzero(undisturbed)[0] :]
    stop, go = gap(disturbed)
    assert (go - stop) / RATE > 0.1
    assert held_for_s < 0.6
    assert np.array_equal(disturbed[:stop], undisturbed[:stop])
    resumed_at = went_on_at(disturbed[go:][:RATE], undisturbed, stop)
    silent = int(np.argmax(undisturbed[stop:] != 0))  # of the reply itself: a cut there cannot be seen
    assert stop - MOST_REPEATED <= resumed_at <= stop + silent, "next to nothing twice, and nothing lost"
    assert similarity(disturbed[go:], undisturbed[-RATE:]) > 0.99, "to its end"


def went_on_at(resumed: Samples, undisturbed: Samples, stop: int) -> int:
    """Return the frame of the undisturbed reply from which on it was played again, fading in."""
    swell = np.sin(np.pi / 2 * np.arange(FADE) / FADE) ** 2
    for at in range(stop - 10 * MOST_REPEATED, stop + 10 * MOST_REPEATED):
        expected = undisturbed[at:][: 2 * len(resumed)].astype(np.float64)
        expected[:FADE] = np.rint(expected[:FADE] * swell)
        expected = expected[int(np.argmax(expected != 0)) :][: len(resumed)]
        if np.array_equal(expected, resumed):
            return at
    raise AssertionError("the reply did not go on with the same samples")


def held_s(world: World, coughed_at: int) -> float:
    """Return how much the box had to hear to go on, in s: from the stop of the loudspeaker to the next sound for it."""
    heard = [
        event.details["heard"]
        for event in world.events()
        if event.who == "speaker" and event.what in ("stop", "sounds") and event.details["heard"] > coughed_at
    ]
    return (heard[1] - heard[0]) / RATE


def gap(sound: Samples) -> tuple[int, int]:
    """Return the longest silence between two sounds: the frame after the last one, and the first."""
    sounding = np.flatnonzero(sound)
    longest = int(np.argmax(np.diff(sounding)))
    return int(sounding[longest]) + 1, int(sounding[longest + 1])


def test_a_box_on_its_defaults_does_not_interrupt_itself() -> None:
    story = voice("story", RATE)
    with World(rate=RATE) as world, RunningBox(world) as box:
        world.set_echo(0.02, 0.7)
        box.call()
        said_at = box.say(story)
        replied_at = box.wait_for_sound(said_at + len(story))
        box.wait_for_turn("listening")
        assert (last_sound(box.speaker(replied_at)) / RATE) > len(story) / RATE - 0.3
        box.pause(1.5)
        assert box.status()["turn"] == "listening", "nor does it answer its own echo"
        assert "interruptions" not in box.journal
