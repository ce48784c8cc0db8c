"""What becomes of the agent's sound between a voice over it and the moment at which its server has noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgevoice import stream
from edgevoice.audio.echo import Through
from edgevoice.config import load
from edgevoice.events import BargedIn, Clear, Cleared, Play
from edgevoice.stream import AGREE_S, PAUSE_S, Stream

SOON_S = PAUSE_S / 4
PCM = bytes(640)


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at


class Agent:
    """A server's sound on a stream whose card is never opened: what is put to the audio thread is looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stream = Stream(load(""), 20, lambda: None)
        self._card = self._stream._card
        self._card.duplex = stream._duplex(load(""), Through(False), 48_000)
        self.hear = self._stream._hear

    def says(self, *, after_s: float = SOON_S) -> str:
        """Say something more; return the name under which it is to be heard, "" if it is left out."""
        self._clock.at += after_s
        self._card.commands.clear()
        self._stream.output(PCM)
        played = [command for command in self._card.commands if isinstance(command, Play)]
        return played[0].response if played else ""

    def is_talked_over(self) -> None:
        self.hear(BargedIn(self._stream._response, 100.0), self._clock.at)

    def is_interrupted(self) -> None:
        self._stream.interrupt()
        assert Clear() in self._card.commands


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Agent:
    clock = Clock()
    monkeypatch.setattr(stream, "time", clock)
    return Agent(clock)


def times(count: int, says: Callable[[], str]) -> set[str]:
    return {says() for _ in range(count)}


def test_a_reply_has_one_name_so_that_a_voice_over_it_ends_all_of_it(agent: Agent) -> None:
    assert len(times(5, agent.says)) == 1
    assert agent.says(after_s=60)


def test_what_the_server_still_sends_of_a_reply_that_was_talked_over_is_left_out(agent: Agent) -> None:
    agent.says()
    agent.is_talked_over()
    assert times(5, agent.says) == {""}


def test_once_the_server_has_noticed_the_next_reply_is_heard_at_once_under_a_new_name(agent: Agent) -> None:
    old = agent.says()
    agent.is_talked_over()
    assert agent.says() == ""
    agent.is_interrupted()
    assert agent.says(after_s=0.0) not in ("", old)


def test_after_a_pause_it_is_the_next_reply_that_comes_though_the_server_never_noticed(agent: Agent) -> None:
    old = agent.says()
    agent.is_talked_over()
    assert agent.says() == ""
    new = agent.says(after_s=PAUSE_S)
    assert new not in ("", old)
    assert times(20, agent.says) == {new}, "all of it"


def test_a_reply_that_had_come_whole_before_it_was_talked_over_takes_nothing_of_the_next_one(agent: Agent) -> None:
    agent.says()
    agent._clock.at += PAUSE_S
    agent.is_talked_over()
    assert agent.says(after_s=0.1)


def test_a_server_that_goes_on_for_long_is_heard_again(agent: Agent) -> None:
    agent.says()
    agent.is_talked_over()
    left_out = round(AGREE_S / SOON_S) - 1
    assert times(left_out, agent.says) == {""}
    assert agent.says()


def test_an_interruption_that_the_audio_thread_carries_out_later_lifts_what_a_voice_began_meanwhile(
    agent: Agent,
) -> None:
    agent.says()
    agent.is_interrupted()
    agent.is_talked_over()  # decided before it came to the interruption
    agent.hear(Cleared("", 0.0), agent._clock.at)
    assert agent.says()
