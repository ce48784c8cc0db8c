"""The command line. Exit codes are those of sysexits where one fits."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgevoice import __version__
from edgevoice.config import AGENTS, Secret, load, secret
from edgevoice.drivers.profile_files import card_ids, profile_texts
from edgevoice.errors import ConfigError, DeviceError, StartAgain
from edgevoice.profiles import matching, read_profile
from edgevoice.schema import Config

EX_UNAVAILABLE, EX_TEMPFAIL, EX_CONFIG = 69, 75, 78
EX_INTERRUPTED = 128 + signal.SIGINT  # as shells count
CONFIGURATION = Path("/etc/edgevoice/edgevoice.toml")
# What the running service was handed, and where systemd looks for it. Source: systemd.exec(5), LoadCredential=
CREDENTIALS = ("/run/credentials/edgevoice.service", "/etc/credstore", "/run/credstore", "/usr/lib/credstore")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.command(chosen))
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return EX_CONFIG
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

    run = commands.add_parser("run", help="be the appliance")
    run.add_argument("-c", "--config", type=Path, metavar="FILE", help=f"default: {CONFIGURATION}, else the defaults")
    run.add_argument("-v", "--verbose", action="store_true", help="say more in the journal (never words or keys)")
    run.set_defaults(command=_run)

    demo = commands.add_parser("demo", help="a conversation in a simulated room, with a picture of it")
    demo.add_argument("--out", type=Path, default=Path("edgevoice-demo"), metavar="DIR", help="default: %(default)s")
    demo.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    demo.set_defaults(command=_demo)

    calibrate = commands.add_parser("calibrate", help="measure the echo, say what is wrong, keep the result")
    calibrate.add_argument("-c", "--config", type=Path, metavar="FILE", help="where the card is named")
    calibrate.add_argument("--out", type=Path, metavar="DIR", help="write the picture and the recordings there, too")
    calibrate.add_argument("--json", action="store_true", help="print the result as one JSON object")
    calibrate.set_defaults(command=_calibrate)

    bench = commands.add_parser("bench", help="what is promised, measured on this box: met, or not met")
    bench.add_argument("-c", "--config", type=Path, metavar="FILE", help="where the card is named")
    bench.add_argument("--out", type=Path, metavar="DIR", help="keep the simulated conversation and its picture there")
    bench.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    bench.set_defaults(command=_bench)

    setup = commands.add_parser("setup", help="ask what a new box must know, and write it into the configuration")
    setup.add_argument("-c", "--config", type=Path, metavar="FILE", help=f"what is written; default: {CONFIGURATION}")
    setup.add_argument("--hat", metavar="NAME", help='the sound HAT, as `edgevoice devices` calls it, or "none"')
    setup.add_argument("--call", metavar="NAME", help=f'whom the button calls: {", ".join(AGENTS)}, or "sip:reception"')
    setup.add_argument("--agent-id", metavar="ID", help="which agent, for --call elevenlabs")
    setup.add_argument("--key-file", metavar="FILE", help='where the key is read from, "-": standard input')
    setup.add_argument("--button", type=int, metavar="PIN", help="the button's pin (BCM); -1: there is no button")
    setup.add_argument("--test", action=argparse.BooleanOptionalAction, help="test sound, button, light and network")
    setup.add_argument("-y", "--yes", action="store_true", help="ask nothing: what is not told stays, or is found")
    setup.set_defaults(command=_setup)

    doctor = commands.add_parser("doctor", help="what is wrong with this box, and what to do about it")
    doctor.add_argument("-c", "--config", type=Path, metavar="FILE", help="the box that is looked at")
    doctor.add_argument("--json", action="store_true", help="print the findings as one JSON object; asks nothing")
    doctor.add_argument(
        "--no-interaction", action="store_true", help="ask for no press of the button, and nothing else"
    )
    doctor.add_argument("--fix", action="store_true", help="mend what is safe to mend; asks before each command")
    doctor.set_defaults(command=_doctor)

    devices = commands.add_parser("devices", help="sound cards, mixers, GPIO chips, and the profiles that fit")
    devices.add_argument("--json", action="store_true")
    devices.set_defaults(command=_devices)

    lines = commands.add_parser("lines", help="the phone lines")
    lines_setup = lines.add_subparsers(required=True, metavar="command").add_parser(
        "setup", help="what to enter where at the phone services, so that calls reach this box"
    )
    lines_setup.add_argument("-c", "--config", type=Path, metavar="FILE", help="where the lines are configured")
    lines_setup.add_argument("--show-token", action="store_true", help="with the secret tokens, to copy and paste")
    lines_setup.set_defaults(command=_lines_setup)

    ctl = commands.add_parser("ctl", help="talk to the running appliance")
    ctl.add_argument("-c", "--config", type=Path, metavar="FILE", help="where its socket is named")
    ctl.add_argument("--json", action="store_true", help="print its answer as one JSON object")
    ctl.set_defaults(command=_ctl)
    requests = ctl.add_subparsers(required=True, dest="do", metavar="request")
    requests.add_parser("status", help="how it is")
    requests.add_parser("press", help="press its button")
    requests.add_parser("release", help="let go of its button")
    call = requests.add_parser("call", help="call an agent, or somebody over a phone line")
    call.add_argument("target", metavar="NAME", help='"parrot" or another agent, "elks:+46701234567"')
    requests.add_parser("hangup", help="end the call, or stop trying")
    mute = requests.add_parser("mute", help="send silence instead of the microphone; again: unmute")
    mute.add_argument("on", nargs="?", choices=("on", "off"))
    say = requests.add_parser("say", help="play a recording on a running leg: the card, or a call over a line")
    say.add_argument("path", type=Path, metavar="FILE", help="a WAV file of 16 bits, mono")
    say.add_argument("--to", default="", metavar="LEG", help='"card" (default), or a call as in `ctl status`: "elks-3"')
    say.add_argument("--now", action="store_true", help="cut off what sounds there")
    say.add_argument("--loop", action="store_true", help="again and again, until `ctl hush`")
    hush = requests.add_parser("hush", help="end a recording that is being played")
    hush.add_argument("--to", default="", metavar="LEG", help="as for say")
    keys = requests.add_parser("keys", help="send digits in a running call over SIP")
    keys.add_argument("keys", metavar="KEYS", help="0-9, A-D, * and #")
    keys.add_argument(
        "--to", default="", metavar="CALL", help='a call as in `ctl status`: "sip-3"; default: the only one'
    )
    volume = requests.add_parser("volume", help="set the loudspeaker")
    volume.add_argument("percent", type=int, metavar="N", choices=range(101))
    return parser


# ---------------------------------------------------------------------------------------------------- the commands


def _run(chosen: argparse.Namespace) -> int:
    from edgevoice import app
    from edgevoice.catalogue import Agents
    from edgevoice.drivers import systemd

    systemd.log_to_stderr(logging.DEBUG if chosen.verbose else logging.INFO)
    logging.getLogger("websockets").setLevel(logging.WARNING)  # its own DEBUG shows headers and words
    config = configuration(chosen.config)
    agents = Agents(config, _Files(chosen.config or CONFIGURATION))
    agents.check()
    asyncio.run(app.run(config, agents))
    return 0


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


def _calibrate(chosen: argparse.Namespace) -> int:
    from edgevoice import calibrate, sound

    config = configuration(chosen.config)
    return calibrate.run(config, partial(sound.open_configured, config), out=chosen.out, as_json=chosen.json)


def _bench(chosen: argparse.Namespace) -> int:
    from edgevoice import bench, sound
    from edgevoice.drivers.alsa import hush

    hush()
    config = configuration(chosen.config)
    return bench.run(config, partial(sound.open_configured, config), out=chosen.out, as_json=chosen.json)


def _doctor(chosen: argparse.Namespace) -> int:
    from edgevoice import sound
    from edgevoice.catalogue import Agents
    from edgevoice.doctor import visit

    problems: tuple[str, ...] = ()
    try:
        config = configuration(chosen.config)
    except ConfigError as error:  # everything else can be looked at all the same
        config, problems = load("", source="defaults"), error.problems
    path = chosen.config or CONFIGURATION
    return visit.run(
        visit.Visit(
            agents=Agents(config, _Files(path, CREDENTIALS)),
            open_card=partial(sound.open_configured, config),
            source=str(path) if chosen.config or path.exists() else f"the defaults: there is no {path}",
            problems=problems,
            as_json=chosen.json,
            interaction=not chosen.no_interaction,
            fix=chosen.fix,
        )
    )


def _setup(chosen: argparse.Namespace) -> int:
    from edgevoice import setup, sound
    from edgevoice.catalogue import Agents
    from edgevoice.doctor import visit

    path: Path = chosen.config or CONFIGURATION
    files = _Files(path, CREDENTIALS)

    def test(config: Config) -> int:
        open_card = partial(sound.open_configured, config)
        parts = ("Sound", "Panel", "Network")
        return visit.run(visit.Visit(Agents(config, files), open_card, str(path), interaction=ask, parts=parts))

    place = setup.Place(
        path=path,
        text=_text(path) if path.exists() else "",
        load=lambda text: _loaded(text, path),
        agents=lambda config: Agents(config, files),
        test=test,
        profiles={name: read_profile(text, name) for name, text in profile_texts(path.parent).items()},
        service=path == CONFIGURATION,
    )
    answers = setup.Answers(chosen.hat, chosen.call, chosen.agent_id, chosen.key_file, chosen.button, chosen.test)
    ask = not chosen.yes and sys.stdin.isatty() and sys.stdout.isatty()
    return setup.run(place, answers, ask=ask)


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
    profiles = [read_profile(text, name) for name, text in profile_texts(CONFIGURATION.parent).items()]
    return [f"{profile.name}: {profile.title}, card {id}" for profile, id in matching(profiles, card_ids())]


def _lines_setup(chosen: argparse.Namespace) -> int:
    from edgevoice.catalogue import Agents

    config = configuration(chosen.config)
    agents = Agents(config, _Files(chosen.config or CONFIGURATION))
    if not config.lines.listen:
        raise ConfigError(["$.lines.listen: no phone line is set up; fill [lines] and a [line.*] first"])
    print(agents.lines_setup(show_token=chosen.show_token))
    return 0


def _ctl(chosen: argparse.Namespace) -> int:
    from edgevoice.drivers import control

    request: dict[str, Any] = {"do": chosen.do}
    if chosen.do == "call":
        request["target"] = chosen.target
    if chosen.do == "mute":
        request["on"] = {"on": True, "off": False, None: None}[chosen.on]
    if chosen.do == "say":
        request |= {"path": str(chosen.path.resolve()), "to": chosen.to, "now": chosen.now, "loop": chosen.loop}
    if chosen.do == "keys":
        request |= {"keys": chosen.keys, "to": chosen.to}
    if chosen.do == "hush":
        request["to"] = chosen.to
    if chosen.do == "volume":
        request["percent"] = chosen.percent
    answer = control.ask(configuration(chosen.config).status.socket, request)
    if chosen.json:
        print(json.dumps(answer))
    elif not answer.get("ok"):
        print(f"edgevoice: {answer.get('error')}", file=sys.stderr)
    else:
        for name, value in answer.items():
            if name != "ok" and value is not None:
                print(f"{name:16} {value if not isinstance(value, dict) else _one_line(value)}")
    return 0 if answer.get("ok") else 1


def _one_line(facts: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)


# ------------------------------------------------------------------------------------------- files and configuration


def configuration(path: Path | None) -> Config:
    """Read the configuration: `path`, else the system's if there is one, else the defaults. Raises ConfigError."""
    if path is None and not CONFIGURATION.exists():
        return load("", source="defaults")
    path = path or CONFIGURATION
    return _loaded(_text(path), path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text: byte {error.start}"]) from error


def _loaded(text: str, path: Path) -> Config:
    return load(text, source=str(path), profiles=profile_texts(path.parent), cards=card_ids())


@dataclass(frozen=True)
class _Files:
    """The files named by a configuration: in systemd's credentials first, then beside the configuration."""

    configuration: Path
    handed_over: tuple[str, ...] = ()  # where secrets are, too, for who looks at what systemd hands to the service

    @property
    def _directories(self) -> list[str]:
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        return [*([credentials] if credentials else []), str(self.configuration.parent)]

    def secret(self, name: str, key: str) -> Secret:
        directories = [*self._directories, *self.handed_over]
        return secret(name, key, read=lambda path: Path(path).read_bytes(), directories=directories)

    def path(self, name: str, key: str) -> Path:
        paths = [Path(directory) / name for directory in self._directories]
        found = next((path for path in paths if path.exists()), None)
        if found is None:
            raise ConfigError([f"$.{key}: there is no file {' or '.join(map(str, paths))}"])
        return found

    def text(self, name: str, key: str) -> str:
        path = self.path(name, key)
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"$.{key}: cannot read {path}: {error}"]) from error
