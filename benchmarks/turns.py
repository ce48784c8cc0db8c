"""The price of owning the turn: the service tells that the person has finished, and waits for our `response.create`.

A service that creates the response by itself would wait 0 ms. Source: edgevoice/agents/openai.py.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import speech
from benchmarks.figures import round_trips
from benchmarks.interruptions import EACH_S, RATE, ROOM_DBFS, VAD_DBFS, Person, boxed
from tests.e2e.agent_service import OPENAI, AgentService
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

ONE_WAY_MS = 40  # so that the service is 80 ms away
ANSWER_S = 0.6


def measure(said: Sequence[Samples], *, turns: int, seed: int) -> list[float]:
    """Take so many turns; return how long the service waited in each."""
    with (
        tempfile.TemporaryDirectory() as log,
        World(rate=RATE, seconds=30 + turns * EACH_S) as world,
        AgentService(
            OPENAI,
            Path(log),
            speech.reply(24_000)[: round(ANSWER_S * 24_000)],
            *("--vad-dbfs", VAD_DBFS, "--delay-ms", str(ONE_WAY_MS)),
        ) as service,
        boxed(world, service) as box,
    ):
        world.air[:] = speech.room(len(world.air), RATE, ROOM_DBFS)
        box.call()
        person = Person(box, said, random.Random(seed))
        for _ in range(turns):
            person.ask()
        box.pause(2 * ONE_WAY_MS / 1000 + 0.5)
        return round_trips(service.lines())
