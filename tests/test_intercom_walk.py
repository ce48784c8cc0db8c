"""The whole box in virtual time with a person on a line: whatever happens, no microphone is open in the dark."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevoice.appliance import Appliance
from edgevoice.audio.duplex import Duplex
from edgevoice.audio.tones import tone
from edgevoice.conversation import Detection
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.events import Audio, Closed, Command, End, HangUp, Opened, Play, Progress, Stage
from edgevoice.happenings import HangUpAsked, MuteAsked, Released, RingingEnded, Rings
from edgevoice.light import Box
from edgevoice.simulation import Simulation
from edgevoice.wire import Reply
from tests.fakes import LoudnessDetector, noise
from tests.test_simulation import KnownEcho

Samples = NDArray[np.int16]

RATE = 16_000
LINE_RATE = 8000
PACKET_S = 0.02


class Caller:
    """A person on a line who is there `opens_s` after the call began, and talks and listens in turns of a second."""

    rate = LINE_RATE

    def __init__(self, opens_s: float = 0.0, seed: int = 0) -> None:
        self.heard: list[bytes] = []
        self.hung_up = False
        self.deadline: float | None = None
        self._opens_s = opens_s
        self._open = False
        self._voice = noise(LINE_RATE, -20, seed=seed)
        self._packets = 0

    def opened(self, at: float) -> Reply:
        self.deadline = at + self._opens_s
        return self.expire(at) if not self._opens_s else Reply(events=(Progress(Stage.RINGING),))

    def perform(self, command: Command, at: float) -> Reply:
        match command:
            case HangUp():
                self.hung_up, self.deadline = True, None
            case Play(pcm):
                self.heard.append(pcm)
        return Reply()

    def expire(self, at: float) -> Reply:
        if not self._open:
            self._open, self.deadline = True, at + PACKET_S
            return Reply(events=(Opened(),))
        assert self.deadline is not None
        self.deadline += PACKET_S
        at_packet = self._packets % 100
        self._packets += 1
        size = round(LINE_RATE * PACKET_S)
        loud = self._voice[at_packet * size : (at_packet + 1) * size] if at_packet < 50 else np.zeros(size, np.int16)
        return Reply(events=(Audio(loud.astype("<i2").tobytes()),))

    def leaves(self) -> Closed:
        self.deadline = None
        return Closed(End.HUNG_UP, "the caller hung up")


class Telephone:
    """A box at which people on lines call, and which calls them."""

    def __init__(
        self,
        people: list[Utterance],
        *,
        half_duplex: bool = False,
        push_to_talk: bool = False,
        opens_s: float = 0.0,
        auto_answer: bool = True,
        seconds: float = 30.0,
    ) -> None:
        self.callers: list[Caller] = []
        self._opens_s = opens_s
        response = np.zeros(321, np.float32)
        response[-1] = 0.3
        room = Room(RATE, people, response, noise_dbfs=-70)
        card = RoomCard(room, VirtualClock(), seconds=seconds)
        duplex = Duplex(RATE, LoudnessDetector(), KnownEcho(response), half_duplex=half_duplex, pre_roll_ms=300)
        box = Appliance(button="twilio:+46700000003", push_to_talk=push_to_talk, auto_answer=auto_answer)
        detection = Detection.MANUAL if push_to_talk else Detection.LOCAL
        self.box = Simulation(card, duplex, box, self._caller, detection, intercom=True)

    def _caller(self) -> Any:
        """Make who is at the other end: those who call are there at once."""
        waits_s = 0.0 if self.box.appliance.target == "twilio" else self._opens_s
        self.callers.append(Caller(waits_s, seed=len(self.callers)))
        return self.callers[-1]

    def rings(self, *, allowed: bool = False) -> None:
        self.box.happen(Rings("twilio", allowed))

    def caller_leaves(self) -> None:
        if self.box.call:
            self.box._far(self.callers[-1].leaves())


def loud(pcm: bytes) -> bool:
    return bool(np.abs(np.frombuffer(pcm, np.int16)).max(initial=0) > 1000)


def first(sound: Samples, what: Samples, since: float) -> float:
    """Return when `what` begins in a recording, in seconds."""
    start = round(since * RATE)
    searched = sound[start : start + 3 * RATE].astype(np.float64)
    size = len(searched) + len(what)
    products = np.fft.irfft(np.fft.rfft(searched, size) * np.conj(np.fft.rfft(what, size)), size)
    return (start + int(np.argmax(products[: len(searched) - len(what) + 1]))) / RATE


def test_a_press_answers_and_both_hear_each_other() -> None:
    phone = Telephone([Utterance(3.0, noise(RATE, -15))])
    phone.box.run(1.5)
    phone.rings()
    phone.box.run(2.0)
    phone.box.press()
    phone.box.run(4.5)
    (caller,) = phone.callers
    assert sum(map(loud, caller.heard)) > 80, "a second of voice, in pieces of 10 ms"
    assert float(np.abs(phone.box.card.speaker[round(2.3 * RATE) : round(2.9 * RATE)].astype(float)).mean()) > 500
    phone.box.press()
    phone.box.run(5.0)
    assert (caller.hung_up, phone.box.appliance.state) == (True, Box.IDLE)


def test_a_box_that_answers_by_itself_beeps_before_anything_of_the_room_leaves() -> None:
    phone = Telephone([Utterance(0.5, noise(8 * RATE, -15))])
    phone.box.run(2.0)
    phone.rings(allowed=True)
    left_at = None
    while left_at is None and phone.box.now < 5.0:
        phone.box.step()
        (caller,) = phone.callers
        left_at = phone.box.now if any(map(loud, caller.heard)) else None
    assert left_at is not None
    beep = tone("connected", RATE)
    beeped_at = first(phone.box.card.speaker[: round(left_at * RATE)], beep, 2.0)
    played = phone.box.card.speaker[round(beeped_at * RATE) :][: len(beep)]
    assert np.array_equal(played, beep), "the whole beep, and nothing over it"
    assert 2.0 <= beeped_at < left_at - len(beep) / RATE


def test_who_is_not_allowed_only_rings() -> None:
    phone = Telephone([Utterance(0.5, noise(8 * RATE, -15))])
    phone.box.run(2.0)
    phone.rings()
    phone.box.run(5.0)
    assert (phone.callers, phone.box.appliance.state) == ([], Box.RINGING)


def test_the_ringing_of_a_call_that_is_answered_is_cut_off() -> None:
    phone = Telephone([], opens_s=1.2)
    phone.box.run(1.5)
    phone.box.press()
    phone.box.run(4.0)
    ringing, beep = tone("ringing", RATE), tone("connected", RATE)
    sound = phone.box.card.speaker
    rang_at, answered_at = first(sound, ringing, 1.5), first(sound, beep, 1.5)
    assert np.array_equal(sound[round(rang_at * RATE) :][: len(ringing)], ringing)
    assert 1.1 < answered_at - rang_at < 1.4
    early = Telephone([], opens_s=0.5)
    early.box.run(1.5)
    early.box.press()
    early.box.run(4.0)
    sound = early.box.card.speaker
    rang_at, answered_at = first(sound, ringing[: RATE // 4], 1.5), first(sound, beep, 1.5)
    assert 0.4 < answered_at - rang_at < 0.65, "not after the rest of it"


MOMENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ring", "ring", "friend", "gives up", "leaves", "press", "press", "release", "mute", "hangup", "nothing"]
        ),
        st.integers(1, 60),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(MOMENTS, st.booleans(), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_the_microphone_leaves_the_audio_thread_only_under_a_light_that_says_so(
    moments: list[tuple[str, int]], half_duplex: bool, push_to_talk: bool, opens_s: float
) -> None:
    people = [Utterance(0.5 + 1.3 * turn, noise(RATE, -15, seed=turn)) for turn in range(16)]
    phone = Telephone(people, half_duplex=half_duplex, push_to_talk=push_to_talk, opens_s=opens_s, seconds=0.0)
    for moment, periods in moments:
        match moment:
            case "ring" if phone.box.appliance.free:
                phone.rings()
            case "friend" if phone.box.appliance.free:
                phone.rings(allowed=True)
            case "gives up":
                phone.box.happen(RingingEnded())
            case "leaves":
                phone.caller_leaves()
            case "press":
                phone.box.press()
            case "release":
                phone.box.happen(Released())
            case "mute":
                phone.box.happen(MuteAsked(None))
            case "hangup":
                phone.box.happen(HangUpAsked())
            case _:
                pass
        for _ in range(periods):
            before = phone.box.appliance.light
            for event in phone.box.step():
                if isinstance(event, Audio) and any(event.pcm):
                    assert before.microphone, f"the microphone was heard while the light showed {before.name}"
