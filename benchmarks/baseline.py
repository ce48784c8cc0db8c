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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

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
    with running(folder, 30 + voices * EACH_S) as client:
        cuts = interrupt_by_voice(client, said, voices, random.Random(seed))
        keep(folder, client.world, cuts)


class Client:
    """The program `baseline_client` on a card of its own, told what to do."""

    def __init__(self, world: World, process: subprocess.Popen[str]) -> None:
        self.world = world
        self._process = process

    def tell(self, command: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return the next line that it prints."""
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def speak(self, sounded_s: float) -> None:
        """Let the agent begin its reply, and wait until it has sounded for so long."""
        since = self.world.now()
        self.tell("speak")
        give_up = time.monotonic() + PATIENCE_S
        while not self.world.spk[since : self.world.now()].any():
            if time.monotonic() > give_up or self._process.poll() is not None:
                raise RuntimeError("the agent does not speak; its client.log says why")
            pause(0.01)
        pause(sounded_s)

    def wait_for_silence(self, since: int) -> None:
        """Wait until the loudspeaker has been silent for SILENT_S."""
        quiet, world = round(SILENT_S * RATE), self.world
        while world.now() < since + quiet or world.spk[world.now() - quiet : world.now()].any():
            pause(0.02)


@contextmanager
def running(folder: Path, seconds: float, *options: str) -> Iterator[Client]:
    """Run it in a quiet room for at most so long; what it says on stderr is kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        World(rate=RATE, rates=(RATE, 48_000), seconds=seconds) as world,
        (folder / "client.log").open("w") as noise,  # PortAudio tells on stderr of each card that it does not find
    ):
        world.air[:] = speech.room(len(world.air), RATE, ROOM_DBFS)
        conf = Path(world.dir) / "portaudio.conf"
        conf.write_text(DEFAULT.format(conf=world.conf))
        env = world.env() | {"ALSA_CONFIG_PATH": str(conf)}
        command = [sys.executable, "-m", "benchmarks.baseline_client", *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": noise}
        with subprocess.Popen(command, env=env, text=True, **pipes) as process:  # type: ignore[call-overload]
            try:
                yield Client(world, process)
            finally:
                process.kill()


def interrupt_by_voice(client: Client, said: Sequence[Samples], voices: int, chance: random.Random) -> list[Cut]:
    """Talk over it so often, each time at another moment and with other words."""
    world, utterances, cuts = client.world, cycle(chance.sample(list(said), len(said))), []
    for _ in range(voices):
        client.speak(chance.uniform(*SOUNDED_S))
        utterance = next(utterances)
        begin = world.inject(utterance, time.monotonic() + 0.06)
        decided_at = world.index(client.answer()["interrupted_at"])
        cuts.append(Cut("voice", begin, begin + len(utterance), decided_at))
        client.wait_for_silence(max(decided_at, begin + len(utterance)))
    return cuts


def keep(folder: Path, world: World, cuts: Sequence[Cut]) -> None:
    """Write what both sides of the card have heard."""
    end = world.now()
    write(folder, Recording(RATE, world.spk[:end], world.air[:end], cuts))


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)
