"""How far a phone service has played what it was sent: by our clock, and by the marks that come back; no clock inside.

          sent ──> │ on the way: d1 │ waits there: B │ played ... mark │ on the way back: d2 │ ──> reached

    by our clock alone       played at `at` = everything sent, in order, since the first of it was sent
    by a mark                L = when it came back - when it would have been played by our clock = d1 + B + d2
    by a mark into silence   it comes back at once: d1 + d2, the way there and back

Rules
* What counts is what is played when our `clear` arrives, for nothing is played after it: our clock less B, which is L
  less the way there and back. So the time on the wire cancels out, and only what the service waits by itself remains.
* Sound that comes when all was played begins a new run, behind a new wait. What was learned of the earlier ones counts
  like one mark.
* Positions are samples since the call began. What a `clear` threw away has none.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from statistics import fmean

from edgevoice.events import Played

LATELY = 8  # marks: two seconds of them; more would follow a stall too slowly, fewer would jump with the network
NO_WAY = 0.06  # s, there and back, until a mark has told: of a server in the same country
NO_WAIT = 0.06  # s that the service waits, until a mark has told: a jitter buffer
WAYS, WAYS_S = 6, 0.1  # so often, and so far apart, a quiet service is asked for the way there and back
PLAYED_S = 2.0  # grace for a mark that does not come back: a network that stumbles takes less
UNTOLD_MS = 30_000  # of sound that may wait there without a word of it: half of what 46elks may be sent
FORGOTTEN_S = 10.0  # after all must have been played, a service that tells nothing any more is not asked for it
QUIET_S = 0.5  # after all must have been played: more than any doubt about when that was
UNSURE_S = 1.0  # what was played longer ago than this is not doubted any more


@dataclass(slots=True)
class _Span:
    """Samples [start, end) belong to `response`."""

    start: int
    end: int
    response: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A mark under way: behind which sample it is, when it was sent, and whom it is for."""

    position: int
    at: float
    silent: bool  # nothing was waiting to be played
    played: Played | None


class Playback:
    """One call's sound at the service, in samples at `rate` Hz."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.sent = 0
        self.asked_at = 0  # position of the last mark
        self._begun = 0  # where the current run begins
        self._since = 0.0  # when its first sample was sent
        self._spans: deque[_Span] = deque()
        self._heard: dict[str, int] = {}
        self._marks: dict[str, _Asked] = {}
        self._count = 0
        self._tells = False  # a mark has come back
        self._told = 0  # the position of the last one
        self._late: deque[float] = deque(maxlen=LATELY)  # L
        self._ways: deque[float] = deque(maxlen=LATELY)
        self._way_asked = 0  # how often
        self._way_at = -inf  # when last
        self._waits_s = NO_WAIT  # how much later than it comes there the service plays it: B
        self._least_s: float | None = None  # the shortest B, once a mark has told: its own buffer, and no queue of ours

    # --------------------------------------------------------------------------------------- what was sent

    def send(self, samples: int, response: str, at: float) -> None:
        """Take that so many samples were sent. Time never goes back."""
        if not samples:
            return
        if self.idle(at):
            self._begin(at)
        if self._spans and self._spans[-1].response == response and self._spans[-1].end == self.sent:
            self._spans[-1].end += samples
        else:
            self._spans.append(_Span(self.sent, self.sent + samples, response))
        self.sent += samples
        self._settle(at)

    def _begin(self, at: float) -> None:
        if self.idle(at - FORGOTTEN_S):
            self._told = self.sent  # or else it was lost, and is not waited for
        self._begun, self._since = self.sent, at
        if self._late:
            self._late = deque([fmean(self._late)], maxlen=LATELY)

    def mark(self, at: float, played: Played | None = None) -> str:
        """Return the name of a mark behind all that was sent; `played` is what `reached` returns for it."""
        self._count += 1
        name = f"m{self._count}"
        quiet = self.quiet(at)
        if quiet:
            self._way_asked, self._way_at = self._way_asked + 1, at
        self._marks[name] = _Asked(self.sent, at, quiet, played)
        self.asked_at = self.sent
        return name

    def reached(self, name: str, at: float) -> list[Played]:
        """Take a mark that came back; return what was played, oldest first. One of before a clear says nothing."""
        asked = self._marks.get(name)
        if asked is None:
            return []
        self._tells, self._told = True, asked.position
        if asked.silent:
            self._ways.append(at - asked.at)
        elif asked.position > self._begun:
            self._late.append(at - self._by_our_clock(asked.position))
        self._learn()
        return self._pass(asked.position)

    def expire(self, at: float) -> list[Played]:
        """Stop waiting for marks that must have been played by now."""
        due = [asked.position for asked in self._marks.values() if at >= self._due(asked)]
        return self._pass(max(due)) if due else []

    def _pass(self, position: int) -> list[Played]:
        """Marks come back in order: those before it were passed, too."""
        passed = [name for name, asked in self._marks.items() if asked.position <= position]
        return [asked.played for asked in map(self._marks.pop, passed) if asked.played]

    def _due(self, asked: _Asked) -> float:
        return max(asked.at, self._by_our_clock(asked.position) + self._waits_s) + PLAYED_S

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do."""
        return next((self._due(asked) for asked in self._marks.values()), None)  # the first is due first

    # -------------------------------------------------------------------------------------- what was played

    def _by_our_clock(self, position: int) -> float:
        return self._since + (position - self._begun) / self.rate

    def _learn(self) -> None:
        if self._late:
            self._waits_s = max(0.0, fmean(self._late) - (fmean(self._ways) if self._ways else NO_WAY))
            self._least_s = min(self._waits_s, self._waits_s if self._least_s is None else self._least_s)

    def played(self, at: float) -> int:
        """Estimate the position that is played when what we send at `at` arrives there."""
        by_now = self._begun + round((at - self._since - self._waits_s) * self.rate)
        return max(self._begun, min(self.sent, by_now))

    def idle(self, at: float) -> bool:
        """All that was sent is played."""
        return self.played(at) >= self.sent

    def quiet(self, at: float) -> bool:
        """Nothing has been played for so long that a mark finds nothing to wait for."""
        return self.idle(at - QUIET_S)

    def wonders(self, at: float) -> bool:
        """Nothing is played, and the way there and back is not known well: a mark would tell."""
        return self._way_asked < WAYS and at >= self._way_at + WAYS_S and self.quiet(at)

    def ahead_ms(self, at: float) -> float:
        """How much is sent and not played, as far as we know."""
        return (self.sent - self.played(at)) * 1000 / self.rate

    def behind_ms(self, at: float) -> float:
        """How much of what is sent and not played is more than the service always keeps: a queue that we have made."""
        return max(0.0, self.ahead_ms(at) - 1000 * (NO_WAIT if self._least_s is None else self._least_s))

    def room_at(self, ahead_ms: float) -> float:
        """Return when no more than `ahead_ms` of what was sent will be unplayed, so that there is room for more.

        A service that tells where it is must also have told, within UNTOLD_MS; unless it has forgotten to.
        """
        by_clock = self._by_our_clock(self.sent) + self._waits_s
        if self._tells and (self.sent - self._told) * 1000 / self.rate > UNTOLD_MS:
            return by_clock + FORGOTTEN_S
        return by_clock - ahead_ms / 1000

    def sounding(self, at: float) -> list[str]:
        """Name the responses that are being played or will be, the next one first; or that nobody confirmed yet."""
        played = self.played(at)
        names = [span.response for span in self._spans if span.response and span.end > played]
        return names or [asked.played.response for asked in self._marks.values() if asked.played]

    def heard_ms(self, response: str, at: float) -> float:
        """How much of `response` was played."""
        played = self.played(at)
        spans = (span for span in self._spans if span.response == response)
        heard = sum(max(0, min(span.end, played) - span.start) for span in spans)
        return (self._heard.get(response, 0) + heard) * 1000 / self.rate

    def forget(self, response: str) -> None:
        """It was heard to its end."""
        self._heard.pop(response, None)

    def clear(self, at: float) -> None:
        """What was not played is thrown away there, and the marks behind it mean nothing any more."""
        self.sent = self.asked_at = self._begun = self._told = self.played(at)
        self._since = at
        self._way_at = at + PLAYED_S  # now a mark might be taken for one of before
        self._marks.clear()
        self._spans.clear()
        self._heard.clear()

    def _settle(self, at: float) -> None:
        """Add up what is beyond doubt, so that a long call keeps no more than a short one."""
        sure = self.played(at - UNSURE_S)
        while self._spans and self._spans[0].end <= sure:
            span = self._spans.popleft()
            if span.response:
                self._heard[span.response] = self._heard.get(span.response, 0) + span.end - span.start
