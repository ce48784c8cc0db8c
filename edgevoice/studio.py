"""A conversation with the box in a simulated room, in virtual time: recorded, and measured by another program.

    person ──┬──> microphone ──> echo canceller ──> box ──> parrot
      fan ───┤                                               │
             └──── echo <──── loudspeaker <──── box <────────┘

The people and the presses are a script; what comes of it is recorded as `edgevoice_measure` reads it.
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
from edgevoice.audio.hearing import RATE as HEARING_RATE
from edgevoice.audio.interruption import TalkOver
from edgevoice.audio.resample import Resampler
from edgevoice.drivers.room import Room, RoomCard, Utterance, VirtualClock
from edgevoice.drivers.wav import read_wav, write_wav
from edgevoice.events import Audio, Command
from edgevoice.happenings import HangUpAsked
from edgevoice.pictures import Recordings
from edgevoice.simulation import Note, Simulation
from edgevoice.wire import Reply, Request

Samples = NDArray[np.int16]

VOICES = Path(__file__).parent / "voices"
RATE = 48_000
ECHO_DELAY_MS, ECHO_RT60_S, ECHO_DB = 15.0, 0.3, 0.0
DRIVE = 2.0  # the loudspeaker gives at most half of what it is asked for at its loudest
VOICE_DBFS, FAN_DBFS = -24.0, -52.0  # a voice while it sounds; the fan
HANG_UP_S = 1.0  # before the end


@dataclass(frozen=True, slots=True)
class Script:
    """Who makes what sound when, in order, when the button is pressed, and when it is over; seconds."""

    people: tuple[Utterance, ...]
    presses: tuple[float, ...]  # the first one calls
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


def converse(script: Script, canceller: Canceller, *, echo: bool = True) -> tuple[Recordings, list[Note]]:
    """Hold the conversation; return what was recorded, and what happened, in order.

    The loudspeaker comes back at the microphone as loud as a person, unless there is no `echo`; a fan runs.
    """
    tap, parrot = _Tap(canceller), _Tape()
    card = RoomCard(_room(script, echo), VirtualClock(), seconds=script.end)
    duplex = Duplex(RATE, TalkOver(), tap, half_duplex=canceller.name == "none", pre_roll_ms=300)
    box = Simulation(card, duplex, Appliance(button="parrot"), lambda: parrot)
    for at in script.presses:
        box.run(at)
        box.notes.append({"at": box.now, "who": "person", "what": "presses"})
        box.press()
    box.run(script.end - HANG_UP_S)
    box.happen(HangUpAsked())
    box.run(script.end)
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
    return heard, [{"at": 0.0, "who": "room", "what": "canceller", "name": canceller.name}, *notes]


def record(heard: Recordings, notes: Sequence[Note], folder: Path) -> None:
    """Write all of it into `folder`."""
    for name in ("person", "microphone", "speaker"):
        write_wav(folder / f"{name}.wav", getattr(heard, name), RATE)
    write_wav(folder / "cleaned.wav", heard.cleaned, heard.cleaned_rate)
    write_wav(folder / "agent.wav", heard.agent, heard.agent_rate)
    (folder / "events.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))


def measure(folder: Path) -> dict[str, Any]:
    """Have the figures computed from the recordings in `folder`, by a process that cannot import this program."""
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice_measure", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the recordings could not be measured: {done.stderr.strip()}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def said(name: str) -> Samples:
    """Return a recording, as loud as everybody speaks here."""
    recorded, rate = read_wav(VOICES / f"{name}.wav")
    pcm = Resampler(rate, RATE).process(recorded).astype(np.float64)
    power = (pcm[: len(pcm) // 480 * 480].reshape(-1, 480) ** 2).mean(axis=1)
    voiced = power[power > power.max() / 1000].mean()
    said: Samples = np.rint(np.clip(pcm * 32768 * 10 ** (VOICE_DBFS / 20) / voiced**0.5, -32768, 32767)).astype(
        np.int16
    )
    return said


def _room(script: Script, with_echo: bool) -> Room:
    silent = np.zeros(0, np.float32)
    echo = scenery.echo(RATE, delay_ms=ECHO_DELAY_MS, rt60_s=ECHO_RT60_S, gain_db=ECHO_DB) if with_echo else silent
    fan = scenery.fan(RATE, level_dbfs=FAN_DBFS)
    return Room(RATE, script.people, echo, drive=DRIVE, noises=[fan])


def _track(script: Script) -> Samples:
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
