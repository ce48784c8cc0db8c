"""A recording that is played on a running leg, piece by piece, as fast as it is heard; no clock inside.

    Play, Mark ──> the leg ──> Played ──> Play, Mark ...          never more than AHEAD pieces are under way

Rules
* It has no name, so a voice does not interrupt it; what is thrown away together with a response that was interrupted is
  played again.
* A recording in a loop never overruns a leg, however slowly that plays: the next piece waits for the mark of an earlier
  one.
"""

from __future__ import annotations

from edgevoice.events import Command, Mark, Play

PIECE_MS = 1_000
AHEAD = 3  # pieces: what a network may stumble for, without a pause in the recording


class Announcement:
    """`pcm` at `rate` Hz, once or in a loop; `name` tells its marks from all others."""

    def __init__(self, pcm: bytes, rate: int, *, name: str, loop: bool = False) -> None:
        size = rate * PIECE_MS // 1000 * 2
        self._pieces = [pcm[start : start + size] for start in range(0, len(pcm), size)]
        self._name = name
        self._loop = loop
        self._sent = 0
        self._heard = 0

    @property
    def over(self) -> bool:
        """All of it was heard, or it was stopped."""
        return not self._pieces or (not self._loop and self._heard >= len(self._pieces))

    def owns(self, mark: str) -> bool:
        """Tell whether a mark is one of ours."""
        return mark.startswith(f"{self._name}.")

    def begin(self) -> list[Command]:
        """Return the first pieces; or, after the leg was cleared, those that were not heard."""
        self._sent = self._heard
        return self._more()

    def played(self, mark: str) -> list[Command]:
        """Take that a piece was heard; return what follows."""
        self._heard = max(self._heard, int(mark.rpartition(".")[2]))
        return self._more()

    def stop(self) -> None:
        """Nothing more of it."""
        self._pieces = []

    def _more(self) -> list[Command]:
        commands: list[Command] = []
        while self._pieces and self._sent < self._heard + AHEAD and (self._loop or self._sent < len(self._pieces)):
            piece = self._pieces[self._sent % len(self._pieces)]
            self._sent += 1
            goes_on = self._loop or self._sent < len(self._pieces)
            commands += [Play(piece), Mark(f"{self._name}.{self._sent}", goes_on=goes_on)]
        return commands
