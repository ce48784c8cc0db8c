"""Computes a conversation's figures from its recordings alone, so that the program cannot flatter itself.

It imports numpy and the standard library, never `edgevoice`: what was heard is read off the samples that left the
loudspeaker, and the program's own word (`events.jsonl`) is only ever compared with them.

    python -m edgevoice_measure FOLDER        one JSON object, from FOLDER/{microphone.wav,speaker.wav,events.jsonl}

Rules
* A digital loudspeaker that says nothing plays exact zeros. What was recorded with a microphone has noise in it, so a
  reply is never exactly zero for long: zeros in it are fill silence, and are nobody's heard time.
* Positions are samples since the first one of the recording. `silence` and `cut` are the first sample that is silent.
* An onset is rounded to the start of its 10 ms frame: early, so that a latency is never told too short.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples = NDArray[np.int16]

BAD_DATA = 65  # EX_DATAERR of sysexits.h
JOIN_S = 0.150  # a network's hiccup inside a reply is shorter, the pause between two turns is longer
CHIME_S = 0.5  # no chime lasts longer
CHIME_GAP_S = 0.020  # chime and reply are told apart even when they follow each other closely
FILL_S = 0.008  # zeros for longer than this are fill silence: less than a period, longer than faint noise is all zero
FRAME_S = 0.010
PURE = 0.98  # share of a note's power in one line: 0.999 for a sine with fades, above this in 0.2 % of spoken scraps
VOICED_DB, ONSET_DB = 30.0, 20.0
CLAIM_S = 0.5  # a claim that comes later than this after the silence belongs to something else
TEMPLATE = 8192  # samples that are compared with the reference: 170 ms at 48 kHz, longer than any two words look alike
SHORTEST = 240  # fewer samples have no shape of their own
GAP = 240  # as many zeros in a row, 5 ms at 48 kHz, are fill silence
QUIET = 7200  # 150 ms at 48 kHz: longer than an underrun
ALIKE = 0.5  # correlation; the right place gives 0.9 and more, a wrong one in speech rarely above 0.3


class Unmeasurable(Exception):
    """The recordings are missing, damaged, or do not belong together: the message says which."""


class Stretch(NamedTuple):
    """The first and the last sample that sound."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """Samples [start, end) of the microphone in which a person's recording was played to it."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Interruption:
    """A reply that fell silent while a person was speaking over it."""

    reply: Stretch
    onset: int

    @property
    def silence(self) -> int:
        return self.reply.last + 1


# ------------------------------------------------------------------------------------------------- one recording


def read_wav(path: Path) -> tuple[Samples, int]:
    """Return the samples (n,) and their rate, of a 16-bit mono file."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                raise Unmeasurable(
                    f"{path} has {file.getnchannels()} channels of {8 * file.getsampwidth()} bits, expected mono of 16"
                )
            pcm = file.readframes(file.getnframes())
            return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.int16), file.getframerate()
    except FileNotFoundError as error:
        raise Unmeasurable(f"{path} is missing") from error
    except (OSError, EOFError, wave.Error) as error:
        raise Unmeasurable(f"{path} is not a WAV file: {error}") from error


def sounding(x: Samples, rate: int, *, join_s: float = JOIN_S, least_s: float = 0.0) -> list[Stretch]:
    """Return where `x` sounds: stretches between zeros of more than `join_s`, those of at least `least_s`."""
    loud = np.flatnonzero(x)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) - 1 > join_s * rate)
    firsts, lasts = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]]
    stretches = (Stretch(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True))
    return [stretch for stretch in stretches if stretch.last - stretch.first + 1 >= least_s * rate]


def replies(speaker: Samples, rate: int) -> list[Stretch]:
    """Return where somebody speaks from the loudspeaker: all that sounds, less the chimes."""
    spoken = speaker.copy()
    for first, last in sounding(speaker, rate, join_s=CHIME_GAP_S):
        if is_chime(speaker[first : last + 1], rate):
            spoken[first : last + 1] = 0
    return sounding(spoken, rate)


def is_chime(x: Samples, rate: int) -> bool:
    """Tell whether `x` is short, and most of the time one pure note at a time. A chord is none."""
    if len(x) > CHIME_S * rate:
        return False
    size = round(0.03 * rate)
    padded = np.pad(x.astype(np.float64), (0, max(0, size - len(x))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), 4 * size)) ** 2
    whole = power.sum(axis=1)
    bins = np.arange(power.shape[1])
    line = np.abs(bins - power.argmax(axis=1)[:, None]) <= 8  # the main lobe of a Hann window, padded fourfold
    shares = (power * line).sum(axis=1)[whole > 0] / whole[whole > 0]
    return bool(len(shares)) and float(np.median(shares)) >= PURE


def onset(x: Samples, rate: int) -> int | None:
    """Return the first sample of the first 10 ms frame within 20 dB of the utterance's level; None for silence.

    The level is the RMS of all voiced frames taken together; voiced is what lies within 30 dB of the loudest frame.
    """
    size = round(FRAME_S * rate)
    frames = x[: len(x) // size * size].reshape(-1, size).astype(np.float64)
    power = (frames**2).mean(axis=1)
    if not power.any():
        return None
    voiced = power[power >= power.max() * _ratio(-VOICED_DB)]
    return size * int(np.argmax(power >= voiced.mean() * _ratio(-ONSET_DB)))


def last_sounding(x: Samples, after: int, *, quiet: int = QUIET) -> int | None:
    """Return the last sample that sounds before the first `quiet` zeros that reach beyond `after`.

    That is before `after` when it was silent by then, and the very last one when it never falls silent; None when
    nothing has sounded before that silence.
    """
    loud = np.flatnonzero(x)
    if not len(loud) or loud[0] > after:
        return None
    nexts = np.append(loud[1:], max(len(x), after) + quiet + 1)
    return int(loud[(nexts - loud > quiet) & (nexts > after)][0])


def heard_count(speaker: Samples, rate: int, reply: Stretch) -> int:
    """Return how many samples of `reply` left the loudspeaker: its length without the fill silence in it."""
    loud = np.flatnonzero(speaker[reply.first : reply.last + 1])
    zeros = np.diff(loud) - 1
    return reply.last - reply.first + 1 - int(zeros[zeros > FILL_S * rate].sum())


def heard_samples(speaker: Samples, start: int, cut: int, reference: Samples) -> int | None:
    """Return how far into `reference` the loudspeaker had come when it fell silent at `cut`; None if that is unclear.

    `start` is where the response begins in `speaker`, or anywhere before it; `reference` has the speaker's rate and
    does not repeat itself. The last sound before the cut is looked up in the reference by normalised cross-correlation
    at any volume: exact to the sample when the card plays the very samples, to their difference when it resampled them.
    """
    loud = start + np.flatnonzero(speaker[start:cut])
    if not len(loud):
        return 0
    gaps = np.flatnonzero(np.diff(loud) > GAP)
    first, end = int(loud[gaps[-1] + 1] if len(gaps) else loud[0]), int(loud[-1]) + 1
    if end - first < SHORTEST:  # too short to be looked up: it follows upon what came before it
        before = heard_samples(speaker, start, int(loud[gaps[-1]]) + 1, reference) if len(gaps) else 0
        return None if before is None else before + end - first
    return _find_end(speaker[max(first, end - TEMPLATE) : end], reference)


def resample(x: Samples, rate: int, to: int) -> Samples:
    """Return all of `x` at the rate `to`, without delay, by cutting or extending its spectrum."""
    n = round(len(x) * to / rate)
    if not n:
        return np.empty(0, np.int16)
    y = np.fft.irfft(np.fft.rfft(x)[: n // 2 + 1], n) * (n / len(x))
    return np.clip(np.rint(y), -32768, 32767).astype(np.int16)


def percentiles(values: ArrayLike) -> dict[str, float | int]:
    """Return p50, p95, p99, max and n. Each was really measured: the least value that so many do not exceed."""
    measured = np.asarray(values, np.float64)
    if not measured.size:
        raise ValueError("no values, expected at least one")
    shares = {f"p{share}": float(np.percentile(measured, share, method="inverted_cdf")) for share in (50, 95, 99)}
    return {**shares, "max": float(measured.max()), "n": measured.size}


def _ratio(db: float) -> float:
    return math.pow(10.0, db / 10)


def _find_end(piece: Samples, reference: Samples) -> int | None:
    """Return the index in `reference` at which `piece` ends there, or None when it is not in it."""
    n, size = len(piece), 1 << (len(reference) + 3 * len(piece)).bit_length()
    # Zeros on both sides: what begins a little before the reference, or rings on behind it, is found too.
    padded = np.pad(reference.astype(np.float64), n)
    product = np.fft.rfft(padded, size) * np.conj(np.fft.rfft(piece.astype(np.float64), size))
    dots = np.fft.irfft(product, size)[: len(padded) - n + 1]
    sums = np.concatenate([[0.0], np.cumsum(padded**2)])  # whole numbers below 2**53: exact
    energy = (sums[n:] - sums[:-n]) * (piece.astype(np.float64) ** 2).sum()
    score = dots / np.sqrt(np.maximum(energy, 1.0))
    best = int(np.argmax(score))
    return min(best, len(reference)) if score[best] >= ALIKE else None


# ------------------------------------------------------------------------------------------------ a conversation


def interruptions(
    microphone: Samples, spoken: Sequence[Stretch], rate: int, utterances: Sequence[Utterance]
) -> list[Interruption]:
    """Return the replies that fell silent while a person was speaking over them, in order.

    The onset is that of the sound at the microphone, in the part of the utterance that falls upon the reply. What the
    loudspeaker says must not reach the microphone louder than 20 dB below the person.
    """

    def over(reply: Stretch) -> Iterator[Interruption]:
        for utterance in utterances:
            start = max(utterance.start, reply.first)
            if start <= reply.last < utterance.end:
                begun = onset(microphone[start : utterance.end], rate)
                if begun is not None and start + begun <= reply.last:
                    yield Interruption(reply, start + begun)

    found = (next(over(reply), None) for reply in spoken)
    return [interruption for interruption in found if interruption is not None]


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return what was said to have happened, a line each: an object that tells at least `at`, in seconds."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise Unmeasurable(f"{path} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Unmeasurable(f"{path} cannot be read: {error}") from error
    return [_event(line, f"{path} line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def measure(folder: Path) -> dict[str, Any]:
    """Return the figures of the conversation that was recorded in `folder`. Over several interruptions: the worst."""
    microphone, rate = read_wav(folder / "microphone.wav")
    speaker, speaker_rate = read_wav(folder / "speaker.wav")
    if speaker_rate != rate:
        raise Unmeasurable(f"speaker.wav has {speaker_rate} Hz, expected the {rate} of microphone.wav")
    if len(speaker) != len(microphone):
        raise Unmeasurable(f"speaker.wav has {len(speaker)} samples, expected the {len(microphone)} of microphone.wav")
    events = read_events(folder / "events.jsonl")
    spoken = replies(speaker, rate)
    found = interruptions(microphone, spoken, rate, _utterances(events, rate))
    claims = [event for event in events if event.get("what") == "BargedIn"]
    each = [_figures(interruption, speaker, rate, claims) for interruption in found]
    return {
        "rate": rate,
        "seconds": round(len(speaker) / rate, 3),
        "turns": len(spoken),
        "interruptions": len(each),
        "claimed_interruptions": len(claims),
        "mic_to_silence_ms": _worst(each, "mic_to_silence_ms", float),
        "drop_to_silence_ms": _worst(each, "drop_to_silence_ms", float),
        "heard_error_ms": _worst(each, "heard_error_ms", abs),
        "each": each,
        "replies": [[round(reply.first / rate, 6), round((reply.last + 1) / rate, 6)] for reply in spoken],
    }


def _event(line: str, where: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError as error:
        raise Unmeasurable(f"{where} is not JSON: {error}") from error
    if not isinstance(event, dict) or not _is_number(event.get("at")):
        raise Unmeasurable(f'{where} is {line[:60]}, expected an object with a number "at"')
    return event


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _utterances(events: Sequence[Mapping[str, Any]], rate: int) -> list[Utterance]:
    """Return when the room's people spoke: that is the experiment's script, not the program's belief."""
    spoke = [event for event in events if (event.get("who"), event.get("what")) == ("person", "speaks")]
    for event in spoke:
        if not _is_number(event.get("until")):
            raise Unmeasurable(f"a person speaks at {event['at']} s until {event.get('until')}, expected a number")
    return [Utterance(round(event["at"] * rate), round(event["until"] * rate)) for event in spoke]


def _figures(
    interruption: Interruption, speaker: Samples, rate: int, claims: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return one interruption's figures, and what became of the first claim that can mean it."""
    begun, silent = interruption.onset / rate, interruption.silence / rate
    heard_ms = heard_count(speaker, rate, interruption.reply) * 1000 / rate
    claim = next((claim for claim in claims if begun <= claim["at"] <= silent + CLAIM_S), {})
    claimed_ms = claim["heard_ms"] if _is_number(claim.get("heard_ms")) else None
    return {
        "reply_at": round(interruption.reply.first / rate, 6),
        "onset_at": round(begun, 6),
        "decided_at": claim.get("at"),
        "silent_at": round(silent, 6),
        "mic_to_silence_ms": round((silent - begun) * 1000, 3),
        "drop_to_silence_ms": round((silent - claim["at"]) * 1000, 3) if claim else None,
        "heard_ms": round(heard_ms, 3),
        "claimed_ms": claimed_ms,
        "heard_error_ms": None if claimed_ms is None else round(claimed_ms - heard_ms, 3),
    }


def _worst(each: Sequence[Mapping[str, Any]], name: str, badness: Callable[[float], float]) -> float | None:
    """Return the worst value, with its sign; None unless every interruption has one."""
    values = [figures[name] for figures in each]
    return None if not values or None in values else max(values, key=badness)


def main(arguments: Sequence[str] | None = None) -> int:
    sys.modules["edgevoice"] = None  # type: ignore[assignment]  # from here on, importing it fails
    parser = argparse.ArgumentParser("edgevoice_measure", description="Print a recorded conversation's figures.")
    parser.add_argument("folder", type=Path, help="holds microphone.wav, speaker.wav and events.jsonl")
    try:
        print(json.dumps(measure(parser.parse_args(arguments).folder), indent=2))
    except Unmeasurable as error:
        print(f"edgevoice_measure: {error}", file=sys.stderr)
        return BAD_DATA
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
