"""Compares what left the loudspeaker with what the agent said: is anything missing, or there twice, after a pause?

    response    |============================================================|
    loudspeaker |==================|            |fade|=======================|
                            last = the sample before    where does it begin?

What follows a pause is found in the response sample by sample; a fade-in of 5 ms is compared with one that begins right
behind the last sample before the pause, and if it is not that one, with those that begin elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

FADE_S = 0.005
PAUSE_S = 0.006  # shorter ones are the beginning of a fade, or silence in the response
PROBE_S = 0.025  # so much in a row is equal at one place only
NEAR_S = 1.0  # what was lost or repeated is less


@dataclass(frozen=True, slots=True)
class Continued:
    """After how many pauses a response went on, and what became of its samples; unclear: too short to say."""

    pauses: int = 0
    lost: int = 0
    repeated: int = 0
    unclear: int = 0

    def __add__(self, other: Continued) -> Continued:
        return Continued(
            self.pauses + other.pauses,
            self.lost + other.lost,
            self.repeated + other.repeated,
            self.unclear + other.unclear,
        )


def continued(sound: Samples, response: Samples, rate: int) -> Continued:
    """Compare `sound` (n,), the loudspeaker from before the response to after it, with `response` (m,), without a 0."""
    found = Continued()
    following: int | None = 0  # the index in `response` of the sample that comes next
    for number, (first, end) in enumerate(_stretches(sound, rate)):
        begins = _begins(sound, first, end, response, following, rate)
        pause = int(number > 0)
        if begins is None or following is None:
            found += Continued(pauses=pause, unclear=1)
        else:
            off = begins - following
            found += Continued(pauses=pause, lost=max(0, off), repeated=max(0, -off))
        following = _next(sound, end, response, rate)
    return found


def _stretches(sound: Samples, rate: int) -> Iterator[tuple[int, int]]:
    loud = np.flatnonzero(sound)
    if len(loud):
        breaks = np.flatnonzero(np.diff(loud) > PAUSE_S * rate)
        firsts, lasts = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]]
        yield from ((int(first), int(last) + 1) for first, last in zip(firsts, lasts, strict=True))


def _next(sound: Samples, end: int, response: Samples, rate: int) -> int | None:
    """Return the index behind that of the last sample before `end`."""
    size = round(PROBE_S * rate)
    if end < size:
        return None
    at = _place(sound[end - size : end], response, 0, len(response))
    return None if at is None else at + size


def _begins(sound: Samples, first: int, end: int, response: Samples, following: int | None, rate: int) -> int | None:
    """Return the index of the sample of `response` that [first, end) begins with, faded in or not."""
    fade, size, near = round(FADE_S * rate), round(PROBE_S * rate), round(NEAR_S * rate)
    probe = first + fade
    if following is None or end - probe < size:
        return None
    place = _place(sound[probe : probe + size], response, max(0, following - near), following + near)
    if place is None:
        return None
    shift = place - probe  # index in `response` less that in `sound`
    if not _wrong(sound, response, following, shift, fade, 1):
        return following
    if first + shift >= 0 and np.array_equal(sound[first:probe], response[first + shift : place]):
        return first + shift
    # What was held before it sounded is faded in twice.
    starts = [(following, 2), *((start, 1) for start in range(first + shift - fade, place + 1))]
    wrong = [_wrong(sound, response, start, shift, fade, times) for start, times in starts]
    return starts[int(np.argmin(wrong))][0]


def _wrong(sound: Samples, response: Samples, start: int, shift: int, fade: int, times: int) -> float:
    """Return how far from the sound a fade is that begins with `response[start]`; what rounding does is right."""
    begin, after = max(0, start - fade, shift), start + 2 * fade
    said = response[begin:after]
    ramp = np.clip(np.arange(begin - start, begin - start + len(said)) / fade, 0, 1)
    heard = sound[begin - shift : begin - shift + len(said)]
    off = np.abs(heard - (said * np.sin(np.pi / 2 * ramp) ** (2 * times))[: len(heard)])
    return float(np.sum(off[off > times] ** 2))


def _place(probe: Samples, response: Samples, first: int, end: int) -> int | None:
    """Return where in `response[first:end]` the probe begins, if that is one place."""
    within = response[first:end]
    if len(within) < len(probe):
        return None
    places = np.flatnonzero(within[: len(within) - len(probe) + 1] == probe[0])
    for offset in range(1, len(probe)):
        places = places[within[places + offset] == probe[offset]]
        if len(places) <= 1 and offset > 16:
            break
    found = [int(place) for place in places if np.array_equal(within[place : place + len(probe)], probe)]
    return first + found[0] if len(found) == 1 else None
