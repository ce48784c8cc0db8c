"""The responses of a call that may still be heard, and the names of those that never will be again; no clock inside.

                begun          sound                 made                   heard
    (unknown) ────────> live ──────────> sounding ────────────> awaited ────────────> gone
                         │                   │ made (no sound)      │
                         └──── kill ─────────┴──────────────────────┘──> dead by name, for ever

Rules
* A response that was interrupted is dead by name: its sound is refused, however late and from wherever it comes.
* What waits to be heard waits in the listener's time, which stands still while the loudspeaker is held. So a suspicion
  brings no deadline of a response nearer, and its end moves them all by what it took.
* Nothing is waited for without end: a service that stops making a response, a near leg that never reports `Played`, a
  cancelled response whose end is never told.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf

STALLED_S = 15.0  # a service that makes no more of a response for so long will make none
CANCEL_S = 3.0  # a cancelled response whose end is not told by then has ended
PLAYED_S = 3.0  # grace for `Played`, after the sound must have been heard
DEAD_NAMES = 64  # more responses than a service ever has under way at once


@dataclass(slots=True)
class _Response:
    """A response that is neither dead nor heard to its end; times are the listener's."""

    last: float  # when the service was last heard making it
    until: float = 0.0  # its last sound is heard then, if nothing stalls
    sounds: bool = False
    made: bool = False  # the service is done with it

    @property
    def due(self) -> float:
        """When we stop waiting: for its being heard, or for the service to go on making it."""
        return self.until + PLAYED_S if self.made else max(self.until, self.last) + STALLED_S


class Responses:
    """What becomes of each response of an agent whose sound has `rate` Hz."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._live: dict[str, _Response] = {}  # the oldest first
        self._dead: deque[str] = deque(maxlen=DEAD_NAMES)
        self._ending: dict[str, float] = {}  # dead, but still being made: until when we wait for its end
        self._silent_at = 0.0  # when all responses, one after the other, are heard; the listener's time
        self._held_since: float | None = None
        self._held_s = 0.0  # so much later than ours the listener's clock is

    # ------------------------------------------------------------------------------------ what can be read

    def __contains__(self, name: str) -> bool:
        """It may still be heard."""
        return name in self._live

    @property
    def live(self) -> bool:
        return bool(self._live)

    @property
    def sounding(self) -> str:
        """The oldest live response of which some has been sent to the loudspeaker; "": there is none."""
        return next((name for name, response in self._live.items() if response.sounds), "")

    @property
    def ending(self) -> bool:
        """A dead response is still being made."""
        return bool(self._ending)

    @property
    def deadline(self) -> float:
        """When `expire` has something to do; inf: never."""
        due = min(self._ending.values(), default=inf)
        if self._held_since is None:
            for response in self._live.values():
                due = min(due, response.due + self._held_s)
        return due

    def _listeners(self, at: float) -> float:
        return (at if self._held_since is None else self._held_since) - self._held_s

    # --------------------------------------------------------------------------------------- what happens

    def begun(self, name: str, at: float) -> bool:
        """Take the beginning of a response; False if it is dead already."""
        if name in self._dead:
            return False
        self._live.setdefault(name, _Response(self._listeners(at)))
        return True

    def sound(self, name: str, pcm: bytes, at: float) -> bool:
        """Take sound of a response; False if nobody must hear it."""
        if not pcm or not self.begun(name, at):
            return False
        now, response = self._listeners(at), self._live[name]
        self._silent_at = max(now, self._silent_at) + len(pcm) / 2 / self._rate
        response.last, response.until, response.sounds = now, self._silent_at, True
        return True

    def made(self, name: str) -> bool:
        """Nothing more comes of it: tell whether there is anything to hear, and so to wait for."""
        self._ending.pop(name, None)
        if name not in self._live or self._live[name].made:
            return False
        if not self._live[name].sounds:
            del self._live[name]
            return False
        self._live[name].made = True
        return True

    def break_off(self) -> list[str]:
        """The service makes no more of any; return the names of those that count as made from now on."""
        self._ending.clear()
        return [name for name in list(self._live) if not self._live[name].made and self.made(name)]

    def heard(self, name: str) -> None:
        """It was heard to its end."""
        self._live.pop(name, None)
        self._bury(name)

    def kill(self, at: float) -> str:
        """Let none of the live ones be heard any more, so that nothing is held; return the oldest one's name."""
        self.go_on(at)
        oldest = next(iter(self._live), "")
        for name, response in self._live.items():
            self._bury(name)
            if not response.made:
                self._ending[name] = at + CANCEL_S
        self._live.clear()
        self._silent_at = self._listeners(at)
        return oldest

    def _bury(self, name: str) -> None:
        if name and name not in self._dead:
            self._dead.append(name)

    def hold(self, at: float) -> None:
        """The loudspeaker is silent, with everything kept."""
        if self._held_since is None:
            self._held_since = at

    def go_on(self, at: float) -> None:
        """The loudspeaker goes on where it was held."""
        if self._held_since is not None:
            self._held_s += max(0.0, at - self._held_since)
            self._held_since = None

    def expire(self, at: float) -> list[str]:
        """Stop waiting for what did not come; return the names of those that count as made from now on."""
        for name in [name for name, until in self._ending.items() if at >= until]:
            del self._ending[name]
        if self._held_since is not None:
            return []
        now = self._listeners(at)
        due = [(name, response) for name, response in self._live.items() if now >= response.due]
        for name, response in due:
            if response.made:
                del self._live[name]
        return [name for name, response in due if not response.made and self.made(name)]
