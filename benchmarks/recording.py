"""What is kept of an experiment: both sides of the virtual card, and what ought to have silenced it, when.

speaker.wav, microphone.wav   sample aligned, from the beginning of the world
reply.wav                     what the agent says, whole, in every reply
events.json                   the cuts and the card's drops; positions are samples of the recordings
"""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevoice_measure import read_wav

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Cut:
    """Something that ought to silence the loudspeaker."""

    what: str  # "voice", "button" or "drop"
    at: int  # the utterance's first sample; the edge of the button; the call of drop
    until: int | None = None  # of an utterance: the first sample behind it
    decided_at: int | None = None  # from here on it could be known
    claimed_ms: float | None = None  # how much of the reply the program says was heard


@dataclass(frozen=True, slots=True)
class Recording:
    """One experiment. `drops` are the moments at which the card was told to fall silent."""

    rate: int
    speaker: Samples
    microphone: Samples
    cuts: Sequence[Cut]
    drops: Sequence[int] = ()
    reply: Samples | None = None


def write(folder: Path, recording: Recording) -> None:
    """Write the files, over those of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    sounds = {"speaker": recording.speaker, "microphone": recording.microphone, "reply": recording.reply}
    for name, pcm in sounds.items():
        if pcm is not None:
            _write_wav(folder / f"{name}.wav", pcm, recording.rate)
    events = {"cuts": [asdict(cut) for cut in recording.cuts], "drops": list(recording.drops)}
    (folder / "events.json").write_text(json.dumps(events))


def read(folder: Path) -> Recording:
    """Read what `write` wrote. Raises Unmeasurable when a sound is missing or damaged."""
    speaker, rate = read_wav(folder / "speaker.wav")
    microphone, _ = read_wav(folder / "microphone.wav")
    reply = read_wav(folder / "reply.wav")[0] if (folder / "reply.wav").exists() else None
    events = json.loads((folder / "events.json").read_text())
    return Recording(rate, speaker, microphone, [Cut(**cut) for cut in events["cuts"]], events["drops"], reply)


def _write_wav(path: Path, pcm: Samples, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())
