"""Interruptions by the dozen in the simulated room, for `edgevoice bench`: by voice, and by the button.

    by voice     question ──> answer, talked over by the next question ──> its answer, talked over by the next ──> ...
    by button    question ──> answer, cut off by a press ──> question ──> ...

When in an answer that happens is random, and the same in every run. What comes of it is read off the recordings by
`edgevoice_promises`.
"""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

import numpy as np

from edgevoice.audio.echo import Canceller
from edgevoice.drivers.room import Utterance
from edgevoice.studio import RATE, Script, converse, record, said

INTERRUPTIONS = 20
PEOPLE = ("question", "interruption", "story")  # the recordings, in turn
PRESSED_AT_S, FIRST_S = 0.2, 1.5
ANSWER_S = 0.9  # silence that ends a turn, the answer's way through the card, and some room
INTO_S = (0.3, 1.3)  # of an answer: the shortest of them lasts for two seconds
BETWEEN_S = 0.6
LISTEN_S = 8.0  # after the last one: the longest answer


def talk_over(canceller: Canceller, folder: Path, *, echo: bool) -> None:
    """Record a conversation into `folder` in which every answer but the last is interrupted by voice."""
    record(*converse(_by_voice(), canceller, echo=echo), folder)


def press(canceller: Canceller, folder: Path) -> None:
    """Record one into `folder` in which every answer but the last is cut off by the button."""
    record(*converse(_by_button(), canceller), folder)


def _by_voice() -> Script:
    chance, at = np.random.default_rng(20), FIRST_S
    people: list[Utterance] = []
    for name in islice(cycle(PEOPLE), INTERRUPTIONS + 1):
        pcm = said(name)
        people.append(Utterance(at, pcm, name))
        at += len(pcm) / RATE + ANSWER_S + chance.uniform(*INTO_S)
    return Script(tuple(people), (PRESSED_AT_S,), at + LISTEN_S)


def _by_button() -> Script:
    chance, at = np.random.default_rng(21), FIRST_S
    people: list[Utterance] = []
    presses = [PRESSED_AT_S]
    for name in islice(cycle(PEOPLE), INTERRUPTIONS + 1):
        pcm = said(name)
        people.append(Utterance(at, pcm, name))
        presses.append(at + len(pcm) / RATE + ANSWER_S + chance.uniform(*INTO_S))
        at = presses[-1] + BETWEEN_S
    return Script(tuple(people), tuple(presses[:-1]), at + LISTEN_S)
