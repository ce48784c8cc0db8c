"""ElevenLabs Agents: an agent that is set up at ElevenLabs, and heard and spoken to over one WebSocket.

Rules
* The service alone ends the person's turns and answers them, and it interrupts itself when it hears the person. The
  device interrupts first; each tells the other, and none minds being second.
* The person's sound always flows: the service hears the end of a turn in it. Where nobody is to be heard (push to talk)
  silence flows instead, from here.
* Nothing is heard before the service has said in which formats it speaks and hears.
* A conversation cannot be taken up again at the service: a new one is told as context what was said in the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from edgevoice.agents import elevenlabs_session as session
from edgevoice.agents.agent import Agent
from edgevoice.agents.draft import Draft
from edgevoice.agents.elevenlabs_answers import BYTES_PER_MS, Answers
from edgevoice.agents.elevenlabs_session import FORMATS, USUAL_FORMAT, Message, Metadata, Settings
from edgevoice.agents.elevenlabs_sound import RATE, Ear, Mouth
from edgevoice.agents.memory import Memory
from edgevoice.events import Closed, End, Transcript, TurnCommitted
from edgevoice.wire import Request

__all__ = ["ElevenLabs", "Settings"]

FRAME = 40 * BYTES_PER_MS  # of one chunk: a voice is noticed soon, in 25 messages a second
BEGUN_S = 10.0  # a service that has not said by then how it speaks is not there
QUIET_S = 0.1  # of nothing from the person: then silence flows, in pieces as long as that
CHUNK = '{"user_audio_chunk":"%s"}'  # the one message without a type
SKIP_TURN = "skip_turn"  # the service's own tool by which an agent decides to say nothing


def ElevenLabs(settings: Settings) -> Agent:
    """Begin a conversation."""
    return Agent(_ElevenLabs(settings))


class _ElevenLabs:
    """A `Service`: one conversation by its protocol."""

    rate = RATE

    def __init__(self, settings: Settings) -> None:
        self.draft = Draft()
        self.listens = False
        self._settings = settings
        self._memory = Memory()
        self._answers = Answers(self.draft, self._memory)
        self._turns = 0
        self._begun_by = inf
        self._quiet_at = inf  # when silence is due
        self._ear: Ear | None = None  # there is one when the conversation has begun
        self._partial = bytearray()  # less than a frame of the person's sound
        self._reactions: dict[str, Callable[[Message, float], None]] = {
            "conversation_initiation_metadata": self._begun,
            "ping": self._pinged,
            "audio": self._sound,
            "interruption": self._interrupted,
            "user_transcript": self._person_said,
            "agent_response": self._agent_said,
            "agent_response_correction": self._corrected,
            "agent_response_complete": self._complete,
            "client_tool_call": self._tool_called,
            "agent_tool_response": self._tool_used,
            "error": self._complained,
            "client_error": self._complained,
        }

    # ------------------------------------------------------------------------------------------- the port

    @property
    def deadline(self) -> float:
        return min(self._begun_by, self._quiet_at, self._answers.deadline)

    def request(self) -> Request:
        settings = self._settings
        if not settings.api_key:
            return Request(session.socket_url(settings))
        key = {"xi-api-key": settings.api_key}
        return Request(session.signing_url(settings), key, leads_to=lambda *answer: session.signed(settings, *answer))

    def opened(self, at: float) -> None:
        self.listens = True
        self._begun_by = at + BEGUN_S
        self.draft.send.append(session.initiation(self._settings))

    def take(self, message: str | bytes, at: float) -> bool:
        decoded = session.decode(message)
        if decoded is None:
            return False
        if react := self._reactions.get(decoded.type):
            react(decoded, at)
        return True

    def hear(self, pcm: bytes, at: float) -> None:
        if self._ear is None:
            return
        self._quiet_at = at + QUIET_S
        self._partial += pcm
        whole = len(self._partial) // FRAME * FRAME
        for i in range(0, whole, FRAME):
            self.draft.send.append(CHUNK % self._ear.encode(bytes(self._partial[i : i + FRAME])))
        del self._partial[:whole]

    def respond(self, at: float) -> None:
        """Do nothing: it answers unasked."""

    def interrupt(self, name: str, heard_ms: float, at: float) -> None:
        self._answers.interrupt(name, heard_ms, at)

    def tool_result(self, id: str, output: str, at: float) -> None:
        self._answers.tool_result(id, output)

    def expire(self, at: float) -> None:
        if at >= self._begun_by:
            self.draft.end(Closed(End.LINK_LOST, f"{self._settings.host} does not begin the conversation"))
            return
        if at >= self._quiet_at:
            self.hear(bytes(int(QUIET_S * 1000) * BYTES_PER_MS), at)
        self._answers.expire(at)

    def lost(self, at: float) -> None:
        self._ear = None
        self._begun_by = self._quiet_at = inf
        self._answers.take_over()

    def closing(self, code: int, reason: str) -> Closed:
        return session.closing(self._settings, code, reason, begun=self._ear is not None)

    # ----------------------------------------------------------------------------------- the conversation

    def _begun(self, message: Message, at: float) -> None:
        if self._ear is not None:
            return
        said = message.conversation_initiation_metadata_event or Metadata()
        speaks = said.agent_output_audio_format or USUAL_FORMAT
        hears = said.user_input_audio_format or USUAL_FORMAT
        for what, format in {"speaks": speaks, "hears": hears}.items():
            if format not in FORMATS:
                sentence = f"the agent {self._settings.agent_id!r} {what} {format[:40]!r}, expected one of"
                sentence = f"{sentence} {', '.join(FORMATS)}: set that at {self._settings.host}"
                self.draft.end(Closed(End.REFUSED, sentence))
                return
        self._begun_by, self._quiet_at = inf, at + QUIET_S
        self._ear = Ear(hears)
        self._answers.speak_with(Mouth(speaks))
        if not self.draft.open():
            self._take_over(at)

    def _take_over(self, at: float) -> None:
        """Tell a new conversation what was said, and ask it to answer what was not answered."""
        said = self._memory.lines()
        if said:
            self.draft.say("contextual_update", text=session.so_far(said))
        if said and said[-1][0] == "person":
            self.draft.say("user_message", text=said[-1][1])  # better to be greeted twice than not to be answered
        else:
            self._answers.drop_greeting(at)

    def _pinged(self, message: Message, at: float) -> None:
        if message.ping_event and message.ping_event.event_id is not None:
            self.draft.say("pong", event_id=message.ping_event.event_id)

    def _complained(self, message: Message, at: float) -> None:
        """End the call if trying again does not help; else the service goes on, or closes the connection itself."""
        begun = self._ear is not None
        refused = session.refusal(self._settings, message.complaint, begun=begun)
        if refused and (not begun or refused.end is End.NO_CREDIT):  # the others may be about a tool
            self.draft.end(refused)

    # ----------------------------------------------------------------------------------------- the person

    def _person_said(self, message: Message, at: float) -> None:
        """Their turn is over: nothing that comes from now on is of an earlier response."""
        if message.user_transcription_event is None:
            return
        self._answers.complete()
        if text := message.user_transcription_event.user_transcript.strip():
            self._turns += 1
            self._memory.say(f"turn_{self._turns}", "person", text)
            self.draft.events.append(Transcript("person", text, final=True))
        self.draft.events.append(TurnCommitted())

    # ------------------------------------------------------------------------------------------ the agent

    def _sound(self, message: Message, at: float) -> None:
        if message.audio_event:
            self._answers.sound(message.audio_event, at)

    def _interrupted(self, message: Message, at: float) -> None:
        if message.interruption_event:
            self._answers.interrupted(message.interruption_event.event_id)

    def _agent_said(self, message: Message, at: float) -> None:
        if message.agent_response_event and (text := message.agent_response_event.agent_response.strip()):
            self._answers.says(text)

    def _corrected(self, message: Message, at: float) -> None:
        if message.agent_response_correction_event:
            self._answers.corrected(message.agent_response_correction_event.corrected_agent_response.strip())

    def _complete(self, message: Message, at: float) -> None:
        self._answers.complete()

    def _tool_called(self, message: Message, at: float) -> None:
        if message.client_tool_call:
            self._answers.call(message.client_tool_call)

    def _tool_used(self, message: Message, at: float) -> None:
        if message.agent_tool_response and message.agent_tool_response.tool_name == SKIP_TURN:
            self._answers.nothing()
