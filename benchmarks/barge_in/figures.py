"""What a session shows, from its recording alone; nothing of edgevoice is imported, so it cannot flatter itself.

    python -m benchmarks.barge_in.figures FOLDER ...      an outcome a line, of sessions that were kept

agent_s          seconds in which the loudspeaker sounded (the agent never says an exact 0)
false            `BargedIn` while nobody had spoken
confirmed        from the onset to `BargedIn`; missed: none within 800 ms
silence          from the onset to the last sample of that response that left the loudspeaker
lost speech      10 ms frames of the utterance, within 20 dB of its level, that are 20 dB fainter in the uplink
lost, repeated   samples of a response that are missing, or come twice, in the loudspeaker's recording
heard            what `BargedIn` tells of it, less the samples of the response that left the loudspeaker
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.barge_in.record import Happened, Record, Spoken, read
from benchmarks.barge_in.resumed import Continued, continued
from benchmarks.onset import ONSET_DB, level_dbfs

Samples = NDArray[np.int16]

MISSED_S = 0.8
EARLY_S = 10.0  # of a session: the canceller is cold
BELOW_DB = 20.0  # what is so much fainter in the uplink than at the microphone was not sent
CANCELLER_FRAMES = 2  # a canceller may send a frame so many later


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What became of one interruption; None: it never happened. `early`: in the session's first seconds."""

    confirmed_ms: float | None
    silence_ms: float | None
    lost_ms: float
    early: bool

    @property
    def missed(self) -> bool:
        return self.confirmed_ms is None or self.confirmed_ms > MISSED_S * 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one session shows."""

    condition: str
    planned: int  # interruptions; a policy that interrupts itself all the time leaves no room for them
    agent_s: float
    suspicions: int  # while nobody spoke
    false: int
    early_agent_s: float
    early_false: int
    continued: Continued
    heard_errors_ms: tuple[float, ...]
    interrupted: tuple[Interrupted, ...]
    unsent: int  # samples captured that never left


def measure(record: Record) -> Outcome:
    sounds = record.speaker != 0
    early = round(EARLY_S * record.rate)
    alone = [event for event in record.events if not _spoken_over(record, event.at)]
    false = [event for event in alone if event.what == "BargedIn"]
    return Outcome(
        condition=record.condition,
        planned=record.planned,
        agent_s=float(sounds.sum()) / record.rate,
        suspicions=sum(event.what == "Suspected" for event in alone),
        false=len(false),
        early_agent_s=float(sounds[:early].sum()) / record.rate,
        early_false=sum(event.at < EARLY_S for event in false),
        continued=_continued(record),
        heard_errors_ms=tuple(_heard_errors(record)),
        interrupted=tuple(_interrupted(record, spoken) for spoken in record.spoken),
        unsent=record.captured - len(record.uplink),
    )


def _spoken_over(record: Record, at: float) -> bool:
    """Whether somebody speaks, or spoke so shortly before that it may be meant."""
    return any(
        spoken.first <= at * record.rate <= spoken.first + len(spoken.pcm) + MISSED_S * record.rate
        for spoken in record.spoken
    )


def _interrupted(record: Record, spoken: Spoken) -> Interrupted:
    onset = spoken.onset / record.rate
    confirmed = next(
        (
            event
            for event in record.events
            if (event.what, event.response) == ("BargedIn", spoken.response) and event.at * record.rate >= spoken.first
        ),
        None,
    )
    silent = _silent_at(record, spoken.response) if confirmed else None
    return Interrupted(
        confirmed_ms=round((confirmed.at - onset) * 1000, 2) if confirmed else None,
        silence_ms=None if silent is None else round((silent - onset) * 1000, 2),
        lost_ms=_lost_ms(record, spoken),
        early=onset < EARLY_S,
    )


def _silent_at(record: Record, response: str) -> float:
    """Return when the last sample of `response` was over."""
    first, end = _place(record, response)
    sounding = np.flatnonzero(record.speaker[first:end])
    return _captured_at(record, first + int(sounding[-1]) + 1) if len(sounding) else first / record.rate


def _continued(record: Record) -> Continued:
    """Look at each response that was taken back."""
    paused = dict.fromkeys(event.response for event in record.events if event.what == "TakenBack")
    found = Continued()
    for name in paused:
        first, end = _place(record, name)
        found += continued(record.speaker[first:end], record.responses[name], record.rate)
    return found


def _heard_errors(record: Record) -> Iterator[float]:
    for event in record.events:
        if event.what == "BargedIn" and event.heard_ms is not None:
            first, end = _place(record, event.response)
            yield round(event.heard_ms - 1000 * int(np.count_nonzero(record.speaker[first:end])) / record.rate, 3)


def _place(record: Record, response: str) -> tuple[int, int]:
    """Return the frames of the loudspeaker from the order to play `response` to that for the next one."""
    plays = [event for event in record.events if event.what == "Play"] + [Happened(record.captured / record.rate, "")]
    begin, after = next((one, two) for one, two in pairwise(plays) if one.response == response)
    return _frame(record, begin.at), _frame(record, after.at)


def _frame(record: Record, at: float) -> int:
    return int(at * record.rate * (1 + record.drift_ppm * 1e-6))


def _captured_at(record: Record, frame: int) -> float:
    return frame / record.rate / (1 + record.drift_ppm * 1e-6)


def _lost_ms(record: Record, spoken: Spoken) -> float:
    size = record.rate // 100
    said = _powers(spoken.pcm, size)
    first = spoken.first
    sent = _powers(record.uplink[first : first + len(spoken.pcm) + CANCELLER_FRAMES * size], size)
    sent = np.pad(sent, (0, max(0, len(said) + CANCELLER_FRAMES - len(sent))))
    sent = np.max([sent[late : late + len(said)] for late in range(CANCELLER_FRAMES + 1)], axis=0)
    loud = said >= 32768.0**2 * 10 ** ((level_dbfs(spoken.pcm, record.rate) - ONSET_DB) / 10)
    return 10.0 * float(np.sum(loud & (sent < said * 10 ** (-BELOW_DB / 10))))


def _powers(x: Samples, size: int) -> NDArray[np.float64]:
    powers: NDArray[np.float64] = (x[: len(x) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    return powers


def percentile(values: Sequence[float | None], percent: float) -> float:
    """Return the smallest value that is not exceeded by that share; what never happened is infinite."""
    ordered = sorted(float("inf") if value is None else value for value in values)
    if not ordered:
        return float("nan")
    return ordered[max(0, int(np.ceil(percent / 100 * len(ordered))) - 1)]


def main(folders: Sequence[str]) -> None:
    sys.modules["edgevoice"] = None  # type: ignore[assignment]  # from here on, importing it fails
    for folder in folders:
        print(json.dumps(asdict(measure(read(Path(folder))))))


if __name__ == "__main__":
    main(sys.argv[1:])
