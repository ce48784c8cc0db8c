"""Who is heard in a call: packets from where the other side said that its sound comes from, and from nobody else.

The SIP library takes RTP from anybody who finds the port: a third could speak into the call, and press keys that open
a door. So the call's socket gets a filter by the sender's address. A telephone behind a router does not know its own:
where nothing comes through, the filter is taken off again.

The library tells nobody where that is, so its own functions are asked, with its own lock held.
Source: baresip 4.10, stream.h, audio.h, call.h and uag.c; Linux, Documentation/networking/filter.rst.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

from baresip import _native

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K
NETWORK = 0xFFF00000  # SKF_NET_OFF: what follows is counted from the IP header
SENDER = {socket.AF_INET: 12, socket.AF_INET6: 8}  # where its address is there
ALL, NOTHING = 0xFFFF, 0

_library = ctypes.CDLL(_native.__file__)
for _name in ("uag_call_find", "call_audio", "audio_strm", "stream_raddr", "stream_rtp_sock", "rtp_sock"):
    getattr(_library, _name).restype = ctypes.c_void_p
    getattr(_library, _name).argtypes = [ctypes.c_char_p if _name == "uag_call_find" else ctypes.c_void_p]
_library.udp_sock_fd.argtypes = [ctypes.c_void_p, ctypes.c_int]
_library.sa_ntop.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]


def shut_out(call_id: str, unless: str) -> str:
    """Hear nobody in that call but the address that the other side has told; return it, or "" if nothing was done.

    `unless`: it is that one, from which nothing has come.
    """
    sender, descriptor = _look(call_id)
    family = socket.AF_INET6 if ":" in sender else socket.AF_INET
    if sender in ("", unless) or descriptor < 0:
        return ""
    program = _program(family, socket.inet_pton(family, sender))
    code = ctypes.create_string_buffer(program)
    fprog = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    return sender if _set(descriptor, SO_ATTACH_FILTER, fprog) else ""


def let_in(call_id: str) -> None:
    """Hear anybody again."""
    _set(_look(call_id)[1], SO_DETACH_FILTER, struct.pack("i", 0))


def _look(call_id: str) -> tuple[str, int]:
    """Return the address of the other side's sound, and the descriptor on which it comes; "" and -1 for none."""
    text = ctypes.create_string_buffer(64)
    _library.re_thread_enter()
    try:
        call = _library.uag_call_find(call_id.encode())
        audio = _library.call_audio(call) if call else None
        stream = _library.audio_strm(audio) if audio else None
        if not stream or _library.sa_ntop(_library.stream_raddr(stream), text, len(text)):
            return "", -1
        sender = text.value.decode().partition("%")[0]
        if sender in ("0.0.0.0", "::"):  # on hold, as RFC 2543 had it
            return "", -1
        family = socket.AF_INET6 if ":" in sender else socket.AF_INET
        return sender, _library.udp_sock_fd(_library.rtp_sock(_library.stream_rtp_sock(stream)), family)
    finally:
        _library.re_thread_leave()


def _program(family: int, sender: bytes) -> bytes:
    """Return a filter that lets packets of that sender pass, whole."""
    words = struct.unpack(f">{len(sender) // 4}I", sender)
    code = []
    for number, word in enumerate(words):
        code.append((LOAD, 0, 0, NETWORK + SENDER[socket.AddressFamily(family)] + 4 * number))
        code.append((EQUAL, 0, 2 * (len(words) - number) - 1, word))
    return b"".join(struct.pack("HBBI", *step) for step in (*code, (RETURN, 0, 0, ALL), (RETURN, 0, 0, NOTHING)))


def _set(descriptor: int, option: int, value: bytes) -> bool:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as one:
            one.setsockopt(socket.SOL_SOCKET, option, value)
        return True
    except OSError:  # the call is over, or there was no filter
        return False
