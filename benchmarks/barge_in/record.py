"""What is kept of a session: both sides of the card, what was sent, what ought to have happened, what did.

session.npz    speaker (by the playback's clock), uplink, every response, every utterance at the microphone
session.json   the rest; moments are seconds of the capture's clock since the first frame
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of the card, or a response given to it (`Play`)."""

    at: float
    what: str
    response: str = ""
    heard_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """Somebody talked over the agent: `first` is the first sample of `pcm`, `onset` that of the voice, by capture."""

    first: int
    onset: int
    pcm: Samples
    response: str  # which sounded then, or should have


@dataclass
class Record:
    """One session under one policy."""

    rate: int
    condition: str
    drift_ppm: float
    speaker: Samples
    uplink: Samples
    captured: int  # samples read from the microphone
    responses: dict[str, Samples]  # by name, in order
    spoken: list[Spoken]
    events: list[Happened]
    planned: int = 0  # interruptions that were to be
    facts: dict[str, float] = field(default_factory=dict)


def write(folder: Path, record: Record) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"speaker": record.speaker, "uplink": record.uplink}
    arrays |= {f"response {name}": pcm for name, pcm in record.responses.items()}
    arrays |= {f"spoken {number}": spoken.pcm for number, spoken in enumerate(record.spoken)}
    np.savez(folder / "session.npz", **arrays)  # type: ignore[arg-type]
    rest: dict[str, Any] = {
        name: getattr(record, name) for name in ("rate", "condition", "drift_ppm", "captured", "planned", "facts")
    }
    rest["spoken"] = [(spoken.first, spoken.onset, spoken.response) for spoken in record.spoken]
    rest["events"] = [asdict(event) for event in record.events]
    (folder / "session.json").write_text(json.dumps(rest))


def read(folder: Path) -> Record:
    rest = json.loads((folder / "session.json").read_text())
    with np.load(folder / "session.npz") as arrays:
        responses = {name.removeprefix("response "): arrays[name] for name in arrays if name.startswith("response ")}
        spoken = [
            Spoken(first, onset, arrays[f"spoken {number}"], response)
            for number, (first, onset, response) in enumerate(rest.pop("spoken"))
        ]
        events = [Happened(**event) for event in rest.pop("events")]
        return Record(
            speaker=arrays["speaker"],
            uplink=arrays["uplink"],
            responses=responses,
            spoken=spoken,
            events=events,
            **rest,
        )
