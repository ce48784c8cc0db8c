"""`edgevoice ctl say`: recordings on a box that rests, over an agent, in a loop, and on a line."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.resample import Resampler
from edgevoice.drivers.wav import write_wav
from tests.e2e.box import ROOT, RunningBox, last_sound, likeness, voice
from tests.e2e.lines import wait
from tests.e2e.telephone import Telephone, boxed
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

RATE = 48_000
TRIES = 3  # from one process to another and back, on a machine that is shared
CHIME_HZ = 1000
PART_S = 0.02
BUFFER_MS = 500  # a card that runs dry clicks


def chime(folder: Path, seconds: float, rate: int = 16_000) -> str:
    """Write a pure tone, which nobody confuses with a voice; return the file's name."""
    sound = np.rint(6000 * np.sin(2 * np.pi * CHIME_HZ * np.arange(round(seconds * rate)) / rate)).astype(np.int16)
    write_wav(folder / "chime.wav", sound, rate)
    return str(folder / "chime.wav")


def chimes_s(sound: Samples, rate: int) -> float:
    """Return for how long it chimes, pauses between left out."""
    return float(np.count_nonzero(_chiming(_parts(sound, rate), rate)) * PART_S)


def sounds_otherwise_s(sound: Samples, rate: int) -> float:
    """Return for how long something else sounds once it has begun to chime."""
    parts = _parts(sound, rate)
    chiming, loud = _chiming(parts, rate), (parts**2).mean(axis=1) > 300**2
    return float(np.count_nonzero((loud & ~chiming)[np.argmax(chiming) :]) * PART_S)


def _parts(sound: Samples, rate: int) -> NDArray[np.float64]:
    size = round(rate * PART_S)
    return sound[: len(sound) // size * size].reshape(-1, size).astype(np.float64)


def _chiming(parts: NDArray[np.float64], rate: int) -> NDArray[np.bool_]:
    size = parts.shape[1]
    found = np.abs(parts @ np.exp(-2j * np.pi * CHIME_HZ * np.arange(size) / rate)) ** 2
    return np.asarray(2 * found > 0.9 * size * ((parts**2).sum(axis=1) + size))


def clicks(sound: Samples, rate: int) -> int:
    """Count what in a chime is no pure tone, but for where it begins and ends."""
    first, last = np.flatnonzero(np.abs(sound) > 100)[[0, -1]]
    inside = sound[first + rate // 100 : last - rate // 100].astype(np.float64)
    step = 2 * np.cos(2 * np.pi * CHIME_HZ / rate) * inside[1:-1] - inside[:-2] - inside[2:]
    return int(np.count_nonzero(np.abs(step) > 50))


def ctl(box: RunningBox, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgevoice", "ctl", "-c", str(box.configuration), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_box_that_rests_says_it_to_its_end_and_rests_again(tmp_path: Path) -> None:
    with World(rate=RATE) as world, RunningBox(world, buffer_ms=BUFFER_MS) as box:
        box.wait_until_awake()
        since = world.now()
        assert "chime.wav" in ctl(box, "say", chime(tmp_path, 3.5)).stdout
        status = box.wait_for_turn("announcing")
        assert status["light"] == "long on, short off"
        box.wait_for_state("idle")
        said = box.speaker(since)  # the tone of the end, too: it is fainter, and of another pitch
        assert 3.4 < chimes_s(said, RATE) < 3.6
        only = said[: np.flatnonzero(np.abs(said) > 5000)[-1]]
        assert clicks(only, RATE) == 0
        assert ctl(box, "say", str(tmp_path / "nowhere.wav")).returncode == 1
        assert box.status()["state"] == "idle"


def test_a_loop_sounds_until_hush_or_a_press(tmp_path: Path) -> None:
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.wait_until_awake()
        for stop in (lambda: ctl(box, "hush"), box.tap):
            for _ in range(TRIES):
                since = world.now()
                box.ask(do="say", path=chime(tmp_path, 0.5), loop=True)
                box.wait_for_sound(since)
                box.pause(1.2)
                stop()
                stopped = world.now()
                box.wait_for_state("idle")
                box.hear_out(world.time(since))
                assert chimes_s(box.speaker(since), RATE) > 1.0
                chimed_on = last_sound(np.where(np.abs(box.speaker(stopped)) > 4000, 1, 0).astype(np.int16)) / RATE
                if chimed_on < 0.2:
                    break
            assert chimed_on < 0.2


def test_at_once_the_parrot_falls_silent_and_later_it_is_heard_out(tmp_path: Path) -> None:
    question = voice("question", RATE)
    with World(rate=RATE) as world, RunningBox(world) as box:
        box.call()
        box.wait_for_sound(box.say(question) + len(question))
        box.pause(0.5)
        since = world.now()
        box.ask(do="say", path=chime(tmp_path, 1.5), now=True)
        wait(lambda: chimes_s(box.speaker(since), RATE) > 1.4, "the chime")
        assert box.wait_for_turn("listening")
        box.hear_out(world.time(since))
        assert 1.4 < chimes_s(box.speaker(since), RATE) < 1.6
        assert sounds_otherwise_s(box.speaker(since), RATE) < 0.1, "the parrot does not go on"
        replied_at = box.wait_for_sound(box.say(question) + len(question))
        box.ask(do="say", path=chime(tmp_path, 0.5))
        box.wait_for_turn("listening")
        box.hear_out(world.time(replied_at))
        reply = box.speaker(replied_at)
        assert likeness(Resampler(RATE, 16_000).process(reply), voice("question"), 16_000) > 0.9
        assert 0.4 < chimes_s(reply[round(len(question) * 0.7) :], RATE) < 0.6, "in its turn, behind the reply"


def test_on_the_line_the_caller_hears_it_and_the_room_does_not(tmp_path: Path) -> None:
    with World(rate=RATE) as world, boxed(world) as box:
        box.wait_until_awake()
        with Telephone.calling(tmp_path / "a", "elks", box) as caller:
            box.wait_for_state("ringing")
            early = ctl(box, "say", chime(tmp_path, 1.0), "--to", "elks-1")
            assert (early.returncode, "nothing can be played" in early.stderr) == (1, True)
            box.tap()
            box.wait_for_turn("listening")
            box.pause(0.5)
            since, began = world.now(), time.monotonic()
            box.ask(do="say", path=chime(tmp_path, 3.5), to="elks-1", now=True)
            box.pause(6.0)
            assert chimes_s(box.speaker(since), RATE) == 0
            box.ask(do="say", path=chime(tmp_path, 1.0), to="elks-1", loop=True)
            looped = time.monotonic()
            box.pause(3.5)
            box.ask(do="hush", to="elks-1")
            hushed = time.monotonic()
            box.pause(1.0)
            box.ask(do="say", path=chime(tmp_path, 0.5), to="card")
            wait(lambda: chimes_s(box.speaker(since), RATE) > 0.4, "the chime in the room")
            box.hear_out(world.time(since))
            assert 0.4 < chimes_s(box.speaker(since), RATE) < 0.6
            box.tap()
            figures = caller.wait_for_the_end()
    assert figures["violations"] == []
    heard, rate = caller.heard_since(began), caller.heard()[1]
    assert 3.4 < chimes_s(heard[: round((looped - began) * rate)], rate) < 3.6
    assert chimes_s(heard[round((looped - began) * rate) :], rate) > 2.0
    assert chimes_s(heard[round((hushed - began + 0.9) * rate) :], rate) == 0
