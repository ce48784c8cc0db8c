"""What is done about a card that hangs: carries out what `Recovery` says, and writes down what has to last."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edgevoice.drivers import state
from edgevoice.errors import DeviceError, StartAgain
from edgevoice.recovery import Recovery, Step

log = logging.getLogger(__name__)

UNDER_WAY_S = 60.0  # a step that was taken and has not ended us by then was not taken


class Mending:
    """Called on the event loop."""

    def __init__(self, *, reboot_after: int, restart: Callable[[StartAgain], None], reboot: Callable[[], None]) -> None:
        """`restart` ends the process, to be started anew; `reboot` starts the machine anew."""
        self._recovery = Recovery(state.load_recovery(), state.boot(), reboot_after=reboot_after)
        self._restart = restart
        self._reboot = reboot
        self._told = ""
        self._busy_until = 0.0  # a step is under way

    def opened(self, at: float) -> None:
        """The card has been opened."""
        self._recovery.opened(at)

    def hung(self, reason: str, at: float, *, busy: bool = False) -> str:
        """Do what comes next about a card that hangs; return why the box has given up, or ""."""
        return self._do(self._recovery.hung(at, busy=busy or at < self._busy_until), reason, at)

    def stuck(self, reason: str, at: float) -> str:
        """The same, where opening it again cannot even be tried."""
        return "" if at < self._busy_until else self._do(self._recovery.escalate(at), reason, at)

    def _do(self, step: Step, reason: str, at: float) -> str:
        if step is Step.REOPEN:
            return ""
        if step is Step.GIVE_UP:
            return self._give_up(self._recovery.reason)
        try:
            state.keep_recovery(self._recovery.kept, lasting=step is Step.REBOOT)
        except DeviceError as error:
            return self._give_up(
                f"a new start could not be written down, and what is not counted may never end: {error}"
            )
        self._busy_until = at + UNDER_WAY_S
        if step is Step.RESTART:
            self._restart(StartAgain(f"{reason}: opening the card again did not help, so a new process is to try"))
        else:
            log.error("%s: neither opening the card again nor new processes helped: the machine is rebooted", reason)
            self._reboot()
        return ""

    def _give_up(self, why: str) -> str:
        if why != self._told:
            self._told = why
            log.error("the card hangs, and the box leaves it at opening it again: %s. Somebody has to look", why)
        return why
