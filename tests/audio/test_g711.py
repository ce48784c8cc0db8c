"""Every code and every sample, against the standard's tables and against other programs."""

from __future__ import annotations

import importlib
import warnings
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from edgevoice.audio.g711 import alaw_to_pcm, pcm_to_alaw, pcm_to_ulaw, ulaw_to_pcm

CODES = bytes(range(256))
SAMPLES = np.arange(-32768, 32768, dtype="<i2")
Convert = Callable[[bytes], bytes]

each_law = pytest.mark.parametrize(
    ("decode", "encode"), [(ulaw_to_pcm, pcm_to_ulaw), (alaw_to_pcm, pcm_to_alaw)], ids=["mu-law", "A-law"]
)


def decoded(codes: bytes, decode: Convert) -> list[int]:
    return [int(sample) for sample in np.frombuffer(decode(codes), "<i2")]


def decision_values(first: list[int], steps: list[int], top: int) -> list[int]:
    """Add up the standard's table: where each of the 128 intervals begins, and where the last one ends."""
    values = list(first)
    for step in steps:
        values += [values[-1] + step * n for n in range(1, 17)]
    assert values[-1] == top
    return values


# G.711, table 2a, column 6: 14 bits, the first interval is half a step.
ULAW_DECISIONS = decision_values([0, *range(1, 33, 2)], [4, 8, 16, 32, 64, 128, 256], 8159)
# G.711, table 1a, column 6: 13 bits, the first two segments have one step.
ALAW_DECISIONS = decision_values(list(range(0, 34, 2)), [2, 4, 8, 16, 32, 64, 128], 4096)


@each_law
def test_a_code_survives_the_way_there_and_back(decode: Convert, encode: Convert) -> None:
    assert decode(encode(decode(CODES))) == decode(CODES)


@each_law
def test_only_the_negative_zero_of_the_mu_law_changes_its_code(decode: Convert, encode: Convert) -> None:
    changed = {code: back for code, back in zip(CODES, encode(decode(CODES)), strict=True) if code != back}
    assert changed == ({0x7F: 0xFF} if decode is ulaw_to_pcm else {})


@pytest.mark.parametrize(
    ("decode", "decisions", "scale", "zero"),
    [(ulaw_to_pcm, ULAW_DECISIONS, 4, 0), (alaw_to_pcm, ALAW_DECISIONS, 8, 1)],
    ids=["mu-law", "A-law"],
)
def test_a_code_is_heard_as_the_middle_of_its_interval(
    decode: Convert, decisions: list[int], scale: int, zero: int
) -> None:
    middles = [(low + high) // 2 for low, high in pairwise(decisions)]
    middles[0] = zero  # by the standard; the mu-law's first interval goes on below zero
    heard = sorted(decoded(CODES, decode))
    assert heard == sorted(sign * scale * middle for middle in middles for sign in (-1, 1))


@pytest.mark.parametrize(
    ("decode", "encode", "decisions", "scale"),
    [(ulaw_to_pcm, pcm_to_ulaw, ULAW_DECISIONS, 4), (alaw_to_pcm, pcm_to_alaw, ALAW_DECISIONS, 8)],
    ids=["mu-law", "A-law"],
)
def test_every_sample_falls_between_the_decision_values_of_its_code(
    decode: Convert, encode: Convert, decisions: list[int], scale: int
) -> None:
    rising = decoded(CODES, decode)
    places = {sample: place for place, sample in enumerate(sorted(x for x in set(rising) if x >= 0))}
    for sample, heard in zip(SAMPLES.tolist(), decoded(encode(SAMPLES.tobytes()), decode), strict=True):
        size = sample if sample >= 0 else ~sample
        expected = min(bisect_right(decisions, size / scale) - 1, 127)
        assert places[abs(heard)] == expected
        assert heard == 0 or (heard < 0) == (sample < 0)


@each_law
def test_every_sample_gets_the_nearest_code_but_where_a_segment_begins(decode: Convert, encode: Convert) -> None:
    levels = np.array(sorted(set(decoded(CODES, decode))))
    heard = np.array(decoded(encode(SAMPLES.tobytes()), decode))
    samples = SAMPLES.astype(int)
    nearest = np.array([np.abs(levels - sample).min() for sample in samples])
    worse = np.abs(heard - samples) > nearest
    assert not worse[np.abs(samples) < 124].any()  # the first segment ends there in either law
    assert worse.mean() < 0.01


def test_silence_is_the_byte_that_the_network_sends() -> None:
    assert pcm_to_ulaw(bytes(4)) == b"\xff\xff"
    assert pcm_to_alaw(bytes(4)) == b"\xd5\xd5"
    assert ulaw_to_pcm(b"\xff\x7f") == bytes(4)


def test_nothing_becomes_nothing() -> None:
    assert [convert(b"") for convert in (ulaw_to_pcm, pcm_to_ulaw, alaw_to_pcm, pcm_to_alaw)] == [b""] * 4


@pytest.mark.parametrize("encode", [pcm_to_ulaw, pcm_to_alaw])
def test_half_a_sample_is_our_own_mistake(encode: Convert) -> None:
    with pytest.raises(ValueError, match="multiple of element size"):
        encode(b"\x00\x00\x00")


def itu_ulaw(sample: int) -> int:
    """Compress as ITU-T G.191 does, bit by bit."""
    size = ((~sample if sample < 0 else sample) >> 2) + 33
    size = min(size, 0x1FFF)
    segment = size.bit_length() - 6
    return (0x80 if sample >= 0 else 0) | ((7 - segment) << 4) | (15 - (size >> (segment + 1) & 15))


def itu_alaw(sample: int) -> int:
    """Compress as ITU-T G.191 does, bit by bit."""
    size = (~sample if sample < 0 else sample) >> 4
    segment = max(size.bit_length() - 4, 0)
    if segment > 1:
        size >>= segment - 1
    return ((segment << 4 | size & 15) | (0x80 if sample >= 0 else 0)) ^ 0x55


def test_the_itus_own_program_gives_the_same() -> None:
    assert pcm_to_ulaw(SAMPLES.tobytes()) == bytes(map(itu_ulaw, SAMPLES.tolist()))
    assert pcm_to_alaw(SAMPLES.tobytes()) == bytes(map(itu_alaw, SAMPLES.tolist()))


def test_pythons_former_audioop_gives_the_same_but_for_how_it_rounds_below_zero() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            audioop = importlib.import_module("audioop")
        except ModuleNotFoundError:
            pytest.skip("this Python has no audioop any more")
    assert audioop.ulaw2lin(CODES, 2) == ulaw_to_pcm(CODES)
    assert audioop.alaw2lin(CODES, 2) == alaw_to_pcm(CODES)
    rising, falling = SAMPLES[SAMPLES >= 0].tobytes(), SAMPLES[SAMPLES < 0]
    assert audioop.lin2ulaw(rising, 2) == pcm_to_ulaw(rising)
    assert audioop.lin2alaw(rising, 2) == pcm_to_alaw(rising)
    assert audioop.lin2alaw(falling.tobytes(), 2) == pcm_to_alaw(falling.tobytes())
    down = (-(falling.astype(int) // 4 * 4)).clip(0, 32767)  # it cuts off two bits before it takes the sign away
    assert audioop.lin2ulaw(falling.tobytes(), 2) == pcm_to_ulaw((~down).astype("<i2").tobytes())
