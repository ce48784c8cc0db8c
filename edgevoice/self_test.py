"""Lets loudspeaker and microphone hear each other in the quietest hour, when nobody is in a call."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from edgevoice.audio.selftest import WHOLE_S
from edgevoice.box_card import BoxCard
from edgevoice.events import Chirp
from edgevoice.nightly import Nights, Verdict, ago, verdict

log = logging.getLogger(__name__)


class SelfTest:
    """Called on the event loop. `name` is the box's, `idle` tells whether nobody wants anything of it."""

    def __init__(self, name: str, card: BoxCard, idle: Callable[[], bool]) -> None:
        self._name = name
        self._card = card
        self._idle = idle
        self._loop = asyncio.get_running_loop()
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

    async def _test(self) -> bool:
        """Chirp and listen; tell whether it came to a verdict."""
        duplex = self._card.sound.duplex
        assert duplex, "a box whose card is lost is busy"
        self._card.sound.perform(Chirp(), self._loop.time())
        await asyncio.sleep(WHOLE_S + 1.0)
        figures = duplex.self_test.figures()
        if figures is None:  # somebody called, or the card is lost
            return False
        found = verdict(figures, self._card.calibration, self._card.mixer.volume())
        self._verdict = found, self._loop.time()
        log.log(logging.WARNING if found.warning else logging.INFO, "self-test: %s", found.words)
        return True


def _time_of_day_s() -> float:
    """Return the seconds since local midnight."""
    now = time.localtime()
    return now.tm_hour * 3600.0 + now.tm_min * 60 + now.tm_sec
