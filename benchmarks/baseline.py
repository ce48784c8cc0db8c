"""The same interruption of the same reply on the same card, through the default audio interface of `elevenlabs`.

Its rate is 16 kHz, so the card offers that: PortAudio need not convert, and its probing of a converting PCM fails with
EINVAL (19.6 leaves `dir` of snd_pcm_hw_params_set_period_size_near uninitialised).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import speech
from benchmarks.interruptions import ROOM_DBFS, SOUNDED_S
from benchmarks.recording import Cut, Recording, write
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

RATE = 16_000
DEFAULT = "<{conf}>\npcm.!default {{ type asym playback.pcm speaker capture.pcm mic }}\n"
EACH_S = 6.0  # at most
SILENT_S = 0.6  # after an interruption, before the agent speaks again: what PortAudio holds has been played
PATIENCE_S = 10.0


def record(folder: Path, said: Sequence[Samples], *, voices: int, seed: int) -> None:
    """Interrupt it so often and keep what was heard in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        World(rate=RATE, rates=(RATE, 48_000), seconds=30 + voices * EACH_S) as world,
        (folder / "client.log").open("w") as noise,  # PortAudio tells on stderr of each card that it does not find
    ):
        world.air[:] = speech.room(len(world.air), RATE, ROOM_DBFS)
        conf = Path(world.dir) / "portaudio.conf"
        conf.write_text(DEFAULT.format(conf=world.conf))
        env = world.env() | {"ALSA_CONFIG_PATH": str(conf)}
        command = [sys.executable, "-m", "benchmarks.baseline_client"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": noise}
        with subprocess.Popen(command, env=env, text=True, **pipes) as client:  # type: ignore[call-overload]
            try:
                cuts = _interrupt(world, client, said, voices, random.Random(seed))
                end = world.now()
            finally:
                client.kill()
        write(folder, Recording(RATE, world.spk[:end], world.air[:end], cuts))


def _interrupt(
    world: World, client: subprocess.Popen[str], said: Sequence[Samples], voices: int, chance: random.Random
) -> list[Cut]:
    assert client.stdin
    assert client.stdout
    utterances = cycle(chance.sample(list(said), len(said)))
    cuts = []
    for _ in range(voices):
        since = world.now()
        client.stdin.write("speak\n")
        client.stdin.flush()
        _wait_until_it_sounds(world, since, client)
        _pause(chance.uniform(*SOUNDED_S))
        utterance = next(utterances)
        begin = world.inject(utterance, time.monotonic() + 0.06)
        decided_at = world.index(json.loads(client.stdout.readline())["interrupted_at"])
        cuts.append(Cut("voice", begin, begin + len(utterance), decided_at))
        _wait_for_silence(world, max(decided_at, begin + len(utterance)))
    return cuts


def _wait_until_it_sounds(world: World, since: int, client: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not world.spk[since : world.now()].any():
        if time.monotonic() > give_up or client.poll() is not None:
            raise RuntimeError("the baseline does not speak; its client.log says why")
        _pause(0.01)


def _wait_for_silence(world: World, since: int) -> None:
    """Wait until the loudspeaker has been silent for SILENT_S."""
    quiet = round(SILENT_S * RATE)
    while world.now() < since + quiet or world.spk[world.now() - quiet : world.now()].any():
        _pause(0.02)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
