"""Calls that the SIP library could not answer and holds all the same, ended before they add up.

An INVITE without a Contact that makes sense is answered with 500, and its call is released by the one who made it. But
the library's Python side has meanwhile taken a reference, and gives it back only when the call is said to have closed,
which nobody says. Such a ghost counts, until everybody hears busy. To hang it up releases it twice, for its maker and
for Python, and then the memory of the next call is at the mercy of whoever sent the INVITE: the process aborts.

So a ghost is told by its references: an honest call has two from beginning to end, a ghost one. It is given the one
that it lacks, and is then hung up like any other. No call that still may be answered is touched, however late.
Source: baresip 4.10, `ua_accept` and `ua_hangupf` in ua.c, `mem_deref` in mem.c; baresip-python 0.5.2a3, `bp_bevent_h`
in shim.c; and a core of a process that had aborted.
"""

from __future__ import annotations

import ctypes

from baresip import _native
from baresip._events import set_sink
from baresip._native import ffi, lib
from baresip.events import Event

OFFER = lib.BP_EV_BASE + Event.CALL_REMOTE_SDP.value  # with the INVITE of a call; a ghost has one, too
REFERENCES = 2  # to an honest call: who lists it has one, and Python has one

Found = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)

_library = ctypes.CDLL(_native.__file__)
_library.uag_filter_calls.argtypes = [Found, ctypes.c_void_p, ctypes.c_void_p]
_library.mem_nrefs.argtypes = [ctypes.c_void_p]
_library.mem_nrefs.restype = ctypes.c_uint32
_library.mem_ref.argtypes = [ctypes.c_void_p]
_library.mem_ref.restype = ctypes.c_void_p
_library.call_get_ua.argtypes = [ctypes.c_void_p]
_library.call_get_ua.restype = ctypes.c_void_p
_library.ua_hangup.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint16, ctypes.c_char_p]


def lay_ghosts() -> None:
    """End them from now on, each as soon as the library has done with its INVITE.

    To be called when the library runs and before it has an account: what it says at that moment is lost.
    """

    def take(what: int, handle: int, payload: bytes | None) -> None:
        """On the library's own thread: an offer in the midst of an INVITE, the answer to a ping between two."""
        if what == OFFER:
            lib.bp_cmd(lib.BP_CMD_PING, 0, ffi.NULL)
        elif what == lib.BP_EV_PONG:
            _lay()
        heard(what, handle, payload)

    heard = set_sink(take)  # type: ignore[no-untyped-call]


def _lay() -> None:
    calls: list[int] = []
    _library.uag_filter_calls(Found(lambda call, _: calls.append(call)), None, None)
    for call in calls:
        if _library.mem_nrefs(call) < REFERENCES:
            _library.mem_ref(call)
            _library.ua_hangup(_library.call_get_ua(call), call, 0, None)
