"""Recordings on a running leg: in their turn or at once, in a loop, until somebody says hush."""

from __future__ import annotations

import asyncio
import os
import wave
from pathlib import Path

import numpy as np
import pytest

from edgevoice.announcement import Announcement
from edgevoice.call import Call
from edgevoice.conversation import Conversation, Detection
from edgevoice.drivers.wav import write_wav
from edgevoice.errors import DeviceError
from edgevoice.events import (
    Audio,
    BargedIn,
    Clear,
    Cleared,
    Closed,
    Command,
    Digit,
    End,
    Interrupt,
    Mark,
    Opened,
    Play,
    Played,
    ResponseDone,
    ResponseStarted,
)
from edgevoice.intercom import Intercom
from edgevoice.orders import Side
from edgevoice.recordings import LONGEST_S, Recording, Recordings

RATE = 8000
SECOND = b"\x01\x02" * RATE
NEAR, FAR = Side.NEAR, Side.FAR


class Story:
    """A call; what each leg was told is in `told`, what the call told the box in `said` and `keys`."""

    def __init__(self, machine: Conversation | Intercom | None = None) -> None:
        self.told: list[tuple[Side, Command]] = []
        self.call = Call(
            machine or Conversation(Detection.SERVICE, RATE),
            lambda command, at: self.told.append((NEAR, command)),
            lambda command, at: self.told.append((FAR, command)),
            RATE,
        )
        self.said = 0
        self.keys = ""
        self.call.on_said = self._said
        self.call.on_key = self._key
        self.call.far(Opened(), 1.0)
        self.told.clear()

    def _said(self) -> None:
        self.said += 1

    def _key(self, key: str) -> None:
        self.keys += key

    def say(self, seconds: int, *, side: Side = NEAR, loop: bool = False, now: bool = False, name: str = "a") -> None:
        self.call.say(side, Announcement(SECOND * seconds, RATE, name=name, loop=loop), 2.0, first=now)

    def answer(self) -> None:
        """Let the agent speak."""
        for event in (ResponseStarted("r1"), Audio(b"ab", "r1"), ResponseDone("r1")):
            self.call.far(event, 1.5)
        self.told.clear()

    def names(self, side: Side = NEAR) -> list[str]:
        return [command.name for leg, command in self.told if leg is side and isinstance(command, Mark)]

    def plays(self, side: Side = NEAR) -> int:
        return len([command for leg, command in self.told if leg is side and isinstance(command, Play)])


def test_a_recording_is_played_to_its_end_and_the_box_is_told() -> None:
    story = Story()
    story.say(2)
    assert story.call.announcing
    for name in story.names():
        assert story.said == 0
        story.call.near(Played(name), 3.0)
    assert (story.said, story.call.announcing) == (1, False)


def test_in_its_turn_it_waits_behind_what_the_agent_says() -> None:
    story = Story()
    story.answer()
    story.say(1)
    assert [type(command) for _, command in story.told] == [Play, Mark], "nothing is cleared"


def test_at_once_the_agent_is_cut_off_and_told_how_much_of_it_was_heard() -> None:
    story = Story()
    story.answer()
    story.say(2, now=True)
    assert story.told == [(NEAR, Clear())], "it begins when the loudspeaker is silent"
    story.told.clear()
    story.call.near(Cleared("r1", 730.0), 2.1)
    assert (FAR, Interrupt("r1", 730.0)) in story.told
    assert story.plays() == 2


def test_at_once_with_nothing_sounding_it_just_begins() -> None:
    story = Story()
    story.say(1, now=True)
    story.call.near(Cleared("", 0.0), 2.1)
    assert story.plays() == 1
    assert not [command for _, command in story.told if isinstance(command, Interrupt)]


def test_who_talks_over_the_agent_meanwhile_loses_nothing_of_the_recording() -> None:
    story = Story()
    story.answer()
    story.say(2)
    first, last = story.names()
    story.told.clear()
    story.call.near(BargedIn("r1", 100.0), 2.5)
    assert story.names() == [first, last], "what the drop threw away is sent again"
    assert (FAR, Interrupt("r1", 100.0)) in story.told


def test_a_loop_goes_on_until_somebody_says_hush() -> None:
    story = Story()
    story.say(1, loop=True)
    for count in range(1, 50):
        story.call.near(Played(f"a.{count}"), 3.0 + count)
    assert (story.said, story.plays()) == (0, 52)
    story.told.clear()
    story.call.stop_saying(60.0)
    assert story.told == [(NEAR, Clear())]
    assert (story.said, story.call.announcing) == (1, False), "a box that rested rests again"
    story.told.clear()
    story.call.near(Cleared("", 0.0), 60.1)
    story.call.near(Played("a.50"), 60.2)
    assert (story.told, story.said) == ([], 1)


def test_nothing_of_a_recording_is_heard_after_hanging_up() -> None:
    story = Story()
    story.say(1, loop=True)
    story.call.want(lambda machine: machine.hang_up("hung up"), 3.0)
    story.told.clear()
    story.call.near(Played("a.1"), 3.01)
    story.call.near(Cleared("", 0.0), 3.01)
    assert (story.told, story.said) == ([], 0)


def test_hush_with_nothing_said_changes_nothing() -> None:
    story = Story()
    story.answer()
    story.call.stop_saying(2.0)
    assert story.told == []


def test_a_second_recording_takes_the_place_of_the_first() -> None:
    story = Story()
    story.say(1, loop=True, name="a")
    story.say(1, name="b")
    story.call.near(Played("a.1"), 3.0)
    story.call.near(Played("a.2"), 4.0)
    assert story.said == 0
    assert story.names()[-1] == "b.1", "no more of the loop"
    story.call.near(Played("b.1"), 5.0)
    assert story.said == 1


def test_the_other_side_of_the_call_does_not_hear_it() -> None:
    story = Story(Intercom())
    story.say(1, side=FAR)
    assert (story.plays(NEAR), story.plays(FAR)) == (0, 1)
    story.call.near(Played("a.1"), 3.0)
    assert story.said == 0, "that mark is of the other leg"
    story.call.far(Played("a.1"), 3.0)
    assert story.said == 1


def test_keys_go_to_the_box_and_not_after_the_end() -> None:
    story = Story(Intercom())
    for key in "5#":
        story.call.far(Digit(key), 2.0)
    story.call.near(Digit("7"), 2.5)
    story.call.far(Closed(End.HUNG_UP, "gone"), 3.0)
    story.call.far(Digit("8"), 3.1)
    story.call.near(Digit("9"), 3.1)
    assert story.keys == "5#7"


# --------------------------------------------------------------------------------------------------- the files


def read(path: Path | str) -> Recording:
    return asyncio.run(Recordings().read(str(path)))


def test_a_recording_is_read_as_it_is(tmp_path: Path) -> None:
    pcm = np.arange(8000, dtype=np.int16)
    write_wav(tmp_path / "a.wav", pcm, 16_000)
    recording = read(tmp_path / "a.wav")
    assert (recording.rate, recording.seconds) == (16_000, 0.5)
    assert np.array_equal(recording.pcm, pcm)


def test_a_leg_of_another_rate_gets_it_at_its_own_in_one_piece() -> None:
    sine = np.rint(8000 * np.sin(2 * np.pi * 440 * np.arange(3 * 48_000) / 48_000)).astype(np.int16)
    begun = Recording(sine, 48_000).announcement(8000).begin()
    pcm = np.frombuffer(b"".join(command.pcm for command in begun if isinstance(command, Play)), np.int16)
    assert len(pcm) == 3 * 8000
    sound = pcm[100:].astype(np.float64)
    step = 2 * np.cos(2 * np.pi * 440 / 8000) * sound[1:-1] - sound[:-2] - sound[2:]  # of a pure tone: nothing
    assert np.abs(step).max() < 10


def test_each_time_it_is_played_it_has_a_name_of_its_own() -> None:
    recording = Recording(np.ones(10, np.int16), 8000)
    first, second = (recording.announcement(8000) for _ in range(2))
    assert not second.owns(next(c.name for c in first.begin() if isinstance(c, Mark)))


def test_a_file_that_cannot_be_played_is_told_in_a_sentence(tmp_path: Path) -> None:
    text, stereo, slow, empty = (tmp_path / f"{name}.wav" for name in ("text", "stereo", "slow", "empty"))
    text.write_text("no sound at all")
    with wave.open(str(stereo), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(80))
    write_wav(slow, np.ones(10, np.int16), 11_025)
    write_wav(empty, np.zeros(0, np.int16), 8000)
    cut = tmp_path / "cut.wav"
    write_wav(cut, np.arange(80, dtype=np.int16), 16_000)
    cut.write_bytes(cut.read_bytes()[:20] + bytes(range(20, 80)))  # of its parts one is longer than the whole
    for path, words in (
        (tmp_path / "nowhere.wav", "No such file or directory"),
        (text, "expected a WAV file of 16 bits"),
        (stereo, "2 channels of 16 bits"),
        (slow, "has 11025 Hz, expected one of 8000, 16000"),
        (empty, "is empty"),
        (cut, "cut.wav"),
        (tmp_path, "is no file"),
    ):
        with pytest.raises(DeviceError, match=words) as told:
            read(path)
        assert str(told.value).count(path.name) == 1


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(DeviceError, match="is no file"):
        read(tmp_path / "pipe.wav")


def test_more_than_ten_minutes_are_too_much(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", np.ones(round(LONGEST_S + 1) * 8000, np.int16), 8000)
    with pytest.raises(DeviceError, match="lasts 601 s, expected at most 600"):
        read(tmp_path / "long.wav")
    with open(tmp_path / "huge.wav", "wb") as file:
        file.truncate(61_000_000)
    with pytest.raises(DeviceError, match="larger than 60 MB"):
        read(tmp_path / "huge.wav")
