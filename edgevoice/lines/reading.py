"""How the services' messages are read: what is unknown is told apart from what makes no sense.

A service grows new messages, and new fields of old ones: that is no fault of anybody. A message that is no JSON, names
no kind, or lacks what its kind must have, is one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec

KEYS = frozenset("0123456789*#ABCD")  # of a telephone; the last four are on none that is sold

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]  # of Hz or channels: no text of a thousand digits
M = TypeVar("M")


class Unknown(msgspec.Struct):
    """A message of a kind that is not ours to know."""


UNKNOWN: Final = Unknown()
Read: TypeAlias = Callable[[str | bytes], M | Unknown | None]


def reader(tag: str, *kinds: type[M]) -> Read[M]:
    """Return what reads one message: as one of `kinds`, told by the field `tag`; None for one that makes no sense.

    It never raises. JSON that travels as bytes is read like text.
    """
    messages: msgspec.json.Decoder[M] = msgspec.json.Decoder(reduce(or_, kinds), strict=False)
    heads: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
        msgspec.defstruct("Head", [("kind", str, msgspec.field(name=tag))])
    )
    known = {kind.__struct_config__.tag for kind in kinds}  # type: ignore[attr-defined]

    def read(message: str | bytes) -> M | Unknown | None:
        try:
            return messages.decode(message)
        except (ValueError, RecursionError):  # not UTF-8, not JSON, a bomb of brackets, wrong types, not base64
            pass
        try:
            return None if heads.decode(message).kind in known else UNKNOWN
        except (ValueError, RecursionError):
            return None

    return read


def texts(found: object) -> Mapping[str, str]:
    """Keep of what ought to be texts by name those that are."""
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(name, str) and isinstance(text, str)}
