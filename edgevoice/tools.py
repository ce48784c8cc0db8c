"""The tools: what an agent may ask the box to do, and the check of what it asks.

A name stands in TOOLS (what an agent is told) and in `Action` (what becomes of it). A `Toolbox` is what one agent may
use: it knows the relays and the people by the names that the configuration gives them, and tells an agent no others; a
number never leaves the box. What cannot be done raises ValueError with words for the agent, which then knows what to
try instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
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


@dataclass(frozen=True, slots=True)
class OpenRelayTool:
    """Open the relay of that name, for as long as it is configured."""

    relay: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Hand the person over to whom the configuration calls by that name."""

    to: str


Action: TypeAlias = HangUpTool | SetVolume | OpenRelayTool | CallTool


def _schema(**properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "hang_up",
            "End the conversation. Say goodbye first; use it when the person wants to stop.",
            _schema(),
        ),
        Tool(
            "set_volume",
            "Set how loud you are heard, in per cent of the loudspeaker's range.",
            _schema(percent={"type": "integer", "minimum": 0, "maximum": 100}),
        ),
        Tool(
            "open_relay",
            "Open a door, gate or the like for a few seconds. It closes by itself. Only when the person asks for it.",
            _schema(relay={"type": "string"}),
        ),
        Tool(
            "call",
            "Connect the person to somebody else; your own conversation with them ends with it. Say so first.",
            _schema(to={"type": "string"}),
        ),
    )
}
_ACTIONS: Mapping[str, type[Action]] = {
    "hang_up": HangUpTool,
    "set_volume": SetVolume,
    "open_relay": OpenRelayTool,
    "call": CallTool,
}


@dataclass(frozen=True)
class Toolbox:
    """What one agent may use. `relays`: those that an agent may open; `contacts`: targets by the names it is told."""

    names: Collection[str] = ()
    relays: Collection[str] = ()
    contacts: Mapping[str, str] = field(default_factory=dict)

    @property
    def offered(self) -> tuple[Tool, ...]:
        """What the agent is told, with the names that it may use."""
        known = {"open_relay": ("relay", self.relays), "call": ("to", self.contacts)}
        return tuple(_naming(TOOLS[name], *known[name]) if name in known else TOOLS[name] for name in self.names)

    def check(self, name: str, arguments_json: str) -> Action:
        """Return what a call of tool `name` wants done. Raise ValueError, in words for the agent, if it cannot be."""
        if name in _ACTIONS and name not in self.names:
            raise ValueError(f"{name} is not allowed here")
        match action := parse(name, arguments_json):
            case OpenRelayTool(relay) if relay not in self.relays:
                raise ValueError(f"there is no relay {relay!r} that you may open; there are: {_list(self.relays)}")
            case CallTool(to) if to not in self.contacts:
                raise ValueError(f"there is nobody called {to!r} to call; there are: {_list(self.contacts)}")
            case _:
                return action


NO_TOOLS = Toolbox()


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


def _naming(tool: Tool, argument: str, names: Collection[str]) -> Tool:
    return replace(tool, parameters=_schema(**{argument: {"type": "string", "enum": list(names)}}))


def _list(names: Collection[str]) -> str:
    return ", ".join(names) or "none"
