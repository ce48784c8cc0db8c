"""The audio thread: opens the card, runs `cycle` on it for ever, opens it again when it is lost.

Crossings between threads are two: commands come in through a deque, events go out by one call per period in which
something happened, as a rule `call_soon_threadsafe`. This thread never logs and never waits for anything but the card.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from edgevoice.audio.duplex import Duplex, cycle
from edgevoice.audio.ports import Card
from edgevoice.drivers import real_time
from edgevoice.errors import DeviceError, DeviceHung
from edgevoice.events import Answer, BargeIn, Closed, Command, End, Event, HangUp, Opened

REOPEN_S = (0.5, 1.0, 2.0, 5.0, 10.0)  # a card that hangs: a process more may help it, haste does not
MISSING_S = 1.0  # and no longer for one that is not there: who puts it back waits for it; a try takes no time
STEADY_S = 5.0  # a card that worked for so long is opened again at once
WAIT_S = 1.0  # how often waiting counts as progress: the watchdog looks every few seconds
LEAVE_S = 1.0  # a thread that does not end by then is left behind: the process ends anyway
INNERMOST = 6  # functions that are told of a thread that stands still


Call: TypeAlias = Callable[..., None]  # of a method with its arguments


class OpenedCard(Card, Protocol):
    """A card that can be let go of."""

    @property
    def facts(self) -> dict[str, object]:
        """What was opened."""

    def counted(self) -> dict[str, int]:
        """What went wrong since it was opened, counted."""

    def close(self) -> None:
        """Let go of the device. Nothing is called afterwards."""


class SoundCard:
    """The card as the rest of the program sees it. All but `_run` to `_play` is called where `start` said."""

    def __init__(
        self,
        open_card: Callable[[], OpenedCard],
        duplex: Callable[[int], Duplex],
        *,
        on_ready: Callable[[dict[str, object]], None],
        on_lost: Callable[[str, bool], None],  # why, and whether it is there and hangs
        on_trouble: Callable[[str], None],
    ) -> None:
        self.commands: deque[Command] = deque()
        self.progress = 0  # periods run and attempts to open: the watchdog wants to see it grow
        self.card: OpenedCard | None = None
        self.duplex: Duplex | None = None
        self._open_card = open_card
        self._duplex = duplex
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._on_trouble = on_trouble
        self._deliver: Callable[[Event, float], None] | None = None
        self._opened = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audio", daemon=True)

    def start(self, call: Call | None = None) -> None:
        """Begin. `call` calls, from the audio thread, what is to hear of the card; by default on the running loop."""
        self._call = call or _on_loop(asyncio.get_running_loop(), self._stop)
        self._thread.start()

    def stop(self) -> None:
        """Let the thread close the card and end; wait for it for a moment, unless it is told so itself."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(LEAVE_S)

    def barge_in(self) -> None:
        """Stop what the agent says: the shortest path from the button to silence. Any thread may call it."""
        self.commands.append(BargeIn())

    def counters(self) -> dict[str, int]:
        """Count what went wrong with the card that is open, and how often it was opened."""
        return (self.card.counted() if self.card else {}) | {"opened": self._opened}

    def where(self) -> str:
        """Say in which functions the thread is, the innermost first: for the journal, when it stands still."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = traceback.extract_stack(frame)[::-1] if frame else []
        return (
            " < ".join(f"{step.name} ({Path(step.filename).name}:{step.lineno})" for step in stack[:INNERMOST])
            or "it ended"
        )

    # ------------------------------------------------------------------------------------------ a leg of a call

    async def run(self, deliver: Callable[[Event, float], None], rate: int) -> None:
        """Be the near leg of a call until it is closed. Raises nothing: what goes wrong is told as `Closed`."""
        if self.card is None:
            deliver(Closed(End.CARD_LOST, "there is no sound card"), time.monotonic())
            return
        done = asyncio.Event()
        opened = False

        def tell(event: Event, at: float) -> None:
            nonlocal opened
            opened = opened or isinstance(event, Opened)
            lost = isinstance(event, Closed) and event.end is End.CARD_LOST
            if not opened and not lost:
                return  # the end of a call that was abandoned
            deliver(event, at)
            if isinstance(event, Closed):
                self._deliver = None
                done.set()

        self.join(tell, rate)
        try:
            await done.wait()
        finally:
            if not done.is_set():
                self.commands.append(HangUp("the call was abandoned"))
            self._deliver = None

    def join(self, deliver: Callable[[Event, float], None], rate: int) -> None:
        """Take part in a call without waiting for its end: `deliver` hears of everything."""
        self._deliver = deliver
        self.commands.append(Answer(rate))

    def perform(self, command: Command, at: float) -> None:
        self.commands.append(command)

    # ----------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        real_time.ask()
        failures = 0
        while not self._stop.is_set():
            self.progress += 1
            try:
                card = self._open_card()
            except DeviceError as error:
                longest_s = self._give_up(error)
            else:
                began = time.monotonic()
                longest_s = self._play(card)
                if time.monotonic() - began > STEADY_S:
                    failures = 0
            self._wait(min(longest_s, REOPEN_S[min(failures, len(REOPEN_S) - 1)]))
            failures += 1

    def _give_up(self, error: DeviceError) -> float:
        """Tell that there is no card; return how long to wait at most before the next attempt."""
        hung = isinstance(error, DeviceHung)
        self._call(self._lost, str(error), hung)
        return REOPEN_S[-1] if hung else MISSING_S

    def _wait(self, seconds: float) -> None:
        """Wait before the next attempt; a box that waits for its card is alive."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stop.wait(min(left, WAIT_S)):
            self.progress += 1

    def _play(self, card: OpenedCard) -> float:
        """Run periods until the card is lost or the program ends; return how long to wait at most then."""
        duplex = self._duplex(card.rate)
        self.commands.clear()  # meant for the card that was lost
        self._call(self._ready, card, duplex)
        trouble = ""
        try:
            while not self._stop.is_set():
                events = cycle(card, duplex, self.commands)
                self.progress += 1
                if events:
                    self._call(self._tell, events, time.monotonic())
                if duplex.trouble != trouble:
                    trouble = duplex.trouble
                    self._call(self._on_trouble, trouble)
            return 0.0
        except DeviceError as error:
            return self._give_up(error)
        finally:
            card.close()

    # ----------------------------------------------------------------------- back where `start` said: on the loop

    def _ready(self, card: OpenedCard, duplex: Duplex) -> None:
        self.card, self.duplex = card, duplex
        self._opened += 1
        self._on_ready(card.facts)

    def _lost(self, reason: str, hung: bool) -> None:
        self.card = self.duplex = None
        self._on_lost(reason, hung)
        if self._deliver:
            self._deliver(Closed(End.CARD_LOST, reason), time.monotonic())

    def _tell(self, events: Sequence[Event], at: float) -> None:
        for event in events:
            if self._deliver:
                self._deliver(event, at)


def _on_loop(loop: asyncio.AbstractEventLoop, stop: threading.Event) -> Call:
    def call(method: Callable[..., None], *arguments: object) -> None:
        try:
            loop.call_soon_threadsafe(method, *arguments)
        except RuntimeError:  # the loop is closed: the program ends
            stop.set()

    return call
