"""A stage for stories about the audio loop: a card whose time passes by reading, and somebody who shouts at it."""

from __future__ import annotations

from collections import deque

import numpy as np
from hypothesis import strategies as st

from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.echo import load
from edgevoice.events import (
    Answer,
    Audio,
    BargeIn,
    Clear,
    Command,
    Event,
    HangUp,
    Listen,
    Listening,
    Mark,
    Opened,
    Play,
    Tone,
    Uplink,
    Witness,
)
from tests.fakes import LoudnessDetector, StepCard, noise

GIVE_UP_MS = 500

FAR = 16_000  # the other side's rate in these stories
VOICE = noise(48_000, -15)


class Story:
    """A card, a duplex and its commands; `run` steps and returns what was reported."""

    def __init__(self, *, half_duplex: bool = False, rate: int = 48_000, pre_roll_ms: int = 300) -> None:
        self.card = StepCard(rate, rate // 100, rate // 25)
        self.detector = LoudnessDetector()
        self.duplex = Duplex(
            rate,
            self.detector,
            load("none", noise_suppression=True)[0],
            half_duplex=half_duplex,
            pre_roll_ms=pre_roll_ms,
            give_up_ms=GIVE_UP_MS,
        )
        self.commands: deque[Command] = deque()

    def run(self, ms: int, *commands: Command) -> list[Event]:
        self.commands.extend(commands)
        events: list[Event] = []
        for _ in range(ms // 10):
            events += cycle(self.card, self.duplex, self.commands)
        return events

    def played(self, last_ms: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return np.array(self.card.played[-self.card.rate * last_ms // 1000 :], np.int16)


def answered(
    uplink: Uplink = Uplink.OPEN, *, half_duplex: bool = False, pre_roll_ms: int = 300, rate: int = 48_000
) -> Story:
    story = Story(half_duplex=half_duplex, pre_roll_ms=pre_roll_ms, rate=rate)
    assert story.run(10, Answer(FAR), Listen(uplink)) == [Opened(), Listening(uplink)]
    return story


def without_audio(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Audio)]


def sent(events: list[Event]) -> bytes:
    return b"".join(event.pcm for event in events if isinstance(event, Audio))


def speech(seconds: float) -> bytes:
    return noise(round(FAR * seconds), seed=2).tobytes()


# What a walk may order, by a name that is short to read.
ORDERS: dict[str, Command] = {
    **{f"play {name}": Play(speech(0.2), name) for name in ("a", "b", "c", "")},
    **{f"mark {name}": Mark("end", name) for name in ("a", "b", "c")},
    **{f"listen {uplink.value}": Listen(uplink) for uplink in Uplink},
    **{f"listen {uplink.value} without reflex": Listen(uplink, reflex=False) for uplink in Uplink},
    **{f"witness {ago_ms}": Witness(ago_ms) for ago_ms in (0.0, 400.0, 5000.0)},
    "stop": BargeIn(),
    "clear": Clear(),
    "tone": Tone("connected"),
    "answer": Answer(FAR),
    "hang up": HangUp("enough"),
    "fade away": HangUp("gone", fades=True),
}
ORDERED = st.lists(st.sampled_from(sorted(ORDERS)), max_size=3)
