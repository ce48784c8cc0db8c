"""OpenAI's Realtime API, and what looks like it: an agent that hears and speaks, over one WebSocket.

Rules
* The device alone owns interruptions: `interrupt_response` is off, and so is `create_response`. The service says
  when the person's turn is over; it answers when we send `response.create`. With only the former off it would refuse a
  turn that ends while a response is being made. The other way out, to switch `create_response` with the state of the
  turn, sends a turn detection anew while somebody speaks, and nowhere is it promised that the service then still knows
  that somebody does. The price is one round trip in each turn.
* `session.update` goes out at once, without waiting for `session.created`: the service reads in order, so that a round
  trip is saved, and a session that takes over can be sent the person's sound right behind it, without a gap.
* Errors are told apart by their code, never by their words. The benign races (a cancel that comes too late, a
  truncation too far, an item that is gone, a commit of nothing) need no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from edgevoice.agents import openai_session as session
from edgevoice.agents.agent import Agent
from edgevoice.agents.draft import Draft
from edgevoice.agents.ending import quoted
from edgevoice.agents.memory import Memory, greeting
from edgevoice.agents.openai_answers import Answers
from edgevoice.agents.openai_session import RATE, Message, Settings
from edgevoice.agents.openai_sound import Sound
from edgevoice.agents.renewal import Renewal
from edgevoice.events import Closed, End, SpeechStarted, Transcript, TurnCommitted
from edgevoice.wire import Request

__all__ = ["OpenAI", "Settings"]

CREATED_S = 10.0  # a service that has not said a word by then is not there
UPDATED_S = 2.0  # some look-alikes never confirm a session
SETUP, PLAIN_SETUP = "setup", "plain_setup"


def OpenAI(settings: Settings, *, clock_offset_s: float = 0.0) -> Agent:
    """Begin a conversation. `clock_offset_s` is unix time less the monotonic `at` of all calls of the wire."""
    return Agent(_OpenAI(settings, clock_offset_s))


class _OpenAI:
    """A `Service`: one conversation by its protocol."""

    rate = RATE

    def __init__(self, settings: Settings, clock_offset_s: float) -> None:
        self.draft = Draft()
        self.listens = False
        self._settings = settings
        self._clock_offset_s = clock_offset_s
        self._memory = Memory()
        self._answers = Answers(self.draft, self._memory)
        self._sound = Sound(service_ends_turns=settings.service_ends_turns)
        self._lost = False  # the link was, and the next session must be told more than words
        # When to do something even if nothing comes
        self._created_by = inf
        self._updated_by = inf
        self._renewal = Renewal()
        self._reactions: dict[str, Callable[[Message, float], None]] = {
            **self._answers.reactions,
            "session.created": self._session_created,
            "session.updated": self._session_updated,
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.committed": self._turn_committed,
            "conversation.item.input_audio_transcription.delta": self._person_speaks,
            "conversation.item.input_audio_transcription.completed": self._person_said,
            "error": self._error,
        }

    # ------------------------------------------------------------------------------------------- the port

    @property
    def deadline(self) -> float:
        due = min(self._created_by, self._updated_by, self._renewal.at, self._answers.deadline)
        return inf if self._lost else due

    def request(self) -> Request:
        return session.request(self._settings)

    def opened(self, at: float) -> None:
        self._created_by, self._updated_by, self._renewal = at + CREATED_S, inf, Renewal()
        self.draft.send.append(session.session_update(self._settings, SETUP))
        if self.listens:
            self._take_over(at)
        self.listens = True

    def take(self, message: str | bytes, at: float) -> bool:
        decoded = session.decode(message)
        if decoded is None:
            return False
        outcome = decoded.response
        if outcome and outcome.status_details and self._refused(outcome.status_details.error):
            return True
        if react := self._reactions.get(decoded.type):
            react(decoded, at)
        return True

    def hear(self, pcm: bytes, at: float) -> None:
        self.draft.send += self._sound.append(pcm)

    def respond(self, at: float) -> None:
        self.draft.send += self._sound.flush()
        if self._settings.service_ends_turns:
            if not self._answers.answering:
                self._answers.want("", at)
        elif commit := self._sound.commit():
            self.draft.send += commit
            self._answers.turns += 1
            self._answers.want("", at)
        else:
            self._answers.want_nothing()

    def interrupt(self, name: str, heard_ms: float, at: float) -> None:
        self._answers.interrupt(name, heard_ms, at)

    def tool_result(self, id: str, output: str, at: float) -> None:
        self._answers.tool_result(id, output, at)

    def expire(self, at: float) -> None:
        if self._lost:
            return
        if at >= self._created_by:
            self.draft.end(Closed(End.LINK_LOST, f"{self._settings.host} does not begin a session"))
            return
        if at >= self._updated_by:
            self._confirm(at)
        if at >= self._renewal.at:
            pause = not self._sound.hears_voice and self._answers.paused(at)
            self.draft.renew = self._renewal.due(at, pause=pause)
        if at >= self._answers.deadline:
            self._answers.expire(at)

    def lost(self, at: float) -> None:
        self._lost = True
        self._renewal = Renewal()

    def closing(self, code: int, reason: str) -> Closed:
        return session.closing(self._settings, code, reason)

    # ---------------------------------------------------------------------------------------- the session

    def _session_created(self, message: Message, at: float) -> None:
        self._created_by, self._updated_by = inf, at + UPDATED_S
        if message.session and message.session.expires_at:
            unix = at + self._clock_offset_s
            self._renewal = session.renewal(message.session.expires_at, unix, at)

    def _session_updated(self, message: Message, at: float) -> None:
        self._confirm(at)

    def _confirm(self, at: float) -> None:
        """Tell that we are connected, and let the agent greet: once, however many sessions there are."""
        waited_for = min(self._created_by, self._updated_by) < inf
        self._created_by = self._updated_by = inf
        if self.draft.opened and not waited_for:
            return
        if self.draft.open() and self._settings.greeting:
            self._answers.want(greeting(self._settings.greeting), at)

    def _take_over(self, at: float) -> None:
        """Tell a new session what was said, and what is just being said."""
        self.draft.send += session.remembered(self._memory, beta=self._settings.beta)
        self.draft.send += self._sound.take_over(lost=self._lost, waiting=self._answers.waiting)
        self._lost = False
        self._answers.take_over(at)

    def _error(self, message: Message, at: float) -> None:
        problem = message.error or session.Problem()
        if problem.event_id == SETUP:  # perhaps it cannot do what is not needed
            self.draft.send.append(session.session_update(self._settings, PLAIN_SETUP, plain=True))
        elif self._refused(problem):
            pass
        elif problem.code == "session_expired":  # a session that could not be renewed in time
            self.draft.end(Closed(End.LINK_LOST, f"{self._settings.host} ended the session: it has lasted too long"))
        elif problem.event_id == PLAIN_SETUP and not self._settings.beta:
            said = quoted(f"{problem.message or problem.code} {problem.param or ''}", self._settings.api_key)
            self.draft.end(Closed(End.REFUSED, f"{self._settings.host} does not accept the session{said}"))
        else:
            self._answers.refused(problem, at)

    def _refused(self, problem: session.Problem | None) -> bool:
        """End the call if trying again does not help."""
        refused = problem and session.refusal(self._settings, f"{problem.code} {problem.type}")
        if refused:
            self.draft.end(refused)
        return refused is not None

    # ----------------------------------------------------------------------------------------- the person

    def _speech_started(self, message: Message, at: float) -> None:
        ago_ms = self._sound.begins(message.audio_start_ms, self._settings.prefix_ms)
        self.draft.events.append(SpeechStarted(ago_ms))

    def _turn_committed(self, message: Message, at: float) -> None:
        self._memory.begin(message.item_id, "person")
        if self._settings.service_ends_turns:  # else it only answers our own commit
            self._sound.ended()
            self._answers.turns += 1
            self.draft.events.append(TurnCommitted())

    def _person_speaks(self, message: Message, at: float) -> None:
        if message.delta:
            self.draft.events.append(Transcript("person", message.delta, final=False))

    def _person_said(self, message: Message, at: float) -> None:
        if text := (message.transcript or "").strip():
            self._sound.told()
            self._memory.say(message.item_id, "person", text)
            self.draft.events.append(Transcript("person", text, final=True))
