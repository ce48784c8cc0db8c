"""A card that hangs: open it again, start this process anew, start the machine anew; and when to leave it alone.

    hangs in a row          step
    1 to REOPENS - 1        REOPEN    the audio thread does it by itself, with growing delays; and so it does for one
                                      that works for a while and hangs again, but no more than OFTEN times an hour
    each one after that     RESTART   a new process has a new alsa-lib; at most `reboot_after` (else RESTARTS) an hour
    and that did not help   REBOOT    only where it is configured: a driver that hangs, a USB bus that is stuck
    and that did not help   GIVE_UP   the fault is shown and explained; opening goes on, every few seconds

A card that is missing or held by another program does not hang: it is waited for, however long.

Rules
* A machine is never rebooted before it was up for UP_S. So even a box that forgets what it did (a root that is a
  memory overlay) makes no loop of it.
* REBOOTS in a row at most, then one a day: the machine's own uptime is the clock. The time of day is not looked at, as
  a Pi does not know it.
* A step that could not be written down is not taken.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from msgspec import Struct

REOPENS = 5  # in a row: with the delays of the audio thread some 20 s
STEADY_S = 5.0  # a card that worked for so long does not hang in a row
OFTEN = 30  # an hour: a card that hangs every two minutes is of no use
RESTARTS = 3  # where `reboot_after` does not say how many
WINDOW_S = 3600.0
REBOOTS = 2
UP_S = 3600.0
DAY_S = 86_400.0


class Step(Enum):
    """What is done about a card that hangs."""

    REOPEN = "open the card again"
    RESTART = "start the process anew"
    REBOOT = "start the machine anew"
    GIVE_UP = "leave it alone"


class Kept(Struct, frozen=True):
    """What outlives the process: which boot of the machine it was, when in it we restarted, and reboots in a row."""

    boot: str = ""
    restarts: tuple[float, ...] = ()  # monotonic seconds of that boot
    reboots: int = 0


class Recovery:
    """Says what to do about each hang. `at` is monotonic: the machine's uptime."""

    def __init__(self, kept: Kept, boot: str, *, reboot_after: int = 0) -> None:
        """Go on from what was kept; `reboot_after` is the restarts before a reboot, 0 for never."""
        self.kept = Kept(boot, kept.restarts if kept.boot == boot else (), kept.reboots)
        self.reason = ""  # why it was given up, in words
        self._reboot_after = reboot_after
        self._hangs = 0
        self._lately: deque[float] = deque(maxlen=OFTEN)
        self._opened_at: float | None = None

    def opened(self, at: float) -> None:
        """The card has been opened."""
        self._opened_at = at

    def hung(self, at: float, *, busy: bool = False) -> Step:
        """The card hangs; return what to do. `busy`: a new process would cut somebody off who needs no card."""
        if self._opened_at is not None and at - self._opened_at >= STEADY_S:
            self._hangs = 0
        self._opened_at = None
        self._hangs += 1
        self._lately.append(at)
        often = len(self._lately) == OFTEN and at - self._lately[0] < WINDOW_S
        return self.escalate(at) if (self._hangs >= REOPENS or often) and not busy else Step.REOPEN

    def escalate(self, at: float) -> Step:
        """Opening it again does not help, or cannot be tried; return what to do, already counted in `kept`."""
        before = self.kept
        restarts = tuple(then for then in before.restarts if 0 <= at - then < WINDOW_S)
        if len(restarts) < (self._reboot_after or RESTARTS):
            self.kept = Kept(before.boot, (*restarts, at), before.reboots)
            return Step.RESTART
        self.reason = f"{len(restarts)} new starts within an hour did not help"
        if not self._reboot_after:
            self.reason += ", and device.reboot_after does not allow to reboot the machine"
            return Step.GIVE_UP
        reboots = min(before.reboots, REBOOTS - 1) if at >= DAY_S else before.reboots
        if reboots >= REBOOTS:
            self.reason += f", nor did {reboots} reboots; the next one is a day after that"
            return Step.GIVE_UP
        if at < UP_S:
            self.reason += f"; the machine is not rebooted before it was up for {UP_S / 60:.0f} minutes"
            return Step.GIVE_UP
        self.kept = Kept(before.boot, restarts, reboots + 1)
        return Step.REBOOT
