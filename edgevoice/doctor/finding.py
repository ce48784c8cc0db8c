"""What the doctor says of one thing: how bad it is, in a sentence, and what to do.

A check is a function from facts to findings; facts are gathered elsewhere, so every finding can be had with facts that
are made up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

STOP_IT = "to try it all the same: sudo systemctl stop edgevoice, then doctor again"


class Level(Enum):
    """How bad it is. ABSENT: it does not apply to this machine."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class SwitchOn:
    """What mends a control that is muted: no program does, as alsa-utils may not be installed."""

    device: str  # of the mixer: "hw:Device"
    control: str
    captures: bool = False  # its capture switch, else that of playback

    def __str__(self) -> str:
        return f'switch on "{self.control}" of {self.device}'


Fix = tuple[str, ...] | SwitchOn  # a command, or a switch of the mixer


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the screen. `fix` mends it and harms nothing; empty: nothing does.

    `untried`: it is there, but could not be looked at now.
    """

    level: Level
    name: str
    sentence: str
    advice: str = ""
    fix: Fix = ()
    untried: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """The findings about one part of the box."""

    title: str
    findings: tuple[Finding, ...]


def ok(name: str, sentence: str) -> Finding:
    return Finding(Level.OK, name, sentence)


def warning(name: str, sentence: str, advice: str, fix: Fix = ()) -> Finding:
    return Finding(Level.WARNING, name, sentence, advice, fix)


def failed(name: str, sentence: str, advice: str, fix: Fix = ()) -> Finding:
    return Finding(Level.FAILED, name, sentence, advice, fix)


def absent(name: str, sentence: str) -> Finding:
    return Finding(Level.ABSENT, name, sentence)


def untried(name: str, why: str) -> Finding:
    return Finding(Level.ABSENT, name, why, untried=True)


def of_level(sections: Iterable[Section], level: Level) -> list[Finding]:
    """Return the findings of that level, in order."""
    return [found for section in sections for found in section.findings if found.level is level]


def exit_code(sections: Iterable[Section]) -> int:
    """Return 1 when something failed, else 0: a warning ends no script."""
    return int(bool(of_level(sections, Level.FAILED)))
