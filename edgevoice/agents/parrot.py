"""The parrot: says back what it heard, so that a box can be tried without an account and without a network."""

from __future__ import annotations

from edgevoice.events import (
    Audio,
    Closed,
    Command,
    End,
    HangUp,
    Interrupt,
    Opened,
    Play,
    Respond,
    ResponseDone,
    ResponseStarted,
)
from edgevoice.wire import NOTHING, Reply, Request

RATE = 16_000
REMEMBERED_S = 30  # of one turn; a longer one keeps its end
CHUNK = RATE // 10 * 2  # bytes of 100 ms
SHORTEST = RATE // 10 * 2  # bytes: less than this is no turn to answer


class Parrot:
    """A `Wire` that needs no connection. Its whole answer comes at once, far faster than it can be heard."""

    rate = RATE
    deadline = None

    def __init__(self) -> None:
        self._heard = bytearray()
        self._responses = 0
        self._over = False

    def request(self) -> Request | None:
        return None

    def opened(self, at: float) -> Reply:
        return Reply(events=(Opened(),))

    def receive(self, message: str | bytes, at: float) -> Reply:
        return NOTHING

    def perform(self, command: Command, at: float) -> Reply:
        if self._over:
            return NOTHING
        match command:
            case Play(pcm, ""):
                self._heard += pcm
                del self._heard[: -REMEMBERED_S * RATE * 2]
                return NOTHING
            case Respond():
                return self._respond()
            case Interrupt():
                return NOTHING  # an answer is always wholly made: there is nothing to stop
            case HangUp(reason):
                self._over = True
                return Reply(events=(Closed(End.HUNG_UP, reason),), close=True)
            case _:
                return NOTHING

    def _respond(self) -> Reply:
        said, self._heard = bytes(self._heard), bytearray()
        self._responses += 1
        name = f"parrot_{self._responses}"
        if len(said) < SHORTEST:
            said = b""
        audio = tuple(Audio(said[i : i + CHUNK], name) for i in range(0, len(said), CHUNK))
        return Reply(events=(ResponseStarted(name), *audio, ResponseDone(name)))

    def expire(self, at: float) -> Reply:
        return NOTHING

    def lost(self, at: float) -> bool:
        return False

    def closed(self, code: int, reason: str, at: float) -> Closed:
        return Closed(End.HUNG_UP, "the parrot has no connection to lose")
