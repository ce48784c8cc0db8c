"""How far the echo is taken out in the half second after each of twenty drops and resumes.

    python -m benchmarks.resumes

The product's loop body in the simulated room: a reply is stopped again and again as by a cough, held for 300 ms, and
goes on. Each time the card starts anew at a phase of its own and its reader wakes late; the canceller keeps its room
only if the reference keeps its place. Nobody speaks, so all that the microphone hears is echo and a little noise.
"""

from __future__ import annotations

import argparse
from collections import deque
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmarks import speech
from benchmarks.table import Row, text
from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.echo import load
from edgevoice.audio.hearing import BLOCK, Block
from edgevoice.drivers.room import Room, RoomCard, VirtualClock
from edgevoice.events import Answer, Command, Listen, Mark, Play, Suspected, TakenBack, Tone, Uplink

Samples = NDArray[np.int16]

RATE = 48_000
TIMES = 20
LEARNT_S = 10.0
EVERY_S = 1.5
HELD_BLOCKS = 30
ROOMS = ((10, 0.3, 0.0, 0), (60, 0.5, 3.0, 0), (120, 0.3, 0.0, 32))  # ms late, s of RT60, drive, fifo


class Told:
    """A detector that does as it is told, and keeps what it was given."""

    speaking = evident = unspoilt = False
    level_dbfs = -60.0

    def __init__(self) -> None:
        self.hint = self.harmless = False
        self.heard: list[Block] = []
        self._held = 0

    def hear(self, cleaned: Samples, captured: Samples, played: Samples) -> None:
        self.heard.append(Block(cleaned, captured, played))
        self._held += 1
        self.harmless = self._held >= HELD_BLOCKS

    @property
    def evidence(self) -> Self:
        return self

    def suspect(self) -> None:
        self.hint, self._held = False, 0

    def relax(self) -> None:
        pass

    def witness(self) -> None:
        pass

    def forget(self) -> None:
        pass


def attenuations(canceller: str, late_ms: int, rt60_s: float, drive: float, fifo: int) -> list[float]:
    """Return the dB by which the echo was taken out after each resume."""
    at = np.arange(round(rt60_s * RATE))
    ringing = np.random.default_rng(late_ms).normal(0, 1, len(at)) * 10 ** (-3 * at / RATE / rt60_s)
    ringing[0] = 5.0
    echo = np.concatenate((np.zeros(late_ms * RATE // 1000), ringing / np.sqrt(np.sum(ringing**2))))
    card = RoomCard(Room(RATE, (), echo.astype(np.float32), -70.0, drive=drive), VirtualClock(), fifo=fifo)
    detector = Told()
    duplex = Duplex(RATE, detector, load(canceller, noise_suppression=True)[0], half_duplex=False, pre_roll_ms=0)
    reply = np.concatenate(speech.recordings(24_000))
    reply = np.tile(reply, 90 * 24_000 // len(reply)).astype("<i2")
    commands: deque[Command] = deque([Answer(24_000), Listen(Uplink.OPEN), Tone("awake")])
    commands += [Play(reply.tobytes(), "reply"), Mark("end", "reply")]
    resumed: list[int] = []
    next_s = LEARNT_S
    while len(resumed) < TIMES or len(detector.heard) < resumed[-1] + 100:
        for event in cycle(card, duplex, commands):
            if isinstance(event, TakenBack):
                resumed.append(len(detector.heard))
                next_s = card.clock.now() + EVERY_S
            elif isinstance(event, Suspected):
                next_s = float("inf")
        detector.hint = card.clock.now() >= next_s and len(resumed) < TIMES
    return [_taken_out(detector.heard[begin:]) for begin in resumed]


def _taken_out(blocks: list[Block]) -> float:
    """Return the attenuation over the half second from the first echo on."""
    first = next(number for number, block in enumerate(blocks) if np.abs(block.captured).max() > 300)
    captured = np.concatenate([block.captured for block in blocks[first : first + 50]]).astype(np.float64)
    cleaned = np.concatenate([block.cleaned for block in blocks[first : first + 52]]).astype(np.float64)[BLOCK:]
    return float(10 * np.log10(np.mean(captured**2) / (np.mean(cleaned**2) + 1)))


def rows() -> list[Row]:
    found = []
    for name in ("aec3", "speex"):
        for late_ms, rt60_s, drive, fifo in ROOMS:
            values = np.array(attenuations(name, late_ms, rt60_s, drive, fifo))
            measured = {"n": len(values), "least": values.min(), "p50": float(np.median(values)), "max": values.max()}
            where = f"{name}, {late_ms} ms late, RT60 {rt60_s:g} s, drive {drive:g}, fifo {fifo}"
            found.append(Row("half second after a resume", where, "dB", measured))
    return found


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m benchmarks.resumes", description=(__doc__ or "").partition("\n")[0]
    ).parse_args()
    print(text(rows()))
