"""Where each millisecond of a call over SIP is: a burst is followed from one card to another by time stamps.

python -m benchmarks.sip_budget [--bursts N] [--buffer MS] [--first]     the wire is listened to, so as root
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.sip_calls import at_home, go_first, registered
from benchmarks.sip_figures import LONGEST_S
from benchmarks.sip_trace import HEARS, SAYS, traced
from tests.e2e.box import worker_of
from tests.e2e.sip import Registrar
from tests.lab.labcard.labcard import World

RATE = 48_000
BURST_S, EVERY_S = 0.02, 0.637  # no multiple of a packet: each burst finds the clocks elsewhere
LOUD = 4000
SETTLED_S = 3.0
PCMA, HEAD = 8, 12
SO_TIMESTAMPNS = 35  # of linux/socket.h
WIRE, HEARD = "on the wire", "at the loudspeaker"
ALL_PLACES = (*SAYS, WIRE, *HEARS, HEARD)


class Wire:
    """Listens on loopback for RTP that carries something loud."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # by the kernel: this thread may be late
        self._socket.bind(("lo", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        of_day = time.time() - time.monotonic()
        while True:
            packet, ((_, _, stamp),), *_ = self._socket.recvmsg(2000, 64)
            seconds, ns = struct.unpack("qq", stamp)
            rtp = packet[42:]  # behind Ethernet, IP and UDP
            if len(rtp) > HEAD and rtp[0] == 0x80 and rtp[1] & 0x7F == PCMA and _loud(rtp[HEAD:]):
                self.at.append(seconds + ns / 1e9 - of_day)


def _loud(alaw: bytes) -> bool:
    return any((byte ^ 0x55) & 0x7F > 0x60 for byte in alaw)


def budget(bursts: int, buffer_ms: int, *, first: bool) -> dict[str, list[float]]:
    """Return by how many ms each burst is later at each place than at the microphone.

    `first`: boxes and workers go before whatever else this machine does.
    """
    burst = (20_000 * np.sin(2 * np.pi * 1000 * np.arange(round(BURST_S * RATE)) / RATE)).astype(np.int16)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        registrar = stack.enter_context(Registrar(users=("door", "reception")))
        folder, wire = Path(name), Wire()
        here, there = (stack.enter_context(World(rate=RATE, seconds=60 + bursts)) for _ in range(2))
        boxes = [
            stack.enter_context(
                at_home(registrar, world, user, button=button, buffer_ms=buffer_ms, env=traced(folder, folder / user))
            )
            for world, user, button in ((here, "door", "sip:reception"), (there, "reception", "parrot"))
        ]
        door, other = boxes
        for box in boxes:
            box.wait_until(registered)
        door.pause(0.3)
        door.tap()
        other.wait_for_state("ringing")
        other.tap()
        for box in boxes:
            box.wait_for_turn("listening")
        if first:
            for pid in (one for box in boxes for one in (box.process.pid, worker_of(box))):
                go_first(pid)
        door.pause(SETTLED_S)
        said = []
        for _ in range(bursts):
            said.append(here.time(int(door.say(burst))))
            door.pause(EVERY_S)
        door.pause(LONGEST_S)
        noted = {place: at for user in ("door", "reception") for place, at in _read(folder / user, user).items()}
        noted[WIRE] = wire.at
        noted[HEARD] = [there.time(int(index)) for index in np.nonzero(there.spk > LOUD)[0]]
        return {place: _late(said, noted[place]) for place in ALL_PLACES}


def _read(file: Path, user: str) -> Mapping[str, list[float]]:
    wanted = SAYS if user == "door" else HEARS
    found: dict[str, list[float]] = {place: [] for place in wanted}
    for line in file.read_text().splitlines():
        at, _, place = line.partition(" ")
        if place in found:
            found[place].append(float(at))
    return found


def _late(said: Sequence[float], noted: Sequence[float]) -> list[float]:
    """Return for each burst when it came first, in ms; NaN where it did not."""
    firsts = (next((at - begin for at in noted if 0 <= at - begin < LONGEST_S), np.nan) for begin in said)
    return [first * 1000 for first in firsts]


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.sip_budget", description=__doc__)
    parser.add_argument("--bursts", type=int, default=40)
    parser.add_argument("--buffer", type=int, default=20, metavar="MS", help="of the cards")
    parser.add_argument("--first", action="store_true", help="before whatever else this machine does")
    options = parser.parse_args()
    found = budget(options.bursts, options.buffer, first=options.first)
    print(f"| place | ms after the microphone, p50 | p95 | here, p50 | p95 |\n{'|---' * 5}|")
    before = np.zeros(options.bursts)
    for place, late in found.items():
        at, here = np.array(late), np.array(late) - before
        print(
            f"| {place} | " + " | ".join(f"{np.nanpercentile(x, p):.1f}" for x in (at, here) for p in (50, 95)) + " |"
        )
        before = at
    missing = sum(int(np.isnan(late).sum()) for late in found.values())
    print(
        f"\n{options.bursts} bursts, {missing} notes missing; load {' '.join(f'{one:.2f}' for one in os.getloadavg())}"
    )


if __name__ == "__main__":
    main()
