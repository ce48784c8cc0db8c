"""A voice that may be nobody's, as the turn sees it: what waits for the verdict, and whose turn it was afterwards.

    Suspected ──> undecided ──> BargedIn: somebody spoke; a turn that the service ended meanwhile is owed an answer
                       └──────> TakenBack: nobody did; a turn that the service makes of it gets none

A service that hears the same cough ends the turn half a second and a round trip later, perhaps when the reply is over
already. To ignore a person is worse than to answer a cough. So that turn is nobody's only if three things agree: the
service dates its voice into the suspicion, the near leg has heard nobody since, and it comes soon.
"""

from __future__ import annotations

from math import inf

SUSPECTED_S = 6.0  # a near leg gives up earlier, `give_up_ms` being 5 s at most: this one has lost its suspicion
EARLY_S = 0.5  # a service dates a voice before its first sound, by 300 ms if not told otherwise
LATE_S = 1.0  # for the end of a turn to reach us, after the silence that ends it


class Suspicion:
    """What is known of the voice that the near leg is weighing, or has weighed last."""

    def __init__(self, silence_ms: int) -> None:
        self._silence_s = silence_ms / 1000  # after which a service ends the turn
        self._since: float | None = None  # undecided from then on
        self._turn_waits = False  # the service has ended a turn meanwhile
        self._nobody_from = -inf
        self._nobody_until = -inf
        self._service_from = -inf  # where the service dates the voice that it heard last
        self._near_until = -inf  # when the near leg last heard somebody; inf: it does

    @property
    def undecided(self) -> bool:
        return self._since is not None

    @property
    def deadline(self) -> float:
        return inf if self._since is None else self._since + SUSPECTED_S

    def begin(self, at: float) -> None:
        if self._since is None:
            self._since = at

    def take_back(self, at: float) -> None:
        """It was nobody. Bursts of one cough that follow each other closely are one suspicion."""
        if self._since is None:
            return
        if self._since - self._nobody_until > self._silence_s:
            self._nobody_from = self._since
        self._nobody_until = at
        self._since, self._turn_waits = None, False

    def confirm(self) -> bool:
        """Somebody spoke; tell whether a turn has waited for that."""
        waited, self._turn_waits = self._turn_waits, False
        self._since = None
        self._nobody_from = self._nobody_until = -inf
        return waited

    # --------------------------------------------------------------------------------------- the witnesses

    def near_hears(self) -> None:
        """The near leg hears somebody."""
        self._near_until = inf

    def near_heard(self, until: float) -> None:
        """The near leg hears nobody any more, since `until`."""
        self._near_until = until

    def service_heard(self, ago_ms: float | None, at: float) -> None:
        """Take that the service heard a voice begin; None: it does not say when."""
        self._service_from = -inf if ago_ms is None else at - ago_ms / 1000

    def turn_ended(self, at: float) -> bool:
        """Take the end of a turn, as the service sees it; False: it waits for the verdict, or is nobody's."""
        if self.undecided:
            self._turn_waits = True
            return False
        dated = self._nobody_from - EARLY_S <= self._service_from <= self._nobody_until
        soon = at <= self._nobody_until + self._silence_s + LATE_S
        self._service_from = -inf
        return not (dated and soon and self._near_until <= self._nobody_until)
