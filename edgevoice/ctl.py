"""`edgevoice ctl`: what can be asked of the running appliance, how that is typed, and how its answer is printed."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from edgevoice.files import configuration

KEYS = r"[0-9A-D*#]{1,32}"  # as the box takes them


def add_requests(ctl: argparse.ArgumentParser) -> None:
    """Let `ctl` take each request, with its words; --json stands before the request, or after it."""
    requests = ctl.add_subparsers(required=True, dest="do", metavar="request")

    def add(name: str, help: str) -> argparse.ArgumentParser:
        request = requests.add_parser(name, help=help)
        request.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return request

    add("status", help="how it is")
    add("press", help="press its button")
    add("release", help="let go of its button")
    call = add("call", help="call an agent, or somebody over a phone line")
    call.add_argument("target", metavar="NAME", help='"parrot" or another agent, "elks:+46701234567"')
    add("hangup", help="end the call, stop trying, or clear the fault of a call")
    mute = add("mute", help="send silence instead of the microphone; again: unmute")
    mute.add_argument("on", nargs="?", choices=("on", "off"))
    say = add("say", help="play a recording on a running leg: the card, or a call over a line")
    say.add_argument("path", type=Path, metavar="FILE", help="a WAV file of 16 bits, mono")
    say.add_argument("--to", default="", metavar="LEG", help='"card" (default), or a call as in `ctl status`: "elks-3"')
    say.add_argument("--now", action="store_true", help="cut off what sounds there")
    say.add_argument("--loop", action="store_true", help="again and again, until `ctl hush`")
    hush = add("hush", help="end a recording that is being played")
    hush.add_argument("--to", default="", metavar="LEG", help="as for say")
    keys = add("keys", help="send digits in a running call over SIP")
    keys.add_argument("keys", metavar="KEYS", type=_keys, help="0-9, A-D, * and #, 32 at most")
    keys.add_argument(
        "--to", default="", metavar="CALL", help='a call as in `ctl status`: "sip-3"; default: the only one'
    )
    chirp = add("chirp", help="let loudspeaker and microphone hear each other; please be quiet")
    chirp.add_argument("--silent", action="store_true", help="play nothing, only listen")
    add("try", help="flash its light until its button is pressed, which calls nobody; 10 s at most")
    volume = add("volume", help="set the loudspeaker")
    volume.add_argument("percent", type=_percent, metavar="N", help="0 to 100")


def _keys(typed: str) -> str:
    if not re.fullmatch(KEYS, typed):
        raise argparse.ArgumentTypeError("keys are 0-9, A-D, * and #, 32 at most")
    return typed


def _percent(typed: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", typed) or int(typed) > 100:
        raise argparse.ArgumentTypeError(f"expected 0 to 100, got {typed}")
    return int(typed)


def ask(chosen: argparse.Namespace) -> int:
    """Ask the appliance, print its answer, return the exit code. Raises ConfigError and DeviceError."""
    from edgevoice.drivers import control

    socket = configuration(chosen.config).status.socket
    if chosen.do == "chirp" and not chosen.json:
        print("please be quiet for 3 s ...", file=sys.stderr, flush=True)
    answer = control.ask(socket, _request(chosen), 15.0 if chosen.do in ("chirp", "try") else 5.0)
    if chosen.json:
        print(json.dumps(answer))
    elif not answer.get("ok"):
        print(f"edgevoice: {answer.get('error')}", file=sys.stderr)
    else:
        for name, value in answer.items():
            if name != "ok" and value is not None:
                print(f"{name:16} {_words(value)}")
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


def _words(value: object) -> str:
    """Say a part of an answer as a person reads it, on one line."""
    match value:
        case dict():
            return ", ".join(f"{name} {_within(part)}" for name, part in value.items() if part is not None)
        case list():
            return ", ".join(map(_within, value)) or "none"
        case float():
            return str(round(value, 3))
    return str(value)


def _within(value: object) -> str:
    return f"({_words(value)})" if value and isinstance(value, dict | list) else _words(value)
