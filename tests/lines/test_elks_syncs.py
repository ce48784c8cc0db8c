"""A 46elks that plays on a clock, and answers the syncs that an interrupt overtakes, or never does."""

from __future__ import annotations

import heapq
import json
from base64 import b64encode
from itertools import count

from hypothesis import example, given
from hypothesis import strategies as st

from edgevoice.events import Audio
from edgevoice.lines.elks import RATE, Elks
from edgevoice.lines.service import Reached

FRAME = json.dumps({"t": "audio", "data": b64encode(bytes(640)).decode()})
DELAY_S = 0.08  # one way
Step = tuple[str, float]


class FakeElks:
    """Plays what it is sent, one thing after the other; knows which mark each of its answers stands for."""

    def __init__(self, *, answers_flushed: bool) -> None:
        self._answers_flushed = answers_flushed
        self._free_at = 0.0
        self._queue: list[tuple[float, str]] = []  # when each sync is played, by the mark that it stands for
        self.answers: list[tuple[float, int, str]] = []  # when each reaches us: a heap
        self._order = count()

    def take(self, message: str | bytes, mark: str, at: float) -> None:
        arrives = at + DELAY_S
        self._play(arrives)
        match json.loads(message):
            case {"t": "audio", "data": data}:
                self._free_at = max(self._free_at, arrives) + len(data) * 3 / 4 / (2 * RATE)
            case {"t": "sync"}:
                self._queue.append((max(self._free_at, arrives), mark))
            case {"t": "interrupt"}:
                flushed, self._queue, self._free_at = self._queue, [], arrives
                if self._answers_flushed:
                    for _, name in flushed:
                        self._answer(arrives, name)

    def due(self, at: float) -> tuple[float, str] | None:
        """Return the next answer that reaches us by `at`."""
        self._play(at)
        if not self.answers or self.answers[0][0] > at:
            return None
        arrives, _, name = heapq.heappop(self.answers)
        return arrives, name

    def _play(self, at: float) -> None:
        while self._queue and self._queue[0][0] <= at:
            self._answer(*self._queue.pop(0))

    def _answer(self, at: float, name: str) -> None:
        heapq.heappush(self.answers, (at + DELAY_S, next(self._order), name))


def answered(steps: list[Step], *, answers_flushed: bool) -> list[tuple[str, str]]:
    """Carry out `steps`, then wait; return for each answer the mark that it stood for, and the mark that was told."""
    elks, fake = Elks(), FakeElks(answers_flushed=answers_flushed)
    elks.receive('{"t":"hello","callid":"c1"}', 0.0)
    at, marks, answers = 0.0, 0, []
    for step, seconds in [*steps, ("wait", 60.0)]:
        until = at + (seconds if step == "wait" else 0.0)
        while at < until:
            at += 0.02
            while due := fake.due(at):
                (reached,) = elks.receive('{"t":"sync"}', due[0])
                assert isinstance(reached, Reached)
                answers.append((due[1], reached.mark))
            assert elks.receive(FRAME, at) == (Audio(bytes(640)),)
        match step:
            case "play":
                marks += 1
                sent = elks.play(bytes(2 * int(seconds * RATE))) + elks.mark(str(marks))
            case "clear":
                sent = elks.clear(at)
            case _:
                sent = ()
        for message in sent:
            fake.take(message, str(marks), at)
    return answers


STEPS = st.lists(
    st.tuples(st.just("play"), st.floats(0.05, 3.0))
    | st.tuples(st.just("wait"), st.floats(0.02, 4.0))
    | st.tuples(st.just("clear"), st.just(0.0)),
    max_size=20,
)


@given(STEPS)
@example([("play", 1.0), ("wait", 0.5), ("clear", 0.0), ("play", 0.1)])
def test_where_interrupted_syncs_are_answered_each_answer_is_understood(steps: list[Step]) -> None:
    assert all(meant == told for meant, told in answered(steps, answers_flushed=True))


@given(STEPS)
@example([("play", 1.0), ("wait", 0.5), ("clear", 0.0), ("play", 0.1), ("wait", 0.5), ("play", 1.0)])
def test_where_they_are_not_nothing_is_told_before_it_was_heard(steps: list[Step]) -> None:
    assert all(int(told) <= int(meant) for meant, told in answered(steps, answers_flushed=False))
