"""One period in, one period out: what the microphone heard goes to the far side, what it says goes to the card.

    captured ──> half-duplex gate ──> 16 kHz ──> speech ──> [talked over: drop now] ──> uplink gate ──> far side
                       ^                                                                    ^
                  is it audible?                                                     Listen(uplink)
    card <── top up <── playout (tones, responses, marks) <── commands

`cycle` is the one loop body: the audio thread, the simulated room and the benchmarks all call it, each with a card of
its own. Everything happens in the period in which its reason appeared; nothing here waits, logs or allocates by more
than a period.

Rules
* Microphone samples leave only while the uplink is OPEN; what leaves under SILENT or behind the gate is zeros.
* A response has a name, and only a name can be talked over: tones and a person's voice never arm the reflex.
* Talked over (voice evident while a response sounds) or stopped by hand: queue emptied, card dropped, exactly one
  `BargedIn`, in this same period. Audio of a discarded response is dead by name, however late.
* Half duplex: while anything is audible, and `ECHO_TAIL_MS` after, the microphone counts as silent.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.pcm import to_bytes
from edgevoice.audio.playout import Playout
from edgevoice.audio.resample import Resampler
from edgevoice.audio.tones import tone
from edgevoice.events import (
    Answer,
    Audio,
    BargedIn,
    BargeIn,
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
    Tone,
    Uplink,
)

Samples = NDArray[np.int16]

HEARING_RATE = 16_000  # Hz: what speech detection (and echo cancellation) works at, whatever the card's rate
ECHO_TAIL_MS = 150  # a small room's decay, and what a card's microphone side still holds when the sound is out


class Card(Protocol):
    """A sound card as `cycle` sees it: mono frames, both directions at one rate."""

    @property
    def rate(self) -> int:
        """Hz."""

    @property
    def ahead(self) -> int:
        """Frames to keep written ahead of the loudspeaker."""

    def read(self) -> Samples:
        """Wait for one captured period (n,). Raises DeviceError when the card is gone."""

    def queued(self) -> int:
        """Count the frames written that have not been played."""

    def drop(self) -> int:
        """Fall silent at once; return what `queued` was immediately before."""

    def write(self, pcm: Samples) -> None:
        """Append frames; there is room for them, it does not wait."""


class Detector(Protocol):
    """What hears whether somebody speaks, at HEARING_RATE."""

    @property
    def speaking(self) -> bool:
        """Somebody speaks; a short pause does not end it."""

    @property
    def evident(self) -> bool:
        """Right now there is enough voice to interrupt somebody."""

    @property
    def level_dbfs(self) -> float:
        """How loud the microphone is."""

    def hear(self, pcm: Samples) -> None:
        """Take the next samples (n,)."""

    def forget(self) -> None:
        """There is a gap now: what was heard so far says nothing about what comes."""


def cycle(card: Card, duplex: Duplex, commands: deque[Command]) -> list[Event]:
    """Run one period; return what happened in it. `commands` may be appended to by other threads meanwhile."""
    captured = card.read()
    held = card.queued()  # asked once: asking costs as much as all our arithmetic, and it is true for a period
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

    def __init__(self, rate: int, detector: Detector, *, half_duplex: bool, pre_roll_ms: int) -> None:
        self.playout = Playout(rate)
        self.half_duplex = half_duplex
        self.detector = detector
        self._rate = rate
        self._to_hearing = Resampler(rate, HEARING_RATE)
        self._to_far = Resampler(HEARING_RATE, HEARING_RATE)
        self._uplink = Uplink.OFF
        self._reflex = True
        self._held: deque[Samples] = deque()  # HELD: captured, not sent
        self._held_samples = 0
        self._held_limit = pre_roll_ms * HEARING_RATE // 1000
        self._tail = 0  # samples at HEARING_RATE for which the gate stays shut
        self._speaking = False
        self.in_call = False
        self._dropping: Clear | BargeIn | None = None
        self._events: list[Event] = []

    # ----------------------------------------------------------------------------------------- the microphone

    def capture(self, pcm: Samples, held: int) -> None:
        """Take one captured period (n,), the card holding `held` frames that are not played yet."""
        audible = self.playout.audible
        self._events.extend(self.playout.advance(held))
        heard = self._to_hearing.process(pcm)
        was_gated, gated = self._tail > 0, self._gated(audible, len(heard))
        if gated and not was_gated:
            self._shut()
        if gated:
            heard = np.zeros(len(heard), np.int16)
        else:
            self._hear(heard)
        self._send(heard)

    def _shut(self) -> None:
        """Let nothing of what was heard before the gate shut come out later."""
        self._forget_held()
        self._to_far.reset()
        self.detector.forget()
        self._tell_speaking(False)

    def _gated(self, audible: bool, samples: int) -> bool:
        if not self.half_duplex:
            return False
        self._tail = ECHO_TAIL_MS * HEARING_RATE // 1000 if audible else max(0, self._tail - samples)
        return self._tail > 0

    def _hear(self, heard: Samples) -> None:
        self.detector.hear(heard)
        if self._uplink not in (Uplink.HELD, Uplink.OPEN):
            self._tell_speaking(False)
            return
        self._tell_speaking(self.detector.speaking)
        if self._reflex and self.detector.evident and self.playout.sounding:
            self._dropping = BargeIn()

    def _tell_speaking(self, speaking: bool) -> None:
        if speaking != self._speaking:
            self._speaking = speaking
            self._events.append(SpeechStarted() if speaking else SpeechStopped())

    def _send(self, heard: Samples) -> None:
        match self._uplink:
            case Uplink.OPEN:
                self._tell_audio(heard)
            case Uplink.SILENT:
                self._tell_audio(np.zeros(len(heard), np.int16))
            case Uplink.HELD:
                self._hold(heard)
            case Uplink.OFF:
                pass

    def _tell_audio(self, heard: Samples) -> None:
        pcm = self._to_far.process(heard)
        if len(pcm):
            self._events.append(Audio(to_bytes(pcm)))

    def _hold(self, heard: Samples) -> None:
        self._held.append(heard)
        self._held_samples += len(heard)
        while self._held and self._held_samples - len(self._held[0]) >= self._held_limit:
            self._held_samples -= len(self._held.popleft())

    def _forget_held(self) -> None:
        self._held.clear()
        self._held_samples = 0

    # ------------------------------------------------------------------------------------------ the commands

    def perform(self, command: Command) -> None:
        """Carry out one command; those that the card has no part in are ignored."""
        match command:
            case Play(pcm, response):
                self.playout.play(pcm, response)
            case Mark(name, response):
                self.playout.mark(name, response)
            case Tone(name):
                self.playout.tone(tone(name, self._rate))
            case BargeIn():
                if self.playout.sounding:
                    self._dropping = command
            case Clear():
                self._dropping = command
            case Listen(uplink, reflex):
                self._reflex = reflex
                self._listen(uplink)
            case Answer(rate):
                self._answer(rate)
            case HangUp(reason):
                self._hang_up(reason)
            case _:
                pass

    def _listen(self, uplink: Uplink) -> None:
        if not self.in_call:
            return
        held = list(self._held)
        self._forget_held()
        if uplink not in (Uplink.HELD, Uplink.OPEN):
            self._tell_speaking(False)
        if uplink is not Uplink.OPEN:
            self._to_far.reset()  # it holds back a millisecond of what was heard
        self._uplink = uplink
        self._events.append(Listening(uplink))
        if uplink is Uplink.OPEN:
            for samples in held:
                self._tell_audio(samples)

    def _answer(self, rate: int) -> None:
        self.playout.join(rate)
        self._to_far = Resampler(HEARING_RATE, rate)
        self.in_call = True
        self._events.append(Opened())

    def _hang_up(self, reason: str) -> None:
        """Leave the call: the microphone first, then what still waits to be heard."""
        if not self.in_call:
            return
        self._uplink = Uplink.OFF
        self._forget_held()
        self._speaking = False
        self.in_call = False
        if self.playout.audible:
            self._dropping = Clear()
        self._events.append(Closed(End.HUNG_UP, reason))

    # ---------------------------------------------------------------------------------------- the loudspeaker

    @property
    def dropping(self) -> bool:
        """The card must be dropped now; `dropped` is told what it still held."""
        return self._dropping is not None

    def dropped(self, held: int) -> None:
        """Account for a drop, `held` frames having been in the card immediately before it."""
        cause, self._dropping = self._dropping, None
        self._events.extend(self.playout.advance(held))
        response, heard_ms = self.playout.discard()
        if not self.in_call:
            return
        if isinstance(cause, Clear):
            self._events.append(Cleared(response, heard_ms))
        elif response:
            self._events.append(BargedIn(response, heard_ms))

    def refill(self, frames: int) -> Samples:
        """Return the next `frames` (n,) for the loudspeaker."""
        return self.playout.take(frames)

    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events
