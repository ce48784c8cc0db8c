"""A recording on a running leg: piece by piece, never too far ahead, and once more what nobody heard."""

from __future__ import annotations

from edgevoice.announcement import AHEAD, Announcement
from edgevoice.events import Command, Mark, Play

RATE = 8000
SECOND = 2 * RATE  # bytes


def recording(seconds: float, *, loop: bool = False, name: str = "recording 1") -> Announcement:
    pcm = b"".join(bytes([second % 250]) * SECOND for second in range(int(seconds)))
    pcm += b"\xff" * int((seconds - int(seconds)) * SECOND)
    return Announcement(pcm, RATE, name=name, loop=loop)


def pieces(commands: list[Command]) -> list[int]:
    """Return which second of the recording each piece is."""
    return [command.pcm[0] for command in commands if isinstance(command, Play)]


def marks(commands: list[Command]) -> list[str]:
    return [command.name for command in commands if isinstance(command, Mark)]


def test_a_short_recording_is_played_at_once_and_is_over_when_it_was_heard() -> None:
    said = recording(1.5)
    begun = said.begin()
    assert [len(command.pcm) for command in begun if isinstance(command, Play)] == [SECOND, SECOND // 2]
    first, last = marks(begun)
    assert said.played(first) == []
    assert not said.over
    assert said.played(last) == []
    assert said.over


def test_only_a_little_is_under_way_however_long_it_is() -> None:
    said = recording(60)
    under_way = marks(said.begin())
    heard = 0
    while under_way:
        assert len(under_way) <= AHEAD
        under_way += marks(said.played(under_way.pop(0)))
        heard += 1
    assert (heard, said.over) == (60, True)


def test_the_pieces_are_to_be_heard_as_one_and_only_the_last_one_ends_it() -> None:
    said = recording(3)
    assert [command.goes_on for command in said.begin() if isinstance(command, Mark)] == [True, True, False]
    looped = recording(2, loop=True)
    assert all(command.goes_on for command in looped.begin() if isinstance(command, Mark))


def test_a_loop_goes_on_from_the_beginning_for_as_long_as_it_is_heard() -> None:
    said = recording(2, loop=True)
    begun = said.begin()
    assert pieces(begun) == [0, 1, 0]
    under_way, played = marks(begun), pieces(begun)
    for _ in range(20):
        more = said.played(under_way.pop(0))
        under_way += marks(more)
        played += pieces(more)
    assert played == [0, 1] * 11 + [0]
    assert not said.over


def test_a_loop_that_is_not_heard_is_not_sent() -> None:
    said = recording(2, loop=True)
    first = marks(said.begin())[0]
    assert pieces(said.played(first)) == [1]
    assert pieces(said.played(first)) == [], "a mark that comes twice makes no room twice"


def test_what_was_thrown_away_is_played_again_from_the_piece_that_was_not_heard_out() -> None:
    said = recording(5)
    first = marks(said.begin())[0]
    assert pieces(said.played(first)) == [3]
    assert pieces(said.begin()) == [1, 2, 3]


def test_a_recording_that_is_stopped_says_no_more() -> None:
    said = recording(5, loop=True)
    first = marks(said.begin())[0]
    said.stop()
    assert said.over
    assert said.played(first) == said.begin() == []


def test_a_recording_without_a_sample_is_over_before_it_begins() -> None:
    said = Announcement(b"", RATE, name="recording 1", loop=True)
    assert (said.begin(), said.over) == ([], True)


def test_the_marks_of_ten_recordings_are_told_apart() -> None:
    tenth, first = recording(1, name="recording 10"), recording(1, name="recording 1")
    assert not first.owns(marks(tenth.begin())[0])
    assert first.owns(marks(first.begin())[0])
    assert not first.owns("r1")
