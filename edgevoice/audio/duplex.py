"""One period in, one period out: what the microphone heard goes to the far side, what it says goes to the card.

    captured ──> hearing: 16 kHz, less the echo ──> gate ──> a voice over us? ──> delivery ──> far side
                    ^ reference: what the loudspeaker played just then      |
    card <── top up <── playout (tones, responses, marks) <── hold, go on, discard <── commands

`cycle` is the one loop body: the audio thread, the simulated room and the benchmarks all call it, each with a card of
its own. Everything happens in the period in which its reason appeared; nothing here waits, logs or allocates by more
than a period.

A suspicion is silence that can be taken back. The first hint of a voice over a response drops the card at once; what
was not played stays ours. Enough evidence makes it a barge-in; none within `give_up_ms` of the hint, or proof that it
was nobody, and the reply goes on at the very frame at which it stopped.

                    | hint      | evident  | nobody, or  | BargeIn    | Clear     | Mark,     | mute,       | HangUp,
                    |           |          | gave up     | (button)   |           | Play      | no reflex   | card lost
    ----------------+-----------+----------+-------------+------------+-----------+-----------+-------------+----------
    silent, a tone  | –         | –        | –           | –          | Cleared   | queued    | –           | discarded
    playing,        | drop,     | –        | –           | drop,      | drop,     | queued    | –           | drop,
      draining      | Suspected |          |             | BargedIn   | Cleared   |           |             | discarded
    held            | –         | BargedIn | TakenBack   | BargedIn   | Cleared   | queued    | TakenBack   | discarded

Draining: nothing more will come of the response, its rest is in the card. A mark that is due while held fires after the
rest was played; an xrun while held finds nothing to lose. Each `Suspected` is followed by one of the other three, or by
the end of the call. While held the card is not dropped again, and only tones sound.

Rules
* Microphone samples leave only while the uplink is OPEN; what leaves under SILENT or behind the gate is zeros. A
  suspicion delays nothing and loses nothing of what the person says.
* What leaves is cleaned, but for a voice without an echo while the loudspeaker is silent, which leaves as it came: a
  canceller that is still new mutes who talks over it.
* A response has a name, and only a name can be talked over: tones and a person's voice never arm the reflex, and it is
  armed only while the uplink hears and `Listen` said so.
* What was discarded is dead by name, however late its sound comes. A drop and its event are of one period.
* Half duplex (no canceller, or loudspeaker and microphone on clocks that cannot be brought together): while anything is
  audible, and `ECHO_TAIL_MS` after, the microphone counts as silent.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.delivery import Delivery
from edgevoice.audio.echo import Canceller
from edgevoice.audio.hearing import BLOCK, Block, Hearing
from edgevoice.audio.hearing import RATE as HEARING_RATE
from edgevoice.audio.pcm import from_bytes, level_dbfs
from edgevoice.audio.playout import Playout
from edgevoice.audio.ports import Card, CardDetector
from edgevoice.audio.reference import LEAD_MS, Reference
from edgevoice.audio.selftest import SelfTest
from edgevoice.audio.tones import TONES, tone
from edgevoice.events import (
    Answer,
    BargedIn,
    BargeIn,
    Chirp,
    Clear,
    Cleared,
    Closed,
    Command,
    End,
    Event,
    HangUp,
    Listen,
    Listening,
    Mark,
    Opened,
    Play,
    SpeechStarted,
    SpeechStopped,
    Suspected,
    TakenBack,
    Tone,
    Uplink,
    Witness,
)

Samples = NDArray[np.int16]

ECHO_TAIL_MS = 150  # a small room's decay, and what a card's microphone side still holds when the sound is out
GATE_DBFS = -45.0  # of a person's voice from a line: below it is the line's own noise, and the mouth closed
TONE_TAIL_MS = ECHO_TAIL_MS + 200  # after a tone, until its echo is gone, and until a voice would be over
WITNESS_MS = 500  # a service dates a voice up to so much before its first sound; what began earlier is something else
OWED_MS = 1000  # from a first word or a barge-in to the order to listen: what was held until then waits no longer


class _Hint(Enum):
    """A reason to drop that is none of the commands."""

    HINT = "a voice may have begun"


def cycle(card: Card, duplex: Duplex, commands: deque[Command]) -> list[Event]:
    """Run one period; return what happened in it. `commands` may be appended to by other threads meanwhile."""
    captured = card.read()
    held = card.queued()  # asked once: asking costs as much as all our arithmetic, and it is true for a period
    if duplex.reference.due(card.restarts):
        duplex.reference.anchor(card.position(), card.restarts)
    duplex.capture(captured, held)
    while True:
        if duplex.dropping:
            duplex.dropped(card.drop())
            held = 0
        if not commands:
            break
        duplex.perform(commands.popleft())
    if card.ahead > held:
        card.write(duplex.refill(card.ahead - held))
    return duplex.take_events()


class Duplex:
    """Both directions of the card, one period at a time, at the card's `rate`."""

    def __init__(
        self,
        rate: int,
        detector: CardDetector,
        canceller: Canceller,
        *,
        half_duplex: bool,
        pre_roll_ms: int,
        give_up_ms: int = 500,
        delay_ms: float = 0,
    ) -> None:
        self.playout = Playout(rate)
        self.reference = Reference(rate, delay_ms=delay_ms)
        self.hearing = Hearing(rate, canceller)
        self.detector = detector
        self.self_test = SelfTest(rate, late_ms=max(0.0, delay_ms - LEAD_MS))
        self.in_call = False
        self.suspicions = self.taken_back = 0
        self._half_duplex = half_duplex
        self._rate = rate
        self._delivery = Delivery(HEARING_RATE, pre_roll_ms=pre_roll_ms)
        self._give_up = give_up_ms * HEARING_RATE // 1000
        self._reflex = True
        self._tail = 0  # samples at HEARING_RATE for which the gate stays shut
        self._tone = 0  # samples at HEARING_RATE for which a tone may still be heard: its echo is nobody's voice
        self._speaking = False
        self._suspected: int | None = None  # samples since the hint, while the response is held
        self._owed = 0  # samples for which what was held while a barge-in was weighed waits for `Listen`
        self._dropping: Clear | BargeIn | _Hint | None = None
        self._events: list[Event] = []
        for name in TONES:
            tone(name, rate)  # made now: a period has no time for it

    @property
    def half_duplex(self) -> bool:
        """While we are audible, nobody is heard."""
        return self._half_duplex or bool(self._lost_time)

    @property
    def _lost_time(self) -> str:
        """Why loudspeaker and microphone cannot be brought together, where a canceller would need it."""
        return self.reference.unusable if self.hearing.canceller.name != "none" else ""

    @property
    def trouble(self) -> str:
        """What keeps the echo from being cancelled as it should be, or ""; it changes seldom."""
        if self._lost_time:
            return f"half duplex from now on: {self._lost_time}"
        if self.hearing.faults:
            return f"the echo canceller {self.hearing.canceller.name} fails: those moments are heard as silence"
        if self.reference.faults:
            return "what the loudspeaker played was unknown at moments: the echo of those was not cancelled"
        return ""

    # ----------------------------------------------------------------------------------------- the microphone

    def capture(self, pcm: Samples, held: int) -> None:
        """Take one captured period (n,), the card holding `held` frames that are not played yet."""
        audible = self.playout.audible
        if self.playout.tone_sounds:
            self._tone = TONE_TAIL_MS * HEARING_RATE // 1000
        self._events.extend(self.playout.advance(held))
        self.self_test.listen(pcm)
        for block in self.hearing.hear(pcm, self.reference.take(len(pcm))):
            self._take(block, audible)

    def _take(self, block: Block, audible: bool) -> None:
        self.self_test.hear(block.captured, block.played)
        was_gated, gated = self._tail > 0, self._gated(audible)
        if gated and not was_gated:
            self._shut()
        if not gated:
            self.detector.hear(*block)
        heard = self.hearing.leaves(block, plain=not gated and self._plain)
        if gated:
            heard = np.zeros(BLOCK, np.int16)
        self._events.extend(self._delivery.take(heard, keep=self._owed > 0 or self._suspected is not None))
        self._tone = max(0, self._tone - BLOCK)
        self._owed = max(0, self._owed - BLOCK)
        if not gated:
            self._judge()

    @property
    def _plain(self) -> bool:
        """Somebody is heard so clearly that the canceller could only spoil it; the loudspeaker is silent, or is now."""
        silent = self.detector.hint or self._suspected is not None or not self.playout.audible
        return silent and self.detector.unspoilt

    def _shut(self) -> None:
        """Let nothing of what was heard before the gate shut come out later."""
        self._delivery.shut()
        self.detector.forget()
        self._tell_speaking(False)
        if self._suspected is not None:  # nobody weighs it any more
            self._take_back()

    def _gated(self, audible: bool) -> bool:
        if not self.half_duplex:
            return False
        self._tail = ECHO_TAIL_MS * HEARING_RATE // 1000 if audible else max(0, self._tail - BLOCK)
        return self._tail > 0

    def _judge(self) -> None:
        """Act on what was heard."""
        hears = self._delivery.hears
        speaking = hears and self.detector.speaking
        if speaking and self._tone and not self._speaking:
            speaking = False
            self._owed = OWED_MS * HEARING_RATE // 1000  # should somebody speak into the tone
        self._tell_speaking(speaking)
        if self._suspected is not None:
            self._weigh()
        elif hears and self._reflex and self.detector.hint and self.playout.sounding:
            self._dropping = self._dropping or _Hint.HINT

    def _tell_speaking(self, speaking: bool) -> None:
        if speaking != self._speaking:
            self._speaking = speaking
            self._events.append(SpeechStarted() if speaking else SpeechStopped())

    # -------------------------------------------------------------------------------------------- a suspicion

    def _suspect(self) -> None:
        """Keep what the card was given and did not play; go on at once if all of the response was heard just now."""
        self.playout.hold()
        response = self.playout.sounding
        if not response:
            self.playout.resume()
            return
        self.detector.suspect()
        self._suspected = 0
        self.suspicions += 1
        self._events.append(Suspected(response))

    def _weigh(self) -> None:
        assert self._suspected is not None
        self._suspected += BLOCK
        if self.detector.evidence.evident:
            self._confirm()
        elif self.detector.evidence.harmless or self._suspected >= self._give_up:
            self._take_back()

    def _confirm(self) -> None:
        self._forget_suspicion()
        self._owed = OWED_MS * HEARING_RATE // 1000
        self._events.append(BargedIn(*self.playout.discard()))

    def _take_back(self) -> None:
        response = self.playout.sounding
        self._forget_suspicion()
        self.playout.resume()
        self.taken_back += 1
        self._events.append(TakenBack(response))

    def _forget_suspicion(self) -> None:
        self._suspected = None
        self.detector.evidence.relax()

    def _witness(self, ago_ms: float) -> None:
        """Let the far side's own ears count, if what they heard began in this suspicion."""
        if self._suspected is not None and ago_ms <= self._suspected * 1000 / HEARING_RATE + WITNESS_MS:
            self.detector.evidence.witness()

    # ------------------------------------------------------------------------------------------ the commands

    def perform(self, command: Command) -> None:
        """Carry out one command; those that the card has no part in are ignored."""
        match command:
            case Play(pcm, _, True) if self.half_duplex and level_dbfs(from_bytes(pcm)) < GATE_DBFS:
                self.playout.pause_live()  # a line is never quite silent: while nobody speaks there, we are heard
            case Play(pcm, response, live):
                self.playout.play(pcm, response, live=live)
            case Mark(name, response, goes_on, fades):
                self.playout.mark(name, response, goes_on=goes_on, fades=fades)
            case Tone(name):
                self.playout.tone(tone(name, self._rate))
            case Chirp(aloud):
                if not (self.in_call or self.playout.audible or self.self_test.running):
                    self.playout.tone(self.self_test.begin(aloud=aloud))
            case BargeIn() if self._suspected is not None:
                self._confirm()
            case BargeIn():
                if self.playout.sounding:
                    self._dropping = command
            case Clear() if self._suspected is not None:
                self._forget_suspicion()
                self._events.append(Cleared(*self.playout.discard()))
            case Clear():
                self._dropping = command
            case Witness(ago_ms):
                self._witness(ago_ms)
            case Listen(uplink, reflex):
                self._reflex = reflex
                self._listen(uplink)
            case Answer(rate):
                self._answer(rate)
            case HangUp(reason, fades):
                self._hang_up(reason, fades=fades)
            case _:
                pass

    def _listen(self, uplink: Uplink) -> None:
        if not self.in_call:
            return
        self._owed = 0
        held = self._delivery.listen(uplink)
        if not self._delivery.hears:
            self._tell_speaking(False)
        if self._suspected is not None and not (self._reflex and self._delivery.hears):
            self._take_back()
        self._events += [Listening(uplink), *held]

    def _answer(self, rate: int) -> None:
        if self._suspected is not None:
            self._forget_suspicion()
        self._owed = 0
        self.self_test.abandon()
        self.playout.join(rate)
        self._delivery.join(rate)
        self.in_call = True
        self._events.append(Opened())

    def _hang_up(self, reason: str, *, fades: bool) -> None:
        """Leave the call: the microphone first, then what still waits to be heard."""
        if not self.in_call:
            return
        self._delivery.listen(Uplink.OFF)
        self._speaking = False
        self.in_call = False
        if self._suspected is not None:
            self._forget_suspicion()
            self.playout.discard()
        elif self.playout.audible and fades:
            self.playout.fade_out()
        elif self.playout.audible:
            self._dropping = Clear()
        else:
            self.playout.discard()  # a mark may be due
        self._events.append(Closed(End.HUNG_UP, reason))

    # ---------------------------------------------------------------------------------------- the loudspeaker

    @property
    def dropping(self) -> bool:
        """The card must be dropped now; `dropped` is told what it still held."""
        return self._dropping is not None

    def dropped(self, held: int) -> None:
        """Account for a drop, `held` frames having been in the card immediately before it."""
        cause, self._dropping = self._dropping, None
        self.reference.dropped(held)
        self._events.extend(self.playout.advance(held))
        if cause is _Hint.HINT:
            self._suspect()
            return
        response, heard_ms = self.playout.discard()
        if not self.in_call:
            return
        if isinstance(cause, Clear):
            self._events.append(Cleared(response, heard_ms))
        elif response:
            self._events.append(BargedIn(response, heard_ms))

    def refill(self, frames: int) -> Samples:
        """Return the next `frames` (n,) for the loudspeaker."""
        pcm = self.playout.take(frames)
        self.reference.wrote(pcm)
        return pcm

    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events
