"""What an agent may ask the box to do: one check of what it says, with answers that it can use."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.tools import TOOLS, CallTool, HangUpTool, OpenRelayTool, SetVolume, Toolbox, parse


@pytest.mark.parametrize("arguments", ["", " ", "{}", '{"reason": "bye"}'])
def test_hanging_up_needs_nothing(arguments: str) -> None:
    assert parse("hang_up", arguments) == HangUpTool()


@pytest.mark.parametrize("percent", ["40", "40.0", '"40"'])
def test_a_volume_may_be_written_as_models_write_numbers(percent: str) -> None:
    assert parse("set_volume", f'{{"percent": {percent}}}') == SetVolume(40)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("open_door", "{}", "there is no tool 'open_door'; there are: hang_up, set_volume, open_relay, call"),
        ("set_volume", '{"percent": 101}', "Expected `int` <= 100 - at `$.percent`"),
        ("set_volume", '{"percent": -1}', "Expected `int` >= 0 - at `$.percent`"),
        ("set_volume", '{"percent": true}', "Expected `int`, got `bool`"),
        ("set_volume", "{}", "missing required field `percent`"),
        ("set_volume", '{"percent": 4', "truncated"),
        ("set_volume", "[" * 100_000, "recursion"),
        ("hang_up", "[]", "Expected `object`, got `array`"),
        ("open_relay", "{}", "missing required field `relay`"),
        ("call", '{"to": 7}', "Expected `str`, got `int`"),
    ],
)
def test_what_cannot_be_done_is_explained_to_the_agent(name: str, arguments: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse(name, arguments)


@given(st.sampled_from(sorted(TOOLS)), st.text())
def test_any_text_is_either_understood_or_refused(name: str, arguments: str) -> None:
    try:
        assert isinstance(parse(name, arguments), HangUpTool | SetVolume | OpenRelayTool | CallTool)
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
        values = {"integer": 50, "string": "door"}
        properties = tool.parameters["properties"]
        arguments = {needed: values[properties[needed]["type"]] for needed in tool.parameters["required"]}
        parse(name, msgspec.json.encode(arguments).decode())


# ---------------------------------------------------------------------------------------------- what one agent may use

NUMBER = "+46700000003"
BOX = Toolbox(("open_relay", "call", "hang_up"), ("door", "gate"), {"the owner": f"elks:{NUMBER}", "help": "sip:help"})


def test_an_agent_is_told_the_names_that_it_may_use_and_no_number() -> None:
    opening, calling, hanging_up = BOX.offered
    assert opening.parameters["properties"] == {"relay": {"type": "string", "enum": ["door", "gate"]}}
    assert calling.parameters["properties"] == {"to": {"type": "string", "enum": ["the owner", "help"]}}
    assert hanging_up == TOOLS["hang_up"]
    assert NUMBER not in str(BOX.offered)


def test_what_an_agent_may_use_is_understood() -> None:
    assert BOX.check("open_relay", '{"relay": "gate"}') == OpenRelayTool("gate")
    assert BOX.check("call", '{"to": "the owner"}') == CallTool("the owner")


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("set_volume", '{"percent": 3}', "set_volume is not allowed here"),
        ("open_relay", '{"relay": "garage"}', "there is no relay 'garage' that you may open; there are: door, gate"),
        ("call", f'{{"to": "{NUMBER}"}}', "to call; there are: the owner, help"),
        ("call", f'{{"to": "elks:{NUMBER}"}}', "to call; there are: the owner, help"),
        ("reboot", "{}", "there is no tool 'reboot'"),
    ],
)
def test_what_an_agent_may_not_use_is_explained_to_it(name: str, arguments: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        BOX.check(name, arguments)
