"""Hears from the kernel that this machine has a network again: an address or a route is new. It asks nothing.

Source: rtnetlink(7), netlink(7). Where a sandbox allows no such socket there is no news, and who waits tries by itself.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable

log = logging.getLogger(__name__)

HEADER = struct.Struct("=IHHII")  # of a message: length with this header, type, flags, sequence, sender
NEW_ADDRESS, NEW_ROUTE = 20, 24  # RTM_NEWADDR, RTM_NEWROUTE
GROUPS = 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_ IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
LARGEST = 65536
SETTLE_S = 1.0  # an interface that comes up has several pieces of news, and after the last of them a name server


def has_news(packet: bytes) -> bool:
    """Tell whether a packet of the kernel's says that there is an address or a route that was not there."""
    at = 0
    while at + HEADER.size <= len(packet):
        length, kind, *_ = HEADER.unpack_from(packet, at)
        if kind in (NEW_ADDRESS, NEW_ROUTE):
            return True
        if length < HEADER.size:
            return False
        at += length + -length % 4
    return False


async def watch_network(back: Callable[[], None]) -> None:
    """Call `back` on the loop, each time SETTLE_S after the network has changed for the better, until cancelled."""
    try:
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    except OSError as error:
        log.debug("the kernel tells nothing of the network: %s", error.strerror)
        return
    loop = asyncio.get_running_loop()
    with kernel:
        kernel.bind((0, GROUPS))
        while True:
            try:
                packet = await loop.sock_recv(kernel, LARGEST)
            except OSError:  # ENOBUFS: there was more news than room for it
                packet = HEADER.pack(HEADER.size, NEW_ROUTE, 0, 0, 0)
            if has_news(packet):
                await asyncio.sleep(SETTLE_S)
                while _pending(kernel):
                    pass
                back()


def _pending(kernel: socket.socket) -> bool:
    """Throw away one packet of what has come meanwhile; it is the same news."""
    try:
        return bool(kernel.recv(LARGEST))
    except OSError:
        return False
