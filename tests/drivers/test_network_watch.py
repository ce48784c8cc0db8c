"""News of the network, as the kernel tells it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from edgevoice.drivers import network_watch
from edgevoice.drivers.network_watch import HEADER, NEW_ADDRESS, NEW_ROUTE, has_news, watch_network
from tests.e2e.box import ROOT

GONE = 25  # RTM_DELROUTE


def message(kind: int, size: int = 12) -> bytes:
    return HEADER.pack(HEADER.size + size, kind, 0, 0, 0) + bytes(size + -size % 4)


def test_a_new_address_or_route_is_news_and_one_that_is_gone_is_not() -> None:
    assert has_news(message(NEW_ADDRESS))
    assert has_news(message(GONE, 7) + message(NEW_ROUTE))
    assert not has_news(message(GONE) + message(16))


@pytest.mark.parametrize("packet", [b"", b"\0" * 64, b"\xff" * 40, message(GONE)[:-5], HEADER.pack(3, GONE, 0, 0, 0)])
def test_what_makes_no_sense_is_no_news(packet: bytes) -> None:
    assert not has_news(packet)


def test_where_the_kernel_may_not_be_asked_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(97, "Address family not supported by protocol")

    words = {name: getattr(socket, name) for name in ("AF_NETLINK", "SOCK_RAW", "SOCK_NONBLOCK", "NETLINK_ROUTE")}
    monkeypatch.setattr(network_watch, "socket", SimpleNamespace(socket=refuse, **words))
    asyncio.run(watch_network(lambda: None))


WATCHING = """
import asyncio, subprocess
from edgevoice.drivers import network_watch

async def story():
    back = asyncio.Event()
    watching = asyncio.create_task(network_watch.watch_network(back.set))
    await asyncio.sleep(0.2)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    await asyncio.wait_for(back.wait(), 10)
    watching.cancel()

network_watch.SETTLE_S = 0.1
asyncio.run(story())
print("back")
"""


@pytest.mark.faults
@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace")
def test_an_interface_that_comes_up_is_news() -> None:
    command = ["unshare", "--net", sys.executable, "-c", WATCHING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "back\n", done.stderr
