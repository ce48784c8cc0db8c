"""Computes a conversation's figures from its recordings alone, so that the program cannot flatter itself.

It imports numpy and the standard library, never `edgevoice`: what was heard is read off the samples that left the
loudspeaker, and the program's own word (`events.jsonl`) is only ever compared with them.

    python -m edgevoice_measure FOLDER        one JSON object, from what is in FOLDER:

    person.wav       the people alone, as the microphone would hear them in a silent room
    microphone.wav   what it did hear, with echo and noise; sample aligned with person.wav and speaker.wav
    speaker.wav      what left the loudspeaker
    cleaned.wav      the microphone after echo cancellation, at any rate
    agent.wav        every reply as the agent sent it, at any rate, with silence between them
    events.jsonl     the experiment's script (who made what sound when, where in agent.wav each reply is), and what the
                     program says to have done

Rules
* A digital loudspeaker that says nothing plays exact zeros. Each passage between them is looked up in agent.wav: so it
  is known which sample of which reply stood before a silence, and which one after it. What is not found there is no
  reply (a chime).
* A person's onset is that of their own track: with an echo in the room, the microphone's level cannot tell it.
* Positions are samples since the first one of the recording. `silence` and `cut` are the first sample that is silent.
* An onset is rounded to the start of its 10 ms frame: early, so that a latency is never told too short.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples = NDArray[np.int16]
Flags = NDArray[np.bool_]

FULL_SCALE = 32768.0
BAD_DATA = 65  # EX_DATAERR of sysexits.h
FRAME_S = 0.010
VOICED_DB, ONSET_DB = 30.0, 20.0
PAUSE_S = (
    0.005  # zeros for longer than this part two passages: shorter than a period, longer than a faint sound is zero
)
WHOLE_S = 0.020  # a reply that was heard to within so much of its end was heard whole: it may end in faintness
SLACK_S = 0.5  # a pause that begins later than this after the person's last sound is not theirs
CLAIM_S = 1.0  # a claim that comes later than this after the silence belongs to something else
OVER_S = 0.8  # who speaks for so long over a reply ought to have interrupted it
HANG_S = 0.3  # a room's decay: that long after the person the microphone still hears them
SETTLED_S = 0.1  # of sound from the loudspeaker, until its echo is as loud as it gets
FADE_S = 0.005  # of a reply that goes on, the first gains a squared sine
TEMPLATE = 8192  # samples that are compared with the reference: 170 ms at 48 kHz, longer than any two words look alike
SHORTEST = 240  # fewer samples have no shape of their own
GAP = 240  # as many zeros in a row, 5 ms at 48 kHz, are fill silence
QUIET = 7200  # 150 ms at 48 kHz: longer than an underrun
COPY = 0.8  # correlation of what was not recorded but copied: 0.99 and more
ALIKE = 0.5  # correlation; the right place gives 0.9 and more, a wrong one in speech rarely above 0.3


class Unmeasurable(Exception):
    """The recordings are missing, damaged, or do not belong together: the message says which."""


class Stretch(NamedTuple):
    """The first and the last sample that sound."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """Samples [start, end) in which a person makes a sound; a cough has no `words`."""

    start: int
    end: int
    words: bool = True


class Said(NamedTuple):
    """Samples [first, end) of the agent's track are a reply, sent when the recording was at sample `since`."""

    first: int
    end: int
    since: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """Samples [start, end) of the loudspeaker, which are [origin, until) of the agent's track and so of one reply."""

    start: int
    end: int
    origin: float
    until: float
    reply: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What was heard of the reply that is [first, last) of the agent's track; between two passages there is a pause."""

    first: int
    last: int
    passages: tuple[Passage, ...]

    @property
    def start(self) -> int:
        return self.passages[0].start

    @property
    def silence(self) -> int:
        return self.passages[-1].end

    @property
    def heard(self) -> float:
        """Samples of it that were heard, from its beginning."""
        return self.passages[-1].until - self.first


@dataclass(frozen=True, slots=True)
class Recordings:
    """All (n,) at one `rate` but `cleaned`; `agent` is a track of its own."""

    rate: int
    person: Samples
    microphone: Samples
    speaker: Samples
    agent: Samples
    cleaned: Samples
    cleaned_rate: int


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


def sounding(x: Samples, rate: int, *, join_s: float = PAUSE_S) -> list[Stretch]:
    """Return where `x` sounds: stretches between zeros of more than `join_s`."""
    loud = np.flatnonzero(x)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) - 1 > join_s * rate)
    firsts, lasts = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]]
    return [Stretch(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


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


def powers(x: Samples, rate: int) -> NDArray[np.float64]:
    """Return the mean square of each 10 ms."""
    size = round(FRAME_S * rate)
    each: NDArray[np.float64] = (x[: len(x) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(axis=1)
    return each


def _dbfs(power: float) -> float:
    return 10 * math.log10(power / FULL_SCALE**2)


def _ratio(db: float) -> float:
    return math.pow(10.0, db / 10)


def _find_end(piece: Samples, reference: Samples) -> int | None:
    """Return the index in `reference` at which `piece` ends there, or None when it is not in it."""
    start = find(piece, reference)
    return None if start is None else min(round(start) + len(piece), len(reference))


def find(piece: Samples, reference: Samples, *, alike: float = ALIKE) -> float | None:
    """Return the index in `reference` at which `piece` begins there, to a fraction; None when it is not in it."""
    n, size = len(piece), 1 << (len(reference) + 3 * len(piece)).bit_length()
    # Zeros on both sides: what begins a little before the reference, or rings on behind it, is found too.
    padded = np.pad(reference.astype(np.float64), n)
    product = np.fft.rfft(padded, size) * np.conj(np.fft.rfft(piece.astype(np.float64), size))
    dots = np.fft.irfft(product, size)[: len(padded) - n + 1]
    sums = np.concatenate([[0.0], np.cumsum(padded**2)])  # whole numbers below 2**53: exact
    energy = (sums[n:] - sums[:-n]) * (piece.astype(np.float64) ** 2).sum()
    score = dots / np.sqrt(np.maximum(energy, 1.0))
    best = int(np.argmax(score))
    if score[best] < alike:
        return None
    before, top, after = (float(score[min(max(best + step, 0), len(score) - 1)]) for step in (-1, 0, 1))
    bend = before - 2 * top + after
    return best - n + (0.5 * (before - after) / bend if bend else 0.0)


# ------------------------------------------------------------------------------------------------------- replies


def replies(speaker: Samples, rate: int, agent: Samples, said: Sequence[Said]) -> list[Reply]:
    """Return what the loudspeaker says of `agent`, in which each reply is one of `said`, in order."""
    found: list[Passage] = []
    for first, last in sounding(speaker, rate):
        expected = round(found[-1].until) if found else 0
        origin, until = _places(speaker[first : last + 1], rate, agent, expected)
        reply = next((n for n, each in enumerate(said) if each.first <= (origin + until) / 2 < each.end), None)
        if reply is not None and first >= said[reply].since:  # a parrot says what it hears, a chime too
            late = max(0, round(said[reply].first - origin))  # a chime may come just before it
            found.append(Passage(first + late, last + 1, origin + late, until, reply))
    groups = groupby(found, lambda passage: passage.reply)
    return [Reply(said[number].first, said[number].end, tuple(group)) for number, group in groups]


def _places(x: Samples, rate: int, agent: Samples, expected: int) -> tuple[float, float]:
    """Return the indices in `agent` at which `x` would begin and at which it ends; NaN when it is not in it.

    What is too short to have a shape of its own is taken to go on at `expected`, where the last passage ended.
    """
    if len(x) < round(2 * FADE_S * rate):
        if not expected:
            return math.nan, math.nan
        begin = expected + _hidden(agent[expected:], rate)
        return begin, begin + len(x)
    shy = round(2 * FADE_S * rate) if len(x) > 4 * FADE_S * rate else 0  # what fades in has another shape
    start, last = (find(piece, agent, alike=COPY) for piece in (x[shy:][:TEMPLATE], x[shy:][-TEMPLATE:]))
    if last is None:
        return math.nan, math.nan
    until = last + min(len(x) - shy, TEMPLATE)
    return until - len(x) if start is None else start - shy, until


def _hidden(sent: Samples, rate: int) -> int:
    """Return how many samples of `sent` are played and cannot be seen when it fades in: they round to nothing."""
    size = round(FADE_S * rate)
    clear = np.flatnonzero(np.abs(sent[: 10 * size].astype(np.int32)) > 1)
    first = int(clear[0]) if len(clear) else 0
    fading = np.abs(sent[first : first + size].astype(np.float64))
    gains = np.sin(np.arange(len(fading)) / size * np.pi / 2) ** 2
    seen = np.flatnonzero(fading * gains >= 1)
    return first + (int(seen[0]) if len(seen) else 0)


def pauses(recorded: Recordings, found: Sequence[Reply], utterances: Sequence[Utterance]) -> list[dict[str, Any]]:
    """Return the silences within replies: who caused each, and what of the reply it cost."""
    return [
        _pause(recorded, before, after, utterances)
        for reply in found
        for before, after in pairwise(reply.passages)
        if not _silent_itself(recorded, before, after)
    ]


def _silent_itself(recorded: Recordings, before: Passage, after: Passage) -> bool:
    """Tell whether it was the agent that said nothing for so long, and not the loudspeaker."""
    sent = recorded.agent[round(before.until) : round(after.origin)]
    alike = abs((after.origin - before.until) - (after.start - before.end)) < 2
    return (
        alike and float(np.median(np.abs(sent.astype(np.int32)))) <= 1
    )  # resampled, it rings where it begins and ends


def _pause(recorded: Recordings, before: Passage, after: Passage, utterances: Sequence[Utterance]) -> dict[str, Any]:
    rate, speaker = recorded.rate, recorded.speaker
    by, begun = _cause(recorded, utterances, before.end, 0)
    missing = round(after.origin - before.until)
    hidden = _hidden(recorded.agent[round(before.until) :], rate)
    rising = speaker[after.start - 1 : after.start + rate // 1000].astype(np.int32)
    return {
        "from": round(before.end / rate, 6),
        "until": round(after.start / rate, 6),
        "ms": round((after.start - before.end) * 1000 / rate, 1),
        "cause": None if by is None else "words" if by.words else "cough",
        "onset_to_silence_ms": None if begun is None else round((before.end - begun) * 1000 / rate, 1),
        "lost_samples": max(0, missing - hidden),
        "repeated_samples": hidden - missing if missing < 0 else 0,
        "resume_step": int(np.abs(np.diff(rising)).max()),
        "agent_at": round(before.until / rate, 6),
        "agent_goes_on_at": round(after.origin / rate, 6),
        "reply": before.reply,
    }


def _cause(
    recorded: Recordings, utterances: Sequence[Utterance], silence: int, reply_start: int
) -> tuple[Utterance | None, int | None]:
    """Return who made a sound when the loudspeaker fell silent, and when they began to, over the reply.

    That may be later than the silence: a breath comes before the word, and is no onset.
    """
    for utterance in reversed(utterances):
        start = max(utterance.start, reply_start)
        if start < silence <= utterance.end + SLACK_S * recorded.rate:
            begun = onset(recorded.person[start : utterance.end], recorded.rate)
            if begun is not None:
                return utterance, start + begun
    return None, None


# ------------------------------------------------------------------------------------------------------ the echo


def echo(recorded: Recordings) -> dict[str, float | None]:
    """Return how loud the loudspeaker is at the microphone, and after cancellation, while nobody else is heard."""
    rate, hang = recorded.rate, round(HANG_S / FRAME_S)
    speaks, plays = powers(recorded.person, rate) > 0, powers(recorded.speaker, rate) > 0
    before, after = powers(recorded.microphone, rate), powers(recorded.cleaned, recorded.cleaned_rate)
    count = min(len(before), len(after), len(speaks))
    before, after, speaks, plays = before[:count], after[:count], speaks[:count], plays[:count]
    nobody = ~_spread(speaks, hang)
    alone = nobody & ~_spread(~plays, round(SETTLED_S / FRAME_S))
    noise = before[nobody & ~_spread(plays, hang)]
    noise_dbfs = round(_dbfs(noise.mean()), 1) if noise.any() else None
    if not before[alone].any() or not after[alone].any():
        return {"noise_dbfs": noise_dbfs, "echo_dbfs": None, "echo_left_dbfs": None, "echo_removed_db": None}
    loud = alone & (before >= before[alone].max() * _ratio(-VOICED_DB))
    echo_dbfs, left_dbfs = _dbfs(before[loud].mean()), _dbfs(after[loud].mean())
    return {
        "noise_dbfs": noise_dbfs,
        "echo_dbfs": round(echo_dbfs, 1),
        "echo_left_dbfs": round(left_dbfs, 1),
        "echo_removed_db": round(echo_dbfs - left_dbfs, 1),
    }


def _spread(flags: Flags, frames: int) -> Flags:
    """Let what is true stay true for so many frames, and begin one earlier."""
    if not len(flags):
        return flags
    spread: Flags = np.convolve(flags, np.ones(frames + 2))[1 : len(flags) + 1] > 0
    return spread


def _voice_dbfs(recorded: Recordings, utterances: Sequence[Utterance]) -> float | None:
    """Return the level of what is said, while it sounds."""
    said = [recorded.person[utterance.start : utterance.end] for utterance in utterances if utterance.words]
    power = powers(np.concatenate([np.zeros(0, np.int16), *said]), recorded.rate)
    voiced = power[power >= power.max(initial=1.0) * _ratio(-VOICED_DB)]
    return round(_dbfs(voiced.mean()), 1) if len(voiced) else None


# ------------------------------------------------------------------------------------------------ a conversation


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return what was said to have happened, a line each: an object that tells at least `at`, in seconds."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError as error:
        raise Unmeasurable(f"{path} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Unmeasurable(f"{path} cannot be read: {error}") from error
    return [_event(line, f"{path} line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def read_recordings(folder: Path) -> Recordings:
    microphone, rate = read_wav(folder / "microphone.wav")
    same = {}
    for name in ("person", "speaker"):
        same[name], its_rate = read_wav(folder / f"{name}.wav")
        if its_rate != rate:
            raise Unmeasurable(f"{name}.wav has {its_rate} Hz, expected the {rate} of microphone.wav")
        if len(same[name]) != len(microphone):
            count = len(same[name])
            raise Unmeasurable(f"{name}.wav has {count} samples, expected the {len(microphone)} of microphone.wav")
    agent, agent_rate = read_wav(folder / "agent.wav")
    cleaned, cleaned_rate = read_wav(folder / "cleaned.wav")
    return Recordings(
        rate,
        microphone=microphone,
        agent=resample(agent, agent_rate, rate),
        cleaned=cleaned,
        cleaned_rate=cleaned_rate,
        **same,
    )


def measure(folder: Path) -> dict[str, Any]:
    """Return the figures of the conversation that was recorded in `folder`. Of several moments: the worst."""
    recorded = read_recordings(folder)
    rate, speaker = recorded.rate, recorded.speaker
    events = read_events(folder / "events.jsonl")
    utterances = _utterances(events, rate)
    found = replies(speaker, rate, recorded.agent, _said(events, rate))
    each, unasked = _interruptions(recorded, found, utterances, events)
    silences = pauses(recorded, found, utterances)
    coughed = [silence["ms"] for silence in silences if silence["cause"] == "cough"]
    return {
        "rate": rate,
        "seconds": round(len(speaker) / rate, 3),
        "replies": len(found),
        "interruptions": len(each),
        "claimed_interruptions": sum(event.get("what") == "BargedIn" for event in events),
        "false_interruptions": unasked,
        "missed_interruptions": _missed(recorded, found, utterances),
        "speech_to_silence_ms": _worst(each, "speech_to_silence_ms", float),
        "speech_to_decision_ms": _worst(each, "speech_to_decision_ms", float),
        "heard_error_ms": _worst(each, "heard_error_ms", abs),
        "coughs": sum(not utterance.words for utterance in utterances),
        "cough_pause_ms": sum(coughed),
        "lost_samples": sum(silence["lost_samples"] for silence in silences),
        "repeated_samples": sum(silence["repeated_samples"] for silence in silences),
        "skipped_samples": _skipped(found),
        "resume_step": max((silence["resume_step"] for silence in silences), default=None),
        "false_pauses": sum(silence["cause"] is None for silence in silences),
        **echo(recorded),
        "voice_dbfs": _voice_dbfs(recorded, utterances),
        "each": each,
        "pauses": silences,
        "spoken": [[round(reply.start / rate, 6), round(reply.silence / rate, 6)] for reply in found],
    }


def _skipped(found: Sequence[Reply]) -> int:
    """Return how many samples are missing, or too many, where a reply sounds without a pause."""
    passages = [passage for reply in found for passage in reply.passages]
    return sum(abs(round(each.until - each.origin) - (each.end - each.start)) for each in passages)


def _interruptions(
    recorded: Recordings, found: Sequence[Reply], utterances: Sequence[Utterance], events: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], int]:
    """Return the replies that fell silent for good while somebody spoke over them, and how many did for nobody."""
    each, unasked = [], 0
    for reply in found:
        if reply.last - reply.first - reply.heard <= WHOLE_S * recorded.rate:
            continue
        by, begun = _cause(recorded, utterances, reply.silence, reply.start)
        if by is None or begun is None or not by.words:
            unasked += 1
        else:
            each.append(_figures(reply, begun, recorded.rate, events))
    return each, unasked


def _missed(recorded: Recordings, found: Sequence[Reply], utterances: Sequence[Utterance]) -> int:
    """Count who spoke over a reply for long, and was not listened to: it went on to its end."""
    count = 0
    for reply in found:
        if reply.last - reply.first - reply.heard <= WHOLE_S * recorded.rate:
            by, begun = _cause(recorded, utterances, reply.silence, reply.start)
            count += bool(by and by.words and begun and reply.silence - begun > OVER_S * recorded.rate)
    return count


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
    """Return when the room's people made a sound: that is the experiment's script, not the program's belief."""
    made = [event for event in events if event.get("who") == "person" and event.get("what") in ("speaks", "coughs")]
    for event in made:
        if not _is_number(event.get("until")):
            raise Unmeasurable(
                f"a person {event['what']} at {event['at']} s until {event.get('until')}, expected a number"
            )
    return [Utterance(round(it["at"] * rate), round(it["until"] * rate), it["what"] == "speaks") for it in made]


def _said(events: Sequence[Mapping[str, Any]], rate: int) -> list[Said]:
    """Return where in agent.wav each reply is."""
    said = [event for event in events if (event.get("who"), event.get("what")) == ("agent", "says")]
    for event in said:
        if not (_is_number(event.get("from_s")) and _is_number(event.get("until_s"))):
            raise Unmeasurable(f"the agent says something at {event['at']} s, expected from_s and until_s in agent.wav")
    return [Said(*(round(event[name] * rate) for name in ("from_s", "until_s", "at"))) for event in said]


def _figures(reply: Reply, onset_at: int, rate: int, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one interruption's figures, and what became of the first claim that can mean it."""
    begun, silent = onset_at / rate, reply.silence / rate
    heard_ms = reply.heard * 1000 / rate
    claims = [event for event in events if event.get("what") == "BargedIn"]
    claim = next((claim for claim in claims if min(begun, silent) <= claim["at"] <= silent + CLAIM_S), {})
    claimed_ms = claim["heard_ms"] if _is_number(claim.get("heard_ms")) else None
    return {
        "reply_at": round(reply.start / rate, 6),
        "onset_at": round(begun, 6),
        "decided_at": claim.get("at"),
        "silent_at": round(silent, 6),
        "speech_to_silence_ms": round((silent - begun) * 1000, 3),
        "speech_to_decision_ms": round((claim["at"] - begun) * 1000, 3) if claim else None,
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
    parser.add_argument("folder", type=Path, help="holds the recordings and events.jsonl")
    try:
        print(json.dumps(measure(parser.parse_args(arguments).folder), indent=2))
    except Unmeasurable as error:
        print(f"edgevoice_measure: {error}", file=sys.stderr)
        return BAD_DATA
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
