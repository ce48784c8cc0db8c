"""The handful of errors we raise, sorted by what to do next: fix the configuration, or try again later."""

from __future__ import annotations

from collections.abc import Sequence


class EdgevoiceError(Exception):
    """Anything below: the message is a sentence for the owner of the box."""


class ConfigError(EdgevoiceError):
    """The person must change something; retrying does not help (exit code 78). Holds every problem at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class DeviceError(EdgevoiceError):
    """A card or a pin does not do what was asked: show the fault, try again later."""


class DeviceHung(DeviceError):
    """A card that is there and does not work. Trying again may not help; a new process, or a reboot, may."""


class StartAgain(EdgevoiceError):
    """This process has done what it could: a new one is to be started (exit code 75)."""
