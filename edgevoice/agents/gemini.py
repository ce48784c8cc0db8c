"""Google's Gemini Live API: an agent that hears and speaks, over one WebSocket.

Rules
* As a rule the device alone owns turns and interruptions ("local"): the service's own detection of a voice is off, and
  we mark where the person begins and ends. The first mark stops an answer that is being made, so a cough that was taken
  back costs nothing there either. How much of an answer was heard is told in words.
* With "server_vad" the service ends the turns, answers by itself and interrupts itself; then nothing can be sent to
  stop it: it hears the person.
* A connection lasts ten minutes. `goAway` says that its end is near: in the next pause, or else just before the end, it
  is given up and the session resumed on another one by the newest handle. One that cannot be resumed is begun anew, and
  reads what was said.
* Nothing is sent before `setupComplete`, and after `Closed` nothing is sent and nothing is told.
"""

from __future__ import annotations

from math import inf
from typing import assert_never

from edgevoice.agents import gemini_session as session
from edgevoice.agents.draft import Draft
from edgevoice.agents.gemini_answers import Answers
from edgevoice.agents.gemini_session import RATE, Message, Settings
from edgevoice.agents.gemini_turn import PersonsTurn
from edgevoice.agents.memory import Memory
from edgevoice.events import (
    Answer,
    BargeIn,
    Chirp,
    Clear,
    Closed,
    Command,
    End,
    HangUp,
    Interrupt,
    Listen,
    Mark,
    Opened,
    Play,
    Respond,
    Resumed,
    SpeechStarted,
    Tone,
    ToolResult,
    Witness,
)
from edgevoice.wire import NOTHING, Reply, Request

__all__ = ["Gemini", "Settings"]

SETUP_S = 10.0  # a service that has not begun the session by then is not there
PAUSE_S = 0.25  # how often we look for a pause in which to change the connection
EARLY_S = 5.0  # before its end we do so at all events


class Gemini:
    """A `Wire` to one conversation."""

    rate = RATE

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._over: Closed | None = None
        self._draft = Draft()
        self._memory = Memory()
        self._turn = PersonsTurn(marks=not settings.service_ends_turns)
        self._answers = Answers(self._draft, self._memory, self._turn, unasked=settings.service_ends_turns)
        self._senseless = 0
        self._told_opened = False
        self._ready = False  # the session stands
        # The session on the next connection
        self._handle = ""
        self._resuming = False  # this one was begun by a handle
        self._resumable = True  # now, without a loss
        # When to do something even if nothing comes
        self._setup_by = inf
        self._renew_at = inf
        self._renew_by = inf
        self._renew = False

    # ------------------------------------------------------------------------------------------- the port

    @property
    def ignored(self) -> int:
        """How many messages made no sense."""
        return self._senseless + self._answers.ignored

    @property
    def deadline(self) -> float | None:
        due = min(self._setup_by, self._renew_at, self._answers.deadline)
        return due if due < inf and self._over is None else None

    def request(self) -> Request | None:
        return session.request(self._settings)

    def opened(self, at: float) -> Reply:
        if self._over:
            return NOTHING
        self._lose()
        self._answers.take_over()
        self._setup_by = at + SETUP_S
        self._resuming = bool(self._handle)
        said = () if self._resuming else self._memory.lines()
        self._draft.send.append(session.setup(self._settings, self._handle, said))
        return self._reply()

    def receive(self, message: str | bytes, at: float) -> Reply:
        if self._over:
            return NOTHING
        decoded = session.decode(message)
        if decoded is None:
            self._senseless += 1
            return NOTHING
        self._take(decoded, at)
        return self._reply()

    def perform(self, command: Command, at: float) -> Reply:
        if self._over or not (self._told_opened or isinstance(command, HangUp)):
            return NOTHING
        match command:
            case Play(pcm, ""):
                self._send(self._turn.hear(pcm))
            case Respond():
                self._respond()
            case Interrupt(response, heard_ms):
                tell = self._ready and self._settings.takes_words
                if self._answers.interrupt(response, heard_ms, at, tell=tell) and self._ready:
                    self._send(self._turn.interrupt())
            case ToolResult(id, output):
                self._answers.tool_result(id, output)
            case HangUp(reason):
                self._end(Closed(End.HUNG_UP, reason))
            case Play() | Answer() | Mark() | Clear() | BargeIn() | Witness() | Chirp() | Tone() | Listen():
                pass  # an agent has neither loudspeaker nor microphone
            case _:
                assert_never(command)
        return self._reply()

    def expire(self, at: float) -> Reply:
        if self._over:
            return NOTHING
        if at >= self._setup_by:
            self._end(Closed(End.LINK_LOST, f"{self._settings.host} does not begin a session"))
            return self._reply()
        if at >= self._renew_at:
            self._look_for_pause(at)
        if at >= self._answers.deadline:
            self._answers.expire(at)
        return self._reply()

    def lost(self, at: float) -> bool:
        self._lose()
        return self._told_opened and self._over is None

    def closed(self, code: int, reason: str, at: float) -> Closed:
        if self._over:
            return self._over
        closed = session.closing(self._settings, code, reason, begun=self._ready)
        if self._resuming and not self._ready and code >= 1000:  # a handle may be too old, or of no use by now
            self._handle = ""
            if closed.end is End.REFUSED:
                return Closed(End.LINK_LOST, f"{self._settings.host} does not resume the session ({code})")
        return closed

    def _send(self, messages: list[str]) -> None:
        self._draft.send += messages

    def _reply(self) -> Reply:
        renew, self._renew = self._renew, False
        return self._draft.reply(renew=renew, close=self._over is not None)

    def _end(self, closed: Closed) -> None:
        self._over = closed
        self._draft.events.append(closed)

    # ---------------------------------------------------------------------------------------- the session

    def _take(self, message: Message, at: float) -> None:
        if update := message.session_resumption_update:
            self._resumable = bool(update.resumable)
            if update.resumable and update.new_handle:
                self._handle = update.new_handle
        if message.setup_complete is not None and not self._ready:
            self._begin()
        if message.go_away:
            self._go_away(message.go_away.left_s, at)
        if message.voice_activity and message.voice_activity.voice_activity_type == "ACTIVITY_START":
            self._answers.hear()
            self._draft.events.append(SpeechStarted())
        if message.tool_call_cancellation:
            self._answers.cancel(message.tool_call_cancellation.ids)
        if message.tool_call:
            self._answers.call(message.tool_call.function_calls, at)
        if message.server_content:
            self._answers.take(message.server_content, at)
        if kind := self._answers.unplayable:
            said = f"{self._settings.host} sends sound as {kind[:80]!r}, expected 'audio/pcm;rate={RATE}'"
            self._end(Closed(End.BROKEN, said))

    def _begin(self) -> None:
        """The session stands: the first time the agent may greet, later it is told what the person is saying."""
        self._ready, self._setup_by = True, inf
        if self._told_opened:
            self._send(self._turn.take_over())
            self._draft.events.append(Resumed())
            return
        self._told_opened = True
        self._draft.events.append(Opened())
        if self._settings.greeting:
            self._send(self._turn.say(f"Say exactly this, and nothing else: {self._settings.greeting}"))
            self._answers.expect()

    def _lose(self) -> None:
        """There is no session for now."""
        self._ready, self._resumable = False, True
        self._setup_by = self._renew_at = self._renew_by = inf

    def _go_away(self, left_s: float, at: float) -> None:
        self._renew_at, self._renew_by = at, at + max(left_s / 2, left_s - EARLY_S)
        self._look_for_pause(at)

    def _look_for_pause(self, at: float) -> None:
        pause = self._resumable and self._answers.paused and not self._turn.under_way
        if pause or at >= self._renew_by:
            self._renew = True
            self._lose()
        else:
            self._renew_at = min(at + PAUSE_S, self._renew_by)

    # ----------------------------------------------------------------------------------------- the person

    def _respond(self) -> None:
        if self._settings.service_ends_turns:
            return
        said = self._turn.end()
        if said is None:
            self._answers.none_expected()
        else:
            self._send(said)
            self._answers.expect()
