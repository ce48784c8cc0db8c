"""What waits in the SIP worker, in virtual time: a person's voice never long, an agent's answer as it must."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from itertools import pairwise
from math import pi, sin

import pytest

from edgevoice.lines.backlog import EVEN_LOOKS, FEW_MS, JOIN_MS, SHORTER_MS, SPARE_MS, Backlog

RATE = 8_000
PER_MS = RATE * 2 // 1000
FRAME = 20 * PER_MS
AHEAD = 40 * PER_MS


class Library:
    """The ring and the clock of the SIP library: every 20 ms a packet, of silence where there is nothing."""

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self.ring = b""
        self.sent = b""
        self.holes = 0

    def tick(self) -> None:
        self.holes += len(self.ring) < FRAME
        self.sent += self.ring[:FRAME].ljust(FRAME, b"\0")
        self.ring = self.ring[FRAME:]

    def pump(self) -> None:
        self.backlog.note(len(self.ring))
        self.ring += self.backlog.take(AHEAD - len(self.ring))

    def put(self, pcm: bytes) -> None:
        """Take a voice, as the worker does."""
        self.backlog.note(len(self.ring))
        self.backlog.put(pcm, RATE)
        self.ring += self.backlog.take(AHEAD - len(self.ring))

    @property
    def waits_ms(self) -> float:
        return self.backlog.waiting(len(self.ring)) / PER_MS


def tone(ms: int, level: int = 8000) -> bytes:
    return array("h", [round(level * sin(2 * pi * 200 * n / RATE)) for n in range(RATE * ms // 1000)]).tobytes()


def carry(library: Library, seconds: float, speak: Callable[[int], None]) -> float:
    """Let time pass; `speak` is called every 10 ms. Return the most that waited in the second half, in ms."""
    most = 0.0
    for step in range(round(seconds * 100)):
        speak(step)
        library.pump()
        if step % 2:
            library.tick()
        if step % 100 == 99:
            library.backlog.look(len(library.ring), library.holes, RATE)
        if step > seconds * 50:
            most = max(most, library.waits_ms)
    return most


def voice(library: Library, pcm: bytes, late_ms: int = 120) -> Callable[[int], None]:
    """Return somebody who speaks on and on, 20 ms at a time, and once much at once."""

    def speak(step: int) -> None:
        if step % 2 == 0:
            start = step // 2 * FRAME % (len(pcm) - FRAME)
            library.put(pcm[start : start + FRAME])
        if step == 50:
            library.backlog.put(pcm[: late_ms * PER_MS], RATE)

    return speak


@pytest.mark.parametrize("level", [8000, 50])
@pytest.mark.parametrize("late_ms", [60, 120, 390])
def test_a_voice_that_was_held_up_once_is_not_late_for_the_rest_of_the_call(level: int, late_ms: int) -> None:
    library = Library(Backlog())
    assert carry(library, 20, voice(library, tone(400, level), late_ms)) <= FEW_MS + 5 + 20 + 20, (
        "it, a cut, a piece, a frame"
    )
    assert library.backlog.left_out > 0


def test_where_little_was_not_enough_more_waits_and_for_longer() -> None:
    backlog = Backlog()

    holes = 0

    def second(waits_ms: int, hole: bool) -> int:
        """Let a second pass in which so much waits; return how much of it was left out."""
        nonlocal holes
        holes += hole
        before = backlog.left_out
        for _ in range(100):
            backlog.note(waits_ms * PER_MS)
            backlog.put(tone(10, 50), RATE)
            backlog.take(AHEAD)
        backlog.look(waits_ms * PER_MS, holes, RATE)
        return (backlog.left_out - before) // PER_MS

    first = [second(SPARE_MS, False) for _ in range(EVEN_LOOKS + 1)]
    assert first == [0] * EVEN_LOOKS + [SPARE_MS - FEW_MS]
    after = [second(SPARE_MS, hole) for hole in (True, *[False] * 2 * EVEN_LOOKS, False)]
    assert after[1:-1] == [0] * 2 * EVEN_LOOKS, "what is there is needed"
    assert after[-1] == SPARE_MS - FEW_MS


def test_a_voice_that_is_held_up_every_second_is_kept_short_all_the_same() -> None:
    library = Library(Backlog())
    piece = tone(10, 50)
    library.put(piece * 12)
    held: list[int] = []

    def speak(step: int) -> None:
        """Say 10 ms at a time; of every second the last 150 come together."""
        held.append(step)
        if step % 100 < 85 or step % 100 == 99:
            for _ in held:
                library.put(piece)
            held.clear()

    assert carry(library, 20, speak) <= 150 + SPARE_MS + 20


def test_what_the_library_lacks_during_a_hold_is_no_hole() -> None:
    backlog = Backlog()
    for second in range(10):
        for _ in range(100):
            backlog.put(tone(10, 50), RATE)
            backlog.trim(0, RATE)
        backlog.look(0, 50 * (second + 1), RATE)
    for _ in range(EVEN_LOOKS + 1):
        for _ in range(100):
            backlog.note(SPARE_MS * PER_MS)
            backlog.put(tone(10, 50), RATE)
            backlog.take(AHEAD)
        backlog.look(SPARE_MS * PER_MS, 500, RATE)
    assert backlog.left_out == (SPARE_MS - FEW_MS) * PER_MS


def test_what_is_left_out_of_a_voice_does_not_click() -> None:
    library = Library(Backlog())
    carry(library, 20, voice(library, tone(400)))
    sent = array("h", library.sent.lstrip(b"\0"))
    steps = [abs(after - before) for before, after in pairwise(sent)]
    seam = 8000 * 2 * pi * 200 / RATE
    assert max(steps) < 4 * seam


def test_an_agents_answer_is_sent_to_its_last_sample() -> None:
    library = Library(Backlog())
    answer = tone(400, 50) * 8

    def speak(step: int) -> None:
        """Say 400 ms ahead, and from then on 200 ms at once."""
        if step % 20 == 0:
            start = step // 20 * 10 * FRAME + (10 * FRAME if step else 0)
            for at in range(start, min(len(answer), start + (10 if step else 20) * FRAME), 5 * FRAME):
                library.put(answer[at : at + 5 * FRAME])
        if step == 400:
            library.backlog.mark("heard")

    carry(library, 6, speak)
    assert library.sent[: len(answer)] == answer
    assert library.backlog.passed(0) == ["heard"]


def test_a_mark_is_passed_when_all_before_it_was_sent_and_not_when_the_library_has_it() -> None:
    backlog = Backlog()
    backlog.put(tone(20), RATE)
    backlog.mark("first")
    backlog.put(tone(20), RATE)
    assert backlog.passed(0) == []
    taken = backlog.take(AHEAD)
    assert len(taken) == 2 * FRAME
    assert backlog.passed(2 * FRAME) == []
    assert backlog.passed(FRAME) == ["first"]


def test_what_the_library_did_not_take_is_sent_next() -> None:
    backlog = Backlog()
    said = tone(40)
    backlog.put(said, RATE)
    taken = backlog.take(FRAME)
    backlog.back(taken[100:])
    assert taken[:100] + backlog.take(AHEAD) == said
    assert backlog.waiting(0) == 0


def test_what_is_cleared_is_never_sent() -> None:
    backlog = Backlog()
    backlog.put(tone(400), RATE)
    backlog.mark("never")
    backlog.take(FRAME)
    backlog.clear()
    backlog.put(tone(20, 50), RATE)
    assert backlog.take(AHEAD) == tone(20, 50)
    assert backlog.passed(0) == []


def test_a_piece_that_is_shorter_than_the_cross_fade_is_sent_as_it_is() -> None:
    backlog = Backlog()
    short = tone(SHORTER_MS + JOIN_MS - 1)
    for _ in range(30):
        backlog.put(tone(20)[:FRAME], RATE)
        backlog.take(FRAME)
        backlog.note(70 * PER_MS)
    backlog.look(70 * PER_MS, 0, RATE)
    for _ in range(50):
        backlog.put(tone(20)[:FRAME], RATE)
        backlog.take(FRAME)
        backlog.note(70 * PER_MS)
    backlog.look(70 * PER_MS, 0, RATE)
    backlog.put(short, RATE)
    assert backlog.take(AHEAD) == short
