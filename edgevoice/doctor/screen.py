"""The one screen: every finding on a line, the failures once more at the end, what to do first first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from edgevoice.doctor.finding import Finding, Level, Section, SwitchOn, exit_code, of_level

WORDS = {Level.OK: "ok", Level.WARNING: "warning", Level.FAILED: "FAILED", Level.ABSENT: "-"}
COLORS = {Level.OK: "32", Level.WARNING: "33", Level.FAILED: "1;31", Level.ABSENT: "2"}
# What is wrong with these makes others fail: they are mended first.
FIRST = ("power", "disk", "configuration", "network", "DNS", "clock", "card", "held by", "rates")
NARROWEST = 60  # columns


def screen(sections: Sequence[Section], *, width: int = 100, color: bool = False) -> str:
    """Write it, as wide as the terminal is."""
    width = max(width, NARROWEST)
    names = [found.name for section in sections for found in section.findings]
    column = min(24, max(map(len, names), default=0))
    lines: list[str] = []
    for section in sections:
        lines += ["", section.title]
        for found in section.findings:
            lines += _line(found, column, width, color=color)
    return "\n".join([*lines[1:], "", *_end(sections, width, color=color)])


def _line(found: Finding, column: int, width: int, *, color: bool) -> Iterator[str]:
    head = f"  {WORDS[found.level]:7}  {found.name:{column}}  "
    wrapped = textwrap.wrap(found.sentence, width - len(head), break_on_hyphens=False) or [""]
    for index, part in enumerate(wrapped):
        line = (head if index == 0 else " " * len(head)) + part
        if not color:
            yield line
        elif found.level is Level.ABSENT:
            yield _paint(line, COLORS[Level.ABSENT])
        elif index == 0:
            yield f"  {_paint(f'{WORDS[found.level]:7}', COLORS[found.level])}{line[9:]}"
        else:
            yield line


def _paint(text: str, how: str) -> str:
    return f"\x1b[{how}m{text}\x1b[0m"


def _end(sections: Sequence[Section], width: int, *, color: bool) -> Iterator[str]:
    bad, doubtful = in_order(sections, Level.FAILED), in_order(sections, Level.WARNING)
    if not bad and not doubtful:
        untried = [found.name for section in sections for found in section.findings if found.untried]
        words = f"Nothing is wrong with what was looked at; not tried: {', '.join(untried)}." if untried else ""
        yield from textwrap.wrap(words or "All is well.", width, break_on_hyphens=False)
        return
    yield f"{_count(len(bad), 'failure')}, {_count(len(doubtful), 'warning')}. What to do, first things first:"
    for found in (*bad, *doubtful):
        yield from _advised(found, width, color=color)
    if any(found.fix for found in (*bad, *doubtful)):
        yield "Some of this is mended by: sudo edgevoice doctor --fix"


def _advised(found: Finding, width: int, *, color: bool) -> Iterator[str]:
    word = f"{WORDS[found.level]:7}"
    said = textwrap.wrap(f"{found.name}: {found.sentence}", width - 11, break_on_hyphens=False)
    yield f"  {_paint(word, COLORS[found.level]) if color else word}  {said[0]}"
    yield from (" " * 11 + part for part in said[1:])
    for index, line in enumerate(found.advice.splitlines()):  # a command on a line of its own can be copied
        yield from textwrap.wrap(
            line,
            width,
            initial_indent=" " * 11 + ("   " if index else "-> "),
            subsequent_indent=" " * 14,
            break_on_hyphens=False,
            break_long_words=False,
        )


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def in_order(sections: Sequence[Section], level: Level) -> list[Finding]:
    """Return the findings of that level, causes before what they cause."""
    return sorted(of_level(sections, level), key=_rank)


def _rank(found: Finding) -> int:
    return FIRST.index(found.name) if found.name in FIRST else len(FIRST)


def plain(sections: Sequence[Section]) -> dict[str, object]:
    """Return the same for a program."""
    rows = [
        {
            "section": section.title,
            "name": found.name,
            "level": found.level.value,
            "sentence": found.sentence,
            "advice": found.advice or None,
            "fix": [str(found.fix)] if isinstance(found.fix, SwitchOn) else list(found.fix) or None,
        }
        for section in sections
        for found in section.findings
    ]
    return {"ok": not exit_code(sections), "findings": rows}
