"""Which relay a code opens that is typed on a telephone, and when it is too many tries, wrong or an agent's.

Rules
* A code is recognised as the end of what was typed, so that a mistyped key before it does no harm. Keys with a pause of
  3 s between them do not belong together.
* A try at a relay is a run of keys that `#` ends, or a pause of 3 s, or, where its code does not end in `#`, as many
  keys as its code has. One that opens nothing is wrong. A `#` by itself is no try: it begins anew. Within a code a `#`
  is a key like the others, and then the number of keys alone ends a try.
* A try that lies wholly within a code that opened one relay is no wrong try at another. One that began before it is:
  who knows one code must not be able to guess at another for ever.
* After `max_wrong` wrong tries a relay opens no more in this call, not with the right code either. So whoever guesses
  at a code of n keys can test at most n times `max_wrong` codes in a call, and with a `#` at its end `max_wrong`.
* Where what was typed ends in the codes of two relays, the longer code is meant.
* An agent can be talked into opening a door again and again: it may do so AGENT_OPENINGS times within AGENT_WINDOW_S,
  in all its calls together.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

KEYS = frozenset("0123456789ABCD*#")
AGENT_OPENINGS, AGENT_WINDOW_S = 3, 60.0  # enough for a guest who was too slow, and for the next one
PAUSE_S = 3.0  # who looks up the next key is back within it


@dataclass(frozen=True, slots=True)
class Opened:
    """Pulse the relay of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A try was wrong, at one relay at least; another may still open."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A try was wrong, and from now on no code opens anything in this call."""


Outcome: TypeAlias = Opened | Wrong | Blocked | None


class Keypad:
    """The keys of one call. It keeps no more of them than the longest code has, and never shows any."""

    def __init__(self, codes: Mapping[str, str], max_wrong: Mapping[str, int]) -> None:
        """Both by the relay's name; a relay whose code is empty is opened by nobody on the telephone."""
        locks = [_Lock(name, code, max_wrong[name]) for name, code in codes.items() if code]
        self._locks = sorted(locks, key=lambda lock: -len(lock.code))
        self._count = 0  # keys of this call
        self._last_at: float | None = None

    def press(self, key: str, at: float) -> Outcome:
        """Take one key of the telephone; anything else is ignored."""
        if key.upper() not in KEYS or not self._locks:
            return None
        paused = self._last_at is not None and at - self._last_at >= PAUSE_S
        wrong = any([lock.pause(self._count) for lock in self._locks]) if paused else False
        self._last_at = at
        self._count += 1
        opened = [lock for lock in self._locks if lock.press(key.upper())]
        if opened:
            for lock in self._locks:
                lock.begin_anew(self._count, len(opened[0].code), mine=lock is opened[0])
            return Opened(opened[0].name)
        if not any([lock.ends(self._count) for lock in self._locks]) and not wrong:
            return None
        return Blocked() if all(lock.blocked for lock in self._locks) else Wrong()


class _Lock:
    """One relay's code, what was typed last, and how many tries at it were wrong."""

    __slots__ = ("_by_hash", "_by_length", "_keys", "_max_wrong", "_run", "_wrong", "code", "name")

    def __init__(self, name: str, code: str, max_wrong: int) -> None:
        self.name, self.code, self._max_wrong = name, code, max_wrong
        self._by_hash = "#" not in code[:-1]
        self._by_length = not (self._by_hash and code.endswith("#"))
        self._keys: deque[str] = deque(maxlen=len(code))
        self._run = 0  # keys since the last try ended
        self._wrong: list[int] = []  # which key of the call each wrong try began with

    @property
    def blocked(self) -> bool:
        return len(self._wrong) >= self._max_wrong

    def press(self, key: str) -> bool:
        """Take the key; say whether the relay opens."""
        self._keys.append(key)
        self._run += 1
        right = hmac.compare_digest("".join(self._keys).encode(), self.code.encode())
        return right and not self.blocked

    def ends(self, count: int) -> bool:
        """Say whether the key just taken, the `count`th of the call, ended a try; it was wrong."""
        full = self._by_length and self._run >= len(self.code)
        if not full and not (self._by_hash and self._keys[-1] == "#"):
            return False
        tried = full or self._run > 1
        if tried:
            self._charge(count)
        self._run = 0
        return tried

    def pause(self, count: int) -> bool:
        """Begin anew; say whether that ended a try, which is wrong."""
        tried = self._run > 0
        if tried:
            self._charge(count)
        self._keys.clear()
        self._run = 0
        return tried

    def begin_anew(self, count: int, length: int, *, mine: bool) -> None:
        """A code of `length` keys has opened a relay (`mine`: this one): weigh again what was typed up to now."""
        self._wrong = [first for first in self._wrong if first <= count - length]
        if self._run > length and not mine:
            self._charge(count)
        self._keys.clear()
        self._run = 0

    def _charge(self, count: int) -> None:
        if not self.blocked:
            self._wrong.append(count - self._run + 1)


class Openings:
    """When agents have opened each relay lately; one for all calls."""

    def __init__(self) -> None:
        self._at: dict[str, deque[float]] = {}

    def may(self, name: str, at: float) -> bool:
        """Tell whether an agent may open it now; if so, it counts as opened."""
        times = self._at.setdefault(name, deque(maxlen=AGENT_OPENINGS))
        if len(times) == AGENT_OPENINGS and at < times[0] + AGENT_WINDOW_S:
            return False
        times.append(at)
        return True
