"""What somebody turned by hand, mute and volume: it outlives the process, so that no crash opens a muted microphone.

It lies in the service's runtime directory ($RUNTIME_DIRECTORY, in memory): the unit keeps that over a restart, also one
by hand, and a box that is stopped, or whose power goes, begins as it is configured. A volume that is configured anew
takes the place of one that was turned. Without such a directory nothing is kept.
"""

from __future__ import annotations

import logging

import msgspec

from edgevoice.drivers.runtime import keep, recall

FILE = "turned.json"

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """The file. `volume` is in per cent, None where nobody turned it; `configured` is what it was turned from."""

    muted: bool = False
    volume: int | None = None
    configured: int | None = None


class Turned:
    """Mute and volume as they are; each change is written down, and said in the journal."""

    def __init__(self, configured: int) -> None:
        """`configured` is the volume in the configuration."""
        self._configured = configured
        self._kept = recall(FILE, Kept) or Kept()

    @property
    def muted(self) -> bool:
        return self._kept.muted

    @property
    def volume(self) -> int | None:
        return self._kept.volume if self._kept.configured == self._configured else None

    def mute(self, on: bool) -> None:
        if on != self.muted:
            log.info("the microphone is %s", "muted" if on else "no longer muted")
            self._keep(Kept(on, self.volume, self._configured))

    def turn(self, percent: int) -> None:
        if percent != self.volume:
            log.info("the volume is %d per cent", percent)
            self._keep(Kept(self.muted, percent, self._configured))

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        keep(FILE, kept)
