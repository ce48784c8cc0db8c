"""What the box and its SIP worker both have to know of each other: how sound is packed, and how the library is told.

In a file of its own because the worker needs nothing else of `lines.sip`, which brings numpy: 15 MB.
"""

from __future__ import annotations

import struct

NUMBER = struct.Struct(">I")  # of a call, before the sound that it is sent
TIMED = struct.Struct(">Id")  # the same, and when it was read, before the sound that has come
MANDATORY = "mediaenc=srtp-mand"  # of an account whose sound is encrypted, or is not at all


def status(text: str) -> int:
    """Read the SIP status at the beginning of a reason; 0 where there is none."""
    word = text.partition(" ")[0]
    return int(word) if len(word) == 3 and word.isascii() and word.isdigit() else 0
