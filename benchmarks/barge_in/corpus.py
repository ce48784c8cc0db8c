"""The corpus: sessions in which an agent speaks and nobody interrupts it, and others in which somebody does.

A session is a call in a room of its own, from its first second on; everything in it comes from its seed. What differs
between the halves: the people, the agent's prompts, and every draw of a room, a noise, a moment.

    echo return loss   level of what is played less level of its echo at the microphone: -10 dB is an echo that is
                       10 dB louder, in full scale, than what is played; drawn from +6 to -10 dB
    echo delay         5 to 150 ms, from the frame that is played to the direct sound at the microphone
    RT60               0.2 to 0.6 s
    drive              two of three loudspeakers clip softly
    drift              every other session: up to 100 ppm either way between playback and capture
    talker to echo     level of the utterance at the microphone less that of the echo, each where it sounds
    onset              the first 10 ms frame of the clean utterance, at the microphone, within 20 dB of its level
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.barge_in import noises, rooms
from benchmarks.barge_in.voices import AGENT_DBFS, HALVES, RATE, Voices, at_level
from benchmarks.onset import level_dbfs, onset
from edgevoice.audio.acoustics import softly_clipped
from edgevoice.drivers.room import Utterance

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]

SEED = 3
SPEECH_S = 120.0  # in a session without interruptions, at least, if the agent is let speak
SESSION_S = 125.0  # which has the chime and the gaps between responses, too
INTERRUPTIONS = 10  # in a session
EACH_S = 12.0  # at most, for one of them
RESPONSE_S = (3.0, 10.0)
LONG_RESPONSE_S = 10.0  # one that is interrupted would have gone on for longer than anybody talks
AFTER_S = (0.4, 4.0)  # of the response, before it is interrupted
LOUDEST_DBFS = -14.0  # of a talker: louder ones would clip the microphone, and not be so much louder than the echo
DELAY_MS = (5.0, 150.0)
DRIVE = (1.0, 5.0)
DRIFT_PPM = (-100.0, 100.0)
ROOM_DBFS, FAN_DBFS, MUSIC_DBFS = (-68.0, -58.0), (-58.0, -46.0), (-50.0, -36.0)
TALKER_DBFS = (-40.0, -22.0)  # where there is no echo to compare with
FAR_DBFS = (-54.0, -46.0)  # 20 dB below somebody at the box
FAR_PAUSE_S = (0.3, 4.0)
EVENTS: Mapping[str, tuple[Callable[[np.random.Generator], noises.Doubles], tuple[float, float]]] = {
    "cough": (noises.cough, (-38.0, -18.0)),
    "typing": (noises.typing, (-52.0, -36.0)),
    "door": (noises.door, (-40.0, -18.0)),
}
CALIBRATION_S = 6.0  # of agent speech, to measure the echo's level by
ALL_ERL = (6.0, -10.0)


@dataclass(frozen=True, slots=True)
class Condition:
    """What all sessions of one kind have in common."""

    name: str
    share: float  # of all the hours, or of all the interruptions
    erl_db: tuple[float, float] | None = ALL_ERL  # None: the loudspeaker is not heard at all
    fan: bool | None = False  # None: in every other pair of sessions
    per_hour: tuple[tuple[str, int], ...] = ()  # impulsive noises
    music: bool = False
    far_voice: bool = False
    talker_db: float | None = None  # above the echo; with `talked_over` only
    talked_over: bool = False


COUGHS_TYPING = (("cough", 58), ("typing", 58))  # an hour: two in each session
QUIET = (
    Condition("no echo", 0.05, erl_db=None),
    Condition("echo, ERL +6 to +1 dB", 0.1, erl_db=(6.0, 1.0)),
    Condition("echo, ERL +1 to -5 dB", 0.1, erl_db=(1.0, -5.0)),
    Condition("echo, ERL -5 to -10 dB", 0.1, erl_db=(-5.0, -10.0)),
    Condition("echo, fan", 0.1, fan=True),
    Condition("echo, fan, coughs, typing", 0.3, fan=True, per_hour=COUGHS_TYPING),
    Condition("echo, doors", 0.075, per_hour=(("door", 58),)),
    Condition("echo, music", 0.075, music=True),
    Condition("echo, far voice", 0.1, far_voice=True),
)
TALKED_OVER = (
    Condition("talker, no echo", 1 / 6, erl_db=None, fan=None, talked_over=True),
    *(
        Condition(f"talker {db:+d} dB", 1 / 6, fan=None, talked_over=True, talker_db=float(db))
        for db in (10, 6, 0, -6, -10)
    ),
)


@dataclass(frozen=True, slots=True)
class Session:
    """One session of the corpus, by name: `scene` makes it."""

    half: str
    condition: Condition
    number: int
    interruptions: int = 0


@dataclass(frozen=True, slots=True)
class Interruption:
    """Somebody who talks over the agent when a response has sounded for `after_s`; `pcm` is at the microphone."""

    after_s: float
    pcm: Samples
    onset: int  # a sample of `pcm`


@dataclass
class Scene:
    """A session, ready to be heard. `facts` says what was drawn."""

    session: Session
    seed: int
    echo: Floats
    drive: float
    drift_ppm: float
    noises: list[Samples]
    people: list[Utterance]  # and whatever else makes a noise once
    interruptions: list[Interruption]
    responses: Iterator[Samples]
    facts: dict[str, float]


def sessions(half: str, hours: float, interruptions: int) -> list[Session]:
    """Return so many hours without and so many interruptions; each condition has its share, or a session."""
    if half not in HALVES:
        raise ValueError(f'half is "{half}", expected one of {", ".join(HALVES)}')
    made = []
    for condition in QUIET if hours else ():
        count = max(1, round(hours * condition.share * 3600 / SPEECH_S))
        made += [Session(half, condition, number) for number in range(count)]
    for condition in TALKED_OVER if interruptions else ():
        left = max(1, round(interruptions * condition.share))
        for number in range(-(-left // INTERRUPTIONS)):
            made.append(Session(half, condition, number, min(left, INTERRUPTIONS)))
            left -= INTERRUPTIONS
    return made


def scene(session: Session, voices: Voices) -> Scene:
    """Make the session. `voices` are those of its half."""
    condition = session.condition
    seed = [SEED, HALVES.index(session.half), zlib.crc32(condition.name.encode()), session.number]
    rng = np.random.default_rng(seed)
    rt60_s = float(rng.uniform(*rooms.RT60_S))
    facts = {"rt60_s": rt60_s}
    echo, drive, drift_ppm = np.zeros(0, np.float32), 0.0, 0.0
    echo_dbfs = None
    if condition.erl_db:
        drive = float(rng.uniform(*DRIVE)) if session.number % 3 else 0.0
        drift_ppm = float(rng.uniform(*DRIFT_PPM)) if session.number % 2 else 0.0
        erl_db, delay_ms = _erl(rng, condition), float(rng.uniform(*DELAY_MS))
        echo_dbfs = AGENT_DBFS - erl_db
        echo = _at_erl(rooms.echo(rng, rt60_s, delay_ms), erl_db, drive, voices)
        facts |= {"erl_db": erl_db, "delay_ms": delay_ms, "drive": drive, "drift_ppm": drift_ppm}
    beds = _beds(rng, session, facts)
    people = _events(rng, condition, rt60_s)
    if condition.far_voice:
        people += _far_voice(rng, voices, rt60_s)
    interruptions = _interruptions(rng, session, voices, rt60_s, echo_dbfs)
    responses = _responses(np.random.default_rng([*seed, 1]), voices, long=condition.talked_over)
    number = int(np.random.default_rng([*seed, 2]).integers(1 << 31))
    return Scene(session, number, echo, drive, drift_ppm, beds, people, interruptions, responses, facts)


def _erl(rng: np.random.Generator, condition: Condition) -> float:
    """Draw an echo return loss with which the talker is not so loud that the microphone clips."""
    assert condition.erl_db is not None
    most, least = condition.erl_db
    if condition.talker_db is not None:
        least = max(least, AGENT_DBFS + condition.talker_db - LOUDEST_DBFS)
    return float(rng.uniform(least, most))


def _at_erl(path: Floats, erl_db: float, drive: float, voices: Voices) -> Floats:
    said = np.concatenate(voices.prompts[:8])[: round(CALIBRATION_S * RATE)]
    played = softly_clipped(said.astype(np.float32), drive)
    came_back = rooms.heard(played, path)
    scale = 16000 / np.abs(came_back).max()  # a level is measured of int16, which it must fill
    loudness = level_dbfs(_int16(came_back * scale), RATE) - 20 * np.log10(scale)
    gain: float = 10 ** ((AGENT_DBFS - erl_db - loudness) / 20)
    return path * np.float32(gain)


def _beds(rng: np.random.Generator, session: Session, facts: dict[str, float]) -> list[Samples]:
    condition = session.condition
    wanted = [("room_dbfs", noises.room, ROOM_DBFS)]
    fan = session.number % 4 >= 2 if condition.fan is None else condition.fan
    if fan:
        wanted.append(("fan_dbfs", noises.fan, FAN_DBFS))
    if condition.music:
        wanted.append(("music_dbfs", noises.music, MUSIC_DBFS))
    beds = []
    for name, make, dbfs in wanted:
        bed = make(rng)
        facts[name] = float(rng.uniform(*dbfs))
        beds.append(_int16(bed * 32768 * 10 ** (facts[name] / 20) / noises.level(bed)))
    return beds


def _events(rng: np.random.Generator, condition: Condition, rt60_s: float) -> list[Utterance]:
    """Return the impulsive noises: exactly as many as an hour has of them, at any moment of the session."""
    people = []
    for what, per_hour in condition.per_hour:
        make, dbfs = EVENTS[what]
        for _ in range(round(per_hour * SESSION_S / 3600)):
            path = rooms.response(rng, rt60_s, "near")
            pcm = at_level(rooms.heard(make(rng), path), float(rng.uniform(*dbfs)))
            people.append(Utterance(float(rng.uniform(0.5, SESSION_S - 5)), pcm, what))
    return people


def _far_voice(rng: np.random.Generator, voices: Voices, rt60_s: float) -> list[Utterance]:
    people, at = [], 0.5
    path = rooms.response(rng, rt60_s, "far")
    phrases = voices.people[str(rng.choice(list(voices.people)))]
    dbfs = float(rng.uniform(*FAR_DBFS))
    while at < SESSION_S - 5:
        pcm = at_level(rooms.heard(phrases[int(rng.integers(len(phrases)))], path), dbfs)
        people.append(Utterance(at, pcm, "far voice"))
        at += len(pcm) / RATE + float(rng.uniform(*FAR_PAUSE_S))
    return people


def _interruptions(
    rng: np.random.Generator, session: Session, voices: Voices, rt60_s: float, echo_dbfs: float | None
) -> list[Interruption]:
    """Return what one person says in this session."""
    path = rooms.response(rng, rt60_s, "near")
    phrases = voices.people[str(rng.choice(list(voices.people)))]
    talker_db = session.condition.talker_db
    dbfs = float(rng.uniform(*TALKER_DBFS))
    if echo_dbfs is not None and talker_db is not None:
        dbfs = echo_dbfs + talker_db
    chosen = rng.permutation(len(phrases))[: session.interruptions]
    said = [at_level(rooms.heard(phrases[which], path), dbfs) for which in chosen]
    return [Interruption(float(rng.uniform(*AFTER_S)), pcm, onset(pcm, RATE)) for pcm in said]


def _responses(rng: np.random.Generator, voices: Voices, *, long: bool) -> Iterator[Samples]:
    while True:
        yield voices.response(rng, LONG_RESPONSE_S if long else float(rng.uniform(*RESPONSE_S)))


def _int16(x: NDArray[np.floating]) -> Samples:
    samples: Samples = np.clip(np.rint(x), -32768, 32767).astype(np.int16)
    return samples
