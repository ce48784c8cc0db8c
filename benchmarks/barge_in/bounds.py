"""Exact bounds of counts: how many there might have been, had we been unlucky.

Poisson (Garwood, Biometrika 28, 1936) for events in a time, Clopper-Pearson (Biometrika 26, 1934) for a share, each by
bisection of the sum it is defined by.
"""

from __future__ import annotations

import math
from collections.abc import Callable

CONFIDENCE = 0.95  # two-sided; with none of all, or all, one-sided


def poisson(count: int) -> tuple[float, float]:
    """Return the bounds of the mean of which `count` is one draw."""
    tail = (1 - CONFIDENCE) / 2 if count else 1 - CONFIDENCE
    most = 10.0 + 2 * count + 10 * math.sqrt(count)
    low = _falls_to(1 - tail, lambda mean: _poisson_up_to(count - 1, mean), most) if count else 0.0
    return low, _falls_to(tail, lambda mean: _poisson_up_to(count, mean), most)


def share(count: int, of: int) -> tuple[float, float]:
    """Return the bounds of the probability with which `count` out of `of` were drawn."""
    if not of:
        return 0.0, 1.0
    tail = (1 - CONFIDENCE) / 2 if 0 < count < of else 1 - CONFIDENCE
    low = _falls_to(1 - tail, lambda p: _binomial_up_to(count - 1, of, p), 1.0) if count else 0.0
    high = _falls_to(tail, lambda p: _binomial_up_to(count, of, p), 1.0) if count < of else 1.0
    return low, high


def _falls_to(wanted: float, falling: Callable[[float], float], most: float) -> float:
    low, high = 0.0, most
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > wanted else (low, middle)
    return (low + high) / 2


def _poisson_up_to(count: int, mean: float) -> float:
    if not mean:
        return 1.0
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))


def _binomial_up_to(count: int, of: int, p: float) -> float:
    if p in (0.0, 1.0):
        return 1.0 - p
    log = math.lgamma(of + 1)
    return math.fsum(
        math.exp(log - math.lgamma(k + 1) - math.lgamma(of - k + 1) + k * math.log(p) + (of - k) * math.log1p(-p))
        for k in range(count + 1)
    )
