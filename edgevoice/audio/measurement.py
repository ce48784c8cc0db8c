"""Reads off a recording of a sweep how the microphone hears the loudspeaker: how late, how loud, how clean.

    | quiet    | sweep         | tail |   then the spectra are divided (`sweep`), and the figures read off the response
      ^ noise    ^ clipping      ^ the last of the echo

Rules
* Nothing is believed that does not stand out of the noise.
* The delay is from the reference to the microphone: from the moment at which a frame leaves the card by its own count
  until it is captured. That is what an echo canceller must bridge.
* The echo is in dB against what is played; negative is quieter. The echo return loss (ITU-T G.122) is minus that.
* Distortion is the loudspeaker's: harmonics against the fundamental as both arrive, every octave alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import SILENCE_DBFS
from edgevoice.audio.recording import Recording
from edgevoice.audio.sweep import HIGHEST, Response, response

Samples = NDArray[np.int16]

EARLY_S = 0.02  # an echo may come so much before its reference, when the card's position is coarse
LAST_S = 0.5  # of the tail: only noise is expected there
NOISE_S = 0.3
DIRECT = 0.5  # of the loudest arrival: the first one of at least so much is the direct sound
ECHO_S = 0.3  # of the response: what is later is 30 dB down even in a hall
HARMONIC_S = 0.12  # the fourth and the fifth harmonic are 0.15 s apart
BEFORE_S = 0.005  # the direct sound begins before its peak
HEARD = 8.0  # times the noise: its own highest peak is at 4.3 in the 20,000 places that are looked at
CLEAR_DB = 10.0  # of the whole echo above its noise: the level is right within half a decibel
NOTICED = 1.5  # times the noise's power, which itself is known within a tenth: a harmonic
POLAR = 0.7  # of the envelope: a click whose phase is turned by less than 45 degrees has a polarity
BLOCK_S = 0.02  # the noise floor is the median of such: a click or a word does not count, and mains hum does
FULL = 16_384  # flat tops are looked for above -6 dBFS: some converters clip below full scale
FLAT = 3  # equal samples in a row at the very top: no sound has that by itself


@dataclass(frozen=True, slots=True)
class Heard:
    """The loudspeaker as the microphone hears it."""

    delay_ms: float
    echo_db: float
    polarity: int  # 1, or -1: one of both has its wires swapped; 0: neither shows
    distortion_percent: float | None  # None: not looked for
    clear_db: float  # the echo above the noise, after the sweep's gain
    loudest_dbfs: float  # the echo's peak, if the sweep were played as loud as can be; above 0 it would clip


@dataclass(frozen=True, slots=True)
class Figures:
    """What one or several recordings show. `heard` is None when the sweep did not come back."""

    heard: Heard | None
    noise_dbfs: float
    peak_dbfs: float
    clipped: int  # samples
    sweep_dbfs: float

    @property
    def clear(self) -> bool:
        return self.heard is not None and self.heard.clear_db >= CLEAR_DB


@dataclass(frozen=True, slots=True)
class Sounding:
    """What was captured around a chirp. `offset` is the mean of a sample, -1 to 1, `still` that all are the same.

    `disturbed`: the card lost frames. `aloud`: the chirp was played; else it was only listened.
    """

    figures: Figures
    offset: float
    still: bool
    disturbed: bool = False
    aloud: bool = True


def measured(
    recordings: Sequence[Recording], *, late_ms: float = 0.0, harmonics: bool = True
) -> tuple[Figures, Response | None]:
    """Read the figures off recordings of one and the same sweep; also return the response they share.

    `late_ms` is by how much the signals played were delayed on purpose, so that the echo seems to be earlier.
    """
    found = [response(each.sweep, each.played, each.captured, each.tail_s) for each in recordings]
    known = [each for each in found if each is not None]
    captured = [each.captured[round(each.quiet_s[1] * each.sweep.rate) :] for each in recordings]
    quiet = [_between(each.captured, each.quiet_s, each.sweep.rate) for each in recordings]
    mean = _mean(known) if known else None
    figures = Figures(
        heard=_heard(mean, recordings[0], late_ms, harmonics=harmonics) if mean else None,
        noise_dbfs=min(noise_floor(each, recordings[0].sweep.rate) for each in quiet),
        peak_dbfs=max(_peak_dbfs(each) for each in captured),
        clipped=max(clipped(each) for each in captured),
        sweep_dbfs=recordings[0].sweep.peak_dbfs,
    )
    return figures, mean


def sounded(figures: Figures, captured: Samples, *, disturbed: bool = False, aloud: bool = True) -> Sounding:
    """Add to the figures what `captured` (n,) shows at the card's own rate: where it is flat, still, or not around 0.

    No other rate will do: a resampler rounds the flat tops off.
    """
    return Sounding(
        figures=replace(figures, clipped=clipped(captured)),
        offset=float(captured.mean()) / 32768,
        still=bool((captured == captured[0]).all()),
        disturbed=disturbed,
        aloud=aloud,
    )


def noise_floor(quiet: Samples, rate: int) -> float:
    """Return the level of what is always there, in dBFS: an offset is no sound, and a word is not the floor."""
    size = round(BLOCK_S * rate)
    blocks = quiet[: len(quiet) // size * size].reshape(-1, size).astype(np.float64)
    if not len(blocks):
        return SILENCE_DBFS
    power = float(np.median(blocks.var(axis=1))) / 32768.0**2
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power else SILENCE_DBFS


def clipped(captured: Samples) -> int:
    """Count the samples in flat tops: at the very highest or lowest value, several in a row."""
    count = 0
    for top in (int(captured.max(initial=0)), int(captured.min(initial=0))):
        if abs(top) >= FULL:
            runs = np.diff(np.flatnonzero(np.diff(np.concatenate(([False], captured == top, [False])))))[::2]
            count += int(runs[runs >= FLAT].sum())
    return count


def _between(captured: Samples, span_s: tuple[float, float], rate: int) -> Samples:
    return captured[round(span_s[0] * rate) : round(span_s[1] * rate)]


def _peak_dbfs(captured: Samples) -> float:
    peak = int(np.abs(captured.astype(np.int32)).max(initial=0))
    return 20 * math.log10(peak / 32768) if peak else SILENCE_DBFS


def _mean(responses: Sequence[Response]) -> Response:
    """Average: what is always there stays, noise fades."""
    return replace(responses[0], analytic=np.mean([each.analytic for each in responses], axis=0))


def _heard(whole: Response, recording: Recording, late_ms: float, *, harmonics: bool) -> Heard | None:
    """Find the direct sound and measure what comes with it; None when nothing stands out of the noise."""
    noise_at_s = recording.tail_s - NOISE_S
    noise = float(np.sqrt(np.mean(whole.cut(noise_at_s, NOISE_S) ** 2)))
    start, stop = whole.index(-EARLY_S), whole.index(recording.tail_s - LAST_S)
    envelope = whole.envelope
    loudest = float(envelope[start:stop].max())
    if loudest <= max(HEARD * noise, 1e-9):
        return None
    peak = start + _first_peak(envelope[start:stop], DIRECT * loudest)
    begins_s = whole.lag_s(peak) - BEFORE_S
    spoilt = whole.power(noise_at_s, NOISE_S) * ECHO_S / NOISE_S
    power = max(whole.power(begins_s, ECHO_S) - spoilt, 1e-12)
    phase = float(whole.analytic[peak].real / envelope[peak])
    return Heard(
        delay_ms=late_ms + 1000 * whole.lag_s(peak + _between_samples(envelope, peak)),
        echo_db=10 * math.log10(power),
        polarity=0 if abs(phase) < POLAR else 1 if phase > 0 else -1,
        distortion_percent=_distortion_percent(whole, begins_s, noise_at_s) if harmonics else None,
        clear_db=10 * math.log10(power / max(spoilt, 1e-12)),
        loudest_dbfs=_louder_db(recording.played, whole.echo(recording.played, begins_s, ECHO_S)),
    )


def _first_peak(envelope: NDArray[np.float64], least: float) -> int:
    """Return where the first hill of at least this height has its top."""
    rises = int(np.argmax(envelope >= least))
    falls = np.flatnonzero(np.diff(envelope[rises:]) < 0)
    return rises + (int(falls[0]) if len(falls) else 0)


def _between_samples(envelope: NDArray[np.float64], peak: int) -> float:
    """Return how far from the sample `peak` the top is, -0.5 to 0.5, by a parabola."""
    if not 0 < peak < len(envelope) - 1:
        return 0.0
    before, top, after = envelope[peak - 1 : peak + 2]
    bend = before - 2 * top + after
    return float(min(max((before - after) / (2 * bend), -0.5), 0.5)) if bend else 0.0


def _louder_db(played: Samples, echo: NDArray[np.float64]) -> float:
    """Return how much higher the peak of the echo is than that of what was played."""
    highest = max(float(np.abs(echo).max()), 1e-9)
    return 20 * math.log10(highest / float(np.abs(played.astype(np.float64)).max()))


def _distortion_percent(whole: Response, begins_s: float, noise_at_s: float) -> float:
    """Return what the harmonics are of the fundamental: the root of the sum of their powers."""
    total = 0.0
    for order in range(2, HIGHEST + 1):
        noise = whole.power(noise_at_s, HARMONIC_S, order=order)
        harmonic = whole.power(begins_s - whole.sweep.ahead_s(order), HARMONIC_S, order=order)
        if harmonic > NOTICED * noise:
            total += (harmonic - noise) / whole.power(begins_s, HARMONIC_S, order=order)
    return 100 * math.sqrt(total)
