"""What a caller is to hear, on its way to the phone service: queued here, and sent as the service plays it.

    Play, Mark, Tone ──> queue ── up to PUMP_MS at a time ──> the line's rate ──> whole frames ──> chunks ──> service
                                   while no more than AHEAD_MS is unplayed there

Rules
* What is to be heard waits here, not there: so a `clear` has little to throw away, and no service's buffer overflows
  however much an agent says at once.
* New sound waits for a service that answers its `clear`, CLEARED_S at most.
* What was cleared is dead by name, however late its sound comes.
* A person's own voice (`live`) is never sent late: what would wait behind LIVE_MS of sound is left out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edgevoice.audio.pcm import from_bytes, to_bytes
from edgevoice.audio.resample import Resampler
from edgevoice.audio.tones import tone
from edgevoice.events import Mark, Play, Played
from edgevoice.lines.playback import Playback
from edgevoice.lines.service import Messages, Service

AHEAD_MS = 3_000  # a network that is away for longer is lost; each second here is one that a `clear` has to beat
PUMP_MS = 200  # sent at once, so that one call's long answer does not keep the others waiting; and seldom less
LIVE_MS = 400  # a person's voice that comes later than this is no conversation any more
FRAME_MS = 20  # what phone networks carry: only whole ones are sent, the last one filled with silence
LIMIT_MS = 300_000  # of sound that waits here: five minutes, as before the card
CLEARED_S = 0.25  # for the answer to a `clear`
DEAD_NAMES = 64  # more responses than an agent ever has under way at once


@dataclass(slots=True)
class _Sound:
    """Sound of one response (or of none) that waits, at the other side's rate unless it is a tone."""

    pcm: memoryview
    response: str
    rate: int


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
        self._unfinished = ""  # some of this response was sent, and more may come
        self._dead: deque[str] = deque(maxlen=DEAD_NAMES)
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
        return self._pump_at if self._queue else None

    @property
    def _pump_at(self) -> float:
        """When there is room for the next sound."""
        room = self.playback.room_at(AHEAD_MS - PUMP_MS) if self._more_at is None else self._more_at
        return room if self._cleared_by is None else max(room, self._cleared_by)

    # ------------------------------------------------------------------------------------------- what comes in

    def play(self, sound: Play, at: float) -> Messages:
        if sound.response in self._dead:
            return ()
        ms = _ms(sound.pcm, self._other)
        late = sound.live and self.playback.ahead_ms(at) + self.waiting_ms > LIVE_MS
        if late or self.waiting_ms + ms > LIMIT_MS:
            self.overflow_ms += ms
            return ()
        self._queue.append(_Sound(memoryview(sound.pcm), sound.response, self._other))
        self.waiting_ms += ms
        return self.pump(at)

    def mark(self, mark: Mark, at: float) -> Messages:
        """Have `Played` reported when everything before it was heard; no more of its response will come."""
        if mark.response in self._dead:
            return ()
        self._queue.append(mark)
        return self.pump(at)

    def tone(self, name: str, at: float) -> Messages:
        """Play a tone before whatever else waits here."""
        pcm = to_bytes(tone(name, self._service.rate))
        self._queue.appendleft(_Sound(memoryview(pcm), "", self._service.rate))
        self.waiting_ms += _ms(pcm, self._service.rate)
        return self.pump(at)

    # ------------------------------------------------------------------------------------------ what is heard

    def sounding(self, at: float) -> str:
        """The response that a person would interrupt now, or ""."""
        return next(iter(self._named(at)), "")

    def _named(self, at: float) -> list[str]:
        """Name the responses that are not heard to their end, in that order."""
        waiting = [one.response for one in self._queue if isinstance(one, _Sound)]
        return [name for name in (*self.playback.sounding(at), self._unfinished, *waiting) if name]

    def clear(self, at: float) -> tuple[str, float, Messages]:
        """Throw away all that was not played; return the response that sounded and how much of it was heard."""
        names = self._named(at)
        response = names[0] if names else ""
        heard_ms = self.playback.heard_ms(response, at) if response else 0.0
        nothing_sent = self.playback.sent == 0
        self._dead.extend(dict.fromkeys(names))
        self._unfinished = self._response = ""
        self._queue.clear()
        self.waiting_ms = 0.0
        self._rest = b""
        self._more_at = None
        self._resampler.reset()
        self.playback.clear(at)
        if nothing_sent:
            return response, heard_ms, ()
        if self._service.answers_clear:
            self._cleared_by = at + CLEARED_S
        return response, heard_ms, self._service.clear(at)

    def cleared(self, at: float) -> Messages:
        """The service has answered a `clear`."""
        self._cleared_by = None
        return self.pump(at)

    # -------------------------------------------------------------------------------------------- what goes out

    def pump(self, at: float) -> Messages:
        """Send what there is room for."""
        if not self._queue or at < self._pump_at:
            return ()
        self._cleared_by = self._more_at = None
        send: Messages = ()
        pumped_ms = 0.0
        while self._queue and self.playback.room_at(AHEAD_MS) <= at:
            if pumped_ms >= PUMP_MS:
                self._more_at = at
                break
            match self._queue[0]:
                case Mark(name, response):
                    self._queue.popleft()
                    self._unfinished = "" if self._unfinished == response else self._unfinished
                    send += self._finish(at)
                    send += self._service.mark(self.playback.mark(at, Played(name, response)))
                case _Sound() as sound:
                    pcm = self._pull(sound)
                    pumped_ms += _ms(pcm, sound.rate)
                    send += self._send(pcm, sound, at)
        return send

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
        self._unfinished = sound.response or self._unfinished
        send: Messages = ()
        if sound.response != self._response:
            send += self._finish(at)
            self._response = sound.response
        if sound.rate != self._service.rate:
            pcm = to_bytes(self._resampler.process(from_bytes(pcm)))
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % self._frame
        self._rest = pcm[whole:]
        return send + self._emit(pcm[:whole], at)

    @property
    def _frame(self) -> int:
        return self._service.rate * FRAME_MS // 1000 * 2

    def _finish(self, at: float) -> Messages:
        """Send what is left of the response that was being sent, filled up with silence."""
        rest, self._rest = self._rest, b""
        self._resampler.reset()
        return self._emit(rest + bytes(-len(rest) % self._frame), at) if rest else ()

    def _emit(self, pcm: bytes, at: float) -> Messages:
        """Send whole frames, and a mark now and then: the first one into the silence before them."""
        if not pcm:
            return ()
        service, playback = self._service, self.playback
        send: list[str | bytes] = []
        if playback.idle(at):
            send += service.mark(playback.mark(at))
        size = service.rate * service.chunk_ms // 1000 * 2
        for start in range(0, len(pcm), size):
            send += service.play(pcm[start : start + size])
        playback.send(len(pcm) // 2, self._response, at)
        if playback.sent - playback.asked_at >= service.mark_ms * service.rate // 1000:
            send += service.mark(playback.mark(at))
        return tuple(send)


def _ms(pcm: bytes | memoryview, rate: int) -> float:
    return len(pcm) / 2 / rate * 1000
