"""What each echo canceller is worth: in rooms that do not exist, after steps of the reference, and to the processor.

    python -m benchmarks.echo

The agent is the package's own recordings at -23 dBFS, the room an impulse response with noise at -65 dBFS, the
loudspeaker clips softly. Figures
    echo taken out       level of the echo at the microphone less what is left of it: the higher, the better
    first second         the same, of the first second of speech, after what was played before it
    voice let through    what becomes of a person, as loud as the echo, who speaks 0.3 s after that: 0 dB is all of it
    half second after    the same as the first, of the half second after something happened to the reference
speexdsp itself tells stderr when one of these makes it start over.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.echo_sounds import (
    ROOM_DBFS,
    added,
    agent,
    agent_loud_at,
    at_dbfs,
    breath,
    cleaned,
    level_dbfs,
    microphone,
    path,
    person,
    taken_out,
)
from benchmarks.period import burn
from benchmarks.table import Row, single, text
from edgevoice.app import SWITCH_S
from edgevoice.audio.acoustics import Clocks
from edgevoice.audio.echo import BLOCK, RATE, load
from edgevoice.audio.tones import tone

Samples = NDArray[np.int16]
Doubles = NDArray[np.float64]
Happening = Callable[[Doubles, Doubles, int], tuple[Doubles, Doubles]]  # (played, captured, at) -> the same, later

NAMES = ("aec3", "speex")
# how late the echo comes (ms), its return loss (dB; below 0: louder than what was played), drive of the loudspeaker
ROOMS = ((5, 6, 0.0), (20, 0, 0.5), (40, 0, 2.0), (80, -5, 1.0), (150, -10, 0.5), (40, -10, 2.0))
SECONDS = (1, 2, 4, 8, 16)  # in which the attenuation is looked at
CONVERGED_DB = 20
CONVERGED_S = {"aec3": 8, "speex": 15}  # of speech, before something happens
DRIFT_S = 20
BLOCKS, WARM_UP = 1500, 200
PACE_S = 0.002  # of blocks that are timed


def rows() -> list[Row]:
    """Measure everything; it takes most of a minute."""
    return [
        *(row for name in NAMES for row in over_time(name)),
        *first_sounds("aec3"),  # speex takes ten seconds of speech to converge, whatever comes first
        *(row for name in NAMES for row in steps(name)),
        *(row for name in NAMES for row in drifting(name)),
        *(row for name in (*NAMES, "none") for row in costs(name)),
    ]


def over_time(name: str) -> list[Row]:
    """Return how far the echo is taken out, in each room, as time goes by."""
    at: dict[int, list[float]] = {second: [] for second in SECONDS}
    after, settled = [], []
    for room, (delay_ms, erl_db, drive) in enumerate(ROOMS):
        played = agent(max(SECONDS))
        captured = microphone(played, path(room, delay_ms, erl_db), drive)
        left = cleaned(name, played, captured)
        halves = [begin / 2 for begin in range(2 * max(SECONDS)) if _sounds(captured, begin / 2)]
        found = {begin: taken_out(captured, left, begin, 0.5) for begin in halves}
        after.append(max((begin + 0.5 for begin in halves if found[begin] < CONVERGED_DB), default=0.0))
        condition = f"{name}, {delay_ms} ms late, ERL {erl_db:+} dB, drive {drive:g}"
        settled.append(_spread("echo taken out, seconds 8 to 16", condition, [found[at] for at in halves if at >= 8]))
        for second in SECONDS:
            at[second].append(taken_out(captured, left, second - 1, 1))
    everywhere = f"{name}, all rooms"
    return [
        *settled,
        *(_spread(f"echo taken out, second {second}", everywhere, values) for second, values in at.items()),
        _spread(f"more than {CONVERGED_DB} dB taken out from", everywhere, after, "s"),
    ]


def first_sounds(name: str) -> list[Row]:
    """Return how the first speech fares after each thing that may have been played before."""
    notes = tone("connected", RATE).astype(np.float64)
    openings = {
        "nothing": np.zeros(BLOCK),
        "two pure notes": notes,
        "0.5 s of noise": breath(0.5),
        "0.7 s of noise and the notes": added(breath(0.7), notes),
        "1 s of noise and the notes": added(breath(1.0), notes),
        "3 s of speech": agent(3, 4),
    }
    return [row for said, opening in openings.items() for row in _first_sound(name, said, opening)]


def steps(name: str) -> list[Row]:
    """Return how far the echo is taken out in the half second after something happened to the reference."""
    happenings: dict[str, Happening] = {
        "nothing": _as_before,
        **{f"a step of {ms:g} ms": _step(ms) for ms in (0.05, 0.1, 0.3, 1, 5)},
        "10 ms lost of both": lambda played, captured, at: (_without(played, at), _without(captured, at)),
        "a pause of 0.3 s": _as_before,
        "20 s of silence": _as_before,
    }
    pauses = {"a pause of 0.3 s": 0.3, "20 s of silence": 20.0}
    found: dict[str, list[float]] = {said: [] for said in happenings}
    for room, (delay_ms, erl_db, _) in enumerate(ROOMS):
        for said, happening in happenings.items():
            before, after = np.split(agent_loud_at(CONVERGED_S[name], room), [CONVERGED_S[name] * RATE])
            before = np.concatenate((before, np.zeros(round(pauses.get(said, 0) * RATE))))
            sound = np.concatenate((before, after))
            captured = microphone(sound, path(room, delay_ms, erl_db), 0.5)
            played, captured = happening(sound, captured, len(before))
            left = cleaned(name, played, captured)
            found[said].append(taken_out(captured, left, len(before) / RATE, 0.5))
    return [_spread(f"half second after {said}", f"{name}, all rooms", values) for said, values in found.items()]


def drifting(name: str) -> list[Row]:
    """Return how far the echo is taken out when loudspeaker and microphone have crystals of their own."""
    found = []
    for ppm in (60, 100):
        values = []
        for room, (delay_ms, erl_db, _) in enumerate(ROOMS[:3]):
            sound = agent(DRIFT_S + 1, room)
            captured = microphone(sound, path(room, delay_ms, erl_db), 0.5)[: DRIFT_S * RATE]
            clocks = Clocks(ppm)
            first, _ = clocks.frames(0, len(captured))
            played = clocks.read(0, len(captured), np.concatenate((np.zeros(-first), sound)).astype(np.float32))
            left = cleaned(name, played.astype(np.float64), captured)
            values += [taken_out(captured, left, second, 1) for second in range(DRIFT_S // 2, DRIFT_S)]
        found.append(_spread(f"echo taken out, at {ppm} ppm", f"{name}, after {DRIFT_S // 2} s", values))
    return found


def costs(name: str) -> list[Row]:
    """Return the time of a block, alone and beside a thread that computes in Python all the time, and the memory."""
    alone = _timed(name)
    over, before = threading.Event(), sys.getswitchinterval()
    burner = threading.Thread(target=burn, args=(over,))
    sys.setswitchinterval(SWITCH_S)
    burner.start()
    beside = _timed(name)
    over.set()
    burner.join()
    sys.setswitchinterval(before)
    command = [sys.executable, "-m", "benchmarks.echo", "--memory", name]
    memory = float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return [
        _times(f"{name}, alone", alone),
        _times(f"{name}, beside a busy thread", beside),
        single("memory", name, memory, "MB"),
    ]


# --------------------------------------------------------------------------------------------------------- parts


def _first_sound(name: str, said: str, opening: Doubles) -> list[Row]:
    pause, out, through = np.zeros(RATE // 2), [], []
    for room, (delay_ms, erl_db, drive) in enumerate(ROOMS):
        played = np.concatenate((pause, opening, pause, agent(1.4, room)))
        begin = len(played) - round(1.4 * RATE)
        captured = microphone(played, path(room, delay_ms, erl_db), drive)
        out.append(taken_out(captured, cleaned(name, played, captured), begin / RATE, 1))
        at = begin + round(0.3 * RATE)
        voice = at_dbfs(person(), level_dbfs(captured[at : at + RATE]))
        captured[at : at + RATE] += voice
        through.append(_let_through(cleaned(name, played, captured)[at:], voice[: RATE // 2]))
    return [
        _spread(f"first second after {said}", f"{name}, all rooms", out),
        _spread(f"voice let through after {said}", f"{name}, all rooms", through),
    ]


def _let_through(left: Samples, voice: Doubles) -> float:
    """Return the gain at which the voice is found in `left`, at most 25 ms late."""
    late = range(0, RATE // 40)
    found = [float(np.dot(left[k : k + len(voice)].astype(np.float64), voice)) for k in late]
    return float(20 * np.log10(max(map(abs, found)) / np.dot(voice, voice) + 1e-6))


def _sounds(captured: Doubles, at_s: float) -> bool:
    """Tell whether enough echo is there for CONVERGED_DB to be taken out of it."""
    return level_dbfs(captured[round(at_s * RATE) : round((at_s + 0.5) * RATE)]) > ROOM_DBFS + CONVERGED_DB + 3


def _step(ms: float) -> Happening:
    """Return what makes the reference so much late."""

    def happen(played: Doubles, captured: Doubles, at: int) -> tuple[Doubles, Doubles]:
        size = 1 << (len(played) + RATE).bit_length()
        turned = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1 / RATE) * ms / 1000)
        late = np.fft.irfft(np.fft.rfft(played, size) * turned, size)
        return np.concatenate((played[:at], late[at : len(played)])), captured

    return happen


def _as_before(played: Doubles, captured: Doubles, at: int) -> tuple[Doubles, Doubles]:
    return played, captured


def _without(x: Doubles, at: int) -> Doubles:
    return np.delete(x, slice(at, at + BLOCK))


def _timed(name: str) -> Doubles:
    """Return the microseconds of each block, with a pause before it, as in the field."""
    canceller, _ = load(name, noise_suppression=True)
    played = agent(4).astype(np.int16)
    captured = microphone(agent(4), path(0, 40, 0), 0.5).astype(np.int16)
    took = []
    for block in range(WARM_UP + BLOCKS):
        start = block * BLOCK % len(played)
        time.sleep(PACE_S)
        begun = time.perf_counter()
        canceller.process(played[start : start + BLOCK], captured[start : start + BLOCK])
        took.append((time.perf_counter() - begun) * 1e6)
    return np.array(took[WARM_UP:])


def _times(condition: str, took: Doubles) -> Row:
    p999 = float(np.percentile(took, 99.9, method="inverted_cdf"))
    values = {"n": len(took), "mean": float(took.mean()), "p50": float(np.median(took)), "p99.9": p999}
    return Row("10 ms of sound", condition, "us", values | {"max": float(took.max())})


def _spread(figure: str, condition: str, values: Sequence[float], unit: str = "dB") -> Row:
    found = {"n": len(values), "least": min(values), "p50": float(np.median(values)), "max": max(values)}
    return Row(figure, condition, unit, found)


def _memory_mb() -> float:
    with open("/proc/self/smaps_rollup") as file:
        return int(file.read().partition("Rss:")[2].split()[0]) / 1024


def _added_mb(name: str) -> float:
    """Return by how much this process grows when it loads and uses it."""
    silence = np.zeros(BLOCK, np.int16)
    before = _memory_mb()
    canceller, _ = load(name, noise_suppression=True)
    for _ in range(WARM_UP):
        canceller.process(silence, silence)
    return _memory_mb() - before


def main() -> None:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.echo", description=(__doc__ or "").partition("\n")[0]
    )
    arguments.add_argument("--memory", choices=(*NAMES, "none"), help="only the memory that this canceller takes, MB")
    if name := arguments.parse_args().memory:
        print(_added_mb(name))
    else:
        print(text(rows()))


if __name__ == "__main__":
    main()
