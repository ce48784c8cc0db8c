"""The whole box in virtual time: button, light, microphone and agent together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevoice.agents.parrot import Parrot
from edgevoice.appliance import Appliance
from edgevoice.audio.duplex import Duplex
from edgevoice.conversation import Detection
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.events import (
    Audio,
    BargeIn,
    Command,
    Event,
    Interrupt,
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
from edgevoice.tools import Toolbox
from edgevoice.wire import Reply, Wire
from edgevoice_measure import heard_samples, sounding
from tests.fakes import LoudnessDetector, noise

Samples = NDArray[np.int16]

RATE = 16_000
VOICE = noise(RATE, -15)


class KnownEcho:
    """A canceller that knows the room: where the reference is a sample beside the truth, it leaves most of the echo."""

    name = "known echo"
    late = 0

    def __init__(self, response: NDArray[np.float32]) -> None:
        self._response = response.astype(np.float64)
        self._played: NDArray[np.float64] = np.zeros(len(response) - 1)

    def process(self, played: Samples, captured: Samples) -> Samples:
        sound = np.concatenate((self._played, played.astype(np.float64)))
        self._played = sound[len(played) :]
        left: NDArray[np.float64] = captured - np.convolve(sound, self._response, "valid")
        return np.clip(np.rint(left), -32768, 32767).astype(np.int16)


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
    duplex = Duplex(RATE, LoudnessDetector(), KnownEcho(response), half_duplex=half_duplex, pre_roll_ms=300)
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


def test_a_cough_pauses_the_reply_and_nothing_of_it_is_lost() -> None:
    box = box_in([Utterance(1.5, VOICE), Utterance(3.5, VOICE[:640])], echo=0.3)
    box.run(1.0)
    box.press()
    box.run(7.0)
    assert [name for name in what(box) if name in ("Suspected", "TakenBack", "BargedIn")] == ["Suspected", "TakenBack"]
    assert [note["turn"] for note in box.notes if note["what"] == "turn"][-4:] == [
        "speaking",
        "suspecting",
        "speaking",
        "listening",
    ]
    before, after = sounding(box.card.speaker[round(2.6 * RATE) :], RATE)
    undisturbed = box_in([Utterance(1.5, VOICE)], echo=0.3)
    undisturbed.run(1.0)
    undisturbed.press()
    undisturbed.run(7.0)
    (whole,) = sounding(undisturbed.card.speaker[round(2.6 * RATE) :], RATE)
    assert before.last - before.first + after.last - after.first == pytest.approx(whole.last - whole.first, abs=8)


def test_an_agent_that_wants_to_be_called_later_is() -> None:
    box = box_in([], agent=Talker, detection=Detection.SERVICE)
    box.run(1.0)
    box.press()
    box.run(3.5)
    (started,) = [note["at"] for note in box.notes if note["what"] == "ResponseStarted"]
    assert started == pytest.approx(1.0 + Talker.FIRST_S, abs=0.03)


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
@example(  # muted in the very period in which the microphone was to open
    moments=[
        *(("press", periods) for periods in (1, 1, 18, 21, 29, 60, 60)),
        *(("release", 60), ("press", 28), ("mute", 1)),
    ],
    half_duplex=False,
    detection=Detection.LOCAL,
    seed=0,
)
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


class Talker:
    """An agent that begins to talk by itself, and again after each interruption; no two seconds of it are alike."""

    rate = RATE
    FIRST_S, PAUSE_S = 2.0, 0.5  # the box's own signals are over by then

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.said: dict[str, Samples] = {}

    def opened(self, at: float) -> Reply:
        self.deadline = at + self.FIRST_S
        return Reply(events=(Opened(),))

    def perform(self, command: Command, at: float) -> Reply:
        if isinstance(command, Interrupt):
            self.deadline = at + self.PAUSE_S
        return Reply()

    def expire(self, at: float) -> Reply:
        self.deadline = None
        name = f"r{len(self.said) + 1}"
        self.said[name] = noise(14 * RATE, -20, seed=len(self.said))
        return Reply(events=(ResponseStarted(name), Audio(self.said[name].tobytes(), name), ResponseDone(name)))


DISTURBANCES = st.lists(
    st.tuples(st.sampled_from(["cough", "cough", "voice", "button", "late", "nothing"]), st.integers(3, 90)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(DISTURBANCES, st.integers(0, 99))
def test_what_was_heard_is_told_to_10_ms_over_drops_resumes_and_interruptions(
    disturbances: list[tuple[str, int]], seed: int
) -> None:
    agent = Talker()
    box = box_in([], agent=lambda: agent, detection=Detection.SERVICE, echo=0.3, seconds=25.0)
    box.run(0.1)
    box.press()
    box.run(2.5)
    for disturbance, periods in disturbances:
        match disturbance:
            case "cough":
                box.card.room.say(Utterance(box.now + 0.02, noise(RATE // 25, -15, seed=seed)))
            case "voice":
                box.card.room.say(Utterance(box.now + 0.02, noise(RATE // 5, -15, seed=seed)))
            case "button":
                box.commands.append(BargeIn())
            case "late":
                box.card.clock.wait_until(box.now + 0.08)
        for _ in range(periods):
            box.step()
    box.run(box.now + 0.6)
    box.commands.append(BargeIn())
    box.run(box.now + 0.1)  # until it is recorded
    verdicts = [note["what"] for note in box.notes if note["what"] in ("Suspected", "TakenBack", "BargedIn")]
    assert not any(pair == ("Suspected", "Suspected") for pair in pairwise(verdicts)), "each suspicion has an end"
    for barged in [note for note in box.notes if note["what"] == "BargedIn"]:
        starts = {note["response"]: note["at"] for note in box.notes if note["what"] == "ResponseStarted"}
        start, cut = round(starts[barged["response"]] * RATE), round(barged["at"] * RATE)
        heard = heard_samples(box.card.speaker, start, cut, agent.said[barged["response"]])
        assert heard is not None
        assert barged["heard_ms"] == pytest.approx(heard / 16, abs=10)
        sounded = sounding(box.card.speaker[start:cut], RATE, join_s=0.002)
        assert heard == pytest.approx(sum(each.last - each.first + 1 for each in sounded), abs=4 + 8 * len(sounded))


def test_a_tool_that_the_room_cannot_do_is_answered_in_words() -> None:
    box = box_in([], tools={"parrot": Toolbox(("set_volume",))})
    box.run(1.0)
    box.press()
    box.happen(ToolCalled("7", "set_volume", '{"percent": 30}'))
    (result,) = [note for note in box.notes if note["what"] == "ToolResult"]
    assert (result["id"], result["output"].partition(":")[0]) == ("7", "error")
