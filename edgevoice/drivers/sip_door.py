"""Shuts the doors that the SIP library leaves open: with TCP and TLS nobody has to dial us.

A call comes in on the connection by which we registered, and that is why its From is believed. But the library also
listens on a port of its own, where anybody in the network could say anything. It cannot be told not to. So each
listening socket of this process gets a filter that drops every packet: nobody connects, and what is connected goes on.
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


def shut() -> int:
    """Let nobody connect to this process any more; return at how many ports."""
    ports = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(entry).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as door:
                    ports += _shut(door)
        except OSError:  # it was closed meanwhile
            continue
    return ports


def _shut(door: socket.socket) -> bool:
    if not door.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return False
    program = ctypes.create_string_buffer(NOTHING)
    door.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
    return True
