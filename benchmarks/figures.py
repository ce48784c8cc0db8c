"""Computes an experiment's latencies from its recording alone; importing the program makes it fail.

    python -m benchmarks.figures FOLDER      one JSON object: for each figure what was measured each time, in ms

voice_to_silence      from the onset at the microphone to the first silent sample of the loudspeaker
button_to_silence     from the edge of the button
drop_to_silence       from the call of drop, in a bare program: the floor, which no program can beat
decision_to_silence   from the moment at which a voice, or in a bare program the caller, made it plain
stop_to_silence       from the moment at which the card was stopped
heard_error           what the program told was heard, less how far into the reply the loudspeaker had come

Onset: the first 10 ms frame within 20 dB of the utterance's level. A latency is negative when it was silent before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recording import Cut, Recording, read
from edgevoice_measure import Unmeasurable, heard_samples, last_sounding, onset

Samples = NDArray[np.int16]
Figures = dict[str, list[float]]

BEFORE_S = 1.0  # nobody falls silent so long before the reason
AFTER_S = 15.0  # longer than any reply: one that was not interrupted counts to its end
SAME_S = 0.1  # a drop farther from the silence than this made another one


def measure(recording: Recording) -> Figures:
    """Return every figure of the recording, one value for each cut that has it."""
    figures: Figures = {}
    for cut in recording.cuts:
        for name, value in _measure(recording, cut):
            figures.setdefault(name, []).append(round(value, 3))
    return figures


def _measure(recording: Recording, cut: Cut) -> Iterable[tuple[str, float]]:
    ms = 1000 / recording.rate
    cause = _cause(recording, cut)
    silence = silent_at(recording.speaker, cause, recording.rate)
    yield f"{cut.what}_to_silence", (silence - cause) * ms
    if cut.decided_at is not None:
        yield "decision_to_silence", (silence - cut.decided_at) * ms
    stop = min(recording.drops, key=lambda drop: abs(drop - silence), default=None)
    if stop is not None and abs(stop - silence) < SAME_S * recording.rate:
        yield "stop_to_silence", (silence - stop) * ms
    if cut.claimed_ms is not None and recording.reply is not None:
        start = max(0, silence - round(BEFORE_S * recording.rate))
        heard = heard_samples(recording.speaker, start, silence, recording.reply)
        if heard is not None:
            yield "heard_error", cut.claimed_ms - heard * ms


def _cause(recording: Recording, cut: Cut) -> int:
    """Return the first sample of the onset, or the moment itself."""
    if cut.until is None:
        return cut.at
    begun = onset(recording.microphone[cut.at : cut.until], recording.rate)
    if begun is None:
        raise Unmeasurable(f"the microphone hears nothing from {cut.at} to {cut.until}, expected a voice")
    return cut.at + begun


def silent_at(speaker: Samples, cause: int, rate: int) -> int:
    """Return the first silent sample of what sounded when, or shortly before, it was to stop."""
    first = max(0, cause - round(BEFORE_S * rate))
    last = last_sounding(speaker[first : cause + round(AFTER_S * rate)], cause - first)
    if last is None:
        raise Unmeasurable(f"nothing sounds around sample {cause}, expected something to interrupt")
    return first + last + 1


def round_trips(log: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return for each turn of a service's log the ms from its end being told to `response.create` coming in."""
    asked = [line["at"] for line in log if (line["from"], line["type"]) == ("client", "response.create")]
    told = [line["at"] for line in log if (line["from"], line["type"]) == ("server", "input_audio_buffer.committed")]
    waits = ((min((at for at in asked if at >= turn), default=None), turn) for turn in told)
    return [round((at - turn) * 1000, 3) for at, turn in waits if at is not None]


def main(arguments: Sequence[str] | None = None) -> int:
    sys.modules["edgevoice"] = None  # type: ignore[assignment]  # from here on, importing it fails
    parser = argparse.ArgumentParser("benchmarks.figures", description="Print what a recording shows.")
    parser.add_argument("folder", type=Path)
    try:
        print(json.dumps(measure(read(parser.parse_args(arguments).folder))))
    except Unmeasurable as error:
        print(f"benchmarks.figures: {error}", file=sys.stderr)
        return 65  # EX_DATAERR of sysexits.h
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
