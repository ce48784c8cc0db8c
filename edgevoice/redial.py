"""Whom the box calls when a call has failed: the same again, after a delay; the fallback; or nobody. No clock inside.

| | an agent, with a fallback | a line, with a fallback | without one | a box that is always on |
|---|---|---|---|---|
| no way to it | again, within REACH_S | – | again, AWAY_S long, then a fault | again, for ever |
| not reached | again, within REACH_S | again, RETRY_S, then that | again, RETRY_S, then a fault | again, for ever |
| lost in the call | the fallback: the link was looked for | the fallback | the same | the same |
| refused | the fallback | the fallback | a fault | the fallback or a fault; after REFUSED_S again |

Rules
* The fallback is called once: when it cannot be reached either, it is tried again as any other, and then it is a fault.
* A call that lasted STEADY_S was not the fault of the link: the delays begin anew.
* Where there is no way (`Closed.unreached`: no network, no name server, nobody listens) nobody is bothered by a try, so
  the delay does not grow: a network that is back is used within 5 s. Who answers, if only to say no, is asked less and
  less often.
"""

from __future__ import annotations

from edgevoice.config import is_line

RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S = 30.0
REFUSED_S = 300.0  # a key may have been mended meanwhile
AWAY_AGAIN_S = 2.0  # with the longest silence within a try (see `drivers/tcp.py`) less than 5 s to a call
AWAY_S = 60.0  # who has pressed a button has gone away by then
REACH_S = 3.0  # a person who has pressed the button waits no longer in silence


class Redial:
    """What was tried since somebody wanted a call. Targets are those of the configuration; "" is nobody."""

    def __init__(self, *, at_start: str, fallback: str) -> None:
        self.wanted = ""  # whom somebody wanted, who may have been replaced by the fallback
        self._at_start = at_start
        self._fallback = fallback
        self._tries = 0
        self._away_since: float | None = None  # there is no way to it
        self._since = 0.0  # when somebody wanted it
        self._refused_until = 0.0  # a service that refused us is left alone, by a box that is always on

    def begin(self, target: str, at: float) -> None:
        """Take that somebody wants a call to `target`."""
        self.wanted, self._since = target, at
        self.forget()

    def forget(self) -> None:
        """Take that nothing is wanted any more, or all went well."""
        self._tries = 0
        self._away_since = None

    def reach_by(self, target: str) -> float | None:
        """Until when `target` may take to be there; None: as long as it likes."""
        hurried = bool(self.instead(target)) and target == self.wanted != self._at_start and not is_line(target)
        return self._since + REACH_S if hurried else None

    def instead(self, target: str) -> str:
        """Return whom to call when `target` cannot be had, "" when there is nobody."""
        return "" if target == self._fallback else self._fallback

    def again(self, target: str, at: float, *, lasted_s: float | None, unreached: bool = False) -> float | None:
        """Take that the link to `target` was lost after so long, None: before it was there; return when to call again.

        None: it is not called again. `unreached`: there is no way to it.
        """
        if lasted_s is not None and lasted_s >= STEADY_S:
            self.forget()
        always = target == self._at_start
        if not always and lasted_s is not None and self.instead(target):
            return None
        since = self._away_since if self._away_since is not None else at
        self._away_since = since if unreached else None
        if not always and (at - since >= AWAY_S if unreached else self._tries >= len(RETRY_S)):
            self.forget()
            return None
        at += AWAY_AGAIN_S if unreached else self._next_delay()
        reach_by = self.reach_by(target)
        return at if reach_by is None or at < reach_by else None

    def refused(self, target: str, at: float) -> None:
        """Take that `target` will not have us."""
        if target == self._at_start:
            self._refused_until = at + REFUSED_S

    def at_rest(self, at: float) -> float:
        """Return when a box that is always on calls again, nothing being wanted of it."""
        return max(at + self._next_delay(), self._refused_until)

    def may_be_sooner(self, at: float) -> bool:
        """Tell whether a wait may end before its time: not that for a service that refused us."""
        return at >= self._refused_until

    def _next_delay(self) -> float:
        """Return how long to wait this time; each time longer, until a call has lasted."""
        self._tries += 1
        return RETRY_S[min(self._tries, len(RETRY_S)) - 1]
