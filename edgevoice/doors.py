"""The relays of a box as a call sees them: keys or an agent open one; a line in the journal says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from edgevoice.drivers.pins import AGAIN_S
from edgevoice.drivers.relay import Relays
from edgevoice.errors import DeviceError
from edgevoice.events import Command, Tone
from edgevoice.relays import AGENT_OPENINGS, AGENT_WINDOW_S, Blocked, Keypad, Opened, Openings, Wrong
from edgevoice.schema import Relay

log = logging.getLogger(__name__)

Perform = Callable[[Command, float], None]


class Doors:
    """Every relay that is configured; each call has a keypad of its own.

    `claim` takes their pins, or raises DeviceError: then `live` tries again, and meanwhile no door opens.
    """

    def __init__(self, configured: Mapping[str, Relay], claim: Callable[[], Relays]) -> None:
        self._configured = configured
        self._claim = claim
        try:
            self._relays = claim()
        except DeviceError as error:
            self._relays = Relays(facts=f"out of order: {error}")
        if configured:
            log.log(logging.ERROR if self.trouble else logging.INFO, "relays: %s", self.facts)
        self._openings = Openings()

    @property
    def facts(self) -> str:
        return self._relays.facts

    @property
    def trouble(self) -> str:
        """Why no door opens; "": each that is configured does."""
        return "" if self._relays.claimed or not self._configured else self.facts.removeprefix("out of order: ")

    async def live(self) -> None:
        """Take pins that could not be had, as soon as they can."""
        while self.trouble:
            await asyncio.sleep(AGAIN_S)
            try:
                self._relays = self._claim()
            except DeviceError as error:
                log.debug("relays: %s", error)
            if not self.trouble:
                log.info("relays: %s", self.facts)

    def close(self) -> None:
        """Switch all off and free the pins."""
        self._relays.close()

    def listener(self, call: str, perform: Perform, now: Callable[[], float]) -> Callable[[str], None]:
        """Return what takes the keys that are pressed in a call; `perform` plays the tones that answer them."""
        codes = {name: relay.dtmf for name, relay in self._configured.items()}
        keypad = Keypad(codes, {name: relay.max_wrong for name, relay in self._configured.items()})

        def pressed(key: str) -> None:
            match keypad.press(key, now()):
                case Opened(name):
                    perform(Tone(self._open(name, call)), now())
                case Wrong():
                    log.warning("call %s: a wrong code", call)
                    if len(self._configured) == 1:  # else it may be the middle of a longer one
                        perform(Tone("refused"), now())
                case Blocked():
                    log.warning("call %s: too many wrong codes; no door opens any more in this call", call)
                    perform(Tone("refused"), now())
                case None:
                    pass

        return pressed

    def _open(self, name: str, call: str) -> str:
        """Pulse a relay; return the tone that says what came of it."""
        try:
            self._relays.pulse(name)
        except DeviceError as error:
            log.error("call %s: relay %s: %s", call, name, error)
            return "trouble"
        log.info("call %s: relay %s opened by a code", call, name)
        return "connected"

    def open_for_agent(self, name: str, call: str, at: float) -> str:
        """Pulse a relay that an agent may open; return words for the agent. Each try stands in the journal."""
        if not self._configured[name].agent_may:
            log.warning("call %s: an agent wants relay %s, which it may not open", call, name)
            return f"error: {name} may not be opened by you"
        if not self._openings.may(name, at):
            log.warning("call %s: an agent wants relay %s too often; it stays shut", call, name)
            return f"error: {name} was opened {AGENT_OPENINGS} times within {AGENT_WINDOW_S:g} s; wait a minute"
        try:
            self._relays.pulse(name)
        except DeviceError as error:
            log.error("call %s: relay %s: %s", call, name, error)
            return f"error: {name} does not open; the owner finds the cause in the journal"
        log.info("call %s: relay %s opened by an agent", call, name)
        return f"{name} is open for {self._configured[name].pulse_s:g} s"
