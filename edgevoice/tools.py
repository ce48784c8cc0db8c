"""The tools: what an agent may ask the box to do, and the check of what it asks.

A name stands in TOOLS (what the agent is told) and in `Action` (what becomes of it). A tool that cannot be run raises
ValueError with words for the agent, which then knows what to try instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

import msgspec


@dataclass(frozen=True, slots=True)
class Tool:
    """What an agent is told about a tool. `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class HangUpTool:
    """End the call."""


@dataclass(frozen=True, slots=True)
class SetVolume:
    """Make the loudspeaker this loud."""

    percent: Annotated[int, msgspec.Meta(ge=0, le=100)]


Action: TypeAlias = HangUpTool | SetVolume

TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "hang_up",
            "End the conversation. Say goodbye first; use it when the person wants to stop.",
            {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        ),
        Tool(
            "set_volume",
            "Set how loud you are heard, in per cent of the loudspeaker's range.",
            {
                "type": "object",
                "properties": {"percent": {"type": "integer", "minimum": 0, "maximum": 100}},
                "required": ["percent"],
                "additionalProperties": False,
            },
        ),
    )
}
_ACTIONS: Mapping[str, type[HangUpTool] | type[SetVolume]] = {"hang_up": HangUpTool, "set_volume": SetVolume}


def parse(name: str, arguments_json: str) -> Action:
    """Return what a call of tool `name` wants done. Raise ValueError, in words for the agent, if it cannot be.

    Numbers may come as 50.0 or "50", and no arguments as no text at all: models write all of these.
    """
    if name not in _ACTIONS:
        raise ValueError(f"there is no tool {name!r}; there are: {', '.join(_ACTIONS)}")
    try:
        arguments = msgspec.json.decode(arguments_json.strip() or "{}")
        return msgspec.convert(arguments, _ACTIONS[name], strict=False)
    except (ValueError, RecursionError) as problem:
        raise ValueError(f"{name} cannot be run with these arguments: {problem}") from problem
