"""What an agent asks for is done, or it is told why not: as a value, and in a call over a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgevoice import catalogue
from edgevoice.doors import Doors
from edgevoice.drivers.local import LocalLeg
from edgevoice.drivers.relay import open_relays
from edgevoice.errands import GOODBYE_S, Errand, errand
from edgevoice.events import Closed, Command, End, HangUp, Opened, ToolCalled, ToolResult
from edgevoice.happenings import Connect, EndCall, OpenRelay, ToolDone, TurnVolume
from edgevoice.person import Detection
from edgevoice.schema import Relay
from edgevoice.tools import Toolbox
from edgevoice.wire import NOTHING, Reply
from tests.house import dialling_in, house, run, say_hello, until

TOOLBOX = Toolbox(("set_volume", "call", "open_relay", "hang_up"), ("door",), {"bird": "parrot"})


@pytest.mark.parametrize(
    ("name", "arguments", "effect"),
    [
        ("hang_up", "", EndCall("the agent hung up", GOODBYE_S)),
        ("set_volume", '{"percent": "9"}', TurnVolume(9, "c1")),
        ("open_relay", '{"relay": "door"}', OpenRelay("door", "c1")),
        ("call", '{"to": "bird"}', Connect("parrot", GOODBYE_S, "c1")),
        ("call", '{"to": "fish"}', ToolDone("c1", "error: there is nobody called 'fish' to call; there are: bird")),
    ],
)
def test_a_tool_call_is_one_effect(name: str, arguments: str, effect: Errand) -> None:
    assert errand(TOOLBOX, ToolCalled("c1", name, arguments)) == effect


class Asker:
    """An agent that calls all its tools as soon as it is there, and remembers what it is told."""

    rate = 16_000
    deadline = None

    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def request(self) -> None:
        return None

    def opened(self, at: float) -> Reply:
        wishes = {"set_volume": '{"percent": 9}', "call": '{"to": "bird"}', "open_relay": '{"relay": "door"}'}
        called = (ToolCalled(name, name, arguments) for name, arguments in wishes.items())
        return Reply(events=(Opened(), *called, ToolCalled("rm", "rm", "{}")))

    def receive(self, message: str | bytes, at: float) -> Reply:
        return NOTHING

    def perform(self, command: Command, at: float) -> Reply:
        match command:
            case ToolResult(id, output):
                self.told[id] = output
            case HangUp(reason):
                return Reply(events=(Closed(End.HUNG_UP, reason),), close=True)
            case _:
                pass
        return NOTHING

    def expire(self, at: float) -> Reply:
        return NOTHING

    def lost(self, at: float) -> bool:
        return False

    def closed(self, code: int, reason: str, at: float) -> Closed:
        return Closed(End.HUNG_UP, "it has no connection to lose")


def test_what_an_agent_may_do_in_a_call_over_a_line_it_does_and_of_the_rest_it_is_told_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgevoice.doors")
    asker = Asker()
    monkeypatch.setitem(catalogue.AGENTS, "parrot", lambda *_: catalogue.Reachable(asker, LocalLeg, Detection.LOCAL))
    monkeypatch.setattr(catalogue.Agents, "toolbox", lambda self, name: TOOLBOX)
    relays = open_relays(pins="mock", relays={"door": (5, 0.1)})

    async def story() -> None:
        async with house(tmp_path) as box:
            box.lines._doors = Doors({"door": Relay(agent_may=True, pulse_s=0.1)}, lambda: relays)
            async with dialling_in(box) as phone:
                await say_hello(phone)
                await until(lambda: len(asker.told) == 4)

    run(story())
    relays.close()
    assert asker.told == {
        "set_volume": "error: a telephone's volume is set by who holds it",
        "call": "error: who is on the telephone cannot be connected to anybody else",
        "open_relay": "door is open for 0.1 s",
        "rm": "error: there is no tool 'rm'; there are: hang_up, set_volume, open_relay, call",
    }
    assert caplog.messages[1:] == ["call elks-1: relay door opened by an agent"]
