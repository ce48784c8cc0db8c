"""What the doctor says of the sound, with facts that are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgevoice.audio.measurement import Figures, Heard, Sounding
from edgevoice.doctor.facts import Cancelling, Control, Holder, KernelCard, MixerLook, Obtained, Sound
from edgevoice.doctor.finding import Level, SwitchOn
from edgevoice.doctor.sound import (
    card_id,
    check_canceller,
    check_card,
    check_echo,
    check_holders,
    check_loudspeaker_level,
    check_microphone,
    check_microphone_level,
    check_opening,
    check_sound,
)
from edgevoice.schema import Card

USB = KernelCard("1", "Device", "USB-Audio", "USB Audio Device", "snd_usb_audio")
HDMI = KernelCard("0", "vc4hdmi", "vc4-hdmi", "vc4-hdmi", "vc4")
NAMED = Card(capture="hw:CARD=Device", playback="hw:CARD=Device", volume=-1)
HEARD = Heard(delay_ms=20.0, echo_db=-18.0, polarity=1, distortion_percent=None, clear_db=30.0, loudest_dbfs=-9.0)
FIGURES = Figures(heard=HEARD, noise_dbfs=-60.0, peak_dbfs=-20.0, clipped=0, sweep_dbfs=-24.0)
MIXER = MixerLook("hw:Device", Control("PCM", 70, False), Control("Mic", 60, False))
HEALTHY = Sound(
    NAMED,
    (HDMI, USB),
    "6.6.31",
    obtained=Obtained(48_000, 10.0, 40.0, 1, 2),
    mixer=MIXER,
    sounding=Sounding(FIGURES, 0.001, still=False),
)
SHUT = replace(HEALTHY, obtained=None, sounding=None)
BUSY = 'card.playback "hw:CARD=Device" is held by another program: stop it (fuser -v /dev/snd/* shows which), or wait'


def test_a_healthy_card_has_nothing_wrong() -> None:
    assert [found.level for found in check_sound(HEALTHY)] == [Level.OK] * 7
    card, holders, rates, volume, capture, microphone, loudspeaker = (found.sentence for found in check_sound(HEALTHY))
    assert card == 'Device: USB-Audio "USB Audio Device", driver snd_usb_audio; kernel 6.6.31'
    assert holders == "nobody"
    assert rates == "48000 Hz, 10 ms periods, 1 in, 2 out, 40 ms ahead"
    assert volume == '"PCM" of hw:Device, 70 %'
    assert capture == '"Mic" of hw:Device, 60 %'
    assert microphone == "alive, -60 dBFS while nothing is said"
    assert loudspeaker == "heard by the microphone: -18 dB, 20 ms late"


@pytest.mark.parametrize(
    ("pcm", "card"),
    [("hw:CARD=Device", "Device"), ("plughw:CARD=seeed,DEV=0", "seeed"), ("hw:1", "1"), ("default", ""), ("mic", "")],
)
def test_a_pcm_names_its_card_or_none(pcm: str, card: str) -> None:
    assert card_id(pcm) == card


def test_a_card_is_also_found_by_its_number() -> None:
    found = check_card(replace(HEALTHY, card=Card(capture="hw:1", playback="hw:1")))
    assert (found.level, found.sentence[:7]) == (Level.OK, "Device:")


def test_a_card_that_is_gone_is_told_with_those_that_are_there_and_the_rates_are_no_failure_of_their_own() -> None:
    gone = replace(SHUT, cards=(HDMI,), trouble="does not open")
    found = check_card(gone)
    assert found.level is Level.FAILED
    assert found.sentence == 'no card "Device" in the kernel 6.6.31; there are: hw:CARD=vc4hdmi'
    assert "dtoverlay in /boot/firmware/config.txt" in found.advice
    assert check_opening(gone).level is Level.ABSENT
    assert check_microphone(gone).level is Level.ABSENT
    assert check_echo(gone).level is Level.ABSENT


def test_a_kernel_without_any_card_fails() -> None:
    bare = replace(SHUT, card=Card(), cards=())
    assert check_card(bare).level is Level.FAILED
    assert check_card(bare).sentence == "the kernel 6.6.31 has no sound card"


def test_a_name_of_the_alsa_configuration_needs_no_card_of_that_name() -> None:
    found = check_card(replace(HEALTHY, card=Card(capture="mic", playback="speaker"), cards=()))
    assert (found.level, found.sentence) == (Level.OK, '"mic" of the ALSA configuration')


def test_a_program_that_plays_is_named_and_how_to_stop_it() -> None:
    held = replace(SHUT, holders=(Holder(412, "arecord", "Device", "capture"),), trouble=BUSY)
    found = check_holders(held)
    assert found.level is Level.FAILED
    assert (found.sentence, found.advice) == ("arecord (process 412) has the card open", "stop it: kill 412")
    assert check_opening(held).level is Level.ABSENT


@pytest.mark.parametrize("server", ["pipewire", "pulseaudio"])
def test_a_sound_server_is_stopped_in_its_own_way(server: str) -> None:
    found = check_holders(replace(SHUT, holders=(Holder(9, server, "Device", "playback"),)))
    assert found.level is Level.FAILED
    assert f"mask --now {server}.socket" in found.advice


def test_a_sound_server_that_only_has_the_mixer_is_a_warning() -> None:
    found = check_holders(replace(HEALTHY, holders=(Holder(9, "wireplumber", "Device", "mixer"),)))
    assert found.level is Level.WARNING


def test_who_holds_another_card_or_is_ourselves_does_not_matter() -> None:
    others = (Holder(9, "aplay", "vc4hdmi", "playback"), Holder(7, "edgevoice", "Device", "capture"))
    assert check_holders(replace(HEALTHY, holders=others, by_box=True)).sentence == "edgevoice"


def test_sound_that_goes_through_a_sound_server_works_and_is_a_warning() -> None:
    through = replace(HEALTHY, card=Card(), holders=(Holder(9, "pipewire", "Device", "playback"),))
    found = check_holders(through)
    assert found.level is Level.WARNING
    assert found.advice.startswith("name the card itself, hw:CARD=Device; ")


def test_another_box_that_holds_the_card_is_named_when_it_is_not_the_one_that_was_asked() -> None:
    found = check_holders(replace(SHUT, holders=(Holder(7, "edgevoice", "Device", "capture"),), trouble=BUSY))
    assert (found.level, found.sentence) == (Level.FAILED, "edgevoice (process 7) has the card open")


def test_a_holder_that_cannot_be_seen_is_still_a_failure() -> None:
    found = check_holders(replace(SHUT, trouble=BUSY))
    assert (found.level, found.sentence, found.advice) == (Level.FAILED, BUSY, "sudo edgevoice doctor names it")


def test_a_card_that_opens_at_another_rate_is_a_warning() -> None:
    found = check_opening(replace(HEALTHY, obtained=Obtained(44_100, 10.0, 40.0, 1, 2)))
    assert (found.level, found.advice) == (Level.WARNING, "card.rate = 44100 says what is true")


def test_a_card_that_refuses_says_why() -> None:
    found = check_opening(replace(SHUT, trouble="capture format is S32_LE, expected S16_LE"))
    assert (found.level, found.sentence) == (Level.FAILED, "capture format is S32_LE, expected S16_LE")


def test_a_box_whose_card_is_lost_says_so_once() -> None:
    assert check_opening(replace(SHUT, by_box=True, trouble="the sound card is gone")).level is Level.ABSENT
    starting = check_opening(replace(SHUT, by_box=True))
    assert (starting.level, starting.sentence) == (Level.FAILED, "the box has not opened the card")


def muted(loudspeaker: Control, **changes: object) -> Sound:
    return replace(HEALTHY, mixer=MixerLook("hw:Device", loudspeaker), **changes)  # type: ignore[arg-type]


def test_a_muted_loudspeaker_fails_and_can_be_mended() -> None:
    found = check_loudspeaker_level(muted(Control("PCM", 70, True)))
    assert found.level is Level.FAILED
    assert found.fix == SwitchOn("hw:Device", "PCM")


def test_a_muted_loudspeaker_is_no_failure_when_the_box_unmutes_it() -> None:
    found = check_loudspeaker_level(muted(Control("PCM", 70, True), card=Card(volume=70)))
    assert (found.level, found.sentence) == (Level.OK, '"PCM" of hw:Device, 70 %, muted; the box sets 70 %')


def test_a_loudspeaker_that_somebody_muted_under_the_running_box_fails() -> None:
    found = check_loudspeaker_level(muted(Control("PCM", 70, True), card=Card(volume=70), by_box=True))
    assert found.level is Level.FAILED


def test_a_loudspeaker_at_zero_fails() -> None:
    assert check_loudspeaker_level(muted(Control("PCM", 0, False))).level is Level.FAILED
    asked = check_loudspeaker_level(muted(Control("PCM", 0, None), by_box=True))
    assert (asked.level, asked.advice) == (Level.FAILED, "edgevoice ctl volume 70")
    assert check_loudspeaker_level(muted(Control("PCM", 50, False), card=Card(volume=0))).level is Level.FAILED


def test_a_control_that_the_card_lacks_fails() -> None:
    found = check_loudspeaker_level(replace(HEALTHY, mixer=MixerLook("hw:Device", trouble='no control "Spekaer"')))
    assert (found.level, found.sentence) == (Level.FAILED, 'no control "Spekaer"')


def test_a_card_without_a_mixer_is_no_failure() -> None:
    bare = replace(HEALTHY, mixer=MixerLook("hw:Device"))
    assert check_loudspeaker_level(bare).level is Level.ABSENT
    assert check_microphone_level(bare).level is Level.ABSENT


def test_a_microphone_that_is_switched_off_fails_and_can_be_mended() -> None:
    mixer = MixerLook("hw:Device", None, Control("Mic", 60, True))
    found = check_microphone_level(replace(HEALTHY, mixer=replace(mixer, capture_device="hw:Webcam")))
    assert (found.sentence, found.fix) == (
        'the microphone is switched off: "Mic" of hw:Webcam',
        SwitchOn("hw:Webcam", "Mic", captures=True),
    )
    found = check_microphone_level(replace(HEALTHY, mixer=mixer))
    assert (found.level, found.fix) == (Level.FAILED, SwitchOn("hw:Device", "Mic", captures=True))


def test_a_microphone_at_zero_fails() -> None:
    found = check_microphone_level(replace(HEALTHY, mixer=MixerLook("hw:Device", None, Control("Mic", 0, False))))
    assert found.level is Level.FAILED


def sounding(offset: float = 0.0, *, still: bool = False, **figures: object) -> Sound:
    return replace(HEALTHY, sounding=Sounding(replace(FIGURES, **figures), offset, still))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sound", "level", "words"),
    [
        (sounding(still=True), Level.FAILED, "nothing but silence"),
        (sounding(peak_dbfs=-96.0), Level.FAILED, "nothing but silence"),
        (sounding(clipped=12), Level.WARNING, "it clips (12 samples)"),
        (sounding(offset=-0.05), Level.WARNING, "an offset of -5 % of full scale"),
        (sounding(noise_dbfs=-30.0), Level.WARNING, "it is noisy: -30 dBFS"),
        (replace(HEALTHY, sounding=None, sounding_trouble="no sound for 0.5 s"), Level.FAILED, "no sound for 0.5 s"),
        (replace(SHUT, by_box=True), Level.ABSENT, "the box has no card now"),
        (replace(SHUT, by_box=True, microphone_dbfs=-96.0), Level.WARNING, "-96 dBFS, which is silence"),
        (replace(SHUT, by_box=True, microphone_dbfs=-55.0), Level.OK, "the box hears -55 dBFS now"),
        (replace(SHUT, by_box=True, microphone_dbfs=-55.0, refused="it is in call"), Level.OK, "now; it is in call"),
        (replace(sounding(still=True), by_box=True), Level.FAILED, "nothing but silence"),
        (replace(sounding(clipped=12), by_box=True), Level.WARNING, "it clips (12 samples)"),
        (replace(sounding(offset=0.05), by_box=True), Level.WARNING, "an offset of 5 % of full scale"),
        (replace(sounding(noise_dbfs=-30.0), by_box=True), Level.WARNING, "it is noisy: -30 dBFS"),
    ],
)
def test_what_is_wrong_with_a_microphone_is_told(sound: Sound, level: Level, words: str) -> None:
    found = check_microphone(sound)
    assert found.level is level
    assert words in found.sentence


NOISY = "it is too noisy to hear a chirp, or somebody spoke"


def test_a_silent_microphone_says_nothing_about_the_loudspeaker() -> None:
    assert check_echo(sounding(still=True, heard=None)).level is Level.ABSENT


def test_a_loudspeaker_that_is_not_heard_names_what_is_muted() -> None:
    unheard = replace(sounding(heard=None, peak_dbfs=-47.0), mixer=replace(MIXER, muted=("Speaker", "DAC")))
    found = check_echo(unheard)
    assert found.level is Level.WARNING
    assert found.sentence == "the microphone does not hear it; muted in the mixer: Speaker, DAC"


def test_a_card_that_loses_frames_says_nothing_about_the_loudspeaker() -> None:
    lost = replace(HEALTHY, sounding=Sounding(replace(FIGURES, heard=None), 0.0, False, disturbed=True))
    assert check_echo(lost).level is Level.WARNING
    assert check_echo(lost).sentence == "not known: the card lost frames whenever it was tried"


def test_in_a_loud_room_nothing_is_said_about_the_loudspeaker() -> None:
    found = check_echo(sounding(heard=None, noise_dbfs=-30.0))
    assert (found.level, found.sentence) == (Level.WARNING, NOISY)


@pytest.mark.parametrize(
    ("self_test", "level"),
    [
        ("", Level.ABSENT),
        ("loudspeaker and microphone hear each other: echo -18 dB, 20 ms; 7 hours ago", Level.OK),
        ("too noisy to tell: noise floor -30 dBFS; 7 hours ago", Level.OK),
        ("loudspeaker and microphone hear each other: echo -2 dB, 20 ms, 16 dB louder: calibrate again", Level.WARNING),
        ("loudspeaker and microphone hear each other: echo -40 dB, the loudspeaker is covered", Level.WARNING),
        ("the microphone delivers nothing but silence: it is dead, or switched off; 2 days ago", Level.WARNING),
    ],
)
def test_a_running_box_that_does_not_chirp_now_is_asked_for_its_last_self_test(self_test: str, level: Level) -> None:
    assert check_echo(replace(HEALTHY, by_box=True, sounding=None, self_test=self_test)).level is level


HEARS = "loudspeaker and microphone hear each other: echo -18 dB, 20 ms"
UNHEARD = replace(FIGURES, heard=None, peak_dbfs=-47.0)


@pytest.mark.parametrize(
    ("sounding", "judged", "changed", "level", "words"),
    [
        (Sounding(FIGURES, 0.0, False), HEARS, False, Level.OK, HEARS),
        (Sounding(FIGURES, 0.0, False), "moved: calibrate again", True, Level.WARNING, "moved: calibrate again"),
        (
            Sounding(replace(FIGURES, noise_dbfs=-30.0), 0.0, False),
            "12 dB louder: calibrate again",
            True,
            Level.WARNING,
            NOISY,
        ),
        (Sounding(UNHEARD, 0.0, False), "not any more: dead", True, Level.WARNING, "not any more: dead"),
        (Sounding(UNHEARD, 0.0, False), "does not hear", False, Level.WARNING, "the microphone does not hear it"),
        (Sounding(UNHEARD, 0.0, False), "too noisy to tell", False, Level.WARNING, NOISY),
        (
            Sounding(FIGURES, 0.0, False, disturbed=True),
            "moved: calibrate again",
            True,
            Level.WARNING,
            "not known: the card lost frames whenever it was tried",
        ),
        (Sounding(UNHEARD, 0.0, True), "it is dead", True, Level.ABSENT, "not known: the microphone is silent"),
        (Sounding(UNHEARD, 0.0, False, aloud=False), "", False, Level.OK, f"{HEARS}; 7 hours ago"),
        (None, "", False, Level.OK, f"{HEARS}; 7 hours ago"),
    ],
)
def test_a_running_box_says_what_its_chirp_means(
    sounding: Sounding | None, judged: str, changed: bool, level: Level, words: str
) -> None:
    night = f"{HEARS}; 7 hours ago"
    box = replace(HEALTHY, by_box=True, sounding=sounding, judged=judged, changed=changed, self_test=night)
    found = check_echo(box)
    assert (found.level, found.sentence) == (level, words)


def test_a_box_that_refuses_to_chirp_and_has_no_night_behind_it_says_why() -> None:
    found = check_echo(replace(SHUT, by_box=True, refused="it is in call"))
    assert (found.level, found.untried) == (Level.ABSENT, True)
    assert found.sentence == "it is in call; to try it all the same: sudo systemctl stop edgevoice, then doctor again"


def test_a_microphone_that_the_box_hears_but_does_not_listen_to_says_why() -> None:
    found = check_microphone(replace(SHUT, by_box=True, microphone_dbfs=-50.0, refused="it is in call"))
    assert found.sentence == "the box hears -50 dBFS now; it is in call"


def test_into_what_somebody_spoke_is_asked_again_and_no_reason_to_calibrate() -> None:
    spoken = replace(HEALTHY, by_box=True, judged="too noisy to tell, or somebody spoke: ask again")
    assert (check_echo(spoken).sentence, check_echo(spoken).advice) == (NOISY, "ask again when it is quiet")
    assert HEALTHY.sounding
    figures = HEALTHY.sounding.figures
    assert figures.heard
    for heard in (None, replace(figures.heard, echo_db=-120.0, clear_db=-121.0)):
        loud = replace(figures, heard=heard, peak_dbfs=-10.0)
        assert check_echo(replace(HEALTHY, sounding=Sounding(loud, 0.0, False))).sentence == NOISY


def test_a_box_that_is_muted_is_a_warning_that_says_how_to_open_it() -> None:
    assert "muted" not in [found.name for found in check_sound(HEALTHY)]
    [found] = [found for found in check_sound(replace(HEALTHY, muted=True)) if found.name == "muted"]
    assert (found.level, found.advice) == (Level.WARNING, "edgevoice ctl mute off")


def test_a_card_that_is_to_be_silent_says_nothing_about_the_loudspeaker() -> None:
    silent = replace(HEALTHY, sounding=Sounding(UNHEARD, 0.0, False, aloud=False))
    assert (check_echo(silent).sentence, check_echo(silent).untried) == ("not played: it was to be silent", True)
    assert check_microphone(silent).level is Level.OK


def test_a_canceller_that_is_asked_for_and_does_not_load_fails() -> None:
    found = check_canceller(Cancelling("none", "", "speex", True, trouble="speex does not load"))
    assert (found.level, found.sentence) == (Level.FAILED, "speex does not load")


def test_a_box_without_any_canceller_is_warned_about_what_that_means() -> None:
    words = "none; aec3 does not load: no module (pip install)"
    found = check_canceller(Cancelling("none", words, "auto", True))
    assert found.level is Level.WARNING
    assert found.sentence == f"{words}; nobody is heard while the box speaks"


def test_a_canceller_that_loads_and_one_that_is_not_wished_for_are_fine() -> None:
    assert check_canceller(Cancelling("aec3", "aec3", "auto", False)).sentence == "aec3"
    assert check_canceller(Cancelling("none", "none", "none", False)).level is Level.OK
    half = check_canceller(Cancelling("aec3", "aec3", "auto", True))
    assert (half.level, half.sentence) == (Level.OK, "aec3; half duplex: nobody is heard while the box speaks")


def test_a_simulated_room_is_listened_to_and_has_neither_card_nor_mixer() -> None:
    found = check_sound(replace(HEALTHY, card=Card(simulate=True)))
    assert [(each.name, each.level) for each in found] == [
        ("card", Level.ABSENT),
        ("microphone", Level.OK),
        ("loudspeaker", Level.OK),
    ]


def test_settings_that_the_mixer_of_a_hat_does_not_take_are_one_warning_unless_there_is_no_card() -> None:
    odd = replace(HEALTHY, hat_troubles=("no control Playback", "no control Capture"))
    found = check_sound(odd)[-1]
    words = "no control Playback; no control Capture"
    assert (found.name, found.level, found.sentence) == ("HAT", Level.WARNING, words)
    assert "HAT" not in {found.name for found in check_sound(replace(odd, cards=()))}


def test_a_card_that_turns_the_microphone_up_by_itself_is_a_warning() -> None:
    automatic = replace(HEALTHY, mixer=replace(MIXER, automatic=("Auto Gain Control",)))
    (found,) = [one for one in check_sound(automatic) if one.level is not Level.OK]
    assert (found.name, found.level) == ("gain", Level.WARNING)
    assert found.sentence.startswith('"Auto Gain Control" of hw:Device is on')
    assert "alsamixer -D hw:Device" in found.advice
