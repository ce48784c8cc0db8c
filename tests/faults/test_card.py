"""Sound cards that are pulled, hang and run dry, in each state of a call; and the sound server behind them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from edgevoice.recovery import RESTARTS
from tests.e2e.box import AWAKE_S, RunningBox, voice
from tests.faults.conftest import Told
from tests.faults.seen import seen
from tests.lab.labcard.labcard import World
from tests.lab.pulse import PulseAudio

RATE = 48_000
CARD_S = 10.0  # a card that is back is used again within this
CONVERSATION_S = 3.0  # and by a box that is always on in a conversation
HUNG_S = 20.0  # a thread that hangs is noticed after 7.5 s, and a new process is ready after 5 s, on a busy machine
ALWAYS_ON = '[call]\nat_start = "parrot"\n'
STORY, QUESTION = voice("story", RATE), voice("question", RATE)


def idle(box: RunningBox) -> None:
    box.wait_until_awake()


def listening(box: RunningBox) -> None:
    box.call()


def hearing(box: RunningBox) -> None:
    box.call()
    box.say(STORY)
    box.wait_for_turn("hearing")


def speaking(box: RunningBox) -> None:
    box.call()
    box.say(STORY)
    box.wait_for_turn("speaking", within_s=20)


STATES = [idle, listening, hearing, speaking]


def talks(box: RunningBox) -> None:
    """A person calls, asks and is answered."""
    box.call()
    said_at = box.say(QUESTION)
    box.wait_for_sound(said_at + len(QUESTION), within_s=15)


def comes_back(box: RunningBox, tell: Told) -> None:
    """The card is there again: it is used soon, and a person is answered."""
    back_at = time.monotonic()
    box.wait_for_state("idle", within_s=CARD_S)
    tell("back after, s", round(time.monotonic() - back_at, 1))
    talks(box)


@pytest.mark.faults
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_card_gone_and_back(state: Callable[[RunningBox], None], tell: Told) -> None:
    with World(rate=RATE) as world, RunningBox(world) as box, seen(tell, box):
        state(box)
        world.unplug()
        box.wait_for_state("fault", within_s=3)
        box.pause(2)
        world.plug()
        comes_back(box, tell)


@pytest.mark.faults
def test_card_that_comes_and_goes_in_a_bad_plug(tell: Told) -> None:
    with World(rate=RATE) as world, RunningBox(world) as box, seen(tell, box):
        box.call()
        for number in range(12):
            world.unplug()
            box.pause(0.05 + 0.03 * number)
            world.plug()
            box.pause(0.1)
        comes_back(box, tell)
        assert box.process.poll() is None


@pytest.mark.faults
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_capture_stalls_without_an_error(state: Callable[[RunningBox], None], tell: Told) -> None:
    with World(rate=RATE) as world, RunningBox(world) as box, seen(tell, box):
        state(box)
        world.stall()
        stalled_at = time.monotonic()
        box.wait_for_state("fault", within_s=3)
        tell("noticed after, s", round(time.monotonic() - stalled_at, 1))
        box.pause(1)
        world.resume()
        comes_back(box, tell)


@pytest.mark.faults
def test_xruns_in_bursts(tell: Told) -> None:
    with World(rate=RATE) as world, RunningBox(world) as box, seen(tell, box):
        speaking(box)
        for number in range(6):
            box.stand_still(0.1 + 0.03 * number)
            box.pause(0.05)
        box.wait_for_turn("listening", within_s=20)
        counters = box.status()["counters"]
        tell("xruns", f"{counters['playback_xruns']}/{counters['capture_xruns']}")
        assert counters["playback_xruns"] >= 3
        assert counters["opened"] == 1, "no new card was needed"


@pytest.mark.faults
@pytest.mark.parametrize("stopped_s", [1.0, 5.0, 30.0])
def test_process_stopped_and_continued(stopped_s: float, tell: Told) -> None:
    with World(rate=RATE) as world, RunningBox(world) as box, seen(tell, box):
        listening(box)
        box.stand_still(stopped_s)
        back_at = time.monotonic()
        box.wait_until(lambda status: status["state"] in ("in call", "idle"), within_s=CARD_S)
        box.pause(1)
        box.wait_until(lambda status: status["state"] in ("in call", "idle"), within_s=CARD_S)
        tell("back after, s", round(time.monotonic() - back_at - 1, 1))
        if box.status()["state"] == "in call":
            box.tap()
            box.wait_for_state("idle")
        talks(box)


@pytest.mark.faults
def test_sound_server_killed_and_started_again(tell: Told) -> None:
    pulse = PulseAudio(RATE)
    with pulse, RunningBox(pulse) as box, seen(tell, box):
        box.wait_for_state("idle")
        box.tap()
        box.wait_for_state("in call")
        pulse.kill()
        box.wait_for_state("fault", within_s=5)
        box.pause(2)
        pulse.start()
        back_at = time.monotonic()
        box.wait_for_state("idle", within_s=CARD_S)
        tell("back after, s", round(time.monotonic() - back_at, 1))
        box.tap()
        box.wait_for_state("in call")


@pytest.mark.faults
def test_card_that_hangs_for_good_is_given_up_after_so_many_processes(tell: Told) -> None:
    """As systemd would: each process that ends is followed by another, on the same state directory."""
    with World(rate=RATE, seconds=400) as world, ExitStack() as until_then:
        state = {"STATE_DIRECTORY": until_then.enter_context(TemporaryDirectory())}
        for number in range(RESTARTS):
            with RunningBox(world, env=state) as box, seen(tell, box):
                box.wait_until(lambda status: status["state"] in ("idle", "fault"))
                if number == 0:
                    world.stall()
                assert box.process.wait(60) == 75, box.journal
                box.wait_for_line("a new process is to try")
        with RunningBox(world, env=state) as last, seen(tell, last):
            last.wait_until(lambda status: status["light"] == "one flash every four seconds", within_s=60)
            tell("processes", RESTARTS + 1)
            last.pause(12)
            world.resume()
            back_at = time.monotonic()
            last.wait_for_state("idle", within_s=CARD_S + 2)
            tell("back after, s", round(time.monotonic() - back_at, 1))
            talks(last)


@pytest.mark.faults
def test_a_minute_in_which_each_second_has_an_xrun(tell: Told) -> None:
    """Every second the process is kept from its card for a moment."""
    with World(rate=RATE, seconds=200) as world, RunningBox(world) as box, seen(tell, box):
        box.call()
        for number in range(60):
            if number % 12 == 0:
                box.say(STORY)
            box.stand_still(0.15)
            box.pause(0.85)
        status = box.status()
        tell("xruns", f"{status['counters']['playback_xruns']}/{status['counters']['capture_xruns']}")
        assert status["state"] == "in call"
        assert status["counters"]["opened"] == 1
        assert status["waiting_ms"] < 20_000, "nothing piles up"
        assert np.count_nonzero(world.spk) > RATE, "it spoke"


def hears(box: RunningBox) -> None:
    """In a call: what a person says is answered."""
    said_at = box.say(QUESTION)
    box.wait_for_sound(said_at + len(QUESTION), within_s=15)


@pytest.mark.faults
@pytest.mark.parametrize("away_s", [2.0, 40.0])
def test_card_back_to_a_conversation_of_a_box_that_is_always_on(away_s: float, tell: Told) -> None:
    """The clock stops when the box is in a call and listens, and then it does hear."""
    with World(rate=RATE, seconds=200) as world, RunningBox(world, ALWAYS_ON) as box, seen(tell, box):
        box.wait_for_turn("listening")
        world.unplug()
        box.wait_for_state("fault", within_s=3)
        box.pause(away_s)
        world.plug()
        back_at = time.monotonic()
        box.wait_for_turn("listening", within_s=CARD_S)
        took_s = time.monotonic() - back_at
        tell("back in a conversation after, s", round(took_s, 1))
        box.pause(0.6)  # the tone that says so
        hears(box)
        assert took_s <= CONVERSATION_S


@pytest.mark.faults
def test_audio_thread_alone_hangs_and_a_new_process_talks(tell: Told) -> None:
    """A read that does not come back: the loop lives, says what stands still, and ends; systemd starts another one."""
    with World(rate=RATE, seconds=200) as world, TemporaryDirectory() as state:
        env = {"STATE_DIRECTORY": state}
        with RunningBox(world, ALWAYS_ON, env=env) as box, seen(tell, box):
            box.wait_for_turn("listening")
            world.hang(box.process.pid)
            hung_at = time.monotonic()
            assert box.process.wait(30) == 75, box.journal
            tell("ended after, s", round(time.monotonic() - hung_at, 1))
            box.wait_for_line("the audio thread stands still")
            box.wait_for_line("cycle (duplex.py")
        with RunningBox(world, ALWAYS_ON, env=env) as box, seen(tell, box):
            box.wait_for_turn("listening", within_s=15)
            took_s = time.monotonic() - hung_at
            tell("in a conversation after, s", round(took_s, 1))
            box.pause(AWAKE_S)
            hears(box)
            assert took_s <= HUNG_S
