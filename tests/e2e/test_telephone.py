"""The telephone rings at a box: `edgevoice run` on the virtual card, and fake phone services that call it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevoice.audio.resample import Resampler
from edgevoice.audio.tones import tone
from tests.e2e.box import PATIENCE_S, RunningBox, first_word, likeness, similarity, voice
from tests.e2e.telephone import ELKS_CALLER, Telephone, boxed, hears_caller, hears_tone, tone_s
from tests.lab.labcard.labcard import World

Samples = NDArray[np.int16]

RATE = 48_000
AUTO = "[call]\nauto_answer = true\n"
ALLOWED = f'allow = ["{ELKS_CALLER}"]'
DOOR = 5
CODE = "48151623#"
RELAY = f'[relay.door]\npin = {DOOR}\npulse_s = 0.3\ndtmf = "{CODE}"\n'


def at_rate(pcm: Samples, target: int, source: int = 16_000) -> Samples:
    return Resampler(source, target).process(pcm)


def answered(box: RunningBox) -> None:
    """Answer the call that rings, and wait until the signal that says so is over."""
    box.wait_for_state("ringing")
    box.tap()
    box.wait_for_turn("listening")
    box.pause(0.5)


def test_it_rings_a_press_answers_and_both_hear_each_other(tmp_path: Path) -> None:
    story, question = voice("story"), voice("question")
    with World(rate=RATE) as world, boxed(world) as box:
        box.wait_until_awake()
        rang_from = world.now()
        with Telephone.calling(
            tmp_path / "a", "twilio", box, "--says-after-s", "15", "--says-every-s", "8", says=story, rate=16_000
        ) as caller:
            box.wait_for_state("ringing")
            assert box.status()["light"] == "half a second on, half off"
            hears_tone(box, "ringing", rang_from)
            with Telephone.calling(tmp_path / "b", "elks", box) as second:
                assert second.wait_for_the_end()["ended_by"] == "server"
            assert tone_s(*second.heard(), hz=425) > 1.0, "busy"
            answered(box)
            said_at = box.say(voice("question", RATE))
            assert [(call["name"], call["with"]) for call in box.status()["lines"]["calls"]] == [("twilio-1", "card")]
            assert hears_caller(box, caller, story) > 0.95
            box.tap()
            figures = caller.wait_for_the_end()
        box.wait_for_state("idle")
    assert (figures["ended_by"], figures["violations"]) == ("server", [])
    at_caller, rate = caller.heard()
    assert tone_s(at_caller, rate, 440) > 0.3, "it rang at their ear, too"
    since = round((world.time(said_at) - caller.began_at) * rate)
    assert likeness(at_caller[since:], at_rate(question, rate), rate) > 0.95


def test_a_caller_does_not_hear_himself_out_of_the_loudspeaker(tmp_path: Path) -> None:
    story = voice("story")
    with World(rate=RATE) as world, boxed(world) as box:
        world.set_echo(0.02, 0.5)
        box.wait_until_awake()
        with Telephone.calling(tmp_path, "twilio", box, "--says-after-s", "6", says=story, rate=16_000) as caller:
            answered(box)
            said_at = float(caller.wait_for("says", "fake")["at"])
            box.pause(len(story) / 16_000 + 0.5)
            box.tap()
            caller.wait_for_the_end()
    back = caller.heard_since(said_at + 2.0).astype(np.float64)
    said = story[2 * 16_000 :].astype(np.float64)
    below_db = 10 * np.log10(np.mean(said**2) / max(1.0, float(np.mean(back**2))))
    assert below_db > 26, "6 of them are the room's, 20 the canceller's"


def test_an_allowed_caller_is_answered_with_a_beep_before_anything_of_the_room_leaves(tmp_path: Path) -> None:
    room = np.tile(voice("story", RATE), 18)
    with World(rate=RATE) as world, boxed(world, AUTO, line=ALLOWED) as box:
        box.wait_until_awake()
        box.say(room)
        with Telephone.calling(tmp_path / "a", "twilio", box) as stranger:
            box.wait_for_state("ringing")
            box.pause(1.0)
            assert box.status()["state"] == "ringing", "nobody knows who that is"
            stranger.hang_up()
        box.wait_for_state("idle")
        beeped_from = world.now()
        with Telephone.calling(tmp_path / "b", "elks", box) as friend:
            box.wait_for_turn("hearing")
            hears_tone(box, "connected", beeped_from)
            box.pause(1.0)
            friend.hang_up()
        box.wait_for_state("idle")
        beep = tone("connected", RATE)
        speaker = box.speaker(beeped_from)
        beeped_at = world.time(beeped_from + int(np.nonzero(speaker)[0][0]))
    assert similarity(speaker, beep) > 0.99
    heard, rate = friend.heard()
    left_at = friend.began_at + first_word(heard, rate) / rate - 0.06  # the way there
    assert left_at > beeped_at + len(beep) / RATE
    assert not np.count_nonzero(np.abs(stranger.heard_since(0.0)) > 4000), "a stranger hears it ring, and no more"


def test_a_code_opens_the_door_and_guessing_at_it_does_not(tmp_path: Path) -> None:
    def keys(text: str, first_s: float) -> list[str]:
        presses = [f"{key}@{first_s + 0.1 * number:g}" for number, key in enumerate(text)]
        return [word for press in presses for word in ("--press", press)]

    with World(rate=RATE) as world, boxed(world, RELAY) as box:
        box.wait_until_awake()
        with Telephone.calling(tmp_path / "a", "twilio", box, *keys(f"7{CODE}", 6)) as caller:
            answered(box)
            opened, closed = box.pins.edges(DOOR, at_least=2, within_s=PATIENCE_S)[:2]
            assert (opened.level, closed.level) == (1, 0)
            assert 0.25 < closed.at - opened.at < 1.5
            box.pause(0.5)
            box.tap()
            caller.wait_for_the_end()
        assert tone_s(caller.heard_since(opened.at), 8000, 880) > 0.08, "they hear that it is open"
        box.wait_for_state("idle")
        guesses = "12345678#" * 3
        with Telephone.calling(tmp_path / "b", "twilio", box, *keys(guesses + CODE, 6)) as guesser:
            answered(box)
            box.wait_for_line("too many wrong codes; no door opens any more in this call")
            box.pause(2.0)
            assert len(box.pins.edges(DOOR)) == 2
            guesser.hang_up()
        journal = box.journal
    assert "relay door opened by a code" in journal
    for secret in (CODE, CODE[:4], "12345678", ELKS_CALLER):
        assert secret not in journal


def test_a_card_that_is_pulled_lets_the_caller_go_and_is_used_again(tmp_path: Path) -> None:
    with World(rate=RATE) as world, boxed(world) as box:
        box.wait_until_awake()
        with Telephone.calling(tmp_path, "elks", box) as caller:
            answered(box)
            world.unplug()
            figures = caller.wait_for_the_end()
        assert (figures["ended_by"], figures["violations"]) == ("server", [])
        assert caller.lines("bye", "server")
        box.wait_for_state("fault")
        box.wait_for_line("card lost")
        world.plug()
        box.wait_for_state("idle")


def test_a_caller_whose_service_dies_is_gone_and_the_next_one_is_heard(tmp_path: Path) -> None:
    with World(rate=RATE) as world, boxed(world) as box:
        box.wait_until_awake()
        with Telephone.calling(tmp_path / "a", "twilio", box) as caller:
            answered(box)
            caller.kill()
            box.wait_for_state("idle")
        with Telephone.calling(tmp_path / "b", "elks", box) as again:
            box.wait_for_state("ringing")
            again.kill()
            box.wait_for_state("idle")
        assert box.status()["lines"]["calls"] == []
        box.call()
