"""Whose decisions are compared: ours at each sensitivity, and those of the peers, each at its best on the tuning half.

`GRIDS` is what was tried for each peer, `PEERS` what was best (see `tuning`): `python -m benchmarks.barge_in --tune`
tries them all again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

from benchmarks.barge_in import peers
from benchmarks.barge_in.late import PlaysOut
from benchmarks.barge_in.runner import Ears, Policy
from edgevoice.audio.echo import load
from edgevoice.audio.interruption import TalkOver

SENSITIVITIES = ("low", "normal", "high")

GRIDS: Mapping[str, tuple[Callable[..., Ears], Mapping[str, Sequence[Any]]]] = {
    "level gate": (
        peers.level_gate,
        {"factor": (0.6, 1.2, 2.4, 4.8), "least_dbfs": (-44.0, -34.0, -26.0), "blocks": (1, 3, 6)},
    ),
    "vad alone": (
        partial(peers.vad, canceller="none"),
        {"mode": (3,), "share": (0.9,), "window_ms": (100, 300, 600, 1000)},
    ),
    "vad after aec3": (
        partial(peers.vad, canceller="aec3"),
        {"mode": (1, 3), "share": (0.6, 0.9), "window_ms": (100, 200, 300, 400)},
    ),
    "vad after speex": (
        partial(peers.vad, canceller="speex"),
        {"mode": (3,), "share": (0.6, 0.9), "window_ms": (100, 200, 400, 600)},
    ),
    "200 ms of voice": (
        partial(peers.minimum_duration, least_ms=200),
        {"mode": (1, 2, 3), "gap_ms": (20, 60)},
    ),
    "500 ms of voice": (
        partial(peers.minimum_duration, least_ms=500),
        {"mode": (1, 2, 3), "gap_ms": (20, 60)},
    ),
    "pause, resume after 2 s": (
        partial(peers.pause_and_resume, gap_ms=60),
        {"least_ms": (200, 500), "mode": (2, 3), "words_ms": (200, 400)},
    ),
}
PEERS: Mapping[str, Mapping[str, Any]] = {
    "level gate": {"factor": 2.4, "least_dbfs": -44.0, "blocks": 3},
    "vad alone": {"mode": 3, "share": 0.9, "window_ms": 300},
    "vad after aec3": {"mode": 3, "share": 0.9, "window_ms": 200},
    "vad after speex": {"mode": 3, "share": 0.9, "window_ms": 400},
    "200 ms of voice": {"mode": 3, "gap_ms": 20},
    "500 ms of voice": {"mode": 2, "gap_ms": 60},
    "pause, resume after 2 s": {"least_ms": 200, "mode": 2, "words_ms": 200},
}


def ours(
    canceller: str = "aec3", sensitivity: str = "normal", give_up_ms: int = 500, *, noise_suppression: bool = True
) -> Ears:
    """Return what the box has."""
    return Ears(TalkOver(sensitivity=sensitivity), load(canceller, noise_suppression=noise_suppression)[0], give_up_ms)


def plays_out(canceller: str = "aec3") -> Ears:
    """Return what the box has, but for the drop: see `late`."""
    return ours(canceller)._replace(duplex=PlaysOut)


def all_ours(canceller: str) -> dict[str, Policy]:
    found: dict[str, Policy] = {f"edgevoice, {name}": partial(ours, canceller, name) for name in SENSITIVITIES}
    return found | {"what the card holds plays out": partial(plays_out, canceller)}


def all_peers() -> dict[str, Policy]:
    return {name: partial(GRIDS[name][0], **settings) for name, settings in PEERS.items()}


def grid(name: str) -> Iterator[tuple[dict[str, Any], Policy]]:
    """Yield each setting of a peer, and the policy."""
    make, axes = GRIDS[name]
    for values in product(*axes.values()):
        settings = dict(zip(axes, values, strict=True))
        yield settings, partial(make, **settings)
