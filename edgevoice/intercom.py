"""Person to person: both are always heard, nobody is interrupted. Events in, orders out, no clock inside.

    the box (near) ── Audio ──> Play, live ──> a phone line (far)          both opened: both microphones open
                   <── Play, live <── Audio ──

Rules
* A microphone opens only when the other side is there. Where nobody has pressed a button (`beep`: the box answered by
  itself), a tone goes first, and the microphone opens after it.
* Until the far side has opened its progress is heard: the ringing tone, repeated. It is cut off when they answer.
* The light is a function of what was ordered and of what was done: it shows an open microphone from the order to open
  it until it is said to be closed.
* Push to talk: the microphone is open while the button is held. Muted, it sends silence, so that the line stays alive.
  While it is not held, `speaking` says whether the other side talks: that is no idle call.
* After `over` is set nothing is ordered.
"""

from __future__ import annotations

from edgevoice.audio.pcm import from_bytes, level_dbfs
from edgevoice.events import (
    Audio,
    Clear,
    Closed,
    End,
    Event,
    HangUp,
    Listen,
    Listening,
    Opened,
    Play,
    Progress,
    SpeechStarted,
    SpeechStopped,
    Stage,
    Tone,
    Uplink,
)
from edgevoice.light import Turn
from edgevoice.orders import Orders, Side

RING_S = 3.0  # a tone of 0.9 s, then silence: as telephones ring
BEEP_S = 0.6  # the tone that goes first, and a breath
VOICE_DBFS = -45.0  # of a person on a line: below it is the line's own noise
TALKS_S = 2.0  # between two sentences


class Intercom:
    """A call between the box's own microphone and loudspeaker (near) and a person on a line (far)."""

    def __init__(self, *, push_to_talk: bool = False, beep: bool = False, listens: bool = True) -> None:
        self.over: Closed | None = None
        self._push_to_talk = push_to_talk
        self._beep = beep
        self._listens = listens  # the far side wants to hear us: a recording does not
        self._far_open = False
        self._rings_at: float | None = None
        self._opens_at: float | None = None  # when the microphone may open, after the beep
        self._muted = False
        self._held = False  # the button
        self._speaks = False
        self._talks_until: float | None = None  # the far side, push to talk
        self._uplink = self._applied = Uplink.OFF

    @property
    def turn(self) -> Turn:
        """What the light shows in a call. A microphone that is still open is never shown as closed."""
        if not self._far_open:
            return Turn.OPENING
        if Uplink.OPEN in (self._uplink, self._applied):
            return Turn.HEARING if self._speaks else Turn.LISTENING
        if not self._listens:
            return Turn.ANNOUNCING
        return Turn.MUTED if self._muted else Turn.WAITING

    @property
    def speaking(self) -> bool:
        """The other side talks to a box whose button is not held; elsewhere a press need not know."""
        return self._talks_until is not None

    @property
    def deadline(self) -> float | None:
        """When `expire` must be called at the latest (monotonic seconds)."""
        if self.over:
            return None
        waits = (self._rings_at, self._opens_at, self._talks_until)
        return min((at for at in waits if at is not None), default=None)

    # --------------------------------------------------------------------------------------------- the two legs

    def near(self, event: Event, at: float) -> Orders:
        """Take what the box's own leg reports."""
        if self.over:
            return []
        match event:
            case Audio(pcm):
                return [(Side.FAR, Play(pcm, live=True))] if self._far_open else []
            case Listening(uplink):
                self._applied = uplink
            case SpeechStarted() | SpeechStopped():
                self._speaks = isinstance(event, SpeechStarted)
            case Closed():
                return self._end(event, Side.FAR)
            case _:  # nobody interrupts anybody, and keys are the box's
                pass
        return []

    def far(self, event: Event, at: float) -> Orders:
        """Take what the line reports."""
        if self.over:
            return []
        match event:
            case Opened():
                return self._opened(at)
            case Audio(pcm):
                if self._push_to_talk and level_dbfs(from_bytes(pcm)) >= VOICE_DBFS:
                    self._talks_until = at + TALKS_S
                return [(Side.NEAR, Play(pcm, live=True))]
            case Progress(Stage.RINGING) if not self._far_open and self._rings_at is None:
                self._rings_at = at
                return self.expire(at)
            case Progress(Stage.EARLY_MEDIA):
                self._rings_at = None  # what sounds now is of the network: its own ringing, or a sentence
                return []
            case Closed():
                return self._end(event, Side.NEAR)
            case _:
                return []

    def _opened(self, at: float) -> Orders:
        self._far_open = True
        self._rings_at = None
        self._opens_at = at + BEEP_S if self._beep else at
        orders: Orders = [(Side.NEAR, Clear()), (Side.NEAR, Tone("connected"))] if self._listens else []
        orders += [(Side.FAR, Clear()), (Side.FAR, Listen(Uplink.OPEN, reflex=False))]  # it has rung there, too
        return [*orders, *self.expire(at)]

    def _end(self, closed: Closed, other: Side) -> Orders:
        self.over = closed
        return [(other, HangUp(closed.reason, fades=other is Side.NEAR))]

    # ------------------------------------------------------------------------------------ what people want

    def talk(self, on: bool, at: float) -> Orders:
        """Push to talk: the button went down or up."""
        self._held = on
        return self._settle()

    def mute(self, on: bool, at: float) -> Orders:
        if self.over or on == self._muted:
            return []
        self._muted = on
        return [*self._settle(), (Side.NEAR, Tone("muted" if on else "unmuted"))]

    def tool_result(self, id: str, output: str) -> Orders:
        """Nobody here calls tools."""
        return []

    def leave(self, reason: str, within_s: float, at: float) -> Orders:
        """Hang up: a person needs no time to finish a sentence of an agent's."""
        return self.hang_up(reason)

    def hang_up(self, reason: str) -> Orders:
        if self.over:
            return []
        self.over = Closed(End.HUNG_UP, reason)
        return [(Side.NEAR, HangUp(reason)), (Side.FAR, HangUp(reason))]

    # ----------------------------------------------------------------------------------------------- time

    def expire(self, at: float) -> Orders:
        """The deadline has passed: ring again, or open the microphone."""
        if self.over:
            return []
        orders: Orders = []
        if self._rings_at is not None and at >= self._rings_at:
            self._rings_at += RING_S
            orders.append((Side.NEAR, Tone("ringing")))
        if self._talks_until is not None and at >= self._talks_until:
            self._talks_until = None
        if self._opens_at is not None and at >= self._opens_at:
            self._opens_at = None
            orders += self._settle()
        return orders

    def _settle(self) -> Orders:
        """Order the microphone that follows from the new state."""
        if self.over or not self._far_open or self._opens_at is not None or not self._listens:
            return []
        closed = self._muted or (self._push_to_talk and not self._held)
        wanted = Uplink.SILENT if closed else Uplink.OPEN
        if wanted is self._uplink:
            return []
        self._uplink = wanted
        return [(Side.NEAR, Listen(wanted, reflex=False))]
