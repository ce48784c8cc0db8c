"""What a person sees and presses: button and light; and the same in words, in the journal and in `systemctl status`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from edgevoice import schema
from edgevoice.appliance import Appliance
from edgevoice.drivers import systemd
from edgevoice.drivers.panel import Panel, open_panel
from edgevoice.drivers.pins import AGAIN_S
from edgevoice.errors import DeviceError
from edgevoice.light import Box

log = logging.getLogger(__name__)


class BoxPanel:
    """Shows `box`. The callbacks are called on gpiozero's threads, with the time."""

    def __init__(self, box: Appliance) -> None:
        self._box = box
        self._panel = Panel(facts="not opened")
        self.trouble = ""  # why there is neither button nor light
        self._told: tuple[Box, str] | None = None  # state and words, as last told to the journal
        self._ready = False

    def open(
        self,
        wired: schema.Panel,
        *,
        wanted: bool,
        on_press: Callable[[float], None],
        on_release: Callable[[float], None],
        on_hold: Callable[[float], None],
    ) -> None:
        """Take the pins; a box without its button still answers to ctl, and says what is wrong.

        `wanted`: somebody wrote of a button or a light, so that it is a trouble to have none on this machine.
        """
        self._wanted = wanted
        self._claim = partial(
            open_panel,
            pins=wired.pins,
            button=wired.button,
            pull=wired.button_pull,
            light=wired.light,
            leds=wired.light_leds,
            power=wired.light_power,
            hold_s=wired.hold_s,
            on_press=on_press,
            on_release=on_release,
            on_hold=on_hold,
        )
        try:
            self._take(self._claim())
        except DeviceError as error:
            self.trouble = str(error)
            self._panel = Panel(facts=f"out of order: {error}")
            log.error("panel: %s", error)

    async def live(self) -> None:
        """Take pins that could not be had, as soon as they can."""
        while self.trouble:
            await asyncio.sleep(AGAIN_S)
            try:
                self._take(self._claim())
            except DeviceError as error:
                log.debug("panel: %s", error)

    def _take(self, panel: Panel) -> None:
        self.trouble = panel.facts if self._wanted and panel.factory is None else ""
        if panel.facts != self._panel.facts:
            log.log(logging.ERROR if self.trouble else logging.INFO, "panel: %s", panel.facts)
        self._panel = panel
        panel.show(self._box.light)

    def close(self) -> None:
        self._panel.close()

    @property
    def facts(self) -> str:
        return self._panel.facts

    def show(self) -> None:
        """Show the state by the light; say in the journal, and to systemd, what has changed."""
        box = self._box
        self._panel.show(box.light)
        if (box.state, self._words) == self._told:
            return
        self._told = (box.state, self._words)
        level = logging.WARNING if box.state is Box.FAULT else logging.INFO
        if (
            box.failures and box.state is not Box.FAULT
        ):  # of the tries to have one call the journal has the first, and that it is there at last
            first = box.state is Box.WAITING_TO_RETRY and box.failures == 1
            level = logging.WARNING if first or box.state is Box.IN_CALL else logging.DEBUG
        tries = f", after {box.failures} tries" if box.failures and box.state is Box.IN_CALL else ""
        log.log(level, "box: %s%s", self._words, tries)
        systemd.status(self._words)

    def ready(self) -> None:
        """Say to systemd, the first time, that the start is over."""
        if not self._ready:
            self._ready = True
            systemd.ready(self._words)

    @property
    def _words(self) -> str:
        """The state as a person reads it in `systemctl status`."""
        box = self._box
        why = box.fault or (f"with the fallback, as {box.instead}" if box.instead else "")
        broken = "".join(f"; out of order: {part}: {words}" for part, words in box.out_of_order.items())
        return f"{box.state.value}: {why}{broken}" if why else f"{box.state.value}{broken}"
