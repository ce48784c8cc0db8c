"""Ports for the servers that a test starts: no other test has one, and no connection of anybody's is given one."""

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

LOWEST = 10_000
APART = 997
GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")  # to whoever asks for none, or connects


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port of `host` that is free for UDP and for TCP and that nobody in this process was told before."""
    return next(port for port in _ports if _is_free(host, port))


def _ports_of(process: int) -> Iterator[int]:
    """Go round the ports below those given away; who was started next to `process` begins far from it."""
    highest = int(GIVEN_AWAY.read_text().split()[0])
    ports = range(LOWEST, highest) if highest > LOWEST + 1000 else range(1024, highest)
    start = process * APART % len(ports)
    return itertools.cycle(itertools.chain(ports[start:], ports[:start]))


def _is_free(host: str, port: int) -> bool:
    with ExitStack() as held:
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                held.enter_context(socket.socket(type=kind)).bind((host, port))
        except OSError:
            return False
    return True


_ports = _ports_of(os.getpid())
