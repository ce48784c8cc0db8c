"""`edgevoice demo`: a spoken conversation in a simulated room, in virtual time, and a picture of what happened.

    person ──┬──> microphone ──> echo canceller ──> box ──> parrot
      fan ───┤                                               │
             └──── echo <──── loudspeaker <──── box <────────┘

The room is a hard one: the loudspeaker comes back at the microphone as loud as the person, through a reverberation,
and a fan runs. Three scenes: the person asks and is answered; the person coughs while the box speaks; the person talks
over it. The people are recordings of human speech; echo, fan and cough are made up (`scenery`).

Where no echo canceller is installed, the same room is played with a box that is deaf while it speaks, and the person
interrupts it by its button. Every figure is computed from the recordings by a process of its own, `edgevoice_measure`,
which cannot import this program.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevoice import scenery
from edgevoice.agents.parrot import RATE as PARROT_RATE
from edgevoice.agents.parrot import Parrot
from edgevoice.appliance import Appliance
from edgevoice.audio.duplex import Duplex
from edgevoice.audio.echo import Canceller
from edgevoice.audio.echo import load as load_canceller
from edgevoice.audio.hearing import RATE as HEARING_RATE
from edgevoice.audio.interruption import TalkOver
from edgevoice.audio.resample import Resampler
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.drivers.wav import read_wav, write_wav
from edgevoice.events import Audio, Command
from edgevoice.files import make_folder
from edgevoice.happenings import HangUpAsked
from edgevoice.pictures import Recordings
from edgevoice.report import report
from edgevoice.simulation import Note, Simulation
from edgevoice.wire import Reply, Request

Samples = NDArray[np.int16]

VOICES = Path(__file__).parent / "voices"
TITLE = "A conversation in a room with a loud echo and a fan"
LEAD = (
    "A person talks with a box that has a loudspeaker and a microphone. The voices are recordings; the room is "
    "computed, with its echo, a fan and a cough that are synthetic. "
)
CANCELS = "The box cancels its echo with {}."
DEAF = "No echo canceller is installed, so the box is deaf while it speaks, and the button interrupts it."
RATE = 48_000
ECHO_DELAY_MS, ECHO_RT60_S, ECHO_DB = 15.0, 0.3, 0.0
DRIVE = 2.0  # the loudspeaker gives at most half of what it is asked for at its loudest
VOICE_DBFS, COUGH_DBFS, FAN_DBFS = -24.0, -8.0, -52.0  # a voice while it sounds; a cough's peak; the fan
PRESSED_AT_S = 0.2
ANSWER_S = 0.9  # silence that ends a turn, the answer's way through the card, and some room
COUGH_AFTER_S, INTERRUPTED_AFTER_S = 1.3, 3.6  # into the parrot's second answer
PRESS_AFTER_S = 0.3  # of talking to a box that is deaf while it speaks


def run(out: Path, *, canceller: str = "auto") -> dict[str, Any]:
    """Hold the conversation, write recordings, events and report into `out`, and return the figures.

    Raises DeviceError where nothing can be written there, before anything is computed.
    """
    make_folder(out)
    script = _script()
    found, _ = load_canceller(canceller, noise_suppression=True)
    tap, parrot = _Tap(found), _Tape()
    deaf = found.name == "none"
    card = RoomCard(_room(script), VirtualClock(), seconds=script.end)
    duplex = Duplex(RATE, TalkOver(), tap, half_duplex=deaf, pre_roll_ms=300)
    box = Simulation(card, duplex, Appliance(button="parrot"), lambda: parrot)
    _play(box, script, deaf)
    heard = Recordings(
        RATE,
        person=_track(script),
        microphone=card.microphone,
        speaker=card.speaker,
        cleaned=np.concatenate(tap.cleaned),
        cleaned_rate=HEARING_RATE,
        agent=np.concatenate(parrot.said),
        agent_rate=PARROT_RATE,
    )
    notes = sorted([*script.notes(), *parrot.notes, *box.notes], key=lambda note: float(note["at"]))
    notes.insert(0, {"at": 0.0, "who": "room", "what": "canceller", "name": found.name})
    return _write(out, LEAD + (DEAF if deaf else CANCELS.format(found.name)), heard, notes)


def measure(folder: Path) -> dict[str, Any]:
    """Have the figures computed from the recordings in `folder`, by a process that cannot import this program."""
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice_measure", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the recordings could not be measured: {done.stderr.strip()}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _play(box: Simulation, script: _Script, deaf: bool) -> None:
    box.run(PRESSED_AT_S)
    box.press()
    if deaf:
        box.run(script.people[-1].at + PRESS_AFTER_S)
        box.press()
    box.run(script.end - 1.0)
    box.happen(HangUpAsked())
    box.run(script.end)


def _write(out: Path, lead: str, heard: Recordings, notes: Sequence[Note]) -> dict[str, Any]:
    for name in ("person", "microphone", "speaker"):
        write_wav(out / f"{name}.wav", getattr(heard, name), RATE)
    write_wav(out / "cleaned.wav", heard.cleaned, heard.cleaned_rate)
    write_wav(out / "agent.wav", heard.agent, heard.agent_rate)
    (out / "events.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    figures = measure(out)
    (out / "report.html").write_text(report(TITLE, lead, heard, notes, figures))
    return figures


# ------------------------------------------------------------------------------------------------------- the scene


@dataclass(frozen=True, slots=True)
class _Script:
    """Who makes what sound when, in order, and when it is over."""

    people: tuple[Utterance, ...]
    end: float

    def notes(self) -> list[Note]:
        return [
            {
                "at": person.at,
                "who": "person",
                "what": "coughs" if person.name == "cough" else "speaks",
                "until": person.at + len(person.pcm) / RATE,
                "file": f"{person.name}.wav" if person.name != "cough" else "synthetic",
            }
            for person in self.people
        ]


def _script() -> _Script:
    """An ordinary turn; a longer one; a cough and later a word into the answer to it."""
    question, story, interruption = (_said(name) for name in ("question", "story", "interruption"))
    cough = scenery.cough(RATE, level_dbfs=COUGH_DBFS)
    first = PRESSED_AT_S + 1.3
    second = first + 2 * len(question) / RATE + ANSWER_S + 1.0
    answer = second + len(story) / RATE + ANSWER_S
    end = answer + INTERRUPTED_AFTER_S + 2 * len(interruption) / RATE + ANSWER_S + 2.0
    people = (
        Utterance(first, question, "question"),
        Utterance(second, story, "story"),
        Utterance(answer + COUGH_AFTER_S, cough, "cough"),
        Utterance(answer + INTERRUPTED_AFTER_S, interruption, "interruption"),
    )
    return _Script(people, end)


def _said(name: str) -> Samples:
    """Return a recording, as loud as everybody speaks here."""
    recorded, rate = read_wav(VOICES / f"{name}.wav")
    pcm = Resampler(rate, RATE).process(recorded).astype(np.float64)
    power = (pcm[: len(pcm) // 480 * 480].reshape(-1, 480) ** 2).mean(axis=1)
    voiced = power[power > power.max() / 1000].mean()
    said: Samples = np.rint(np.clip(pcm * 32768 * 10 ** (VOICE_DBFS / 20) / voiced**0.5, -32768, 32767)).astype(
        np.int16
    )
    return said


def _room(script: _Script) -> Room:
    echo = scenery.echo(RATE, delay_ms=ECHO_DELAY_MS, rt60_s=ECHO_RT60_S, gain_db=ECHO_DB)
    fan = scenery.fan(RATE, level_dbfs=FAN_DBFS)
    return Room(RATE, script.people, echo, drive=DRIVE, noises=[fan])


def _track(script: _Script) -> Samples:
    """Return the person alone, as the microphone would hear them in a silent room."""
    alone = np.zeros(round(script.end * RATE), np.int16)
    for person in script.people:
        begin = round(person.at * RATE)
        alone[begin : begin + len(person.pcm)] += person.pcm
    return alone


# ------------------------------------------------------------------------------------------- two more recorders


@dataclass
class _Tap:
    """A canceller whose output is written down: what is sent to an agent comes from it."""

    canceller: Canceller
    cleaned: list[Samples] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.canceller.name

    @property
    def late(self) -> int:
        return self.canceller.late

    def process(self, played: Samples, captured: Samples) -> Samples:
        self.cleaned.append(self.canceller.process(played, captured))
        return self.cleaned[-1]


class _Tape:
    """A parrot whose words are written down as it sends them, one response after the other."""

    rate = PARROT_RATE
    deadline = None

    def __init__(self) -> None:
        self._parrot = Parrot()
        self.said: list[Samples] = [np.zeros(PARROT_RATE, np.int16)]
        self.notes: list[Note] = []

    def request(self) -> Request | None:
        return self._parrot.request()

    def opened(self, at: float) -> Reply:
        return self._parrot.opened(at)

    def receive(self, message: str | bytes, at: float) -> Reply:
        return self._parrot.receive(message, at)

    def expire(self, at: float) -> Reply:
        return self._parrot.expire(at)

    def lost(self, at: float) -> bool:
        return self._parrot.lost(at)

    def closed(self, code: int, reason: str, at: float) -> Any:
        return self._parrot.closed(code, reason, at)

    def perform(self, command: Command, at: float) -> Reply:
        reply = self._parrot.perform(command, at)
        sounds = [event for event in reply.events if isinstance(event, Audio)]
        if sounds:
            said = np.frombuffer(b"".join(sound.pcm for sound in sounds), "<i2").astype(np.int16)
            begin = sum(map(len, self.said))
            self.said += [said, np.zeros(PARROT_RATE, np.int16)]
            self.notes.append(
                {
                    "at": at,
                    "who": "agent",
                    "what": "says",
                    "response": sounds[0].response,
                    "from_s": begin / PARROT_RATE,
                    "until_s": (begin + len(said)) / PARROT_RATE,
                }
            )
        return reply
