"""The responses of an ElevenLabs conversation: begun by their sound, interrupted, ended; and the tools they call.

The service gives no names to responses. Pieces of sound have ascending numbers, and it tells up to which number it was
interrupted. So a response is what comes in one breath, and gets a name from us:

                 sound                  a pause, or "complete": ResponseDone
    (nothing) ──────────> sounding ─────────────────────────────────────────> (nothing)
                             │ Interrupt, or `interruption`                       ^
                             v                                                    │
                           dead: its sound is dropped until `interruption`, the person's next turn, "complete", a pause

* Sound with a number that was interrupted is dropped, however late it comes.
* We interrupt first: the service hears the person only a round trip later, and knows nothing of the button. There is no
  message that stops it. So we say that the person is active, which keeps it from going on by itself, and what they have
  heard; the person's own voice, which always flows, does the rest.
* A pause is silence after all was heard, if it was played at once. What comes after it is a response of its own, which
  nobody notices; it never brings a dead one back in the middle of a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from edgevoice.agents.draft import Draft
from edgevoice.agents.elevenlabs_session import Alignment, Sound, ToolCall
from edgevoice.agents.elevenlabs_sound import RATE, Mouth
from edgevoice.agents.memory import Memory, stopped
from edgevoice.events import Audio, Interrupted, ResponseDone, ResponseStarted, ToolCalled, Transcript

BYTES_PER_MS = RATE * 2 // 1000
KEPT_RESPONSES = 32
KEPT_CALLS = 64
PAUSE_S = 0.5  # the service sends faster than it is heard: a gap that can be heard is the end, or as good as that
WHOLE_MS = 100.0  # less than that is no part of a sentence that somebody missed
GREETING_S = 2.0  # by then the service has begun to greet
INTERRUPTED = "the person interrupted you, so it was not done"


@dataclass(slots=True)
class _Response:
    name: str
    first: int  # the number of its first piece
    received: int = 0  # bytes, at our rate
    signs: list[tuple[float, str]] = field(default_factory=list)  # of its text, each with the ms at which it begins
    dead: bool = False
    done: bool = False  # told
    over: bool = False  # no more of it will come, by the service's own word


class Answers:
    """What the agent says, and is stopped from saying. It writes into `draft` and `memory`."""

    def __init__(self, draft: Draft, memory: Memory) -> None:
        self._draft = draft
        self._memory = memory
        self._mouth: Mouth | None = None
        self._responses: dict[str, _Response] = {}  # the oldest first
        self._current: _Response | None = None  # whose sound comes now
        self._names = 0
        self._latest = 0  # number of a piece
        self._interrupted = -1  # up to which number the service was interrupted
        self._silent_at = -inf  # when all that came has been heard, if it was played at once
        self._words = ""  # that came before the sound
        self._calls: dict[str, None] = {}  # tools that have not given their result

    @property
    def deadline(self) -> float:
        return self._silent_at + PAUSE_S if self._current else inf

    def expire(self, at: float) -> None:
        if self._current and at >= self.deadline:
            self._end(self._current)

    # --------------------------------------------------------------------------------------------- making

    def speak_with(self, mouth: Mouth) -> None:
        """Set how the sound is decoded."""
        self._mouth = mouth

    def sound(self, sound: Sound, at: float) -> None:
        number = self._latest + 1 if sound.event_id is None else sound.event_id
        if number <= self._interrupted or self._mouth is None:
            return
        self._latest = max(self._latest, number)
        response = self._current or self._begin(number)
        try:
            pcm = self._mouth.decode(sound.audio_base_64)
        except ValueError:
            self._draft.ignored += 1
            return
        self._silent_at = max(self._silent_at, at) + len(pcm) / BYTES_PER_MS / 1000
        if response.dead or not pcm:
            return
        self._align(response, sound.alignment)
        response.received += len(pcm)
        self._draft.events.append(Audio(pcm, response.name))

    def _begin(self, number: int) -> _Response:
        assert self._mouth is not None
        self._mouth.begin()
        self._names += 1
        response = self._current = _Response(f"response_{self._names}", number)
        self._responses[response.name] = response
        while len(self._responses) > KEPT_RESPONSES:
            del self._responses[next(iter(self._responses))]
        if self._words:
            self._memory.say(response.name, "agent", self._words)
            self._words = ""
        self._draft.events.append(ResponseStarted(response.name))
        return response

    def _align(self, response: _Response, alignment: Alignment | None) -> None:
        if alignment:
            began_ms = response.received / BYTES_PER_MS
            starts = zip(alignment.char_start_times_ms, alignment.chars, strict=False)
            response.signs += [(began_ms + start_ms, sign) for start_ms, sign in starts]

    def says(self, text: str) -> None:
        """Take the words of a response; they come before its sound, or a little after it has begun."""
        if self._current and self._current.dead:
            return
        if self._current and not self._memory.text(self._current.name):
            self._memory.say(self._current.name, "agent", text)
        else:
            self._words = text
        self._draft.events.append(Transcript("agent", text, final=True))

    def corrected(self, text: str) -> None:
        """Take what the service holds to have been said, after an interruption."""
        dead = [response.name for response in self._responses.values() if response.dead]
        if dead:
            self._memory.say(dead[-1], "agent", text)
        if text:
            self._draft.events.append(Transcript("agent", text, final=True))

    def complete(self) -> None:
        """No more of the response comes, by the service's own word: so too when the person's next turn has ended."""
        if self._current:
            self._current.over = True
            self._end(self._current)

    def take_over(self) -> None:
        """Go on in a new conversation, with numbers of its own. What was being said is over."""
        for response in self._responses.values():
            response.over = True
            self._end(response)
        self._calls.clear()
        self._words = ""
        self._latest, self._interrupted = 0, -1

    def drop_greeting(self, at: float) -> None:
        """Let nobody hear what a new conversation says first, if it says it now: it was heard before."""
        self._current = _Response("", 0, dead=True, done=True)
        self._silent_at = at + GREETING_S

    def nothing(self) -> None:
        """The agent is done with the person's turn without a word: tell so, that nobody waits for an answer."""
        self._names += 1
        name = f"nothing_{self._names}"
        self._draft.events += [ResponseStarted(name), ResponseDone(name)]

    def _end(self, response: _Response) -> None:
        if self._current is response:
            self._current = None
        if not response.done:
            response.done = True
            self._draft.events.append(ResponseDone(response.name))

    # --------------------------------------------------------------------------------------- interruption

    def interrupted(self, number: int | None) -> None:
        """The service was interrupted, by what it hears of the person: it makes no more of what it was saying."""
        self._interrupted = max(self._interrupted, self._latest if number is None else number)
        last = next(reversed(self._responses.values()), None)
        if last is None or last.first > self._interrupted:
            return
        last.over = True
        if not last.dead:
            last.dead = True
            self._draft.events.append(Interrupted(last.name))
        self._end(last)

    def interrupt(self, name: str, heard_ms: float, at: float) -> None:
        """Stop a response and everything begun after it; `heard_ms` of it was heard, and nothing of the others."""
        if name not in self._responses:
            return
        names = list(self._responses)
        last = self._responses[names[-1]]
        known = self._responses[name].dead  # by the service, which interrupted itself
        for later in names[names.index(name) :]:
            response = self._responses[later]
            response.dead = True
            self._keep(response, heard_ms if later == name else 0.0)
            self._end(response)
        if not last.over:  # more of it may come, and is not to be heard
            self._current = last
            self._silent_at = max(self._silent_at, at)
        if not known:
            self._draft.say("user_activity")
        self._tell_heard(self._responses[name], heard_ms)  # which the service can only guess

    def _keep(self, response: _Response, heard_ms: float) -> None:
        """Make our memory forget what was not heard."""
        if response.signs:
            heard = "".join(sign for began_ms, sign in response.signs if began_ms < heard_ms)
            self._memory.say(response.name, "agent", heard)
        else:
            self._memory.keep(response.name, heard_ms * BYTES_PER_MS / max(1, response.received))

    def _tell_heard(self, response: _Response, heard_ms: float) -> None:
        if heard_ms >= response.received / BYTES_PER_MS - WHOLE_MS and response.over:
            return
        self._draft.say("contextual_update", text=stopped(heard_ms, self._memory.text(response.name)))

    # ---------------------------------------------------------------------------------------------- tools

    def call(self, call: ToolCall) -> None:
        if not call.tool_call_id or not call.tool_name or call.tool_call_id in self._calls:
            self._draft.ignored += 1
            return
        self._calls[call.tool_call_id] = None
        while len(self._calls) > KEPT_CALLS:
            del self._calls[next(iter(self._calls))]
        if self._current and self._current.dead:
            self.tool_result(call.tool_call_id, f"error: {INTERRUPTED}")
            return
        if self._current is None:  # it does something instead of answering, and may have nothing to say
            self.nothing()
        self._draft.events.append(ToolCalled(call.tool_call_id, call.tool_name, call.arguments))

    def tool_result(self, id: str, output: str) -> None:
        if id in self._calls:
            del self._calls[id]
            failed = output.startswith("error:")
            self._draft.say("client_tool_result", tool_call_id=id, result=output, is_error=failed)
