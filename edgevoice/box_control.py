"""What is asked of the box over its control socket, and what it answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import assert_never

from edgevoice.appliance import Appliance
from edgevoice.box_call import BoxCall
from edgevoice.box_card import BoxCard
from edgevoice.call import Call
from edgevoice.directory import Directory
from edgevoice.drivers import control
from edgevoice.errors import DeviceError
from edgevoice.happenings import CallAsked, HangUpAsked, Happening, MuteAsked, Pressed, Released, TryAsked
from edgevoice.light import Box
from edgevoice.orders import Side
from edgevoice.recordings import RECORDING
from edgevoice.self_test import SelfTest

log = logging.getLogger(__name__)

Answer = dict[str, object]


class BoxControl:
    """Called on the event loop. `press` stops the agent and says so, `post` tells the box, `status` is how it is."""

    def __init__(
        self,
        box: Appliance,
        card: BoxCard,
        call: BoxCall,
        directory: Directory,
        self_test: SelfTest,
        *,
        post: Callable[[Happening], None],
        press: Callable[[], Pressed],
        status: Callable[[], Answer],
    ) -> None:
        self._box = box
        self._card = card
        self._call = call
        self._directory = directory
        self._self_test = self_test
        self._post = post
        self._press = press
        self._status = status
        self._untried = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def look(self) -> None:
        """See whether the box is still being tried: something has happened to it."""
        if self._box.state is not Box.TRIED:
            self._untried.set()

    def answer(self, request: control.Request) -> Answer | Awaitable[Answer]:
        """Answer one line of the control socket. Raises DeviceError, which becomes the answer."""
        if not isinstance(request, control.Status):
            log.info("ctl: %s", type(request).__name__.lower())
        match request:
            case control.Status():
                return self._status()
            case control.Press():
                self._post(self._press())
            case control.Release():
                self._post(Released())
            case control.Call(target) if self._card.sound.card is None:
                raise DeviceError(f"{target} cannot be called now: {self._box.fault or 'the box is starting'}")
            case control.Call(target):
                self._directory.check(target)
                self._post(CallAsked(target))
            case control.Say():
                return self._say(request)
            case control.Hush(to):
                self._saying(to)[0].stop_saying(self._loop.time())
            case control.Keys(keys, to):
                if self._directory.lines is None:
                    raise DeviceError("there is no phone line to send keys over; set one up")
                self._directory.lines.send_keys(keys, to)
            case control.Chirp(aloud):
                return self._chirp(aloud)
            case control.Try(within_s):
                return self._try(within_s)
            case control.HangUp():
                self._post(HangUpAsked())
            case control.Mute(on):
                self._post(MuteAsked(on))
            case control.Volume(percent):
                self._card.mixer.turn_volume(percent)
            case _:
                assert_never(request)
        return {"state": self._box.state.value, "muted": self._box.muted}

    @property
    def _doing(self) -> str:
        return "shows a fault" if self._box.state is Box.FAULT else f"is {self._box.state.value}"

    async def _chirp(self, aloud: bool) -> Answer:
        """Let loudspeaker and microphone hear each other now, and say what came of it in words and figures."""
        if not self._box.free:
            raise DeviceError(f"the box cannot listen to itself now: it {self._doing}")
        sounding, found = await self._self_test.now(aloud=aloud)
        judged = {"judged": found.words, "warning": found.warning} if aloud else {}
        return {**judged, "sounding": asdict(sounding)}

    async def _try(self, within_s: float) -> Answer:
        """Let the light flash until a press arrives, and say whether one did."""
        if not self._box.free or self._box.state is Box.TRIED:
            raise DeviceError(f"light and button cannot be tried now: the box {self._doing}")
        self._untried.clear()
        self._post(TryAsked(within_s))
        await self._untried.wait()
        return {"pressed": self._box.felt}

    async def _say(self, asked: control.Say) -> Answer:
        """Play a recording on a leg: in a call at once or in its turn, or on a box that rests."""
        recording = await self._directory.recordings.read(asked.path)
        if asked.to in ("", "card") and self._call.running is None:
            if not self._box.free:
                raise DeviceError(f"the box cannot play now: it {self._doing}")
            self._directory.recordings.put(recording, loop=asked.loop)
            self._post(CallAsked(RECORDING))
        else:
            rate = self._saying(asked.to)[0].rate
            announcement = await asyncio.to_thread(recording.announcement, rate, loop=asked.loop)
            call, side = self._saying(asked.to)  # as it is now
            if call.rate != rate:
                raise DeviceError("that call has just ended")
            call.say(side, announcement, self._loop.time(), first=asked.now)
        return {"says": asked.path, "s": round(recording.seconds, 1)}

    def _saying(self, to: str) -> tuple[Call, Side]:
        """Return the call of a leg, and which side of it the leg is. Raises DeviceError."""
        call, lines = self._call.running, self._directory.lines
        if call is not None and not call.over:
            line = lines.running.get(to) if lines else None
            if to in ("", "card"):
                return call, Side.NEAR
            if line and line.joined == "card":
                return call, Side.FAR
        if lines and (found := lines.find(to)):
            return found
        legs = ["card", *([row["name"] for row in lines.calls()] if lines else [])]
        raise DeviceError(f'nothing can be played on "{to or "card"}" now; there are: {", ".join(map(str, legs))}')
