"""The sound of a configured box: configuration in; its card, its echo canceller and the two directions out."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from edgevoice.audio.calibration import Calibration
from edgevoice.audio.duplex import Duplex
from edgevoice.audio.echo import Canceller
from edgevoice.audio.echo import load as load_canceller
from edgevoice.audio.interruption import TalkOver
from edgevoice.audio.resample import Resampler
from edgevoice.drivers.alsa import CardSettings, open_card
from edgevoice.drivers.audio_thread import OpenedCard
from edgevoice.drivers.profile_files import card_ids
from edgevoice.drivers.state import load_calibration, name_of
from edgevoice.profiles import as_found
from edgevoice.schema import Config

log = logging.getLogger(__name__)

VOICES = Path(__file__).parent / "voices"


def load_echo(config: Config) -> tuple[Canceller, str]:
    """Return what takes the echo out, and in words which it is; that nothing does is a warning, unless it is wished so.

    To be called before a thread asks for real time: the library starts threads, which would inherit it.
    """
    canceller, echo = load_canceller(config.echo.canceller, noise_suppression=config.echo.noise_suppression)
    unwished = canceller.name == "none" and config.echo.canceller == "auto"
    consequence = "; half duplex: nobody is heard while the box speaks" if _half_duplex(config, canceller) else ""
    log.log(logging.WARNING if unwished else logging.INFO, "echo: %s%s", echo, consequence)
    return canceller, echo


def configured_duplex(config: Config, canceller: Canceller, rate: int) -> Duplex:
    """Return both directions of the card that was opened at `rate`."""
    barge_in = config.barge_in
    return Duplex(
        rate,
        TalkOver(sensitivity=barge_in.sensitivity, confirm_ms=barge_in.confirm_ms),
        canceller,
        half_duplex=_half_duplex(config, canceller),
        pre_roll_ms=barge_in.pre_roll_ms,
        give_up_ms=barge_in.give_up_ms,
        delay_ms=_delay_ms(config),
    )


def _half_duplex(config: Config, canceller: Canceller) -> bool:
    return {"auto": canceller.name == "none", "always": True, "never": False}[config.echo.half_duplex]


def _delay_ms(config: Config) -> float:
    """How late the echo is: as configured, else as `edgevoice calibrate` measured it, else unknown."""
    if config.echo.delay_ms >= 0:
        return config.echo.delay_ms
    found = calibration(config)
    return found.delay_ms if found else 0.0


def calibration(config: Config) -> Calibration | None:
    """Return what `edgevoice calibrate` found out about the configured card, if it was run."""
    return load_calibration(name_of(as_found(config, card_ids()).card))


def open_configured(config: Config) -> OpenedCard:
    """Open the card that is configured, or that of its HAT, whatever id it has. Raises DeviceError."""
    card = as_found(config, card_ids()).card
    if card.simulate:
        return _simulated_room(config)
    return open_card(
        CardSettings(
            capture=card.capture,
            playback=card.playback,
            rate=card.rate,
            period_ms=card.period_ms,
            ahead_ms=card.buffer_ms,
            capture_channel=card.capture_channel,
        )
    )


def _simulated_room(config: Config) -> OpenedCard:
    """A room in real time, in which a person says the same things again and again."""
    from edgevoice.drivers.room import RealClock, Room, RoomCard, Utterance
    from edgevoice.drivers.wav import read_wav

    card = config.card
    people, at = [], 3.0
    for path in sorted(VOICES.glob("*.wav")):
        pcm, rate = read_wav(path)
        said = Resampler(rate, card.rate).process(pcm)
        people.append(Utterance(at, said, path.stem))
        at += len(said) / card.rate + 6.0
    echo = np.zeros(card.rate // 50, np.float32)
    echo[-1] = 0.1  # one reflection, 20 ms late, 20 dB down
    room = Room(card.rate, people, echo, loop_s=at)
    return RoomCard(room, RealClock(), card.period_ms, card.buffer_ms)
