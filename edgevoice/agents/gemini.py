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
* Nothing is sent before `setupComplete`.
"""

from __future__ import annotations

from math import inf

from edgevoice.agents import gemini_session as session
from edgevoice.agents.agent import Agent
from edgevoice.agents.draft import Draft
from edgevoice.agents.gemini_answers import Answers
from edgevoice.agents.gemini_session import RATE, Message, Settings
from edgevoice.agents.gemini_turn import PersonsTurn
from edgevoice.agents.memory import Memory, greeting
from edgevoice.agents.renewal import Renewal
from edgevoice.events import Closed, End, SpeechStarted
from edgevoice.wire import Request

__all__ = ["Gemini", "Settings"]

SETUP_S = 10.0  # a service that has not begun the session by then is not there
EARLY_S = 5.0  # before its end the connection is changed at all events


def Gemini(settings: Settings) -> Agent:
    """Begin a conversation."""
    return Agent(_Gemini(settings))


class _Gemini:
    """A `Service`: one conversation by its protocol."""

    rate = RATE

    def __init__(self, settings: Settings) -> None:
        self.draft = Draft()
        self._settings = settings
        self._memory = Memory()
        self._turn = PersonsTurn(marks=not settings.service_ends_turns)
        self._answers = Answers(self.draft, self._memory, self._turn, unasked=settings.service_ends_turns)
        self._ready = False  # the session stands
        # The session on the next connection
        self._handle = ""
        self._resuming = False  # this one was begun by a handle
        self._resumable = True  # now, without a loss
        # When to do something even if nothing comes
        self._setup_by = inf
        self._renewal = Renewal()

    # ------------------------------------------------------------------------------------------- the port

    @property
    def listens(self) -> bool:
        return self.draft.opened

    @property
    def deadline(self) -> float:
        return min(self._setup_by, self._renewal.at, self._answers.deadline)

    def request(self) -> Request:
        return session.request(self._settings)

    def opened(self, at: float) -> None:
        self.lost(at)
        self._answers.take_over()
        self._setup_by = at + SETUP_S
        self._resuming = bool(self._handle)
        said = () if self._resuming else self._memory.lines()
        self.draft.send.append(session.setup(self._settings, self._handle, said))

    def take(self, message: str | bytes, at: float) -> bool:
        decoded = session.decode(message)
        if decoded is None:
            return False
        self._take(decoded, at)
        return True

    def hear(self, pcm: bytes, at: float) -> None:
        self._send(self._turn.hear(pcm))

    def respond(self, at: float) -> None:
        if self._settings.service_ends_turns:
            return
        said = self._turn.end()
        if said is None:
            self._answers.none_expected()
        else:
            self._send(said)
            self._answers.expect()

    def interrupt(self, name: str, heard_ms: float, at: float) -> None:
        tell = self._ready and self._settings.takes_words
        if self._answers.interrupt(name, heard_ms, at, tell=tell) and self._ready:
            self._send(self._turn.interrupt())

    def tool_result(self, id: str, output: str, at: float) -> None:
        self._answers.tool_result(id, output)

    def expire(self, at: float) -> None:
        if at >= self._setup_by:
            self.draft.end(Closed(End.LINK_LOST, f"{self._settings.host} does not begin a session"))
            return
        if at >= self._renewal.at:
            self._look_for_pause(at)
        if at >= self._answers.deadline:
            self._answers.expire(at)

    def lost(self, at: float) -> None:
        """There is no session for now."""
        self._ready, self._resumable = False, True
        self._setup_by, self._renewal = inf, Renewal()

    def closing(self, code: int, reason: str) -> Closed:
        closed = session.closing(self._settings, code, reason, begun=self._ready)
        if self._resuming and not self._ready and code >= 1000:  # a handle may be too old, or of no use by now
            self._handle = ""
            if closed.end is End.REFUSED:
                return Closed(End.LINK_LOST, f"{self._settings.host} does not resume the session ({code})")
        return closed

    def _send(self, messages: list[str]) -> None:
        self.draft.send += messages

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
            self.draft.events.append(SpeechStarted())
        if message.tool_call_cancellation:
            self._answers.cancel(message.tool_call_cancellation.ids)
        if message.tool_call:
            self._answers.call(message.tool_call.function_calls, at)
        if message.server_content:
            self._answers.take(message.server_content, at)
        if kind := self._answers.unplayable:
            said = f"{self._settings.host} sends sound as {kind[:80]!r}, expected 'audio/pcm;rate={RATE}'"
            self.draft.end(Closed(End.BROKEN, said))

    def _begin(self) -> None:
        """The session stands: the first time the agent may greet, later it is told what the person is saying."""
        self._ready, self._setup_by = True, inf
        if not self.draft.open():
            self._send(self._turn.take_over())
        elif self._settings.greeting:
            self._send(self._turn.say(greeting(self._settings.greeting)))
            self._answers.expect()

    def _go_away(self, left_s: float, at: float) -> None:
        self._renewal = Renewal(at, at + max(left_s / 2, left_s - EARLY_S))
        self._look_for_pause(at)

    def _look_for_pause(self, at: float) -> None:
        pause = self._resumable and self._answers.paused and not self._turn.under_way
        if self._renewal.due(at, pause=pause):
            self.draft.renew = True
            self.lost(at)
