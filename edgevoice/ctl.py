"""`edgevoice ctl`: what can be asked of the running appliance, how that is typed, and how its answer is printed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edgevoice.files import configuration


def add_requests(ctl: argparse.ArgumentParser) -> None:
    """Let `ctl` take each request, with its words."""
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
    chirp = requests.add_parser("chirp", help="let loudspeaker and microphone hear each other")
    chirp.add_argument("--silent", action="store_true", help="play nothing, only listen")
    requests.add_parser("try", help="flash its light until its button is pressed, which calls nobody; 10 s at most")
    volume = requests.add_parser("volume", help="set the loudspeaker")
    volume.add_argument("percent", type=int, metavar="N", choices=range(101))


def ask(chosen: argparse.Namespace) -> int:
    """Ask the appliance, print its answer, return the exit code. Raises ConfigError and DeviceError."""
    from edgevoice.drivers import control

    socket = configuration(chosen.config).status.socket
    answer = control.ask(socket, _request(chosen), 15.0 if chosen.do in ("chirp", "try") else 5.0)
    if chosen.json:
        print(json.dumps(answer))
    elif not answer.get("ok"):
        print(f"edgevoice: {answer.get('error')}", file=sys.stderr)
    else:
        for name, value in answer.items():
            if name != "ok" and value is not None:
                print(f"{name:16} {value if not isinstance(value, dict) else _one_line(value)}")
    return 0 if answer.get("ok") else 1


def _request(chosen: argparse.Namespace) -> dict[str, Any]:
    request: dict[str, Any] = {"do": chosen.do}
    if chosen.do == "call":
        request["target"] = chosen.target
    if chosen.do == "mute":
        request["on"] = {"on": True, "off": False, None: None}[chosen.on]
    if chosen.do == "say":
        request |= {"path": str(chosen.path.resolve()), "to": chosen.to, "now": chosen.now, "loop": chosen.loop}
    if chosen.do == "keys":
        request |= {"keys": chosen.keys, "to": chosen.to}
    if chosen.do == "chirp":
        request["aloud"] = not chosen.silent
    if chosen.do == "hush":
        request["to"] = chosen.to
    if chosen.do == "volume":
        request["percent"] = chosen.percent
    return request


def _one_line(facts: dict[str, object]) -> str:
    return ", ".join(_words(name, value) for name, value in facts.items() if value is not None)


def _words(name: str, value: object) -> str:
    if isinstance(value, dict):
        return _one_line(value)
    return f"{name} {round(value, 3) if isinstance(value, float) else value}"
