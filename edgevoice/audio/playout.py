"""What is to be heard, in order, and how much of it has been heard.

Rules
* Responses wait at the far side's rate and are resampled one piece at a time, when the card wants them.
* Positions count frames handed to the card since it was opened. Heard is position minus what the card still holds;
  fill silence and tones take room in the position, but are nobody's heard time.
* A response that was discarded is dead by name: audio of it that arrives later is dropped here too.
* On hold, what the card was given and did not play is ours again, marks in their places; only tones sound. Resumed, it
  goes on at that very frame, fading in. Nothing is heard, and no mark is reported, meanwhile.
* A person's voice (`live`) comes after all that waits, and never late: see `audio.live`.
* A mark gets its position when all that goes before it was handed over: a tone may still come between.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.live import Live
from edgevoice.audio.resample import Resampler
from edgevoice.events import Played

Samples = NDArray[np.int16]

LIMIT_MS = 300_000  # five minutes of speech wait at most: 14 MB at 24 kHz
DEAD_NAMES = 64  # more responses than a service ever has under way at once
PIECE_MS = 10  # resampled at once: the work of one period
FADE_MS = 5  # what goes on after a drop swells that long: shorter clicks

_NO_FADE: NDArray[np.float64] = np.empty(0)


@dataclass(slots=True)
class _Queued:
    """One response (or nameless sound) that is not yet wholly handed to the card."""

    response: str
    chunks: deque[memoryview] = field(default_factory=deque)  # their rest can be cut off without copying it
    marks: list[str] = field(default_factory=list)
    ended: bool = False
    goes_on: bool = False


@dataclass(slots=True)
class _Span:
    """Frames [start, end) of the position are the end of `pcm` and belong to `response`."""

    start: int
    end: int
    response: str
    pcm: Samples
    live: bool = False

    @property
    def rest(self) -> Samples:
        return self.pcm[len(self.pcm) - (self.end - self.start) :]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Frames at the card's rate, of a response, a person (`live`), or neither: a tone, a recording."""

    pcm: Samples
    response: str
    live: bool = False


@dataclass(frozen=True, slots=True)
class _MarkAt:
    position: int
    mark: Played


class Playout:
    """The queue before the card and the ledger of what the card was given."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.limit_ms: float = LIMIT_MS  # more does not wait; who hands over more at once may raise it
        self.position = 0
        self.overflow_ms = 0.0  # sound that found the queue full and was left out
        self._tones: deque[Samples] = deque()
        self._dead: deque[str] = deque(maxlen=DEAD_NAMES)
        self.join(rate)

    def join(self, rate: int) -> None:
        """Begin a call whose sound comes at `rate`: everything of the last one is forgotten, its dead names too."""
        self._dead.clear()
        self._resampler = Resampler(rate, self.rate)
        self._source_rate = rate
        self._queue: deque[_Queued] = deque()
        self._live = Live(rate)
        self._resampling: str | None = None  # the response the resampler's state belongs to
        self._ready: deque[_Piece | Played] = deque()  # what the card gets before all that waits, and the marks in it
        self._fade = _NO_FADE  # what the next frames of a response are multiplied by
        self._silent: _Span | None = None  # frames of which the last fade left nothing
        self.on_hold = False
        self._spans: deque[_Span] = deque()
        self._marks: deque[_MarkAt] = deque()
        self._heard: dict[str, int] = {}  # frames, of responses that are not yet over
        self._waiting_bytes = 0

    # ------------------------------------------------------------------------------------------ what comes in

    def play(self, pcm: bytes, response: str, *, live: bool = False) -> None:
        if live:
            self._live.put(pcm)
            return
        if response in self._dead:
            return
        if (self._waiting_bytes + len(pcm)) / 2 / self._source_rate * 1000 > self.limit_ms:
            self.overflow_ms += len(pcm) / 2 / self._source_rate * 1000
            return
        self._queued(response).chunks.append(memoryview(pcm))
        self._waiting_bytes += len(pcm)

    def pause_live(self) -> None:
        """Take that a person pauses: nothing of their voice comes for now."""
        self._live.pause()

    def mark(self, name: str, response: str, *, goes_on: bool = False, fades: bool = False) -> None:
        """End `response` and have `Played` reported when it was heard to its end. Flags: as of `events.Mark`."""
        if response in self._dead:
            return
        queued = self._queued(response)
        if fades:
            self._fade_end(queued)
        queued.marks.append(name)
        queued.ended, queued.goes_on = True, goes_on

    def _fade_end(self, queued: _Queued) -> None:
        """Let the last of a response fade away, as far as it is not resampled yet."""
        wanted, last = self._source_rate * FADE_MS // 1000 * 2, b""
        while queued.chunks and len(last) < wanted:
            last = bytes(queued.chunks.pop()) + last
        if last:
            queued.chunks.append(memoryview(_fading(np.frombuffer(last, "<i2"), self._source_rate).tobytes()))

    def tone(self, pcm: Samples) -> None:
        """Play `pcm` (at the card's rate) before anything that waits; a dozen at most wait."""
        if len(self._tones) < 12:
            self._tones.append(pcm)

    def _queued(self, response: str) -> _Queued:
        for queued in reversed(self._queue):
            if queued.response == response and not queued.ended:
                return queued
        self._queue.append(_Queued(response))
        return self._queue[-1]

    # ------------------------------------------------------------------------------------- what the card takes

    def take(self, frames: int) -> Samples:
        """Return the next `frames` (n,) for the card, filled up with silence."""
        out = np.zeros(frames, np.int16)
        filled = 0
        while filled < frames:
            if (piece := self._next(frames - filled)) is None:
                break
            pcm, end = piece.pcm, self.position + len(piece.pcm)
            out[filled : filled + len(pcm)] = self._faded_in(pcm, piece.response) if piece.response else pcm
            filled += len(pcm)
            self._spans.append(_Span(self.position, end, piece.response, pcm, piece.live))
            self.position = end
        self.position += frames - filled
        self._finish_ended()
        self._place_marks()
        return out

    def _faded_in(self, piece: Samples, response: str) -> Samples:
        if not len(self._fade):
            return piece
        begins = not self._fade[0]
        gains, self._fade = self._fade[: len(piece)], self._fade[len(piece) :]
        faded = _with_gains(piece, gains)
        silent = piece[: len(faded) - len(np.trim_zeros(faded, "f"))]
        if begins:
            self._silent = _Span(self.position, self.position + len(silent), response, silent)
        elif self._silent and self._silent.end == self.position:
            self._silent.pcm = np.concatenate((self._silent.pcm, silent))
            self._silent.end += len(silent)
        return faded

    def _next(self, wanted: int) -> _Piece | None:
        """Return up to `wanted` frames, or None when there is nothing to play."""
        if self._tones:
            tone = self._tones.popleft()
            if len(tone) > wanted:
                self._tones.appendleft(tone[wanted:])
            return _Piece(tone[:wanted], "")
        while not self.on_hold and (self._ready or self._resample_more()):
            self._place_marks()
            if self._ready and isinstance(first := self._ready.popleft(), _Piece):
                if len(first.pcm) > wanted:
                    self._ready.appendleft(replace(first, pcm=first.pcm[wanted:]))
                return replace(first, pcm=first.pcm[:wanted])
        return None

    def _place_marks(self) -> None:
        """Give the marks that come next their position."""
        while not self.on_hold and self._ready and isinstance(mark := self._ready[0], Played):
            self._ready.popleft()
            self._marks.append(_MarkAt(self.position, mark))

    def _resample_more(self) -> bool:
        """Make some frames ready, or end the responses that are over; False when there is nothing to play."""
        self._finish_ended()
        if self._ready:
            return True
        queued = next((queued for queued in self._queue if queued.chunks), None)
        if queued is None:
            return self._take_live()
        if queued.response != self._resampling:
            self._resampler.reset()
            self._resampling = queued.response
        self._resample(np.frombuffer(self._pull(queued), "<i2"))
        return True

    def _take_live(self) -> bool:
        if not self._live.flows:
            return False
        if self._resampling != "":
            self._resampler.reset()
            self._resampling = ""
        self._resample(self._live.take(), live=True)
        return True

    def _resample(self, pcm: Samples, *, live: bool = False) -> None:
        resampled = self._resampler.process(pcm)
        if len(resampled):
            self._ready.append(_Piece(resampled, self._resampling or "", live))

    def _pull(self, queued: _Queued) -> memoryview:
        """Take at most `PIECE_MS` from the front of `queued`."""
        size = self._source_rate * PIECE_MS // 1000 * 2
        chunk = queued.chunks.popleft()
        if len(chunk) > size:
            queued.chunks.appendleft(chunk[size:])
            chunk = chunk[:size]
        self._waiting_bytes -= len(chunk)
        return chunk

    def _finish_ended(self) -> None:
        """Set the marks of the responses of which nothing is left to play, also behind one that never ends."""
        if self.on_hold:
            return
        for queued in [queued for queued in self._queue if queued.ended and not queued.chunks]:
            self._queue.remove(queued)
            self._finish(queued)

    def _finish(self, queued: _Queued) -> None:
        """Set the marks of a response behind its last sample, which the resampler still holds back."""
        if queued.response == self._resampling and not queued.goes_on:
            self._resample(np.zeros(math.ceil(self._resampler.delay_ms * self._source_rate / 1000), np.int16))
            self._resampler.reset()
        self._ready.extend(Played(name, queued.response) for name in queued.marks)

    # ---------------------------------------------------------------------------------------- what was heard

    def advance(self, held: int) -> Iterator[Played]:
        """Report the marks that were heard, the card still holding `held` frames."""
        played = self.position - held
        while self._spans and self._spans[0].start < played:
            span = self._spans[0]
            heard = min(span.end, played) - span.start
            if span.response:
                self._heard[span.response] = self._heard.get(span.response, 0) + heard
            span.start += heard
            if span.start < span.end:
                break
            self._spans.popleft()
        while self._marks and self._marks[0].position <= played:
            mark = self._marks.popleft().mark
            self._heard.pop(mark.response, None)
            yield mark

    @property
    def audible(self) -> bool:
        """Something that is not silence is in the card, or about to be."""
        if self._spans or self._tones:
            return True
        waits = self._ready or self._live.flows or any(queued.chunks for queued in self._queue)
        return not self.on_hold and bool(waits)

    @property
    def tone_sounds(self) -> bool:
        """A tone, or a recording, is in the card, or about to be."""
        return bool(self._tones) or any(not (span.response or span.live) for span in self._spans)

    @property
    def sounding(self) -> str:
        """The response that a person would interrupt now: begun, or about to begin, and not heard to its end."""
        return next(self._named(), "")

    def _named(self) -> Iterator[str]:
        """Name what is in the card, what it gets next, what has begun, what waits: in an order that no hold changes."""
        yield from (span.response for span in self._spans if span.response)
        yield from (piece.response for piece in self._ready if isinstance(piece, _Piece) and piece.response)
        yield from self._heard
        yield from (queued.response for queued in self._queue if queued.response and queued.chunks)

    @property
    def waiting_ms(self) -> float:
        return self._waiting_bytes / 2 / self._source_rate * 1000

    # ------------------------------------------------------------------------------------- a reply that pauses

    def hold(self) -> None:
        """Take back what was not played by the last `advance`, the card having been dropped: only tones sound now."""
        self._hear_nothing()
        kept: list[_Piece | Played] = []
        tones: list[Samples] = []
        for span in self._spans:
            while self._marks and self._marks[0].position <= span.start:
                kept.append(self._marks.popleft().mark)
            if span.response:
                kept.append(_Piece(span.rest, span.response))
            else:
                tones.append(span.rest if tones else _with_gains(span.rest, _swell(self.rate)))
        kept.extend(at.mark for at in self._marks)
        self._ready.extendleft(reversed(kept))
        self._tones.extendleft(reversed(tones))
        self._spans.clear()
        self._marks.clear()
        self.on_hold = True

    def _hear_nothing(self) -> None:
        """Take back what was played of a fade-in, stopped just now, that had left nothing of it: nobody heard that."""
        silent, self._silent = self._silent, None
        if not silent or not self._spans or silent.response not in self._heard:
            return
        played = self._spans[0].start - silent.start
        if 0 < played <= len(silent.pcm):
            self._heard[silent.response] -= played
            self._spans.appendleft(_Span(silent.start, self._spans[0].start, silent.response, silent.pcm[:played]))

    def resume(self) -> None:
        """Go on where `hold` stopped, fading in."""
        self.on_hold = False
        self._fade = _swell(self.rate)

    def fade_out(self) -> None:
        """Let what sounds fade away behind what the card was given already; forget all the rest."""
        last = [np.zeros(0, np.int16)]
        wanted = self.rate * FADE_MS // 1000
        while wanted and (piece := self._next(wanted)):
            last.append(piece.pcm)
            wanted -= len(piece.pcm)
        in_card = self._spans
        self._spans = deque()
        self.discard()
        self._spans = in_card
        self._tones.append(_fading(np.concatenate(last), self.rate))

    def discard(self) -> tuple[str, float]:
        """Forget all that was not heard by the last `advance`, the card having been dropped now or by the hold.

        Return the response that sounded and its heard ms.
        """
        response = self.sounding
        heard_ms = self._heard.get(response, 0) * 1000 / self.rate - self._resampler.delay_ms
        names = {queued.response for queued in self._queue} | {span.response for span in self._spans} | set(self._heard)
        names |= {piece.response for piece in self._ready}  # a mark has one, too
        self._dead.extend(name for name in names if name)
        self._queue.clear()
        self._live.clear()
        self._ready.clear()
        self._marks.clear()
        self._heard.clear()
        if not self.on_hold:  # else the card was not dropped now: the tones in it go on
            self._spans.clear()
            self._tones.clear()
        self.on_hold = False
        self._fade = _NO_FADE
        self._resampler.reset()
        self._resampling = None
        self._waiting_bytes = 0
        return response, max(0.0, heard_ms)


@lru_cache
def _swell(rate: int) -> NDArray[np.float64]:
    """Return the gains by which a response fades in: from nothing, without a corner at either end."""
    frames = rate * FADE_MS // 1000
    gains: NDArray[np.float64] = np.sin(np.pi / 2 * np.arange(frames) / frames) ** 2
    return gains


def _fading(pcm: Samples, rate: int) -> Samples:
    """Let the end of `pcm` fade away."""
    return _with_gains(pcm[::-1], _swell(rate))[::-1]


def _with_gains(pcm: Samples, gains: NDArray[np.float64]) -> Samples:
    """Multiply the first samples of `pcm`, as many as there are gains."""
    faded = pcm.copy()
    faded[: len(gains)] = np.rint(faded[: len(gains)] * gains[: len(faded)]).astype(np.int16)
    return faded
