"""What a running box says of its sound when the doctor asks it, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from edgevoice.audio.measurement import Figures, Heard, Sounding
from edgevoice.config import load
from edgevoice.doctor.facts import Sound
from edgevoice.doctor.listening import TRIES, sound
from edgevoice.drivers import control
from edgevoice.drivers.audio_thread import OpenedCard

HEARD = Heard(delay_ms=20.0, echo_db=-18.0, polarity=1, distortion_percent=None, clear_db=30.0, loudest_dbfs=-9.0)
WELL = Sounding(Figures(HEARD, noise_dbfs=-60.0, peak_dbfs=-40.0, clipped=0, sweep_dbfs=-30.0), 0.0, still=False)
UNHEARD = replace(WELL, figures=replace(WELL.figures, heard=None))
STATUS = {"card": {"rate": 48_000}, "microphone_dbfs": -60.0}


def told(heard: Sounding, judged: str = "as ever", *, warning: bool = False) -> dict[str, Any]:
    return {"judged": judged, "warning": warning, "sounding": msgspec.to_builtins(heard)}


def unwanted() -> OpenedCard:
    raise AssertionError("the box has the card")


def at_a_box(
    folder: Path, *answers: Mapping[str, Any], status: Mapping[str, Any] = STATUS, aloud: bool = True
) -> tuple[Sound, list[control.Request]]:
    """Look at the sound of a box that answers so, one after the other; return what is found, and what it was asked."""
    path, left = str(folder / "control.sock"), list(answers)
    asked: list[control.Request] = []

    def answering(request: control.Request) -> Mapping[str, Any]:
        asked.append(request)
        return left.pop(0)

    async def story() -> Sound:
        config = load(f'[card]\nsimulate = true\n[status]\nsocket = "{path}"\n')
        async with control.serve(path, answering):
            return await asyncio.to_thread(sound, config, status, unwanted, aloud=aloud)

    return asyncio.run(story()), asked


def test_a_box_that_hears_itself_is_asked_once(tmp_path: Path) -> None:
    found, asked = at_a_box(tmp_path, told(WELL))
    assert (found.sounding, found.judged, found.changed, found.refused) == (WELL, "as ever", False, "")
    assert asked == [control.Chirp(aloud=True)]


def test_a_voice_that_spoils_a_chirp_is_not_believed(tmp_path: Path) -> None:
    found, asked = at_a_box(tmp_path, told(UNHEARD), told(WELL, "louder", warning=True), told(WELL))
    assert (found.sounding, found.judged, found.changed) == (WELL, "as ever", False)
    assert len(asked) == TRIES


def test_what_stays_wrong_is_believed(tmp_path: Path) -> None:
    found, _ = at_a_box(tmp_path, *[told(UNHEARD, "not any more", warning=True)] * TRIES)
    assert (found.sounding, found.judged, found.changed) == (UNHEARD, "not any more", True)


def test_a_microphone_that_is_dead_is_not_chirped_at_again(tmp_path: Path) -> None:
    found, asked = at_a_box(tmp_path, told(replace(UNHEARD, still=True), "it is dead", warning=True))
    assert found.sounding
    assert (found.sounding.still, len(asked)) == (True, 1)


def test_a_box_that_is_to_be_silent_is_told_so(tmp_path: Path) -> None:
    silent = replace(UNHEARD, aloud=False)
    found, asked = at_a_box(tmp_path, {"sounding": msgspec.to_builtins(silent)}, aloud=False)
    assert (found.sounding, found.judged, asked) == (silent, "", [control.Chirp(aloud=False)])


def test_a_box_that_refuses_says_why_and_one_that_says_something_else_is_not_believed(tmp_path: Path) -> None:
    found, _ = at_a_box(tmp_path, {"ok": False, "error": "it is in call"})
    assert (found.sounding, found.refused, found.microphone_dbfs) == (None, "it is in call", -60.0)
    found, _ = at_a_box(tmp_path, {"sounding": {"figures": 1}})
    assert found.sounding is None
    assert found.refused


def test_a_box_without_a_card_is_not_asked(tmp_path: Path) -> None:
    found, asked = at_a_box(tmp_path, status={"card": None, "fault": "the card is gone"})
    assert (found.trouble, asked) == ("the card is gone", [])


def test_who_calls_between_two_chirps_leaves_nothing_to_be_believed(tmp_path: Path) -> None:
    found, _ = at_a_box(tmp_path, told(UNHEARD), {"ok": False, "error": "it is in call"})
    assert (found.sounding, found.refused) == (None, "it is in call")
