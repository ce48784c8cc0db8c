"""A person on a line, through the card: what is heard of them, when, and what the microphone hears meanwhile."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevoice.announcement import Announcement
from edgevoice.audio.duplex import ECHO_TAIL_MS
from edgevoice.audio.live import MOST_MS, START_MS
from edgevoice.audio.playout import Playout
from edgevoice.audio.tones import tone
from edgevoice.events import (
    Audio,
    BargedIn,
    BargeIn,
    Clear,
    Cleared,
    Listen,
    Mark,
    Play,
    Played,
    SpeechStarted,
    SpeechStopped,
    Tone,
    Uplink,
)
from tests.audio.story import FAR, VOICE, Story, answered, sent, without_audio
from tests.fakes import noise

Samples = NDArray[np.int16]

PACKET = FAR // 50  # 20 ms
THEIRS = noise(4 * FAR, -15, seed=5)
QUIET = noise(PACKET, -60, seed=6).tobytes()
BUFFER_MS = 40  # what the card of these stories holds


def packet(number: int) -> Play:
    return Play(THEIRS[number * PACKET : (number + 1) * PACKET].tobytes(), live=True)


def talk(story: Story, packets: int, *, start: int = 0) -> list[object]:
    """Let the person on the line talk for so many packets, one every 20 ms."""
    events: list[object] = []
    for number in range(start, start + packets):
        events += story.run(20, packet(number))
    return events


def heard_at(played: Samples, what: Samples) -> int:
    """Return the frame at which `what` begins in what was played: both at one rate."""
    products = np.correlate(played.astype(np.float64), what.astype(np.float64), "valid")
    return int(np.argmax(products))


def test_a_person_on_the_line_is_heard_evenly_and_soon() -> None:
    story = answered(rate=FAR)
    talk(story, 50)
    played = np.array(story.card.played, np.int16)
    first = heard_at(played, THEIRS[:PACKET])
    late_ms = first * 1000 / FAR - 10
    assert START_MS - 20 <= late_ms <= START_MS + BUFFER_MS + 20
    heard = played[first:]
    assert np.array_equal(heard, THEIRS[: len(heard)]), "not a sample more or less"


def test_packets_in_jerks_are_heard_without_a_gap() -> None:
    story = answered(rate=FAR)
    number = 0
    for burst in (3, 0, 2, 0, 2, 0, 1, 1, 2, 0, 2, 1, 1, 0, 1, 1, 2, 0, 2, 0, 1):
        story.run(20, *(packet(number + more) for more in range(burst)))
        number += burst
    played = np.array(story.card.played, np.int16)
    heard = played[heard_at(played, THEIRS[:PACKET]) :]
    assert np.array_equal(heard, THEIRS[: len(heard)])


def test_behind_a_long_tone_a_person_is_not_heard_late_for_the_rest_of_the_call() -> None:
    story = answered(rate=FAR)
    story.run(10, Tone("ringing"))
    talk(story, 100)
    last = packet(99)
    story.run(MOST_MS + 100)
    played = np.array(story.card.played, np.int16)
    at = heard_at(played, np.frombuffer(last.pcm, np.int16))
    said_at = len(played) - (MOST_MS + 100 + 20) * FAR // 1000
    assert (at - said_at) * 1000 / FAR <= MOST_MS + BUFFER_MS


def test_what_a_person_says_cannot_be_interrupted() -> None:
    story = answered()
    talk(story, 20)
    story.card.say(VOICE)
    events = talk(story, 20, start=20) + list(without_audio(story.run(10, BargeIn())))
    assert not [event for event in events if isinstance(event, BargedIn)]
    assert np.count_nonzero(story.played(100))


def test_who_speaks_at_the_box_is_told_while_the_other_one_is_heard() -> None:
    """The light of an intercom never showed a voice: the line, which is never silent, counted as a tone."""
    story = answered()
    story.run(10, Listen(Uplink.OPEN, reflex=False))
    talk(story, 20)
    story.card.say(VOICE)
    events = talk(story, 80, start=20)
    assert [event for event in events if not isinstance(event, Audio)] == [SpeechStarted(), SpeechStopped()]


def test_half_duplex_a_line_that_only_hisses_does_not_shut_the_microphone() -> None:
    story = answered(half_duplex=True)
    story.run(500)
    story.card.say(VOICE)
    events: list[object] = []
    for _ in range(40):
        events += story.run(20, Play(QUIET, live=True))
    pcm = np.frombuffer(sent([event for event in events if isinstance(event, Audio)]), np.int16)
    assert np.count_nonzero(pcm) > 0.95 * 0.8 * FAR
    assert not np.count_nonzero(story.played(800))


def test_half_duplex_nobody_is_heard_while_the_other_one_speaks_and_soon_after() -> None:
    story = answered(half_duplex=True)
    story.card.say(np.concatenate((VOICE, VOICE)))
    talk(story, 10)
    during = np.frombuffer(sent(story.run(20, packet(10))), np.int16)
    assert not np.count_nonzero(during)
    for _ in range(12):
        story.run(20, Play(QUIET, live=True))
    events = [event for _ in range(20) for event in story.run(20, Play(QUIET, live=True))]
    assert np.count_nonzero(np.frombuffer(sent(events), np.int16)) > 0.9 * 0.4 * FAR
    assert ECHO_TAIL_MS < 240


def test_half_duplex_a_short_word_is_heard_now_and_not_with_the_next_one() -> None:
    story = answered(half_duplex=True)
    story.run(20, packet(0))
    for _ in range(10):
        story.run(20, Play(QUIET, live=True))
    assert np.count_nonzero(story.played(200)), "20 ms of a voice, and then nothing more came"
    story.run(500)
    talk(story, 2, start=50)
    assert not np.count_nonzero(story.played(40)), "what is heard next begins anew"


def test_what_waits_of_a_person_is_gone_with_a_clear() -> None:
    story = answered()
    talk(story, 5)
    (cleared,) = without_audio(story.run(10, Clear()))
    assert cleared == Cleared("", 0.0)
    story.run(100)
    assert not np.count_nonzero(story.played(90))


def test_a_call_begins_without_the_last_words_of_the_one_before() -> None:
    playout = Playout(FAR)
    playout.join(FAR)
    playout.play(THEIRS[: 4 * PACKET].tobytes(), "", live=True)
    playout.join(FAR)
    assert not playout.audible
    assert not np.count_nonzero(playout.take(FAR))


def test_a_recording_comes_before_a_person_who_is_then_heard_as_they_speak_now() -> None:
    story = answered(rate=FAR)
    recording = noise(FAR // 2, -20, seed=9)
    story.run(10, Play(recording.tobytes()), Mark("recording 1.1"))
    events = talk(story, 60)
    assert Played("recording 1.1") in events
    played = np.array(story.card.played, np.int16)
    begun = heard_at(played, recording[:PACKET])
    assert np.array_equal(played[begun : begun + len(recording)], recording)
    after = played[begun + len(recording) :]
    late = (60 * PACKET - len(after)) - heard_at(THEIRS[: 60 * PACKET], after[:PACKET])
    assert 0 <= late * 1000 / FAR <= MOST_MS + BUFFER_MS


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_a_recording_has_no_click_every_second(rate: int) -> None:
    hz, level = 440, 8000
    sine = np.rint(level * np.sin(2 * np.pi * hz * np.arange(3 * rate) / rate)).astype("<i2")
    said = Announcement(sine.tobytes(), rate, name="recording 1")
    playout = Playout(48_000)
    playout.join(rate)
    under_way = said.begin()
    heard: list[Samples] = []
    while not said.over:
        for command in under_way:
            if isinstance(command, Play):
                playout.play(command.pcm, "")
            elif isinstance(command, Mark):
                playout.mark(command.name, "", goes_on=command.goes_on)
        heard.append(playout.take(480))
        under_way = [command for played in playout.advance(0) for command in said.played(played.mark)]
    sound = np.concatenate(heard)[480 : 3 * 48_000 - 480].astype(np.float64)
    step = 2 * np.cos(2 * np.pi * hz / 48_000) * sound[1:-1] - sound[:-2] - sound[2:]  # of a pure tone: nothing
    assert np.abs(step).max() < 10


def test_a_recording_is_heard_to_its_last_sample() -> None:
    playout = Playout(48_000)
    playout.join(16_000)
    playout.play(np.full(16_000, 9000, "<i2").tobytes(), "")
    playout.mark("recording 1.1", "", goes_on=False)
    sound = playout.take(49_000)
    assert np.count_nonzero(sound > 8000) >= 48_000 - 20
    assert list(playout.advance(0)) == [Played("recording 1.1")]


def test_a_tone_comes_before_what_waits_of_a_person() -> None:
    story = answered(rate=FAR)
    talk(story, 5)
    story.run(1000, Tone("connected"))
    beep = tone("connected", FAR)
    played = np.array(story.card.played, np.int16)
    at = heard_at(played, beep)
    assert np.array_equal(played[at : at + len(beep)], beep)
