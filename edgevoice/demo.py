"""`edgevoice demo`: a spoken conversation in a simulated room, in virtual time, and a picture of what happened.

The room (`studio`) is a hard one: the loudspeaker comes back at the microphone as loud as the person, through a
reverberation, and a fan runs. Three scenes: the person asks and is answered; the person coughs while the box speaks;
the person talks over it. The people are recordings of human speech; echo, fan and cough are made up (`scenery`).

Where no echo canceller is installed, the same room is played with a box that is deaf while it speaks, and the person
interrupts it by its button. Every figure is computed from the recordings by a process of its own, `edgevoice_measure`,
which cannot import this program.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgevoice import scenery
from edgevoice.audio.echo import load as load_canceller
from edgevoice.drivers.room import Utterance
from edgevoice.files import make_folder
from edgevoice.report import report
from edgevoice.studio import RATE, Script, converse, measure, record, said

TITLE = "A conversation in a room with a loud echo and a fan"
LEAD = (
    "A person talks with a box that has a loudspeaker and a microphone. The voices are recordings; the room is "
    "computed, with its echo, a fan and a cough that are synthetic. "
)
CANCELS = "The box cancels its echo with {}."
DEAF = "No echo canceller is installed, so the box is deaf while it speaks, and the button interrupts it."
COUGH_DBFS = -8.0  # its peak
PRESSED_AT_S = 0.2
ANSWER_S = 0.9  # silence that ends a turn, the answer's way through the card, and some room
COUGH_AFTER_S, INTERRUPTED_AFTER_S = 1.3, 3.6  # into the parrot's second answer
PRESS_AFTER_S = 0.3  # of talking to a box that is deaf while it speaks


def run(out: Path, *, canceller: str = "auto") -> dict[str, Any]:
    """Hold the conversation, write recordings, events and report into `out`, and return the figures.

    Raises DeviceError where nothing can be written there, before anything is computed.
    """
    make_folder(out)
    found, _ = load_canceller(canceller, noise_suppression=True)
    deaf = found.name == "none"
    heard, notes = converse(_script(deaf), found)
    record(heard, notes, out)
    figures = measure(out)
    lead = LEAD + (DEAF if deaf else CANCELS.format(found.name))
    (out / "report.html").write_text(report(TITLE, lead, heard, notes, figures))
    return figures


def _script(deaf: bool) -> Script:
    """An ordinary turn; a longer one; a cough and later a word into the answer to it."""
    question, story, interruption = (said(name) for name in ("question", "story", "interruption"))
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
    presses = (PRESSED_AT_S, people[-1].at + PRESS_AFTER_S) if deaf else (PRESSED_AT_S,)
    return Script(people, presses, end)
