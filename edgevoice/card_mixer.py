"""The mixer of the card that is open: what the HAT wants of it, and the volume; both put back in the end."""

from __future__ import annotations

import logging

from edgevoice.drivers.mixer import UNTOUCHED, Mixer, NoMixer, open_mixer
from edgevoice.drivers.mixer_settings import MixerSettings
from edgevoice.drivers.profile_files import card_ids
from edgevoice.drivers.turned import Turned
from edgevoice.errors import DeviceError
from edgevoice.profiles import as_found
from edgevoice.schema import Config

log = logging.getLogger(__name__)


class CardMixer:
    """Called on the event loop."""

    def __init__(self, config: Config, turned: Turned) -> None:
        self._config = config
        self._mixer: Mixer = NoMixer("no card yet")
        self._hat = MixerSettings()
        self._turned = turned
        self._percent = config.card.volume if turned.volume is None else turned.volume

    @property
    def facts(self) -> str:
        return self._mixer.facts

    def volume(self) -> int | None:
        """Return the volume in per cent, or None where there is none."""
        return self._mixer.volume()

    def set(self) -> None:
        """Set what the HAT wants, and the volume, of a card that has just been opened, for the first time or again."""
        found = as_found(self._config, card_ids())
        card = found.card
        if card.simulate:
            self._mixer = NoMixer("the simulated room has none")
            return
        for problem in self._hat.apply(found.hat_mixer):
            log.warning("mixer: %s", problem)
        try:
            if isinstance(self._mixer, NoMixer):
                self._mixer = open_mixer(card.playback, card.mixer, self._percent)
                log.info("mixer: %s", self._mixer.facts)
            elif self._percent != UNTOUCHED:
                self._mixer.set_volume(self._percent)
        except DeviceError as error:  # one that was found once is tried again when the card is opened again
            log.warning("mixer: %s", error)

    def turn_volume(self, percent: int) -> None:
        """Set the volume, also of what is opened later. Raises DeviceError."""
        self._mixer.set_volume(percent)
        self._percent = percent
        self._turned.turn(percent)

    def restore(self) -> None:
        """Leave the mixer as it was found."""
        self._mixer.restore()
        self._hat.restore()
