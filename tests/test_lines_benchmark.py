"""The figures of many calls at once are right: sounds made here, of which every number is known, are read."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.growth import growth
from benchmarks.line_load import DELTAS, MEDIA, framed, read, unmasked
from benchmarks.lines import _obeyed
from tests.phone.counting import COUNT, numbered
from tests.test_layers import imports

ROOT = Path(__file__).parent.parent
RATE = 8000
FRAMES = 300
SENT = [number * 0.02 for number in range(FRAMES)]
SOUND = np.split(numbered(FRAMES, RATE), FRAMES)
COMPUTING = ("lines", "line_load", "growth")


@pytest.mark.parametrize("name", COMPUTING)
def test_what_computes_the_figures_of_calls_imports_nothing_of_the_program(name: str) -> None:
    found = imports(ROOT / "benchmarks" / f"{name}.py")
    assert not {imported for imported in found if imported.partition(".")[0] == "edgevoice"}


def test_each_number_has_its_own_delay_wherever_one_begins_to_listen() -> None:
    for first in (0, 50, 150):
        sounds = [(SENT[number] + 0.007, SOUND[number]) for number in range(first, FRAMES)]
        found = read(sounds, SENT, RATE)
        assert (found["frames"], found["faults"]) == (FRAMES - first, 0)
        assert found["delays"] == pytest.approx([7.0] * (FRAMES - first))


def test_a_number_that_is_missing_twice_there_or_too_early_is_a_fault() -> None:
    def faults(order: list[int]) -> int:
        found = read([(SENT[number] + 0.5, SOUND[number]) for number in order], SENT, RATE)
        assert isinstance(found["faults"], int)
        return found["faults"]

    assert faults([1, 2, 3, 4, 5]) == 0
    assert faults([1, 2, 4, 5]) == 1
    assert faults([1, 2, 2, 3]) == 1
    assert faults([1, 3, 2, 4]) > 0


def test_there_is_a_frame_for_every_number_and_a_mask_changes_nothing() -> None:
    assert (len(set(MEDIA)), len(set(DELTAS))) == (COUNT, COUNT)
    short, long = framed("x" * 125, masked=False), framed("x" * 126, masked=True)
    assert (short[:2], long[:4]) == (b"\x81\x7d", b"\x81\xfe\x00\x7e")
    assert unmasked(bytes([1, 2, 3, 4]) + bytes([ord("h") ^ 1, ord("e") ^ 2, ord("j") ^ 3])) == b"hej"


def test_a_clear_is_timed_from_the_voice_and_what_still_comes_is_counted() -> None:
    def line(at: float, origin: str, kind: str, **facts: float) -> dict[str, object]:
        return {"at": at, "from": origin, "type": kind, **facts}

    story = [line(0.0, "fake", "says"), line(5.1, "server", "audio", ms=100.0)]
    assert _obeyed("elks", story, 5.0) == (None, 0.0)
    cleared = [*story, line(5.2, "server", "interrupt"), line(5.25, "server", "audio", ms=20.0)]
    wait, late = _obeyed("elks", cleared, 5.0)
    assert (wait, late) == (pytest.approx(200.0), 20.0)
    answered = [*cleared[:-1], line(6.5, "server", "audio", ms=20.0)]
    assert _obeyed("elks", answered, 5.0)[1] == 0.0


def test_the_picture_has_a_point_for_each_count_in_each_panel() -> None:
    drawn = ElementTree.fromstring(growth([(1, 2.0, 3.0), (10, 15.0, 12.0), (50, 70.0, 60.0)]))
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 6
