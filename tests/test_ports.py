"""Ports for tests: nobody else is given them by the kernel, and two who look at once look apart."""

import itertools
import socket
from pathlib import Path

from tests import ports
from tests.ports import free_port


def test_a_port_is_free_for_both_and_not_among_those_given_away() -> None:
    lowest_given_away = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = [free_port() for _ in range(20)]
    assert len(set(found)) == 20
    assert max(found) < lowest_given_away
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as one:
            one.bind(("127.0.0.1", found[-1]))


def test_who_was_started_next_looks_elsewhere() -> None:
    first, second = (set(itertools.islice(ports._ports_of(process), 900)) for process in (4711, 4712))
    assert not first & second


def test_one_that_is_held_by_either_kind_is_passed_over() -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as holder:
            holder.bind(("127.0.0.1", 0))
            assert not ports._is_free("127.0.0.1", holder.getsockname()[1])
