"""A Gemini conversation, told as stories: the session, the person's turn, answers, tools, connections that end."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.agents.gemini import Gemini, Settings
from edgevoice.audio.pcm import from_bytes
from edgevoice.audio.resample import Resampler
from edgevoice.events import (
    Audio,
    Closed,
    End,
    HangUp,
    Interrupt,
    Interrupted,
    Opened,
    Play,
    Respond,
    ResponseDone,
    ResponseStarted,
    Resumed,
    SpeechStarted,
    ToolCalled,
    ToolResult,
    Transcript,
    TurnCommitted,
)
from edgevoice.tools import TOOLS
from edgevoice.wire import NOTHING, Wire
from tests.agents.gemini_service import GeminiService
from tests.agents.stage import sound, stays_small

SERVER_VAD = Settings(turn_detection="server_vad")
RESPONSES = (ResponseStarted, ResponseDone, TurnCommitted, Interrupted)


def opened(settings: Settings | None = None) -> GeminiService:
    service = GeminiService(settings).opens()
    service.told.clear()
    return service


def asked(settings: Settings | None = None) -> GeminiService:
    """The person has said something that wants an answer."""
    service = opened(settings).does(Play(sound(400)), Respond())
    service.turns()
    return service


def story(service: GeminiService) -> list[object]:
    """Return what was told of responses since the last time."""
    told = [event for event in service.told if isinstance(event, RESPONSES)]
    service.told.clear()
    return list(told)


# ------------------------------------------------------------------------------------------------ the session


def test_it_is_a_wire_of_24_khz() -> None:
    wire: Wire = Gemini(Settings())
    assert wire.rate == 24_000
    assert wire.deadline is None


def test_nothing_is_told_or_sent_before_the_session_is_set_up() -> None:
    service = GeminiService()
    service.take(service.wire.opened(service.at))
    assert service.setup()["model"] == "models/gemini-3.8-live"
    service.does(Play(sound(400)), Respond())
    assert len(service.sent) == 1
    assert service.told == []
    service.says(setupComplete={})
    assert service.told == [Opened()]
    assert service.wire.deadline is None


def test_a_service_that_does_not_begin_the_session_is_given_up() -> None:
    service = GeminiService()
    service.take(service.wire.opened(service.at))
    service.passes(10)
    assert service.told == [
        Closed(End.LINK_LOST, "generativelanguage.googleapis.com does not begin a session"),
    ]
    assert service.close


def test_messages_in_binary_frames_are_read_too() -> None:
    wire = Gemini(Settings())
    wire.opened(1.0)
    assert wire.receive(b'{"setupComplete": {}}\n', 1.1).events == (Opened(),)


def test_the_agent_greets_once_however_many_connections_there_are() -> None:
    service = GeminiService(Settings(greeting="Good evening."))
    service.opens()
    assert service.turns() == [
        "activityStart",
        "Say exactly this, and nothing else: Good evening.",
        "activityEnd",
    ]
    service.speaks(200).ends()
    service.resumes()
    assert service.turns() == []


def test_hanging_up_before_the_connection_stands_is_told() -> None:
    wire = Gemini(Settings())
    assert wire.perform(HangUp("enough"), 1.0).events == (Closed(End.HUNG_UP, "enough"),)


# ------------------------------------------------------------------------------------------ the person's turn


def test_a_turn_is_marked_where_it_begins_and_ends() -> None:
    service = opened().does(*[Play(sound(20))] * 50, Respond())
    assert service.turns() == ["activityStart", "1000 ms", "activityEnd"]
    service.speaks(500).ends().does(*[Play(sound(10))] * 40, Respond())
    assert service.turns() == ["activityStart", "400 ms", "activityEnd"]


def test_what_the_microphone_hears_arrives_as_16_khz_in_order_and_once() -> None:
    service = opened()
    rng = np.random.default_rng(1)
    pcm = (rng.normal(0, 3000, 24_000)).astype("<i2").tobytes()
    for i in range(0, len(pcm), 2 * 313):
        service.does(Play(pcm[i : i + 2 * 313]))
    service.does(Respond())
    assert service.appended() == Resampler(24_000, 16_000).process(from_bytes(pcm)).tobytes()


def test_a_touch_of_the_button_is_no_turn_and_nobody_waits_for_an_answer() -> None:
    service = opened().does(Play(sound(80)), Respond())
    assert service.turns() == []
    assert story(service) == [ResponseStarted("answer_1"), ResponseDone("answer_1")]
    service.does(Play(sound(120)))
    assert service.turns() == ["activityStart", "120 ms"], "and nothing of it is in the next turn"


def test_who_goes_on_speaking_before_the_answer_is_heard_from_the_first_word() -> None:
    service = asked().does(Play(sound(60)))
    service.marks("turnComplete").does(Play(sound(60)))
    assert service.turns() == ["activityStart", "120 ms"]


def test_where_the_service_ends_the_turns_the_sound_flows_without_marks() -> None:
    service = opened(SERVER_VAD).does(*[Play(sound(20))] * 10, Respond())
    assert service.turns() == ["200 ms"]
    service.speaks(100).marks("generationComplete")
    assert story(service) == [TurnCommitted(), ResponseStarted("answer_1"), ResponseDone("answer_1")]


def test_a_voice_that_the_service_hears_is_told() -> None:
    service = opened(SERVER_VAD)
    service.says(voiceActivity={"voiceActivityType": "ACTIVITY_START", "audioOffset": "1.5s"})
    service.says(voiceActivity={"voiceActivityType": "ACTIVITY_END", "audioOffset": "2s"})
    assert service.told == [SpeechStarted()]


# ----------------------------------------------------------------------------------------------- the answers


def test_an_answer_is_heard_whole_and_has_a_name_of_its_own() -> None:
    service = asked().speaks(300).speaks(200)
    service.ends().does(Play(sound(400)), Respond())
    service.speaks(100).ends()
    assert story(service) == [
        *(ResponseStarted("answer_1"), ResponseDone("answer_1")),
        *(ResponseStarted("answer_2"), ResponseDone("answer_2")),
    ]
    service = asked().speaks(300).speaks(200)
    assert service.heard("answer_1") == sound(300) + sound(200)


def test_an_answer_whose_end_is_told_in_one_message_with_its_sound_is_heard() -> None:
    service = asked()
    service.says(
        serverContent={
            "modelTurn": {
                "parts": [{"text": "thinking"}, {"inlineData": {"mimeType": "audio/pcm", "data": "AAAAAA=="}}]
            },
            "outputTranscription": {"text": "Yes."},
            "generationComplete": True,
            "turnComplete": True,
        }
    )
    assert service.heard("answer_1") == bytes(4)
    assert story(service) == [ResponseStarted("answer_1"), ResponseDone("answer_1")]


def test_a_sample_that_is_cut_in_two_is_put_together() -> None:
    service = asked()
    for data in ("AQI=", "AwQF", "Bg=="):
        service.says(serverContent={"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": data}}]}})
    assert service.heard("answer_1") == bytes([1, 2, 3, 4, 5, 6])


def test_sound_at_another_rate_is_converted() -> None:
    service = asked().speaks(300, mime_type="audio/pcm;rate=16000")
    assert len(service.heard("answer_1")) == len(sound(300)) * 24_000 // 16_000


@pytest.mark.parametrize("kind", ["audio/opus", "audio/pcm;rate=23000", "audio/pcm;rate=fast"])
def test_sound_that_we_cannot_play_ends_the_call_with_a_sentence(kind: str) -> None:
    service = asked()
    service.says(serverContent={"modelTurn": {"parts": [{"inlineData": {"mimeType": kind, "data": "AAAA"}}]}})
    host = "generativelanguage.googleapis.com"
    said = f"{host} sends sound as {kind!r}, expected 'audio/pcm;rate=24000'"
    assert service.told == [Closed(End.BROKEN, said)]


def test_a_model_that_chooses_to_say_nothing_lets_us_listen_again() -> None:
    for mark in ("turnComplete", "waitingForInput"):
        service = asked().marks(mark)
        assert story(service) == [ResponseStarted("answer_1"), ResponseDone("answer_1")]


def test_words_that_come_after_all_of_the_sound_begin_no_answer() -> None:
    service = asked().speaks(300, "Hel").marks("generationComplete")
    service.says(serverContent={"outputTranscription": {"text": "lo."}})
    service.marks("turnComplete")
    assert story(service) == [ResponseStarted("answer_1"), ResponseDone("answer_1")]


def test_words_of_both_are_told() -> None:
    service = asked().hears("What is ").hears("the time?").speaks(100, "It is ").speaks(100, "noon.").ends()
    assert service.told_of(Transcript) == [
        Transcript("person", "What is ", final=False),
        Transcript("person", "the time?", final=False),
        Transcript("person", "What is the time?", final=True),
        Transcript("agent", "It is ", final=False),
        Transcript("agent", "noon.", final=False),
        Transcript("agent", "It is noon.", final=True),
    ]


# ---------------------------------------------------------------------------------------------- interruptions


def test_an_interrupted_answer_is_never_heard_again_and_the_service_is_stopped_by_a_mark() -> None:
    service = asked().speaks(1000).does(Interrupt("answer_1", 300.0))
    assert service.turns() == ["activityStart"]
    before = service.heard("answer_1")
    service.speaks(500, "late").speaks(500).marks("interrupted").speaks(500).marks("turnComplete")
    assert service.heard("answer_1") == before
    assert story(service) == [ResponseStarted("answer_1"), ResponseDone("answer_1")]
    service.does(Play(sound(600)), Respond())
    assert service.turns() == ["600 ms", "activityEnd"], "the turn has begun already"
    service.speaks(200).speaks(300)
    assert service.heard("answer_2") == sound(200) + sound(300), "the next one is heard whole"
    assert story(service) == [ResponseStarted("answer_2")]


def test_the_turn_that_an_interruption_began_waits_for_words_after_a_touch_of_the_button() -> None:
    service = asked().speaks(1000).does(Interrupt("answer_1", 300.0), Respond())
    assert service.turns() == ["activityStart"]
    service.marks("interrupted", "turnComplete").does(Play(sound(200)), Respond())
    assert service.turns() == ["200 ms", "activityEnd"]


def told(service: GeminiService) -> list[str]:
    """Return what was said to the service in words, none of which wants an answer."""
    contents = [event["clientContent"] for event in service.sent if "clientContent" in event]
    assert not any(content["turnComplete"] for content in contents)
    return [content["turns"][0]["parts"][0]["text"] for content in contents]


def test_the_service_is_told_in_words_how_much_was_heard() -> None:
    service = asked().speaks(1000, "one two three four").does(Interrupt("answer_1", 500.0))
    assert told(service) == [
        "The person stopped you 0.50 s after you began your last answer, and heard no more of it. "
        'The last they heard was: "one two"'
    ]
    assert list(service.sent[-1]["realtimeInput"]) == ["activityStart"], "before the turn"
    service.does(Interrupt("answer_1", 500.0))
    assert len(told(service)) == 1, "once"


def test_who_has_heard_all_of_an_answer_has_missed_nothing() -> None:
    service = asked().speaks(1000).ends().does(Interrupt("answer_1", 990.0))
    assert told(service) == []


@pytest.mark.parametrize("settings", [SERVER_VAD, Settings(model="gemini-3.1-flash-live-preview")])
def test_who_takes_no_words_in_mid_call_is_told_none(settings: Settings) -> None:
    service = opened(settings).speaks(1000).does(Interrupt("answer_1", 500.0))
    assert told(service) == []


def test_an_answer_that_the_service_has_finished_is_only_ours_to_stop() -> None:
    service = asked().speaks(1000).ends().does(Interrupt("answer_1", 300.0))
    assert service.turns() == []
    service.does(Play(sound(200)))
    assert service.turns() == ["activityStart", "200 ms"]
    service.speaks(100)
    assert story(service)[-1] == ResponseStarted("answer_2"), "what comes now is another answer"


def test_a_service_that_waits_for_the_playback_is_told_that_it_has_ended() -> None:
    service = asked().speaks(1000).marks("generationComplete").does(Interrupt("answer_1", 300.0))
    assert service.turns() == ["activityStart"]
    service.marks("interrupted", "turnComplete").does(Play(sound(200)), Respond())
    service.speaks(100)
    assert story(service) == [
        *(ResponseStarted("answer_1"), ResponseDone("answer_1"), ResponseStarted("answer_2")),
    ]


def test_an_end_that_is_never_told_does_not_swallow_the_next_answer() -> None:
    service = asked().speaks(1000).does(Interrupt("answer_1", 300.0), Play(sound(500)), Respond())
    service.passes(2.9)
    service.speaks(100)
    service.passes(2.9)
    assert service.heard("answer_2") == b"", "it is still the old one"
    service.passes(0.2)
    service.speaks(100)
    assert service.heard("answer_2") == sound(100)


def test_what_the_service_interrupts_by_itself_is_forgotten_where_it_ends_the_turns() -> None:
    service = opened(SERVER_VAD).speaks(1000).marks("interrupted", "turnComplete")
    assert story(service) == [
        *(TurnCommitted(), ResponseStarted("answer_1"), ResponseDone("answer_1"), Interrupted("answer_1")),
    ]
    service.marks("interrupted")
    assert service.told == [], "nothing was being said: known of the real one"


def test_an_interruption_of_its_own_changes_nothing_where_we_end_the_turns() -> None:
    service = asked().speaks(1000).marks("interrupted", "turnComplete")
    assert story(service) == [ResponseStarted("answer_1"), ResponseDone("answer_1")]


# ------------------------------------------------------------------------------------------------------ tools


def test_a_tool_is_called_and_its_result_is_told_as_output_or_as_error() -> None:
    service = asked().calls("c1", "set_volume", percent=30).does(ToolResult("c1", "done"))
    assert service.told_of(ToolCalled) == [ToolCalled("c1", "set_volume", '{"percent":30}')]
    service.calls("c2", "set_volume").does(ToolResult("c2", "error: 300 is too much"))
    responses = [event["toolResponse"]["functionResponses"][0] for event in service.sent if "toolResponse" in event]
    assert responses == [
        {"id": "c1", "name": "set_volume", "response": {"output": "done"}},
        {"id": "c2", "name": "set_volume", "response": {"error": "300 is too much"}},
    ]


def test_a_tool_runs_beside_the_speaking_and_what_follows_it_is_no_turn_of_the_person() -> None:
    service = opened(SERVER_VAD).speaks(100).calls("c1", "set_volume", percent=30).ends()
    service.does(ToolResult("c1", "done")).speaks(100).ends()
    assert story(service) == [
        *(TurnCommitted(), ResponseStarted("answer_1"), ResponseDone("answer_1")),
        *(ResponseStarted("answer_2"), ResponseDone("answer_2")),
    ]


def test_tools_of_an_interrupted_answer_are_neither_run_nor_answered() -> None:
    service = asked().speaks(500).calls("c1", "set_volume", percent=30).does(Interrupt("answer_1", 100.0))
    service.calls("c2", "hang_up").does(ToolResult("c1", "done"))
    service.says(toolCallCancellation={"ids": ["c1", "c2", "c3"]})
    service.does(ToolResult("c1", "done"), ToolResult("never heard of", "done"))
    assert [called.id for called in service.told_of(ToolCalled)] == ["c1"]
    assert not [event for event in service.sent if "toolResponse" in event]


def test_a_tool_that_the_service_has_cancelled_is_not_answered() -> None:
    service = asked().calls("c1", "set_volume", percent=30)
    service.says(toolCallCancellation={"ids": ["c1"]})
    service.does(ToolResult("c1", "done"))
    assert not [event for event in service.sent if "toolResponse" in event]


def test_a_tool_without_an_id_or_a_name_is_no_tool_and_begins_no_answer() -> None:
    service = opened()
    service.says(toolCall={"functionCalls": [{"name": "hang_up"}, {"id": "c1"}]})
    assert service.told == []
    assert service.wire.ignored == 2


def test_the_tools_are_told_in_the_services_own_kind_of_schema() -> None:
    service = opened(Settings(tools=tuple(TOOLS.values())))
    declared = {tool["name"]: tool for tool in service.setup()["tools"][0]["functionDeclarations"]}
    assert "parameters" not in declared["hang_up"], "an object without properties is refused"
    assert declared["set_volume"]["parameters"] == {
        "type": "OBJECT",
        "properties": {"percent": {"type": "INTEGER", "minimum": 0, "maximum": 100}},
        "required": ["percent"],
    }


# ------------------------------------------------------------------------------------- connections that end


def test_a_connection_that_ends_soon_is_left_in_a_pause_and_the_session_goes_on() -> None:
    service = opened().gives_handle("h1").does(Play(sound(400)))
    service.says(goAway={"timeLeft": "50s"})
    assert not service.renew, "the person speaks"
    service.does(Respond()).passes(1)
    assert not service.renew, "an answer is expected"
    service.speaks(500).passes(1)
    assert not service.renew, "the agent speaks"
    service.ends().gives_handle("h2").passes(0.3)
    assert service.renew
    service.opens()
    assert service.setup()["sessionResumption"] == {"handle": "h2"}
    assert "systemInstruction" not in service.setup()
    assert service.told[-1] == Resumed()


def test_a_session_that_cannot_be_resumed_now_is_resumed_when_it_can() -> None:
    service = opened().gives_handle("h1")
    service.says(sessionResumptionUpdate={"resumable": False})
    service.says(goAway={"timeLeft": "50s"})
    service.passes(1)
    assert not service.renew
    service.gives_handle("h2").passes(0.3)
    assert service.renew


@pytest.mark.parametrize("witness", [{"inputTranscription": {"text": "Where"}}, None])
def test_a_person_whom_the_service_hears_is_not_cut_in_two(witness: dict[str, object] | None) -> None:
    service = opened(SERVER_VAD).gives_handle("h1")
    if witness:
        service.says(serverContent=witness)
    else:
        service.says(voiceActivity={"voiceActivityType": "ACTIVITY_START"})
    service.says(goAway={"timeLeft": "50s"})
    service.passes(3)
    assert not service.renew
    service.speaks(100).ends().passes(0.3)
    assert service.renew


@pytest.mark.parametrize(("left", "by_s"), [("50s", 45.0), ("4s", 2.0), ("0.5s", 0.25), ("soon", 5.0), (None, 5.0)])
def test_a_connection_that_ends_is_left_in_time_whoever_speaks(left: str | None, by_s: float) -> None:
    service = opened().gives_handle("h1").does(Play(sound(400)))
    service.says(goAway={"timeLeft": left} if left else {})
    service.passes(by_s - 0.01)
    assert not service.renew
    service.passes(0.02)
    assert service.renew


def test_what_the_person_is_saying_is_told_again_on_another_connection() -> None:
    service = opened().gives_handle("h1").does(Play(sound(400)))
    service.turns()
    service.resumes()
    assert service.turns() == ["activityStart", "400 ms"]
    service.does(Play(sound(200)), Respond())
    assert service.turns() == ["200 ms", "activityEnd"]


def test_a_turn_that_was_not_answered_is_asked_again_on_another_connection() -> None:
    service = asked().resumes()
    assert service.turns() == ["activityStart", "400 ms", "activityEnd"]
    service.speaks(100).ends().resumes()
    assert service.turns() == [], "but not one that was"


def test_of_a_long_turn_half_a_minute_is_told_again() -> None:
    service = opened().does(*[Play(sound(1000))] * 40)
    service.turns()
    service.resumes()
    assert service.turns() == ["activityStart", "30000 ms"]


def test_an_answer_that_was_being_made_has_ended_with_its_connection() -> None:
    service = asked().speaks(500).resumes()
    assert story(service) == [ResponseStarted("answer_1"), ResponseDone("answer_1")]
    service.does(Play(sound(300)), Respond()).speaks(100)
    assert story(service) == [ResponseStarted("answer_2")]


def test_an_interruption_while_there_is_no_session_begins_the_turn_in_the_next_one() -> None:
    service = asked().speaks(500)
    assert service.wire.lost(service.at)
    service.turns()
    service.does(Interrupt("answer_1", 100.0), ToolResult("c1", "done"))
    assert service.turns() == []
    service.opens().does(Play(sound(200)))
    assert service.turns() == ["activityStart", "200 ms"]


def test_a_session_without_a_handle_is_begun_anew_and_reads_what_was_heard() -> None:
    settings = Settings(instructions="You are a lift.")
    service = asked(settings).hears("Which floor?").speaks(500, "The third, ").speaks(500, "the fourth, the fifth.")
    service.does(Interrupt("answer_1", 500.0))
    service.resumes()
    parts = [part["text"] for part in service.setup()["systemInstruction"]["parts"]]
    assert service.setup()["sessionResumption"] == {}
    assert parts[0] == "You are a lift."
    assert parts[1].splitlines()[1:] == ["Person: Which floor?", "You: The third, the"]


def test_words_of_the_person_that_come_late_are_remembered_before_the_answer() -> None:
    service = asked().speaks(500, "The third.").hears("Which floor?").ends().resumes()
    [part] = service.setup()["systemInstruction"]["parts"]
    assert part["text"].splitlines()[1:] == ["Person: Which floor?", "You: The third."]


def test_a_handle_that_is_refused_is_not_shown_again() -> None:
    service = asked().gives_handle("h1").speaks(500, "Hello.").ends()
    assert service.wire.lost(service.at)
    service.take(service.wire.opened(service.at))
    closed = service.wire.closed(1007, "Request contains an invalid argument.", service.at)
    assert closed.end is End.LINK_LOST, "it is tried once more"
    service.resumes()
    assert service.setup()["sessionResumption"] == {}
    assert "You: Hello." in service.setup()["systemInstruction"]["parts"][0]["text"]


def test_a_connection_that_cannot_be_had_keeps_the_handle() -> None:
    service = opened().gives_handle("h1")
    assert service.wire.lost(service.at)
    assert service.wire.closed(0, "no route to host", service.at).end is End.LINK_LOST
    service.opens()
    assert service.setup()["sessionResumption"] == {"handle": "h1"}


def test_a_link_that_never_carried_a_session_is_not_looked_for() -> None:
    wire = Gemini(Settings())
    wire.opened(1.0)
    assert not wire.lost(2.0)


# ---------------------------------------------------------------------------------------------------- garbage

KINDS = st.sampled_from(
    [
        '{"setupComplete": {}}',
        '{"setupComplete": null}',
        '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}}]}}}',
        '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "@"}}]}}}',
        '{"serverContent": {"modelTurn": {"parts": [{}, {"text": "?"}]}, "outputTranscription": {}}}',
        '{"serverContent": {"interrupted": true}}',
        '{"serverContent": {"generationComplete": true}}',
        '{"serverContent": {"turnComplete": true, "interrupted": true}}',
        '{"serverContent": {"inputTranscription": {"text": "hm"}, "outputTranscription": {"text": "oh"}}}',
        '{"toolCall": {"functionCalls": [{"id": "c1", "name": "hang_up"}, {"name": "x"}, {}]}}',
        '{"toolCallCancellation": {"ids": ["c1", "c9"]}}',
        '{"goAway": {"timeLeft": "-1s"}}',
        '{"goAway": {"timeLeft": "2s"}}',
        '{"sessionResumptionUpdate": {"newHandle": "h", "resumable": true}}',
        '{"sessionResumptionUpdate": {}}',
        '{"usageMetadata": {"totalTokenCount": 7}}',
        '{"something": {"new": 1}}',
    ]
)


@given(
    st.sampled_from(["local", "server_vad"]),
    st.lists(
        st.one_of(
            KINDS,
            st.sampled_from([Play(sound(50)), Respond(), Interrupt("answer_1", 9.0), Interrupt("answer_2", 0.0)]),
            st.sampled_from(["lost", "wait", "long"]),
        ),
        max_size=60,
    ),
)
def test_whatever_happens_a_dead_answer_stays_dead_and_every_answer_ends_once(
    detection: str, steps: list[object]
) -> None:
    service = GeminiService(Settings(turn_detection=detection))  # type: ignore[arg-type]
    service.opens()
    dead: set[str] = set()
    for step in steps:
        before = len(service.told)
        match step:
            case "lost":
                service.resumes()
            case "wait" | "long":
                service.passes(0.1 if step == "wait" else 4.0)
            case str():
                service.take(service.wire.receive(step, service.at))
            case _:
                service.does(step)  # type: ignore[arg-type]
                if isinstance(step, Interrupt) and ResponseStarted(step.response) in service.told:
                    begun = [event.response for event in service.told_of(ResponseStarted)]
                    dead |= set(begun[begun.index(step.response) :])
        assert not [event for event in service.told[before:] if isinstance(event, Audio) and event.response in dead]
    begun = [event.response for event in service.told_of(ResponseStarted)]
    done = [event.response for event in service.told_of(ResponseDone)]
    assert len(set(begun)) == len(begun)
    assert len(set(done)) == len(done)
    assert set(done) <= set(begun)
    assert len(begun) - len(done) <= 1


@pytest.mark.parametrize("message", ["", "[]", "null", "7", "{", '{"serverContent": 7}', b"\xff\xfe", "[" * 100_000])
def test_what_makes_no_sense_is_counted_and_ignored(message: str | bytes) -> None:
    service = opened()
    assert service.wire.receive(message, service.at) == NOTHING
    assert service.wire.ignored == 1


def test_a_long_call_does_not_grow() -> None:
    service = opened()

    def exchange(turn: int) -> None:
        service.does(Play(sound(200)), Respond()).hears("words " * 20).speaks(100, "more " * 20)
        service.calls(f"c{turn}", "hang_up").gives_handle("h" * 100).ends()
        service.sent.clear()
        service.told.clear()

    stays_small(exchange, exchanges=200)


def test_the_setup_is_valid_json_with_any_words_in_it() -> None:
    service = opened(Settings(instructions='Say "\\" and \u2028.', greeting="ä\n"))
    assert service.setup()["systemInstruction"]["parts"] == [{"text": 'Say "\\" and \u2028.'}]
    assert json.dumps(service.setup())
