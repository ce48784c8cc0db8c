"""A person, the button, the light and the parrot, on the virtual card."""

from __future__ import annotations

import pytest

from tests.e2e.box import LED, RunningBox, first_word, last_sound, last_word, likeness, voice
from tests.lab.labcard.labcard import World

RATE = 48_000
TRIES = 3  # from one process to another and back, on a machine that is shared


def test_press_talk_and_hear_it_said_back() -> None:
    question = voice("question", RATE)
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.wait_until_awake()
        assert box.pins.level(LED) == 0, "dark while nobody talks"
        box.call()
        assert box.pins.level(LED) == 1, "steady: it listens"
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        assert box.wait_for_turn("speaking")
        box.wait_for_turn("listening")
        reply = box.speaker(replied_at)
        first = first_word(question, RATE)
        assert likeness(reply, question[first : first + RATE], RATE) > 0.95, "it is what was said, from the first word"
        pause_ms = (replied_at - said_at - len(question)) / RATE * 1000
        assert 300 < pause_ms < 1500
        box.tap()
        box.wait_for_state("idle")
        assert box.pins.level(LED) == 0
        box.wait_for_line("1 turns, 0 interruptions")


def test_talk_over_it_and_it_falls_silent() -> None:
    story, interruption = voice("story", RATE), voice("interruption", RATE)
    with World(rate=RATE) as world, RunningBox(world) as box:
        world.set_echo(0.02, 0.3)
        box.wait_until_awake()
        box.call()
        said_at = box.say(story)
        replied_at = box.wait_for_sound(said_at + len(story))
        box.pause(1.0)
        talked_at = box.say(interruption)
        box.pause(0.2 + len(interruption) / RATE)
        first = talked_at + first_word(interruption, RATE)
        stopped_at, after_s = box.stopped_at(first)
        assert after_s < 0.3
        silent_at = replied_at + last_sound(world.spk[replied_at : first + RATE])
        assert first < silent_at < stopped_at, "it spoke until it was interrupted"
        answered_at = box.wait_for_sound(first + RATE)
        assert answered_at > talked_at + last_word(interruption, RATE), "silence until the person has finished"
        box.wait_for_turn("listening")
        reply = box.speaker(answered_at)
        begin = first_word(interruption, RATE)
        first_second = interruption[begin : begin + RATE]
        assert likeness(reply, first_second, RATE) > 0.85, "kept, but for 100 ms that a canceller so new may swallow"
        box.tap()
        box.wait_for_state("idle")
        box.wait_for_line("2 turns, 1 interruptions")


def test_the_button_stops_it_first_and_hangs_up_second() -> None:
    story = voice("story", RATE)
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.call()
        for _ in range(TRIES):
            said_at = box.say(story)
            replied_at = box.wait_for_sound(said_at + len(story))
            box.pause(1.0)
            pressed_at = world.index(box.tap())
            box.wait_for_turn("listening")
            box.pause(0.3)
            silent_after_s = (replied_at + last_sound(box.speaker(replied_at)) - pressed_at) / RATE
            assert box.status()["state"] == "in call"
            if silent_after_s < 0.1:
                break
        assert 0 < silent_after_s < 0.1
        box.tap()
        box.wait_for_state("idle")


def test_fifty_presses_in_a_second_leave_a_working_box() -> None:
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.wait_for_state("idle")
        for _ in range(50):
            box.tap()
            box.pause(0.02)
        box.pause(0.5)
        while box.status()["state"] != "idle":
            box.tap()
            box.pause(1.0)
        box.call()


@pytest.mark.parametrize(
    ("card", "more"),
    [
        pytest.param({"channels_min": 2, "channels": 2}, "", marks=pytest.mark.nightly),
        ({"channels_min": 8, "channels": 8, "mic_channel": 5}, "capture_channel = 5\n"),
        ({"rate": 44_100}, ""),
        pytest.param({"rate": 16_000}, "", marks=pytest.mark.nightly),
    ],
    ids=["stereo only", "eight channels", "44100 Hz only", "16000 Hz only"],
)
def test_unusual_cards_are_adapted_to(card: dict[str, int], more: str) -> None:
    rate = card.get("rate", RATE)
    question = voice("question", rate)
    with World(**({"rate": RATE} | card)) as world, RunningBox(world, card=more, rate=RATE) as box:  # type: ignore[arg-type]
        box.call()
        said_at = box.say(question)
        replied_at = box.wait_for_sound(said_at + len(question))
        box.wait_for_turn("listening")
        assert last_sound(box.speaker(replied_at)) / rate > len(question) / rate - 0.3
        assert world.uneven_frames == 0, "the same on every channel"
