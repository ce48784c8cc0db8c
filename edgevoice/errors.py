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


class Unreadable(ConfigError):
    """A file that cannot be read now, and may be later without anybody's doing: retrying may help (exit code 66)."""


def not_read(problem: str, error: OSError, *, seen: bool = False) -> ConfigError:
    """Return what to raise: what is not there a person has to write, what cannot be read now may be read later.

    `seen`: it was there a moment ago.
    """
    missing = isinstance(error, FileNotFoundError | NotADirectoryError) and not seen
    return (ConfigError if missing or isinstance(error, IsADirectoryError) else Unreadable)([problem])


def together(errors: Sequence[ConfigError]) -> ConfigError:
    """Return one error for several: when a person must change something for any of them, retrying does not help."""
    kind = Unreadable if all(isinstance(error, Unreadable) for error in errors) else ConfigError
    return kind([problem for error in errors for problem in error.problems])


class DeviceError(EdgevoiceError):
    """A card or a pin does not do what was asked: show the fault, try again later."""


class DeviceHung(DeviceError):
    """A card that is there and does not work. Trying again may not help; a new process, or a reboot, may."""


class StartAgain(EdgevoiceError):
    """This process has done what it could: a new one is to be started (exit code 75)."""
