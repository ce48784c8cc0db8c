"""The sockets of the SIP library, seen from outside: shuts the doors that nobody needs, and tells what is connected.

A call comes in on the connection by which we registered, and that is why its From is believed over TCP and TLS. But the
library also listens on a port of its own, where anybody in the network could say anything. It cannot be told not to. So
each listening socket of this process gets a filter that drops every packet: nobody connects, what is connected goes on.
Source: Linux, Documentation/networking/filter.rst.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from pathlib import Path

SO_ATTACH_FILTER = 26
RETURN = 0x06  # BPF_RET | BPF_K: so many bytes of a packet pass
NOTHING = struct.pack("HBBI", RETURN, 0, 0, 0)


def shut() -> frozenset[int]:
    """Let nobody connect to this process any more; return our own ports of the TCP connections that it has."""
    connected = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(entry).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as door:
                    connected |= _look(door)
        except OSError:  # it was closed meanwhile
            continue
    return frozenset(connected)


def _look(door: socket.socket) -> set[int]:
    if door.family not in (socket.AF_INET, socket.AF_INET6) or door.type != socket.SOCK_STREAM:
        return set()
    if door.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        program = ctypes.create_string_buffer(NOTHING)
        door.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
        return set()
    door.getpeername()  # raises while it is not connected, and when it is not any more
    return {int(door.getsockname()[1])}
