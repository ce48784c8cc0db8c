"""Lets loudspeaker and microphone hear each other, when nobody is in a call: in the quietest hour, or when asked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from edgevoice.audio.measurement import Sounding
from edgevoice.audio.selftest import WHOLE_S
from edgevoice.box_card import BoxCard
from edgevoice.errors import DeviceError
from edgevoice.events import Chirp
from edgevoice.nightly import Nights, Verdict, ago, verdict

log = logging.getLogger(__name__)

LOOK_S = 0.1  # how often is looked whether it has begun
QUIET_WITHIN_S = 3.0  # a tone that sounds is waited for: that after a call, or the first one


class SelfTest:
    """Called on the event loop. `name` is the box's, `idle` tells whether nobody wants anything of it.

    `tell` hears each verdict.
    """

    def __init__(self, name: str, card: BoxCard, idle: Callable[[], bool], tell: Callable[[Verdict], None]) -> None:
        self._name = name
        self._card = card
        self._idle = idle
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._runs = asyncio.Lock()
        self._verdict: tuple[Verdict, float] | None = None  # of the last one, and when

    @property
    def last(self) -> str | None:
        """What came of the last one, and when that was; None: there was none."""
        if self._verdict is None:
            return None
        found, at = self._verdict
        return f"{found.words}; {ago(self._loop.time() - at)}"

    async def live(self) -> None:
        """Test once a night, until cancelled."""
        nights = Nights(self._name, self._loop.time())
        while True:
            await asyncio.sleep(max(0.0, nights.deadline - self._loop.time()))
            busy = not self._idle() or self._card.sound.card is None
            if nights.look(self._loop.time(), _time_of_day_s(), busy=busy) and not await self._test():
                nights.put_off(self._loop.time())

    async def now(self, *, aloud: bool) -> tuple[Sounding, Verdict]:
        """Chirp, or only listen; return what was heard, and what a chirp's means. Raises DeviceError."""
        if self._runs.locked():
            raise DeviceError("the box listens to itself already: ask again in a few seconds")
        tested = await self._heard(aloud=aloud)
        if tested is None:
            raise DeviceError("the box was disturbed while it listened to itself: ask again")
        if aloud:
            self._keep(tested[1])
        return tested

    async def _test(self) -> bool:
        """Chirp and listen; tell whether it came to a verdict."""
        tested = await self._heard(aloud=True)
        if tested is None:
            return False
        self._keep(tested[1])
        return True

    def _keep(self, found: Verdict) -> None:
        self._verdict = found, self._loop.time()
        log.log(logging.WARNING if found.warning else logging.INFO, "self-test: %s", found.words)
        self._tell(found)

    async def _heard(self, *, aloud: bool) -> tuple[Sounding, Verdict] | None:
        """Return what was heard, or None: somebody called, or the card is lost."""
        async with self._runs:
            card, duplex = self._card.sound.card, self._card.sound.duplex
            if card is None or duplex is None:
                return None
            begin_by = self._loop.time() + QUIET_WITHIN_S
            while not duplex.self_test.running and self._loop.time() < begin_by:
                self._card.sound.perform(Chirp(aloud), self._loop.time())
                await asyncio.sleep(LOOK_S)
            restarts = card.restarts
            await asyncio.sleep(WHOLE_S + 0.5)
            sounding = duplex.self_test.sounding()
            if sounding is None:
                return None
            sounding = replace(sounding, disturbed=card.restarts != restarts)
            return sounding, verdict(sounding.figures, self._card.calibration, self._card.mixer.volume())


def _time_of_day_s() -> float:
    """Return the seconds since local midnight."""
    now = time.localtime()
    return now.tm_hour * 3600.0 + now.tm_min * 60 + now.tm_sec
