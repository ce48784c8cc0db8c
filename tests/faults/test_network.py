"""The network goes away, is slow, loses packets, leads to nobody: in each state of a call with an agent far away."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agent_service import OPENAI, AgentService
from tests.e2e.box import AWAKE_S, TRUSTING, RunningBox, voice
from tests.faults.cable import Cable
from tests.faults.conftest import Told
from tests.faults.seen import seen
from tests.faults.space import root_only, run_by, silent_name_server
from tests.lab.labcard.labcard import World
from tests.network.lab import Cable as Link

RATE = 48_000
STORY, QUESTION = voice("story", RATE), voice("question", RATE)
NOTICED_S = 20.0  # PING_S and PONG_S of the socket, and the end of the call
BACK_S = 5.0  # from the network to a call again
ENDS_S = 4.0  # DRAIN_S of the box, and what Python needs to end


@contextmanager
def at_the_end_of_a_cable(
    folder: Path, *options: str, seconds: float = 120
) -> Iterator[tuple[RunningBox, Cable, AgentService]]:
    """A box, a cable and a service at its other end."""
    with ExitStack() as stack:
        service = stack.enter_context(AgentService(OPENAI, folder, voice("story", 24_000), *options))
        cable = stack.enter_context(Cable(service.port))
        world = stack.enter_context(World(rate=RATE, seconds=seconds))
        configuration = service.configuration().replace(f":{service.port}/", f":{cable.port}/")
        box = RunningBox(world, f"{TRUSTING}\n{configuration}")
        (box.folder / "key").write_text("sk-x")
        yield stack.enter_context(box), cable, service


def idle(box: RunningBox) -> None:
    box.wait_until_awake()


def connecting(box: RunningBox) -> None:
    """Of a box that is always on, while nobody answers."""
    box.wait_for_state("connecting")
    box.pause(AWAKE_S)
    assert box.status()["state"] == "connecting"


def listening(box: RunningBox) -> None:
    """In a call: by a press, or because the box is always on."""
    if box.wait_until(lambda status: status["state"] in ("idle", "in call"))["state"] == "idle":
        box.call()
    else:
        box.wait_for_turn("listening")
        box.pause(AWAKE_S)


def hearing(box: RunningBox) -> None:
    listening(box)
    box.say(STORY)
    box.wait_for_turn("hearing")


def thinking(box: RunningBox) -> None:
    listening(box)
    box.say(QUESTION)
    box.wait_for_turn("thinking")


def speaking(box: RunningBox) -> None:
    listening(box)
    box.say(QUESTION)
    box.wait_for_turn("speaking")
    box.pause(0.5)


def notices(status: dict[str, Any]) -> bool:
    """The box knows that the call's link is gone."""
    return bool(status["state"] != "in call" or status["turn"] == "reconnecting")


def talks(status: dict[str, Any]) -> bool:
    return not notices(status)


STATES = [listening, hearing, thinking, speaking]
each_state = pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)


def answers(box: RunningBox) -> None:
    """In a call: a person asks and is answered."""
    box.wait_for_turn("listening", within_s=30)
    said_at = box.say(QUESTION)
    box.wait_for_sound(said_at + len(QUESTION), within_s=15)


@pytest.mark.faults
@each_state
def test_network_cut_for_a_second(state: Callable[[RunningBox], None], tmp_path: Path, tell: Told) -> None:
    with at_the_end_of_a_cable(tmp_path) as (box, cable, service), seen(tell, box):
        state(box)
        cable.cut()
        box.pause(1)
        cable.mend()
        answers(box)
        tell("connections", cable.taken)
        assert cable.taken == 1, "it is the same call"
        assert service.lines("fake", "violation") == []


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [1.0, 30.0])
def test_network_cut_while_connecting(seconds: float, tmp_path: Path, tell: Told) -> None:
    with at_the_end_of_a_cable(tmp_path) as (box, cable, _), seen(tell, box):
        box.wait_until_awake()
        cable.cut()
        box.tap()
        box.wait_for_state("connecting")
        box.pause(seconds)
        cable.mend()
        back_at = time.monotonic()
        box.wait_until(talks, within_s=BACK_S)
        tell("back after, s", round(time.monotonic() - back_at, 1))
        box.pause(2)  # so that the light can be seen to be right
        answers(box)


@pytest.mark.faults
@each_state
def test_network_cut_for_30_seconds(state: Callable[[RunningBox], None], tmp_path: Path, tell: Told) -> None:
    with at_the_end_of_a_cable(tmp_path, seconds=200) as (box, cable, service), seen(tell, box):
        state(box)
        cable.cut()
        cut_at = time.monotonic()
        box.wait_until(notices, within_s=NOTICED_S)
        tell("noticed after, s", round(time.monotonic() - cut_at, 1))
        box.pause(max(0.0, cut_at + 30 - time.monotonic()))
        cable.mend()
        back_at = time.monotonic()
        box.wait_until(talks, within_s=BACK_S)
        tell("back after, s", round(time.monotonic() - back_at, 1))
        answers(box)
        assert service.lines("fake", "violation") == []


@pytest.fixture
def link() -> Iterator[Link]:
    """Between this machine and a network namespace, in which the box is to run."""
    with Link() as link:
        yield link


@contextmanager
def behind_a_link(
    folder: Path, link: Link, *, seconds: float = 200, always_on: bool = False, silent: bool = False
) -> Iterator[tuple[RunningBox, Cable]]:
    """A box in a network of its own, that reaches its service by a link that can be pulled, and a cable behind that.

    `silent`: the cable is cut from the start on, so that the box is still connecting.
    """
    with ExitStack() as stack:
        service = stack.enter_context(AgentService(OPENAI, folder, voice("story", 24_000)))
        cable = stack.enter_context(Cable(service.port, link.address))
        if silent:
            cable.cut()
        world = stack.enter_context(World(rate=RATE, seconds=seconds))
        configuration = service.configuration().replace(f"127.0.0.1:{service.port}/", f"{link.address}:{cable.port}/")
        if always_on:
            configuration = configuration.replace("[call]\n", '[call]\nat_start = "openai"\n')
        box = RunningBox(world, f"{TRUSTING}\n{configuration}")
        (box.folder / "key").write_text("sk-x")
        with run_by(folder, [*link.inside, sys.executable]):
            stack.enter_context(box)
        yield box, cable
        assert service.lines("fake", "violation") == []


def plugged(link: Link, box: RunningBox, tell: Told) -> None:
    """Plug the link in again: soon the call is there, and is answered."""
    link.plug()
    back_at = time.monotonic()
    box.wait_until(talks, within_s=BACK_S + 10)
    took_s = time.monotonic() - back_at
    tell("back after, s", round(took_s, 1))
    answers(box)
    assert took_s <= BACK_S


@pytest.mark.faults
@root_only
@each_state
def test_link_of_a_real_network_pulled_in_a_call(
    state: Callable[[RunningBox], None], link: Link, tmp_path: Path, tell: Told
) -> None:
    with behind_a_link(tmp_path, link) as (box, _), seen(tell, box):
        state(box)
        link.pull()
        pulled_at = time.monotonic()
        box.wait_until(notices, within_s=NOTICED_S)
        tell("noticed after, s", round(time.monotonic() - pulled_at, 1))
        box.pause(max(0.0, pulled_at + 30 - time.monotonic()))
        plugged(link, box, tell)


@pytest.mark.faults
@root_only
def test_link_of_a_real_network_pulled_while_idle(link: Link, tmp_path: Path, tell: Told) -> None:
    """Nothing happens; a press meanwhile tries, and the call is there soon after the link."""
    with behind_a_link(tmp_path, link) as (box, _), seen(tell, box):
        idle(box)
        link.pull()
        box.pause(5)
        assert box.status()["state"] == "idle"
        box.tap()
        box.wait_for_state("waiting to retry", within_s=NOTICED_S)
        box.pause(10)
        plugged(link, box, tell)


class Away:
    """A box whose link was pulled in some state: it has to be there again soon after the link is."""

    def __init__(self, box: RunningBox, link: Link, tell: Told, *, always_on: bool) -> None:
        self._box, self._link, self._tell, self._always_on = box, link, tell, always_on
        link.pull()
        self._pulled_at = time.monotonic()

    def notices(self) -> None:
        """Wait until the box tells of the first try, and of no other."""
        if self._always_on:
            self._box.wait_for_state("waiting to retry", within_s=NOTICED_S + 10)
        self._box.pause(2)
        self._lines = len(self._box.journal.splitlines())

    def comes_back(self, after_s: float) -> float:
        """Plug the link in again, so long after it was pulled; return how long it then took until a call, in seconds.

        By itself, if it is always on; else nobody waits for a call any more, and it takes a press.
        """
        self._box.pause(max(0.0, self._pulled_at + after_s - time.monotonic()))
        assert self._box.status()["state"] in (("waiting to retry", "connecting") if self._always_on else ("idle",))
        told = len(self._box.journal.splitlines()) - self._lines
        self._link.plug()
        back_at = time.monotonic()
        if not self._always_on:
            self._box.tap()
        self._box.wait_until(talks, within_s=BACK_S + 10)
        took_s = time.monotonic() - back_at
        self._tell("back after, s", round(took_s, 1))
        answers(self._box)
        assert self._box.status()["counters"]["opened"] == 1, "nobody has missed the card"
        if self._always_on:
            assert told == 0, "of all the tries the journal has the first, before that"
            self._box.wait_for_line("box: in call, after ")
        return took_s


@contextmanager
def pulled(
    folder: Path, number: int, state: Callable[[RunningBox], None], always_on: bool, seconds: float, tell: Told
) -> Iterator[Away]:
    """A box in a network of its own, whose link is pulled when it has come to that state."""
    name = f"{state.__name__}{', always on' if always_on else ''}"
    here = folder / str(number)
    here.mkdir()

    def told(what: str, figure: object) -> None:
        tell(f"{name}: {what}", figure)

    with (
        Link(number) as link,
        behind_a_link(here, link, seconds=seconds, always_on=always_on, silent=state is connecting) as (box, cable),
        seen(told, box),
    ):
        state(box)
        away = Away(box, link, told, always_on=always_on)
        cable.mend()
        yield away


ALWAYS_ON = [(state, True) for state in (connecting, *STATES)]


@pytest.mark.faults
@root_only
@pytest.mark.parametrize(
    ("away_s", "cases"),
    [(60.0, [(listening, True)]), (600.0, [(idle, False), (speaking, False), *ALWAYS_ON])],
    ids=["for a minute", "for ten minutes in each state"],
)
def test_links_of_real_networks_pulled(
    away_s: float, cases: list[tuple[Callable[[RunningBox], None], bool]], tmp_path: Path, tell: Told
) -> None:
    """Each box has a network of its own; they all wait through the same minutes."""
    seconds = away_s + 60 * len(cases) + 60
    with ExitStack() as stack:
        boxes = [
            stack.enter_context(pulled(tmp_path, number, *case, seconds, tell)) for number, case in enumerate(cases)
        ]
        for box in boxes:
            box.notices()
        took_s = [box.comes_back(away_s) for box in boxes]
    assert max(took_s) <= BACK_S


@pytest.mark.faults
def test_connection_reset_in_mid_sentence(tmp_path: Path, tell: Told) -> None:
    with at_the_end_of_a_cable(tmp_path) as (box, cable, _), seen(tell, box):
        speaking(box)
        cable.reset()
        reset_at = time.monotonic()
        box.wait_until(lambda status: cable.taken > 1 and status["state"] == "in call", within_s=10)
        tell("back after, s", round(time.monotonic() - reset_at, 1))
        answers(box)


@pytest.mark.faults
def test_packets_late_and_lost(tmp_path: Path, tell: Told) -> None:
    with at_the_end_of_a_cable(tmp_path) as (box, cable, service), seen(tell, box):
        cable.be_slow(0.15, lost=0.05)
        box.call()
        answers(box)
        answers(box)
        tell("connections", cable.taken)
        assert cable.taken == 1
        assert service.lines("fake", "violation") == []


@pytest.mark.faults
def test_server_accepts_and_says_nothing(tmp_path: Path, tell: Told) -> None:
    with at_the_end_of_a_cable(tmp_path) as (box, cable, _), seen(tell, box):
        cable.lead_nowhere()
        box.wait_until_awake()
        box.tap()
        asked_at = time.monotonic()
        box.wait_for_state("waiting to retry", within_s=15)
        tell("noticed after, s", round(time.monotonic() - asked_at, 1))
        box.tap()
        box.wait_for_state("idle")


@pytest.mark.faults
def test_name_that_is_not_found(tmp_path: Path, tell: Told) -> None:
    openai = '[call]\nbutton = "openai"\nfallback = "parrot"\n[agent.openai]\nurl = "wss://nobody.invalid/"\n'
    with World(rate=RATE) as world:
        box = RunningBox(world, f'{openai}api_key_file = "key"\n')
        (box.folder / "key").write_text("sk-x")
        with box, seen(tell, box, least_s=0.5):
            box.wait_until_awake()
            box.tap()
            asked_at = time.monotonic()
            status = box.wait_for_state("waiting to retry", within_s=20)
            tell("noticed after, s", round(time.monotonic() - asked_at, 1))
            assert "nobody.invalid" in status["fault"]
            box.ask(do="hangup")
            box.wait_for_state("idle")
            box.ask(do="call", target="parrot")
            box.wait_for_state("in call")


@pytest.mark.faults
@root_only
def test_name_server_that_stays_silent_has_its_own_sentence_and_does_not_keep_the_box_from_ending(
    tmp_path: Path, tell: Told
) -> None:
    openai = '[call]\nat_start = "openai"\n[agent.openai]\nurl = "wss://api.example.com/"\napi_key_file = "key"\n'
    with silent_name_server(tmp_path), World(rate=RATE) as world:
        box = RunningBox(world, openai)
        (box.folder / "key").write_text("sk-x")
        with box:
            with seen(tell, box):
                box.wait_for_state("connecting")
                asked_at = time.monotonic()
                status = box.wait_for_state("waiting to retry", within_s=20)
                tell("noticed after, s", round(time.monotonic() - asked_at, 1))
                assert "no name server answers" in status["fault"]
                box.wait_for_state("connecting")
                box.pause(1)
            ended_at = time.monotonic()
            box.process.terminate()
            assert box.process.wait(9) == 0
        took_s = time.monotonic() - ended_at
        tell("ended after, s", round(took_s, 1))
        assert took_s < ENDS_S


@pytest.mark.faults
def test_session_expires_in_mid_sentence(tmp_path: Path, tell: Told) -> None:
    with at_the_end_of_a_cable(tmp_path, "--expire-s", "8") as (box, cable, _), seen(tell, box):
        speaking(box)
        box.wait_until(lambda status: cable.taken >= 2 and status["state"] == "in call", within_s=20)
        tell("sessions", cable.taken)
        answers(box)
