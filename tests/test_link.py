"""The link to an agent: how long it is looked for, how often, and that nothing said meanwhile is lost or told twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.events import Closed, Command, End, HangUp, Interrupt, Play, Respond
from edgevoice.link import AGAIN_S, FLAPS, KEPT_S, RESUME_S, STEADY_S, Link

RATE = 1000
SECOND = bytes(2 * RATE)
GONE = Closed(End.LINK_LOST, "gone")


def test_it_is_looked_for_at_once_then_less_often_and_then_given_up() -> None:
    link = Link(RATE)
    tries = []
    at: float | None = 100.0
    while at is not None:
        last = at
        at = link.lost(GONE, at)
        tries.append(None if at is None else at - last)
    assert tries[: len(AGAIN_S)] == list(AGAIN_S)
    assert tries[-1] is None
    assert link.deadline == 100 + RESUME_S <= last


def test_what_is_said_while_it_is_down_is_told_once_in_order() -> None:
    link = Link(RATE)
    assert not link.keep(Play(b"ab")), "as long as it is up"
    link.lost(GONE, 1.0)
    said: list[Command] = [Play(b"ab"), Play(b"cd"), Respond(), Play(b"ef")]
    assert all(link.keep(command) for command in said)
    assert not link.keep(Interrupt("r1", 0.0))
    assert not link.keep(HangUp("enough"))
    assert link.back(5.0) == (4.0, said)
    assert link.down is None
    link.lost(GONE, 6.0)
    assert link.back(7.0) == (1.0, [])


def test_of_a_long_absence_the_end_is_kept() -> None:
    link = Link(RATE)
    link.lost(GONE, 1.0)
    for number in range(40):
        link.keep(Play(bytes([number]) + SECOND[1:]))
    _, kept = link.back(2.0)
    assert [command.pcm[0] for command in kept if isinstance(command, Play)] == list(range(10, 40))


def test_a_service_that_comes_back_only_to_go_again_is_given_up_in_the_end() -> None:
    link, at, delays = Link(RATE), 100.0, []
    while (again := link.lost(GONE, at)) is not None:
        delays.append(again - at)
        link.back(again)
        at = again + STEADY_S - 1
    assert delays == list(AGAIN_S)[:FLAPS]
    other = Link(RATE)
    for _ in range(20):
        assert other.lost(GONE, at) == at, "one that stays for a while is looked for at once"
        other.back(at)
        at += STEADY_S


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["lost", "back", "turn", "stop"]), st.floats(0, 4)),
        st.tuples(st.just("say"), st.floats(0, 4)),
    ),
    max_size=120,
)


@settings(max_examples=200)
@given(STEPS)
def test_whatever_happens_what_is_said_arrives_once_or_is_the_oldest_of_too_much(
    steps: list[tuple[str, float]],
) -> None:
    link, at, number = Link(RATE), 0.0, 0
    expected: list[Command] = []
    for step, after in steps:
        at += after
        match step:
            case "lost":
                again = link.lost(GONE, at)
                assert link.down
                assert link.deadline is not None
                assert again is None or at <= again <= link.deadline + AGAIN_S[-1]
                assert link.deadline <= at + RESUME_S, "nobody waits longer"
            case "back":
                assert link.back(at)[1] == expected
                assert (link.down, link.deadline) == (None, None)
                expected = []
            case "stop":
                assert not link.keep(Interrupt("r1", 0.0))
            case _:
                number += 1
                command: Command = Respond() if step == "turn" else Play(number.to_bytes(2, "big") + SECOND[2:])
                assert link.keep(command) == (link.down is not None)
                if link.down:
                    expected.append(command)
        while sum(isinstance(command, Play) for command in expected) > KEPT_S:
            expected.pop(0)
