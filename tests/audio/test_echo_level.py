"""What the microphone has heard of our own sound alone, from the powers of blocks."""

from __future__ import annotations

import math

from edgevoice.audio.echo_level import COMES_BACK, EchoLevel


def heard(level: EchoLevel, blocks: int, heard: float, played: float, *, somebody: bool = False) -> float:
    for _ in range(blocks):
        level.hear(heard, played, somebody=somebody)
    return level.most


def test_nothing_is_known_before_anything_has_sounded_for_a_while() -> None:
    level = EchoLevel()
    assert heard(level, 2 * COMES_BACK, 5.0, 0.0) == math.inf
    assert heard(level, COMES_BACK, 5.0, 100.0) == math.inf
    assert heard(level, 1, 5.0, 100.0) == 5.0


def test_the_loudest_of_late_counts_and_is_forgotten_as_time_passes() -> None:
    level = EchoLevel()
    heard(level, 2 * COMES_BACK, 50.0, 100.0)
    assert 49.0 < heard(level, COMES_BACK, 5.0, 100.0) <= 50.0
    assert heard(level, 1000, 5.0, 100.0) < 10.0


def test_what_is_played_louder_than_ever_before_may_have_any_echo() -> None:
    level = EchoLevel()
    heard(level, 2 * COMES_BACK, 5.0, 100.0)
    assert heard(level, 1, 5.0, 1000.0) == math.inf
    assert heard(level, COMES_BACK - 1, 5.0, 0.0) == math.inf, "it still comes back"
    assert heard(level, 1, 5.0, 0.0) < 6.0


def test_a_voice_teaches_nothing_nor_does_what_it_began_with() -> None:
    level = EchoLevel()
    heard(level, 2 * COMES_BACK, 5.0, 100.0)
    heard(level, COMES_BACK // 2, 5000.0, 100.0)
    assert heard(level, 100, 9000.0, 100.0, somebody=True) <= 5.0
    assert heard(level, COMES_BACK, 5.0, 100.0) <= 5.0


def test_the_room_is_no_echo_while_nothing_sounds() -> None:
    level = EchoLevel()
    heard(level, 2 * COMES_BACK, 5.0, 100.0)
    assert heard(level, 10 * COMES_BACK, 700.0, 0.0) < 6.0
