"""`edgevoice demo`: a spoken conversation in a simulated room, in virtual time, and a picture of what happened.

The room has a person (recorded human speech) and a loudspeaker that the microphone does not hear: this version has no
echo canceller, so the scene is that of a headset, `half_duplex = "never"`. The person asks, the parrot answers; the
person says something longer, and talks over the answer. Every figure is computed from the recordings by a process of
its own, `edgevoice_measure`, which cannot import this program.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgevoice.agents.parrot import Parrot
from edgevoice.appliance import Appliance
from edgevoice.audio.duplex import Duplex
from edgevoice.audio.resample import Resampler
from edgevoice.audio.speech import SpeechDetector
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.drivers.wav import read_wav, write_wav
from edgevoice.happenings import HangUpAsked
from edgevoice.report import report
from edgevoice.simulation import Note, Simulation

VOICES = Path(__file__).parent / "voices"
RATE = 48_000
TITLE = "A conversation in the simulated room (a headset: the microphone does not hear the loudspeaker)"
ANSWER_S = 0.9  # silence that ends a turn, the answer's way through the card, and some room
INTERRUPTED_AFTER_S = 1.6  # into the parrot's second answer


def run(out: Path) -> dict[str, Any]:
    """Hold the conversation, write recordings, events and report into `out`, and return the figures."""
    out.mkdir(parents=True, exist_ok=True)
    people, end = _script()
    clock = VirtualClock()
    card = RoomCard(Room(RATE, people), clock, seconds=end)
    duplex = Duplex(RATE, SpeechDetector(), half_duplex=False, pre_roll_ms=300)
    box = Simulation(card, duplex, Appliance(button="parrot"), Parrot)
    box.run(0.2)
    box.press()
    box.run(end - 1.0)
    box.happen(HangUpAsked())
    box.run(end)
    notes = sorted([*_spoken(people), *box.notes], key=lambda note: float(note["at"]))
    write_wav(out / "microphone.wav", card.microphone, RATE)
    write_wav(out / "speaker.wav", card.speaker, RATE)
    (out / "events.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    figures = measure(out)
    page = report(TITLE, card.microphone, card.speaker, RATE, notes, figures)
    (out / "report.html").write_text(page)
    return figures


def measure(folder: Path) -> dict[str, Any]:
    """Have the figures computed from the recordings in `folder`, by a process that cannot import this program."""
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice_measure", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the recordings could not be measured: {done.stderr.strip()}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _script() -> tuple[list[Utterance], float]:
    """Who says what when: an ordinary turn, a longer one, and a word into the answer to it. And when it is over."""
    question, story, interruption = (_say(name) for name in ("question", "story", "interruption"))
    first = 1.5
    second = first + 2 * len(question) / RATE + ANSWER_S + 1.0
    third = second + len(story) / RATE + ANSWER_S + INTERRUPTED_AFTER_S
    end = third + 2 * len(interruption) / RATE + ANSWER_S + 2.0
    people = [
        Utterance(first, question, "question"),
        Utterance(second, story, "story"),
        Utterance(third, interruption, "interruption"),
    ]
    return people, end


def _say(name: str) -> Any:
    pcm, rate = read_wav(VOICES / f"{name}.wav")
    return Resampler(rate, RATE).process(pcm)


def _spoken(people: list[Utterance]) -> list[Note]:
    return [
        {
            "at": person.at,
            "who": "person",
            "what": "speaks",
            "until": person.at + len(person.pcm) / RATE,
            "file": f"{person.name}.wav",
        }
        for person in people
    ]
