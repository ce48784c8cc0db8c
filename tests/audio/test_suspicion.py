"""A suspicion is silence that can be taken back: what is heard, what is told, and what is never lost."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevoice.audio.duplex import cycle
from edgevoice.audio.echo import load
from edgevoice.audio.playout import FADE_MS
from edgevoice.events import (
    Answer,
    Audio,
    BargedIn,
    BargeIn,
    Clear,
    Cleared,
    Closed,
    Command,
    Event,
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
    Witness,
)
from tests.audio.story import FAR, GIVE_UP_MS, ORDERED, ORDERS, VOICE, Story, answered, sent, speech, without_audio
from tests.fakes import noise

COUGH = noise(48 * 40, -15)  # loud, and shorter than any evidence
SOUND = speech(3)


def kinds(events: list[Event]) -> list[type]:
    """Name what happened, but for sound and for who speaks."""
    return [type(event) for event in events if not isinstance(event, Audio | SpeechStarted | SpeechStopped)]


def speaking(*, rate: int = 48_000, uplink: Uplink = Uplink.OPEN) -> Story:
    """Return a call in which a response has sounded for half a second."""
    story = answered(uplink, rate=rate)
    story.run(500, Play(SOUND, "r1"))
    return story


def heard(story: Story) -> int:
    """Count the samples that left the loudspeaker, without the silence in it."""
    return int(np.count_nonzero(story.card.played))


def test_a_hint_silences_the_loudspeaker_in_the_same_period() -> None:
    story = speaking()
    story.card.say(VOICE)
    assert kinds(story.run(10)) == [Suspected]
    assert story.card.drops == [1440], "30 of 40 ms were still in the card"
    assert story.card.queued() == story.card.ahead, "of silence: it must not run dry"
    story.run(60)
    assert not np.any(story.played(60)), "silence, from the very next period on"


def test_enough_evidence_makes_it_an_interruption() -> None:
    story = speaking()
    story.card.say(VOICE)
    assert kinds(story.run(70)) == [Suspected]
    events = without_audio(story.run(10))
    assert [type(event) for event in events] == [SpeechStarted, BargedIn]
    assert len(story.card.drops) == 1, "it is silent already"
    story.run(1000)
    assert not np.any(story.played(1000))


def test_heard_stands_still_while_it_is_weighed() -> None:
    story = speaking()
    story.card.say(VOICE)
    (barged,) = [event for event in story.run(100) if isinstance(event, BargedIn)]
    left = np.nonzero(np.array(story.card.played))[0]
    assert barged.heard_ms == pytest.approx((left[-1] - left[0] + 1) / 48, abs=2)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_after_a_cough_the_reply_goes_on_at_the_very_sample(rate: int) -> None:
    undisturbed = answered(rate=rate)
    undisturbed.run(4000, Play(SOUND, "r1"), Mark("end", "r1"))
    story = speaking(rate=rate)
    story.card.say(COUGH[: rate // 25])
    events = story.run(4000, Mark("end", "r1"))
    assert kinds(events) == [Suspected, TakenBack, Played]
    expected, played = np.array(undisturbed.card.played), np.array(story.card.played)
    cut = np.nonzero(played)[0]
    gap = int(np.argmax(np.diff(cut)))
    stop, go = cut[gap] + 1, cut[gap + 1]
    assert (go - stop) / rate > 0.2, "a gap that can be heard"
    assert np.array_equal(played[:stop], expected[:stop])
    fade = rate * FADE_MS // 1000
    resumed = expected[stop:]
    go -= next(s for s in range(8) if np.array_equal(played[go - s + fade :][:rate], resumed[fade:][:rate]))
    assert np.all(np.abs(played[go : go + fade]) <= np.abs(resumed[:fade])), "it swells, from what rounds to nothing"


def test_what_follows_a_cut_begins_at_nothing_and_swells() -> None:
    story = answered()
    loud = np.full(FAR * 3, 20_000, np.int16).tobytes()
    story.run(500, Play(loud, "r1"))
    story.card.say(COUGH)
    story.run(600)
    steps = np.abs(np.diff(np.array(story.card.played[48_00:], np.int32)))
    assert np.sort(steps)[-1] > 19_000, "the cut itself"
    assert np.sort(steps)[-2] < 200, "and no other step"


def test_several_coughs_lose_and_repeat_nothing() -> None:
    undisturbed = answered()
    undisturbed.run(4000, Play(SOUND, "r1"), Mark("end", "r1"))
    story = speaking()
    for pause_ms in (300, 330, 350, 270, 900):
        story.card.say(COUGH)
        story.run(pause_ms)
    events = story.run(5000, Mark("end", "r1"))
    assert kinds(events)[-1] is Played
    assert story.duplex.suspicions == story.duplex.taken_back >= 4
    assert heard(story) == pytest.approx(heard(undisturbed), abs=60), "the fades begin with some zeros"


def test_a_mark_that_is_due_fires_after_the_rest_was_played() -> None:
    story = answered()
    story.run(480, Play(speech(0.5), "r1"), Mark("end", "r1"))  # draining: the last 40 ms are in the card
    story.card.say(COUGH)
    assert kinds(story.run(200)) == [Suspected]
    assert kinds(story.run(300)) == [TakenBack, Played]


def test_a_hint_after_the_last_sample_holds_nothing() -> None:
    story = answered()
    story.run(560, Play(speech(0.5), "r1"), Mark("end", "r1"))
    story.card.say(VOICE)
    assert Suspected not in kinds(story.run(300))


def test_what_is_still_said_without_evidence_is_taken_back_in_time() -> None:
    story = speaking()
    for _ in range(10):  # never quiet for long, never a voice for long
        story.card.say(np.concatenate((COUGH, np.zeros(48 * 40, np.int16))))
    assert kinds(story.run(GIVE_UP_MS)) == [Suspected]
    assert kinds(story.run(10)) == [TakenBack]


@pytest.mark.parametrize(("command", "told"), [(BargeIn(), BargedIn), (Clear(), Cleared)])
def test_button_and_clear_confirm_at_the_held_position(command: Command, told: type[BargedIn | Cleared]) -> None:
    story = speaking()
    story.card.say(COUGH)
    story.run(100)
    drops = len(story.card.drops)
    (event,) = [event for event in story.run(10, command) if isinstance(event, BargedIn | Cleared)]
    assert isinstance(event, told)
    left = np.nonzero(np.array(story.card.played))[0]
    assert event.heard_ms == pytest.approx((left[-1] - left[0] + 1) / 48, abs=2)
    assert kinds(story.run(1000)) == []
    assert len(story.card.drops) == drops, "no second drop"
    assert not np.any(story.played(1000))


def test_fifty_stops_of_a_suspicion_are_one_interruption() -> None:
    story = speaking()
    story.card.say(COUGH)
    story.run(50)
    assert kinds(story.run(500, *[BargeIn()] * 50)) == [BargedIn]


@pytest.mark.parametrize("order", [Listen(Uplink.SILENT), Listen(Uplink.OFF), Listen(Uplink.OPEN, reflex=False)])
def test_a_microphone_that_closes_takes_the_suspicion_back(order: Listen) -> None:
    story = speaking()
    story.card.say(VOICE)
    story.run(30)
    assert kinds(story.run(10, order)) == [TakenBack, Listening]
    story.run(100)
    assert np.any(story.played(50))


def test_hanging_up_ends_it_without_a_word() -> None:
    story = speaking()
    story.card.say(VOICE)
    story.run(30)
    assert kinds(story.run(10, HangUp("enough"))) == [Closed]
    assert story.duplex.playout.sounding == ""
    assert kinds(story.run(500, Answer(FAR), Listen(Uplink.OPEN))) == [Opened, Listening]
    assert not np.any(story.played(400))


def test_what_the_agent_says_meanwhile_waits_in_order() -> None:
    story = speaking()
    story.card.say(COUGH)
    story.run(50)
    story.run(50, Play(SOUND, "r1"), Mark("first", "r1"), Play(speech(0.5), "r2"), Mark("second", "r2"))
    events = story.run(8000)
    assert [event.mark for event in events if isinstance(event, Played)] == ["first", "second"]


def test_a_tone_sounds_also_while_the_reply_is_held() -> None:
    story = speaking()
    story.card.say(COUGH)
    story.run(50)
    story.run(100, Tone("muted"))
    assert np.any(story.played(50))


def test_nothing_that_the_person_says_is_lost_or_late_meanwhile() -> None:
    story = speaking()
    ramp = (3000 * np.sin(np.arange(48 * 700) / 20)).astype(np.int16)
    story.card.say(ramp)
    said = np.frombuffer(sent(story.run(700)), np.int16)
    alone = answered()
    alone.card.say(ramp)
    assert np.array_equal(said[16:], np.frombuffer(sent(alone.run(700)), np.int16)[16:])
    assert len(said) == 700 * 16


def test_the_first_word_of_an_interruption_is_kept_however_long_it_is_weighed() -> None:
    story = speaking(uplink=Uplink.HELD)
    begun = noise(48 * 20, -15)
    for _ in range(8):
        story.card.say(np.concatenate((begun, np.zeros(48 * 20, np.int16))))
    story.card.say(VOICE[: 48 * 200])
    events = story.run(520)
    assert kinds(events) == [Suspected, BargedIn]
    later = story.run(100)  # the order to listen takes its way through the program
    assert sent(later) == b""
    said = np.frombuffer(sent(story.run(10, Listen(Uplink.OPEN))), np.int16)
    assert len(said) / 16 >= 300 + 520
    onset = np.flatnonzero(np.abs(said) > 1000)[0]
    assert onset / 16 == pytest.approx(len(said) / 16 - 630, abs=12), "the very first sound is in it"


def test_a_second_witness_counts_only_for_this_suspicion() -> None:
    story = speaking()
    story.card.say(COUGH)
    story.run(100)
    story.run(10, Witness(ago_ms=5000))
    assert story.detector.calls == ["suspect"]
    story.run(10, Witness(ago_ms=600))
    assert story.detector.calls == ["suspect", "witness"]
    story.run(600)
    assert story.detector.calls == ["suspect", "witness", "relax"]
    story.run(10, Witness(ago_ms=0))
    assert story.detector.calls == ["suspect", "witness", "relax"], "there is nothing to confirm any more"


def test_the_verdict_is_on_the_response_that_was_suspected_also_beside_one_that_starves() -> None:
    story = answered()
    story.run(300, Play(speech(0.2), "r1"))
    story.run(300, Play(SOUND, "r2"))
    story.card.say(COUGH)
    assert [event for event in story.run(400) if isinstance(event, Suspected | TakenBack)] == [
        Suspected("r2"),
        TakenBack("r2"),
    ]
    story.card.say(VOICE)
    told = [event for event in story.run(200) if isinstance(event, Suspected | BargedIn)]
    assert [event.response for event in told] == ["r2", "r2"]


def test_a_box_that_becomes_half_duplex_does_not_stay_silent_for_a_cough() -> None:
    story = speaking()
    story.card.say(COUGH)
    story.run(50)
    story.duplex.hearing.canceller, _ = load("speex", noise_suppression=True)
    story.duplex.reference.unusable = "the clocks run away from each other"
    assert kinds(story.run(60, Tone("ringing"))) == [TakenBack], "while a tone sounds it cannot weigh anything"
    assert np.any(story.played(20))


def test_an_interruption_after_which_nobody_listens_is_not_sent_with_the_next_turn() -> None:
    story = speaking(uplink=Uplink.HELD)
    story.card.say(VOICE[: 48 * 200])
    assert kinds(story.run(300)) == [Suspected, BargedIn]
    story.run(2000)
    assert len(sent(story.run(10, Listen(Uplink.OPEN)))) == 2 * 16 * 300


def test_what_is_held_right_after_an_interruption_is_no_longer_than_ever() -> None:
    story = speaking(uplink=Uplink.HELD)
    story.card.say(VOICE[: 48 * 200])
    story.run(200)
    story.run(10, Listen(Uplink.OPEN))
    story.run(10, Listen(Uplink.HELD))
    story.run(500)
    assert len(sent(story.run(10, Listen(Uplink.OPEN)))) == 2 * 16 * 300


def test_push_to_talk_does_not_suspect() -> None:
    story = answered()
    story.run(500, Listen(Uplink.OPEN, reflex=False), Play(SOUND, "r1"))
    story.card.say(VOICE)
    assert kinds(story.run(500)) == []


def test_half_duplex_does_not_suspect() -> None:
    story = answered(half_duplex=True)
    story.run(500, Play(SOUND, "r1"))
    story.card.say(VOICE)
    assert kinds(story.run(500)) == []


SOUNDS = st.sampled_from(["nothing", "cough", "voice"])


class Witnessed:
    """The rules of a suspicion, checked event by event."""

    def __init__(self) -> None:
        self.held = ""
        self.told: dict[str, float] = {}

    def see(self, event: Event) -> None:
        match event:
            case Suspected(response):
                assert not self.held, "one suspicion at a time"
                assert response, "only a named response can be talked over"
                self.held = response
            case TakenBack(response):
                assert response == self.held
                self.held = ""
            case BargedIn(response, heard_ms) | Cleared(response, heard_ms):
                assert not self.held or response == self.held
                assert heard_ms >= 0
                self.held = ""
            case Played():
                assert not self.held, "no mark fires while it is held"
            case Closed() | Opened():
                self.held = ""
            case _:
                pass


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ORDERED, SOUNDS, st.integers(1, 12)), max_size=30))
def test_whatever_happens_a_suspicion_ends_and_tells_it_once(steps: list[tuple[list[str], str, int]]) -> None:
    story = answered()
    rules = Witnessed()
    commands: deque[Command] = story.commands
    for ordered, sound, periods in steps:
        if sound != "nothing":
            story.card.say(COUGH if sound == "cough" else VOICE[: 480 * periods])
        commands.extend(ORDERS[name] for name in ordered)
        for _ in range(periods):
            drops, was_held = len(story.card.drops), bool(rules.held)
            for event in cycle(story.card, story.duplex, commands):
                rules.see(event)
            dropped = len(story.card.drops) - drops
            assert not (was_held and rules.held and dropped), "what is held is not dropped again"
            if rules.held and not story.duplex.playout.audible:
                story.card.heard = story.card.heard[:0]  # and it falls quiet
    for event in story.run(GIVE_UP_MS + 10):
        rules.see(event)
    assert not rules.held, "it does not last"
