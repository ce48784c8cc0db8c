"""Samples as bytes and as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.audio.pcm import Whole, channel, duplicate, from_bytes, level_dbfs, to_bytes


def test_samples_are_int16_little_endian() -> None:
    assert from_bytes(b"\x01\x00\x00\x80\xff\x7f").tolist() == [1, -32768, 32767]
    assert to_bytes(np.array([1, -32768, 32767], np.int16)) == b"\x01\x00\x00\x80\xff\x7f"


def test_nothing_is_no_samples() -> None:
    assert from_bytes(b"").tolist() == []
    assert to_bytes(np.zeros(0, np.int16)) == b""


def test_half_a_sample_is_an_error() -> None:
    with pytest.raises(ValueError, match="pcm is 3 bytes long, expected an even number"):
        from_bytes(b"abc")


def test_a_strided_view_is_written_in_order() -> None:
    assert to_bytes(np.arange(6, dtype=np.int16)[::2]) == b"\x00\x00\x02\x00\x04\x00"


def test_full_scale_is_0_dbfs() -> None:
    assert level_dbfs(np.full(100, -32768, np.int16)) == pytest.approx(0.0, abs=1e-4)


def test_a_tenth_of_full_scale_is_minus_20_dbfs() -> None:
    assert level_dbfs(np.full(100, 3277, np.int16)) == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize("quiet", [[], [0] * 160, [1] + [0] * 9999])
def test_silence_is_minus_96_dbfs(quiet: list[int]) -> None:
    assert level_dbfs(np.array(quiet, np.int16)) == -96.0


def test_one_channel_of_eight_is_picked() -> None:
    frames = np.arange(24, dtype=np.int16)
    assert channel(frames, 8, 5).tolist() == [5, 13, 21]
    assert channel(frames, 1, 0).tolist() == frames.tolist()


def test_mono_plays_on_every_channel() -> None:
    assert duplicate(np.array([7, -7], np.int16), 3).tolist() == [7, 7, 7, -7, -7, -7]
    assert duplicate(np.array([7, -7], np.int16), 1).tolist() == [7, -7]


@given(st.lists(st.binary(max_size=5)))
def test_sound_cut_anywhere_is_whole_again(pieces: list[bytes]) -> None:
    whole = Whole()
    heard = [whole.samples(piece) for piece in pieces]
    sent = b"".join(pieces)
    assert b"".join(heard) == sent[: len(sent) // 2 * 2]
    assert all(len(pcm) % 2 == 0 for pcm in heard)
