"""The box on the event loop: carries out what `Appliance` decides, and tells it what happens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, assert_never

from edgevoice import __version__
from edgevoice.announcement import Announcement
from edgevoice.appliance import Appliance
from edgevoice.audio.calibration import Calibration
from edgevoice.audio.duplex import Duplex
from edgevoice.audio.selftest import WHOLE_S
from edgevoice.bridge import Bridge, FarLeg
from edgevoice.call import Call, Machine
from edgevoice.catalogue import Agents
from edgevoice.directory import Directory
from edgevoice.doors import Doors
from edgevoice.drivers import control, systemd
from edgevoice.drivers.audio_thread import OpenedCard, SoundCard
from edgevoice.drivers.health_server import serve_health
from edgevoice.drivers.line_leg import FarLine
from edgevoice.drivers.mixer import UNTOUCHED, Mixer, NoMixer, open_mixer
from edgevoice.drivers.mixer_settings import MixerSettings
from edgevoice.drivers.network_watch import watch_network
from edgevoice.drivers.panel import Panel, open_panel
from edgevoice.drivers.profile_files import card_ids
from edgevoice.errors import ConfigError, DeviceError, StartAgain
from edgevoice.events import Chirp, Closed, End, HangUp, Tone
from edgevoice.happenings import (
    AnswerCall,
    CallAsked,
    CallEnded,
    CallOpened,
    CardLost,
    CardReady,
    Connect,
    Decline,
    Effect,
    EndCall,
    HangUpAsked,
    Happening,
    HeldLong,
    Mute,
    MuteAsked,
    NetworkBack,
    OpenRelay,
    PlaceCall,
    PowerOff,
    Pressed,
    Released,
    RingingEnded,
    Rings,
    Sound,
    StopAsked,
    Stopped,
    Talk,
    ToolDone,
    TurnChanged,
    TurnVolume,
)
from edgevoice.health import page
from edgevoice.intercom import Intercom
from edgevoice.light import Box
from edgevoice.mending import Mending
from edgevoice.nightly import Nights, Verdict, ago, verdict
from edgevoice.orders import Side
from edgevoice.profiles import as_found
from edgevoice.recordings import RECORDING, Recordings
from edgevoice.schema import Config
from edgevoice.switchboard import Switchboard, Visitor

log = logging.getLogger(__name__)

LEAVE_S = 2.0  # for calls over a line to say goodbye, when the box is stopped
WATCH_S = 2.5  # how often it is looked whether everything advances, where systemd does not say
STILL_S = 7.0  # of looks without an advance: longer than any wait of the audio thread, shorter than systemd's patience
STANDS_STILL = "the audio thread stands still"


class RunningBox:
    """The box on the event loop: carries out what `Appliance` decides, and tells it what happens."""

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
        self.sound = SoundCard(
            open_card, duplex, on_ready=self._card_ready, on_lost=self._card_lost, on_trouble=self._card_trouble
        )
        self._echo = echo
        self._load_calibration = calibration
        self._calibration: Calibration | None = None  # of the card that is open
        self._trouble = ""
        self._verdict: tuple[Verdict, float] | None = None  # of the last self-test, and when
        self._config = config
        self._agents = agents
        self._appliance = Appliance(
            button=config.call.button,
            at_start=config.call.at_start,
            fallback=config.call.fallback,
            push_to_talk=config.panel.press == "push_to_talk",
            max_s=config.call.max_s,
            power_off=config.panel.power_off,
            auto_answer=config.call.auto_answer,
            tools={name: agents.toolbox(name) for name in agents.names},
        )
        self._panel = Panel(facts="not opened")
        self._mixer: Mixer = NoMixer("no card yet")
        self._hat_mixer = MixerSettings()
        self._volume = config.card.volume
        self._card_facts: dict[str, object] = {}
        self.lines: Switchboard | None = None
        self.doors = doors
        self._visitor: Visitor | None = None  # it rings, or is being talked with
        self._recordings = Recordings()
        self._directory = Directory(agents, self._recordings, self.loop.time)
        self._bridge: Bridge | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._shown: tuple[Box, str] | None = None  # state and fault, as last told to the journal
        self._ready = False
        self._tasks: list[asyncio.Task[None]] = []  # that end with the box
        self._stop = asyncio.Event()
        self._mistake: BaseException | None = None
        self.start_again: StartAgain | None = None  # why this process has ended, to be started anew
        self._mending = Mending(
            reboot_after=config.device.reboot_after,
            restart=self._start_again,
            reboot=lambda: self._switch("reboot"),
        )
        self._started_at = self.loop.time()

    async def live(self, group: asyncio.TaskGroup) -> None:
        """Run until stopped; calls and the watchdog are tasks of `group`."""
        log.info("edgevoice %s starts as %s", __version__, self._config.device.name)
        self._group, tasks = group, self._tasks
        tasks += [group.create_task(self._feed_watchdog()), group.create_task(self._test_nightly())]
        tasks.append(group.create_task(watch_network(lambda: self.post(NetworkBack()))))
        if self.lines:
            self._directory.lines = self.lines
            tasks.append(group.create_task(self.lines.live(group)))
        if listen := self._config.status.listen:
            tasks.append(group.create_task(serve_health(listen, lambda target: page(target, self.status()))))
        await self._stop.wait()
        if self.start_again:
            raise self.start_again  # ends every task of the group, whatever it waits for
        if self.lines and not self._mistake:
            await self.lines.hang_up("the box is being stopped", LEAVE_S)
        for task in tasks:
            task.cancel()
        if self._mistake:
            raise self._mistake

    def fail(self, mistake: BaseException) -> None:
        """End the program with a mistake of ours that nobody caught: systemd starts it again, the journal has it."""
        self._mistake = self._mistake or mistake
        self._stop.set()

    # --------------------------------------------------------------------------------------------- the panel

    def open_panel(self) -> None:
        panel = self._config.panel
        try:
            self._panel = open_panel(
                pins=panel.pins,
                button=panel.button,
                pull=panel.button_pull,
                light=panel.light,
                hold_s=panel.hold_s,
                on_press=self._pressed,
                on_release=lambda at: self._post_soon(Released()),
                on_hold=lambda at: self._post_soon(HeldLong()),
            )
        except DeviceError as error:  # a box without its button still answers to ctl, and says what is wrong
            self._panel = Panel(facts=f"out of order: {error}")
            log.error("panel: %s", error)
        log.info("panel: %s", self._panel.facts)
        self._panel.show(self._appliance.light)

    def close_panel(self) -> None:
        self._panel.close()

    def _pressed(self, at: float) -> None:
        """Called on gpiozero's thread: the audio thread is told first, by the shortest path."""
        self._post_soon(self._stop_agent())

    def _stop_agent(self) -> Pressed:
        """Tell the audio thread that the button is down; return what to tell the box. Any thread may call it.

        Whether the agent speaks is looked at before: afterwards the silence may be quicker than the press.
        """
        pressed = Pressed(stops=self._appliance.speaking)
        self.sound.barge_in()
        return pressed

    def _post_soon(self, happening: Happening) -> None:
        self.loop.call_soon_threadsafe(self.post, happening)

    # ------------------------------------------------------------------------------------- what happens to it

    def stop(self) -> None:
        """SIGTERM or SIGINT: end politely."""
        systemd.stopping()
        self.post(StopAsked())

    def post(self, happening: Happening) -> None:
        """Tell the box what happened, and do what it decides. Called on the loop."""
        self._carry_out(self._appliance.receive(happening, self.loop.time()))

    def _expired(self) -> None:
        self._timer = None
        self._carry_out(self._appliance.expire(self.loop.time()))

    def _carry_out(self, effects: list[Effect]) -> None:
        self._panel.show(self._appliance.light)
        self._tell_state()
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
                self._place(target)
            case AnswerCall(beep):
                self._take_visitor(beep)
            case Decline(reason):
                self._decline(reason)
            case EndCall(reason, within_s):
                self._want(lambda conversation: conversation.leave(reason, within_s, at))
            case Mute(on):
                self._want(lambda conversation: conversation.mute(on, at))
            case Talk(on):
                self._want(lambda conversation: conversation.talk(on, at))
            case ToolDone(id, output):
                self._want(lambda conversation: conversation.tool_result(id, output))
            case Sound(tone):
                self.sound.perform(Tone(tone), at)
            case TurnVolume(percent, id):
                try:
                    self._turn_volume(percent)
                    outcome = f"the volume is {percent} per cent"
                except DeviceError as error:
                    outcome = f"error: {error}"
                self._want(lambda conversation: conversation.tool_result(id, outcome))
            case OpenRelay(relay, id):
                outcome = self.doors.open_for_agent(relay, self._appliance.target, at)
                self._want(lambda conversation: conversation.tool_result(id, outcome))
            case Connect(target, within_s, id):
                self._connect(target, within_s, id)
            case PowerOff():
                self._switch("poweroff")
            case Stopped():
                self._stop.set()
            case _:
                assert_never(effect)

    def _turn_volume(self, percent: int) -> None:
        self._mixer.set_volume(percent)
        self._volume = percent

    def _tell_state(self) -> None:
        """Say in the journal, and to systemd, what has changed."""
        box = self._appliance
        if (box.state, box.fault or box.instead) == self._shown:
            return
        self._shown = (box.state, box.fault or box.instead)
        log.log(logging.WARNING if box.state is Box.FAULT else logging.INFO, "box: %s", self._words)
        systemd.status(self._words)

    @property
    def _words(self) -> str:
        """The state as a person reads it in `systemctl status`."""
        box = self._appliance
        why = box.fault or (f"with the fallback, as {box.instead}" if box.instead else "")
        return f"{box.state.value}: {why}" if why else box.state.value

    # ------------------------------------------------------------------------------------------------ the card

    def _card_ready(self, facts: dict[str, object]) -> None:
        self._card_facts = facts
        self._mending.opened(self.loop.time())
        log.info("card: %s", ", ".join(f"{name} {value}" for name, value in facts.items()))
        self._calibration = self._load_calibration()
        log.info("calibration: %s", self._calibration.words if self._calibration else "never (edgevoice calibrate)")
        self._set_mixer()
        self.post(CardReady())
        self._tell_ready()

    def _set_mixer(self) -> None:
        """Set what the HAT wants, and the volume, of a card that has just been opened, for the first time or again."""
        found = as_found(self._config, card_ids())
        card = found.card
        if card.simulate:
            self._mixer = NoMixer("the simulated room has none")
            return
        for problem in self._hat_mixer.apply(found.hat_mixer):
            log.warning("mixer: %s", problem)
        try:
            if isinstance(self._mixer, NoMixer):
                self._mixer = open_mixer(card.playback, card.mixer, self._volume)
                log.info("mixer: %s", self._mixer.facts)
            elif self._volume != UNTOUCHED:
                self._mixer.set_volume(self._volume)
        except DeviceError as error:  # one that was found once is tried again when the card is opened again
            log.warning("mixer: %s", error)

    def restore_mixer(self) -> None:
        self._mixer.restore()
        self._hat_mixer.restore()

    def _card_trouble(self, trouble: str) -> None:
        self._trouble = trouble
        if trouble:
            log.warning("sound: %s", trouble)

    def _card_lost(self, reason: str, hung: bool) -> None:
        self._card_facts = {}
        self._trouble = ""
        busy = bool(self.lines and any(run.call for run in self.lines.running.values()))  # with agents
        given_up = self._mending.hung(reason, self.loop.time(), busy=busy) if hung else ""
        self.post(CardLost(f"{reason}; {given_up}" if given_up else reason, hopeless=bool(given_up)))
        self._tell_ready()

    def _switch(self, verb: str) -> None:
        self._tasks.append(self._group.create_task(systemd.switch(verb)))

    def _start_again(self, why: StartAgain) -> None:
        """End this process: who started it starts another one."""
        self.start_again = self.start_again or why
        self._stop.set()

    def _tell_ready(self) -> None:
        if not self._ready:
            self._ready = True
            systemd.ready(self._words)

    # ------------------------------------------------------------------------------------------------- a call

    def _place(self, target: str) -> None:
        stack = ExitStack()
        try:
            machine, far = self._directory.reach(target, stack)
        except ConfigError as error:
            closed = Closed(End.REFUSED, " ".join(error.problems))
            self.loop.call_soon(self.post, CallEnded(closed))
            return
        call = self._start(target, machine, far, stack)
        if target == RECORDING:
            self._play(call, self._recordings.take(far.rate))

    def _connect(self, target: str, within_s: float, id: str) -> None:
        """Hand the person over to somebody else, or tell the agent that asked for it why not."""
        if why := self._directory.unreachable(target):
            log.warning("the agent cannot hand the person over: %s", why)
            self._want(lambda conversation: conversation.tool_result(id, "error: the telephone is out of order now"))
        else:
            log.info("the agent hands the person over")
            self.post(CallAsked(target, within_s))

    def _play(self, call: Call, recording: Announcement) -> None:
        """Play it as soon as the card takes part: what it was told before that is forgotten."""

        def opened() -> None:
            self.post(CallOpened())
            call.say(Side.NEAR, recording, self.loop.time())

        call.on_opened = opened
        call.on_said = lambda: self.post(HangUpAsked())

    def _start(self, target: str, machine: Machine, far: FarLeg, stack: ExitStack) -> Call:
        """Join the card and `far`; what `stack` holds is let go when the call is over."""
        call = Call(machine, self.sound.perform, far.perform, far.rate)
        call.on_opened = lambda: self.post(CallOpened())
        call.on_turn = lambda turn, speaking: self.post(TurnChanged(turn, speaking))
        call.on_tool = self.post
        name = self._visitor.name if self._visitor else target.partition(":")[0]
        call.on_key = self.doors.listener(name, far.perform, self.loop.time)
        self._bridge = bridge = Bridge(call, self.sound, far)
        self._group.create_task(self._call(name, bridge, stack))
        return call

    async def _call(self, name: str, bridge: Bridge, stack: ExitStack) -> None:
        """Be one call. The box is free for the next one before the far side has said goodbye."""
        began = self.loop.time()
        bridge.on_free = lambda: self._ended(name, bridge, self.loop.time() - began)
        with stack:
            await bridge.run()

    def _ended(self, name: str, bridge: Bridge, lasted: float) -> None:
        """The card is free again. A number that was called is not in `name`."""
        closed = bridge.call.machine.over
        assert closed is not None, "a call that is over knows why"
        words = bridge.call.figures.words
        log.info("call to %s over after %.1f s: %s (%s); %s", name, lasted, closed.reason, closed.end.value, words)
        self._bridge = self._visitor = None
        self.post(CallEnded(closed))

    def _want(self, orders: Callable[[Machine], Any]) -> None:
        if self._bridge:
            self._bridge.want(orders)

    # ------------------------------------------------------------------------------------- a call that comes in

    @property
    def free(self) -> bool:
        """A call that comes in may ring."""
        return self._appliance.free

    def ring(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self.post(Rings(visitor.line, visitor.allowed))

    def left(self, visitor: Visitor) -> None:
        if visitor is self._visitor:
            self._visitor = None
            self.post(RingingEnded())

    def _take_visitor(self, beep: bool) -> None:
        visitor = self._visitor
        assert visitor is not None, "somebody rings"
        visitor.answered.set()
        machine = Intercom(push_to_talk=self._config.panel.press == "push_to_talk", beep=beep)
        self._start(visitor.line, machine, FarLine(visitor.leg), ExitStack())

    def _decline(self, reason: str) -> None:
        visitor, self._visitor = self._visitor, None
        if visitor is not None:
            visitor.answered.set()
            visitor.leg.perform(HangUp(reason), self.loop.time())

    # --------------------------------------------------------------------------------------------- the control

    def answer(self, request: control.Request) -> dict[str, object] | Awaitable[dict[str, object]]:
        """Answer one line of the control socket."""
        match request:
            case control.Status():
                return self.status()
            case control.Press():
                self.post(self._stop_agent())
            case control.Release():
                self.post(Released())
            case control.Call(target) if self.sound.card is None:
                raise DeviceError(f"{target} cannot be called now: {self._appliance.fault or 'the box is starting'}")
            case control.Call(target):
                self._directory.check(target)
                self.post(CallAsked(target))
            case control.Say():
                return self._say(request)
            case control.Hush(to):
                self._saying(to)[0].stop_saying(self.loop.time())
            case control.Keys(keys, to):
                if self.lines is None:
                    raise DeviceError("there is no phone line to send keys over; set one up")
                self.lines.send_keys(keys, to)
            case control.HangUp():
                self.post(HangUpAsked())
            case control.Mute(on):
                self.post(MuteAsked(on))
            case control.Volume(percent):
                self._turn_volume(percent)  # a DeviceError becomes the answer
            case _:
                assert_never(request)
        return {"state": self._appliance.state.value, "muted": self._appliance.muted}

    async def _say(self, asked: control.Say) -> dict[str, object]:
        """Play a recording on a leg: in a call at once or in its turn, or on a box that rests."""
        recording = await self._recordings.read(asked.path)
        if asked.to in ("", "card") and self._bridge is None:
            if not self._appliance.free:
                raise DeviceError(f"the box cannot play now: it is {self._appliance.state.value}")
            self._recordings.put(recording, loop=asked.loop)
            self.post(CallAsked(RECORDING))
        else:
            rate = self._saying(asked.to)[0].rate
            announcement = await asyncio.to_thread(recording.announcement, rate, loop=asked.loop)
            call, side = self._saying(asked.to)  # as it is now
            if call.rate != rate:
                raise DeviceError("that call has just ended")
            call.say(side, announcement, self.loop.time(), first=asked.now)
        return {"says": asked.path, "s": round(recording.seconds, 1)}

    def _saying(self, to: str) -> tuple[Call, Side]:
        """Return the call of a leg, and which side of it the leg is. Raises DeviceError."""
        if self._bridge is not None and not self._bridge.call.over:
            line = self.lines.running.get(to) if self.lines else None
            if to in ("", "card"):
                return self._bridge.call, Side.NEAR
            if line and line.joined == "card":
                return self._bridge.call, Side.FAR
        if self.lines and (found := self.lines.find(to)):
            return found
        legs = ["card", *([row["name"] for row in self.lines.calls()] if self.lines else [])]
        raise DeviceError(f'nothing can be played on "{to or "card"}" now; there are: {", ".join(map(str, legs))}')

    def status(self) -> dict[str, object]:
        """Say how the box is: facts for a program, and none that a person spoke."""
        box, duplex = self._appliance, self.sound.duplex
        call_s = None if box.call_since is None else round(self.loop.time() - box.call_since, 1)
        return {
            "name": self._config.device.name,
            "state": box.state.value,
            "turn": box.turn.value if box.state is Box.IN_CALL else None,
            "light": box.light.name,
            "fault": box.fault or None,
            "fallback": box.instead or None,
            "link": (self._bridge.call.trouble or None) if self._bridge else None,
            "call": box.target.partition(":")[0] if box.call_since is not None else None,
            "call_s": call_s,
            "muted": box.muted,
            "volume": self._mixer.volume(),
            "card": self._card_facts or None,
            "counters": self.sound.counters(),
            "waiting_ms": None if duplex is None else round(duplex.playout.waiting_ms),
            "overflow_ms": None if duplex is None else round(duplex.playout.overflow_ms),
            "echo": self._hearing(duplex),
            "microphone_dbfs": None if duplex is None else round(duplex.detector.level_dbfs, 1),
            "lines": self.lines.status() if self.lines else None,
            "panel": self._panel.facts,
            "mixer": self._mixer.facts,
            "self_test": self._last_self_test(),
            "uptime_s": round(self.loop.time() - self._started_at, 1),
            "version": __version__,
        }

    def _last_self_test(self) -> str | None:
        if self._verdict is None:
            return None
        found, at = self._verdict
        return f"{found.words}; {ago(self.loop.time() - at)}"

    def _hearing(self, duplex: Duplex | None) -> dict[str, object]:
        """Say how the box hears while it speaks."""
        canceller, _, missing = self._echo.partition("; ")
        facts: dict[str, object] = {"canceller": canceller, "missing": missing or None}
        if duplex is None:
            return facts
        return facts | {
            "calibrated": self._calibration.made if self._calibration else None,
            "half_duplex": duplex.half_duplex,
            "suspicions": duplex.suspicions,
            "taken_back": duplex.taken_back,
            "drift_ppm": round(duplex.reference.drift_ppm, 1),
            "faults": duplex.hearing.faults + duplex.reference.faults,
            "trouble": self._trouble or None,
        }

    # ------------------------------------------------------------------------------------------- the self-test

    async def _test_nightly(self) -> None:
        """Let loudspeaker and microphone hear each other in the quietest hour, when nobody is in a call."""
        nights = Nights(self._config.device.name, self.loop.time())
        while True:
            await asyncio.sleep(max(0.0, nights.deadline - self.loop.time()))
            busy = self._appliance.state is not Box.IDLE or self.sound.card is None
            if nights.look(self.loop.time(), _time_of_day_s(), busy=busy) and not await self._test_hearing():
                nights.put_off(self.loop.time())

    async def _test_hearing(self) -> bool:
        """Chirp and listen; tell whether it came to a verdict."""
        duplex = self.sound.duplex
        assert duplex, "a box whose card is lost is busy"
        self.sound.perform(Chirp(), self.loop.time())
        await asyncio.sleep(WHOLE_S + 1.0)
        figures = duplex.self_test.figures()
        if figures is None:  # somebody called, or the card is lost
            return False
        found = verdict(figures, self._calibration, self._mixer.volume())
        self._verdict = found, self.loop.time()
        log.log(logging.WARNING if found.warning else logging.INFO, "self-test: %s", found.words)
        return True

    # -------------------------------------------------------------------------------------------- the watchdog

    async def _feed_watchdog(self) -> None:
        """Feed systemd's watchdog while this loop and the audio thread both advance.

        A thread that stands still is our own business first: we know what to write down. A loop that does is systemd's.
        """
        look_s = (systemd.watchdog_interval_s() or 2 * WATCH_S) / 2
        progress, still_s = (
            -1,
            0.0,
        )  # looks are counted, not time: a process that was stopped has lost time, not a thread
        while True:
            await asyncio.sleep(look_s)
            if self.sound.progress != progress:
                if still_s >= STILL_S:  # it has given up on it, and was wrong
                    self.post(CardReady())
                progress, still_s = self.sound.progress, 0.0
                systemd.alive()
                continue
            before, still_s = still_s, still_s + look_s
            if before < STILL_S <= still_s:
                log.error("sound: %s: %s", STANDS_STILL, self.sound.where())
                given_up = self._mending.stuck(STANDS_STILL, self.loop.time())
                self.post(CardLost(f"{STANDS_STILL}; {given_up}".removesuffix("; "), hopeless=bool(given_up)))


def _time_of_day_s() -> float:
    """Return the seconds since local midnight."""
    now = time.localtime()
    return now.tm_hour * 3600.0 + now.tm_min * 60 + now.tm_sec
