"""Checks of the sound: from the card in the kernel to the loudspeaker as the microphone hears it."""

from __future__ import annotations

import re

from edgevoice.audio.findings import LOUD_ROOM_DBFS, SILENT_DBFS, TOO_NOISY, drowned
from edgevoice.audio.measurement import Sounding
from edgevoice.doctor.facts import Cancelling, Control, Holder, KernelCard, Sound
from edgevoice.doctor.finding import STOP_IT, Finding, Level, SwitchOn, absent, failed, ok, untried, warning

OFFSET = 0.03  # of full scale: a microphone without its capacitor; a canceller copes, a level meter does not
OVERLAY = "for a HAT: its dtoverlay in /boot/firmware/config.txt, then reboot; for USB: lsusb, another port"
HAT_ADVICE = "is device.hat the right one? edgevoice devices names the profiles that fit"
BUSY = "held by another program"  # what opening a card says of one that is taken
CALIBRATE = "stop the service, then edgevoice calibrate"
SWITCH_IT_ON = "sudo edgevoice doctor --fix"
SOUND_SERVERS = ("pipewire", "wireplumber", "pulseaudio")


def check_card(sound: Sound) -> Finding:
    """Is the card there that is configured?"""
    if sound.card.simulate:
        return absent("card", "a simulated room (card.simulate)")
    listed = ", ".join(f"hw:CARD={card.id}" for card in sound.cards)
    named = list(dict.fromkeys(filter(None, map(card_id, (sound.card.capture, sound.card.playback)))))
    found = [card for card in sound.cards if {card.id, card.number} & set(named)]
    missing = [name for name in named if not any(name in (card.id, card.number) for card in found)]
    if missing:
        return failed(
            "card",
            f'no card "{missing[0]}" in the kernel {sound.kernel}; there are: {listed or "none"}',
            f"put one of those into [card] capture and playback. {OVERLAY}" if listed else OVERLAY,
        )
    if found:
        return ok("card", "; ".join(_words(card) for card in found) + f"; kernel {sound.kernel}")
    if sound.obtained is not None or BUSY in sound.trouble:
        beneath = f"; the kernel has {listed}" if listed else ""
        return ok("card", f'"{sound.card.capture}" of the ALSA configuration{beneath}')
    if not sound.cards:
        return failed("card", f"the kernel {sound.kernel} has no sound card", f"connect one. {OVERLAY}")
    return ok("card", f"the kernel {sound.kernel} has {listed}")


def card_id(pcm: str) -> str:
    """Return the card that a PCM names: "plughw:CARD=seeed,DEV=0" -> "seeed"; "" when it names none."""
    named = re.search(r"""(?:CARD=|hw:)([^,:='"]+)(?=[,'"]|$)""", pcm)
    return named[1] if named else ""


def _words(card: KernelCard) -> str:
    return f'{card.id}: {card.driver} "{card.name}"' + (f", driver {card.module}" if card.module else "")


def check_holders(sound: Sound) -> Finding:
    """Does another program have the card?"""
    named = {card_id(sound.card.capture), card_id(sound.card.playback)} - {""}
    foreign = [
        holder
        for holder in sound.holders
        if (not named or holder.card in named) and not (sound.by_box and holder.program == "edgevoice")
    ]
    streams = [holder for holder in foreign if holder.what != "mixer"]
    if streams and sound.obtained is not None:
        words = f"{_programs(streams)} has the card, and our sound goes through it: late"
        return warning("held by", words, f"name the card itself, hw:CARD={streams[0].card}; {_stop(streams)}")
    if streams:
        return failed("held by", f"{_programs(streams)} has the card open", _stop(streams))
    if BUSY in sound.trouble:
        return failed("held by", sound.trouble, "sudo edgevoice doctor names it")
    if waiting := [holder for holder in foreign if holder.program in SOUND_SERVERS]:
        return warning("held by", f"{_programs(waiting)} runs beside us and may take the card", _stop(waiting))
    return ok("held by", "edgevoice" if sound.by_box else "nobody")


def _programs(holders: list[Holder]) -> str:
    named = dict.fromkeys(f"{holder.program} (process {holder.pid})" for holder in holders)
    return ", ".join(named)


def _stop(holders: list[Holder]) -> str:
    programs = {holder.program for holder in holders}
    if programs & {"pipewire", "wireplumber"}:
        return "systemctl --user mask --now pipewire.socket pipewire wireplumber (as the user whose it is)"
    if "pulseaudio" in programs:
        return "systemctl --user mask --now pulseaudio.socket pulseaudio (as the user whose it is)"
    return f"stop it: kill {holders[0].pid}"


def check_opening(sound: Sound) -> Finding:
    """Does it open as the appliance opens it, and at which rate and channels?"""
    got = sound.obtained
    if got is None and check_card(sound).level is Level.FAILED:
        return absent("rates", "not opened: the card is not there")
    if got is None and check_holders(sound).level is Level.FAILED:
        return absent("rates", "not opened: another program has the card")
    if got is None and sound.by_box and sound.trouble:
        return absent("rates", "not opened: see fault")
    if got is None:
        return failed(
            "rates", sound.trouble or "the box has not opened the card", "edgevoice devices lists what there is"
        )
    words = (
        f"{got.rate} Hz, {got.period_ms:g} ms periods, {got.capture_channels} in, {got.playback_channels} out, "
        f"{got.ahead_ms:g} ms ahead"
    )
    if got.rate != sound.card.rate:
        return warning("rates", f"{words}; card.rate is {sound.card.rate}", f"card.rate = {got.rate} says what is true")
    return ok("rates", words)


def check_loudspeaker_level(sound: Sound) -> Finding:
    """Is the loudspeaker muted, or at zero?"""
    name, mixer, wanted = "volume", sound.mixer, sound.card.volume
    if mixer is not None and mixer.trouble:
        return failed(name, mixer.trouble, f"card.mixer: amixer -D {mixer.device} scontrols lists them")
    if mixer is None or mixer.loudspeaker is None:
        return absent(name, "the card has no volume that can be set")
    control = mixer.loudspeaker
    if wanted == 0:
        return failed(name, "card.volume is 0: nothing will be heard", "set card.volume, e.g. 70")
    will_set = wanted > 0 and not sound.by_box
    if will_set:
        return ok(name, f'"{control.name}" of {mixer.device}, {_now(control)}; the box sets {wanted} %')
    if control.muted:
        sentence = f'the loudspeaker is muted: "{control.name}" of {mixer.device}'
        return failed(name, sentence, SWITCH_IT_ON, SwitchOn(mixer.device, control.name))
    if control.percent == 0:
        return failed(
            name,
            f'the loudspeaker is at 0 %: "{control.name}" of {mixer.device}',
            "edgevoice ctl volume 70" if sound.by_box else f"amixer -D {mixer.device} sset '{control.name}' 70%",
        )
    return ok(name, f'"{control.name}" of {mixer.device}, {_now(control)}')


def _now(control: Control) -> str:
    level = "no level" if control.percent is None else f"{control.percent} %"
    return f"{level}, muted" if control.muted else level


def check_microphone_level(sound: Sound) -> Finding:
    """Is the microphone switched off in the mixer, or at zero?"""
    name, mixer = "capture", sound.mixer
    if mixer is None or mixer.microphone is None:
        return absent(name, "the card has no capture level that can be set")
    control, device = mixer.microphone, mixer.capture_device or mixer.device
    if control.muted:
        sentence = f'the microphone is switched off: "{control.name}" of {device}'
        return failed(name, sentence, SWITCH_IT_ON, SwitchOn(device, control.name, captures=True))
    if control.percent == 0:
        advice = f"amixer -D {device} sset '{control.name}' 60%, then edgevoice calibrate"
        return failed(name, f'the microphone is at 0 %: "{control.name}" of {device}', advice)
    return ok(name, f'"{control.name}" of {device}, {_now(control)}')


def check_automatic_gain(sound: Sound) -> tuple[Finding, ...]:
    """Does the card turn the microphone up while the box is silent? One finding for each control that does."""
    if sound.mixer is None or not sound.mixer.automatic:
        return ()
    id = card_id(sound.card.capture)
    device = f"hw:{id}" if id else sound.card.capture
    words = '"{}" of {} is on: the microphone is turned up in each pause, and the echo with it'
    advice = f"switch it off: alsamixer -D {device}, F4; keep it so: sudo alsactl store; then edgevoice calibrate"
    return tuple(warning("gain", words.format(name, device), advice) for name in sound.mixer.automatic)


def check_microphone(sound: Sound) -> Finding:
    """Is the microphone alive?"""
    name = "microphone"
    if sound.by_box and sound.sounding is None:
        return _as_the_box_hears_it(sound)
    if sound.sounding is None:
        if sound.sounding_trouble:
            return failed(name, sound.sounding_trouble, "unplug the card and plug it in again, or reboot")
        return absent(name, "not listened to: the card does not open")
    heard, figures = sound.sounding, sound.sounding.figures
    if _dead(heard):
        advice = f"switch it on and up (alsamixer, F4); is it on card.capture_channel = {sound.card.capture_channel}?"
        return failed(name, "it delivers nothing but silence", advice)
    if figures.clipped:
        return warning(name, f"it clips ({figures.clipped} samples)", "turn it down, then edgevoice calibrate")
    if abs(heard.offset) > OFFSET:
        advice = "turn on the card's high-pass filter if it has one; no call suffers, its level is told wrong"
        return warning(name, f"it has an offset of {100 * heard.offset:.0f} % of full scale", advice)
    if figures.noise_dbfs > LOUD_ROOM_DBFS:
        advice = "a fan, hum, or a capture level that is too high; edgevoice calibrate says more"
        return warning(name, f"it is noisy: {figures.noise_dbfs:.0f} dBFS while nothing is said", advice)
    return ok(name, f"alive, {figures.noise_dbfs:.0f} dBFS while nothing is said")


def _dead(heard: Sounding) -> bool:
    return heard.still or heard.figures.peak_dbfs < SILENT_DBFS


def _as_the_box_hears_it(sound: Sound) -> Finding:
    if sound.microphone_dbfs is None:
        return absent("microphone", "the box has no card now")
    if sound.microphone_dbfs < SILENT_DBFS:
        advice = "alsamixer, F4; or ask again when the box is idle: then it listens closely"
        return warning("microphone", f"the box hears {sound.microphone_dbfs:.0f} dBFS, which is silence", advice)
    why = f"; {sound.refused}" if sound.refused else ""
    return ok("microphone", f"the box hears {sound.microphone_dbfs:.0f} dBFS now{why}")


def check_mute(sound: Sound) -> tuple[Finding, ...]:
    """Is the box muted? That outlives a crash and a new start, and no light says so while nobody is in a call."""
    if not sound.muted:
        return ()
    return (warning("muted", "the box is muted: nobody hears the person", "edgevoice ctl mute off"),)


def check_echo(sound: Sound) -> Finding:
    """Does the microphone hear the loudspeaker?"""
    name = "loudspeaker"
    if sound.by_box and (sound.sounding is None or not sound.sounding.aloud):
        return _of_the_last_night(sound.self_test, sound.refused)
    if sound.sounding is None:
        return absent(name, "not played: the card does not open")
    figures = sound.sounding.figures
    if _dead(sound.sounding):
        return absent(name, "not known: the microphone is silent")
    if not sound.sounding.aloud:
        return untried(name, "not played: it was to be silent")
    noisy = drowned(figures) or sound.judged.startswith(TOO_NOISY)
    if figures.heard is not None and not sound.changed and not noisy:
        words = f"heard by the microphone: {figures.heard.echo_db:.0f} dB, {figures.heard.delay_ms:.0f} ms late"
        return ok(name, sound.judged or words)
    if sound.sounding.disturbed:
        words = "not known: the card lost frames whenever it was tried"
        return warning(name, words, "this machine is too busy (top), or card.buffer_ms is too small")
    if figures.noise_dbfs > LOUD_ROOM_DBFS or noisy:
        return warning(name, "it is too noisy to hear a chirp, or somebody spoke", "ask again when it is quiet")
    if sound.changed:
        return warning(name, sound.judged, CALIBRATE)
    muted = sound.mixer.muted if sound.mixer else ()
    switched = f"; muted in the mixer: {', '.join(muted)}" if muted else ""
    return warning(
        name,
        f"the microphone does not hear it{switched}",
        "right for a headset; else: is it connected, and the amplifier on? edgevoice calibrate plays louder",
    )


def _of_the_last_night(words: str, refused: str) -> Finding:
    if not words:
        why = f"{refused}; {STOP_IT}" if refused else "the box has not tested itself yet: it does so at night"
        return untried("loudspeaker", why)
    if words.startswith("loudspeaker and microphone hear each other") and "calibrate again" not in words:
        if "covered" not in words:
            return ok("loudspeaker", words)
    elif words.startswith(TOO_NOISY):
        return ok("loudspeaker", words)
    return warning("loudspeaker", words, CALIBRATE)


def check_canceller(found: Cancelling) -> Finding:
    """What takes the echo out?"""
    if found.trouble:
        return failed("canceller", found.trouble, 'install it, or echo.canceller = "auto"')
    if found.name == "none" and found.asked != "none":
        return warning("canceller", f"{found.words}; nobody is heard while the box speaks", "install one of them")
    silent = "; half duplex: nobody is heard while the box speaks" if found.half_duplex else ""
    return ok("canceller", found.words + silent)


def check_sound(sound: Sound) -> tuple[Finding, ...]:
    """Return all of that, in the order in which one thing needs the other."""
    mixer = (check_loudspeaker_level, check_microphone_level)
    of_a_card = () if sound.card.simulate else (check_holders, check_opening, *mixer)
    found = tuple(check(sound) for check in (check_card, *of_a_card, check_microphone, check_echo))
    found += check_mute(sound)
    found += () if sound.card.simulate else check_automatic_gain(sound)
    if not sound.hat_troubles or found[0].level is Level.FAILED:
        return found
    return *found, warning("HAT", "; ".join(sound.hat_troubles), HAT_ADVICE)
