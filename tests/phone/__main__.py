"""A phone service as its own process: it dials a server's WebSocket, many times over if asked to, and watches it.

    python -m tests.phone elks --url ws://127.0.0.1:PORT/elks/TOKEN --caller-wav F --log events.jsonl
    python -m tests.phone twilio --rest 8081 --auth-token T --outcome busy

prints {"ready": N} once all calls are connected (or {"rest": PORT} once calls can be placed), and in the end
{"calls": [...]} with the figures of each. The log is JSON lines, each with `at` (monotonic seconds), `call`, `from`
(service, server or fake), `type`, and what matters of that type. It never holds sound, a number called or a key.
It imports nothing of what it talks to.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import signal
import ssl
import wave
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from tests.phone.call import Call, Log, Plan
from tests.phone.caller import Nasty
from tests.phone.core import Core
from tests.phone.counting import numbered
from tests.phone.elks import Elks
from tests.phone.exchange import Switchboard
from tests.phone.player import Clock, Player
from tests.phone.rest import Dial, Outcome, signature
from tests.phone.sound import Samples
from tests.phone.twilio import Twilio
from tests.phone.vobiz import L16, MULAW, Vendor, Vobiz

COUNTED_S = 600  # of numbers, where no end is given; then the caller falls silent
RATES = {"elks": 24_000, "twilio": 8000}  # of the numbers; Vobiz and Plivo have an option


class Service:
    """Makes the calls of one process and keeps their figures."""

    def __init__(self, options: argparse.Namespace, log: Log) -> None:
        self.calls: list[Call] = []
        self._options, self._log = options, log
        self._plan = _plan(options)
        self._tls = ssl.create_default_context(cafile=options.cafile) if options.cafile else None
        names = [part.name for part in dataclasses.fields(Nasty)]
        self._nasty = Nasty(**{name: getattr(options, name) for name in names})

    async def call(self, dial: Dial, connected: asyncio.Event) -> bool:
        """Make one call, to its end; return whether the server took it."""
        number = len(self.calls) + 1
        call = Call(number, lambda at: self._core(number, dial, at), self._plan, self._log)
        self.calls.append(call)
        headers = dict(part.split(":", 1) for part in self._options.header)
        if self._options.service == "twilio" and self._options.auth_token:
            headers["X-Twilio-Signature"] = signature(self._options.auth_token, dial.url, {})
        how = {"ssl": self._tls} if self._tls else {}
        try:
            return await call.run(dial.url, headers, connected.set, **how)
        finally:
            if number == 1 and self._options.record:
                _write(self._options.record, call.core.player, call.began_at)

    def figures(self) -> str:
        return json.dumps({"calls": [call.figures() for call in self.calls]})

    def _core(self, number: int, dial: Dial, at: float) -> Core:
        o = self._options
        clock = Clock(o.latency_ms, o.ppm, o.jitter_ms, seed=o.seed + number)
        record = not o.no_record
        shared: dict[str, Any] = {"clock": clock, "nasty": self._nasty, "record": record}
        if o.service == "elks":
            names: dict[str, Any] = {"call": dial.id or f"c{number:032x}"}
            names |= {"caller": dial.caller, "callee": dial.callee} if dial.caller else {}
            return Elks(at, **names, **shared, answers_flushed_syncs=o.answers_flushed_syncs)
        if o.service == "twilio":
            ids: dict[str, Any] = {"call": dial.id or f"CA{number:032x}", "stream": f"MZ{number:032x}"}
            parameters = {**dict(part.split("=", 1) for part in o.parameter), **dial.parameters}
            return Twilio(at, account=o.account, **ids, parameters=parameters, **shared)
        return Vobiz(
            at,
            vendor=Vendor(o.service),
            call=f"3f1c0c52-0000-4000-8000-{number:012x}",
            stream=f"8d0ad0a4-0000-4000-8000-{number:012x}",
            encoding={"l16": L16, "mulaw": MULAW}[o.encoding],
            rate=o.rate,
            nested=not o.top_level,
            big_endian=o.big_endian,
            cleared_after_ms=None if o.never_cleared else o.cleared_after_ms,
            deaf_until_cleared=o.deaf_until_cleared,
            says_stop=o.says_stop,
            **shared,
        )


def _plan(options: argparse.Namespace) -> Plan:
    says, rate = None, 8000
    if options.counts:
        rate = RATES.get(options.service, options.rate)
        says = numbered(round((options.for_s or COUNTED_S) * 50), rate)
    elif options.caller_wav:
        says, rate = _read(options.caller_wav)
    return Plan(
        says,
        rate,
        says_after_s=options.says_after_s,
        says_every_s=options.says_every_s,
        counts=options.counts,
        presses=tuple((digit, float(when)) for digit, when in (part.split("@") for part in options.press)),
        hangs_up_after_s=options.hang_up_after_s,
        drops=options.close_after_s is not None,
    )


def _read(path: str) -> tuple[Samples, int]:
    with wave.open(path, "rb") as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise SystemExit(f"{path} has {file.getnchannels()} channels of {file.getsampwidth()} bytes, expected 1, 2")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16), file.getframerate()


def _write(path: str, player: Player, began_at: float) -> None:
    """Write what was heard, every pause in its place."""
    places = [round((stretch.at - began_at) * player.rate) for stretch in player.stretches]
    ends = [place + len(stretch.samples) for place, stretch in zip(places, player.stretches, strict=True)]
    heard = np.zeros(max(ends, default=0), "<i2")
    for place, end, stretch in zip(places, ends, player.stretches, strict=True):
        heard[max(place, 0) : end] = stretch.samples[max(-place, 0) :]
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(player.rate)
        file.writeframes(heard.tobytes())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("service", choices=("elks", "twilio", "vobiz", "plivo"))
    add("--url", default="", help="where to; with --rest only for 46elks, the address behind its websocket number")
    add("--calls", type=int, default=1)
    add("--stagger-ms", type=float, default=7.0, help="between two calls")
    add("--for-s", type=float, help="end everything after so long")
    add("--log", help="JSON lines")
    add("--header", action="append", default=[], metavar="NAME:VALUE", help="of the upgrade")
    add("--cafile", help="the certificate to trust, PEM")
    _caller_options(parser.add_argument_group("the caller").add_argument)
    _service_options(parser.add_argument_group("the service").add_argument)
    _rest_options(parser.add_argument_group("placing calls").add_argument)
    nasty = parser.add_argument_group("nasty")
    for name in ("odd-chunks", "unknown-messages", "second-start", "early-media", "silent", "huge", "not-base64"):
        nasty.add_argument(f"--{name}", action="store_true")
    nasty.add_argument("--close-after-s", type=float, help="the socket is torn")
    return parser.parse_args()


def _caller_options(add: Callable[..., object]) -> None:
    add("--caller-wav", help="16 bit, mono")
    add("--says-after-s", type=float, default=0.0)
    add("--says-every-s", type=float, help="again, from its beginning")
    add("--counts", action="store_true", help="says numbered frames and expects them back: order and delay")
    add("--press", action="append", default=[], metavar="DIGIT@SECONDS")
    add("--hang-up-after-s", type=float)
    add("--record", help="WAV of what call 1 heard, pauses too")
    add("--no-record", action="store_true", help="keep no sound, for many or long calls")


def _service_options(add: Callable[..., object]) -> None:
    add("--latency-ms", type=float, default=60.0, help="before the first sound of a reply")
    add("--ppm", type=float, default=0.0, help="how much faster than ours its clock runs")
    add("--jitter-ms", type=float, default=0.0, help="of its clock")
    add("--seed", type=int, default=0)
    add("--answers-flushed-syncs", action="store_true", help="46elks")
    add("--parameter", action="append", default=[], metavar="NAME=VALUE", help="Twilio")
    add("--encoding", choices=("mulaw", "l16"), default="mulaw", help="Vobiz, Plivo; so are the following")
    add("--rate", type=int, choices=(8000, 16_000, 24_000), default=8000)
    add("--top-level", action="store_true", help="the ids are not inside `start`")
    add("--big-endian", action=argparse.BooleanOptionalAction, help="of the sound that comes in")
    add("--cleared-after-ms", type=float, default=40.0)
    for flag in ("never-cleared", "deaf-until-cleared", "says-stop"):
        add(f"--{flag}", action="store_true")


def _rest_options(add: Callable[..., object]) -> None:
    add("--rest", type=int, metavar="PORT", help="serve the REST API there (0: any)")
    add("--outcome", type=Outcome, choices=list(Outcome), default=Outcome.ANSWER, metavar="OUTCOME")
    add("--ring-s", type=float, default=0.3)
    add("--account", default="AC" + "0" * 32, help="Twilio's account, 46elks' user")
    add("--auth-token", default="", help="its password; signs what Twilio asks and dials")
    add("--number", default="+46700000002", help="46elks: the websocket number")


async def main(options: argparse.Namespace, file: TextIO | None) -> None:
    log = Log(file)
    service = Service(options, log)
    ending = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ending.set)
    if options.for_s is not None:
        asyncio.get_running_loop().call_later(options.for_s, ending.set)
    running = asyncio.create_task(
        _exchange(options, service, log) if options.rest is not None else _dial(options, service)
    )
    await asyncio.wait([running, asyncio.create_task(ending.wait())], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    else:
        for call in service.calls:
            call.end()
        for call in service.calls:
            await call.done.wait()
        running.cancel()
    print(service.figures(), flush=True)


async def _dial(options: argparse.Namespace, service: Service) -> None:
    calls, connected = [], []
    for number in range(options.calls):
        if number:
            await asyncio.sleep(options.stagger_ms / 1000)
        connected.append(asyncio.Event())
        calls.append(asyncio.create_task(service.call(Dial("", url=options.url), connected[-1])))
    for event in connected:
        await event.wait()
    print(json.dumps({"ready": len(connected)}), flush=True)
    await asyncio.gather(*calls)


async def _exchange(options: argparse.Namespace, service: Service, log: Log) -> None:
    switchboard = Switchboard(options, service, log)
    print(json.dumps({"rest": await switchboard.open(options.rest)}), flush=True)
    await switchboard.run()


if __name__ == "__main__":
    arguments = _options()
    if arguments.log:
        with open(arguments.log, "w") as opened:
            asyncio.run(main(arguments, opened))
    else:
        asyncio.run(main(arguments, None))
