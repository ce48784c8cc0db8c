"""The responses of an OpenAI conversation: asked for, made, interrupted, ended; one at a time.

           want            response.created            response.done
    (wish) ----> response.create ----> alive ------------------> done
      ^   waits while one is made        | interrupt               | all its tools gave a result
      |                                  v                         v
      |                     dead, response.cancel ----> done     (wish)
      +---- refused: another one is being made

* A dead response stays dead by its id; its late sound is dropped, and never counts as received.
* One that was interrupted before it had an id is cancelled when it gets one: a cancel without id would do nothing.
* The service is told what was heard: cancel, then truncate inside the item, then delete what nobody heard.
* Everything is bounded: the last `KEPT_RESPONSES` are remembered.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from edgevoice.agents.draft import Draft
from edgevoice.agents.memory import Memory
from edgevoice.agents.openai_session import BYTES_PER_MS, Item, Message, Outcome, Problem
from edgevoice.audio.pcm import Whole
from edgevoice.events import Audio, ResponseDone, ResponseStarted, ToolCalled, Transcript

KEPT_RESPONSES = 32
KEPT_CALLS = 64
BEGUN_S = 10.0  # a response.create without any answer by then is lost
CANCELLED_S = 3.0  # a cancelled response whose end is not told by then has ended
RETRY_S = 1.0  # after this the service may be done with a response that we know nothing of


@dataclass(slots=True)
class _Sound:
    """The sound of one item of a response."""

    received: int = 0  # bytes
    whole: Whole = field(default_factory=Whole)  # a delta may end in the middle of a sample
    settled: bool = False  # the service knows how much of it was heard


@dataclass(slots=True)
class _Response:
    session: int
    turn: int  # how many turns of the person went before
    dead: bool = False
    done: bool = False
    items: dict[str, _Sound] = field(default_factory=dict)
    calls: set[str] = field(default_factory=set)  # tools that have not given their result
    used_tools: bool = False

    @property
    def alive(self) -> bool:
        """Whether more of it may be heard."""
        return not (self.dead or self.done)


@dataclass(slots=True)
class _Asked:
    """A `response.create` that waits for its `response.created`."""

    id: str
    turn: int
    instructions: str
    dead: bool = False


class Answers:
    """What the agent is asked to say, says, and is stopped from saying. It writes into `draft` and `memory`."""

    def __init__(self, draft: Draft, memory: Memory) -> None:
        self.turns = 0  # of the person, so far
        self._draft = draft
        self._memory = memory
        self._session = 1
        self._responses: dict[str, _Response] = {}  # the oldest first
        self._calls: dict[str, _Response] = {}
        self._tools: dict[str, str] = {}  # the names of those that have not given their result
        self._wish: str | None = None  # the instructions (often none) of a response that cannot be asked for yet
        self._asked: _Asked | None = None
        self._creates = 0
        self._silent_at = 0.0  # when all that was received has been heard, if it was played at once
        self._begun_by = inf
        self._cancelled_by = inf
        self._retry_at = inf
        self.reactions: dict[str, Callable[[Message, float], None]] = {
            "response.created": self._begun,
            "response.output_item.added": self._item_added,
            "response.output_audio.delta": self._sound,
            "response.output_audio_transcript.delta": self._speaks,
            "response.output_audio_transcript.done": self._said,
            "response.output_item.done": self._item_done,
            "response.done": self._done,
        }

    @property
    def deadline(self) -> float:
        return min(self._begun_by, self._cancelled_by, self._retry_at)

    def expire(self, at: float) -> None:
        if at >= self._begun_by:
            self._asked, self._begun_by = None, inf
        if at >= self._cancelled_by:
            self._cancelled_by = inf
            for name, response in self._responses.items():
                if response.dead:
                    self._finish(name, response)
        if at >= self._retry_at:
            self._retry_at = inf
        self._ask(at)

    def paused(self, at: float) -> bool:
        """Tell whether the agent neither speaks nor is about to, as far as can be known here."""
        silent = at >= self._silent_at and self._asked is None and self._wish is None
        return silent and all(response.done and not response.calls for response in self._responses.values())

    # --------------------------------------------------------------------------------------------- asking

    @property
    def answering(self) -> bool:
        """Whether the person's last turn is being answered: some look-alikes do it unasked."""
        if self._asked and not self._asked.dead and self._asked.turn == self.turns:
            return True
        return any(response.alive and response.turn == self.turns for response in self._responses.values())

    @property
    def waiting(self) -> bool:
        """A response was asked for, or is to be, and has not begun."""
        return self._wish is not None or (self._asked is not None and not self._asked.dead)

    def want(self, instructions: str, at: float) -> None:
        """Ask for a response as soon as none is being made."""
        self._wish = instructions
        self._ask(at)

    def want_nothing(self) -> None:
        """Answer a turn of nothing by an empty response, so that nobody waits for one."""
        self._creates += 1
        self._draft.events += [ResponseStarted(f"nothing_{self._creates}"), ResponseDone(f"nothing_{self._creates}")]

    def _making(self) -> bool:
        return not all(response.done for response in self._responses.values())

    def _ask(self, at: float) -> None:
        if self._wish is None or self._asked or self._retry_at < inf or self._making():
            return
        self._creates += 1
        self._asked = _Asked(f"create_{self._creates}", self.turns, self._wish)
        self._begun_by = at + BEGUN_S
        response = {"response": {"instructions": self._wish}} if self._wish else {}
        self._draft.say("response.create", event_id=self._asked.id, **response)
        self._wish = None

    def refused(self, problem: Problem, at: float) -> None:
        """Take an error, which may be the answer to a `response.create`."""
        busy = problem.code == "conversation_already_has_active_response"
        asked = self._asked
        if asked is None or not (busy or problem.event_id == asked.id):
            return
        self._asked, self._begun_by = None, inf
        if busy and not asked.dead:  # by a response that we know nothing of: ours would have been told
            self._wish = asked.instructions if self._wish is None else self._wish
            self._retry_at = at + RETRY_S
        self._ask(at)

    # --------------------------------------------------------------------------------------------- making

    def _begun(self, message: Message, at: float) -> None:
        name = message.response.id if message.response else ""
        if not name or name in self._responses:
            return
        stillborn = self._asked is not None and self._asked.dead
        self._asked, self._begun_by = None, inf
        response = self._responses[name] = _Response(self._session, self.turns)
        while len(self._responses) > KEPT_RESPONSES:
            del self._responses[next(iter(self._responses))]
        if stillborn:
            self._kill(name, response, 0, at)
        else:
            self._draft.events.append(ResponseStarted(name))

    def _alive(self, message: Message) -> _Response | None:
        response = self._responses.get(message.response_id)
        return response if response and response.alive else None

    def _item_added(self, message: Message, at: float) -> None:
        response, item = self._responses.get(message.response_id), message.item
        if response and not response.done and item and item.id and item.type == "message":
            response.items.setdefault(item.id, _Sound())

    def _sound(self, message: Message, at: float) -> None:
        response = self._alive(message)
        if response is None:
            return
        try:
            pcm = binascii.a2b_base64(message.delta or "", strict_mode=True)
        except ValueError:
            self._draft.ignored += 1
            return
        sound = response.items.setdefault(message.item_id, _Sound())
        pcm = sound.whole.samples(pcm)
        sound.received += len(pcm)
        self._silent_at = max(self._silent_at, at) + len(pcm) / BYTES_PER_MS / 1000
        if pcm:
            self._draft.events.append(Audio(pcm, message.response_id))

    def _speaks(self, message: Message, at: float) -> None:
        if message.delta and self._alive(message):
            self._memory.add(message.item_id, "agent", message.delta)
            self._draft.events.append(Transcript("agent", message.delta, final=False))

    def _said(self, message: Message, at: float) -> None:
        if message.transcript and self._alive(message):
            self._memory.say(message.item_id, "agent", message.transcript)
            self._draft.events.append(Transcript("agent", message.transcript, final=True))

    def _done(self, message: Message, at: float) -> None:
        outcome = message.response or Outcome()
        response = self._responses.get(outcome.id)
        if response is None or response.done:
            return
        if response.alive and outcome.status == "completed":
            for item in outcome.output or ():  # some look-alikes tell of a tool only here
                self._call(response, item)
        self._finish(outcome.id, response)
        self._go_on(response)
        self._ask(at)

    def _finish(self, name: str, response: _Response) -> None:
        if response.done:
            return
        response.done = True
        if response.dead:
            self._settle(response, 0)
        self._draft.events.append(ResponseDone(name))

    def take_over(self, at: float) -> None:
        """Go on in a new session. What the old one did not finish it never will: the agent is asked again."""
        self._session += 1
        self._cancelled_by = self._retry_at = inf
        if self._asked and not self._asked.dead:
            self._wish = self._asked.instructions
        self._asked, self._begun_by = None, inf
        for name, response in self._responses.items():
            if response.alive:
                self._wish = self._wish or ""
            response.calls.clear()
            self._tools.clear()
            self._finish(name, response)
        self._calls.clear()
        self._ask(at)

    # ---------------------------------------------------------------------------------------------- tools

    def _item_done(self, message: Message, at: float) -> None:
        """Not at `function_call_arguments.done`: that comes for arguments that were cut off, too."""
        if message.item and (response := self._alive(message)):
            self._call(response, message.item)

    def _call(self, response: _Response, item: Item) -> None:
        if item.type != "function_call" or item.status not in (None, "completed"):
            return
        if not item.call_id or not item.name or item.call_id in self._calls:
            return
        response.used_tools = True
        response.calls.add(item.call_id)
        self._calls[item.call_id] = response
        while len(self._calls) > KEPT_CALLS:
            oldest = next(iter(self._calls))
            del self._calls[oldest]
            self._tools.pop(oldest, None)
        self._tools[item.call_id] = item.name
        self._draft.events.append(ToolCalled(item.call_id, item.name, item.arguments or ""))

    def tool_result(self, id: str, output: str, at: float) -> None:
        response = self._calls.get(id)
        if response is None or id not in response.calls:
            return
        response.calls.discard(id)
        self._memory.say(id, "tool", f"{self._tools.pop(id, 'a tool')} was called; its result: {output}")
        self._draft.say(
            "conversation.item.create", item={"type": "function_call_output", "call_id": id, "output": output}
        )
        self._go_on(response)
        self._ask(at)

    def _go_on(self, response: _Response) -> None:
        """Let the agent speak again, once, when it has the results of all its tools."""
        if response.used_tools and response.done and not response.dead and not response.calls:
            self._wish = self._wish or ""

    # --------------------------------------------------------------------------------------- interruption

    def interrupt(self, name: str, heard_ms: float, at: float) -> None:
        """Stop a response and everything begun after it; `heard_ms` of it was heard, and nothing of the others."""
        if name not in self._responses:
            return
        names = list(self._responses)
        for later in names[names.index(name) :]:
            heard = int(max(0.0, heard_ms) * BYTES_PER_MS) if later == name else 0
            if not self._responses[later].dead:
                self._kill(later, self._responses[later], heard, at)
        if self._asked:
            self._asked.dead = True
        self._wish = None
        self._silent_at = at

    def _kill(self, name: str, response: _Response, heard: int, at: float) -> None:
        response.dead = True
        if not response.done:
            self._draft.say("response.cancel", response_id=name)
            self._cancelled_by = at + CANCELLED_S
        self._settle(response, heard)

    def _settle(self, response: _Response, heard: int) -> None:
        """Make the service, and our own memory, forget what was not heard. `heard` is bytes, from the beginning."""
        last = next(reversed(response.items), None)
        for name, sound in response.items.items():
            here = min(max(heard, 0), sound.received)
            heard -= sound.received
            if sound.settled:
                continue
            sound.settled = True
            whole = 0 < sound.received == here
            self._memory.keep(name, 1.0 if whole else here / max(1, sound.received))
            if response.session != self._session or (whole and (response.done or name != last)):
                continue
            if ms := here // BYTES_PER_MS:
                self._draft.say("conversation.item.truncate", item_id=name, content_index=0, audio_end_ms=ms)
            else:
                self._draft.say("conversation.item.delete", item_id=name)
