"""What the benchmark of the echo cancellers plays and hears: an agent, a person, rooms that do not exist."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks import speech
from benchmarks.barge_in import rooms
from edgevoice.audio.acoustics import softly_clipped
from edgevoice.audio.echo import BLOCK, RATE, load
from edgevoice_measure import read_wav, resample

Samples = NDArray[np.int16]
Doubles = NDArray[np.float64]

AGENT_DBFS, ROOM_DBFS, BREATH_DBFS = -23.0, -65.0, -30.0
RT60_S = 0.35


@lru_cache
def _spoken() -> Doubles:
    return at_dbfs(np.concatenate(speech.recordings(RATE)), AGENT_DBFS)


@lru_cache
def person() -> Doubles:
    pcm, rate = read_wav(speech.ROOT / "tests" / "speech" / "jackson.wav")
    said = resample(pcm, rate, RATE).astype(np.float64)
    return said[np.argmax(np.abs(said) > 0.1 * np.abs(said).max()) :][:RATE]


def agent(seconds: float, begin: int = 0) -> Doubles:
    """Return what the agent says, from its second `begin` on."""
    return np.resize(np.roll(_spoken(), -begin * RATE), round(seconds * RATE))


def agent_loud_at(seconds: int, room: int) -> Doubles:
    """Return what the agent says, a second longer than `seconds`, after which it is loud."""
    halves = _spoken()[: len(_spoken()) // (RATE // 2) * (RATE // 2)].reshape(-1, RATE // 2)
    loud = [at for at, half in enumerate(halves) if level_dbfs(half) > AGENT_DBFS]
    begin = loud[room % len(loud)] * RATE // 2 - seconds * RATE
    return np.resize(np.roll(_spoken(), -begin), (seconds + 1) * RATE)


@lru_cache
def path(room: int, delay_ms: float, erl_db: float) -> Doubles:
    """Return the impulse response from loudspeaker to microphone; of speech, `erl_db` less comes back."""
    found = rooms.echo(np.random.default_rng(room), RT60_S, delay_ms).astype(np.float64)
    came_back = rooms.heard(agent(8).astype(np.int16), found.astype(np.float32))[: 8 * RATE]
    return found * 10 ** ((level_dbfs(agent(8)) - erl_db - level_dbfs(came_back)) / 20)


def microphone(played: Doubles, response: Doubles, drive: float) -> Doubles:
    """Return what is captured while that is played."""
    membrane = softly_clipped(played.astype(np.float32), drive)
    size = 1 << (len(membrane) + len(response)).bit_length()
    echo = np.fft.irfft(np.fft.rfft(membrane, size) * np.fft.rfft(response, size), size)[: len(played)]
    return echo + at_dbfs(np.random.default_rng(9).standard_normal(len(played)), ROOM_DBFS)


def cleaned(name: str, played: Doubles, captured: Doubles) -> Samples:
    """Return what a new canceller makes of it, with noise suppression."""
    canceller, _ = load(name, noise_suppression=True)
    loudspeaker, heard = (np.clip(np.rint(x), -32768, 32767).astype(np.int16) for x in (played, captured))
    starts = range(0, len(heard) // BLOCK * BLOCK, BLOCK)
    return np.concatenate([canceller.process(loudspeaker[s : s + BLOCK], heard[s : s + BLOCK]) for s in starts])


def level_dbfs(x: NDArray[np.floating] | Samples) -> float:
    return float(10 * np.log10((np.asarray(x, np.float64) ** 2).mean() / 32768**2 + 1e-12))


def taken_out(captured: Doubles, left: Samples, at_s: float, seconds: float) -> float:
    """Return by how many dB less is left, from `at_s` on."""
    span = slice(round(at_s * RATE), round((at_s + seconds) * RATE))
    return level_dbfs(captured[span]) - level_dbfs(left[span])


def at_dbfs(x: NDArray[np.floating] | Samples, dbfs: float) -> Doubles:
    return np.asarray(x, np.float64) * 10 ** ((dbfs - level_dbfs(x)) / 20)


def breath(seconds: float) -> Doubles:
    """Return pink noise that begins softly and fades away."""
    n = round(seconds * RATE)
    hz = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 120)
    noise = np.fft.irfft(np.fft.rfft(np.random.default_rng(3).standard_normal(n)) / np.sqrt(hz), n)
    envelope = np.minimum(1, np.arange(n) / (0.03 * RATE)) * np.cos(np.linspace(0, np.pi / 2, n))
    return at_dbfs(noise * envelope, BREATH_DBFS)


def added(x: Doubles, y: Doubles) -> Doubles:
    """Return both at once, as long as `x`."""
    both = x.copy()
    both[: len(y)] += y
    return both
