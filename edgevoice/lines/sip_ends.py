"""What a SIP status means that a call, or a registration, ended with."""

from __future__ import annotations

from collections.abc import Mapping

from edgevoice.events import Closed, End

# Source: RFC 3261 clause 21, and what PBXs send in practice.
ENDS: Mapping[int, tuple[End, str]] = {
    401: (End.BAD_CREDENTIALS, "the registrar does not accept user and password"),
    403: (End.REFUSED, "the registrar, or who was called, forbids it"),
    404: (End.WRONG_NUMBER, "there is nobody of that name or number"),
    407: (End.BAD_CREDENTIALS, "the registrar does not accept user and password"),
    408: (End.NO_ANSWER, "nobody answered"),
    410: (End.WRONG_NUMBER, "that number is not in use any more"),
    421: (End.REFUSED, "the registrar insists on something that the box does not do, like session timers when called"),
    423: (End.REFUSED, "the registrar keeps nobody registered: it says yes, for no time at all"),
    480: (End.NO_ANSWER, "who was called cannot be reached now"),
    484: (End.WRONG_NUMBER, "the number is not complete"),
    486: (End.BUSY, "who was called is on the phone"),
    487: (End.HUNG_UP, "the call was called off"),
    488: (End.REFUSED, "the two sides have no codec in common: see `codecs` and `srtp`"),
    600: (End.BUSY, "who was called is on the phone everywhere"),
    603: (End.REFUSED, "who was called declined"),
    604: (End.WRONG_NUMBER, "there is nobody of that name or number anywhere"),
}


def closed(status: int) -> Closed:
    """Say what a SIP status means that a call, or a registration, ended with; 0: nothing came."""
    if status in ENDS:
        return Closed(*ENDS[status])
    if status >= 500 or status == 0:
        return Closed(End.LINK_LOST, f"the registrar is in trouble, or cannot be reached (SIP {status or 'no answer'})")
    return Closed(End.REFUSED, f"the call was refused (SIP {status})")
