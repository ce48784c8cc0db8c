"""Gathers what there is to know of the sound: by the running box if there is one, else by opening the card.

The running box plays its own chirp, and says what it heard. Else the card is opened as the appliance opens it, at its
volume; a chirp is played, and the mixer put back. Not `aloud`: nothing is played, and the microphone is heard.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from edgevoice.audio.echo import load as load_canceller
from edgevoice.audio.findings import TOO_NOISY
from edgevoice.audio.measurement import Sounding
from edgevoice.audio.reference import Reference
from edgevoice.calibrate import run_a_period
from edgevoice.doctor.chirp import chirp, sounding
from edgevoice.doctor.facts import Cancelling, MixerLook, Obtained, Sound
from edgevoice.drivers import control
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.drivers.capture_level import capture_level
from edgevoice.drivers.mixer import UNTOUCHED, AlsaMixer, Mixer, NoMixer, mixer_device, open_mixer
from edgevoice.drivers.mixer_settings import MixerSettings
from edgevoice.drivers.sound_holders import holders, kernel_cards
from edgevoice.drivers.switches import automatic, look
from edgevoice.errors import ConfigError, DeviceError
from edgevoice.profiles import as_found
from edgevoice.schema import Card, Config

Box = Mapping[str, Any]  # the status of the running box
LISTENING_S = (
    12.0  # for the box: a tone that sounds is waited for, two seconds of listening, and a machine that is busy
)
TRIES = 3  # a chirp in which the card lost frames, or into which somebody spoke, is played again


def sound(config: Config, box: Box | None, open_card: Callable[[], OpenedCard], *, aloud: bool = True) -> Sound:
    """Return what is found; what goes wrong is a part of it."""
    cards = kernel_cards()
    config = as_found(config, [card.id for card in cards])
    found = Sound(config.card, cards, platform.release(), holders())
    if box is not None:
        found = _told_by(box, found if config.card.simulate else replace(found, mixer=_mixer(config.card)))
        return _heard_by_the_box(config.status.socket, found, aloud=aloud) if box.get("card") else found
    hat_mixer = MixerSettings()
    try:
        if not config.card.simulate:
            troubles = tuple(hat_mixer.apply(config.hat_mixer))
            found = replace(found, hat_troubles=troubles, mixer=_mixer(config.card))
        return _opened(open_card, found, aloud=aloud)
    finally:
        hat_mixer.restore()


def _opened(open_card: Callable[[], OpenedCard], found: Sound, *, aloud: bool) -> Sound:
    """Open it and listen, with the mixer as the box sets it."""
    try:
        card = open_card()
    except DeviceError as error:
        return replace(found, trouble=str(error))
    found = replace(found, obtained=_obtained(card.rate, card.facts))
    try:
        sounding, trouble = _sounded(found.card, card, aloud=aloud)
    finally:
        card.close()
    return replace(found, sounding=sounding, sounding_trouble=trouble)


def _told_by(box: Box, found: Sound) -> Sound:
    facts, fault = box.get("card") or {}, box.get("fault") or ""
    return replace(
        found,
        by_box=True,
        obtained=_obtained(facts["rate"], facts) if "rate" in facts else None,
        trouble="" if facts else fault,  # a fault with a card is one of a call
        self_test=box.get("self_test") or "",
        microphone_dbfs=box.get("microphone_dbfs"),
        muted=bool(box.get("muted")),
    )


def _heard_by_the_box(socket: str, found: Sound, *, aloud: bool) -> Sound:
    """Let the box listen to itself; it refuses in a call, and an older one knows no such request.

    By day somebody may speak into it: what does not sound well is believed when it has been heard TRIES times.
    """
    for _ in range(TRIES if aloud else 1):
        try:
            answer = control.ask(socket, {"do": "chirp", "aloud": aloud}, LISTENING_S)
            if not answer.get("ok"):
                return replace(found, sounding=None, refused=str(answer.get("error")))
            heard = msgspec.convert(answer.get("sounding"), Sounding)
        except (DeviceError, msgspec.ValidationError) as error:
            return replace(found, sounding=None, refused=str(error))
        judged, changed = str(answer.get("judged", "")), bool(answer.get("warning"))
        found = replace(found, sounding=heard, judged=judged, changed=changed)
        if heard.still or (heard.figures.heard is not None and not changed and not judged.startswith(TOO_NOISY)):
            break
    return found


def _obtained(rate: int, facts: Mapping[str, Any]) -> Obtained:
    return Obtained(
        rate=rate,
        period_ms=float(facts.get("period_ms", 0)),
        ahead_ms=float(facts.get("ahead_ms", 0)),
        capture_channels=int(facts.get("capture_channels", 1)),
        playback_channels=int(facts.get("playback_channels", 1)),
    )


def _mixer(card: Card) -> MixerLook:
    device, trouble = mixer_device(card.playback), ""
    mixer: Mixer = NoMixer("it lacks the control that is configured")
    try:
        mixer = open_mixer(card.playback, card.mixer, UNTOUCHED)
    except DeviceError as error:
        trouble = str(error)
    level = capture_level(mixer_device(card.capture))
    found = look(device, mixer.control if isinstance(mixer, AlsaMixer) else "", "")
    heard = look(level.device, "", level.control) if level else None
    microphone = heard.microphone if heard else None
    return replace(
        found,
        microphone=microphone,
        capture_device=level.device if level else "",
        trouble=trouble,
        automatic=automatic(mixer_device(card.capture)),
    )


def _set(configured: Card) -> Mixer:
    """Set the volume that the box plays at; what hinders that is told by its own check."""
    if configured.simulate:
        return NoMixer("a simulated room has none")
    try:
        return open_mixer(configured.playback, configured.mixer, configured.volume)
    except DeviceError as error:
        return NoMixer(str(error))


def _sounded(configured: Card, card: OpenedCard, *, aloud: bool) -> tuple[Sounding | None, str]:
    """Play a chirp as loud as the box plays; return what was heard, or why nothing could be."""
    mixer = _set(configured)
    try:
        for _ in range(TRIES):
            chirped, reference = chirp(card.rate, card.ahead, aloud=aloud), Reference(card.rate)
            while not chirped.full:
                run_a_period(card, reference, chirped)
            if not chirped.disturbed:
                break
        return sounding(chirped), ""
    except DeviceError as error:
        return None, str(error)
    finally:
        mixer.restore()


def cancelling(config: Config, box: Box | None) -> Cancelling:
    """Return what takes the echo out: as the box says, else loaded here as the box loads it."""
    asked = config.echo.canceller
    told = (box or {}).get("echo")
    if told:
        words = "; ".join(filter(None, (told["canceller"], told.get("missing"))))
        return Cancelling(told["canceller"], words, asked, bool(told.get("half_duplex")), told.get("trouble") or "")
    try:
        canceller, words = load_canceller(asked, noise_suppression=config.echo.noise_suppression)
    except ConfigError as error:
        return Cancelling("none", "", asked, True, trouble=str(error))
    half = {"auto": canceller.name == "none", "always": True, "never": False}[config.echo.half_duplex]
    return Cancelling(canceller.name, words, asked, half)
