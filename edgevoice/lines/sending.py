"""What a caller is to hear, on its way to the phone service: queued here, and sent as the service plays it.

    Play, Mark, Tone ──> queue ── up to PUMP_MS at a time ──> the line's rate ──> whole frames ──> chunks ──> service
                                   while no more than AHEAD_MS is unplayed there

Rules
* What is to be heard waits here, not there: so a `clear` has little to throw away, and no service's buffer overflows
  however much an agent says at once.
* New sound waits for a service that answers its `clear`, CLEARED_S at most.
* What was cleared is dead by name, however late its sound comes.
* A person's own voice (`live`) is never sent late: what would wait behind LIVE_MS of sound is left out.
* What is filled in, so that frames are whole, belongs to no response: it does not count as heard.
* A mark without a response stands in the middle of a recording, which goes on behind it without a seam. The last piece
  of that is sent when the service has nearly played the others.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgevoice.audio.pcm import from_bytes, level_dbfs, to_bytes
from edgevoice.audio.resample import Resampler
from edgevoice.audio.tones import tone
from edgevoice.events import Mark, Play, Played
from edgevoice.lines.playback import Playback
from edgevoice.lines.service import Messages, Service

AHEAD_MS = 3_000  # a network that is away for longer is lost; each second here is one that a `clear` has to beat
PUMP_MS = 200  # sent at once, so that one call's long answer does not keep the others waiting; and seldom less
LIVE_MS = 340  # a person's voice later than this, and what a service keeps by itself, is no conversation any more
SPARE_MS = 100  # above this its pauses are made shorter: a tone before a word must not make a call late for good
QUIET_DBFS = -50.0  # of a piece of it that nobody misses
LIMIT_MS = 300_000  # of sound that waits here: five minutes, as before the card
CLEARED_S = 0.25  # for the answer to a `clear`
DRY_MS = 100  # before a service has nothing more to play, it gets the last piece of a recording, too
DEAD_NAMES = 64  # more responses than an agent ever has under way at once


@dataclass(slots=True)
class _Sound:
    """Sound of one response (or of none) that waits, at the other side's rate unless it is a tone."""

    pcm: memoryview
    response: str
    rate: int
    is_tone: bool = False
    is_live: bool = False


class Sending:
    """One call's sound on its way out. Each method returns the messages that are to be sent now."""

    def __init__(self, service: Service) -> None:
        self.playback = Playback(service.rate)
        self.waiting_ms = 0.0  # how much sound waits here
        self.overflow_ms = 0.0  # of sound that found the queue full, or came too late to be heard
        self._service = service
        self._queue: deque[_Sound | Mark] = deque()
        self._rest = b""  # at the line's rate, less than a frame, of `_response`
        self._response = ""  # whose sound was sent last
        self._going_on = False  # of that there is a rest, here or in the resampler
        self._unfinished = ""  # some of this response was sent, and more may come
        self._dead: deque[str] = deque(maxlen=DEAD_NAMES)
        self._to_clear = False  # something was sent since the last `clear`
        self._unanswered = 0  # of those
        self._cleared_by: float | None = None  # until then new sound waits for the answer to a `clear`
        self._more_at: float | None = None  # PUMP_MS were sent then, and there is more
        self.take_from(service.rate)

    def take_from(self, rate: int) -> None:
        """The other side speaks at `rate` Hz from now on."""
        self._other = rate
        self._resampler = Resampler(rate, self._service.rate)
        if self.playback.rate != self._service.rate:
            self.playback = Playback(self._service.rate)

    @property
    def deadline(self) -> float | None:
        """When `pump` has something to do."""
        return self._pump_at if self._queue else self._dry_at

    @property
    def _pump_at(self) -> float:
        """When there is room for the next sound."""
        room = self.playback.room_at(AHEAD_MS - PUMP_MS) if self._more_at is None else self._more_at
        return room if self._cleared_by is None else max(room, self._cleared_by)

    @property
    def _dry_at(self) -> float | None:
        """When the rest of a recording has to follow, if there is one."""
        return self.playback.room_at(DRY_MS) if self._going_on and not self._unfinished else None

    # ------------------------------------------------------------------------------------------- what comes in

    def play(self, sound: Play, at: float) -> Messages:
        if sound.response in self._dead:
            return ()
        ms = _ms(sound.pcm, self._other)
        late = sound.live and self._late(sound.pcm, at)
        if late or self.waiting_ms + ms > LIMIT_MS:
            self.overflow_ms += ms
            return ()
        self._queue.append(_Sound(memoryview(sound.pcm), sound.response, self._other, is_live=sound.live))
        self.waiting_ms += ms
        return self.pump(at)

    def _late(self, pcm: bytes, at: float) -> bool:
        """Tell whether a piece of a person's voice would come too late to be worth it."""
        behind_ms = self.playback.behind_ms(at) + self.waiting_ms
        return behind_ms > LIVE_MS or (behind_ms > SPARE_MS and level_dbfs(from_bytes(pcm)) < QUIET_DBFS)

    def mark(self, mark: Mark, at: float) -> Messages:
        """Have `Played` reported when everything before it was heard; no more of its response will come."""
        if mark.response in self._dead:
            return ()
        self._queue.append(mark)
        return self.pump(at)

    def tone(self, name: str, at: float) -> Messages:
        """Play a tone before whatever else waits here, but for other tones."""
        pcm = to_bytes(tone(name, self._service.rate))
        place = next(
            (i for i, one in enumerate(self._queue) if isinstance(one, Mark) or not one.is_tone), len(self._queue)
        )
        self._queue.insert(place, _Sound(memoryview(pcm), "", self._service.rate, is_tone=True))
        self.waiting_ms += _ms(pcm, self._service.rate)
        return self.pump(at)

    # ------------------------------------------------------------------------------------------ what is heard

    def sounding(self, at: float) -> str:
        """The response that a person would interrupt now, or ""."""
        return next(self._named(at), "")

    def _named(self, at: float) -> Iterator[str]:
        """Name the responses that are not heard to their end, in that order."""
        yield from filter(None, self.playback.sounding(at))
        if self._unfinished:
            yield self._unfinished
        yield from (one.response for one in self._queue if isinstance(one, _Sound) and one.response)

    def clear(self, at: float) -> tuple[str, float, Messages]:
        """Throw away all that was not played; return the response that sounded and how much of it was heard."""
        names = list(dict.fromkeys(self._named(at)))
        response = names[0] if names else ""
        heard_ms = self.playback.heard_ms(response, at) if response else 0.0
        self._dead.extend(names)
        self._unfinished = self._response = ""
        self._queue.clear()
        self.waiting_ms = 0.0
        self._forget_rest()
        self._more_at = None
        self.playback.clear(at)
        if not self._to_clear:
            return response, heard_ms, ()
        self._to_clear = False
        if self._service.answers_clear:
            self._unanswered += 1
            self._cleared_by = at + CLEARED_S
        return response, heard_ms, self._service.clear(at)

    def cleared(self, at: float) -> Messages:
        """The service has answered a `clear`."""
        self._unanswered = max(0, self._unanswered - 1)
        if self._unanswered:
            return ()
        self._cleared_by = None
        return self.pump(at)

    # -------------------------------------------------------------------------------------------- what goes out

    def ask_the_way(self, at: float) -> Messages:
        """Find out, while nothing is said, how long a message takes there and back."""
        return self._service.mark(self.playback.mark(at)) if self.playback.wonders(at) else ()

    def pump(self, at: float) -> Messages:
        """Send what there is room for."""
        if not self._queue:
            return self._finish(at) if self._dry_at is not None and at >= self._dry_at else ()
        if at < self._pump_at:
            return ()
        self._cleared_by = self._more_at = None
        send: Messages = ()
        pumped_ms = 0.0
        while self._queue and self.playback.room_at(AHEAD_MS) <= at:
            if pumped_ms >= PUMP_MS:
                self._more_at = at
                break
            match self._queue[0]:
                case Mark() as mark:
                    self._queue.popleft()
                    send += self._ask(mark, at)
                case _Sound() as sound:
                    pcm = self._pull(sound)
                    pumped_ms += _ms(pcm, sound.rate)
                    send += self._send(pcm, sound, at)
        return send

    def _ask(self, mark: Mark, at: float) -> Messages:
        """Send the mark; one of a response comes behind the last of its sound."""
        send = self._finish(at) if mark.response else ()
        self._unfinished = "" if self._unfinished == mark.response else self._unfinished
        return send + self._service.mark(self.playback.mark(at, Played(mark.name, mark.response)))

    def _pull(self, sound: _Sound) -> bytes:
        """Take at most PUMP_MS from the front of the queue."""
        size = sound.rate * PUMP_MS // 1000 * 2
        piece, rest = sound.pcm[:size], sound.pcm[size:]
        self.waiting_ms -= _ms(piece, sound.rate)
        if len(rest):
            sound.pcm = rest
        else:
            self._queue.popleft()
        return bytes(piece)

    def _send(self, pcm: bytes, sound: _Sound, at: float) -> Messages:
        if sound.is_tone:  # it stands between two samples of what goes on
            rest, self._rest = self._rest, b""
            return self._emit(rest, self._response, at) + self._emit(pcm, "", at)
        send: Messages = ()
        if sound.response != self._response:
            send += self._finish(at)
            self._response = sound.response
        self._unfinished = sound.response or self._unfinished
        self._going_on = self._going_on or not sound.is_live
        if sound.rate != self._service.rate:
            pcm = to_bytes(self._resampler.process(from_bytes(pcm)))
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % self._frame
        self._rest = pcm[whole:]
        return send + self._emit(pcm[:whole], self._response, at)

    @property
    def _frame(self) -> int:
        return self._service.rate * self._service.frame_ms // 1000 * 2

    def _finish(self, at: float) -> Messages:
        """Send what is left of what was being sent, here and in the resampler."""
        if not self._going_on:
            return ()
        rest = self._rest
        delayed = math.ceil(2 * self._resampler.delay_ms * self._resampler.source / 1000)
        tail = to_bytes(self._resampler.process(np.zeros(delayed, np.int16)))
        self._forget_rest()
        return self._emit(rest, self._response, at, tail)

    def _forget_rest(self) -> None:
        self._going_on, self._rest = False, b""
        self._resampler.reset()

    def _emit(self, pcm: bytes, response: str, at: float, tail: bytes = b"") -> Messages:
        """Send whole frames: what is heard of `response`, and what is not, filled up with silence.

        Marks go between them now and then; one into the silence before the first, and one right behind that.
        """
        sound = pcm + tail
        if not sound:
            return ()
        service, playback = self._service, self.playback
        sound += bytes(-len(sound) % self._frame)
        size = service.rate * service.chunk_ms // 1000 * 2
        begins = playback.quiet(at)
        send = service.mark(playback.mark(at)) if begins else ()
        for start in range(0, len(sound), size):
            send += service.play(sound[start : start + size])
            own = max(0, min(size, len(pcm) - start)) // 2
            playback.send(own, response, at)
            playback.send(min(size, len(sound) - start) // 2 - own, "", at)
            if begins or playback.sent - playback.asked_at >= service.mark_ms * service.rate // 1000:
                send += service.mark(playback.mark(at))
                begins = False
        self._to_clear = True
        return send


def _ms(pcm: bytes | memoryview, rate: int) -> float:
    return len(pcm) / 2 / rate * 1000
