"""A box without a sound card: phone lines and agents, and nothing to press. The same program on a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from edgevoice import __version__
from edgevoice.catalogue import Agents
from edgevoice.config import cannot_dial, is_line
from edgevoice.dialling import Dialling
from edgevoice.doors import Doors
from edgevoice.drivers import control, systemd
from edgevoice.drivers.health_server import serve_health
from edgevoice.drivers.memory import free_what_is_over
from edgevoice.errors import ConfigError, DeviceError
from edgevoice.events import Closed
from edgevoice.health import page
from edgevoice.recordings import Recordings
from edgevoice.switchboard import Switchboard
from edgevoice.watchdog import watch_loop

if TYPE_CHECKING:
    from edgevoice.sip_lines import SipDialling

log = logging.getLogger(__name__)

NO_CARD = "this box has no sound card: it joins phone lines and agents"
NUMBER = "a number over a line, like elks:+46701234567, or a name like sip:reception"
LEAVE_S = 2.0  # for calls to say goodbye


class Headless:
    """Carries phone calls to agents until it is stopped."""

    def __init__(self, agents: Agents, doors: Doors) -> None:
        self.loop = asyncio.get_running_loop()
        self.lines = Switchboard(agents, doors, None)
        self._config = agents.config
        self._doors = doors
        self._recordings = Recordings()
        self._stop = asyncio.Event()
        self._mistake: BaseException | None = None
        self._started_at = self.loop.time()

    async def live(self, group: asyncio.TaskGroup) -> None:
        log.info("edgevoice %s starts as %s: %s", __version__, self._config.device.name, NO_CARD)
        self._group = group
        works = [
            self.lines.live(group),
            watch_loop(),
            free_what_is_over(talking=lambda: bool(self.lines.running)),
            self._doors.live(),
        ]
        if listen := self._config.status.listen:
            works.append(serve_health(listen, lambda target: page(target, self._status())))
        tasks = [group.create_task(work) for work in works]
        systemd.ready("phone lines only")
        await self._stop.wait()
        if self._mistake:
            raise self._mistake
        await self.lines.hang_up("the box is being stopped", LEAVE_S)
        for task in tasks:
            task.cancel()

    def stop(self) -> None:
        """SIGTERM or SIGINT: end politely."""
        systemd.stopping()
        self._stop.set()

    def fail(self, mistake: BaseException) -> None:
        """End the program with a mistake of ours that nobody caught."""
        self._mistake = self._mistake or mistake
        self._stop.set()

    def answer(self, request: control.Request) -> dict[str, object] | Awaitable[dict[str, object]]:
        """Answer one line of the control socket."""
        match request:
            case control.Status():
                return self._status()
            case control.Call(target):
                return self._call(target)
            case control.HangUp():
                self._group.create_task(self.lines.hang_up("hung up at the box", LEAVE_S))
                return self._status()
            case control.Say():
                return self._say(request)
            case control.Keys(keys, to):
                self.lines.send_keys(keys, to)
                return self._status()
            case control.Hush(to):
                if (found := self.lines.find(to)) is None:
                    raise DeviceError(self._no_such_leg(to))
                found[0].stop_saying(self.loop.time())
                return self._status()
            case _:
                raise DeviceError(NO_CARD)

    def _status(self) -> dict[str, object]:
        return {
            "name": self._config.device.name,
            "state": "phone lines only",
            "out_of_order": {"relays": self._doors.trouble} if self._doors.trouble else None,
            "lines": self.lines.status(),
            "relays": self._doors.facts,
            "uptime_s": round(self.loop.time() - self._started_at, 1),
            "version": __version__,
        }

    def _call(self, target: str) -> dict[str, object]:
        """Call somebody, and let the agent that answers calls talk with them."""
        problem = cannot_dial(self._config, target) if is_line(target) else f'expected {NUMBER}, got "{target}"'
        problem = problem or self.lines.full
        if problem:
            raise DeviceError(problem)
        self._group.create_task(self._converse(target))
        return self._status()

    async def _converse(self, target: str) -> None:
        try:
            with self.lines.dialling(target) as dialling:
                if not isinstance(dialling, Dialling):
                    await self._converse_by_sip(dialling)
                    return
                reached = await dialling.connect(lambda event, at: None)
                if isinstance(reached, Closed):
                    log.warning("call %s: %s (%s)", dialling.name, reached.reason, reached.end.value)
                    return
                running = next((run for run in self.lines.running.values() if run.leg is reached), None)
                if running is None:
                    log.warning("call %s: answered, and hung up at once", dialling.name)
                    return
                await self.lines.converse(running, self._config.call.incoming)
        except ConfigError as error:
            log.error("%s", " ".join(error.problems))

    async def _converse_by_sip(self, dialling: SipDialling) -> None:
        if dialling.leg is None:
            log.warning("call sip: %s", dialling.closed.reason if dialling.closed else "")
            return
        await self.lines.converse_with(dialling.leg, self._config.call.incoming)

    async def _say(self, asked: control.Say) -> dict[str, object]:
        recording = await self._recordings.read(asked.path)
        found = self.lines.find(asked.to)
        if found is None:
            raise DeviceError(self._no_such_leg(asked.to))
        call, side = found
        call.say(side, recording.announcement(call.rate, loop=asked.loop), self.loop.time(), first=asked.now)
        return {"says": asked.path, "s": round(recording.seconds, 1)}

    def _no_such_leg(self, to: str) -> str:
        names = ", ".join(str(row["name"]) for row in self.lines.calls()) or "no calls"
        return f'nothing can be played on "{to}" now; there are: {names}'
