"""The responses of an OpenAI conversation, told as stories: made, interrupted, with tools; and two random walks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from edgevoice.agents.openai import Settings
from edgevoice.events import (
    Audio,
    Closed,
    Command,
    End,
    HangUp,
    Interrupt,
    Play,
    Respond,
    ResponseDone,
    ResponseStarted,
    ToolCalled,
    ToolResult,
    Transcript,
    TurnCommitted,
)
from tests.agents.service import Service
from tests.agents.stage import sound

BUSY = "conversation_already_has_active_response"


def speaking(*ms: float) -> Service:
    """Open a session in which response "a" has sent items x0, x1, ... of these lengths and is still being made."""
    service = Service().opens().begins("a", *(f"x{i}" for i in range(len(ms))))
    for i, length in enumerate(ms):
        service.speaks("a", f"x{i}", length)
    service.sent.clear()
    service.told.clear()
    return service


# ----------------------------------------------------------------------------------------------------- making


def test_a_response_is_told_from_its_beginning_to_its_end() -> None:
    service = Service().opens().begins("a", "x").speaks("a", "x", 20).ends("a")
    assert service.told[1:] == [ResponseStarted("a"), Audio(sound(20), "a"), ResponseDone("a")]


def test_a_response_without_sound_has_a_beginning_and_an_end() -> None:
    service = Service().opens().begins("a").ends("a")
    assert service.told[1:] == [ResponseStarted("a"), ResponseDone("a")]


def test_two_responses_at_once_are_kept_apart() -> None:
    service = Service().opens().begins("a", "x").begins("b", "y")
    service.speaks("a", "x", 20).speaks("b", "y", 40).ends("b").speaks("a", "x", 20).ends("a")
    assert service.heard("a") == sound(20) * 2
    assert service.heard("b") == sound(40)
    assert service.told_of(ResponseDone) == [ResponseDone("b"), ResponseDone("a")]


def test_a_sample_torn_between_two_deltas_is_mended() -> None:
    service = Service().opens().begins("a", "x")
    for piece in ("AQ==", "AgM=", "BAUG"):  # 1 | 2 3 | 4 5 6
        service.says("response.output_audio.delta", response_id="a", item_id="x", delta=piece)
    assert service.heard("a") == bytes((1, 2, 3, 4, 5, 6))


def test_sound_that_is_not_base64_is_left_out() -> None:
    service = Service().opens().begins("a", "x")
    service.says("response.output_audio.delta", response_id="a", item_id="x", delta="not base64 ä")
    assert service.speaks("a", "x", 20).heard("a") == sound(20)
    assert service.wire.ignored == 1


def test_a_response_that_failed_for_now_just_ends() -> None:
    service = Service().opens().begins("a").ends("a", "failed", "inference_rate_limit_exceeded")
    assert service.told[1:] == [ResponseStarted("a"), ResponseDone("a")]


def test_a_response_that_failed_for_lack_of_credit_ends_the_call() -> None:
    service = Service().opens().begins("a").ends("a", "failed", "insufficient_quota")
    closed = service.told[-1]
    assert isinstance(closed, Closed)
    assert closed.end is End.NO_CREDIT


# ----------------------------------------------------------------------------------------------------- asking


def test_a_second_answer_waits_for_the_end_of_the_first() -> None:
    service = speaking(100)
    service.commits().does(Respond())
    assert service.sent_types() == []
    service.ends("a")
    assert service.sent_types() == ["response.create"]


def test_a_refused_request_is_made_again_when_the_other_response_is_done() -> None:
    service = Service().opens().commits().does(Respond())
    service.objects(BUSY, "create_1")
    service.sent.clear()
    service.passes(0.9)
    assert service.sent == []
    service.passes(0.2)
    assert service.sent_types() == ["response.create"]


def test_a_request_that_crossed_an_older_response_is_made_again_after_it() -> None:
    service = Service().opens().begins("a").commits()
    service.ends("a").does(Respond())  # but the service has begun another one for the same reason as "a"
    service.objects(BUSY, None)
    service.sent.clear()
    service.passes(1)
    assert service.sent_types() == ["response.create"]


def test_a_service_that_answers_unasked_is_not_asked_again() -> None:
    service = Service(Settings(dialect="beta")).opens().commits().begins("a", "x").does(Respond())
    service.ends("a")
    assert service.sent_types() == ["session.update"]


def test_nor_if_our_request_crosses_its_answer() -> None:
    service = Service(Settings(dialect="beta")).opens().commits().does(Respond())
    service.begins("a", "x").objects(BUSY, "create_1").ends("a").passes(60)
    assert service.sent_types() == ["session.update", "response.create"]


def test_a_turn_for_which_an_answer_was_asked_is_not_answered_twice() -> None:
    service = Service().opens().commits().does(Respond(), Respond()).begins("a").does(Respond()).ends("a")
    assert service.sent_types() == ["session.update", "response.create"]


def test_a_request_that_is_refused_for_good_does_not_block_the_next() -> None:
    service = Service().opens().commits().does(Respond()).objects("invalid_value", "create_1")
    service.commits().does(Respond())
    assert service.sent_types() == ["session.update", "response.create", "response.create"]


def test_a_request_that_is_lost_does_not_block_the_next() -> None:
    service = Service().opens().commits().does(Respond()).passes(10).commits().does(Respond())
    assert service.sent_types() == ["session.update", "response.create", "response.create"]


# ----------------------------------------------------------------------------------------------- interruption


def test_an_interrupted_response_is_cancelled_and_cut_at_what_was_heard() -> None:
    service = speaking(1000).does(Interrupt("a", 314.9))
    assert service.sent_types() == ["response.cancel", "conversation.item.truncate"]
    service = speaking(1000).does(Interrupt("a", 314.9))
    assert service.sent_fields("response.cancel") == [{"response_id": "a"}]
    cut = {"item_id": "x0", "content_index": 0, "audio_end_ms": 314}
    assert service.sent_fields("conversation.item.truncate") == [cut]


def test_its_late_sound_and_words_are_dropped_and_its_end_is_told() -> None:
    service = speaking(1000).does(Interrupt("a", 300)).speaks("a", "x0", 100, "late words")
    service.says("response.output_audio_transcript.done", response_id="a", item_id="x0", transcript="all")
    assert service.told == []
    service.ends("a", "cancelled").speaks("a", "x0", 100)
    assert service.told == [ResponseDone("a")]


def test_words_of_an_interrupted_response_are_not_told() -> None:
    service = speaking(500).does(Interrupt("a", 100)).speaks("a", "x0", 100, "late")
    assert service.told_of(Transcript) == []


def test_a_response_that_is_wholly_made_is_cut_without_a_cancel() -> None:
    service = speaking(1000).ends("a").does(Interrupt("a", 300))
    assert service.sent_types() == ["conversation.item.truncate"]
    assert service.told == [ResponseDone("a")]


def test_a_response_that_was_heard_to_its_end_is_left_alone() -> None:
    assert speaking(500, 500).ends("a").does(Interrupt("a", 1000.0)).sent_types() == []
    assert speaking(500, 500).ends("a").does(Interrupt("a", 1500.0)).sent_types() == []


@pytest.mark.parametrize(
    ("heard_ms", "sent"),
    [
        (0, ["delete x0", "delete x1", "delete x2"]),
        (0.9, ["delete x0", "delete x1", "delete x2"]),
        (250, ["truncate x0 250", "delete x1", "delete x2"]),
        (500, ["delete x1", "delete x2"]),
        (733.3, ["truncate x1 233", "delete x2"]),
        (1100, ["truncate x2 100"]),
        (1200.5, []),
    ],
)
def test_of_several_items_each_is_cut_inside_itself(heard_ms: float, sent: list[str]) -> None:
    service = speaking(500, 500, 200.5).ends("a").does(Interrupt("a", heard_ms))
    cuts = [
        f"truncate {cut['item_id']} {cut['audio_end_ms']}" for cut in service.sent_fields("conversation.item.truncate")
    ]
    gone = [f"delete {item['item_id']}" for item in service.sent_fields("conversation.item.delete")]
    assert cuts + gone == sent


def test_all_that_came_was_heard_but_more_was_made() -> None:
    service = speaking(500, 200.5).does(Interrupt("a", 10_000))
    (cut,) = service.sent_fields("conversation.item.truncate")
    assert (cut["item_id"], cut["audio_end_ms"]) == ("x1", 200)


def test_everything_begun_after_it_is_dead_too_and_nothing_before_it() -> None:
    service = speaking(500).ends("a").begins("b", "y").speaks("b", "y", 500).ends("b")
    service.begins("c", "z").speaks("c", "z", 500)
    service.sent.clear()
    service.does(Interrupt("b", 200)).speaks("c", "z", 500)
    assert service.sent_fields("response.cancel") == [{"response_id": "c"}]
    assert [cut["item_id"] for cut in service.sent_fields("conversation.item.truncate")] == ["y"]
    assert service.sent_fields("conversation.item.delete") == [{"item_id": "z"}]
    assert service.heard("c") == sound(500)


def test_a_response_that_has_no_name_yet_is_cancelled_when_it_gets_one() -> None:
    service = speaking(500).ends("a").commits().does(Respond(), Interrupt("a", 500))
    service.sent.clear()
    service.told.clear()
    service.begins("b", "y")
    assert service.sent_types() == ["response.cancel"]
    service.speaks("b", "y", 100).ends("b", "cancelled")
    assert service.sent_types() == ["conversation.item.delete"]
    assert service.told == [ResponseDone("b")]


def test_the_next_turn_is_answered_when_the_cancelled_response_has_ended() -> None:
    service = speaking(1000).does(Interrupt("a", 300)).commits().does(Respond())
    assert service.sent_types() == ["response.cancel", "conversation.item.truncate"]
    service.ends("a", "cancelled")
    assert service.sent_types() == ["response.create"]


def test_a_cancelled_response_whose_end_never_comes_is_not_waited_for() -> None:
    service = speaking(1000).does(Interrupt("a", 300)).commits().does(Respond())
    service.sent.clear()
    service.passes(3)
    assert service.sent_types() == ["response.create"]
    assert service.told_of(ResponseDone) == [ResponseDone("a")]
    service.ends("a", "cancelled")
    assert service.told_of(ResponseDone) == [ResponseDone("a")]


def test_an_item_that_appears_after_the_interruption_is_deleted_in_the_end() -> None:
    service = speaking(500).does(Interrupt("a", 200)).adds("a", "late")
    service.sent.clear()
    service.ends("a", "cancelled")
    assert service.sent_fields("conversation.item.delete") == [{"item_id": "late"}]


def test_an_answer_that_waited_is_not_given_after_an_interruption() -> None:
    service = speaking(500)
    service.commits().does(Respond(), Interrupt("a", 200)).ends("a", "cancelled")
    assert "response.create" not in service.sent_types()


def test_nor_is_one_that_was_refused_meanwhile() -> None:
    service = speaking(500).ends("a").commits().does(Respond(), Interrupt("a", 500))
    service.objects(BUSY, "create_1").passes(60)
    assert service.sent_types() == ["response.create"]


def test_a_response_is_interrupted_once() -> None:
    service = speaking(1000).does(Interrupt("a", 300), Interrupt("a", 100))
    assert service.sent_types() == ["response.cancel", "conversation.item.truncate"]


def test_an_interruption_of_something_unknown_harms_nobody() -> None:
    service = speaking(500).does(Interrupt("nothing_1", 100), Interrupt("", 100))
    assert service.sent == []
    assert service.speaks("a", "x0", 100).heard("a") == sound(100)


# ------------------------------------------------------------------------------------------------------ tools


def test_a_tool_is_called_and_the_agent_goes_on_with_its_result() -> None:
    service = Service().opens().begins("a").calls("a", "c1", "set_volume", '{"percent": 40}')
    assert service.told[-1] == ToolCalled("c1", "set_volume", '{"percent": 40}')
    service.sent.clear()
    service.does(ToolResult("c1", "done"))
    assert service.sent_types() == ["conversation.item.create"]
    service.ends("a")
    assert service.sent_types() == ["response.create"]


def test_the_agent_goes_on_once_when_the_last_of_its_tools_is_done() -> None:
    service = Service().opens().begins("a").calls("a", "c1", "x", "{}").calls("a", "c2", "y", "{}").ends("a")
    service.sent.clear()
    service.does(ToolResult("c2", "two"), ToolResult("c2", "two again"), ToolResult("c9", "of nobody"))
    assert [item["item"] for item in service.sent_fields("conversation.item.create")] == [
        {"type": "function_call_output", "call_id": "c2", "output": "two"}
    ]
    assert service.sent_types() == ["conversation.item.create"]
    service.does(ToolResult("c1", "one"))
    assert service.sent_types() == ["conversation.item.create", "response.create"]
    service.ends("a").begins("b").ends("b")
    assert service.sent_types() == []


def test_a_result_that_comes_before_the_next_tool_is_called_does_not_hurry_the_agent() -> None:
    service = Service().opens().begins("a").calls("a", "c1", "x", "{}").does(ToolResult("c1", "one"))
    service.calls("a", "c2", "y", "{}").ends("a")
    assert service.sent_types() == ["session.update", "conversation.item.create"]
    service.does(ToolResult("c2", "two"))
    assert service.sent_types() == ["conversation.item.create", "response.create"]


def test_a_tool_of_a_response_that_was_interrupted_is_not_run() -> None:
    service = Service().opens().begins("a").does(Interrupt("a", 0)).calls("a", "c1", "hang_up", "{}")
    assert service.told_of(ToolCalled) == []


def test_a_tool_whose_arguments_were_cut_off_is_not_run() -> None:
    service = Service().opens().begins("a").calls("a", "c1", "set_volume", '{"perc', status="incomplete")
    assert service.told_of(ToolCalled) == []


def test_an_agent_that_was_interrupted_does_not_go_on_by_itself() -> None:
    service = Service().opens().begins("a", "x").speaks("a", "x", 100).calls("a", "c1", "x", "{}")
    service.does(Interrupt("a", 50)).ends("a", "cancelled")
    service.sent.clear()
    service.does(ToolResult("c1", "done"))
    assert service.sent_types() == ["conversation.item.create"]


def test_a_tool_that_is_told_of_only_at_the_end_is_called_once() -> None:
    service = Service().opens().begins("a")
    call = {"type": "function_call", "call_id": "c1", "name": "hang_up", "arguments": "{}"}
    service.says("response.done", response={"id": "a", "status": "completed", "output": [call, call]})
    assert service.told_of(ToolCalled) == [ToolCalled("c1", "hang_up", "{}")]


# ------------------------------------------------------------------------------------------------ random walks

RESPONSES, ITEMS, CALLS = ["a", "b", "c", "d"], ["x", "y"], ["c1", "c2"]
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.just(Respond()),
    st.builds(Play, st.sampled_from((sound(0.5), sound(130)))),
    st.builds(Interrupt, st.sampled_from(RESPONSES), st.floats(-10, 900)),
    st.builds(ToolResult, st.sampled_from(CALLS), st.just("done")),
)
STEPS: st.SearchStrategy[Callable[[Service], object]] = st.one_of(
    COMMANDS.map(lambda command: lambda service: service.does(command)),
    st.sampled_from(RESPONSES).map(lambda r: lambda service: service.begins(r)),
    st.tuples(st.sampled_from(RESPONSES), st.sampled_from(ITEMS)).map(lambda at: lambda service: service.adds(*at)),
    st.tuples(st.sampled_from(RESPONSES), st.sampled_from(ITEMS), st.integers(1, 300)).map(
        lambda at: lambda service: service.speaks(at[0], f"{at[0]}.{at[1]}", at[2], "words")
    ),
    st.tuples(st.sampled_from(RESPONSES), st.sampled_from(["completed", "cancelled", "failed"])).map(
        lambda at: lambda service: service.ends(*at)
    ),
    st.tuples(st.sampled_from(RESPONSES), st.sampled_from(CALLS)).map(
        lambda at: lambda service: service.calls(*at, "hang_up", "{}")
    ),
    st.sampled_from([BUSY, "response_cancel_not_active", None]).map(lambda c: lambda service: service.objects(c)),
    st.floats(0, 20).map(lambda seconds: lambda service: service.passes(seconds)),
    st.just(lambda service: service.commits()),
    st.just(lambda service: service.opens()),
)


@hypothesis_settings(max_examples=300)
@given(st.lists(STEPS, max_size=60), st.sampled_from(["server_vad", "none"]))
def test_whatever_happens_in_whatever_order(steps: list[Callable[[Service], object]], detection: Any) -> None:
    service = Service(Settings(turn_detection=detection)).opens()
    began: list[str] = []
    dead: set[str] = set()
    received: dict[str, float] = {}
    for step in steps:
        told = len(service.told)
        before = len(service.sent)
        step(service)
        for event in service.told[told:]:
            match event:
                case ResponseStarted(name):
                    began.append(name)
                case Audio(_, name):
                    assert name in began, "sound of a response that never began"
                    assert name not in dead, "sound of a dead response"
                    assert ResponseDone(name) not in service.told[:told], "sound after the end"
        for cut in (event for event in service.sent[before:] if event["type"] == "conversation.item.truncate"):
            response, _, _ = cut["item_id"].partition(".")
            received[cut["item_id"]] = len(service.heard(response)) / 48
            assert 0 < cut["audio_end_ms"] <= received[cut["item_id"]]
            dead.add(response)
        for cancel in (event for event in service.sent[before:] if event["type"] == "response.cancel"):
            dead.add(cancel["response_id"])
    ends = service.told_of(ResponseDone)
    assert len(set(ends)) == len(ends)
    service.does(HangUp("enough"))
    for step in steps:
        step(service)  # `take` fails if anything comes of it
    assert [type(event) for event in service.told].count(Closed) == 1


class Network:
    """An honest service, a while away: one response at a time, what was sent arrives late but in order."""

    def __init__(self) -> None:
        self.service = Service().opens()
        self.to_service: deque[dict[str, Any]] = deque()
        self.to_us: deque[Callable[[], object]] = deque()
        self.taken = len(self.service.sent)
        self.heard_of = len(self.service.told)
        self.active: str | None = None
        self.made = 0
        self.turns = 0
        self.answered = 0  # the turn that the last response knew
        self.refused = 0
        self.live: str | None = None  # what the person hears
        self.owed = False
        self.asked = 0

    def settle(self) -> None:
        """Move what we sent onto the network, and act as the conversation does on what we were told."""
        self.to_service += self.service.sent[self.taken :]
        self.taken = len(self.service.sent)
        told, self.heard_of = self.service.told[self.heard_of :], len(self.service.told)
        for event in told:
            match event:
                case TurnCommitted():
                    self.owed = True
                case ResponseStarted(name):
                    self.live = name
                case ResponseDone(name) if name == self.live:
                    self.live = None
        if self.owed and self.live:
            self.service.does(Interrupt(self.live, 100.0))
            self.live = None
        if self.owed:
            self.owed = False
            self.asked += 1
            self.service.does(Respond())
        if self.service.sent[self.taken :]:
            self.settle()

    def person(self) -> None:
        self.turns += 1
        self.to_us.append(lambda: self.service.commits(f"turn{self.turns}"))

    def by_itself(self) -> None:
        """Begin a response that nobody asked for, as after a silence."""
        if self.active is None:
            self.begin()

    def begin(self) -> None:
        self.made += 1
        self.answered = self.turns
        self.active = name = f"r{self.made}"
        self.to_us.append(lambda: self.service.begins(name, f"{name}.x"))

    def work(self) -> None:
        if self.active:
            name = self.active
            self.to_us.append(lambda: self.service.speaks(name, f"{name}.x", 300))

    def finish(self) -> None:
        if self.active:
            self.end(self.active, "completed")

    def end(self, name: str, status: str) -> None:
        self.active = None
        self.to_us.append(lambda: self.service.ends(name, status))

    def arrive(self) -> None:
        """Let the service read one message of ours."""
        if not self.to_service:
            return
        event = self.to_service.popleft()
        match event["type"]:
            case "response.create" if self.active:
                self.refused += 1
                self.to_us.append(lambda: self.service.objects(BUSY, event["event_id"]))
            case "response.create":
                self.begin()
            case "response.cancel" if event["response_id"] == self.active:
                self.end(event["response_id"], "cancelled")
            case "response.cancel":
                self.to_us.append(lambda: self.service.objects("response_cancel_not_active", None))

    def deliver(self) -> None:
        """Let us read one message of the service."""
        if self.to_us:
            self.to_us.popleft()()

    def calm_down(self) -> None:
        """Let everything under way come to its end."""
        for _ in range(200):
            self.settle()
            if self.to_service:
                self.arrive()
            elif self.to_us:
                self.deliver()
            elif self.active:
                self.finish()
            else:
                self.service.passes(0.5)
        assert (list(self.to_service), list(self.to_us), self.active) == ([], [], None)


MOVES = ("person", "arrive", "deliver", "work", "finish", "by_itself", "arrive", "deliver")


@hypothesis_settings(max_examples=300)
@given(st.lists(st.sampled_from(MOVES), max_size=80))
def test_every_turn_is_answered_and_none_twice_however_messages_cross(moves: list[str]) -> None:
    network = Network()
    for move in moves:
        getattr(network, move)()
        network.settle()
    network.calm_down()
    creates = len(network.service.sent_fields("response.create"))
    assert network.answered == network.turns, "the last turn was never answered"
    assert creates - network.refused <= network.asked, "the agent talks to itself"
    if "by_itself" not in moves:
        assert network.refused == 0, "it asked while a response was being made"
