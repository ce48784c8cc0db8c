"""The box's health for programs that watch many: what `ctl status` says, as two small pages without words of people.

GET /health     200 when all of it can be used, 503 when something cannot: one JSON object, which says why
GET /metrics    numbers, in the text format of Prometheus (0.0.4)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from edgevoice.light import Box

WELL = ("name", "state", "fault", "out_of_order", "last_call_failed", "light", "uptime_s", "version")
WRONG = ("fault", "out_of_order", "last_call_failed")  # each says why, and is nothing in a box that is well
UNFIT = {Box.STARTING.value, Box.FAULT.value}
NUMBERS = ("uptime_s", "call_s", "waiting_ms", "overflow_ms", "volume", "microphone_dbfs")
STATES = [state.value for state in Box]
GROUPS = ("counters", "echo")  # of numbers


def page(target: str, status: Mapping[str, Any]) -> tuple[int, str, str]:
    """Return status code, type and body of what is found at `target`; 404 for what is not there."""
    match target.partition("?")[0]:
        case "/health":
            fit = status["state"] not in UNFIT and not any(status.get(key) for key in WRONG)
            told = {"ok": fit} | {key: status.get(key) for key in WELL}
            return 200 if fit else 503, "application/json", msgspec.json.encode(told).decode() + "\n"
        case "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", "".join(f"{line}\n" for line in _metrics(status))
        case _:
            return 404, "text/plain; charset=utf-8", "there are /health and /metrics\n"


def _metrics(status: Mapping[str, Any]) -> Iterator[str]:
    yield f'edgevoice_info{{version="{status["version"]}"}} 1'
    for state in dict.fromkeys([*STATES, status["state"]]):
        yield f'edgevoice_state{{state="{state}"}} {int(state == status["state"])}'
    for key in WRONG:
        yield from _number(key, bool(status.get(key)))
    for key in NUMBERS:
        yield from _number(key, status.get(key))
    for group in GROUPS:
        for key, value in (status.get(group) or {}).items():
            yield from _number(f"{group}_{key}", value)
    calls = (status.get("lines") or {}).get("calls") or ()
    yield f"edgevoice_line_calls {len(calls)}"


def _number(key: str, value: object) -> Iterator[str]:
    """Yield a line for a number, nothing for anything else."""
    if isinstance(value, bool | int | float):
        yield f"edgevoice_{re.sub(r'[^a-z0-9_]', '_', key)} {float(value):g}"
