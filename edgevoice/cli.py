"""The command line: each command with its options. Exit codes are those of sysexits where one fits."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from edgevoice import __version__, ctl, files
from edgevoice.config import AGENTS, load
from edgevoice.drivers.profile_files import card_ids, profile_texts, text_of
from edgevoice.errors import ConfigError, DeviceError, StartAgain, Unreadable
from edgevoice.files import FilesBeside, configuration
from edgevoice.profiles import matching, read_profile
from edgevoice.schema import Config

EX_NOINPUT, EX_UNAVAILABLE, EX_IOERR, EX_TEMPFAIL, EX_CONFIG = 66, 69, 74, 75, 78
EX_UNREAD = 128 + signal.SIGPIPE
EX_INTERRUPTED = 128 + signal.SIGINT  # as shells count
READ_BY_DEFAULT = f"{files.CONFIGURATION}, else the defaults"

Command: TypeAlias = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    chosen = _parser().parse_args(arguments)
    command: Command = chosen.command
    if command is _run:  # it prints nothing
        return _outcome(command, chosen)
    if sys.stdout is None:
        print("edgevoice: standard output is closed, expected one to print to", file=sys.stderr)
        return EX_IOERR
    try:
        code = _outcome(command, chosen)
        sys.stdout.flush()
        return code
    except OSError as error:
        if not (gone := isinstance(error, BrokenPipeError)) and not _output_fails():
            raise  # a mistake of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries once more, and complains
        if not gone:
            print(f"edgevoice: standard output cannot be written to: {error.strerror}", file=sys.stderr)
        return EX_UNREAD if gone else EX_IOERR


def _output_fails() -> bool:
    """Tell whether standard output takes nothing: a line is tried, as an unbuffered one keeps nothing to flush."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        return True
    return False


def _outcome(command: Command, chosen: argparse.Namespace) -> int:
    """Carry out a command; say what is wrong; return the exit code."""
    try:
        return command(chosen)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return EX_NOINPUT if isinstance(error, Unreadable) else EX_CONFIG
    except DeviceError as error:
        print(f"edgevoice: {error}", file=sys.stderr)
        return EX_UNAVAILABLE
    except StartAgain as error:
        print(f"edgevoice: {error}", file=sys.stderr)
        return EX_TEMPFAIL
    except KeyboardInterrupt:
        return EX_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgevoice", description="An appliance that you talk with.")
    parser.add_argument("--version", action="version", version=f"edgevoice {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for add in (
        _add_run,
        _add_demo,
        _add_calibrate,
        _add_bench,
        _add_setup,
        _add_doctor,
        _add_devices,
        _add_lines,
        _add_ctl,
    ):
        add(commands)
    return parser


def _command(commands: Commands, name: str, does: Command, *, help: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help)
    command.set_defaults(command=does)
    return command


def _takes_config(command: argparse.ArgumentParser, help: str, *, default: str = READ_BY_DEFAULT) -> None:
    command.add_argument("-c", "--config", type=Path, metavar="FILE", help=f"{help}; default: {default}")


def _takes_json(command: argparse.ArgumentParser, help: str | None = None) -> None:
    command.add_argument("--json", action="store_true", help=help)


def _add_run(commands: Commands) -> None:
    run = _command(commands, "run", _run, help="be the appliance")
    _takes_config(run, "the configuration")
    run.add_argument("-v", "--verbose", action="store_true", help="say more in the journal (never words or keys)")


def _run(chosen: argparse.Namespace) -> int:
    from edgevoice import app
    from edgevoice.catalogue import Agents
    from edgevoice.drivers import systemd

    systemd.log_to_stderr(logging.DEBUG if chosen.verbose else logging.INFO)
    logging.getLogger("websockets").setLevel(logging.WARNING)  # its own DEBUG shows headers and words
    config = configuration(chosen.config)
    agents = Agents(config, FilesBeside(chosen.config or files.CONFIGURATION))
    agents.check()
    asyncio.run(app.run(config, agents))
    return 0


def _add_demo(commands: Commands) -> None:
    demo = _command(commands, "demo", _demo, help="a conversation in a simulated room, with a picture of it")
    demo.add_argument("--out", type=Path, default=Path("edgevoice-demo"), metavar="DIR", help="default: %(default)s")
    _takes_json(demo, "print the figures as one JSON object")


def _demo(chosen: argparse.Namespace) -> int:
    from edgevoice import demo, report

    if not chosen.json:
        print("A person, a box and a parrot in a simulated room with a loud echo and a fan ...", flush=True)
    figures = demo.run(chosen.out)
    if chosen.json:
        print(json.dumps(figures))
        return 0
    print("\n".join(report.summary(figures)))
    print(f"Listen to {chosen.out}/microphone.wav, speaker.wav and cleaned.wav. The picture: {chosen.out}/report.html")
    return 0


def _add_calibrate(commands: Commands) -> None:
    calibrate = _command(commands, "calibrate", _calibrate, help="measure the echo, say what is wrong, keep the result")
    _takes_config(calibrate, "where the card is named")
    calibrate.add_argument("--out", type=Path, metavar="DIR", help="write the picture and the recordings there, too")
    _takes_json(calibrate, "print the result as one JSON object")


def _calibrate(chosen: argparse.Namespace) -> int:
    from edgevoice import calibrate, sound

    config = configuration(chosen.config)
    return calibrate.run(config, partial(sound.open_configured, config), out=chosen.out, as_json=chosen.json)


def _add_bench(commands: Commands) -> None:
    bench = _command(commands, "bench", _bench, help="what is promised, measured on this box: met, or not met")
    _takes_config(bench, "where the card is named")
    bench.add_argument("--out", type=Path, metavar="DIR", help="keep the simulated conversation and its picture there")
    _takes_json(bench, "print the figures as one JSON object")


def _bench(chosen: argparse.Namespace) -> int:
    from edgevoice import bench, sound
    from edgevoice.drivers.alsa import hush

    hush()
    config = configuration(chosen.config)
    return bench.run(config, partial(sound.open_configured, config), out=chosen.out, as_json=chosen.json)


def _add_setup(commands: Commands) -> None:
    setup = _command(
        commands, "setup", _setup, help="ask what a new box must know, and write it into the configuration"
    )
    _takes_config(setup, "what is written", default=str(files.CONFIGURATION))
    setup.add_argument("--hat", metavar="NAME", help='the sound HAT, as `edgevoice devices` calls it, or "none"')
    setup.add_argument(
        "--call", metavar="NAME", help=f"whom the button calls: {', '.join(AGENTS)}; a line if one is set up"
    )
    setup.add_argument("--agent-id", metavar="ID", help="which agent, for --call elevenlabs, or elevenlabs:ID")
    setup.add_argument("--key-file", metavar="FILE", help='where the key is read from, "-": standard input')
    setup.add_argument("--button", type=int, metavar="PIN", help="the button's pin (BCM); -1: there is no button")
    setup.add_argument("--test", action=argparse.BooleanOptionalAction, help="test sound, button, light and network")
    setup.add_argument("-y", "--yes", action="store_true", help="ask nothing: what is not told stays, or is found")


def _setup(chosen: argparse.Namespace) -> int:
    from edgevoice import questions, setup, sound
    from edgevoice.catalogue import Agents
    from edgevoice.doctor import visit

    path: Path = chosen.config or files.CONFIGURATION
    beside = FilesBeside(path, files.CREDENTIALS)

    def test(config: Config) -> int:
        open_card = partial(sound.open_configured, config)
        parts = ("Sound", "Panel", "Network")
        return visit.run(visit.Visit(Agents(config, beside), open_card, str(path), interaction=ask, parts=parts))

    place = questions.Place(
        path=path,
        text=text_of(path) if files.is_there(path) else "",
        load=lambda text: files.loaded(text, path),
        agents=lambda config: Agents(config, beside),
        test=test,
        profiles={name: read_profile(text, name) for name, text in profile_texts(path.parent).items()},
        service=path == files.CONFIGURATION,
    )
    answers = questions.Answers(chosen.hat, chosen.call, chosen.agent_id, chosen.key_file, chosen.button, chosen.test)
    key_is_piped = chosen.key_file == "-" and not sys.stdin.isatty()
    ask = not chosen.yes and not key_is_piped  # else each line that comes is an answer
    return setup.run(place, answers, ask=ask)


def _add_doctor(commands: Commands) -> None:
    doctor = _command(commands, "doctor", _doctor, help="what is wrong with this box, and what to do about it")
    _takes_config(doctor, "the box that is looked at")
    _takes_json(doctor, "print the findings as one JSON object; asks nothing")
    doctor.add_argument(
        "--no-interaction", action="store_true", help="ask for no press of the button, and nothing else"
    )
    doctor.add_argument("--silent", action="store_true", help="play no chirp; the microphone is listened to")
    doctor.add_argument(
        "--fix",
        action="store_true",
        help="mend what is safe to mend; asks before each command, or with --no-interaction or --json runs it unasked",
    )


def _doctor(chosen: argparse.Namespace) -> int:
    from edgevoice import sound
    from edgevoice.catalogue import Agents
    from edgevoice.doctor import visit

    problems: tuple[str, ...] = ()
    try:
        config = configuration(chosen.config)
    except ConfigError as error:  # everything else can be looked at all the same
        config, problems = load("", source="defaults"), error.problems
    path = chosen.config or files.CONFIGURATION
    return visit.run(
        visit.Visit(
            agents=Agents(config, FilesBeside(path, files.CREDENTIALS)),
            open_card=partial(sound.open_configured, config),
            source=str(path) if chosen.config or files.is_there(path) else f"the defaults: there is no {path}",
            problems=problems,
            as_json=chosen.json,
            interaction=not chosen.no_interaction,
            fix=chosen.fix,
            aloud=not chosen.silent,
            needed=tuple(files.needed(config, path)) if path == files.CONFIGURATION else (),
        )
    )


def _add_devices(commands: Commands) -> None:
    help = "sound cards, mixers, GPIO chips, and the profiles that fit"
    _takes_json(_command(commands, "devices", _devices, help=help))


def _devices(chosen: argparse.Namespace) -> int:
    from edgevoice.drivers.devices import devices

    found = devices() | {"HAT profiles (device.hat)": _matching_profiles()}
    if chosen.json:
        print(json.dumps(found))
        return 0
    for title, rows in found.items():
        print(f"{title}:")
        print("\n".join(f"  {row}" for row in rows) if rows else "  none")
    return 0


def _matching_profiles() -> list[str]:
    """Say which profiles belong to the cards that are there; HATs that share a card are told apart by a person."""
    profiles = [read_profile(text, name) for name, text in profile_texts(files.CONFIGURATION.parent).items()]
    return [f"{profile.name}: {profile.title}, card {id}" for profile, id in matching(profiles, card_ids())]


def _add_lines(commands: Commands) -> None:
    lines = commands.add_parser("lines", help="the phone lines")
    setup = _command(
        lines.add_subparsers(required=True, metavar="command"),
        "setup",
        _lines_setup,
        help="what to enter where at the phone services, so that calls reach this box",
    )
    _takes_config(setup, "where the lines are configured")
    setup.add_argument("--show-token", action="store_true", help="with the secret tokens, to copy and paste")


def _lines_setup(chosen: argparse.Namespace) -> int:
    from edgevoice.line_catalogue import PhoneLines

    config = configuration(chosen.config)
    if not config.lines.listen:
        raise ConfigError(["$.lines.listen: no phone line is set up; fill [lines] and a [line.*] first"])
    lines = PhoneLines(config, FilesBeside(chosen.config or files.CONFIGURATION))
    print(lines.setup(show_token=chosen.show_token))
    return 0


def _add_ctl(commands: Commands) -> None:
    command = _command(commands, "ctl", ctl.ask, help="talk to the running appliance")
    _takes_config(command, "where its socket is named")
    _takes_json(command, "print its answer as one JSON object")
    ctl.add_requests(command)
