"""What an agent may ask the box to do: one check of what it says, with answers that it can use."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.tools import TOOLS, HangUpTool, SetVolume, parse


@pytest.mark.parametrize("arguments", ["", " ", "{}", '{"reason": "bye"}'])
def test_hanging_up_needs_nothing(arguments: str) -> None:
    assert parse("hang_up", arguments) == HangUpTool()


@pytest.mark.parametrize("percent", ["40", "40.0", '"40"'])
def test_a_volume_may_be_written_as_models_write_numbers(percent: str) -> None:
    assert parse("set_volume", f'{{"percent": {percent}}}') == SetVolume(40)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("open_door", "{}", "there is no tool 'open_door'; there are: hang_up, set_volume"),
        ("set_volume", '{"percent": 101}', "Expected `int` <= 100 - at `$.percent`"),
        ("set_volume", '{"percent": -1}', "Expected `int` >= 0 - at `$.percent`"),
        ("set_volume", '{"percent": true}', "Expected `int`, got `bool`"),
        ("set_volume", "{}", "missing required field `percent`"),
        ("set_volume", '{"percent": 4', "truncated"),
        ("set_volume", "[" * 100_000, "recursion"),
        ("hang_up", "[]", "Expected `object`, got `array`"),
    ],
)
def test_what_cannot_be_done_is_explained_to_the_agent(name: str, arguments: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse(name, arguments)


@given(st.sampled_from(sorted(TOOLS)), st.text())
def test_any_text_is_either_understood_or_refused(name: str, arguments: str) -> None:
    try:
        assert isinstance(parse(name, arguments), HangUpTool | SetVolume)
    except ValueError:
        pass  # any other error is ours


@given(st.integers(-200, 200))
def test_the_agent_is_told_the_same_limits_that_are_checked(percent: int) -> None:
    told = TOOLS["set_volume"].parameters["properties"]["percent"]
    allowed = told["minimum"] <= percent <= told["maximum"]
    try:
        assert parse("set_volume", msgspec.json.encode({"percent": percent}).decode()) == SetVolume(percent)
    except ValueError:
        assert not allowed
    else:
        assert allowed


def test_every_tool_has_words_for_the_agent_and_an_action() -> None:
    for name, tool in TOOLS.items():
        assert (tool.name, tool.parameters["type"]) == (name, "object")
        assert tool.description
        arguments = {needed: 50 for needed in tool.parameters["required"]}
        parse(name, msgspec.json.encode(arguments).decode())
