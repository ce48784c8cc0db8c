"""The SIP library alone, without the program: one end of a call that speaks in bursts, or that listens.

    python -m benchmarks.sip_bare call|answer|echo FILE    the first message to a worker on stdin, one JSON object

`call` also reads whom to call ("uri"), and how often to speak ("bursts"). When it is over FILE has what was said and
heard, each with its time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import numpy as np
from baresip import Account, BaresipError, Call, Config, Runtime, UserAgent

FRAME_S = 0.02
EVERY = 30  # frames between two bursts
PUMP_S = 0.005


async def main(role: str, file: str, first: dict[str, Any]) -> None:
    runtime = Runtime()
    config, account = first["config"], {**first["accounts"][0]}
    account.pop("header")
    await runtime.start(Config(**_tuples(config)))
    agent = await UserAgent.create(runtime, Account(**_tuples(account)))
    calls: asyncio.Queue[Call] = asyncio.Queue()
    agent.on_incoming(calls.put_nowait)
    await agent.register()
    print("registered", flush=True)
    if role == "call":
        call = await agent.dial(first["uri"])
    else:
        call = await calls.get()
        await call.answer()
    while not _flows(call):  # noqa: ASYNC110  # the library tells nobody
        await asyncio.sleep(PUMP_S)
    said, heard = await _talk(call, role, first.get("bursts", 0))
    np.savez(
        file, said=said, at=[at for at, _ in heard], sizes=[len(pcm) for _, pcm in heard],
        pcm=np.concatenate([pcm for _, pcm in heard]),
    )  # fmt: skip
    if role == "call":
        await call.hangup()


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _flows(call: Call) -> bool:
    try:
        info = call.audio.info()
    except BaresipError:
        return False
    return bool(info.tx_ready and info.rx_ready)


async def _talk(call: Call, role: str, bursts: int) -> tuple[list[float], list[tuple[float, Any]]]:
    rate = call.audio.info().rx_sample_rate
    burst = (20_000 * np.sin(2 * np.pi * 1000 * np.arange(round(FRAME_S * rate)) / rate)).astype(np.int16).tobytes()
    said: list[float] = []
    heard: list[tuple[float, Any]] = []
    begun, frame = time.monotonic(), 0
    try:
        while role != "call" or frame < bursts * EVERY + EVERY:
            await asyncio.sleep(PUMP_S)
            now = time.monotonic()
            if pcm := call.audio.read(rate):
                heard.append((now, np.frombuffer(pcm, np.int16)))
                if role == "echo":
                    call.audio.write(pcm)
            while role == "call" and begun + frame * FRAME_S <= now:
                speaks = frame % EVERY == EVERY - 1 and len(said) < bursts
                if speaks:
                    said.append(now)
                call.audio.write(burst if speaks else bytes(len(burst)))
                frame += 1
    except BaresipError:
        pass  # the other side has hung up
    return said, heard


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.stdin.read())))
    os._exit(0)
