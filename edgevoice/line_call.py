"""A call over a line, and the agent that talks in it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from edgevoice.bridge import Bridge
from edgevoice.call import Call
from edgevoice.catalogue import Agents
from edgevoice.doors import Doors
from edgevoice.drivers.line_leg import LineLeg
from edgevoice.errands import GOODBYE_S, errand
from edgevoice.errors import ConfigError
from edgevoice.events import ToolCalled
from edgevoice.happenings import Connect, EndCall, OpenRelay, ToolDone, TurnVolume
from edgevoice.visitor import turn_away

log = logging.getLogger(__name__)


@dataclass
class LineCall:
    """A call over a line, as `ctl status` shows it."""

    name: str
    line: str
    leg: LineLeg
    since: float
    allowed: bool = False  # it may be answered automatically, as its account says
    joined: str = "nobody"  # to whom
    call: Call | None = None  # with an agent


async def converse(running: LineCall, agent: str, agents: Agents, doors: Doors) -> None:
    """Let an agent talk with whom is on the line, until one of them hangs up."""
    leg, loop = running.leg, asyncio.get_running_loop()
    try:
        reached = agents.make(agent, loop.time, by_line=True)
    except ConfigError as error:
        log.error("call %s: %s cannot be reached: %s", running.name, agent, " ".join(error.problems))
        await turn_away(leg)
        return
    conversation, far = reached.join()
    call = Call(conversation, leg.perform, far.perform, far.rate)
    bridge = Bridge(call, leg, far)

    def time_is_up() -> None:
        at = loop.time()
        bridge.want(lambda machine: machine.leave("the longest time of a call is over", GOODBYE_S, at))

    call.on_key = doors.listener(running.name, leg.perform, loop.time)
    call.on_tool = lambda called: _do(called, bridge, running, agents, doors)
    running.joined, running.call = agent, call
    ends = loop.call_later(agents.config.call.max_s, time_is_up)
    try:
        await bridge.run()
    finally:
        ends.cancel()
    log.info("call %s with %s: %s", running.name, agent, call.figures.words)


def _do(called: ToolCalled, bridge: Bridge, running: LineCall, agents: Agents, doors: Doors) -> None:
    """Do what an agent asks in a call over a line, or tell it why that cannot be."""
    at = asyncio.get_running_loop().time()
    match errand(agents.toolbox(running.joined), called):
        case EndCall(reason, within_s):
            bridge.want(lambda machine: machine.leave(reason, within_s, at))
            return
        case OpenRelay(relay):
            outcome = doors.open_for_agent(relay, running.name, at)
        case TurnVolume():
            outcome = "error: a telephone's volume is set by who holds it"
        case Connect():
            outcome = "error: who is on the telephone cannot be connected to anybody else"
        case ToolDone(_, outcome):
            pass
    bridge.want(lambda machine: machine.tool_result(called.id, outcome))
