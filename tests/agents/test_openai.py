"""An OpenAI conversation, told as stories: the session, the person's turn, a session that takes over, garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.agents.openai import OpenAI, Settings
from edgevoice.agents.openai_session import TurnDetection
from edgevoice.agents.openai_sound import FRAME
from edgevoice.events import (
    Audio,
    Closed,
    End,
    HangUp,
    Interrupt,
    Opened,
    Play,
    Respond,
    ResponseDone,
    ResponseStarted,
    Resumed,
    SpeechStarted,
    ToolResult,
    Transcript,
    TurnCommitted,
)
from edgevoice.wire import NOTHING, Wire
from tests.agents.service import Service
from tests.agents.stage import sound, stays_small

HOUR = 3600.0
KINDS = (
    *("session.created", "session.updated", "error", "input_audio_buffer.speech_started"),
    *("input_audio_buffer.committed", "conversation.item.input_audio_transcription.completed"),
    *("response.created", "response.output_item.added", "response.output_audio.delta"),
    *("response.output_audio_transcript.delta", "response.output_item.done", "response.done"),
)


def of_limited_time(minutes: float, settings: Settings | None = None) -> Service:
    """Open a session that the service ends after so long; unix time is 1,000,000 s ahead of ours."""
    service = Service(settings, clock_offset_s=1e6)
    return service.opens(expires_at=service.at + 1e6 + minutes * 60)


# ------------------------------------------------------------------------------------------------ the session


def test_it_is_a_wire_of_24_khz() -> None:
    wire: Wire = OpenAI(Settings())
    assert wire.rate == 24_000
    assert wire.deadline is None


def test_the_session_is_described_before_the_service_has_said_a_word() -> None:
    service = Service()
    service.take(service.wire.opened(service.at))
    assert service.sent_types() == ["session.update"]
    assert service.told == []


def test_the_call_is_open_when_the_session_is_confirmed_and_not_before() -> None:
    service = Service()
    service.take(service.wire.opened(service.at))
    service.says("session.created", session={"type": "realtime"})
    assert service.told == []
    service.says("session.updated", session={"type": "realtime"})
    service.says("session.updated", session={"type": "realtime"})
    assert service.told == [Opened()]


def test_a_service_that_never_confirms_a_session_is_taken_at_its_first_word() -> None:
    service = Service()
    service.take(service.wire.opened(service.at))
    service.says("session.created", session={"type": "realtime"})
    service.passes(2)
    assert service.told == [Opened()]


def test_a_service_that_says_nothing_at_all_is_not_waited_for() -> None:
    service = Service()
    service.take(service.wire.opened(service.at))
    service.passes(10)
    assert service.told == [Closed(End.LINK_LOST, "api.openai.com does not begin a session")]
    assert service.close


def test_what_only_some_services_can_do_is_left_out_when_one_objects() -> None:
    service = Service()
    service.take(service.wire.opened(service.at))
    service.says("session.created", session={"type": "realtime"})
    service.objects("unknown_parameter", "setup")
    full, plain = (fields["session"]["audio"]["input"] for fields in service.sent_fields("session.update"))
    assert set(full) - set(plain) == {"noise_reduction", "transcription"}
    assert full["turn_detection"] == plain["turn_detection"]
    service.says("session.updated", session={"type": "realtime"})
    assert service.told == [Opened()]


def test_a_session_that_is_refused_twice_says_why_and_keeps_the_key_to_itself() -> None:
    service = Service()
    service.take(service.wire.opened(service.at))
    service.objects("unknown_parameter", "setup")
    service.objects("invalid_value", "plain_setup", "no voice 'bass' for\nsk-secret")
    sentence = "api.openai.com does not accept the session: no voice 'bass' for [key]"
    assert service.told == [Closed(End.REFUSED, sentence)]


def test_the_agent_greets_once() -> None:
    service = Service(Settings(greeting="Good morning.")).opens()
    assert service.sent_fields("response.create") == [
        {"response": {"instructions": "Say exactly this, and nothing else: Good morning."}}
    ]
    service.begins("greeting").ends("greeting")
    service.opens()
    assert len(service.sent_fields("response.create")) == 1


def test_hanging_up_ends_it_and_nothing_comes_after() -> None:
    service = Service().opens().begins("a").does(HangUp("enough"))
    assert service.told[-1] == Closed(End.HUNG_UP, "enough")
    assert service.close
    assert service.wire.deadline is None
    assert service.does(Play(sound(40)), Respond(), Interrupt("a", 0), HangUp("again")).speaks("a", "x", 20).close


def test_before_there_is_a_connection_nothing_is_sent() -> None:
    service = Service().does(Play(sound(100)), Respond(), Interrupt("a", 0), ToolResult("c", "x"))
    assert service.sent == []
    assert service.does(HangUp("enough")).told == [Closed(End.HUNG_UP, "enough")]


def test_a_session_that_lasted_too_long_is_a_lost_link() -> None:
    service = Service().opens().objects("session_expired")
    assert service.told[-1] == Closed(End.LINK_LOST, "api.openai.com ended the session: it has lasted too long")


@pytest.mark.parametrize(
    ("code", "end", "means"),
    [
        ("invalid_api_key", End.BAD_CREDENTIALS, "does not accept the API key"),
        ("insufficient_quota", End.NO_CREDIT, "no credit left"),
        ("billing_hard_limit_reached", End.NO_CREDIT, "spending limit"),
        ("account_deactivated", End.BAD_CREDENTIALS, "is deactivated"),
        ("model_not_found", End.REFUSED, "does not offer the model 'gpt-realtime-2'"),
        ("beta_api_shape_disabled", End.REFUSED, "no longer speaks the beta API"),
    ],
)
def test_a_fatal_error_ends_the_call_and_says_what_to_do(code: str, end: End, means: str) -> None:
    service = Service().opens().objects(code)
    closed = service.told[-1]
    assert isinstance(closed, Closed)
    assert closed.end is end
    assert means in closed.reason
    assert service.close


@pytest.mark.parametrize(
    "code",
    [
        "response_cancel_not_active",
        "conversation_already_has_active_response",
        "input_audio_buffer_commit_empty",
        "item_truncate_invalid_item_id",
        "item_delete_invalid_item_id",
        None,  # "Audio content of 1200ms is already shorter than 1300ms"
    ],
)
def test_a_benign_race_changes_nothing(code: str | None) -> None:
    service = Service().opens().begins("a", "x").speaks("a", "x", 100)
    service.sent.clear()
    service.objects(code).speaks("a", "x", 100)
    assert service.sent == []
    assert service.heard("a") == sound(100) * 2


# ------------------------------------------------------------------------------------------------- the person


def test_the_persons_sound_goes_out_in_frames_without_a_gap() -> None:
    service = Service().opens()
    spoken = sound(73.5)
    for i in range(0, len(spoken), 334):
        service.does(Play(spoken[i : i + 334]))
    assert service.appended() == spoken[: 3 * FRAME]
    service.does(Respond(), Play(spoken[:FRAME]))
    assert service.appended() == spoken + spoken[:FRAME]


def test_the_sound_of_a_response_is_not_taken_for_the_persons() -> None:
    assert Service().opens().does(Play(sound(40), "of_another_agent")).appended() == b""


def test_a_turn_that_the_service_ends_is_answered_when_it_is_told_to() -> None:
    service = Service().opens().does(Play(sound(200)))
    service.says("input_audio_buffer.speech_started", audio_start_ms=0, item_id="i")
    service.says("input_audio_buffer.speech_stopped", audio_end_ms=200, item_id="i")
    service.commits()
    assert service.told_of(TurnCommitted) == [TurnCommitted()]
    assert service.sent_types() == ["session.update"]
    service.does(Respond())
    assert service.sent_types() == ["response.create"]


def voices(service: Service, *starts_ms: float) -> list[float | None]:
    """Let the service hear voices that begin there; return how long ago they began, as far as it is told."""
    for start_ms in starts_ms:
        service.says("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id="i")
    return [event.ago_ms for event in service.told_of(SpeechStarted)]


def test_a_voice_that_the_service_hears_is_dated_by_what_it_was_sent() -> None:
    service = Service().opens().does(Play(sound(2010)))
    assert voices(service, 1500, 1700, 1900) == [200.0, 0.0, 0.0], "300 ms before it are counted in; 10 ms wait here"


def test_a_service_that_was_given_no_prefix_is_believed() -> None:
    service = Service(Settings(turn_detection="semantic_vad")).opens().does(Play(sound(2000)))
    assert voices(service, 1500) == [500.0]


def test_a_new_session_counts_anew() -> None:
    service = Service().opens().does(Play(sound(5000)))
    service.says("input_audio_buffer.speech_started", audio_start_ms=4000, item_id="i")
    service.opens().does(Play(sound(500)))
    service.told.clear()
    assert voices(service, 700) == [500.0], "1000 ms that were sent again, and 500 more"


@pytest.mark.parametrize("start_ms", [-1, 20_001, 9_000, 1e300])
def test_a_service_that_counts_something_else_is_not_believed(start_ms: float) -> None:
    service = Service().opens()
    for _ in range(20):
        service.does(Play(sound(1000)))
    assert voices(service, start_ms) == [None]


def test_a_service_that_does_not_count_is_told_of_all_the_same() -> None:
    service = Service().opens().does(Play(sound(200)))
    service.says("input_audio_buffer.speech_started")
    assert service.told_of(SpeechStarted) == [SpeechStarted()]


@pytest.mark.parametrize("detection", ["local", "none"])
def test_a_turn_that_we_end_is_committed_and_answered(detection: TurnDetection) -> None:
    service = Service(Settings(turn_detection=detection)).opens()
    service.does(Play(sound(110)), Respond())
    assert service.sent_types() == ["session.update", "input_audio_buffer.commit", "response.create"]
    service.commits()
    assert service.told_of(TurnCommitted) == []


def test_a_turn_too_short_to_commit_gets_an_empty_answer_at_once() -> None:
    service = Service(Settings(turn_detection="none")).opens().does(Play(sound(90)), Respond())
    assert service.sent_types() == ["session.update"]
    assert service.told[1:] == [ResponseStarted("nothing_1"), ResponseDone("nothing_1")]
    service.does(Play(sound(20)), Respond())
    assert service.sent_types() == ["input_audio_buffer.commit", "response.create"]
    service.does(Play(sound(90)), Respond())
    assert service.sent_types() == []


def test_what_both_say_is_told() -> None:
    service = Service().opens().commits("i", "what time is it").begins("a", "x").speaks("a", "x", 100, "It is ")
    service.says("response.output_audio_transcript.done", response_id="a", item_id="x", transcript="It is four.")
    assert service.told_of(Transcript) == [
        Transcript("person", "what time is it", final=True),
        Transcript("agent", "It is ", final=False),
        Transcript("agent", "It is four.", final=True),
    ]


# ----------------------------------------------------------------------------------- a session that takes over


def test_a_session_is_renewed_in_the_first_pause_of_its_last_five_minutes() -> None:
    service = of_limited_time(60).passes(HOUR - 301)
    service.commits().does(Respond()).begins("a", "x")
    service.speaks("a", "x", 1000).speaks("a", "x", 1000).speaks("a", "x", 1000)
    service.passes(2).ends("a").passes(0.9)  # it sounds for three seconds
    assert not service.renew
    service.passes(0.5)
    assert service.renew


def test_a_session_is_not_renewed_while_the_person_speaks() -> None:
    service = of_limited_time(60).passes(HOUR - 301)
    service.says("input_audio_buffer.speech_started", audio_start_ms=0, item_id="i")
    service.passes(200)
    assert not service.renew
    service.commits().passes(1)
    assert service.renew


def test_a_session_without_any_pause_is_renewed_just_before_its_end() -> None:
    service = of_limited_time(60).begins("a").passes(HOUR - 31)
    assert not service.renew
    service.passes(2)
    assert service.renew


@pytest.mark.parametrize("years_off", [-1, 1])
def test_a_box_whose_clock_is_wrong_assumes_half_an_hour(years_off: int) -> None:
    service = Service(clock_offset_s=1e9 + years_off * 365 * 86400)
    service.opens(expires_at=1e9 + service.at + HOUR).passes(1500 - 1)
    assert not service.renew
    service.passes(1)
    assert service.renew


def test_very_short_sessions_do_not_make_us_spin() -> None:
    service = of_limited_time(1)
    service.passes(29.9)
    assert not service.renew
    service.passes(0.2)
    assert service.renew


def test_a_new_session_hears_what_was_said_and_the_person_notices_nothing() -> None:
    service = of_limited_time(60).commits("i1", "what time is it").begins("a", "x")
    service.speaks("a", "x", 100, "It is four.").ends("a").commits("i2", "thank you")
    service.sent.clear()
    service.opens(expires_at=1e6 + service.at + HOUR)
    assert [
        (item["item"]["role"], item["item"]["content"]) for item in service.sent_fields("conversation.item.create")
    ] == [
        ("user", [{"type": "input_text", "text": "what time is it"}]),
        ("assistant", [{"type": "output_text", "text": "It is four."}]),
        ("user", [{"type": "input_text", "text": "thank you"}]),
    ]
    assert service.told_of(Opened) == [Opened()]


def test_words_of_the_person_that_come_late_stand_before_the_answer() -> None:
    service = Service().opens().commits("i1").begins("a", "x").speaks("a", "x", 10, "Four.")
    service.commits("i1", "what time is it").opens()
    texts = [item["item"]["content"][0]["text"] for item in service.sent_fields("conversation.item.create")]
    assert texts == ["what time is it", "Four."]


def test_of_a_long_conversation_only_the_end_is_told_again() -> None:
    service = Service().opens()
    for i in range(60):
        service.commits(f"i{i}", f"{i:02} " + "x" * 697)
    service.opens()
    texts = [item["item"]["content"][0]["text"] for item in service.sent_fields("conversation.item.create")]
    assert [text[:2] for text in texts] == ["xx", *(str(i) for i in range(38, 60))]
    assert sum(map(len, texts)) == 16_000


def test_a_turn_that_is_being_spoken_while_sessions_change_is_sent_again() -> None:
    service = Service().opens()
    spoken = sound(3000)
    service.does(Play(spoken[: 48 * 2000]))
    service.says("input_audio_buffer.speech_started", audio_start_ms=1500, item_id="i")
    service.does(Play(spoken[48 * 2000 : 48 * 2510]))  # the last 10 ms wait for their frame
    service.sent.clear()
    service.opens()
    assert service.appended() == spoken[48 * 1500 : 48 * 2500]
    service.does(Play(spoken[48 * 2510 :]))
    assert service.appended() == spoken[48 * 1500 :]


def test_a_turn_that_outlives_two_sessions_is_sent_whole_to_the_third() -> None:
    service = Service().opens().does(Play(sound(5000)))
    service.says("input_audio_buffer.speech_started", audio_start_ms=4000, item_id="i")
    service.opens().does(Play(sound(500)))
    service.says("input_audio_buffer.speech_started", audio_start_ms=100, item_id="i")
    service.sent.clear()
    service.opens()
    assert service.appended() == (sound(5000)[-48_000:] + sound(500))[48 * 100 :]


def test_what_the_new_session_does_not_take_for_speech_is_not_sent_a_third_time() -> None:
    service = Service().opens().does(Play(sound(500)))
    service.says("input_audio_buffer.speech_started", audio_start_ms=0, item_id="i")
    service.opens()
    service.sent.clear()
    assert service.opens().appended() == b""


def test_a_tool_that_was_running_when_sessions_changed_is_forgotten() -> None:
    service = of_limited_time(60).begins("a").calls("a", "c1", "x", "{}").ends("a")
    service.opens(expires_at=1e6 + service.at + HOUR).does(ToolResult("c1", "late"))
    assert service.sent_fields("conversation.item.create") == []
    service.passes(HOUR - 299)
    assert service.renew


def test_of_a_very_long_turn_the_last_15_seconds_are_sent_again() -> None:
    service = Service(Settings(turn_detection="none")).opens()
    spoken = sound(20_000)
    service.does(Play(spoken))
    service.sent.clear()
    service.opens()
    assert service.appended() == spoken[-15 * 48_000 :]


def loses(service: Service) -> Service:
    """The link is gone; what was sent before is no matter any more."""
    assert service.wire.lost(service.at)
    assert service.wire.deadline is None, "until there is a link there is nothing to wait for"
    service.sent.clear()
    return service


def test_a_link_that_is_lost_before_the_conversation_began_is_not_gone_on_with() -> None:
    assert not Service().wire.lost(1.0)
    over = Service().opens().does(HangUp("enough"))
    assert not over.wire.lost(over.at)


def test_when_the_link_is_back_the_agent_knows_what_was_said_and_tells_so_once() -> None:
    service = Service().opens().commits("i1", "what time is it").begins("a", "x").speaks("a", "x", 10, "Four.")
    loses(service.ends("a")).opens().says("session.updated", session={"type": "realtime"})
    texts = [item["item"]["content"][0]["text"] for item in service.sent_fields("conversation.item.create")]
    assert texts == ["what time is it", "Four."]
    assert service.told_of(Opened) == [Opened()]
    assert service.told_of(Resumed) == [Resumed()]


def test_what_a_dead_network_may_have_swallowed_is_sent_again() -> None:
    service = Service().opens().does(Play(sound(20_000)))
    loses(service).opens()
    assert service.appended() == sound(20_000)[-6_000 * 48 :]
    service.does(Play(sound(100))).commits("i1").does(Play(sound(40)))
    service.begins("a").ends("a")
    loses(service).opens()
    assert service.appended() == sound(40), "and nothing of a turn that was answered"


def test_a_turn_whose_words_never_came_is_said_again() -> None:
    service = Service().opens().does(Play(sound(8_000)))
    service.says("input_audio_buffer.speech_started", audio_start_ms=500, item_id="i1")
    service.commits("i1").does(Respond())
    loses(service).opens()
    assert service.appended() == sound(8_000)[500 * 48 :]
    assert service.sent_types() == ["session.update", "response.create"]


def test_a_turn_that_we_ended_and_whose_words_never_came_is_ended_again() -> None:
    service = Service(Settings(turn_detection="none")).opens().does(Play(sound(2_000)), Respond(), Play(sound(60)))
    loses(service).opens()
    assert service.appended() == sound(2_000) + sound(60)
    assert service.sent_types() == ["session.update", "input_audio_buffer.commit", "response.create"]
    service.commits("i1", "words").begins("a").ends("a")
    loses(service).opens()
    assert service.appended() == sound(60)


def test_what_a_tool_did_is_known_after_the_link_was_lost() -> None:
    service = Service().opens().begins("a").calls("a", "c1", "open_relay", "{}").ends("a")
    loses(service.does(ToolResult("c1", "it is open"))).opens()
    (item,) = service.sent_fields("conversation.item.create")
    assert item["item"]["role"] == "system"
    assert item["item"]["content"] == [{"type": "input_text", "text": "open_relay was called; its result: it is open"}]


def test_silence_is_not_sent_again() -> None:
    service = Service().opens().does(Play(sound(2000))).commits()
    service.sent.clear()
    assert service.opens().appended() == b""


def test_a_response_that_was_cut_by_the_end_of_a_session_ends_and_goes_on_in_the_next() -> None:
    service = Service().opens().begins("a", "x").speaks("a", "x", 500, "I was going to")
    service.sent.clear()
    service.opens()
    assert service.sent_types() == ["session.update", "conversation.item.create", "response.create"]
    assert service.told_of(ResponseDone) == [ResponseDone("a")]


def test_an_answer_that_had_not_begun_when_sessions_changed_is_asked_for_again() -> None:
    service = Service().opens().commits().does(Respond())
    service.sent.clear()
    service.opens()
    assert service.sent_types() == ["session.update", "response.create"]
    service.begins("b", "y").speaks("b", "y", 20)
    assert service.heard("b") == sound(20)


def test_one_that_was_interrupted_before_it_began_is_not() -> None:
    service = Service().opens().begins("a").ends("a").commits().does(Respond(), Interrupt("a", 0))
    service.sent.clear()
    service.opens()
    assert service.sent_types() == ["session.update"]
    assert service.begins("b", "y").speaks("b", "y", 20).heard("b") == sound(20)


def test_a_response_of_an_earlier_session_is_interrupted_without_a_word_to_the_new_one() -> None:
    service = Service().opens().begins("a", "x").speaks("a", "x", 1000, "one two three four").ends("a").opens()
    service.sent.clear()
    service.does(Interrupt("a", 500)).opens()
    assert service.sent_types() == ["session.update", "conversation.item.create"]


def test_the_new_session_believes_only_what_was_heard() -> None:
    service = Service().opens().begins("a", "x").speaks("a", "x", 1000, "one two three four five").ends("a")
    service.does(Interrupt("a", 500)).opens()
    (item,) = service.sent_fields("conversation.item.create")
    assert item["item"]["content"] == [{"type": "output_text", "text": "one two"}]


# ---------------------------------------------------------------------------------------------------- garbage


@pytest.mark.parametrize(
    "message",
    [
        *("", "garbage", "null", "[]", b"\x00\xff", '{"type":7}', '{"type":"error","error":[]}', '{"type":"\ud800"}'),
        '{"type":"x","y":' + "[" * 100_000,
    ],
)
def test_garbage_is_counted_and_otherwise_ignored(message: str | bytes) -> None:
    service = Service().opens()
    assert service.take(service.wire.receive(message, service.at)) is NOTHING
    assert service.wire.ignored == 1


def test_what_we_do_not_know_or_have_no_use_for_is_let_pass() -> None:
    service = Service().opens()
    for kind in ("rate_limits.updated", "conversation.item.added", "output_audio_buffer.started", "of.the.future"):
        assert service.says(kind, item={"id": "x"}, padding="x" * 1000) is NOTHING
    assert service.wire.ignored == 0


@given(
    st.sampled_from(KINDS),
    st.dictionaries(
        st.sampled_from(("response", "response_id", "item", "item_id", "delta", "session", "error", "transcript")),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.just("a"),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(("id", "type", "status", "output", "code", "expires_at")), inner)
            ),
            max_leaves=4,
        ),
    ),
)
def test_no_value_in_any_place_makes_it_fall_over(kind: str, fields: dict[str, object]) -> None:
    service = Service().opens().begins("a", "x")
    service.says(kind, **fields)


def test_a_message_of_twenty_megabytes_is_only_sound() -> None:
    service = Service().opens().begins("a", "x").speaks("a", "x", 300_000)
    assert len(service.heard("a")) == 300_000 * 48


def test_days_of_talking_do_not_fill_the_memory() -> None:
    service = Service().opens()
    second = sound(1000)

    def exchange(i: int) -> None:
        service.does(Play(second)).commits(f"i{i}", "words " * 20).does(Respond())
        service.begins(f"a{i}", f"x{i}").speaks(f"a{i}", f"x{i}", 500, "words " * 20)
        service.calls(f"a{i}", f"c{i}", "hang_up", "{}").ends(f"a{i}").does(Interrupt(f"a{i}", 100))
        service.sent.clear()
        service.told.clear()

    stays_small(exchange, exchanges=500)


def test_what_is_said_of_an_answer_that_was_never_begun_is_let_pass() -> None:
    service = Service().opens().speaks("never", "x", 100).ends("never").calls("never", "c", "hang_up", "{}")
    assert service.told == [Opened()]
    assert service.told_of(Audio) == []
