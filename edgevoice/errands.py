"""What an agent's tool call makes happen, at a box as on a line: one effect, or words for the agent why not."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from edgevoice.events import ToolCalled
from edgevoice.happenings import Connect, EndCall, OpenRelay, ToolDone, TurnVolume
from edgevoice.tools import CallTool, HangUpTool, OpenRelayTool, SetVolume, Toolbox

GOODBYE_S = 10.0  # an agent that hangs up may finish its sentence

Errand: TypeAlias = EndCall | TurnVolume | OpenRelay | Connect | ToolDone


def errand(toolbox: Toolbox, called: ToolCalled) -> Errand:
    """Return what to do about a tool call; `ToolDone` is that it cannot be run."""
    try:
        wanted = toolbox.check(called.name, called.arguments)
    except ValueError as problem:
        return ToolDone(called.id, f"error: {problem}")
    match wanted:
        case HangUpTool():
            return EndCall("the agent hung up", GOODBYE_S)
        case SetVolume(percent):
            return TurnVolume(percent, called.id)
        case OpenRelayTool(relay):
            return OpenRelay(relay, called.id)
        case CallTool(to):
            return Connect(toolbox.contacts[to], GOODBYE_S, called.id)
        case _:
            assert_never(wanted)
