"""The whole box in virtual time: button, light, microphone and agent together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.agents.parrot import Parrot
from edgevoice.appliance import Appliance
from edgevoice.audio.duplex import Duplex
from edgevoice.conversation import Detection
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.events import (
    Audio,
    Command,
    Event,
    Opened,
    Respond,
    ResponseDone,
    ResponseStarted,
    ToolCalled,
    TurnCommitted,
)
from edgevoice.happenings import HangUpAsked, MuteAsked, Released
from edgevoice.light import Box, Turn
from edgevoice.simulation import Simulation
from edgevoice.wire import Reply, Wire
from tests.fakes import LoudnessDetector, noise

RATE = 16_000
VOICE = noise(RATE, -15)


def box_in(
    people: list[Utterance],
    *,
    half_duplex: bool = False,
    agent: Any = Parrot,
    detection: Detection = Detection.LOCAL,
    echo: float = 0.0,
    seconds: float = 30.0,
    **options: Any,
) -> Simulation:
    response = np.zeros(321, np.float32)
    response[-1] = echo
    room = Room(RATE, people, response, noise_dbfs=-70)
    card = RoomCard(room, VirtualClock(), seconds=seconds)
    duplex = Duplex(RATE, LoudnessDetector(), half_duplex=half_duplex, pre_roll_ms=300)
    return Simulation(card, duplex, Appliance(**({"button": "parrot"} | options)), agent, detection)


def what(box: Simulation) -> list[str]:
    return [note["what"] for note in box.notes]


def test_a_turn_is_said_back() -> None:
    box = box_in([Utterance(1.5, VOICE)])
    box.run(1.0)
    box.press()
    box.run(6.0)
    reply = box.card.speaker[round(2.9 * RATE) : round(4.4 * RATE)]
    assert float(np.abs(reply.astype(float)).mean()) > 1000
    assert what(box).count("Played") == 1
    box.happen(HangUpAsked())
    box.run(6.5)
    assert box.appliance.state is Box.IDLE


def test_an_interruption_is_told_with_what_was_heard() -> None:
    box = box_in([Utterance(1.5, VOICE), Utterance(3.5, VOICE)])
    box.run(1.0)
    box.press()
    box.run(7.0)
    (barged,) = [note for note in box.notes if note["what"] == "BargedIn"]
    assert next(note for note in box.notes if note["what"] == "Interrupt")["heard_ms"] == barged["heard_ms"]
    reply = np.nonzero(np.abs(box.card.speaker[round(2.6 * RATE) : round(3.9 * RATE)]) > 0)[0]
    assert barged["heard_ms"] == pytest.approx((reply[-1] - reply[0] + 1) / 16, abs=3)


def test_with_an_echo_and_half_duplex_it_does_not_answer_itself() -> None:
    box = box_in([Utterance(1.5, VOICE)], half_duplex=True, echo=0.9)
    box.run(1.0)
    box.press()
    box.run(12.0)
    assert what(box).count("Respond") == 1
    assert "BargedIn" not in what(box)


def test_a_lost_card_ends_the_call_and_shows_the_fault() -> None:
    box = box_in([])
    box.run(1.0)
    box.press()
    box.run(2.0)
    box.card.unplugged = True
    box.run(2.5)
    assert (box.appliance.state, box.appliance.fault) == (Box.FAULT, "the sound card is gone: unplugged")


def test_push_to_talk_keeps_what_was_said_while_the_button_was_down() -> None:
    box = box_in([Utterance(2.0, VOICE)], detection=Detection.MANUAL, push_to_talk=True)
    box.run(1.9)
    box.press()
    box.run(3.1)
    box.happen(Released())
    box.run(5.0)
    assert what(box).count("Played") == 1


def test_letting_go_of_the_button_in_mid_word_does_not_interrupt_the_answer() -> None:
    box = box_in([Utterance(2.0, noise(3 * RATE, -15))], detection=Detection.MANUAL, push_to_talk=True)
    box.run(1.9)
    box.press()
    box.run(3.1)
    box.happen(Released())
    box.run(6.0)
    assert "BargedIn" not in what(box)
    assert what(box).count("Played") == 1


class Chatterbox:
    """An agent that hears everything, and answers each committed turn at once with two seconds of noise."""

    rate = RATE
    deadline = None

    def __init__(self) -> None:
        self.turns = 0

    def opened(self, at: float) -> Reply:
        return Reply(events=(Opened(),))

    def perform(self, command: Command, at: float) -> Reply:
        if isinstance(command, Respond):
            self.turns += 1
            name = f"r{self.turns}"
            sound = Audio(noise(2 * RATE, -20, seed=self.turns).tobytes(), name)
            return Reply(events=(ResponseStarted(name), sound, ResponseDone(name)))
        return Reply()

    def commit(self) -> list[Event]:
        return [TurnCommitted()]


def test_the_microphone_does_leave_under_the_right_light() -> None:
    box = box_in([Utterance(1.5, VOICE)])
    box.run(1.0)
    box.press()
    sound = 0
    while box.now < 3.0:
        sound += sum(isinstance(event, Audio) and any(event.pcm) for event in box.step())
    assert sound > 100


MOMENTS = st.lists(
    st.tuples(
        st.sampled_from(["press", "release", "mute", "hangup", "commit", "ask", "nothing", "nothing"]),
        st.integers(1, 60),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(MOMENTS, st.booleans(), st.sampled_from(Detection), st.integers(0, 9))
def test_the_microphone_leaves_the_audio_thread_only_under_a_light_that_says_so(
    moments: list[tuple[str, int]], half_duplex: bool, detection: Detection, seed: int
) -> None:
    people = [Utterance(1.0 + 1.7 * turn, noise(RATE, -15, seed=seed + turn)) for turn in range(12)]
    agents: list[Any] = []

    def agent() -> Wire:
        agents.append(Parrot() if detection is Detection.LOCAL else Chatterbox())
        return agents[-1]  # type: ignore[no-any-return]

    box = box_in(
        people,
        half_duplex=half_duplex,
        agent=agent,
        detection=detection,
        echo=0.3,
        push_to_talk=detection is Detection.MANUAL,
        seconds=0.0,
    )
    for moment, periods in moments:
        match moment:
            case "press":
                box.press()
            case "release":
                box.happen(Released())
            case "mute":
                box.happen(MuteAsked(None))
            case "hangup":
                box.happen(HangUpAsked())
            case "commit" if box.call and isinstance(agents[-1], Chatterbox):
                for event in agents[-1].commit():
                    box._far(event)
            case _:
                pass
        for _ in range(periods):
            before = box.appliance.light
            for event in box.step():
                if isinstance(event, Audio) and any(event.pcm):
                    assert before.microphone, f"the microphone was heard while the light showed {before.name}"
            if box.appliance.turn is Turn.MUTED and box.appliance.state is Box.IN_CALL:
                assert not box.appliance.light.microphone


def test_a_tool_that_the_room_cannot_do_is_answered_in_words() -> None:
    box = box_in([], tools=("set_volume",))
    box.run(1.0)
    box.press()
    box.happen(ToolCalled("7", "set_volume", '{"percent": 30}'))
    (result,) = [note for note in box.notes if note["what"] == "ToolResult"]
    assert (result["id"], result["output"].partition(":")[0]) == ("7", "error")
