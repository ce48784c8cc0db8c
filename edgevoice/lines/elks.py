"""46elks' real-time voice: one WebSocket, opened by 46elks, for each call to a number of the kind "websocket".

Rules
* `sending` goes out right before the first sound, and again before the first sound after an `interrupt`: until then
  46elks throws away all that it is sent, and nothing tells us so. Never anywhere else: a `sending` that is bound to the
  end of a response, as in their own example, loses the reply that comes before it.
* Sound arrives in pieces of any size, cut anywhere.
* A `bye` may carry words of 46elks' own. They may name the number called, so they are not repeated.

Source: 46elks documentation, "Realtime voice": messages, audio formats, interrupt, sync.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections import deque
from math import inf

from msgspec import Struct, field

from edgevoice.audio.pcm import Whole
from edgevoice.events import Audio, Closed, End
from edgevoice.lines.connection import Connection
from edgevoice.lines.reading import Unknown, reader
from edgevoice.lines.service import FRAME_MS, Began, Meaning, Messages, Reached

RATE = 16_000  # more than the telephone network carries (7 kHz at most), and what the voice detector listens at
FORMAT = "pcm_16000"  # little endian: their own example passes such sound on as it is
GRACE_S = 1.0  # an answer to what was interrupted comes by then: a journey there and back, until one was measured
JOURNEYS, STUMBLE_S = 2, 0.2  # then it comes by so many of them, and a network that stumbles
EARLY_S = 0.2  # so much less than its sound lasts may pass before a sync is answered: 46elks may run ahead of the ear
LOST_S = 3.0  # after the sound must have been heard: nobody waits longer for an answer
MOST_SYNCS = 1000  # remembered of each kind, for a 46elks that never answers: ten minutes of sound hold 600

LISTENING = f'{{"t":"listening","format":"{FORMAT}"}}'
SENDING = f'{{"t":"sending","format":"{FORMAT}"}}'
SYNC, INTERRUPT, BYE = '{"t":"sync"}', '{"t":"interrupt"}', '{"t":"bye"}'


class _Hello(Struct, tag_field="t", tag="hello"):
    callid: str
    caller: str = field(name="from", default="")
    callee: str = field(name="to", default="")


class _Audio(Struct, tag_field="t", tag="audio", gc=False):
    data: bytes


class _Sync(Struct, tag_field="t", tag="sync"):
    pass


class _Bye(Struct, tag_field="t", tag="bye"):
    reason: str = ""


_read = reader("t", _Hello, _Audio, _Sync, _Bye)


class Elks:
    """A `Service`: one call of 46elks."""

    name = "elks"
    rate = RATE
    chunk_ms = 100
    frame_ms = FRAME_MS
    mark_ms = 1000
    answers_clear = False  # an `interrupt` is obeyed in silence
    rings_by_itself = False
    flows_at_once = True
    patience_s = 10.0

    def __init__(self) -> None:
        self.faults = 0
        self._connection = Connection("46elks")
        self._sending = False
        self._heard = Whole()
        self._syncs = Syncs()

    def receive(self, message: str | bytes, at: float) -> tuple[Meaning, ...]:
        if self._connection.over:
            return ()
        self._syncs.now = at
        read = _read(message)
        if isinstance(read, _Audio) and self._connection.call:
            pcm = self._heard.samples(read.data)
            return (Audio(pcm),) if pcm else ()
        match read:
            case _Sync() if (mark := self._syncs.answered()) is not None:
                return (Reached(mark),)
            case _Hello(call) if call:
                return self._began(read)
            case _Bye(reason):
                return self._ended(reason)
            case Unknown():
                return ()
            case _:  # no message, sound before `hello`, or an answer to nothing
                self.faults += 1
                return ()

    def open(self) -> Messages:
        return ()

    def begin(self) -> Messages:
        return (LISTENING,) if self._connection.up else ()

    def play(self, pcm: bytes) -> Messages:
        if not self._connection.up:
            return ()
        self._syncs.sent(len(pcm) / (2 * RATE))
        audio = f'{{"t":"audio","data":"{b2a_base64(pcm, newline=False).decode("ascii")}"}}'
        if self._sending:
            return (audio,)
        self._sending = True
        return SENDING, audio

    def mark(self, name: str) -> Messages:
        if not self._connection.up:
            return ()
        self._syncs.asked(name)
        return (SYNC,)

    def clear(self, at: float) -> Messages:
        """Have all thrown away that was sent since the last `clear`; of nothing, nothing needs to be thrown away."""
        if not self._connection.up or not self._sending:
            return ()
        self._sending = False
        self._syncs.flushed(at)
        return (INTERRUPT,)

    def end(self) -> Messages:
        if self._connection.left or self._connection.over:
            return ()
        self._connection.leave()
        return (BYE,)

    def closed(self, code: int) -> Closed:
        return self._connection.closed(code)

    def _began(self, hello: _Hello) -> tuple[Meaning, ...]:
        if self._connection.call:
            return self._connection.again(hello.callid)
        self._connection.begin(hello.callid)
        return (Began(hello.callid, hello.caller, hello.callee),)

    def _ended(self, reason: str) -> tuple[Meaning, ...]:
        if reason == "error":
            return self._connection.close(End.BROKEN, "46elks ended the call because of an error")
        said = "the other side hung up" if reason == "hangup" else "46elks ended the call: it is done"
        return self._connection.close(End.HUNG_UP, said)


class Syncs:
    """The syncs that are out. Their answers carry no name: they are matched by order.

    Whether a sync is answered that stood in the queue when it was interrupted, is not documented; it was *flushed*.
    So an answer is one to the oldest of those
    * within the time of grace after the interrupt, even where it could be one to a newer sync: to be told too late that
      something was heard costs a wait, to be told too early makes the agent believe that it was heard;
    * later, if the sound before the oldest newer sync cannot have been played yet.
    Any other answer is one to the oldest newer sync, and then the flushed ones are forgotten: order forbids that they
    are still answered. So they are at the next interrupt. A misjudgement ends with the next pause: what is not answered
    `LOST_S` after its sound must have been heard counts as flushed, too.

    When that time has passed without any answer, it is known: none will come after other interrupts either, but to what
    was played before they came.
    A sync that finds nothing to wait for measures the journey.
    """

    def __init__(self) -> None:
        self.now = -inf  # the time of the last message: what we do, we do then or a little later
        self._out: deque[tuple[str, float]] = deque(maxlen=MOST_SYNCS)  # the name, and when it is due at the earliest
        self._into_silence = ""  # the last one that had nothing to wait for
        self._grace_s = GRACE_S
        self._flushed: deque[str] = deque(maxlen=MOST_SYNCS)
        self._flushed_first_until = -inf
        self._never = False  # an answer to a sync that an interrupt overtook
        self._in_doubt = False  # if none comes by `_flushed_first_until`, there never will be one
        self._played_by = -inf  # all that was sent, at the earliest

    def sent(self, seconds: float) -> None:
        """So much more sound goes out."""
        if self.now > self._played_by:
            if self.now > self._played_by + LOST_S:
                self._flush(self._played_by)
            self._played_by = self.now
        self._played_by += seconds

    def asked(self, name: str) -> None:
        """A sync goes out."""
        if self._in_doubt and self.now > self._flushed_first_until:
            self._in_doubt, self._never = False, True
            self._flushed.clear()
        if self.now >= self._played_by:
            self._into_silence = name
        self._out.append((name, max(self.now, self._played_by)))

    def flushed(self, at: float) -> None:
        """An interrupt goes out."""
        if at > self._flushed_first_until:
            self._flushed.clear()
        self.now = self._played_by = at
        self._flushed_first_until = at + self._grace_s
        while self._never and self._out and self._out[-1][1] > at + EARLY_S:
            self._out.pop()  # what is left may have been answered before the interrupt came
        self._in_doubt = bool(self._out)
        self._flush(inf)

    def answered(self) -> str | None:
        """Return the name of the sync that was answered, or None if there is none."""
        self._in_doubt = False
        self._never = self._never and bool(self._out)
        if self._flushed and (self.now <= self._flushed_first_until or not self._out or self._early):
            return self._flushed.popleft()
        self._flushed.clear()
        if not self._out:
            return None
        name, due = self._out.popleft()
        if name == self._into_silence:
            self._grace_s = min(self._grace_s, JOURNEYS * (self.now - due) + STUMBLE_S)
        return name

    @property
    def _early(self) -> bool:
        """The oldest sync that was not flushed cannot be answered yet."""
        return self.now < self._out[0][1] - EARLY_S

    def _flush(self, due: float) -> None:
        while self._out and self._out[0][1] <= due:
            self._flushed.append(self._out.popleft()[0])
