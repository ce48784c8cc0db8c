"""What a machine that joins two legs orders, and of which of them."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from edgevoice.events import Command


class Side(Enum):
    """Which leg of a call."""

    NEAR = "near"
    FAR = "far"


Orders: TypeAlias = list[tuple[Side, Command]]
