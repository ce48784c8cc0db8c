"""The audio thread's one loop body, period by period: microphone, loudspeaker, and the interruption between them."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgevoice.audio.duplex import ECHO_TAIL_MS, Duplex, cycle
from edgevoice.audio.echo import Through, load
from edgevoice.audio.measurement import Sounding
from edgevoice.audio.tones import TONES, tone
from edgevoice.drivers.room import Room, RoomCard, VirtualClock
from edgevoice.events import (
    Answer,
    Audio,
    BargedIn,
    BargeIn,
    Chirp,
    Clear,
    Cleared,
    Closed,
    Command,
    End,
    HangUp,
    Listen,
    Listening,
    Mark,
    Opened,
    Play,
    Played,
    SpeechStarted,
    SpeechStopped,
    Suspected,
    TakenBack,
    Tone,
    Uplink,
)
from tests.audio.story import FAR, ORDERED, ORDERS, VOICE, Story, answered, sent, speech, without_audio
from tests.fakes import LoudnessDetector, noise

Samples = NDArray[np.int16]


def test_before_a_call_nothing_leaves_the_box() -> None:
    story = Story()
    story.card.say(VOICE)
    assert story.run(500) == []
    assert story.run(50, Listen(Uplink.OPEN)) == [], "there is no call to listen for"


def test_heard_is_what_the_recording_of_the_loudspeaker_shows() -> None:
    story = answered()
    story.run(730, Play(speech(3), "r1"))
    (barged,) = without_audio(story.run(10, BargeIn()))
    story.run(100)
    left = np.nonzero(np.array(story.card.played))[0]
    recorded_ms = (left[-1] - left[0] + 1) / 48
    assert isinstance(barged, BargedIn)
    assert barged.response == "r1"
    assert barged.heard_ms == pytest.approx(recorded_ms, abs=2)


def test_what_is_played_while_the_card_is_asked_was_heard() -> None:
    story = answered()
    story.run(300, Play(speech(3), "r1"))
    story.duplex.perform(BargeIn())
    story.duplex.dropped(story.card.queued() - 48)
    (barged,) = story.duplex.take_events()
    assert isinstance(barged, BargedIn)
    assert barged.heard_ms == pytest.approx(np.count_nonzero(story.card.played) / 48 + 1, abs=1.6)


def test_what_was_interrupted_is_not_played_later() -> None:
    story = answered()
    story.run(300, Play(speech(3), "r1"))
    story.run(10, BargeIn())
    story.run(200, Play(speech(1), "r1"), Mark("end", "r1"))
    assert not np.any(story.played(190))
    events = story.run(1200, Play(speech(1), "r2"), Mark("end", "r2"))
    assert without_audio(events) == [Played("end", "r2")]
    assert np.any(story.played(1000))


def test_commands_that_follow_an_interruption_in_the_same_period_are_not_lost() -> None:
    story = answered()
    story.run(300, Play(speech(3), "r1"))
    story.run(10, BargeIn(), Play(speech(1), "r2"))
    story.run(100)
    assert np.any(story.played(50))


def test_stopping_by_hand_when_nothing_sounds_does_nothing() -> None:
    story = answered()
    assert without_audio(story.run(100, *[BargeIn()] * 50)) == []
    assert story.card.drops == []


def test_fifty_stops_of_one_response_are_one_interruption() -> None:
    story = answered()
    story.run(300, Play(speech(3), "r1"))
    events = without_audio(story.run(100, *[BargeIn()] * 50))
    assert [type(event) for event in events] == [BargedIn]
    assert len(story.card.drops) == 1


def test_a_tone_cannot_be_talked_over() -> None:
    story = answered()
    story.card.say(VOICE)
    story.run(300, Tone("ringing"))
    assert story.card.drops == []


def test_a_person_on_the_other_side_cannot_be_talked_over() -> None:
    story = answered()
    story.card.say(VOICE)
    story.run(300, Play(speech(1)))
    assert story.card.drops == []


def test_clear_is_answered_with_what_was_heard() -> None:
    story = answered()
    story.run(540, Play(speech(3), "r1"))
    (cleared,) = without_audio(story.run(10, Clear()))
    assert isinstance(cleared, Cleared)
    assert cleared.response == "r1"
    assert cleared.heard_ms == pytest.approx(500, abs=12)


def test_every_sample_reaches_the_other_side_once_and_in_order() -> None:
    story = answered()
    ramp = (np.arange(4800) * 5).astype(np.int16)
    story.card.say(ramp)
    heard = np.frombuffer(sent(story.run(200)), np.int16)
    rising = heard[40:1560]
    assert len(heard) == 3200
    assert np.all(np.diff(rising) > 0)


def test_what_was_held_is_sent_first_and_bounded() -> None:
    story = answered(Uplink.HELD)
    assert sent(story.run(1000)) == b""
    story.card.say(VOICE)
    assert sent(story.run(100)) == b""
    before = sent(story.run(10, Listen(Uplink.OPEN)))
    ms = len(before) / 2 / 16
    assert ms == 300
    samples = np.frombuffer(before, np.int16)
    assert np.any(samples[-1500:]), "the first words are in it"


def test_a_muted_box_sends_silence_at_the_same_pace() -> None:
    story = answered(Uplink.SILENT)
    story.card.say(VOICE)
    heard = sent(story.run(500))
    assert heard == bytes(500 * 32)


def test_nothing_of_the_last_word_comes_out_after_muting_nor_when_it_is_over() -> None:
    story = Story()
    story.run(10, Answer(24_000), Listen(Uplink.OPEN))
    story.card.say(VOICE[:9600])
    story.run(100)
    events = story.run(100, Listen(Uplink.SILENT))
    assert not any(sent(events[1:])), "from the moment on at which it is told"
    story.run(200, Listen(Uplink.OFF))
    assert not any(sent(story.run(50, Listen(Uplink.OPEN))))


def test_no_pre_roll_is_no_pre_roll() -> None:
    story = answered(Uplink.HELD, pre_roll_ms=0)
    story.card.say(VOICE)
    story.run(200)
    assert sent(story.run(10, Listen(Uplink.OPEN))) == b""
    assert len(sent(story.run(10))) == 320


def test_after_half_duplex_the_past_neither_speaks_nor_interrupts() -> None:
    story = answered(half_duplex=True)
    story.card.say(VOICE[:9600])
    story.run(150)
    story.run(50, Play(speech(0.2), "r1"))  # the person falls silent as it begins; then it starves
    events = without_audio(story.run(1500, Play(speech(0.2), "r1")))
    assert not any(isinstance(event, SpeechStarted | BargedIn) for event in events)


def test_muting_in_mid_word_ends_the_speech_for_the_other_side() -> None:
    story = answered()
    story.card.say(VOICE)
    assert SpeechStarted() in story.run(200)
    assert SpeechStopped() in story.run(10, Listen(Uplink.SILENT))


def test_half_duplex_hears_nothing_while_the_loudspeaker_sounds_and_a_little_longer() -> None:
    story = answered(half_duplex=True)
    story.card.say(noise(48_000 * 4, -10))  # the loudspeaker's own echo
    events = story.run(1200, Play(speech(1), "r1"), Mark("end", "r1"))
    gated = sent(events)
    assert Played("end", "r1") in events
    assert not any(isinstance(event, SpeechStarted | BargedIn) for event in events)
    first = 2 * 16 * 10  # the period in which it was told to play was heard before anything sounded
    assert not np.any(np.frombuffer(gated[first:], np.int16)[: (1000 + ECHO_TAIL_MS - 20) * 16])
    assert np.any(np.frombuffer(sent(story.run(200)), np.int16))


def test_half_duplex_is_still_interrupted_by_the_button() -> None:
    story = answered(half_duplex=True)
    story.run(300, Play(speech(3), "r1"))
    assert [type(event) for event in without_audio(story.run(10, BargeIn()))] == [BargedIn]


def test_hanging_up_closes_the_microphone_and_silences_the_rest() -> None:
    story = answered()
    story.run(300, Play(speech(3), "r1"))
    events = story.run(10, HangUp("enough"))
    assert without_audio(events) == [Closed(End.HUNG_UP, "enough")]
    assert len(story.card.drops) == 1
    story.card.say(VOICE)
    assert story.run(200) == []


@pytest.mark.parametrize("in_a_tone", [False, True])
def test_a_call_that_ends_by_itself_fades_away_without_a_step(in_a_tone: bool) -> None:
    story = answered()
    wave = (8000 * np.sin(2 * np.pi * 200 / FAR * np.arange(3 * FAR))).astype("<i2").tobytes()
    story.run(303 if not in_a_tone else 10, Play(wave, "r1"), *([Tone("ringing")] if in_a_tone else []))
    story.run(200)
    before = len(story.card.played)
    assert without_audio(story.run(10, HangUp("gone", fades=True), Answer(24_000), Play(bytes(4800), "r2"))) == [
        Closed(End.HUNG_UP, "gone"),
        Opened(),
    ]
    story.run(300)
    assert (story.card.drops, story.card.restarts) == ([], 1)
    last = story.played(600)
    assert np.abs(np.diff(last.astype(int))).max() < 300, "200 Hz at this level have steps of 210"
    silent_after = np.flatnonzero(np.array(story.card.played[before:]))[-1]
    assert silent_after <= story.card.ahead + story.card.rate * 10 // 1000


def test_a_second_call_begins_with_nothing_of_the_first() -> None:
    story = answered(Uplink.HELD)
    story.card.say(VOICE)
    story.run(200)
    story.run(10, Play(speech(2), "r1"), HangUp("enough"))
    events = story.run(200, Answer(FAR), Listen(Uplink.OPEN))
    assert without_audio(events) == [Opened(), Listening(Uplink.OPEN), SpeechStarted()]
    assert not np.any(story.played(150))


def test_a_call_begins_with_a_closed_microphone_also_when_nobody_hung_up() -> None:
    story = answered()
    story.card.say(VOICE)
    assert story.run(100, Answer(FAR))[1:] == [Opened()], "but for the period in which it was told"


def test_nothing_is_told_of_a_call_that_is_over() -> None:
    story = answered()
    story.run(10, Mark("end", "r1"))
    assert without_audio(story.run(200, HangUp("enough"))) == [Closed(End.HUNG_UP, "enough")]


def test_no_period_has_to_make_a_tone() -> None:
    story = Story()
    made = tone.cache_info().misses
    for name in TONES:
        story.run(10, Tone(name))
    assert tone.cache_info().misses == made


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_a_period_is_a_period_at_every_rate_of_a_card(rate: int) -> None:
    story = Story(rate=rate)
    story.run(10, Answer(24_000), Listen(Uplink.OPEN))
    story.card.say(noise(rate, -20))
    assert len(sent(story.run(1000))) == 48_000
    story.run(1500, Play(bytes(48_000), "r1"), Mark("end", "r1"))


@settings(max_examples=150)
@given(
    st.lists(st.tuples(ORDERED, st.booleans(), st.integers(1, 12)), max_size=25),
    st.booleans(),
)
@example([(["answer", "listen held", "play a"], False, 1), (["listen held without reflex"], True, 1)], False)
def test_whatever_is_ordered_the_rules_hold(steps: list[tuple[list[str], bool, int]], half_duplex: bool) -> None:
    story = Story(half_duplex=half_duplex)
    uplink, in_call, suspected = Uplink.OFF, False, False
    for ordered, voice, periods in steps:
        if voice:
            story.card.say(VOICE[: 480 * periods])
        story.commands.extend(ORDERS[name] for name in ordered)
        for _ in range(periods):
            drops = len(story.card.drops)
            open_before = uplink
            events = cycle(story.card, story.duplex, story.commands)
            for event in events:
                match event:
                    case Opened():
                        in_call = True
                    case Closed():
                        uplink, in_call = Uplink.OFF, False
                    case Listening(now):
                        uplink = now
                    case Audio(pcm):
                        assert Uplink.OPEN in (open_before, uplink) or not any(pcm), "sound left a closed microphone"
                        assert in_call
                    case Suspected():
                        assert len(story.card.drops) > drops, "told and dropped in the same period"
                        suspected = True
                    case BargedIn(response):
                        assert response, "only a named response can be interrupted"
                        assert len(story.card.drops) > drops or suspected, "silent when it is told"
                        suspected = False
                    case TakenBack() | Cleared():
                        suspected = False
                    case _:
                        pass
            goes_on = any(isinstance(event, TakenBack) for event in events)  # in the period in which it was dropped
            if len(story.card.drops) > drops and not goes_on and not any(name.startswith("play") for name in ordered):
                assert not any(span.response for span in story.duplex.playout._spans), "what was dropped goes on"


def in_a_room_at_night(*commands: Command) -> Sounding | None:
    """Return what the self-test finds in a room whose echo is 20 dB fainter and 20 ms late, `commands` following."""
    echo = np.zeros(961, np.float32)
    echo[-1] = 0.1
    card = RoomCard(Room(48_000, echo=echo, noise_dbfs=-60), VirtualClock())
    duplex = Duplex(
        48_000, LoudnessDetector(), load("none", noise_suppression=True)[0], half_duplex=False, pre_roll_ms=0
    )
    queue: deque[Command] = deque()
    for period in range(300):
        if period == 20:
            queue.append(Chirp())
        if period == 40:
            queue.extend(commands)
        cycle(card, duplex, queue)
    return duplex.self_test.sounding()


def test_at_night_loudspeaker_and_microphone_hear_each_other() -> None:
    found = in_a_room_at_night()
    assert found
    assert found.figures.heard
    assert found.figures.heard.echo_db == pytest.approx(-20, abs=1)
    assert found.figures.heard.delay_ms == pytest.approx(20, abs=0.5)
    assert (found.still, found.aloud) == (False, True)


def test_a_call_comes_before_the_self_test() -> None:
    assert in_a_room_at_night(Answer(FAR)) is None


def test_there_is_no_self_test_in_a_call() -> None:
    story = answered()
    story.run(500, Chirp())
    assert not np.any(story.played(400))


@pytest.mark.parametrize("ahead_ms", [40, 500])
def test_the_echo_of_a_tone_is_nobody_who_speaks(ahead_ms: int) -> None:
    story = answered(Uplink.HELD)
    story.card.ahead = 48 * ahead_ms
    story.run(10)
    story.card.say(np.concatenate((np.zeros(48 * (ahead_ms + 60), np.int16), VOICE[: 48 * 230])))
    assert story.run(ahead_ms + 800, Tone("connected")) == []


def test_who_speaks_into_a_tone_is_heard_from_the_first_word() -> None:
    story = answered(Uplink.HELD)
    story.run(1000)
    story.card.say(VOICE[: 48 * 900])
    events = story.run(900, Tone("connected"))
    assert without_audio(events) == [SpeechStarted()]
    said = np.frombuffer(sent(story.run(10, Listen(Uplink.OPEN))), np.int16)
    assert len(said) / 16 >= 900


class Mute(Through):
    """A canceller that lets nothing pass."""

    def process(self, played: Samples, captured: Samples) -> Samples:
        return np.zeros_like(captured)


def test_a_voice_without_an_echo_leaves_uncleaned_only_while_the_loudspeaker_is_silent() -> None:
    """A canceller that mutes everything, and a detector that sees no echo: it may be wrong over a reply."""
    story = answered()
    story.duplex.hearing.canceller = Mute(False)
    story.detector.unspoilt = True
    story.card.say(VOICE)
    assert any(sent(story.run(200)))
    story.run(100, Listen(Uplink.OPEN, reflex=False), Play(speech(1), "r1"))
    story.detector.hear = lambda *block: None  # type: ignore[method-assign]
    assert not any(sent(story.run(200)))
    story.run(100, Clear())
    assert any(sent(story.run(100)))
