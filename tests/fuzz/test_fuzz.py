"""A little of `make fuzz` in every test run, always the same inputs."""

from __future__ import annotations

import logging
import re

import pytest

from edgevoice.catalogue import AGENTS
from edgevoice.line_catalogue import LINES
from tests.fuzz.__main__ import fuzz, main
from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import TARGETS, Target

INPUTS = 1500
SLOW = {"configuration": 200, "profile": 120}  # a millisecond and more for each


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_it(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    count, led, trace = fuzz(TARGETS[name], SLOW.get(name, INPUTS), 60.0, seed=1)
    assert not trace, f"{trace}\n{led[-1]!r}"
    assert count > 0


def test_every_service_of_the_catalogue_is_fuzzed() -> None:
    assert {*AGENTS, *LINES} - set(TARGETS) == {"parrot"}, "which reads nothing"


def test_a_parser_that_breaks_is_found() -> None:
    def broken(given: str | bytes) -> None:
        if b"1e999" in (given if isinstance(given, bytes) else given.encode(errors="replace")):
            raise ZeroDivisionError

    count, led, trace = fuzz(Target(lambda stack: broken, ['{"a": 5, "b": [1, 2]}']), 50_000, 60.0, seed=1)
    assert count < 50_000
    assert "1e999" in str(led[-1])
    assert "ZeroDivisionError" in trace


def test_a_run_that_is_cut_off_says_so_and_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["fuzz", "--inputs", "1000000", "--seconds", "0.01", "tool"])
    monkeypatch.setattr(logging, "disable", lambda level: None)
    assert main() == 3
    told = capsys.readouterr()
    assert re.search(r"cut off after \d+\n", told.out)
    assert "1 were cut off before 1000000 inputs" in told.err


def test_the_same_seed_makes_the_same_inputs() -> None:
    one, other = (Mutator(['{"a": 5}', b"abc"], 7) for _ in range(2))
    assert [one.make() for _ in range(500)] == [other.make() for _ in range(500)]
