"""The box on the event loop: owns its parts from start to stop, and carries out what `Appliance` decides.

button, light ── BoxPanel ──┐                      ┌── BoxCall      the call at the card
sound card ───── BoxCard ───┼── Appliance ── here ─┤
ctl ──────────── BoxControl ┘   decides            └── relays, volume, the machine's power
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from edgevoice import __version__
from edgevoice.appliance import Appliance
from edgevoice.audio.calibration import Calibration
from edgevoice.audio.duplex import Duplex
from edgevoice.box_call import BoxCall
from edgevoice.box_card import BoxCard
from edgevoice.box_control import BoxControl
from edgevoice.box_panel import BoxPanel
from edgevoice.catalogue import Agents
from edgevoice.directory import Directory
from edgevoice.doors import Doors
from edgevoice.drivers import systemd
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.drivers.memory import free_what_is_over
from edgevoice.drivers.network_watch import watch_network
from edgevoice.drivers.turned import Turned
from edgevoice.errors import DeviceError, StartAgain
from edgevoice.events import Tone
from edgevoice.happenings import (
    AnswerCall,
    CardLost,
    CardReady,
    Connect,
    Decline,
    Effect,
    EndCall,
    Happening,
    HeldLong,
    Mute,
    NetworkBack,
    OpenRelay,
    PartTold,
    PlaceCall,
    PowerOff,
    Pressed,
    Released,
    Sound,
    StopAsked,
    Stopped,
    Talk,
    ToolDone,
    TurnVolume,
)
from edgevoice.health import page
from edgevoice.light import Box
from edgevoice.mending import Mending
from edgevoice.nightly import Verdict
from edgevoice.recordings import Recordings
from edgevoice.schema import Config
from edgevoice.self_test import SelfTest
from edgevoice.watchdog import watch_sound

log = logging.getLogger(__name__)

LEAVE_S = 2.0  # for calls over a line to say goodbye, when the box is stopped


class RunningBox:
    """The box on the event loop. Its phone lines, if it has any, are `directory.lines`."""

    def __init__(
        self,
        config: Config,
        agents: Agents,
        open_card: Callable[[], OpenedCard],
        duplex: Callable[[int], Duplex],
        echo: str,
        doors: Doors,
        calibration: Callable[[], Calibration | None] = lambda: None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._config = config
        self._doors = doors
        self._turned = Turned(config.card.volume)
        self._appliance = _appliance(config, agents, muted=self._turned.muted)
        mending = Mending(
            reboot_after=config.device.reboot_after,
            restart=self._start_again,
            reboot=lambda: self._switch("reboot"),
        )
        self.directory = Directory(agents, Recordings(), self.loop.time)
        self.panel = BoxPanel(self._appliance)
        self.card = BoxCard(
            config,
            open_card,
            duplex,
            echo,
            calibration,
            mending,
            self._turned,
            tell=self._card_told,
            busy=self._carries_calls,
        )
        self.call = BoxCall(
            self._appliance,
            self.card.sound,
            self.directory,
            doors,
            push_to_talk=config.panel.press == "push_to_talk",
            post=self.post,
            spawn=self._spawn,
        )
        self._self_test = SelfTest(config.device.name, self.card, self._is_idle, self._self_tested)
        self.control = BoxControl(
            self._appliance,
            self.card,
            self.call,
            self.directory,
            self._self_test,
            post=self.post,
            press=self._stop_agent,
            status=self.status,
        )
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []  # that end with the box
        self._stop = asyncio.Event()
        self._mistake: BaseException | None = None
        self.start_again: StartAgain | None = None  # why this process has ended, to be started anew
        self._started_at = self.loop.time()

    async def live(self, group: asyncio.TaskGroup) -> None:
        """Run until stopped; calls and the watchdog are tasks of `group`."""
        log.info("edgevoice %s starts as %s", __version__, self._config.device.name)
        self._group, tasks = group, self._tasks
        lines = self.directory.lines
        works = [
            watch_sound(self.card.sound, on_still=self._stands_still, on_again=lambda: self.post(CardReady())),
            self._self_test.live(),
            self._mended("panel", self.panel),
            self._mended("relays", self._doors),
            watch_network(lambda: self.post(NetworkBack())),
            free_what_is_over(talking=lambda: self.call.running is not None or self._carries_calls()),
        ]
        if lines:
            works.append(lines.live(group))
        if listen := self._config.status.listen:
            from edgevoice.drivers.health_server import serve_health  # only where asked for: memory counts

            works.append(serve_health(listen, lambda target: page(target, self.status())))
        tasks += [group.create_task(work) for work in works]
        await self._stop.wait()
        if self.start_again:
            raise self.start_again  # ends every task of the group, whatever it waits for
        if lines and not self._mistake:
            await lines.hang_up("the box is being stopped", LEAVE_S)
        for task in tasks:
            task.cancel()
        if self._mistake:
            raise self._mistake

    def _is_idle(self) -> bool:
        return self._appliance.state is Box.IDLE

    def _self_tested(self, found: Verdict) -> None:
        self.post(PartTold("self-test", found.words if found.warning else ""))

    async def _mended(self, part: str, owner: BoxPanel | Doors) -> None:
        """Say of pins that cannot be had that they cannot, until they can."""
        if owner.trouble:
            self.post(PartTold(part, owner.trouble))
            await owner.live()
            self.post(PartTold(part, ""))

    def fail(self, mistake: BaseException) -> None:
        """End the program with a mistake of ours that nobody caught: systemd starts it again, the journal has it."""
        self._mistake = self._mistake or mistake
        self._stop.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(work)

    # ------------------------------------------------------------------------------------- what happens to it

    def open_panel(self) -> None:
        """Take the pins of button and light."""
        panel = self._config.panel
        self.panel.open(
            panel,
            wanted=panel.pins != "none" and not self._config.left_out >= {"panel.button", "panel.light"},
            on_press=lambda at: self._post_soon(self._stop_agent()),
            on_release=lambda at: self._post_soon(Released()),
            on_hold=lambda at: self._post_soon(HeldLong()),
        )

    def _stop_agent(self) -> Pressed:
        """Tell the audio thread that the button is down; return what to tell the box. Any thread may call it.

        Whether the agent speaks is looked at before: afterwards the silence may be quicker than the press.
        """
        pressed = Pressed(stops=self._appliance.speaking)
        self.card.sound.barge_in()
        return pressed

    def _post_soon(self, happening: Happening) -> None:
        self.loop.call_soon_threadsafe(self.post, happening)

    def _card_told(self, happening: CardReady | CardLost) -> None:
        self.post(happening)
        self.panel.ready()

    def _carries_calls(self) -> bool:
        """Tell whether agents talk over a line, who need no card."""
        lines = self.directory.lines
        return bool(lines and any(running.call for running in lines.running.values()))

    def _stands_still(self) -> bool:
        lost = self.card.stuck()
        self._card_told(lost)
        return lost.hopeless

    def stop(self) -> None:
        """SIGTERM or SIGINT: end politely."""
        systemd.stopping()
        self.post(StopAsked())

    def post(self, happening: Happening) -> None:
        """Tell the box what happened, and do what it decides. Called on the loop."""
        if isinstance(happening, Pressed):
            log.info("pressed")
        self._carry_out(self._appliance.receive(happening, self.loop.time()))

    def _expired(self) -> None:
        self._timer = None
        self._carry_out(self._appliance.expire(self.loop.time()))

    def _carry_out(self, effects: list[Effect]) -> None:
        self.panel.show()
        self.control.look()
        self._turned.mute(self._appliance.muted)
        for effect in effects:
            self._do(effect)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._appliance.deadline is not None:
            self._timer = self.loop.call_at(self._appliance.deadline, self._expired)

    def _do(self, effect: Effect) -> None:
        at = self.loop.time()
        match effect:
            case PlaceCall(target):
                self.call.place(target)
            case AnswerCall(beep):
                self.call.answer(beep)
            case Decline(reason):
                self.call.decline(reason)
            case EndCall(reason, within_s):
                self.call.want(lambda conversation: conversation.leave(reason, within_s, at))
            case Mute(on):
                self.call.want(lambda conversation: conversation.mute(on, at))
            case Talk(on):
                self.call.want(lambda conversation: conversation.talk(on, at))
            case ToolDone(id, output):
                self.call.want(lambda conversation: conversation.tool_result(id, output))
            case Sound(tone):
                self.card.sound.perform(Tone(tone), at)
            case TurnVolume(percent, id):
                try:
                    self.card.mixer.turn_volume(percent)
                    outcome = f"the volume is {percent} per cent"
                except DeviceError as error:
                    outcome = f"error: {error}"
                self.call.want(lambda conversation: conversation.tool_result(id, outcome))
            case OpenRelay(relay, id):
                outcome = self._doors.open_for_agent(relay, self._appliance.target, at)
                self.call.want(lambda conversation: conversation.tool_result(id, outcome))
            case Connect(target, within_s, id):
                self.call.connect(target, within_s, id)
            case PowerOff():
                self._switch("poweroff")
            case Stopped():
                self._stop.set()
            case _:
                assert_never(effect)

    def _switch(self, verb: str) -> None:
        self._tasks.append(self._group.create_task(systemd.switch(verb)))

    def _start_again(self, why: StartAgain) -> None:
        """End this process: who started it starts another one."""
        self.start_again = self.start_again or why
        self._stop.set()

    def status(self) -> dict[str, object]:
        """Say how the box is: facts for a program, and none that a person spoke."""
        box, card, duplex = self._appliance, self.card, self.card.sound.duplex
        call, lines = self.call.running, self.directory.lines
        call_s = None if box.call_since is None else round(self.loop.time() - box.call_since, 1)
        return {
            "name": self._config.device.name,
            "state": box.state.value,
            "turn": box.turn.value if box.state is Box.IN_CALL else None,
            "light": box.light.name,
            "fault": box.fault or None,
            "fallback": box.instead or None,
            "out_of_order": dict(box.out_of_order) or None,
            "last_call_failed": box.failed or None,
            "link": (call.trouble or None) if call else None,
            "call": box.target.partition(":")[0] if box.call_since is not None else None,
            "call_s": call_s,
            "muted": box.muted,
            "volume": card.mixer.volume(),
            "card": card.facts or None,
            "counters": card.sound.counters(),
            "waiting_ms": None if duplex is None else round(duplex.playout.waiting_ms),
            "overflow_ms": None if duplex is None else round(duplex.playout.overflow_ms),
            "echo": card.hearing(),
            "microphone_dbfs": None if duplex is None else round(duplex.detector.level_dbfs, 1),
            "lines": lines.status() if lines else None,
            "panel": self.panel.facts,
            "relays": self._doors.facts,
            "mixer": card.mixer.facts,
            "self_test": self._self_test.last,
            "uptime_s": round(self.loop.time() - self._started_at, 1),
            "version": __version__,
        }


def _appliance(config: Config, agents: Agents, *, muted: bool) -> Appliance:
    """Return the box's state as it is configured, and `muted` as somebody left it."""
    return Appliance(
        button=config.call.button,
        at_start=config.call.at_start,
        fallback=config.call.fallback,
        push_to_talk=config.panel.press == "push_to_talk",
        max_s=config.call.max_s,
        power_off=config.panel.power_off,
        auto_answer=config.call.auto_answer,
        muted=muted,
        tools={name: agents.toolbox(name) for name in agents.names},
    )
