"""`edgevoice doctor`: asks the box, gathers facts at the same time, judges them, shows one screen, mends on request.

ask the running box ──> sound | network, keys | phone lines | machine ──> button, light ──> checks ──> the screen
                        at once, each with its limit                      if somebody is there
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from edgevoice.app import is_headless
from edgevoice.catalogue import Agents
from edgevoice.doctor import calling, hands, listening
from edgevoice.doctor.facts import KeyAnswer, Needed, Reached, Unit
from edgevoice.doctor.finding import Finding, Level, Section, SwitchOn, absent, exit_code, failed, of_level, warning
from edgevoice.doctor.hands import Person
from edgevoice.doctor.lines import check_lines
from edgevoice.doctor.machine import (
    check_configuration,
    check_disk,
    check_fault,
    check_journal,
    check_memory,
    check_memory_limit,
    check_power,
    check_unit,
    check_update,
    check_versions,
)
from edgevoice.doctor.network import check_clock, check_key, check_reached, check_way_out, check_wireless, clock_by
from edgevoice.doctor.pins import check_button, check_light, check_pins, check_relays
from edgevoice.doctor.registrars import check_registrar
from edgevoice.doctor.rounds import Came, together
from edgevoice.doctor.screen import plain, screen
from edgevoice.doctor.sound import check_canceller, check_sound
from edgevoice.drivers import control, links, machine, state
from edgevoice.drivers.alsa import hush
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.drivers.commands import carried_out
from edgevoice.drivers.switches import switch_on
from edgevoice.errors import DeviceError

T = TypeVar("T")

ORDER = ("Machine", "Sound", "Panel", "Network", "Phone lines")
LIMIT_S = 20.0  # for everything: a chirp takes three seconds, a name server that is silent four
ASKING_S = 2.0


@dataclass(frozen=True, slots=True)
class Visit:
    """What is looked at, and how. `problems` are those of the configuration, which is then the default one."""

    agents: Agents
    open_card: Callable[[], OpenedCard]
    source: str
    problems: tuple[str, ...] = ()
    as_json: bool = False
    interaction: bool = True
    fix: bool = False
    aloud: bool = True  # a chirp may be played
    parts: tuple[str, ...] = ORDER
    needed: tuple[Needed, ...] = ()  # files that the service must be able to read


def run(visit: Visit) -> int:
    """Show the screen, mend what may be mended; return the exit code."""
    hush()
    sections = examine(visit)
    mended: list[str] = []
    if visit.fix:
        if not visit.as_json:
            _show(sections)
        mended = _mend(sections, visit)
        if mended:  # nobody is asked for a press twice
            again = examine(replace(visit, interaction=False))
            sections = [old if old.title == "Panel" else new for old, new in zip(sections, again, strict=True)]
    if visit.as_json:
        print(json.dumps({**plain(sections), "mended": mended}))
    elif not visit.fix or mended:
        _show(sections)
    return exit_code(sections)


def _show(sections: Sequence[Section]) -> None:
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    print(screen(sections, width=shutil.get_terminal_size((100, 24)).columns, color=color))


# -------------------------------------------------------------------------------------------------- what is found


def examine(visit: Visit) -> list[Section]:
    """Gather the facts and judge them."""
    box, silent = _ask_the_box(visit.agents.config.status.socket)
    tasks: dict[str, Callable[[], tuple[Finding, ...]]] = {
        "Machine": partial(_machine, visit, box, silent),
        "Sound": partial(_sound, visit, box, silent),
        "Network": partial(_network, visit),
        "Phone lines": partial(_lines, visit, box, silent),
    }
    wanted = {title: task for title, task in tasks.items() if title in visit.parts}
    came = together(wanted, LIMIT_S, _progress(visit))
    found = {title: _findings(title, result) for title, result in came.items()}
    if "Panel" in visit.parts:
        found["Panel"] = _findings("Panel", Came(_panel(visit, box, silent)))
    return [Section(title, found[title]) for title in ORDER if title in found]


def _findings(title: str, came: Came[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    if came.value is not None:
        return came.value
    name, words = title.lower(), f"could not be looked at: {came.trouble}"
    if came.late:
        return (failed(name, words, "something hangs there: journalctl -k -n 30 says whether the kernel complains"),)
    return (warning(name, words, "ask again, or as root (sudo)"),)


def _ask_the_box(socket: str) -> tuple[Mapping[str, Any] | None, str]:
    """Return the status of the running box, or None and why one that seems to run does not say it."""
    try:
        return control.ask(socket, {"do": "status"}, ASKING_S), ""
    except control.NobodyListens:
        return None, ""
    except DeviceError as error:
        return None, str(error)


def _machine(visit: Visit, box: Mapping[str, Any] | None, silent: str) -> tuple[Finding, ...]:
    unit = machine.unit()
    return (
        *check_configuration(visit.source, visit.problems, machine.shut(visit.needed)),
        _service(unit, box, silent),
        *check_update(machine.failed_update()),
        *check_fault((box or {}).get("fault") or ""),
        check_power(machine.power()),
        check_disk(machine.disk(state.directory())),
        check_journal(machine.journal()),
        check_memory(machine.memory()),
        check_memory_limit(machine.memory_is_counted(), unit is not None),
        check_versions(machine.versions()),
    )


def _service(unit: Unit | None, box: Mapping[str, Any] | None, silent: str) -> Finding:
    if not silent:
        return check_unit(unit, box is not None)
    if "permission denied" in silent:
        return warning("service", silent, "ask with sudo")
    return failed("service", silent, "sudo systemctl restart edgevoice")


def _sound(visit: Visit, box: Mapping[str, Any] | None, silent: str) -> tuple[Finding, ...]:
    config = visit.agents.config
    if is_headless(config):
        return (absent("card", "none is wanted: the phone lines are answered by an agent"),)
    if silent:
        return (absent("card", "not looked at: the box may have it, and does not say"),)
    found = listening.sound(config, box, visit.open_card, aloud=visit.aloud)
    return *check_sound(found), check_canceller(listening.cancelling(config, box))


def _network(visit: Visit) -> tuple[Finding, ...]:
    services = calling.called(visit.agents.config)
    tasks: dict[str, Callable[[], tuple[Reached, KeyAnswer]]] = {
        name: partial(calling.tried, name, url, visit.agents) for name, url in services.items()
    }
    link = links.link()
    came = together(tasks, LIMIT_S - 2)
    tried = [result.value for result in came.values() if result.value is not None]
    lost = [(name, result.trouble) for name, result in came.items() if result.value is None]
    reached = list(dict.fromkeys(one for one, _ in tried))
    wireless = [finding for interface in link.wireless for finding in check_wireless(interface)]
    return (
        check_way_out(link, bool(services)),
        *wireless,
        *dict.fromkeys(finding for one in reached for finding in check_reached(one)),
        *(failed(name, f"{services[name]}: {why}", "is the network very slow?") for name, why in lost),
        check_clock(clock_by(reached, machine.clock())),
        *(check_key(answer) for _, answer in tried),
    )


def _lines(visit: Visit, box: Mapping[str, Any] | None, silent: str) -> tuple[Finding, ...]:
    if silent and visit.agents.config.lines.listen:
        return (absent("phone lines", "not looked at: the box may have the port, and does not say"),)
    registrars = _registrars(visit, box)
    lines = check_lines(calling.line_facts(visit.agents.config, box, visit.agents))
    return registrars if registrars and not visit.agents.config.lines.listen else (*lines, *registrars)


def _registrars(visit: Visit, box: Mapping[str, Any] | None) -> tuple[Finding, ...]:
    looks = calling.registrars(visit.agents.config, box, visit.agents)
    came = together({str(number): look for number, look in enumerate(looks)}, LIMIT_S - 2)
    return tuple(
        warning("SIP", f"could not be looked at: {one.trouble}", "ask again, or as root (sudo)")
        if one.value is None
        else check_registrar(one.value)
        for one in came.values()
    )


def _panel(visit: Visit, box: Mapping[str, Any] | None, silent: str) -> tuple[Finding, ...]:
    config = visit.agents.config
    relays = check_relays(config.relay, str((box or {}).get("relays") or ""))
    if silent or is_headless(config):
        words = "not looked at: the box may have them" if silent else "no button and no light is wanted"
        return absent("pins", words), *relays
    person = None
    if visit.interaction and not visit.as_json and sys.stdin.isatty() and sys.stdout.isatty():
        person = Person(partial(print, flush=True), _typed)
    found = hands.pins(config, box, person)
    pins = check_pins(found)
    if pins.level is Level.ABSENT:
        return pins, *relays
    return pins, check_button(found), check_light(found), *relays


def _progress(visit: Visit) -> Callable[[list[str]], None]:
    """Say on a terminal what is waited for, on one line that is wiped out in the end."""
    if visit.as_json or not sys.stderr.isatty():
        return lambda waiting: None

    def say(waiting: list[str]) -> None:
        words = f"looking at: {', '.join(waiting).lower()} ..." if waiting else ""
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)

    return say


# -------------------------------------------------------------------------------------------------- what is mended


def _mend(sections: Sequence[Section], visit: Visit) -> list[str]:
    """Do what mends, each with consent; return what was done."""
    mended = []
    for found in (*of_level(sections, Level.FAILED), *of_level(sections, Level.WARNING)):
        if isinstance(fix := found.fix, SwitchOn):
            mend, words, asked = partial(_switched_on, fix), str(fix), str(fix)
        else:
            words = " ".join(fix)
            mend, asked = partial(carried_out, fix), f"run `{words}`"
        if not fix or not _consents(f"{found.name}: {found.sentence}\n  {asked}? [y/N] ", visit):
            continue
        if trouble := mend():
            print(f"{asked}: {trouble}", file=sys.stderr)
        else:
            mended.append(words)
    return mended


def _switched_on(fix: SwitchOn) -> str:
    """Switch it on; return what went wrong, "" if nothing did."""
    try:
        switch_on(fix.device, fix.control, captures=fix.captures)
    except DeviceError as error:
        return str(error)
    return ""


def _consents(question: str, visit: Visit) -> bool:
    """Ask; who forbids questions and says --fix has consented."""
    if visit.as_json or not visit.interaction:
        return True
    return sys.stdin.isatty() and _typed(question).strip().lower().startswith("y")


def _typed(question: str) -> str:
    """Return what is typed in answer; nothing, when the terminal is closed over it."""
    try:
        return input(question)
    except EOFError:
        return ""
