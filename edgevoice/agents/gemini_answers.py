"""The answers of a Gemini conversation: named by us, as the service does not; heard, interrupted, ended; and its tools.

            first sound, word or tool        generationComplete, interrupted or turnComplete
    (none) --------------------------> making ---------------------------------------------> done: what comes next
                                         | interrupt                                          ^    is another answer
                                         v                                                    |
                                       dead: what still comes of it is dropped ---------------+

* The service goes through them in order, so what comes between an interruption and the end of the answer belongs to it.
* Between generationComplete and turnComplete it waits for what it takes to be the end of the playback. An interruption
  is of use until then.
* It takes for said what it has sent, and there is no message to cut it to what was heard: it is told so in words.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field
from math import inf

import msgspec

from edgevoice.agents.draft import Draft
from edgevoice.agents.gemini_session import RATE, Blob, FunctionCall, ServerContent, message, told
from edgevoice.agents.gemini_turn import PersonsTurn
from edgevoice.agents.memory import Memory, stopped
from edgevoice.audio.pcm import Whole, from_bytes, to_bytes
from edgevoice.audio.resample import RATES, Resampler
from edgevoice.events import (
    Audio,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    ToolCalled,
    Transcript,
    TurnCommitted,
)

BYTES_PER_MS = RATE * 2 // 1000
KEPT_ANSWERS = 32
KEPT_CALLS = 64
CANCELLED_S = 3.0  # an interrupted answer of which nothing came for so long has ended
WHOLE_MS = 20.0  # who has missed no more has heard all
ERROR = "error: "  # so begins the result of a tool that could not be run


@dataclass(slots=True)
class _Answer:
    name: str
    dead: bool = False
    done: bool = False
    received: int = 0  # bytes
    whole: Whole = field(default_factory=Whole)  # a piece may end in the middle of a sample
    resampler: Resampler = field(default_factory=lambda: Resampler(RATE, RATE))


class Answers:
    """What the agent says and asks for. It writes into `draft` and `memory`."""

    def __init__(self, draft: Draft, memory: Memory, turn: PersonsTurn, *, unasked: bool) -> None:
        self.unplayable = ""  # the kind of sound that we cannot play
        self._draft, self._memory, self._turn = draft, memory, turn
        self._unasked = unasked  # the service ends the turns, and answers by itself
        self._answers: dict[str, _Answer] = {}  # the oldest first
        self._begun = 0
        self._turn_open = False  # of the agent: it has not told that the turn is complete
        self._expected = False  # an answer was asked for, and has not begun
        self._hearing = False  # the service hears the person, and has not answered
        self._calls: dict[str, tuple[str, str]] = {}  # id -> the answer's name, the tool's
        self._person_lines = 1
        self._cancelled_by = inf
        self._late_until = 0.0  # what comes before that is of the turn that was cut off, unless that is complete

    @property
    def deadline(self) -> float:
        return self._cancelled_by

    @property
    def paused(self) -> bool:
        """The service neither hears anybody nor speaks nor is about to."""
        return not (self._turn_open or self._expected or self._hearing or self._calls)

    def expire(self, at: float) -> None:
        if at >= self._cancelled_by:
            self._finish()

    def hear(self) -> None:
        """The service hears the person."""
        self._hearing = True

    def expect(self) -> None:
        """An answer was asked for."""
        self._expected = True

    def none_expected(self) -> None:
        """Answer a turn of nothing by an empty answer, so that nobody waits for one."""
        self._expected = False
        self._begun += 1
        self._draft.events += [ResponseStarted(f"answer_{self._begun}"), ResponseDone(f"answer_{self._begun}")]
        self._turn.answered()

    def take_over(self) -> None:
        """Go on in another session: what the old one did not finish it never will."""
        self._finish()
        self._turn_open = self._hearing = False
        self._late_until = 0.0
        self._calls.clear()
        self._expected = self._turn.over  # it is told again, and answered then

    # --------------------------------------------------------------------------------------------- making

    def take(self, content: ServerContent, at: float) -> None:
        """Take a message of the service: any of these may stand in one."""
        if (heard := content.input_transcription) and heard.text:
            self._person_said(heard.text)
        for part in (content.model_turn.parts if content.model_turn else None) or ():
            if part.inline_data and part.inline_data.data:
                self._sound(part.inline_data, at)
        if (words := content.output_transcription) and words.text:
            self._words(words.text, at)
        if content.generation_complete:
            self._finish()
        if content.interrupted and self._turn_open:
            self._cut_off(at)
        if content.turn_complete or content.waiting_for_input:
            self._turn_over()

    @property
    def _last(self) -> _Answer | None:
        return next(reversed(self._answers.values()), None)

    def _making(self) -> _Answer | None:
        return None if self._last is None or self._last.done else self._last

    def _alive(self, at: float) -> _Answer | None:
        """Return the answer that something belongs to, which may begin with it; None: it is dead."""
        answer = self._making() or self._begin()
        if answer.dead:
            self._cancelled_by = at + CANCELLED_S
            return None
        return answer

    def _begin(self) -> _Answer:
        if self._unasked and not self._expected:
            self._draft.events.append(TurnCommitted())
        self._expected, self._hearing, self._turn_open = False, False, True
        self._memory.begin(self._person_line, "person")  # its words may come later
        self._begun += 1
        answer = self._answers[f"answer_{self._begun}"] = _Answer(f"answer_{self._begun}")
        while len(self._answers) > KEPT_ANSWERS:
            del self._answers[next(iter(self._answers))]
        if said := self._memory.text(self._person_line):
            self._draft.events.append(Transcript("person", said.strip(), final=True))
        self._draft.events.append(ResponseStarted(answer.name))
        self._turn.answered()
        return answer

    def _sound(self, blob: Blob, at: float) -> None:
        rate = blob.rate
        if rate not in RATES:
            if blob.mime_type.startswith("audio/"):
                self.unplayable = blob.mime_type
            return
        try:
            pcm = binascii.a2b_base64(blob.data, strict_mode=True)
        except ValueError:
            self._draft.ignored += 1
            return
        late = self._turn_open and at < self._late_until
        answer = None if late else self._alive(at)
        if answer is None:
            return
        if rate != answer.resampler.source:
            answer.resampler = Resampler(rate, RATE)
        pcm = to_bytes(answer.resampler.process(from_bytes(answer.whole.samples(pcm))))
        answer.received += len(pcm)
        if pcm:
            self._draft.events.append(Audio(pcm, answer.name))

    def _words(self, text: str, at: float) -> None:
        """Take words, which may come after all of the sound."""
        answer = self._last if self._turn_open else self._alive(at)
        if answer and not answer.dead:
            self._memory.add(answer.name, "agent", text)
            self._draft.events.append(Transcript("agent", text, final=False))

    def _finish(self) -> None:
        answer = self._making()
        if answer is None:
            return
        answer.done = True
        self._cancelled_by = inf
        if not answer.dead and (words := self._memory.text(answer.name)):
            self._draft.events.append(Transcript("agent", words.strip(), final=True))
        self._draft.events.append(ResponseDone(answer.name))

    def _cut_off(self, at: float) -> None:
        """The service has stopped by itself, or because we told it that the person speaks: then it is dead already."""
        self._finish()
        self._late_until = at + CANCELLED_S
        if self._unasked and self._last and not self._last.dead:
            self._draft.events.append(Interrupted(self._last.name))

    def _turn_over(self) -> None:
        was_open, self._turn_open = self._turn_open, False
        self._hearing, self._late_until = False, 0.0
        self._finish()
        self._person_lines += was_open
        if self._expected and not was_open:
            self.none_expected()  # it has chosen to say nothing

    # ----------------------------------------------------------------------------------------- the person

    @property
    def _person_line(self) -> str:
        return f"person_{self._person_lines}"

    def _person_said(self, text: str) -> None:
        self._hearing = self._unasked and not self._turn_open
        self._memory.add(self._person_line, "person", text)
        self._draft.events.append(Transcript("person", text, final=False))

    def interrupt(self, name: str, heard_ms: float, at: float, *, tell: bool) -> bool:
        """Let an answer, and those begun after it, be heard no more; return whether the service is to be stopped, too.

        `tell`: it is told how much was heard.
        """
        if name not in self._answers:
            return False
        names = list(self._answers)
        known = self._answers[name].dead
        for later in names[names.index(name) :]:
            answer = self._answers[later]
            heard = max(0.0, heard_ms) * BYTES_PER_MS if later == name else 0.0
            if not answer.dead:
                answer.dead = True
                self._memory.keep(later, heard / max(1, answer.received))
        if tell and not known and not self._heard_whole(self._answers[name], heard_ms):
            self._draft.send.append(told(stopped(heard_ms, self._memory.text(name))))
        self._calls = {id: call for id, call in self._calls.items() if not self._dead(call[0])}
        if self._making():
            self._cancelled_by = at + CANCELLED_S
        return self._turn_open

    @staticmethod
    def _heard_whole(answer: _Answer, heard_ms: float) -> bool:
        return answer.done and heard_ms >= answer.received / BYTES_PER_MS - WHOLE_MS

    def _dead(self, name: str) -> bool:
        return name not in self._answers or self._answers[name].dead

    # ---------------------------------------------------------------------------------------------- tools

    def call(self, calls: list[FunctionCall] | None, at: float) -> None:
        for call in calls or ():
            if not call.id or not call.name or call.id in self._calls:
                self._draft.ignored += 1
                continue
            answer = self._alive(at)
            if answer is None:
                continue
            self._calls[call.id] = answer.name, call.name
            while len(self._calls) > KEPT_CALLS:
                del self._calls[next(iter(self._calls))]
            arguments = msgspec.json.encode(call.args or {}).decode()
            self._draft.events.append(ToolCalled(call.id, call.name, arguments))

    def cancel(self, ids: list[str] | None) -> None:
        """The service does not want to know any more."""
        for id in ids or ():
            self._calls.pop(id, None)

    def tool_result(self, id: str, output: str) -> None:
        """Give a tool's result to the service, which goes on speaking then."""
        if id not in self._calls:
            return
        _, name = self._calls.pop(id)
        failed = output.startswith(ERROR)
        response = {"error": output.removeprefix(ERROR)} if failed else {"output": output}
        answer = {"id": id, "name": name, "response": response}
        self._draft.send.append(message("toolResponse", {"functionResponses": [answer]}))
        self._expected = self._making() is None
