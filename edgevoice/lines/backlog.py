"""What waits in the SIP worker to be sent, in order, with its marks: bytes in, bytes out. No clock, and no numpy there.

    put, mark ──> queue ──> take ──> the library's ring ──> network
    all that waits, over a second: never less than SPARE_MS, and it comes evenly ──> put leaves a little out

Rules
* Sound that is written late is sent late, and all that follows with it: the library fills the hole with silence first.
  So a person's voice that always finds more than it needs before it is shortened: by quiet pieces, and by any,
  cross-faded, where it is more than LOUD_MS. An agent's answer comes in large pieces, and much of it waits: it is never
  shortened.
* It needs SPARE_MS beside the frame that is sent next; and FEW_MS once the library has found no hole for EVEN_LOOKS.
  After a hole it takes twice as many.
* Positions are bytes, mono, since the call began. What was left out counts as written, so marks keep their places.
"""

from __future__ import annotations

from array import array
from collections import deque

SPARE_MS, FEW_MS = 20, 10  # beside the frame that is sent next: another one; and what two event loops need
LOUD_MS = 20  # too much by a frame: until the next pause is too long
EVEN_LOOKS, MOST_LOOKS = 2, 64  # seconds
ANSWER_MS = 60  # of sound at once: an answer comes like that, and a voice never, however many pieces of it come late
STEADY = 0.8  # of a second's sound in a second: it is a voice, or a microphone's silence
SHORTER_MS, JOIN_MS = 5, 4
QUIET = 100  # no sample is louder: -50 dBFS


class Backlog:
    """One call's. Sound is int16, native order, mono."""

    def __init__(self) -> None:
        self.left_out = 0  # bytes
        self._queue: deque[bytes] = deque()
        self._queued = 0  # bytes ever
        self._written = 0  # bytes ever handed to the library
        self._marks: deque[tuple[int, str]] = deque()
        self._least = 0  # bytes that wait, since `look` was called last
        self._spare_ms = SPARE_MS
        self._even, self._even_looks = 0, EVEN_LOOKS  # looks without a hole, and how many are wanted
        self._holes = 0  # frames of the library's that were not full of sound
        self._came = self._largest = 0  # bytes that have come, and at most at once, since `look`
        self._shorter = 0  # bytes by which what comes next is to be shortened

    def waiting(self, there: int) -> int:
        """Return how many bytes are not sent, `there` of them being in the library's ring."""
        return self._queued - self._written + there

    def put(self, pcm: bytes, rate: int) -> None:
        """Take the next sound; a little less of it, if too much waits."""
        self._queued += len(pcm)
        self._came += len(pcm)
        self._largest = max(self._largest, len(pcm))
        loud_from = rate * LOUD_MS // 1000 * 2
        if self._shorter and (self._shorter > loud_from or _quiet(pcm)):
            shorter = _shortened(pcm, rate)
            left_out = len(pcm) - len(shorter)
            self._shorter = max(0, self._shorter - left_out)
            self._written += left_out
            self.left_out += left_out
            pcm = shorter
        self._queue.append(pcm)

    @property
    def marked(self) -> bool:
        """There are marks that are not passed."""
        return bool(self._marks)

    def mark(self, name: str) -> None:
        self._marks.append((self._queued, name))

    def clear(self) -> None:
        self._queue.clear()
        self._marks.clear()
        self._written = self._queued
        self._shorter = 0

    def take(self, room: int) -> bytes:
        """Return at most `room` bytes; what the library does not take is given `back`."""
        taken = bytearray()
        while self._queue and len(taken) < room:
            pcm = self._queue.popleft()
            more = room - len(taken)
            if len(pcm) > more:
                self._queue.appendleft(pcm[more:])
            taken += pcm[:more]
        self._written += len(taken)
        return bytes(taken)

    def back(self, pcm: bytes) -> None:
        if pcm:
            self._queue.appendleft(pcm)
            self._written -= len(pcm)

    def trim(self, most_ms: int, rate: int) -> None:
        """Throw away the oldest sound beyond that: it would be late. Its marks are passed, too.

        0: nobody is to hear anything, and so the library's holes tell nothing.
        """
        most = most_ms * rate // 1000 * 2
        self._came = self._came if most else 0
        while self._queue and self._queued - self._written > most:
            self._written += len(self._queue.popleft())

    def passed(self, there: int) -> list[str]:
        """Name the marks behind which everything was sent, `there` bytes being in the library's ring."""
        names = []
        while self._marks and self._marks[0][0] <= self._written - there:
            names.append(self._marks.popleft()[1])
        return names

    def note(self, there: int) -> None:
        """Take how much waits, before more of it comes."""
        self._least = min(self._least, self.waiting(there))

    def look(self, there: int, holes: int, rate: int) -> None:
        """Decide, once a second, whether too much has been waiting all the time; there were `holes` in all so far."""
        least, largest, came, holes_now = self._least, self._largest, self._came, holes - self._holes
        self._least, self._largest, self._came, self._holes = self.waiting(there), 0, 0, holes
        per_ms = rate * 2 / 1000
        is_voice = largest < ANSWER_MS * per_ms and came >= STEADY * 1000 * per_ms
        if is_voice:
            self._learn(holes_now > 0)  # the library counts anew with each stream
        self._shorter = max(0, int(least - self._spare_ms * per_ms)) if is_voice else 0

    def _learn(self, hole: bool) -> None:
        """Take whether little was enough."""
        if hole:
            self._even_looks = min(MOST_LOOKS, 2 * self._even_looks)
        self._even = 0 if hole else self._even + 1
        self._spare_ms = FEW_MS if self._even >= self._even_looks else SPARE_MS


def _quiet(pcm: bytes) -> bool:
    samples = array("h", pcm)
    return bool(samples) and max(samples) <= QUIET and min(samples) >= -QUIET


def _shortened(pcm: bytes, rate: int) -> bytes:
    """Leave out the first SHORTER_MS, cross-faded to what follows; sound that is too short stays as it is."""
    samples = array("h", pcm)
    cut, join = rate * SHORTER_MS // 1000, rate * JOIN_MS // 1000
    if len(samples) < cut + join:
        return pcm
    kept = samples[cut:]
    for at in range(join):
        kept[at] += (samples[at] - kept[at]) * (join - at) // (join + 1)
    return kept.tobytes()
